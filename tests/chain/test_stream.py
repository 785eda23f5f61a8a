"""Streams over scripted endpoints, in virtual time: the commit point and what comes after it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import anyio
import pytest

import fallbackio
from fallbackio import Endpoint
from fallbackio.errors import (
    ChainExhausted,
    ConfigError,
    ConnectionFailed,
    InvalidRequest,
    Overloaded,
    StreamBroken,
)
from fallbackio.events import CallEnded, StreamResumed
from fallbackio.model import Delta, Restarted, ToolCallDelta
from fallbackio.simulator import Behaviour, Cut, Simulator
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
    assert stream.report.attempts[0].usage == fallbackio.Usage(completion_tokens=1)
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
        yield fallbackio.Delta(finish_reason="stop")

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


async def read_in_slices(stream: fallbackio.Stream, slice_s: float) -> tuple[list[Delta], int]:
    """What came, and how many waits for it were cut."""
    deltas: list[Delta] = []
    cut = 0
    while True:
        with anyio.move_on_after(slice_s) as scope:
            delta = await anext(stream, None)
        if scope.cancelled_caught:
            cut += 1
        elif delta is None:
            return deltas, cut
        else:
            deltas.append(delta)


@pytest.mark.parametrize("strategy", ["sequence", "race"])
@pytest.mark.parametrize("on_break", ["continue", "restart"])
@virtual_time
async def test_a_consumer_may_wait_in_slices_while_another_endpoint_is_found(
    on_break: Any, strategy: Any
) -> None:
    """A rescue goes on while heartbeats cut the wait for it: one request, and the answer is whole."""
    a = ScriptedEndpoint(breaks(after_words=2, text="one two three"), stalls(), name="a")
    b = ScriptedEndpoint(answers("one two three", after_s=5), name="b")
    chain = chain_of(a, b, on_break=on_break, strategy=strategy, idle_timeout=None)

    async with chain.stream("count") as stream:
        deltas, cut = await read_in_slices(stream, 0.7)

    assert stream.reply.text == "one two three"
    assert sum(isinstance(delta, Restarted) for delta in deltas) == (on_break == "restart")
    assert (cut, b.requests, anyio.current_time()) == (7 if strategy == "sequence" else cut, b.requests, 5)
    assert [(entry.endpoint, entry.outcome) for entry in stream.report.attempts][-1] == ("b", "won")
    assert (a.running, b.running) == (0, 0)


@virtual_time
async def test_a_rescue_that_fails_between_two_slices_is_told_at_the_next() -> None:
    """What went wrong while nobody waited is raised to who comes back, once."""
    a = ScriptedEndpoint(breaks(after_words=2, text="one two three"), name="a")
    b = ScriptedEndpoint(fails(Overloaded(status=529), after_s=1), name="b")

    async with chain_of(a, b, max_retries=0).stream("count") as stream:
        for _ in range(2):
            await anext(stream)
        with anyio.move_on_after(0.5):
            await anext(stream)
        await anyio.sleep(5)
        with pytest.raises(StreamBroken, match="lost") as caught:
            await anext(stream)

    assert caught.value.partial == "one two "
    assert [entry.endpoint for entry in caught.value.attempts] == ["a", "b"]


@pytest.mark.parametrize("leave_after_s", [0.5, 3.0], ids=["under way", "found"])
@virtual_time
async def test_leaving_ends_a_rescue_that_nobody_waits_for(leave_after_s: float) -> None:
    """A rescue that was left in a slice is over with the block, whether it had found an answer or not."""
    sink = RecordingSink()
    a = ScriptedEndpoint(breaks(after_words=2, text="one two three"), name="a")
    b = ScriptedEndpoint(answers("one two three", after_s=2, pace_s=9), name="b")

    async with chain_of(a, b, sinks=[sink]) as chain:
        async with chain.stream("count") as stream:
            for _ in range(2):
                await anext(stream)
            with anyio.move_on_after(0.1):
                await anext(stream)
            await anyio.sleep(leave_after_s - 0.1)
        assert (a.running, b.running, b.cancelled) == (0, 0, 1)
        assert chain.health().calls == 0

    assert [entry.outcome for entry in stream.report.attempts] == ["failed", "cut"]
    assert [event.outcome for event in sink.of(CallEnded)] == ["cancelled"]
    with pytest.raises(StreamBroken):
        await anext(stream)


@virtual_time
async def test_one_task_reads_a_stream_at_a_time() -> None:
    """A second reader is told so, and takes nothing from the first."""
    a = ScriptedEndpoint(answers("one two three", pace_s=1), name="a")
    texts: list[str] = []

    async with chain_of(a).stream("count") as stream, anyio.create_task_group() as tasks:

        async def reader() -> None:
            texts.append(await read(stream))

        tasks.start_soon(reader)
        await anyio.sleep(0.5)
        with pytest.raises(ConfigError, match="another task"):
            await anext(stream)

    assert texts == ["one two three"]
    assert stream.reply.text == "one two three"


@virtual_time
async def test_leaving_ends_the_wait_of_another_task() -> None:
    """Who still waits for a piece when the block is left hears that the stream was ended."""
    async with Simulator() as sim:
        one = sim.add("one", Behaviour(text="one two three", pace_s=1))
        spec = fallbackio.Endpoint("m", base_url=one.url("openai"), api_key="k")
        async with fallbackio.Chain([spec]) as chain, anyio.create_task_group() as tasks:

            async def reader(stream: fallbackio.Stream) -> None:
                with pytest.raises(StreamBroken, match="ended before"):
                    await read(stream)

            async with chain.stream("count") as stream:
                tasks.start_soon(reader, stream)
                await anyio.sleep(1.5)

    assert stream.report.attempts[0].outcome == "cut"


@pytest.mark.parametrize("dialect", ["openai", "anthropic", "gemini"])
@pytest.mark.parametrize("params", [{}, {"response_format": {"type": "json_object"}}], ids=["text", "JSON"])
@virtual_time
async def test_a_break_while_it_thinks_aloud_leaves_the_answer_to_another(params: Any, dialect: str) -> None:
    """Shown reasoning commits, but there is no answer yet, so another endpoint gives all of it."""
    async with Simulator() as sim:
        one = sim.add("one", Behaviour(reasoning_tokens=5, pace_s=0.1, fault=Cut(after_tokens=2)))
        two = sim.add("two", Behaviour(reasoning_tokens=3, text='{"a": 1}'))
        specs = [
            fallbackio.Endpoint("m", name=end.name, base_url=end.url(dialect), dialect=dialect, api_key="k")
            for end in (one, two)
        ]
        async with fallbackio.Chain(specs) as chain:
            async with chain.stream("hi", show_reasoning=True, **params) as stream:
                deltas = [delta async for delta in stream]

    assert stream.reply.text == "".join([delta.text for delta in deltas]) == '{"a": 1}'
    thoughts = "".join([delta.reasoning for delta in deltas])
    assert thoughts == stream.reply.message.reasoning == "thought0 thought1thought0 thought1 thought2"
    assert [(entry.endpoint, entry.outcome) for entry in stream.report.attempts] == [
        ("one", "failed"),
        ("two", "won"),
    ]
    assert stream.report.seams == (0,)


@pytest.mark.parametrize("pieces", [1, 2, 3])
@virtual_time
async def test_an_answer_of_several_choices_is_begun_anew(pieces: int) -> None:
    """Choices are not continued, nor where only one has begun: the other would lack its beginning."""
    async with Simulator() as sim:
        one = sim.add("one", Behaviour(tokens=4, pace_s=0.1, fault=Cut(after_tokens=pieces)))
        two = sim.add("two", Behaviour(tokens=4))
        specs = [
            fallbackio.Endpoint("m", name=end.name, base_url=end.url("openai"), api_key="k")
            for end in (one, two)
        ]
        async with fallbackio.Chain(specs, on_break=("continue", "restart")) as chain:
            async with chain.stream("hi", n=2) as stream:
                async for _ in stream:
                    pass
            assert stream.report.seams == ()
            assert stream.report.restarts == 1
        async with fallbackio.Chain(specs) as chain:
            with pytest.raises(StreamBroken):
                async with chain.stream("hi", n=2) as stream:
                    await read(stream)


@virtual_time
async def test_continuing_trims_what_is_repeated_and_shows_the_seam() -> None:
    """The next endpoint goes on from the text so far; report, event and usage speak of both parts."""
    sink = RecordingSink()
    a = ScriptedEndpoint(breaks(after_words=3, text="one two three four five"), name="a")
    b = ScriptedEndpoint(answers("two three four five"), name="b")

    async with chain_of(a, b, sinks=[sink]).stream("count") as stream:
        deltas = [delta async for delta in stream]

    assert "".join(delta.text for delta in deltas) == "one two three four five"
    assert [delta.text for delta in deltas if delta.seam] == ["four "]
    assert stream.report.seams == (14,)
    assert [(event.origin, event.target, event.how) for event in sink.of(StreamResumed)] == [
        ("a", "b", "continue")
    ]
    assert [(attempt.endpoint, attempt.outcome) for attempt in stream.report.attempts] == [
        ("a", "failed"),
        ("b", "won"),
    ]
    assert stream.reply.usage.completion_tokens == 3 + 4
    said = b.received[0].messages
    assert said[-2] == {"role": "assistant", "content": "one two three "}
    assert "cut off" in said[-1]["content"]


@virtual_time
async def test_what_came_before_a_stall_is_charged() -> None:
    """Tokens of an answer that stood still were given and read, as those of one that was cut off."""
    a = ScriptedEndpoint(stalls(after_words=3, text="one two three four five"), name="a")
    b = ScriptedEndpoint(answers("four five"), name="b")

    async with chain_of(a, b, idle_timeout=2).stream("count") as stream:
        assert await read(stream) == "one two three four five"

    assert stream.report.attempts[0].usage == fallbackio.Usage(completion_tokens=3)
    assert stream.reply.usage.completion_tokens == 3 + 2


@virtual_time
async def test_a_continuation_that_repeats_nothing_loses_nothing() -> None:
    """Text that only begins like the text before is let through whole."""
    a = ScriptedEndpoint(breaks(after_words=2, text="the cat sat"), name="a")
    b = ScriptedEndpoint(answers("the other cat"), name="b")

    async with chain_of(a, b).stream("go on") as stream:
        assert await read(stream) == "the cat the other cat"


def one_delta(**said: Any) -> Any:
    """A step that says all of it in one piece."""

    async def step(request: fallbackio.Request) -> AsyncGenerator[fallbackio.Delta, None]:
        yield fallbackio.Delta(**said)

    return step


@pytest.mark.parametrize(
    ("text", "whole"),
    [("three four", "one two three four"), ("four", "one two three fourfour")],
    ids=["repeated", "too short to tell"],
)
@virtual_time
async def test_a_last_piece_that_is_trimmed_keeps_what_else_it_says(text: str, whole: str) -> None:
    """How an answer ended and what it used is not lost with text that was said before."""
    a = ScriptedEndpoint(breaks(after_words=4, text="one two three four"), name="a")
    b = ScriptedEndpoint(
        one_delta(text=text, finish_reason="length", usage=fallbackio.Usage(completion_tokens=2)), name="b"
    )

    async with chain_of(a, b).stream("count") as stream:
        deltas = [delta async for delta in stream]

    assert stream.reply.text == "".join(delta.text for delta in deltas) == whole
    assert stream.reply.finish_reason == deltas[-1].finish_reason == "length"
    assert stream.reply.usage.completion_tokens == 4 + 2


@virtual_time
async def test_text_that_was_held_back_comes_before_the_end() -> None:
    """A continuation as short as a word of the text before is delivered, and the end is the last piece."""
    a = ScriptedEndpoint(breaks(after_words=4, text="one two three four "), name="a")
    b = ScriptedEndpoint(answers("two"), name="b")

    async with chain_of(a, b).stream("count") as stream:
        deltas = [delta async for delta in stream]

    assert stream.reply.text == "one two three four two"
    assert [delta.finish_reason for delta in deltas if delta.finish_reason] == [deltas[-1].finish_reason]


@virtual_time
async def test_an_answer_that_begins_anew_is_compared_with_nothing() -> None:
    """After a continuation that led to a call and broke, the new answer is delivered whole."""

    async def calls(request: fallbackio.Request) -> AsyncGenerator[fallbackio.Delta, None]:
        yield fallbackio.Delta(tool_calls=(ToolCallDelta(0, "1", "f", '{"a":'),))
        raise ConnectionFailed("cut")

    a = ScriptedEndpoint(breaks(after_words=3, text="one two three four"), name="a")
    c = ScriptedEndpoint(answers("one two three four"), name="c")
    steps = [a.endpoint, Endpoint.calling(calls, name="b"), c.endpoint]

    async with fallbackio.Chain(steps, on_break=("continue", "restart")).stream("count") as stream:
        deltas = [delta async for delta in stream]

    anew = next(at for at, delta in enumerate(deltas) if isinstance(delta, fallbackio.Restarted))
    assert "".join(delta.text for delta in deltas[anew:]) == stream.reply.text == "one two three four"


@virtual_time
async def test_what_the_consumer_raises_is_not_replaced() -> None:
    """An answer that proves broken when its block is left gives way to the block's own error."""
    chain = fallbackio.Chain([Endpoint.calling(half_a_call, name="a")])

    with pytest.raises(ValueError, match="mine"):
        async with chain.stream("hi") as stream:
            await anext(stream)
            await anext(stream)
            raise ValueError("mine")

    assert stream.report.attempts[0].outcome == "failed"


