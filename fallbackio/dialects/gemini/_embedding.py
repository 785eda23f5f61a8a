"""Embeddings of Gemini: `batchEmbedContents` at AI Studio, `predict` at Vertex AI, both ends of the wire.

OpenAI's `dimensions` is Google's `outputDimensionality`; `task_type` and `title` go with each text as
Google documents them.  The server's side answers in the form in which it was asked, `embedContent`
included.  Some Vertex models take one text per request; that is Google's to refuse.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import orjson
from attrs import frozen

from fallbackio.dialects._outgoing import dumps
from fallbackio.dialects._shared import count, json_object
from fallbackio.dialects._vocabulary import Vocabulary
from fallbackio.dialects.gemini._errors import in_band
from fallbackio.dialects.gemini._fields import fields
from fallbackio.dialects.gemini._models import address, bare, is_vertex
from fallbackio.dialects.gemini._request import API
from fallbackio.dialects.gemini._values import closed, items, refuse, string
from fallbackio.endpoint import Endpoint
from fallbackio.errors import BadAnswer
from fallbackio.model import EmbeddingRequest, Embeddings, Usage

__all__ = ["GeminiEmbedding"]

_Form = Literal["batch", "one", "predict"]

# Parameters that mean nothing here and do no harm, by the values that they may have.
_VOCABULARY = Vocabulary(API, {"encoding_format": ("float",), "user": ()})

_OWN = fields("taskType title")
_BATCH = fields("requests")
_ONE = fields("model content taskType title outputDimensionality embedContentConfig")
_CONFIG = fields("taskType title outputDimensionality autoTruncate")
_CONTENT = fields("role parts")
_TEXT = fields("text")
_PREDICT = fields("instances parameters")
_INSTANCE = fields("content taskType title mimeType")
_PARAMETERS = fields("outputDimensionality autoTruncate")


@frozen(kw_only=True)
class _Asked(EmbeddingRequest):
    """A request on the server's side, and the form in which it came."""

    form: _Form = "batch"


