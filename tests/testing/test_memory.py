"""Connections in memory are what connections over loopback are."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from io import BytesIO
from typing import TypeVar

import aiohttp
import anyio
import pytest
from aiohttp import web

from fallbackio import Chain, Endpoint
from fallbackio.errors import ConnectionFailed
from fallbackio.simulator import Behaviour, Cut, Refused, Reset, Silence, Simulator, Status
from fallbackio.testing import MemoryLoop, VirtualTimeLoop

T = TypeVar("T")


def run(main: Callable[[], Awaitable[T]], loop: type[asyncio.AbstractEventLoop] = MemoryLoop) -> T:
    """What `main` returns, in such a loop."""

    async def call() -> T:
        return await main()

    with asyncio.Runner(loop_factory=loop) as runner:
        return runner.run(call())


@asynccontextmanager
async def served(
    handler: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]],
) -> AsyncIterator[str]:
    """An HTTP server on loopback: its address."""
    loop = asyncio.get_running_loop()
    server = web.Server(
        handler,
        request_factory=lambda message, payload, protocol, writer, task: web.BaseRequest(
            message, payload, protocol, writer, task, loop, client_max_size=2**30
        ),
    )
    bound = socket.socket()
    bound.bind(("127.0.0.1", 0))
    bound.listen()
    address = f"http://127.0.0.1:{bound.getsockname()[1]}/"
    listener = await loop.create_server(server, sock=bound)
    try:
        yield address
    finally:
        listener.close()
        await server.shutdown(1)


@pytest.mark.parametrize("size", [0, 1, 10_000_000])
def test_bodies_arrive_whole_and_in_order(size: int) -> None:
    """Whatever is sent either way is received, through flow control as well."""
    sent = (b"0123456789" * (size // 10 + 1))[:size]

    async def main() -> bytes:
        async def echo(request: web.BaseRequest) -> web.Response:
            return web.Response(body=await request.read())

        async with served(echo) as url, aiohttp.ClientSession() as session:
            async with session.post(url, data=BytesIO(sent)) as response:
                return await response.read()

    assert run(main) == sent


def test_a_reader_that_stands_still_stops_the_writer() -> None:
    """A server does not write on into memory without end while nobody reads."""

    async def main() -> int:
        written = 0

        async def flood(request: web.BaseRequest) -> web.StreamResponse:
            nonlocal written
            response = web.StreamResponse()
            await response.prepare(request)
            while True:
                await response.write(b"x" * 10_000)
                written += 10_000

        async with served(flood) as url, aiohttp.ClientSession() as session, session.get(url):
            await anyio.sleep(10)
            return written

    assert 0 < run(main) < 2_000_000


@pytest.mark.parametrize(
    ("fault", "streamed"),
    [
        (None, True),
        (None, False),
        (Status(503), True),
        (Reset(), True),
        (Reset(after_s=1), False),
        (Cut(after_tokens=3), True),
        (Cut(after_tokens=3, how="reset"), True),
        (Cut(after_tokens=3, how="end"), False),
        (Silence(), True),
        (Refused(), False),
    ],
    ids=str,
)
def test_failures_are_what_they_are_over_sockets(fault: object, streamed: bool) -> None:
    """An endpoint's failure is told by the same error, at the same instant, with the same counters."""

    async def main() -> tuple[object, ...]:
        behaviour = Behaviour(latency=0.5, pace_s=0.1, fault=fault)  # type: ignore[arg-type]
        async with Simulator() as sim:
            primary = sim.add("a", behaviour, own_port=True)
            endpoint = Endpoint("m", base_url=primary.url(), api_key="k")
            told: str
            async with Chain([endpoint], attempt_timeout=5, max_retries=0, seed=1, on_break="raise") as chain:
                try:
                    if streamed:
                        async with chain.stream("Hello") as stream:
                            async for _ in stream:
                                pass
                        told = stream.reply.text
                    else:
                        told = (await chain.complete("Hello")).text
                except Exception as error:
                    causes = [type(attempt.error).__name__ for attempt in error.attempts]  # type: ignore[attr-defined]
                    told = f"{type(error).__name__} {causes}"
            await anyio.sleep(1)
            stats = {**primary.stats.to_json(), "arrivals": len(primary.stats.arrivals)}
            return told, round(anyio.current_time(), 3), stats

    assert run(main) == run(main, VirtualTimeLoop)


def test_a_client_that_leaves_is_noticed_at_once() -> None:
    """A cut request is cancelled at the server in the instant in which it is cut."""

    async def main() -> tuple[int, int]:
        async with Simulator() as sim:
            primary = sim.add("a", Behaviour(fault=Silence()))
            endpoint = Endpoint("m", base_url=primary.url(), api_key="k")
            async with Chain([endpoint]) as chain:
                with anyio.move_on_after(3):
                    await chain.complete("Hello")
                before = primary.stats.in_flight
                await anyio.sleep(0.001)
                return before, primary.stats.cancelled

    assert run(main)[1] == 1


def test_connections_are_kept() -> None:
    """Calls that follow one another share a connection, as they do over sockets."""

    async def main() -> int:
        async with Simulator() as sim:
            primary = sim.add("a")
            endpoint = Endpoint("m", base_url=primary.url(), api_key="k")
            async with Chain([endpoint]) as chain:
                for _ in range(5):
                    await chain.complete("Hello")
            loop = asyncio.get_running_loop()
            assert isinstance(loop, MemoryLoop)
            return loop.connections

    assert run(main) == 1


def test_where_nobody_of_the_loop_listens_the_kernel_answers() -> None:
    """A connection to somebody else is a real one, and is refused where nobody is."""
    free = socket.socket()
    free.bind(("127.0.0.1", 0))
    port = free.getsockname()[1]
    free.close()

    async def main() -> object:
        async with Chain([Endpoint("m", base_url=f"http://127.0.0.1:{port}/v1")], max_retries=0) as chain:
            try:
                await chain.complete("Hello")
            except Exception as error:
                return error.attempts[0].error  # type: ignore[attr-defined]
        return None

    assert isinstance(run(main), ConnectionFailed)
