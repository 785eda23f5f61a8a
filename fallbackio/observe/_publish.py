"""A chain's health for others to follow: lines of JSON in a file, or at a socket of this machine.

The application opts in, and nothing of it waits for a reader: a socket's reader whose last line has not
gone out is passed over, and left when that goes on; a file is written in a thread and begins anew before
it is large.  Addresses of other machines are refused, because nobody is asked who he is.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import os
import re
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from os import PathLike
from types import TracebackType
from typing import Protocol, Self

import anyio
import orjson

from fallbackio import clock
from fallbackio._checks import is_number
from fallbackio._log import say
from fallbackio._tasks import OwnTask
from fallbackio.errors import ConfigError
from fallbackio.observe._health import Health

__all__ = ["Publisher"]

# A file is emptied before it gets larger than this: some five minutes of a chain of ten endpoints.
MOST_BYTES = 2**20
# More readers than this are turned away.
MOST_READERS = 16
# A reader who has taken nothing for so long is left.
PATIENCE_S = 30.0

# Of each line; `Health` has the chain's name first.
_BEGINNING = b'{"chain":'

_ADDRESS = re.compile(r"(?:\[(?P<v6>[0-9a-fA-F:]+)\]|(?P<host>[\w.-]+)):(?P<port>\d{1,5})")


class Publisher:
    """Publishes a chain's health while its block lasts; `chain.publish` makes one.

    Attributes:
        address: Where it is, once it has begun: a path, `unix:` and a path, or `host:port` with the port
            that was found for port 0.

    Example:
        >>> async with chain.publish("127.0.0.1:0") as publisher:
        ...     print("fallbackio watch", publisher.address)
    """

    def __init__(self, health: Callable[[], Health], target: str | PathLike[str], every_s: float) -> None:
        if not is_number(every_s) or not 0.01 <= every_s <= 3600:
            raise ConfigError(f"every_s must be seconds from 0.01 to 3600, not {every_s!r}")
        self.address = os.fspath(target)
        self._outlet = _outlet(self.address)
        self._health = health
        self._every_s = every_s
        self._task: OwnTask | None = None

    async def __aenter__(self) -> Self:
        if self._task is not None:
            raise ConfigError("it is published already; chain.publish() makes another publisher")
        self.address = await self._outlet.open(self._line)
        self._task = OwnTask(self._publish)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """End it; a second time does nothing."""
        if self._task is not None:
            self._task.cancel()
            # A write that hangs is not waited for: cancelling leaves it to its thread.
            await self._task.finished()
        self._outlet.close()

    def _line(self) -> bytes:
        return orjson.dumps(self._health().to_dict(), option=orjson.OPT_APPEND_NEWLINE)

    async def _publish(self) -> None:
        while True:
            await anyio.sleep(self._every_s)
            if self._outlet.has_readers:
                await self._outlet.put(self._line())


class _Outlet(Protocol):
    """Where lines go."""

    @property
    def has_readers(self) -> bool:
        """Whether a line is worth making."""
        ...

    async def open(self, line: Callable[[], bytes]) -> str:
        """Begin, with what gives a line of now; the address."""
        ...

    async def put(self, line: bytes) -> None: ...

    def close(self) -> None: ...


class _File:
    """Lines are appended; it is its owner's to read."""

    has_readers = True  # who knows

    def __init__(self, path: str) -> None:
        self._path = path
        self._complained = False

    async def open(self, line: Callable[[], bytes]) -> str:
        await asyncio.get_running_loop().run_in_executor(None, _check_ours, self._path)
        await self._append(line())
        return self._path

    async def put(self, line: bytes) -> None:
        try:
            await self._append(line)
        except OSError as error:
            if not self._complained:
                self._complained = True
                say(
                    logging.WARNING,
                    "health cannot be written to %s (%s); this is logged once",
                    self._path,
                    error,
                )

    async def _append(self, line: bytes) -> None:
        # A disk may take its time, and the loop must not take it with it.
        await asyncio.get_running_loop().run_in_executor(None, _append, self._path, line)

    def close(self) -> None:
        """The file stays, with its last lines."""


def _check_ours(path: str) -> None:
    """Whoever mistypes a path loses nothing: only what begins as our lines do is written to."""
    try:
        with open(path, "rb") as file:
            beginning = file.read(len(_BEGINNING))
    except FileNotFoundError:
        return
    if not _BEGINNING.startswith(beginning):
        raise ConfigError(f"{path} is there already and does not hold a chain's health; choose another file")


