"""Cohere's answers, read: a whole one by `reply_of`, a streamed one by `CohereReader`.

Events that we do not know are skipped; what contradicts the format is a `BadAnswer`.  Three rules
bite in practice: a 200 may end in ERROR or TIMEOUT, a stream without its `message-end` is broken, and
the plan ahead of tool calls counts as reasoning.  Plan and thinking are also kept for the next turn.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import orjson

from fallbackio.dialects._shared import json_object, logprobs_of
from fallbackio.dialects._sse import SSEDecoder
from fallbackio.dialects._state import state_of
from fallbackio.dialects.cohere._errors import FAILED_FINISHES, in_band
from fallbackio.errors import BadAnswer
from fallbackio.model import Choice, Delta, FunctionCall, Message, Reply, ToolCall, ToolCallDelta, Usage

__all__ = ["CohereReader", "reply_of", "tokens"]

# OpenAI's word for each finish reason; one that is not here is passed on as it is.
_FINISHES: Mapping[str, str] = MappingProxyType(
    {
        "COMPLETE": "stop",
        "STOP_SEQUENCE": "stop",
        "MAX_TOKENS": "length",
        "ERROR_LIMIT": "length",
        "TOOL_CALL": "tool_calls",
    }
)

_KNOWN = frozenset({"id", "finish_reason", "message", "usage", "logprobs"})

# What reading an answer of the wrong shape ends in.
_MALFORMED = (KeyError, TypeError, AttributeError, ValueError)


def reply_of(body: bytes) -> Reply:
    """The reply that a plain answer holds.

    Raises:
        AttemptError: What an error inside a 200 stands for, or `BadAnswer` for anything else that is
            not a whole message.
    """
    answer = json_object(body)
    if isinstance(answer.get("message"), str):
        raise in_band(answer["message"])
    try:
        return _reply(answer)
    except _MALFORMED as error:
        raise BadAnswer(f"a JSON object that is no whole message ({type(error).__name__})") from None


def _reply(answer: dict[str, Any]) -> Reply:
    said = answer["message"]
    texts: list[str] = []
    thoughts: list[str] = []
    for block in said.get("content") or ():
        kind = block["type"]
        if kind == "text":
            texts.append(block["text"])
        elif kind == "thinking":
            thoughts.append(block["thinking"])
    calls = tuple([_call(call) for call in said.get("tool_calls") or ()])
    thinking, plan = "".join(thoughts), _str(said.get("tool_plan") or "")
    message = Message(
        content="".join(texts) if texts or not calls else None,
        tool_calls=calls,
        reasoning=thinking + plan or None,
        extra=_extra(thinking, plan, said.get("citations")),
    )
    finish = _finish(answer["finish_reason"], bool(calls))
    scores = _logprobs(answer.get("logprobs"))
    return Reply(
        id=_str(answer.get("id") or ""),
        choices=(Choice(message, finish, extra={"logprobs": scores} if scores else {}),),
        usage=_usage(answer.get("usage")),
        extra={name: value for name, value in answer.items() if name not in _KNOWN and value is not None},
    )


def _call(call: Mapping[str, Any]) -> ToolCall:
    function = call["function"]
    return ToolCall(
        _str(call["id"]), FunctionCall(_str(function["name"]), _str(function.get("arguments") or "{}"))
    )


def _finish(reason: object, called: bool, error: object = None) -> str:
    if not isinstance(reason, str):
        raise BadAnswer("a message without a finish_reason")
    if reason in FAILED_FINISHES:
        raise in_band(error, reason)
    finish = _FINISHES.get(reason, reason)
    if finish == "tool_calls" and not called:
        raise BadAnswer("a message that ends with TOOL_CALL and has none")
    return finish


def _extra(thinking: str, plan: str, citations: object) -> dict[str, Any]:
    """What goes with a message: citations for whoever shows them, the rest for Cohere's next turn."""
    extra: dict[str, Any] = {"citations": citations} if citations else {}
    kept = {name: text for name, text in (("thinking", thinking), ("tool_plan", plan)) if text}
    return extra | state_of("cohere", "", kept) if kept else extra


def _logprobs(items: object) -> dict[str, Any] | None:
    """OpenAI's `logprobs`, an entry for each piece of text; `None` if there are none."""
    if not isinstance(items, list):
        return None
    content: list[dict[str, Any]] = [
        {
            "token": item.get("text") or "",
            "logprob": sum(item.get("logprobs") or ()),
            "bytes": None,
            "top_logprobs": [],
        }
        for item in items
    ]
    return logprobs_of(content)


def _usage(usage: object) -> Usage:
    """What the model saw, or else what is charged for, which is less."""
    if not isinstance(usage, dict):
        return Usage()
    counts = usage.get("tokens") or usage.get("billed_units")
    if not isinstance(counts, dict):
        return Usage()
    return Usage(
        prompt_tokens=tokens(counts.get("input_tokens")),
        completion_tokens=tokens(counts.get("output_tokens")),
        cached_tokens=tokens(usage.get("cached_tokens")),
    )


