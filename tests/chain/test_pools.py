"""Pools, room and the line for it: who is asked, who waits, and who is not asked at all."""

from __future__ import annotations

from collections import Counter
from typing import Any

import anyio
import attrs
import pytest

import fallbackio
from fallbackio import BreakerPolicy, Endpoint, Pool
from fallbackio.errors import ChainExhausted, ConfigError, DeadlineExceeded, InvalidRequest, ServerFault
from fallbackio.simulator import Behaviour, Lognormal, RateLimit, Silence, Simulator
from fallbackio.testing import ScriptedEndpoint, answers, fails, stalls, virtual_time


def limited(scripted: ScriptedEndpoint, **settings: Any) -> Endpoint:
    return attrs.evolve(scripted.endpoint, **settings)


@virtual_time
async def test_a_pools_members_are_tried_before_the_chain_goes_on() -> None:
    """The step after a pool is asked when every member has failed."""
    sick = [ScriptedEndpoint(fails(ServerFault(status=500)), name=name) for name in "ab"]
    spare = ScriptedEndpoint(answers("spare"), name="spare")
    chain = fallbackio.Chain([Pool([one.endpoint for one in sick]), spare.endpoint], seed=1)

    reply = await chain.complete("hi")

    assert sorted(attempt.endpoint for attempt in reply.report.attempts[:2]) == ["a", "b"]
    assert reply.report.endpoint == "spare"


@pytest.mark.parametrize("balance", ["weighted", "least_busy", "latency", "cost"])
@virtual_time
async def test_a_pool_spreads_its_calls(balance: Any) -> None:
    """Equal members get about equal shares, whatever the balance."""
    members = [ScriptedEndpoint(answers("yes", after_s=0.5), name=name) for name in "abc"]
    chain = fallbackio.Chain([Pool([one.endpoint for one in members], balance=balance)], seed=1)

    async with anyio.create_task_group() as group:
        for _ in range(90):
            group.start_soon(chain.complete, "hi")
            await anyio.sleep(0.05)

    assert min(one.requests for one in members) >= 15


@virtual_time
async def test_a_stalled_member_is_left_at_once() -> None:
    """With latency balance, requests that wait for a first content are what shows a stall."""
    well = [ScriptedEndpoint(answers("yes", after_s=0.3), name=name) for name in "abc"]
    sick = ScriptedEndpoint(*[answers("yes", after_s=0.3)] * 5, stalls(), name="sick")
    members = [one.endpoint for one in (*well, sick)]
    chain = fallbackio.Chain([Pool(members)], attempt_timeout=10, upstream="stream", seed=1)
    asked: Counter[int] = Counter()

    async def call() -> None:
        before = sick.requests
        await chain.complete("hi")
        asked[int(anyio.current_time())] += sick.requests > before

    async with anyio.create_task_group() as group:
        for _ in range(200):
            group.start_soon(call)
            await anyio.sleep(0.05)

    assert sick.requests < 25


@virtual_time
async def test_a_full_endpoint_is_skipped_and_not_asked() -> None:
    """While another endpoint can take a call, nobody waits for room."""
    a = ScriptedEndpoint(answers("a", after_s=1), name="a")
    b = ScriptedEndpoint(answers("b", after_s=1), name="b")
    chain = fallbackio.Chain([limited(a, max_in_flight=2), b.endpoint])

    async with anyio.create_task_group() as group:
        for _ in range(5):
            group.start_soon(chain.complete, "hi")

    assert (a.peak, a.requests, b.requests) == (2, 2, 3)
    assert anyio.current_time() == pytest.approx(1)


@virtual_time
async def test_who_waits_for_room_is_served_in_order() -> None:
    """One place, five calls: first come, first served, and each as soon as the one before has ended."""
    a = ScriptedEndpoint(answers("a", after_s=1), name="a")
    chain = fallbackio.Chain([limited(a, max_in_flight=1)])
    order: list[tuple[int, float]] = []

    async def call(number: int) -> None:
        await chain.complete("hi")
        order.append((number, anyio.current_time()))

    async with anyio.create_task_group() as group:
        for number in range(5):
            group.start_soon(call, number)
            await anyio.sleep(0.01)

    assert [number for number, _ in order] == [0, 1, 2, 3, 4]
    assert [at for _, at in order] == pytest.approx([1, 2, 3, 4, 5])
    assert a.peak == 1


