"""One asks for all: whoever comes meanwhile waits for what it gets, its failure included.

So a dead source is not asked once for each request of a queue.  One that is cancelled while it asks
leaves the question to the next.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

import anyio

from fallbackio.errors import AuthFailed

__all__ = ["Flight"]

T = TypeVar("T")


class Flight(Generic[T]):
    """Calls `ask` for one request at a time, unless `ready` has something by then."""

    def __init__(self, ready: Callable[[], T | None], ask: Callable[[], Awaitable[T]]) -> None:
        self._ready = ready
        self._ask = ask
        self._lock = anyio.Lock()
        self._answers = 0  # how often `ask` has given or failed
        self._failure = ""  # what it failed with the last time; empty if it gave

    async def __call__(self) -> T:
        """What there is, or what `ask` gives; raises its `AuthFailed`."""
        before = self._answers
        async with self._lock:
            if (found := self._ready()) is not None:
                return found
            if self._answers > before and self._failure:
                raise AuthFailed(self._failure)
            return await self._asked()

    async def _asked(self) -> T:
        try:
            found = await self._ask()
        except AuthFailed as error:
            self._answers += 1
            self._failure = error.message
            raise
        self._answers += 1
        self._failure = ""
        return found
