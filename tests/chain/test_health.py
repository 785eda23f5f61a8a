"""`chain.health()`: what it shows, and that looking changes nothing."""

from __future__ import annotations

from typing import Any

import anyio
import orjson
import pytest

import fallbackio
from fallbackio.errors import ConfigError, Overloaded, RateLimited
from fallbackio.observe import Limit
from fallbackio.simulator import Behaviour, RateLimit, Simulator
from fallbackio.testing import ScriptedEndpoint, answers, fails, run, stalls, virtual_time

CANARY = "canary-93ab"


def chain_of(*scripted: ScriptedEndpoint, **settings: Any) -> fallbackio.Chain:
    return fallbackio.Chain([one.endpoint for one in scripted], seed=1, name="chat", **settings)


@virtual_time
async def test_a_new_chain_is_healthy() -> None:
    """Nothing has happened: everything is closed, empty and unknown."""
    health = chain_of(ScriptedEndpoint(answers(), name="a")).health()

    [a] = health.endpoints
    assert (health.chain, health.calls, health.waiting, health.extras) == ("chat", 0, 0, 0)
    assert (health.fallback_ratio, health.usual_fallback_ratio, health.fallback_rate_risen) == (
        None,
        None,
        False,
    )
    assert (a.name, a.vendor, a.in_flight, a.share) == ("a", "a", 0, 1.0)
    assert (a.breaker.state, a.breaker.retry_in_s, a.breaker.reason) == ("closed", 0, "")
    assert (a.max_in_flight, a.requests, a.tokens, a.last_failure) == (None, None, None, None)
    assert (a.first_content.samples, a.first_content.p50_s) == (0, None)


@virtual_time
async def test_an_outage_shows() -> None:
    """The breaker and why it opened, what failed last, how many calls fell back."""
    a = ScriptedEndpoint(fails(Overloaded(CANARY, status=529)), name="a")
    b = ScriptedEndpoint(answers(CANARY, after_s=1), name="b")
    chain = chain_of(a, b)
    for _ in range(30):
        await chain.complete(CANARY)
    health = chain.health()

    down, up = health.endpoints
    assert down.breaker.state == "open"
    assert down.breaker.retry_in_s > 0
    assert down.breaker.reason.startswith(("5 failures in a row", "the probe failed"))
    assert (down.breaker.calls, down.breaker.failures) == (0, 0)
    assert down.last_failure is not None
    assert (down.last_failure.kind, down.last_failure.status) == ("Overloaded", 529)
    assert 0 < down.last_failure.ago_s < 30
    assert 27 <= up.breaker.calls <= 30  # one per second, over 30 s in ten buckets
    assert up.breaker.failures == 0
    assert (up.whole.samples, up.whole.p50_s, up.whole.p99_s) == (30, 1.0, 1.0)
    assert (health.fallback_ratio, health.fallback_rate_risen) == (1.0, True)
    assert CANARY not in repr(health)


@virtual_time
async def test_what_is_under_way_shows() -> None:
    """Calls, requests, those who wait for room, and extra attempts, while they last."""
    a = ScriptedEndpoint(answers("one", after_s=10), name="a")
    spec = fallbackio.Endpoint.calling(a.endpoint.fn or nobody, name="a", max_in_flight=2)
    async with fallbackio.Chain([spec], name="chat") as chain, anyio.create_task_group() as group:
        for _ in range(5):
            group.start_soon(chain.complete, "hi")
        await anyio.sleep(1)
        health = chain.health()
        group.cancel_scope.cancel()

    assert (health.calls, health.waiting) == (5, 3)
    assert (health.endpoints[0].in_flight, health.endpoints[0].max_in_flight) == (2, 2)
    assert (chain.health().calls, chain.health().endpoints[0].in_flight) == (0, 0)


