"""Cohere's chat, version 2, the server's side: what the simulator says.

Blocks of a stream come one after another, so a fragment of an earlier tool call is refused once
something else has begun.  There is no field for a model's own refusal; it goes out as text.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import orjson

from fallbackio.dialects._shared import scored
from fallbackio.dialects._sse import EVENT_STREAM, encode
from fallbackio.dialects._state import KEY
from fallbackio.dialects.cohere._errors import message_of, status_of
from fallbackio.dialects.cohere._read import request_of
from fallbackio.errors import AttemptError
from fallbackio.model import Delta, Message, Reply, Request, ToolCallDelta, Usage

__all__ = ["CohereServer", "CohereWriter"]

_FINISHES: Mapping[str, str] = MappingProxyType(
    {
        "stop": "COMPLETE",
        "length": "MAX_TOKENS",
        "tool_calls": "TOOL_CALL",
        "function_call": "TOOL_CALL",
        "content_filter": "ERROR_TOXIC",
    }
)


class CohereServer:
    """The server side; holds no state."""

    stream_type = EVENT_STREAM

    def read(self, body: bytes, model: str = "", stream: bool = False) -> Request:
        """The request in OpenAI's terms; raises `InvalidRequest` as Cohere would with a 400."""
        return request_of(body)

    def write(self, reply: Reply, request: Request) -> bytes:
        """A plain answer; one without choices comes out as a message that says nothing and never ends."""
        answer: dict[str, Any] = {"id": reply.id, "finish_reason": None, "message": {"role": "assistant"}}
        for choice in reply.choices[:1]:
            answer["finish_reason"] = _finish(choice.finish_reason)
            answer["message"] |= _message(choice.message)
            if tokens := scored(choice.logprobs):
                answer["logprobs"] = [_score(token) for token in tokens]
        return orjson.dumps({**answer, "usage": _counts(reply.usage)})

    def writer(self, reply: Reply, request: Request) -> CohereWriter:
        """A writer for one streamed answer; `reply` gives the id."""
        return CohereWriter(reply)

    def failure(self, error: AttemptError) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of an error answer."""
        headers = {"content-type": "application/json"}
        body = {"message": message_of(error)}
        if error.request_id:
            headers["x-debug-trace-id"] = body["id"] = error.request_id
        if error.retry_after_s is not None:
            headers["retry-after"] = str(math.ceil(error.retry_after_s))
        if error.should_retry is not None:
            headers["x-should-retry"] = "true" if error.should_retry else "false"
        return status_of(error), headers, orjson.dumps(body)


class CohereWriter:
    """One streamed answer; see `StreamWriter` for the contract."""

    def __init__(self, reply: Reply) -> None:
        self._id = reply.id
        self._index = -1  # of the block or call that was last begun
        # What is open: a block by its type, a call by its number; `None` in between.
        self._open: str | int | None = None

    def start(self) -> bytes:
        """`message-start`, which shows nothing yet."""
        opening = {"role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": []}
        return _event("message-start", id=self._id, delta={"message": opening})

    def write(self, delta: Delta) -> bytes:
        """A piece of the answer: text, reasoning, refusal, tool-call fragments or citations.

        Raises:
            ValueError: For a fragment of a tool call that has been closed by what came after it.
        """
        wire = b""
        if delta.reasoning:
            wire += self._said("thinking", delta.reasoning)
        if text := delta.text + delta.refusal:
            wire += self._said("text", text, scored(delta.logprobs))
        for fragment in delta.tool_calls:
            wire += self._call(fragment)
        for number, citation in enumerate(delta.extra.get("citations") or ()):
            wire += _event("citation-start", index=number, delta={"message": {"citations": citation}})
            wire += _event("citation-end", index=number)
        return wire

    def ping(self) -> bytes:
        """A comment, as proxies send them to keep a connection."""
        return b": ping\n\n"

    def error(self, error: AttemptError) -> bytes:
        """An error in-band."""
        delta = {"finish_reason": "ERROR", "error": message_of(error)}
        return _event("message-end", id=self._id, delta=delta)

    def malformed(self) -> bytes:
        """An event that breaks the format, for simulated outages."""
        return encode(b'{"type":"content-delta","index":', "content-delta")

    def finish(self, reply: Reply) -> bytes:
        """The proper end: what is still open, finish reason and usage."""
        delta = {"finish_reason": _finish(reply.finish_reason), "usage": _counts(reply.usage)}
        return self._close() + _event("message-end", id=self._id, delta=delta)

    def _said(self, kind: str, text: str, tokens: Sequence[Mapping[str, Any]] = ()) -> bytes:
        wire = b""
        if self._open != kind:
            wire = self._begin(kind)
            content = {"type": kind, kind: ""}
            wire += _event("content-start", index=self._index, delta={"message": {"content": content}})
        said = {"message": {"content": {kind: text}}}
        # One entry is about one piece of text, of however many tokens.
        scores = {"logprobs": {**_score(*tokens), "text": text}} if tokens else {}
        return wire + _event("content-delta", index=self._index, delta=said, **scores)

    def _call(self, fragment: ToolCallDelta) -> bytes:
        wire = b""
        if fragment.id or fragment.name:
            wire = self._begin(fragment.index)
            function = {"name": fragment.name, "arguments": ""}
            call = {"id": fragment.id, "type": "function", "function": function}
            wire += _event("tool-call-start", index=self._index, delta={"message": {"tool_calls": call}})
        elif self._open != fragment.index:
            raise ValueError(f"tool call {fragment.index} is not the one that is open")
        if not fragment.arguments:
            return wire
        said = {"message": {"tool_calls": {"function": {"arguments": fragment.arguments}}}}
        return wire + _event("tool-call-delta", index=self._index, delta=said)

    def _begin(self, what: str | int) -> bytes:
        wire = self._close()
        self._open = what
        self._index += 1
        return wire

    def _close(self) -> bytes:
        if self._open is None:
            return b""
        kind = "content-end" if isinstance(self._open, str) else "tool-call-end"
        self._open = None
        return _event(kind, index=self._index)


def _event(kind: str, **said: Any) -> bytes:
    return encode(orjson.dumps({"type": kind, **said}), kind)


def _score(*tokens: Mapping[str, Any]) -> dict[str, Any]:
    """Cohere's entry for a piece of text; its ids of tokens are nothing that anybody else knows."""
    return {
        "text": "".join([token["token"] for token in tokens]),
        "token_ids": [0] * len(tokens),
        "logprobs": [token["logprob"] for token in tokens],
    }


