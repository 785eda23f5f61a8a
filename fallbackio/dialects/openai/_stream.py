"""OpenAI's streamed answers, read: bytes in, deltas out.

Three rules bite in practice.  An answer is whole when every choice it showed has its finish reason,
with or without `[DONE]`; one that ends before is a break (rule 7), never a success.  Usage comes out
once, at the end, because several vendors send a running count with every chunk.  And a tool call is
what has an id of its own: the index, which is what OpenAI counts by, is missing or always 0 elsewhere.
"""

from __future__ import annotations

from typing import Any

import orjson

from fallbackio.dialects._shared import count, refuse_swallowed
from fallbackio.dialects._sse import SSEDecoder
from fallbackio.dialects.openai._errors import in_band
from fallbackio.dialects.openai._values import (
    arguments_of,
    content_of,
    finish_of,
    function_of,
    logprobs_in,
    string,
    usage_of,
)
from fallbackio.errors import BadAnswer
from fallbackio.model import Delta, ToolCallDelta, Usage

__all__ = ["OpenAIReader"]


class OpenAIReader:
    """One streamed answer; `finished` turns true at `[DONE]` or in `end`."""

    def __init__(self) -> None:
        self.finished = False
        self._sse = SSEDecoder()
        # Choices that have shown anything, and those of them that have their finish reason.
        self._seen: set[int] = set()
        self._ended: set[int] = set()
        # Whether anything was said, and whether an end was a filter's.
        self._spoke = self._filtered = self._promised = False
        self._calls: dict[int, _Calls] = {}
        self._usage: object = None
        # What a vendor says besides the answer; whoever reads a variant of the format fills it.
        self._extra: dict[str, Any] = {}
        # The same on all events that have them; Azure's first has none.
        self._id = ""
        self._model = ""
        self._created = 0

    def feed(self, chunk: bytes) -> list[Delta]:
        """The deltas that `chunk` completes; empty for keep-alives and role-only events."""
        deltas: list[Delta] = []
        if self.finished:
            return deltas
        for name, data in self._sse.feed(chunk):
            if data.startswith(b"[DONE]"):
                return deltas + self._close()
            if data:
                self._event(name, data, deltas)
        return deltas

    def end(self) -> list[Delta]:
        """The last delta, if any is left; raises `BadAnswer` if the answer was not finished."""
        return [] if self.finished else self._close()

    def _close(self) -> list[Delta]:
        if not self._ended or self._seen - self._ended:
            raise BadAnswer("the stream ended without its finish reason")
        if self._filtered:
            refuse_swallowed("content_filter", self._spoke, code="content_filter")
        if self._promised and not self._spoke:
            raise BadAnswer("an answer that ends with tool_calls and has none")
        self.finished = True
        usage = usage_of(self._usage)
        return [self._last(usage or None)] if usage or self._extra else []

    def _last(self, usage: Usage | None) -> Delta:
        return Delta(usage=usage, id=self._id, model=self._model, created=self._created, extra=self._extra)

    def _event(self, name: str, data: bytes, deltas: list[Delta]) -> None:
        try:
            event = orjson.loads(data)
        except orjson.JSONDecodeError:
            raise BadAnswer("an event of the stream is no JSON") from None
        if type(event) is not dict:
            raise BadAnswer("an event of the stream is no object")
        if event.get("error") or name == "error":
            raise in_band(event)
        if (usage := _usage_in(event)) is not None:
            self._usage = usage
        choices = event.get("choices")
        # None on usage, on Azure's prompt filter, and where a vendor says something of its own.
        if not choices or type(choices) is not list:
            self._aside(event)
            return
        if not self._id:
            self._introduce(event)
        for choice in choices:
            if type(choice) is dict:
                self._choice(choice, deltas)

    def _aside(self, event: dict[str, Any]) -> None:
        """An event without choices; nothing of it is part of the answer."""

    def _introduce(self, event: dict[str, Any]) -> None:
        self._id = string(event.get("id"))
        self._model = string(event.get("model")) or self._model
        self._created = count(event.get("created")) or self._created

    def _choice(self, choice: dict[str, Any], deltas: list[Delta]) -> None:
        index = count(choice.get("index"))
        self._seen.add(index)
        # MiniMax ends with a whole `message` in place of a delta, which repeats what was sent.
        delta = choice.get("delta")
        if type(delta) is not dict:
            delta = {}
        text = delta.get("content")
        # Nearly every event is a piece of text and nothing else.  The arguments go by position,
        # since eleven keywords would take a fifth longer.
        if (
            len(delta) == 1
            and type(text) is str
            and not choice.get("finish_reason")
            and not choice.get("logprobs")
        ):
            if text:
                self._spoke = True
                deltas.append(
                    Delta(text, (), None, None, "", "", index, self._id, self._model, self._created)
                )
            return
        if (mixed := self._mixed(index, choice, delta)) is not None:
            deltas.append(mixed)

    def _mixed(self, index: int, choice: dict[str, Any], delta: dict[str, Any]) -> Delta | None:
        finish = finish_of(choice)
        if index in self._ended:
            finish = None
        elif finish is not None:
            self._ended.add(index)
            self._filtered = self._filtered or finish == "content_filter"
            self._promised = self._promised or finish == "tool_calls"
        text, thought = content_of(delta.get("content"))
        reasoning = thought or string(delta.get("reasoning_content")) or string(delta.get("reasoning"))
        refusal = string(delta.get("refusal"))
        parts = delta.get("tool_calls")
        calls = self._calls.setdefault(index, _Calls()).take(parts) if parts else ()
        self._spoke = self._spoke or bool(text or calls or refusal)
        scores = logprobs_in(choice)
        if not (text or calls or reasoning or refusal or scores or finish is not None):
            return None
        return Delta(
            text,
            calls,
            finish,
            None,
            reasoning,
            refusal,
            index,
            self._id,
            self._model,
            self._created,
            logprobs=scores,
        )


