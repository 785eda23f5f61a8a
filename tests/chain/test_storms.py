"""Random outages over the wire, in every dialect: a whole answer or an honest error, and nothing left.

All endpoints say the same text, so whatever the chain does, the one right answer is known.  Each seed is
one chain over the simulator in virtual time; a failing seed replays exactly.
"""

from __future__ import annotations

import random
from typing import Any

import anyio
import pytest
from attrs import frozen

import fallbackio
from fallbackio import Endpoint, Hedge, Pool, Race, Restarted, errors
from fallbackio.dialects import DIALECTS
from fallbackio.simulator import (
    Behaviour,
    Capacity,
    Cut,
    EmptyChoices,
    ErrorBody,
    Fault,
    Flapping,
    Garbage,
    Html,
    InBandError,
    InTurn,
    Malformed,
    PingOnly,
    Reset,
    RoleOnly,
    Silence,
    SimulatedEndpoint,
    Simulator,
    Sometimes,
    Stall,
    Status,
    Trickle,
)
from fallbackio.testing import run

SEEDS = 100
CALLS = 8
TIMEOUT_S = 30.0
TEXT = "A stream that breaks, stalls or ends early is never shown as a success, and each word comes once."
WORDS = len(TEXT.split())

HONEST = (errors.ChainExhausted, errors.DeadlineExceeded, errors.StreamBroken, errors.InvalidRequest)


def fault_of(lots: random.Random, depth: int = 0) -> Fault | None:
    """Something that goes wrong, at times or always."""
    at = lots.randrange(WORDS + 2)
    simple: list[Fault | None] = [
        None,
        Status(lots.choice([400, 401, 404, 408, 429, 500, 502, 503, 529])),
        Status(429, retry_after_s=lots.choice([0, 1, 20])),
        Reset(after_s=lots.choice([0, 0.5])),
        Silence(),
        Stall(lots.choice(["headers", "content", at]), for_s=lots.choice([None, 0.5, 3.0])),
        Cut(at, how=lots.choice(["close", "reset", "end"])),
        RoleOnly(interval_s=0.3),
        PingOnly(interval_s=0.3),
        Trickle(interval_s=0.05, size_bytes=lots.choice([7, 400])),
        Malformed(at),
        InBandError(
            lots.choice([errors.Overloaded, errors.RateLimited, errors.ServerFault]), after_tokens=at
        ),
        ErrorBody(errors.Overloaded),
        Html(lots.choice([200, 502])),
        Garbage(),
        EmptyChoices(),
        Capacity(2),
    ]
    if depth == 0 and lots.random() < 0.5:
        inner = [fault_of(lots, 1) for _ in range(3)]
        present = [one for one in inner if one is not None] or [Silence()]
        return lots.choice(
            [
                Sometimes(0.4, present[0]),
                InTurn(inner, repeat=True),
                Flapping(up_s=3, down_s=5, fault=present[0]),
            ]
        )
    return lots.choice(simple)


