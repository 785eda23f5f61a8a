"""Streams over scripted endpoints, in virtual time: the commit point and what comes after it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

import anyio
import pytest

import fallbackio
from fallbackio.errors import ChainExhausted, ConfigError, Overloaded, StreamBroken
from fallbackio.events import CallEnded
from fallbackio.simulator import Behaviour, Simulator
from fallbackio.testing import RecordingSink, ScriptedEndpoint, answers, breaks, fails, stalls, virtual_time


def chain_of(*endpoints: ScriptedEndpoint, **settings: Any) -> fallbackio.Chain:
    return fallbackio.Chain([endpoint.endpoint for endpoint in endpoints], seed=1, **settings)


async def read(stream: fallbackio.Stream) -> str:
    return "".join([delta.text async for delta in stream])


@virtual_time
async def test_deltas_come_with_the_upstreams_timing() -> None:
    """Each piece is handed over when it arrives; the reply is whole at the end."""
    a = ScriptedEndpoint(answers("one two three", after_s=1, pace_s=0.5), name="a")
    arrivals = []

    async with chain_of(a).stream("count") as stream:
        async for delta in stream:
            if delta.text:
                arrivals.append(anyio.current_time())

    assert arrivals == pytest.approx([1.0, 1.5, 2.0])
    assert stream.reply.text == "one two three"
    assert stream.reply.finish_reason == "stop"
    assert stream.report.endpoint == "a"
    assert stream.report.ttft_s == pytest.approx(1.0)
    assert stream.reply.usage.completion_tokens == 3


@pytest.mark.parametrize(
    "first", [fails(Overloaded(status=529)), stalls(), breaks(after_words=0)], ids=["error", "stall", "cut"]
)
@virtual_time
async def test_before_the_first_content_another_takes_over_unseen(first: Any) -> None:
    """Whatever happens before the commit point costs the consumer nothing but time."""
    a, b = ScriptedEndpoint(first, name="a"), ScriptedEndpoint(answers("from b"), name="b")

    async with chain_of(a, b, attempt_timeout=1).stream("hi") as stream:
        text = await read(stream)

    assert text == "from b"
    assert stream.report.fell_back
    assert a.running == 0


@virtual_time
async def test_a_break_after_it_carries_the_partial_text() -> None:
    """StreamBroken has exactly what was delivered, the cause and the ledger."""
    a = ScriptedEndpoint(breaks(after_words=2, text="one two three"), name="a")
    b = ScriptedEndpoint(answers(), name="b")

    async with chain_of(a, b, on_break="raise").stream("hi") as stream:
        got = []
        with pytest.raises(StreamBroken) as caught:
            async for delta in stream:
                got.append(delta.text)

    assert caught.value.partial == "".join(got) == "one two "
    assert isinstance(caught.value.__cause__, fallbackio.AttemptError)
    assert [(attempt.endpoint, attempt.outcome) for attempt in caught.value.attempts] == [("a", "failed")]
    assert b.requests == 0


@virtual_time
async def test_silence_after_it_is_a_break() -> None:
    """A stream that stalls in the middle is left after idle_timeout and counts for the breaker."""
    a = ScriptedEndpoint(stalls(after_words=2), name="a")
    chain = chain_of(a, idle_timeout=3, on_break="raise")

    async with chain.stream("hi") as stream:
        with pytest.raises(StreamBroken) as caught:
            await read(stream)

    assert anyio.current_time() == pytest.approx(3)
    assert isinstance(caught.value.__cause__, fallbackio.TimedOut)
    assert caught.value.__cause__.phase == "idle"
    assert a.running == 0
    assert chain._routes[0].breaker.fail_counter == 1


@virtual_time
async def test_a_slow_consumer_trips_no_timer() -> None:
    """Time the consumer takes for itself counts neither as silence nor as the call's."""
    a = ScriptedEndpoint(answers("one two three four", pace_s=0.1), name="a")
    words = []

    async with chain_of(a, idle_timeout=1, timeout=2).stream("hi") as stream:
        async for delta in stream:
            words.append(delta.text)
            await anyio.sleep(100)

    assert "".join(words) == "one two three four"


@virtual_time
async def test_the_calls_timeout_ends_a_stream_and_blames_nobody() -> None:
    """When the time runs out in mid-answer the text so far is kept and the breaker learns nothing."""
    a = ScriptedEndpoint(answers("one two three four", pace_s=1), name="a")
    chain = chain_of(a, timeout=2.5)

    async with chain.stream("hi") as stream:
        with pytest.raises(StreamBroken) as caught:
            await read(stream)

    assert caught.value.partial == "one two three "
    assert anyio.current_time() == pytest.approx(2.5)
    assert chain._routes[0].breaker.fail_counter == 0


