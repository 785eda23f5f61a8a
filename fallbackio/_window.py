"""A sliding window of results: ten exact buckets, no clock of its own.

The caller passes the time in.  A result counts while its bucket is among the last ten, that is for
90 to 100 % of the window's length; an average that decays would hide a burst.  Breakers count results
in it, the early warning counts calls.  Odd rule: a clock that goes backwards adds to the newest bucket.
"""

from __future__ import annotations

from collections import deque
from math import inf

__all__ = ["BUCKETS", "Window"]

BUCKETS = 10


class Window:
    """Counts calls and failures of the last `length_s` seconds.

    `calls` and `failures` are as of the instant that was named last.
    """

    __slots__ = ("_calls", "_failures", "_marks", "_slot", "_width_s")

    def __init__(self, length_s: float) -> None:
        self._width_s = length_s / BUCKETS
        self._slot = -inf  # number of the newest bucket on the endless grid of buckets
        self._calls = 0  # ever
        self._failures = 0  # ever
        # (_calls, _failures) as they were when each of the last ten buckets began, oldest first: what
        # came since the oldest mark is the window's content, and forgetting is a new mark.
        self._marks = deque([(0, 0)] * BUCKETS, BUCKETS)

    def add(self, now: float, failed: int) -> None:
        """Count one call at `now`; `failed` is 1 or 0."""
        # As `forget`, written out, because every healthy call comes by here.
        slot = now // self._width_s
        if slot > self._slot:
            self._roll(slot)
        self._calls += 1
        self._failures += failed

    def fail(self, now: float) -> None:
        """Count a failure at `now`, of a call that was counted before."""
        self.forget(now)
        self._failures += 1

    def forget(self, now: float) -> None:
        """Let go of what is too old at `now`."""
        slot = now // self._width_s
        if slot > self._slot:
            self._roll(slot)

    @property
    def calls(self) -> int:
        """Calls in the window."""
        return self._calls - self._marks[0][0]

    @property
    def failures(self) -> int:
        """Calls in the window that failed."""
        return self._failures - self._marks[0][1]

    def _roll(self, slot: float) -> None:
        for _ in range(int(min(slot - self._slot, BUCKETS))):
            self._marks.append((self._calls, self._failures))
        self._slot = slot
