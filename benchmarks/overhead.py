"""What a call through fallbackio costs, beside bare aiohttp + orjson doing the same work.

Both talk to the same simulator in a process of its own, one call of each in turn, so that a machine
whose speed drifts slows both.  CPU is this process's own (client only).

A figure is the first percentile of the calls, and a ratio that of two figures: what a call costs when
nobody disturbs it.  Others who use the machine can only make a call dearer, and by more the more memory it
touches: with a dozen busy processes on two cores the medians' ratio of a plain call wandered between 1.68
and 1.87, where that of the first percentiles stayed between 1.67 and 1.71 in six runs of eight and was 1.85
in the others.  Trust no run on a machine that is busier still.  Of a stream whose words come in packets of
their own the medians are compared, because how many of them are read at once is chance.

    python benchmarks/overhead.py                  # prints
    python benchmarks/overhead.py --write          # and puts the tables into benchmarks/README.md
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from typing import Any

import aiohttp
import orjson
from attrs import asdict, frozen
from page import save, write

import fallbackio
from fallbackio.simulator import Behaviour, Simulator

CHUNKS = 32
# Of calls that all do the same work those are compared that nobody disturbed; else what is usual.
UNDISTURBED, USUAL = 1, 50
# Each word in a packet of its own, and as fast as they go.
PACE_S = 1e-9
MESSAGES = [
    {"role": "system", "content": "You answer in one sentence."},
    {"role": "user", "content": "Summarize this ticket: the printer on the third floor is on fire."},
]
FIVE = "aiohttp, anyio, aiobreaker, attrs, orjson"

Call = Callable[[], Awaitable[str]]


@frozen
class Row:
    """One comparison: seconds of CPU per call for both, and the ratios of CPU and wall."""

    name: str
    cpu_s: float
    bare_cpu_s: float
    cpu_ratio: float
    wall_ratio: float

    def line(self) -> str:
        ours, bare = self.cpu_s * 1e6, self.bare_cpu_s * 1e6
        return (
            f"| {self.name} | {bare:.0f} µs | {ours:.0f} µs | {self.cpu_ratio:.2f} | {self.wall_ratio:.2f} |"
        )


async def serve() -> None:
    """The other process: one healthy endpoint, until standard input closes.

    And one that sends its words one by one, as providers do; the other's leave in one packet.
    """
    async with Simulator() as simulator:
        simulator.add("healthy", Behaviour(tokens=CHUNKS))
        simulator.add("spoken", Behaviour(tokens=CHUNKS, pace_s=PACE_S))
        print(simulator.endpoint("healthy").url("openai"), flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


class Server(AbstractAsyncContextManager[str]):
    """Runs `serve` in a process of its own; gives its base URL."""

    async def __aenter__(self) -> str:
        pipe = asyncio.subprocess.PIPE
        self.process = await asyncio.create_subprocess_exec(
            sys.executable, __file__, "--serve", stdin=pipe, stdout=pipe
        )
        assert self.process.stdout is not None
        return (await self.process.stdout.readline()).decode().strip()

    async def __aexit__(self, *error: object) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        await self.process.wait()


def bare(session: aiohttp.ClientSession, url: str, *, stream: bool) -> Call:
    """What a careful engineer writes by hand when nothing may go wrong."""
    headers = {"Authorization": "Bearer key", "Content-Type": "application/json"}

    async def complete() -> str:
        body = orjson.dumps({"model": "m", "messages": MESSAGES})
        async with session.post(url, data=body, headers=headers) as response:
            answer = orjson.loads(await response.read())
        return str(answer["choices"][0]["message"]["content"])

    async def streamed() -> str:
        options = {"include_usage": True}
        body = orjson.dumps({"model": "m", "messages": MESSAGES, "stream": True, "stream_options": options})
        text, rest = [], b""
        async with session.post(url, data=body, headers=headers) as response:
            async for chunk in response.content.iter_any():
                *events, rest = (rest + chunk).split(b"\n\n")
                for event in events:
                    if event.startswith(b"data: ") and event != b"data: [DONE]":
                        for choice in orjson.loads(event[6:])["choices"]:
                            text.append(choice["delta"].get("content") or "")
        return "".join(text)

    return streamed if stream else complete


def ours(chain: fallbackio.Chain, *, stream: bool) -> Call:
    """The same through a chain of one healthy endpoint."""

    async def complete() -> str:
        return (await chain.complete(MESSAGES)).text

    async def streamed() -> str:
        text = []
        async with chain.stream(MESSAGES) as answer:
            async for delta in answer:
                text.append(delta.text)
        return "".join(text)

    return streamed if stream else complete


class Measured:
    """What one of the two cost, call by call, in seconds."""

    def __init__(self, call: Call, percentile: int) -> None:
        self._call = call
        self._percentile = percentile
        self._cpu: list[float] = []
        self._wall: list[float] = []

    async def once(self) -> None:
        cpu, wall = time.process_time(), time.perf_counter()
        await self._call()
        self._cpu.append(time.process_time() - cpu)
        self._wall.append(time.perf_counter() - wall)

    @property
    def cpu_s(self) -> float:
        """CPU of a call, at the percentile."""
        return self._at(self._cpu)

    @property
    def wall_s(self) -> float:
        """Wall time of one."""
        return self._at(self._wall)

    def _at(self, seconds: list[float]) -> float:
        return statistics.quantiles(seconds, n=100, method="inclusive")[self._percentile - 1]


async def compare(
    name: str, reference: Call, candidate: Call, rounds: int, calls: int, percentile: int = UNDISTURBED
) -> Row:
    """Both in turns; the texts must be the same, or the comparison means nothing."""
    assert await reference() == await candidate() != ""
    for _ in range(calls):
        await reference()
        await candidate()
    base, mine = Measured(reference, percentile), Measured(candidate, percentile)
    for _ in range(rounds):
        gc.collect()
        for _ in range(calls):
            await base.once()
            await mine.once()
    return Row(
        name,
        cpu_s=mine.cpu_s,
        bare_cpu_s=base.cpu_s,
        cpu_ratio=mine.cpu_s / base.cpu_s,
        wall_ratio=mine.wall_s / base.wall_s,
    )


async def hedging(base_url: str, rounds: int, calls: int) -> float:
    """Seconds of CPU that a hedged call which needs no hedge adds to a sequence call."""
    steps = [
        fallbackio.Endpoint("m", name=name, base_url=base_url, api_key="key") for name in ("first", "second")
    ]
    async with (
        fallbackio.Chain(steps, upstream="stream") as sequence,
        fallbackio.Chain(steps, strategy=fallbackio.Hedge(delay=30)) as hedge,
    ):
        row = await compare("", ours(sequence, stream=False), ours(hedge, stream=False), rounds, calls)
        return row.cpu_s - row.bare_cpu_s


async def overhead(rounds: int, calls: int) -> tuple[list[Row], float]:
    """The rows of the first table, and what a hedge adds."""
    async with Server() as base_url:
        spoken_url = base_url.replace("/healthy/", "/spoken/")
        rows = [
            await beside_bare("`complete()`", base_url, rounds, calls, stream=False),
            await beside_bare(
                f"`stream()` of {CHUNKS} chunks", spoken_url, rounds, calls, stream=True, percentile=USUAL
            ),
            await beside_bare("the same in one packet", base_url, rounds, calls, stream=True),
        ]
        return rows, await hedging(base_url, rounds, calls)


async def beside_bare(
    name: str, base_url: str, rounds: int, calls: int, *, stream: bool, percentile: int = UNDISTURBED
) -> Row:
    """A call through a chain of one endpoint beside the same call by hand."""
    url = f"{base_url}/chat/completions"
    spec = fallbackio.Endpoint("m", base_url=base_url, api_key="key")
    async with aiohttp.ClientSession() as session, fallbackio.Chain([spec]) as chain:
        return await compare(
            name, bare(session, url, stream=stream), ours(chain, stream=stream), rounds, calls, percentile
        )


IMPORT = f"""
import resource, time
import {FIVE}
def kib(): return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize() // 1024
memory, began = kib(), time.perf_counter()
import fallbackio
print(time.perf_counter() - began, kib() - memory)
"""


def import_cost(runs: int) -> tuple[float, float]:
    """Median seconds and MiB that `import fallbackio` adds to its five dependencies."""
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": ""}
    figures = []
    for _ in range(runs + 1):  # the first fills the bytecode cache
        done = subprocess.run(
            [sys.executable, "-c", IMPORT], env=environment, capture_output=True, text=True, check=True
        )
        figures.append(tuple(float(word) for word in done.stdout.split()))
    figures = figures[1:]
    return statistics.median(s for s, _ in figures), statistics.median(k for _, k in figures) / 1024


def report(rows: list[Row], hedge_s: float, imported: tuple[float, float], rounds: int, calls: int) -> str:
    seconds, mebibytes = imported
    return "\n".join(
        [
            f"Measured {datetime.now(UTC):%Y-%m-%d} with {platform.python_implementation()} "
            f"{platform.python_version()}, aiohttp {aiohttp.__version__}, {os.cpu_count()} cores; "
            f"{rounds * calls} calls of each in turn, of which the first percentiles are compared (of the "
            "stream, which comes in packets by chance, the medians).",
            "",
            "| | bare aiohttp + orjson, CPU | fallbackio, CPU | CPU ratio | wall ratio |",
            "|---|---|---|---|---|",
            *[row.line() for row in rows],
            "",
            f"A hedged `complete()` that needs no hedge costs {hedge_s * 1e6:.0f} µs more than a sequence's "
            f"(both ask for a stream of {CHUNKS} chunks upstream).",
            "",
            f"`import fallbackio` adds {seconds * 1e3:.0f} ms and {mebibytes:.1f} MiB to importing {FIVE}.",
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--calls", type=int, default=300)
    parser.add_argument("--write", action="store_true", help="put the result into benchmarks/README.md")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options: Any = parser.parse_args()
    logging.disable(logging.WARNING)
    if options.serve:
        asyncio.run(serve())
        return
    rows, hedge_s = asyncio.run(overhead(options.rounds, options.calls))
    text = report(rows, hedge_s, import_cost(9), options.rounds, options.calls)
    print(text)
    if options.write:
        save("overhead", dict(zip(("plain", "stream", "packet"), map(asdict, rows), strict=True)))
        write("overhead", text)


if __name__ == "__main__":
    main()
