"""How long a simulated provider takes until its first content."""

from __future__ import annotations

import math
import random
from abc import ABC, abstractmethod

from attrs import field, frozen

from fallbackio.simulator import _checks

__all__ = ["Fixed", "Latency", "Lognormal"]


class Latency(ABC):
    """A distribution of waiting times; subclass it for one of your own.

    Example:
        >>> class Uniform(Latency):
        ...     def draw(self, lots):
        ...         return lots.uniform(0.1, 0.3)
    """

    @abstractmethod
    def draw(self, lots: random.Random) -> float:
        """Seconds for one request."""


@frozen
class Fixed(Latency):
    """The same time for every request.

    Example:
        >>> Behaviour(latency=Fixed(0.3))   # or just latency=0.3
    """

    seconds: float = field(default=0.0, validator=_checks.seconds)

    def draw(self, lots: random.Random) -> float:
        return self.seconds


@frozen
class Lognormal(Latency):
    """Times as they are measured at providers: a hump, a long tail, and now and then a straggler.

    Attributes:
        median_s: Half of the requests, stragglers apart, are faster.
        sigma: Width of the hump: 0 is none, 0.4 puts the 99th percentile at 2.5 medians.
        straggler_ratio: Share of the requests, 0 to 1, that take `straggler_factor` times as long.
        straggler_factor: How much longer stragglers take.

    Example:
        >>> Behaviour(latency=Lognormal(0.4, sigma=0.3, straggler_ratio=0.05, straggler_factor=10))
    """

    median_s: float = field(validator=_checks.seconds)
    sigma: float = field(default=0.4, validator=_checks.seconds)
    straggler_ratio: float = field(default=0.0, validator=_checks.share)
    straggler_factor: float = field(default=10.0, validator=_checks.over_zero)

    def draw(self, lots: random.Random) -> float:
        # Both lots are always drawn, so that switching stragglers on moves no other request.
        usual = self.median_s * math.exp(self.sigma * lots.gauss(0, 1))
        return usual * self.straggler_factor if lots.random() < self.straggler_ratio else usual
