"""Our own column of docs/comparison.md, played: what a chain does where the others were measured."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
from attrs import frozen
from pages_kit import rows, section

import fallbackio
from fallbackio import clock
from fallbackio.errors import Overloaded
from fallbackio.simulator import (
    Behaviour,
    Cut,
    Html,
    InBandError,
    SimulatedEndpoint,
    Simulator,
    Stall,
    Status,
    Trickle,
)
from fallbackio.testing import run

TABLE = {
    cells[0]: cells[-1] for cells in rows(section("docs/comparison.md", "While a provider is in trouble"))
}


@frozen
class Scene:
    """A chain of simulated endpoints, the first of which is in trouble."""

    chain: fallbackio.Chain
    endpoints: list[SimulatedEndpoint]

    @property
    def requests(self) -> int:
        """Sent to anybody."""
        return sum(endpoint.stats.requests for endpoint in self.endpoints)

    async def seconds(self, **params: Any) -> str:
        """How long a call takes, whatever comes of it."""
        started = clock.now()
        try:
            await self.chain.complete("Hello", **params)
        except fallbackio.FallbackError:
            pass
        return f"after {clock.now() - started:.1f} s"

    async def streamed(self) -> str:
        """Who gives a streamed answer."""
        async with self.chain.stream("Hello") as stream:
            async for _ in stream:
                pass
        assert stream.report.endpoint == "second"
        return "the fallback goes on" if stream.report.seams else "the fallback answers"


@asynccontextmanager
async def scene(*faults: Any, **settings: Any) -> AsyncIterator[Scene]:
    async with Simulator() as sim:
        names = ["first", "second", "third"][: len(faults)]
        ends = [
            sim.add(name, Behaviour(fault=fault, pace_s=0.05 if fault else 0))
            for name, fault in zip(names, faults, strict=True)
        ]
        specs = [
            fallbackio.Endpoint("m", name=end.name, base_url=end.url("openai"), api_key="none")
            for end in ends
        ]
        async with fallbackio.Chain(specs, seed=1, **settings) as chain:
            yield Scene(chain, ends)


async def five_hundred() -> str:
    async with scene(Status(500), None) as it:
        first = await it.seconds()
        for _ in range(9):
            await it.chain.complete("Hello")
        return f"{first}; {it.endpoints[0].stats.requests} requests, then its circuit is open"


async def retry_after() -> str:
    async with scene(Status(429, retry_after_s=20), None) as it:
        return await it.seconds()


async def hanging() -> str:
    async with scene(Stall("headers"), Stall("headers"), Stall("headers"), timeout=1) as it:
        return f"{await it.seconds()}; {it.requests} requests"


async def trickling() -> str:
    async with scene(Trickle(interval_s=0.02), timeout=1) as it:
        return await it.seconds()


async def page() -> str:
    async with scene(Html(), None) as it:
        return await it.streamed()


async def unfinished() -> str:
    async with scene(Cut(after_tokens=2, how="end"), None) as it:
        return await it.streamed()


async def cut() -> str:
    async with scene(Cut(after_tokens=2), None) as it:
        return await it.streamed()


async def in_band() -> str:
    async with scene(InBandError(Overloaded), None) as it:
        return await it.streamed()


async def total_outage() -> str:
    async with scene(Status(500), Status(500), Status(500)) as it:
        async with anyio.create_task_group() as tasks:
            for _ in range(20):
                tasks.start_soon(it.seconds)
        return f"{it.requests} requests"


async def recovering() -> str:
    async with scene(Status(500), None) as it:
        for _ in range(5):
            await it.chain.complete("Hello")
        await anyio.sleep(6)
        it.endpoints[0].reset()
        it.endpoints[0].behave(Behaviour(fault=Status(500, after_s=0.5)))
        async with anyio.create_task_group() as tasks:
            for _ in range(60):
                tasks.start_soon(it.seconds)
        count = it.endpoints[0].stats.requests
        return f"{count} request{'s' * (count != 1)}"


async def raced() -> str:
    async with scene(Stall("headers"), Stall("headers"), strategy="race") as it:
        with anyio.move_on_after(0.4):
            await it.chain.complete("Hello")
        assert it.requests == 2
        await anyio.sleep(0.01)
        return "both end at once" if all(not end.stats.in_flight for end in it.endpoints) else "they go on"


async def misspelt() -> str:
    with pytest.raises(fallbackio.ConfigError):
        fallbackio.Chain(["opnai/gpt-4o", "anthropic/claude-sonnet-4-5"])
    return "`ConfigError` when the chain is built"


PLAYED: dict[str, Callable[[], Awaitable[str]]] = {
    "answers 500, with the defaults": five_hundred,
    "answers 429 with `Retry-After: 20`": retry_after,
    "and its two fallbacks hang, `timeout=1`": hanging,
    "sends its JSON byte by byte for 10 s, `timeout=1`": trickling,
    "sends a page of HTML with a 200, streaming": page,
    "ends a stream without its finish reason": unfinished,
    "cuts a stream after two words": cut,
    "says `overloaded` in its stream's first event": in_band,
    "and all others are down, 20 callers at once, three endpoints": total_outage,
    "is still broken when its rest is over, 60 callers at once": recovering,
    "is raced against another, and the caller is cancelled": raced,
    "is misspelt": misspelt,
}


def test_every_row_is_played() -> None:
    """The page claims nothing of us that is not tried here."""
    assert TABLE.keys() == PLAYED.keys()


@pytest.mark.parametrize("row", PLAYED)
def test_our_column_is_true(row: str) -> None:
    """What the page says of us is what happens."""

    async def play() -> str:
        return await PLAYED[row]()

    assert TABLE[row] == run(play)
