"""Anthropic Messages, the server's side: what the simulator says, and what a gateway would.

Blocks of a stream come one after another, as Anthropic sends them, so a fragment of an earlier tool
call is refused once a later block has begun.  There is no block for a model's own refusal; it goes
out as text.  Thinking is signed, so that clients have to give it back as they do to Claude.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs
import orjson

from fallbackio.dialects._shared import object_in
from fallbackio.dialects._sse import EVENT_STREAM, encode
from fallbackio.dialects.anthropic._errors import body_of, status_of
from fallbackio.dialects.anthropic._read import request_of
from fallbackio.dialects.anthropic._thinking import signature, stored_blocks
from fallbackio.errors import AttemptError
from fallbackio.model import Delta, Reply, Request, ToolCallDelta, Usage

__all__ = ["AnthropicServer", "AnthropicWriter"]

_STOP_REASONS: Mapping[str, str] = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "content_filter": "refusal",
}


class AnthropicServer:
    """The server side; holds no state."""

    stream_type = EVENT_STREAM

    def read(self, body: bytes, model: str = "", stream: bool = False) -> Request:
        """The request in OpenAI's terms; raises `InvalidRequest` as Anthropic would with a 400."""
        return request_of(body)

    def write(self, reply: Reply, request: Request) -> bytes:
        """A plain answer; one without choices comes out as a message that says nothing and never ends."""
        content: list[dict[str, Any]] = []
        for choice in reply.choices[:1]:
            said = choice.message
            content += stored_blocks(said.extra) or _thinking(said.reasoning)
            if text := (said.content or "") + (said.refusal or ""):
                content.append({"type": "text", "text": text})
            for call in said.tool_calls:
                block = {"type": "tool_use", "id": call.id, "name": call.name}
                content.append({**block, "input": object_in(call.arguments) or {}})
        reason = _stop_reason(reply) if reply.choices else None
        return orjson.dumps(_message(reply, request, content, reason, reply.usage))

    def writer(self, reply: Reply, request: Request) -> AnthropicWriter:
        """A writer for one streamed answer; `reply` gives id, model and the prompt's usage."""
        return AnthropicWriter(reply, request)

    def failure(self, error: AttemptError) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of an error answer."""
        headers = {"content-type": "application/json"}
        if error.request_id:
            headers["request-id"] = error.request_id
        if error.retry_after_s is not None:
            headers["retry-after"] = _seconds(error.retry_after_s)
        if error.should_retry is not None:
            headers["x-should-retry"] = "true" if error.should_retry else "false"
        return status_of(error), headers, orjson.dumps(body_of(error))


class AnthropicWriter:
    """One streamed answer; see `StreamWriter` for the contract."""

    def __init__(self, reply: Reply, request: Request) -> None:
        self._reply = reply
        self._request = request
        self._index = -1
        # The block that is open: its type, or the number of its tool call; `None` between blocks.
        self._open: str | int | None = None
        self._thought: list[str] = []  # of the open block

    def start(self) -> bytes:
        """`message_start`, which shows nothing yet."""
        counts = attrs.evolve(self._reply.usage, completion_tokens=0, reasoning_tokens=0)
        return _event("message_start", message=_message(self._reply, self._request, [], None, counts))

    def write(self, delta: Delta) -> bytes:
        """A piece of the answer: text, reasoning, refusal or tool-call fragments; others are empty.

        Raises:
            ValueError: For a fragment of a tool call whose block has been closed by a later one.
        """
        wire = b""
        if delta.reasoning:
            wire += self._within("thinking", {"type": "thinking", "thinking": "", "signature": ""})
            wire += self._delta("thinking_delta", thinking=delta.reasoning)
            self._thought.append(delta.reasoning)
        if text := delta.text + delta.refusal:
            wire += self._within("text", {"type": "text", "text": ""})
            wire += self._delta("text_delta", text=text)
        for fragment in delta.tool_calls:
            wire += self._call(fragment)
        return wire

    def ping(self) -> bytes:
        """A keep-alive."""
        return _event("ping")

    def error(self, error: AttemptError) -> bytes:
        """An error in-band."""
        return encode(orjson.dumps(body_of(error)), "error")

    def malformed(self) -> bytes:
        """An event that breaks the format, for simulated outages."""
        return encode(b'{"type":"content_block_delta","index":', "content_block_delta")

    def finish(self, reply: Reply) -> bytes:
        """The proper end: the open block's, stop reason and usage, `message_stop`."""
        delta = {"stop_reason": _stop_reason(reply), "stop_sequence": None}
        counts = _counts(reply.usage)
        return self._close() + _event("message_delta", delta=delta, usage=counts) + _event("message_stop")

    def _call(self, fragment: ToolCallDelta) -> bytes:
        if fragment.id or fragment.name:
            block = {"type": "tool_use", "id": fragment.id, "name": fragment.name, "input": {}}
            wire = self._within(fragment.index, block)
        elif self._open == fragment.index:
            wire = b""
        else:
            raise ValueError(f"tool call {fragment.index} is not the one whose block is open")
        return wire + self._delta("input_json_delta", partial_json=fragment.arguments)

    def _within(self, kind: str | int, block: dict[str, Any]) -> bytes:
        """Begin `block`, unless it is the open one."""
        if self._open == kind:
            return b""
        wire = self._close()
        self._open = kind
        self._index += 1
        return wire + _event("content_block_start", index=self._index, content_block=block)

    def _delta(self, kind: str, **said: str) -> bytes:
        return _event("content_block_delta", index=self._index, delta={"type": kind, **said})

    def _close(self) -> bytes:
        if self._open is None:
            return b""
        wire = b""
        if self._open == "thinking":
            wire = self._delta("signature_delta", signature=signature("".join(self._thought)))
            self._thought = []
        self._open = None
        return wire + _event("content_block_stop", index=self._index)


def _event(kind: str, **said: Any) -> bytes:
    return encode(orjson.dumps({"type": kind, **said}), kind)


def _message(
    reply: Reply, request: Request, content: list[dict[str, Any]], stop_reason: str | None, usage: Usage
) -> dict[str, Any]:
    return {
        "id": reply.id,
        "type": "message",
        "role": "assistant",
        "model": reply.model or request.model,
        "content": content,
        "stop_reason": stop_reason,
        "stop_sequence": None,
        "usage": _counts(usage),
    }


def _counts(usage: Usage) -> dict[str, Any]:
    return {
        "input_tokens": usage.prompt_tokens - usage.cached_tokens - usage.cache_write_tokens,
        "cache_creation_input_tokens": usage.cache_write_tokens,
        "cache_read_input_tokens": usage.cached_tokens,
        "output_tokens": usage.completion_tokens,
        "output_tokens_details": {"thinking_tokens": usage.reasoning_tokens},
    }


def _thinking(reasoning: str | None) -> list[dict[str, Any]]:
    if not reasoning:
        return []
    return [{"type": "thinking", "thinking": reasoning, "signature": signature(reasoning)}]


def _stop_reason(reply: Reply) -> str:
    return _STOP_REASONS.get(reply.finish_reason, reply.finish_reason)


def _seconds(wait_s: float) -> str:
    return str(int(wait_s)) if wait_s == int(wait_s) else f"{wait_s:.3f}"
