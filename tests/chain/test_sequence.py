"""One call over scripted endpoints, in virtual time: who is asked, when, and what is told."""

from __future__ import annotations

import logging
from typing import Any

import anyio
import pytest

import fallbackio
from fallbackio import errors
from fallbackio.errors import (
    AuthFailed,
    BadAnswer,
    ChainExhausted,
    ConnectionFailed,
    ContentFiltered,
    ContextTooLong,
    DeadlineExceeded,
    InvalidRequest,
    ModelNotFound,
    Overloaded,
    QuotaExhausted,
    RateLimited,
    ServerFault,
)
from fallbackio.events import AttemptEnded, CallEnded, CallStarted, FailedOver
from fallbackio.model import FunctionCall
from fallbackio.simulator import Behaviour, Simulator, Stall
from fallbackio.testing import RecordingSink, ScriptedEndpoint, answers, fails, stalls, virtual_time


def chain_of(*endpoints: ScriptedEndpoint, **settings: Any) -> fallbackio.Chain:
    return fallbackio.Chain([endpoint.endpoint for endpoint in endpoints], seed=1, **settings)


def ledger(attempts: tuple[fallbackio.Attempt, ...]) -> list[tuple[str, str]]:
    return [(attempt.endpoint, attempt.outcome) for attempt in attempts]


@virtual_time
async def test_the_first_endpoint_answers() -> None:
    """A healthy first choice is the only one asked."""
    a, b = ScriptedEndpoint(answers("Hello!", after_s=0.5), name="a"), ScriptedEndpoint(answers(), name="b")

    reply = await chain_of(a, b).complete("Say hello.")

    assert reply.text == "Hello!"
    assert reply.report.endpoint == "a"
    assert not reply.report.fell_back
    assert ledger(reply.report.attempts) == [("a", "won")]
    assert reply.report.duration_s == pytest.approx(0.5)
    assert b.requests == 0


PASSED_ON = [
    RateLimited("slow down", status=429, retry_after_s=20),
    QuotaExhausted(status=429, code="insufficient_quota"),
    Overloaded(status=529),
    ServerFault(status=500),
    ConnectionFailed(sent=False),
    BadAnswer("text/html in place of JSON", status=200),
    AuthFailed(status=401),
    ModelNotFound(status=404),
    InvalidRequest("this model takes no images", everywhere=False, status=400),
]


@pytest.mark.parametrize("error", PASSED_ON, ids=lambda error: type(error).__name__)
@virtual_time
async def test_a_failure_is_handed_on_at_once(error: errors.AttemptError) -> None:
    """While another endpoint can answer now, no failure is waited for, Retry-After 20 included."""
    a, b = ScriptedEndpoint(fails(error), name="a"), ScriptedEndpoint(answers("yes"), name="b")

    reply = await chain_of(a, b).complete("hi")

    assert reply.text == "yes"
    assert anyio.current_time() == 0
    assert reply.report.fell_back
    assert ledger(reply.report.attempts) == [("a", "failed"), ("b", "won")]
    assert type(reply.report.attempts[0].error) is type(error)
    assert (a.requests, b.requests) == (1, 1)


@pytest.mark.parametrize(
    "error",
    [InvalidRequest("bad schema", status=400), ContentFiltered(status=400), ContextTooLong(status=400)],
    ids=lambda error: type(error).__name__,
)
@virtual_time
async def test_what_fails_everywhere_is_raised_at_once(error: errors.AttemptError) -> None:
    """A request that is at fault itself reaches one endpoint only and carries its ledger."""
    a, b = ScriptedEndpoint(fails(error), name="a"), ScriptedEndpoint(answers(), name="b")

    with pytest.raises(type(error)) as caught:
        await chain_of(a, b).complete("hi")

    assert caught.value.endpoint == "a"
    assert ledger(caught.value.attempts) == [("a", "failed")]
    assert b.requests == 0


@virtual_time
async def test_a_long_prompt_goes_on_to_a_larger_window_only() -> None:
    """After ContextTooLong only endpoints with a larger known window are asked."""
    a = ScriptedEndpoint(fails(ContextTooLong(status=400)), name="a", context_window=8_000)
    same = ScriptedEndpoint(answers("same"), name="same", context_window=8_000)
    large = ScriptedEndpoint(answers("large"), name="large", context_window=200_000)

    reply = await chain_of(a, same, large).complete("hi")

    assert reply.text == "large"
    assert same.requests == 0


