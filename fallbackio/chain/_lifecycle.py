"""How a chain is watched, drained and closed: what its owner does with it, not its callers.

What all its calls share and closing has to end is held here.
"""

from __future__ import annotations

import math
import weakref
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from os import PathLike
from types import TracebackType
from typing import Self

import anyio

from fallbackio import clock
from fallbackio._checks import is_number
from fallbackio.chain._background import Background
from fallbackio.chain._gate import Gate
from fallbackio.chain._health import chain_health
from fallbackio.chain._line import Line
from fallbackio.chain._setup import Setup
from fallbackio.errors import ConfigError
from fallbackio.observe import Fanout, Health, Publisher

__all__ = ["Lifecycle"]

# How long closing a chain may take: each drained loser bounds its own clean-up, sockets close at once.
CLOSE_S = 2.0


class Lifecycle:
    """A chain from its making to its end; `Coordinator` adds the calls."""

    def __init__(self, setup: Setup, tell: Fanout, end: Callable[[], Awaitable[None]]) -> None:
        self._setup = setup
        self._tell = tell
        self._end = end  # closes the connections
        self._gate = Gate()
        self._line = Line()
        self._background = Background()
        # Those that are over are nobody's any more, and leave by themselves.
        self._publishers: weakref.WeakSet[Publisher] = weakref.WeakSet()

    def health(self) -> Health:
        """How the chain stands: breakers, times, limits, what is under way, how many calls fall back.

        To be asked in the chain's event loop; takes some 20 µs for each endpoint.

        Raises:
            ConfigError: No event loop runs.

        Example:
            >>> for endpoint in chain.health().endpoints:
            ...     print(endpoint.name, endpoint.breaker.state, endpoint.first_content.p95_s)
        """
        return chain_health(self._setup, self._gate, self._line, self._tell)

    def publish(self, target: str | PathLike[str], *, every_s: float = 1.0) -> Publisher:
        """Lets `fallbackio watch` and others follow the chain's health while the block lasts.

        `target` is a file that a line of JSON is appended to every `every_s` seconds (it begins anew
        at 1 MiB), `"unix:/run/app.sock"`, or an address of this machine such as `"127.0.0.1:9300"`.  Whoever
        reads slowly misses lines; nothing waits for him.

        Raises:
            ConfigError: For an address of another machine, or `every_s` out of its range.

        Example:
            >>> async with chain.publish("unix:/run/app.sock"):
            ...     await serve()
        """
        publisher = Publisher(self.health, target, every_s)
        self._publishers.add(publisher)
        return publisher

    async def aclose(self) -> None:
        """Close the connections; calls still under way fail.  A second time does nothing.

        Waits for sinks that are behind, a second at most.

        Raises:
            ConfigError: The chain's event loop is another one, and runs.

        Example:
            >>> chain = fallbackio.Chain(["openai/gpt-6-luna"])
            >>> ...
            >>> await chain.aclose()
        """
        self._gate.check_end(self._setup.name)
        self._gate.close()
        self._line.dismiss()
        self._withdraw()
        # We may be leaving the chain because we are cancelled, and a plain await would raise before the
        # sockets are closed; all of it takes a moment at most.
        with anyio.CancelScope(shield=True, deadline=clock.now() + CLOSE_S):
            async with AsyncExitStack() as closing:  # whatever one of them raises, the others are closed
                closing.push_async_callback(self._tell.aclose)
                closing.push_async_callback(self._end)
                for publisher in list(self._publishers):
                    closing.push_async_callback(publisher.aclose)
                closing.push_async_callback(self._background.aclose)

    def _withdraw(self) -> None:
        """Take back what telemetry shows of the chain: its last value would stand for ever."""
        for route in self._setup.routes:
            route.breaker.retire("the chain was closed")
        self._tell.warn(None, self._setup.name)

    async def drain(self, timeout: float | None = None) -> int:
        """Take no more calls, wait for those under way, and close; gives how many were cut off.

        For the end of an application: calls that begin from now on raise `errors.ChainClosed`.  After
        `timeout` seconds, `None` for no limit, those that are left fail.

        Raises:
            ConfigError: `timeout` is out of its range; the chain's event loop is another one, and runs.

        Example:
            >>> left = await chain.drain(30)
        """
        if timeout is not None and (not is_number(timeout) or timeout < 0):
            raise ConfigError(f"timeout must be seconds, 0 or more, or None for no limit, not {timeout!r}")
        self._gate.check_end(self._setup.name)
        self._gate.shut("takes no more calls: it is being drained")
        # Cancelled by its own timer or by the caller's scopes; then the chain stays shut, and whoever
        # holds it closes it.
        with anyio.CancelScope(deadline=math.inf if timeout is None else clock.now() + timeout):
            await self._gate.emptied()
        left = self._gate.under_way
        await self.aclose()
        return left

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()
