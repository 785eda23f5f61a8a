"""Gemini's answers, read: a whole one by `reply_of`, a streamed one by `GeminiReader`.

Both hold candidates of the same form, whole or in pieces.  Tool calls without an id get one that is
made of the answer's id and their place in it.  What Google wants back unchanged (signatures of
thoughts, its own ids of calls) is kept under `provider_state`; sources and citations go to `extra`.

A stream has no terminator: it is complete when every candidate has its finish reason and the body
ends, so `finished` is true from `end` on and not before.  The finish reason comes as soon as it is
said, with the usage known then; a closing chunk with other usage gives one more delta.
Two rules bite in practice: STOP with nothing said is no answer, and a filter that left nothing of
the answer is `ContentFiltered`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from fallbackio.dialects._shared import count, json_object, logprobs_of, refuse_swallowed, short
from fallbackio.dialects._sse import SSEDecoder
from fallbackio.dialects._state import state_of
from fallbackio.dialects.gemini._errors import in_band, unwrapped
from fallbackio.dialects.gemini._messages import DIALECT
from fallbackio.errors import AttemptError, AuthFailed, BadAnswer, ContentFiltered
from fallbackio.model import (
    NO_USAGE,
    Choice,
    Delta,
    FunctionCall,
    Message,
    Reply,
    ToolCall,
    ToolCallDelta,
    Usage,
)

__all__ = ["GeminiReader", "reply_of"]

# OpenAI's word for each finish reason; one that is nowhere here is passed on as it is.
_FINISHES: Mapping[str, str] = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "CONTINUATION": "length",
    "SAFETY": "content_filter",
    "RECITATION": "content_filter",
    "BLOCKLIST": "content_filter",
    "PROHIBITED_CONTENT": "content_filter",
    "SPII": "content_filter",
    "LANGUAGE": "content_filter",
    "IMAGE_SAFETY": "content_filter",
    "IMAGE_PROHIBITED_CONTENT": "content_filter",
    "IMAGE_RECITATION": "content_filter",
    "MODEL_ARMOR": "content_filter",
    "ESCALATION": "content_filter",
}

# Ends that leave no usable answer.
_FAILED: Mapping[str, type[AttemptError]] = {
    "FINISH_REASON_UNSPECIFIED": BadAnswer,
    "MALFORMED_FUNCTION_CALL": BadAnswer,
    "MALFORMED_RESPONSE": BadAnswer,
    "UNEXPECTED_TOOL_CALL": BadAnswer,
    "TOO_MANY_TOOL_CALLS": BadAnswer,
    "MISSING_THOUGHT_SIGNATURE": BadAnswer,
    "OTHER": BadAnswer,
    "NO_IMAGE": BadAnswer,
    "IMAGE_OTHER": BadAnswer,
    "PUP_LIMITED_DISABLED": AuthFailed,  # the account is limited
}

_KNOWN = frozenset({"candidates", "usageMetadata", "modelVersion", "responseId"})

# What of a candidate belongs to the message; safety ratings come on every piece and say little.
_KEPT = frozenset({"groundingMetadata", "citationMetadata", "urlContextMetadata", "continuationToken"})

# As far into a stream we look for an error object that came in place of an event.
_HEAD_BYTES = 65536
_BARE_JSON = re.compile(rb"(?:^|[\r\n])\s*([\[{])")


def reply_of(body: bytes) -> Reply:
    """The reply that a plain answer holds.

    Raises:
        AttemptError: What an error inside a 200 or a blocked prompt stands for, or `BadAnswer` for
            anything else that is no whole answer.
    """
    answer = json_object(_out_of_list(body))
    try:
        _refuse(answer)
        return _reply(answer)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise BadAnswer(f"a JSON object that is no whole answer ({type(error).__name__})") from None


def _out_of_list(body: bytes) -> bytes:
    text = body.strip()
    return text[1:-1] if text.startswith(b"[") and text.endswith(b"]") else body


def _refuse(answer: Mapping[str, Any]) -> None:
    """Raise what an answer stands for that is none."""
    if "error" in answer:
        raise in_band(answer)
    feedback = answer.get("promptFeedback")
    if feedback and not answer.get("candidates") and (reason := feedback.get("blockReason")):
        message = feedback.get("blockReasonMessage") or "the prompt was blocked"
        raise ContentFiltered(short(_str(message)), code=_str(reason))


def _reply(answer: dict[str, Any]) -> Reply:
    answer_id, model = _str(answer.get("responseId") or ""), _str(answer.get("modelVersion") or "")
    choices = []
    candidates = []
    for position, said in enumerate(answer.get("candidates") or ()):
        candidate = _Candidate(said.get("index", position), answer_id)
        candidates.append(candidate)
        choices.append(_choice(candidate, said, model))
    if not choices:
        raise BadAnswer("an answer without candidates")
    _refuse_empty(candidates)
    return Reply(
        id=answer_id,
        model=model,
        choices=tuple(choices),
        usage=_usage(answer.get("usageMetadata")),
        extra={name: value for name, value in answer.items() if name not in _KNOWN and value is not None},
    )


def _choice(candidate: _Candidate, said: Mapping[str, Any], model: str) -> Choice:
    text, thought, calls = candidate.read(said)
    if candidate.reason is None:
        raise BadAnswer("a candidate without a finishReason")
    message = Message(
        content=text if text or not calls else None,
        tool_calls=tuple([ToolCall(call.id, FunctionCall(call.name, call.arguments)) for call in calls]),
        reasoning=thought or None,
        extra=candidate.beside(model),
    )
    scores = _logprobs(said.get("logprobsResult"))
    return Choice(message, candidate.finish, candidate.index, {"logprobs": scores} if scores else {})


def _logprobs(result: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """OpenAI's form; the likeliest of each place stand in a list beside the chosen."""
    if not result:
        return None
    likeliest = [place.get("candidates") or [] for place in result.get("topCandidates") or ()]
    chosen = result.get("chosenCandidates") or ()
    content = []
    for position, token in enumerate(chosen):
        beside = likeliest[position] if position < len(likeliest) else []
        content.append({**_logprob(token), "top_logprobs": [_logprob(other) for other in beside]})
    return logprobs_of(content)


