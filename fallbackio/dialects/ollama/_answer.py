"""Ollama's answers, read: a whole one by `reply_of`, a streamed one, line by line, by `OllamaReader`.

Three rules bite in practice: an answer is whole when a line says `done`, tool calls come whole and
often without ids, and an answer whose `done_reason` is `load` is none: the model was only loaded.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from hashlib import blake2b
from types import MappingProxyType
from typing import Any

import orjson

from fallbackio.dialects._ndjson import LineDecoder
from fallbackio.dialects._shared import count, json_object, logprobs_of
from fallbackio.dialects._state import state_of
from fallbackio.dialects.ollama._errors import in_band
from fallbackio.errors import BadAnswer
from fallbackio.model import Choice, Delta, FunctionCall, Message, Reply, ToolCall, ToolCallDelta, Usage

__all__ = ["OllamaReader", "reply_of"]

# Ends that are no answer, though nothing failed.
_NO_ANSWER: Mapping[str, str] = MappingProxyType(
    {"load": "the model was loaded and said nothing", "unload": "the model was unloaded"}
)

_KNOWN = frozenset(
    {
        *("model", "created_at", "message", "done", "done_reason", "logprobs"),
        *("prompt_eval_count", "eval_count"),
    }
)

# What reading an answer of the wrong shape ends in; orjson reads deeper nesting than it writes.
_MALFORMED = (KeyError, TypeError, AttributeError, ValueError)


def reply_of(body: bytes) -> Reply:
    """The reply that a plain answer holds.

    Raises:
        AttemptError: What an error inside a 200 stands for, or `BadAnswer` for anything else that is
            not a whole message.
    """
    answer = json_object(body)
    if answer.get("error"):
        raise in_band(answer["error"])
    try:
        return _reply(answer)
    except _MALFORMED as error:
        raise BadAnswer(f"a JSON object that is no whole message ({type(error).__name__})") from None


def _reply(answer: dict[str, Any]) -> Reply:
    if answer.get("done") is not True:
        raise BadAnswer("a message that is not done")
    said = answer["message"]
    model = _str(answer.get("model") or "")
    calls = _calls(said.get("tool_calls"), answer.get("created_at"), 0)
    thinking = _str(said.get("thinking") or "")
    text = _str(said.get("content") or "")
    message = Message(
        content=text if text or not calls else None,
        tool_calls=tuple([ToolCall(call.id, FunctionCall(call.name, call.arguments)) for call in calls]),
        reasoning=thinking or None,
        extra=state_of("ollama", model, {"thinking": thinking}) if thinking else {},
    )
    scores = logprobs_of(answer.get("logprobs"))
    extra = {"logprobs": scores} if scores else {}
    return Reply(
        model=model,
        choices=(Choice(message, _finish(answer.get("done_reason"), bool(calls)), extra=extra),),
        usage=_usage(answer),
        created=_epoch(answer.get("created_at")),
        extra={name: value for name, value in answer.items() if name not in _KNOWN},
    )


def _calls(calls: Any, created_at: object, before: int) -> list[ToolCallDelta]:
    """Whole calls, the first of them number `before`."""
    return [_call(call, created_at, before + at) for at, call in enumerate(calls or ())]


def _call(call: Mapping[str, Any], created_at: object, number: int) -> ToolCallDelta:
    function = call["function"]
    arguments = function.get("arguments")
    if not isinstance(arguments, str):
        arguments = orjson.dumps(arguments or {}).decode()
    name = _str(function["name"])
    call_id = _str(call.get("id") or "") or _made_id(f"{created_at}\n{number}\n{name}\n{arguments}")
    return ToolCallDelta(number, call_id, name, arguments)


def _made_id(seed: str) -> str:
    """An id for a call without one; the instant in its seed keeps the same call of a later turn apart."""
    return f"call_{blake2b(seed.encode(errors='surrogatepass'), digest_size=9).hexdigest()}"


def _finish(reason: object, called: bool) -> str:
    """OpenAI's word; older servers give no reason, and none says that it ended with calls."""
    said = _str(reason or "stop")
    if said in _NO_ANSWER:
        raise BadAnswer(_NO_ANSWER[said])
    return "tool_calls" if called and said == "stop" else said


