"""fallbackio beside its peers under outages: the same three endpoints, the same luck, the same calls.

Every contender is a process of its own, in an environment of its own, and talks over loopback to endpoints
of its own that all play the same scenario with the same seed at the same time.  Nothing is simulated in
the contenders: what is shrunk (by `SCALE`) are all times, theirs and the endpoints'.  The same outages at
full size, where the peers cannot follow, are `outage_virtual.py`.

    benchmarks/run                                # makes the environments, runs this and everything else
    python benchmarks/outage.py --venvs .venv-bench --write
    python benchmarks/outage.py --only fallbackio oracle --quick
"""

from __future__ import annotations

import argparse
import asyncio
import random
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import outage_report
from attrs import asdict, define, field, frozen
from outage_contenders import CONTENDERS, FLOOR, ORACLE, Contender, Failed, Process, start, start_provider
from outage_figures import packed
from outage_scenarios import NAMES, OUTAGES, Lengths, Play, play_of, text
from outage_singles import Single, long_outage, singles
from page import machine, save

SCALE = 0.2  # one second of a scenario takes so many here
ATTEMPT_S = 10.0  # a contender's patience with one endpoint, before scaling
GIVE_UP_S = 60.0  # a caller's patience
SEED = 20261129
MODEL = "gpt-4o-mini"
MESSAGES = [
    {"role": "system", "content": "You answer in one sentence."},
    {"role": "user", "content": "Summarize this ticket: the printer on the third floor is on fire."},
]

# Between two contenders' first calls, so that they do not all want the processor in the same instant.
STAGGER_S = 0.009
# Between two words of an answer whose cost is measured: each in a packet of its own, as from providers,
# and as fast as they go.
WORD_S = 1e-9
# From an order to the play that it orders.
PREPARE_S = 0.4


@frozen(kw_only=True)
class Size:
    """How much of everything."""

    rounds: int
    outages: Sequence[str]
    lengths: Lengths
    cost_rounds: int
    cost_calls: int
    imports: int


FULL = Size(
    rounds=2,
    outages=OUTAGES,
    lengths=Lengths(healthy_s=20, trouble_s=50, recovery_s=30, rate=10, tokens=24, scale=SCALE),
    cost_rounds=7,
    cost_calls=60,
    imports=2,
)
QUICK = Size(
    rounds=1,
    outages=("s1", "s6", "total"),
    lengths=Lengths(healthy_s=10, trouble_s=25, recovery_s=15, rate=10, tokens=24, scale=SCALE),
    cost_rounds=2,
    cost_calls=30,
    imports=1,
)


