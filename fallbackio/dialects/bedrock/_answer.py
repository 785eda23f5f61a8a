"""Converse's answers, read: a whole one by `reply_of`, a streamed one by `BedrockReader`.

Blocks, events and members that we do not know are skipped; what contradicts the format is a
`BadAnswer`.  Three rules bite in practice: an answer names neither itself nor its model, a stream is
complete with `messageStop` although its usage comes after that, and a call of the reserved tool by which
`encode` asks for JSON is no call but the answer's text.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from fallbackio import _aws
from fallbackio.dialects._shared import JSON_ANSWER, count, json_object, refuse_swallowed
from fallbackio.dialects._state import state_of
from fallbackio.dialects.bedrock._errors import in_band
from fallbackio.errors import AttemptError, BadAnswer
from fallbackio.model import Choice, Delta, FunctionCall, Message, Reply, ToolCall, ToolCallDelta, Usage

__all__ = ["STOP_REASONS", "BedrockReader", "reply_of"]

# OpenAI's word for each stop reason; one that is not here is passed on as it is.
STOP_REASONS: Mapping[str, str] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "guardrail_intervened": "content_filter",
    "content_filtered": "content_filter",
}

_KNOWN = frozenset({"output", "stopReason", "usage"})

# What wrong types and missing members raise while an answer is taken apart.
_SHAPE = (KeyError, TypeError, AttributeError, ValueError)


def reply_of(body: bytes) -> Reply:
    """The reply that a plain answer holds; raises `BadAnswer` for anything else."""
    answer = json_object(body)
    try:
        return _reply(answer)
    except _SHAPE as error:
        raise BadAnswer(f"a JSON object that is no whole answer ({type(error).__name__})") from None


def _reply(answer: dict[str, Any]) -> Reply:
    said = _Content()
    for block in answer["output"]["message"]["content"]:
        said.add(block)
    reason = _finish_reason(answer["stopReason"], only_answered=bool(said.answers and not said.calls))
    refuse_swallowed(reason, any(said.texts) or said.calls or said.answers, code=answer["stopReason"])
    return Reply(
        choices=(Choice(said.message(), reason),),
        usage=_usage(answer.get("usage"), answer.get("additionalModelResponseFields")),
        extra={name: value for name, value in answer.items() if name not in _KNOWN and value is not None},
    )


class _Content:
    """What the blocks of a plain answer say."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.calls: list[ToolCall] = []
        self.answers: list[str] = []  # to a schema, which came as calls of the reserved tool
        self.thoughts: list[Mapping[str, Any]] = []
        self.citations: list[Any] = []

    def add(self, block: Mapping[str, Any]) -> None:
        if "text" in block:
            self.texts.append(_str(block["text"]))
        elif "toolUse" in block:
            self._add_call(block["toolUse"])
        elif "reasoningContent" in block:
            self.thoughts.append(block["reasoningContent"])
        elif "citationsContent" in block:
            cited = block["citationsContent"]
            self.texts += [_str(piece["text"]) for piece in cited.get("content", ()) if "text" in piece]
            self.citations += cited.get("citations", ())

    def _add_call(self, use: Mapping[str, Any]) -> None:
        arguments = orjson.dumps(use.get("input") or {}).decode()
        if use["name"] == JSON_ANSWER:
            self.answers.append(arguments)
        else:
            called = FunctionCall(_str(use["name"]), arguments)
            self.calls.append(ToolCall(_str(use["toolUseId"]), called))

    def message(self) -> Message:
        # An answer to a schema is the whole answer: words beside it would make it no JSON.
        texts = self.answers[:1] or self.texts
        thoughts = [_str(thought.get("reasoningText", {}).get("text", "")) for thought in self.thoughts]
        return Message(
            content="".join(texts) if texts or not self.calls else None,
            tool_calls=tuple(self.calls),
            reasoning="".join(thoughts) or None,
            extra=_extra(self.citations, self.thoughts),
        )


