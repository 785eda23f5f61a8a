"""Cancelled at every one of its steps, a call leaves nothing behind."""

from __future__ import annotations

import asyncio
import types
from collections.abc import Awaitable, Callable, Coroutine, Generator
from typing import Any

import anyio
import pytest
from attrs import frozen

import fallbackio
from fallbackio import Endpoint, Hedge, Race, clock
from fallbackio.simulator import Behaviour, Fault, Reset, Silence, Simulator, Stall, Status
from fallbackio.testing import run

# More steps than any of the scenarios takes; a scenario that never ends is a failure of its own.
MOST_STEPS = 400
# From when an attempt is left whose endpoint's breaker has opened.
LATE_S = 0.2


async def complete(chain: fallbackio.Chain) -> None:
    await chain.complete("hi")


async def read_stream(chain: fallbackio.Chain) -> None:
    async with chain.stream("hi") as stream:
        async for _ in stream:
            pass


async def leave_stream(chain: fallbackio.Chain) -> None:
    async with chain.stream("hi") as stream:
        async for _ in stream:
            break


@frozen
class Means:
    """How a call is cancelled: by a scope of anyio's or by the task's own `cancel()`, and when."""

    by_scope: bool
    while_suspended: bool

    def __str__(self) -> str:
        who = "by a scope" if self.by_scope else "natively"
        return f"{who} {'within' if self.while_suspended else 'before'} a step"


MEANS = [Means(by_scope, suspended) for by_scope in (True, False) for suspended in (False, True)]


@frozen
class Scenario:
    """A call to cancel: what it does, and what its first endpoint does."""

    name: str
    call: Callable[[fallbackio.Chain], Awaitable[None]]
    fault: Fault | None = None
    upstream: str = "plain"
    spares: int = 1
    strategy: Any = "sequence"
    opens_s: float | None = None  # when the first endpoint's breaker is opened


SCENARIOS = [
    Scenario("healthy", complete),
    Scenario("healthy over a stream", complete, upstream="stream"),
    Scenario("failover", complete, Status(500)),
    Scenario("stall, then failover", complete, Silence()),
    Scenario("stall over a stream", complete, Stall(2), upstream="stream"),
    Scenario("reset, then failover", complete, Reset()),
    Scenario("handed over", complete, Silence(), opens_s=0.3),
    Scenario("handed over once late", complete, Silence(), opens_s=0.1),
    Scenario("stream handed over", read_stream, Stall("content"), opens_s=0.3),
    Scenario("stream handed over once late", read_stream, Silence(), opens_s=0.1),
    Scenario("answered as the breaker opens", complete, opens_s=0.03),
    Scenario("waiting for a repeat", complete, Status(429, retry_after_s=1), spares=0),
    Scenario("stream", read_stream),
    Scenario("stream after failover", read_stream, Stall("content")),
    Scenario("stream left early", leave_stream),
    Scenario("stream that stalls", read_stream, Stall(2)),
    Scenario("hedge not needed", complete, strategy=Hedge(delay=1)),
    Scenario("hedge", complete, Stall("content"), strategy=Hedge(delay=0.2)),
    Scenario("hedge that fails", complete, Status(500, after_s=0.3), strategy=Hedge(delay=0.2), spares=0),
    Scenario("hedged stream", read_stream, Silence(), strategy=Hedge(delay=0.2)),
    Scenario("race", complete, Stall("content"), strategy=Race(), spares=2),
    Scenario("raced stream", read_stream, strategy=Race(), spares=2),
    Scenario("drained loser", complete, Stall(1), strategy=Hedge(delay=0.2, drain_losers=0.02)),
]


@types.coroutine
def stepping(
    coroutine: Coroutine[Any, Any, None], at: int, act: Callable[[], None]
) -> Generator[Any, Any, int]:
    """Run `coroutine`, call `act` just before its step number `at`; gives the number of steps."""
    step, resume = 0, coroutine.send
    value: Any = None
    while True:
        if step == at:
            act()
        step += 1
        try:
            waited_for = resume(value)
        except StopIteration:
            return step
        try:
            value, resume = (yield waited_for), coroutine.send
        except BaseException as error:
            value, resume = error, coroutine.throw


async def stepped(call: Coroutine[Any, Any, None], step: int, means: Means) -> bool:
    """Run `call` in a task of its own and cancel it at `step`; whether it had so many steps."""
    scope = anyio.CancelScope()
    reached = False

    def cancel() -> None:
        nonlocal reached
        reached = True
        end = scope.cancel if means.by_scope else task.cancel
        if means.while_suspended:
            asyncio.get_running_loop().call_soon(end)
        else:
            end()

    async def within_scope() -> None:
        with scope:
            await stepping(call, step, cancel)

    task = asyncio.create_task(within_scope())
    try:
        await task
    except (fallbackio.StreamBroken, fallbackio.ChainExhausted):
        pass
    except asyncio.CancelledError:
        assert not means.by_scope, "a scope's cancellation ends at the scope"
    return reached


async def cancelled_at(scenario: Scenario, dialect: str, step: int, means: Means) -> bool:
    """Run the scenario, cancel it at `step`, look for leftovers; whether it had so many steps."""
    async with Simulator() as sim:
        names = ["first", *[f"spare{number}" for number in range(scenario.spares)]]
        sick, well = Behaviour(tokens=4, pace_s=0.01, fault=scenario.fault), Behaviour(tokens=4, pace_s=0.1)
        behaviours = [sick, *[well] * 9]
        simulated = [sim.add(name, behaviour) for name, behaviour in zip(names, behaviours, strict=False)]
        steps = [
            Endpoint("m", name=one.name, base_url=one.url(dialect), dialect=dialect, api_key="k")
            for one in simulated
        ]
        upstream: Any = scenario.upstream
        async with fallbackio.Chain(
            steps,
            attempt_timeout=1,
            idle_timeout=1,
            upstream=upstream,
            seed=1,
            strategy=scenario.strategy,
            breaker=fallbackio.BreakerPolicy(slow_after_s=LATE_S),
        ) as chain:
            if scenario.opens_s is not None:
                clock.call_at(clock.now() + scenario.opens_s, chain._routes[0].breaker.open)
            before = asyncio.all_tasks()
            call: Any = scenario.call(chain)
            reached = await stepped(call, step, means)
            of_ours = [task for task in asyncio.all_tasks() - before if "fallbackio/chain" in repr(task)]
            assert all("Background" in repr(task) for task in of_ours)
            await anyio.sleep(0.05)
            assert all(task.done() for task in of_ours), "a drain is bounded"
            assert [one.stats.in_flight for one in simulated] == [0] * len(simulated), f"step {step}"
            permits = [route.breaker.in_flight for route in chain._routes]
            assert permits == [0] * len(permits), f"step {step}"
            assert not any(route.breaker.waiting for route in chain._routes), f"step {step}"
            rooms = [(route.room.in_flight, route.room.shared.requests_out) for route in chain._routes]
            assert rooms == [(0, 0)] * len(rooms), f"step {step}"
            assert [route.load.waiting for route in chain._routes] == [0] * len(rooms), f"step {step}"
            assert len(chain._line) == 0
        return reached


@pytest.mark.parametrize("dialect", ["openai", "anthropic"])
@pytest.mark.parametrize("means", MEANS, ids=str)
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_cancelled_at_every_step(scenario: Scenario, means: Means, dialect: str) -> None:
    """No task, no request at the simulator within 50 ms, and no permit is left, whichever the step."""
    for step in range(MOST_STEPS):
        if not run(cancelled_at, scenario, dialect, step, means):
            break
    else:
        pytest.fail("the call never ended")
    assert step > 1