@virtual_time
async def test_a_hedge_is_an_extra() -> None:
    """Extra attempts are counted while they run."""
    slow, other = ScriptedEndpoint(stalls(), name="a"), ScriptedEndpoint(stalls(), name="b")
    chain = chain_of(slow, other, strategy=fallbackio.Hedge(delay=1))
    async with anyio.create_task_group() as group:
        group.start_soon(chain.complete, "hi")
        await anyio.sleep(2)
        assert (chain.health().extras, chain.health().extras_allowed) == (1, True)
        group.cancel_scope.cancel()


@virtual_time
async def test_a_429_rests() -> None:
    """A closed breaker that keeps away for Retry-After says for how long."""
    a = ScriptedEndpoint(fails(RateLimited(status=429, retry_after_s=20)), name="a")
    chain = chain_of(a, ScriptedEndpoint(answers(), name="b"))
    await chain.complete("hi")

    resting = chain.health().endpoints[0].breaker
    assert (resting.state, resting.retry_in_s, resting.failures) == ("closed", 20, 1)


def test_learnt_limits_show() -> None:
    """What the provider's headers said, counted down by what was sent since."""

    async def main() -> None:
        async with Simulator() as simulator:
            simulator.add("a", Behaviour(fault=RateLimit(rpm=60)))
            spec = fallbackio.Endpoint(
                "m", name="a", base_url=simulator.endpoint("a").url("openai"), api_key=CANARY, tpm=6000
            )
            async with fallbackio.Chain([spec]) as chain:
                await chain.complete("hi")
                health = chain.health()

        [a] = health.endpoints
        assert a.requests is not None
        assert a.requests.limit == 60
        assert 58 <= a.requests.left <= 60
        assert isinstance(a.tokens, Limit)
        assert a.tokens.limit == 6000
        assert a.tokens.whole_in_s is not None
        assert CANARY not in repr(health)

    run(main)


@virtual_time
async def test_it_is_plain_data() -> None:
    """`to_dict` holds what JSON can hold, also where something is infinite or unknown inside."""
    chain = chain_of(ScriptedEndpoint(fails(Overloaded()), name="a"), ScriptedEndpoint(answers(), name="b"))
    await chain.complete("hi")
    facts = chain.health().to_dict()

    assert orjson.loads(orjson.dumps(facts)) == facts
    assert next(iter(facts)) == "chain"
    assert facts["endpoints"][0]["last_failure"]["kind"] == "Overloaded"


@virtual_time
async def test_looking_changes_nothing() -> None:
    """The same seed makes the same calls, however often somebody looks; a slow start included."""

    async def play(look: bool) -> list[str]:
        a = ScriptedEndpoint(fails(Overloaded()), answers("back"), name="a")
        b = ScriptedEndpoint(answers("fine"), name="b")
        policy = fallbackio.BreakerPolicy(consecutive=1, open_s=1, max_open_s=1, ramp_s=30)
        chain = chain_of(a, b, breaker=policy)
        served = []
        for _ in range(60):
            served.append((await chain.complete("hi")).report.endpoint)
            if look:
                chain.health()
            await anyio.sleep(0.5)
        return served

    assert await play(look=True) == await play(look=False)


@virtual_time
async def test_a_call_that_falls_back_twice_has_fallen_back_once() -> None:
    """The rate is a share of the calls, however far down the chain each of them went."""
    steps = [ScriptedEndpoint(fails(Overloaded()), answers("fine"), name=name) for name in "abc"]
    chain = chain_of(*steps, ScriptedEndpoint(answers("fine"), name="d"))

    assert [(await chain.complete("hi")).report.endpoint for _ in range(2)] == ["d", "a"]

    assert chain.health().fallback_ratio == 0.5


def test_outside_a_loop_it_says_so() -> None:
    """Where no loop runs there is no time to measure by."""
    chain = chain_of(ScriptedEndpoint(answers(), name="a"))

    with pytest.raises(ConfigError, match="event loop"):
        chain.health()


async def nobody(request: fallbackio.Request) -> str:
    return "nobody asks"
