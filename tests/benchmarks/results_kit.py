"""Results as `outage.py` keeps them, made by hand: one outage, and contenders that do as they are told."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from attrs import frozen
from outage_figures import Call, Sample, packed
from outage_scenarios import Lengths, Play, play_of
from outage_singles import singles

OURS, HEDGE, PEER, OTHER = "fallbackio, sequence", "fallbackio, hedge", "LangChain", "pydantic-ai"
SCALE = 0.2

LENGTHS: dict[str, Any] = {
    "healthy_s": 20,
    "trouble_s": 50,
    "recovery_s": 30,
    "rate": 10,
    "tokens": 24,
    "scale": SCALE,
}
# Well until 4 s, the first endpoint in trouble from then on, until 14 s; calls come until 20 s.
PLAY = play_of("s1", Lengths(**LENGTHS))
DUE = [number / 10 for number in range(200)]


@frozen
class Behaves:
    """What a contender's calls come to, whenever they are due, and when which endpoint is asked."""

    end_s: Callable[[float], float] = lambda due: 0.25
    outcome: Callable[[float], str] = lambda due: "whole"
    served: Callable[[float], str] = lambda due: "alpha"
    asked: Callable[[float], Sequence[str]] = lambda due: ["alpha"]
    sick: int = 15
    cpu_us: float = 200.0
    rss_kib: int = 40 * 1024
    verdict: str = "whole"


def record(behaves: Behaves, due: float) -> list[Any]:
    end = behaves.end_s(due)
    return [due, end / 2, end, behaves.outcome(due), "stop", behaves.served(due), ""]


def played(behaves: Behaves, play: Play = PLAY) -> dict[str, Any]:
    """A contender's part of a play, packed."""
    asked: dict[str, list[float]] = {"alpha": [], "beta": [], "gamma": []}
    for due in DUE:
        for name in behaves.asked(due):
            asked[name].append(due)
    return packed(
        play,
        {
            "records": [record(behaves, due) for due in DUE],
            "counts": {
                name: {
                    "arrivals": arrivals,
                    "by_status": {"200": len(arrivals)},
                    "tokens": 24 * len(arrivals),
                }
                for name, arrivals in asked.items()
            },
            "cpu_s": 0.5,
            "late_p99_s": 0.001,
        },
    )


def raw(contenders: Mapping[str, Behaves]) -> dict[str, Any]:
    """A run of one outage and of everything going down."""
    parts = {name: played(behaves) for name, behaves in contenders.items()}
    play = {"at": DUE, "busy": 0.5, "late_p99_ms": 1.0, "contenders": parts}
    costs = {
        name: {
            "plain": [[one.cpu_us, 2 * one.cpu_us]],
            "stream": [[3 * one.cpu_us, 6 * one.cpu_us]],
            "rss_kib": one.rss_kib,
        }
        for name, one in contenders.items()
    }
    faults = [f"{single.name}-{kind}" for single in singles(SCALE) for kind in ("plain", "stream")]
    return {
        "machine": "2026-11-29, a machine",
        "real": {"lengths": LENGTHS, "plays": {"s1": [play], "total": [play]}},
        "imports": {name: {"s": 0.2, "kib": 17_000, "versions": {"a": "1"}} for name in contenders},
        "costs": costs,
        "cancelled": {
            name: {kind: {"left": 0, "requests": 20} for kind in ("plain", "stream")} for name in contenders
        },
        "sixty": {name: {"sick": one.sick} for name, one in contenders.items()},
        "singles": {
            name: {fault: {"record": [0.0, 0.1, 0.2, one.verdict, "stop", "beta", ""]} for fault in faults}
            for name, one in contenders.items()
        },
    }


def sample(*calls: tuple[float, float, str]) -> Sample:
    """Calls by when they were due, how long they took and the letter of what they came to."""
    return Sample(
        PLAY, [Call(due, None, end, letter, "alpha", False) for due, end, letter in calls], 0, 0, 0, 0.0
    )
