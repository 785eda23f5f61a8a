"""A breaker on a hand-driven clock, for the tests of this folder."""

from __future__ import annotations

import random
from typing import Any

from fallbackio.breaker import Breaker, BreakerPolicy, Permit, Severity
from fallbackio.events import BreakerMoved

EXACT = {"jitter_ratio": 0.0}  # so that tests can name instants


class Bench:
    """A breaker whose clock stands still until it is told otherwise; notes every move."""

    def __init__(self, **policy: Any) -> None:
        self.time = 1000.0
        self.looks = 0
        self.moves: list[BreakerMoved] = []
        self.breaker = Breaker(
            "it",
            BreakerPolicy(**(EXACT | policy)),
            clock=self.look,
            chance=random.Random(7),
            on_move=self.moves.append,
        )

    def look(self) -> float:
        self.looks += 1
        return self.time

    def wait(self, seconds: float) -> None:
        self.time += seconds

    def take(self) -> Permit:
        """A permit that must be there."""
        permit = self.breaker.acquire()
        assert permit is not None
        return permit

    def fail(
        self, times: int = 1, severity: Severity = Severity.HARD, retry_after_s: float | None = None
    ) -> None:
        for _ in range(times):
            self.take().failed(severity, retry_after_s)

    def succeed(self, times: int = 1) -> None:
        for _ in range(times):
            self.take().ok()

    def tripped(self) -> Bench:
        """Itself, just opened by a run of failures."""
        self.fail(self.breaker.policy.consecutive)
        assert self.phase() == "open"
        return self

    def probing(self) -> Permit:
        """The probe, of a breaker just opened and waited for."""
        self.tripped()
        self.wait(self.breaker.retry_in_s)
        return self.take()

    def phase(self) -> str:
        """A call, not an attribute, so that a type checker does not take it for constant."""
        return self.breaker.phase

    @property
    def path(self) -> list[str]:
        return [move.new for move in self.moves]
