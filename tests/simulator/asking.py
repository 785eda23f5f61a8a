"""A raw client for the simulator's tests: it sees bytes, instants and how the connection ended."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from io import BytesIO
from typing import Any

import aiohttp
import anyio
from attrs import define, field

from fallbackio import clock
from fallbackio.dialects import DIALECTS
from fallbackio.endpoint import Endpoint
from fallbackio.model import Request
from fallbackio.simulator import Behaviour, SimulatedEndpoint, Simulator

# How long a client waits that never gives up in earnest.
PATIENCE_S = 100.0


@define
class Seen:
    """What a client saw of one answer."""

    status: int | None = None
    headers: Mapping[str, str] = field(factory=dict)
    body: bytes = b""
    ending: str = "whole"  # or "disconnected", "truncated", "reset", "refused", "silence"
    headers_at: float | None = None
    ended_at: float = 0.0
    arrivals: list[tuple[float, int]] = field(factory=list)  # the instant and length of each piece

    @property
    def words(self) -> int:
        """How many of the answer's words have come; some formats say them again at the end."""
        return len(set(re.findall(rb"word\d+", self.body)))


@asynccontextmanager
async def simulated(behaviour: Behaviour, **options: Any) -> AsyncIterator[SimulatedEndpoint]:
    """One endpoint of a simulator."""
    async with Simulator() as sim:
        yield sim.add("primary", behaviour, **options)


async def ask(
    endpoint: SimulatedEndpoint,
    dialect: str = "openai",
    *,
    stream: bool = False,
    within_s: float = PATIENCE_S,
    body: bytes | BytesIO | None = None,
    **params: Any,
) -> Seen:
    """Send one request, by a connection of its own, and look until the answer ends or time is up."""
    client = DIALECTS[dialect].client
    target = Endpoint("model-1", base_url=endpoint.url(dialect), api_key="key")
    request = Request.of("How are you?", params, stream=stream)
    sent = client.encode(request, target) if body is None else body
    seen = Seen()
    try:
        with anyio.fail_after(within_s):
            async with aiohttp.ClientSession() as session:
                await _look(session, client.url(target, stream=stream), client.headers(target), sent, seen)
    except (TimeoutError, aiohttp.ClientError) as error:
        seen.ending = _ending(error)
    seen.ended_at = clock.now()
    return seen


async def _look(
    session: aiohttp.ClientSession, url: str, headers: Mapping[str, str], sent: bytes | BytesIO, seen: Seen
) -> None:
    async with session.post(url, data=sent, headers=headers) as response:
        seen.status, seen.headers, seen.headers_at = response.status, response.headers, clock.now()
        async for piece in response.content.iter_any():
            seen.body += piece
            seen.arrivals.append((clock.now(), len(piece)))


def _ending(error: Exception) -> str:
    match error:
        case aiohttp.ClientPayloadError():
            return "truncated"
        case aiohttp.ServerDisconnectedError():
            return "disconnected"
        case aiohttp.ClientConnectorError():
            return "refused"
        case aiohttp.ClientOSError():
            return "reset"
        case TimeoutError():
            return "silence"
    raise error


async def together(endpoint: SimulatedEndpoint, number: int, **options: Any) -> list[Seen]:
    """Ask so many times at once; the answers by status, then by the instant at which they ended."""
    seen: list[Seen] = []

    async def one() -> None:
        seen.append(await ask(endpoint, **options))

    async with anyio.create_task_group() as tasks:
        for _ in range(number):
            tasks.start_soon(one)
    return sorted(seen, key=lambda one: (one.status or 0, one.ended_at))
