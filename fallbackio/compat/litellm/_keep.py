"""Something that is closed when nobody holds it any more, or when its event loop ends.

LiteLLM's programs close nothing: a stream is dropped in mid-answer, a connection lives until the program
ends.  An event loop knows one kind of thing that it ends by itself, the asynchronous generator: one that
is collected is closed in its loop, and `asyncio.run` closes those that are left.  So each of these things
keeps a generator that waits at its only `yield` and ends it afterwards.  No scope is open there.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable

__all__ = ["Keeper"]


class Keeper:
    """Calls `end` once: on `aclose`, when it is collected, or when the running loop shuts down.

    `end` must not hold what holds the keeper, or that is not collected before the next round.
    """

    __slots__ = ("_waiting",)

    def __init__(self, waiting: AsyncGenerator[None, None]) -> None:
        self._waiting = waiting

    @classmethod
    async def of(cls, end: Callable[[], Awaitable[object]]) -> Keeper:
        """One that watches from now on."""
        waiting = _wait(end)
        await anext(waiting)  # only a generator that has begun is told of its end
        return cls(waiting)

    async def aclose(self) -> None:
        """End it now; a second time does nothing."""
        await self._waiting.aclose()


async def _wait(end: Callable[[], Awaitable[object]]) -> AsyncGenerator[None, None]:
    try:
        yield
    finally:
        await end()
