"""Chat requests, read on the server's side into OpenAI's terms.

As strict as Cohere documents version 2: its fields and no others, instructions first, turns that say
something, tool results that answer an earlier call, tools that have parameters.  So a request that
passes here is one that a client may send there.  Not checked: what depends on the model.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NoReturn

import orjson

from fallbackio.dialects.cohere._request import BUDGETS, TOOL_NAME
from fallbackio.errors import InvalidRequest
from fallbackio.model import Request

__all__ = ["Fields", "a_list", "a_string", "an_object", "refuse", "request_of"]

Fields = dict[str, Any]

_FIELDS = frozenset(
    {
        *("model", "messages", "tools", "strict_tools", "documents", "citation_options", "response_format"),
        *("safety_mode", "max_tokens", "stop_sequences", "temperature", "seed", "frequency_penalty"),
        *("presence_penalty", "k", "p", "logprobs", "tool_choice", "thinking", "priority", "stream"),
    }
)

_RANGES: Mapping[str, tuple[float, float]] = MappingProxyType(
    {
        "temperature": (0, 1),
        "p": (0.01, 0.99),
        "k": (0, 500),
        "frequency_penalty": (0, 1),
        "presence_penalty": (0, 1),
        "max_tokens": (1, 2**31),
        "seed": (0, 2**64 - 1),
        "priority": (0, 999),
    }
)
_MOST_STOPS = 5


def request_of(body: bytes) -> Request:
    """The request in OpenAI's terms; raises `InvalidRequest` as Cohere would with a 400."""
    said = an_object(body, _FIELDS)
    model = a_string(said.pop("model", None), "model")
    stream = said.pop("stream", False)
    if not isinstance(stream, bool):
        refuse("stream must be a boolean")
    messages = _conversation(a_list(said.pop("messages", None), "messages"))
    _check_ranges(said)
    return Request(messages=tuple(messages), params=_params(said), model=model, stream=stream)


def refuse(what: str) -> NoReturn:
    """Raise the error that Cohere answers a broken request with."""
    raise InvalidRequest(f"invalid request: {what}", status=400)


def an_object(body: bytes, fields: frozenset[str]) -> Fields:
    """The object that `body` is, with these fields at most and without those that are null."""
    try:
        said = orjson.loads(body)
    except orjson.JSONDecodeError:
        refuse("the body is not valid JSON")
    if not isinstance(said, dict):
        refuse("the body must be an object")
    for name in said:
        if name not in fields:
            refuse(f"unknown field: parameter '{name[:40]}' is not a valid field")
    return {name: value for name, value in said.items() if value is not None}


def a_string(value: object, where: str) -> str:
    """`value`, which must be a text that is not empty."""
    if not isinstance(value, str) or not value:
        refuse(f"{where} must be a non-empty string")
    return value


def a_list(value: object, where: str) -> list[Any]:
    """`value`, which must be a list."""
    if not isinstance(value, list):
        refuse(f"{where} must be an array")
    return value


def _dict(value: object, where: str) -> Fields:
    if not isinstance(value, dict):
        refuse(f"{where} must be an object")
    return value


def _check_ranges(said: Fields) -> None:
    for name, (least, most) in _RANGES.items():
        value = said.get(name, least)
        whole = isinstance(least, int) and most > 1
        if type(value) is not int and (whole or type(value) is not float):
            refuse(f"{name} must be a number")
        if not least <= value <= most:
            refuse(f"{name} must be between {least} and {most} inclusive")


def _conversation(messages: list[Any]) -> list[Fields]:
    if not messages:
        refuse("messages must have at least one element")
    said: list[Fields] = []
    open_calls: set[str] = set()
    for position, message in enumerate(messages):
        where = f"messages[{position}]"
        found = _dict(message, where)
        role = found.get("role")
        if role == "system" and position:
            refuse("a system turn must be the first in the list")
        read = _ROLES.get(role) if isinstance(role, str) else None
        if read is None:
            refuse(f"{where}.role must be one of system, user, assistant, tool")
        said.append(read(found, where, open_calls))
    if len(said) == 1 and said[0]["role"] == "system":
        refuse("messages must hold more than a system turn")
    return said


