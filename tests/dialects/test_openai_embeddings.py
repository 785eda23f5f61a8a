"""Embeddings in OpenAI's format: our codec alone, and OpenAI's own client against our server side."""

from __future__ import annotations

import asyncio
import base64
import random
import struct
import sys
from pathlib import Path
from typing import Any

import openai
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fallbackio.dialects import DIALECTS, EmbeddingCodec
from fallbackio.endpoint import Endpoint
from fallbackio.errors import AttemptError, BadAnswer, InvalidRequest, RateLimited
from fallbackio.model import EmbeddingRequest, Embeddings, Usage
from fallbackio.simulator import Behaviour, Simulator, Status

sys.path.append(str(Path(__file__).parent.parent / "fuzz"))

from fuzz_mutation import mutated

CODEC = DIALECTS["openai"].embedding
assert CODEC is not None
EMBEDDING: EmbeddingCodec = CODEC

HERE = Endpoint("text-embedding-3-small", base_url="https://api.openai.com/v1", vendor="openai")
TWO = EmbeddingRequest(inputs=("Hello", "World"))
VECTORS = Embeddings(
    vectors=((0.5, -1.0), (0.25, 2.0)), model="text-embedding-3-small", usage=Usage(prompt_tokens=4)
)


def packed(*numbers: float) -> str:
    return base64.b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode()


def answer(*data: Any, **more: Any) -> bytes:
    return orjson.dumps({"object": "list", "data": list(data), "model": "m", **more})


def test_floats_are_asked_for() -> None:
    """A request names model and inputs, and asks for plain floats."""
    sent = orjson.loads(EMBEDDING.encode(TWO, HERE))

    assert {
        "model": "text-embedding-3-small",
        "input": ["Hello", "World"],
        "encoding_format": "float",
    } == sent


def test_parameters_pass() -> None:
    """What the user says goes out, the endpoint's own wins, and `None` takes one out."""
    request = EmbeddingRequest(
        inputs=("Hello",), params={"dimensions": 8, "encoding_format": "base64", "user": "u"}
    )
    endpoint = Endpoint("m", base_url="http://test/v1", params={"dimensions": 16, "user": None})
    sent = orjson.loads(EMBEDDING.encode(request, endpoint))

    assert {"model": "m", "input": ["Hello"], "dimensions": 16, "encoding_format": "base64"} == sent


@pytest.mark.parametrize(
    ("base", "url"),
    [
        ("http://test/v1", "http://test/v1/embeddings"),
        ("http://test/v1/?a=b", "http://test/v1/embeddings?a=b"),
    ],
)
def test_url(base: str, url: str) -> None:
    """Embeddings are asked for beside the chat completions."""
    assert url == EMBEDDING.url(Endpoint("m", base_url=base))


@pytest.mark.parametrize("encoding", ["float", "base64"])
def test_round_trip(encoding: str) -> None:
    """What the server side writes is what the client side reads, in either encoding."""
    request = EmbeddingRequest(inputs=TWO.inputs, params={"encoding_format": encoding})
    heard = EMBEDDING.read(EMBEDDING.encode(request, HERE))

    assert (
        EmbeddingRequest(inputs=TWO.inputs, params={"encoding_format": encoding}, model=HERE.model) == heard
    )
    assert VECTORS == EMBEDDING.decode(EMBEDDING.write(VECTORS, heard))


def test_order_is_by_index() -> None:
    """Vectors stand in the order of the inputs, whatever the order of the answer."""
    said = answer({"index": 1, "embedding": [2]}, {"index": 0, "embedding": packed(1.0)})

    assert ((1.0,), (2.0,)) == EMBEDDING.decode(said).vectors


