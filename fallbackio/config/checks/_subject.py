"""What the rules look at: one chain, from a file or running, without its keys."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

from attrs import field, frozen

from fallbackio.breaker import BreakerPolicy
from fallbackio.chain import Setup
from fallbackio.config._prices import listed
from fallbackio.endpoint import Endpoint

__all__ = ["Lack", "Subject"]


@frozen
class Lack:
    """Why an endpoint cannot be asked here: a variable, an extra, or anything else."""

    kind: str  # "key", "variable", "extra", "other"
    text: str
    mend: str


@frozen(kw_only=True)
class Subject:
    """One chain.

    Attributes:
        setup: Its settings; the endpoints in it may be a stand-in.
        breaker: When an endpoint is left alone.
        steps: Its endpoints, as far as they are known; those of a pool are one step.
        today: The day on which it is judged.
        where: The place of its settings in the file, `chain.chat`; empty for a chain made in code.
        places: Where endpoints are described, by their names.
        lacks: Why endpoints cannot be asked, by their names.
    """

    setup: Setup
    breaker: BreakerPolicy
    steps: tuple[tuple[Endpoint, ...], ...]
    today: date
    where: str = ""
    places: Mapping[str, str] = field(factory=dict)
    lacks: Mapping[str, tuple[Lack, ...]] = field(factory=dict)

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """All of them, in their order."""
        return tuple([spec for step in self.steps for spec in step])

    @property
    def vendors(self) -> frozenset[str]:
        """Who runs them; an empty one where that is not known."""
        return frozenset([spec.vendor for spec in self.endpoints])

    def setting(self, name: str) -> str:
        """The place of a setting."""
        return f"{self.where}.{name}" if self.where else name

    def place(self, spec: Endpoint) -> str:
        """The place of an endpoint."""
        return self.places.get(spec.name, spec.name)

    def window(self, spec: Endpoint) -> int | None:
        """Its context in tokens, if it is known."""
        if spec.context_window is not None:
            return spec.context_window
        listing = listed(spec)
        return None if listing is None else listing.window()
