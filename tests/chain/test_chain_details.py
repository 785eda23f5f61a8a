"""Small promises of a chain, each by itself and at its exact instant."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from typing import Any

import anyio
import pytest
from attrs import frozen

import fallbackio
from fallbackio import BreakerPolicy, Endpoint, Hedge, Race, RetryPolicy
from fallbackio.chain._attempt import CLOSE_GRACE_S
from fallbackio.chain._background import MOST_DRAINS
from fallbackio.errors import (
    AttemptError,
    ChainClosed,
    ConfigError,
    ConnectionFailed,
    ContextTooLong,
    InvalidRequest,
    RateLimited,
    Refused,
    ServerFault,
    TimedOut,
)
from fallbackio.events import CallEnded, FailedOver
from fallbackio.model import Delta, Request
from fallbackio.simulator import (
    Behaviour,
    Exchange,
    Fault,
    Plan,
    RoleOnly,
    Send,
    SimulatedEndpoint,
    Simulator,
    Stall,
    Wait,
)
from fallbackio.testing import RecordingSink, ScriptedEndpoint, answers, breaks, fails, stalls, virtual_time

# A breaker that a test's many failures leave alone.
PATIENT = BreakerPolicy(consecutive=10_000, rates=())


def chain_of(*endpoints: ScriptedEndpoint, **settings: Any) -> fallbackio.Chain:
    return fallbackio.Chain([endpoint.endpoint for endpoint in endpoints], seed=1, **settings)


def chain_over(*simulated: SimulatedEndpoint, **settings: Any) -> fallbackio.Chain:
    steps = [Endpoint("m", name=one.name, base_url=one.url("openai"), api_key="k") for one in simulated]
    return fallbackio.Chain(steps, seed=1, **settings)


def ledger(attempts: tuple[fallbackio.Attempt, ...]) -> list[tuple[str, str, float]]:
    return [(attempt.endpoint, attempt.outcome, round(attempt.started_s, 3)) for attempt in attempts]


# The hedge's delay and the sign of life.


@pytest.mark.parametrize(
    ("fault", "hedged_at"),
    [(Stall("headers"), 0.25), (Stall("headers", for_s=0.2), 0.45), (RoleOnly(interval_s=0.1), 0.25)],
    ids=["no sign", "accepted at 0.2 s", "signs again and again"],
)
@virtual_time
async def test_the_first_sign_of_life_starts_the_delay_anew(fault: Any, hedged_at: float) -> None:
    """An endpoint that has accepted the request gets the delay once more; what it sends then, not again."""
    async with Simulator() as sim:
        slow = sim.add("slow", Behaviour(latency=60, fault=fault))
        async with chain_over(slow, sim.add("quick"), strategy=Hedge(delay=0.25)) as chain:
            reply = await chain.complete("hi")

    assert ledger(reply.report.attempts) == [("slow", "cut", 0.0), ("quick", "won", hedged_at)]


# Closing.


@virtual_time
async def test_a_chain_that_is_closed_under_a_call_asks_nobody_else() -> None:
    """The attempt under way ends; then the call does, with a ConfigError, its ledger, and no permit out."""
    sink = RecordingSink()
    a = ScriptedEndpoint(fails(ServerFault(status=500), after_s=1), name="a")
    b = ScriptedEndpoint(answers(), name="b")
    chain = chain_of(a, b, sinks=[sink])

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(chain_closed_at, chain, 0.5)
        with pytest.raises(ConfigError, match="closed"):
            await chain.complete("hi")

    assert anyio.current_time() == 1
    assert b.requests == 0
    assert [event.outcome for event in sink.of(CallEnded)] == ["failed"]
    assert [route.breaker.in_flight for route in chain._routes] == [0, 0]


@pytest.mark.parametrize("how", ["a repeat", "a rest", "a quick repeat"])
@virtual_time
async def test_a_chain_that_is_closed_ends_who_sleeps(how: str) -> None:
    """A call that waits for its next attempt hears of it at once, not when it would have woken up."""
    a = ScriptedEndpoint(fails(RateLimited(status=429, retry_after_s=30)), name="a")
    chain = chain_of(a, retry=RetryPolicy(max_s=60, same_first=int(how == "a quick repeat")))
    if how == "a rest":  # after another call's failure
        with anyio.move_on_after(0):
            await chain.complete("hi")

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(chain_closed_at, chain, 5)
        with pytest.raises(ChainClosed):
            await chain.complete("hi")

    assert anyio.current_time() == 5
    assert chain._gate.under_way == 0
    assert chain._setup.budget.under_way == 0


async def chain_closed_at(chain: fallbackio.Chain, instant: float) -> None:
    await anyio.sleep(instant)
    await chain.aclose()


@pytest.mark.parametrize("hangs_s", [0.5, 3600.0], ids=["a little", "for ever"])
@virtual_time
async def test_a_clean_up_that_hangs_does_not_hold_the_consumer(hangs_s: float) -> None:
    """Leaving a stream costs the clean-up of the user's generator, and at most `CLOSE_GRACE_S`."""

    async def answering(request: Request) -> AsyncGenerator[str, None]:
        try:
            yield "one "
            yield "two"
        finally:
            await anyio.sleep(hangs_s)

    chain = fallbackio.Chain([Endpoint.calling(answering, name="a")])
    async with chain.stream("hi") as stream:
        await anext(stream)

    assert anyio.current_time() == min(hangs_s, CLOSE_GRACE_S)


