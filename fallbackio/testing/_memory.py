"""Connections between the clients and the servers of one loop, without the kernel.

A `MemoryLoop` is a `VirtualTimeLoop` that hands bytes over itself: what one end writes, the other reads in
the next turn, in order, with flow control, and a close or a reset is seen there.  It is quicker than
loopback and, because no kernel decides what is ready first, the same run takes the same course.  Whoever
connects to an address where no server of this loop listens gets a socket as ever.  The odd rule:
`abort` resets, it never just closes.
"""

from __future__ import annotations

import asyncio
import errno
import os
import selectors
import socket
from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

from fallbackio.testing._virtual import JumpingSelector, VirtualTimeLoop

__all__ = ["MemoryLoop"]

_Factory = Callable[[], asyncio.BaseProtocol]

# As asyncio's own transports: more unread than this asks the writer to pause.
_HIGH_WATER_BYTES = 64 * 2**10

# A server that was told to listen takes a turn or two until it does; the kernel would let clients wait.
_TURNS = 3


# Every so many turns the kernel is asked all the same, for what threads may have sent.
_TURNS_UNASKED = 64


class _IdleSelector(JumpingSelector):
    """Asks the kernel only now and then while no real socket is open: nothing else could come from it.

    What threads schedule is in the loop's queue before they wake it up, so none of it waits for that.
    """

    def __init__(self) -> None:
        super().__init__()
        self._unasked = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is not None and not self.jobs and len(self.get_map()) <= 1:
            self._unasked += 1
            if self._unasked < _TURNS_UNASKED:
                if timeout > 0:
                    self.jump(timeout)
                return []
            self._unasked = 0
        return super().select(timeout)


class MemoryLoop(VirtualTimeLoop):
    """A `VirtualTimeLoop` whose loopback connections are in memory.

    For many thousands of calls through a simulator.  Servers must be given their bound socket, as the
    `Simulator` does; TLS is not spoken.

    Attributes:
        connections: How many have been made in memory.

    Example:
        >>> with asyncio.Runner(loop_factory=MemoryLoop) as runner:
        ...     runner.run(main())
    """

    def __init__(self) -> None:
        super().__init__(_IdleSelector())
        self.connections = 0
        self._servers: dict[tuple[str, int], _Server] = {}
        self._dialled: WeakKeyDictionary[socket.socket, _Server] = WeakKeyDictionary()

    async def create_server(self, protocol_factory: Any, *args: Any, **options: Any) -> Any:
        """As in any loop, but for a bound socket on loopback, which is served in memory."""
        sock: socket.socket | None = options.get("sock")
        if sock is None or options.get("ssl") is not None:
            return await super().create_server(protocol_factory, *args, **options)
        server = _Server(self, self._servers, sock, protocol_factory)
        if options.get("start_serving", True):
            await server.start_serving()
        return server

    async def sock_connect(self, sock: socket.socket, address: Any) -> None:
        """As in any loop; a server of this loop is reached in memory."""
        where = tuple(address[:2]) if isinstance(address, tuple) else ("", 0)
        for turn in range(_TURNS):
            if where in self._servers:
                self._dialled[sock] = self._servers[where]
                return
            if turn < _TURNS - 1:
                await asyncio.sleep(0)
        await super().sock_connect(sock, address)

    async def create_connection(self, protocol_factory: Any, *args: Any, **options: Any) -> Any:
        """As in any loop; over a socket that has reached a server of this loop, in memory."""
        sock: socket.socket | None = options.get("sock")
        server = None if sock is None else self._dialled.pop(sock, None)
        if server is None or sock is None:
            return await super().create_connection(protocol_factory, *args, **options)
        sock.close()  # it was never connected
        self.connections += 1
        return _connected(self, protocol_factory, server, ("127.0.0.1", self.connections))