def _logprob(token: Mapping[str, Any]) -> dict[str, Any]:
    text = _str(token.get("token", ""))
    known = {"token": text, "logprob": token.get("logProbability", 0.0)}
    return {**known, "bytes": list(text.encode(errors="surrogatepass"))}


def _usage(counts: object) -> Usage:
    if type(counts) is not dict:
        return NO_USAGE
    thoughts = count(counts.get("thoughtsTokenCount"))
    return Usage(
        prompt_tokens=count(counts.get("promptTokenCount")) + count(counts.get("toolUsePromptTokenCount")),
        completion_tokens=count(counts.get("candidatesTokenCount")) + thoughts,
        cached_tokens=count(counts.get("cachedContentTokenCount")),
        reasoning_tokens=thoughts,
    )


class _Candidate:
    """One candidate, read whole or in pieces.

    Attributes:
        index: Its number.
        reason: Google's finish reason, `None` until it is said.
        said: It has said something that is an answer: text, a call, a picture.
    """

    __slots__ = ("_answer_id", "_calls", "_kept", "_state", "index", "reason", "said")

    def __init__(self, index: object, answer_id: str) -> None:
        if type(index) is not int:
            raise TypeError("not a number")
        self.index = index
        self.reason: str | None = None
        self.said = False
        self._answer_id = answer_id
        self._calls = 0
        self._state: dict[str, Any] = {}
        self._kept: dict[str, Any] = {}

    def read(self, candidate: Mapping[str, Any]) -> tuple[str, str, list[ToolCallDelta]]:
        """Text, reasoning and whole calls of a piece; raises for an end that is a failure."""
        text = thought = ""
        calls: list[ToolCallDelta] = []
        content = candidate.get("content")
        for part in (content.get("parts") or ()) if content else ():
            piece = part.get("text")
            if piece is None:
                self._other(part, calls)
            elif part.get("thought"):
                thought += piece
            else:
                text += piece
                if "thoughtSignature" in part:
                    self._state["signature"] = _str(part["thoughtSignature"])
        if text:
            self.said = True
        for name in _KEPT & candidate.keys():
            self._kept[name] = candidate[name]
        if reason := candidate.get("finishReason"):
            self._end(_str(reason))
        return text, thought, calls

    @property
    def finish(self) -> str:
        """OpenAI's word for the finish reason."""
        if self._calls and self.reason == "STOP":
            return "tool_calls"
        return _FINISHES.get(self.reason or "", self.reason or "")

    def beside(self, model: str) -> dict[str, Any]:
        """What goes with the message: sources, other parts, what Google wants back."""
        return {**self._kept, **(state_of(DIALECT, model, self._state) if self._state else {})}

    def _other(self, part: Mapping[str, Any], calls: list[ToolCallDelta]) -> None:
        call = part.get("functionCall")
        if call is not None:
            calls.append(self._call(call, part.get("thoughtSignature")))
        elif part.keys() - {"thought", "thoughtSignature"}:
            # Code that Google ran, pictures: nothing of OpenAI's says it.
            self.said = True
            self._kept.setdefault("parts", []).append(part)

    def _call(self, call: Mapping[str, Any], signature: object) -> ToolCallDelta:
        name = _str(call["name"])
        arguments = orjson.dumps(_dict(call.get("args") or {})).decode()
        call_id = _str(call.get("id") or "")
        if call_id:
            self._state.setdefault("ids", []).append(call_id)
        else:
            call_id = self._made_id(name, arguments)
        if signature is not None:
            self._state.setdefault("signatures", {})[call_id] = _str(signature)
        self.said = True
        self._calls += 1
        return ToolCallDelta(self._calls - 1, call_id, name, arguments)

    def _made_id(self, name: str, arguments: str) -> str:
        """The same for the same answer, so that an answer read twice is one answer."""
        place = f"{self._answer_id}/{self.index}/{self._calls}/{name}/{arguments}"
        return f"call_{hashlib.blake2b(place.encode(errors='surrogatepass'), digest_size=12).hexdigest()}"

    def _end(self, reason: str) -> None:
        if (failed := _FAILED.get(reason)) is not None:
            raise failed(f"the answer ended with {reason}", code=reason)
        self.reason = reason


