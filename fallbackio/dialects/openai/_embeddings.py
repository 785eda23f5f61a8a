"""OpenAI's embeddings, both ends of the wire.

Vectors come out in the order of the inputs, whatever the order of the answer.  The odd rule: base64 is
asked for only if the user says so, but read wherever it comes, because some servers send nothing else.
"""

from __future__ import annotations

import base64
import binascii
import struct
from typing import Any

import orjson

from fallbackio.dialects._place import base_of
from fallbackio.dialects._shared import count, json_object
from fallbackio.dialects.openai._client import dumps
from fallbackio.dialects.openai._errors import in_band
from fallbackio.dialects.openai._rules import (
    TEXT,
    TOKENS,
    Rule,
    check_rules,
    invalid,
    json_body,
    required,
    wrong,
)
from fallbackio.dialects.openai._values import string
from fallbackio.endpoint import Endpoint
from fallbackio.errors import BadAnswer
from fallbackio.model import EmbeddingRequest, Embeddings, Usage

__all__ = ["OpenAIEmbeddings"]

_FORMATS = ("float", "base64")

# OpenAI's limit for one request.
_MOST_INPUTS = 2048

_RULES = {
    "dimensions": TOKENS,
    "encoding_format": Rule("'float' or 'base64'", _FORMATS.__contains__),
    "user": TEXT,
}


class OpenAIEmbeddings:
    """The codec; has no state."""

    def url(self, endpoint: Endpoint) -> str:
        """Beside the chat completions; a query in `base_url` is kept."""
        return base_of(endpoint).url("embeddings")

    def encode(self, request: EmbeddingRequest, endpoint: Endpoint) -> bytes:
        """The body; the endpoint's own parameters win, and `None` takes one out."""
        params = {"encoding_format": "float", **request.params, **endpoint.params}
        said = {name: value for name, value in params.items() if value is not None}
        return dumps({"model": endpoint.model, "input": list(request.inputs), **said})

    def decode(self, body: bytes) -> Embeddings:
        """The vectors; raises `BadAnswer` for any that is missing, doubled or of another length."""
        answer = json_object(body)
        if answer.get("error") or answer.get("object") == "error":
            raise in_band(answer)
        data = answer.get("data")
        if type(data) is not list or not data:
            raise BadAnswer("an answer without embeddings")
        vectors = dict([_placed(position, item) for position, item in enumerate(data)])
        if vectors.keys() != set(range(len(data))):
            raise BadAnswer("embeddings whose indexes are not those of the inputs")
        if len({len(vector) for vector in vectors.values()}) != 1:
            raise BadAnswer("embeddings of different lengths")
        usage = answer.get("usage")
        tokens = count(usage.get("prompt_tokens")) if type(usage) is dict else 0
        return Embeddings(
            vectors=tuple([vectors[index] for index in range(len(data))]),
            model=string(answer.get("model")),
            usage=Usage(prompt_tokens=tokens),
        )

    def read(self, body: bytes, model: str = "") -> EmbeddingRequest:
        """The request on the server side; tokens in place of texts are refused, which OpenAI takes."""
        params = json_body(body)
        named = params.pop("model", None) if model else required(params, "model")
        inputs = required(params, "input")
        texts = [inputs] if type(inputs) is str else inputs
        if type(texts) is not list or not 0 < len(texts) <= _MOST_INPUTS:
            raise wrong("input", f"a string or an array of 1 to {_MOST_INPUTS} strings", inputs)
        for position, text in enumerate(texts):
            if type(text) is not str:
                raise wrong(f"input[{position}]", "a string", text)
            if not text:
                raise invalid(f"Invalid 'input[{position}]': empty string.")
        model = model or named
        if type(model) is not str or not model:
            raise wrong("model", "a non-empty string", model)
        check_rules(params, _RULES)
        return EmbeddingRequest(inputs=tuple(texts), params=params, model=model)

    def write(self, embeddings: Embeddings, request: EmbeddingRequest) -> bytes:
        """The answer on the server side, in the format that was asked for."""
        form = _packed if request.params.get("encoding_format") == "base64" else list
        tokens = embeddings.usage.prompt_tokens
        return orjson.dumps(
            {
                "object": "list",
                "data": [
                    {"object": "embedding", "index": index, "embedding": form(vector)}
                    for index, vector in enumerate(embeddings.vectors)
                ],
                "model": embeddings.model or request.model,
                "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
            }
        )


def _placed(position: int, item: Any) -> tuple[int, tuple[float, ...]]:
    """Index and vector; an item without an index stands where it stands."""
    if type(item) is not dict:
        raise BadAnswer("an embedding that is no object")
    index = item.get("index", position)
    if type(index) is not int:
        raise BadAnswer("an embedding whose index is no number")
    return index, _vector(item.get("embedding"))


def _vector(said: Any) -> tuple[float, ...]:
    if type(said) is str:
        return _unpacked(said)
    if type(said) is not list or not said or not {type(number) for number in said} <= {float, int}:
        raise BadAnswer("an embedding that is no list of numbers")
    return tuple(map(float, said))


def _unpacked(text: str) -> tuple[float, ...]:
    """Base64 of 32-bit floats, the lowest byte first."""
    try:
        packed = base64.b64decode(text, validate=True)
        numbers = struct.unpack(f"<{len(packed) // 4}f", packed)
    except (binascii.Error, ValueError, struct.error):
        raise BadAnswer("an embedding that is no base64 of floats") from None
    if not numbers:
        raise BadAnswer("an embedding without numbers")
    return numbers


def _packed(vector: tuple[float, ...]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