def _keys(message: Fields, where: str, *known: str) -> None:
    for name in message:
        if name not in known and name != "role":
            refuse(f"unknown field: parameter '{where}.{name[:40]}' is not a valid field")


def _system(message: Fields, where: str, open_calls: set[str]) -> Fields:
    _keys(message, where, "content")
    return {"role": "system", "content": _content(message, where, ("text",))}


def _user(message: Fields, where: str, open_calls: set[str]) -> Fields:
    _keys(message, where, "content")
    return {"role": "user", "content": _content(message, where, ("text", "image_url"))}


def _assistant(message: Fields, where: str, open_calls: set[str]) -> Fields:
    _keys(message, where, "content", "tool_calls", "tool_plan", "citations")
    calls = [_call(call, where, open_calls) for call in a_list(message.get("tool_calls") or [], where)]
    thoughts: list[str] = []
    content: Any = None
    if message.get("content") or not calls:
        content = _content(message, where, ("text", "thinking"))
    if isinstance(content, list):
        thoughts = [part["thinking"] for part in content if part["type"] == "thinking"]
        content = [part for part in content if part["type"] == "text"] or None
    said: Fields = {"role": "assistant", "content": content if content or calls else ""}
    if calls:
        said["tool_calls"] = calls
    if message.get("tool_plan"):
        thoughts.append(a_string(message["tool_plan"], f"{where}.tool_plan"))
    return {**said, "reasoning_content": "".join(thoughts)} if thoughts else said


def _tool(message: Fields, where: str, open_calls: set[str]) -> Fields:
    _keys(message, where, "content", "tool_call_id")
    call_id = a_string(message.get("tool_call_id"), f"{where}.tool_call_id")
    if call_id not in open_calls:
        refuse("tool call id not found in previous tool calls")
    open_calls.discard(call_id)
    return {
        "role": "tool",
        "tool_call_id": call_id,
        "content": _content(message, where, ("text", "document")),
    }


_ROLES: Mapping[str, Callable[[Fields, str, set[str]], Fields]] = MappingProxyType(
    {"system": _system, "user": _user, "assistant": _assistant, "tool": _tool}
)


def _call(call: object, where: str, open_calls: set[str]) -> Fields:
    found = _dict(call, f"{where}.tool_calls")
    function = _dict(found.get("function"), f"{where}.tool_calls.function")
    call_id = a_string(found.get("id"), f"{where}.tool_calls.id")
    if call_id in open_calls:
        refuse("tool call ids must be unique")
    if found.get("type") != "function":
        refuse(f"{where}.tool_calls.type must be function")
    name = a_string(function.get("name"), f"{where}.tool_calls.function.name")
    arguments = a_string(function.get("arguments"), f"{where}.tool_calls.function.arguments")
    open_calls.add(call_id)
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


def _content(message: Fields, where: str, kinds: tuple[str, ...]) -> str | list[Fields]:
    content = message.get("content")
    if isinstance(content, str):
        return _said(content)
    parts = [_part(part, where, kinds) for part in a_list(content, f"{where}.content")]
    if not parts:
        refuse("message must not be empty in a turn")
    if len(parts) == 1 and parts[0]["type"] == "text":
        return str(parts[0]["text"])
    return parts


def _said(text: str) -> str:
    if not text or text.isspace():
        refuse("message must not be empty in a turn")
    return text


