"""AWS Bedrock's Converse, the server's side: what the simulator says, and what a gateway would.

Blocks of a stream come one after another, so a fragment of an earlier tool call is refused once a
later block has begun.  There is no block for a model's own refusal, which goes out as text, and no
keep-alive.  The odd rule: payloads are padded by a member `p`, as AWS pads them against eavesdroppers who
count bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from fallbackio import _aws
from fallbackio.dialects._shared import object_in
from fallbackio.dialects._state import KEY
from fallbackio.dialects.bedrock._errors import answer_of, code_of, status_of
from fallbackio.dialects.bedrock._read import request_of
from fallbackio.errors import AttemptError
from fallbackio.model import Delta, Message, Reply, Request, ToolCallDelta, Usage

__all__ = ["BedrockServer", "BedrockWriter"]

_STOP_REASONS: Mapping[str, str] = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "content_filter": "content_filtered",
}

_PADDING = "abcdefghijklmnopqrstuvwxyz"

_METRICS = {"latencyMs": 1}


class BedrockServer:
    """The server side; holds no state."""

    stream_type = "application/vnd.amazon.eventstream"

    def read(self, body: bytes, model: str = "", stream: bool = False) -> Request:
        """The request in OpenAI's terms; raises `InvalidRequest` as Bedrock would with a 400."""
        return request_of(body, model, stream)

    def write(self, reply: Reply, request: Request) -> bytes:
        """A plain answer; one without choices comes out as a message that says nothing and never ends."""
        content = _content(reply.message) if reply.choices else []
        answer = {
            "output": {"message": {"role": "assistant", "content": content}},
            "stopReason": _stop_reason(reply) if reply.choices else None,
            "usage": _counts(reply.usage),
            "metrics": _METRICS,
        }
        return orjson.dumps(answer | ({_OWN: _own(reply.usage)} if reply.usage.reasoning_tokens else {}))

    def writer(self, reply: Reply, request: Request) -> BedrockWriter:
        """A writer for one streamed answer."""
        return BedrockWriter()

    def failure(self, error: AttemptError) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of an error answer."""
        headers = {"content-type": "application/json", "x-amzn-errortype": code_of(error)}
        if error.request_id:
            headers["x-amzn-requestid"] = error.request_id
        if error.retry_after_s is not None:
            headers["x-amz-retry-after"] = str(round(error.retry_after_s * 1000))
        return status_of(error), headers, answer_of(error)


class BedrockWriter:
    """One streamed answer; see `StreamWriter` for the contract."""

    def __init__(self) -> None:
        self._index = -1
        # The block that is open: its kind, or the number of its tool call; `None` between blocks.
        self._open: str | int | None = None

    def start(self) -> bytes:
        """`messageStart`, which shows nothing yet."""
        return _event("messageStart", role="assistant")

    def write(self, delta: Delta) -> bytes:
        """A piece of the answer: text, reasoning, refusal or tool-call fragments; others are empty.

        Raises:
            ValueError: For a fragment of a tool call whose block has been closed by a later one.
        """
        wire = b""
        if delta.reasoning:
            wire += self._within("reasoning")
            wire += self._delta(reasoningContent={"text": delta.reasoning})
        if text := delta.text + delta.refusal:
            wire += self._within("text") + self._delta(text=text)
        for fragment in delta.tool_calls:
            wire += self._call(fragment)
        return wire

    def ping(self) -> bytes:
        """Nothing: the format has no keep-alive."""
        return b""

    def error(self, error: AttemptError) -> bytes:
        """An error in-band."""
        code = code_of(error)
        headers = {
            ":exception-type": code[0].lower() + code[1:],
            ":content-type": "application/json",
            ":message-type": "exception",
        }
        return _aws.frame(headers, answer_of(error))

    def malformed(self) -> bytes:
        """A frame whose checksum is wrong, for simulated outages."""
        whole = _event("contentBlockDelta", contentBlockIndex=0, delta={"text": ""})
        return whole[:-1] + bytes([whole[-1] ^ 0xFF])

    def finish(self, reply: Reply) -> bytes:
        """The proper end: the open block's, the stop reason, and usage in the metadata."""
        stop: dict[str, Any] = {"stopReason": _stop_reason(reply)}
        if reply.usage.reasoning_tokens:
            stop[_OWN] = _own(reply.usage)
        metadata = _event("metadata", usage=_counts(reply.usage), metrics=_METRICS)
        return self._close() + _event("messageStop", **stop) + metadata

    def _call(self, fragment: ToolCallDelta) -> bytes:
        wire = b""
        if fragment.id or fragment.name:
            start = {"toolUse": {"toolUseId": fragment.id, "name": fragment.name}}
            wire = self._within(fragment.index)
            wire += _event("contentBlockStart", contentBlockIndex=self._index, start=start)
        elif self._open != fragment.index:
            raise ValueError(f"tool call {fragment.index} is not the one whose block is open")
        return wire + (self._delta(toolUse={"input": fragment.arguments}) if fragment.arguments else b"")

    def _within(self, kind: str | int) -> bytes:
        """Begin a block, unless it is the open one."""
        if self._open == kind:
            return b""
        wire = self._close()
        self._open = kind
        self._index += 1
        return wire

    def _delta(self, **said: Any) -> bytes:
        return _event("contentBlockDelta", contentBlockIndex=self._index, delta=said)

    def _close(self) -> bytes:
        if self._open is None:
            return b""
        self._open = None
        return _event("contentBlockStop", contentBlockIndex=self._index)


def _event(kind: str, **said: Any) -> bytes:
    payload = orjson.dumps(said)
    said["p"] = _PADDING[: 1 + len(payload) % len(_PADDING)]
    headers = {":event-type": kind, ":content-type": "application/json", ":message-type": "event"}
    return _aws.frame(headers, orjson.dumps(said))


_OWN = "additionalModelResponseFields"


def _own(usage: Usage) -> dict[str, Any]:
    """Where a Claude says how much it thought."""
    return {"usage": {"output_tokens_details": {"thinking_tokens": usage.reasoning_tokens}}}


def _content(said: Message) -> list[dict[str, Any]]:
    content = _thoughts(said)
    if text := (said.content or "") + (said.refusal or ""):
        content.append({"text": text})
    for call in said.tool_calls:
        use = {"toolUseId": call.id, "name": call.name, "input": object_in(call.arguments) or {}}
        content.append({"toolUse": use})
    return content


def _thoughts(said: Message) -> list[dict[str, Any]]:
    """Reasoning with its signatures, if the message keeps them."""
    kept = said.extra.get(KEY)
    blocks = kept.get("reasoning") if isinstance(kept, Mapping) and kept.get("dialect") == "bedrock" else None
    if isinstance(blocks, list):
        return [{"reasoningContent": block} for block in blocks]
    return [{"reasoningContent": {"reasoningText": {"text": said.reasoning}}}] if said.reasoning else []


def _counts(usage: Usage) -> dict[str, Any]:
    return {
        "inputTokens": usage.prompt_tokens - usage.cached_tokens - usage.cache_write_tokens,
        "outputTokens": usage.completion_tokens,
        "totalTokens": usage.total_tokens,
        "cacheReadInputTokens": usage.cached_tokens,
        "cacheWriteInputTokens": usage.cache_write_tokens,
    }


def _stop_reason(reply: Reply) -> str:
    return _STOP_REASONS.get(reply.finish_reason, reply.finish_reason)
