"""Ports that can stop listening and begin again, at once and without losing their number."""

from __future__ import annotations

import asyncio
import os
import socket

from aiohttp import web
from anyio.lowlevel import checkpoint_if_cancelled

from fallbackio._tasks import OwnTask

__all__ = ["Port"]

_BACKLOG = 1024


class Port:
    """A TCP port of ours; connections to it are refused until it listens.

    While it does not listen, a bound socket keeps the number from others.  `listen` is synchronous, so
    that a behaviour can be switched from anywhere: the kernel takes connections from that moment on,
    a short task hands them to the server.
    """

    def __init__(self, server: web.Server, host: str, number: int) -> None:
        self._server = server
        self._host = host
        self._socket = _bound(host, number)
        self._listener: asyncio.Server | None = None
        self._starting: OwnTask | None = None
        self.number: int = self._socket.getsockname()[1]

    def listen(self, wanted: bool) -> None:
        """Listen, or refuse connections; what is connected stays so."""
        if wanted and self._starting is None:
            self._socket.listen(_BACKLOG)
            # Over after a turn of the loop; refusing or closing the port ends it.  A task group would own
            # it too, but would tie the simulator's exit to the task that entered it, which fixtures of
            # test frameworks do not keep to.
            self._starting = OwnTask(self._start)
        elif not wanted and self._starting is not None:
            self._stop()
            self._socket = _bound(self._host, self.number)

    async def aclose(self) -> None:
        """Stop listening and give the port up."""
        starting = self._starting
        self._stop()
        if starting is not None:
            await starting.ended()

    async def _start(self) -> None:
        await checkpoint_if_cancelled()  # then there is no socket any more
        loop = asyncio.get_running_loop()
        # In two steps, so that a `_stop` in between finds the listener.
        self._listener = await loop.create_server(
            self._server, sock=self._socket, backlog=_BACKLOG, start_serving=False
        )
        await self._listener.start_serving()

    def _stop(self) -> None:
        if self._starting is not None:
            self._starting.cancel()
            self._starting = None
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        self._socket.close()


def _bound(host: str, number: int) -> socket.socket:
    bound = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        if os.name == "posix":  # elsewhere it would let others take the port
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, number))
    except BaseException:
        bound.close()
        raise
    return bound
