"""The only sources of time and chance.

Everything that waits or measures asks `now`, the running loop's own time, so that one
virtual-time loop drives timers, breakers and the simulator together.  Everything that draws lots
takes a `random.Random` made by `chance`.  `wall` is for what leaves the process: dates in HTTP
headers and the `created` field of an answer.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable

__all__ = ["Clock", "Timer", "call_at", "chance", "now", "wall"]

Clock = Callable[[], float]
Timer = asyncio.TimerHandle


def now() -> float:
    """Seconds on the running loop's monotonic clock; raises `RuntimeError` outside a loop."""
    return asyncio.get_running_loop().time()


def call_at(when: float, fn: Callable[[], object]) -> Timer:
    """Have the running loop call `fn` at the instant `when` of `now`; the timer can be cancelled."""
    return asyncio.get_running_loop().call_at(when, fn)


def wall() -> float:
    """Seconds since the Unix epoch."""
    return time.time()


def chance(seed: int | None = None) -> random.Random:
    """A source of lots of one's own; the same seed draws the same lots."""
    return random.Random(seed)