@pytest.mark.parametrize(
    "rule",
    [ContentFiltered, 400, lambda error: error.code == "content_filter"],
    ids=["class", "status", "function"],
)
@virtual_time
async def test_fallback_on_overrides_the_table(rule: Any) -> None:
    """A user may let any failure go on to the next endpoint."""
    refusal = ContentFiltered(status=400, code="content_filter")
    a, b = ScriptedEndpoint(fails(refusal), name="a"), ScriptedEndpoint(answers("ok"), name="b")

    reply = await chain_of(a, b, fallback_on=[rule]).complete("hi")

    assert reply.text == "ok"


@virtual_time
async def test_a_rule_of_the_users_may_stop_the_chain() -> None:
    """A function that returns false raises what the table would hand on."""
    a, b = ScriptedEndpoint(fails(ServerFault(status=500)), name="a"), ScriptedEndpoint(answers(), name="b")

    with pytest.raises(ServerFault):
        await chain_of(a, b, fallback_on=[lambda error: False]).complete("hi")

    assert b.requests == 0


@virtual_time
async def test_a_stalled_endpoint_is_cut_at_its_limit() -> None:
    """Silence costs one attempt's limit, and its request is over when the call is."""
    a, b = ScriptedEndpoint(stalls(), name="a"), ScriptedEndpoint(answers("b", after_s=0.2), name="b")

    reply = await chain_of(a, b, attempt_timeout=2).complete("hi")

    assert reply.text == "b"
    assert anyio.current_time() == pytest.approx(2.2)
    assert isinstance(reply.report.attempts[0].error, fallbackio.TimedOut)
    assert (a.running, a.cancelled) == (0, 1)


@virtual_time
async def test_three_silent_endpoints_share_the_calls_time() -> None:
    """T1: with two seconds for all, three are asked, and the error says deadline."""
    endpoints = [ScriptedEndpoint(stalls(), name=name) for name in "abc"]

    with pytest.raises(DeadlineExceeded) as caught:
        await chain_of(*endpoints, timeout=2).complete("hi")

    assert anyio.current_time() == pytest.approx(2)
    assert [attempt.endpoint for attempt in caught.value.attempts] == ["a", "b", "c"]
    assert isinstance(caught.value, TimeoutError)
    assert all(endpoint.running == 0 for endpoint in endpoints)


@virtual_time
async def test_an_answer_in_the_tick_of_the_deadline_is_delivered() -> None:
    """Arriving exactly when the time runs out is arriving in time."""
    a = ScriptedEndpoint(answers("just so", after_s=2), name="a")

    reply = await chain_of(a, timeout=2, attempt_timeout=2).complete("hi")

    assert reply.text == "just so"


@virtual_time
async def test_all_failing_raises_from_a_group_of_the_causes() -> None:
    """Nothing is lost: the error carries the causes, the ledger and when to come back."""
    a = ScriptedEndpoint(fails(RateLimited(status=429, retry_after_s=500)), name="a")
    b = ScriptedEndpoint(fails(AuthFailed(status=401)), name="b")

    with pytest.raises(ChainExhausted) as caught:
        await chain_of(a, b).complete("hi")

    assert isinstance(caught.value.__cause__, ExceptionGroup)
    assert [type(cause) for cause in caught.value.__cause__.exceptions] == [RateLimited, AuthFailed]
    assert ledger(caught.value.attempts) == [("a", "failed"), ("b", "failed")]
    assert caught.value.retry_after_s is not None
    assert anyio.current_time() == 0, "a wait of 500 s is not slept"


@virtual_time
async def test_a_single_endpoint_is_repeated_after_its_retry_after() -> None:
    """With nobody else to ask, Retry-After is waited for and not undercut."""
    a = ScriptedEndpoint(fails(RateLimited(status=429, retry_after_s=20)), answers("at last"), name="a")

    reply = await chain_of(a).complete("hi")

    assert reply.text == "at last"
    assert 20 <= anyio.current_time() <= 22


