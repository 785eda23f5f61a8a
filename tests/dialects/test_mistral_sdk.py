"""Mistral's own client against our OpenAI server side, and the answers that both clients read alike.

In real time, because its HTTP client sets timers of its own; nothing here waits.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from mistralai.client import Mistral
from mistralai.client.errors import SDKError
from mistralai.client.models import ChatCompletionResponse, CompletionChunk

from fallbackio._draft import assemble
from fallbackio.dialects import DIALECTS, deltas_of
from fallbackio.model import Choice, FunctionCall, Message, Reply, ToolCall
from fallbackio.simulator import Behaviour, Simulator, Status

WIRE = Path(__file__).parent.parent / "wire" / "openai"
HELLO: Any = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Weather?"}]
TOOLS: Any = [
    {
        "type": "function",
        "function": {
            "name": "weather",
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
        },
    }
]


@asynccontextmanager
async def at(behaviour: Behaviour) -> AsyncIterator[Mistral]:
    """Mistral's client, asking an endpoint that behaves so."""
    async with Simulator() as sim:
        root = sim.add("primary", behaviour).url("openai").removesuffix("/v1")
        async with Mistral(api_key="k", server_url=root) as client:
            yield client


def test_complete() -> None:
    """A plain answer is a whole ChatCompletionResponse."""

    async def run() -> ChatCompletionResponse:
        async with at(Behaviour(tokens=3)) as client:
            return await client.chat.complete_async(model="m", messages=HELLO, temperature=0)

    answer = asyncio.run(run())

    assert answer.choices[0].message is not None
    assert "word0 word1 word2" == answer.choices[0].message.content
    assert ("stop", 3) == (answer.choices[0].finish_reason, answer.usage.completion_tokens)


def test_stream() -> None:
    """A streamed answer comes word by word, with its finish reason."""

    async def run() -> list[CompletionChunk]:
        async with at(Behaviour(tokens=3)) as client:
            stream = await client.chat.stream_async(model="m", messages=HELLO)
            return [event.data async for event in stream]

    chunks = asyncio.run(run())
    said = [chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices]

    assert "word0 word1 word2" == "".join(str(word) for word in said)
    assert "stop" == chunks[-1].choices[0].finish_reason


def test_tools() -> None:
    """A required tool is called with arguments of its schema."""

    async def run() -> ChatCompletionResponse:
        async with at(Behaviour()) as client:
            return await client.chat.complete_async(
                model="m", messages=HELLO, tools=TOOLS, tool_choice="required"
            )

    message = asyncio.run(run()).choices[0].message
    assert message is not None
    call = (message.tool_calls or [])[0]

    assert ("weather", {"city": "word0"}) == (call.function.name, _arguments(call.function.arguments))


def test_streamed_tools() -> None:
    """Calls that are written whole, as Mistral streams them, are read; in fragments its client refuses."""
    server = DIALECTS["openai"].server
    calls = tuple(ToolCall(f"abcdefgh{n}", FunctionCall("weather", '{"city":"Oslo"}')) for n in (1, 2))
    reply = Reply(id="1", model="m", choices=(Choice(Message(None, calls), "tool_calls"),))

    def answer(request: httpx.Request) -> httpx.Response:
        writer = server.writer(reply, server.read(request.content))
        said = b"".join([writer.write(delta) for delta in deltas_of(reply)])
        wire = writer.start() + said + writer.finish(reply)
        return httpx.Response(200, headers={"content-type": server.stream_type}, content=wire)

    async def run() -> list[Any]:
        http: Any = httpx.AsyncClient(transport=httpx.MockTransport(answer))
        async with http, Mistral(api_key="k", server_url="http://test", async_client=http) as client:
            stream = await client.chat.stream_async(model="m", messages=HELLO, tools=TOOLS)
            chunks = [event.data async for event in stream]
            return [call for c in chunks if c.choices for call in c.choices[0].delta.tool_calls or []]

    assert [(call.id, call.name, orjson.loads(call.arguments)) for call in calls] == [
        (call.id, call.function.name, _arguments(call.function.arguments)) for call in asyncio.run(run())
    ]


def test_errors() -> None:
    """A failing status reaches Mistral's client with its body."""

    async def run() -> None:
        async with at(Behaviour(fault=Status(429))) as client:
            await client.chat.complete_async(model="m", messages=HELLO)

    with pytest.raises(SDKError, match="rate_limit_exceeded") as raised:
        asyncio.run(run())

    assert 429 == raised.value.status_code


def test_a_recorded_answer() -> None:
    """Both clients find the same text, finish reason and usage in a plain answer of Mistral's."""
    wire = (WIRE / "mistral.json").read_bytes()
    theirs = ChatCompletionResponse.model_validate_json(wire)
    ours = DIALECTS["openai"].client.decode(wire)
    message = theirs.choices[0].message
    assert message is not None
    content = message.content or ""
    texts = [content] if isinstance(content, str) else [getattr(part, "text", "") for part in content]

    assert "".join(texts) == ours.text
    assert [
        (call.id, call.function.name, _arguments(call.function.arguments))
        for call in message.tool_calls or []
    ] == [(call.id, call.name, orjson.loads(call.arguments)) for call in ours.tool_calls]
    assert (theirs.usage.prompt_tokens, theirs.usage.completion_tokens) == (
        ours.usage.prompt_tokens,
        ours.usage.completion_tokens,
    )


def test_a_recorded_stream() -> None:
    """The same of a streamed answer."""
    wire = (WIRE / "mistral.sse").read_bytes()
    reader = DIALECTS["openai"].client.reader()
    ours = assemble([*reader.feed(wire), *reader.end()])
    events = [line[6:] for line in wire.split(b"\n") if line.startswith(b"data: {")]
    chunks = [CompletionChunk.model_validate_json(event) for event in events]
    calls = [call for chunk in chunks for call in chunk.choices[0].delta.tool_calls or []]
    usage = next(chunk.usage for chunk in reversed(chunks) if chunk.usage)

    assert [(call.id, _arguments(call.function.arguments)) for call in calls] == [
        (call.id, orjson.loads(call.arguments)) for call in ours.tool_calls
    ]
    assert chunks[-1].choices[0].finish_reason == ours.finish_reason
    assert usage.completion_tokens == ours.usage.completion_tokens


def _arguments(arguments: Any) -> Any:
    return orjson.loads(arguments) if isinstance(arguments, str) else arguments
