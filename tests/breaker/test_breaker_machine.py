"""The breaker's own life: when it opens, for how long, who probes, and what closes it."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from breaker_kit import Bench

from fallbackio.breaker import Breaker, BreakerPolicy, Permit, Severity
from fallbackio.breaker._aiobreaker import State
from fallbackio.breaker._table import PHASES, TRANSITIONS, Signal
from fallbackio.events import BreakerMoved

HARD, SLOW, THROTTLED, FATAL = Severity.HARD, Severity.SLOW, Severity.THROTTLED, Severity.FATAL


class TestClosed:
    def test_a_run_opens_it_and_not_one_failure_less(self) -> None:
        """Five hard failures in a row open it; the caller after that is refused."""
        bench = Bench(rates=())
        bench.fail(4)
        assert "closed" == bench.phase()
        bench.fail()
        assert "open" == bench.phase()
        assert bench.breaker.acquire() is None

    def test_a_success_ends_the_run(self) -> None:
        """Four failures, a success and four failures are no run of five."""
        bench = Bench(rates=())
        for _ in range(100):
            bench.fail(4)
            bench.succeed()
        assert ("closed", 0) == (bench.phase(), bench.breaker.fail_counter)

    def test_a_throttled_call_neither_extends_nor_ends_the_run(self) -> None:
        """A 429 shows an endpoint that is alive, and says nothing about the failures around it."""
        bench = Bench(rates=())
        bench.fail(4)
        bench.fail(10, THROTTLED)
        assert ("closed", 4) == (bench.phase(), bench.breaker.fail_counter)
        bench.fail()
        assert "open" == bench.phase()

    def test_slow_answers_make_a_run_of_their_own_or_with_failures(self) -> None:
        """Five in a row that broke or came far too late open it, whichever it was."""
        bench = Bench()
        for severity in (SLOW, HARD, SLOW, HARD):
            bench.fail(1, severity)
        assert ("closed", 4) == (bench.phase(), bench.breaker.fail_counter)
        bench.take().failed(SLOW, reason="answered after 20 s")
        assert "open" == bench.phase()
        assert "5 failures in a row (answered after 20 s)" == bench.moves[0].reason

    def test_an_answer_that_begins_in_time_ends_a_run_of_those_that_did_not(self) -> None:
        """Its end, a minute later, says nothing more of that: by then they may fail again."""
        bench = Bench(rates=())
        long = bench.take()
        bench.fail(2, SLOW)
        bench.fail(2, HARD)
        long.began()
        assert (0, 1) == (bench.breaker.fail_counter, bench.breaker.in_flight)
        bench.fail(4)
        long.ok()
        assert ("closed", 4, 0) == (bench.phase(), bench.breaker.fail_counter, bench.breaker.in_flight)
        bench.fail()
        assert "open" == bench.phase()

    def test_an_answer_that_comes_whole_ends_a_run_of_broken_ones(self) -> None:
        """That others begin does not: an endpoint that breaks every answer in its midst begins each well."""
        bench = Bench(rates=())
        whole, *broken = [bench.take() for _ in range(10)]
        for permit in (whole, *broken):
            permit.began()
        for permit in broken[:4]:
            permit.failed()
        bench.take().began()
        assert ("closed", 4) == (bench.phase(), bench.breaker.fail_counter)
        whole.ok()
        assert ("closed", 0) == (bench.phase(), bench.breaker.fail_counter)
        for permit in broken[4:]:
            permit.failed()
        assert "open" == bench.phase()

    def test_an_answer_of_before_the_trip_that_begins_is_ignored(self) -> None:
        """Neither does it close the breaker, nor does one that has ended begin."""
        bench = Bench(rates=())
        late = bench.take()
        bench.tripped()
        late.began()
        assert ("open", 5) == (bench.phase(), bench.breaker.fail_counter)
        late.ok()
        with pytest.raises(RuntimeError, match="already ended"):
            late.began()

    def test_slow_answers_are_calls_of_the_window_and_no_failures_of_it(self) -> None:
        """An endpoint of which every second answer is slow still answers: no ratio opens it."""
        bench = Bench()
        for _ in range(100):
            bench.fail(4, SLOW)
            bench.succeed()
        assert ("closed", (500, 0)) == (bench.phase(), bench.breaker.recent())

    def test_a_slow_answer_does_not_complete_a_ratio(self) -> None:
        """As any other answer: nine failures and a slow one are judged when the next failure comes in."""
        bench = Bench(consecutive=1000)
        bench.fail(9)
        bench.fail(1, SLOW)
        assert "closed" == bench.phase()
        bench.fail()
        assert "open" == bench.phase()

    @pytest.mark.parametrize("severity", [HARD, THROTTLED])
    def test_a_rate_opens_it_at_its_minimum_of_calls(self, severity: Severity) -> None:
        """Half of ten opens it, throttled calls included; half of eight does not."""
        bench = Bench()
        for _ in range(4):
            bench.fail(1, severity)
            bench.succeed()
        assert "closed" == bench.phase()
        bench.succeed()
        bench.fail(1, severity)
        assert "open" == bench.phase()

    def test_a_brown_out_opens_it_by_the_second_rate(self) -> None:
        """One failure in four never makes a run, but is 20 % of 50 soon enough."""
        bench = Bench()
        settled = 0
        while bench.phase() == "closed":
            bench.take().failed() if settled % 4 == 3 else bench.succeed()
            settled += 1
        assert 52 == settled
        assert "13 of 52 calls failed within 30 s" == bench.moves[0].reason

    @pytest.mark.parametrize(("ratio", "calls"), [(0.1, 30), (0.2, 50), (0.3, 10), (0.7, 10), (1.0, 3)])
    def test_a_ratio_met_exactly_counts(self, ratio: float, calls: int) -> None:
        """Three of thirty are 10 %, however floats round."""
        bench = Bench(consecutive=1000, rates=[(ratio, calls)])
        failures = round(ratio * calls)
        bench.succeed(calls - failures)
        bench.fail(failures - 1)
        assert "closed" == bench.phase()
        bench.fail()
        assert "open" == bench.phase()

    def test_failures_leave_the_window(self) -> None:
        """What failed more than 30 s ago does not open it now."""
        bench = Bench(consecutive=1000)
        bench.fail(9)
        bench.wait(30)
        bench.fail(9)
        assert "closed" == bench.phase()
        bench.fail()
        assert "open" == bench.phase()

    def test_an_answer_never_opens_it(self) -> None:
        """A ratio is judged when a failure comes in, not when a success completes the minimum."""
        bench = Bench(consecutive=1000)
        bench.fail(9)
        bench.succeed()
        assert "closed" == bench.phase()
        bench.fail()
        assert "open" == bench.phase()

    def test_a_fatal_failure_opens_it_at_once_for_the_longest_period(self) -> None:
        """A bad key will not mend itself within five seconds."""
        bench = Bench()
        bench.take().failed(FATAL, reason="key refused")
        assert ("open", 120.0) == (bench.phase(), bench.breaker.retry_in_s)
        assert "a fatal failure (key refused)" == bench.moves[0].reason

    def test_leaving_teaches_nothing(self) -> None:
        """A thousand cancelled calls neither open it nor end a run."""
        bench = Bench()
        bench.fail(4)
        for _ in range(1000):
            bench.take().left()
        assert ("closed", 4) == (bench.phase(), bench.breaker.fail_counter)
        bench.fail()
        assert "open" == bench.phase()

    def test_no_limit_on_calls(self) -> None:
        """Closed, everybody passes, as an ordinary permit."""
        bench = Bench()
        permits = [bench.take() for _ in range(1000)]
        assert 1000 == bench.breaker.in_flight
        assert not any(permit.probe or permit.forced for permit in permits)


class TestResting:
    def test_it_rests_for_as_long_as_the_provider_asked(self) -> None:
        """After a 429 with Retry-After nobody passes until that very instant; it stays closed."""
        bench = Bench()
        bench.fail(1, THROTTLED, 20.0)
        assert ("closed", 20.0) == (bench.phase(), bench.breaker.retry_in_s)
        bench.wait(19.75)
        assert (None, 0.25) == (bench.breaker.acquire(), bench.breaker.retry_in_s)
        bench.wait(0.25)
        assert 0.0 == bench.breaker.retry_in_s
        permit = bench.take()
        assert (False, False) == (permit.probe, permit.forced)
        assert [] == bench.moves
        looks = bench.looks
        bench.take()
        assert looks == bench.looks  # the rest is over and forgotten

    def test_a_rest_is_capped(self) -> None:
        """A Retry-After of a day costs five minutes."""
        bench = Bench()
        bench.fail(1, THROTTLED, 86400.0)
        assert 300.0 == bench.breaker.retry_in_s

    @pytest.mark.parametrize("retry_after_s", [None, 0.0, -5.0, float("nan")])
    def test_nothing_asked_no_rest(self, retry_after_s: float | None) -> None:
        """A 429 without a usable Retry-After does not rest."""
        bench = Bench()
        bench.fail(1, THROTTLED, retry_after_s)
        assert 0.0 == bench.breaker.retry_in_s
        bench.take()

    def test_only_a_throttled_call_rests(self) -> None:
        """A 503 with Retry-After counts as any hard failure; others may be served."""
        bench = Bench()
        bench.fail(1, HARD, 20.0)
        bench.take()

    def test_a_rest_is_never_shortened(self) -> None:
        """Of two calls that are told 20 s and 5 s, the longer wish holds; a longer one extends."""
        bench = Bench()
        first, second, third = bench.take(), bench.take(), bench.take()
        first.failed(THROTTLED, 20.0)
        second.failed(THROTTLED, 5.0)
        assert 20.0 == bench.breaker.retry_in_s
        third.failed(THROTTLED, 40.0)
        assert 40.0 == bench.breaker.retry_in_s

    def test_a_success_does_not_end_a_rest(self) -> None:
        """A call that was under way when the rest began has no say in it."""
        bench = Bench()
        early = bench.take()
        bench.fail(1, THROTTLED, 20.0)
        early.ok()
        assert 20.0 == bench.breaker.retry_in_s

    def test_opening_does_not_shorten_a_rest(self) -> None:
        """Who trips while it rests stays away for the rest at least."""
        bench = Bench(rates=())
        others = [bench.take() for _ in range(5)]
        bench.fail(1, THROTTLED, 60.0)
        for permit in others:
            permit.failed()
        assert ("open", 60.0) == (bench.phase(), bench.breaker.retry_in_s)
        assert 60.0 == bench.moves[0].open_s

    def test_it_rests_with_another_that_shares_its_limits(self) -> None:
        """Told to rest it lets nobody pass for so long, and nothing is held against it."""
        bench = Bench()
        bench.succeed()
        bench.breaker.rest(20.0)
        assert (None, "closed", 20.0) == (bench.breaker.acquire(), bench.phase(), bench.breaker.retry_in_s)
        bench.breaker.rest(5.0)
        assert 20.0 == bench.breaker.retry_in_s
        assert ((1, 0), 0, []) == (bench.breaker.recent(), bench.breaker.fail_counter, bench.moves)
        bench.wait(20.0)
        bench.take()
        looks = bench.looks
        bench.take()
        assert looks == bench.looks

    @pytest.mark.parametrize("retry_after_s", [None, 0.0, -5.0, float("nan")])
    def test_told_to_rest_for_no_time_it_does_not(self, retry_after_s: float | None) -> None:
        """Nonsense is nothing, and a day is five minutes."""
        bench = Bench()
        bench.breaker.rest(retry_after_s)
        bench.take()
        bench.breaker.rest(86400.0)
        assert 300.0 == bench.breaker.retry_in_s

    def test_an_open_period_lasts_as_long_as_the_rest(self) -> None:
        """Open, it sends no probe while those that share its limits rest; a longer period stays as it is."""
        bench = Bench(open_s=30).tripped()
        bench.breaker.rest(20.0)
        assert ("open", 30.0) == (bench.phase(), bench.breaker.retry_in_s)
        bench.breaker.rest(60.0)
        bench.wait(59.0)
        assert bench.breaker.acquire() is None
        bench.wait(1.0)
        assert bench.take().probe

    def test_a_probe_that_is_out_is_not_disturbed_by_a_rest(self) -> None:
        """It finds out for itself: answered, it closes the breaker, and there is no rest."""
        bench = Bench()
        probe = bench.probing()
        bench.breaker.rest(20.0)
        assert bench.breaker.retry_in_s <= 0.1
        probe.ok()
        assert ("closed", 0.0) == (bench.phase(), bench.breaker.retry_in_s)
        bench.take()

    def test_the_next_probe_waits_for_the_rest(self) -> None:
        """Half open, with the probe's place free, nobody takes it before the rest is over."""
        bench = Bench()
        bench.probing().left()
        bench.breaker.rest(20.0)
        assert (None, 20.0) == (bench.breaker.acquire(), bench.breaker.retry_in_s)
        bench.wait(20.0)
        assert bench.take().probe

    def test_closing_ends_an_old_rest(self) -> None:
        """A probe that is answered leaves no rest behind."""
        bench = Bench(rates=())
        others = [bench.take() for _ in range(5)]
        bench.fail(1, THROTTLED, 60.0)
        for permit in others:
            permit.failed()
        bench.breaker.force().ok()
        assert ("closed", 0.0) == (bench.phase(), bench.breaker.retry_in_s)
        bench.take()