# Whose fault it is.


@pytest.mark.parametrize(("local", "run"), [(True, 0), (False, 3)], ids=["ours", "the endpoint's"])
@virtual_time
async def test_our_own_network_is_not_held_against_an_endpoint(local: bool, run: int) -> None:
    """A failing name look-up or TLS set-up of ours fails over, and the breaker learns nothing."""
    a = ScriptedEndpoint(fails(ConnectionFailed(sent=False, local=local)), name="a")
    chain = chain_of(a, ScriptedEndpoint(answers("b"), name="b"))

    replies = [await chain.complete("hi") for _ in range(3)]

    assert [reply.text for reply in replies] == ["b"] * 3
    assert a.requests == 3
    assert chain._routes[0].breaker.fail_counter == run


@pytest.mark.parametrize(
    ("timeout", "outcome", "run"),
    [(2.9, "cut", 0), (3.0, "failed", 1)],
    ids=["younger", "slow by any measure"],
)
@virtual_time
async def test_who_is_slow_by_any_measure_is_blamed(timeout: float, outcome: str, run: int) -> None:
    """An impatient caller's own limit blames nobody, unless it was at least the breaker's `slow_after_s`."""
    sink = RecordingSink()
    policy = BreakerPolicy(slow_after_s=3)
    chain = chain_of(ScriptedEndpoint(stalls(), name="a"), sinks=[sink], max_retries=0, breaker=policy)

    with pytest.raises(fallbackio.DeadlineExceeded):
        await chain.complete("hi", timeout=timeout)

    (ended,) = sink.of(CallEnded)
    assert [attempt.outcome for attempt in ended.report.attempts] == [outcome]
    assert chain._routes[0].breaker.fail_counter == run


# What is told.


