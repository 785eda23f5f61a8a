"""Waiting for room: in turn, for as long as it is worth it, and in nobody's way."""

from __future__ import annotations

from typing import Any

import anyio
import attrs
import pytest
from anyio.lowlevel import checkpoint

import fallbackio
from fallbackio import BreakerPolicy, Endpoint, Hedge, Pool, Race, RetryPolicy
from fallbackio.errors import (
    ChainClosed,
    ChainExhausted,
    ConfigError,
    Overloaded,
    ServerFault,
)
from fallbackio.simulator import Behaviour, RateLimit, Simulator
from fallbackio.testing import ScriptedEndpoint, answers, fails, run, stalls, virtual_time

SLOW = 10.0


def limited(name: str, *script: Any, **settings: Any) -> tuple[ScriptedEndpoint, Endpoint]:
    scripted = ScriptedEndpoint(*(script or (answers(name, after_s=SLOW),)), name=name)
    return scripted, attrs.evolve(scripted.endpoint, **settings)


class Served:
    """Calls and the instants at which they were answered."""

    def __init__(self, chain: fallbackio.Chain) -> None:
        self.chain = chain
        self.at: dict[str, float] = {}
        self.by: dict[str, str] = {}
        self.failed: dict[str, Exception] = {}

    async def call(self, name: str, **options: Any) -> None:
        try:
            self.by[name] = (await self.chain.complete("hi", **options)).report.endpoint
        except fallbackio.FallbackError as error:
            self.failed[name] = error
        self.at[name] = round(anyio.current_time(), 3)


@virtual_time
async def test_who_waits_for_one_endpoint_keeps_nobody_from_another() -> None:
    """A call that only a full endpoint could take does not hold up calls that another one can."""
    _, x = limited("x", max_in_flight=1, capabilities={"tools", "vision"})
    _, y = limited("y", max_in_flight=5, capabilities={"tools"})
    served = Served(fallbackio.Chain([x, y]))

    async with anyio.create_task_group() as group:
        for name, need in (("first", {"vision"}), ("waits", {"vision"}), ("goes", {"tools"})):
            group.start_soon(lambda name, need: served.call(name, require=need), name, need)
            await anyio.sleep(0.01)

    assert served.by == {"first": "x", "goes": "y", "waits": "x"}
    assert served.at["goes"] == pytest.approx(SLOW + 0.02)
    assert served.at["waits"] == pytest.approx(2 * SLOW)


@virtual_time
async def test_room_is_told_to_whoever_can_use_it() -> None:
    """When a request ends somewhere, the first of those who wait for that place goes."""
    _, x = limited("x", answers("x", after_s=60), max_in_flight=1, capabilities={"vision"})
    _, y = limited("y", max_in_flight=1, capabilities={"tools"})
    served = Served(fallbackio.Chain([x, y]))

    async with anyio.create_task_group() as group:
        for name, need in (
            ("x1", "vision"),
            ("y1", "tools"),
            ("x2", "vision"),
            ("y2", "tools"),
            ("y3", "tools"),
        ):
            group.start_soon(lambda name, need: served.call(name, require={need}), name, need)
            await anyio.sleep(0.001)

    assert [served.at[name] for name in ("y1", "y2", "y3")] == pytest.approx([10, 20, 30], abs=0.01)
    assert [served.at[name] for name in ("x1", "x2")] == pytest.approx([60, 120], abs=0.01)


@virtual_time
async def test_those_who_could_go_anywhere_do_not_overtake_the_choosy() -> None:
    """A place that becomes free is his who has waited for it longest, also if others would take any."""
    _, x = limited("x", max_in_flight=1, capabilities={"vision", "tools"})
    _, y = limited("y", answers("y", after_s=60), max_in_flight=1, capabilities={"tools"})
    served = Served(fallbackio.Chain([x, y]))

    async with anyio.create_task_group() as group:
        for name, need in (("1", "tools"), ("2", "tools"), ("3", "tools"), ("4", "vision"), ("5", "tools")):
            group.start_soon(lambda name, need: served.call(name, require={need}), name, need)
            await anyio.sleep(0.001)

    assert [served.by[name] for name in "12345"] == ["x", "y", "x", "x", "x"]
    assert [served.at[name] for name in "1345"] == pytest.approx([10, 20, 30, 40], abs=0.01)