@virtual_time
async def test_a_wait_that_does_not_fit_is_not_begun() -> None:
    """T14: Retry-After beyond the deadline fails at once."""
    a = ScriptedEndpoint(fails(RateLimited(status=429, retry_after_s=20)), answers(), name="a")

    with pytest.raises(ChainExhausted) as caught:
        await chain_of(a, timeout=10).complete("hi")

    assert anyio.current_time() == 0
    assert caught.value.retry_after_s == pytest.approx(20, rel=0.1)


@virtual_time
async def test_repeats_are_capped_and_jittered() -> None:
    """max_retries counts all repeats of a call; waits stay below base * 2**k."""
    a = ScriptedEndpoint(fails(ServerFault(status=500)), name="a")

    with pytest.raises(ChainExhausted) as caught:
        await chain_of(a, max_retries=2).complete("hi")

    starts = [attempt.started_s for attempt in caught.value.attempts]
    assert a.requests == 3
    assert 0 < starts[1] <= 0.5
    assert 0 < starts[2] - starts[1] <= 1.0
    assert anyio.current_time() == pytest.approx(starts[2]), "no sleep after the last attempt"


@virtual_time
async def test_an_unsent_request_is_repeated_at_once() -> None:
    """A refused connection costs nothing, so the first repeat does not wait."""
    a = ScriptedEndpoint(fails(ConnectionFailed(sent=False)), answers("up"), name="a")

    reply = await chain_of(a).complete("hi")

    assert reply.text == "up"
    assert anyio.current_time() == 0


@virtual_time
async def test_the_provider_may_forbid_a_repeat() -> None:
    """x-should-retry: false is obeyed."""
    a = ScriptedEndpoint(fails(ServerFault(status=500, should_retry=False)), name="a")

    with pytest.raises(ChainExhausted):
        await chain_of(a).complete("hi")

    assert a.requests == 1


@virtual_time
async def test_same_first_repeats_before_handing_over() -> None:
    """RetryPolicy(same_first=1) asks the first choice once more before the next endpoint."""
    a = ScriptedEndpoint(fails(ServerFault(status=500)), answers("a again"), name="a")
    b = ScriptedEndpoint(answers("b"), name="b")

    reply = await chain_of(a, b, retry=fallbackio.RetryPolicy(same_first=1)).complete("hi")

    assert reply.text == "a again"
    assert b.requests == 0


@virtual_time
async def test_an_open_breaker_is_skipped_and_said_so() -> None:
    """After five failures in a row an endpoint is not asked; the ledger shows that it was skipped."""
    a, b = ScriptedEndpoint(fails(ServerFault(status=500)), name="a"), ScriptedEndpoint(answers(), name="b")
    chain = chain_of(a, b)
    for _ in range(5):
        await chain.complete("hi")

    reply = await chain.complete("hi")

    assert a.requests == 5
    assert ledger(reply.report.attempts) == [("a", "skipped"), ("b", "won")]
    assert isinstance(reply.report.attempts[0].error, errors.Refused)
    assert reply.report.fell_back


@virtual_time
async def test_recovery_is_found_by_one_probe() -> None:
    """T19: of sixty concurrent callers at recovery one probes, the others go on to the next."""
    broken = [fails(ServerFault(status=500))] * 5
    a = ScriptedEndpoint(*broken, answers("healed", after_s=1), name="a")
    b = ScriptedEndpoint(answers("b", after_s=0.1), name="b")
    chain = chain_of(a, b, breaker=fallbackio.BreakerPolicy(ramp_s=0))
    for _ in range(5):
        await chain.complete("hi")
    await anyio.sleep(6)
    asked = a.requests

    async with anyio.create_task_group() as group:
        for _ in range(60):
            group.start_soon(chain.complete, "hi")

    assert a.requests == asked + 1
    assert (await chain.complete("hi")).text == "healed"


@virtual_time
async def test_all_open_is_not_an_error_yet() -> None:
    """Rule 10: with every breaker open one endpoint is asked all the same, and the report says so."""
    a = ScriptedEndpoint(*[fails(ServerFault(status=500))] * 5, answers("back"), name="a")
    chain = chain_of(a, max_retries=0)
    for _ in range(5):
        with pytest.raises(ChainExhausted):
            await chain.complete("hi")

    reply = await chain.complete("hi")

    assert reply.text == "back"
    assert reply.report.panicked
    assert reply.report.attempts[-1].forced


