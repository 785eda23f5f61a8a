"""Ollama's embeddings, both ends of the wire.

A text that is too long for the model is cut by Ollama itself, unless `truncate=False` forbids it.
"""

from __future__ import annotations

from array import array
from typing import Any

import orjson

from fallbackio.dialects._outgoing import dumps
from fallbackio.dialects._shared import count, json_object
from fallbackio.dialects._vocabulary import Vocabulary
from fallbackio.dialects.ollama._errors import in_band
from fallbackio.dialects.ollama._read import a_string, an_object, refuse
from fallbackio.dialects.ollama._url import url_of
from fallbackio.endpoint import Endpoint
from fallbackio.errors import BadAnswer
from fallbackio.model import EmbeddingRequest, Embeddings, Usage

__all__ = ["OllamaEmbedding"]

_VOCABULARY = Vocabulary("Ollama's embed", {"user": (), "encoding_format": ("float", "base64")})


class OllamaEmbedding:
    """The codec; holds no state."""

    def url(self, endpoint: Endpoint) -> str:
        """`…/api/embed`."""
        return url_of(endpoint, "embed")

    def encode(self, request: EmbeddingRequest, endpoint: Endpoint) -> bytes:
        """The body; raises `InvalidRequest` for what cannot be expressed."""
        said = _VOCABULARY.said(request, endpoint)
        return dumps({**said, "model": endpoint.model, "input": request.inputs})

    def decode(self, body: bytes) -> Embeddings:
        """The vectors in the order of the inputs; raises the `AttemptError` that garbage stands for."""
        answer = json_object(body)
        if answer.get("error"):
            raise in_band(answer["error"])
        try:
            vectors = tuple([tuple(array("d", vector)) for vector in answer["embeddings"]])
        except (KeyError, TypeError, OverflowError) as error:
            raise BadAnswer(f"a JSON object without vectors ({type(error).__name__})") from None
        model = answer.get("model")
        usage = Usage(prompt_tokens=count(answer.get("prompt_eval_count")))
        return Embeddings(vectors=vectors, model=model if isinstance(model, str) else "", usage=usage)

    def read(self, body: bytes, model: str = "") -> EmbeddingRequest:
        """The request on the server side; raises `InvalidRequest`."""
        said = an_object(body)
        given: Any = said.pop("input", None)
        texts = [given] if isinstance(given, str) else given
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            refuse("invalid input type")
        if not texts:
            refuse("input is required")
        named = a_string(said.pop("model", None), "model")
        return EmbeddingRequest(inputs=tuple(texts), params=said, model=named)

    def write(self, embeddings: Embeddings, request: EmbeddingRequest) -> bytes:
        """The answer on the server side."""
        return orjson.dumps(
            {
                "model": embeddings.model or request.model,
                "embeddings": embeddings.vectors,
                "total_duration": 0,
                "load_duration": 0,
                "prompt_eval_count": embeddings.usage.prompt_tokens,
            }
        )