@virtual_time
async def test_two_places_that_free_themselves_at_once_are_both_taken() -> None:
    """No wake-up is lost when requests end in one tick."""
    a, endpoint = limited("a", max_in_flight=3)
    served = Served(fallbackio.Chain([endpoint]))

    async with anyio.create_task_group() as group:
        for number in range(12):
            group.start_soon(served.call, str(number))

    assert anyio.current_time() == pytest.approx(4 * SLOW)
    assert a.peak == 3


@pytest.mark.parametrize("strategy", ["sequence", Hedge(delay=0.5), Race()], ids=str)
def test_a_waiter_that_leaves_at_any_instant_loses_nobody_his_turn(strategy: Any) -> None:
    """Cancelled before, in and after its turn, a call passes its place on; all others are served in order."""

    async def leaving(at: float) -> None:
        _, first = limited("a", answers("a", after_s=1), max_in_flight=1)
        _, second = limited("b", answers("b", after_s=1), max_in_flight=1)
        chain = fallbackio.Chain([first, second], strategy=strategy, seed=1)
        served = Served(chain)

        async def leaves() -> None:
            with anyio.CancelScope(deadline=at):
                await chain.complete("hi")

        async with anyio.create_task_group() as group:
            for name in ("1", "2", "3"):
                group.start_soon(served.call, name)
                await checkpoint()
            group.start_soon(leaves)
            await checkpoint()
            for name in ("4", "5", "6"):
                group.start_soon(served.call, name)
                await checkpoint()

        assert not served.failed
        assert sorted(served.at, key=lambda name: (served.at[name], name)) == sorted(served.at)
        assert anyio.current_time() <= 7
        assert len(chain._line) == 0
        for route in chain._routes:
            room = route.room
            assert (room.in_flight, room.shared.requests_out, route.load.waiting) == (0, 0, 0)
            assert route.breaker.in_flight == 0

    for at in (0, 0.5, 1, 1 + 1e-9, 1.000001, 1.5, 2, 2.000001, 2.5, 3):
        run(leaving, at)


@virtual_time
async def test_a_refill_is_waited_for_however_long_it_takes() -> None:
    """The wait for a place is bounded by the call's deadline, not by the longest wait of a repeat."""
    _, a = limited("a", answers("a"), rpm=0.5)
    chain = fallbackio.Chain([a], timeout=300)

    await chain.complete("hi")
    await chain.complete("hi")

    assert anyio.current_time() == pytest.approx(120)
    with pytest.raises(ChainExhausted, match="no room") as caught:
        await chain.complete("hi", timeout=60)
    assert anyio.current_time() == pytest.approx(120), "who cannot be served in time is told at once"
    assert caught.value.retry_after_s == pytest.approx(120)


@virtual_time
async def test_a_wait_that_may_end_sooner_is_waited_for() -> None:
    """Requests under way may end at any time and give tokens back, so nobody gives up for their sake."""
    _, a = limited("a", answers("a", after_s=5, usage=fallbackio.Usage(prompt_tokens=1)), tpm=60)
    chain = fallbackio.Chain([a])

    async with anyio.create_task_group() as group:
        group.start_soon(lambda: chain.complete("hi", max_tokens=50))
        await anyio.sleep(0.1)
        await chain.complete("hi", max_tokens=50, timeout=20)

    assert anyio.current_time() == pytest.approx(10)


@virtual_time
async def test_waiting_calls_use_up_nobodys_repeats() -> None:
    """Calls that wait for room are no repeats, so they leave the budget to those that need one."""
    _, a = limited("busy", max_in_flight=1, capabilities={"tools"})
    flaky, b = limited(
        "flaky", fails(ServerFault(status=500)), answers("flaky"), capabilities={"vision"}, max_in_flight=9
    )
    served = Served(fallbackio.Chain([a, b]))

    async with anyio.create_task_group() as group:
        for number in range(20):
            group.start_soon(lambda number: served.call(str(number), require={"tools"}), number)
        await anyio.sleep(0.1)
        await served.call("repeated", require={"vision"})
        assert anyio.current_time() < 2
        group.cancel_scope.cancel()

    assert served.by["repeated"] == "flaky"
    assert flaky.requests == 2


