"""Does it stay flat?  Many concurrent calls, many endpoints, and a fleet through a day of outages.

* Curves: 10 to 10,000 calls at once in one process, at the same rate of calls per second, so that what
  grows is what a waiting call costs; and 2 to 200 endpoints behind one chain.  Beside bare aiohttp.
* A day of a thousand calls per second through S1 to S12, for four breaker policies: see `fleet.py`.

    python benchmarks/scale.py             # prints
    python benchmarks/scale.py --write     # and keeps the results
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import logging
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import AsyncExitStack
from multiprocessing import get_context
from typing import Any

import aiohttp
import fleet
import orjson
from outage_contenders import start_provider
from page import machine, quantile, save, table
from streams_provider import allow_many_files

import fallbackio

RATE = 500.0  # calls per second
CONCURRENT = (10, 100, 1_000, 10_000)
ENDPOINTS = (2, 10, 50, 200)
MESSAGES = [{"role": "user", "content": "hi"}]
SEED = 20261129
POLICIES = fleet.POLICIES  # ours first
MANY = 1000  # a page of memory is more than what fewer calls take

Ask = Callable[[], Awaitable[object]]


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def rss_kib() -> int:
    """Resident memory of this process."""
    with open("/proc/self/statm") as pages:
        return int(pages.read().split()[1]) * 4


# Many calls at once.  Each point is a process of its own, so that no memory is left from the one before.


async def bare(url: str) -> tuple[Ask, Callable[[], Awaitable[None]]]:
    """A call as one writes it when nothing may go wrong."""
    # No limits of time on either side: ten thousand connections take their while to come about.
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(total=None, sock_connect=None)
    )
    headers = {"Authorization": "Bearer key", "Content-Type": "application/json"}

    async def ask() -> object:
        body = orjson.dumps({"model": "m", "messages": MESSAGES})
        async with session.post(f"{url}/chat/completions", data=body, headers=headers) as response:
            return orjson.loads(await response.read())["choices"][0]["message"]["content"]

    return ask, session.close


async def chained(url: str) -> tuple[Ask, Callable[[], Awaitable[None]]]:
    """The same through a chain."""
    steps = [fallbackio.Endpoint("m", name=name, base_url=url, api_key="key") for name in ("first", "second")]
    chain = fallbackio.Chain(steps, timeout=None, attempt_timeout=None, connect_timeout=None)
    return (lambda: chain.complete(MESSAGES)), chain.aclose


async def point(who: str, url: str, concurrent: int, latency_s: float) -> dict[str, float]:
    """So many calls at once for a while: what one costs."""
    ask, close = await (bare if who == "bare" else chained)(url)
    loop = asyncio.get_running_loop()
    await ask()
    lasts: list[float] = []

    async def call() -> None:
        began = loop.time()
        await ask()
        lasts.append(loop.time() - began)

    calls = max(2 * concurrent, 1500)
    gc.collect()
    memory, at_once = rss_kib(), 0
    cpu, began = time.process_time(), loop.time()
    async with asyncio.TaskGroup() as group:
        for number in range(calls):
            due = began + number / RATE
            if due > loop.time():
                await asyncio.sleep(due - loop.time())
            group.create_task(call())
            if number == concurrent - 1:
                at_once = rss_kib()
    cpu = time.process_time() - cpu
    await close()
    return {
        "cpu_us": cpu / calls * 1e6,
        "kib": (at_once - memory) / concurrent,
        "p50_ms": (quantile(lasts, 0.5) - latency_s) * 1e3,
        "p99_ms": (quantile(lasts, 0.99) - latency_s) * 1e3,
    }


async def concurrency(points: Sequence[int]) -> dict[str, Any]:
    """The curve of concurrent calls, ours and bare, in turns."""
    found: dict[str, Any] = {}
    for number in points:
        latency_s = number / RATE
        async with AsyncExitStack() as stack:
            provider = await start_provider(stack)
            added = await provider.tell(
                "add", contender="scale", seed=0, endpoints={"healthy": {"latency": latency_s}}
            )
            for who in ("bare", "ours"):
                child = await asyncio.create_subprocess_exec(
                    sys.executable,
                    __file__,
                    "--point",
                    who,
                    added["urls"][0],
                    str(number),
                    str(latency_s),
                    stdout=subprocess.PIPE,
                )
                out, _ = await child.communicate()
                found.setdefault(str(number), {})[who] = json.loads(out)
        say(f"  {number} calls at once")
    return found


# Many endpoints.


async def endpoints(points: Sequence[int], rounds: int, calls: int) -> dict[str, Any]:
    """The curve of endpoints behind one chain: as steps in a row, and as one pool."""
    found: dict[str, Any] = {}
    async with AsyncExitStack() as stack:
        provider = await start_provider(stack)
        names: dict[str, Any] = {f"e{number}": {} for number in range(max(points))}
        added = await provider.tell("add", contender="scale", seed=0, endpoints=names)
        chains: dict[tuple[int, str], fallbackio.Chain] = {}
        for number in points:
            for kind in ("steps", "pool"):
                specs = [
                    fallbackio.Endpoint("m", name=name, base_url=url, api_key="key")
                    for name, url in zip(names, added["urls"][:number], strict=False)
                ]
                gc.collect()
                memory = rss_kib()
                chain = fallbackio.Chain(specs if kind == "steps" else [fallbackio.Pool(specs)])
                chains[number, kind] = await stack.enter_async_context(chain)
                found[f"{number} {kind}"] = {"kib": (rss_kib() - memory) / number, "cpu_us": [], "p50_ms": []}
        for _ in range(rounds + 1):
            for (number, kind), chain in chains.items():
                one = found[f"{number} {kind}"]
                lasts = []
                gc.collect()
                cpu = time.process_time()
                for _ in range(calls):
                    began = time.perf_counter()
                    await chain.complete(MESSAGES)
                    lasts.append(time.perf_counter() - began)
                one["cpu_us"].append((time.process_time() - cpu) / calls * 1e6)
                one["p50_ms"].append(quantile(lasts, 0.5) * 1e3)
    for one in found.values():
        # The first round opens connections.
        one["cpu_us"], one["p50_ms"] = (
            statistics.median(one["cpu_us"][1:]),
            statistics.median(one["p50_ms"][1:]),
        )
    say("  endpoints behind one chain")
    return found


# The day.


def day(outages: Sequence[str]) -> dict[str, Any]:
    """Every outage with every policy, on all processors."""
    found: dict[str, Any] = {}
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        futures = {
            (name, policy): pool.submit(fleet.one, name, policy, SEED)
            for name in outages
            for policy in POLICIES
        }
        for (name, policy), future in futures.items():
            found.setdefault(name, {})[policy] = future.result()
    say("  a day of the fleet")
    return found


# Reporting.


def concurrency_table(found: Mapping[str, Any]) -> str:
    rows = []
    for number, both in found.items():
        ours, base = both["ours"], both["bare"]
        few = int(number) < MANY
        rows.append(
            [
                f"{int(number):,}",
                f"{base['cpu_us']:.0f} µs",
                f"{ours['cpu_us']:.0f} µs",
                f"{ours['cpu_us'] / base['cpu_us']:.2f}",
                "–" if few else f"{base['kib']:.1f} KiB",
                "–" if few else f"{ours['kib']:.1f} KiB",
                f"{base['p50_ms']:.1f} · {base['p99_ms']:.1f} ms",
                f"{ours['p50_ms']:.1f} · {ours['p99_ms']:.1f} ms",
            ]
        )
    head = [
        "calls at once",
        "CPU, bare",
        "CPU",
        "ratio",
        "memory of one, bare",
        "memory of one",
        "added, bare: p50 · p99",
        "added: p50 · p99",
    ]
    return table(head, rows)


def endpoint_table(found: Mapping[str, Any]) -> str:
    numbers = sorted({int(key.split()[0]) for key in found})
    rows = [
        [
            str(number),
            *[f"{found[f'{number} {kind}']['cpu_us']:.0f} µs" for kind in ("steps", "pool")],
            *[f"{found[f'{number} {kind}']['p50_ms']:.2f} ms" for kind in ("steps", "pool")],
            f"{found[f'{number} steps']['kib']:.1f} KiB",
        ]
        for number in numbers
    ]
    head = [
        "endpoints",
        "CPU per call, in a row",
        "in a pool",
        "a call, in a row",
        "in a pool",
        "memory of one",
    ]
    return table(head, rows)


def day_figures(found: Mapping[str, Any], policy: str) -> dict[str, float]:
    """What the day costs with a policy."""
    outages = [one[policy] for one in found.values()]
    in_trouble = sum([one["trouble_s"][1] - one["trouble_s"][0] for one in outages]) * fleet.FLEET_RATE
    return {
        "failed": sum([one["failed"] for one in outages]),
        "extra": sum([(one["per_call"] - 1) * one["calls"] for one in outages]) / in_trouble,
        "to_sick_per_s": sum([one["to_sick_per_s"] for one in outages]) / len(outages),
        "turned_away": sum([one["turned_away"] for one in outages]) / sum([one["calls"] for one in outages]),
        "steepest_per_s": max([one["steepest_per_s"] for one in outages]),
    }


def day_totals(found: Mapping[str, Any]) -> str:
    """The day with each policy."""
    rows = []
    for policy in POLICIES:
        figures = day_figures(found, policy)
        rows.append(
            [
                policy,
                f"{figures['failed']:,}",
                f"{figures['extra']:.3f}",
                f"{figures['to_sick_per_s']:,.0f}",
                f"{figures['turned_away']:.2%}".replace("%", " %"),
                f"{figures['steepest_per_s']:,.0f}",
            ]
        )
    head = [
        "breaker",
        "failed calls of the day",
        "extra requests per call in trouble",
        "requests to the sick, per s",
        "calls that met a failure",
        "steepest return, per s in a second",
    ]
    return table(head, rows)


def day_table(found: Mapping[str, Any]) -> str:
    """Each outage: requests per second that the sick endpoint gets after 10 s, and the callers' p99."""
    rows = []
    for policy in POLICIES:
        rows.append(
            [
                f"{policy}: to the sick, per s",
                *[f"{one[policy]['to_sick_per_s']:,.0f}" for one in found.values()],
            ]
        )
        rows.append([f"{policy}: p99, s", *[f"{one[policy]['p99_s']:.1f}" for one in found.values()]])
        back = [one[policy]["back_after_s"] for one in found.values()]
        rows.append([f"{policy}: back after, s", *["> 120" if at is None else f"{at}" for at in back]])
    return table(["", *[name.upper() for name in found]], rows)


