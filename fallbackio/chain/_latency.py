"""How long an endpoint takes to its first content: a small exact window, and what is usual.

Fed with the times of answers, and with the ages at which slow attempts were cut or timed out; not
with fast failures, which would make a failing endpoint look quick.  Cut attempts count at their
age: left out, the delay that cuts them would pull itself down (8.7 % hedged in place of 5 %
wanted; with them 5.3 %).

What is usual is not the window's median, which follows a brown-out within seconds.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable

from fallbackio import clock

__all__ = ["FEW", "LEAST_SAMPLES", "MOST_MEDIANS", "Latencies", "Lowest", "median"]

# Below this a high quantile is one sample's accident.
LEAST_SAMPLES = 20
# Enough for a 99th percentile; sorting it takes some 20 µs, once per REFRESH_S.
MOST_SAMPLES = 512
# Older times tell of another day.  Finagle keeps 30 s, at a hundred times an LLM chain's rate.
MEMORY_S = 600.0
# How long a sorted copy serves (Finagle's figure).
REFRESH_S = 3.0
# The latest so many answers tell how an endpoint is doing now; and where calls are few, if they are not
# older than this, what is usual.
FEW = 20
# Who takes longer than so many medians is late, whatever the quantiles say.  Of ten public models the 95th
# percentile lies at 1.3 to 3.1 medians; without this cap an endpoint that stalls in more calls than a
# quantile spares would push that quantile, and so a hedge's delay, ever further out.
MOST_MEDIANS = 4.0
FEW_MEMORY_S = 3600.0


def median(values: Iterable[float]) -> float | None:
    """The upper median; `None` of nothing.  (To import `statistics` takes as long as half of our own.)"""
    ordered = sorted(values)
    return ordered[len(ordered) // 2] if ordered else None


class Lowest:
    """The lowest of the values of the last hour, to ten minutes: a windowed minimum, as BBR's.

    Only those are kept that may become the lowest when others have left, at most one of ten minutes.
    """

    __slots__ = ("_kept",)

    SLOT_S = 600.0
    SLOTS = 6

    def __init__(self) -> None:
        self._kept: deque[tuple[int, float]] = deque()  # (slot, value), both rising

    def add(self, now: float, value: float) -> None:
        """Take note of a value."""
        slot = int(now // self.SLOT_S)
        while self._kept and self._kept[-1][1] >= value:
            self._kept.pop()
        if not self._kept or self._kept[-1][0] < slot:
            self._kept.append((slot, value))

    def at(self, now: float) -> float | None:
        """The lowest of those that still count; `None` without any."""
        oldest = int(now // self.SLOT_S) - self.SLOTS
        while self._kept and self._kept[0][0] <= oldest:
            self._kept.popleft()
        return self._kept[0][1] if self._kept else None


class Latencies:
    """The latest times of one endpoint, in seconds: to first content, or to a whole plain answer."""

    __slots__ = (
        "_answered",
        "_fresh_until",
        "_latest",
        "_looked_until",
        "_medians",
        "_samples",
        "_sorted",
        "_usual",
    )

    def __init__(self) -> None:
        # (instant, seconds, whether it was an answer); what was cut is known only to take longer.
        self._samples: deque[tuple[float, float, bool]] = deque(maxlen=MOST_SAMPLES)
        self._latest: deque[tuple[float, float]] = deque(maxlen=FEW)  # of the answers, however old
        self._sorted: list[float] = []
        self._answered: list[float] = []
        self._fresh_until = -1.0
        self._medians = Lowest()
        self._usual: float | None = None
        self._looked_until = -1.0

    def add(self, seconds: float, *, answered: bool = True, at: float | None = None) -> None:
        """Take note of one attempt; `at` is the clock's instant, for who has looked already."""
        now = clock.now() if at is None else at
        self._samples.append((now, seconds, answered))
        if answered:
            self._latest.append((now, seconds))
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

    def usual(self) -> float | None:
        """The lowest median of answers within the last hour; `None` if there was none.

        The lowest, so that a brown-out does not become usual while it lasts; of an hour, so that a
        change for good does in the end.  The hour ends with the latest attempt: every answer is held
        against this, and a look at the clock costs more than all the rest of it.
        """
        now = self._samples[-1][0] if self._samples else 0.0
        if now >= self._looked_until:
            self._looked_until = now + REFRESH_S
            today = self.median_answer() or self._median_of_few(now)
            if today is not None:
                self._medians.add(now, today)
            self._usual = self._medians.at(now)
        return self._usual

    def recent(self) -> float | None:
        """The median of the latest answers, `FEW` at most; `None` without any."""
        since = clock.now() - MEMORY_S
        return median([seconds for at, seconds in self._latest if at >= since])

    def begin_anew(self) -> None:
        """Forget all but the latest answers: what was usual is not any more."""
        latest = [(at, seconds, True) for at, seconds in self._latest]
        self._samples = deque(latest, maxlen=MOST_SAMPLES)
        self._sorted, self._answered = [], []
        self._medians = Lowest()
        self._fresh_until = self._looked_until = -1.0

    def _median_of_few(self, now: float) -> float | None:
        enough = len(self._latest) == FEW and self._latest[0][0] >= now - FEW_MEMORY_S
        return median([seconds for _, seconds in self._latest]) if enough else None

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
