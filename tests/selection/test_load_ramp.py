"""A peak-sensitive average, and the share of a returning endpoint."""

from __future__ import annotations

import math
import random

import pytest

from fallbackio.selection import Load, Ramp
from fallbackio.selection._load import DECAY_S, FAILURE_S
from fallbackio.selection._ramp import BACK_OFF, CAUTION, FIRST_SHARE


def test_a_peak_takes_effect_at_once_and_wears_off() -> None:
    """A slow answer moves the average up whole, quick ones bring it down with their time constant."""
    load = Load()
    load.answered(0, 0.2)
    load.answered(1, 5.0)
    assert load.seconds(1) == 5.0

    load.answered(1 + DECAY_S, 0.2)
    assert load.seconds(1 + DECAY_S) == pytest.approx(5 / math.e + 0.2 * (1 - 1 / math.e))
    assert load.seconds(1 + 11 * DECAY_S) < 0.001, "nothing is held against it for ever"


def test_a_quick_failure_does_not_look_fast() -> None:
    """A refusal within a millisecond counts as seconds, and as long as the provider asks for."""
    load = Load()
    load.failed(0, 0.001, None)
    assert load.seconds(0) == FAILURE_S
    load.failed(0, 0.001, 20.0)
    assert load.seconds(0) == 20.0

    throttled = Load()
    throttled.answered(0, 0.4)
    throttled.failed(0, 0.001, 0.05)
    assert throttled.seconds(0) == pytest.approx(0.4), "a short rest is not held against it"


def test_a_stall_shows_before_any_time_does() -> None:
    """A request that waits far longer than the average counts as what it has waited."""
    load = Load()
    load.answered(0, 0.4)
    load.started(0, "a")
    assert load.seconds(1) < 0.4
    assert load.seconds(1.3) == pytest.approx(1.3)
    load.ended("a")
    assert load.seconds(1.3) < 0.4


def test_what_is_more_than_usual_is_crowding() -> None:
    """A number that is usual says nothing; many times it is a stall that no time has shown yet."""
    load = Load()
    for tick in range(200):
        load.started(tick, tick)
        if tick >= 10:
            load.ended(tick - 10)
    assert load.crowding == 1.0

    for tick in range(200, 240):
        load.started(tick, tick)
    assert load.crowding > 1.25


def test_nothing_is_known_before_anything_was_measured() -> None:
    """An untried endpoint is told from a quick one."""
    load = Load()
    assert not load.is_known
    assert load.seconds(5) == 0.0


def test_a_share_grows_to_the_whole() -> None:
    """From a twentieth, evenly, over the ramp; an endpoint that never failed has it all."""
    ramp = Ramp(10)
    assert ramp.share(100, -math.inf) == 1.0

    assert ramp.share(100, 100) == FIRST_SHARE
    assert ramp.share(104, 100) == pytest.approx(FIRST_SHARE + 0.4)
    assert ramp.share(110, 100) == 1.0
    assert ramp.share(111, 100) == 1.0
    assert ramp.share(120, 120) == FIRST_SHARE, "a new recovery begins anew"


def test_failures_on_the_way_hold_it_back() -> None:
    """A failure lowers the share, several at once count as one, and it grows on from there, more slowly."""
    ramp = Ramp(10)
    ramp.failed(104, 100)
    ramp.failed(104.1, 100)

    lowered = (FIRST_SHARE + 0.4) * BACK_OFF
    assert ramp.share(104, 100) == pytest.approx(lowered)
    assert ramp.share(106, 100) == pytest.approx(lowered + 0.2 * CAUTION)
    ramp.failed(200, 100)
    assert ramp.share(200, 100) == 1.0, "after the ramp it is the breaker's business"


def test_some_calls_always_come() -> None:
    """However often it fails on the way, it is asked again, or nobody would see that it is well."""
    ramp = Ramp(1e9)
    for at in range(50):
        ramp.failed(float(at), 0)

    assert ramp.share(50, 0) == pytest.approx(FIRST_SHARE)


def test_a_share_is_dealt_evenly() -> None:
    """A share of a quarter is every fourth call, not one in four by chance, and begins anywhere."""
    begins = set()
    for seed in range(20):
        ramp, lots = Ramp(1e9), random.Random(seed)
        ramp.takes(0, 0, lots)
        ramp._share = 0.25
        dealt = "".join("x" if ramp.takes(0, 0, lots) else "." for _ in range(40))
        assert dealt.count("x") == 10
        assert "x..x" not in dealt
        assert "....." not in dealt
        begins.add(dealt.index("x"))
    assert len(begins) > 2


def test_no_ramp_is_no_ramp() -> None:
    """Zero gives everything back at once."""
    assert Ramp(0).share(100, 100) == 1.0
