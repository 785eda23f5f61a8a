"""What is counted while the demo runs, phase by phase.

A call belongs to the phase in which it began, whenever it ends.  How many requests reached a vendor
in trouble is the simulator's own count, split at the instant at which the chain began to leave the
vendor alone: because its circuit opened, or because it asked for time with a 429.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from attrs import define, field, frozen

from fallbackio import clock
from fallbackio.cli.demo._script import Phase
from fallbackio.errors import RateLimited
from fallbackio.events import AttemptEnded, BreakerMoved, Event
from fallbackio.model import Attempt, Report

__all__ = ["FAILED", "Circuit", "Reached", "Tally", "Watch"]

# Stands for the vendor that served a call which none did.
FAILED = ""


@frozen
class Reached:
    """Requests that reached a vendor in trouble.

    Attributes:
        before: Until the chain left it alone.
        probes: After that.
    """

    before: int = 0
    probes: int = 0

    def __add__(self, other: Reached) -> Reached:
        return Reached(self.before + other.before, self.probes + other.probes)


@define(eq=False)
class Tally:
    """The figures of one phase."""

    phase: Phase
    planned: int  # how many calls it will begin
    began_at: float = math.nan
    served: list[str | None] = field(factory=list)  # per call begun: who served it, None while under way
    answered_s: list[float] = field(factory=list)  # how long each answered call took
    failures: list[str] = field(factory=list)  # why calls failed
    failovers: int = 0  # answered calls that moved past their first choice
    reached: dict[str, Reached] = field(factory=dict)  # per vendor in trouble, once the phase is over

    def begin_call(self) -> int:
        """The number of a new call."""
        self.served.append(None)
        return len(self.served) - 1

    def answered(self, call: int, seconds: float, report: Report) -> None:
        self.served[call] = report.endpoint
        self.answered_s.append(seconds)
        self.failovers += report.fell_back

    def failed(self, call: int, why: str) -> None:
        self.served[call] = FAILED
        self.failures.append(why)

    @property
    def calls(self) -> int:
        return len(self.served)

    @property
    def under_way(self) -> int:
        return self.served.count(None)

    @property
    def success_ratio(self) -> float:
        """Of the calls that have ended; NaN before the first."""
        ended = self.calls - self.under_way
        return len(self.answered_s) / ended if ended else math.nan

    def served_by(self) -> Counter[str]:
        """How many calls each vendor answered."""
        return Counter(name for name in self.served if name)

    def quantile_s(self, ratio: float) -> float:
        """The time within which this share of the answers came (nearest rank); NaN without any."""
        ranked = sorted(self.answered_s)
        return ranked[math.ceil(ratio * len(ranked)) - 1] if ranked else math.nan

    def to_dict(self) -> dict[str, Any]:
        """For `--json`; a time without an answer is null."""
        return {
            "phase": self.phase.name,
            "calls": self.calls,
            "answered": len(self.answered_s),
            "failed": len(self.failures),
            "failures": self.failures,
            "p50_ms": _ms(self.quantile_s(0.5)),
            "p99_ms": _ms(self.quantile_s(0.99)),
            "failovers": self.failovers,
            "served_by": dict(self.served_by()),
            "reached_in_trouble": {
                name: {"until_left_alone": reached.before, "probes": reached.probes}
                for name, reached in self.reached.items()
            },
        }


def _ms(seconds: float) -> float | None:
    return None if math.isnan(seconds) else round(seconds * 1000, 1)


@define(eq=False)
class Circuit:
    """How the chain stands to one vendor, as its events tell."""

    phase: str = "closed"
    rests_until: float = -math.inf
    left_alone_at: float | None = None  # the first instant since `Watch.struck`

    @property
    def word(self) -> str:
        """The state for the one who watches; a closed circuit may rest after a 429."""
        if self.phase == "closed" and clock.now() < self.rests_until:
            return "resting"
        return self.phase.replace("_", " ")


class Watch:
    """A sink that follows the circuits."""

    inline = True

    def __init__(self, names: Iterable[str]) -> None:
        self.circuits: Mapping[str, Circuit] = {name: Circuit() for name in names}

    def __call__(self, event: Event) -> None:
        match event:
            case BreakerMoved(endpoint=name, new=new):
                circuit = self.circuits[name]
                circuit.phase = new
                if new == "open":
                    self._left_alone(circuit)
            case AttemptEnded(attempt=Attempt(endpoint=name, error=RateLimited() as error)):
                circuit = self.circuits[name]
                circuit.rests_until = clock.now() + (error.retry_after_s or 0.0)
                self._left_alone(circuit)

    def struck(self, name: str) -> None:
        """Its trouble begins now; a circuit that is not closed leaves it alone already."""
        circuit = self.circuits[name]
        circuit.left_alone_at = None if circuit.word == "closed" else clock.now()

    def reached(self, name: str, arrivals: Iterable[float], since: float) -> Reached:
        """These arrivals, as far as they came since its trouble began, before and after it was left alone."""
        alone_at = self.circuits[name].left_alone_at
        border = math.inf if alone_at is None else alone_at
        late = [at for at in arrivals if at >= since]
        # The request that made it leave may have come in the same instant; a probe cannot.
        return Reached(sum(at <= border for at in late), sum(at > border for at in late))

    def _left_alone(self, circuit: Circuit) -> None:
        if circuit.left_alone_at is None:
            circuit.left_alone_at = clock.now()
