"""A chat completion request, checked as OpenAI checks it.

Types, roles, the pairing of tool calls with their results and the few parameters that depend on each
other are checked; parameters we do not know pass, as they do at compatible vendors.  Messages of
errors name the place and the rule, never what stood there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import orjson
from attrs import frozen

from fallbackio.errors import InvalidRequest
from fallbackio.model import ROLES, Request

__all__ = ["read"]


def read(body: bytes) -> Request:
    """The request that `body` asks; raises `InvalidRequest` as OpenAI answers 400."""
    try:
        params = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise InvalidRequest("We could not parse the JSON body of your request.") from None
    if type(params) is not dict:
        raise _wrong("the body", "an object", params)
    model = _required(params, "model")
    messages = _required(params, "messages")
    if type(model) is not str or not model:
        raise _wrong("model", "a non-empty string", model)
    stream = params.pop("stream", None)
    if stream is not None and type(stream) is not bool:
        raise _wrong("stream", "a boolean", stream)
    _check_messages(messages)
    _check_params(params, stream is True)
    return Request(messages=tuple(messages), params=params, model=model, stream=stream is True)


def _required(params: dict[str, Any], name: str) -> Any:
    if name not in params:
        raise InvalidRequest(f"Missing required parameter: '{name}'.", code="missing_required_parameter")
    return params.pop(name)


def _wrong(place: str, rule: str, value: object) -> InvalidRequest:
    kind = _JSON_KINDS.get(type(value), "something else")
    return InvalidRequest(
        f"Invalid type for '{place}': expected {rule}, but got {kind}.", code="invalid_type"
    )


def _invalid(text: str) -> InvalidRequest:
    return InvalidRequest(text, code="invalid_value")


_JSON_KINDS: dict[type, str] = {
    dict: "an object",
    list: "an array",
    str: "a string",
    bool: "a boolean",
    int: "a number",
    float: "a number",
    type(None): "null",
}


def _number(least: float, most: float) -> Callable[[object], bool]:
    return lambda value: type(value) in (int, float) and least <= value <= most  # type: ignore[operator]


def _whole(least: int, most: int) -> Callable[[object], bool]:
    return lambda value: type(value) is int and least <= value <= most


def _of(*kinds: type) -> Callable[[object], bool]:
    return lambda value: type(value) in kinds


def _stops(value: object) -> bool:
    if type(value) is list:
        return len(value) <= 4 and all(type(stop) is str for stop in value)
    return type(value) is str


@frozen
class _Rule:
    words: str
    holds: Callable[[object], bool]


_MANY = 2**31 - 1
_TEXT = _Rule("a string", _of(str))
_FLAG = _Rule("a boolean", _of(bool))
_OBJECT = _Rule("an object", _of(dict))
_PENALTY = _Rule("a number from -2 to 2", _number(-2, 2))
_TOKENS = _Rule("a whole number of at least 1", _whole(1, _MANY))

_PARAMS: Mapping[str, _Rule] = {
    "frequency_penalty": _PENALTY,
    "logit_bias": _OBJECT,
    "logprobs": _FLAG,
    "max_completion_tokens": _TOKENS,
    "max_tokens": _TOKENS,
    "metadata": _OBJECT,
    "n": _Rule("a whole number from 1 to 128", _whole(1, 128)),
    "parallel_tool_calls": _FLAG,
    "presence_penalty": _PENALTY,
    "reasoning_effort": _TEXT,
    "response_format": _OBJECT,
    "seed": _Rule("a whole number", _whole(-(2**63), 2**63 - 1)),
    "service_tier": _TEXT,
    "stop": _Rule("a string or an array of up to 4 strings", _stops),
    "store": _FLAG,
    "stream_options": _OBJECT,
    "temperature": _Rule("a number from 0 to 2", _number(0, 2)),
    "tool_choice": _Rule("a string or an object", _of(str, dict)),
    "tools": _Rule("a non-empty array", lambda value: type(value) is list and bool(value)),
    "top_logprobs": _Rule("a whole number from 0 to 20", _whole(0, 20)),
    "top_p": _Rule("a number from 0 to 1", _number(0, 1)),
    "user": _TEXT,
}


def _check_params(params: dict[str, Any], stream: bool) -> None:
    for name in params.keys() & _PARAMS.keys():
        value, rule = params[name], _PARAMS[name]
        # OpenAI takes null for "as if it were left out".
        if value is not None and not rule.holds(value):
            raise _wrong(name, rule.words, value)
    tools = params.get("tools")
    if params.get("stream_options") is not None and not stream:
        raise _invalid("The 'stream_options' parameter is only allowed when 'stream' is enabled.")
    if params.get("parallel_tool_calls") is not None and not tools:
        raise _invalid("'parallel_tool_calls' is only allowed when 'tools' are specified.")
    if params.get("top_logprobs") is not None and not params.get("logprobs"):
        raise _invalid("'top_logprobs' is only allowed when 'logprobs' is enabled.")
    for position, tool in enumerate(tools or ()):
        _check_tool(f"tools[{position}]", tool)
    _check_choice(params.get("tool_choice"), tools or ())
    _check_format(params.get("response_format"))


def _check_tool(place: str, tool: Any) -> None:
    if type(tool) is not dict:
        raise _wrong(place, "an object", tool)
    kind = tool.get("type")
    if kind not in ("function", "custom"):
        raise _invalid(f"Invalid value for '{place}.type': 'function' and 'custom' are known.")
    spec = tool.get(kind)
    if type(spec) is not dict:
        raise _wrong(f"{place}.{kind}", "an object", spec)
    if not _is_name(spec.get("name")):
        raise _invalid(f"Invalid '{place}.{kind}.name': 1 to 64 letters, digits, '_' and '-'.")


def _is_name(name: object) -> bool:
    return type(name) is str and 0 < len(name) <= 64 and name.isascii() and name.translate(_DASHES).isalnum()


_DASHES = str.maketrans("_-", "aa")


def _check_choice(choice: Any, tools: list[Any] | tuple[()]) -> None:
    if type(choice) is str and choice not in ("none", "auto", "required"):
        raise _invalid("Invalid value for 'tool_choice': 'none', 'auto' and 'required' are known.")
    if choice not in (None, "none", "auto") and not tools:
        raise _invalid("'tool_choice' is only allowed when 'tools' are specified.")
    if type(choice) is dict and choice.get("type") == "function":
        function = choice.get("function")
        named = function.get("name") if type(function) is dict else None
        if named not in [tool["function"]["name"] for tool in tools if tool["type"] == "function"]:
            raise _invalid("'tool_choice' names a function that is not in 'tools'.")


def _check_format(wanted: Any) -> None:
    if wanted is None:
        return
    kind = wanted.get("type")
    if kind not in ("text", "json_object", "json_schema"):
        raise _invalid("Invalid value for 'response_format.type'.")
    if kind == "json_schema" and type(wanted.get("json_schema")) is not dict:
        raise _wrong("response_format.json_schema", "an object", wanted.get("json_schema"))


# The parts that a role's content may have.
_PARTS: Mapping[str, frozenset[str]] = {
    "system": frozenset({"text"}),
    "developer": frozenset({"text"}),
    "user": frozenset({"text", "image_url", "input_audio", "file"}),
    "assistant": frozenset({"text", "refusal"}),
    "tool": frozenset({"text"}),
    "function": frozenset(),
}


def _check_messages(messages: Any) -> None:
    if type(messages) is not list:
        raise _wrong("messages", "an array", messages)
    if not messages:
        raise _invalid("Invalid 'messages': empty array. Expected at least one message.")
    # Ids of the last assistant turn that still lack their result.
    owed: set[str] = set()
    for position, message in enumerate(messages):
        place = f"messages[{position}]"
        _check_message(place, message)
        if message["role"] == "tool":
            _settle(place, message, owed)
        else:
            _check_settled(place, owed)
            owed = {call["id"] for call in message.get("tool_calls") or ()}
    _check_settled("the end of 'messages'", owed)


def _settle(place: str, message: dict[str, Any], owed: set[str]) -> None:
    call_id = message.get("tool_call_id")
    if type(call_id) is not str:
        raise _wrong(f"{place}.tool_call_id", "a string", call_id)
    if call_id not in owed:
        raise _invalid(
            f"Invalid '{place}': messages with role 'tool' must be a response to a preceding message with "
            "'tool_calls'."
        )
    owed.discard(call_id)


def _check_settled(place: str, owed: set[str]) -> None:
    if owed:
        raise _invalid(
            "An assistant message with 'tool_calls' must be followed by tool messages responding to each "
            f"'tool_call_id'; {len(owed)} of them did not have response messages before {place}."
        )


def _check_message(place: str, message: Any) -> None:
    if type(message) is not dict:
        raise _wrong(place, "an object", message)
    role = message.get("role")
    if type(role) is not str or role not in ROLES:
        raise _invalid(f"Invalid value for '{place}.role'.")
    content = message.get("content")
    calls = message.get("tool_calls")
    if type(content) is list:
        _check_parts(f"{place}.content", content, _PARTS[role])
    elif type(content) is not str and not (content is None and _may_be_silent(message, role)):
        raise _wrong(f"{place}.content", "a string or an array", content)
    if calls is not None:
        _check_calls(f"{place}.tool_calls", role, calls)


def _may_be_silent(message: dict[str, Any], role: str) -> bool:
    if role == "function":
        return True
    others = ("tool_calls", "refusal", "function_call", "audio")
    return role == "assistant" and any(message.get(name) for name in others)


def _check_parts(place: str, parts: list[Any], known: frozenset[str]) -> None:
    if not parts:
        raise _invalid(f"Invalid '{place}': empty array.")
    for position, part in enumerate(parts):
        kind = part.get("type") if type(part) is dict else None
        if type(kind) is not str or kind not in known:
            raise _invalid(f"Invalid value for '{place}[{position}].type'.")
        wanted = str if kind in ("text", "refusal") else dict
        if type(part.get(kind)) is not wanted:
            raise _wrong(f"{place}[{position}].{kind}", _JSON_KINDS[wanted], part.get(kind))


def _check_calls(place: str, role: str, calls: Any) -> None:
    if role != "assistant":
        raise _invalid(f"Unexpected '{place}': only messages with role 'assistant' have them.")
    if type(calls) is not list or not calls:
        raise _invalid(f"Invalid '{place}': expected an array of at least one call.")
    for position, call in enumerate(calls):
        _check_call(f"{place}[{position}]", call)


def _check_call(place: str, call: Any) -> None:
    if type(call) is not dict:
        raise _wrong(place, "an object", call)
    if type(call.get("id")) is not str:
        raise _wrong(f"{place}.id", "a string", call.get("id"))
    kind, payload = ("custom", "input") if call.get("type") == "custom" else ("function", "arguments")
    called = call.get(kind)
    if (
        type(called) is not dict
        or type(called.get("name")) is not str
        or type(called.get(payload)) is not str
    ):
        raise _invalid(f"Invalid '{place}.{kind}': expected an object with 'name' and '{payload}'.")
