"""What is left of an endpoint's limits, by arithmetic alone."""

from __future__ import annotations

import math

import pytest
from attrs import frozen
from hypothesis import example, given
from hypothesis import strategies as st

from fallbackio.selection import Room, Shared
from fallbackio.selection._room import Bucket


@frozen
class Said:
    """What a provider's headers say."""

    remaining: float
    limit: float | None = None
    reset_s: float | None = None
    at_once: bool = False


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
    """What remains by the provider's count does not know of requests that it has not taken in yet."""
    room = Room()
    first, second = room.enter(0, 0), room.enter(0, 0)  # sent before any limit was known

    room.heard(0, first, Said(remaining=3, limit=10, reset_s=6), None)
    assert [room.free_at(0, 0), room.enter(0, 0).tokens, room.free_at(0, 0)] == [0, 0, 0]
    room.enter(0, 0)
    assert room.free_at(0, 0) == pytest.approx(1), "three remain, and three are on their way"

    room.heard(0, second, Said(remaining=2, limit=10, reset_s=7), None)
    assert room.free_at(0, 0) == pytest.approx(1), "two remain, and two are on their way"


def test_long_answers_are_not_taken_off_twice() -> None:
    """A request whose answer has begun is in what the provider says remains, however long it takes."""
    room = Room()
    for at in range(50):
        tokens = Said(remaining=9900 - 100 * at, limit=10_000)
        room.heard(0, room.enter(0, 100), Said(remaining=99 - at, limit=100), tokens)

    assert room.in_flight == 50
    assert room.free_at(0, 100) == 0
    for _ in range(50):
        room.enter(0, 100)
    assert room.free_at(0, 100) > 0


def test_a_request_that_was_never_heard_of_is_off_the_way() -> None:
    """A connection that fails leaves nothing behind that later headers would be reduced by."""
    room = Room()
    room.leave(0, room.enter(0, 70), None)
    assert (room.shared.requests_out, room.shared.tokens_out, room.in_flight) == (0, 0, 0)


def test_what_is_given_holds_beside_what_is_learnt() -> None:
    """A user who allows less than the provider does is not overruled by its headers, nor the other way."""
    room = Room(shared=Shared.given(rpm=2, tpm=None))
    room.heard(0, room.enter(0, 0), Said(remaining=599, limit=600, reset_s=0.1), None)
    room.heard(0, room.enter(0, 0), Said(remaining=598, limit=600, reset_s=0.2), None)
    assert room.free_at(0, 0) == pytest.approx(30)

    room = Room(shared=Shared.given(rpm=600, tpm=None))
    room.heard(0, room.enter(0, 0), Said(remaining=0, limit=10, reset_s=9), None)
    assert room.free_at(0, 0) == pytest.approx(1)


def test_a_window_comes_back_at_once() -> None:
    """Where a limit is a fixed window nothing of it comes back before its end."""
    room = Room()
    room.heard(0, room.enter(0, 0), Said(remaining=1, limit=20, reset_s=20, at_once=True), None)
    assert room.free_at(0, 0) == 0
    room.enter(0, 0)
    assert [room.free_at(now, 0) for now in (0, 15, 19, 20, 21)] == [20, 20, 20, 20, 21]
    for _ in range(20):
        assert room.free_at(21, 0) == 21
        room.enter(21, 0)
    assert room.free_at(21, 0) == 41, "nobody has said anything of the next one, so it is as long"


def test_a_window_may_be_smaller_than_a_request() -> None:
    """What would never fit goes when the window is whole; the provider has the last word."""
    room = Room()
    whole = Said(remaining=100, limit=100, reset_s=30, at_once=True)
    room.heard(0, room.enter(0, 0), None, whole)
    assert room.free_at(0, 500) == 0

    room.enter(0, 500)
    assert [room.free_at(now, 500) for now in (0, 29, 30)] == [30, 30, 30]


def test_a_window_is_as_long_as_it_was_ever_seen_to_be() -> None:
    """An answer shortly before its end tells nothing of the next one's length."""
    room = Room()
    room.heard(0, room.enter(0, 0), Said(remaining=5, limit=20, reset_s=30, at_once=True), None)
    room.heard(25, room.enter(25, 0), Said(remaining=0, limit=20, reset_s=5, at_once=True), None)
    for _ in range(20):
        assert room.free_at(30, 0) == 30
        room.enter(30, 0)

    assert room.free_at(30, 0) == 60


def test_what_is_on_its_way_is_taken_off_a_window_too() -> None:
    """The provider's count of a window does not know of the request that it has not taken in."""
    room = Room()
    first = room.enter(0, 0)
    room.enter(0, 0)

    room.heard(0, first, Said(remaining=1, limit=20, reset_s=30, at_once=True), None)

    assert room.free_at(0, 0) == 30


def test_a_limit_is_at_least_what_remains_of_it() -> None:
    """Where the headers name no limit, more that remains shows that it is larger than it seemed."""
    room = Room()
    room.heard(0, room.enter(0, 0), None, Said(remaining=100))
    room.heard(0, room.enter(0, 0), None, Said(remaining=500))

    room.enter(0, 400)
    assert room.free_at(0, 100) == 0
    assert room.free_at(0, 101) > 0


def test_a_bucket_never_holds_more_than_its_limit() -> None:
    """What comes back late, when all has refilled, adds nothing."""
    shared = Shared.given(rpm=None, tpm=1000)
    room = Room(shared=shared)
    taken = room.enter(0, 900)

    room.leave(60, taken, 0)

    assert shared.given_tokens is not None
    assert shared.given_tokens.left_at(60) == 1000