def _message(said: Message) -> dict[str, Any]:
    thinking, plan = _thoughts(said)
    content: list[dict[str, str]] = []
    if thinking:
        content.append({"type": "thinking", "thinking": thinking})
    if text := (said.content or "") + (said.refusal or ""):
        content.append({"type": "text", "text": text})
    message: dict[str, Any] = {"content": content} if content else {}
    if said.tool_calls:
        message["tool_calls"] = [call.to_dict() for call in said.tool_calls]
    if plan:
        message["tool_plan"] = plan
    if said.extra.get("citations"):
        message["citations"] = said.extra["citations"]
    return message


def _thoughts(said: Message) -> tuple[str, str]:
    """Thinking and plan, told apart only where Cohere itself had said them."""
    state = said.extra.get(KEY)
    if isinstance(state, Mapping) and state.get("dialect") == "cohere":
        return state.get("thinking") or "", state.get("tool_plan") or ""
    return said.reasoning or "", ""


def _finish(reason: str) -> str:
    return _FINISHES.get(reason, reason)


def _counts(usage: Usage) -> dict[str, Any]:
    counts = {"input_tokens": usage.prompt_tokens, "output_tokens": usage.completion_tokens}
    return {"billed_units": counts, "tokens": counts, "cached_tokens": usage.cached_tokens}
