"""A thousand random outages: the rules that must hold, whatever happens.

*Safety*: anything may fail, stall or be cancelled.  *Liveness*: one endpoint is healthy, and then
every call must succeed within its bound.  Each seed is one run of a chain over scripted endpoints in
virtual time; a failing seed replays exactly.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator
from typing import Any

import anyio
import attrs
import pytest

import fallbackio
from fallbackio import Endpoint, Hedge, Pool, Race, Sequence, errors
from fallbackio.chain import Strategy
from fallbackio.events import AttemptEnded, CallEnded, CallStarted, Event
from fallbackio.model import Delta
from fallbackio.testing import ScriptedEndpoint, run

SEEDS = 1000
CALLS = 6
TIMEOUT_S = 20.0

FAILURES: list[type[errors.AttemptError]] = [
    errors.ServerFault,
    errors.Overloaded,
    errors.RateLimited,
    errors.ConnectionFailed,
    errors.BadAnswer,
    errors.AuthFailed,
    errors.InvalidRequest,
    errors.ContextTooLong,
]


def strategy_of(lots: random.Random) -> Strategy:
    strategies: list[Strategy] = [
        Sequence(),
        Sequence(),
        Sequence(),
        Hedge(delay=lots.choice([0.0, 0.1, 1.0])),
        Hedge(),
        Hedge(delay=0.2, max_parallel=3, drain_losers=1.0),
        Race(),
        Race(width=2),
    ]
    return lots.choice(strategies)


def chaos(lots: random.Random, *, healthy: bool) -> Any:
    """A step that waits, speaks, fails, breaks off or falls silent as the lots say."""

    async def step(request: fallbackio.Request) -> AsyncGenerator[Delta | str, None]:
        # Few different instants, so that ties are common.
        await anyio.sleep(lots.choice([0, 0, 0.1, 0.2, 0.5] if healthy else [0, 0.1, 0.2, 1, 5, 60]))
        for _ in range(lots.randrange(1, 4)):
            if not healthy and lots.random() < 0.2:
                kind = lots.choice(FAILURES)
                raise kind("chaos")
            if not healthy and lots.random() < 0.05:
                await anyio.sleep_forever()
            yield "word "
            await anyio.sleep(lots.choice([0, 0.1]))
        yield Delta(finish_reason="stop")

    return step


class Watch:
    """Checks each event as it comes: at most one winner per call, none after its end.

    What it finds it collects, because what a sink raises reaches nobody.
    """

    inline = True

    def __init__(self) -> None:
        self.complaints: list[str] = []
        self.open: set[int] = set()
        self.winners: dict[int, int] = {}

    def __call__(self, event: Event) -> None:
        if isinstance(event, CallStarted):
            self.open.add(event.call)
        elif isinstance(event, AttemptEnded):
            self._check(event.call in self.open, f"an attempt of call {event.call} ended after it")
            self.winners[event.call] = self.winners.get(event.call, 0) + (event.attempt.outcome == "won")
            self._check(self.winners[event.call] <= 1, f"call {event.call} has two winners")
        elif isinstance(event, CallEnded):
            self._check(event.call in self.open, f"call {event.call} ended twice")
            self.open.discard(event.call)

    def _check(self, holds: bool, complaint: str) -> None:
        self.complaints += [] if holds else [complaint]


def steps_of(
    endpoints: list[ScriptedEndpoint], lots: random.Random, *, bounded: bool
) -> list[Endpoint | Pool]:
    """Their endpoints as steps, a pool among them, some with limits."""
    steps: list[Endpoint | Pool] = []
    for scripted in endpoints:
        most = lots.choice([None, 1, 2]) if bounded else None
        rpm = lots.choice([None, 30, 600]) if bounded else None
        steps.append(attrs.evolve(scripted.endpoint, max_in_flight=most, rpm=rpm))
    if len(steps) > 1 and lots.random() < 0.5:
        pooled = [step for step in steps[:2] if isinstance(step, Endpoint)]
        balance: Any = lots.choice(["weighted", "least_busy", "latency", "cost"])
        steps[:2] = [Pool(pooled, balance=balance)]
    return steps


async def one_call(chain: fallbackio.Chain, lots: random.Random, *, streams: bool) -> None:
    session = lots.choice([None, "ada"])
    if streams:
        async with chain.stream("hi", session=session) as stream:
            async for _ in stream:
                if lots.random() < 0.1:
                    return
        assert stream.reply.text.startswith("word")
    else:
        assert (await chain.complete("hi", session=session)).text.startswith("word")


async def storm(seed: int, *, live: bool) -> None:
    lots = random.Random(seed)
    endpoints = [
        ScriptedEndpoint(chaos(lots, healthy=live and number == 0), name=f"e{number}")
        for number in range(lots.randrange(1, 4))
    ]
    lots.shuffle(endpoints)
    watch = Watch()
    complaints: list[str] = []
    chain = fallbackio.Chain(
        steps_of(endpoints, lots, bounded=not live),
        warm=lots.choice([0.0, 0.3]),
        strategy=strategy_of(lots),
        timeout=TIMEOUT_S,
        attempt_timeout=lots.choice([2.0, 5.0, None]),
        ttft_timeout=lots.choice([None, 1.0, "adaptive"]),
        idle_timeout=1.0,
        breaker=fallbackio.BreakerPolicy(
            consecutive=lots.choice([1, 2, 5]), slow_after_s=lots.choice([0.3, 10.0])
        ),
        sinks=[watch],
        fallback_on=[errors.InvalidRequest, errors.ContextTooLong] if live else [],
        seed=seed,
    )

    async def caller() -> None:
        await anyio.sleep(lots.choice([0, 0.1, 1]))
        patience = 1000.0 if live or lots.random() < 0.7 else lots.choice([0.0, 0.1, 0.2, 1.0])
        began = anyio.current_time()
        with anyio.move_on_after(patience):
            try:
                await one_call(chain, lots, streams=lots.random() < 0.5)
            except errors.StreamBroken:
                pass
            except fallbackio.FallbackError as error:
                if live:
                    complaints.append(f"{type(error).__name__}: {error}")
        if anyio.current_time() - began > TIMEOUT_S + 1.0:
            complaints.append(f"{anyio.current_time() - began} s")

    async with anyio.create_task_group() as group:
        for _ in range(CALLS):
            group.start_soon(caller)

    drains = chain._background.under_way
    assert not complaints + watch.complaints
    assert watch.open == set(), "a call without an end"
    assert sum(endpoint.running for endpoint in endpoints) <= drains
    await chain.aclose()
    assert sum(endpoint.running for endpoint in endpoints) == 0
    for route in chain._routes:
        assert (route.breaker.in_flight, route.room.in_flight, route.load.waiting) == (0, 0, 0)
        assert not route.breaker.waiting
        assert route.room.shared.requests_out == route.room.shared.tokens_out == 0
    assert len(chain._line) == 0
    assert chain._setup.budget.under_way == 0
    assert asyncio.all_tasks() == {asyncio.current_task()}


@pytest.mark.parametrize("live", [False, True], ids=["safety", "liveness"])
@pytest.mark.parametrize("block", range(10))
def test_rules_hold(live: bool, block: int) -> None:
    """One winner at most, nothing outlives its call, permits and budget are conserved; and progress."""
    for seed in range(block * SEEDS // 10, (block + 1) * SEEDS // 10):
        try:
            run(storm, seed, live=live)
        except BaseException as error:
            error.add_note(f"seed {seed}")
            raise
