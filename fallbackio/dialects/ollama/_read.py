"""Chat requests, read on the server's side into OpenAI's terms.

As strict as Ollama's server reads them: types of fields, options and messages.  Like it, fields that
it does not know pass.  The odd rule: its calls need no ids, so those without get one by their place,
and a result belongs to the first open call of its tool.
"""

from __future__ import annotations

import binascii
from base64 import b64decode
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NoReturn

import orjson

from fallbackio.dialects._vocabulary import NO_FIELD
from fallbackio.dialects.ollama._request import LEVELS
from fallbackio.errors import InvalidRequest
from fallbackio.model import Request

__all__ = ["a_string", "an_object", "refuse", "request_of"]

Fields = dict[str, Any]

_ROLES = ("system", "user", "assistant", "tool")

_WHOLE = frozenset({"seed", "num_predict", "top_k", "num_ctx", "num_keep", "repeat_last_n", "num_batch"})
_REAL = frozenset(
    {
        *("temperature", "top_p", "min_p", "typical_p", "repeat_penalty"),
        "presence_penalty",
        "frequency_penalty",
    }
)
# Options that OpenAI has as parameters.
_OUTWARD: Mapping[str, str] = MappingProxyType(
    {
        "num_predict": "max_tokens",
        **{name: name for name in ("temperature", "top_p", "seed", "stop")},
        **{name: name for name in ("presence_penalty", "frequency_penalty")},
    }
)
_EFFORTS: Mapping[object, str] = MappingProxyType(
    {"low": "low", "medium": "medium", "high": "high", "max": "max"}
)
_SIGNATURES = (b"\x89PNG", b"\xff\xd8\xff", b"RIFF")


def request_of(body: bytes) -> Request:
    """The request in OpenAI's terms; raises `InvalidRequest` as Ollama would with a 400."""
    said = an_object(body)
    model = a_string(said.pop("model", None), "model")
    stream = _typed(said.pop("stream", True), "stream", bool)
    messages = _typed(said.pop("messages", None), "messages", list)
    if not messages:
        refuse("messages is required")
    return Request(
        messages=tuple(_Conversation().read(messages)), params=_params(said), model=model, stream=stream
    )


def refuse(what: str) -> NoReturn:
    """Raise the error that Ollama answers a broken request with."""
    raise InvalidRequest(what, status=400)


def an_object(body: bytes) -> Fields:
    """The object that `body` is, without what is null."""
    if not body:
        refuse("missing request body")
    try:
        said = orjson.loads(body)
    except orjson.JSONDecodeError:
        refuse("invalid character in the request body")
    return {name: value for name, value in _typed(said, "body", dict).items() if value is not None}


def a_string(value: object, where: str) -> str:
    """`value`, which must be a text that is not empty."""
    if not isinstance(value, str) or not value:
        refuse(f"{where} is required")
    return value


def _typed(value: Any, where: str, kind: type) -> Any:
    if not isinstance(value, kind):
        refuse(f"json: cannot unmarshal into field {where} of type {kind.__name__}")
    return value


class _Conversation:
    """Ollama's messages on their way to OpenAI's, with the calls that still wait for their results."""

    def __init__(self) -> None:
        self._open: list[tuple[str, str]] = []  # ids and names

    def read(self, messages: list[Any]) -> list[Fields]:
        return [self._message(message, position) for position, message in enumerate(messages)]

    def _message(self, message: Any, position: int) -> Fields:
        where = f"messages[{position}]"
        _typed(message, where, dict)
        role = _typed(message.get("role"), f"{where}.role", str).lower()
        if role not in _ROLES:
            refuse(f"{where}.role must be one of {', '.join(_ROLES)}")
        text = _typed(message.get("content") or "", f"{where}.content", str)
        said: Fields = {"role": role, "content": text}
        if images := _typed(message.get("images") or [], f"{where}.images", list):
            parts = [_image(image, f"{where}.images") for image in images]
            said["content"] = [*([{"type": "text", "text": text}] if text else []), *parts]
        if message.get("thinking"):
            said["reasoning_content"] = _typed(message["thinking"], f"{where}.thinking", str)
        if calls := _typed(message.get("tool_calls") or [], f"{where}.tool_calls", list):
            said["tool_calls"] = [self._call(call, where, position, at) for at, call in enumerate(calls)]
            said["content"] = text or None
        if role == "tool":
            said["tool_call_id"] = self._answered(message, where)
        return said

    def _call(self, call: Any, where: str, position: int, at: int) -> Fields:
        _typed(call, f"{where}.tool_calls", dict)
        function = _typed(call.get("function"), f"{where}.tool_calls.function", dict)
        name = a_string(function.get("name"), f"{where}.tool_calls.function.name")
        arguments = _typed(function.get("arguments"), f"{where}.tool_calls.function.arguments", dict)
        call_id = _typed(call.get("id") or f"call_{position}_{at}", f"{where}.tool_calls.id", str)
        self._open.append((call_id, name))
        written = orjson.dumps(arguments).decode()
        return {"id": call_id, "type": "function", "function": {"name": name, "arguments": written}}

    def _answered(self, message: Fields, where: str) -> str:
        call_id, name = message.get("tool_call_id"), message.get("tool_name")
        by_id = [call for call in self._open if call[0] == call_id]
        by_name = [call for call in self._open if call[1] == name]
        fitting = by_id or by_name or ([] if name or call_id else self._open)
        if not fitting:
            refuse(f"{where} is a tool's result without a call before it")
        answered = fitting[0]
        self._open.remove(answered)
        return answered[0]


