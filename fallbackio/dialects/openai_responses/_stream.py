"""A streamed response, read: bytes in, deltas out.

Events say by their `type` what they are; types unknown here are passed over.  Only `response.completed`
and `response.incomplete` end an answer, and they repeat it whole: what a server has not streamed comes
out of them.
"""

from __future__ import annotations

from typing import Any

import orjson

from fallbackio.dialects._shared import logprobs_of, refuse_swallowed
from fallbackio.dialects._sse import SSEDecoder
from fallbackio.dialects.openai._values import string
from fallbackio.dialects.openai_responses._answer import created_of, extra_of, finish_of, usage_of
from fallbackio.dialects.openai_responses._errors import failed
from fallbackio.dialects.openai_responses._said import CALLS, Said, call_id_of, said_in
from fallbackio.errors import BadAnswer
from fallbackio.model import Delta, ToolCallDelta

__all__ = ["ResponsesReader"]

Event = dict[str, Any]

_THOUGHTS = {
    "response.reasoning_summary_text.delta": "summary_index",
    "response.reasoning_text.delta": "content_index",
}
_ARGUMENTS = {
    "response.function_call_arguments.delta": "function",
    "response.custom_tool_call_input.delta": "custom",
}
_ENDS = {"response.completed": "completed", "response.incomplete": "incomplete"}
_OPENINGS = ("response.created", "response.in_progress", "response.queued")


