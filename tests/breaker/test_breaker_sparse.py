"""Where calls are few: fewer failures open it if they have lasted, and it stays open for several calls."""

from __future__ import annotations

import math
import random
from typing import Any

import pytest
from breaker_kit import Bench

from fallbackio.breaker import Severity

HARD, SLOW, THROTTLED = Severity.HARD, Severity.SLOW, Severity.THROTTLED


def paced(gaps_s: list[float], severities: list[Severity] | None = None, **policy: Any) -> Bench:
    """A breaker after a failure, and one more after each of these gaps."""
    bench = Bench(rates=(), **policy)
    kinds = severities or [HARD] * (len(gaps_s) + 1)
    bench.fail(1, kinds[0])
    for gap_s, kind in zip(gaps_s, kinds[1:], strict=True):
        bench.wait(gap_s)
        bench.fail(1, kind)
    return bench


class TestOpening:
    def test_three_failures_that_have_lasted_open_it(self) -> None:
        """At one call in four seconds the third failure does, and its reason says over how long."""
        bench = paced([4, 4])
        assert "open" == bench.phase()
        assert "3 failures in a row over 8 s" == bench.moves[0].reason

    @pytest.mark.parametrize(
        ("gaps_s", "phase"),
        [
            ([3, 3], "open"),
            ([3, 2.75], "closed"),
            ([0, 6], "open"),
            ([100], "closed"),
            ([1, 1, 1], "closed"),
            ([2, 2, 2], "open"),
        ],
        ids=str,
    )
    def test_from_the_first_to_the_last_of_them_it_is_six_seconds(
        self, gaps_s: list[float], phase: str
    ) -> None:
        """Six seconds and three failures, whichever is met last; no less of either."""
        assert phase == paced(gaps_s).phase()

    def test_a_success_ends_the_run_and_its_time(self) -> None:
        """Failures on both sides of an answer are two runs."""
        bench = paced([4])
        bench.wait(4)
        bench.succeed()
        for _ in range(2):
            bench.wait(4)
            bench.fail()
        assert ("closed", 2) == (bench.phase(), bench.breaker.fail_counter)

    def test_a_failure_of_long_ago_is_not_part_of_it(self) -> None:
        """After more than the longest open period both the count and the time of this rule begin anew."""
        bench = paced([3600, 4])
        assert "closed" == bench.phase()
        bench.wait(4)
        bench.fail()
        assert ("open", 20.0) == (bench.phase(), bench.breaker.retry_in_s)

    def test_failures_in_a_row_need_no_pace(self) -> None:
        """Five of them open it however far apart they lie."""
        bench = paced([3600] * 4)
        assert "open" == bench.phase()
        assert "5 failures in a row" == bench.moves[0].reason

    def test_a_throttled_call_neither_ends_nor_lengthens_the_run(self) -> None:
        """It neither counts as the third failure nor takes the two before it back."""
        bench = paced([4, 4], [HARD, HARD, THROTTLED])
        assert "closed" == bench.phase()
        bench.wait(4)
        bench.fail()
        assert "open" == bench.phase()

    def test_slow_answers_need_the_whole_run(self) -> None:
        """One caller's prompts that grow are slow one after another; that takes all five."""
        bench = paced([10, 10, 10], [SLOW, HARD, SLOW, HARD])
        assert "closed" == bench.phase()
        bench.wait(10)
        bench.fail(1, SLOW)
        assert "open" == bench.phase()

    @pytest.mark.parametrize(
        ("policy", "failures"),
        [
            ({"consecutive": 1}, 1),
            ({"consecutive": 2}, 2),
            ({"consecutive": 3}, 3),
            ({"consecutive": 4}, 3),
            ({"consecutive": 10}, 6),
            ({"consecutive": 1000}, 600),
            ({"consecutive": 10, "sparse_ratio": 0.1}, 3),
            ({"consecutive": 10, "sparse_ratio": 0.7}, 7),
            ({"consecutive": 10, "sparse_ratio": 1}, 10),
            ({"sparse_after_s": None}, 5),
            ({"sparse_after_s": 13}, 5),
            ({"sparse_after_s": 12}, 4),
        ],
        ids=str,
    )
    def test_it_is_a_share_of_the_usual_run(self, policy: dict[str, Any], failures: int) -> None:
        """Three fifths of `consecutive`, never under three of its own, and it can be switched off."""
        assert "closed" == paced([4] * (failures - 2), **policy).phase() if failures > 1 else True
        assert "open" == paced([4] * (failures - 1), **policy).phase()

    def test_a_close_by_hand_begins_anew(self) -> None:
        """Neither the count nor the time of a run outlives a close."""
        bench = paced([4, 4])
        bench.breaker.close()
        for _ in range(2):
            bench.wait(4)
            bench.fail()
        assert "closed" == bench.phase()

    @pytest.mark.parametrize(
        ("every_s", "at_random", "a_day"),
        [(3, False, 0.75), (4, False, 0.57), (3.7, True, 0.32)],
        ids=str,
    )
    def test_chance_trips_it_less_than_once_a_day(
        self, every_s: float, at_random: bool, a_day: float
    ) -> None:
        """At 3 % baseline failures; 3 s and, at random instants, 3.7 s are the paces where it does most."""
        chance, bench, days = random.Random(5), Bench(rates=()), 180
        end = bench.time + days * 86400
        while bench.time < end:
            answers = int(math.log(1 - chance.random()) / math.log(0.97))  # before the next failure
            if answers:
                bench.succeed()
            bench.wait(chance.gammavariate(answers + 1, every_s) if at_random else (answers + 1) * every_s)
            bench.fail()
            bench.breaker.close()
        trips = sum(move.new == "open" for move in bench.moves)
        assert pytest.approx(a_day, rel=0.2) == trips / days


