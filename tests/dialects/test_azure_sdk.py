"""OpenAI's own Azure client against the simulator, on both families of paths, and ours beside it.

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

from fallbackio import Chain
from fallbackio.endpoint import Endpoint
from fallbackio.simulator import Behaviour, InBandError, Simulator, Status

T = TypeVar("T")
Ask = Callable[[openai.AsyncOpenAI], Awaitable[T]]

HELLO: Any = [{"role": "user", "content": "How is the weather?"}]
TOOL: Any = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}
VERSION = "2024-10-21"
PATHS = ["deployments", "v1"]


@asynccontextmanager
async def at(behaviour: Behaviour, path: str) -> AsyncIterator[openai.AsyncOpenAI]:
    """The official client, asking an endpoint that behaves so."""
    async with Simulator() as sim:
        root = sim.add("primary", behaviour).url("azure").removesuffix("/openai/v1")
        client: openai.AsyncOpenAI
        if path == "deployments":
            client = openai.AsyncAzureOpenAI(
                azure_endpoint=root, api_version=VERSION, api_key="k", max_retries=0
            )
        else:
            client = openai.AsyncOpenAI(base_url=f"{root}/openai/v1", api_key="k", max_retries=0)
        async with client:
            yield client


def asked(behaviour: Behaviour, path: str, ask: Ask[T]) -> T:
    async def run() -> T:
        async with at(behaviour, path) as client:
            return await ask(client)

    return asyncio.run(run())


@pytest.mark.parametrize("path", PATHS)
def test_complete(path: str) -> None:
    """A plain answer is a whole ChatCompletion of the deployment that was named."""
    answer = asked(
        Behaviour(tokens=3), path, lambda c: c.chat.completions.create(model="our 4o", messages=HELLO)
    )

    assert "word0 word1 word2" == answer.choices[0].message.content
    assert ("stop", "our 4o") == (answer.choices[0].finish_reason, answer.model)
    assert answer.usage is not None
    assert 3 == answer.usage.completion_tokens


@pytest.mark.parametrize("path", PATHS)
def test_stream(path: str) -> None:
    """A stream's first event has no choices; the others are the answer."""

    async def ask(client: openai.AsyncOpenAI) -> list[Any]:
        stream = await client.chat.completions.create(
            model="ours", messages=HELLO, stream=True, stream_options={"include_usage": True}
        )
        return [chunk async for chunk in stream]

    chunks = asked(Behaviour(tokens=3), path, ask)
    said = [chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices]

    assert [] == chunks[0].choices
    assert "prompt_filter_results" in (chunks[0].model_extra or {})
    assert "word0 word1 word2" == "".join(said)
    assert chunks[-1].usage is not None
    assert 3 == chunks[-1].usage.completion_tokens


@pytest.mark.parametrize("path", PATHS)
def test_tools(path: str) -> None:
    """A required tool is called with arguments of its schema."""
    answer = asked(
        Behaviour(),
        path,
        lambda c: c.chat.completions.create(
            model="ours", messages=HELLO, tools=[TOOL], tool_choice="required"
        ),
    )
    call = (answer.choices[0].message.tool_calls or [])[0]

    assert "function" == call.type
    assert ("weather", {"city": "word0"}) == (call.function.name, orjson.loads(call.function.arguments))


@pytest.mark.parametrize("path", PATHS)
def test_streamed_tools(path: str) -> None:
    """The SDK's own accumulator puts a call together, the prompt's verdict notwithstanding."""

    async def ask(client: openai.AsyncOpenAI) -> Any:
        async with client.chat.completions.stream(
            model="ours", messages=HELLO, tools=[TOOL], tool_choice="required"
        ) as stream:
            return await stream.get_final_completion()

    final = asked(Behaviour(), path, ask)
    call = final.choices[0].message.tool_calls[0]

    assert ("weather", {"city": "word0"}) == (call.function.name, orjson.loads(call.function.arguments))
    assert "tool_calls" == final.choices[0].finish_reason


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    ("status", "theirs"),
    [
        (400, openai.BadRequestError),
        (401, openai.AuthenticationError),
        (403, openai.PermissionDeniedError),
        (404, openai.NotFoundError),
        (429, openai.RateLimitError),
        (500, openai.InternalServerError),
    ],
)
def test_errors(path: str, status: int, theirs: type[openai.APIStatusError]) -> None:
    """The official client raises its own class for each of our statuses."""
    with pytest.raises(theirs) as raised:
        asked(
            Behaviour(fault=Status(status)),
            path,
            lambda c: c.chat.completions.create(model="ours", messages=HELLO),
        )

    assert raised.value.request_id


def test_an_error_in_a_stream() -> None:
    """The official client takes our in-band error for one."""

    async def ask(client: openai.AsyncOpenAI) -> None:
        async for _ in await client.chat.completions.create(model="ours", messages=HELLO, stream=True):
            pass

    with pytest.raises(openai.APIError):
        asked(Behaviour(fault=InBandError()), "v1", ask)


@pytest.mark.parametrize("path", PATHS)
def test_embeddings(path: str) -> None:
    """Embeddings come on both families of paths."""
    answer = asked(
        Behaviour(), path, lambda c: c.embeddings.create(model="ours", input=["Hello"], dimensions=4)
    )

    assert 4 == len(answer.data[0].embedding)


@pytest.mark.parametrize("path", PATHS)
def test_our_client(path: str) -> None:
    """A chain asks the same simulator, plain and streamed, with a key and with a token."""

    async def run() -> None:
        async with Simulator() as sim:
            base = sim.add("primary", Behaviour(tokens=3)).url("azure")
            if path == "deployments":
                base = base.removesuffix("/openai/v1") + f"?api-version={VERSION}"
            ours = Endpoint("our 4o", dialect="azure", base_url=base, name="key", api_key="k")
            entra = Endpoint("our 4o", dialect="azure", base_url=base, name="token", token=lambda: "t")
            async with Chain([ours]) as chain, Chain([entra]) as other:
                whole = await chain.complete("Hello")
                async with other.stream("Hello") as stream:
                    pieces = [delta.text async for delta in stream]
        assert "word0 word1 word2" == whole.text == "".join(pieces)
        assert "our 4o" == whole.model == stream.reply.model

    asyncio.run(run())
