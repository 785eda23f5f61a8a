"""Ollama's own chat, the server's side: what the simulator says.

A tool call goes out whole, on one line, so its fragments are held back until the next one begins or
the answer ends.  There is no field for a model's own refusal; it goes out as text.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

import orjson

from fallbackio.dialects._ndjson import NDJSON
from fallbackio.dialects._shared import object_in, scored
from fallbackio.dialects.ollama._errors import message_of, status_of
from fallbackio.dialects.ollama._read import request_of
from fallbackio.errors import AttemptError
from fallbackio.model import Delta, FunctionCall, Reply, Request, ToolCall, ToolCallDelta, Usage

__all__ = ["OllamaServer", "OllamaWriter"]

_NOTHING: Mapping[str, Any] = MappingProxyType({})

_FINISHES: Mapping[str, str] = MappingProxyType({"tool_calls": "stop", "function_call": "stop"})


class OllamaServer:
    """The server side; holds no state."""

    stream_type = NDJSON

    def read(self, body: bytes, model: str = "", stream: bool = False) -> Request:
        """The request in OpenAI's terms; raises `InvalidRequest` as Ollama would with a 400."""
        return request_of(body)

    def write(self, reply: Reply, request: Request) -> bytes:
        """A plain answer; one without choices comes out as a message that never ends."""
        said: dict[str, Any] = {}
        for choice in reply.choices[:1]:
            message = choice.message
            said["content"] = (message.content or "") + (message.refusal or "")
            if message.reasoning:
                said["thinking"] = message.reasoning
            if message.tool_calls:
                said["tool_calls"] = [_call(call, at) for at, call in enumerate(message.tool_calls)]
        end = _end(reply) if reply.choices else {"done": False}
        scores = _scores(reply.choices[0].logprobs) if reply.choices else {}
        return orjson.dumps({**_line(reply, request, **said), **scores, **end})

    def writer(self, reply: Reply, request: Request) -> OllamaWriter:
        """A writer for one streamed answer; `reply` gives model and instant."""
        return OllamaWriter(reply, request)

    def failure(self, error: AttemptError) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of an error answer."""
        headers = {"content-type": "application/json; charset=utf-8"}
        if error.request_id:
            headers["x-request-id"] = error.request_id
        if error.retry_after_s is not None:
            headers["retry-after"] = str(math.ceil(error.retry_after_s))
        return status_of(error), headers, orjson.dumps({"error": message_of(error)})


class OllamaWriter:
    """One streamed answer; see `StreamWriter` for the contract."""

    def __init__(self, reply: Reply, request: Request) -> None:
        self._reply = reply
        self._request = request
        self._held: list[ToolCallDelta] = []  # fragments of the call that has begun
        self._calls = 0

    def start(self) -> bytes:
        """A line that shows nothing yet."""
        return self._said()

    def write(self, delta: Delta) -> bytes:
        """A piece of the answer: text, reasoning or refusal; a tool call once it is whole."""
        wire = b""
        if delta.reasoning:
            wire += self._flush() + self._said(thinking=delta.reasoning)
        if text := delta.text + delta.refusal:
            wire += self._flush() + self._said(_scores(delta.logprobs), content=text)
        for fragment in delta.tool_calls:
            if self._held and fragment.index != self._held[0].index:
                wire += self._flush()
            self._held.append(fragment)
        return wire

    def ping(self) -> bytes:
        """A line that says nothing: Ollama's own client fails at a blank one."""
        return self._said()

    def error(self, error: AttemptError) -> bytes:
        """An error in-band."""
        return orjson.dumps({"error": message_of(error)}) + b"\n"

    def malformed(self) -> bytes:
        """A line whose JSON is cut off."""
        return self._said()[:-12] + b"\n"

    def finish(self, reply: Reply) -> bytes:
        """The proper end: a held call, then the line that is done, with its reason and counts."""
        return self._flush() + orjson.dumps({**_line(reply, self._request), **_end(reply)}) + b"\n"

    def _flush(self) -> bytes:
        held, self._held = self._held, []
        if not held:
            return b""
        name = "".join([part.name for part in held])
        arguments = "".join([part.arguments for part in held])
        call = ToolCall(held[0].id, FunctionCall(name, arguments))
        number, self._calls = self._calls, self._calls + 1
        return self._said(tool_calls=[_call(call, number)])

    def _said(self, beside: Mapping[str, Any] = _NOTHING, **said: Any) -> bytes:
        line = {**_line(self._reply, self._request, **said), **beside, "done": False}
        return orjson.dumps(line) + b"\n"


def _scores(logprobs: Mapping[str, Any] | None) -> dict[str, Any]:
    """Log probabilities, which are OpenAI's tokens here and stand beside the message."""
    tokens = scored(logprobs)
    return {"logprobs": tokens} if tokens else {}


def _line(reply: Reply, request: Request, **said: Any) -> dict[str, Any]:
    instant = datetime.fromtimestamp(reply.created, UTC).isoformat().replace("+00:00", "Z")
    return {
        "model": reply.model or request.model,
        "created_at": instant,
        "message": {"role": "assistant", "content": "", **said},
    }


def _end(reply: Reply) -> dict[str, Any]:
    reason = _FINISHES.get(reply.finish_reason, reply.finish_reason)
    durations = {
        f"{what}duration": 0 for what in ("total_", "load_", "prompt_eval_", "eval_")
    }  # nobody measured
    return {"done": True, "done_reason": reason, **durations, **_counts(reply.usage)}


def _counts(usage: Usage) -> dict[str, int]:
    return {"prompt_eval_count": usage.prompt_tokens, "eval_count": usage.completion_tokens}


def _call(call: ToolCall, number: int) -> dict[str, Any]:
    called = {"id": call.id} if call.id else {}
    function = {"index": number, "name": call.name, "arguments": object_in(call.arguments) or {}}
    return {**called, "function": function}
