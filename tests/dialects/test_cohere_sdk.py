"""Cohere's own SDK and our chain, pointed at the simulator over real loopback."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, ParamSpec

import cohere
import pytest
from cohere.core.api_error import ApiError

import fallbackio
from fallbackio.errors import ContentFiltered, Overloaded, ServerFault
from fallbackio.simulator import Behaviour, InBandError, SimulatedEndpoint, Simulator, Status

P = ParamSpec("P")

MODEL = "command-a-03-2025"
MESSAGES: Any = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Weather?"}]
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOLS: Any = [{"type": "function", "function": {"name": "weather", "parameters": SCHEMA}}]
CALLING = Behaviour(
    tool_calls=[
        {"id": "call_a", "name": "weather", "arguments": {"city": "Oslo"}},
        {"id": "call_b", "name": "weather", "arguments": {"city": "Rome"}},
    ]
)
CALLED = [("call_a", '{"city":"Oslo"}'), ("call_b", '{"city":"Rome"}')]


def in_real_time(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    @functools.wraps(test)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> None:
        asyncio.run(test(*args, **kwargs))

    return wrapper


@asynccontextmanager
async def sdk(behaviour: Behaviour) -> AsyncIterator[cohere.AsyncClientV2]:
    """The official client, asking an endpoint that behaves so."""
    async with Simulator() as sim:
        root = sim.add("primary", behaviour).url("cohere").removesuffix("/v2")
        async with cohere.AsyncClientV2("key", base_url=root, timeout=10) as client:
            yield client


@asynccontextmanager
async def ours(behaviour: Behaviour) -> AsyncIterator[tuple[fallbackio.Chain, SimulatedEndpoint]]:
    """A chain of ours, asking an endpoint that behaves so."""
    async with Simulator() as sim:
        primary = sim.add("primary", behaviour)
        endpoint = fallbackio.Endpoint(MODEL, base_url=primary.url("cohere"), api_key="k", dialect="cohere")
        async with fallbackio.Chain([endpoint], max_retries=0) as chain:
            yield chain, primary


@in_real_time
async def test_the_sdk_completes() -> None:
    """The official client reads a plain answer."""
    async with sdk(Behaviour(tokens=3)) as client:
        answer: Any = await client.chat(model=MODEL, messages=MESSAGES, max_tokens=2, p=0.5)

    assert ("word0 word1", "MAX_TOKENS") == (answer.message.content[0].text, answer.finish_reason)
    assert 2 == answer.usage.tokens.output_tokens


@in_real_time
async def test_the_sdk_streams() -> None:
    """The official client reads a streamed answer word by word, to its end."""
    async with sdk(Behaviour(tokens=3, reasoning_tokens=2)) as client:
        events: list[Any] = [event async for event in client.chat_stream(model=MODEL, messages=MESSAGES)]

    kinds = [event.type for event in events]
    said = [event.delta.message.content for event in events if event.type == "content-delta"]
    assert ["word0", " word1", " word2"] == [content.text for content in said if content.text]
    assert 2 == len([content for content in said if content.thinking])
    assert ("message-start", "message-end") == (kinds[0], kinds[-1])
    assert "COMPLETE" == events[-1].delta.finish_reason


@in_real_time
async def test_the_sdk_calls_tools() -> None:
    """The official client gets parallel calls, plain and streamed, and sends their results back."""
    async with sdk(CALLING) as client:
        answer: Any = await client.chat(
            model=MODEL, messages=MESSAGES, tools=TOOLS, tool_choice="REQUIRED", strict_tools=True
        )
        events: list[Any] = [e async for e in client.chat_stream(model=MODEL, messages=MESSAGES, tools=TOOLS)]
        results: list[Any] = [
            {"role": "tool", "tool_call_id": call.id, "content": "5"} for call in answer.message.tool_calls
        ]
        said: Any = answer.message.model_dump(exclude_none=True)
        await client.chat(model=MODEL, messages=[*MESSAGES, said, *results])

    assert "TOOL_CALL" == answer.finish_reason
    assert CALLED == [(call.id, call.function.arguments) for call in answer.message.tool_calls]
    heard: dict[int, list[str]] = {}
    for event in events:
        if event.type == "tool-call-start":
            heard[event.index] = [event.delta.message.tool_calls.id, ""]
        elif event.type == "tool-call-delta":
            heard[event.index][1] += event.delta.message.tool_calls.function.arguments
    assert CALLED == [tuple(call) for call in heard.values()]


@in_real_time
async def test_the_sdk_embeds() -> None:
    """The official client gets a vector for each text, of the size it asked for."""
    async with sdk(Behaviour()) as client:
        answer: Any = await client.embed(
            model="embed-v4.0", texts=["a", "b"], input_type="search_query", output_dimension=4
        )

    assert [4, 4] == [len(vector) for vector in answer.embeddings.float_]


@pytest.mark.parametrize(
    ("status", "theirs"),
    [
        (400, cohere.BadRequestError),
        (401, cohere.UnauthorizedError),
        (403, cohere.ForbiddenError),
        (404, cohere.NotFoundError),
        (422, cohere.UnprocessableEntityError),
        (429, cohere.TooManyRequestsError),
        (498, cohere.InvalidTokenError),
        (500, cohere.InternalServerError),
        (503, cohere.ServiceUnavailableError),
        (504, cohere.GatewayTimeoutError),
        (402, ApiError),
    ],
)
@in_real_time
async def test_the_sdk_raises(status: int, theirs: type[ApiError]) -> None:
    """The official client raises its own class for each status, with our message."""
    options: Any = {"max_retries": 0}
    async with sdk(Behaviour(fault=Status(status))) as client:
        with pytest.raises(theirs) as raised:
            await client.chat(model=MODEL, messages=MESSAGES, request_options=options)

    assert theirs is type(raised.value)
    assert (status, str) == (raised.value.status_code, type(raised.value.body["message"]))


@in_real_time
async def test_the_sdk_is_refused() -> None:
    """What Cohere would refuse of its own client, the simulator refuses as well."""
    async with sdk(Behaviour()) as client:
        with pytest.raises(cohere.BadRequestError, match="between 0 and 1"):
            await client.chat(model=MODEL, messages=MESSAGES, temperature=2)


@in_real_time
async def test_our_chain() -> None:
    """Our own client side completes, streams, calls tools and embeds over the same wire."""
    async with ours(Behaviour(tokens=3)) as (chain, primary):
        reply = await chain.complete("Hi")
        async with chain.stream("Hi") as stream:
            texts = [delta.text async for delta in stream if delta.text]
        primary.behave(CALLING)
        called = await chain.complete("Hi", tools=TOOLS)
        vectors = (await chain.embed(["a", "b"], dimensions=4)).vectors

    assert ("word0 word1 word2", "stop", MODEL) == (reply.text, reply.finish_reason, reply.model)
    assert ["word0", " word1", " word2"] == texts
    assert CALLED == [(call.id, call.arguments) for call in called.tool_calls]
    assert [4, 4] == [len(vector) for vector in vectors]


@pytest.mark.parametrize(
    ("behaviour", "kind"),
    [
        (Behaviour(fault=Status(503)), Overloaded),
        (Behaviour(fault=InBandError(Overloaded)), ServerFault),
        (Behaviour(fault=Status(498)), ContentFiltered),
    ],
)
@in_real_time
async def test_our_chain_fails(behaviour: Behaviour, kind: type[Exception]) -> None:
    """An outage ends in the error of its class."""
    async with ours(behaviour) as (chain, _):
        with pytest.raises(fallbackio.FallbackError) as raised:
            async with chain.stream("Hi") as stream:
                [delta async for delta in stream]

    assert isinstance(raised.value.attempts[0].error, kind)
