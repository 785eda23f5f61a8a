"""Results that come too late: from before a trip, from a lost probe, from before a close.

With calls of 10 to 60 s and open periods of 5 s these are the ordinary case.  The letters are the
ten cases in which aiobreaker 1.2.0 believes such a result.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from breaker_kit import Bench

from fallbackio.breaker import Permit, Severity

ENDS: dict[str, Callable[[Permit], None]] = {
    "ok": lambda permit: permit.ok(),
    "failed": lambda permit: permit.failed(),
    "slow": lambda permit: permit.failed(Severity.SLOW),
    "throttled": lambda permit: permit.failed(Severity.THROTTLED, 300.0),
    "fatal": lambda permit: permit.failed(Severity.FATAL),
    "left": lambda permit: permit.left(),
    "beaten": lambda permit: permit.beaten(),
}

end = pytest.mark.parametrize("end", ENDS.values(), ids=ENDS.keys())


def snapshot(bench: Bench) -> tuple[object, ...]:
    breaker = bench.breaker
    return breaker.phase, breaker.retry_in_s, breaker.fail_counter, bench.path


def ends_unheard(bench: Bench, permit: Permit, end: Callable[[Permit], None]) -> None:
    """Ending `permit` gives it back and changes nothing else."""
    before, out = snapshot(bench), bench.breaker.in_flight
    end(permit)
    assert before == snapshot(bench)
    assert out - 1 == bench.breaker.in_flight


@end
def test_from_before_the_trip_while_open(end: Callable[[Permit], None]) -> None:
    """A, B: it neither extends the open period, nor hides the trip's cause, nor closes."""
    bench = Bench()
    late = bench.take()
    bench.tripped()
    bench.wait(2.0)
    ends_unheard(bench, late, end)
    bench.wait(3.0)
    assert bench.take().probe


@end
def test_from_before_the_trip_while_the_probe_is_out(end: Callable[[Permit], None]) -> None:
    """C, D: it speaks neither for nor against the probe, and does not free its place."""
    bench = Bench()
    late = bench.take()
    probe = bench.probing()
    ends_unheard(bench, late, end)
    assert bench.breaker.acquire() is None
    probe.ok()
    assert "closed" == bench.phase()


@end
def test_from_before_the_trip_after_the_close(end: Callable[[Permit], None]) -> None:
    """E: it is not held against, or for, the healed endpoint."""
    bench = Bench()
    late = bench.take()
    bench.probing().ok()
    bench.fail(2)
    ends_unheard(bench, late, end)


@end
def test_a_whole_herd_after_the_close(end: Callable[[Permit], None]) -> None:
    """F: a hundred calls from before the outage do not open it again."""
    bench = Bench()
    herd = [bench.take() for _ in range(100)]
    bench.probing().ok()
    for late in herd:
        ends_unheard(bench, late, end)
    # Nor have they filled the window: nine more failures would be over half of any hundred.
    bench.succeed(5)
    bench.fail(3)
    assert "closed" == bench.phase()


@end
def test_of_a_lost_probe_while_open_again(end: Callable[[Permit], None]) -> None:
    """G: a probe that was replaced does not close what its successor has opened."""
    bench = Bench()
    lost = bench.probing()
    bench.wait(120.0)
    bench.take().failed()
    ends_unheard(bench, lost, end)


@end
def test_of_a_lost_probe_while_its_successor_is_out(end: Callable[[Permit], None]) -> None:
    """A probe that was replaced does not speak for the one that replaced it."""
    bench = Bench()
    lost = bench.probing()
    bench.wait(120.0)
    successor = bench.take()
    ends_unheard(bench, lost, end)
    assert bench.breaker.acquire() is None
    successor.failed()
    assert 10.0 == bench.breaker.retry_in_s


@end
def test_of_a_lost_probe_after_the_close(end: Callable[[Permit], None]) -> None:
    """H: a probe that was replaced does not open what its successor has closed."""
    bench = Bench()
    lost = bench.probing()
    bench.wait(120.0)
    bench.take().ok()
    ends_unheard(bench, lost, end)


@end
def test_of_a_forced_call_in_another_open_period(end: Callable[[Permit], None]) -> None:
    """A call forced through the first open period says nothing about the second."""
    bench = Bench().tripped()
    forced = bench.breaker.force()
    bench.wait(5.0)
    bench.take().failed()
    ends_unheard(bench, forced, end)


@end
def test_of_a_forced_call_after_the_close(end: Callable[[Permit], None]) -> None:
    """A call forced through an open period does not count in the closed state after it."""
    bench = Bench().tripped()
    forced = bench.breaker.force()
    bench.breaker.force().ok()
    ends_unheard(bench, forced, end)


def test_stale_failures_do_not_stretch_the_open_period() -> None:
    """I: ten failures at intervals after the trip, and the probe goes at the first instant still."""
    bench = Bench()
    stale = [bench.take() for _ in range(10)]
    bench.tripped()
    for permit in stale:
        assert bench.breaker.acquire() is None
        bench.wait(0.5)
        permit.failed()
    assert 1005.0 == bench.time
    assert bench.take().probe


def test_slow_successes_among_fast_failures() -> None:
    """J: successes of calls from before the outage end every run, yet the rate opens it."""
    bench = Bench()
    slow = [bench.take() for _ in range(20)]
    failures = 0
    while bench.phase() == "closed" and slow:
        for _ in range(4):
            if bench.phase() == "closed":
                bench.fail()
                failures += 1
        slow.pop().ok()
    assert ("open", 9) == (bench.phase(), failures)
