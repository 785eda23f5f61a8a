"""How streams come through: the rhythm of the pieces, the first one's delay, memory, and a flood.

Everything is measured in real time, with the provider in a process of its own, and beside the loop
that one writes by hand with bare aiohttp + orjson.  The odd rule: the rhythm comes from a
metronome and not from the simulator, see `streams_provider.py`.

    python benchmarks/streams.py              # prints
    python benchmarks/streams.py --write      # and puts the tables into benchmarks/README.md
    python benchmarks/streams.py --quick      # a few seconds, to see that it works
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import itertools
import logging
import os
import platform
import resource
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import orjson
from attrs import frozen
from page import write
from streams_provider import PACE_S, Provider, allow_many_files, line_of, python

import fallbackio

MIB = 2**20
MESSAGES = [{"role": "user", "content": "Tell a story."}]

# Reads one stream to its end; calls its argument at each piece of text.
Consumer = Callable[[Callable[[], None]], Awaitable[None]]


@frozen(kw_only=True)
class Sizes:
    """How much is measured."""

    rounds: int = 3
    streams: tuple[int, ...] = (250, 500)
    tokens: int = 150
    calls: int = 1000  # for the time to first content
    held: int = 5000
    flood_bytes: int = 200 * MIB
    flood_s: float = 5.0


QUICK = Sizes(rounds=1, streams=(20,), tokens=20, calls=20, held=50, flood_bytes=8 * MIB, flood_s=0.5)


# The two consumers.


@contextlib.asynccontextmanager
async def bare(base_url: str) -> AsyncIterator[Consumer]:
    """What a careful engineer writes by hand when nothing may go wrong."""
    url, headers = f"{base_url}/chat/completions", {"Authorization": "Bearer k"}
    body = orjson.dumps({"model": "m", "messages": MESSAGES, "stream": True})

    async def consume(arrived: Callable[[], None]) -> None:
        text: list[str] = []
        rest = b""
        async with session.post(url, data=body, headers=headers) as response:
            async for chunk in response.content.iter_any():
                *events, rest = (rest + chunk).split(b"\n\n")
                for event in events:
                    if event.startswith(b"data: ") and event != b"data: [DONE]":
                        for choice in orjson.loads(event[6:])["choices"]:
                            if piece := choice["delta"].get("content"):
                                text.append(piece)
                                arrived()

    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(total=None)
    ) as session:
        yield consume


@contextlib.asynccontextmanager
async def ours(base_url: str) -> AsyncIterator[Consumer]:
    """The same through a chain of one endpoint, with its timers on."""

    async def consume(arrived: Callable[[], None]) -> None:
        async with chain.stream(MESSAGES) as stream:
            async for delta in stream:
                if delta.text:
                    arrived()

    endpoint = fallbackio.Endpoint("m", base_url=base_url, api_key="k")
    async with fallbackio.Chain([endpoint], idle_timeout=300, max_answer_bytes=1024 * MIB) as chain:
        yield consume


CONSUMERS = {"bare": bare, "ours": ours}


# The rhythm.


@frozen
class Rhythm:
    """Gaps between two pieces in seconds, sorted, and the share of a core that the client took."""

    gaps: list[float]
    cpu_ratio: float | None = None

    def line(self, name: str) -> str:
        at = [f"{self.gaps[min(int(len(self.gaps) * s), len(self.gaps) - 1)] * 1e3:.1f} ms" for s in _SHARES]
        busy = "" if self.cpu_ratio is None else f"{self.cpu_ratio:.0%}"
        return f"| {name} | {' | '.join(at)} | {self.gaps[-1] * 1e3:.0f} ms | {self.in_time:.2%} | {busy} |"

    @property
    def in_time(self) -> float:
        """The share of gaps under two paces."""
        return sum(gap < 2 * PACE_S for gap in self.gaps) / len(self.gaps)


_SHARES = (0.5, 0.99, 0.999)


async def listen(consume: Consumer, streams: int) -> tuple[list[float], float]:
    """The gaps of so many streams, and the share of a core that reading them took."""
    arrivals: list[list[float]] = [[] for _ in range(streams)]

    async def one(mine: list[float]) -> None:
        await consume(lambda: mine.append(time.perf_counter()))

    async with asyncio.TaskGroup() as group:
        for mine in arrivals:
            group.create_task(one(mine))
            await asyncio.sleep(0)
        while not any(arrivals):
            cpu = time.process_time()
            await asyncio.sleep(0.05)
    first, last = min(mine[0] for mine in arrivals), max(mine[-1] for mine in arrivals)
    gaps = [after - before for mine in arrivals for before, after in itertools.pairwise(mine)]
    return gaps, (time.process_time() - cpu) / (last - first)


async def rhythm(provider: Provider, streams: int, rounds: int) -> dict[str, Rhythm]:
    """Both consumers in turns, and the metronome's own gaps."""
    gaps: dict[str, list[float]] = {"sent": [], "bare": [], "ours": []}
    busy: dict[str, list[float]] = {"bare": [], "ours": []}
    for _ in range(rounds):
        for name, consumer in CONSUMERS.items():
            gc.collect()
            async with consumer(f"{provider.urls['metronome']}/{streams}/v1") as consume:
                mine, ratio = await listen(consume, streams)
            gaps[name] += mine
            busy[name].append(ratio)
            gaps["sent"] += (await provider.figures())["gaps"]
    ratios = {name: statistics.median(ratios) for name, ratios in busy.items()}
    return {name: Rhythm(sorted(each), ratios.get(name)) for name, each in gaps.items()}