@virtual_time
async def test_passing_over_an_endpoint_is_a_failover() -> None:
    """An endpoint whose circuit is open is left without a request, and the event says why."""
    sink = RecordingSink()
    a, b = ScriptedEndpoint(answers(), name="a"), ScriptedEndpoint(answers("b"), name="b")
    chain = chain_of(a, b, sinks=[sink])
    chain._routes[0].breaker.open()

    await chain.complete("hi")

    (told,) = sink.of(FailedOver)
    assert (told.origin, told.target, type(told.error)) == ("a", "b", Refused)
    assert told.error.endpoint == "a"
    assert a.requests == 0


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (InvalidRequest("no images", everywhere=False), InvalidRequest("no tools", everywhere=False)),
        (ContextTooLong("over 8,000"), InvalidRequest("no tools", everywhere=False)),
    ],
    ids=["cannot do it", "each its own"],
)
@virtual_time
async def test_what_every_endpoint_says_of_the_request_is_raised(
    first: AttemptError, second: AttemptError
) -> None:
    """If all find fault with the request, the first choice's own error comes, and not ChainExhausted."""
    a = ScriptedEndpoint(fails(first), name="a", context_window=8_000)
    b = ScriptedEndpoint(fails(second), name="b", context_window=32_000)

    with pytest.raises(type(first)) as caught:
        await chain_of(a, b).complete("hi")

    assert (caught.value.endpoint, caught.value.message) == ("a", first.message)
    assert (a.requests, b.requests) == (1, 1)
    assert ledger(caught.value.attempts) == [("a", "failed", 0.0), ("b", "failed", 0.0)]


# An answer of which only the terminator is missing.


@frozen
class NoTerminator(Fault):
    """All of a streamed answer but for its [DONE], and then silence on an open connection."""

    def plan(self, exchange: Exchange) -> Plan:
        for step in exchange.healthy():
            if isinstance(step, Send) and step.final:
                yield Send(step.data.replace(b"data: [DONE]\n\n", b""), step.tokens)
                yield Wait(None)
            yield step


ALL_BUT_DONE = Behaviour(text="all of it", fault=NoTerminator())


@virtual_time
async def test_a_stream_that_lacks_only_its_terminator_is_whole() -> None:
    """After its finish reason an answer needs no [DONE]: silence ends it as a success, and its request."""
    async with Simulator() as sim:
        a = sim.add("a", ALL_BUT_DONE)
        async with chain_over(a, idle_timeout=3) as chain:
            async with chain.stream("hi") as stream:
                text = "".join([delta.text async for delta in stream])

                assert text == stream.reply.text == "all of it"
                assert anyio.current_time() == pytest.approx(3, abs=1e-3)
                await anyio.sleep(0.05)
                assert a.stats.in_flight == 0
            assert ledger(stream.report.attempts) == [("a", "won", 0.0)]
            assert chain._routes[0].breaker.fail_counter == 0


@virtual_time
async def test_a_whole_answer_that_lacks_only_its_terminator_is_delivered() -> None:
    """`complete` over a stream takes it as well, and no other endpoint is asked."""
    async with Simulator() as sim:
        a, b = sim.add("a", ALL_BUT_DONE), sim.add("b")
        async with chain_over(a, b, idle_timeout=3, upstream="stream") as chain:
            reply = await chain.complete("hi")

            assert (reply.text, reply.finish_reason) == ("all of it", "stop")
            assert anyio.current_time() == pytest.approx(3, abs=1e-3)
            assert ledger(reply.report.attempts) == [("a", "won", 0.0)]
            await anyio.sleep(0.05)
            assert (a.stats.in_flight, b.stats.requests) == (0, 0)


# Losers in the background.


@virtual_time
async def test_no_more_than_eight_losers_are_drained() -> None:
    """The ninth loser is cut at once, so that an outage does not pile up requests."""
    async with Simulator() as sim:
        slow, quick = sim.add("slow", Behaviour(fault=Stall("content"))), sim.add("quick")
        strategy = Hedge(delay=0.1, drain_losers=600, extra_load=1)
        async with chain_over(slow, quick, strategy=strategy, breaker=PATIENT) as chain:
            for _ in range(MOST_DRAINS + 3):
                await chain.complete("hi")
            await anyio.sleep(0.05)

            assert (slow.stats.in_flight, slow.stats.cancelled) == (MOST_DRAINS, 3)