class ResponsesReader:
    """One streamed answer; `finished` turns true at the event that repeats it whole."""

    def __init__(self) -> None:
        self.finished = False
        self._sse = SSEDecoder()
        self._id = ""
        self._model = ""
        self._created = 0
        # The part of the reasoning that was shown last; a blank line goes between two.
        self._thought: tuple[str, int, int] | None = None
        # Position among the output items → number of the call there; and, per number, whether its
        # arguments have been shown.
        self._calls: dict[int, int] = {}
        self._argued: list[bool] = []
        self._spoke = self._refused = self._scored = False
        # Items as they were finished, for servers that end without repeating them.
        self._items: list[Any] = []

    def feed(self, chunk: bytes) -> list[Delta]:
        """The deltas that `chunk` completes; empty for keep-alives and what shows nothing."""
        deltas: list[Delta] = []
        events = [] if self.finished else self._sse.feed(chunk)
        for name, data in events:
            self._event(name, data, deltas)
            if self.finished:
                break
        return deltas

    def end(self) -> list[Delta]:
        """The body has ended; raises `BadAnswer` if the answer was not finished."""
        if not self.finished:
            raise BadAnswer("the stream ended without response.completed")
        return []

    def _event(self, name: str, data: bytes, deltas: list[Delta]) -> None:
        if not data or data.startswith(b"[DONE]"):
            return
        try:
            event = orjson.loads(data)
        except orjson.JSONDecodeError:
            raise BadAnswer("an event of the stream is no JSON") from None
        if type(event) is not dict:
            raise BadAnswer("an event of the stream is no object")
        kind = event.get("type")
        if kind == "response.output_text.delta":
            text = event.get("delta")
            if type(text) is str and text:
                self._spoke = True
                deltas.append(self._delta(text, logprobs=self._scores(event.get("logprobs"))))
            return
        self._other(kind if type(kind) is str and kind else name, event, deltas)

    def _other(self, kind: str, event: Event, deltas: list[Delta]) -> None:
        if kind in _THOUGHTS:
            self._think(kind, event, deltas)
        elif kind in _ARGUMENTS:
            self._argue(_ARGUMENTS[kind], event, deltas)
        elif kind == "response.refusal.delta":
            if refusal := string(event.get("delta")):
                self._refused = True
                deltas.append(self._delta(refusal=refusal))
        elif kind == "response.output_item.added":
            self._add(event, deltas)
        elif kind == "response.output_item.done":
            self._items.append(event.get("item"))
            self._add(event, deltas)
        elif kind in _OPENINGS:
            self._introduce(_response(event))
        elif kind in _ENDS:
            self._end(_ENDS[kind], _response(event), deltas)
        elif kind == "response.failed":
            raise failed(_response(event).get("error"))
        elif kind == "error" or event.get("error"):
            raise failed(event.get("error") or event)

    def _delta(
        self,
        text: str = "",
        calls: tuple[ToolCallDelta, ...] = (),
        reasoning: str = "",
        refusal: str = "",
        logprobs: dict[str, Any] | None = None,
    ) -> Delta:
        said = (text, calls, None, None, reasoning, refusal, 0, self._id, self._model, self._created)
        return Delta(*said) if logprobs is None else Delta(*said, logprobs=logprobs)

    def _scores(self, tokens: object) -> dict[str, Any] | None:
        if not tokens or type(tokens) is not list:
            return None
        self._scored = True
        return logprobs_of(tokens)

    def _introduce(self, response: Event) -> None:
        self._id = self._id or string(response.get("id"))
        self._model = self._model or string(response.get("model"))
        self._created = self._created or created_of(response)

    def _think(self, kind: str, event: Event, deltas: list[Delta]) -> None:
        if not (text := string(event.get("delta"))):
            return
        place = (kind, _place(event), _place(event, _THOUGHTS[kind]))
        between = "\n\n" if self._thought not in (None, place) else ""
        self._thought = place
        deltas.append(self._delta(reasoning=between + text))

    def _argue(self, kind: str, event: Event, deltas: list[Delta]) -> None:
        number = self._calls.get(_place(event))
        if number is None:
            raise BadAnswer("arguments of a call that has not begun")
        if text := string(event.get("delta")):
            self._argued[number] = True
            deltas.append(self._delta(calls=(ToolCallDelta(number, arguments=text, type=kind),)))

    def _add(self, event: Event, deltas: list[Delta]) -> None:
        """A call's id and name when its item is new, and arguments that were not streamed."""
        item = event.get("item")
        known = CALLS.get(string(item.get("type"))) if type(item) is dict else None
        if known is None:
            return
        assert type(item) is dict  # noqa: S101 - known says so
        kind, payload = known
        place = _place(event)
        number = self._calls.get(place)
        call_id = name = ""
        if number is None:
            number = self._calls[place] = len(self._argued)
            self._argued.append(False)
            call_id, name = call_id_of(item, number, self._id), string(item.get("name"))
        arguments = "" if self._argued[number] else string(item.get(payload))
        self._argued[number] = self._argued[number] or bool(arguments)
        if call_id or arguments:
            deltas.append(self._delta(calls=(ToolCallDelta(number, call_id, name, arguments, kind),)))

    def _end(self, status: str, response: Event, deltas: list[Delta]) -> None:
        if error := response.get("error"):
            raise failed(error)
        self._introduce(response)
        output = response.get("output")
        if type(output) is not list or not output:
            output = self._items
        said = said_in(output, self._id)
        finish = finish_of(response, status, said)
        if finish == "stop" and not (output or self._spoke or self._refused):
            raise BadAnswer("a response with nothing in it")
        streamed = self._spoke or self._refused or self._argued
        refuse_swallowed(finish, streamed or said.text or said.calls or said.refusal, code=finish)
        deltas += self._unsaid(said)
        deltas.append(
            Delta(
                finish_reason="tool_calls" if finish == "stop" and self._argued else finish,
                usage=usage_of(response.get("usage")) or None,
                id=self._id,
                model=self._model,
                created=self._created,
                extra=extra_of(said, output, self._model),
                logprobs=None if self._scored else logprobs_of(said.logprobs),
            )
        )
        self.finished = True

    def _unsaid(self, said: Said) -> list[Delta]:
        """What only the event at the end says."""
        calls = said.calls if not self._argued else ()
        text = "" if self._spoke else said.text
        refusal = "" if self._refused else said.refusal
        reasoning = said.reasoning if self._thought is None else ""
        if not (calls or text or refusal or reasoning):
            return []
        parts = [
            ToolCallDelta(number, call.id, call.name, call.arguments, call.type)
            for number, call in enumerate(calls)
        ]
        return [self._delta(text, tuple(parts), reasoning, refusal)]


def _response(event: Event) -> Event:
    response = event.get("response")
    if type(response) is not dict:
        raise BadAnswer("an event of the stream without its response")
    return response


def _place(event: Event, name: str = "output_index") -> int:
    """Which output item, or which part of it, an event speaks of."""
    place = event.get(name)
    return place if type(place) is int else 0
