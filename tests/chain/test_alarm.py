"""The alarm over a stream's waits, and what it must never take for its own: a caller's cancellation."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable

import anyio
import pytest

from fallbackio import clock
from fallbackio.chain._alarm import AGAIN_S, Alarm, Bell
from fallbackio.testing import virtual_time

DUE_S = 1.0


async def wait(alarm: Alarm, seconds: float = 10.0, limit_s: float = DUE_S) -> str:
    """What came of one wait under the alarm."""
    with alarm.until(clock.now() + limit_s):
        await asyncio.sleep(seconds)
        return "whole"
    return "rang" if alarm.rang else "neither"


@virtual_time
async def test_a_wait_ends_at_its_instant() -> None:
    """The alarm ends a wait when it is due, and the task is as if nothing had happened."""
    began = clock.now()
    assert await wait(Alarm()) == "rang"
    assert clock.now() - began == pytest.approx(DUE_S)
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


@virtual_time
async def test_what_arrives_in_the_turn_of_the_alarm_is_not_lost() -> None:
    """A wait whose end comes in the turn of the loop in which the alarm is due gives what it waited for."""
    loop = asyncio.get_running_loop()
    arriving: asyncio.Future[str] = loop.create_future()
    due = clock.now() + DUE_S
    loop.call_at(due, arriving.set_result, "whole")
    with Bell(due) as bell:
        assert await arriving == "whole"
    assert not bell.rang


@virtual_time
async def test_a_bell_leaves_no_timer() -> None:
    """What an alarm for one wait has set is gone when that is over, whether it rang or not."""
    with Bell(clock.now() + DUE_S):
        await asyncio.sleep(0)
    with Bell(clock.now() + DUE_S) as bell:
        await asyncio.sleep(10)
    assert bell.rang
    scheduled: list[asyncio.TimerHandle] = asyncio.get_running_loop()._scheduled  # type: ignore[attr-defined]
    assert [timer for timer in scheduled if not timer.cancelled()] == []


@virtual_time
async def test_one_timer_serves_many_waits() -> None:
    """A wait is bounded by its own limit, whatever the waits before it had, shorter or longer."""
    alarm = Alarm()
    for seconds, limit_s in itertools.product((0.4, 0.7, 10.0), (3.0, 0.5, 1.0)):
        began = clock.now()
        outcome = await wait(alarm, seconds, limit_s)
        assert outcome == ("whole" if seconds < limit_s else "rang")
        assert clock.now() - began == pytest.approx(min(seconds, limit_s))


@virtual_time
async def test_nothing_rings_between_waits() -> None:
    """A timer that is left over from a wait that ended does not touch who does something else."""
    alarm = Alarm()
    assert await wait(alarm, 0.1) == "whole"
    await asyncio.sleep(5)
    assert not alarm.rang


def by_a_scope(task: asyncio.Task[str], scope: anyio.CancelScope) -> None:
    """The caller's own scope ends."""
    scope.cancel()


def by_the_task(task: asyncio.Task[str], scope: anyio.CancelScope) -> None:
    """The caller's task is cancelled."""
    task.cancel()


@pytest.mark.parametrize("cancel", [by_a_scope, by_the_task])
@pytest.mark.parametrize("order", ["before", "after"])
@virtual_time
async def test_a_caller_who_cancels_in_the_tick_of_the_alarm_is_heard(
    cancel: Callable[[asyncio.Task[str], anyio.CancelScope], None], order: str
) -> None:
    """Whoever is first within one turn of the loop, the cancellation gets through, once."""
    scope = anyio.CancelScope()
    went_on: list[str] = []

    async def caller() -> str:
        with scope:
            went_on.append(await wait(Alarm()))
            await asyncio.sleep(0)  # a scope's cancellation may come at the next wait
            went_on.append("slept")
        return "scope"

    loop = asyncio.get_running_loop()
    at = clock.now() + DUE_S
    task: asyncio.Task[str]
    if order == "before":
        loop.call_at(at, lambda: cancel(task, scope))
    task = asyncio.create_task(caller())
    await asyncio.sleep(0)
    if order == "after":
        loop.call_at(at, lambda: cancel(task, scope))
    outcome = (await asyncio.gather(task, return_exceptions=True))[0]

    assert "slept" not in went_on
    assert "whole" not in went_on
    if cancel is by_a_scope:
        assert outcome == "scope"
    else:
        assert isinstance(outcome, asyncio.CancelledError)
    assert task.cancelling() == (cancel is by_the_task)


@virtual_time
async def test_a_deadline_of_the_callers_at_the_same_instant_stays_his() -> None:
    """A scope around several waits ends at its deadline even if the alarm is due in the same tick."""
    reached = False
    with anyio.move_on_after(DUE_S) as scope:
        await wait(Alarm())
        await asyncio.sleep(0)
        reached = True
    assert scope.cancelled_caught
    assert not reached


@virtual_time
async def test_a_wait_that_swallows_its_cancellation_is_cancelled_again() -> None:
    """A function that catches the cancellation and waits on is not left to itself."""
    alarm = Alarm()
    began = clock.now()
    swallowed = 0
    with alarm.until(began + DUE_S):
        while True:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                swallowed += 1
                if swallowed == 4:
                    raise
    assert alarm.rang
    assert clock.now() - began == pytest.approx(DUE_S + 3 * AGAIN_S)
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


@virtual_time
async def test_another_error_in_the_tick_of_the_alarm_is_not_hidden() -> None:
    """What the wait itself raises when it is cut comes out."""
    alarm = Alarm()
    with pytest.raises(KeyError):
        with alarm.until(clock.now() + DUE_S):
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                raise KeyError from None
    assert alarm.rang