class Silent:
    """An answer that never goes on, and that no closing of sockets would end."""

    finished = False
    closed_at: float | None = None

    def take(self) -> list[Delta]:
        return []

    async def receive(self) -> list[Delta]:
        await anyio.sleep_forever()
        raise AssertionError

    def on_end(self, told: Callable[[], None]) -> None:
        """It has none."""

    async def aclose(self) -> None:
        await anyio.sleep(0.1)
        self.closed_at = anyio.current_time()


class Unclean(Silent):
    """Fails when it is closed."""

    async def aclose(self) -> None:
        raise OSError("it cannot be closed")


@virtual_time
async def test_closing_the_chain_ends_its_drains() -> None:
    """When `aclose` returns no loser is being read any more, and each has been cleaned up."""
    chain = chain_of(ScriptedEndpoint(answers(), name="a"), strategy=Hedge(delay=1, drain_losers=600))
    upstream = Silent()
    told: list[str] = []
    assert chain._background.drain(9.0, chain._routes[0], upstream, 0.0, lambda: told.append("over"))
    await anyio.sleep(1)

    await chain.aclose()

    assert (upstream.closed_at, chain._background.under_way, told) == (1.1, 0, ["over"])


@virtual_time
async def test_a_drain_that_is_ended_before_it_has_begun_is_closed() -> None:
    """A chain that is closed in the tick in which a loser was handed over still ends its request."""
    chain = chain_of(ScriptedEndpoint(answers(), name="a"), strategy=Hedge(delay=1, drain_losers=600))
    upstream = Silent()
    told: list[str] = []
    assert chain._background.drain(9.0, chain._routes[0], upstream, 0.0, lambda: told.append("over"))

    await chain.aclose()

    assert (upstream.closed_at, told) == (0.1, ["over"])


@virtual_time
async def test_a_loser_whose_clean_up_fails_gives_its_place_back() -> None:
    """Whatever ends a drain, the endpoint has one request less under way."""
    chain = chain_of(ScriptedEndpoint(answers(), name="a"), strategy=Hedge(delay=1, drain_losers=600))
    upstream = Unclean()
    told: list[str] = []
    assert chain._background.drain(9.0, chain._routes[0], upstream, 0.0, lambda: told.append("over"))
    await anyio.sleep(1)

    await chain.aclose()

    assert told == ["over"]


@virtual_time
async def test_a_drained_loser_teaches_its_time() -> None:
    """A loser that is read on shows when its content really came, not only when it was cut."""
    async with Simulator() as sim:
        slow, quick = sim.add("slow", Behaviour(latency=1)), sim.add("quick")
        strategy = Hedge(delay=0.25, drain_losers=5, extra_load=1)
        async with chain_over(slow, quick, strategy=strategy, breaker=PATIENT) as chain:
            for _ in range(20):
                assert ledger((await chain.complete("hi")).report.attempts)[0][1] == "cut"
                await anyio.sleep(1)

            assert chain._routes[0].tempo.firsts.median_answer() == pytest.approx(1, abs=1e-3)


# Timers.


async def thinks_for_ever(request: Request) -> AsyncGenerator[Delta | str, None]:
    while True:
        await anyio.sleep(0.5)
        yield Delta(reasoning="hm ")


@virtual_time
async def test_thinking_aloud_does_not_outlast_the_attempt() -> None:
    """Reasoning puts off the first-content timer, but never past the attempt's own limit."""
    a, b = ScriptedEndpoint(thinks_for_ever, name="a"), ScriptedEndpoint(answers("b"), name="b")

    async with chain_of(a, b, ttft_timeout=1, attempt_timeout=3.2).stream("hi") as stream:
        assert anyio.current_time() == pytest.approx(3.2)
        assert stream.endpoint == "b"

    cut = stream.report.attempts[0].error
    assert isinstance(cut, TimedOut)
    assert (a.running, a.cancelled) == (0, 1)


