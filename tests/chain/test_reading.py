"""Reading an open answer by itself: what its timers may and may not end."""

from __future__ import annotations

import math
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import anyio
import pytest

from fallbackio.chain._attempt import Opened
from fallbackio.chain._reading import Reading
from fallbackio.chain._settings import Limits
from fallbackio.errors import TimedOut
from fallbackio.model import Delta
from fallbackio.testing import virtual_time


class InTheTick:
    """An upstream whose waiter is always woken by somebody else: what has come is there to be taken."""

    finished = False

    def __init__(self, *arrived: list[Delta]) -> None:
        self._arrived = [[], *arrived]  # nothing is there before the wait

    def take(self) -> list[Delta]:
        return self._arrived.pop(0) if self._arrived else []

    async def receive(self) -> list[Delta]:
        await anyio.sleep_forever()
        return []

    def on_end(self, told: Callable[[], None]) -> None:
        """Nobody is told."""

    async def aclose(self) -> None:
        """There is nothing to close."""


def reading_of(upstream: InTheTick) -> Reading:
    attempt: Any = SimpleNamespace(choices=1)
    return Reading(Opened(attempt, upstream, []), Limits(idle_timeout=1), math.inf)


@virtual_time
async def test_what_arrives_in_the_tick_of_the_alarm_is_delivered() -> None:
    """Content that is there when the idle timer rings is content, not silence."""
    reading = reading_of(InTheTick([Delta("just in time")]))

    assert [delta.text for delta in await reading.next_batch()] == ["just in time"]
    assert anyio.current_time() == pytest.approx(1.0)


@virtual_time
async def test_silence_is_silence() -> None:
    """With nothing there the timer says which one it was."""
    reading = reading_of(InTheTick())

    with pytest.raises(TimedOut) as caught:
        await reading.next_batch()

    assert caught.value.phase == "idle"
