"""`fallbackio watch`: follows the health that a running application publishes.

Reads lines of JSON from a file or a socket and shows the latest.  What it reads is shown as plain text,
whoever wrote it.  Exit codes: 0 when the application has ended, or after one look (`--once`); 1 if there
is nothing to follow.
"""

from __future__ import annotations

import os
import stat
from collections.abc import AsyncGenerator
from contextlib import aclosing, nullcontext
from typing import Annotated, Any

import anyio
import orjson
import typer
from anyio.abc import ByteStream
from anyio.streams.buffered import BufferedByteReceiveStream
from rich.console import Console, Group
from rich.live import Live

from fallbackio.cli._shell import complain, printable, run
from fallbackio.observe import render

__all__ = ["watch"]

# How often a file is looked at.
_LOOK_S = 0.25
# How long one look waits for a line: a file is empty for an instant when it begins anew.
_PATIENCE_S = 3.0
# A longer line is none of ours.
_MOST_BYTES = 2**20


class _NothingThere(Exception):
    """There is nothing to follow, and why."""


def watch(
    target: Annotated[str, typer.Argument(help="As for chain.publish(): a file, unix:PATH or HOST:PORT.")],
    once: Annotated[bool, typer.Option("--once", help="Show it once and end.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The lines as they come, for a program.")] = False,
) -> None:
    """Follow the health of a running application's chains: breakers, times, limits, fallbacks.

    The application opts in with: async with chain.publish(TARGET).
    """
    try:
        run(lambda: _watch(target, once=once, as_json=as_json))
    except _NothingThere as error:
        complain(error)
        raise typer.Exit(1) from None


async def _watch(target: str, *, once: bool, as_json: bool) -> None:
    console = Console(highlight=False, emoji=False, markup=False)
    chains: dict[str, dict[str, Any]] = {}  # the latest of each: several may write to one file
    live = None
    if console.is_terminal and not (as_json or once):
        # Drawn also while nothing comes, because it says how old it is.
        live = Live(console=console, get_renderable=lambda: Group(*map(render, list(chains.values()))))
    with live or nullcontext(), anyio.move_on_after(_PATIENCE_S if once else None):
        async with aclosing(_lines(target)) as lines:
            async for line in lines:
                health = _parsed(line, target)
                chains[str(health.get("chain"))] = health
                if as_json:
                    typer.echo(printable(line.decode()))
                elif live is not None:
                    live.refresh()
                else:
                    console.print(render(health))
                if once:
                    return
    if not chains:
        raise _NothingThere(f"nothing came from {target}")


def _lines(target: str) -> AsyncGenerator[bytes, None]:
    """The latest line, and then each that comes."""
    _, colon, port = target.rpartition(":")
    if target.startswith("unix:"):
        return _received(target)
    if os.path.exists(target):
        return _of_file(target)
    if colon and port.isdecimal():
        return _received(target)
    raise _NothingThere(f"there is no {target}: is the application running, and does it publish there?")


def _of_file(path: str) -> AsyncGenerator[bytes, None]:
    kind = os.stat(path).st_mode
    if stat.S_ISSOCK(kind):
        return _received(f"unix:{path}")
    if not stat.S_ISREG(kind):
        raise _NothingThere(f"{path} is no file and no socket")
    return _appended(path)


async def _received(address: str) -> AsyncGenerator[bytes, None]:
    try:
        stream = await _connected(address)
    except OSError as error:
        raise _NothingThere(f"nobody publishes at {address} ({error.strerror or error})") from None
    async with stream:
        incoming = BufferedByteReceiveStream(stream)
        while True:
            try:
                yield await incoming.receive_until(b"\n", _MOST_BYTES)
            except (anyio.EndOfStream, anyio.IncompleteRead, anyio.BrokenResourceError):
                return  # the application has ended
            except anyio.DelimiterNotFound:
                raise _NothingThere(f"what comes from {address} is no health of a chain") from None


async def _connected(address: str) -> ByteStream:
    if address.startswith("unix:"):
        return await anyio.connect_unix(address.removeprefix("unix:"))
    host, _, port = address.rpartition(":")
    return await anyio.connect_tcp(host.strip("[]"), int(port))


async def _appended(path: str) -> AsyncGenerator[bytes, None]:
    """The file's last line, and those that are appended."""
    tail = _Tail(path)
    lines = tail.read()[-1:]
    while True:
        for line in lines:
            yield line
        await anyio.sleep(_LOOK_S)
        lines = tail.read()


class _Tail:
    """What has been appended to a file; from its beginning when it begins anew."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._place = 0
        self._rest = b""  # of a line that is not whole yet

    def read(self) -> list[bytes]:
        """The whole lines that have come."""
        try:
            with open(self._path, "rb") as file:
                if os.fstat(file.fileno()).st_size < self._place:
                    self._place, self._rest = 0, b""
                file.seek(self._place)
                *lines, self._rest = (self._rest + file.read()).split(b"\n")
                self._place = file.tell()
        except FileNotFoundError:
            return []  # it may come back
        except OSError as error:
            raise _NothingThere(f"{self._path} cannot be read: {error.strerror or error}") from None
        return lines


def _parsed(line: bytes, target: str) -> dict[str, Any]:
    try:
        health = orjson.loads(line)
    except orjson.JSONDecodeError:
        health = None
    if not isinstance(health, dict) or "chain" not in health:
        raise _NothingThere(f"what {target} holds is no health of a chain")
    return health
