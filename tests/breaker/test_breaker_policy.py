"""What a breaker can be told, and what it refuses to be told."""

from __future__ import annotations

import math
from typing import Any

import pytest
from attrs.exceptions import FrozenInstanceError

from fallbackio.breaker import Breaker, BreakerPolicy, Rate
from fallbackio.errors import ConfigError

DURATIONS = [
    "window_s",
    "sparse_after_s",
    "open_s",
    "max_open_s",
    "max_retry_after_s",
    "probe_timeout_s",
    "slow_after_s",
]
NOT_NUMBERS = [math.nan, math.inf, -math.inf, -1, -0.001, 1e9, "5", None, True, [1]]


@pytest.mark.parametrize("name", [*DURATIONS, "jitter_ratio", "min_open_gaps"])
@pytest.mark.parametrize("value", NOT_NUMBERS, ids=repr)
def test_a_bad_number_is_named(name: str, value: object) -> None:
    """A number of the wrong type or range is a ConfigError that names the setting and the value."""
    if (name, value) == ("sparse_after_s", None):
        pytest.skip("switches it off")
    settings: dict[str, Any] = {name: value}
    with pytest.raises(ConfigError, match=rf"{name} must be a .* from .* to .*, not "):
        BreakerPolicy(**settings)


@pytest.mark.parametrize("name", ["window_s", "open_s", "max_open_s", "probe_timeout_s"])
def test_a_duration_of_nothing_is_refused(name: str) -> None:
    """A window, an open period or a probe's patience of 0 s would be no breaker."""
    settings: dict[str, Any] = {name: 0}
    with pytest.raises(ConfigError, match=name):
        BreakerPolicy(**settings)


def test_zero_is_allowed_where_it_means_never_mind() -> None:
    """No jitter, no Retry-After and slow-at-once can be asked for, with whole numbers too."""
    policy = BreakerPolicy(jitter_ratio=0, max_retry_after_s=0, slow_after_s=0, min_open_gaps=0)
    assert 0.0 == policy.asked_s(20.0)


@pytest.mark.parametrize("value", [0, 1.1, -1, math.nan, True, "1", None], ids=repr)
def test_a_bad_share_of_the_run_is_named(value: object) -> None:
    """A share is over 0 and up to 1."""
    settings: dict[str, Any] = {"sparse_ratio": value}
    with pytest.raises(ConfigError, match="sparse_ratio must be a number over 0 and up to 1, not "):
        BreakerPolicy(**settings)


@pytest.mark.parametrize("value", [0, 0.9, 1001, -4, math.nan, math.inf, True, "4"], ids=repr)
def test_a_bad_number_of_medians_is_named(value: object) -> None:
    """How late is slow: a number from 1 to 1000, or never."""
    settings: dict[str, Any] = {"slow_medians": value}
    with pytest.raises(ConfigError, match="slow_medians must be a number from 1 to 1000, not "):
        BreakerPolicy(**settings)
    assert BreakerPolicy(slow_medians=None).slow_medians is None


@pytest.mark.parametrize("value", [0, -1, 2.0, math.nan, True, "5", None], ids=repr)
def test_a_bad_count_is_named(value: object) -> None:
    """The run of failures is a whole number of at least 1."""
    settings: dict[str, Any] = {"consecutive": value}
    with pytest.raises(ConfigError, match="consecutive must be a whole number of at least 1, not "):
        BreakerPolicy(**settings)


@pytest.mark.parametrize(
    ("rates", "message"),
    [
        ([(0.0, 10)], "failure ratio must be over 0 and up to 1, not 0.0"),
        ([(1.1, 10)], "failure ratio must be over 0 and up to 1, not 1.1"),
        ([(math.nan, 10)], "failure ratio must be over 0 and up to 1, not nan"),
        ([(True, 10)], "failure ratio must be over 0 and up to 1, not True"),
        ([("0.5", 10)], "failure ratio must be over 0 and up to 1, not '0.5'"),
        ([(0.5, 0)], "minimum calls must be a whole number of at least 1, not 0"),
        ([(0.5, 2.5)], "minimum calls must be a whole number of at least 1, not 2.5"),
        ([(0.5, 10), (0.2, True)], "minimum calls must be a whole number of at least 1, not True"),
        ([(0.5,)], "rates must be pairs"),
        ([(0.5, 10, 3)], "rates must be pairs"),
        ((0.5, 10), "rates must be pairs"),
        (None, "rates must be pairs"),
    ],
    ids=repr,
)
def test_a_bad_rate_is_explained(rates: Any, message: str) -> None:
    """A rate is a pair of a ratio and a count, each in its range."""
    with pytest.raises(ConfigError, match=message):
        BreakerPolicy(rates=rates)


def test_rates_may_come_as_lists() -> None:
    """A configuration file has lists; they become rates all the same."""
    policy = BreakerPolicy(rates=[[0.5, 10], [1, 3]])
    assert (Rate(0.5, 10), Rate(1, 3)) == policy.rates


def test_the_longest_period_is_not_below_the_first() -> None:
    """Doubling that would shorten is refused."""
    with pytest.raises(ConfigError, match=r"max_open_s \(4\) must not be below open_s \(5.0\)"):
        BreakerPolicy(max_open_s=4)


def test_a_policy_is_frozen() -> None:
    """A policy is shared by breakers and can therefore not change."""
    with pytest.raises(FrozenInstanceError):
        BreakerPolicy().open_s = 1.0  # type: ignore[misc]


@pytest.mark.parametrize(
    ("retry_after_s", "asked_s"),
    [
        (None, 0.0),
        (0.0, 0.0),
        (0.25, 0.25),
        (300.0, 300.0),
        (300.5, 300.0),
        (86400.0, 300.0),
        (math.inf, 300.0),
        (-1.0, 0.0),
        (-math.inf, 0.0),
        (math.nan, 0.0),
    ],
)
def test_retry_after_is_capped_and_nonsense_is_nothing(retry_after_s: float | None, asked_s: float) -> None:
    """A provider can keep us away for `max_retry_after_s`, and only with a proper number."""
    assert asked_s == BreakerPolicy().asked_s(retry_after_s)


def test_another_policy_is_followed_from_now_on() -> None:
    """What the breaker knows is kept: the run of failures, and an open period to its end."""
    time = 0.0
    breaker = Breaker("a", BreakerPolicy(consecutive=5, jitter_ratio=0), clock=lambda: time)
    for _ in range(2):
        breaker.force().failed()

    breaker.follow(BreakerPolicy(consecutive=3, open_s=7, jitter_ratio=0))
    breaker.force().failed()
    assert breaker.phase == "open"
    opened_s = breaker.retry_in_s
    assert opened_s == 7

    breaker.follow(BreakerPolicy(open_s=50))
    assert breaker.retry_in_s == opened_s


def test_a_window_of_another_length_begins_empty() -> None:
    """Results of one length of time say nothing of another; the same length keeps them."""
    policy = BreakerPolicy(consecutive=100, rates=[(0.5, 4)])
    kept, emptied = (Breaker(name, policy, clock=lambda: 0.0) for name in "ab")
    for breaker in (kept, emptied):
        for _ in range(3):
            breaker.force().failed()

    kept.follow(BreakerPolicy(consecutive=99, rates=[(0.5, 4)]))
    emptied.follow(BreakerPolicy(consecutive=99, rates=[(0.5, 4)], window_s=60))
    kept.force().failed()
    emptied.force().failed()

    assert (kept.phase, emptied.phase) == ("open", "closed")
