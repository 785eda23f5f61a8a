"""What is known of one phase, and of one trouble.

Times are of calls that were answered: an error that the scenario allows is a right end as well, and comes
within a millisecond.  Quantiles are by nearest rank, so that each is the time of a call that was made.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import attrs
from attrs import frozen

__all__ = ["Afterwards", "Cast", "Failover", "Figures", "Quantiles", "Troubled"]

Afterwards = Literal["returned", "not returned", "not asked", "sick to the end"]


@frozen
class Quantiles:
    """Seconds within which shares of calls ended; NaN where there was none.

    Example:
        >>> result.total.latency.p99
        1.42
    """

    p50: float
    p90: float
    p99: float
    p999: float
    longest: float

    @classmethod
    def of(cls, seconds: Iterable[float]) -> Quantiles:
        """Those of some times.

        Example:
            >>> Quantiles.of([0.1, 0.2, 0.3]).p50
            0.2
        """
        ranked = sorted(seconds)
        return cls(*[_rank(ranked, share) for share in (0.5, 0.9, 0.99, 0.999, 1.0)])

    def to_dict(self) -> dict[str, float | None]:
        """For JSON.

        Example:
            >>> result.total.latency.to_dict()["p50"]
            0.55
        """
        return {name: _number(value) for name, value in attrs.asdict(self).items()}


def _rank(ranked: Sequence[float], share: float) -> float:
    # A hair less, because 0.999 * 1000 is a hair more than 999.
    return ranked[max(0, math.ceil(share * len(ranked) - 1e-9) - 1)] if ranked else math.nan


@frozen
class Failover:
    """That calls moved past an endpoint for one reason, and how many.

    Example:
        >>> result.total.failovers[0]
        Failover(origin='openai/gpt-6-luna', reason='ServerFault (503)', times=7)
    """

    origin: str
    reason: str
    times: int


@frozen(kw_only=True)
class Figures:
    """A phase, or the whole, in figures.

    Attributes:
        name: Of the phase.
        begins_s, lasts_s: When it was, in the scenario's seconds.
        sick: Who was not well in it.
        calls: How many calls were made in it.
        answered: How many got an answer.
        allowed: How many ended in an error that the scenario allows.
        failed: How many ended in another one, or not at all.
        latency: From when a call that was answered was made to its end.
        ttft: From when it was made to its first content; `None` where nothing was streamed.
        served: Who answered how many.
        failovers: Where calls moved on from, and why, the most frequent first.
        errors: What failed calls ended with, the most frequent first.
        requests: Requests that reached each endpoint.
        requests_per_call: Requests sent for each call.
        to_sick: Requests that reached endpoints that were not well.
        cost: US dollars, or `None` where no price is known.
        wasted: The part of it that brought no answer.

    Example:
        >>> outage = result.phase("outage")
        >>> outage.success, outage.latency.p99, outage.served
        (1.0, 2.1, {'anthropic/claude-sonnet-5-5': 1127})
    """

    name: str
    begins_s: float
    lasts_s: float
    sick: tuple[str, ...]
    calls: int
    answered: int
    allowed: int
    failed: int
    latency: Quantiles
    ttft: Quantiles | None
    served: Mapping[str, int]
    failovers: tuple[Failover, ...]
    errors: Mapping[str, int]
    requests: Mapping[str, int]
    requests_per_call: float
    to_sick: int
    cost: float | None
    wasted: float | None

    @property
    def success(self) -> float:
        """The share of calls with a right end; NaN where there was none.

        Example:
            >>> result.total.success
            1.0
        """
        return (self.answered + self.allowed) / self.calls if self.calls else math.nan

    def to_dict(self) -> dict[str, Any]:
        """For JSON.

        Example:
            >>> result.total.to_dict()["calls"]
            2687
        """
        return {
            "name": self.name,
            "begins_s": self.begins_s,
            "lasts_s": self.lasts_s,
            "sick": list(self.sick),
            "calls": self.calls,
            "answered": self.answered,
            "allowed": self.allowed,
            "failed": self.failed,
            "success": _number(self.success),
            "latency_s": self.latency.to_dict(),
            "ttft_s": None if self.ttft is None else self.ttft.to_dict(),
            "served": dict(self.served),
            "failovers": [attrs.asdict(one) for one in self.failovers],
            "errors": dict(self.errors),
            "requests": dict(self.requests),
            "requests_per_call": _number(self.requests_per_call),
            "to_sick": self.to_sick,
            "cost": self.cost,
            "wasted": self.wasted,
        }


@frozen(kw_only=True)
class Troubled:
    """How the chain found out about one endpoint's trouble.

    Attributes:
        endpoint: Whose trouble.
        begins_s, ends_s: When it was, in the scenario's seconds.
        left_alone_s: Seconds from its beginning until the chain left the endpoint alone, because its
            breaker opened or it asked for time; `None` if it never did.  Longer than the trouble if what
            was sent in it failed only later.
        reached_before: Requests that reached it in the trouble until then.
        reached_after: Requests that reached it in the trouble from then on: probes, mostly.
        afterwards: `"returned"`; `"not returned"`, calls asked it in vain or found its breaker open; `"not
            asked"`, no call needed it; or `"sick to the end"` of the scenario.
        returned_s: Seconds from its end until the endpoint answered again; `None` if it did not.

    Example:
        >>> result.troubles[0].left_alone_s, result.troubles[0].returned_s
        (0.9, 6.7)
    """

    endpoint: str
    begins_s: float
    ends_s: float
    left_alone_s: float | None
    reached_before: int
    reached_after: int
    afterwards: Afterwards
    returned_s: float | None


@frozen(kw_only=True)
class Cast:
    """An endpoint of the chain and its role.

    Example:
        >>> [one.role for one in result.endpoints]
        ['primary', 'secondary']
    """

    name: str
    vendor: str
    model: str
    dialect: str
    role: str


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value