@pytest.mark.parametrize(
    ("strategy", "age"), [("sequence", 2.0), (Hedge(delay=0.25), 0.35)], ids=["timed out", "cut as a loser"]
)
@virtual_time
async def test_the_age_of_who_did_not_answer_is_learnt(strategy: Any, age: float) -> None:
    """It moves the quantile that hedges go by, and proves nothing about how long an answer takes."""
    a, b = ScriptedEndpoint(stalls(), name="a"), ScriptedEndpoint(answers("b", after_s=0.1), name="b")
    settings = {"attempt_timeout": 2, "upstream": "stream", "breaker": PATIENT}
    chain = chain_of(a, b, strategy=strategy, **settings)

    for _ in range(20):
        await chain.complete("hi")

    assert chain._routes[0].tempo.firsts.quantile(0.5) == pytest.approx(age, abs=1e-3)
    assert chain._routes[0].tempo.firsts.median_answer() is None


# Second in the winner's tick.


def with_a_failure(chain: fallbackio.Chain) -> fallbackio.Chain:
    """The chain, each of whose breakers has seen one failure."""
    for route in chain._routes:
        permit = route.breaker.acquire()
        assert permit is not None
        permit.failed()
    return chain


@virtual_time
async def test_who_came_second_in_the_winners_tick_did_well() -> None:
    """Its breaker hears of a success, and its pieces are accounted for."""
    a, b = (ScriptedEndpoint(answers("one two", after_s=1), name=name) for name in "ab")
    chain = with_a_failure(chain_of(a, b, strategy=Race()))

    reply = await chain.complete("hi")

    usages = {attempt.outcome: attempt.usage for attempt in reply.report.attempts}
    assert usages["cut"] == fallbackio.Usage(completion_tokens=1), "it was at its first content"
    assert [route.breaker.fail_counter for route in chain._routes] == [0, 0]


@virtual_time
async def test_who_came_second_may_be_asked_again() -> None:
    """If the winner breaks, the loser of that tick is a fresh candidate and not a repeat."""
    steps = [breaks(after_s=1, after_words=1), answers("whole", after_s=1)]
    a, b = (ScriptedEndpoint(*steps, name=name) for name in "ab")

    reply = await chain_of(a, b, strategy=Race(), max_retries=0).complete("hi")

    assert reply.text == "whole"
    assert [attempt.outcome for attempt in reply.report.attempts] == ["failed", "cut", "won"]


# What a part costs.


@virtual_time
async def test_a_cut_attempt_has_its_pieces_as_usage() -> None:
    """A call that is cancelled in mid-answer says what had come of it and is charged for."""
    sink = RecordingSink()
    a = ScriptedEndpoint(answers("one two three four", pace_s=1), name="a")

    with anyio.move_on_after(2.5):
        await chain_of(a, upstream="stream", sinks=[sink]).complete("hi")

    (ended,) = sink.of(CallEnded)
    assert ended.outcome == "cancelled"
    assert [attempt.usage for attempt in ended.report.attempts] == [fallbackio.Usage(completion_tokens=3)]


@pytest.mark.parametrize("where", ["fn", "token"])
@virtual_time
async def test_a_function_of_the_callers_may_ask_how_long_it_has(where: str) -> None:
    """What an attempt may take is the ambient deadline of what runs in it, a chain of its own for example."""
    left: list[float] = []

    async def told(*asked: object) -> str:
        left.append(anyio.current_effective_deadline() - anyio.current_time())
        return "token or text"

    async with Simulator() as simulator:
        over_http = simulator.add("a", Behaviour()).url("openai")
        endpoint = (
            Endpoint.calling(told, name="a")
            if where == "fn"
            else Endpoint("m", name="a", base_url=over_http, token=told)
        )
        async with fallbackio.Chain([endpoint], timeout=None, attempt_timeout=7) as chain:
            await chain.complete("Hi")
    assert left == [pytest.approx(7, abs=1e-3)]