def tokens(value: object) -> int:
    """A number of tokens, which Cohere types as a float; 0 for what is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return 0
    return max(0, int(value))  # JSON knows neither NaN nor infinity


class CohereReader:
    """One streamed answer: bytes in, deltas out; see `StreamReader` for the contract.

    Tool calls are numbered from 0 whatever their indexes are, and a call without arguments ends in
    `{}`.  Finish reason, usage and citations come as the last delta.
    """

    def __init__(self) -> None:
        self.finished = False
        self._decoder = SSEDecoder()
        self._id = ""
        self._thoughts: list[str] = []
        self._plan: list[str] = []
        self._citations: list[Any] = []
        # Calls begun and not yet ended: Cohere's index → ours, and whether it has any arguments.
        self._open: dict[int, _OpenCall] = {}
        self._calls = 0

    def feed(self, chunk: bytes) -> list[Delta]:
        """The deltas that `chunk` completes."""
        deltas: list[Delta] = []
        for _, data in self._decoder.feed(chunk):
            if self.finished:
                break
            if not data:
                continue  # a keep-alive of some proxies
            try:
                delta = self._read(orjson.loads(data))
            except _MALFORMED:
                raise BadAnswer(f"a malformed event of {len(data):,} bytes in the stream") from None
            if delta is not None:
                deltas.append(delta)
        return deltas

    def end(self) -> list[Delta]:
        """Nothing; raises `BadAnswer` if `message-end` never came."""
        if not self.finished:
            raise BadAnswer("the stream ended before its answer did")
        return []

    def _read(self, event: Any) -> Delta | None:
        kind = event.get("type")
        if kind == "content-delta":
            content = event["delta"]["message"]["content"]
            text = content.get("text")
            if text:
                scores = _logprobs([event["logprobs"]]) if event.get("logprobs") else None
                return Delta(_str(text), id=self._id, logprobs=scores)
            return self._thought(content.get("thinking"), self._thoughts)
        if kind is None and "message" in event:
            raise in_band(event["message"])
        read = _EVENTS.get(_str(kind))
        return read(self, event) if read is not None else None

    def _begin(self, event: Mapping[str, Any]) -> None:
        self._id = _str(event.get("id") or "")

    def _start(self, event: Mapping[str, Any]) -> Delta | None:
        """A block's beginning, which is empty as a rule."""
        content = event["delta"]["message"]["content"]
        if content.get("text"):
            return Delta(_str(content["text"]), id=self._id)
        return self._thought(content.get("thinking"), self._thoughts)

    def _planned(self, event: Mapping[str, Any]) -> Delta | None:
        return self._thought(event["delta"]["message"]["tool_plan"], self._plan)

    def _thought(self, text: object, kept: list[str]) -> Delta | None:
        if not text:
            return None
        kept.append(_str(text))
        return Delta(reasoning=kept[-1], id=self._id)

    def _call(self, event: Mapping[str, Any]) -> Delta:
        call = event["delta"]["message"]["tool_calls"]
        function = call["function"]
        arguments = _str(function.get("arguments") or "")
        number, self._calls = self._calls, self._calls + 1
        self._open[event["index"]] = _OpenCall(number, bool(arguments))
        return self._fragment(ToolCallDelta(number, _str(call["id"]), _str(function["name"]), arguments))

    def _arguments(self, event: Mapping[str, Any]) -> Delta | None:
        arguments = _str(event["delta"]["message"]["tool_calls"]["function"]["arguments"])
        call = self._open[event["index"]]
        if not arguments:
            return None
        call.said = True
        return self._fragment(ToolCallDelta(call.number, arguments=arguments))

    def _called(self, event: Mapping[str, Any]) -> Delta | None:
        call = self._open.pop(event["index"])
        return None if call.said else self._fragment(ToolCallDelta(call.number, arguments="{}"))

    def _cite(self, event: Mapping[str, Any]) -> None:
        self._citations.append(event["delta"]["message"]["citations"])

    def _finish(self, event: Mapping[str, Any]) -> Delta:
        said = event["delta"]
        reason = _finish(said["finish_reason"], self._calls > 0, said.get("error"))
        if self._open:
            raise BadAnswer("the answer ended inside a tool call")
        self.finished = True
        extra = _extra("".join(self._thoughts), "".join(self._plan), self._citations)
        usage = _usage(said.get("usage")) or None
        return Delta(finish_reason=reason, usage=usage, id=self._id, extra=extra)

    def _fragment(self, fragment: ToolCallDelta) -> Delta:
        return Delta(tool_calls=(fragment,), id=self._id)


_EVENTS = MappingProxyType(
    {
        "message-start": CohereReader._begin,
        "content-start": CohereReader._start,
        "tool-plan-delta": CohereReader._planned,
        "tool-call-start": CohereReader._call,
        "tool-call-delta": CohereReader._arguments,
        "tool-call-end": CohereReader._called,
        "citation-start": CohereReader._cite,
        "message-end": CohereReader._finish,
    }
)


class _OpenCall:
    """A tool call between its start and its end."""

    __slots__ = ("number", "said")

    def __init__(self, number: int, said: bool) -> None:
        self.number = number
        self.said = said


def _str(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("not a string")
    return value