def _usage(answer: Mapping[str, Any]) -> Usage:
    return Usage(
        prompt_tokens=count(answer.get("prompt_eval_count")),
        completion_tokens=count(answer.get("eval_count")),
    )


def _epoch(created_at: object) -> int:
    """Seconds since the epoch; 0 for what is no instant with its zone."""
    try:
        instant = datetime.fromisoformat(_str(created_at))
        return int(instant.timestamp()) if instant.tzinfo is not None else 0
    except (TypeError, ValueError, OverflowError):
        return 0


class OllamaReader:
    """One streamed answer: bytes in, deltas out; see `StreamReader` for the contract.

    Finish reason and usage come as the last delta.
    """

    def __init__(self) -> None:
        self.finished = False
        self._decoder = LineDecoder()
        self._model = ""
        self._created: int | None = None  # until the first line
        self._thoughts: list[str] = []
        self._calls = 0

    def feed(self, chunk: bytes) -> list[Delta]:
        """The deltas that `chunk` completes."""
        deltas: list[Delta] = []
        for line in self._decoder.feed(chunk):
            if self.finished:
                break
            self._line(line, deltas)
        return deltas

    def end(self) -> list[Delta]:
        """The last delta, if only its line break was missing; else `BadAnswer`."""
        deltas: list[Delta] = []
        if not self.finished and (rest := self._decoder.rest()):
            self._line(rest, deltas)
        if not self.finished:
            raise BadAnswer("the stream ended before its answer did")
        return deltas

    def _line(self, line: bytes, deltas: list[Delta]) -> None:
        try:
            said = orjson.loads(line)
            if (error := said.get("error")) is not None:
                raise in_band(error)
            self._read(said, deltas)
        except _MALFORMED:
            raise BadAnswer(f"a malformed line of {len(line):,} bytes in the stream") from None

    def _read(self, said: dict[str, Any], deltas: list[Delta]) -> None:
        created = self._created
        if created is None:
            self._model = _str(said.get("model") or "")
            created = self._created = _epoch(said.get("created_at"))
        done = said["done"]
        message = said.get("message")
        if message is not None and (delta := self._piece(message, said, created)) is not None:
            deltas.append(delta)
        if done is True:
            deltas.append(self._finish(said, created))
        elif done is not False:
            raise TypeError("neither done nor not")

    def _piece(self, message: Mapping[str, Any], said: Mapping[str, Any], created: int) -> Delta | None:
        text = message.get("content")
        thinking = message.get("thinking")
        calls = message.get("tool_calls")
        scores = logprobs_of(said["logprobs"]) if said.get("logprobs") else None
        if not (text or thinking or calls or scores):
            return None
        fragments = tuple(_calls(calls, said.get("created_at"), self._calls)) if calls else ()
        self._calls += len(fragments)
        if thinking:
            self._thoughts.append(_str(thinking))
        # By position, since keywords would take a fifth longer.
        piece = (_str(text or ""), fragments, None, None, thinking or "", "", 0, "", self._model, created)
        return Delta(*piece) if scores is None else Delta(*piece, logprobs=scores)

    def _finish(self, said: Mapping[str, Any], created: int) -> Delta:
        reason = _finish(said.get("done_reason"), self._calls > 0)
        self.finished = True
        thinking = "".join(self._thoughts)
        return Delta(
            finish_reason=reason,
            usage=_usage(said) or None,
            model=self._model,
            created=created,
            extra=state_of("ollama", self._model, {"thinking": thinking}) if thinking else {},
        )


def _str(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("not a string")
    return value
