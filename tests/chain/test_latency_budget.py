"""What a chain remembers: how long its endpoints take, and what its extra attempts have cost."""

from __future__ import annotations

from collections.abc import Callable

import anyio
import pytest

from fallbackio import Hedge, clock
from fallbackio.chain._budget import CONCURRENT_FLOOR, Budget
from fallbackio.chain._latency import MOST_MEDIANS, REFRESH_S, Latencies
from fallbackio.chain._strategy import FLOOR_S
from fallbackio.testing import virtual_time


def fed(*seconds: float) -> Latencies:
    """Latencies with these answers."""
    latencies = Latencies()
    for one in seconds:
        latencies.add(one)
    return latencies


def overdrawn(ratio: float = 0.2) -> Budget:
    """A budget whose places for extra attempts at once are all taken, so that only its account counts."""
    budget = Budget(ratio)
    for _ in range(CONCURRENT_FLOOR):
        budget.withdraw()
    return budget


@virtual_time
async def test_a_quiet_time_saves_nothing_up() -> None:
    """Deposits are forgotten ten seconds later, to the second."""
    budget = overdrawn()
    for _ in range(100):
        budget.deposit(clock.now())

    await anyio.sleep(9.9)
    assert budget.allows()
    await anyio.sleep(0.1)
    assert not budget.allows()


@virtual_time
async def test_what_was_spent_is_forgotten_too() -> None:
    """Extras of eleven seconds ago do not keep the calls of today from theirs."""
    budget = overdrawn()
    await anyio.sleep(5)
    for _ in range(15):
        budget.deposit(clock.now())

    await anyio.sleep(4.9)
    assert not budget.allows(), "three are spent, and three is a fifth of fifteen"
    await anyio.sleep(0.1)
    assert budget.allows()


@virtual_time
async def test_old_times_are_forgotten() -> None:
    """A time counts for ten minutes; afterwards an endpoint without newer ones is unknown again."""
    latencies = fed(*[1.0] * 30)

    await anyio.sleep(600)
    assert latencies.quantile(0.5) == latencies.median_answer() == 1.0
    await anyio.sleep(REFRESH_S)
    assert latencies.quantile(0.5) is None
    assert latencies.median_answer() is None


@virtual_time
async def test_yesterdays_times_do_not_hide_todays() -> None:
    """An endpoint that has become quick is judged by its new times alone, once the old are out."""
    latencies = fed(*[9.0] * 100)
    await anyio.sleep(601)
    for _ in range(20):
        latencies.add(0.5)

    assert latencies.quantile(0.99) == 0.5


@pytest.mark.parametrize(
    ("seconds", "delay_s"),
    [
        ([0.5] * 90 + [1.0] * 10, 1.0),
        ([0.5] * 90 + [30.0] * 10, MOST_MEDIANS * 0.5),
        ([0.01] * 100, FLOOR_S),
        ([0.01] * 90 + [30.0] * 10, FLOOR_S),
    ],
    ids=["its own quantile", "four medians at most", "a tenth at least", "the floor over the cap"],
)
@virtual_time
async def test_the_adaptive_delay_stays_in_its_bounds(seconds: list[float], delay_s: float) -> None:
    """The 95th percentile of the endpoint's own times, but neither a race nor without end."""
    assert Hedge().delay_s(fed(*seconds), 1) == delay_s


def test_the_delay_doubles_as_long_as_a_float_can() -> None:
    """On a pool of thousands the thousandth attempt has a delay, too."""
    assert Hedge(delay=0).delay_s(Latencies(), 1100) == 0
    assert Hedge(delay=1).delay_s(Latencies(), 1100) > 1e15


@pytest.mark.parametrize(
    ("measure", "expected"),
    [(lambda times: times.quantile(0.5), 3.0), (Latencies.median_answer, 0.2)],
    ids=["the quantile knows them", "the median of answers does not"],
)
@virtual_time
async def test_cut_attempts_count_for_one_measure_only(
    measure: Callable[[Latencies], float | None], expected: float
) -> None:
    """What was cut at its age moves the hedge's delay, and proves no endpoint too slow to be asked."""
    latencies = fed(*[0.2] * 20)
    for _ in range(40):
        latencies.add(3.0, answered=False)

    assert measure(latencies) == expected