def _image(image: Any, where: str) -> Fields:
    """A part for bare base64; Go takes nothing else."""
    try:
        start = b64decode(_typed(image, where, str), validate=True)[:4]
    except (binascii.Error, ValueError):
        refuse(f"illegal base64 data in {where}")
    kinds = ("png", "jpeg", "webp")
    kind = next((kind for kind, sign in zip(kinds, _SIGNATURES, strict=True) if start.startswith(sign)), None)
    return {"type": "image_url", "image_url": {"url": f"data:image/{kind or 'png'};base64,{image}"}}


def _params(said: Fields) -> Fields:
    """The rest of the fields by OpenAI's names."""
    # Go passes over fields that it does not know, OpenAI's among them.
    params = {name: value for name, value in said.items() if name not in NO_FIELD}
    if tools := _typed(params.pop("tools", []), "tools", list):
        params["tools"] = [_tool(tool, f"tools[{position}]") for position, tool in enumerate(tools)]
    _options(params)
    _format(params)
    if "think" in params:
        params["reasoning_effort"] = _effort(params.pop("think"))
    if not 0 <= _typed(params.get("top_logprobs", 0), "top_logprobs", int) <= 20:
        refuse("top_logprobs must be between 0 and 20")
    _typed(params.get("logprobs", False), "logprobs", bool)
    return params


def _tool(tool: Any, where: str) -> Fields:
    function = _typed(_typed(tool, where, dict).get("function"), f"{where}.function", dict)
    a_string(function.get("name"), f"{where}.function.name")
    _typed(function.get("parameters", {}), f"{where}.function.parameters", dict)
    return {"type": "function", "function": function}


def _options(params: Fields) -> None:
    given = _typed(params.pop("options", {}), "options", dict)
    options = {name: value for name, value in given.items() if value is not None}
    for name, value in options.items():
        for names, kind, holds in _OPTION_TYPES:
            if name in names and not holds(value):
                refuse(f'option "{name}" must be of type {kind}')
        if name in _OUTWARD and not (name == "num_predict" and value < 0):  # -1 is no limit
            params[_OUTWARD[name]] = value
    if rest := {name: value for name, value in options.items() if name not in _OUTWARD}:
        params["options"] = rest


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


_OPTION_TYPES: tuple[tuple[frozenset[str], str, Callable[[Any], bool]], ...] = (
    (_WHOLE, "integer", _number),  # as Go reads them, cut to whole numbers
    (_REAL, "float32", _number),
    (
        frozenset({"stop"}),
        "array",
        lambda value: isinstance(value, list) and all(isinstance(one, str) for one in value),
    ),
)


def _format(params: Fields) -> None:
    wanted = params.pop("format", "")
    if wanted == "json":
        params["response_format"] = {"type": "json_object"}
    elif isinstance(wanted, dict):
        params["response_format"] = {
            "type": "json_schema",
            "json_schema": {"name": "answer", "schema": wanted},
        }
    elif wanted != "":
        refuse('invalid format: expected "json" or a JSON schema')


def _effort(think: Any) -> str:
    if isinstance(think, bool):
        return "medium" if think else "none"
    if not isinstance(think, str) or think not in LEVELS.values():
        refuse('think must be a boolean or string ("high", "medium", "low", "max", true, or false)')
    return _EFFORTS[think]