@virtual_time
async def test_total_outage_costs_one_request_per_call_once_open() -> None:
    """The extra load falls as the failure rises: no repeats at endpoints whose breakers are open."""
    endpoints = [ScriptedEndpoint(fails(ServerFault(status=500)), name=name) for name in "abc"]
    chain = chain_of(*endpoints)
    for _ in range(10):
        with pytest.raises(ChainExhausted):
            await chain.complete("hi")
    before = sum(endpoint.requests for endpoint in endpoints)

    for _ in range(10):
        with pytest.raises(ChainExhausted):
            await chain.complete("hi")

    assert sum(endpoint.requests for endpoint in endpoints) - before <= 12


@virtual_time
async def test_a_resting_endpoint_is_left_alone_for_its_retry_after() -> None:
    """A 429 with Retry-After 20 keeps later calls away for 20 s although the breaker is closed."""
    a = ScriptedEndpoint(fails(RateLimited(status=429, retry_after_s=20)), answers("a"), name="a")
    b = ScriptedEndpoint(answers("b"), name="b")
    chain = chain_of(a, b)

    texts = [(await chain.complete("hi")).text, (await chain.complete("hi")).text]
    await anyio.sleep(20)
    texts.append((await chain.complete("hi")).text)

    assert texts == ["b", "b", "a"]


@virtual_time
async def test_retry_after_is_capped() -> None:
    """T15: a provider that says 86400 is asked again after 300 s."""
    a = ScriptedEndpoint(fails(RateLimited(status=429, retry_after_s=86_400)), answers("a"), name="a")
    b = ScriptedEndpoint(answers("b"), name="b")
    chain = chain_of(a, b)
    await chain.complete("hi")

    await anyio.sleep(299)
    early = (await chain.complete("hi")).text
    await anyio.sleep(2)

    assert early == "b"
    assert (await chain.complete("hi")).text == "a"


@virtual_time
async def test_a_cancelled_call_tells_the_breaker_nothing() -> None:
    """T20: callers that give up on a slow endpoint neither trip nor wedge its breaker."""
    a = ScriptedEndpoint(stalls(), name="a")
    chain = chain_of(a)
    for _ in range(20):
        with anyio.move_on_after(1):
            await chain.complete("hi")

    assert a.cancelled == 20
    assert chain._routes[0].breaker.phase == "closed"
    assert chain._routes[0].breaker.in_flight == 0


@virtual_time
async def test_an_ambient_deadline_is_the_callers_own() -> None:
    """anyio's deadline around a call shares out the time and ends the block as the user expects."""
    a, b = ScriptedEndpoint(stalls(), name="a"), ScriptedEndpoint(answers("b", after_s=1), name="b")
    chain = chain_of(a, b)

    with anyio.fail_after(10):
        reply = await chain.complete("hi")
    assert reply.text == "b"
    assert anyio.current_time() == pytest.approx(6)

    c = ScriptedEndpoint(stalls(), name="c")
    with anyio.move_on_after(3) as scope:
        await chain_of(c).complete("hi")
    assert scope.cancelled_caught
    assert c.running == 0


@virtual_time
async def test_a_black_hole_trips_although_the_calls_timeout_is_short() -> None:
    """With two seconds for the call the attempt's own limit never ends it, and yet it counts."""
    a, b = ScriptedEndpoint(stalls(), name="a"), ScriptedEndpoint(answers("b"), name="b")
    chain = chain_of(a, b, timeout=2)
    for _ in range(6):
        await chain.complete("hi")

    assert a.requests == 5
    assert chain._routes[0].breaker.phase == "open"


@virtual_time
async def test_one_that_comes_back_slowly_has_its_share_of_the_time() -> None:
    """An endpoint that is asked last, since it has just recovered, is left time to answer."""
    back, silent = ScriptedEndpoint(answers("back"), name="back"), ScriptedEndpoint(stalls(), name="silent")
    policy = fallbackio.BreakerPolicy(ramp_s=1000)
    chain = chain_of(back, silent, timeout=20, attempt_timeout=None, breaker=policy)
    breaker = chain._routes[0].breaker
    breaker.open()
    await anyio.sleep(1)
    breaker.close()

    reply = await chain.complete("hi")

    assert anyio.current_time() == pytest.approx(1 + 20 / 2)
    assert ledger(reply.report.attempts) == [("back", "skipped"), ("silent", "failed"), ("back", "won")]


