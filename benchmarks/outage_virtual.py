"""The outages at full size, in virtual time: fallbackio beside an oracle, thousands of calls each.

The same scenarios, contenders and endpoints as in `outage.py`, but unshrunk and in one process whose
clock jumps.  No peer can take part (their clocks do not), and nothing costs time but what the scenario
says: what is compared are decisions, over enough calls for a 99th percentile.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import AsyncExitStack
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from attrs import asdict
from outage_figures import packed, summary, unpacked
from outage_provider import Stage
from outage_scenarios import NAMES, Lengths, Play, play_of

from fallbackio.testing import run

sys.path.insert(0, str(Path(__file__).with_name("peers")))  # where the contenders are, each a module

import bare
import chains
from worker import Worker

CHAINS: Mapping[str, Mapping[str, Any]] = {
    "sequence": {"strategy": "sequence"},
    "sequence, adaptive": {"strategy": "sequence", "ttft_timeout": "adaptive"},
    "hedge": {"strategy": "hedge"},
    "race": {"strategy": "race"},
}


def jobs(outages: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Which scenario with whom."""
    return ((name, who) for name in outages for who in (*CHAINS, "oracle"))


def measure(
    settings: dict[str, Any],
    arrivals: Any,
    seed: int,
    outages: Sequence[str],
    lengths: Lengths,
) -> dict[str, Any]:
    """Figures by scenario and contender; on all processors."""
    found: dict[str, Any] = {name: {} for name in outages}
    # Fresh interpreters: a fork of a process that has run event loops is asking for trouble.
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        futures = []
        for name, who in jobs(outages):
            at = arrivals(play_of(name, lengths).duration_s, lengths.rate, seed)
            futures.append((name, who, pool.submit(one, name, who, at, settings, seed, lengths)))
        for name, who, future in futures:
            found[name][who] = future.result()
            if who == "oracle":
                print(f"  in virtual time: {name}", file=sys.stderr, flush=True)
    return {"lengths": asdict(lengths), "plays": found}


def one(
    name: str, who: str, at: list[float], settings: dict[str, Any], seed: int, lengths: Lengths
) -> dict[str, Any]:
    """One scenario with one contender."""
    logging.disable(logging.CRITICAL)
    play = play_of(name, lengths)
    records = run(_played, play, who, at, settings, seed)
    return summary(unpacked(play, at, packed(play, records)))


async def _played(
    play: Play, who: str, at: list[float], settings: dict[str, Any], seed: int
) -> dict[str, Any]:
    module = bare if who == "oracle" else chains
    arguments: dict[str, Any] = {**CHAINS.get(who, {})}
    if who == "oracle":
        arguments["schedule"] = [(since, max(which, 0)) for since, which in play.healthy]
    worker = Worker(module, arguments, 0.0, 0)
    async with AsyncExitStack() as stack:
        stage = Stage(stack)
        added = await stage.do_add({"contender": who, "seed": seed, "endpoints": play.begin})
        await worker.do_open({"key": "play", "urls": added["urls"], "settings": settings})
        begin = time.time() + 1
        await stage.do_play({"begin": begin, "contenders": [(0.0, who)], "events": play.events})
        order = {"begin": begin, "at": at, "keys": ["play"], "streams": [False, True]}
        played = await worker.do_play(order)
        counts = await stage.do_counts({"names": list(NAMES)})
        await worker.do_close({"key": "play"})
        await asyncio.sleep(0.1)
    return {**played, "counts": counts["counts"][who]}
