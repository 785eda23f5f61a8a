"""Blocking functions in a thread of their own, one call at a time.

A call cannot be stopped, only left; so whoever comes while one runs waits for that one, and a function
that hangs holds one thread and not one for each request.  The thread is a daemon's: a hanging function
does not keep the program from ending.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

import anyio

__all__ = ["Apart"]

T = TypeVar("T")


class Apart(Generic[T]):
    """Calls `fn` in a thread."""

    def __init__(self, fn: Callable[[], T]) -> None:
        self._fn = fn
        self._run: _Run[T] | None = None

    async def __call__(self) -> T:
        """What `fn` gives; raises what it raises.  Cancelled, it leaves the thread to the next."""
        if self._run is None or self._run.over.is_set():
            self._run = _Run(self._fn)
        return await self._run.outcome()


class _Run(Generic[T]):
    """One call of a function, under way or over."""

    def __init__(self, fn: Callable[[], T]) -> None:
        self.over = anyio.Event()
        self._fn = fn
        self._given: list[T] = []
        self._error: BaseException | None = None
        self._loop = asyncio.get_running_loop()
        context = contextvars.copy_context()
        threading.Thread(target=context.run, args=(self._call,), name="fallbackio", daemon=True).start()

    async def outcome(self) -> T:
        await self.over.wait()
        if self._error is not None:
            raise self._error
        return self._given[0]

    def _call(self) -> None:
        try:
            self._given.append(self._fn())
        except BaseException as error:  # noqa: BLE001 - it is raised where it is waited for
            self._error = error
        try:
            self._loop.call_soon_threadsafe(self.over.set)
        except RuntimeError:
            pass  # the loop has ended, and with it everybody who waited
