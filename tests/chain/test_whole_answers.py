"""An answer is whole when all that was asked for is there, and it is never taken for whole before."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator
from typing import Any

import anyio
import pytest
from attrs import frozen

import fallbackio
from fallbackio import Delta, Endpoint, StreamBroken
from fallbackio.errors import BadAnswer, ChainExhausted, ConfigError, InvalidRequest, TimedOut
from fallbackio.events import CallEnded
from fallbackio.model import Choice, FunctionCall, ToolCall, ToolCallDelta
from fallbackio.simulator import (
    Behaviour,
    Cut,
    Exchange,
    Fault,
    Send,
    Silence,
    SimulatedEndpoint,
    Simulator,
    Wait,
)
from fallbackio.simulator._steps import Step
from fallbackio.testing import RecordingSink, ScriptedEndpoint, answers, virtual_time


def two_choices(*, both: bool, ends: bool = True) -> Any:
    """Two choices, of which the second has no end unless `both`; and then an end, or silence."""

    async def step(request: fallbackio.Request) -> AsyncGenerator[Delta, None]:
        yield Delta("first ")
        if both:
            yield Delta("second ", index=1)
            yield Delta(finish_reason="stop", index=1)
        yield Delta(finish_reason="stop")
        if not ends:
            await anyio.sleep_forever()

    return step


def half_a_call(*, ends: bool) -> Any:
    """A tool call that breaks off, under a proper finish reason; and then an end, or silence."""

    async def step(request: fallbackio.Request) -> AsyncGenerator[Delta, None]:
        yield Delta(tool_calls=(ToolCallDelta(0, "call_1", "weather", '{"city": "Os'),))
        yield Delta(finish_reason="tool_calls")
        if not ends:
            await anyio.sleep_forever()

    return step


def chain_of(*endpoints: ScriptedEndpoint, **settings: Any) -> fallbackio.Chain:
    return fallbackio.Chain([one.endpoint for one in endpoints], seed=1, idle_timeout=2, **settings)


@virtual_time
async def test_one_of_two_choices_and_then_silence_is_a_stall() -> None:
    """Where two choices were asked for, one of them and no terminator is no answer."""
    silent = ScriptedEndpoint(two_choices(both=False, ends=False), name="silent")
    well = ScriptedEndpoint(two_choices(both=True), name="well")

    reply = await chain_of(silent, well, upstream="stream").complete("hi", n=2)

    assert [choice.message.content for choice in reply.choices] == ["first ", "second "]
    assert isinstance(reply.report.attempts[0].error, TimedOut)
    assert (silent.running, well.running) == (0, 0)


@pytest.mark.parametrize("upstream", ["plain", "stream"])
@virtual_time
async def test_an_endpoint_that_ignores_n_is_passed_over(upstream: Any) -> None:
    """`n` is never ignored: fewer choices than asked for are not the answer, and nobody's illness."""
    ignores = ScriptedEndpoint(two_choices(both=False), name="ignores")
    well = ScriptedEndpoint(two_choices(both=True), name="well")
    chain = chain_of(ignores, well, upstream=upstream)

    for _ in range(8):
        reply = await chain.complete("hi", n=2)

    error = reply.report.attempts[0].error
    assert isinstance(error, InvalidRequest)
    assert "1 choice in place of n=2" in str(error)
    assert ignores.requests == 8, "its breaker has heard nothing"


@virtual_time
async def test_an_endpoints_own_n_is_what_counts() -> None:
    """What an endpoint's params say in place of the call's is what it is held to."""
    one = ScriptedEndpoint(two_choices(both=False), name="one")

    async with Simulator() as sim:
        simulated = sim.add("one")
        endpoint = Endpoint("m", base_url=simulated.url("openai"), api_key="k", params={"n": 1})
        async with fallbackio.Chain([endpoint], upstream="stream") as chain:
            assert len((await chain.complete("hi", n=2)).choices) == 1
    assert (await chain_of(one).complete("hi", n=None)).text == "first "


@virtual_time
async def test_half_a_call_is_broken_also_for_who_leaves_at_its_finish_reason() -> None:
    """Leaving a stream at its finish reason looks at the tool calls, as reading on would."""
    sink = RecordingSink()
    half = ScriptedEndpoint(half_a_call(ends=False), name="half")
    chain = chain_of(half, sinks=[sink], on_break="raise")

    with pytest.raises(StreamBroken, match="break off"):
        async with chain.stream("hi") as stream:
            async for delta in stream:
                if delta.finish_reason is not None:
                    break

    assert [x.outcome for x in stream.report.attempts] == ["failed"]
    assert isinstance(stream.report.attempts[0].error, BadAnswer)
    assert [event.outcome for event in sink.of(CallEnded)] == ["failed"]
    assert half.running == 0
    with pytest.raises(ConfigError):
        _ = stream.reply


@pytest.mark.parametrize("upstream", ["plain", "stream"])
@pytest.mark.parametrize(
    ("arguments", "finish", "served_by"),
    [
        ('{"city": "Os', "tool_calls", "whole"),
        ('{"city": "Os', "stop", "whole"),
        ('{"city": "Os', "length", "broken"),
        ("", "tool_calls", "broken"),
        ("{}", "tool_calls", "broken"),
    ],
)
@virtual_time
async def test_half_a_call_is_no_answer_plain_or_streamed(
    arguments: str, finish: str, served_by: str, upstream: Any
) -> None:
    """Arguments that break off move on to the next endpoint, unless a length limit says why they do."""
    message = fallbackio.Message(None, (ToolCall("call_1", FunctionCall("weather", arguments)),))

    async def broken(request: fallbackio.Request) -> fallbackio.Reply:
        return fallbackio.Reply(choices=(Choice(message, finish),))

    async def whole(request: fallbackio.Request) -> str:
        return "whole"

    steps = [Endpoint.calling(broken, name="broken"), Endpoint.calling(whole, name="whole")]
    reply = await fallbackio.Chain(steps, upstream=upstream).complete("hi")

    assert reply.report.endpoint == served_by


