"""The one audited place that makes tasks without a task group.

Five things need that: a timer's callback cannot start a task in a group (a contest's other lanes), a
drained loser outlives the call that began it, a simulated port is opened by a plain function, a user's
generator has to stay in one task while those who read it come and go, and so has the search for an
endpoint that goes on with a broken stream.
Whoever makes an `OwnTask` holds it and must see it ended; it is cancelled by a scope, level by level,
not by a single throw that might be swallowed.  Cancelled before it has begun it runs all the same, up to
its first wait, as in a task group: what it was given to clean up is cleaned up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import anyio

__all__ = ["OwnTask"]


class OwnTask:
    """A task that somebody holds: it is cancelled and awaited by its owner, never forgotten."""

    __slots__ = ("_cancelled", "_scope", "_task")

    def __init__(self, fn: Callable[[], Awaitable[None]]) -> None:
        self._scope: anyio.CancelScope | None = None  # once it has begun
        self._cancelled = False  # before that
        self._task = asyncio.get_running_loop().create_task(self._run(fn))

    async def _run(self, fn: Callable[[], Awaitable[None]]) -> None:
        with anyio.CancelScope() as self._scope:
            if self._cancelled:
                self._scope.cancel()
            await fn()

    @property
    def done(self) -> bool:
        return self._task.done()

    def cancel(self) -> None:
        """Have it end soon."""
        self._cancelled = True
        if self._scope is not None:
            self._scope.cancel()

    async def finished(self) -> None:
        """Wait for its end, without ending it; what it raised is left for `ended`."""
        await asyncio.wait([self._task])

    async def ended(self) -> None:
        """Cancel it, wait until it is over, and raise what it raised.

        Who is cancelled meanwhile waits on all the same, and hears of it afterwards: a scope's shield
        keeps off scopes only, not a plain `task.cancel()` or `asyncio.timeout`.
        """
        self.cancel()
        interrupted: asyncio.CancelledError | None = None
        while not self._task.done():
            try:
                await asyncio.wait([self._task])
            except asyncio.CancelledError as error:
                interrupted = error
        failure = None if self._task.cancelled() else self._task.exception()
        if interrupted is not None:
            raise interrupted
        if failure is not None:
            raise failure