@virtual_time
async def test_a_stream_that_was_left_gives_nothing_more() -> None:
    """What had arrived and was not taken is gone with the block."""
    a = ScriptedEndpoint(answers("one two three"), name="a")

    async with chain_of(a, commit="complete").stream("count") as stream:
        assert (await anext(stream)).text == "one "

    with pytest.raises(StreamBroken):
        await anext(stream)


@virtual_time
async def test_restart_says_so_and_begins_anew() -> None:
    """A `Restarted` delta tells the consumer to drop what it has; the reply is the new answer."""
    a = ScriptedEndpoint(breaks(after_words=3), name="a")
    b = ScriptedEndpoint(answers("a whole new answer"), name="b")

    async with chain_of(a, b, on_break="restart").stream("hi") as stream:
        deltas = [delta async for delta in stream]

    at = next(i for i, delta in enumerate(deltas) if isinstance(delta, fallbackio.Restarted))
    assert at == 3
    assert "".join(delta.text for delta in deltas[at:]) == stream.reply.text == "a whole new answer"
    assert stream.report.restarts == 1


@pytest.mark.parametrize("on_break", ["continue", ("continue", "restart")])
@virtual_time
async def test_tool_calls_and_json_are_not_continued(on_break: Any) -> None:
    """Half a JSON answer is begun anew if the policy says so, and raised otherwise."""
    a = ScriptedEndpoint(breaks(after_words=2, text='{"a": 1, "b": 2}'), name="a")
    b = ScriptedEndpoint(answers('{"a": 1}'), name="b")

    async with chain_of(a, b, on_break=on_break).stream(
        "json please", response_format={"type": "json_object"}
    ) as stream:
        if on_break == "continue":
            with pytest.raises(StreamBroken):
                await read(stream)
        else:
            await read(stream)
            assert stream.reply.text == '{"a": 1}'