@virtual_time
async def test_a_wait_ends_at_the_deadline() -> None:
    """Waiting for room counts against the call's own time, and leaves no place taken."""
    a = ScriptedEndpoint(answers("a", after_s=10), name="a")
    chain = fallbackio.Chain([limited(a, max_in_flight=1)])

    async with anyio.create_task_group() as group:
        group.start_soon(chain.complete, "hi")
        await anyio.sleep(0.1)
        with pytest.raises(DeadlineExceeded):
            await chain.complete("hi", timeout=2)
        assert anyio.current_time() == pytest.approx(2.1)
        assert len(chain._line) == 0

    assert a.requests == 1


@virtual_time
async def test_a_cancelled_waiter_does_not_hold_up_the_line() -> None:
    """The call behind one that gives up is served in its place."""
    a = ScriptedEndpoint(answers("a", after_s=1), name="a")
    chain = fallbackio.Chain([limited(a, max_in_flight=1)])

    async with anyio.create_task_group() as group:
        group.start_soon(chain.complete, "hi")
        await anyio.sleep(0.1)
        impatient = anyio.CancelScope()

        async def gives_up() -> None:
            with impatient:
                await chain.complete("hi")

        group.start_soon(gives_up)
        await anyio.sleep(0.1)
        group.start_soon(chain.complete, "hi")
        await anyio.sleep(0.1)
        impatient.cancel()

    assert anyio.current_time() == pytest.approx(2)
    assert a.requests == 2
    assert len(chain._line) == 0


@virtual_time
async def test_a_slow_reader_keeps_nobody_waiting() -> None:
    """An answer that the provider has given whole takes no place any more, read or not."""
    async with Simulator() as sim:
        a = sim.add("a", Behaviour(latency=1, text="word " * 50))
        endpoint = Endpoint("m", base_url=a.url(), max_in_flight=1)
        async with fallbackio.Chain([endpoint]) as chain, chain.stream("hi") as slow:
            await anext(slow)
            await anyio.sleep(1)
            with anyio.fail_after(2):
                await chain.complete("hi")
            said = [delta.text async for delta in slow]

    assert len(said) > 40


@virtual_time
async def test_a_verdict_takes_no_room() -> None:
    """While the caller judges a whole answer, the next call is under way."""
    a = ScriptedEndpoint(answers("a", after_s=1), name="a")

    async def slow(reply: fallbackio.Reply) -> bool:
        await anyio.sleep(10)
        return True

    chain = fallbackio.Chain([limited(a, max_in_flight=1)], accept=slow)
    async with anyio.create_task_group() as group:
        for _ in range(3):
            group.start_soon(chain.complete, "hi")

    assert anyio.current_time() == pytest.approx(13)
    assert (a.peak, a.requests) == (1, 3)


@virtual_time
async def test_requests_per_minute_are_kept() -> None:
    """Sixty a minute with nowhere else to go: calls wait for their second, none is refused."""
    a = ScriptedEndpoint(answers("a"), name="a")
    chain = fallbackio.Chain([limited(a, rpm=60)])

    async with anyio.create_task_group() as group:
        for _ in range(70):
            group.start_soon(chain.complete, "hi")

    assert a.requests == 70
    assert anyio.current_time() == pytest.approx(10, abs=0.01)


@virtual_time
async def test_the_line_has_an_end() -> None:
    """More calls than max_queue fail at once instead of piling up."""
    a = ScriptedEndpoint(answers("a", after_s=1), name="a")
    chain = fallbackio.Chain([limited(a, max_in_flight=1)], max_queue=2)
    failed: list[float] = []

    async def call() -> None:
        try:
            await chain.complete("hi")
        except ChainExhausted as error:
            assert "max_queue" in str(error)
            failed.append(anyio.current_time())

    async with anyio.create_task_group() as group:
        for _ in range(5):
            group.start_soon(call)

    assert failed == [0, 0]
    assert a.requests == 3


@virtual_time
async def test_limits_are_learnt_from_headers() -> None:
    """An endpoint known to be out of room is skipped: one 429 at the most finds it out, usually none."""
    async with Simulator() as sim:
        small = sim.add("small", Behaviour(latency=0.01, fault=RateLimit(rpm=60, burst_s=10)))
        large = sim.add("large", Behaviour(latency=0.01))
        steps = [Endpoint("m", base_url=one.url(), name=one.name) for one in (small, large)]
        async with fallbackio.Chain(steps) as chain:
            for _ in range(200):
                await chain.complete("hi")
                await anyio.sleep(0.1)

        assert small.stats.by_status[429] == 0
        assert small.stats.by_status[200] == pytest.approx(10 + 22, abs=4)


