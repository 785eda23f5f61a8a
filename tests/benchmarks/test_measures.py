"""How costs, tails and a fleet's days are judged, in `overhead.py`, `tail.py`, `scale.py` and `fleet.py`."""

from __future__ import annotations

import itertools

import anyio
import fleet
import overhead
import pytest
import scale
import tail


def test_different_answers_are_not_compared() -> None:
    """Two calls that do not say the same are not the same work."""

    async def one() -> str:
        return "a"

    async def other() -> str:
        return "b"

    async def main() -> None:
        with pytest.raises(AssertionError):
            await overhead.compare("x", one, other, 1, 1)

    anyio.run(main)


def test_the_calls_that_nobody_disturbed_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever most calls cost on a busy machine, the cheapest of a hundred stand for what one costs."""
    spent = 0.0
    costs = {"base": itertools.cycle([1.0] + [9.0] * 49), "mine": itertools.cycle([2.0] + [5.0] * 49)}

    def costing(which: str) -> overhead.Call:
        async def call() -> str:
            nonlocal spent
            spent += next(costs[which])
            return "a"

        return call

    monkeypatch.setattr("time.process_time", lambda: spent)
    monkeypatch.setattr("time.perf_counter", lambda: 3 * spent)
    row = anyio.run(overhead.compare, "x", costing("base"), costing("mine"), 4, 50)
    usual = anyio.run(overhead.compare, "x", costing("base"), costing("mine"), 4, 50, overhead.USUAL)

    assert (row.bare_cpu_s, row.cpu_s, row.cpu_ratio, row.wall_ratio) == (1.0, 2.0, 2.0, 2.0)
    assert (usual.bare_cpu_s, usual.cpu_s) == (9.0, 5.0)


def test_memory_is_shown_of_many_calls_only() -> None:
    """Pages of memory are too coarse for ten calls."""
    point = {"cpu_us": 100.0, "kib": 10.0, "p50_ms": 1.0, "p99_ms": 2.0}
    few, many = scale.concurrency_table(
        {"10": {"bare": point, "ours": point}, "1000": {"bare": point, "ours": point}}
    ).splitlines()[2:]

    assert few == "| 10 | 100 µs | 100 µs | 1.00 | – | – | 1.0 · 2.0 ms | 1.0 · 2.0 ms |"
    assert "| 10.0 KiB | 10.0 KiB |" in many


def test_a_day_is_the_sum_of_its_outages() -> None:
    """Extra requests count per call in the trouble, the steepest return is the worst of all."""
    one = {
        "trouble_s": [10, 20],
        "calls": 50_000,
        "failed": 3,
        "per_call": 1.1,
        "to_sick_per_s": 10.0,
        "turned_away": 500,
        "steepest_per_s": 7.0,
    }
    day = {"s1": {"x": one}, "s2": {"x": {**one, "to_sick_per_s": 30.0, "steepest_per_s": 9.0}}}
    figures = scale.day_figures(day, "x")

    assert figures == {
        "failed": 6,
        "extra": pytest.approx(0.5),
        "to_sick_per_s": 20.0,
        "turned_away": 0.01,
        "steepest_per_s": 9.0,
    }


def test_a_fleet_with_and_without_breakers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without, the sick endpoint gets everything and is back at once; with ours it is left, then ramped."""
    monkeypatch.setattr(fleet, "FLEET_RATE", 50.0)
    none, ours = [fleet.one("s1", policy, 1) for policy in ("none", "fallbackio")]

    assert none["to_sick_per_s"] == pytest.approx(50, rel=0.1)
    assert none["back_after_s"] == 0
    assert ours["to_sick_per_s"] < 20
    assert ours["back_after_s"] is None or ours["back_after_s"] > 0
    assert (none["failed"], ours["failed"]) == (0, 0)
    assert none["turned_away"] > ours["turned_away"] > 0


def test_which_strategies_keep_the_tail() -> None:
    """A 95th percentile at the bound is not under it."""
    quick, slow = [tail.Result([seconds] * 100, 1.0, 0) for seconds in (0.5, 1.0)]

    assert tail.met({"a": quick, "b": slow}, 1.0) == "Under it: a. Not: b."
    assert "| b | 1000 | 1000 | 1000 (+100%) | 1000 | 0.0% | 0 |" in tail.table({"a": quick, "b": slow})