def _refuse_empty(candidates: Iterable[_Candidate]) -> None:
    """Raise if all have ended, one of them in vain, and none has said anything."""
    reasons = []
    for candidate in candidates:
        if candidate.said or candidate.reason is None:
            return
        reasons.append(candidate.reason)
    filtered = [reason for reason in reasons if _FINISHES.get(reason) == "content_filter"]
    if filtered:
        refuse_swallowed("content_filter", False, code=filtered[0])
    if "STOP" in reasons:
        raise BadAnswer("an answer that says nothing", code="STOP")


class GeminiReader:
    """One streamed answer: bytes in, deltas out; see `StreamReader` for the contract."""

    def __init__(self) -> None:
        self.finished = False
        self._decoder = SSEDecoder()
        self._id = self._model = ""
        self._candidates: dict[int, _Candidate] = {}
        self._counts: object = None  # the last usage that was said
        # The first of what has come: an error may stand there without being an event.
        self._head = bytearray()

    def feed(self, chunk: bytes) -> list[Delta]:
        """The deltas that `chunk` completes."""
        deltas: list[Delta] = []
        if self.finished:
            return deltas
        if len(self._head) < _HEAD_BYTES:
            self._head += chunk
        for _, data in self._decoder.feed(chunk):
            if not data:
                continue  # a keep-alive of some proxies
            try:
                self._read(orjson.loads(data), deltas)
            except (KeyError, TypeError, AttributeError, ValueError):
                raise BadAnswer(f"a malformed event of {len(data):,} bytes in the stream") from None
        return deltas

    def end(self) -> list[Delta]:
        """Nothing, if every candidate has ended."""
        if not self.finished:
            if not self._has_ended:
                raise self._bare_error() or BadAnswer("the stream ended before its answer did")
            self.finished = True
        return []

    @property
    def _has_ended(self) -> bool:
        return bool(self._candidates) and all(one.reason is not None for one in self._candidates.values())

    def _read(self, event: Any, deltas: list[Delta]) -> None:
        if type(event) is list:
            event = unwrapped(event)
        candidates = event.get("candidates")
        if not self._id:
            self._id, self._model = _str(event.get("responseId") or ""), _str(event.get("modelVersion") or "")
        counts = event.get("usageMetadata")
        if counts is not None:
            self._counts = counts
        if candidates:
            for candidate in candidates:
                self._piece(candidate, deltas)
            return
        _refuse(event)
        if counts is not None and self._has_ended:
            deltas.append(Delta(usage=_usage(counts), id=self._id, model=self._model))

    def _piece(self, piece: Mapping[str, Any], deltas: list[Delta]) -> None:
        index = piece.get("index", 0)
        candidate = self._candidates.get(index)
        if candidate is None:
            candidate = self._candidates[index] = _Candidate(index, self._id)
        text, thought, calls = candidate.read(piece)
        scores = _logprobs(piece["logprobsResult"]) if "logprobsResult" in piece else None
        if "finishReason" in piece and candidate.reason is not None:
            _refuse_empty(self._candidates.values())
            deltas.append(
                Delta(
                    text,
                    tuple(calls),
                    candidate.finish,
                    _usage(self._counts) if self._counts is not None else None,
                    thought,
                    index=index,
                    id=self._id,
                    model=self._model,
                    extra=candidate.beside(self._model),
                    logprobs=scores,
                )
            )
        elif text or thought or calls or scores:
            deltas.append(
                Delta(
                    text,
                    tuple(calls),
                    reasoning=thought,
                    index=index,
                    id=self._id,
                    model=self._model,
                    logprobs=scores,
                )
            )

    def _bare_error(self) -> AttemptError | None:
        """The error that came as JSON where an event should have been."""
        head = bytes(self._head[:_HEAD_BYTES])
        begins = _BARE_JSON.search(head)
        if begins is None:
            return None
        try:
            said = unwrapped(orjson.loads(head[begins.start(1) :]))
        except orjson.JSONDecodeError:
            return None
        return in_band(said) if isinstance(said, dict) and "error" in said else None


def _str(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("not a string")
    return value


def _dict(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TypeError("not an object")
    return value
