"""Cohere's embeddings, version 2, both ends of the wire.

Cohere wants to know what a text is for; `input_type` says it and is `search_document` where nobody
does, so a chain that embeds queries gives `input_type="search_query"`.  Vectors travel as floats.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from typing import Any

import orjson

from fallbackio.dialects._outgoing import beyond, dumps
from fallbackio.dialects._place import base_of
from fallbackio.dialects._shared import json_object
from fallbackio.dialects._vocabulary import Vocabulary
from fallbackio.dialects.cohere._answer import tokens
from fallbackio.dialects.cohere._errors import in_band
from fallbackio.dialects.cohere._read import Fields, a_list, a_string, an_object, refuse
from fallbackio.endpoint import Endpoint
from fallbackio.errors import BadAnswer
from fallbackio.model import EmbeddingRequest, Embeddings, Usage

__all__ = ["CohereEmbedding"]

_MOST_TEXTS = 96  # of one request, as documented

_VOCABULARY = Vocabulary("Cohere's embed", {"user": (), "encoding_format": ("float", "base64")})

_FIELDS = frozenset(
    {
        *("model", "texts", "images", "inputs", "input_type", "embedding_types", "output_dimension"),
        *("max_tokens", "truncate", "priority"),
    }
)
_INPUT_TYPES = ("search_document", "search_query", "classification", "clustering", "image")


class CohereEmbedding:
    """The codec; holds no state."""

    def url(self, endpoint: Endpoint) -> str:
        """`…/v2/embed`, whether `base_url` ends in `/v2` or not."""
        return base_of(endpoint).within("/v2").url("embed")

    def encode(self, request: EmbeddingRequest, endpoint: Endpoint) -> bytes:
        """The body; raises `InvalidRequest` for more texts than one request may have."""
        if len(request.inputs) > _MOST_TEXTS:
            raise beyond(f"Cohere embeds up to {_MOST_TEXTS} texts at once, not {len(request.inputs)}")
        params = _VOCABULARY.said(request, endpoint)
        body: dict[str, Any] = {
            "model": endpoint.model,
            "texts": request.inputs,
            "input_type": "search_document",
            "embedding_types": ["float"],
        }
        if "dimensions" in params:
            body["output_dimension"] = params.pop("dimensions")
        return dumps(body | params)

    def decode(self, body: bytes) -> Embeddings:
        """The vectors in the order of the inputs; raises the `AttemptError` that garbage stands for."""
        answer = json_object(body)
        if isinstance(answer.get("message"), str):
            raise in_band(answer["message"])
        try:
            vectors = tuple([tuple(array("d", vector)) for vector in answer["embeddings"]["float"]])
        except (KeyError, TypeError, OverflowError) as error:
            raise BadAnswer(f"a JSON object without vectors ({type(error).__name__})") from None
        return Embeddings(vectors=vectors, usage=_usage(answer.get("meta")))

    def read(self, body: bytes, model: str = "") -> EmbeddingRequest:
        """The request on the server side; raises `InvalidRequest`."""
        said = an_object(body, _FIELDS)
        texts = a_list(said.pop("texts", None), "texts")
        if not 0 < len(texts) <= _MOST_TEXTS:
            refuse(f"texts: 1 to {_MOST_TEXTS} are allowed per call")
        if said.get("input_type") not in _INPUT_TYPES:
            refuse("input_type must be one of " + ", ".join(_INPUT_TYPES))
        types = a_list(said.pop("embedding_types", ["float"]), "embedding_types")
        if types != ["float"]:
            refuse("embedding_types: only float is served here")
        if "output_dimension" in said:
            said["dimensions"] = said.pop("output_dimension")
        named = a_string(said.pop("model", None), "model")
        inputs = tuple([a_string(text, "texts") for text in texts])
        return EmbeddingRequest(inputs=inputs, params=said, model=named)

    def write(self, embeddings: Embeddings, request: EmbeddingRequest) -> bytes:
        """The answer on the server side."""
        billed = {"input_tokens": embeddings.usage.prompt_tokens}
        answer: Fields = {
            "id": "embedding",
            "embeddings": {"float": embeddings.vectors},
            "texts": request.inputs,
            "meta": {"api_version": {"version": "2"}, "billed_units": billed},
            "response_type": "embeddings_by_type",
        }
        return orjson.dumps(answer)


def _usage(meta: object) -> Usage:
    found = meta if isinstance(meta, Mapping) else {}
    counts = found.get("tokens") or found.get("billed_units")
    return Usage(prompt_tokens=tokens(counts.get("input_tokens")) if isinstance(counts, dict) else 0)
