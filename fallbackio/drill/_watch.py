"""A sink that follows the chain: failovers, breakers, and how it finds out about each trouble.

An endpoint counts as left alone from the instant at which its breaker opens, or at which it asks for time
with a 429; that may come after its trouble, of requests that were sent in it.  It has returned when it
answers what was asked of it since.  What happens is put down in the phase in which it happens.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping

from attrs import define, field

from fallbackio.drill._record import Log, Move
from fallbackio.errors import AttemptError, RateLimited, TimedOut
from fallbackio.events import AttemptEnded, AttemptStarted, BreakerMoved, Event, FailedOver
from fallbackio.model import Attempt
from fallbackio.simulator import Part, Trouble

__all__ = ["Found", "Watch", "reason", "requests_of"]


@define(eq=False)
class Found:
    """How the chain found out about one endpoint's trouble, and about its end.

    Attributes:
        endpoint: Whose trouble.
        trouble: When it began and ended.
        left_alone_s: Seconds from its beginning until the endpoint was left alone; NaN if it never was.
        reached_before: Requests that reached it in the trouble until then.
        reached_after: Requests that reached it in the trouble from then on.
        returned_s: Seconds from its end until the endpoint answered again; NaN if it did not.
        wanted: Whether a call asked it after its end, or would have but for its breaker.
    """

    endpoint: str
    trouble: Trouble
    left_alone_s: float = math.nan
    reached_before: int = 0
    reached_after: int = 0
    returned_s: float = math.nan
    wanted: bool = False


@define(eq=False)
class Watch:
    """An `EventSink`; `now` gives the scenario's seconds, `phase` the number of the phase.

    Attributes:
        under_way: Requests that the chain has begun and not ended, by endpoint.
        begun: Requests that it has begun, by endpoint.
        found: For each trouble of each endpoint, what became of it.
        ended: Whether the last call is over; what closing the chain takes back is no move.
    """

    # Told at once: a thread's would be told of the past.
    inline = True

    log: Log
    now: Callable[[], float]
    phase: Callable[[], int]
    found: list[Found]
    under_way: Counter[str] = field(factory=Counter)
    begun: Counter[str] = field(factory=Counter)
    ended: bool = False
    _open: set[str] = field(factory=set)
    # When the requests that are under way began, by endpoint, call and place in its ledger.
    _since: dict[tuple[str, int, int], float] = field(factory=dict)

    @classmethod
    def over(
        cls, log: Log, parts: Mapping[str, Part], now: Callable[[], float], phase: Callable[[], int]
    ) -> Watch:
        """One for these parts."""
        found = [Found(name, trouble) for name, part in parts.items() for trouble in part.troubles]
        return cls(log, now, phase, found)

    def __call__(self, event: Event, /) -> None:
        match event:
            case AttemptStarted(endpoint=endpoint):
                self.under_way[endpoint] += 1
                self.begun[endpoint] += 1
                self._since[endpoint, event.call, event.number] = self.now()
                self._reached(endpoint)
            case AttemptEnded(attempt=attempt) if attempt.outcome == "skipped":
                self._wanted(attempt.endpoint)
            case AttemptEnded(attempt=attempt):
                self.under_way[attempt.endpoint] -= 1
                self.begun[attempt.endpoint] += requests_of(attempt) - 1
                since_s = self._since.pop((attempt.endpoint, event.call, event.number))
                if attempt.outcome == "won":
                    self._answered(attempt.endpoint, since_s)
                elif isinstance(attempt.error, RateLimited) and attempt.error.retry_after_s:
                    self._left_alone(attempt.endpoint, since_s)
            case FailedOver(origin=origin, error=error):
                self.log.failovers[self.phase()][origin, reason(error)] += 1
            case BreakerMoved(endpoint=endpoint, new=new, reason=why) if not self.ended:
                self.log.moves.append(Move(self.now(), endpoint, new, why))
                if new == "open":
                    self._left_alone(endpoint, self._oldest(endpoint))
                (self._open.discard if new == "closed" else self._open.add)(endpoint)

    def _of(self, endpoint: str) -> list[Found]:
        """The endpoint's troubles that have begun, the last first."""
        now = self.now()
        return [
            one for one in reversed(self.found) if one.endpoint == endpoint and one.trouble.begins_s <= now
        ]

    def _oldest(self, endpoint: str) -> float:
        """When the oldest of the endpoint's requests began that are under way, or now."""
        return min(
            [since for (name, *_), since in self._since.items() if name == endpoint], default=self.now()
        )

    def _reached(self, endpoint: str) -> None:
        self._wanted(endpoint)
        now = self.now()
        found = next((one for one in self._of(endpoint) if now < one.trouble.ends_s), None)
        if found is None:
            return
        if math.isnan(found.left_alone_s) and endpoint in self._open:
            found.left_alone_s = 0.0  # it was left alone before
        if math.isnan(found.left_alone_s):
            found.reached_before += 1
        else:
            found.reached_after += 1

    def _left_alone(self, endpoint: str, since_s: float) -> None:
        """It is left alone because of requests of which the oldest was sent at `since_s`."""
        for found in self._of(endpoint):
            if since_s < found.trouble.ends_s and math.isnan(found.left_alone_s):
                found.left_alone_s = self.now() - found.trouble.begins_s
                found.returned_s = math.nan  # what it answered in between was before anybody had noticed
                return

    def _wanted(self, endpoint: str) -> None:
        now = self.now()
        for found in self._of(endpoint):
            found.wanted |= now >= found.trouble.ends_s

    def _answered(self, endpoint: str, since_s: float) -> None:
        for found in self._of(endpoint):
            if since_s >= found.trouble.ends_s and math.isnan(found.returned_s):
                found.returned_s = self.now() - found.trouble.ends_s


def requests_of(attempt: Attempt) -> int:
    """How many requests an attempt was: none if it was skipped, two if a prefill was refused."""
    if attempt.outcome == "skipped":
        return 0
    return 1 + any(note.startswith("prefill refused") for note in attempt.notes)


def reason(error: AttemptError) -> str:
    """Why an attempt failed, in two words: its class and what tells it from others of the class."""
    kind = type(error).__name__
    if isinstance(error, TimedOut):
        return f"{kind} ({error.phase})"
    return kind if error.status in (None, 200) else f"{kind} ({error.status})"
