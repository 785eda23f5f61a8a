"""From records to figures: phases, quantiles, outcomes, and how an endpoint is left and asked again."""

from __future__ import annotations

import math

import pytest
from outage_figures import (
    PROMPT_TOKENS,
    READ_USD,
    WRITTEN_USD,
    cost_usd,
    ends,
    left_after,
    pooled,
    shares,
    success,
    summary,
    unpacked,
    worst,
)
from page import quantile
from results_kit import DUE, PLAY, Behaves, played, sample

BEGINS, ENDS = PLAY.trouble_s


@pytest.mark.parametrize(("level", "expected"), [(0, 1), (0.5, 51), (0.99, 100), (1, 100)])
def test_quantiles(level: float, expected: float) -> None:
    """A quantile is a value that was measured; the highest is the largest of them."""
    assert quantile(range(1, 101), level) == expected
    assert quantile([7.0], level) == 7.0


def test_a_quantile_of_nothing_is_no_number() -> None:
    """Nothing measured is not zero."""
    assert math.isnan(quantile([], 0.5))


def test_phases() -> None:
    """A call belongs to the phase in which it was due, however long it takes."""
    one = sample((3.9, 9.0, "w"), (4.0, 0.1, "w"), (5.9, 0.1, "w"), (6.0, 0.1, "w"), (14.0, 0.1, "w"))

    assert [len(one.part(phase)) for phase in ("healthy", "onset", "steady", "recovery")] == [1, 2, 1, 1]
    assert len(pooled([one, one], "onset", "steady")) == 6
    assert len(pooled([one, one])) == 10


def test_only_whole_answers_are_successes() -> None:
    """An error, a false success and a call that was given up are none, and their times do not count."""
    calls = sample((0, 1.0, "w"), (1, 9.0, "f"), (2, 9.0, "e"), (3, 9.0, "g")).calls

    assert success(calls) == 0.25
    assert ends(calls, 0.99) == 1.0


def test_what_is_kept_comes_back() -> None:
    """Packed and unpacked, outcomes, endpoints and times are the same, to the millisecond."""
    kept = played(
        Behaves(
            end_s=lambda due: 0.25 + due / 1000,
            outcome=lambda due: "gave up" if due == 5 else "false" if due == 6 else "whole",
            served=lambda due: "beta" if due < 10 else "gamma",
        )
    )
    calls = unpacked(PLAY, DUE, kept).calls

    assert [call.due_s for call in calls] == DUE
    assert [call.outcome for call in calls if not call.whole] == ["g", "f"]
    assert [*shares(calls)] == [0, 0.5, 0.5]
    assert calls[100].end_s == pytest.approx(0.26)
    assert [call.ttft_s is None for call in calls[:4]] == [True, False, True, False]
    assert calls[1].ttft_s == pytest.approx(0.125, abs=0.001)


def test_requests_while_somebody_is_not_well() -> None:
    """Requests count to the sick endpoint only while it is sick, and per call only in the trouble."""
    one = unpacked(PLAY, DUE, played(Behaves(asked=lambda due: ["alpha", "beta"])))

    assert (one.requests, one.to_sick, one.in_trouble) == (400, 100, 200)
    assert one.per_call_in_trouble == 2


def test_the_sick_endpoint_is_left_when_nearly_nobody_asks_it() -> None:
    """It is left at the last request before a pause; a single probe later is no return."""
    arrivals = [due for due in DUE if due < 4.75] + [8.0]

    assert left_after(PLAY, DUE, arrivals) == pytest.approx(0.7)
    assert left_after(PLAY, DUE, []) == 0


def test_who_never_leaves_it() -> None:
    """Without a breaker every call asks it, also if it is not asked when the trouble is nearly over."""
    assert left_after(PLAY, DUE, DUE) == math.inf
    assert left_after(PLAY, DUE, [due for due in DUE if due < ENDS - 0.5]) == math.inf


def test_the_way_back() -> None:
    """The first answer is one thing, nine tenths of them another; a share of half is never back."""
    ramp = Behaves(served=lambda due: "alpha" if due >= ENDS + 3 or round(due * 10) % 4 == 0 else "beta")
    half = Behaves(served=lambda due: "alpha" if round(due * 10) % 2 else "beta")
    ramping, halving = [unpacked(PLAY, DUE, played(one)) for one in (ramp, half)]

    assert ramping.back_after_s == pytest.approx(0, abs=0.3)
    assert ramping.mostly_back_after_s == pytest.approx(3, abs=0.3)
    assert halving.mostly_back_after_s == math.inf


def test_what_requests_cost() -> None:
    """Prompts whose answer began and tokens that were sent; an answer with an error is free."""
    counts = [{"by_status": {"200": 2, "503": 9}, "tokens": 30}, {"by_status": {}, "tokens": 0}]

    assert cost_usd(counts) == pytest.approx(2 * PROMPT_TOKENS * READ_USD + 30 * WRITTEN_USD)


def test_a_summary_is_json_without_infinities() -> None:
    """What never happened is `None` there, and every phase has its calls."""
    kept = summary(unpacked(PLAY, DUE, played(Behaves())))

    assert kept["left_after_s"] is None
    assert kept["back_after_s"] == 0
    assert [kept[phase]["calls"] for phase in ("healthy", "onset", "steady", "recovery")] == [40, 20, 80, 60]
    assert kept["steady"]["p99"] == 0.25


def test_the_worst_play_is_the_one_without_a_figure() -> None:
    """What was not measured is worse than anything."""
    assert worst({"s1": 2.0, "s2": 3.0}) == ("s2", 3.0)
    assert worst({"s1": 2.0, "s2": math.nan})[0] == "s2"
