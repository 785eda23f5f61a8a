"""What is aiobreaker's about a breaker still works, without the traps of aiobreaker 1.2.0.

The numbers are those of the thirteen traps that were measured in it.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import aiobreaker
import aiobreaker.circuitbreaker
import aiobreaker.state
import pytest
from breaker_kit import Bench

from fallbackio.breaker import Breaker, BreakerPolicy, CircuitBreakerListener, CircuitOpen
from fallbackio.errors import AttemptError, FallbackError, Refused
from fallbackio.events import BreakerMoved


class Http500(Exception):
    pass


class Http400(Exception):
    pass


async def answer() -> str:
    return "answer"


async def fault() -> str:
    raise Http500


async def stall() -> str:
    await asyncio.get_running_loop().create_future()
    return "never"


async def items() -> AsyncIterator[str]:
    yield "item"


class Diary(CircuitBreakerListener):
    """A listener that notes all it hears."""

    def __init__(self) -> None:
        self.heard: list[tuple[Any, ...]] = []

    def before_call(self, breaker: Any, func: Any, *args: Any, **kwargs: Any) -> None:
        self.heard.append(("before_call", func, args, kwargs))

    def success(self, breaker: Any) -> None:
        self.heard.append(("success",))

    def failure(self, breaker: Any, exception: Exception) -> None:
        self.heard.append(("failure", exception))

    def state_change(self, breaker: Any, old: Any, new: Any) -> None:
        self.heard.append(("state_change", breaker, old.state.name, new.state.name))


class Broken(CircuitBreakerListener):
    """A listener that raises whatever it hears."""

    def before_call(self, breaker: Any, func: Any, *args: Any, **kwargs: Any) -> None:
        raise ValueError

    def success(self, breaker: Any) -> None:
        raise ValueError

    def failure(self, breaker: Any, exception: Exception) -> None:
        raise ValueError

    def state_change(self, breaker: Any, old: Any, new: Any) -> None:
        raise ValueError


class Metaclass(type):
    pass


class Peculiar(Exception, metaclass=Metaclass):
    pass


def call(bench: Bench, func: Callable[[], Coroutine[Any, Any, str]]) -> str:
    return asyncio.run(bench.breaker.call_async(func))


def call_fails(bench: Bench, times: int = 1) -> None:
    for _ in range(times):
        with pytest.raises(Http500):
            call(bench, fault)


async def cancelled_call(breaker: Breaker) -> None:
    """A call that is cancelled from outside while it waits."""
    task = asyncio.ensure_future(breaker.call_async(stall))
    await asyncio.sleep(0)
    assert 1 == breaker.in_flight
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_it_is_an_aiobreaker() -> None:
    """Code that knows aiobreaker knows a breaker, its state object and its settings."""
    breaker = Breaker("it", BreakerPolicy(consecutive=3, open_s=7.0), clock=lambda: 0.0)
    assert isinstance(breaker, aiobreaker.CircuitBreaker)
    assert ("it", 3, timedelta(seconds=7)) == (breaker.name, breaker.fail_max, breaker.timeout_duration)
    assert aiobreaker.CircuitBreakerState.CLOSED is breaker.current_state
    breaker.open()
    assert aiobreaker.CircuitBreakerState.OPEN is breaker.current_state
    assert isinstance(breaker.state, aiobreaker.state.CircuitOpenState)


@pytest.mark.parametrize("setting", ["fail_max", "timeout_duration", "state"])
def test_settings_to_which_nobody_listens_cannot_be_set(setting: str) -> None:
    """What the policy decides cannot be changed in vain."""
    with pytest.raises(AttributeError):
        setattr(Breaker("it"), setting, 1)


@pytest.fixture(params=["UTC", "America/New_York", "Asia/Tokyo"])
def _zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("_zone")
def test_1_times_are_right_in_every_zone() -> None:
    """Just opened for five seconds it says five seconds, in UTC, New York and Tokyo."""
    bench = Bench()
    assert not bench.breaker.opens_at
    assert not bench.breaker.time_until_open
    bench.tripped()
    assert timedelta(seconds=5) == bench.breaker.time_until_open
    assert bench.breaker.opens_at is not None
    assert 4 < (bench.breaker.opens_at - datetime.now(UTC)).total_seconds() <= 5
    with pytest.raises(CircuitOpen) as refusal:
        call(bench, answer)
    assert 4 < (refusal.value.reopen_time - datetime.now(UTC)).total_seconds() <= 5
    assert timedelta(seconds=4) < refusal.value.time_remaining <= timedelta(seconds=5)
    bench.wait(5.0)
    assert not bench.breaker.opens_at
    assert not bench.breaker.time_until_open
    asyncio.run(bench.breaker.sleep_until_open())


def test_2_one_probe_of_a_hundred_calls() -> None:
    """Half open, one of a hundred concurrent calls reaches what is guarded."""
    bench = Bench().tripped()
    bench.wait(5.0)
    reached = []

    async def guarded() -> str:
        reached.append(1)
        await asyncio.sleep(0)
        return "answer"

    async def herd() -> list[str | BaseException]:
        return await asyncio.gather(
            *(bench.breaker.call_async(guarded) for _ in range(100)), return_exceptions=True
        )

    results = asyncio.run(herd())
    assert (1, 1, 99) == (
        len(reached),
        results.count("answer"),
        sum(isinstance(result, CircuitOpen) for result in results),
    )
    assert "closed" == bench.phase()


def test_3_cancellation_is_neutral_and_gives_the_permit_back() -> None:
    """Neither closed nor half open does a cancelled call change anything, and no permit is lost."""
    bench = Bench()
    bench.fail(4)
    asyncio.run(cancelled_call(bench.breaker))
    assert (4, 0) == (bench.breaker.fail_counter, bench.breaker.in_flight)
    bench.fail()
    bench.wait(5.0)
    for _ in range(3):
        asyncio.run(cancelled_call(bench.breaker))
        assert ("half_open", 0) == (bench.phase(), bench.breaker.in_flight)
    assert "answer" == call(bench, answer)
    assert "closed" == bench.phase()


def test_3_a_timeout_inside_counts() -> None:
    """A TimeoutError that `func` itself raises is a failure like any other."""

    async def times_out() -> str:
        raise TimeoutError

    bench = Bench()
    with pytest.raises(TimeoutError):
        call(bench, times_out)
    assert 1 == bench.breaker.fail_counter


def test_4_the_caller_gets_the_failure_itself() -> None:
    """Also the call that trips the breaker, and the failed probe, raise what `func` raised."""
    bench = Bench()
    call_fails(bench, 5)
    assert ("open", "5 failures in a row (Http500)") == (bench.phase(), bench.moves[0].reason)
    bench.wait(5.0)
    call_fails(bench)
    assert ["open", "half_open", "open"] == bench.path


def test_4_a_refusal_is_both_families_error() -> None:
    """A refusal is aiobreaker's error and ours, says when to come back, and calls nothing."""
    bench = Bench().tripped()
    with pytest.raises(aiobreaker.CircuitBreakerError) as refusal:
        call(bench, answer)
    error = refusal.value
    assert isinstance(error, Refused)
    assert isinstance(error, FallbackError)
    assert ("it", 5.0, None) == (error.endpoint, error.retry_after_s, error.__cause__)
    assert "it: skipped (retry after 5.0 s)" == str(error)