def report(found: Mapping[str, Any]) -> str:
    outages = found["day"]
    played = sum([one[POLICIES[0]]["calls"] for one in outages.values()])
    whole = fleet.DAY_S * fleet.FLEET_RATE
    return "\n".join(
        [
            f"Measured {found['machine']}.",
            "",
            f"Calls at once in one process, {RATE:g} beginning per second; what is added to the provider's "
            "own time:",
            "",
            concurrency_table(found["concurrency"]),
            "",
            "Endpoints behind one chain, one call at a time, all of them well:",
            "",
            endpoint_table(found["endpoints"]),
            "",
            f"A day of {fleet.FLEET_RATE:,.0f} calls per second by {fleet.PROCESSES} processes that share "
            f"nothing, {whole / 1e6:.1f} million calls, with each of the twelve outages once, at its full "
            f"length. Played are the {played / 1e6:.1f} million calls around the outages "
            f"({fleet.SAMPLED} of the processes call by call, each request counting for {fleet.WEIGHT:g} at "
            "the provider); in the other hours every call is answered by the first endpoint. Selection, "
            "breakers, slow start, repeats and their budget are fallbackio's own code, also around the other "
            "breakers; providers and their times are modelled.",
            "",
            day_totals(outages),
            "",
            day_table(outages),
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="little of everything")
    parser.add_argument("--write", action="store_true", help="keep the results")
    parser.add_argument("--point", nargs=4, help=argparse.SUPPRESS)
    options: Any = parser.parse_args()
    logging.disable(logging.WARNING)
    allow_many_files()
    if options.point:
        who, url, concurrent, latency_s = options.point
        print(json.dumps(asyncio.run(point(who, url, int(concurrent), float(latency_s)))))
        return
    quick = options.quick
    found = {
        "machine": machine(),
        "concurrency": asyncio.run(concurrency(CONCURRENT[:3] if quick else CONCURRENT)),
        "endpoints": asyncio.run(endpoints(ENDPOINTS, 2 if quick else 9, 50 if quick else 200)),
        "day": day(("s1", "s12") if quick else fleet.OUTAGES),
    }
    print(report(found))
    if options.write:
        save("scale", found)


if __name__ == "__main__":
    main()
