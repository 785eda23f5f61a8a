"""Virtual time: exact, prompt, and the same for timers, sockets and threads."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import anyio
import pytest
from aiohttp import web

from fallbackio import clock
from fallbackio.testing import Deadlocked, VirtualTimeLoop, run, virtual_time

Handler = Callable[[web.BaseRequest], Any]


@asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[str]:
    """The URL at which `handler` answers."""
    server = web.Server(handler, access_log=None)
    listener = await asyncio.get_running_loop().create_server(server, "127.0.0.1", 0)
    try:
        host, port = listener.sockets[0].getsockname()
        yield f"http://{host}:{port}/"
    finally:
        listener.close()
        server.pre_shutdown()
        await server.shutdown(1)


async def nap(seconds: float) -> float:
    await anyio.sleep(seconds)
    return clock.now()


def run_by_asyncio() -> float:
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(nap(60))


@pytest.mark.parametrize("seconds", [0.0, 1e-6, 0.25, 3600.0, 5 * 365 * 86400.0])
def test_a_sleep_ends_at_its_instant(seconds: float) -> None:
    """However long a sleep is, it ends at its exact instant and takes no real time."""
    started = time.perf_counter()

    assert pytest.approx(seconds, abs=1e-7) == run(nap, seconds)
    assert time.perf_counter() - started < 1


@pytest.mark.parametrize(
    "start",
    [
        lambda: anyio.run(nap, 60, backend_options={"loop_factory": VirtualTimeLoop}),
        run_by_asyncio,
        lambda: virtual_time(nap)(60),
        lambda: run(nap, seconds=60),
    ],
    ids=["anyio.run", "asyncio.Runner", "virtual_time", "run"],
)
def test_every_way_in(start: Callable[[], float]) -> None:
    """anyio, asyncio and our own helpers all run on virtual time."""
    assert start() == 60


@virtual_time
async def test_timers_keep_their_order() -> None:
    """Tasks wake in the order of their instants, whatever the order in which they went to sleep."""
    woken: list[float] = []

    async def sleeper(seconds: float) -> None:
        woken.append(await nap(seconds))

    async with anyio.create_task_group() as tasks:
        for seconds in (30, 0.1, 86400 * 3, 2, 0.1):
            tasks.start_soon(sleeper, seconds)

    assert pytest.approx([0.1, 0.1, 2, 30, 86400 * 3]) == woken


@virtual_time
async def test_a_timeout_fires_at_its_instant() -> None:
    """A deadline fires when it is due although nothing else happens."""
    with pytest.raises(TimeoutError):
        with anyio.fail_after(7):
            await anyio.sleep_forever()

    assert clock.now() == 7


@virtual_time
async def test_data_in_flight_arrives_before_time_moves() -> None:
    """A request over a real socket to a server in the loop takes no virtual time of its own."""

    async def handler(request: web.BaseRequest) -> web.Response:
        return web.Response(body=await request.read())

    async with serving(handler) as url, aiohttp.ClientSession() as session:
        for _ in range(50):
            with anyio.fail_after(1e-6):
                async with session.post(url, data=b"x" * 1000) as response:
                    assert len(await response.read()) == 1000

    assert clock.now() == 0


@virtual_time
async def test_large_bodies_arrive_before_time_moves() -> None:
    """Bodies far over the sockets' buffers, both ways at once, take no virtual time either."""

    async def handler(request: web.BaseRequest) -> web.Response:
        return web.Response(body=await request.read())

    async def exchange() -> None:
        with anyio.fail_after(0.001):
            async with session.post(url, data=bytes(900_000)) as response:
                assert len(await response.read()) == 900_000

    async with (
        serving(handler) as url,
        aiohttp.ClientSession() as session,
        anyio.create_task_group() as tasks,
    ):
        for _ in range(8):
            tasks.start_soon(exchange)