class _Server(asyncio.AbstractServer):
    """A listener: present in the loop's register while it listens."""

    def __init__(
        self,
        loop: MemoryLoop,
        register: dict[tuple[str, int], _Server],
        sock: socket.socket,
        factory: _Factory,
    ) -> None:
        self._loop = loop
        self._register = register
        self.sockets = (sock,)
        self.address: tuple[str, int] = sock.getsockname()[:2]
        self.factory = factory

    async def start_serving(self) -> None:
        self._register[self.address] = self

    async def serve_forever(self) -> None:
        await self.start_serving()
        await self._loop.create_future()

    def get_loop(self) -> asyncio.AbstractEventLoop:
        return self._loop

    def is_serving(self) -> bool:
        return self._register.get(self.address) is self

    def close(self) -> None:
        if self.is_serving():
            del self._register[self.address]
        for sock in self.sockets:
            sock.close()

    async def wait_closed(self) -> None:
        return


def _connected(
    loop: MemoryLoop, client_factory: _Factory, server: _Server, name: tuple[str, int]
) -> tuple[asyncio.Transport, asyncio.BaseProtocol]:
    """Both ends of a new connection; the client's is returned."""
    client: Any = client_factory()
    served: Any = server.factory()
    near = _End(loop, client, {"sockname": name, "peername": server.address})
    far = _End(loop, served, {"sockname": server.address, "peername": name})
    near.peer, far.peer = far, near
    served.connection_made(far)
    client.connection_made(near)
    return near, client


class _End(asyncio.Transport):
    """One end of a connection.

    Attributes:
        peer: The other end.
    """

    peer: _End

    def __init__(self, loop: MemoryLoop, protocol: Any, extra: dict[str, Any]) -> None:
        super().__init__(extra)
        self._loop = loop
        self._protocol = protocol
        self._unread: list[bytes] = []  # what the peer wrote, not yet handed to our protocol
        self._unread_bytes = 0
        self._due = False  # whether `_deliver` is scheduled
        self._paused = False  # our protocol reads nothing
        self._held_up = False  # our protocol was told to pause writing
        self._closing = False  # closed from this side, or to be after the peer's last bytes
        self._eof = False  # the peer has closed
        self._error: ConnectionResetError | None = None  # or reset

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Hand bytes to the peer, in the next turn."""
        if self._closing or not data:
            return
        peer = self.peer
        peer._unread.append(bytes(data))
        peer._unread_bytes += len(data)
        if not peer._due:
            peer._soon()
        if peer._unread_bytes > _HIGH_WATER_BYTES and not self._held_up:
            self._held_up = True
            self._protocol.pause_writing()

    def close(self) -> None:
        """Close; the peer reads what was written, and then the end."""
        self._leave(None)

    def abort(self) -> None:
        """Reset; the peer reads what was written, and then the reset."""
        self._leave(ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET)))

    def _leave(self, error: ConnectionResetError | None) -> None:
        if self._closing:
            return
        self._closing = True
        self._unread.clear()
        self._loop.call_soon(self._lost, None)
        peer = self.peer
        if not peer._closing:
            peer._eof, peer._error = True, error
            if not peer._due:
                peer._soon()

    def _soon(self) -> None:
        if not self._paused and not self._closing:
            self._due = True
            self._loop.call_soon(self._deliver)

    def _deliver(self) -> None:
        self._due = False
        if self._closing or self._paused:
            return
        if self._unread:
            pieces, self._unread, self._unread_bytes = self._unread, [], 0
            self._protocol.data_received(pieces[0] if len(pieces) == 1 else b"".join(pieces))
            if self.peer._held_up:
                self.peer._resume()
        if self._eof and not (self._unread or self._paused or self._closing):
            self._closing = True
            if self._error is None:
                self._protocol.eof_received()
            self._lost(self._error)

    def _resume(self) -> None:
        self._held_up = False
        if not self._closing:
            self._protocol.resume_writing()

    def _lost(self, error: Exception | None) -> None:
        self._protocol.connection_lost(error)

    def pause_reading(self) -> None:
        """Keep what comes until `resume_reading`."""
        self._paused = True

    def resume_reading(self) -> None:
        """Hand over what was kept, in the next turn."""
        self._paused = False
        if (self._unread or self._eof) and not self._due:
            self._soon()

    def is_reading(self) -> bool:
        return not self._paused and not self._closing

    def is_closing(self) -> bool:
        return self._closing

    def get_write_buffer_size(self) -> int:
        return self.peer._unread_bytes

    def can_write_eof(self) -> bool:
        return False

    def set_protocol(self, protocol: Any) -> None:
        self._protocol = protocol

    def get_protocol(self) -> Any:
        return self._protocol