class TestOpenPeriod:
    def test_it_lasts_for_five_calls_of_the_pace_and_doubles(self) -> None:
        """Failures at 0, 4 and 8 s: 20 s, then 40, 80 and the longest."""
        bench = paced([4, 4])
        periods = []
        for _ in range(5):
            periods.append(bench.breaker.retry_in_s)
            bench.wait(bench.breaker.retry_in_s)
            bench.take().failed()
        assert [20, 40, 80, 120, 120] == periods

    @pytest.mark.parametrize(
        ("gaps_s", "open_s"),
        [
            ([3, 9], 30),
            ([0.05] * 4, 5),
            ([1] * 4, 5),
            ([1.5] * 4, 7.5),
            ([0, 0, 0, 0], 5),
            ([100, 100], 120),
        ],
        ids=str,
    )
    def test_it_goes_by_the_mean_gap_of_the_run(self, gaps_s: list[float], open_s: float) -> None:
        """Never below `open_s`, so that dense traffic sees no difference, and never over `max_open_s`."""
        assert open_s == paced(gaps_s).breaker.retry_in_s

    @pytest.mark.parametrize(("min_open_gaps", "open_s"), [(0, 5), (2.5, 10), (100, 120)])
    def test_how_many_calls_is_a_setting(self, min_open_gaps: float, open_s: float) -> None:
        """And 0 switches it off."""
        assert open_s == paced([4, 4], min_open_gaps=min_open_gaps).breaker.retry_in_s

    def test_jitter_lengthens_it_as_any_other(self) -> None:
        """Callers of one pace do not come back together."""
        assert 20 < paced([4, 4], jitter_ratio=0.1).breaker.retry_in_s < 22

    def test_the_first_failure_of_all_has_no_gap(self) -> None:
        """Where one failure opens it there is no pace to go by."""
        assert 5.0 == paced([], consecutive=1).breaker.retry_in_s

    def test_a_retry_after_stays_as_it_was_asked(self) -> None:
        """The provider knows better, and the period counts as one opening of its length or ours."""
        bench = paced([4])
        bench.wait(4)
        bench.take().failed(HARD, 7.0)
        assert 7.0 == bench.breaker.retry_in_s
        bench.wait(7)
        bench.take().failed()
        assert 40.0 == bench.breaker.retry_in_s

    def test_only_the_run_that_opened_it_says_the_pace(self) -> None:
        """Failures around many throttled calls are far apart, and calls are not."""
        bench = Bench(rates=[(0.5, 10)], sparse_after_s=None)
        bench.fail()
        for _ in range(8):
            bench.wait(3)
            bench.fail(1, THROTTLED)
        bench.wait(3)
        bench.fail()
        assert ("open", 5.0) == (bench.phase(), bench.breaker.retry_in_s)

    @pytest.mark.parametrize(("closed_s", "open_s"), [(31.75, 40), (32, 20)])
    def test_it_is_forgotten_once_it_stayed_closed_for_as_long_as_the_next(
        self, closed_s: float, open_s: float
    ) -> None:
        """After 20 s the next is 40 s: a trip within 40 s of the close takes it, a later one 20 s again."""
        bench = paced([4, 4])
        bench.wait(20)
        bench.take().ok()
        bench.wait(closed_s)
        bench.fail()
        for _ in range(2):
            bench.wait(4)
            bench.fail()
        assert ("open", open_s) == (bench.phase(), bench.breaker.retry_in_s)