@virtual_time
async def test_an_endpoint_given_less_than_its_share_is_not_blamed() -> None:
    """An agent with 50 ms left does not trip healthy breakers."""
    a = ScriptedEndpoint(answers(after_s=1), name="a")
    chain = chain_of(a)
    for _ in range(10):
        with anyio.move_on_after(0.05):
            await chain.complete("hi")

    assert chain._routes[0].breaker.phase == "closed"


@virtual_time
async def test_failing_over_is_never_silent(caplog: pytest.LogCaptureFixture) -> None:
    """Rule 11: one warning per failover, an event and the ledger, and no prompt in any of them."""
    a = ScriptedEndpoint(fails(ServerFault("oh my secret", status=500)), name="a")
    b, sink = ScriptedEndpoint(answers("the answer"), name="b"), RecordingSink()

    with caplog.at_level(logging.INFO, logger="fallbackio"):
        await chain_of(a, b, sinks=[sink]).complete("my secret prompt")

    warnings = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert [record.getMessage() for record in warnings] == [
        "chain: failing over from a to b (server fault, HTTP 500)"
    ]
    assert warnings[0].__dict__["fallbackio_target"] == "b"
    assert [(event.origin, event.target) for event in sink.of(FailedOver)] == [("a", "b")]
    assert [type(event) for event in sink.events].count(CallStarted) == 1
    assert [event.attempt.outcome for event in sink.of(AttemptEnded)] == ["failed", "won"]
    assert [event.outcome for event in sink.of(CallEnded)] == ["answered"]
    for event in sink.events:
        assert "secret prompt" not in repr(event)
        assert "the answer" not in repr(event)


@virtual_time
async def test_a_bad_key_is_loud(caplog: pytest.LogCaptureFixture) -> None:
    """A 401 moves on, opens the breaker at once and is logged as an error."""
    a, b = ScriptedEndpoint(fails(AuthFailed(status=401)), name="a"), ScriptedEndpoint(answers(), name="b")
    chain = chain_of(a, b)

    await chain.complete("hi")
    await chain.complete("hi")

    assert a.requests == 1
    assert [record.levelname for record in caplog.records].count("ERROR") == 1


@virtual_time
async def test_a_sink_that_raises_changes_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """Rule 12: a broken sink is logged once and the call goes on."""

    def broken(event: object) -> None:
        raise RuntimeError("no disk")

    a = ScriptedEndpoint(answers("fine"), name="a")
    chain = chain_of(a, sinks=[broken])

    assert (await chain.complete("hi")).text == "fine"
    assert (await chain.complete("hi")).text == "fine"
    await chain.aclose()
    assert len([record for record in caplog.records if record.exc_info]) == 1


@virtual_time
async def test_a_closed_chain_says_so() -> None:
    """Calling a closed chain is a clear error; closing twice is none."""
    chain = chain_of(ScriptedEndpoint(answers(), name="a"))
    await chain.aclose()
    await chain.aclose()

    with pytest.raises(fallbackio.ConfigError, match="closed"):
        await chain.complete("hi")


@virtual_time
async def test_ttft_timeout_leaves_a_long_answer_its_time() -> None:
    """With ttft_timeout complete() sees a stall in a second, while a healthy answer may take ten."""
    a = ScriptedEndpoint(stalls(), name="a")
    b = ScriptedEndpoint(answers("one two three four", after_s=0.5, pace_s=3), name="b")

    reply = await chain_of(a, b, ttft_timeout=1, attempt_timeout=None).complete("hi")

    assert reply.text == "one two three four"
    assert anyio.current_time() == pytest.approx(1 + 0.5 + 9)
    error = reply.report.attempts[0].error
    assert isinstance(error, fallbackio.TimedOut)
    assert error.phase == "first_content"