@frozen
class Storm:
    """One seed's chain, and what its endpoints are."""

    seed: int
    live: bool  # one endpoint is well, and every call must succeed

    def endpoints(
        self, sim: Simulator, lots: random.Random
    ) -> tuple[list[SimulatedEndpoint], list[Endpoint]]:
        simulated, endpoints = [], []
        for number in range(lots.randrange(2, 5)):
            well = self.live and number == 0
            behaviour = Behaviour(
                text=TEXT,
                latency=lots.choice([0.0, 0.1, 0.4] if well else [0.0, 0.2, 2.0]),
                pace_s=lots.choice([0.0, 0.02, 0.1]),
                fault=None if well else fault_of(lots),
            )
            one = sim.add(f"e{number}", behaviour)
            dialect = lots.choice(sorted(DIALECTS))
            name = "claude-sonnet-4-5" if dialect in ("anthropic", "bedrock") else "m"
            simulated.append(one)
            endpoints.append(
                Endpoint(name, name=one.name, base_url=one.url(dialect), dialect=dialect, api_key="k")
            )
        lots.shuffle(endpoints)
        return simulated, endpoints

    def chain(self, endpoints: list[Endpoint], lots: random.Random) -> fallbackio.Chain:
        steps: list[Any] = list(endpoints)
        if len(steps) > 2 and lots.random() < 0.3:
            steps[:2] = [Pool(steps[:2], balance=lots.choice(["latency", "least_busy", "weighted"]))]
        strategy: Any = lots.choice(
            ["sequence", "sequence", Hedge(), Hedge(delay=0.3), Hedge(delay=0.3, drain_losers=1), Race()]
        )
        return fallbackio.Chain(
            steps,
            strategy=strategy,
            timeout=TIMEOUT_S,
            attempt_timeout=6.0,
            ttft_timeout=lots.choice([None, 1.5, "adaptive"]),
            idle_timeout=1.0,
            min_rate=lots.choice([None, (10, 2)]),
            commit=lots.choice(["first_content", "first_content", 20, "complete"]),
            on_break=lots.choice(["continue", "restart"] if self.live else ["continue", "restart", "raise"]),
            upstream=lots.choice(["plain", "stream"]),
            fallback_on=[errors.InvalidRequest] if self.live else [],
            seed=self.seed,
        )


async def ask(chain: fallbackio.Chain, lots: random.Random, live: bool) -> None:
    """One call, whole or streamed; its text is the one, or its error one that a call may raise."""
    try:
        if lots.random() < 0.5:
            assert (await chain.complete("hi")).text == TEXT
            return
        text = ""
        async with chain.stream("hi") as stream:
            async for delta in stream:
                text = "" if isinstance(delta, Restarted) else text + delta.text
                if lots.random() < 0.01:
                    return
        assert text == stream.reply.text == TEXT
        assert stream.reply.finish_reason == "stop"
    except HONEST as error:
        assert not live, repr(error)
        if isinstance(error, errors.StreamBroken):
            assert TEXT.startswith(error.partial)


async def storm(seed: int, *, live: bool) -> None:
    lots = random.Random(seed)
    weather = Storm(seed, live)
    async with Simulator(seed=seed) as sim:
        simulated, endpoints = weather.endpoints(sim, lots)
        async with weather.chain(endpoints, lots) as chain:
            for _ in range(CALLS):
                patience = lots.choice([60.0, 60.0, 60.0, 0.7])
                async with anyio.create_task_group() as group:
                    for _ in range(lots.choice([1, 1, 3])):
                        group.start_soon(patiently, chain, lots, live and patience > TIMEOUT_S, patience)
                await anyio.sleep(lots.choice([0.0, 1.0, 8.0]))
            await anyio.sleep(1.1)  # drained losers are bounded
            assert [one.stats.in_flight for one in simulated] == [0] * len(simulated)
            for route in chain._routes:
                assert (route.breaker.in_flight, route.room.in_flight, route.load.waiting) == (0, 0, 0)
                assert not route.breaker.waiting
            assert await chain.drain(0) == 0


async def patiently(chain: fallbackio.Chain, lots: random.Random, live: bool, patience_s: float) -> None:
    began = anyio.current_time()
    with anyio.move_on_after(patience_s):
        await ask(chain, lots, live)
    assert anyio.current_time() - began < TIMEOUT_S + WORDS + 0.1


@pytest.mark.parametrize("live", [False, True], ids=["anything fails", "one is well"])
@pytest.mark.parametrize("tens", range(SEEDS // 10))
def test_a_storm_over_the_wire(tens: int, live: bool) -> None:
    """No wrong text, no stray exception, no hang and nothing left; with one endpoint well, no failure."""
    for seed in range(tens * 10, tens * 10 + 10):
        try:
            run(storm, seed, live=live)
        except BaseException as error:
            error.add_note(f"seed {seed}")
            raise
