"""The applications of docs/web.md, served on loopback as they stand in the page.

Each runs in its real server in the test's own loop, so that virtual time drives server, chain and the
simulated vendors together.  The client is a bare socket, which can go away at any moment.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import anyio
import orjson
import pytest
import uvicorn
from aiohttp import web
from attrs import field, frozen
from openai.types.chat import ChatCompletionUserMessageParam
from pages_kit import recipe
from vendors_kit import simulated_vendors

from fallbackio.simulator import SimulatedEndpoint, Simulator

__all__ = ["QUESTION", "RECIPES", "Client", "Served", "serve", "until"]

QUESTION: list[ChatCompletionUserMessageParam] = [{"role": "user", "content": "Hello"}]


@frozen
class Client:
    """A connection that has sent a request and may be closed without a word."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def leave(self) -> None:
        self.writer.close()

    async def read(self) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of a whole answer."""
        raw = await self.reader.read()
        self.leave()
        head, _, body = raw.partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        return int(first.split()[1]), headers, body


@frozen
class Served:
    """One application under way.

    Attributes:
        stop: Asks the server to go down, as SIGTERM does, and waits until it has.
    """

    port: int
    sim: Simulator
    stop: Callable[[], Any] = field(repr=False)

    @property
    def first(self) -> SimulatedEndpoint:
        """The vendor that the recipes ask first."""
        return self.sim.endpoint("openai")

    @property
    def second(self) -> SimulatedEndpoint:
        """The vendor that they fall back to."""
        return self.sim.endpoint("anthropic")

    async def ask(self, *, stream: bool, **asked: Any) -> Client:
        """Send a request and wait for nothing."""
        body = orjson.dumps({"messages": QUESTION, "stream": stream, **asked})
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(
            b"POST /v1/chat/completions HTTP/1.1\r\nhost: here\r\nconnection: close\r\n"
            b"content-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)
        )
        return Client(reader, writer)


async def until(happened: Callable[[], bool], within_s: float = 1.0) -> None:
    """Wait until something is so; fails after a second."""
    with anyio.fail_after(within_s):
        while not happened():  # noqa: ASYNC110 - a counter of the simulator tells nobody
            await anyio.sleep(0.01)


def names_of(title: str) -> dict[str, Any]:
    """What the page's file defines."""
    names: dict[str, Any] = {"__name__": title.removesuffix(".py")}
    exec(compile(recipe("docs/web.md", title).tree(), title, "exec"), names)  # noqa: S102 - our own page
    return names


@asynccontextmanager
async def _uvicorn(app: Any, sim: Simulator) -> AsyncIterator[Served]:
    listening = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app, lifespan="on", log_config=None, timeout_graceful_shutdown=30)
    server = uvicorn.Server(config)

    async with anyio.create_task_group() as tasks:
        over = anyio.Event()

        async def serve() -> None:
            # Not `serve`, which would take the signals from pytest.
            await server._serve([listening])
            over.set()

        async def stop() -> None:
            server.should_exit = True
            await over.wait()

        tasks.start_soon(serve)
        await until(lambda: server.started)
        try:
            yield Served(listening.getsockname()[1], sim, stop)
        finally:
            await stop()


@asynccontextmanager
async def _aiohttp(app: web.Application, sim: Simulator) -> AsyncIterator[Served]:
    runner = web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=30)
    await runner.setup()
    listening = socket.create_server(("127.0.0.1", 0))
    await web.SockSite(runner, listening).start()
    try:
        yield Served(listening.getsockname()[1], sim, runner.cleanup)
    finally:
        await runner.cleanup()


def _fastapi(sim: Simulator) -> AbstractAsyncContextManager[Served]:
    return _uvicorn(names_of("fastapi_app.py")["app"], sim)


def _starlette(sim: Simulator) -> AbstractAsyncContextManager[Served]:
    return _uvicorn(names_of("starlette_app.py")["app"], sim)


def _aiohttp_web(sim: Simulator) -> AbstractAsyncContextManager[Served]:
    return _aiohttp(names_of("aiohttp_app.py")["make_app"](), sim)


RECIPES: dict[str, Callable[[Simulator], AbstractAsyncContextManager[Served]]] = {
    "fastapi": _fastapi,
    "starlette": _starlette,
    "aiohttp": _aiohttp_web,
}


@asynccontextmanager
async def serve(name: str, patch: pytest.MonkeyPatch) -> AsyncIterator[Served]:
    """One of the page's applications, and simulated vendors behind it."""
    async with simulated_vendors(patch) as sim, RECIPES[name](sim) as served:
        yield served
