"""How long an attempt is waited for: until its own limit, or until it is late where nobody is sent any more.

A breaker that opens says that its endpoint is not worth asking.  Calls that wait there would each find
that out for themselves, at the end of their own limits; in place of that they are told, and go on to
an endpoint that can be asked now.  Left is only what has shown nothing for longer than its endpoint's
answers usually take: one that errs for others may be about to answer this call.  Who is younger is left
when he becomes that old, unless the breaker has closed by then.

Nobody is left who has nowhere to go, or who was sent through an open breaker to see how it is, or who
waits where answers are only slow: they come, and nobody knows how many the next endpoint can take at once.
The odd rule: like its limit, leaving an attempt takes effect a hair later (`TICK_S`), so that an answer
that comes in that tick is delivered.
"""

from __future__ import annotations

from types import TracebackType

import anyio

from fallbackio import clock
from fallbackio.chain._alarm import Bell
from fallbackio.chain._try import TICK_S, Try
from fallbackio.errors import Refused, TimedOut

__all__ = ["Patience"]


class Patience:
    """The block in which one attempt is waited for, up to its first content or its whole answer.

    `in_scope` bounds it by a cancel scope, whose deadline others can read; without, it costs less.
    """

    __slots__ = ("_attempt", "_limit", "_over_at", "_quiet_since", "_timer", "_was_left")

    def __init__(self, attempt: Try, *, in_scope: bool) -> None:
        self._attempt = attempt
        self._quiet_since = attempt.started
        self._over_at = attempt.started + attempt.limit_s + TICK_S
        self._limit = anyio.CancelScope(deadline=self._over_at) if in_scope else Bell(self._over_at)
        self._timer: clock.Timer | None = None  # until it is late, once its breaker has opened
        self._was_left = False

    def __enter__(self) -> None:
        self._limit.__enter__()
        self._attempt.leg.route.breaker.waiting[self] = None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        del self._attempt.leg.route.breaker.waiting[self]
        if self._timer is not None:
            self._timer.cancel()
        return self._limit.__exit__(kind, error, trace)

    def thinks(self) -> None:
        """It is thinking aloud: no content, and yet no stall."""
        attempt = self._attempt
        self._quiet_since = clock.now()
        if attempt.phase == "first_content" and not self._was_left:
            latest = min(attempt.started + attempt.whole_s, self._quiet_since + attempt.limit_s)
            self._end_at(latest + TICK_S)

    def tripped(self) -> None:
        """The breaker of its endpoint has opened."""
        if self._attempt.may_be_left:
            self._leave_when_late()

    def _leave_when_late(self) -> None:
        attempt, now = self._attempt, clock.now()
        late_at = self._quiet_since + attempt.late_s
        if self._timer is not None:
            self._timer.cancel()
        breaker = attempt.leg.route.breaker
        if breaker.phase == "closed" or breaker.slow:
            return
        if now < late_at:
            self._timer = clock.call_at(late_at, self._leave_when_late)
        elif now < self._over_at and attempt.call.can_go_on(now):
            self._was_left = True
            self._end_at(now + TICK_S)

    def _end_at(self, instant: float) -> None:
        self._over_at = instant
        if isinstance(self._limit, Bell):
            self._limit.until(instant)
        else:
            self._limit.deadline = instant

    def spent(self) -> TimedOut | Refused:
        """Why it is waited for no more, when it was ended in here."""
        attempt = self._attempt
        if not self._was_left:
            return TimedOut(phase=attempt.phase, limit_s=attempt.limit_s)
        what = "content" if attempt.call.request.stream else "answer"
        age = clock.now() - attempt.started
        return Refused(f"no {what} within {age:.3g} s, and its circuit has opened", sent=True)
