"""OpenAI's chat completions as a client speaks them, and as its compatible vendors do.

This is the format that callers speak, so nearly all of it passes through untouched.  What is refused:
an answer that is no answer (no choices, an `error` inside a 200, no JSON).  The odd rule: what differs
between vendors is mended here where the meaning stays the same (the name of the token limit, the
`developer` role, the shape of content and arguments), and only then.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import orjson

from fallbackio.dialects import _quirks
from fallbackio.dialects._dialect import CredentialKind
from fallbackio.dialects._place import base_of, headers_of
from fallbackio.dialects._shared import count, finite, json_object, refuse_swallowed
from fallbackio.dialects._state import KEY, own_state
from fallbackio.dialects._vendors import VENDORS, Vendor
from fallbackio.dialects.openai._errors import failure, in_band
from fallbackio.dialects.openai._stream import OpenAIReader
from fallbackio.dialects.openai._values import (
    are_logprobs,
    arguments_of,
    content_of,
    finish_of,
    function_of,
    string,
    usage_of,
)
from fallbackio.endpoint import Endpoint, Note, unnoted
from fallbackio.errors import AttemptError, BadAnswer, InvalidRequest
from fallbackio.model import NO_USAGE, Choice, FunctionCall, Message, Reply, Request, ToolCall

__all__ = ["OpenAIClient", "body_of", "dumps"]

# A host we do not know is taken for a plain compatible server.
_PLAIN = Vendor("", "")

# These refuse a field of a turn that they do not document, and an answer has several: the reasoning that
# other vendors give and want back, annotations, what a content filter thought.
_OPENAI_TURN = frozenset({"role", "content", "name", "refusal", "tool_calls", "function_call"})
_TURNS = {
    "openai": _OPENAI_TURN,
    "azure": _OPENAI_TURN,
    "mistral": frozenset({"role", "content", "tool_calls", "prefix"}),
}

# What no vendor wants back, whatever it makes of fields that it does not know.
_NEVER = frozenset({KEY, "annotations", "output_items", "prompt_filter_results", "content_filter_results"})

# Vendors that go on from a last assistant turn marked with `prefix`.
_PREFIX = frozenset({"mistral"})

# OpenAI's reasoning models refuse max_tokens (o1, o3-mini, gpt-5.1, …; not gpt-4o, gpt-35-turbo).
_REASONING = re.compile(r"(?:ft:)?(?:o\d|gpt-(?:[5-9]|[12]\d))(?![0-9a-z])")

# From gpt-5.6 on they refuse tools unless told not to reason, which is not their default.
_NO_TOOLS_WITH_EFFORT = re.compile(r"(?:ft:)?gpt-(?:5\.(?:[6-9]|\d\d)|[6-9]|[12]\d)(?![0-9a-z])")

_LIMITS = ("max_tokens", "max_completion_tokens")


class OpenAIClient:
    """The client side of the dialect; has no state."""

    def url(self, endpoint: Endpoint, *, stream: bool = False) -> str:
        """Where requests of `endpoint` go; a query in its `base_url` (Azure's api-version) is kept."""
        return base_of(endpoint).url("chat/completions")

    def credentials(self, endpoint: Endpoint) -> CredentialKind:
        """A key in a header."""
        return "static"

    def headers(self, endpoint: Endpoint) -> dict[str, str]:
        """Authentication and content type; the endpoint's own headers win, whatever their case."""
        return headers_of(endpoint)

    def check(self, request: Request, endpoint: Endpoint) -> None:
        """Everything that callers say in OpenAI's terms can be said, but for what the vendor refuses."""
        _quirks.check(request, endpoint)

    def dropped(self, request: Request, endpoint: Endpoint) -> tuple[str, ...]:
        """What the vendor refuses."""
        return _quirks.dropped(request, endpoint)

    def encode(self, request: Request, endpoint: Endpoint, note: Note = unnoted) -> bytes:
        """The body; raises `InvalidRequest` for what is no JSON."""
        return dumps(body_of(request, endpoint, VENDORS.get(endpoint.vendor, _PLAIN), note))

    def prefilled(self, request: Request, endpoint: Endpoint, partial: str) -> Request | None:
        """Mistral alone takes a prefill in this format; elsewhere a last assistant turn is history."""
        if endpoint.vendor not in _PREFIX:
            return None
        turn = {"role": "assistant", "content": partial, "prefix": True}
        return request.with_messages((*request.messages, turn))

    def decode(self, body: bytes) -> Reply:
        """A plain answer; raises the `AttemptError` that garbage or an error inside a 200 stands for."""
        answer = json_object(body)
        choices = answer.pop("choices", None)
        if answer.get("error") or answer.get("object") == "error":
            raise in_band(answer)
        if type(choices) is not list or not choices:
            raise BadAnswer("an answer without choices")
        usage = answer.pop("usage", None)
        answer.pop("object", None)
        read = tuple([_choice(position, choice) for position, choice in enumerate(choices)])
        _refuse_filtered(read)
        return Reply(
            id=string(answer.pop("id", "")),
            model=string(answer.pop("model", "")),
            choices=read,
            usage=usage_of(usage) if usage else NO_USAGE,
            created=count(answer.pop("created", 0)),
            extra=answer,
        )

    def reader(self) -> OpenAIReader:
        """A reader for one streamed answer."""
        return OpenAIReader()

    def failure(self, status: int, headers: Mapping[str, str], body: bytes) -> AttemptError:
        """The error that a failing status stands for; never raises."""
        return failure(status, headers, body)


def body_of(request: Request, endpoint: Endpoint, vendor: Vendor, note: Note) -> dict[str, Any]:
    """The request in `vendor`'s words, for `dumps`."""
    messages = _messages(request.messages, endpoint, vendor, note)
    body: dict[str, Any] = {"model": endpoint.model, "messages": messages, **request.params}
    _mend(body, endpoint, vendor, note)
    _quirks.apply(body, endpoint, note)
    if request.stream and vendor.takes_stream_options:
        body.setdefault("stream_options", {"include_usage": True})
    if endpoint.params:
        _replace(body, endpoint.params)
    if request.stream:
        body["stream"] = True
    else:
        # An error without `stream`; an endpoint's params may carry it for its streamed calls.
        body.pop("stream_options", None)
    return body


def _messages(
    messages: tuple[Mapping[str, Any], ...], endpoint: Endpoint, vendor: Vendor, note: Note
) -> list[Mapping[str, Any]]:
    rename = not vendor.takes_developer
    known = _TURNS.get(vendor.name)
    said: list[Mapping[str, Any]] = []
    loose: list[Any] = []  # what results hold besides text, which has no place there
    for message in messages:
        role = message.get("role")
        if role == "tool":
            if isinstance(message.get("content"), list | tuple):
                message = _told(message, loose, note)
        elif loose:
            said.append({"role": "user", "content": loose})
            loose = []
        if role == "assistant":
            if not (_NEVER.isdisjoint(message) if known is None else message.keys() <= known):
                message = _stripped(message, endpoint, known, note)
        elif rename and role == "developer":
            message = {**message, "role": "system"}
        said.append(message)
    return [*said, {"role": "user", "content": loose}] if loose else said


def _told(message: Mapping[str, Any], loose: list[Any], note: Note) -> Mapping[str, Any]:
    """A tool's result with its text alone; the rest goes to `loose`, for a user's message behind it."""
    content = message["content"]
    others = [part for part in content if isinstance(part, Mapping) and part.get("type") != "text"]
    if not others:
        return message
    note("an image or file of a tool's result put beside it")
    loose += others
    texts = [part for part in content if part not in others]
    return {**message, "content": texts or "The result is in the next message."}


def _stripped(
    message: Mapping[str, Any], endpoint: Endpoint, known: frozenset[str] | None, note: Note
) -> dict[str, Any]:
    """The turn without what only other vendors understand."""
    own_state(message, "openai", endpoint, note)  # none is ours: for the note
    if known is None:
        return {name: value for name, value in message.items() if name not in _NEVER}
    if message.get("reasoning_content"):
        note("reasoning of earlier turns left out")
    kept = {name: value for name, value in message.items() if name in known}
    audio = message.get("audio")
    if known is _OPENAI_TURN and isinstance(audio, Mapping) and "id" in audio:
        kept["audio"] = {"id": audio["id"]}  # the sound itself is not taken back
    if "refusal" not in known and message.get("refusal") and not kept.get("content"):
        kept["content"] = message["refusal"]
    return kept


def _mend(body: dict[str, Any], endpoint: Endpoint, vendor: Vendor, note: Note) -> None:
    """Say the call's parameters in `vendor`'s words."""
    if vendor.max_tokens_field == "max_tokens":
        _rename(body, "max_completion_tokens", "max_tokens")
    elif "max_tokens" in body and _REASONING.match(endpoint.model):
        _rename(body, "max_tokens", "max_completion_tokens")
    if (
        body.get("tools")
        and vendor.name in ("openai", "azure")
        and "reasoning_effort" not in body.keys() | endpoint.params.keys()
        and _NO_TOOLS_WITH_EFFORT.match(endpoint.model)
    ):
        body["reasoning_effort"] = "none"
        note("reasoning switched off, because the model takes tools only without it here")


def _rename(body: dict[str, Any], old: str, new: str) -> None:
    if old in body:
        value = body.pop(old)
        body.setdefault(new, value)


def _replace(body: dict[str, Any], params: Mapping[str, Any]) -> None:
    """The endpoint's own parameters win, and are taken to be in its own words."""
    if any(limit in params for limit in _LIMITS):
        for limit in _LIMITS:
            body.pop(limit, None)
    for name, value in params.items():
        if value is None:
            body.pop(name, None)
        else:
            body[name] = value


def dumps(body: dict[str, Any]) -> bytes:
    """`body` as JSON; raises `InvalidRequest` for what is none."""
    try:
        return finite(orjson.dumps(body), body)
    except orjson.JSONEncodeError:
        pass  # What json.dumps would take as well (integer keys in logit_bias), and our own values.
    try:
        return finite(orjson.dumps(body, default=_value, option=orjson.OPT_NON_STR_KEYS), body)
    except orjson.JSONEncodeError as error:
        # orjson names the type and never the value.
        raise InvalidRequest(f"the request is no JSON: {error}") from None


def _value(value: object) -> object:
    if isinstance(value, Message | ToolCall):
        return value.to_dict()
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError


def _refuse_filtered(choices: tuple[Choice, ...]) -> None:
    """Raise `ContentFiltered` where a filter has left nothing of any choice."""
    filtered = said = False
    for choice in choices:
        message = choice.message
        filtered = filtered or choice.finish_reason == "content_filter"
        said = said or bool(message.content or message.tool_calls or message.refusal)
    if filtered:
        refuse_swallowed("content_filter", said, code="content_filter")


def _choice(position: int, choice: Any) -> Choice:
    message = choice.pop("message", None) if type(choice) is dict else None
    if type(message) is not dict:
        raise BadAnswer("a choice without a message")
    finish = finish_of(choice)
    said = _message(message)
    if finish is None:
        # The body is whole JSON, so nothing was cut off; but an answer there must be.
        if not (said.content or said.tool_calls or said.refusal):
            raise BadAnswer("a choice without content or finish reason")
        finish = "tool_calls" if said.tool_calls else "stop"
    elif finish == "tool_calls" and not (said.content or said.tool_calls or said.refusal):
        raise BadAnswer("a choice that ends with tool_calls and has none")
    choice.pop("finish_reason", None)
    if not are_logprobs(choice.get("logprobs")):
        del choice["logprobs"]
    index = choice.pop("index", position)
    return Choice(said, finish, index if type(index) is int else position, choice)


def _message(message: dict[str, Any]) -> Message:
    content = message.pop("content", None)
    thought = ""
    if content is not None and type(content) is not str:
        content, thought = content_of(content)
    calls = message.pop("tool_calls", None)
    reasoning = (
        thought or string(message.pop("reasoning_content", None)) or string(message.pop("reasoning", None))
    )
    role = string(message.pop("role", None)) or "assistant"
    refusal = string(message.pop("refusal", None)) or None
    return Message(content, _calls(calls) if calls else (), refusal, reasoning or None, message, role)


def _calls(calls: object) -> tuple[ToolCall, ...]:
    if type(calls) is not list:
        raise BadAnswer("tool calls that are no list")
    return tuple([_call(call) for call in calls])


def _call(call: Any) -> ToolCall:
    function, kind = function_of(call)
    called = FunctionCall(string(function.get("name")), arguments_of(function))
    return ToolCall(string(call.get("id")), called, kind)
