"""Plays a plan on a connection.

The only module that knows how aiohttp writes an answer.  Pieces are held back until time has to pass,
so that what comes at once leaves in one packet; of a flood no more than the client takes.  The odd
rule: once the connection is lost, whoever dropped it, the player waits to be cancelled, which aiohttp
does as soon as it is really gone.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Callable

import anyio
from aiohttp import ClientConnectionResetError, web

from fallbackio.simulator._steps import Drop, End, Enter, Head, Plan, Send, Wait

__all__ = ["Player"]

# SO_LINGER on, for 0 seconds: closing then sends RST instead of FIN.
_RESET = struct.pack("hh" if os.name == "nt" else "ii", 1, 0)

# Bytes; beyond them we write, and wait until the client has read, as a provider would.
_MOST_HELD = 2**16


class Player:
    """One request's answer as it goes out.

    `at_end` gets what must be called when the request is over, `told` the status as it begins.

    Attributes:
        dropped: Whether we have closed the connection ourselves.
        tokens: How many contents of an answer that began with a 200 have been sent.
    """

    def __init__(
        self, http: web.BaseRequest, at_end: list[Callable[[], object]], told: Callable[[int], None]
    ) -> None:
        self.dropped = False
        self.tokens = 0
        self._http = http
        self._at_end = at_end
        self._told = told
        self._head: Head | None = None
        self._well = False
        self._held: list[bytes] = []
        self._held_bytes = 0
        self._response: web.StreamResponse | None = None

    async def play(self, plan: Plan) -> web.StreamResponse:
        """Play to the end; what it returns is for aiohttp to finish."""
        try:
            return await self._play(plan)
        except ClientConnectionResetError:
            # The client left while we wrote, some turns before aiohttp says so by cancelling us.  It
            # would log the error as a fault of ours.
            await anyio.sleep_forever()
            raise

    async def _play(self, plan: Plan) -> web.StreamResponse:
        for step in plan:
            if isinstance(step, Send):  # by far the most frequent
                if self._held_bytes > _MOST_HELD:
                    await self._flush()
                self._held.append(step.data)
                self._held_bytes += len(step.data)
                self.tokens += step.tokens if self._well else 0
            elif isinstance(step, Wait):
                await self._wait(step.seconds)
            elif isinstance(step, Head):
                self._head = step
                self._told(step.status)
                self._well = step.status == 200
            elif isinstance(step, End):
                return await self._end()
            elif isinstance(step, Drop):
                await self._drop(step.reset)
            elif isinstance(step, Enter):
                await step.slots.acquire()
                self._at_end.append(step.slots.release)
        raise RuntimeError("a fault's plan must end with End, Drop, or a wait for ever")

    async def _flush(self) -> None:
        """Send what is held back, and the headers if they are still due; nothing before a `Head`."""
        if self._head is None:
            return
        if self._response is None:
            self._response = web.StreamResponse(status=self._head.status, headers=self._head.headers)
            self._response.content_length = self._head.length
            await self._response.prepare(self._http)
        if self._held:
            await self._response.write(self._taken())

    def _taken(self) -> bytes:
        """What was held back."""
        pieces, self._held, self._held_bytes = self._held, [], 0
        return b"".join(pieces)

    async def _wait(self, seconds: float | None) -> None:
        await self._flush()
        await (anyio.sleep_forever() if seconds is None else anyio.sleep(seconds))

    async def _end(self) -> web.StreamResponse:
        if self._response is not None:
            await self._response.write_eof(self._taken())
            return self._response
        head = self._head or Head(200, {})
        return web.Response(body=self._taken(), status=head.status, headers=head.headers)

    async def _drop(self, reset: bool) -> None:
        await self._flush()
        self.dropped = True
        transport = self._http.transport
        if transport is not None and reset:
            connection: socket.socket | None = transport.get_extra_info("socket")
            if connection is not None:  # a connection in memory has none, and resets when it is aborted
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            transport.abort()
        elif transport is not None:
            transport.close()
        await anyio.sleep_forever()
