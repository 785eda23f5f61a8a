"""Scripted endpoints: they do what they were told, and count."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

import anyio
import pytest

from fallbackio import clock
from fallbackio._draft import assemble
from fallbackio.errors import AttemptError, ConfigError, ConnectionFailed, Overloaded, RateLimited
from fallbackio.model import Delta, FunctionCall, Reply, Request, ToolCall
from fallbackio.testing import ScriptedEndpoint, answers, breaks, fails, stalls, virtual_time

REQUEST = Request.of("Hello", {})


def call(scripted: ScriptedEndpoint) -> AsyncGenerator[Delta | str, None]:
    """The endpoint's function, called as transport calls it."""
    assert scripted.endpoint.fn is not None
    answer = scripted.endpoint.fn(REQUEST)
    assert isinstance(answer, AsyncGenerator)
    return answer


def as_delta(piece: Delta | str) -> Delta:
    return Delta(text=piece) if isinstance(piece, str) else piece


async def read(scripted: ScriptedEndpoint) -> Reply:
    async with aclosing(call(scripted)) as pieces:
        return assemble([as_delta(piece) async for piece in pieces])


async def instants(pieces: AsyncIterator[Delta | str]) -> AsyncIterator[tuple[float, str]]:
    async for piece in pieces:
        if text := as_delta(piece).text:
            yield clock.now(), text


@virtual_time
async def test_an_answer_is_spoken_word_by_word() -> None:
    """The words add up to the text, and come at their instants."""
    scripted = ScriptedEndpoint(answers("  one two\nthree ", after_s=0.5, pace_s=0.25))

    spoken = [piece async for piece in instants(call(scripted))]

    assert spoken == [(0.5, "  one "), (0.75, "two\n"), (1.0, "three ")]


@virtual_time
async def test_an_answer_is_whole() -> None:
    """Text, tool calls, finish reason and usage assemble to a proper reply."""
    tool = ToolCall("call_1", FunctionCall("weather", '{"city": "Oslo"}'))

    reply = await read(ScriptedEndpoint(answers("Let me see.", tool_calls=[tool])))

    assert reply.text == "Let me see."
    assert reply.tool_calls == (tool,)
    assert reply.finish_reason == "tool_calls"
    assert (reply.usage.prompt_tokens, reply.usage.completion_tokens) == (1, 3)


@virtual_time
async def test_the_last_step_repeats() -> None:
    """A script plays one step per call, and its last one from then on."""
    scripted = ScriptedEndpoint(fails(Overloaded()), answers("a"), answers("b"))

    with pytest.raises(Overloaded):
        await read(scripted)
    texts = [(await read(scripted)).text for _ in range(3)]

    assert texts == ["a", "b", "b"]
    assert (scripted.requests, scripted.running, scripted.cancelled) == (4, 0, 0)


@virtual_time
async def test_each_failure_is_a_new_error() -> None:
    """Two calls never share an exception, and its facts are kept."""
    scripted = ScriptedEndpoint(fails(RateLimited("slow down", status=429, retry_after_s=3), after_s=2))
    caught: list[AttemptError] = []
    for _ in range(2):
        with pytest.raises(RateLimited) as info:
            await read(scripted)
        caught.append(info.value.placed("a", "b", "c"))

    first, second = caught
    assert first is not second
    assert str(first) == str(second) == "a: rate limited (HTTP 429, retry after 3.0 s): slow down"
    assert clock.now() == 4


@virtual_time
async def test_a_break_comes_after_its_words() -> None:
    """`breaks` speaks first, then loses the connection."""
    pieces = call(ScriptedEndpoint(breaks(after_words=2, text="a b c")))

    assert [await anext(pieces), await anext(pieces)] == ["a ", "b "]
    with pytest.raises(ConnectionFailed):
        await anext(pieces)


@pytest.mark.parametrize(
    ("after_words", "expected"),
    [
        (0, [(9.0, "a "), (9.0, "b")]),
        (1, [(0.0, "a "), (9.0, "b")]),
        (2, [(0.0, "a "), (0.0, "b")]),
    ],
)
def test_a_stall_has_its_place_and_length(after_words: int, expected: list[tuple[float, str]]) -> None:
    """`stalls` falls silent after its words and goes on after its seconds."""

    @virtual_time
    async def main() -> float:
        scripted = ScriptedEndpoint(stalls(after_words=after_words, for_s=9, text="a b"))
        assert expected == [piece async for piece in instants(call(scripted))]
        return clock.now()

    assert main() == 9


@virtual_time
async def test_a_cut_request_is_counted() -> None:
    """A request that is cancelled while it waits is over at once, and counts as cancelled."""
    scripted = ScriptedEndpoint(stalls())

    with anyio.move_on_after(1):
        await read(scripted)

    assert (scripted.requests, scripted.running, scripted.peak, scripted.cancelled) == (1, 0, 1, 1)


@virtual_time
async def test_a_closed_request_is_counted() -> None:
    """Leaving an answer between two pieces counts as cancelled; leaving after its end does not."""
    scripted = ScriptedEndpoint(answers("a b"))

    for pieces in (1, 3):
        generator = call(scripted)
        for _ in range(pieces):
            await anext(generator)
        await generator.aclose()

    assert (scripted.running, scripted.cancelled) == (0, 1)


@virtual_time
async def test_requests_are_kept() -> None:
    """What was asked can be looked at, and how many requests ran at once."""
    scripted = ScriptedEndpoint(answers(after_s=1))

    async with anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(read, scripted)

    assert [request.messages[0]["content"] for request in scripted.received] == ["Hello"] * 3
    assert (scripted.peak, scripted.running) == (3, 0)


def test_a_script_needs_a_step() -> None:
    """An empty script is refused when it is written, not when it is played."""
    with pytest.raises(ConfigError, match="needs a step"):
        ScriptedEndpoint()
