"""Endpoints that share a key's limits: what one is told of them holds for all."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

import fallbackio
from fallbackio import BreakerPolicy, Endpoint, Hedge, Pool, RetryPolicy
from fallbackio.errors import ChainExhausted
from fallbackio.simulator import Behaviour, InTurn, RateLimit, SimulatedEndpoint, Simulator, Status
from fallbackio.testing import ScriptedEndpoint, answers, virtual_time

THROTTLED = Behaviour(fault=InTurn((Status(429, retry_after_s=20),)))


def of_key(key: SimulatedEndpoint, model: str, **settings: Any) -> Endpoint:
    """A model behind the key, which all of them share."""
    given = {"name": model, "limit_group": "the key", **settings}
    return Endpoint(model, base_url=key.url("openai"), api_key="k", **given)


def ledger(report: fallbackio.Report) -> list[tuple[str, str]]:
    return [(attempt.endpoint, attempt.outcome) for attempt in report.attempts]


@pytest.mark.parametrize("pooled", [False, True], ids=["steps", "pool"])
@virtual_time
async def test_a_throttled_group_rests_as_one(pooled: bool) -> None:
    """A 429 of one endpoint sends the call past its group, and later calls too, until Retry-After is over."""
    async with Simulator() as sim:
        key, spare = sim.add("key", THROTTLED), sim.add("spare")
        group = [of_key(key, "small"), of_key(key, "large")]
        steps = [Pool(group)] if pooled else group
        async with fallbackio.Chain([*steps, of_key(spare, "other", limit_group="")], seed=1) as chain:
            first = (await chain.complete("hi")).report
            await anyio.sleep(19.5)
            later = (await chain.complete("hi")).report
            resting = [one.breaker.retry_in_s for one in chain.health().endpoints]
            await anyio.sleep(0.6)
            after = (await chain.complete("hi")).report

            assert sorted(outcome for _, outcome in ledger(first)) == ["failed", "skipped", "won"]
            assert first.endpoint == later.endpoint == "other"
            assert resting == pytest.approx([0.5, 0.5, 0], abs=0.01)
            assert after.endpoint in ("small", "large")
            assert key.stats.by_status == {429: 1, 200: 1}
            assert [route.breaker.phase for route in chain._routes] == ["closed"] * 3


@virtual_time
async def test_only_the_group_rests() -> None:
    """Another key is asked at once, and so is another model of the same where nobody said that it shares."""
    async with Simulator() as sim:
        key, other = sim.add("key", THROTTLED), sim.add("other")
        steps = [of_key(key, "a"), of_key(other, "b", limit_group="another key")]
        async with fallbackio.Chain(steps, seed=1) as chain:
            assert ledger((await chain.complete("hi")).report) == [("a", "failed"), ("b", "won")]

        lone = sim.add("lone", THROTTLED)
        apart = [of_key(lone, "a", limit_group=""), of_key(lone, "b", limit_group="")]
        async with fallbackio.Chain(apart, seed=1) as chain:
            assert ledger((await chain.complete("hi")).report) == [("a", "failed"), ("b", "won")]


@virtual_time
async def test_one_key_and_one_model_are_a_group_by_themselves() -> None:
    """Two endpoints that differ in their parameters only rest together, as they share their limits."""
    async with Simulator() as sim:
        key, spare = sim.add("key", THROTTLED), sim.add("spare")
        steps = [
            of_key(key, "m", name="cold", limit_group="", params={"temperature": 0}),
            of_key(key, "m", name="warm", limit_group="", params={"temperature": 1}),
            of_key(spare, "m", name="spare", limit_group=""),
        ]
        async with fallbackio.Chain(steps, seed=1) as chain:
            report = (await chain.complete("hi")).report

            assert ledger(report) == [("cold", "failed"), ("warm", "skipped"), ("spare", "won")]


@virtual_time
async def test_a_lone_endpoint_rests_by_itself() -> None:
    """A group of one stays on its fast path: no limit is known of it after its 429."""
    async with Simulator() as sim:
        key, spare = sim.add("key", THROTTLED), sim.add("spare")
        async with fallbackio.Chain([of_key(key, "a"), of_key(spare, "b", limit_group="")]) as chain:
            await chain.complete("hi")

            assert [route.room.is_open for route in chain._routes] == [True, True]
            assert chain._setup.sharing(chain._routes[0]) == []


@virtual_time
async def test_without_another_the_groups_rest_is_waited_for() -> None:
    """Where nobody else is left the call waits for the end of the rest, and costs one 429."""
    async with Simulator() as sim:
        key = sim.add("key", THROTTLED)
        async with fallbackio.Chain([of_key(key, "a"), of_key(key, "b")], seed=1) as chain:
            report = (await chain.complete("hi")).report

            assert ledger(report) == [("a", "failed"), ("b", "skipped"), ("b", "won")]
            assert anyio.current_time() == pytest.approx(20, abs=0.01)
            assert key.stats.by_status[429] == 1


@virtual_time
async def test_a_rest_longer_than_a_call_waits_at_once_is_told() -> None:
    """It stands in no line: `max_wait_s` bounds the wait for a group too, and the error says how long."""
    async with Simulator() as sim:
        key = sim.add("key", THROTTLED)
        steps = [of_key(key, "a", rpm=6000), of_key(key, "b", rpm=6000)]
        async with fallbackio.Chain(steps, retry=RetryPolicy(max_wait_s=10), seed=1) as chain:
            with pytest.raises(ChainExhausted) as raised:
                await chain.complete("hi")

            assert raised.value.retry_after_s == pytest.approx(20, abs=0.01)
            assert anyio.current_time() < 1
            assert key.stats.by_status == {429: 1}


@virtual_time
async def test_a_hedge_goes_past_a_resting_group() -> None:
    """Neither the hand-over after a 429 nor a hedge asks who shares its limits."""
    async with Simulator() as sim:
        key, spare = sim.add("key", THROTTLED), sim.add("spare", Behaviour(latency=1))
        steps = [of_key(key, "a"), of_key(spare, "c", limit_group=""), of_key(key, "b")]
        async with fallbackio.Chain(steps, strategy=Hedge(delay=0.1), seed=1) as chain:
            assert (await chain.complete("hi")).report.endpoint == "c"

            assert key.stats.requests == 1


@virtual_time
async def test_a_wish_that_the_policy_ignores_is_ignored_for_the_group() -> None:
    """With `max_retry_after_s=0` a 429 is a failure like another, and the next of the group is asked."""
    async with Simulator() as sim:
        key = sim.add("key", THROTTLED)
        policy = BreakerPolicy(max_retry_after_s=0)
        async with fallbackio.Chain([of_key(key, "a"), of_key(key, "b")], breaker=policy, seed=1) as chain:
            assert ledger((await chain.complete("hi")).report) == [("a", "failed"), ("b", "won")]


@virtual_time
async def test_a_group_over_its_limit_costs_few_429s() -> None:
    """Under twice a key's load, told in no header, a call over it costs one 429, not one of each model."""

    async def refused(group: str) -> int:
        async with Simulator(seed=1) as sim:
            limit = RateLimit(rpm=60, burst_s=1, headers=False)
            key, spare = sim.add("key", Behaviour(fault=limit)), sim.add("spare")
            models = [of_key(key, name, limit_group=group) for name in "abcd"]
            async with fallbackio.Chain([*models, of_key(spare, "s", limit_group="")], seed=1) as chain:
                for _ in range(60):
                    await chain.complete("hi")
                    await anyio.sleep(0.5)
            return key.stats.by_status[429]

    together, apart = await refused("the key"), await refused("")
    assert together <= 30
    assert apart > 1.5 * together


@virtual_time
async def test_functions_may_share_limits_too() -> None:
    """Endpoints that call functions rest with their group as those over HTTP do."""

    async def limited(request: fallbackio.Request) -> str:
        raise fallbackio.errors.RateLimited(status=429, retry_after_s=5)

    a = Endpoint.calling(limited, name="a", limit_group="g")
    b = ScriptedEndpoint(answers("b"), name="b")
    with_group = [a, Endpoint.calling(limited, name="a2", limit_group="g"), b.endpoint]

    report = (await fallbackio.Chain(with_group).complete("hi")).report

    assert ledger(report) == [("a", "failed"), ("a2", "skipped"), ("b", "won")]
