"""A chat completion request, checked as OpenAI checks it.

Types, roles, the pairing of tool calls with their results and the few parameters that depend on each
other are checked; parameters we do not know pass, as they do at compatible vendors.  Messages of
errors name the place and the rule, never what stood there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fallbackio.dialects.openai._rules import (
    FLAG,
    JSON_KINDS,
    OBJECT,
    TEMPERATURE,
    TEXT,
    TOKENS,
    TOP_P,
    Rule,
    check_rules,
    invalid,
    is_name,
    json_body,
    number,
    of_types,
    required,
    whole,
    wrong,
)
from fallbackio.model import ROLES, Request

__all__ = ["read"]


def read(body: bytes, model: str = "") -> Request:
    """The request that `body` asks; raises `InvalidRequest` as OpenAI answers 400.

    `model` is what the path said, where it says it; then the body's does not count.
    """
    params = json_body(body)
    named = params.pop("model", None) if model else required(params, "model")
    model = model or named
    messages = required(params, "messages")
    if type(model) is not str or not model:
        raise wrong("model", "a non-empty string", model)
    stream = params.pop("stream", None)
    if stream is not None and type(stream) is not bool:
        raise wrong("stream", "a boolean", stream)
    _check_messages(messages)
    _check_params(params, stream is True)
    return Request(messages=tuple(messages), params=params, model=model, stream=stream is True)


def _stops(value: object) -> bool:
    if type(value) is list:
        return len(value) <= 4 and all(type(stop) is str for stop in value)
    return type(value) is str


_PENALTY = Rule("a number from -2 to 2", number(-2, 2))

_PARAMS: Mapping[str, Rule] = {
    "frequency_penalty": _PENALTY,
    "logit_bias": OBJECT,
    "logprobs": FLAG,
    "max_completion_tokens": TOKENS,
    "max_tokens": TOKENS,
    "metadata": OBJECT,
    "n": Rule("a whole number from 1 to 128", whole(1, 128)),
    "parallel_tool_calls": FLAG,
    "presence_penalty": _PENALTY,
    "reasoning_effort": TEXT,
    "response_format": OBJECT,
    "seed": Rule("a whole number", whole(-(2**63), 2**63 - 1)),
    "service_tier": TEXT,
    "stop": Rule("a string or an array of up to 4 strings", _stops),
    "store": FLAG,
    "stream_options": OBJECT,
    "temperature": TEMPERATURE,
    "tool_choice": Rule("a string or an object", of_types(str, dict)),
    "tools": Rule("a non-empty array", lambda value: type(value) is list and bool(value)),
    "top_logprobs": Rule("a whole number from 0 to 20", whole(0, 20)),
    "top_p": TOP_P,
    "user": TEXT,
}


def _check_params(params: dict[str, Any], stream: bool) -> None:
    check_rules(params, _PARAMS)
    tools = params.get("tools")
    if params.get("stream_options") is not None and not stream:
        raise invalid("The 'stream_options' parameter is only allowed when 'stream' is enabled.")
    if params.get("parallel_tool_calls") is not None and not tools:
        raise invalid("'parallel_tool_calls' is only allowed when 'tools' are specified.")
    if params.get("top_logprobs") is not None and not params.get("logprobs"):
        raise invalid("'top_logprobs' is only allowed when 'logprobs' is enabled.")
    for position, tool in enumerate(tools or ()):
        _check_tool(f"tools[{position}]", tool)
    _check_choice(params.get("tool_choice"), tools or ())
    _check_format(params.get("response_format"))


def _check_tool(place: str, tool: Any) -> None:
    if type(tool) is not dict:
        raise wrong(place, "an object", tool)
    kind = tool.get("type")
    if kind not in ("function", "custom"):
        raise invalid(f"Invalid value for '{place}.type': 'function' and 'custom' are known.")
    spec = tool.get(kind)
    if type(spec) is not dict:
        raise wrong(f"{place}.{kind}", "an object", spec)
    if not is_name(spec.get("name")):
        raise invalid(f"Invalid '{place}.{kind}.name': 1 to 64 letters, digits, '_' and '-'.")


def _check_choice(choice: Any, tools: list[Any] | tuple[()]) -> None:
    if type(choice) is str and choice not in ("none", "auto", "required"):
        raise invalid("Invalid value for 'tool_choice': 'none', 'auto' and 'required' are known.")
    if choice not in (None, "none", "auto") and not tools:
        raise invalid("'tool_choice' is only allowed when 'tools' are specified.")
    if type(choice) is dict and choice.get("type") == "function":
        function = choice.get("function")
        named = function.get("name") if type(function) is dict else None
        if named not in [tool["function"]["name"] for tool in tools if tool["type"] == "function"]:
            raise invalid("'tool_choice' names a function that is not in 'tools'.")


def _check_format(wanted: Any) -> None:
    if wanted is None:
        return
    kind = wanted.get("type")
    if kind not in ("text", "json_object", "json_schema"):
        raise invalid("Invalid value for 'response_format.type'.")
    if kind == "json_schema" and type(wanted.get("json_schema")) is not dict:
        raise wrong("response_format.json_schema", "an object", wanted.get("json_schema"))


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
        raise wrong("messages", "an array", messages)
    if not messages:
        raise invalid("Invalid 'messages': empty array. Expected at least one message.")
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
        raise wrong(f"{place}.tool_call_id", "a string", call_id)
    if call_id not in owed:
        raise invalid(
            f"Invalid '{place}': messages with role 'tool' must be a response to a preceding message with "
            "'tool_calls'."
        )
    owed.discard(call_id)


def _check_settled(place: str, owed: set[str]) -> None:
    if owed:
        raise invalid(
            "An assistant message with 'tool_calls' must be followed by tool messages responding to each "
            f"'tool_call_id'; {len(owed)} of them did not have response messages before {place}."
        )


def _check_message(place: str, message: Any) -> None:
    if type(message) is not dict:
        raise wrong(place, "an object", message)
    role = message.get("role")
    if type(role) is not str or role not in ROLES:
        raise invalid(f"Invalid value for '{place}.role'.")
    content = message.get("content")
    calls = message.get("tool_calls")
    if type(content) is list:
        _check_parts(f"{place}.content", content, _PARTS[role])
    elif type(content) is not str and not (content is None and _may_be_silent(message, role)):
        raise wrong(f"{place}.content", "a string or an array", content)
    if calls is not None:
        _check_calls(f"{place}.tool_calls", role, calls)


def _may_be_silent(message: dict[str, Any], role: str) -> bool:
    if role == "function":
        return True
    others = ("tool_calls", "refusal", "function_call", "audio")
    return role == "assistant" and any(message.get(name) for name in others)


def _check_parts(place: str, parts: list[Any], known: frozenset[str]) -> None:
    if not parts:
        raise invalid(f"Invalid '{place}': empty array.")
    for position, part in enumerate(parts):
        kind = part.get("type") if type(part) is dict else None
        if type(kind) is not str or kind not in known:
            raise invalid(f"Invalid value for '{place}[{position}].type'.")
        wanted = str if kind in ("text", "refusal") else dict
        if type(part.get(kind)) is not wanted:
            raise wrong(f"{place}[{position}].{kind}", JSON_KINDS[wanted], part.get(kind))


def _check_calls(place: str, role: str, calls: Any) -> None:
    if role != "assistant":
        raise invalid(f"Unexpected '{place}': only messages with role 'assistant' have them.")
    if type(calls) is not list or not calls:
        raise invalid(f"Invalid '{place}': expected an array of at least one call.")
    for position, call in enumerate(calls):
        _check_call(f"{place}[{position}]", call)


def _check_call(place: str, call: Any) -> None:
    if type(call) is not dict:
        raise wrong(place, "an object", call)
    if type(call.get("id")) is not str:
        raise wrong(f"{place}.id", "a string", call.get("id"))
    kind, payload = ("custom", "input") if call.get("type") == "custom" else ("function", "arguments")
    called = call.get(kind)
    if (
        type(called) is not dict
        or type(called.get("name")) is not str
        or type(called.get(payload)) is not str
    ):
        raise invalid(f"Invalid '{place}.{kind}': expected an object with 'name' and '{payload}'.")