def _append(path: str, line: bytes) -> None:
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        if os.fstat(file).st_size + len(line) > MOST_BYTES:
            os.ftruncate(file, 0)
        os.write(file, line)
    finally:
        os.close(file)


class _Reader(asyncio.Protocol):
    """One who follows; what he says is not listened to."""

    def __init__(self, readers: set[_Reader], line: Callable[[], bytes]) -> None:
        self._readers = readers
        self._line = line
        self._transport: asyncio.Transport | None = None
        self._stuck_since: float | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - what a stream server makes
        if len(self._readers) >= MOST_READERS:
            transport.abort()
            return
        self._transport = transport
        self._readers.add(self)
        transport.write(self._line())

    def connection_lost(self, error: Exception | None) -> None:
        self._readers.discard(self)

    def send(self, line: bytes) -> None:
        """Send it, unless the one before has not gone out."""
        if self._transport is None:
            return
        if not self._transport.get_write_buffer_size():
            self._stuck_since = None
            self._transport.write(line)
        elif self._stuck_since is None:
            self._stuck_since = clock.now()
        elif clock.now() - self._stuck_since >= PATIENCE_S:
            self._transport.abort()

    def leave(self) -> None:
        """End it at once, with what has gone out."""
        if self._transport is None:
            return
        if self._transport.get_write_buffer_size():
            self._transport.abort()
        else:
            self._transport.close()


class _Socket(ABC):
    """Whoever connects is sent a line at once, and then each that comes."""

    def __init__(self) -> None:
        self._server: asyncio.Server | None = None
        self._readers: set[_Reader] = set()

    @property
    def has_readers(self) -> bool:
        return bool(self._readers)

    async def open(self, line: Callable[[], bytes]) -> str:
        # Not serving yet: beginning to serve takes a turn of the loop, and who is cancelled in it would
        # have nothing to close.
        server = self._server = await self._bound(lambda: _Reader(self._readers, line))
        try:
            self._prepare()
            await server.start_serving()
        except BaseException:  # cancelled, too
            self.close()
            raise
        return self._address(server)

    async def put(self, line: bytes) -> None:
        for reader in list(self._readers):
            reader.send(line)

    def close(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.close()
        for reader in list(self._readers):
            reader.leave()

    @abstractmethod
    async def _bound(self, reader: Callable[[], _Reader]) -> asyncio.Server:
        """A server that has its address and does not serve yet."""

    @abstractmethod
    def _prepare(self) -> None:
        """What is to be done before anybody may connect."""

    @abstractmethod
    def _address(self, server: asyncio.Server) -> str: ...


class _Tcp(_Socket):
    def __init__(self, host: str, port: int) -> None:
        super().__init__()
        self._host = host
        self._port = port

    async def _bound(self, reader: Callable[[], _Reader]) -> asyncio.Server:
        loop = asyncio.get_running_loop()
        return await loop.create_server(reader, self._host, self._port, start_serving=False)

    def _prepare(self) -> None:
        """Nothing: a port is as open as it is."""

    def _address(self, server: asyncio.Server) -> str:
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"{host}:{server.sockets[0].getsockname()[1]}"


class _Unix(_Socket):
    def __init__(self, path: str) -> None:
        super().__init__()
        self._path = path
        self._ours: tuple[int, int] | None = None  # which file our socket is, once there is one

    async def _bound(self, reader: Callable[[], _Reader]) -> asyncio.Server:
        loop = asyncio.get_running_loop()
        return await loop.create_unix_server(reader, self._path, start_serving=False)

    def _prepare(self) -> None:
        self._ours = self._there()
        os.chmod(self._path, 0o600)

    def _address(self, server: asyncio.Server) -> str:
        return f"unix:{self._path}"

    def close(self) -> None:
        super().close()
        # By now the path may be another's: of an application that was started to take this one's place.
        ours, self._ours = self._ours, None
        if ours is not None and self._there() == ours:
            with suppress(OSError):
                os.unlink(self._path)

    def _there(self) -> tuple[int, int] | None:
        try:
            found = os.stat(self._path)
        except OSError:  # somebody has taken it away, or Python has (from 3.13 on)
            return None
        return found.st_dev, found.st_ino


def _outlet(target: str) -> _Outlet:
    if target.startswith("unix:"):
        return _Unix(target.removeprefix("unix:"))
    found = _ADDRESS.fullmatch(target)
    if found is None:
        return _File(target)
    host = found["v6"] or found["host"]
    if not _is_here(host):
        raise ConfigError(
            f"health is published on this machine only, 127.0.0.1 or [::1], not on {host!r}: nobody who "
            "connects is asked who he is"
        )
    return _Tcp(host, int(found["port"]))


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