def test_4_a_refusal_within_a_call_is_neutral() -> None:
    """An inner breaker's refusal is not held against the outer breaker: nothing was sent."""
    inner, outer = Bench().tripped(), Bench()
    for _ in range(10):
        with pytest.raises(CircuitOpen):
            asyncio.run(outer.breaker.call_async(inner.breaker.call_async, answer))
    assert ("closed", 0, 0) == (outer.phase(), outer.breaker.fail_counter, outer.breaker.in_flight)


def test_5_an_excluded_exception_is_neutral() -> None:
    """It reaches the caller, ends no run and closes no breaker."""

    async def refuse() -> str:
        raise Http400

    bench = Bench()
    bench.breaker.add_excluded_exception(Http400)
    bench.fail(4)
    with pytest.raises(Http400):
        call(bench, refuse)
    assert 4 == bench.breaker.fail_counter
    bench.fail()
    bench.wait(5.0)
    with pytest.raises(Http400):
        call(bench, refuse)
    assert ("half_open", 0.0) == (bench.phase(), bench.breaker.retry_in_s)


def test_5_exclusion_by_predicate_and_by_odd_classes() -> None:
    """Predicates work; a class with a metaclass excludes itself and not everything."""
    breaker = Breaker("it")
    breaker.add_excluded_exceptions(Peculiar, lambda error: str(error) == "no matter")
    assert [False, False, True] == [
        breaker.is_system_error(error) for error in (Peculiar(), Http500("no matter"), Http500("bad"))
    ]
    breaker.remove_excluded_exception(Peculiar)
    assert breaker.is_system_error(Peculiar())


