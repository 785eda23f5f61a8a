"""Who is asked: rate limits kept, a stall left, a weak return spared, and what choosing costs.

All but the last is played in virtual time against the simulator, so the numbers are the policy's and
not this machine's.  The last looks into the chain, because what it times is a part of a call that no
public door leads to.  The bounds: a round robin that knows nothing, and an oracle that knows every
limit and every speed.

    python benchmarks/pools.py              # prints
    python benchmarks/pools.py --write      # and puts the tables into benchmarks/README.md
    python benchmarks/pools.py --quick      # a few seconds, to see that it works
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import logging
import math
import platform
import random
import statistics
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import aiohttp
import anyio
from attrs import frozen
from page import write

import fallbackio
from fallbackio import BreakerPolicy, Endpoint, Pool, clock
from fallbackio.chain._plan import Send
from fallbackio.chain._wish import Wish
from fallbackio.errors import RateLimited
from fallbackio.model import Request
from fallbackio.simulator import Behaviour, Lognormal, RateLimit, Silence, SimulatedEndpoint, Simulator
from fallbackio.testing import run

# Medians in seconds and requests per second of four unequal endpoints, two seconds' worth at once.
SPEEDS = (0.2, 0.4, 0.6, 1.0)
LIMITS = (20.0, 15.0, 10.0, 5.0)
SIGMA = 0.3
BURST_S = 2.0
LOAD = 0.7
# What was offered is counted over so long: calls come by chance, and ten a second are fifteen in some.
WINDOW_S = 5.0
# Runs of the weak return, each with other arrivals, times and lots.
RETURNS = 12
BALANCES = ("latency", "least_busy", "weighted")


@frozen
class Served:
    """What a run came to."""

    times: list[float]
    refused: int  # calls of which an attempt met a 429
    requests: list[int]

    def at(self, quantile: float) -> float:
        """A quantile of the times, in seconds."""
        return sorted(self.times)[int(len(self.times) * quantile)]


def endpoints_of(simulated: list[SimulatedEndpoint]) -> list[Endpoint]:
    return [Endpoint("model-1", base_url=one.url(), name=one.name) for one in simulated]


async def arrivals(rate: float, seconds: float, call: Callable[[], Any], seed: int = 3) -> None:
    """Calls by chance, so many per second, for so long; returns when all have ended."""
    lots = random.Random(seed)
    async with anyio.create_task_group() as group:
        end = clock.now() + seconds
        while clock.now() < end:
            group.start_soon(call)
            await anyio.sleep(lots.expovariate(rate))


def limited_endpoints(sim: Simulator) -> list[SimulatedEndpoint]:
    return [
        sim.add(
            f"e{at}",
            Behaviour(latency=Lognormal(speed, SIGMA), fault=RateLimit(60 * limit, burst_s=BURST_S)),
        )
        for at, (speed, limit) in enumerate(zip(SPEEDS, LIMITS, strict=True))
    ]


async def pooled(balance: str, seconds: float) -> Served:
    """Four endpoints with limits at 70 % of their sum, behind a pool."""
    async with Simulator(seed=5) as sim:
        simulated = limited_endpoints(sim)
        times: list[float] = []
        refused = 0

        async def call() -> None:
            nonlocal refused
            began = clock.now()
            attempts = (await chain.complete("hi")).report.attempts
            times.append(clock.now() - began)
            refused += any(isinstance(attempt.error, RateLimited) for attempt in attempts)

        pool = Pool(endpoints_of(simulated), balance=balance)  # type: ignore[arg-type]
        async with fallbackio.Chain([pool], seed=1) as chain:
            await arrivals(LOAD * sum(LIMITS), seconds, call)
        return Served(times, refused, [one.stats.requests for one in simulated])


async def in_turn(seconds: float) -> Served:
    """The same, asked one after the other by a client that knows nothing and asks once."""
    async with Simulator(seed=5) as sim, aiohttp.ClientSession() as http:
        simulated = limited_endpoints(sim)
        turns = itertools.cycle(simulated)
        body = {"model": "model-1", "messages": [{"role": "user", "content": "hi"}]}
        times: list[float] = []
        refused = 0

        async def call() -> None:
            nonlocal refused
            began = clock.now()
            async with http.post(f"{next(turns).url()}/chat/completions", json=body) as response:
                await response.read()
                refused += response.status == 429
                if response.status == 200:
                    times.append(clock.now() - began)

        await arrivals(LOAD * sum(LIMITS), seconds, call)
        return Served(times, refused, [one.stats.requests for one in simulated])


def oracle(seconds: float) -> Served:
    """The quickest endpoint with room, by one who knows both exactly."""
    lots, scatter = random.Random(3), random.Random(9)
    left = [limit * BURST_S for limit in LIMITS]
    requests = [0] * len(LIMITS)
    times, now = [], 0.0
    while now < seconds:
        at = next((at for at, room in enumerate(left) if room >= 1), None)
        if at is not None:
            left[at] -= 1
            requests[at] += 1
            times.append(SPEEDS[at] * math.exp(SIGMA * scatter.gauss(0, 1)))
        wait_s = lots.expovariate(LOAD * sum(LIMITS))
        now += wait_s
        left = [min(limit * BURST_S, room + limit * wait_s) for limit, room in zip(LIMITS, left, strict=True)]
    return Served(times, 0, requests)


async def stalled(onset_s: float | None) -> tuple[float, list[float]]:
    """The others' p99, and when the stalled one was still asked, in seconds after its onset."""
    async with Simulator(seed=5) as sim:
        simulated = [sim.add(f"e{at}", Behaviour(latency=Lognormal(0.4, SIGMA))) for at in range(4)]
        pool = Pool(endpoints_of(simulated))
        chain = fallbackio.Chain([pool], attempt_timeout=20, upstream="stream", seed=4)
        began = clock.now()
        times: list[float] = []

        async def call() -> None:
            at = clock.now()
            reply = await chain.complete("hi")
            if len(reply.report.attempts) == 1 and at - began >= 20:
                times.append(clock.now() - at)

        async def outage() -> None:
            if onset_s is not None:
                await anyio.sleep(onset_s)
                simulated[3].behave(Behaviour(fault=Silence()))

        async with anyio.create_task_group() as group:
            group.start_soon(outage)
            group.start_soon(arrivals, 20.0, 40.0, call)
        await chain.aclose()
        after = [at - began - (onset_s or 0) for at in simulated[3].stats.arrivals]
        return Served(times, 0, []).at(0.99), [at for at in after if at >= 0]