@virtual_time
async def test_a_repeat_waits_for_room_too() -> None:
    """An endpoint that failed and has become full is asked again when it has room."""
    a, endpoint = limited("a", fails(Overloaded(status=503)), answers("a", after_s=5), max_in_flight=1)
    served = Served(fallbackio.Chain([endpoint], retry=RetryPolicy(base_s=1), seed=1))

    async with anyio.create_task_group() as group:
        group.start_soon(served.call, "fails first")
        await checkpoint()
        for name in ("second", "third"):
            group.start_soon(served.call, name)

    assert not served.failed
    assert (a.peak, a.requests) == (1, 4)
    assert anyio.current_time() == pytest.approx(15, abs=1.1)


@virtual_time
async def test_a_bulkhead_holds_in_a_panic() -> None:
    """When all breakers are open, an endpoint still gets no more requests at once than it may have."""
    sick, endpoint = limited("sick", *[fails(ServerFault(status=500))] * 5, stalls(), max_in_flight=1)
    chain = fallbackio.Chain([endpoint], max_retries=0, attempt_timeout=5, breaker=BreakerPolicy(open_s=60))
    for _ in range(5):
        with pytest.raises(ChainExhausted):
            await chain.complete("hi")

    async with anyio.create_task_group() as group:
        for _ in range(4):
            group.start_soon(Served(chain).call, "panics")

    assert sick.peak == 1


@virtual_time
async def test_a_bulkhead_holds_for_quick_repeats() -> None:
    """RetryPolicy.same_first is no way around max_in_flight."""
    a, endpoint = limited("a", fails(Overloaded(status=503)), answers("a", after_s=3), max_in_flight=1)
    chain = fallbackio.Chain([endpoint], retry=RetryPolicy(same_first=2, base_s=0.1))

    async with anyio.create_task_group() as group:
        for _ in range(4):
            group.start_soon(chain.complete, "hi")

    assert a.peak == 1


@virtual_time
async def test_who_waits_for_something_else_stands_in_nobodys_way() -> None:
    """A call that has become too late for the room it waited for leaves it to the others."""
    _, a = limited("a", fails(ServerFault(status=500, retry_after_s=3.0)))
    _, b = limited("b", answers("b", after_s=2), max_in_flight=1)
    chain = fallbackio.Chain([a, b], breaker=BreakerPolicy(consecutive=99, rates=()), seed=1)
    for _ in range(20):
        chain._routes[1].tempo.firsts.add(2.0)
    served = Served(chain)

    async with anyio.create_task_group() as group:
        group.start_soon(served.call, "first")
        await anyio.sleep(0.1)
        group.start_soon(lambda: served.call("late", timeout=3.5))  # from 1.6 s on it waits for a's repeat
        await anyio.sleep(2)
        group.start_soon(served.call, "goes")

    assert served.at["first"] == 2.0
    assert served.at["goes"] == pytest.approx(4.1, abs=0.01)


@virtual_time
async def test_closing_the_chain_ends_the_wait() -> None:
    """Calls in line fail when the chain is closed, not when it would have been their turn."""
    _, a = limited("a", answers("a"), rpm=1)
    chain = fallbackio.Chain([a])
    served = Served(chain)

    async with anyio.create_task_group() as group:
        for number in range(4):
            group.start_soon(served.call, str(number))
        await anyio.sleep(1)
        await chain.aclose()

    assert anyio.current_time() < 2
    assert [type(error) for error in served.failed.values()] == [ChainClosed] * 3