def _part(part: object, where: str, kinds: tuple[str, ...]) -> Fields:
    found = _dict(part, f"{where}.content")
    kind = found.get("type")
    if kind not in kinds:
        refuse(f"{where}.content: a part's type must be one of {', '.join(kinds)}")
    if kind == "text":
        return {"type": "text", "text": _said(a_string(found.get("text"), f"{where}.content.text"))}
    if kind == "thinking":
        return {"type": "thinking", "thinking": a_string(found.get("thinking"), f"{where}.content.thinking")}
    if kind == "document":
        document = _dict(found.get("document"), f"{where}.content.document")
        _dict(document.get("data"), f"{where}.content.document.data")
        return found
    image = _dict(found.get("image_url"), f"{where}.content.image_url")
    if not a_string(image.get("url"), f"{where}.content.image_url.url").startswith(("data:image/", "https:")):
        refuse("image_url must be a data URI or an https URL")
    return {"type": "image_url", "image_url": image}


def _params(said: Fields) -> Fields:
    """The rest of the fields by OpenAI's names."""
    params = {_NAMES.get(name, name): value for name, value in said.items()}
    _stops(params)
    _tools(params)
    _shape(params)
    _thinking(params)
    if not isinstance(params.get("logprobs", False), bool):
        refuse("logprobs must be a boolean")
    return params


_NAMES = MappingProxyType({"p": "top_p", "stop_sequences": "stop"})


def _stops(params: Fields) -> None:
    stops = a_list(params.get("stop", []), "stop_sequences")
    if len(stops) > _MOST_STOPS:
        refuse(f"stop_sequences must have at most {_MOST_STOPS} elements")
    for stop in stops:
        a_string(stop, "stop_sequences")


def _tools(params: Fields) -> None:
    tools = a_list(params.pop("tools", []), "tools")
    strict = params.pop("strict_tools", False)
    if tools:
        params["tools"] = [_offered(tool, f"tools[{n}]", strict is True) for n, tool in enumerate(tools)]
    choice = params.pop("tool_choice", None)
    if choice not in (None, "REQUIRED", "NONE"):
        refuse("tool_choice must be one of REQUIRED, NONE")
    if choice == "REQUIRED" and not tools:
        refuse("tool_choice REQUIRED needs tools")
    if choice is not None:
        params["tool_choice"] = choice.lower()


def _offered(tool: object, where: str, strict: bool) -> Fields:
    found = _dict(tool, where)
    function = _dict(found.get("function"), f"{where}.function")
    if found.get("type") != "function":
        refuse(f"{where}.type must be function")
    _keys(function, f"{where}.function", "name", "description", "parameters")
    if not TOOL_NAME.fullmatch(a_string(function.get("name"), f"{where}.function.name")):
        refuse(f"{where}: a tool name must be letters, digits and underscores, not beginning with a digit")
    parameters = _dict(function.get("parameters"), f"{where}.function.parameters")
    if strict and not parameters.get("required"):
        refuse("strict_tools: every tool must have at least one required parameter")
    return {"type": "function", "function": {**function, "strict": True} if strict else function}


def _shape(params: Fields) -> None:
    shape = _dict(params.pop("response_format", {"type": "text"}), "response_format")
    kind = shape.get("type")
    if kind not in ("text", "json_object"):
        refuse("response_format.type must be one of text, json_object")
    if kind == "text":
        return
    schema = shape.get("json_schema")
    if schema is None:
        params["response_format"] = {"type": "json_object"}
        return
    if _dict(schema, "response_format.json_schema").get("type") != "object":
        refuse("response_format.json_schema: the top of a json schema must be of type object")
    params["response_format"] = {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}


def _thinking(params: Fields) -> None:
    if "thinking" not in params:
        return
    thinking = _dict(params.pop("thinking"), "thinking")
    if thinking.get("type") not in ("enabled", "disabled"):
        refuse("thinking.type must be one of enabled, disabled")
    budget = thinking.get("token_budget")
    if budget is not None and (type(budget) is not int or budget < 1):
        refuse("thinking.token_budget must be a positive integer")
    params["reasoning_effort"] = "none" if thinking["type"] == "disabled" else _effort(budget)


def _effort(budget: int | None) -> str:
    if budget is None:
        return "high"
    return next((effort for effort, most in BUDGETS.items() if budget <= most), "high")
