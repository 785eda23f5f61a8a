"""A limit for a wait, or for many short ones, one after another.

A cancel scope costs what the rest of a healthy attempt does, and for a stream of tokens, with a timer
set and cancelled for each wait, twice what reading one does.  Here one timer serves all waits: set for
an earlier one's end it finds that this one may last longer, and is set again.  It cancels the waiting
task as `asyncio.timeout` does, and leaves a task alone that somebody else is cancelling already, so
that a caller's cancellation is never taken for ours.  The odd rule: it rings one turn of the loop late,
because what arrived in the same turn would be lost with the task's wait for it.
"""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self

from fallbackio import clock

__all__ = ["Alarm", "Bell"]

# A function of the user's may swallow a cancellation and wait on: then it is cancelled again.
AGAIN_S = 0.05


class Alarm:
    """Ends the `with` block that lasts too long; `rang` says afterwards whether it did.

    Example:
        >>> with alarm.until(clock.now() + 5):
        ...     piece = await upstream.receive()
        >>> if alarm.rang:
        ...     ...
    """

    __slots__ = ("_before", "_due", "_is_late", "_rung", "_task", "_timer", "rang")

    def __init__(self) -> None:
        self.rang = False
        self._due = 0.0
        self._is_late = False  # it was due in an earlier turn of the loop
        self._timer: clock.Timer | None = None
        self._task: asyncio.Task[object] | None = None  # who waits in the block
        self._before = 0  # cancellations requested of it by others
        self._rung = 0

    def until(self, due: float) -> Self:
        """Have the block that is entered next end at this instant."""
        self._due = due
        if self._timer is None or self._timer.when() > due:
            self._set(due)
        return self

    def off(self) -> None:
        """There will be no more waits for now."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def __enter__(self) -> Self:
        task = self._task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a wait needs a task
        self._before = task.cancelling()
        self.rang = self._is_late = False
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        task, self._task = self._task, None
        if not self._rung:
            return False
        assert task is not None  # noqa: S101 - `__enter__` has set it
        for _ in range(self._rung):
            task.uncancel()
        self._rung = 0
        self.rang = True
        return kind is asyncio.CancelledError and task.cancelling() <= self._before

    def _set(self, when: float) -> None:
        self.off()
        self._timer = clock.call_at(when, self._ring)

    def _ring(self) -> None:
        self._timer = None
        task = self._task
        if task is None:
            return
        now = clock.now()
        if now < self._due:
            self._set(self._due)
        elif not self._is_late:
            self._is_late = True
            self._set(now)
        elif task.cancelling() == self._before + self._rung:
            self._rung += 1
            task.cancel()
            self._set(now + AGAIN_S)


class Bell(Alarm):
    """An alarm for one wait alone, which is over at an instant.

    Example:
        >>> with Bell(clock.now() + 5):
        ...     answer = await asking()
    """

    __slots__ = ()

    def __init__(self, due: float) -> None:
        super().__init__()
        self.until(due)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        self.off()
        return super().__exit__(kind, error, trace)
