"""Fleets by event loop: LiteLLM's functions and Routers are called in any, a chain lives in one.

The fleet of a loop ends with it: `asyncio.run`, and whatever else shuts asynchronous generators down,
closes its connections.  What a loop that was closed in another way has left is forgotten at the next call.
"""

from __future__ import annotations

import asyncio
import threading
import weakref
from collections.abc import Callable
from functools import partial

from attrs import frozen

from fallbackio.compat.litellm._keep import Keeper
from fallbackio.config import Fleet

__all__ = ["Fleets"]


@frozen
class _Kept:
    fleet: Fleet
    keeper: Keeper


class Fleets:
    """A fleet for each event loop in which it is asked for one.

    Example:
        >>> fleet = await Fleets(partial(Fleet, name="gateway")).here()
    """

    def __init__(self, make: Callable[[], Fleet]) -> None:
        self._make = make
        self._by_loop: dict[asyncio.AbstractEventLoop, _Kept] = {}
        self._changing = threading.Lock()  # loops run in threads of their own

    async def here(self) -> Fleet:
        """The running loop's."""
        loop = asyncio.get_running_loop()
        kept = self._by_loop.get(loop)
        if kept is None:
            fleet = self._make()
            # Nothing is awaited in truth up to here: no other task of this loop has made one meanwhile.
            # It must not hold what holds the keeper, or a dropped Router would wait for the collector.
            ended = partial(_ended, weakref.ref(self), loop, fleet)
            kept = _Kept(fleet, await Keeper.of(ended))
            with self._changing:
                gone = [other for other in self._by_loop if other.is_closed()]
                for other in gone:
                    del self._by_loop[other]
                self._by_loop[loop] = kept
        return kept.fleet

    async def aclose(self) -> None:
        """Close the running loop's fleet; the next call makes a new one."""
        kept = self._by_loop.get(asyncio.get_running_loop())
        if kept is not None:
            await kept.keeper.aclose()

    def forget(self, loop: asyncio.AbstractEventLoop) -> None:
        """The loop's fleet is closed."""
        with self._changing:
            self._by_loop.pop(loop, None)


async def _ended(fleets: weakref.ref[Fleets], loop: asyncio.AbstractEventLoop, fleet: Fleet) -> None:
    held = fleets()
    if held is not None:
        held.forget(loop)
    await fleet.aclose()