class GeminiEmbedding:
    """Both sides; holds no state."""

    def url(self, endpoint: Endpoint) -> str:
        """`…:batchEmbedContents`, or `…:predict` at Vertex."""
        return address(endpoint, "predict" if is_vertex(endpoint) else "batchEmbedContents")

    def encode(self, request: EmbeddingRequest, endpoint: Endpoint) -> bytes:
        """The body; raises `InvalidRequest` for what cannot be expressed."""
        params = _VOCABULARY.said(request, endpoint)
        size = params.pop("dimensions", None)
        sized = {} if size is None else {"outputDimensionality": size}
        body = _predict if is_vertex(endpoint) else _batch
        return dumps(body(request.inputs, bare(endpoint.model), params, sized))

    def decode(self, body: bytes) -> Embeddings:
        """The vectors in the order of the inputs; raises the `AttemptError` that garbage stands for."""
        answer = json_object(body)
        if "error" in answer:
            raise in_band(answer)
        try:
            return _embeddings(answer)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise BadAnswer(f"a JSON object that holds no vectors ({type(error).__name__})") from None

    def read(self, body: bytes, model: str = "") -> EmbeddingRequest:
        """The request on the server side; raises `InvalidRequest`."""
        try:
            said = orjson.loads(body)
        except orjson.JSONDecodeError:
            refuse("Invalid JSON payload received.")
        if isinstance(said, dict) and "instances" in said:
            return _read_predict(said, model)
        if isinstance(said, dict) and "requests" in said:
            asked = [_read_one(one, model) for one in items(closed(said, _BATCH)["requests"], "requests")]
        else:
            return _read_one(said, model)
        if not asked:
            refuse("requests must not be empty")
        return _Asked(
            inputs=tuple([text for one in asked for text in one.inputs]), params=asked[0].params, model=model
        )

    def write(self, embeddings: Embeddings, request: EmbeddingRequest) -> bytes:
        """The answer on the server side."""
        form = request.form if isinstance(request, _Asked) else "batch"
        vectors: list[dict[str, Any]] = [{"values": vector} for vector in embeddings.vectors]
        tokens = embeddings.usage.prompt_tokens
        if form == "predict":
            # Vertex counts per text, and ours is known for all of them.
            shares = [tokens - (len(vectors) - 1) * (tokens // len(vectors))] if vectors else []
            shares += [tokens // len(vectors)] * (len(vectors) - 1) if vectors else []
            said = [
                {"embeddings": {**vector, "statistics": {"token_count": share, "truncated": False}}}
                for vector, share in zip(vectors, shares, strict=True)
            ]
            return orjson.dumps({"predictions": said})
        usage = {"usageMetadata": {"promptTokenCount": tokens}}
        if form == "one":
            return orjson.dumps({"embedding": vectors[0], **usage})
        return orjson.dumps({"embeddings": vectors, **usage})


def _batch(
    inputs: tuple[str, ...], model: str, params: Mapping[str, Any], sized: Mapping[str, Any]
) -> dict[str, Any]:
    own = {_OWN.get(name, name): value for name, value in params.items()}
    shared = {"model": f"models/{model}", **sized, **own}
    return {"requests": [{**shared, "content": {"parts": [{"text": text}]}} for text in inputs]}


def _predict(
    inputs: tuple[str, ...], model: str, params: Mapping[str, Any], sized: Mapping[str, Any]
) -> dict[str, Any]:
    """Vertex spells an instance's fields with underscores and its parameters without."""
    own = {
        spelt: params[name]
        for name, spelt in (("task_type", "task_type"), ("taskType", "task_type"), ("title", "title"))
        if name in params
    }
    rest = {name: value for name, value in params.items() if name not in _OWN}
    body: dict[str, Any] = {"instances": [{"content": text, **own} for text in inputs]}
    if sized or rest:
        body["parameters"] = {**sized, **rest}
    return body


def _embeddings(answer: Mapping[str, Any]) -> Embeddings:
    if "predictions" in answer:
        found = [prediction["embeddings"] for prediction in answer["predictions"]]
        tokens = sum([count((one.get("statistics") or {}).get("token_count")) for one in found])
    else:
        found = [answer["embedding"]] if "embedding" in answer else answer["embeddings"]
        tokens = count((answer.get("usageMetadata") or {}).get("promptTokenCount"))
    return Embeddings(
        vectors=tuple([tuple([float(value) for value in one["values"]]) for one in found]),
        usage=Usage(prompt_tokens=tokens),
    )


def _read_one(value: object, model: str) -> _Asked:
    said = closed(value, _ONE, "requests")
    if said.get("model", f"models/{model}") != f"models/{model}":
        refuse("requests.model must be the model of the path")
    content = closed(said.get("content"), _CONTENT, "content")
    texts = [
        string(closed(part, _TEXT, "content.parts").get("text"), "content.parts.text")
        for part in items(content.get("parts"), "content.parts")
    ]
    if not texts:
        refuse("content.parts must not be empty")
    params = {**said, **closed(said.get("embedContentConfig", {}), _CONFIG, "embedContentConfig")}
    return _Asked(inputs=("".join(texts),), params=_params(params), model=model, form="one")


def _read_predict(value: object, model: str) -> _Asked:
    said = closed(value, _PREDICT)
    instances = [closed(one, _INSTANCE, "instances") for one in items(said["instances"], "instances")]
    if not instances:
        refuse("instances must not be empty")
    params = {**instances[0], **closed(said.get("parameters", {}), _PARAMETERS, "parameters")}
    inputs = tuple([string(one.get("content"), "instances.content") for one in instances])
    return _Asked(inputs=inputs, params=_params(params), model=model, form="predict")


def _params(said: Mapping[str, Any]) -> dict[str, Any]:
    """OpenAI's name for the size, Google's own for the rest."""
    names = {"outputDimensionality": "dimensions", "taskType": "task_type", "title": "title"}
    size = said.get("outputDimensionality", 1)
    if type(size) is not int or size < 1:
        refuse("outputDimensionality must be a positive integer")
    return {names[name]: value for name, value in said.items() if name in names}
