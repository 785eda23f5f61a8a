"""What a hedge does to the tail: time to first content, and what it costs in extra requests.

Replays measured times to first token (ten public models, 24 hours of probes from one site, November
2026) through the simulator in virtual time: aiohttp at both ends, the real coordinator, seeded.  Calls come
open-loop at a Poisson rate, so a slow call does not hold up the next.

    python benchmarks/tail.py             # prints
    python benchmarks/tail.py --write     # and puts the tables into benchmarks/README.md
"""

from __future__ import annotations

import argparse
import asyncio
import random
from collections.abc import Iterable
from concurrent.futures import Executor, ProcessPoolExecutor
from itertools import repeat
from multiprocessing import get_context
from typing import Any

import anyio
from attrs import frozen
from page import write

import fallbackio
from fallbackio import Endpoint, Hedge, Race, Sequence
from fallbackio.chain import Strategy
from fallbackio.simulator import Behaviour, Fault, Lognormal, Simulator, Sometimes, Stall
from fallbackio.testing import MemoryLoop

RATE = 2.0  # calls per second
SEED = 20261122

# Body plus stragglers, fitted to the published median, 95th and 99th percentile of each model.
MODELS = {
    "claude-haiku-4.5": Lognormal(0.529, sigma=0.56, straggler_ratio=0.03, straggler_factor=6),
    "gpt-4o-mini": Lognormal(0.532, sigma=0.24, straggler_ratio=0.025, straggler_factor=8),
    "gemini-2.5-flash": Lognormal(0.475, sigma=0.28, straggler_ratio=0.01, straggler_factor=5),
    "gpt-4o": Lognormal(0.630, sigma=0.26, straggler_ratio=0.04, straggler_factor=6),
    "claude-sonnet-4.6": Lognormal(0.924, sigma=0.68, straggler_ratio=0.03, straggler_factor=2),
}
PAIRS = [
    ("claude-haiku-4.5", "gpt-4o-mini"),
    ("gpt-4o-mini", "gemini-2.5-flash"),
    ("gpt-4o", "claude-haiku-4.5"),
]
STRATEGIES: dict[str, Strategy] = {
    "sequence": Sequence(),
    "hedge, adaptive (default)": Hedge(),
    "hedge, adaptive, extra_load=0.1": Hedge(extra_load=0.1),
    "hedge, 2 s": Hedge(delay=2.0),
    "race": Race(),
}
STALL_STRATEGIES: dict[str, Strategy] = {
    "sequence": Sequence(),
    "hedge, adaptive (default)": Hedge(),
    "hedge, adaptive, extra_load=0.1": Hedge(extra_load=0.1),
    "hedge, adaptive, extra_load=0.15": Hedge(extra_load=0.15),
}


@frozen
class Result:
    """Times to first content in seconds, sorted, and upstream requests per call."""

    times: list[float]
    requests_per_call: float
    failed: int

    def at(self, share: float) -> float:
        return self.times[min(int(share * len(self.times)), len(self.times) - 1)]


async def replay(models: Iterable[str], strategy: Strategy, calls: int, fault: Fault | None) -> Result:
    """`calls` calls over a chain of these models; `fault` is the first one's."""
    lots = random.Random(SEED)
    times: list[float] = []
    failed = 0
    async with Simulator(seed=SEED) as simulator:
        simulated = [
            simulator.add(name, Behaviour(latency=MODELS[name], tokens=2, fault=None if number else fault))
            for number, name in enumerate(models)
        ]
        steps = [Endpoint("m", name=one.name, base_url=one.url("openai"), api_key="k") for one in simulated]
        # Breakers out of the way: this is about the tail of endpoints that are in use.
        breaker = fallbackio.BreakerPolicy(consecutive=10_000, rates=())
        async with fallbackio.Chain(
            steps, strategy=strategy, upstream="stream", attempt_timeout=10, breaker=breaker, seed=SEED
        ) as chain:

            async def call() -> None:
                nonlocal failed
                try:
                    reply = await chain.complete("hi")
                    times.append(reply.report.ttft_s or 0.0)
                except fallbackio.FallbackError:
                    failed += 1

            async with anyio.create_task_group() as group:
                for _ in range(calls):
                    group.start_soon(call)
                    await anyio.sleep(lots.expovariate(RATE))
        sent = sum(one.stats.requests for one in simulated)
    return Result(sorted(times), sent / calls, failed)


def played(models: Iterable[str], strategy: Strategy, calls: int, fault: Fault | None) -> Result:
    """The same in virtual time."""
    with asyncio.Runner(loop_factory=MemoryLoop) as runner:
        return runner.run(replay(models, strategy, calls, fault))


def compared(
    models: tuple[str, str], strategies: dict[str, Strategy], calls: int, fault: Fault | None, pool: Executor
) -> dict[str, Result]:
    """Every strategy's result, by its name."""
    results = pool.map(played, repeat(models), strategies.values(), repeat(calls), repeat(fault))
    return dict(zip(strategies, results, strict=True))


def table(results: dict[str, Result]) -> str:
    """One Markdown table; the first row is what the others are compared with."""
    lines = [
        "| strategy | p50 | p95 | p99 | p99.9 | extra requests | failed |",
        "|---|---|---|---|---|---|---|",
    ]
    baseline = next(iter(results.values()))
    for name, result in results.items():
        cells = [f"{result.at(share) * 1e3:.0f}" for share in (0.5, 0.95, 0.99, 0.999)]
        change = f" ({result.at(0.99) / baseline.at(0.99) - 1:+.0%})" if result is not baseline else ""
        extra = result.requests_per_call - 1
        times = f"{cells[0]} | {cells[1]} | {cells[2]}{change} | {cells[3]}"
        lines.append(f"| {name} | {times} | {extra:.1%} | {result.failed} |")
    return "\n".join(lines)


def met(results: dict[str, Result], most_s: float) -> str:
    """Which strategies keep the 95th percentile under so many seconds, and which do not."""
    kept = [name for name, result in results.items() if result.at(0.95) < most_s]
    missed = [name for name in results if name not in kept]
    return f"Under it: {'; '.join(kept) or 'none'}. Not: {'; '.join(missed) or 'none'}."


def report(calls: int, pool: Executor) -> str:
    parts = []
    for models in PAIRS:
        results = compared(models, STRATEGIES, calls, None, pool)
        parts += [f"### {models[0]}, then {models[1]}", "", table(results), ""]
    healthy = played(("gpt-4o-mini",), Sequence(), calls, None)
    models = ("gpt-4o-mini", "gemini-2.5-flash")
    results = compared(models, STALL_STRATEGIES, calls, Sometimes(0.05, Stall("headers")), pool)
    most_s = healthy.at(0.95) * 1.5
    parts += [
        f"### 5 % of the first one's calls stall ({models[0]}, then {models[1]}, `attempt_timeout=10`)",
        "",
        f"Its healthy 95th percentile is {healthy.at(0.95) * 1e3:.0f} ms, 1.5 times that "
        f"{most_s * 1e3:.0f} ms. {met(results, most_s)}",
        "",
        table(results),
    ]
    head = f"{calls} calls a row, {RATE:g} per second, seed {SEED}; milliseconds to the first content."
    return "\n".join([head, "", *parts])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--calls", type=int, default=6000)
    parser.add_argument("--write", action="store_true", help="put the result into benchmarks/README.md")
    options: Any = parser.parse_args()
    # Fresh interpreters, one for each processor.
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        text = report(options.calls, pool)
    print(text)
    if options.write:
        write("tail", text)


if __name__ == "__main__":
    main()
