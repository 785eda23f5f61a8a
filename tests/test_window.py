"""The sliding window, at exact instants and against a naive model."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fallbackio._window import BUCKETS, Window


def counts(window: Window) -> tuple[int, int]:
    return window.calls, window.failures


def test_it_begins_empty() -> None:
    """A new window holds nothing."""
    assert (0, 0) == counts(Window(30.0))


@pytest.mark.parametrize(
    ("age_s", "calls"),
    [(0.0, 2), (2.9, 2), (3.0, 2), (26.9, 2), (27.0, 2), (29.9, 2), (30.0, 1), (300.0, 1)],
)
def test_a_call_at_the_start_of_a_bucket_counts_for_the_whole_window(age_s: float, calls: int) -> None:
    """Of two calls so far apart, the first still counts until the window's length is over."""
    window = Window(30.0)
    window.add(900.0, 1)
    window.add(900.0 + age_s, 0)
    assert (calls, calls - 1) == counts(window)


@pytest.mark.parametrize(("age_s", "calls"), [(27.0, 2), (27.2, 1)])
def test_a_call_at_the_end_of_a_bucket_counts_for_nine_tenths(age_s: float, calls: int) -> None:
    """Buckets leave whole: the price of exactness is up to one bucket's width."""
    window = Window(30.0)
    window.add(902.9, 0)
    window.add(902.9 + age_s, 0)
    assert (calls, 0) == counts(window)


def test_a_clock_that_goes_back_adds_to_the_newest_bucket() -> None:
    """Time that runs backwards loses and resurrects nothing."""
    window = Window(10.0)
    window.add(100.0, 1)
    window.add(50.0, 1)
    window.add(109.5, 0)
    assert (3, 2) == counts(window)


@given(
    length_s=st.sampled_from([0.001, 0.5, 10.0, 30.0, 1e8]),
    start=st.floats(-1e6, 1e9),
    calls=st.lists(st.tuples(st.floats(0, 0.35), st.booleans()), max_size=80),
)
def test_it_counts_as_the_naive_model(length_s: float, start: float, calls: list[tuple[float, bool]]) -> None:
    """At any time it holds exactly the calls of the last ten buckets."""
    window, width_s, now = Window(length_s), length_s / BUCKETS, start
    seen: list[tuple[float, bool]] = []
    for step, failed in calls:
        now += step * length_s
        window.add(now, failed)
        seen.append((now // width_s, failed))
        held = [failure for slot, failure in seen if slot > now // width_s - BUCKETS]
        assert (len(held), sum(held)) == counts(window)
