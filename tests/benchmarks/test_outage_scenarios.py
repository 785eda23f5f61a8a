"""Scenarios, shrunk and cut: what is seconds shrinks, everything else stays as it is."""

from __future__ import annotations

import pytest
from outage_scenarios import NAMES, OUTAGES, Lengths, healthy, play_of, shrunk

from fallbackio.simulator import Behaviour, Lognormal, RateLimit, Sometimes, Stall, Status

LENGTHS = Lengths(healthy_s=20, trouble_s=50, recovery_s=30, rate=10, tokens=24, scale=0.5)


def test_only_seconds_shrink() -> None:
    """Latencies, stalls and Retry-After, however deep they lie; ratios, counts and statuses stay."""
    given = Behaviour(
        latency=Lognormal(1.0, 0.3),
        pace_s=0.2,
        tokens=10,
        fault=Sometimes(0.25, Stall("headers", for_s=30)),
    )
    half = shrunk(given, 0.5)

    assert half == Behaviour(
        latency=Lognormal(0.5, 0.3),
        pace_s=0.1,
        tokens=10,
        fault=Sometimes(0.25, Stall("headers", for_s=15)),
    )
    assert shrunk(Status(429, retry_after_s=20), 0.5) == Status(429, retry_after_s=10)
    assert shrunk(RateLimit(60), 1.0) == RateLimit(60)


@pytest.mark.parametrize("name", OUTAGES)
def test_no_outage_is_longer_than_it_has_to_be(name: str) -> None:
    """A healthy beginning, at most the trouble that was asked for, and a recovery, in real seconds."""
    play = play_of(name, LENGTHS)
    begins, ends = play.trouble_s

    assert begins == pytest.approx(10)
    assert ends - begins <= 25.001
    assert play.duration_s - ends == pytest.approx(15)
    assert play.onset_s - begins == pytest.approx(5)


@pytest.mark.parametrize("name", OUTAGES)
def test_the_oracle_knows_who_is_well(name: str) -> None:
    """Whom it is told to ask is not in trouble at that time; nobody is when all are down."""
    play = play_of(name, LENGTHS)

    for since, number in play.healthy:
        if number < 0:
            assert name == "total"
        else:
            assert not any(begins <= since < ends for begins, ends in play.sick[NAMES[number]])


def test_the_three_are_alike() -> None:
    """A ratio to the oracle tells of decisions, not of who is quicker."""
    medians = [one.latency.median_s for one in healthy(24).values() if isinstance(one.latency, Lognormal)]

    assert len(medians) == 3
    assert max(medians) / min(medians) < 1.03