def _extra(citations: list[Any], thoughts: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """What joins the message: citations, and the reasoning that its model wants back, if it was signed."""
    extra: dict[str, Any] = {"citations": citations} if citations else {}
    kept = [block for block in thoughts if _is_signed(block)]
    return extra | state_of("bedrock", "", {"reasoning": kept}) if kept else extra


def _is_signed(block: Mapping[str, Any]) -> bool:
    return "redactedContent" in block or bool(block.get("reasoningText", {}).get("signature"))


def _finish_reason(stop_reason: object, *, only_answered: bool) -> str:
    """`only_answered`: all calls were the reserved tool's."""
    if not isinstance(stop_reason, str):
        raise BadAnswer("an answer without a stopReason")
    if stop_reason.startswith("malformed_"):
        raise BadAnswer(f"the model broke off its answer ({stop_reason[:40]})")
    if stop_reason == "tool_use" and only_answered:
        return "stop"
    return STOP_REASONS.get(stop_reason, stop_reason)


def _usage(counts: object, own: object) -> Usage:
    """`own` are the model's own fields, where they hold its tokens of reasoning."""
    if not isinstance(counts, dict):
        return Usage()
    said = count(counts.get("inputTokens"))
    cached = count(counts.get("cacheReadInputTokens"))
    written = count(counts.get("cacheWriteInputTokens"))
    beside = cached + written
    completion = count(counts.get("outputTokens"))
    # OpenAI's models count the cached tokens in; then the total gives them away.
    if beside and said >= beside and count(counts.get("totalTokens")) == said + completion:
        beside = 0
    return Usage(
        prompt_tokens=said + beside,
        completion_tokens=completion,
        cached_tokens=cached,
        cache_write_tokens=written,
        reasoning_tokens=_reasoning_tokens(own),
    )


def _reasoning_tokens(own: object) -> int:
    usage = own.get("usage") if isinstance(own, dict) else None
    details = usage.get("output_tokens_details") if isinstance(usage, dict) else None
    return count(details.get("thinking_tokens")) if isinstance(details, dict) else 0


class BedrockReader:
    """One streamed answer: bytes in, deltas out; see `StreamReader` for the contract.

    Tool calls are numbered from 0 whatever their blocks' indexes are, and a call without arguments
    ends in `{}`.  The finish reason comes with `messageStop`, the usage with the metadata after it.
    """

    def __init__(self) -> None:
        self.finished = False
        self._frames = _aws.FrameReader()
        self._stopped = False  # `messageStop` has come: the answer is whole, only its usage is missing
        self._own: object = None
        # Tool calls begun and not yet stopped, by their block's index.
        self._open: dict[int, _OpenCall] = {}
        self._calls = 0
        self._answered = False  # whether there was a call of the reserved tool
        self._thoughts: dict[int, _Thought] = {}
        self._citations: list[Any] = []
        self._spoke = False

    def feed(self, chunk: bytes) -> list[Delta]:
        """The deltas that `chunk` completes."""
        deltas: list[Delta] = []
        frames = () if self.finished else self._frames.feed(chunk)
        for headers, payload in frames:
            if headers.get(":message-type") != "event":
                if self._stopped:
                    self.finished = True  # what fails after the end takes nothing from the answer
                    break
                raise _exception(headers, payload)
            try:
                event = orjson.loads(payload)
                kind = headers[":event-type"]
                if kind == "contentBlockDelta":
                    delta = self._piece(event["contentBlockIndex"], event["delta"])
                else:
                    delta = self._step(kind, event)
            except _SHAPE:
                raise BadAnswer(f"a malformed event of {len(payload):,} bytes in the stream") from None
            if delta is not None:
                deltas.append(delta)
            if self.finished:
                break  # before the next frame is looked at, which may be garbage
        return deltas

    def end(self) -> list[Delta]:
        """Nothing more, if the answer was whole; its usage may be missing."""
        if not self._stopped:
            raise BadAnswer("the stream ended before its answer did")
        self.finished = True
        return []

    def _piece(self, index: int, piece: Mapping[str, Any]) -> Delta | None:
        if "text" in piece:
            text = _str(piece["text"])
            self._spoke = self._spoke or bool(text)
            return Delta(text) if text else None
        if "toolUse" in piece:
            return self._open[index].piece(_str(piece["toolUse"]["input"]))
        if "reasoningContent" in piece:
            return self._think(index, piece["reasoningContent"])
        if "citation" in piece:
            self._citations.append(piece["citation"])
        return None

    def _step(self, kind: object, event: Mapping[str, Any]) -> Delta | None:
        if kind == "contentBlockStart":
            return self._start(event["contentBlockIndex"], event["start"])
        if kind == "contentBlockStop":
            call = self._open.pop(event["contentBlockIndex"], None)
            return call.stop() if call is not None else None
        if kind == "messageStop":
            return self._stop(event)
        if kind == "metadata":
            return self._measure(event)
        return None

    def _start(self, index: int, start: Mapping[str, Any]) -> Delta | None:
        if "toolUse" not in start:
            return None
        use = start["toolUse"]
        name, call_id = _str(use["name"]), _str(use["toolUseId"])
        if name == JSON_ANSWER:
            self._answered = True
            self._open[index] = _OpenCall(None)
            return None
        call = self._open[index] = _OpenCall(self._calls)
        self._calls += 1
        return call.fragment(ToolCallDelta(self._calls - 1, call_id, name))

    def _think(self, index: int, piece: Mapping[str, Any]) -> Delta | None:
        thought = self._thoughts.setdefault(index, _Thought())
        text = _str(piece.get("text", ""))
        thought.texts.append(text)
        thought.signature += _str(piece.get("signature", ""))
        thought.redacted += _str(piece.get("redactedContent", ""))
        return Delta(reasoning=text) if text else None

    def _stop(self, event: Mapping[str, Any]) -> Delta:
        reason = _finish_reason(event["stopReason"], only_answered=self._answered and not self._calls)
        if self._open:
            raise BadAnswer("the answer ended inside a tool call")
        refuse_swallowed(reason, self._spoke or self._calls or self._answered, code=event["stopReason"])
        self._stopped = True
        self._own = event.get("additionalModelResponseFields")
        thoughts = [thought.block() for _, thought in sorted(self._thoughts.items())]
        return Delta(finish_reason=reason, extra=_extra(self._citations, thoughts))

    def _measure(self, event: Mapping[str, Any]) -> Delta | None:
        self.finished = self._stopped
        usage = _usage(event.get("usage"), self._own)
        return Delta(usage=usage) if usage else None


class _OpenCall:
    """A tool call while its block is open; without a number it is the answer to a schema."""

    __slots__ = ("_number", "_said")

    def __init__(self, number: int | None) -> None:
        self._number = number
        self._said = False

    def piece(self, arguments: str) -> Delta | None:
        if not arguments:
            return None
        self._said = True
        if self._number is None:
            return Delta(arguments)
        return self.fragment(ToolCallDelta(self._number, arguments=arguments))

    def stop(self) -> Delta | None:
        return None if self._said else self.piece("{}")

    def fragment(self, fragment: ToolCallDelta) -> Delta:
        return Delta(tool_calls=(fragment,))


class _Thought:
    """A block of reasoning while it comes in."""

    __slots__ = ("redacted", "signature", "texts")

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.signature = ""
        self.redacted = ""

    def block(self) -> Mapping[str, Any]:
        if self.redacted:
            return {"redactedContent": self.redacted}
        return {"reasoningText": {"text": "".join(self.texts), "signature": self.signature}}


def _exception(headers: Mapping[str, Any], payload: bytes) -> AttemptError:
    """The error that a frame stands for which is no event."""
    if headers.get(":message-type") == "error":
        return in_band(str(headers.get(":error-code", "")), str(headers.get(":error-message", "")))
    if headers.get(":message-type") != "exception":
        return BadAnswer("a frame of an unknown kind in the stream")
    try:
        said = orjson.loads(payload)
    except orjson.JSONDecodeError:
        said = {}
    message = said.get("message") if isinstance(said, dict) else None
    return in_band(str(headers.get(":exception-type", "")), message if isinstance(message, str) else "")


def _str(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("not a string")
    return value