@virtual_time
async def test_what_broke_first_is_what_is_said() -> None:
    """If nobody can go on, StreamBroken speaks of the break, and the ledger of the rest."""
    a = ScriptedEndpoint(breaks(after_words=2), name="a")
    b = ScriptedEndpoint(fails(InvalidRequest("no prefill here", status=400)), name="b")
    sink = RecordingSink()

    async with chain_of(a, b, sinks=[sink], max_retries=0).stream("hi") as stream:
        with pytest.raises(StreamBroken) as caught:
            await read(stream)

    assert isinstance(caught.value.__cause__, ConnectionFailed)
    assert [attempt.endpoint for attempt in caught.value.attempts] == ["a", "b"]
    assert len(sink.of(CallEnded)) == 1


@virtual_time
async def test_a_stream_may_break_twice() -> None:
    """Each part goes on from all that was delivered."""
    a = ScriptedEndpoint(breaks(after_words=1, text="one two three four"), name="a")
    b = ScriptedEndpoint(breaks(after_words=1, text="two three four"), name="b")
    c = ScriptedEndpoint(answers("three four"), name="c")

    async with chain_of(a, b, c).stream("count") as stream:
        assert await read(stream) == "one two three four"
    assert stream.report.seams == (4, 8)


@pytest.mark.parametrize(("commit", "shown_at"), [("first_content", 1.0), (9, 3.0), ("complete", 5.0)])
@virtual_time
async def test_commit_says_how_much_has_to_be_there(commit: Any, shown_at: float) -> None:
    """Nothing is delivered before the commit point, and a break before it is recovered unseen."""
    broken = ScriptedEndpoint(breaks(after_words=1, text="one two"), name="broken")
    whole = ScriptedEndpoint(answers("one two three four five", after_s=1, pace_s=1), name="whole")

    async with chain_of(whole, commit=commit).stream("count") as stream:
        await anext(aiter(stream))
        assert anyio.current_time() == pytest.approx(shown_at)

    if commit != "first_content":
        async with chain_of(broken, whole, commit=commit, on_break="raise").stream("count") as stream:
            assert await read(stream) == "one two three four five"