async def weak_return(seed: int) -> tuple[float, int]:
    """Offered at most while it ramps, as a multiple of its capacity; and answered in all."""
    rate, share = 50.0, 0.2
    async with Simulator(seed=seed) as sim:
        well = Behaviour(latency=Lognormal(0.2, SIGMA))
        weak, spare = sim.add("weak", well), sim.add("spare", well)
        policy = BreakerPolicy(jitter_ratio=0)
        chain = fallbackio.Chain(endpoints_of([weak, spare]), breaker=policy, attempt_timeout=1, seed=seed)

        async def outage() -> None:
            await anyio.sleep(2)
            weak.behave(Behaviour(fault=Silence()))
            await anyio.sleep(4)
            fault = RateLimit(60 * rate * share, burst_s=0.5, headers=False)
            weak.behave(Behaviour(latency=Lognormal(0.2, SIGMA), fault=fault))

        async with anyio.create_task_group() as group:
            group.start_soon(outage)
            group.start_soon(arrivals, rate, 30.0, partial_call(chain), seed)
        await chain.aclose()
        asked = [at for at in weak.stats.arrivals if at >= 8]
        counted = [sum(at <= one < at + WINDOW_S for one in asked) for at in asked]
        return max(counted) / WINDOW_S / (rate * share), weak.stats.by_status[200]


