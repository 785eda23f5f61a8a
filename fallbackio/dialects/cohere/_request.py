"""Requests on their way to Cohere: OpenAI's parameters become those of chat v2.

`VOCABULARY` names the parameters that chat v2 cannot express; `body_of` builds the body without them.
Parameters unknown here go out untouched, so `documents`, `citation_options`, `safety_mode`, `k`,
`thinking` or `priority` work as Cohere documents them.  The odd rule: what has a counterpart with
narrower limits is brought to the nearest one it allows, and noted; a negative penalty has none.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from fallbackio.dialects._outgoing import (
    Params,
    beyond,
    functions_of,
    limit_of,
    schema_of,
    stops_of,
)
from fallbackio.dialects._vocabulary import NO_FIELD, Vocabulary, lost_parallel, lost_shape
from fallbackio.dialects.cohere._messages import conversation
from fallbackio.endpoint import Endpoint, Note
from fallbackio.errors import InvalidRequest
from fallbackio.model import Request

__all__ = ["BUDGETS", "TOOL_NAME", "VOCABULARY", "body_of"]

TOOL_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

# Tokens for thinking by OpenAI's efforts; where there is none the model takes what it wants.
BUDGETS: Mapping[str, int] = MappingProxyType({"minimal": 512, "low": 1024, "medium": 8192})

_BEYOND_HIGH = ("xhigh", "max")

# OpenAI's limit is 4.
_MOST_STOPS = 5

_CHOICES = MappingProxyType({"required": "REQUIRED", "none": "NONE"})

# Words of JSON Schema that Cohere refuses.  Without them a schema allows more, never less.
_TOO_FINE = frozenset(
    {
        *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "not"),
        *("minLength", "maxLength", "minItems", "maxItems", "uniqueItems"),
        *("minProperties", "maxProperties"),
    }
)
# Keys whose values map names to schemas; a property may be called "minimum".
_BY_NAME = frozenset({"properties", "$defs", "definitions"})


def body_of(request: Request, endpoint: Endpoint, note: Note) -> dict[str, Any]:
    """The body of a chat request, without what is unsayable.

    Raises:
        InvalidRequest: For messages or tools that cannot be expressed, and for what is unsayable
            unless the endpoint drops it.
    """
    params = VOCABULARY.said(request, endpoint)
    messages = conversation(request.messages, endpoint, note)
    body: dict[str, Any] = {"model": endpoint.model, "messages": messages, "stream": request.stream}
    if params:
        _sample(params, body, note)
        _offer(params, body, note)
        _shape(params, body, note)
        _think(params, body, note)
        params.pop("stream_options", None)  # usage always comes
    return {**params, **body}


def _sample(params: dict[str, Any], body: dict[str, Any], note: Note) -> None:
    limit = limit_of(params)
    if limit is not None:
        body["max_tokens"] = limit
    if "top_p" in params:
        params["p"] = params.pop("top_p")
    for name, (least, most) in _RANGES.items():
        if name in params:
            params[name] = _within(params[name], least, most, name, note)
    if stops := stops_of(params):
        body["stop_sequences"] = stops


# The most that is taken; what is below the least of a penalty is lost.
_RANGES: Mapping[str, tuple[float, float]] = MappingProxyType(
    {"temperature": (0, 1), "p": (0.01, 0.99), "frequency_penalty": (0, 1), "presence_penalty": (0, 1)}
)


def _within(value: Any, least: float, most: float, name: str, note: Note) -> Any:
    if not isinstance(value, int | float) or least <= value <= most:
        return value
    if name != "p" or value not in (0, 1):  # which mean no more than the ends of the range do
        note(f"{name} brought into {least} to {most}")
    return min(max(value, least), most)


def _offer(params: dict[str, Any], body: dict[str, Any], note: Note) -> None:
    tools = params.pop("tools", None)
    choice = params.pop("tool_choice", None)
    params.pop("parallel_tool_calls", None)
    if not tools:
        return
    functions = functions_of(tools)
    if isinstance(choice, Mapping):
        functions = _only(functions, choice, note)
        choice = "required"
    if any(function.get("strict") for function in functions):
        _be_strict(functions, body, note)
    strict = "strict_tools" in body
    body["tools"] = [_tool(function, strict, note) for function in functions]
    if choice in _CHOICES:
        body["tool_choice"] = _CHOICES[choice]


def _only(
    functions: list[Mapping[str, Any]], choice: Mapping[str, Any], note: Note
) -> list[Mapping[str, Any]]:
    """There is no word for one tool; offering only that one says the same."""
    wanted = choice.get("function")
    name = wanted.get("name") if isinstance(wanted, Mapping) else None
    found = [function for function in functions if function["name"] == name]
    if not found:
        raise InvalidRequest("tool_choice names a function that is not in tools")
    if len(functions) > 1:
        note("only the forced tool is offered")
    return found


def _be_strict(functions: list[Mapping[str, Any]], body: dict[str, Any], note: Note) -> None:
    """Cohere is strict with all tools or none, and refuses to be with one that requires nothing."""
    if all((function.get("parameters") or {}).get("required") for function in functions):
        body["strict_tools"] = True
    else:
        note("strict left out: a tool requires no parameter")


def _tool(function: Mapping[str, Any], strict: bool, note: Note) -> dict[str, Any]:
    name = function["name"]
    if not TOOL_NAME.fullmatch(name):
        raise beyond("Cohere takes names of tools in letters, digits and _ only, not beginning with a digit")
    schema = {"type": "object", **(function.get("parameters") or {"properties": {}})}
    said = {"name": name, "parameters": _narrowed(schema, note) if strict else schema}
    if function.get("description"):
        said["description"] = function["description"]
    return {"type": "function", "function": said}


def _shape(params: dict[str, Any], body: dict[str, Any], note: Note) -> None:
    shape = params.pop("response_format", None)
    if shape is None or shape["type"] == "text":
        return
    said: dict[str, Any] = {"type": "json_object"}
    schema = schema_of(shape)
    if schema is None and "json_schema" in shape:
        schema = shape["json_schema"]  # as Cohere itself has it
    if schema is not None:
        said["json_schema"] = _narrowed(schema, note)
    body["response_format"] = said


def _narrowed(schema: Any, note: Note) -> Any:
    """`schema` in the words that Cohere knows."""
    if isinstance(schema, list | tuple):
        return [_narrowed(one, note) for one in schema]
    if not isinstance(schema, Mapping):
        return schema
    if "allOf" in schema:
        raise beyond("Cohere's structured outputs have no allOf")
    said: dict[str, Any] = {}
    for name, value in schema.items():
        if name in _BY_NAME and isinstance(value, Mapping):
            said[name] = {key: _narrowed(one, note) for key, one in value.items()}
        elif name in ("enum", "const", "default", "examples", "required"):
            said[name] = value
        elif name in _TOO_FINE:
            note("bounds left out of the schema")
        else:
            said["anyOf" if name == "oneOf" else name] = _narrowed(value, note)
    return said


def _think(params: dict[str, Any], body: dict[str, Any], note: Note) -> None:
    """Say the effort as a budget; a `thinking` of the user's own says it already."""
    effort = params.pop("reasoning_effort", None)
    if effort is None or "thinking" in params:
        return
    if effort == "none":
        body["thinking"] = {"type": "disabled"}
        return
    if effort in _BEYOND_HIGH:
        note("reasoning_effort sent as high, the most there is")
    budget = BUDGETS.get(effort)
    body["thinking"] = {"type": "enabled"} | ({"token_budget": budget} if budget else {})


def _lost_below_zero(value: Any, params: Params, model: str) -> bool:
    return isinstance(value, int | float) and value < 0


def _lost_stops(value: Any, params: Params, model: str) -> bool:
    return isinstance(value, list | tuple) and len(value) > _MOST_STOPS


def _lost_choice(value: Any, params: Params, model: str) -> bool:
    if isinstance(value, Mapping):
        return bool(value.get("type", "function") != "function")
    return value not in ("auto", "none", "required")


def _lost_effort(value: Any, params: Params, model: str) -> bool:
    return value not in (*BUDGETS, *_BEYOND_HIGH, "high", "none")


_NO_FIELD = MappingProxyType({**NO_FIELD, "top_logprobs": (0,)})

_RULES = MappingProxyType(
    {
        "frequency_penalty": _lost_below_zero,
        "parallel_tool_calls": lost_parallel,
        "presence_penalty": _lost_below_zero,
        "reasoning_effort": _lost_effort,
        "response_format": lost_shape,
        "seed": _lost_below_zero,
        "stop": _lost_stops,
        "tool_choice": _lost_choice,
    }
)

VOCABULARY = Vocabulary("Cohere's chat", _NO_FIELD, _RULES)