class TestOpenPeriod:
    def test_it_is_over_at_its_instant(self) -> None:
        """Refused a millisecond before, the probe at the instant itself."""
        bench = Bench().tripped()
        assert 5.0 == bench.breaker.retry_in_s
        bench.wait(4.999)
        assert bench.breaker.acquire() is None
        bench.time = 1005.0
        assert 0.0 == bench.breaker.retry_in_s
        assert bench.take().probe

    def test_it_doubles_up_to_the_longest(self) -> None:
        """Probe after failed probe: 5, 10, 20, 40, 80, then 120 s for ever."""
        bench = Bench().tripped()
        periods = []
        for _ in range(8):
            periods.append(bench.breaker.retry_in_s)
            bench.wait(bench.breaker.retry_in_s)
            bench.take().failed()
        assert [5, 10, 20, 40, 80, 120, 120, 120] == periods

    def test_a_thousand_failed_probes_overflow_nothing(self) -> None:
        """Doubling stops at the cap, also within."""
        bench = Bench().tripped()
        for _ in range(1100):
            bench.wait(bench.breaker.retry_in_s)
            bench.take().failed()
        assert 120.0 == bench.breaker.retry_in_s

    @pytest.mark.parametrize("severity", [HARD, SLOW, THROTTLED])
    def test_any_failure_of_the_probe_opens_it_again(self, severity: Severity) -> None:
        """A probe answered 429 is a failed probe."""
        bench = Bench()
        bench.probing().failed(severity, reason="why not")
        assert ("open", 10.0) == (bench.phase(), bench.breaker.retry_in_s)
        assert "the probe failed (why not)" == bench.moves[-1].reason

    def test_a_fatal_probe_takes_the_longest_period_and_the_next_no_less(self) -> None:
        """After a bad key a later, milder failure does not come back sooner."""
        bench = Bench()
        bench.probing().failed(FATAL)
        assert 120.0 == bench.breaker.retry_in_s
        bench.wait(120.0)
        bench.take().failed(HARD)
        assert 120.0 == bench.breaker.retry_in_s

    @pytest.mark.parametrize(
        ("retry_after_s", "open_s"),
        [(60.0, 60.0), (7.0, 7.0), (0.5, 5.0), (86400.0, 300.0), (0.0, 10.0), (-1.0, 10.0)],
    )
    @pytest.mark.parametrize("severity", [HARD, THROTTLED])
    def test_retry_after_sets_the_period(
        self, severity: Severity, retry_after_s: float, open_s: float
    ) -> None:
        """In place of the doubled period, capped, but never below the first period."""
        bench = Bench()
        bench.probing().failed(severity, retry_after_s)
        assert open_s == bench.breaker.retry_in_s
        assert open_s == bench.moves[-1].open_s

    def test_retry_after_of_a_fatal_failure_holds_too(self) -> None:
        """Who says when to come back is believed."""
        bench = Bench()
        bench.fail(1, FATAL, 30.0)
        assert 30.0 == bench.breaker.retry_in_s

    def test_doubling_goes_on_beneath_retry_after(self) -> None:
        """A period set by the provider counts as one opening."""
        bench = Bench()
        bench.probing().failed(THROTTLED, 60.0)
        bench.wait(60.0)
        bench.take().failed()
        assert 20.0 == bench.breaker.retry_in_s

    def test_retry_after_is_not_jittered(self) -> None:
        """The provider named the instant."""
        bench = Bench(jitter_ratio=1.0)
        bench.breaker.force().failed(FATAL, 60.0)
        assert 60.0 == bench.breaker.retry_in_s

    def test_jitter_only_lengthens(self) -> None:
        """Over a thousand breakers the first period lies in [5, 5.5) s, and all over it."""
        periods = []
        for seed in range(1000):
            breaker = Breaker("it", clock=lambda: 0.0, chance=random.Random(seed))
            breaker.open()
            periods.append(breaker.retry_in_s)
        assert 5.0 <= min(periods) < 5.01
        assert 5.49 < max(periods) < 5.5

    def test_jitter_is_drawn_from_the_given_chance(self) -> None:
        """The same seed gives the same period."""
        wanted = 5 * (1 + 0.1 * random.Random(42).random())
        breaker = Breaker("it", clock=lambda: 0.0, chance=random.Random(42))
        breaker.open()
        assert wanted == breaker.retry_in_s


