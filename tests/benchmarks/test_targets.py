"""Targets: what is measured is held against what is wanted, and said either way."""

from __future__ import annotations

from typing import Any

import outage_targets
from outage_full_size import FullSize, report
from outage_report import findings
from report import overhead_targets
from results_kit import HEDGE, OURS, SCALE, Behaves, raw


def play(steady: float, onset: float, whole: int = 10, per_call: float = 1.0) -> dict[str, Any]:
    phase = {"calls": 10, "whole": whole, "p50": steady, "p99": steady}
    times = dict.fromkeys(("left_after_s", "back_after_s", "mostly_back_after_s"), 1.0)
    return {
        "healthy": phase,
        "onset": {**phase, "p99": onset},
        "steady": phase,
        "recovery": phase,
        "per_call_in_trouble": per_call,
        **times,
    }


def full(ours: dict[str, Any]) -> FullSize:
    outage = {"sequence": ours, "hedge": ours, "oracle": play(1.0, 1.0)}
    return FullSize(20, 30, {"s1": outage, "s2": outage, "total": outage})


def test_all_met() -> None:
    """As good as the oracle meets every target."""
    assert all(one.met for one in outage_targets.full_size_targets(full(play(1.0, 1.0)), 10))


def test_missed_ones_say_where() -> None:
    """A figure that is too high, a call without an answer, and requests that are too many."""
    missed = [
        one
        for one in outage_targets.full_size_targets(full(play(2.0, 30.0, whole=9, per_call=1.5)), 10)
        if not one.met
    ]

    assert len(missed) == 10
    assert missed[0].row()[2:] == ["2.00 × (S1); met in 0 of 2, not in S1, S2", "**no**"]
    assert "90.00 % (S1)" in [one.measured for one in missed]


def test_beside_the_peers() -> None:
    """Requests to the sick endpoint and the ends of single faults are counted from what was kept."""
    good, bad = Behaves(sick=4), Behaves(sick=7, verdict="false")
    met = outage_targets.targets(findings(raw({OURS: good, HEDGE: good})), SCALE)
    missed = outage_targets.targets(findings(raw({OURS: bad, HEDGE: good})), SCALE)

    assert [one.met for one in met] == [True] * 4
    assert [(one.measured, one.met) for one in missed][:2] == [("7", False), ("0", False)]


def test_processor_time() -> None:
    """At the target it is met, above it is not."""
    kept = {"plain": {"cpu_ratio": 1.3}, "stream": {"cpu_ratio": 1.51}}

    assert [one.met for one in overhead_targets(kept)] == [True, False]


def test_the_table_at_full_size() -> None:
    """Every chain has its rows, an endpoint that is never left or back is said to be so."""
    never = {**play(1.5, 3.0), "left_after_s": None, "mostly_back_after_s": None}
    said = report(full(never))

    assert "| sequence: steady p50, × oracle | 1.50 | 1.50 |" in said
    assert "| hedge: left after | never | never |" in said
    assert "| hedge: first back after | 1.0 s | 1.0 s |" in said
    assert "| hedge: nine tenths back after | > 30 s | > 30 s |" in said