@virtual_time
async def test_a_crawl_is_a_stall() -> None:
    """min_rate leaves an answer that comes at a crawl, in the middle of it."""
    a = ScriptedEndpoint(answers("a b c d e f g h", pace_s=2), name="a")
    b = ScriptedEndpoint(answers("a b c d e f g h", pace_s=0.01), name="b")

    async with chain_of(a, b, min_rate=(5, 4), on_break="restart").stream("hi") as stream:
        await read(stream)
    error = stream.report.attempts[0].error
    assert isinstance(error, fallbackio.TimedOut)
    assert error.phase == "rate"
    assert anyio.current_time() == pytest.approx(4, abs=0.1)

    c = ScriptedEndpoint(answers("a b c d e f g h", pace_s=2), name="c")
    d = ScriptedEndpoint(answers("whole"), name="d")
    assert (await chain_of(c, d, min_rate=(5, 4)).complete("hi")).text == "whole"


@virtual_time
async def test_a_steady_answer_is_above_its_rate() -> None:
    """An answer at the rate asked for is left in peace, to its end."""
    a = ScriptedEndpoint(answers("word " * 40, pace_s=1), name="a")

    async with chain_of(a, min_rate=(4, 4)).stream("hi") as stream:
        assert len(await read(stream)) == 200