def test_missing_indexes() -> None:
    """Vectors without an index stand where they stand."""
    assert ((1.0,), (2.0,)) == EMBEDDING.decode(answer({"embedding": [1]}, {"embedding": [2]})).vectors


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"<html>", "HTML"),
        (answer(), "without embeddings"),
        (answer({"index": 0, "embedding": [1]}, {"index": 0, "embedding": [1]}), "indexes"),
        (answer({"index": 3, "embedding": [1]}), "indexes"),
        (answer({"index": "0", "embedding": [1]}), "index is no number"),
        (answer({"index": 0, "embedding": [1]}, {"index": 1, "embedding": [1, 2]}), "different lengths"),
        (answer({"index": 0, "embedding": ["1"]}), "no list of numbers"),
        (answer({"index": 0, "embedding": [True]}), "no list of numbers"),
        (answer({"index": 0, "embedding": []}), "no list of numbers"),
        (answer({"index": 0, "embedding": "ab?"}), "no base64"),
        (answer({"index": 0, "embedding": "YWJj"}), "no base64"),
        (answer({"index": 0, "embedding": ""}), "without numbers"),
        (answer(7), "no object"),
    ],
)
def test_bad_answers(body: bytes, said: str) -> None:
    """An answer that lacks a vector, or holds what is none, is a bad answer."""
    with pytest.raises(BadAnswer, match=said):
        EMBEDDING.decode(body)


def test_an_error_inside_a_success() -> None:
    """An error in place of vectors is raised as its class."""
    body = orjson.dumps({"error": {"message": "Slow", "code": "rate_limit_exceeded"}})
    with pytest.raises(RateLimited):
        EMBEDDING.decode(body)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"{", "could not parse"),
        (b'{"input": "Hi"}', "model"),
        (b'{"model": "m"}', "input"),
        (b'{"model": "m", "input": []}', "input"),
        (b'{"model": "m", "input": [[1, 2]]}', "input"),
        (b'{"model": "m", "input": [""]}', "empty string"),
        (b'{"model": "m", "input": "Hi", "dimensions": 0}', "dimensions"),
        (b'{"model": "m", "input": "Hi", "encoding_format": "int8"}', "encoding_format"),
    ],
)
def test_refusals(body: bytes, said: str) -> None:
    """The server side refuses what OpenAI refuses, and tokens in place of texts."""
    with pytest.raises(InvalidRequest, match=said):
        EMBEDDING.read(body)


@given(st.sampled_from(["answer", "request"]), st.randoms(use_true_random=False))
def test_only_our_errors(kind: str, lots: random.Random) -> None:
    """Whatever is done to an answer or a request, only our own errors leave the codec."""
    wire = EMBEDDING.write(VECTORS, TWO) if kind == "answer" else EMBEDDING.encode(TWO, HERE)
    for do in (EMBEDDING.decode, EMBEDDING.read):
        try:
            do(mutated(wire, lots))
        except AttemptError:
            pass


@pytest.mark.parametrize("encoding", [None, "float"], ids=["sdk-default", "float"])
def test_sdk(encoding: Any) -> None:
    """OpenAI's client gets the vectors that ours gets, in the encoding of its choice."""

    async def ask() -> openai.types.CreateEmbeddingResponse:
        async with Simulator() as sim:
            url = sim.add("primary").url("openai")
            async with openai.AsyncOpenAI(base_url=url, api_key="k", max_retries=0) as client:
                return await client.embeddings.create(
                    model="m",
                    input=["Hello", "World"],
                    dimensions=4,
                    encoding_format=encoding or openai.omit,
                )

    theirs = asyncio.run(ask())
    wire = theirs.model_dump_json().encode()

    assert [0, 1] == [item.index for item in theirs.data]
    assert [4, 4] == [len(item.embedding) for item in theirs.data]
    assert [tuple(item.embedding) for item in theirs.data] == list(EMBEDDING.decode(wire).vectors)
    assert theirs.usage.total_tokens > 0


def test_sdk_error() -> None:
    """A fault reaches OpenAI's client as its own class."""

    async def ask() -> None:
        async with Simulator() as sim:
            url = sim.add("primary", Behaviour(fault=Status(429))).url("openai")
            async with openai.AsyncOpenAI(base_url=url, api_key="k", max_retries=0) as client:
                await client.embeddings.create(model="m", input="Hello")

    with pytest.raises(openai.RateLimitError):
        asyncio.run(ask())


def test_azure_has_its_own_addresses() -> None:
    """Azure's embeddings differ in their address only."""
    azure = DIALECTS["azure"].embedding
    assert azure is not None
    dated = Endpoint("te 3", base_url="https://r.openai.azure.com?api-version=2024-10-21")

    assert (
        "https://r.openai.azure.com/openai/deployments/te%203/embeddings?api-version=2024-10-21"
        == azure.url(dated)
    )
    assert azure.encode(TWO, HERE) == EMBEDDING.encode(TWO, HERE)
