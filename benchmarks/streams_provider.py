"""The provider of `streams.py`, in a process of its own: a simulator and a metronome.

The simulator sleeps *between* two tokens, so it goes slower when anybody is late, and hides it.  The
metronome sends each token at an instant fixed beforehand, and tells how late it was itself.
"""

from __future__ import annotations

import asyncio
import logging
import random
import resource
import sys
from contextlib import AbstractAsyncContextManager
from typing import Any

import orjson
from attrs import frozen

from fallbackio.dialects import DIALECTS
from fallbackio.model import Choice, Delta, Message, Reply, Request
from fallbackio.simulator import Behaviour, End, Exchange, Fault, Plan, Send, Simulator

__all__ = ["PACE_S", "Provider", "allow_many_files", "line_of", "python"]

PACE_S = 0.02


@frozen
class Flood(Fault):
    """Text without end, as fast as the client takes it; counts what it got rid of."""

    size_bytes: int
    sent: list[int]

    def plan(self, exchange: Exchange) -> Plan:
        self.sent.clear()
        event = exchange.writer.write(Delta("x" * 8192))
        yield from exchange.opening()
        for _ in range(self.size_bytes // len(event)):
            yield Send(event, tokens=1)
            self.sent.append(len(event))
        yield Send(exchange.writer.finish(exchange.answer.reply), final=True)
        yield End()


class Metronome:
    """Streams that begin together, each with a phase of its own; the k-th token is due k paces later.

    Attributes:
        gaps: Seconds between two tokens of a stream, as they were sent.
    """

    def __init__(self, tokens: int) -> None:
        writer = DIALECTS["openai"].server.writer(_REPLY, _REQUEST)
        self.opening = _HEAD + _chunk(writer.start())
        self.gaps: list[float] = []
        self._token = _chunk(writer.write(Delta(" word")))
        self._ending = _chunk(writer.finish(_REPLY)) + b"0\r\n\r\n"
        self._tokens = tokens
        self._lots = random.Random(1)
        self._waiting: list[asyncio.Transport] = []

    def joined(self, transport: asyncio.Transport, streams: int) -> None:
        """A client has asked; when the last of so many has, all begin."""
        self._waiting.append(transport)
        if len(self._waiting) == streams:
            loop = asyncio.get_running_loop()
            for one in self._waiting:
                began = loop.time() + 0.2 + self._lots.random() * PACE_S
                loop.call_at(began, self._beat, one, began, 0, 0.0)
            self._waiting = []

    def _beat(self, transport: asyncio.Transport, began: float, number: int, last: float) -> None:
        if number == self._tokens or transport.is_closing():
            transport.write(self._ending)
            return
        transport.write(self._token)
        loop = asyncio.get_running_loop()
        now = loop.time()
        if number:
            self.gaps.append(now - last)
        loop.call_at(began + (number + 1) * PACE_S, self._beat, transport, began, number + 1, now)


class Listener(asyncio.Protocol):
    """One connection; `POST /500/…` is one of 500 streams."""

    def __init__(self, metronome: Metronome) -> None:
        self._metronome = metronome
        self._got = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._got += data
        if self._got.endswith(b"}"):  # the request's body is the only JSON in it
            streams = int(self._got.split(b"/", 2)[1])
            self._got = b""
            self._transport.write(self._metronome.opening)
            self._metronome.joined(self._transport, streams)


_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
_REPLY = Reply(id="a", model="m", choices=(Choice(Message("")),))
_REQUEST = Request.of("hi", {}, stream=True)


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


async def serve(tokens: int, flood_bytes: int) -> None:
    """Tell the addresses, then answer each line of standard input with figures, until it closes."""
    metronome = Metronome(tokens)
    sent: list[int] = []
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Listener(metronome), "127.0.0.1", 0, backlog=4096)
    async with Simulator() as simulator:
        simulator.add("healthy", Behaviour())
        simulator.add("open", Behaviour(tokens=2, pace_s=3600))
        simulator.add("flood", Behaviour(fault=Flood(flood_bytes, sent)))
        urls = {name: simulator.endpoint(name).url("openai") for name in simulator.endpoints}
        urls["metronome"] = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        print(orjson.dumps(urls).decode(), flush=True)
        while await loop.run_in_executor(None, sys.stdin.readline):
            print(orjson.dumps({"gaps": metronome.gaps, "sent": sum(sent)}).decode(), flush=True)
            metronome.gaps.clear()
    server.close()


class Provider(AbstractAsyncContextManager["Provider"]):
    """Runs `serve` in a process of its own.

    Attributes:
        urls: The base URL of each of its endpoints.
    """

    def __init__(self, *, tokens: int, flood_bytes: int) -> None:
        self._arguments = str(tokens), str(flood_bytes)

    async def __aenter__(self) -> Provider:
        self._process = await python(__file__, *self._arguments, stdin=asyncio.subprocess.PIPE)
        self.urls: dict[str, str] = await line_of(self._process)
        return self

    async def figures(self) -> dict[str, Any]:
        """The gaps at which tokens were sent since the last time, and the bytes of the last flood."""
        assert self._process.stdin is not None
        self._process.stdin.write(b"\n")
        figures: dict[str, Any] = await line_of(self._process)
        return figures

    async def __aexit__(self, *error: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        await self._process.wait()


async def python(script: str, *arguments: str, stdin: int | None = None) -> asyncio.subprocess.Process:
    """A script in another process; a line of its output may be long."""
    return await asyncio.create_subprocess_exec(
        sys.executable, script, *arguments, stdin=stdin, stdout=asyncio.subprocess.PIPE, limit=2**26
    )


async def line_of(process: asyncio.subprocess.Process) -> Any:
    """What it printed, from JSON."""
    assert process.stdout is not None
    return orjson.loads(await process.stdout.readline())


def allow_many_files() -> None:
    """Lift the limit of open sockets to what the machine allows."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


if __name__ == "__main__":
    allow_many_files()
    logging.disable(logging.WARNING)
    asyncio.run(serve(int(sys.argv[1]), int(sys.argv[2])))
