"""Ollama's own SDK and our chain, pointed at the simulator over real loopback."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, ParamSpec

import ollama
import pytest

import fallbackio
from fallbackio.errors import BadAnswer, ContextTooLong, ModelNotFound, Overloaded
from fallbackio.simulator import Behaviour, Cut, InBandError, SimulatedEndpoint, Simulator, Status

P = ParamSpec("P")

MODEL = "qwen3:8b"
MESSAGES: Any = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Weather?"}]
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOLS: Any = [{"type": "function", "function": {"name": "weather", "description": "d", "parameters": SCHEMA}}]
CALLING = Behaviour(
    tool_calls=[
        {"id": "call_a", "name": "weather", "arguments": {"city": "Oslo"}},
        {"id": "call_b", "name": "weather", "arguments": {"city": "Rome"}},
    ]
)
CITIES = [{"city": "Oslo"}, {"city": "Rome"}]


def in_real_time(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    @functools.wraps(test)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> None:
        asyncio.run(test(*args, **kwargs))

    return wrapper


@asynccontextmanager
async def sdk(behaviour: Behaviour) -> AsyncIterator[ollama.AsyncClient]:
    """The official client, asking an endpoint that behaves so."""
    async with Simulator() as sim:
        async with ollama.AsyncClient(host=sim.add("primary", behaviour).url("ollama"), timeout=10) as client:
            yield client


@asynccontextmanager
async def ours(behaviour: Behaviour) -> AsyncIterator[tuple[fallbackio.Chain, SimulatedEndpoint]]:
    """A chain of ours, asking an endpoint that behaves so."""
    async with Simulator() as sim:
        primary = sim.add("primary", behaviour)
        endpoint = fallbackio.Endpoint(MODEL, base_url=primary.url("ollama"), dialect="ollama")
        async with fallbackio.Chain([endpoint], max_retries=0) as chain:
            yield chain, primary


@in_real_time
async def test_the_sdk_completes() -> None:
    """The official client reads a plain answer."""
    async with sdk(Behaviour(tokens=3)) as client:
        answer = await client.chat(MODEL, MESSAGES, options={"num_predict": 2}, think=False)

    assert ("word0 word1", "length", True) == (answer.message.content, answer.done_reason, answer.done)
    assert (2, MODEL) == (answer.eval_count, answer.model)


@in_real_time
async def test_the_sdk_streams() -> None:
    """The official client reads a streamed answer line by line, to its end."""
    async with sdk(Behaviour(tokens=3, reasoning_tokens=2)) as client:
        parts = [part async for part in await client.chat(MODEL, MESSAGES, stream=True)]

    assert ["word0", " word1", " word2"] == [part.message.content for part in parts if part.message.content]
    assert 2 == len([part for part in parts if part.message.thinking])
    assert ("stop", 5) == (parts[-1].done_reason, parts[-1].eval_count)
    assert [False] * (len(parts) - 1) + [True] == [part.done for part in parts]


@in_real_time
async def test_the_sdk_calls_tools() -> None:
    """The official client gets parallel calls, plain and streamed, and sends their results back."""
    async with sdk(CALLING) as client:
        answer = await client.chat(MODEL, MESSAGES, tools=TOOLS)
        parts = [part async for part in await client.chat(MODEL, MESSAGES, tools=TOOLS, stream=True)]
        results = [{"role": "tool", "content": "5", "tool_name": "weather"} for _ in CITIES]
        await client.chat(MODEL, [*MESSAGES, answer.message, *results])

    assert CITIES == [call.function.arguments for call in answer.message.tool_calls or []]
    assert CITIES == [call.function.arguments for part in parts for call in part.message.tool_calls or []]


@in_real_time
async def test_the_sdk_gets_json() -> None:
    """The official client's schema is heard."""
    async with sdk(Behaviour()) as client:
        answer = await client.chat(MODEL, MESSAGES, format=SCHEMA)

    assert '{"city":' in (answer.message.content or "")


@in_real_time
async def test_the_sdk_embeds() -> None:
    """The official client gets a vector for each text, of the size it asked for."""
    async with sdk(Behaviour()) as client:
        answer = await client.embed("all-minilm", ["a", "b"], dimensions=4)

    assert [4, 4] == [len(vector) for vector in answer.embeddings]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("status", [400, 401, 404, 429, 500, 503])
@in_real_time
async def test_the_sdk_raises(status: int, stream: bool) -> None:
    """The official client raises its own error with our status and text."""
    ways: Any = {"stream": stream}
    async with sdk(Behaviour(fault=Status(status))) as client:
        with pytest.raises(ollama.ResponseError) as raised:
            answer: Any = await client.chat(MODEL, MESSAGES, **ways)
            [part async for part in answer]

    assert status == raised.value.status_code
    assert not raised.value.error.startswith("{")


@in_real_time
async def test_the_sdk_sees_an_error_in_the_stream() -> None:
    """The official client takes our in-band error for one."""
    async with sdk(Behaviour(fault=InBandError(Overloaded, after_tokens=1))) as client:
        with pytest.raises(ollama.ResponseError, match="server busy"):
            [part async for part in await client.chat(MODEL, MESSAGES, stream=True)]


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
    assert (["call_a", "call_b"], "tool_calls") == (
        [call.id for call in called.tool_calls],
        called.finish_reason,
    )
    assert [4, 4] == [len(vector) for vector in vectors]


@pytest.mark.parametrize(
    ("behaviour", "kind"),
    [
        (Behaviour(fault=Status(503)), Overloaded),
        (Behaviour(fault=Status(404)), ModelNotFound),
        (Behaviour(fault=InBandError(Overloaded)), Overloaded),
        (Behaviour(fault=InBandError(ContextTooLong)), ContextTooLong),
        (Behaviour(fault=Cut(how="end")), BadAnswer),
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
