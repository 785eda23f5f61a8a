"""What a call leaves in memory: nothing, so that prompts are gone when their calls are."""

from __future__ import annotations

import gc
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest

import fallbackio
from fallbackio import Endpoint, Hedge, clock
from fallbackio.simulator import Behaviour, Silence, Simulator, Stall, Status
from fallbackio.testing import virtual_time


@pytest.fixture
def garbage() -> Iterator[list[object]]:
    """Collects what only the garbage collector would have freed."""
    gc.disable()
    yield gc.garbage
    gc.set_debug(0)
    gc.garbage.clear()
    gc.enable()


async def complete(chain: fallbackio.Chain) -> None:
    await chain.complete("hi")


async def read(chain: fallbackio.Chain) -> None:
    async with chain.stream("hi") as stream:
        async for _ in stream:
            pass


async def leave(chain: fallbackio.Chain) -> None:
    async with chain.stream("hi") as stream:
        async for _ in stream:
            break


async def left_behind(chain: fallbackio.Chain) -> None:
    breaker = chain._routes[0].breaker
    breaker.close()
    clock.call_at(clock.now() + 20, breaker.open)
    await chain.complete("hi")


# Not a race: the cancellation that cuts a lane off stays in a circle of anyio's own.
CALLS: list[tuple[str, Callable[[fallbackio.Chain], Awaitable[None]], Any, Any]] = [
    ("plain", complete, None, "sequence"),
    ("stream", read, None, "sequence"),
    ("stream left", leave, None, "sequence"),
    ("failover", complete, Status(500), "sequence"),
    ("stream after failover", read, Status(500), "sequence"),
    ("left when its breaker opens", left_behind, Silence(), "sequence"),
    ("hedge", complete, Stall("content"), Hedge(delay=0.2)),
]


@pytest.mark.parametrize(("call", "fault", "strategy"), [row[1:] for row in CALLS], ids=[r[0] for r in CALLS])
@virtual_time
async def test_nothing_is_left_for_the_garbage_collector(
    garbage: list[object], call: Any, fault: Any, strategy: Any
) -> None:
    """A call's requests, attempts and answers are freed when it is over, without a collection."""
    async with Simulator() as sim:
        simulated = [sim.add("a", Behaviour(fault=fault)), sim.add("b")]
        steps = [Endpoint("m", name=one.name, base_url=one.url("openai"), api_key="k") for one in simulated]
        async with fallbackio.Chain(steps, strategy=strategy) as chain:
            await call(chain)
            gc.collect()
            gc.set_debug(gc.DEBUG_SAVEALL)
            for _ in range(3):
                await call(chain)
            gc.collect()

            ours = ("fallbackio.chain", "fallbackio.model", "fallbackio.errors")
            assert [one for one in garbage if type(one).__module__.startswith(ours)] == []