def _usage_in(event: dict[str, Any]) -> object:
    usage = event.get("usage")
    if usage is None and "x_groq" in event:
        # Groq, which does not take stream_options, puts it on the finishing chunk, here.
        groq = event["x_groq"]
        return groq.get("usage") if type(groq) is dict else None
    return usage


class _Calls:
    """The tool calls of one choice: which call each fragment belongs to.

    Calls are counted from 0 in the order in which they appear, whatever the provider counts by.
    """

    def __init__(self) -> None:
        # Provider's index → the call that had it last.
        self._latest: dict[int, int] = {}
        # Per call: its id, empty until known, and whether its name has been told.
        self._ids: list[str] = []
        self._named: list[bool] = []

    def take(self, parts: object) -> tuple[ToolCallDelta, ...]:
        """The fragments in `parts`; id and name come with the first of a call only."""
        if type(parts) is not list:
            raise BadAnswer("tool calls that are no list")
        taken = [self._fragment(part) for part in parts]
        return tuple([part for part in taken if part.id or part.name or part.arguments])

    def _fragment(self, part: Any) -> ToolCallDelta:
        function, kind = function_of(part)
        call_id = string(part.get("id"))
        name = string(function.get("name"))
        call = self._place(part.get("index"), call_id, name)
        known, told = self._ids[call], self._named[call]
        self._ids[call] = known or call_id
        self._named[call] = told or bool(name)
        return ToolCallDelta(
            call, "" if known else call_id, "" if told else name, arguments_of(function), kind
        )

    def _place(self, index: object, call_id: str, name: str) -> int:
        if type(index) is int:
            call = self._latest.get(index)
            if call is not None and self._continues(call, call_id):
                return call
            # Every index 0: the id tells a call that goes on from a new one.
            if call is not None and call_id in self._ids:
                return self._ids.index(call_id)
            self._latest[index] = len(self._ids)
            return self._new()
        if call_id and call_id in self._ids:
            return self._ids.index(call_id)
        # No index: a whole call, unless nothing names it, then more of the last one.
        return self._new() if call_id or name or not self._ids else len(self._ids) - 1

    def _continues(self, call: int, call_id: str) -> bool:
        return not call_id or self._ids[call] in ("", call_id)

    def _new(self) -> int:
        self._ids.append("")
        self._named.append(False)
        return len(self._ids) - 1