def test_5_a_predicate_that_raises_excludes_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """The caller gets its own error, it counts, the permit is back, and one log line complains."""
    bench = Bench()
    bench.breaker.add_excluded_exception(lambda error: error.status == 400)
    call_fails(bench, 3)
    assert (3, 0) == (bench.breaker.fail_counter, bench.breaker.in_flight)
    assert 1 == len(caplog.records)


def test_5_a_raising_listener_changes_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """Results, trips and closes are as without it, the next listener hears all, one line complains."""
    bench, diary = Bench(), Diary()
    bench.breaker.add_listeners(Broken(), diary)
    assert "answer" == call(bench, answer)
    call_fails(bench, 5)
    bench.wait(5.0)
    assert "answer" == call(bench, answer)
    assert ["open", "half_open", "closed"] == bench.path
    assert {"before_call": 7, "success": 2, "failure": 5, "state_change": 3} == {
        hook: sum(hook == note[0] for note in diary.heard)
        for hook in ("before_call", "success", "failure", "state_change")
    }
    assert [("fallbackio", logging.ERROR)] == [(record.name, record.levelno) for record in caplog.records]
    assert "Broken failed while observing a breaker; logged once" == caplog.messages[0]


def test_5_a_raising_on_move_changes_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """The breaker opens, whatever becomes of the news."""

    def on_move(move: BreakerMoved) -> None:
        raise ValueError(move)

    breaker = Breaker("it", BreakerPolicy(consecutive=1), clock=lambda: 0.0, on_move=on_move)
    breaker.force().failed()
    breaker.close()
    breaker.force().failed()
    assert ("open", 1) == (breaker.phase, len(caplog.records))


def test_6_every_second_call_failing_trips() -> None:
    """A failure of 50 % never makes a run, and opens all the same."""
    bench = Bench()
    for turn in range(20):
        if bench.phase() == "closed":
            bench.take().failed() if turn % 2 else bench.succeed()
    assert "5 of 10 calls failed within 30 s" == bench.moves[0].reason


@pytest.mark.parametrize(
    "func",
    [items, lambda: "answer", print, functools.partial(print, "a prompt"), aiobreaker.CircuitBreaker],
    ids=["async generator", "lambda", "builtin", "partial", "class"],
)
def test_8_only_async_functions_are_called(func: Any) -> None:
    """Anything else is a TypeError that says what to do, and is not counted."""
    bench = Bench()
    with pytest.raises(TypeError, match=r"async functions only, not .*acquire\(\) around a stream") as error:
        asyncio.run(bench.breaker.call_async(func))
    assert "prompt" not in str(error.value)
    with pytest.raises(TypeError, match="guards async functions only"):
        bench.breaker.call(func)
    assert (0, 0, []) == (bench.breaker.in_flight, bench.breaker.fail_counter, bench.path)


@pytest.mark.parametrize("func", [items, lambda: "answer"], ids=["async generator", "lambda"])
def test_8_a_decorated_generator_fails_when_called(func: Any) -> None:
    """The decorator lets no stream through unseen."""
    with pytest.raises(TypeError, match="guards async functions only"):
        _ = Breaker("it")(func)()


def test_8_the_decorator_guards_async_functions() -> None:
    """A decorated function keeps its name, is counted, and is refused when the breaker is open."""
    bench = Bench()
    guarded = bench.breaker(fault)
    assert "fault" == guarded.__name__
    for _ in range(5):
        with pytest.raises(Http500):
            asyncio.run(guarded())
    with pytest.raises(CircuitOpen):
        asyncio.run(guarded())


def test_8_arguments_are_passed_on() -> None:
    """`call_async` hands over what it was given."""

    async def join(left: str, *, right: str) -> str:
        return left + right

    bench, diary = Bench(), Diary()
    bench.breaker.add_listener(diary)
    assert "ab" == asyncio.run(bench.breaker.call_async(join, "a", right="b"))
    assert [("before_call", join, ("a",), {"right": "b"}), ("success",)] == diary.heard


class _NoWallClock:
    """In place of aiobreaker's `datetime`: nothing may be asked of it."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"datetime.{name} was asked for")


def test_11_12_the_wall_clock_is_never_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """A whole life, by permits and by calls, goes by without a look at aiobreaker's wall clock."""
    for module in (aiobreaker.circuitbreaker, aiobreaker.state):
        monkeypatch.setattr(module, "datetime", _NoWallClock())
    bench = Bench()
    bench.breaker.add_listener(Diary())
    call_fails(bench, 5)
    with pytest.raises(CircuitOpen) as refusal:
        call(bench, answer)
    assert refusal.value.time_remaining
    bench.wait(5.0)
    call_fails(bench)
    assert bench.breaker.time_until_open
    assert bench.breaker.opens_at
    bench.breaker.close()
    bench.breaker.open()
    bench.breaker.half_open()
    assert "answer" == call(bench, answer)
    assert "closed" == bench.phase()


