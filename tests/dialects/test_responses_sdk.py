"""OpenAI's own client for Responses against the simulator, and our chain beside it.

In real time, because its HTTP client sets timers of its own; nothing here waits.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import openai
import orjson
import pytest
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import BaseModel

from fallbackio import Chain
from fallbackio.endpoint import Endpoint
from fallbackio.errors import ContentFiltered, ContextTooLong, QuotaExhausted
from fallbackio.simulator import Behaviour, Cut, Fault, InBandError, Simulator, Status

T = TypeVar("T")

TOOL: Any = {
    "type": "function",
    "name": "weather",
    "description": "The weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    "strict": False,
}
TWO_CALLS = Behaviour(
    tool_calls=[
        {"id": "call_a", "name": "weather", "arguments": {"city": "Oslo"}},
        {"id": "call_b", "name": "weather", "arguments": {"city": "Rome"}},
    ]
)


@asynccontextmanager
async def at(behaviour: Behaviour) -> AsyncIterator[openai.AsyncOpenAI]:
    """The official client, asking an endpoint that behaves so."""
    async with Simulator() as sim:
        url = sim.add("primary", behaviour).url("openai_responses")
        async with openai.AsyncOpenAI(base_url=url, api_key="k", max_retries=0) as client:
            yield client


def asked(behaviour: Behaviour, ask: Callable[[openai.AsyncOpenAI], Awaitable[T]]) -> T:
    async def run() -> T:
        async with at(behaviour) as client:
            return await ask(client)

    return asyncio.run(run())


def test_create() -> None:
    """A plain answer is a whole Response."""
    answer = asked(
        Behaviour(tokens=3),
        lambda c: c.responses.create(
            model="m", instructions="Be brief.", input="Weather?", max_output_tokens=99
        ),
    )

    assert ("word0 word1 word2", "completed", "m") == (answer.output_text, answer.status, answer.model)
    assert answer.usage is not None
    assert 3 == answer.usage.output_tokens


def test_stream() -> None:
    """A streamed answer comes word by word and ends with the whole."""

    async def ask(client: openai.AsyncOpenAI) -> list[ResponseStreamEvent]:
        return [event async for event in await client.responses.create(model="m", input="Hi", stream=True)]

    events = asked(Behaviour(tokens=3), ask)
    last = events[-1]

    assert ["response.created", "response.in_progress"] == [event.type for event in events[:2]]
    assert ["word0", " word1", " word2"] == [
        event.delta for event in events if event.type == "response.output_text.delta"
    ]
    assert "response.completed" == last.type
    assert "word0 word1 word2" == last.response.output_text
    assert last.response.usage is not None


def test_stream_helper() -> None:
    """The SDK's own accumulator accepts the events, parallel calls and reasoning included."""

    async def ask(client: openai.AsyncOpenAI) -> tuple[set[str], Any]:
        async with client.responses.stream(model="m", input="Hi", tools=[TOOL]) as stream:
            kinds: set[str] = {event.type async for event in stream}
            return kinds, await stream.get_final_response()

    behaviour = Behaviour(reasoning_tokens=2, tool_calls=TWO_CALLS.tool_calls)
    kinds, final = asked(behaviour, ask)

    assert {"response.reasoning_summary_text.delta", "response.function_call_arguments.done"} <= kinds
    assert ["reasoning", "function_call", "function_call"] == [item.type for item in final.output]
    assert "thought0 thought1" == final.output[0].summary[0].text
    assert ["Oslo", "Rome"] == [orjson.loads(item.arguments)["city"] for item in final.output[1:]]


def test_an_incomplete_answer() -> None:
    """An answer that was cut by its limit says so, streamed or not."""

    async def ask(client: openai.AsyncOpenAI) -> tuple[Response, list[ResponseStreamEvent]]:
        whole = await client.responses.create(model="m", input="Hi", max_output_tokens=16)
        stream = await client.responses.create(model="m", input="Hi", max_output_tokens=16, stream=True)
        return whole, [event async for event in stream]

    whole, events = asked(Behaviour(tokens=20), ask)

    assert "incomplete" == whole.status
    assert whole.incomplete_details is not None
    assert "max_output_tokens" == whole.incomplete_details.reason
    assert "response.incomplete" == events[-1].type


def test_parse() -> None:
    """A structured output is a document that the SDK reads into the user's class."""

    class Person(BaseModel):
        name: str
        age: int

    answer = asked(Behaviour(), lambda c: c.responses.parse(model="m", input="Who?", text_format=Person))

    assert Person(name="word0", age=1) == answer.output_parsed


