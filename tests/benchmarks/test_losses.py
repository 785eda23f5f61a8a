"""Where others do better: found if it is so, and not found if it is noise or was not the same work."""

from __future__ import annotations

import math
from typing import Any

import losses
from attrs import evolve
from outage_report import findings
from results_kit import HEDGE, OTHER, OURS, PEER, SCALE, Behaves, raw
from scale import POLICIES

FAST = Behaves(end_s=lambda due: 0.2)


def said(contenders: dict[str, Behaves], overhead: Any = None, kept: Any = None) -> str:
    return losses.text(findings(raw(contenders)), overhead, kept, SCALE)


def test_beyond_noise_only() -> None:
    """Six percent less is a loss, four is none; the best comes first."""
    [loss] = losses.beaten({"ours": 1.0}, {"a": 0.96, "b": 0.94, "c": 0.5, "d": math.nan})

    assert [*loss.better] == [("c", 0.5), ("b", 0.94)]
    assert loss.by == 0.5


def test_what_never_happened_loses() -> None:
    """Never is later than anything; not known is not compared."""
    assert [*losses.beaten({"ours": math.inf}, {"a": 3.0})]
    assert not [*losses.beaten({"ours": math.nan}, {"a": 3.0})]


def test_nothing_lost() -> None:
    """Where all are alike no section stands."""
    assert "###" not in said({OURS: Behaves(), PEER: Behaves()})


def test_a_faster_peer() -> None:
    """Over all and in the outage, with both figures."""
    text = said({OURS: Behaves(), PEER: FAST, OTHER: Behaves()})

    assert "- P50, all of S1 to S12: sequence 250 ms; better LangChain (200 ms)." in text
    assert "- P90: sequence in S1 by 20 % (LangChain)." in text


def test_each_strategy_stands_for_itself() -> None:
    """That the hedge is as fast as the peer does not excuse the sequence."""
    text = said({OURS: Behaves(), HEDGE: FAST, PEER: FAST})

    assert "- P50, all of S1 to S12: sequence 250 ms; better LangChain (200 ms)." in text
    assert "hedge 200 ms" not in text


def test_a_peer_that_lost_answers_is_not_faster() -> None:
    """Its times do not count where it gave fewer whole answers; elsewhere they do."""
    careless = evolve(FAST, outcome=lambda due: "error" if 5 < due < 6 else "whole")
    text = said({OURS: Behaves(), PEER: careless})

    assert "P50, all of S1" not in text
    assert "In each outage" not in text
    assert "- P50, before the trouble: sequence 250 ms; better LangChain (200 ms)." in text


def test_answers_that_we_lost() -> None:
    """Fewer whole answers and false successes are losses however few they are."""
    text = said({OURS: Behaves(outcome=lambda due: "false" if due == 5 else "whole"), PEER: Behaves()})

    assert "- Calls without a whole answer, S1: sequence 0.50 %; better LangChain (0.00 %)." in text
    assert "- False successes, S1 to S12: sequence 1; better LangChain (0)." in text


def test_costs_count_whatever_came_of_the_calls() -> None:
    """Requests, money, the way back and processor time, also beside a peer that answers nothing."""
    ours = Behaves(
        asked=lambda due: ["alpha", "beta"], served=lambda due: "beta" if due > 4 else "alpha", cpu_us=100
    )
    text = said({OURS: ours, PEER: Behaves(outcome=lambda due: "error", cpu_us=50, sick=3)})

    for line in (
        "Requests per call, S1 to S12: sequence 2.00; better LangChain (1.00).",
        "A million calls: sequence 36.30 $; better LangChain (18.15 $).",
        "Time from the recovery until it answers nine tenths: sequence > 6 s; better LangChain (0.0 s).",
        "CPU of a healthy call: sequence 100 µs; better LangChain (50 µs).",
        "Requests to the sick endpoint of `outage-60s`: sequence 15; better LangChain (3).",
    ):
        assert f"- {line}" in text


def test_single_faults() -> None:
    """An answer is better than the right error, and that is better than a wrong one."""
    text = said({OURS: Behaves(verdict="error"), PEER: Behaves(), OTHER: Behaves(verdict="error")})

    both = "by sequence (plain), sequence (stream)"
    assert f"- `content-filter`: the right error {both}; an answer by LangChain." in text
    assert f"- `cut`: a wrong end {both}; a right one by LangChain." in text


def test_a_fleet() -> None:
    """Over the day and in each outage, beside every other policy; later than two minutes is said so."""
    ours: dict[str, Any] = {
        "trouble_s": [0, 10],
        "calls": 10_000,
        "failed": 0,
        "per_call": 1.1,
        "to_sick_per_s": 50.0,
        "turned_away": 10,
        "steepest_per_s": 5.0,
        "p50_s": 1.0,
        "p99_s": 2.0,
        "back_after_s": None,
    }
    theirs = {**ours, "back_after_s": 3, "turned_away": 1}
    day = {"s1": dict.fromkeys(POLICIES, theirs) | {"fallbackio": ours}}
    text = said({OURS: Behaves(), PEER: Behaves()}, kept={"day": day, "concurrency": {}})

    assert "- Calls that met a failure, over the day: fallbackio 0.10 %; better “" in text
    assert "back, beside “5 in a row, 60 s”: S1 > 120 s to 3 s." in text


def test_beside_bare() -> None:
    """What only asks costs less, and by how much; within the noise is not said."""
    overhead = {kind: {"cpu_ratio": 1.04, "wall_ratio": 1.0} for kind in ("plain", "stream", "packet")}
    overhead["plain"] = {"cpu_ratio": 1.73, "wall_ratio": 1.41}
    both = {"bare": {"cpu_us": 100, "kib": 10.0}, "ours": {"cpu_us": 150, "kib": 16.0}}
    kept = {"day": {}, "concurrency": {"10": both, "1000": both}}
    lines = [*losses.beside_bare(findings(raw({OURS: Behaves()})), overhead, kept)]

    assert lines == [
        "CPU of a call in one process with it: 1.73 times as much, 1.41 by the wall.",
        "CPU of a call, 10 at once: 1.50 times as much.",
        "CPU of a call, 1,000 at once: 1.50 times as much.",
        "memory of a call, 1,000 at once: 6.0 KiB more.",
    ]