def test_streams_in_parallel() -> None:
    """300 paced streams over 100 virtual seconds need no more than a few real ones, and none is late."""

    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(5):
            await anyio.sleep(20)
            await response.write(b"data: x\n\n")
        await response.write_eof()
        return response

    async def read(session: aiohttp.ClientSession, url: str, delay: float) -> None:
        await anyio.sleep(delay)
        async with session.get(url) as response:
            for _ in range(5):
                with anyio.fail_after(20.001):
                    assert await response.content.readuntil(b"\n\n")

    async def main() -> float:
        connector = aiohttp.TCPConnector(limit=0)
        async with (
            serving(handler) as url,
            aiohttp.ClientSession(connector=connector) as session,
            anyio.create_task_group() as tasks,
        ):
            for number in range(300):
                tasks.start_soon(read, session, url, number / 300)
        return clock.now()

    started = time.perf_counter()
    assert pytest.approx(100 + 299 / 300, abs=0.01) == run(main)
    assert time.perf_counter() - started < 10


@virtual_time
async def test_time_stands_still_while_a_thread_works() -> None:
    """Work in the loop's executor is waited for in real time and costs no virtual time."""
    loop = asyncio.get_running_loop()

    with anyio.fail_after(0.001):
        await loop.run_in_executor(None, time.sleep, 0.1)

    assert clock.now() == 0


@virtual_time
async def test_names_are_resolved() -> None:
    """A name look-up, which asyncio does in a thread, does not run into a timer."""
    with anyio.fail_after(0.001):
        found = await asyncio.get_running_loop().getaddrinfo("localhost", 80, family=socket.AF_INET)

    assert found[0][4] == ("127.0.0.1", 80)


def test_a_deadlock_is_named() -> None:
    """Where nothing can happen any more the run ends, says who waits where, and lets them clean up."""
    cleaned: list[float] = []

    async def wait_for_godot() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            with anyio.CancelScope(shield=True):
                cleaned.append(await nap(5))

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(wait_for_godot, name="estragon")

    started = time.perf_counter()
    with pytest.raises(Deadlocked, match=r"estragon in Event\.wait \(.*locks\.py:\d+\)"):
        run(main)
    assert 1 < time.perf_counter() - started < 10
    assert cleaned == [5]


def test_a_wake_up_by_a_thread_is_no_deadlock() -> None:
    """Without any timer a thread of the executor may take longer than our patience."""

    def slow() -> str:
        time.sleep(2.2)
        return "done"

    async def main() -> str:
        return await asyncio.get_running_loop().run_in_executor(None, slow)

    assert run(main) == "done"


def test_a_refused_connection_is_refused_at_once() -> None:
    """Nobody listening is an error without delay, as in real time."""

    async def main() -> float:
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection(*closed.getsockname())
        return clock.now()

    assert run(main) == 0


def test_a_reader_that_does_not_read() -> None:
    """A writer whose peer does not read stays stuck while time goes on."""

    async def main() -> float:
        left = asyncio.Event()

        async def ignore(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await anyio.sleep(5)
            while await reader.read(1 << 20):
                pass
            writer.close()
            await writer.wait_closed()
            left.set()

        server = await asyncio.start_server(ignore, "127.0.0.1", 0, limit=1 << 16)
        async with server:
            _, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            writer.write(bytes(30_000_000))
            await writer.drain()
            arrived = clock.now()
            writer.close()
            await writer.wait_closed()
            await left.wait()
        return arrived

    assert run(main) == 5


@pytest.mark.parametrize("value", [1, "x"], ids=["number", "string"])
def test_fixtures_and_parameters_pass_through(value: object, tmp_path: object) -> None:
    """`virtual_time` keeps a test's signature, so that pytest fills in what it asks for."""

    async def takes(value: object, tmp_path: object) -> tuple[object, object]:
        await anyio.sleep(1)
        return value, tmp_path

    assert virtual_time(takes)(value, tmp_path=tmp_path) == (value, tmp_path)