@virtual_time
async def test_a_keys_limits_are_shared() -> None:
    """Two endpoints of one group use one limit; unequal limits in a group are a mistake."""
    a, b = ScriptedEndpoint(answers("a"), name="a"), ScriptedEndpoint(answers("b"), name="b")
    given = {"rpm": 60, "limit_group": "key 1"}
    chain = fallbackio.Chain([limited(a, **given), limited(b, **given)])

    async with anyio.create_task_group() as group:
        for _ in range(62):
            group.start_soon(chain.complete, "hi")

    assert a.requests + b.requests == 62
    assert anyio.current_time() == pytest.approx(2, abs=0.01)
    with pytest.raises(ConfigError, match="share their limits"):
        fallbackio.Chain([limited(a, **given), limited(b, rpm=30, limit_group="key 1")])


@virtual_time
async def test_traffic_returns_over_a_ramp() -> None:
    """After a recovery the first choice gets a growing share, and the ledger says why it was not asked."""
    a = ScriptedEndpoint(*[fails(ServerFault(status=500))] * 5, answers("a"), name="a")
    b = ScriptedEndpoint(answers("b"), name="b")
    chain = fallbackio.Chain([a.endpoint, b.endpoint], seed=1, breaker=BreakerPolicy(ramp_s=10))
    for _ in range(5):
        await chain.complete("hi")
    await anyio.sleep(6)
    await chain.complete("hi")  # the probe
    shares = []
    for _ in range(12):
        before = a.requests
        for _ in range(100):
            reply = await chain.complete("hi")
            await anyio.sleep(0.01)
            if reply.report.endpoint == "b":
                assert reply.report.fell_back
                assert "recovered" in str(reply.report.attempts[0].error)
        shares.append((a.requests - before) / 100)

    assert shares[0] == pytest.approx(0.15, abs=0.1)
    assert shares[4] == pytest.approx(0.55, abs=0.15)
    assert shares[-1] == 1.0


@virtual_time
async def test_a_weak_return_is_not_stampeded() -> None:
    """S12: an endpoint that returns with a fifth of its capacity is not offered more than 1.2 times that."""
    async with Simulator(seed=1) as sim:
        weak = sim.add("weak", Behaviour(latency=Lognormal(0.2, 0.3)))
        spare = sim.add("spare", Behaviour(latency=Lognormal(0.2, 0.3)))
        steps = [Endpoint("m", base_url=one.url(), name=one.name) for one in (weak, spare)]
        policy = BreakerPolicy(ramp_s=10, jitter_ratio=0)
        async with fallbackio.Chain(steps, breaker=policy, attempt_timeout=1, seed=2) as chain:
            rate = 50.0
            async with anyio.create_task_group() as group:
                for tick in range(int(rate * 30)):
                    if tick == rate * 2:
                        weak.behave(Behaviour(fault=Silence()))
                    if tick == rate * 6:
                        weak.behave(
                            Behaviour(
                                latency=Lognormal(0.2, 0.3),
                                fault=RateLimit(rpm=rate * 60 / 5, burst_s=0.5, headers=False),
                            )
                        )
                    group.start_soon(chain.complete, "hi")
                    await anyio.sleep(1 / rate)
            offered = Counter(int(at) for at in weak.stats.arrivals)
            back = [offered[second] for second in range(8, 29)]

            assert max(back) <= 1.2 * rate / 5 + 2, back
            assert sum(back) > 30, "and it is used for what it can do"


def test_a_pool_says_what_is_wrong_with_it() -> None:
    """An empty pool, a lone endpoint and an unknown balance are refused."""
    with pytest.raises(ConfigError, match="at least one"):
        Pool([])
    with pytest.raises(ConfigError, match="put it in"):
        Pool("openai/gpt-4o")
    with pytest.raises(ConfigError, match="balance must be one of"):
        Pool(["openai/gpt-4o"], balance="random")  # type: ignore[arg-type]


@virtual_time
async def test_a_large_pool_is_checked_by_its_kinds() -> None:
    """What any member could not express is refused; those that differ in keys alone are looked at once."""
    async with Simulator() as sim:
        a = sim.add("a")
        members = [
            Endpoint("m", base_url=a.url(), name=f"e{at}", api_key=f"key-{at}", weight=at + 1)
            for at in range(20)
        ]
        strict = Endpoint("m", base_url=a.url("anthropic"), dialect="anthropic", name="strict", api_key="k")
        async with fallbackio.Chain([Pool([*members, strict])]) as chain:
            assert [route.spec.name for route in chain._setup.kinds] == ["e0", "strict"]
            with pytest.raises(InvalidRequest, match="strict"):
                await chain.complete("hi", logit_bias={"1": 1})
            assert (await chain.complete("hi")).text