def partial_call(chain: fallbackio.Chain) -> Callable[[], Any]:
    async def call() -> None:
        await chain.complete("hi")

    return call


async def choosing(members: int, rounds: int) -> Iterator[tuple[str, float]]:
    """Microseconds from a call's beginning to the endpoint that is asked first, checks and order included."""
    found = []
    for balance in (*BALANCES, "cost"):
        specs = [
            Endpoint("m", base_url="http://localhost:1", name=f"e{at}", api_key=f"key-{at}")
            for at in range(members)
        ]
        chain = fallbackio.Chain([Pool(specs, balance=balance)], seed=1)  # type: ignore[arg-type]
        for at, route in enumerate(chain._routes):
            route.load.answered(0.0, 0.1 + at / 1000)
        request, wish, times = Request.of("hi", {}), Wish(), []
        for _ in range(rounds):
            began = time.perf_counter_ns()
            call = chain._asking(chain._setup, request, wish)
            step = call.plan.next(call.started, call.deadline)
            times.append((time.perf_counter_ns() - began) / 1000)
            assert isinstance(step, Send)
            step.give_back(call.started)
            call.left()
        await chain.aclose()
        found.append((balance, statistics.median(times)))
    return iter(found)


def measure(seconds: float, rounds: int) -> str:
    """The tables as text."""
    best = oracle(seconds)
    lines = [
        f"Measured {datetime.now(UTC):%Y-%m-%d} with CPython {platform.python_version()}, in virtual time.",
        "",
        f"Four endpoints, medians {', '.join(f'{one:g}' for one in SPEEDS)} s, limits "
        f"{', '.join(f'{one:g}' for one in LIMITS)} requests per second, at {LOAD:.0%} of their sum for "
        f"{seconds:g} s:",
        "",
        "| | calls that met a 429 | p50 | p99 | p99 to the best possible | requests |",
        "|---|---|---|---|---|---|",
        _row("oracle", best, best),
    ]
    lines += [_row(f"`{balance}`", run(pooled, balance, seconds), best) for balance in BALANCES]
    lines.append(_row("round robin", run(in_turn, seconds), best))
    usual, _ = run(stalled, None)
    with_stall, asked = run(stalled, 20.0)
    returns = [run(weak_return, seed) for seed in range(1, RETURNS + 1)]
    ratios = [ratio for ratio, _ in returns]
    costs = asyncio.run(choosing(200, rounds))
    lines += [
        "",
        f"One of four stalls under 20 calls per second: it was asked {len(asked)} times more, the last one "
        f"{max(asked):.1f} s after its onset; the others' p99 went from {usual:.2f} to {with_stall:.2f} s "
        f"({with_stall / usual - 1:+.0%}).",
        "",
        "An endpoint that returns with 20 % of its capacity was offered at most "
        f"{statistics.mean(ratios):.2f} times that over any {WINDOW_S:g} s (mean of {len(ratios)} runs, the "
        f"worst {max(ratios):.2f}).",
        "",
        "From a call's beginning to whom of 200 it asks, checks and order included (one core, median): "
        f"{', '.join(f'{name} {us:.0f} µs' for name, us in costs)}.",
    ]
    return "\n".join(lines)


def _row(name: str, served: Served, best: Served) -> str:
    return (
        f"| {name} | {served.refused / sum(served.requests):.2%} | {served.at(0.5):.2f} s | "
        f"{served.at(0.99):.2f} s | {served.at(0.99) / best.at(0.99):.2f} | "
        f"{' / '.join(map(str, served.requests))} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a shorter run")
    parser.add_argument("--write", action="store_true", help="put the result into benchmarks/README.md")
    options = parser.parse_args()
    logging.disable(logging.WARNING)
    text = measure(*((10, 200) if options.quick else (120, 5000)))
    print(text)
    if options.write:
        write("pools", text)


if __name__ == "__main__":
    main()
