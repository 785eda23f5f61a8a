"""What a call tells of itself."""

from __future__ import annotations

from typing import Any

import pytest

import fallbackio
from fallbackio.errors import InvalidRequest, Overloaded
from fallbackio.events import AttemptEnded, AttemptStarted, CallEnded, CallStarted
from fallbackio.testing import RecordingSink, ScriptedEndpoint, answers, fails, virtual_time

CANARY = "canary-7f3a"


class Curious(RecordingSink):
    """Asks for prompts and answers."""

    wants_content = True


def outage(sink: RecordingSink, **settings: Any) -> fallbackio.Chain:
    a = ScriptedEndpoint(fails(Overloaded(status=529)), name="a")
    b = ScriptedEndpoint(answers(f"{CANARY} fine"), name="b")
    return fallbackio.Chain([a.endpoint, b.endpoint], sinks=[sink], seed=1, name="chat", **settings)


@virtual_time
async def test_a_call_names_its_first_choice_and_who_answered() -> None:
    """Events say what was wished for, what was asked where, and what came."""
    sink = RecordingSink()
    chain = outage(sink)
    await chain.complete(
        CANARY,
        session="ada",
        temperature=0.5,
        max_tokens=10,
        reasoning_effort="low",
        stop=[CANARY],
        user=CANARY,
        metadata={CANARY: CANARY},
    )

    [began] = sink.of(CallStarted)
    assert (began.operation, began.endpoint, began.vendor, began.model) == ("chat", "a", "a", "a")
    assert (began.session, began.request) == ("ada", None)
    assert began.settings == {"temperature": 0.5, "max_tokens": 10, "reasoning_effort": "low"}
    asked = [(event.number, event.endpoint, event.model, event.host) for event in sink.of(AttemptStarted)]
    assert asked == [(1, "a", "a", ""), (2, "b", "b", "")]
    assert [event.number for event in sink.of(AttemptEnded)] == [1, 2]
    [ended] = sink.of(CallEnded)
    assert (ended.model, ended.finish_reasons, ended.reply) == ("b", ("stop",), None)
    assert ended.id.startswith("chatcmpl-")
    assert CANARY not in repr(sink.events)


@virtual_time
async def test_a_word_that_is_none_of_a_few_is_not_told() -> None:
    """A text in the place of a setting stays inside."""
    sink = RecordingSink()
    await outage(sink).complete("hi", reasoning_effort=CANARY, temperature=True, seed=CANARY)

    assert sink.of(CallStarted)[0].settings == {}


@virtual_time
async def test_a_streamed_answer_says_how_it_ended() -> None:
    """The event of a stream's end knows the answer too."""
    sink = RecordingSink()
    async with outage(sink).stream("hi") as stream:
        async for _ in stream:
            pass

    [ended] = sink.of(CallEnded)
    assert (ended.outcome, ended.id, ended.finish_reasons) == ("answered", stream.reply.id, ("stop",))


@virtual_time
async def test_content_is_told_to_those_who_ask() -> None:
    """A sink with `wants_content` gets the request and the answer, and still no repr shows them."""
    sink = Curious()
    await outage(sink).complete(CANARY)

    [began], [ended] = sink.of(CallStarted), sink.of(CallEnded)
    assert began.request is not None
    assert began.request.messages[0]["content"] == CANARY
    assert ended.reply is not None
    assert ended.reply.text == f"{CANARY} fine"
    assert CANARY not in repr(sink.events)


@virtual_time
async def test_the_ledger_numbers_what_was_skipped_too() -> None:
    """A number is a place in the ledger."""
    sink = RecordingSink()
    chain = outage(sink, breaker=fallbackio.BreakerPolicy(consecutive=1))
    await chain.complete("hi")
    sink.clear()
    reply = await chain.complete("hi")

    assert [attempt.outcome for attempt in reply.report.attempts] == ["skipped", "won"]
    assert [(event.number, event.attempt.outcome) for event in sink.of(AttemptEnded)] == [
        (1, "skipped"),
        (2, "won"),
    ]
    [started] = sink.of(AttemptStarted)
    assert (started.number, started.breaker) == (2, "closed")


@virtual_time
async def test_a_probe_says_that_it_is_one() -> None:
    """An attempt knows the state of its breaker: half open for the probe, open where it was forced."""
    sink = RecordingSink()
    a = ScriptedEndpoint(fails(Overloaded()), answers("back"), name="a")
    policy = fallbackio.BreakerPolicy(consecutive=1, open_s=1, max_open_s=1)
    chain = fallbackio.Chain([a.endpoint], sinks=[sink], breaker=policy, max_retries=0)
    with pytest.raises(fallbackio.ChainExhausted):
        await chain.complete("hi")
    await chain.complete("hi")  # at once: there is nobody else

    assert [(event.breaker, event.forced) for event in sink.of(AttemptStarted)] == [
        ("closed", False),
        ("open", True),
    ]


@virtual_time
async def test_a_call_that_cannot_begin_is_not_told_of() -> None:
    """Each beginning has its end: what is refused before it begins has neither."""
    sink = RecordingSink()
    spec = fallbackio.Endpoint.calling(nobody, name="a", capabilities=set())
    async with fallbackio.Chain([spec], sinks=[sink]) as chain:
        with pytest.raises(InvalidRequest):
            await chain.complete("hi", require={"vision"})

    assert sink.events == []


async def nobody(request: fallbackio.Request) -> str:
    return "nobody asks"


@virtual_time
async def test_an_attempt_says_where_it_goes() -> None:
    """Host and port of the server, for endpoints that have one."""
    sink = RecordingSink()
    spec = fallbackio.Endpoint("m", base_url="http://localhost:1/v1", api_key="k", vendor="ours")
    async with fallbackio.Chain([spec], sinks=[sink], max_retries=0) as chain:
        with pytest.raises(fallbackio.ChainExhausted):
            await chain.complete("hi")

    [started] = sink.of(AttemptStarted)
    assert (started.host, started.port, started.vendor) == ("localhost", 1, "ours")


@virtual_time
async def test_listening_draws_no_lots() -> None:
    """Observed or not, the same seed makes the same calls."""

    async def run(sinks: list[RecordingSink]) -> list[str]:
        members = [ScriptedEndpoint(answers(), name=name).endpoint for name in "abcd"]
        pool = fallbackio.Pool(members, balance="weighted")
        async with fallbackio.Chain([pool], sinks=sinks, seed=3) as chain:
            return [(await chain.complete("hi")).report.endpoint for _ in range(30)]

    assert await run([]) == await run([RecordingSink()])


@virtual_time
async def test_when_nobody_listens_no_event_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """Telemetry that is off costs nothing: a healthy call makes no event at all."""

    def made(*args: object, **facts: object) -> None:
        raise AssertionError("nobody listens")

    for name in ("CallStarted", "AttemptStarted", "AttemptEnded", "CallEnded"):
        monkeypatch.setattr(f"fallbackio.chain._telling.{name}", made)
    monkeypatch.setattr("fallbackio.chain._call.FailedOver", made)
    a = ScriptedEndpoint(answers("fine"), name="a")
    async with fallbackio.Chain([a.endpoint]) as chain:
        assert (await chain.complete("hi")).text == "fine"
        async with chain.stream("hi") as stream:
            async for _ in stream:
                pass