@pytest.mark.parametrize("show", [False, True])
@virtual_time
async def test_reasoning_commits_only_when_it_is_shown(show: bool) -> None:
    """Asked to be seen, reasoning is delivered at once and commits; otherwise it waits for content."""

    async def thinks_then_fails(request: fallbackio.Request) -> AsyncGenerator[fallbackio.Delta | str, None]:
        yield fallbackio.Delta(reasoning="hm ")
        await anyio.sleep(1)
        raise ConnectionResetError

    first = fallbackio.Endpoint.calling(thinks_then_fails, name="a")
    second = ScriptedEndpoint(answers("whole"), name="b").endpoint
    chain = fallbackio.Chain([first, second], on_break="raise")

    if show:
        async with chain.stream("hi", show_reasoning=True) as stream:
            assert (await anext(aiter(stream))).reasoning == "hm "
            assert anyio.current_time() == 0
            with pytest.raises(StreamBroken):
                await read(stream)
    else:
        async with chain.stream("hi") as stream:
            assert await read(stream) == "whole"


@virtual_time
async def test_tool_calls_that_break_off_are_no_success() -> None:
    """Arguments that are no JSON under a proper end are a break, unless a length limit cut them."""

    def calls(finish: str) -> Any:
        async def step(request: fallbackio.Request) -> AsyncGenerator[fallbackio.Delta | str, None]:
            yield fallbackio.Delta(tool_calls=(ToolCallDelta(0, "c1", "f", '{"a": '),))
            yield fallbackio.Delta(finish_reason=finish)

        return step

    broken = ScriptedEndpoint(calls("tool_calls"), name="broken")
    well = ScriptedEndpoint(answers("fine"), name="well")
    assert (await chain_of(broken, well, upstream="stream").complete("hi")).text == "fine"
    async with chain_of(broken, well).stream("hi") as stream:
        with pytest.raises(StreamBroken):
            await read(stream)

    limited = ScriptedEndpoint(calls("length"), name="limited")
    reply = await chain_of(limited, upstream="stream").complete("hi")
    assert reply.finish_reason == "length"


