"""Anthropic's answers, read: a whole one by `reply_of`, a streamed one by `AnthropicReader`.

Blocks and events that we do not know are skipped, as Anthropic asks of its clients; what contradicts
the format is a `BadAnswer`.  Three rules bite in practice: `message_start` shows nothing yet, counts
of tokens are cumulative, so that the last word wins, and an answer without a `stop_reason` is broken.
A call of the tool `JSON_ANSWER`, which only we can have offered, is the answer's text.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from fallbackio.dialects._shared import JSON_ANSWER, count, json_object, refuse_swallowed
from fallbackio.dialects._sse import SSEDecoder
from fallbackio.dialects.anthropic._errors import in_band
from fallbackio.dialects.anthropic._thinking import BLOCKS, state
from fallbackio.errors import AttemptError, BadAnswer
from fallbackio.model import Choice, Delta, FunctionCall, Message, Reply, ToolCall, ToolCallDelta, Usage

__all__ = ["STOP_REASONS", "AnthropicReader", "reply_of"]

# OpenAI's word for each stop reason; one that is not here is passed on as it is.
STOP_REASONS: Mapping[str, str] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}

_KNOWN = frozenset({"id", "type", "role", "model", "content", "stop_reason", "usage"})


def reply_of(body: bytes) -> Reply:
    """The reply that a plain answer holds.

    Raises:
        AttemptError: What an error inside a 200 stands for, or `BadAnswer` for anything else that is
            not a whole message.
    """
    answer = json_object(body)
    if _is_error(answer):
        raise in_band(answer)
    try:
        return _reply(answer)
    except (KeyError, TypeError, AttributeError) as error:
        raise BadAnswer(f"a JSON object that is no whole message ({type(error).__name__})") from None


def _is_error(answer: Mapping[str, Any]) -> bool:
    """Proxies leave the type out."""
    return "error" in answer and answer.get("type", "error") == "error"


def _reply(answer: dict[str, Any]) -> Reply:
    texts: list[str] = []
    thoughts: list[dict[str, Any]] = []
    calls: list[ToolCall] = []
    reason = _finish_reason(answer["stop_reason"])
    for block in answer["content"]:
        kind = block["type"]
        if kind == "text":
            texts.append(block["text"])
        elif kind in BLOCKS:
            thoughts.append(block)
        elif kind == "tool_use":
            call = _call(block)
            if call.name == JSON_ANSWER:
                texts.append(call.arguments)
                reason = _CALLED_TO_ANSWER.get(reason, reason)
            else:
                calls.append(call)
    refuse_swallowed(reason, any(texts) or calls, *_refusal(answer.get("stop_details")))
    model = _str(answer.get("model") or "")
    message = Message(
        content="".join(texts) if texts or not calls else None,
        tool_calls=tuple(calls),
        reasoning="".join([block["thinking"] for block in thoughts if "thinking" in block]) or None,
        extra=state(model, thoughts),
    )
    usage = answer.get("usage")
    return Reply(
        id=_str(answer.get("id") or ""),
        model=model,
        choices=(Choice(message, reason),),
        usage=_usage(usage if isinstance(usage, dict) else {}),
        extra={name: value for name, value in answer.items() if name not in _KNOWN and value is not None},
    )


def _refusal(details: object) -> tuple[object, object]:
    """Why it was refused, and the category of that."""
    if not isinstance(details, dict):
        return "", "refusal"
    return details.get("explanation"), details.get("category") or "refusal"


# A model that was made to call the tool of the answer has just answered.
_CALLED_TO_ANSWER = {"tool_calls": "stop"}


def _call(block: Mapping[str, Any]) -> ToolCall:
    arguments = orjson.dumps(block.get("input") or {}).decode()
    return ToolCall(_str(block["id"]), FunctionCall(_str(block["name"]), arguments))


def _finish_reason(stop_reason: object) -> str:
    if not isinstance(stop_reason, str):
        raise BadAnswer("a message without a stop_reason")
    return STOP_REASONS.get(stop_reason, stop_reason)


def _usage(counts: Mapping[str, Any]) -> Usage:
    cached = count(counts.get("cache_read_input_tokens"))
    written = count(counts.get("cache_creation_input_tokens"))
    details = counts.get("output_tokens_details")
    return Usage(
        prompt_tokens=count(counts.get("input_tokens")) + written + cached,
        completion_tokens=count(counts.get("output_tokens")),
        cached_tokens=cached,
        cache_write_tokens=written,
        reasoning_tokens=count(details.get("thinking_tokens")) if isinstance(details, dict) else 0,
    )


class AnthropicReader:
    """One streamed answer: bytes in, deltas out; see `StreamReader` for the contract.

    Tool calls are numbered from 0 whatever their blocks' indexes are, and a call without arguments
    ends in `{}`.  The finish reason and the usage come as the last delta, with the stream's end.
    """

    def __init__(self) -> None:
        self.finished = False
        self._decoder = SSEDecoder()
        self._id = self._model = ""
        self._usage: dict[str, Any] = {}
        self._stop_reason: str | None = None
        # Blocks begun and not yet stopped, by their index; `None` for those that leave nothing behind.
        self._open: dict[int, _OpenCall | _OpenThought | None] = {}
        self._calls = 0
        self._answers = 0  # calls that are the answer's text
        self._thoughts: list[dict[str, Any]] = []
        self._spoke = False
        self._details: object = None  # about a refusal

    def feed(self, chunk: bytes) -> list[Delta]:
        """The deltas that `chunk` completes."""
        deltas: list[Delta] = []
        for name, data in self._decoder.feed(chunk):
            if self.finished:
                break
            if not data:
                continue  # a keep-alive of some proxies
            try:
                event = orjson.loads(data)
                kind = event["type"]
                if kind == "content_block_delta":
                    delta = self._piece(self._open[event["index"]], event["delta"])
                else:
                    delta = self._step(kind, event)
            except (KeyError, TypeError, AttributeError, ValueError):
                raise self._malformed(name, data) from None
            if delta is not None:
                deltas.append(delta)
        return deltas

    def end(self) -> list[Delta]:
        """The last delta, if only `message_stop` was missing."""
        if self.finished:
            return []
        if self._stop_reason is None:
            raise BadAnswer("the stream ended before its answer did")
        return [self._finish()]

    def _piece(self, block: _OpenCall | _OpenThought | None, piece: Mapping[str, Any]) -> Delta | None:
        kind = piece["type"]
        if kind == "text_delta":
            text = _str(piece["text"])
            self._spoke = self._spoke or bool(text)
            return Delta(text, id=self._id, model=self._model) if text else None
        if kind == "input_json_delta" and type(block) is _OpenCall:
            arguments = _str(piece["partial_json"])
            if not arguments:
                return None
            block.said = True
            return self._arguments(block, arguments)
        if kind == "thinking_delta":
            text = _str(piece["thinking"])
            if type(block) is _OpenThought:
                block.thinking.append(text)
            return self._thought(text)
        if kind == "signature_delta" and type(block) is _OpenThought:
            block.signature.append(_str(piece["signature"]))
        return None

    def _step(self, kind: str, event: Mapping[str, Any]) -> Delta | None:
        if kind == "content_block_start":
            return self._start(event["index"], event["content_block"])
        if kind == "content_block_stop":
            return self._stop(self._open.pop(event["index"]))
        if kind == "message_start":
            self._begin(event["message"])
        elif kind == "message_delta":
            self._note(event)
        elif kind == "message_stop":
            return self._finish()
        elif kind == "error":
            raise in_band(event)
        return None

    def _begin(self, message: Mapping[str, Any]) -> None:
        self._id = _str(message.get("id") or "")
        self._model = _str(message.get("model") or "")
        self._count(message.get("usage"))

    def _start(self, index: int, block: Mapping[str, Any]) -> Delta | None:
        kind = block["type"]
        if kind == "tool_use":
            return self._call(index, block)
        self._open[index] = None
        if kind == "text":
            text = block.get("text")
            self._spoke = self._spoke or bool(text)
            return Delta(_str(text), id=self._id, model=self._model) if text else None
        if kind in BLOCKS:
            thought = self._open[index] = _OpenThought(block)
            return self._thought("".join(thought.thinking))
        return None

    def _call(self, index: int, block: Mapping[str, Any]) -> Delta | None:
        call_id, name = _str(block["id"]), _str(block["name"])
        if name == JSON_ANSWER:
            self._open[index] = _OpenCall(None, block.get("input"))
            self._answers += 1
            return None
        self._open[index] = _OpenCall(self._calls, block.get("input"))
        self._calls += 1
        return self._fragment(ToolCallDelta(self._calls - 1, call_id, name))

    def _stop(self, block: _OpenCall | _OpenThought | None) -> Delta | None:
        if type(block) is _OpenThought:
            self._thoughts.append(block.whole())
        elif type(block) is _OpenCall and not block.said:
            return self._arguments(block, block.whole())
        return None

    def _arguments(self, call: _OpenCall, arguments: str) -> Delta:
        if call.number is None:
            return Delta(arguments, id=self._id, model=self._model)
        return self._fragment(ToolCallDelta(call.number, arguments=arguments))

    def _note(self, event: Mapping[str, Any]) -> None:
        reason = event["delta"].get("stop_reason")
        if reason is not None:
            self._stop_reason = _str(reason)
            self._details = event["delta"].get("stop_details")
        self._count(event.get("usage"))

    def _count(self, counts: object) -> None:
        """Later counts replace earlier ones; what is left out or null stays."""
        if isinstance(counts, dict):
            self._usage.update({name: value for name, value in counts.items() if value is not None})

    def _finish(self) -> Delta:
        if self._stop_reason is None or self._open:
            raise BadAnswer("the answer ended without a stop_reason or inside a block")
        reason = _finish_reason(self._stop_reason)
        refuse_swallowed(reason, self._spoke or self._calls or self._answers, *_refusal(self._details))
        self.finished = True
        usage = _usage(self._usage) if self._usage else None
        if self._answers:
            reason = _CALLED_TO_ANSWER.get(reason, reason)
        kept = state(self._model, self._thoughts)
        return Delta(finish_reason=reason, usage=usage, extra=kept, id=self._id, model=self._model)

    def _fragment(self, fragment: ToolCallDelta) -> Delta:
        return Delta(tool_calls=(fragment,), id=self._id, model=self._model)

    def _thought(self, text: str) -> Delta | None:
        return Delta(reasoning=text, id=self._id, model=self._model) if text else None

    def _malformed(self, name: str, data: bytes) -> AttemptError:
        try:
            event = orjson.loads(data)
        except orjson.JSONDecodeError:
            event = None
        if isinstance(event, dict) and _is_error(event):
            return in_band(event)
        if name == "error":
            return in_band(None)
        return BadAnswer(f"a malformed event of {len(data):,} bytes in the stream")


class _OpenCall:
    """A tool call while its block is open; without a number if it is the answer's text."""

    __slots__ = ("_input", "number", "said")

    def __init__(self, number: int | None, whole: object) -> None:
        self.number = number
        self.said = False
        # Usually the empty object; some servers put everything here and send no deltas.
        self._input = whole

    def whole(self) -> str:
        return orjson.dumps(self._input or {}).decode()


class _OpenThought:
    """A block of thinking while it is open."""

    __slots__ = ("_block", "signature", "thinking")

    def __init__(self, block: Mapping[str, Any]) -> None:
        self._block = block
        self.thinking = [_str(block.get("thinking") or "")]
        self.signature = [_str(block.get("signature") or "")]

    def whole(self) -> dict[str, Any]:
        if self._block["type"] != "thinking":
            return {**self._block}
        said = {"thinking": "".join(self.thinking), "signature": "".join(self.signature)}
        return {**self._block, **said}


def _str(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("not a string")
    return value
