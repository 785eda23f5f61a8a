"""Google's own client, and a chain of ours, talking to our simulator over loopback."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest
from google import genai
from google.genai import errors, types

import fallbackio
from fallbackio.errors import (
    AuthFailed,
    FallbackError,
    InvalidRequest,
    ModelNotFound,
    Overloaded,
    RateLimited,
    ServerFault,
)
from fallbackio.model import FunctionCall, ToolCall
from fallbackio.simulator import Behaviour, SimulatedEndpoint, Simulator, Status

pytestmark = [
    pytest.mark.anyio,
    # Google's client derives its session from aiohttp's, which aiohttp advises against.
    pytest.mark.filterwarnings("ignore:Inheritance class AiohttpClientSession:DeprecationWarning"),
]

FLASH = "gemini-2.5-flash"
PRO = "gemini-3-pro-preview"

CALLS = (
    ToolCall("fc_1", FunctionCall("get_weather", '{"city":"Oslo"}')),
    ToolCall("fc_2", FunctionCall("get_time", '{"zone":"CET"}')),
)
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOLS = [
    {"type": "function", "function": {"name": "get_weather", "parameters": SCHEMA}},
    {"type": "function", "function": {"name": "get_time"}},
]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@asynccontextmanager
async def simulated(behaviour: Behaviour | None = None) -> AsyncIterator[SimulatedEndpoint]:
    async with Simulator() as sim:
        yield sim.add("gem", behaviour or Behaviour(text="Hello from the fjord"))


@asynccontextmanager
async def google(endpoint: SimulatedEndpoint) -> AsyncIterator[Any]:
    """Google's async client, under the API version of its choice."""
    root = endpoint.url("gemini").removesuffix("/v1beta")
    client = genai.Client(api_key="k", http_options=types.HttpOptions(base_url=root))
    async with client.aio as aio:
        yield aio.models
    client.close()


def ours(endpoint: SimulatedEndpoint, model: str = FLASH, path: str = "", **more: Any) -> fallbackio.Chain:
    base = endpoint.url("gemini")
    base = base.removesuffix("/v1beta") + path if path else base
    given = {"api_key": "k"} | more
    return fallbackio.Chain(
        [fallbackio.Endpoint(model, dialect="gemini", base_url=base, vendor="gemini", **given)], max_retries=0
    )


async def test_complete() -> None:
    """Google's client and ours get the same text, finish reason and usage."""
    async with simulated() as endpoint, google(endpoint) as models, ours(endpoint) as chain:
        theirs = await models.generate_content(model=FLASH, contents="Hi")
        reply = await chain.complete("Hi")

    assert "Hello from the fjord" == theirs.text == reply.text
    assert (types.FinishReason.STOP, "stop") == (theirs.candidates[0].finish_reason, reply.finish_reason)
    assert theirs.usage_metadata.candidates_token_count == reply.usage.completion_tokens
    assert FLASH == theirs.model_version == reply.model


async def test_stream() -> None:
    """Google's client and ours read the same stream, thoughts apart."""
    behaviour = Behaviour(text="Hello from the fjord", reasoning_tokens=2)
    async with simulated(behaviour) as endpoint, google(endpoint) as models, ours(endpoint) as chain:
        chunks = [chunk async for chunk in await models.generate_content_stream(model=FLASH, contents="Hi")]
        async with chain.stream("Hi") as stream:
            texts = [delta.text async for delta in stream if delta.text]

    parts = [
        part
        for chunk in chunks
        for candidate in chunk.candidates or ()
        for part in candidate.content.parts or ()
    ]
    assert "Hello from the fjord" == "".join(texts)
    assert "Hello from the fjord" == "".join([part.text for part in parts if not part.thought])
    assert stream.reply.message.reasoning == "".join([part.text for part in parts if part.thought])
    assert types.FinishReason.STOP == chunks[-1].candidates[0].finish_reason
    usage = chunks[-1].usage_metadata
    assert (usage.prompt_token_count > 0, usage.thoughts_token_count) == (
        True,
        stream.reply.usage.reasoning_tokens,
    )