class TestForgetting:
    def flap(self, closed_s: float) -> float:
        """The period after: opened twice (5 s, 10 s), answered, closed for so long, opened again."""
        bench = Bench()
        bench.probing().failed()
        bench.wait(10.0)
        bench.take().ok()
        bench.wait(closed_s)
        return bench.tripped().breaker.retry_in_s

    def test_an_endpoint_that_flaps_is_left_alone_for_longer(self) -> None:
        """One answered probe forgets nothing: a trip soon after goes on doubling."""
        assert 20.0 == self.flap(closed_s=19.75)

    def test_one_that_stayed_closed_starts_afresh(self) -> None:
        """Closed for as long as the next open period would be, it has proved healthy."""
        assert 5.0 == self.flap(closed_s=20.0)

    def test_the_very_first_trip_is_fresh(self) -> None:
        """There is nothing to forget in the first second of its life."""
        assert 5.0 == Bench().tripped().breaker.retry_in_s

    def test_a_flapping_endpoint_costs_ever_less(self) -> None:
        """20 s up, 20 s down, a call a second: far fewer failures in the second ten minutes."""
        bench = Bench()
        failures = [0, 0]
        for second in range(1200):
            permit = bench.breaker.acquire()
            if permit is not None and second % 40 < 20:
                permit.failed()
                failures[second // 600] += 1
            elif permit is not None:
                permit.ok()
            bench.wait(1.0)
        # Forgetting at once would cost five failures and two failed probes in every cycle: 105.
        assert failures[0] < 40
        assert failures[1] < 20

    def test_it_closes_with_an_empty_window(self) -> None:
        """Failures from before the trip do not count after it."""
        bench = Bench(consecutive=1000)
        bench.fail(10)
        bench.wait(5.0)
        bench.take().ok()
        bench.fail(9)
        assert "closed" == bench.phase()
        bench.fail()
        assert "open" == bench.phase()

    def test_it_closes_with_an_empty_run(self) -> None:
        """After a close it takes the whole run again."""
        bench = Bench(rates=())
        bench.probing().ok()
        bench.fail(4)
        assert "closed" == bench.phase()


class TestHalfOpen:
    def test_exactly_one_probe(self) -> None:
        """Of a hundred who ask at once, one goes."""
        bench = Bench().tripped()
        bench.wait(5.0)
        permits = [bench.breaker.acquire() for _ in range(100)]
        assert [True] == [permit.probe for permit in permits if permit is not None]
        assert ("half_open", 1) == (bench.phase(), bench.breaker.in_flight)

    def test_the_probe_closes_it(self) -> None:
        """Answered, everybody passes again."""
        bench = Bench()
        bench.probing().ok()
        assert ["open", "half_open", "closed"] == bench.path
        assert [bench.take().probe for _ in range(100)] == [False] * 100

    def test_a_probe_that_left_frees_its_place_at_once(self) -> None:
        """Cancelled, we learnt nothing: still half open, and the next to ask is the probe."""
        bench = Bench()
        bench.probing().left()
        assert ("half_open", 0.0) == (bench.phase(), bench.breaker.retry_in_s)
        second = bench.take()
        assert second.probe
        assert bench.breaker.acquire() is None
        second.ok()
        assert "closed" == bench.phase()

    def test_a_thousand_cancelled_probes_cost_no_place(self) -> None:
        """No probe's place is ever lost or doubled by cancellation."""
        bench = Bench()
        probe = bench.probing()
        for _ in range(1000):
            assert bench.breaker.acquire() is None
            probe.left()
            probe = bench.take()
        assert (1, "half_open") == (bench.breaker.in_flight, bench.phase())

    def test_a_failure_after_a_cancelled_probe_still_doubles(self) -> None:
        """A probe that left counts for nothing in the open time either."""
        bench = Bench()
        bench.probing().left()
        bench.take().failed()
        assert 10.0 == bench.breaker.retry_in_s

    def test_a_probe_that_was_beaten_frees_its_place_after_the_first_period(self) -> None:
        """Another was quicker: still half open, and nobody probes for 5 s, which is what is said."""
        bench = Bench()
        bench.probing().beaten()
        assert ("half_open", 5.0, 0) == (bench.phase(), bench.breaker.retry_in_s, bench.breaker.in_flight)
        bench.wait(4.75)
        assert (None, 0.25) == (bench.breaker.acquire(), bench.breaker.retry_in_s)
        bench.wait(0.25)
        assert 0.0 == bench.breaker.retry_in_s
        second = bench.take()
        assert second.probe
        assert 0.1 == bench.breaker.retry_in_s
        second.ok()
        assert ["open", "half_open", "closed"] == bench.path

    def test_a_probe_that_is_beaten_again_and_again_waits_no_longer(self) -> None:
        """It counts for nothing in the open time, so that a healthy endpoint is not punished for losing."""
        bench = Bench()
        probe = bench.probing()
        for _ in range(10):
            probe.beaten()
            assert 5.0 == bench.breaker.retry_in_s
            bench.wait(5.0)
            probe = bench.take()
        probe.left()
        bench.take().failed()
        assert 10.0 == bench.breaker.retry_in_s

    def test_beaten_in_any_other_way_it_has_left(self) -> None:
        """Only a probe has a place: closed nothing changes, and a forced call holds nobody up."""
        bench = Bench()
        bench.fail(4)
        bench.take().beaten()
        assert ("closed", 4, (4, 4)) == (bench.phase(), bench.breaker.fail_counter, bench.breaker.recent())
        bench.fail()
        bench.breaker.force().beaten()
        assert ("open", 5.0) == (bench.phase(), bench.breaker.retry_in_s)

    def test_a_call_that_is_forced_meanwhile_closes_it(self) -> None:
        """The wait after a beaten probe holds up probes, and no news."""
        bench = Bench()
        bench.probing().beaten()
        forced = bench.breaker.force()
        assert forced.forced
        forced.ok()
        assert ("closed", 0.0) == (bench.phase(), bench.breaker.retry_in_s)

    def test_while_the_probe_is_out_nobody_knows(self) -> None:
        """`retry_in_s` is small and over zero: worth asking again soon, no reason to spin."""
        bench = Bench()
        bench.probing()
        assert 0.1 == bench.breaker.retry_in_s

    def test_a_lost_probe_blocks_for_its_patience_only(self) -> None:
        """A probe out for two minutes no longer holds the place."""
        bench = Bench()
        lost = bench.probing()
        bench.wait(119.75)
        assert bench.breaker.acquire() is None
        bench.wait(0.1875)
        assert 0.0625 == bench.breaker.retry_in_s
        bench.wait(0.0625)
        assert 0.0 == bench.breaker.retry_in_s
        assert bench.take().probe
        assert bench.breaker.acquire() is None
        lost.left()
        assert bench.breaker.acquire() is None

    def test_a_probe_that_was_not_replaced_still_counts(self) -> None:
        """Late, but nobody else has asked: its answer is the best news there is."""
        bench = Bench()
        late = bench.probing()
        bench.wait(500.0)
        late.ok()
        assert "closed" == bench.phase()

    def test_patience_does_not_lengthen_the_open_period(self) -> None:
        """A failed probe is followed by its 10 s, not by the rest of its two minutes."""
        bench = Bench()
        bench.probing().failed()
        bench.wait(10.0)
        assert bench.take().probe


class TestForced:
    def test_it_goes_through_an_open_breaker(self) -> None:
        """Panic mode: a permit whatever the state, and any number of them."""
        bench = Bench().tripped()
        permits = [bench.breaker.force() for _ in range(3)]
        assert [(True, False)] * 3 == [(permit.forced, permit.probe) for permit in permits]
        assert ("open", 3) == (bench.phase(), bench.breaker.in_flight)

    def test_its_success_closes_an_open_breaker(self) -> None:
        """An answer is an answer."""
        bench = Bench().tripped()
        bench.breaker.force().ok()
        assert ("closed", "a forced call was answered") == (bench.phase(), bench.moves[-1].reason)
        assert not bench.take().probe

    @pytest.mark.parametrize(
        "end",
        [
            lambda permit: permit.failed(),
            lambda permit: permit.failed(SLOW),
            lambda permit: permit.failed(THROTTLED, 300.0),
            lambda permit: permit.failed(FATAL),
            lambda permit: permit.left(),
            lambda permit: permit.beaten(),
        ],
        ids=["failed", "slow", "throttled", "fatal", "left", "beaten"],
    )
    @pytest.mark.parametrize("half_open", [False, True], ids=["open", "half_open"])
    def test_nothing_else_of_it_changes_anything(
        self, end: Callable[[Permit], None], half_open: bool
    ) -> None:
        """That an open breaker is rightly open is no news, and the probe keeps its place."""
        bench = Bench()
        if half_open:
            bench.probing()
        else:
            bench.tripped()
        before = (bench.phase(), bench.breaker.retry_in_s, bench.breaker.in_flight, bench.path)
        end(bench.breaker.force())
        assert before == (
            bench.phase(),
            bench.breaker.retry_in_s,
            bench.breaker.in_flight,
            bench.path,
        )
        assert bench.breaker.acquire() is None

    def test_its_success_closes_a_half_open_breaker_and_the_probe_is_late(self) -> None:
        """Whoever is answered first decides."""
        bench = Bench()
        probe = bench.probing()
        bench.breaker.force().ok()
        assert "closed" == bench.phase()
        probe.failed(FATAL)
        assert "closed" == bench.phase()

    def test_from_before_the_probe_it_no_longer_decides(self) -> None:
        """A probe that went out later knows more."""
        bench = Bench().tripped()
        forced = bench.breaker.force()
        bench.wait(5.0)
        bench.take()
        forced.ok()
        assert "half_open" == bench.phase()

    def test_where_acquire_would_do_it_is_that_permit(self) -> None:
        """Closed, it is ordinary; after the open period, it is the probe."""
        bench = Bench()
        permit = bench.breaker.force()
        assert (False, False) == (permit.forced, permit.probe)
        bench.tripped()
        bench.wait(5.0)
        probe = bench.breaker.force()
        assert (False, True) == (probe.forced, probe.probe)
        probe.failed()
        assert 10.0 == bench.breaker.retry_in_s

    def test_through_a_rest_it_counts_as_any_other(self) -> None:
        """A closed breaker learns from it, and the rest goes on."""
        bench = Bench(rates=())
        bench.fail(1, THROTTLED, 20.0)
        permit = bench.breaker.force()
        assert permit.forced
        permit.ok()
        assert 20.0 == bench.breaker.retry_in_s
        for _ in range(5):
            bench.breaker.force().failed()
        assert "open" == bench.phase()


class TestPermits:
    @pytest.mark.parametrize("first", ["ok", "failed", "left", "beaten"])
    @pytest.mark.parametrize("second", ["ok", "failed", "left", "beaten"])
    def test_a_second_end_is_our_bug_and_counts_for_nothing(self, first: str, second: str) -> None:
        """Ending a permit twice raises and leaves the count of permits right."""
        bench = Bench()
        permit, _other = bench.take(), bench.take()
        getattr(permit, first)()
        with pytest.raises(RuntimeError, match="already ended"):
            getattr(permit, second)()
        assert 1 == bench.breaker.in_flight

    def test_a_probe_ended_twice_frees_one_place(self) -> None:
        """The successor's place is its own."""
        bench = Bench()
        probe = bench.probing()
        probe.left()
        bench.take()
        with pytest.raises(RuntimeError):
            probe.left()
        assert bench.breaker.acquire() is None

    def test_the_usual_call_is_cheap(self) -> None:
        """Closed and not resting, asking reads no clock and succeeding reads it once."""
        bench = Bench()
        permit = bench.take()
        assert 0 == bench.looks
        permit.ok()
        assert 1 == bench.looks

    def test_repr_tells_state_and_no_more(self) -> None:
        """What a log shows of them."""
        bench = Bench()
        probe = bench.probing()
        assert ("<Breaker 'it' half_open, 1 in flight>", "<Permit probe, out>") == (
            repr(bench.breaker),
            repr(probe),
        )
        probe.left()
        assert "<Permit probe, ended>" == repr(probe)


class TestByHand:
    def test_open(self) -> None:
        """An operator can take an endpoint out, and it comes back through a probe."""
        bench = Bench()
        bench.breaker.open()
        assert ("open", 5.0, "opened by hand") == (
            bench.phase(),
            bench.breaker.retry_in_s,
            bench.moves[0].reason,
        )
        bench.wait(1.0)
        bench.breaker.open()
        assert 4.0 == bench.breaker.retry_in_s

    def test_close(self) -> None:
        """An operator can put it back; a late probe then has no say."""
        bench = Bench()
        probe = bench.probing()
        bench.breaker.close()
        probe.failed()
        assert ("closed", 0, 0.0) == (
            bench.phase(),
            bench.breaker.fail_counter,
            bench.breaker.retry_in_s,
        )
        bench.breaker.close()
        assert ["open", "half_open", "closed"] == bench.path

    def test_half_open(self) -> None:
        """An operator can end the wait; there is still one probe only."""
        bench = Bench()
        bench.breaker.half_open()
        assert [] == bench.path
        bench.tripped()
        bench.breaker.half_open()
        assert ("half_open", 0.0) == (bench.phase(), bench.breaker.retry_in_s)
        assert bench.take().probe
        bench.breaker.half_open()
        assert bench.breaker.acquire() is None


class TestMoves:
    def test_every_move_is_told_with_its_reason(self) -> None:
        """Old and new state, seconds until the next probe, and why in words."""
        bench = Bench(consecutive=2)
        bench.fail()
        bench.take().failed(reason="server fault")
        bench.wait(5.0)
        bench.take().ok()
        assert [
            BreakerMoved(
                endpoint="it",
                old="closed",
                new="open",
                open_s=5.0,
                reason="2 failures in a row (server fault)",
            ),
            BreakerMoved(
                endpoint="it", old="open", new="half_open", open_s=0.0, reason="the open period is over"
            ),
            BreakerMoved(
                endpoint="it", old="half_open", new="closed", open_s=0.0, reason="the probe was answered"
            ),
        ] == bench.moves

    def test_the_state_is_whole_when_it_is_told(self) -> None:
        """Who asks the breaker from within a move sees the new state, and cannot steal the probe."""
        seen: list[tuple[str, int, Permit | None]] = []

        def look(move: BreakerMoved) -> None:
            seen.append((breaker.phase, breaker.in_flight, breaker.acquire()))

        time = [0.0]
        breaker = Breaker("it", BreakerPolicy(consecutive=1), clock=lambda: time[0], on_move=look)
        breaker.force().failed()
        time[0] = 6.0
        probe = breaker.acquire()
        assert probe is not None
        assert probe.probe
        assert [("open", 0, None), ("half_open", 1, None)] == seen
        probe.ok()
        assert ("closed", 0) == seen[-1][:2]
        assert seen[-1][2] is not None


def test_the_table_is_whole() -> None:
    """Every state can be reached and left, and only a trip opens, only an answer closes."""
    assert set(PHASES) == set(State) == {old for old, _ in TRANSITIONS} == set(TRANSITIONS.values())
    assert {Signal.TRIPPED} == {signal for (_, signal), new in TRANSITIONS.items() if new is State.OPEN}
    assert {Signal.ANSWERED} == {signal for (_, signal), new in TRANSITIONS.items() if new is State.CLOSED}
    assert all(old is not new for (old, _), new in TRANSITIONS.items())


def test_breakers_share_nothing() -> None:
    """Two breakers of the same name and policy know nothing of each other."""
    policy = BreakerPolicy()
    one, two = (Breaker("it", policy, clock=lambda: 0.0) for _ in range(2))
    one.open()
    assert ("open", "closed") == (one.phase, two.phase)


@pytest.mark.parametrize("probe", [False, True], ids=["ordinary", "probe"])
@pytest.mark.parametrize("end", ["ok", "failed"])
def test_a_permit_ended_outside_the_loop_is_still_given_back(end: str, probe: bool) -> None:
    """A clock that fails leaves no half-moved breaker and no permit behind."""
    fine = [True]

    def clock() -> float:
        if not fine[0]:
            raise RuntimeError("no running event loop")
        return 0.0

    breaker = Breaker("it", BreakerPolicy(consecutive=1), clock=clock)
    if probe:
        breaker.open()
        breaker.half_open()
    phase, permit = breaker.phase, breaker.force()
    assert probe == permit.probe
    fine[0] = False
    with pytest.raises(RuntimeError, match="no running"):
        getattr(permit, end)()
    fine[0] = True
    assert (0, phase) == (breaker.in_flight, breaker.phase)
    breaker.force().failed()
    assert (0, "half_open" if probe else "open") == (breaker.in_flight, breaker.phase)