@virtual_time
async def test_long_streams_leave_the_provider_its_own_count() -> None:
    """A hundred answers under way that the provider has counted already are not taken off once more."""
    async with Simulator() as sim:
        a = sim.add("a", Behaviour(tokens=20, pace_s=1, fault=RateLimit(rpm=100)))
        async with fallbackio.Chain([Endpoint("m", base_url=a.url())], idle_timeout=None) as chain:

            async def read() -> None:
                async with chain.stream("hi") as stream:
                    async for _ in stream:
                        pass

            async with anyio.create_task_group() as group:
                for _ in range(95):
                    group.start_soon(read)
                    await anyio.sleep(0.01)

        assert a.stats.by_status == {200: 95}
        assert anyio.current_time() < 22


@virtual_time
async def test_a_limit_that_is_given_is_kept_below_the_providers() -> None:
    """Headers that allow more than the user does change nothing."""
    async with Simulator() as sim:
        a = sim.add("a", Behaviour(fault=RateLimit(rpm=6000)))
        async with fallbackio.Chain([Endpoint("m", base_url=a.url(), rpm=60)]) as chain:
            async with anyio.create_task_group() as group:
                for _ in range(70):
                    group.start_soon(chain.complete, "hi")

        assert anyio.current_time() == pytest.approx(10, abs=0.1)


@pytest.mark.parametrize("strategy", [Race(), Hedge(delay=0.1, extra_load=1)], ids=str)
@virtual_time
async def test_a_race_does_not_stampede_who_comes_back(strategy: Any) -> None:
    """Slow start holds for those that are asked beside others, too."""
    back, first = limited("back", *[fails(ServerFault(status=500))] * 5, answers("back", after_s=0.3))
    _, second = limited("well", answers("well", after_s=0.4))
    chain = fallbackio.Chain([first, second], strategy=strategy, breaker=BreakerPolicy(open_s=5), seed=1)
    for _ in range(5):
        await chain.complete("hi")
    await anyio.sleep(6)
    await chain.complete("hi")  # the probe
    assert chain._routes[0].breaker.recovered_at > 5
    before = back.requests

    for _ in range(40):
        await chain.complete("hi")

    assert back.requests - before < 60 * 0.5


@virtual_time
async def test_a_loser_that_goes_on_keeps_its_place() -> None:
    """What is read in the background is under way at the provider, and counts for max_in_flight."""
    async with Simulator() as sim:
        slow = sim.add("slow", Behaviour(tokens=60, pace_s=1, latency=2))
        quick = sim.add("quick", Behaviour(latency=0.1))
        steps = [
            Endpoint("m", base_url=slow.url(), name="slow", max_in_flight=1),
            Endpoint("m", base_url=quick.url(), name="quick"),
        ]
        strategy, policy = Hedge(delay=0.5, drain_losers=30, extra_load=1), BreakerPolicy(slow_after_s=99)
        async with fallbackio.Chain(steps, strategy=strategy, breaker=policy) as chain:
            for _ in range(5):
                await chain.complete("hi")
                await anyio.sleep(1)
            assert (slow.stats.requests, slow.stats.peak_in_flight) == (1, 1)
            await anyio.sleep(30)
            await chain.complete("hi")
            assert (slow.stats.requests, slow.stats.peak_in_flight) == (2, 1)
            assert chain._routes[0].room.in_flight == 1
        assert chain._routes[0].room.in_flight == 0


@virtual_time
async def test_a_full_pool_of_many_is_waited_for_in_order() -> None:
    """Two hundred full members have one line, and cost no more than that."""
    members = [limited(f"m{at}", answers("yes", after_s=1), max_in_flight=1) for at in range(200)]
    served = Served(fallbackio.Chain([Pool([endpoint for _, endpoint in members])], seed=1))

    async with anyio.create_task_group() as group:
        for number in range(450):
            group.start_soon(served.call, f"{number:03}")

    assert max(scripted.peak for scripted, _ in members) == 1
    assert sorted(served.at, key=lambda name: (served.at[name], name)) == sorted(served.at)
    assert anyio.current_time() == pytest.approx(3)


@pytest.mark.parametrize("max_queue", [-1, 1.5, "many", None, True], ids=repr)
def test_max_queue_is_a_number(max_queue: Any) -> None:
    """What is no number of calls is refused when the chain is built."""
    with pytest.raises(ConfigError, match="max_queue must be a whole number"):
        fallbackio.Chain([limited("a")[1]], max_queue=max_queue)