@pytest.mark.parametrize("model", [FLASH, PRO])
async def test_google_s_client_calls_tools(model: str) -> None:
    """Google's client gets the calls and sends them back with their results, which is accepted."""
    declared = [types.FunctionDeclaration(name=call.name, parameters_json_schema=SCHEMA) for call in CALLS]
    config = types.GenerateContentConfig(
        tools=[types.Tool(function_declarations=declared)],
        system_instruction="Be brief.",
        temperature=0.5,
        automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
    )
    contents: list[Any] = [types.Content(role="user", parts=[types.Part(text="Weather?")])]
    async with simulated(Behaviour(tool_calls=CALLS)) as endpoint, google(endpoint) as models:
        first = await models.generate_content(model=model, contents=contents, config=config)
        contents.append(first.candidates[0].content)
        parts = [
            types.Part(
                function_response=types.FunctionResponse(id=call.id, name=call.name, response={"output": "x"})
            )
            for call in first.function_calls
        ]
        contents.append(types.Content(role="user", parts=parts))
        second = await models.generate_content(model=model, contents=contents, config=config)

    for answer in (first, second):
        assert [(call.id, call.name, orjson.loads(call.arguments)) for call in CALLS] == [
            (call.id, call.name, call.args) for call in answer.function_calls
        ]


@pytest.mark.parametrize("streamed", [False, True], ids=["plain", "streamed"])
@pytest.mark.parametrize("model", [FLASH, PRO])
async def test_a_tool_loop_of_ours(model: str, streamed: bool) -> None:
    """A chain's calls go back as they came, with ids and signatures and nothing changed, and are accepted."""
    messages: list[Any] = [{"role": "user", "content": "Weather?"}]
    async with simulated(Behaviour(tool_calls=CALLS)) as endpoint, ours(endpoint, model) as chain:
        for _ in range(2):
            if streamed:
                async with chain.stream(messages, tools=TOOLS) as stream:
                    [_ async for _ in stream]
                reply = stream.reply
            else:
                reply = await chain.complete(messages, tools=TOOLS)
            assert ("tool_calls", CALLS) == (reply.finish_reason, reply.tool_calls)
            assert () == reply.report.attempts[0].notes
            results = [{"role": "tool", "tool_call_id": call.id, "content": "x"} for call in CALLS]
            messages += [reply.message, *results]


@pytest.mark.parametrize(
    ("status", "theirs", "kind"),
    [
        (400, errors.ClientError, InvalidRequest),
        (401, errors.ClientError, AuthFailed),
        (404, errors.ClientError, ModelNotFound),
        (429, errors.ClientError, RateLimited),
        (500, errors.ServerError, ServerFault),
        (503, errors.ServerError, Overloaded),
    ],
)
async def test_errors(status: int, theirs: type[errors.APIError], kind: type[Exception]) -> None:
    """Google's client raises its own proper class for our error answers, and ours its own."""
    async with simulated(Behaviour(fault=Status(status))) as endpoint, google(endpoint) as models:
        with pytest.raises(theirs) as raised:
            await models.generate_content(model=FLASH, contents="Hi")
        async with ours(endpoint) as chain:
            with pytest.raises(FallbackError) as ours_raised:
                await chain.complete("Hi")

    assert status == raised.value.code
    assert isinstance(ours_raised.value.attempts[0].error, kind)


async def test_an_unknown_field_is_refused() -> None:
    """A request that the vendor documents as wrong is a 400 for Google's client too."""
    config = types.GenerateContentConfig(stop_sequences=list("abcdef"))
    async with simulated() as endpoint, google(endpoint) as models:
        with pytest.raises(errors.ClientError, match="INVALID_ARGUMENT"):
            await models.generate_content(model=FLASH, contents="Hi", config=config)


async def test_google_s_client_embeds() -> None:
    """Google's client and ours get the same vectors."""
    async with simulated() as endpoint, google(endpoint) as models:
        theirs = await models.embed_content(
            model="gemini-embedding-001",
            contents=["a", "b"],
            config=types.EmbedContentConfig(output_dimensionality=4),
        )
        async with ours(endpoint, "gemini-embedding-001") as chain:
            found = await chain.embed(["a", "b"], dimensions=4)

    assert found.vectors == tuple([tuple(one.values) for one in theirs.embeddings])
    assert [4, 4] == [len(vector) for vector in found.vectors]


async def test_vertex() -> None:
    """A project's path answers chats, streams and embeddings, with a token in place of a key."""
    path = "/v1/projects/p/locations/europe-west1"
    token: dict[str, Any] = {"api_key": None, "token": lambda: "ya29.token"}
    async with simulated() as endpoint:
        async with ours(endpoint, FLASH, path, **token) as chain:
            assert "Hello from the fjord" == (await chain.complete("Hi")).text
            async with chain.stream("Hi") as stream:
                [_ async for _ in stream]
            assert "Hello from the fjord" == stream.reply.text
        async with ours(endpoint, "text-embedding-005", path, **token) as chain:
            assert 2 == len((await chain.embed(["a", "b"])).vectors)
