"""The vendors' own SDKs, pointed at the simulator: they must not notice the difference.

In real time, because their HTTP clients set timers of their own; nothing here waits.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, ParamSpec

import anthropic
import openai
import orjson
import pytest
from anthropic.types import MessageParam, ToolParam
from attrs import evolve
from openai.types.chat import ChatCompletionMessageParam, ChatCompletionToolParam
from pydantic import BaseModel

from fallbackio.errors import (
    ContentFiltered,
    ContextTooLong,
    Overloaded,
    QuotaExhausted,
)
from fallbackio.simulator import (
    Behaviour,
    Cut,
    Fault,
    InBandError,
    InTurn,
    Malformed,
    Reset,
    Simulator,
    Status,
)

P = ParamSpec("P")

QUESTION: list[ChatCompletionMessageParam] = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "How is the weather?"},
]
ASKED: list[MessageParam] = [{"role": "user", "content": "How is the weather?"}]
SCHEMA: dict[str, object] = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
    "required": ["city"],
}
OPENAI_TOOL: ChatCompletionToolParam = {
    "type": "function",
    "function": {"name": "weather", "description": "The weather", "parameters": SCHEMA},
}
ANTHROPIC_TOOL: ToolParam = {"name": "weather", "description": "The weather", "input_schema": SCHEMA}
TWO_CALLS = Behaviour(
    tool_calls=[
        {"id": "call_a", "name": "weather", "arguments": {"city": "Oslo"}},
        {"id": "call_b", "name": "weather", "arguments": {"city": "Rome", "days": 3}},
    ]
)


def in_real_time(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    @functools.wraps(test)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> None:
        asyncio.run(test(*args, **kwargs))

    return wrapper


@asynccontextmanager
async def openai_at(behaviour: Behaviour, retries: int = 0) -> AsyncIterator[openai.AsyncOpenAI]:
    """OpenAI's client, asking an endpoint that behaves so."""
    async with Simulator() as sim:
        url = sim.add("primary", behaviour).url("openai")
        async with openai.AsyncOpenAI(base_url=url, api_key="key", max_retries=retries) as client:
            yield client


@asynccontextmanager
async def anthropic_at(behaviour: Behaviour, retries: int = 0) -> AsyncIterator[anthropic.AsyncAnthropic]:
    """Anthropic's client, asking an endpoint that behaves so."""
    async with Simulator() as sim:
        url = sim.add("primary", behaviour).url("anthropic")
        async with anthropic.AsyncAnthropic(base_url=url, api_key="key", max_retries=retries) as client:
            yield client


@in_real_time
async def test_openai_completes() -> None:
    """A plain answer is a whole ChatCompletion."""
    async with openai_at(Behaviour(tokens=3)) as client:
        answer = await client.chat.completions.create(model="gpt-4o", messages=QUESTION)

    assert answer.choices[0].message.content == "word0 word1 word2"
    assert answer.choices[0].message.role == "assistant"
    assert (answer.choices[0].finish_reason, answer.model, answer.object) == (
        "stop",
        "gpt-4o",
        "chat.completion",
    )
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 3
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + 3


@in_real_time
async def test_openai_streams() -> None:
    """A streamed answer comes word by word, with its finish reason, and its usage if asked for."""
    async with openai_at(Behaviour(tokens=4)) as client:
        stream = await client.chat.completions.create(
            model="gpt-4o", messages=QUESTION, stream=True, stream_options={"include_usage": True}
        )
        chunks = [chunk async for chunk in stream]

    said = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices]
    assert [word for word in said if word] == ["word0", " word1", " word2", " word3"]
    assert [c.choices[0].finish_reason for c in chunks if c.choices and c.choices[0].finish_reason] == [
        "stop"
    ]
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == 4


@in_real_time
async def test_openai_streams_with_its_helper() -> None:
    """The SDK's own accumulator accepts the events and comes to the same answer."""
    async with (
        openai_at(Behaviour(tokens=4)) as client,
        client.chat.completions.stream(model="gpt-4o", messages=QUESTION) as stream,
    ):
        kinds = {event.type async for event in stream}
        final = await stream.get_final_completion()

    assert {"chunk", "content.delta", "content.done"} <= kinds
    assert final.choices[0].message.content == "word0 word1 word2 word3"


@in_real_time
async def test_openai_calls_tools() -> None:
    """A required tool is called with arguments of its schema."""
    async with openai_at(Behaviour()) as client:
        answer = await client.chat.completions.create(
            model="gpt-4o", messages=QUESTION, tools=[OPENAI_TOOL], tool_choice="required"
        )

    call = (answer.choices[0].message.tool_calls or [])[0]
    assert call.type == "function"
    assert call.function.name == "weather"
    assert orjson.loads(call.function.arguments) == {"city": "word0", "days": 1}
    assert answer.choices[0].finish_reason == "tool_calls"