def test_no_room_before_learnt_requests_are_there() -> None:
    """Whoever leaves, requests that are used up come back by time alone."""
    room = Room(most=1)
    room.heard(0, room.enter(0, 0), Said(remaining=0, limit=10, reset_s=9), None)

    assert room.opens_at(0) == pytest.approx(1)
    assert room.opens_at(5) == 5


@example(now=6.0583704224920245, limit=7.0, needs=[7.0, 7.0])
@given(now=st.floats(0, 1e8), limit=st.floats(1, 1e7), needs=st.lists(st.floats(0, 1e6), max_size=9))
def test_the_instant_that_it_names_suits(now: float, limit: float, needs: list[float]) -> None:
    """Whoever waits until then finds room, on any clock, and does not have to wait for an instant more."""
    shared = Shared.given(rpm=limit, tpm=limit)
    shared.take(now, 0)
    for need in needs:
        now = shared.free_at(now, need)
        assert shared.free_at(now, need) == now
        shared.take(now, need)


def test_little_that_is_gone_tells_no_rate() -> None:
    """Remaining is a whole number, so the rate of a nearly full bucket would be a guess."""
    shared = Shared()
    shared.learn(0, Said(remaining=9, limit=10, reset_s=0.01), None)
    assert isinstance(shared.requests, Bucket)
    assert shared.requests.rate == pytest.approx(10 / 60)
    shared.learn(0, Said(remaining=0, limit=10, reset_s=1.8), None)
    assert shared.requests.rate == pytest.approx(5)


def answered(room: Room, now: float, requests: Said | None = None) -> None:
    """A request goes out and its answer comes, with or without a word on limits."""
    taken = room.enter(now, 0)
    room.heard(now, taken, requests, None)
    room.leave(now, taken, None)


TIGHT = {
    "a window": Said(remaining=1, limit=1, reset_s=3600, at_once=True),
    "what remains of a window": Said(remaining=0, reset_s=3600, at_once=True),
    "a bucket": Said(remaining=0, limit=1, reset_s=3600),
    "what remains": Said(remaining=0),
    "a moment": Said(remaining=0, limit=1, reset_s=0.006),
}


@pytest.mark.parametrize("said", TIGHT.values(), ids=TIGHT)
def test_what_is_not_said_again_holds_no_longer(said: Said) -> None:
    """Where headers stop coming, the first answer without them after the reset, or a minute, ends it."""
    room = Room()
    answered(room, 0, said)
    over = max(60.0, said.reset_s or 0.0)

    answered(room, 1)
    assert room.shared.requests is not None, "an answer between, of a proxy perhaps, says nothing of it"
    assert room.free_at(over, 0) == over
    answered(room, over)
    assert room.is_open
    for _ in range(100):
        assert room.free_at(over, 0) == over
        answered(room, over)


@pytest.mark.parametrize("said", TIGHT.values(), ids=TIGHT)
def test_nobody_is_held_back_for_longer_than_was_said(said: Said) -> None:
    """Nor than a minute, where nothing was said or nothing is answered any more: it need not be for ever."""
    room = Room()
    answered(room, 0, said)
    now, until = 0.0, max(60.0, said.reset_s or 0.0)
    for _ in range(20):
        at = room.free_at(now, 0)
        assert now <= at <= until
        assert room.opens_at(now) <= until
        until = max(until, at + 60)
        now = at
        room.leave(now, room.enter(now, 0), None)  # which fails without a word


def test_what_was_learnt_is_kept_while_nobody_asks() -> None:
    """After a quiet hour the first of a crowd go, as many as the limit, and their answers say more."""
    room = Room()
    answered(room, 0, Said(remaining=59, limit=60, reset_s=1))

    for _ in range(60):
        assert room.free_at(3600, 0) == 3600
        room.enter(3600, 0)

    assert 3600 < room.free_at(3600, 0) <= 3661
    assert not room.is_open


def test_what_is_said_again_is_no_guess() -> None:
    """After a quiet hour the first answer's headers count, and an answer without them changes nothing."""
    room = Room()
    answered(room, 0, Said(remaining=9, limit=10, reset_s=1))
    answered(room, 3600, Said(remaining=0, limit=10, reset_s=9))
    answered(room, 3600.5)

    assert isinstance(room.shared.requests, Bucket)
    assert room.shared.requests.rate == pytest.approx(1)


def test_health_shows_what_binds() -> None:
    """A limit that holds no longer as it was said is shown as what is held to in its place."""
    room = Room()
    answered(room, 0, Said(remaining=0, limit=10, reset_s=3600, at_once=True))

    for now, left in ((3599.0, 0.0), (3600.0, 10.0)):
        shown, _ = room.shared.tightest(now)
        assert shown is not None
        assert shown.left_at(now) == left


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
    room, bucket = Room(shared=shared), shared.given_tokens
    assert bucket is not None
    now = 0.0
    for wait_s, need, used_all in needs:
        now += wait_s
        at = shared.free_at(now, need)
        assert at >= now
        assert bucket.left_at(at) >= min(need, limit) * (1 - 1e-9) - 1e-6
        room.leave(at, room.enter(at, need), need if used_all else 0.0)
        now = at
        assert bucket.left_at(now) <= limit
        assert shared.tokens_out == pytest.approx(0, abs=1e-6)