@virtual_time
async def test_a_break_anywhere_is_recovered_when_nothing_was_delivered() -> None:
    """complete() over a stream has shown nothing before the end, so a stall in the middle is no harm."""
    a = ScriptedEndpoint(stalls(after_words=3), name="a")
    b = ScriptedEndpoint(answers("whole"), name="b")

    reply = await chain_of(a, b, upstream="stream", idle_timeout=2).complete("hi")

    assert reply.text == "whole"
    error = reply.report.attempts[0].error
    assert isinstance(error, fallbackio.TimedOut)
    assert error.phase == "idle"


@virtual_time
async def test_timeout_can_be_given_per_call() -> None:
    """The chain's timeout is a default."""
    chain = chain_of(ScriptedEndpoint(stalls(), name="a"))

    with pytest.raises(DeadlineExceeded):
        await chain.complete("hi", timeout=1)

    assert anyio.current_time() == pytest.approx(1)


@virtual_time
async def test_an_outage_leaves_no_memory_that_bars_the_recovered() -> None:
    """Timeouts prove no slowness: after the outage the next call is answered."""
    steps = [stalls()] * 25 + [answers("fine", after_s=0.2)]
    a = ScriptedEndpoint(*steps, name="a")
    chain = chain_of(a, timeout=5, max_retries=0)
    for _ in range(25):
        with pytest.raises(DeadlineExceeded):
            await chain.complete("hi")

    assert (await chain.complete("hi")).text == "fine"


@virtual_time
async def test_impatient_callers_do_not_open_a_breaker() -> None:
    """A timeout shorter than the chain's own settings is not held against an endpoint."""
    a = ScriptedEndpoint(answers("fine", after_s=0.2), name="a")
    chain = chain_of(a)
    for _ in range(10):
        with pytest.raises(DeadlineExceeded):
            await chain.complete("hi", timeout=0.05)

    assert chain._routes[0].breaker.phase == "closed"


@pytest.mark.parametrize("said", [0.0, -5.0, float("nan")])
@virtual_time
async def test_a_retry_after_of_nothing_is_no_licence_to_hammer(said: float) -> None:
    """Retry-After 0, negative or NaN falls back to the jittered wait."""
    a = ScriptedEndpoint(fails(Overloaded(status=503, retry_after_s=said)), name="a")

    with pytest.raises(ChainExhausted) as caught:
        await chain_of(a, max_retries=2).complete("hi")

    starts = [attempt.started_s for attempt in caught.value.attempts]
    assert len(set(starts)) == 3


@virtual_time
async def test_a_rest_that_grows_meanwhile_is_waited_for() -> None:
    """Callers resting on one 429 go on waiting when another is sent away again."""
    throttled = fails(RateLimited(status=429, retry_after_s=1))
    a = ScriptedEndpoint(*[throttled] * 4, answers("ok"), name="a")
    chain = chain_of(a, max_retries=5)
    texts = []

    async def caller() -> None:
        texts.append((await chain.complete("hi")).text)

    async with anyio.create_task_group() as group:
        for _ in range(3):
            group.start_soon(caller)

    assert texts == ["ok"] * 3


@virtual_time
async def test_an_attempt_limit_just_below_the_calls_leaves_the_next_its_chance() -> None:
    """attempt_timeout=9.9 of timeout=10 is shared as attempt_timeout=10 would be."""
    a, b = ScriptedEndpoint(stalls(), name="a"), ScriptedEndpoint(answers("b", after_s=2), name="b")

    reply = await chain_of(a, b, timeout=10, attempt_timeout=9.9).complete("hi")

    assert reply.text == "b"


@virtual_time
async def test_a_rule_that_raises_ends_the_call_and_is_told() -> None:
    """A bug in the user's fallback_on comes out as it is, and sinks hear that the call is over."""
    sink = RecordingSink()

    def buggy(error: errors.AttemptError) -> bool:
        raise ZeroDivisionError

    a = ScriptedEndpoint(fails(ServerFault(status=500)), name="a")
    with pytest.raises(ZeroDivisionError):
        await chain_of(a, fallback_on=[buggy], sinks=[sink]).complete("hi")

    assert len(sink.of(CallEnded)) == 1