@in_real_time
async def test_openai_streams_parallel_tool_calls() -> None:
    """Two calls in one stream are put together by the SDK's accumulator."""
    async with (
        openai_at(TWO_CALLS) as client,
        client.chat.completions.stream(model="gpt-4o", messages=QUESTION, tools=[OPENAI_TOOL]) as stream,
    ):
        final = await stream.get_final_completion()

    calls = final.choices[0].message.tool_calls or []
    assert [call.id for call in calls] == ["call_a", "call_b"]
    assert [orjson.loads(call.function.arguments)["city"] for call in calls] == ["Oslo", "Rome"]


@in_real_time
async def test_openai_parses() -> None:
    """A structured output is a document that the SDK reads into the user's class."""

    class Person(BaseModel):
        name: str
        age: int

    async with openai_at(Behaviour()) as client:
        answer = await client.chat.completions.parse(
            model="gpt-4o", messages=QUESTION, response_format=Person
        )

    assert answer.choices[0].message.parsed == Person(name="word0", age=1)


@in_real_time
async def test_anthropic_completes() -> None:
    """A plain answer is a whole Message."""
    async with anthropic_at(Behaviour(tokens=3)) as client:
        answer = await client.messages.create(
            model="claude", max_tokens=99, messages=ASKED, system="Be brief."
        )

    assert [block.text for block in answer.content if block.type == "text"] == ["word0 word1 word2"]
    assert (answer.role, answer.stop_reason, answer.model) == ("assistant", "end_turn", "claude")
    assert answer.usage.output_tokens == 3
    assert answer.usage.input_tokens > 0


@in_real_time
async def test_anthropic_is_cut_by_max_tokens() -> None:
    """`max_tokens` cuts the answer, and the stop reason says so."""
    async with anthropic_at(Behaviour(tokens=30)) as client:
        answer = await client.messages.create(model="claude", max_tokens=2, messages=ASKED)

    assert (answer.stop_reason, answer.usage.output_tokens) == ("max_tokens", 2)


@in_real_time
async def test_anthropic_streams() -> None:
    """The SDK's accumulator gets words, thinking and usage from the events."""
    async with (
        anthropic_at(Behaviour(tokens=3, reasoning_tokens=2)) as client,
        client.messages.stream(model="claude", max_tokens=99, messages=ASKED) as stream,
    ):
        said = [text async for text in stream.text_stream]
        final = await stream.get_final_message()

    assert said == ["word0", " word1", " word2"]
    assert [block.type for block in final.content] == ["thinking", "text"]
    assert (final.stop_reason, final.usage.output_tokens) == ("end_turn", 5)


@in_real_time
async def test_anthropic_calls_tools() -> None:
    """A forced tool is called with an input of its schema."""
    async with anthropic_at(Behaviour()) as client:
        answer = await client.messages.create(
            model="claude",
            max_tokens=99,
            messages=ASKED,
            tools=[ANTHROPIC_TOOL],
            tool_choice={"type": "tool", "name": "weather"},
        )

    (block,) = answer.content
    assert block.type == "tool_use"
    assert (block.name, block.input) == ("weather", {"city": "word0", "days": 1})
    assert answer.stop_reason == "tool_use"


@in_real_time
async def test_anthropic_streams_parallel_tool_calls() -> None:
    """Two calls in one stream are put together by the SDK's accumulator."""
    async with (
        anthropic_at(TWO_CALLS) as client,
        client.messages.stream(
            model="claude", max_tokens=99, messages=ASKED, tools=[ANTHROPIC_TOOL]
        ) as stream,
    ):
        final = await stream.get_final_message()

    inputs = [(block.id, block.input) for block in final.content if block.type == "tool_use"]
    assert inputs == [("call_a", {"city": "Oslo"}), ("call_b", {"city": "Rome", "days": 3})]


# (fault, OpenAI's class, Anthropic's class)
ERRORS: dict[str, tuple[Status, type[Exception], type[Exception]]] = {
    "400": (Status(400), openai.BadRequestError, anthropic.BadRequestError),
    "401": (Status(401), openai.AuthenticationError, anthropic.AuthenticationError),
    "402": (Status(402), openai.APIStatusError, anthropic.PaymentRequiredError),
    "403": (Status(403), openai.PermissionDeniedError, anthropic.PermissionDeniedError),
    "404": (Status(404), openai.NotFoundError, anthropic.NotFoundError),
    "408": (Status(408), openai.APIStatusError, anthropic.RequestTimeoutError),
    "409": (Status(409), openai.ConflictError, anthropic.ConflictError),
    "413": (Status(413), openai.APIStatusError, anthropic.ContentTooLargeError),
    "422": (Status(422), openai.UnprocessableEntityError, anthropic.UnprocessableEntityError),
    "429": (Status(429, retry_after_s=20), openai.RateLimitError, anthropic.RateLimitError),
    "429, quota": (Status(429, error=QuotaExhausted), openai.RateLimitError, anthropic.RateLimitError),
    "400, context": (Status(400, error=ContextTooLong), openai.BadRequestError, anthropic.BadRequestError),
    "400, policy": (Status(400, error=ContentFiltered), openai.BadRequestError, anthropic.BadRequestError),
    "500": (Status(500), openai.InternalServerError, anthropic.InternalServerError),
    "502": (Status(502), openai.InternalServerError, anthropic.InternalServerError),
    "503": (Status(503), openai.InternalServerError, anthropic.ServiceUnavailableError),
    "504": (Status(504), openai.InternalServerError, anthropic.GatewayTimeoutError),
    "529": (Status(529), openai.InternalServerError, anthropic.OverloadedError),
}

