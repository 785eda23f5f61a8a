"""How long an endpoint takes to its first content: a small exact window.

Fed with the times of answers, and with the ages at which slow attempts were cut or timed out; not
with fast failures, which would make a failing endpoint look quick.  Cut attempts count at their
age: left out, the delay that cuts them would pull itself down (8.7 % hedged in place of 5 %
wanted; with them 5.3 %).
"""

from __future__ import annotations

import math
from collections import deque

from fallbackio import clock

__all__ = ["LEAST_SAMPLES", "Latencies"]

# Below this a high quantile is one sample's accident.
LEAST_SAMPLES = 20
# Enough for a 99th percentile; sorting it takes some 20 µs, once per REFRESH_S.
MOST_SAMPLES = 512
# Older times tell of another day.  Finagle keeps 30 s, at a hundred times an LLM chain's rate.
MEMORY_S = 600.0
# How long a sorted copy serves (Finagle's figure).
REFRESH_S = 3.0


class Latencies:
    """The latest times of one endpoint, in seconds: to first content, or to a whole plain answer."""

    __slots__ = ("_answered", "_fresh_until", "_samples", "_sorted")

    def __init__(self) -> None:
        # (instant, seconds, whether it was an answer); what was cut is known only to take longer.
        self._samples: deque[tuple[float, float, bool]] = deque(maxlen=MOST_SAMPLES)
        self._sorted: list[float] = []
        self._answered: list[float] = []
        self._fresh_until = -1.0

    def add(self, seconds: float, *, answered: bool = True) -> None:
        """Take note of one attempt."""
        self._samples.append((clock.now(), seconds, answered))
        if len(self._samples) <= 2 * LEAST_SAMPLES:
            self._fresh_until = -1.0  # each sample still moves the picture

    @property
    def samples(self) -> int:
        """How many times it holds."""
        return len(self._samples)

    def quantile(self, q: float) -> float | None:
        """The time that a share `q` of the attempts stayed within; `None` below 20 samples."""
        self._refresh()
        return _at(self._sorted, q)

    def median_answer(self) -> float | None:
        """The median of the answers alone; `None` below 20 of them.

        An endpoint that was cut again and again may answer well today, so its cut attempts must not
        prove that it is too slow to be asked.
        """
        return self.answered_within(0.5)

    def answered_within(self, q: float) -> float | None:
        """The time within which a share `q` of the answers came; `None` below 20 of them."""
        self._refresh()
        return _at(self._answered, q)

    def _refresh(self) -> None:
        if len(self._samples) < LEAST_SAMPLES:
            return
        now = clock.now()
        if now < self._fresh_until:
            return
        while self._samples and self._samples[0][0] < now - MEMORY_S:
            self._samples.popleft()
        self._sorted = sorted([seconds for _, seconds, _ in self._samples])
        self._answered = sorted([seconds for _, seconds, answered in self._samples if answered])
        self._fresh_until = now + REFRESH_S


def _at(ordered: list[float], q: float) -> float | None:
    if len(ordered) < LEAST_SAMPLES:
        return None
    # Rounded up: a rank too low would cut more than was meant, one too high a little less.
    return ordered[min(math.ceil(q * len(ordered)), len(ordered) - 1)]
