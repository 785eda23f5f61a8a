"""Gemini's generateContent, the server's side: what the simulator says.

A stream's events are whole answers in small, with the usage so far, and calls go out whole, so their
fragments are held back until the next thing is said.  From the third generation on the first call of
a turn is signed, because clients must give the signature back.  There is no event for a keep-alive;
one that says nothing stands in its place.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import orjson

from fallbackio.dialects._shared import object_in, scored
from fallbackio.dialects._sse import EVENT_STREAM, encode
from fallbackio.dialects._state import KEY
from fallbackio.dialects.gemini._errors import body_of, status_of
from fallbackio.dialects.gemini._messages import DIALECT
from fallbackio.dialects.gemini._models import since_3
from fallbackio.dialects.gemini._read import request_of
from fallbackio.errors import AttemptError
from fallbackio.model import Choice, Delta, Reply, Request, ToolCallDelta, Usage

__all__ = ["GeminiServer", "GeminiWriter"]

_FINISHES: Mapping[str, str] = {
    "stop": "STOP",
    "length": "MAX_TOKENS",
    "tool_calls": "STOP",
    "function_call": "STOP",
    "content_filter": "SAFETY",
}

_SIGNATURE = base64.b64encode(b"the simulator's thought").decode()

Part = dict[str, Any]


class GeminiServer:
    """The server side; holds no state."""

    stream_type = EVENT_STREAM

    def read(self, body: bytes, model: str = "", stream: bool = False) -> Request:
        """The request in OpenAI's terms; raises `InvalidRequest` as Google would with a 400."""
        return request_of(body, model, stream)

    def write(self, reply: Reply, request: Request) -> bytes:
        """A plain answer; one without choices comes out as an answer without candidates."""
        candidates = [_candidate(choice, reply.model or request.model) for choice in reply.choices]
        return orjson.dumps({"candidates": candidates, **_frame(reply, request, reply.usage)})

    def writer(self, reply: Reply, request: Request) -> GeminiWriter:
        """A writer for one streamed answer; `reply` gives id, model and the prompt's usage."""
        return GeminiWriter(reply, request)

    def failure(self, error: AttemptError) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of an error answer; the wait stands in the body too."""
        headers = {"content-type": "application/json"}
        if error.retry_after_s is not None:
            headers["retry-after"] = f"{error.retry_after_s:.9g}"
        return status_of(error), headers, orjson.dumps(body_of(error))


class GeminiWriter:
    """One streamed answer; see `StreamWriter` for the contract."""

    def __init__(self, reply: Reply, request: Request) -> None:
        self._reply = reply
        self._request = request
        # Candidates whose first call has still to be signed.
        self._unsigned = {choice.index for choice in reply.choices if since_3(reply.model or request.model)}
        self._so_far = Usage(prompt_tokens=reply.usage.prompt_tokens, cached_tokens=reply.usage.cached_tokens)
        # By candidate, the call whose fragments are still coming.
        self._open: dict[int, ToolCallDelta] = {}

    def start(self) -> bytes:
        """An event that shows nothing yet."""
        return self._event([])

    def write(self, delta: Delta) -> bytes:
        """A piece of the answer: text, reasoning, refusal or tool-call fragments; others are empty.

        Raises:
            ValueError: For a fragment of a call that has gone out already.
        """
        wire = b""
        parts: list[Part] = []
        if delta.reasoning:
            parts.append({"text": delta.reasoning, "thought": True})
        if text := delta.text + delta.refusal:
            parts.append({"text": text})
        if parts:
            wire += self._flush(delta.index) + self._said(parts, delta.index, delta.logprobs)
        for fragment in delta.tool_calls:
            wire += self._fragment(fragment, delta.index)
        return wire

    def ping(self) -> bytes:
        """An event that says nothing, since Google sends no keep-alives."""
        return self._event([])

    def error(self, error: AttemptError) -> bytes:
        """An error in-band."""
        return _framed(orjson.dumps(body_of(error)))

    def malformed(self) -> bytes:
        """An event that breaks the format, for simulated outages."""
        return _framed(b'{"candidates": [{"content": {"parts": [')

    def finish(self, reply: Reply) -> bytes:
        """The proper end: the last call, then finish reason and usage; there is no terminator."""
        wire = b"".join([self._flush(index) for index in sorted(self._open)])
        self._so_far = reply.usage
        content = {"role": "model", "parts": [{"text": ""}]}
        candidates = [
            {"content": content, "finishReason": _finish(choice), "index": choice.index}
            for choice in reply.choices
        ]
        return wire + self._event(candidates)

    def _fragment(self, fragment: ToolCallDelta, index: int) -> bytes:
        open_call = self._open.get(index)
        if open_call is not None and open_call.index == fragment.index:
            arguments = open_call.arguments + fragment.arguments
            self._open[index] = ToolCallDelta(open_call.index, open_call.id, open_call.name, arguments)
            return b""
        if not fragment.name:
            raise ValueError(f"tool call {fragment.index} is not the one that is open")
        wire = self._flush(index)
        self._open[index] = fragment
        return wire

    def _flush(self, index: int) -> bytes:
        call = self._open.pop(index, None)
        if call is None:
            return b""
        signature = _SIGNATURE if index in self._unsigned else ""
        self._unsigned.discard(index)
        return self._said([_call_part(call.id, call.name, call.arguments, signature)], index)

    def _said(self, parts: list[Part], index: int, logprobs: Mapping[str, Any] | None = None) -> bytes:
        said = {"content": {"role": "model", "parts": parts}, "index": index, **_scores(logprobs)}
        return self._event([said])

    def _event(self, candidates: list[dict[str, Any]]) -> bytes:
        said = {"candidates": candidates} if candidates else {}
        return _framed(orjson.dumps(said | _frame(self._reply, self._request, self._so_far)))


def _framed(data: bytes) -> bytes:
    """An event as Google ends its lines."""
    return encode(data).replace(b"\n", b"\r\n")


def _frame(reply: Reply, request: Request, usage: Usage) -> dict[str, Any]:
    """What every answer and every piece of one carries."""
    counts = {
        "promptTokenCount": usage.prompt_tokens,
        "candidatesTokenCount": usage.completion_tokens - usage.reasoning_tokens,
        "totalTokenCount": usage.total_tokens,
    }
    if usage.reasoning_tokens:
        counts["thoughtsTokenCount"] = usage.reasoning_tokens
    if usage.cached_tokens:
        counts["cachedContentTokenCount"] = usage.cached_tokens
    model = reply.model or request.model
    return {"usageMetadata": counts, "modelVersion": model, "responseId": reply.id}


def _candidate(choice: Choice, model: str) -> dict[str, Any]:
    said = choice.message
    state = said.extra.get(KEY, {})
    state = state if state.get("dialect") == DIALECT else {}
    parts: list[Part] = []
    if said.reasoning:
        parts.append({"text": said.reasoning, "thought": True})
    if text := (said.content or "") + (said.refusal or ""):
        signed = {"thoughtSignature": state["signature"]} if "signature" in state else {}
        parts.append({"text": text, **signed})
    signatures = state.get("signatures") or {}
    for position, call in enumerate(said.tool_calls):
        ours = _SIGNATURE if since_3(model) and position == 0 else ""
        signature = signatures.get(call.id, ours)
        parts.append(_call_part(call.id, call.name, call.arguments, signature))
    content = {"role": "model", "parts": parts} if parts else {"role": "model"}
    end = {"finishReason": _finish(choice), "index": choice.index}
    return {"content": content, **end, **_scores(choice.logprobs)}


def _scores(logprobs: Mapping[str, Any] | None) -> dict[str, Any]:
    """The log probabilities of an answer or a piece: the chosen tokens, and the likeliest of each place."""
    tokens = scored(logprobs)
    if not tokens:
        return {}
    result: dict[str, Any] = {"chosenCandidates": [_score(token) for token in tokens]}
    if any(token.get("top_logprobs") for token in tokens):
        result["topCandidates"] = [
            {"candidates": [_score(other) for other in token.get("top_logprobs") or ()]} for token in tokens
        ]
    return {"logprobsResult": result}


def _score(token: Mapping[str, Any]) -> dict[str, Any]:
    return {"token": token["token"], "logProbability": token["logprob"]}


def _call_part(call_id: str, name: str, arguments: str, signature: str) -> Part:
    call = {"name": name, "args": object_in(arguments) or {}} | ({"id": call_id} if call_id else {})
    return {"functionCall": call} | ({"thoughtSignature": signature} if signature else {})


def _finish(choice: Choice) -> str:
    return _FINISHES.get(choice.finish_reason, choice.finish_reason)
