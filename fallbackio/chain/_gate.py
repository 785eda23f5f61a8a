"""Who may begin a call, and how many are under way.

A chain belongs to one event loop, because its sockets, its waiting calls and the instants its breakers
remember do.  Once the gate is shut nobody enters; who is inside goes on to the end of his call.
"""

from __future__ import annotations

import asyncio

import anyio

from fallbackio.errors import ChainClosed, ConfigError

__all__ = ["Gate"]


class Gate:
    """Lets calls in until it is shut.

    Attributes:
        under_way: Calls that have begun and are not over.
        closed: Whether those are to end as well.
    """

    def __init__(self) -> None:
        self.under_way = 0
        self.closed = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._why = ""  # it is shut; empty while it is open
        self._empty: anyio.Event | None = None  # whom `emptied` waits with
        self._end: anyio.Event | None = None  # whom `nap` waits with

    def check(self, chain: str) -> None:
        """Raise `ConfigError` if `chain` may not be used (here)."""
        if self._why:
            raise ChainClosed(f"{chain} {self._why}")
        loop = asyncio.get_running_loop()
        if self._loop is None:
            self._loop = loop
        elif self._loop is not loop:
            raise _elsewhere(chain)

    def check_end(self, chain: str) -> None:
        """Raise `ConfigError` if `chain` may not be ended here: its loop is another, and runs."""
        if (
            self._loop is not None
            and self._loop.is_running()
            and self._loop is not asyncio.get_running_loop()
        ):
            raise _elsewhere(chain)

    def enter(self) -> None:
        """A call begins, after a `check`."""
        self.under_way += 1

    def leave(self) -> None:
        """A call is over."""
        self.under_way -= 1
        if not self.under_way and self._empty is not None:
            self._empty.set()

    def shut(self, why: str) -> None:
        """Let nobody in any more; `why` goes on from the chain's name."""
        self._why = why

    def close(self) -> None:
        """Let nobody in any more, and have those inside make no other attempt."""
        self.closed = True
        self.shut("is closed")
        if self._end is not None:
            self._end.set()

    async def nap(self, until: float) -> None:
        """Wait for this instant, or until those inside are to end."""
        self._end = self._end or anyio.Event()
        # Cancelled by the instant or by the caller's scopes.
        with anyio.CancelScope(deadline=until):
            await self._end.wait()

    async def emptied(self) -> None:
        """Wait until no call is under way."""
        if self.under_way:
            self._empty = self._empty or anyio.Event()
            await self._empty.wait()


def _elsewhere(chain: str) -> ConfigError:
    return ConfigError(
        f"{chain} belongs to the event loop of its first call; make one chain per loop, "
        "as every asyncio.run() and every thread has a loop of its own"
    )