def test_bad_delivery_settings_are_refused() -> None:
    """commit, on_break and min_rate are checked when the chain is built."""
    spec = ScriptedEndpoint(answers(), name="a").endpoint
    bad: list[dict[str, Any]] = [
        {"commit": 0},
        {"commit": "later"},
        {"on_break": "panic"},
        {"on_break": ()},
        {"min_rate": 5},
        {"min_rate": (0, 4)},
        {"min_rate": (1, float("nan"))},
    ]
    for settings in bad:
        with pytest.raises(ConfigError, match=next(iter(settings))):
            fallbackio.Chain([spec], **settings)


@virtual_time
async def test_an_answer_begun_anew_after_a_few_letters_is_not_said_twice() -> None:
    """Where all that came is said again it is trimmed, however short it was."""
    a, b = ScriptedEndpoint(breaks(after_words=1, text="A b"), name="a"), ScriptedEndpoint(answers("A b c"))

    async with chain_of(a, b).stream("hi") as stream:
        assert await read(stream) == "A b c"

    assert stream.report.seams == (2,)


async def half_a_call(request: fallbackio.Request) -> AsyncGenerator[fallbackio.Delta, None]:
    """Breaks off at its end, and takes half a second to be closed."""
    yield fallbackio.Delta(tool_calls=(ToolCallDelta(0, "1", "f", '{"a":'),))
    yield fallbackio.Delta(finish_reason="tool_calls")
    try:
        await anyio.sleep_forever()
    finally:
        with anyio.CancelScope(shield=True):
            await anyio.sleep(0.5)


@virtual_time
async def test_cancelled_while_a_broken_answer_is_closed_it_ends_once() -> None:
    """An answer that was found broken has its outcome, also when its reader is cancelled just then."""
    chain = fallbackio.Chain([Endpoint.calling(half_a_call, name="a")], idle_timeout=1)

    async def consume() -> None:
        async with chain.stream("hi") as stream:
            await read(stream)

    consumer = asyncio.ensure_future(consume())
    await anyio.sleep(1.2)
    consumer.cancel()
    await asyncio.wait([consumer])

    assert consumer.cancelled()
    assert await chain.drain(0) == 0
