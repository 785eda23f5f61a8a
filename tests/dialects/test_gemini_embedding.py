"""Embeddings of Gemini, both ends of the wire."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from fallbackio.dialects import DIALECTS
from fallbackio.dialects.gemini._embedding import GeminiEmbedding
from fallbackio.endpoint import Endpoint
from fallbackio.errors import AttemptError, BadAnswer, InvalidRequest, Overloaded
from fallbackio.model import EmbeddingRequest, Embeddings, Usage

CODEC = GeminiEmbedding()

STUDIO = Endpoint("gemini-embedding-001", base_url="https://generativelanguage.googleapis.com/v1beta")
VERTEX = Endpoint(
    "text-embedding-005", base_url="https://us-central1-aiplatform.googleapis.com/v1/projects/p/locations/l"
)
FORMS = pytest.mark.parametrize("endpoint", [STUDIO, VERTEX], ids=["studio", "vertex"])


def test_urls() -> None:
    """AI Studio embeds in batches, Vertex predicts; the dialect says that it can."""
    assert isinstance(DIALECTS["gemini"].embedding, GeminiEmbedding)
    assert CODEC.url(STUDIO).endswith("/v1beta/models/gemini-embedding-001:batchEmbedContents")
    assert CODEC.url(VERTEX).endswith("/locations/l/publishers/google/models/text-embedding-005:predict")


@FORMS
def test_round_trip(endpoint: Endpoint) -> None:
    """Texts and size arrive, vectors and usage come back, in their order."""
    params = {"dimensions": 2, "task_type": "RETRIEVAL_QUERY", "encoding_format": "float"}
    asked = CODEC.read(CODEC.encode(EmbeddingRequest.of(["a", "b"], params), endpoint), endpoint.model)
    vectors = Embeddings(vectors=((0.5, 1.0), (0.25, 0.0)), usage=Usage(prompt_tokens=5))
    found = CODEC.decode(CODEC.write(vectors, asked))

    assert ("a", "b") == asked.inputs
    assert {"dimensions": 2, "task_type": "RETRIEVAL_QUERY"} == asked.params
    assert endpoint.model == asked.model
    assert (vectors.vectors, vectors.usage) == (found.vectors, found.usage)


def test_one_text() -> None:
    """`embedContent` is answered in its own form."""
    body = orjson.dumps({"content": {"parts": [{"text": "a"}]}, "embedContentConfig": {"taskType": "T"}})
    asked = CODEC.read(body, "m")
    answer = CODEC.write(Embeddings(vectors=((1.0,),)), asked)

    assert (("a",), {"task_type": "T"}) == (asked.inputs, asked.params)
    assert ((1.0,),) == CODEC.decode(answer).vectors
    assert "embedding" in orjson.loads(answer)


@FORMS
@pytest.mark.parametrize("params", [{"encoding_format": "base64"}, {"user": "u"}], ids=str)
def test_unsayable(endpoint: Endpoint, params: dict[str, Any]) -> None:
    """A parameter that would be lost is refused for this endpoint."""
    with pytest.raises(InvalidRequest) as raised:
        CODEC.encode(EmbeddingRequest.of("a", params), endpoint)
    assert not raised.value.everywhere


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        b"{}",
        b'{"requests": []}',
        b'{"requests": [{"content": {"parts": [{"text": "a"}]}, "model": "models/other"}]}',
        b'{"requests": [{"content": {"parts": [{"text": "a"}]}, "dimensions": 3}]}',
        b'{"requests": [{"content": {"parts": [{"text": ""}]}}]}',
        b'{"instances": []}',
        b'{"instances": [{"text": "a"}]}',
        b'{"instances": [{"content": "a"}], "parameters": {"outputDimensionality": 0}}',
    ],
)
def test_refused(body: bytes) -> None:
    """A request that Google would not take is a 400."""
    with pytest.raises(InvalidRequest):
        CODEC.read(body, "m")


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"<html>", BadAnswer),
        (b"{}", BadAnswer),
        (b'{"embeddings": [{"values": ["a"]}]}', BadAnswer),
        (b'{"predictions": [3]}', BadAnswer),
        (b'{"error": {"code": 503}}', Overloaded),
    ],
)
def test_no_vectors(body: bytes, kind: type[AttemptError]) -> None:
    """What holds no vectors raises its class."""
    with pytest.raises(kind):
        CODEC.decode(body)
