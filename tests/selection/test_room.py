"""What is left of an endpoint's limits, by arithmetic alone."""

from __future__ import annotations

import math

import pytest
from attrs import frozen
from hypothesis import given
from hypothesis import strategies as st

from fallbackio.selection import Room, Shared


@frozen
class Said:
    """What a provider's headers say."""

    remaining: float
    limit: float | None = None
    reset_s: float | None = None


def test_requests_at_once_are_bounded() -> None:
    """A bulkhead of two lets two in, and the third when one has left."""
    room = Room(most=2)
    first = room.enter(0, 0)
    room.enter(0, 0)

    assert room.free_at(0, 0) == math.inf
    room.leave(5, first, None)
    assert room.free_at(5, 0) == 5


def test_a_minutes_requests_refill_evenly() -> None:
    """Sixty a minute: sixty at once, then one a second."""
    room = Room(shared=Shared.given(rpm=60, tpm=None))
    for _ in range(60):
        assert room.free_at(0, 0) == 0
        room.enter(0, 0)

    assert room.free_at(0, 0) == pytest.approx(1)
    assert room.free_at(0.25, 0) == pytest.approx(1)
    assert room.free_at(1, 0) == pytest.approx(1)


def test_tokens_are_settled_for_what_was_used() -> None:
    """A request that used less than it was estimated to need gives the rest back."""
    room = Room(shared=Shared.given(rpm=None, tpm=1000))
    taken = room.enter(0, 900)
    assert room.free_at(0, 200) == pytest.approx(6)

    room.leave(0, taken, 100)

    assert room.free_at(0, 900) == 0


def test_what_is_larger_than_the_limit_goes_when_the_bucket_is_full() -> None:
    """A prompt over the whole limit is not kept waiting for ever; the provider decides."""
    room = Room(shared=Shared.given(rpm=None, tpm=1000))
    assert room.free_at(0, 5000) == 0
    room.enter(0, 5000)

    assert room.free_at(0, 5000) == pytest.approx(300)


def test_headers_are_believed_but_for_what_is_on_its_way() -> None:
    """What remains by the provider's count does not know of requests it has not answered yet."""
    room = Room()
    first = room.enter(0, 0)
    room.enter(0, 0)  # sent before any limit was known
    room.leave(0, first, None)

    room.shared.learn(0, Said(remaining=3, limit=10, reset_s=6), None)
    assert [room.free_at(0, 0), room.enter(0, 0).tokens, room.free_at(0, 0)] == [0, 0, 0]
    room.enter(0, 0)
    assert room.free_at(0, 0) == pytest.approx(1), "three remain, and three are under way"

    room.shared.learn(0, Said(remaining=2, limit=10, reset_s=7), None)
    assert room.free_at(0, 0) == pytest.approx(2)


def test_little_that_is_gone_tells_no_rate() -> None:
    """Remaining is a whole number, so the rate of a nearly full bucket would be a guess."""
    shared = Shared()
    shared.learn(0, Said(remaining=9, limit=10, reset_s=0.01), None)
    assert shared.requests is not None
    assert shared.requests.rate == pytest.approx(10 / 60)
    shared.learn(0, Said(remaining=0, limit=10, reset_s=1.8), None)
    assert shared.requests.rate == pytest.approx(5)


def test_a_group_shares() -> None:
    """Two endpoints behind one key use up one limit."""
    shared = Shared.given(rpm=2, tpm=None)
    a, b = Room(shared=shared), Room(shared=shared)
    a.enter(0, 0)
    b.enter(0, 0)

    assert a.free_at(0, 0) == b.free_at(0, 0) == pytest.approx(30)


@given(
    limit=st.floats(1, 1e6),
    needs=st.lists(st.tuples(st.floats(0, 1e4), st.floats(0, 1e6), st.booleans()), max_size=30),
)
def test_a_bucket_keeps_its_word(limit: float, needs: list[tuple[float, float, bool]]) -> None:
    """At the instant that it names, what was asked fits, and never more than the limit is left."""
    shared = Shared.given(rpm=None, tpm=limit)
    bucket = shared.tokens
    assert bucket is not None
    now = 0.0
    for wait_s, need, used_all in needs:
        now += wait_s
        at = shared.free_at(now, need)
        assert at >= now
        assert bucket.left_at(at) >= min(need, limit) * (1 - 1e-9) - 1e-6
        shared.take(at, need)
        shared.settle(at, need, need if used_all else 0.0)
        now = at
        assert bucket.left_at(now) <= limit
        assert shared.tokens_out == pytest.approx(0, abs=1e-6)
