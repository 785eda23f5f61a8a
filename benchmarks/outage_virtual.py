"""The outages at full size, in virtual time: fallbackio beside an oracle, thousands of calls each.

The same scenarios, contenders and endpoints as in `outage.py`, but unshrunk and in one process whose
clock jumps.  No peer can take part (their clocks do not), and nothing costs time but what the scenario
says: what is compared are decisions, over enough calls for a 99th percentile.  How busy the machine is
changes nothing.

    python benchmarks/outage_virtual.py             # prints
    python benchmarks/outage_virtual.py --write     # and keeps the results, for report.py
    python benchmarks/outage_virtual.py --quick
"""

from __future__ import annotations

import argparse
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

import outage_full_size
from attrs import asdict
from outage import ATTEMPT_S, GIVE_UP_S, SEED, arrivals, settings
from outage_figures import packed, summary, unpacked
from outage_provider import Stage
from outage_scenarios import NAMES, OUTAGES, Lengths, Play, play_of, text
from page import save

from fallbackio.testing import MemoryLoop

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

FULL = Lengths(healthy_s=30, trouble_s=110, recovery_s=30, rate=20, tokens=6)
QUICK = Lengths(healthy_s=15, trouble_s=20, recovery_s=10, rate=5, tokens=6)
QUICK_OUTAGES = ("s1", "s6", "total")


def told(lengths: Lengths) -> dict[str, Any]:
    """What every contender is told here, where nothing is shrunk."""
    usual = settings({"text": text(lengths.tokens)})
    return {**usual, "attempt_s": ATTEMPT_S, "give_up_s": GIVE_UP_S, "scale": 1.0}


def jobs(outages: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Which scenario with whom."""
    return ((name, who) for name in outages for who in (*CHAINS, "oracle"))


def measure(outages: Sequence[str], lengths: Lengths) -> dict[str, Any]:
    """Figures by scenario and contender; on all processors."""
    found: dict[str, Any] = {name: {} for name in outages}
    # Fresh interpreters: a fork of a process that has run event loops is asking for trouble.
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        futures = [(name, who, pool.submit(one, name, who, lengths)) for name, who in jobs(outages)]
        for name, who, future in futures:
            found[name][who] = future.result()
            if who == "oracle":
                print(f"  in virtual time: {name}", file=sys.stderr, flush=True)
    return {"lengths": asdict(lengths), "plays": found}


def one(name: str, who: str, lengths: Lengths) -> dict[str, Any]:
    """One scenario with one contender."""
    logging.disable(logging.CRITICAL)
    play = play_of(name, lengths)
    at = arrivals(play.duration_s, lengths.rate, SEED)
    with asyncio.Runner(loop_factory=MemoryLoop) as runner:
        records = runner.run(_played(play, who, at, told(lengths)))
    return summary(unpacked(play, at, packed(play, records)))


async def _played(play: Play, who: str, at: list[float], settings: dict[str, Any]) -> dict[str, Any]:
    module = bare if who == "oracle" else chains
    arguments: dict[str, Any] = {**CHAINS.get(who, {})}
    if who == "oracle":
        arguments["schedule"] = [(since, max(which, 0)) for since, which in play.healthy]
    worker = Worker(module, arguments, 0.0, 0)
    async with AsyncExitStack() as stack:
        stage = Stage(stack)
        added = await stage.do_add({"contender": who, "seed": SEED, "endpoints": play.begin})
        await worker.do_open({"key": "play", "urls": added["urls"], "settings": settings})
        begin = time.time() + 1
        await stage.do_play({"begin": begin, "contenders": [(0.0, who)], "events": play.events})
        order = {"begin": begin, "at": at, "keys": ["play"], "streams": [False, True]}
        played = await worker.do_play(order)
        counts = await stage.do_counts({"names": list(NAMES)})
        await worker.do_close({"key": "play"})
        await asyncio.sleep(0.1)
    return {**played, "counts": counts["counts"][who]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="little of everything")
    parser.add_argument("--write", action="store_true", help="keep the results, for report.py")
    options: Any = parser.parse_args()
    found = measure(QUICK_OUTAGES, QUICK) if options.quick else measure(OUTAGES, FULL)
    print(outage_full_size.report(outage_full_size.FullSize.of(found)))
    if options.write:
        save("outage-virtual", found)


if __name__ == "__main__":
    main()