@virtual_time
async def test_closing_under_cancellation_closes_all_the_same() -> None:
    """A chain that is left because its caller is cancelled ends its drains and its sockets."""
    async with Simulator() as sim:
        slow, quick = sim.add("slow", Behaviour(fault=Stall("content"))), sim.add("quick")
        steps = [
            fallbackio.Endpoint("m", name=one.name, base_url=one.url("openai"), api_key="k")
            for one in (slow, quick)
        ]
        strategy = fallbackio.Hedge(delay=0.1, drain_losers=100)
        with anyio.move_on_after(1):
            async with fallbackio.Chain(steps, strategy=strategy) as chain:
                await chain.complete("hi")
                assert slow.stats.in_flight == 1
                await anyio.sleep_forever()
        await anyio.sleep(0.05)

        assert slow.stats.in_flight == 0


@virtual_time
async def test_whatever_ends_a_call_carries_its_ledger() -> None:
    """A ConfigError from within a call, too, has the attempts and is told once."""
    sink = RecordingSink()

    async def misused(request: fallbackio.Request) -> str:
        raise fallbackio.ConfigError("not here")

    spec = fallbackio.Endpoint.calling(misused, name="a")
    with pytest.raises(fallbackio.FallbackError):
        await fallbackio.Chain([spec], sinks=[sink], max_retries=0).complete("hi")

    assert len(sink.of(CallEnded)) == 1


@virtual_time
async def test_a_history_may_hold_our_own_tool_calls() -> None:
    """`{"tool_calls": reply.tool_calls}` is the same history as the message's own dict."""
    call = fallbackio.model.ToolCall("c1", FunctionCall("f", "{}"))
    a = ScriptedEndpoint(answers("ok"), name="a")
    history: list[dict[str, Any]] = [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": None, "tool_calls": (call,)},
        {"role": "tool", "tool_call_id": "c1", "content": "x"},
    ]

    await chain_of(a).complete(history)

    assert a.received[0].messages[1]["tool_calls"] == [call.to_dict()]


@virtual_time
async def test_short_calls_still_learn_that_a_known_endpoint_fell_silent() -> None:
    """A limit that an endpoint has nearly always kept is fair to it, however short the call."""
    steps = [answers("a", after_s=0.2)] * 25 + [stalls()]
    a, b = ScriptedEndpoint(*steps, name="a"), ScriptedEndpoint(answers("b"), name="b")
    chain = chain_of(a, b)
    for _ in range(50):
        await chain.complete("hi", timeout=5)

    assert a.requests == 25 + 4


@virtual_time
async def test_a_burst_of_429s_is_waited_out_behind_one_probe() -> None:
    """When the rest is over one call probes, and those that may be repeated follow it."""
    throttled = fails(RateLimited(status=429, retry_after_s=2))
    a = ScriptedEndpoint(*[throttled] * 12, answers("ok", after_s=0.1), name="a")
    chain = chain_of(a, max_retries=2)
    ended: list[tuple[str, float]] = []

    async def caller() -> None:
        try:
            said = (await chain.complete("hi")).text
        except ChainExhausted:
            said = "exhausted"
        ended.append((said, anyio.current_time()))

    async with anyio.create_task_group() as group:
        for _ in range(12):
            group.start_soon(caller)

    answered = [at for said, at in ended if said == "ok"]
    denied = [at for said, at in ended if said != "ok"]
    assert len(answered) >= 3
    assert max(answered) < 7, "the breaker, which opened for its five seconds, closes behind the probe"
    assert denied == [0.0] * len(denied), "who may not be repeated is told at once"


@virtual_time
async def test_when_to_come_back_is_seconds_from_now() -> None:
    """retry_after_s counts from the end of the call, and a bad key is no reason to wait."""
    a = ScriptedEndpoint(fails(ServerFault(status=500), after_s=2), name="a")
    b = ScriptedEndpoint(fails(RateLimited(status=429, retry_after_s=100)), name="b")
    with pytest.raises(ChainExhausted) as caught:
        await chain_of(b, a, max_retries=0).complete("hi")
    assert caught.value.retry_after_s == pytest.approx(98, abs=0.1)

    c = ScriptedEndpoint(fails(AuthFailed(status=401)), name="c")
    with pytest.raises(ChainExhausted) as caught:
        await chain_of(c).complete("hi")
    assert caught.value.retry_after_s is None