plain_and_streamed = pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])


@plain_and_streamed
@pytest.mark.parametrize("case", list(ERRORS))
@in_real_time
async def test_openai_raises_its_own(case: str, stream: bool) -> None:
    """Each error answer is the SDK's own class, with status, request id and a body it could read."""
    fault, kind, _ = ERRORS[case]
    async with openai_at(Behaviour(fault=fault)) as client:
        with pytest.raises(openai.APIStatusError) as caught:
            await client.chat.completions.create(model="gpt-4o", messages=QUESTION, stream=stream)

    assert isinstance(caught.value, kind)
    assert (caught.value.status_code, caught.value.request_id) == (fault.status, "req_primary_1")
    assert caught.value.type
    assert "simulated" in caught.value.message


@plain_and_streamed
@pytest.mark.parametrize("case", list(ERRORS))
@in_real_time
async def test_anthropic_raises_its_own(case: str, stream: bool) -> None:
    """Each error answer is the SDK's own class, with status, request id and a body it could read."""
    fault, _, kind = ERRORS[case]
    async with anthropic_at(Behaviour(fault=fault)) as client:
        with pytest.raises(anthropic.APIStatusError) as caught:
            await client.messages.create(model="claude", max_tokens=9, messages=ASKED, stream=stream)

    assert isinstance(caught.value, kind)
    assert (caught.value.status_code, caught.value.request_id) == (fault.status, "req_primary_1")
    assert isinstance(caught.value.body, dict)
    assert caught.value.body["error"]["message"]


@pytest.mark.parametrize("after_tokens", [0, 2], ids=["first", "in the middle"])
@in_real_time
async def test_errors_in_the_stream(after_tokens: int) -> None:
    """An error in-band is raised by both SDKs while they read."""
    behaviour = Behaviour(fault=InBandError(Overloaded, after_tokens=after_tokens))

    async with openai_at(behaviour) as client:
        stream = await client.chat.completions.create(model="gpt-4o", messages=QUESTION, stream=True)
        with pytest.raises(openai.APIError, match="simulated"):
            _ = [chunk async for chunk in stream]
    async with anthropic_at(behaviour) as other:
        events = await other.messages.create(model="claude", max_tokens=9, messages=ASKED, stream=True)
        with pytest.raises(anthropic.APIStatusError, match="overloaded_error"):
            _ = [event async for event in events]


@pytest.mark.parametrize("fault", [Reset(), Cut(1), Cut(1, how="reset")], ids=str)
@in_real_time
async def test_lost_connections(fault: Fault) -> None:
    """A lost connection is a lost connection for the SDKs too."""
    async with openai_at(Behaviour(fault=fault)) as client:
        with pytest.raises(openai.APIConnectionError):
            await client.chat.completions.create(model="gpt-4o", messages=QUESTION)
    async with anthropic_at(Behaviour(fault=fault)) as other:
        with pytest.raises(anthropic.APIConnectionError):
            await other.messages.create(model="claude", max_tokens=9, messages=ASKED)


@in_real_time
async def test_broken_events() -> None:
    """A malformed event is no event for either SDK."""
    behaviour = Behaviour(fault=Malformed(1))
    async with openai_at(behaviour) as client:
        stream = await client.chat.completions.create(model="gpt-4o", messages=QUESTION, stream=True)
        with pytest.raises(ValueError, match=r"Expecting|Unterminated|property name|JSON"):
            _ = [chunk async for chunk in stream]


@in_real_time
async def test_what_the_sdk_refuses_to_send_wrongly() -> None:
    """A request that the dialect does not allow is the SDK's BadRequestError."""
    async with openai_at(Behaviour()) as client:
        with pytest.raises(openai.BadRequestError):
            await client.chat.completions.create(model="gpt-4o", messages=[])
    async with anthropic_at(Behaviour()) as other:
        with pytest.raises(anthropic.BadRequestError):
            await other.messages.create(model="claude", max_tokens=9, messages=[])


@in_real_time
async def test_retries_of_the_sdks() -> None:
    """The SDKs' own retries obey `retry-after-ms` and meet the next fault in turn."""
    fault = InTurn([Status(503, retry_after_ms=1), None])
    async with openai_at(Behaviour(tokens=1, fault=fault), retries=1) as client:
        answer = await client.chat.completions.create(model="gpt-4o", messages=QUESTION)
        assert answer.choices[0].message.content == "word0"
    async with anthropic_at(evolve(Behaviour(tokens=1), fault=fault), retries=1) as other:
        message = await other.messages.create(model="claude", max_tokens=9, messages=ASKED)
        assert message.stop_reason == "end_turn"
