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
    """The latest times to first content of one endpoint, in seconds."""

    __slots__ = ("_fresh_until", "_samples", "_sorted")

    def __init__(self) -> None:
        self._samples: deque[tuple[float, float]] = deque(maxlen=MOST_SAMPLES)  # (instant, seconds)
        self._sorted: list[float] = []
        self._fresh_until = -1.0

    def add(self, seconds: float) -> None:
        """Take note of one attempt."""
        self._samples.append((clock.now(), seconds))
        if len(self._samples) <= 2 * LEAST_SAMPLES:
            self._fresh_until = -1.0  # each sample still moves the picture

    def quantile(self, q: float) -> float | None:
        """The time that a share `q` of the attempts stayed within; `None` below 20 samples."""
        if len(self._samples) < LEAST_SAMPLES:
            return None
        now = clock.now()
        if now >= self._fresh_until:
            self._sort(now)
        if len(self._sorted) < LEAST_SAMPLES:
            return None
        # Rounded up: a rank too low would cut more than was meant, one too high a little less.
        return self._sorted[min(math.ceil(q * len(self._sorted)), len(self._sorted) - 1)]

    def _sort(self, now: float) -> None:
        while self._samples and self._samples[0][0] < now - MEMORY_S:
            self._samples.popleft()
        self._sorted = sorted([seconds for _, seconds in self._samples])
        self._fresh_until = now + REFRESH_S