@virtual_time
async def test_an_exception_in_the_block_is_not_replaced() -> None:
    """What the consumer raises at a broken end is what the caller hears."""
    half = ScriptedEndpoint(half_a_call(ends=False), name="half")

    with pytest.raises(KeyError):
        async with chain_of(half).stream("hi") as stream:
            async for delta in stream:
                if delta.finish_reason is not None:
                    raise KeyError("mine")

    assert [x.outcome for x in stream.report.attempts] == ["failed"]


@frozen
class Unpunctual(Fault):
    """A whole answer whose terminator never comes."""

    def plan(self, exchange: Exchange) -> Iterator[Step]:
        for step in exchange.healthy():
            if isinstance(step, Send) and step.final:
                yield Send(step.data.removesuffix(b"data: [DONE]\n\n"))
                yield Wait(None)
            yield step


def unpunctual(sim: Simulator, **settings: Any) -> tuple[SimulatedEndpoint, fallbackio.Chain]:
    """An endpoint that never sends the terminator, and a chain of it."""
    late = sim.add("late", Behaviour(text="whole", fault=Unpunctual()))
    endpoint = Endpoint("m", base_url=late.url("openai"), api_key="k")
    return late, fallbackio.Chain([endpoint], idle_timeout=2, **settings)


def refuses(reply: fallbackio.Reply) -> bool:
    raise KeyError("accept's own fault")


async def hangs(reply: fallbackio.Reply) -> bool:
    await anyio.sleep_forever()
    return True


@pytest.mark.parametrize("accept", [refuses, hangs])
@virtual_time
async def test_an_accept_that_fails_leaves_no_request_open(accept: Any) -> None:
    """An accept that raises or is cancelled ends the request, also where only the terminator was missing."""
    async with Simulator() as sim:
        late, chain = unpunctual(sim, accept=accept)

        with anyio.move_on_after(5), pytest.raises((KeyError, anyio.get_cancelled_exc_class())):
            async with chain.stream("hi"):
                pass
        await anyio.sleep(0.05)

        assert late.stats.in_flight == 0
        await chain.aclose()


@pytest.mark.parametrize("settings", [{"commit": "complete"}, {"accept": lambda reply: True}], ids=str)
@virtual_time
async def test_a_missing_terminator_is_waited_for_once(settings: Any) -> None:
    """An answer that is read to its end before any of it is delivered waits once for its terminator."""
    async with Simulator() as sim:
        late, chain = unpunctual(sim, **settings)

        async with chain.stream("hi") as stream:
            text = "".join([delta.text async for delta in stream])

        assert text == stream.reply.text == "whole"
        assert anyio.current_time() == pytest.approx(2.0, abs=0.01)
        await anyio.sleep(0.05)
        assert late.stats.in_flight == 0
        await chain.aclose()


@virtual_time
async def test_what_had_come_is_counted_when_the_calls_time_runs_out() -> None:
    """A stream that the deadline ends is charged for what it had brought."""
    slow = ScriptedEndpoint(answers("one two three four five", pace_s=1), name="slow")

    with pytest.raises(StreamBroken):
        async with chain_of(slow, timeout=2.5).stream("hi") as stream:
            async for _ in stream:
                pass

    (attempt,) = stream.report.attempts
    assert attempt.outcome == "cut"
    assert attempt.usage is not None
    assert attempt.usage.completion_tokens == 3


@pytest.mark.parametrize("strategy", ["race", "hedge"])
@virtual_time
async def test_a_stalled_first_endpoint_leaves_time_for_the_next_to_embed(strategy: Any) -> None:
    """Embeddings are asked for one after the other, and share the call's time so, whatever the strategy."""
    async with Simulator() as sim:
        steps = [
            Endpoint("embed-1", name=name, base_url=sim.add(name, behaviour).url("openai"), api_key="k")
            for name, behaviour in (("a", Behaviour(fault=Silence())), ("b", Behaviour()))
        ]
        async with fallbackio.Chain(steps, strategy=strategy, timeout=10) as chain:
            assert (await chain.embed("Hello")).report.endpoint == "b"


@virtual_time
async def test_vectors_are_as_long_as_the_endpoint_was_asked_for() -> None:
    """An endpoint's own `dimensions` stand in place of the call's, and the vectors are right."""
    async with Simulator() as sim:
        url = sim.add("a").url("openai")
        endpoint = Endpoint("embed-1", base_url=url, api_key="k", params={"dimensions": 64})
        async with fallbackio.Chain([endpoint]) as chain:
            assert len((await chain.embed("Hello", dimensions=128)).vectors[0]) == 64
            assert len((await chain.embed("Hello")).vectors[0]) == 64


@virtual_time
async def test_a_cut_answer_of_two_choices_is_never_whole() -> None:
    """A stream of two choices that ends after the first is no success, whatever its strategy."""
    async with Simulator() as sim:
        fault = Cut(after_tokens=2, how="end")
        endpoint = Endpoint(
            "m", base_url=sim.add("a", Behaviour(fault=fault)).url("openai"), api_key="k", name="a"
        )
        async with fallbackio.Chain([endpoint], upstream="stream", max_retries=0) as chain:
            with pytest.raises(ChainExhausted):
                await chain.complete("hi", n=2)
