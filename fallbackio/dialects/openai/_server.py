"""OpenAI's chat completions as a server speaks them: what the simulator answers with.

Answers, streams and errors have the form that the official SDK parses and raises its own classes for.
The odd rule: an error's `status` and `code` win over those of its class, so that an outage with any
status can be played.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import orjson
from attrs import frozen

from fallbackio.dialects._sse import EVENT_STREAM, encode
from fallbackio.dialects.openai import _request
from fallbackio.errors import (
    AttemptError,
    AuthFailed,
    BadAnswer,
    ConnectionFailed,
    ContentFiltered,
    ContextTooLong,
    InvalidRequest,
    ModelNotFound,
    Overloaded,
    QuotaExhausted,
    RateLimited,
    Refused,
    TimedOut,
)
from fallbackio.model import Delta, Reply, Request

__all__ = ["OpenAIServer", "OpenAIWriter"]


@frozen
class _Form:
    """How a class of errors looks on the wire."""

    status: int
    type: str
    code: str | None = None


_BAD_REQUEST = _Form(400, "invalid_request_error")
_FAULT = _Form(500, "server_error")

_FORMS: dict[type[AttemptError], _Form] = {
    RateLimited: _Form(429, "requests", "rate_limit_exceeded"),
    QuotaExhausted: _Form(429, "insufficient_quota", "insufficient_quota"),
    Overloaded: _Form(503, "service_unavailable_error", "server_is_overloaded"),
    AuthFailed: _Form(401, "invalid_request_error", "invalid_api_key"),
    ModelNotFound: _Form(404, "invalid_request_error", "model_not_found"),
    InvalidRequest: _BAD_REQUEST,
    ContextTooLong: _Form(400, "invalid_request_error", "context_length_exceeded"),
    ContentFiltered: _Form(400, "invalid_request_error", "content_policy_violation"),
    BadAnswer: _Form(502, "server_error"),
    ConnectionFailed: _Form(502, "server_error"),
    TimedOut: _Form(504, "server_error"),
    Refused: _Form(503, "service_unavailable_error", "server_is_overloaded"),
}


class OpenAIServer:
    """The server side of the dialect; has no state."""

    stream_type = EVENT_STREAM

    def read(self, body: bytes, model: str = "", stream: bool = False) -> Request:
        """The request that `body` asks; raises `InvalidRequest`."""
        return _request.read(body, model)

    def write(self, reply: Reply, request: Request) -> bytes:
        """A plain answer."""
        wire = reply.to_dict()
        wire["model"] = reply.model or request.model
        for choice in wire["choices"]:
            choice.setdefault("logprobs", None)
            choice["message"].setdefault("refusal", None)
        return orjson.dumps(wire)

    def writer(self, reply: Reply, request: Request) -> OpenAIWriter:
        """A writer for one streamed answer; `reply` gives id, model and the number of choices."""
        return OpenAIWriter(reply, request)

    def failure(self, error: AttemptError) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of an error answer."""
        headers = {"content-type": "application/json"}
        if error.request_id is not None:
            headers["x-request-id"] = error.request_id
        if error.should_retry is not None:
            headers["x-should-retry"] = "true" if error.should_retry else "false"
        if error.retry_after_s is not None:
            headers["retry-after"] = str(math.ceil(error.retry_after_s))
            headers["retry-after-ms"] = f"{error.retry_after_s * 1000:.0f}"
        status = error.status if error.status is not None else _form(error).status
        return status, headers, orjson.dumps(_said(error))


class OpenAIWriter:
    """One streamed answer; usage comes in it if the request asked for it."""

    def __init__(self, reply: Reply, request: Request) -> None:
        options = request.params.get("stream_options") or {}
        self._with_usage = options.get("include_usage") is True
        self._choices = [choice.index for choice in reply.choices] or [0]
        self._chunk: dict[str, Any] = {
            "id": reply.id,
            "object": "chat.completion.chunk",
            "created": reply.created,
            "model": reply.model or request.model,
        }
        if self._with_usage:
            self._chunk["usage"] = None

    def start(self) -> bytes:
        """The role of every choice; no content yet."""
        opening = {"role": "assistant", "content": "", "refusal": None}
        return b"".join([self._event(index, opening) for index in self._choices])

    def write(self, delta: Delta) -> bytes:
        """A piece of text, reasoning, refusal or tool calls; nothing for a delta without any."""
        choices = delta.to_dict()["choices"]
        said = choices[0]["delta"] if choices else None
        return (
            self._event(delta.index, said or {}, logprobs=delta.logprobs) if said or delta.logprobs else b""
        )

    def ping(self) -> bytes:
        """A comment, as proxies send them to keep a connection."""
        return b": ping\n\n"

    def error(self, error: AttemptError) -> bytes:
        """An error in-band."""
        return encode(orjson.dumps(_said(error)))

    def malformed(self) -> bytes:
        """An event whose JSON is cut off."""
        return encode(orjson.dumps(self._chunk)[:-1] + b',"choices":[{"index":0,"del')

    def finish(self, reply: Reply) -> bytes:
        """The finish reason of every choice, usage if asked for, and `[DONE]`."""
        ends = [self._event(choice.index, {}, choice.finish_reason) for choice in reply.choices]
        if self._with_usage:
            ends.append(encode(orjson.dumps({**self._chunk, "choices": [], "usage": reply.usage.to_dict()})))
        return b"".join([*ends, encode(b"[DONE]")])

    def _event(
        self,
        index: int,
        delta: dict[str, Any],
        finish_reason: str | None = None,
        logprobs: Mapping[str, Any] | None = None,
    ) -> bytes:
        choice = {**self._choice(index, delta, finish_reason), "logprobs": logprobs}
        return encode(orjson.dumps({**self._chunk, "choices": [choice]}))

    def _choice(self, index: int, delta: dict[str, Any], finish_reason: str | None) -> dict[str, Any]:
        return {"index": index, "delta": delta, "finish_reason": finish_reason}


def _form(error: AttemptError) -> _Form:
    known = next((_FORMS[kind] for kind in type(error).__mro__ if kind in _FORMS), _FAULT)
    if isinstance(error, InvalidRequest) and not error.everywhere:
        return _Form(known.status, known.type, "unsupported_parameter")
    return known


def _said(error: AttemptError) -> dict[str, Any]:
    form = _form(error)
    message = error.message or type(error).summary
    return {"error": {"message": message, "type": form.type, "param": None, "code": error.code or form.code}}
