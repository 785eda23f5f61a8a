"""What all calls of a chain together may spend on extra attempts.

Each call deposits a share of an attempt, each extra attempt (a hedge, a repeat) withdraws one.  The
account forgets after ten seconds, so a quiet night saves up nothing for the outage.  Three extras at
once are always allowed, because at a low rate no share ever adds up to one.  First attempts and
failovers are free.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from fallbackio import clock

__all__ = ["Budget"]

MEMORY_S = 10.0  # Finagle's time to live of a deposit
CONCURRENT_FLOOR = 3  # Envoy's and failsafe-go's minimum retry concurrency


class Budget:
    """One account per chain.

    Attributes:
        ratio: Extra attempts per call.
        under_way: Extra attempts that have not ended, those waiting for their turn included.
    """

    __slots__ = ("_calls", "_extras", "_second", "_waiting", "ratio", "under_way")

    def __init__(self, ratio: float) -> None:
        self.ratio = ratio
        self.under_way = 0
        self._waiting = 0  # of them, those that have not been spent yet
        # Counts of the last ten seconds, one place for each.
        self._calls: deque[int] = deque([0], maxlen=int(MEMORY_S))
        self._extras: deque[int] = deque([0], maxlen=int(MEMORY_S))
        self._second = 0

    def deposit(self, now: float) -> None:
        """A call began."""
        self._roll(now)
        self._calls[-1] += 1

    def allows(self) -> bool:
        """Whether one more extra attempt may start."""
        self._roll(clock.now())
        spent = sum(self._extras) + self._waiting
        return self.under_way < CONCURRENT_FLOOR or spent < self.ratio * sum(self._calls)

    def withdraw(self) -> None:
        """An extra attempt starts; `give_back` ends it."""
        self._extras[-1] += 1
        self.under_way += 1

    def give_back(self) -> None:
        """An extra attempt has ended; what it cost is spent."""
        self.under_way -= 1

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep a place while a repeat waits for its turn; otherwise fast failures never fill them."""
        self.under_way += 1
        self._waiting += 1
        try:
            yield
        finally:
            self.under_way -= 1
            self._waiting -= 1

    def _roll(self, now: float) -> None:
        second = int(now)
        if second == self._second:
            return
        for _ in range(min(second - self._second, int(MEMORY_S))):
            self._calls.append(0)
            self._extras.append(0)
        self._second = second