@pytest.mark.parametrize("step_s", [-3600.0, 3600.0])
def test_12_a_step_of_the_wall_clock_moves_nothing(monkeypatch: pytest.MonkeyPatch, step_s: float) -> None:
    """The open period runs on the breaker's own clock."""
    bench = Bench().tripped()
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + step_s)
    bench.wait(4.75)
    assert (None, 0.25) == (bench.breaker.acquire(), bench.breaker.retry_in_s)
    bench.wait(0.25)
    assert bench.take().probe


def test_the_default_clock_is_the_loops() -> None:
    """Without a clock of its own it asks the running loop."""

    async def life() -> float:
        breaker = Breaker("it", BreakerPolicy(jitter_ratio=0))
        breaker.open()
        return breaker.retry_in_s

    assert 4 < asyncio.run(life()) <= 5


def test_13_listeners_hear_permits_in_order() -> None:
    """A result first, then the move it caused, with aiobreaker's state objects."""
    bench, diary = Bench(consecutive=2), Diary()
    bench.breaker.add_listener(diary)
    error = Http500()
    bench.fail()
    bench.take().failed(error=error)
    bench.wait(5.0)
    bench.take().ok()
    assert [
        "failure",
        "failure",
        "state_change",
        "state_change",
        "success",
        "state_change",
    ] == [note[0] for note in diary.heard]
    assert error is diary.heard[1][1]
    assert [
        (bench.breaker, "CLOSED", "OPEN"),
        (bench.breaker, "OPEN", "HALF_OPEN"),
        (bench.breaker, "HALF_OPEN", "CLOSED"),
    ] == [note[1:] for note in diary.heard if note[0] == "state_change"]


def test_13_a_failure_without_an_exception_gets_one() -> None:
    """Listeners are used to an exception; a permit's reason becomes one that names the endpoint."""
    bench, diary = Bench(), Diary()
    bench.breaker.add_listener(diary)
    bench.take().failed(retry_after_s=3.0, reason="stalled")
    bench.fail()
    first, second = (note[1] for note in diary.heard)
    assert isinstance(first, AttemptError)
    assert ["it: failed (retry after 3.0 s): stalled", "it: failed: hard failure"] == [
        str(first),
        str(second),
    ]


def test_13_listeners_hear_late_results_too() -> None:
    """A late result moves nothing but did happen."""
    bench, diary = Bench(), Diary()
    late = bench.take()
    bench.tripped()
    bench.breaker.add_listener(diary)
    late.ok()
    assert [("success",)] == diary.heard


def test_13_a_removed_listener_hears_no_more() -> None:
    """Listeners come and go; the list is aiobreaker's."""
    bench, diary = Bench(), Diary()
    bench.breaker.add_listener(diary)
    assert [diary] == list(bench.breaker.listeners)
    bench.breaker.remove_listener(diary)
    bench.tripped()
    assert [] == diary.heard
    assert [] == list(bench.breaker.listeners)


def test_13_news_caused_by_a_listener_comes_after_its_cause() -> None:
    """A listener that closes what has opened: everybody hears of the opening first."""

    class Closer(CircuitBreakerListener):
        def state_change(self, breaker: Any, old: Any, new: Any) -> None:
            if new.state.name == "OPEN":
                breaker.close()

    bench, diary = Bench(), Diary()
    bench.breaker.add_listeners(Closer(), diary)
    bench.fail(5)
    assert ["OPEN", "CLOSED"] == [note[3] for note in diary.heard if note[0] == "state_change"]
    assert (["open", "closed"], "closed") == (bench.path, bench.phase())


def test_13_a_listener_need_not_have_every_hook(caplog: pytest.LogCaptureFixture) -> None:
    """Any object with the hook in question will do; a missing one is logged once."""

    class OnlyMoves:
        def __init__(self) -> None:
            self.moves = 0

        def state_change(self, breaker: Any, old: Any, new: Any) -> None:
            self.moves += 1

    bench, listener = Bench(), OnlyMoves()
    bench.breaker.add_listener(listener)  # type: ignore[arg-type]
    bench.tripped()
    assert (1, 1) == (listener.moves, len(caplog.records))