@define
class Run:
    """The processes of a run and what it found."""

    provider: Process
    workers: Mapping[str, Process]
    size: Size
    contenders: Sequence[Contender]
    results: dict[str, Any] = field(factory=dict)

    @property
    def names(self) -> list[str]:
        """Of all contenders."""
        return [contender.name for contender in self.contenders]

    @property
    def chains(self) -> list[str]:
        """Of those that have a choice: all but the bounds."""
        return [contender.name for contender in self.contenders if not contender.bound]

    async def all_tell(self, do: str, orders: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
        """Orders to several contenders at once; what they answer, by name."""
        told = [self.workers[name].tell(do, **order) for name, order in orders.items()]
        return dict(zip(orders, await asyncio.gather(*told), strict=True))

    async def set_up(
        self, name: str, key: str, endpoints: Mapping[str, Any], more: Mapping[str, Any], seed: int = SEED
    ) -> None:
        """Endpoints for a contender, and the contender opened with them under `key`."""
        added = await self.provider.tell("add", contender=name, seed=seed, endpoints=endpoints)
        await self.workers[name].tell("open", key=key, urls=added["urls"], settings=settings(more))


def settings(more: Mapping[str, Any]) -> dict[str, Any]:
    """What every contender is told."""
    return {
        "model": MODEL,
        "messages": MESSAGES,
        "names": list(NAMES),
        "attempt_s": ATTEMPT_S * SCALE,
        "give_up_s": GIVE_UP_S * SCALE,
        "scale": SCALE,
        **more,
    }


def say(text: str) -> None:
    """Progress, on standard error."""
    print(text, file=sys.stderr, flush=True)


def arrivals(duration_s: float, rate: float, seed: int) -> list[float]:
    """Instants of calls, at random."""
    lots, at = random.Random(seed), 0.0
    found = []
    while (at := at + lots.expovariate(rate)) < duration_s:
        found.append(round(at, 4))
    return found


def busy() -> tuple[float, float]:
    """Seconds that all processors have worked, and that they have been there."""
    with open("/proc/stat") as stat:
        ticks = [int(word) for word in stat.readline().split()[1:9]]
    return (sum(ticks) - ticks[3] - ticks[4]) / 100, sum(ticks) / 100


# The outages.


async def outages(run: Run) -> None:
    """All scenarios, all rounds; every contender at once, each call of them in its own time."""
    found: dict[str, list[dict[str, Any]]] = {}
    run.results["real"] = {"lengths": asdict(run.size.lengths), "plays": found}
    for number in range(run.size.rounds):
        for name in run.size.outages:
            play = play_of(name, run.size.lengths)
            began = time.monotonic()
            one = await outage(run, play, number)
            found.setdefault(name, []).append(one)
            say(
                f"  round {number + 1}/{run.size.rounds}  {name:6} {time.monotonic() - began:5.1f} s, "
                f"processors {one['busy']:.0%} busy, loops at most {one['late_p99_ms']:.0f} ms late (p99)"
            )


async def outage(run: Run, play: Play, number: int) -> dict[str, Any]:
    """One scenario once; what its calls came to."""
    # Other luck in every play: with the same, one straggler would come back in all of them.
    seed = SEED + 100 * number + OUTAGES.index(play.name)
    at = arrivals(play.duration_s, run.size.lengths.rate, seed)
    # Another one is first in every round.
    order = [run.names[(place + number) % len(run.names)] for place in range(len(run.names))]
    for name in order:
        more: dict[str, Any] = {"text": text(run.size.lengths.tokens)}
        if name == ORACLE.name:
            more["schedule"] = [(since, max(which, 0)) for since, which in play.healthy]
        await run.set_up(name, "play", play.begin, more, seed)
    begin = time.time() + PREPARE_S
    later = {name: place * STAGGER_S for place, name in enumerate(order)}
    # The floor's endpoints stay well.
    playing = [(later[name], name) for name in order if name != FLOOR.name]
    await run.provider.tell("play", begin=begin, contenders=playing, events=play.events)
    before = busy()
    answers = await run.all_tell(
        "play",
        {
            name: {"begin": begin + later[name], "at": at, "keys": ["play"], "streams": [False, True]}
            for name in order
        },
    )
    after = busy()
    counts = await run.provider.tell("counts", names=list(NAMES))
    await run.all_tell("close", {name: {"key": "play"} for name in order})
    return {
        "at": at,
        "busy": (after[0] - before[0]) / (after[1] - before[1]),
        "late_p99_ms": max([answers[name]["late_p99_s"] for name in order]) * 1e3,
        "contenders": {
            name: packed(play, {**answers[name], "counts": counts["counts"][name], "later": later[name]})
            for name in order
        },
    }


# Single faults.


async def single_faults(run: Run) -> None:
    """Each fault meets one plain call and one streamed one, of a contender that has seen nothing yet."""
    cases = singles(SCALE)
    found: dict[str, Any] = {name: {} for name in run.chains}
    for group in [cases[at : at + 4] for at in range(0, len(cases), 4)]:
        answers = await _faults(run, group, list(found))
        for name, records in answers.items():
            found[name] |= records
        say(f"  single faults: {', '.join([case.name for case in group])}")
    run.results["singles"] = found


async def _faults(run: Run, cases: Sequence[Single], names: Sequence[str]) -> dict[str, Any]:
    keys = [(f"{case.name}-{kind}", case) for case in cases for kind in ("plain", "stream")]
    for name in names:
        for key, case in keys:
            endpoints = {f"{key}-{one}": behaviour for one, behaviour in case.behaviours.items()}
            await run.set_up(name, key, endpoints, {"text": case.text})
    begin = time.time() + PREPARE_S
    order = {
        "begin": begin,
        "at": [number * 0.25 for number in range(len(keys))],
        "keys": [key for key, _ in keys],
        "streams": [False, True],
    }
    answers = await run.all_tell("play", dict.fromkeys(names, order))
    await run.provider.tell("play", begin=begin, contenders=[], events=[])
    counts = await run.provider.tell("counts", names=[f"{key}-{one}" for key, _ in keys for one in NAMES])
    for key, _ in keys:
        await run.all_tell("close", {name: {"key": key} for name in names})
    return {
        name: {
            key: {
                "record": answers[name]["records"][place],
                "requests": [counts["counts"][name][f"{key}-{one}"]["requests"] for one in NAMES],
            }
            for place, (key, _) in enumerate(keys)
        }
        for name in names
    }


async def sixty_seconds(run: Run) -> None:
    """The outage of 60 s: how many of 15 calls, 4 s apart, reach the endpoint that is down."""
    case = long_outage(SCALE)
    names = run.chains
    for name in names:
        await run.set_up(name, "long", case.begin, {"text": case.text})
    begin = time.time() + PREPARE_S
    playing = [(0.0, name) for name in names]
    await run.provider.tell("play", begin=begin, contenders=playing, events=case.events)
    order = {"begin": begin, "at": case.at, "keys": ["long"], "streams": [False]}
    answers = await run.all_tell("play", dict.fromkeys(names, order))
    counts = await run.provider.tell("counts", names=list(NAMES))
    await run.all_tell("close", {name: {"key": "long"} for name in names})
    run.results["sixty"] = {
        name: {
            "whole": sum([row[3] == "whole" for row in answers[name]["records"]]),
            "calls": len(case.at),
            "during": sum([at < case.ends_s for at in case.at]),
            # What a caller set off before the end may still arrive a little after it, when all is well.
            "sick": sum([at < case.ends_s for at in counts["counts"][name][NAMES[0]]["arrivals"]]),
        }
        for name in names
    }
    say("  the outage of 60 s")


# Costs.


async def costs(run: Run) -> None:
    """CPU per call at a healthy endpoint, one contender and one call at a time, contenders in turns."""
    found: dict[str, Any] = {name: {"plain": [], "stream": []} for name in run.names}
    for kind, pace_s in (("plain", 0.0), ("stream", WORD_S)):
        for name in run.names:
            healthy = {f"{kind}-{one}": {"tokens": 32, "pace_s": pace_s} for one in NAMES}
            await run.set_up(name, kind, healthy, {"text": text(32)})
            await run.workers[name].tell("measure", key=kind, calls=10, stream=kind == "stream")
    for number in range(run.size.cost_rounds):
        for place in range(len(run.names)):
            name = run.names[(place + number) % len(run.names)]
            for kind in ("plain", "stream"):
                told = {"key": kind, "calls": run.size.cost_calls, "stream": kind == "stream"}
                one = await run.workers[name].tell("measure", **told)
                found[name][kind].append([round(one["cpu_s"] * 1e6, 1), round(one["wall_s"] * 1e6, 1)])
                found[name]["rss_kib"] = one["rss_kib"]
        say(f"  cost of a healthy call: round {number + 1}/{run.size.cost_rounds}")
    for kind in ("plain", "stream"):
        await run.all_tell("close", {name: {"key": kind} for name in run.names})
    run.results["costs"] = found


async def cancellations(run: Run) -> None:
    """Twenty calls that nobody will answer are cancelled: what is left of them upstream, and for how long."""
    found: dict[str, Any] = {name: {} for name in run.names}
    names = [f"silent-{name}" for name in NAMES]
    silent = {name: {"fault": {"kind": "silence"}} for name in names}
    for name in run.names:
        for kind, stream in (("plain", False), ("stream", True)):
            await run.set_up(name, "cancel", silent, {"text": "", "attempt_s": 30.0, "give_up_s": 60.0})
            told = await run.workers[name].tell("cancel", key="cancel", calls=20, stream=stream, after_s=0.3)
            await asyncio.sleep(0.1)
            counts = await run.provider.tell("counts", names=names)
            left = [counts["counts"][name][one] for one in names]
            found[name][kind] = {
                **told,
                "left": sum([one["in_flight"] for one in left]),
                "requests": sum([one["requests"] for one in left]),
            }
            await run.workers[name].tell("close", key="cancel")
    say("  cancelled calls")
    run.results["cancelled"] = found


async def imports(contenders: Sequence[Contender], size: Size, venvs: Path | None) -> dict[str, Any]:
    """Seconds and MiB that importing takes, each in a fresh process and alone."""
    found: dict[str, Any] = {}
    for _ in range(size.imports):
        for contender in contenders:
            async with AsyncExitStack() as stack:
                [process] = (await start([contender], stack, venvs, SCALE)).values()
                hello = await process.tell("hello")
            one = found.setdefault(contender.name, {"s": [], "kib": [], "versions": hello["versions"]})
            one["s"].append(hello["import_s"])
            one["kib"].append(hello["imported_kib"])
    say("  imports")
    return {
        name: {
            "s": round(statistics.median(one["s"]), 3),
            "kib": round(statistics.median(one["kib"])),
            "versions": one["versions"],
        }
        for name, one in found.items()
    }


async def measure(contenders: Sequence[Contender], size: Size, venvs: Path | None) -> dict[str, Any]:
    """Everything that needs the peers."""
    imported = await imports(contenders, size, venvs)
    async with AsyncExitStack() as stack:
        provider = await start_provider(stack)
        workers = await start(contenders, stack, venvs, SCALE)
        for name, process in workers.items():
            await process.tell("hello")
            say(f"  {name} is there")
        run = Run(provider, workers, size, contenders, {"imports": imported})
        for part in (costs, cancellations, single_faults, sixty_seconds, outages):
            await part(run)
    return run.results


def chosen(only: Sequence[str] | None) -> list[Contender]:
    """Those whose names begin so; by default all."""
    return [
        contender
        for contender in CONTENDERS
        if not only or any(contender.name.startswith(begin) for begin in only)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument(
        "--venvs", type=Path, help="folder of the contenders' environments; by default this one for all"
    )
    parser.add_argument("--only", nargs="*", help="contenders whose names begin so")
    parser.add_argument("--quick", action="store_true", help="little of everything")
    parser.add_argument("--write", action="store_true", help="keep the results, for report.py")
    options: Any = parser.parse_args()
    began = time.monotonic()
    size, contenders = QUICK if options.quick else FULL, chosen(options.only)
    try:
        found = asyncio.run(measure(contenders, size, options.venvs))
    except Failed as error:
        sys.exit(f"outage.py: {error}")
    found["machine"] = machine()
    say(f"  {time.monotonic() - began:.0f} s in all")
    print(outage_report.report(outage_report.findings(found), SCALE))
    if options.write:
        save("outage", found)


if __name__ == "__main__":
    main()