def test_a_conversation_with_tools() -> None:
    """The SDK's way of going on, output appended to input, is accepted with encrypted reasoning."""

    async def ask(client: openai.AsyncOpenAI) -> Response:
        settings: Any = {
            "model": "m",
            "tools": [TOOL],
            "store": False,
            "include": ["reasoning.encrypted_content"],
        }
        said: list[Any] = [{"role": "user", "content": "Weather?"}]
        first: Response = await client.responses.create(input=said, **settings)
        said += first.output
        said += [
            {"type": "function_call_output", "call_id": item.call_id, "output": "5"}
            for item in first.output
            if item.type == "function_call"
        ]
        second: Response = await client.responses.create(input=said, **settings)
        return second

    behaviour = Behaviour(reasoning_tokens=2, tool_calls=TWO_CALLS.tool_calls)

    assert "completed" == asked(behaviour, ask).status


@pytest.mark.parametrize(
    ("fault", "theirs"),
    [
        (Status(400), openai.BadRequestError),
        (Status(400, error=ContextTooLong), openai.BadRequestError),
        (Status(400, error=ContentFiltered), openai.BadRequestError),
        (Status(401), openai.AuthenticationError),
        (Status(404), openai.NotFoundError),
        (Status(429), openai.RateLimitError),
        (Status(429, error=QuotaExhausted), openai.RateLimitError),
        (Status(500), openai.InternalServerError),
    ],
    ids=str,
)
def test_errors(fault: Fault, theirs: type[openai.APIStatusError]) -> None:
    """The official client raises its own class for each of our statuses."""
    with pytest.raises(theirs) as raised:
        asked(Behaviour(fault=fault), lambda c: c.responses.create(model="m", input="Hi"))

    assert theirs is type(raised.value)
    assert raised.value.request_id


def test_an_error_in_a_stream() -> None:
    """The official client is told of an error after some of the answer, as an event."""

    async def ask(client: openai.AsyncOpenAI) -> list[ResponseStreamEvent]:
        return [event async for event in await client.responses.create(model="m", input="Hi", stream=True)]

    events = asked(Behaviour(fault=InBandError(after_tokens=1)), ask)
    last = events[-1]

    assert "error" == last.type
    assert "server_is_overloaded" == last.code


def test_our_chain() -> None:
    """A chain asks the same simulator, plain and streamed, with tools and a reasoning model's turns."""

    async def run() -> None:
        async with Simulator() as sim:
            behaviour = Behaviour(reasoning_tokens=2, tool_calls=TWO_CALLS.tool_calls)
            url = sim.add("primary", behaviour).url("openai_responses")
            to = Endpoint("gpt-5.1", dialect="openai_responses", base_url=url, api_key="k")
            tool = {"type": "function", "function": {"name": "weather", "parameters": TOOL["parameters"]}}
            history: list[Any] = [{"role": "user", "content": "Weather?"}]
            async with Chain([to]) as chain:
                first = await chain.complete(history, tools=[tool])
                history += [first.message]
                history += [
                    {"role": "tool", "tool_call_id": call.id, "content": "5"} for call in first.tool_calls
                ]
                sim.endpoint("primary").behave(Behaviour(tokens=3))
                async with chain.stream(history, tools=[tool]) as stream:
                    pieces = [delta.text async for delta in stream]
        assert ["call_a", "call_b"] == [call.id for call in first.tool_calls]
        assert "thought0 thought1" == first.message.reasoning
        assert "word0 word1 word2" == "".join(pieces) == stream.reply.text
        assert () == stream.reply.report.attempts[0].notes

    asyncio.run(run())


def test_a_break_moves_on() -> None:
    """A stream that breaks before its end is not taken for an answer."""

    async def run() -> None:
        async with Simulator() as sim:
            broken = sim.add("broken", Behaviour(fault=Cut(after_tokens=0))).url("openai_responses")
            well = sim.add("well", Behaviour(tokens=3)).url("openai_responses")
            endpoints = [
                Endpoint("m", dialect="openai_responses", base_url=url, api_key="k", name=name)
                for name, url in (("broken", broken), ("well", well))
            ]
            async with Chain(endpoints) as chain, chain.stream("Hi") as stream:
                pieces = [delta.text async for delta in stream]
        assert "word0 word1 word2" == "".join(pieces)
        assert "well" == stream.reply.report.endpoint

    asyncio.run(run())