@virtual_time
async def test_leaving_early_ends_the_request() -> None:
    """Leaving the block cuts the upstream, gives the permit back and is neither good nor bad."""
    sink = RecordingSink()
    a = ScriptedEndpoint(answers("one two three", pace_s=1), name="a")
    chain = chain_of(a, sinks=[sink])

    async with chain.stream("hi") as stream:
        async for _ in stream:
            break

    assert (a.running, a.cancelled) == (0, 1)
    assert chain._routes[0].breaker.in_flight == 0
    assert [event.outcome for event in sink.of(CallEnded)] == ["cancelled"]
    with pytest.raises(ConfigError):
        _ = stream.reply


@virtual_time
async def test_an_error_in_the_consumers_block_ends_the_request() -> None:
    """The consumer's own exception goes through unchanged."""
    a = ScriptedEndpoint(answers("one two three", pace_s=1), name="a")

    with pytest.raises(ZeroDivisionError):
        async with chain_of(a).stream("hi") as stream:
            async for _ in stream:
                raise ZeroDivisionError

    assert a.running == 0


@virtual_time
async def test_entering_raises_what_complete_would() -> None:
    """An exhausted chain is known before the block begins."""
    a = ScriptedEndpoint(fails(Overloaded(status=529)), name="a")

    with pytest.raises(ChainExhausted):
        async with chain_of(a, max_retries=0).stream("hi"):
            pytest.fail("the block must not be entered")


@virtual_time
async def test_a_stream_is_used_once_and_inside_its_block() -> None:
    """Misuse is told apart from outages."""
    stream = chain_of(ScriptedEndpoint(answers("x"), name="a")).stream("hi")

    with pytest.raises(ConfigError, match="enter"):
        await anext(aiter(stream))
    async with stream:
        assert await read(stream) == "x"
        assert await read(stream) == "", "a finished stream stays finished"
    with pytest.raises(ConfigError, match="once"):
        async with stream:
            pass


@virtual_time
async def test_leaving_after_the_last_piece_is_no_loss() -> None:
    """A consumer that stops at the finish reason has read the whole answer."""
    a = ScriptedEndpoint(answers("one two"), name="a")

    async with chain_of(a).stream("hi") as stream:
        async for delta in stream:
            if delta.finish_reason is not None:
                break

    assert stream.reply.text == "one two"
    assert stream.report.endpoint == "a"


@virtual_time
async def test_thinking_aloud_is_no_stall() -> None:
    """Reasoning keeps the first-content timer from firing, and commits nothing."""

    async def thinks(request: fallbackio.Request) -> AsyncGenerator[fallbackio.Delta | str, None]:
        for _ in range(5):
            await anyio.sleep(0.9)
            yield fallbackio.Delta(reasoning="hm ")
        yield "forty-two"

    chain = fallbackio.Chain([fallbackio.Endpoint.calling(thinks, name="a")], ttft_timeout=1)

    reply = await chain.complete("hi")

    assert reply.text == "forty-two"
    assert reply.message.reasoning == "hm hm hm hm hm "


@virtual_time
async def test_an_ended_stream_never_looks_whole() -> None:
    """After a break, or outside its block, iterating raises instead of ending quietly."""
    a = ScriptedEndpoint(breaks(after_words=1, text="one two"), name="a")
    async with chain_of(a, on_break="raise").stream("hi") as stream:
        with pytest.raises(StreamBroken):
            await read(stream)
        with pytest.raises(StreamBroken):
            await read(stream)

    b = ScriptedEndpoint(answers("one two three", pace_s=1), name="b")
    async with chain_of(b).stream("hi") as stream:
        await anext(aiter(stream))
        assert stream.endpoint == "b"
    with pytest.raises(StreamBroken) as caught:
        await read(stream)
    assert caught.value.partial == "one "


@virtual_time
async def test_a_consumer_may_wait_in_slices() -> None:
    """A wait that is cancelled leaves the stream open: heartbeats between the pieces lose nothing."""
    async with Simulator() as sim:
        one = sim.add("one", Behaviour(text="one two three four", pace_s=1))
        spec = fallbackio.Endpoint("m", base_url=one.url("openai"), api_key="k")
        beats, text = 0, ""
        async with fallbackio.Chain([spec]) as chain, chain.stream("hi") as stream:
            pieces = aiter(stream)
            while True:
                try:
                    with anyio.fail_after(0.4):
                        text += (await anext(pieces)).text
                except TimeoutError:
                    beats += 1
                except StopAsyncIteration:
                    break

    assert text == stream.reply.text == "one two three four"
    assert beats >= 6
