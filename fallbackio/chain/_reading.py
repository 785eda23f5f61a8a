"""Reading an open answer, with three timers that run only while we wait for the provider.

*Idle*: silence between two contents.  *Rate*: content comes, but at a crawl.  *Left*: what remains
of the attempt or the call.  Nothing is held while the consumer is busy, and a wait that is
cancelled leaves the answer open.
"""

from __future__ import annotations

import math
from collections import deque

from fallbackio import clock
from fallbackio.chain._alarm import Alarm
from fallbackio.chain._attempt import TICK_S, Opened, has_progress
from fallbackio.chain._settings import Limits
from fallbackio.chain._tally import Tally
from fallbackio.errors import Phase, TimedOut
from fallbackio.model import Delta

__all__ = ["Reading"]


class Reading:
    """An open answer from its first content on; `tally` counts what of it has been read."""

    def __init__(self, opened: Opened, limits: Limits, left_s: float) -> None:
        self.attempt = opened.attempt
        self.upstream = opened.upstream
        self.tally = Tally(opened.deltas, opened.attempt.choices)
        self.left_s = left_s
        self._limit_s = left_s
        self._idle_s = math.inf if limits.idle_timeout is None else limits.idle_timeout
        self._silent_s = 0.0  # waited since the last content
        self._rate = None if limits.min_rate is None else _Rate(*limits.min_rate)
        self._alarm = Alarm()
        self._ended = opened.ended

    async def next_batch(self) -> list[Delta]:
        """What comes next; empty at the answer's end.

        Raises the `AttemptError` that it broke with; after it the request still has to be closed.
        """
        batch = [] if self._ended else self.upstream.take()
        while not (batch or self._ended or self.upstream.finished):
            waited = await self._wait()
            if waited is None:
                break
            batch = waited
        if not batch:
            self.done()
            self.tally.check()
            return batch
        self.tally.add(batch)
        if has_progress(batch):
            self._silent_s = 0.0
            if self._rate is not None:
                self._rate.add(sum(len(d.text) + len(d.reasoning) + len(d.refusal) for d in batch))
        return batch

    def done(self) -> None:
        """Nothing more will be read."""
        self._alarm.off()

    async def _wait(self) -> list[Delta] | None:
        """What has come, perhaps nothing; none if only the terminator is missing and does not come."""
        patience, phase, limit_s = self._patience()
        if patience == math.inf:
            return await self.upstream.receive()
        batch: list[Delta] = []
        began = clock.now()
        with self._alarm.until(began + patience + TICK_S):
            batch = await self.upstream.receive()
        self._waited(clock.now() - began)
        if not self._alarm.rang:
            return batch
        # What arrived in the tick of the alarm is delivered, not lost.
        batch = batch or self.upstream.take()
        if batch or self.upstream.finished:
            return batch
        self.done()
        if not self.tally.has_ended:
            raise TimedOut(phase=phase, limit_s=limit_s)
        return None

    def _waited(self, seconds: float) -> None:
        self.left_s -= seconds
        self._silent_s += seconds
        if self._rate is not None:
            self._rate.waited_s += seconds

    def _patience(self) -> tuple[float, Phase, float]:
        """The shortest timer: what it has left, its name and its length."""
        shortest: tuple[float, Phase, float] = (self.left_s, "attempt", self._limit_s)
        if (quiet_s := self._idle_s - self._silent_s) < shortest[0]:
            shortest = (quiet_s, "idle", self._idle_s)
        if self._rate is not None and (slow_s := self._rate.left_s) < shortest[0]:
            shortest = (slow_s, "rate", self._rate.over_s)
        return shortest


class _Rate:
    """How much has come over the last `over_s` seconds of waiting."""

    def __init__(self, chars_per_s: float, over_s: float) -> None:
        self.over_s = over_s
        self.waited_s = 0.0
        self._least = chars_per_s * over_s
        self._came: deque[tuple[float, int]] = deque()  # (seconds waited by then, characters)

    def add(self, chars: int) -> None:
        """So many characters have come now."""
        while self._came and self._came[0][0] <= self.waited_s - self.over_s:
            self._came.popleft()
        self._came.append((self.waited_s, chars))

    @property
    def left_s(self) -> float:
        """Seconds of waiting without content after which the last `over_s` would hold too little."""
        enough = 0
        for at, chars in reversed(self._came):
            enough += chars
            if enough >= self._least:
                return max(at + self.over_s, self.over_s) - self.waited_s
        return self.over_s - self.waited_s if self.waited_s < self.over_s else 0.0