# The first content.


async def first_content(provider: Provider, calls: int) -> tuple[float, float]:
    """Median seconds to the first piece of text, bare and ours, one call in turn with the other."""
    times: dict[str, list[float]] = {name: [] for name in CONSUMERS}
    async with bare(provider.urls["healthy"]) as one, ours(provider.urls["healthy"]) as other:
        for number in range(calls + 20):
            for name, consume in (("bare", one), ("ours", other)):
                arrivals: list[float] = []
                began = time.perf_counter()
                await consume(lambda: arrivals.append(time.perf_counter()))  # noqa: B023 - it is called here only
                if number >= 20:  # the first ones pay for connections and caches
                    times[name].append(arrivals[0] - began)
    return statistics.median(times["bare"]), statistics.median(times["ours"])


# Memory, in a process of its own each time, since what was once allocated is rarely given back.


def resident() -> int:
    """Bytes of this process that are in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


async def hold(kind: str, base_url: str, streams: int) -> None:
    """Print the bytes that each of so many open streams takes."""
    async with CONSUMERS[kind](base_url) as consume, asyncio.TaskGroup() as group:
        tasks: list[asyncio.Task[None]] = []
        opening = asyncio.Semaphore(100)

        async def one() -> None:
            arrived = asyncio.Event()
            await opening.acquire()
            tasks.append(group.create_task(_until_cancelled(consume, arrived.set)))
            await arrived.wait()
            opening.release()

        await asyncio.gather(*[one() for _ in range(20)])  # what is allocated once
        gc.collect()
        before = resident()
        await asyncio.gather(*[one() for _ in range(streams)])
        gc.collect()
        print((resident() - before) / streams, flush=True)
        for task in tasks:
            task.cancel()


async def _until_cancelled(consume: Consumer, arrived: Callable[[], None]) -> None:
    await consume(arrived)


async def memory(provider: Provider, sizes: Sizes) -> dict[str, float]:
    """Bytes per open stream, bare and ours: medians of processes in turns."""
    found: dict[str, list[float]] = {name: [] for name in CONSUMERS}
    for _ in range(sizes.rounds):
        for name in CONSUMERS:
            process = await python(__file__, "--hold", name, provider.urls["open"], str(sizes.held))
            found[name].append(await line_of(process))
            await process.wait()
    return {name: statistics.median(figures) for name, figures in found.items()}


async def stand_still(base_url: str, seconds: float) -> None:
    """Print by how many bytes we grow while a provider floods us and the consumer reads one piece."""
    endpoint = fallbackio.Endpoint("m", base_url=base_url, api_key="k")
    async with fallbackio.Chain([endpoint], max_answer_bytes=1024 * MIB) as chain:
        before = resident()
        async with chain.stream(MESSAGES) as stream:
            await anext(stream)
            most = 0
            for _ in range(20):
                await asyncio.sleep(seconds / 20)
                most = max(most, resident())
            print(most - before, flush=True)


async def flood(provider: Provider, sizes: Sizes) -> tuple[float, float]:
    """Bytes by which we grew, and that the provider got rid of."""
    process = await python(__file__, "--stand-still", provider.urls["flood"], str(sizes.flood_s))
    grown = await line_of(process)
    sent = (await provider.figures())["sent"]
    await process.wait()
    return grown, sent


# The report.


async def measure(sizes: Sizes) -> str:
    async with Provider(tokens=sizes.tokens, flood_bytes=sizes.flood_bytes) as provider:
        first = await first_content(provider, sizes.calls)
        heard = {n: await rhythm(provider, n, sizes.rounds) for n in sizes.streams}
        held = await memory(provider, sizes)
        flooded = await flood(provider, sizes)
    return "\n".join(_report(sizes, first, heard, held, flooded))


def _report(
    sizes: Sizes,
    first: tuple[float, float],
    heard: dict[int, dict[str, Rhythm]],
    held: dict[str, float],
    flooded: tuple[float, float],
) -> Iterator[str]:
    yield (
        f"Measured {datetime.now(UTC):%Y-%m-%d} with {platform.python_implementation()} "
        f"{platform.python_version()}, aiohttp {aiohttp.__version__}, {os.cpu_count()} cores."
    )
    yield ""
    yield (
        f"Streams that run at once in one process, {PACE_S * 1e3:.0f} ms between two tokens; the gaps "
        f"between two pieces, of {sizes.tokens} tokens and {sizes.rounds} rounds in turns:"
    )
    yield ""
    yield "| streams | | p50 | p99 | p99.9 | longest | under 40 ms | client's core |"
    yield "|---|---|---|---|---|---|---|---|"
    for streams, rows in heard.items():
        yield rows["sent"].line(f"{streams} | as sent")
        yield rows["bare"].line(f"{streams} | bare aiohttp + orjson")
        yield rows["ours"].line(f"{streams} | fallbackio")
    yield ""
    yield (
        f"First content of a single call: {first[0] * 1e3:.2f} ms bare, {first[1] * 1e3:.2f} ms through a "
        f"chain, {(first[1] - first[0]) * 1e3:+.2f} ms (medians of {sizes.calls} calls in turns)."
    )
    yield ""
    yield (
        f"{sizes.held:,} open streams in one process: {held['ours'] / 1024:.1f} KB each, bare aiohttp "
        f"{held['bare'] / 1024:.1f} KB, {(held['ours'] - held['bare']) / 1024:+.1f} KB (resident memory, "
        f"medians of {sizes.rounds} processes each)."
    )
    yield ""
    yield (
        f"A consumer that stops after the first piece of {sizes.flood_bytes / MIB:.0f} MiB: in "
        f"{sizes.flood_s:g} s the provider got rid of {flooded[1] / MIB:.1f} MiB (most of it in the kernel's "
        f"buffers), and we grew by {flooded[0] / MIB:.1f} MiB."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small sizes")
    parser.add_argument("--write", action="store_true", help="put the result into benchmarks/README.md")
    parser.add_argument("--hold", nargs=3, help=argparse.SUPPRESS)
    parser.add_argument("--stand-still", nargs=2, help=argparse.SUPPRESS)
    options: Any = parser.parse_args()
    logging.disable(logging.WARNING)
    allow_many_files()
    if options.hold:
        kind, base_url, streams = options.hold
        asyncio.run(hold(kind, base_url, int(streams)))
    elif options.stand_still:
        base_url, seconds = options.stand_still
        asyncio.run(stand_still(base_url, float(seconds)))
    else:
        text = asyncio.run(measure(QUICK if options.quick else Sizes()))
        print(text)
        if options.write:
            write("streams", text)


if __name__ == "__main__":
    main()
