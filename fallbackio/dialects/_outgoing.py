"""Requests on their way out: what dialects other than OpenAI's do alike with OpenAI's terms.

Everything reads what a user wrote, so shapes are checked and a message of the wrong one is an
`InvalidRequest` for all endpoints; what a dialect merely has no words for is one for this endpoint
only (`beyond`).  The odd rule: `None` stands for absent, in the call's parameters and the endpoint's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import orjson
from attrs import field, frozen

from fallbackio.dialects._shared import finite, object_in
from fallbackio.endpoint import Endpoint
from fallbackio.errors import InvalidRequest
from fallbackio.model import EmbeddingRequest, Request

__all__ = [
    "Call",
    "Params",
    "arguments_of",
    "beyond",
    "calls_of",
    "data_url",
    "dumps",
    "effective",
    "functions_of",
    "image_url",
    "limit_of",
    "parts_of",
    "refusal",
    "schema_of",
    "stops_of",
    "text_of",
]

Params = Mapping[str, Any]

_LIMITS = ("max_completion_tokens", "max_tokens")


def effective(request: Request | EmbeddingRequest, endpoint: Endpoint) -> dict[str, Any]:
    """The call's parameters with the endpoint's own in their place, without absent ones.

    An endpoint's limit of the answer's length replaces the call's whichever of its two names it has.
    """
    own = endpoint.params
    given = dict(request.params)
    if any(name in own for name in _LIMITS):
        for name in _LIMITS:
            given.pop(name, None)
    return {name: value for name, value in {**given, **own}.items() if value is not None}


def refusal(lost: Iterable[str], api: str) -> InvalidRequest:
    """The error for parameters that `api` would lose."""
    removed = ", ".join([f'"{name}": None' for name in lost])
    return InvalidRequest(
        f"{api} cannot express {', '.join(lost)}; leave it out, or give the endpoint "
        f'params={{{removed}}} or unsupported="drop"',
        everywhere=False,
    )


def beyond(what: str) -> InvalidRequest:
    """The error for what this dialect has no words for, and another may."""
    return InvalidRequest(what, everywhere=False)


def dumps(body: Mapping[str, Any]) -> bytes:
    """`body` as JSON; raises `InvalidRequest` for what is none."""
    try:
        return finite(orjson.dumps(body, default=_plain), body)
    except TypeError as error:  # orjson's message names types only
        raise InvalidRequest(f"the request cannot be written as JSON: {error}") from None


def _plain(value: object) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(type(value).__name__)


def limit_of(params: dict[str, Any]) -> Any:
    """Take out the limit of the answer's length; `None` if there is none."""
    older = params.pop("max_tokens", None)
    return params.pop("max_completion_tokens", older)


def stops_of(params: dict[str, Any]) -> list[Any]:
    """Take out the stop sequences; those that are empty are left out."""
    stop = params.pop("stop", None)
    stops = stop if isinstance(stop, list | tuple) else [stop]
    return [text for text in stops if text]


def schema_of(shape: object) -> Mapping[str, Any] | None:
    """The schema in a `response_format` of type `json_schema`; `None` if it holds none."""
    wrapper = shape.get("json_schema") if isinstance(shape, Mapping) else None
    schema = wrapper.get("schema") if isinstance(wrapper, Mapping) else None
    return schema if isinstance(schema, Mapping) else None


def functions_of(tools: object) -> list[Mapping[str, Any]]:
    """The functions that `tools` offers; raises `InvalidRequest` for what is none."""
    if not isinstance(tools, list | tuple):
        raise InvalidRequest("tools must be a list")
    return [_function(tool, position) for position, tool in enumerate(tools)]


def _function(tool: object, position: int) -> Mapping[str, Any]:
    if not isinstance(tool, Mapping):
        raise InvalidRequest(f"tools[{position}] must be an object")
    if tool.get("type", "function") != "function":
        raise beyond(f"tools[{position}]: only functions can be offered here")
    function = tool.get("function")
    if not isinstance(function, Mapping) or not isinstance(function.get("name"), str):
        raise InvalidRequest(f"tools[{position}] must hold a function with a name")
    if not isinstance(function.get("parameters") or {}, Mapping):
        raise InvalidRequest(f"tools[{position}].function.parameters must be a JSON Schema object")
    return function


@frozen
class Call:
    """A tool call of an earlier turn; `arguments` is JSON text, or whatever else stood there."""

    id: str
    name: str
    arguments: Any = field(repr=False)


def calls_of(message: Mapping[str, Any], position: int) -> list[Call]:
    """The tool calls of an assistant's message."""
    if message.get("function_call"):
        raise beyond(f"messages[{position}].function_call is not supported; use tool_calls")
    calls = message.get("tool_calls") or ()
    if not isinstance(calls, list | tuple):
        raise InvalidRequest(f"messages[{position}].tool_calls must be a list")
    return [_call(call, position) for call in calls]


def _call(call: object, position: int) -> Call:
    if not isinstance(call, Mapping) or not isinstance(call.get("id"), str):
        raise InvalidRequest(f"messages[{position}].tool_calls holds a call without an id")
    if call.get("type", "function") != "function":
        raise beyond(f"messages[{position}].tool_calls: only calls of functions can be sent here")
    function = call.get("function")
    if not isinstance(function, Mapping) or not isinstance(function.get("name"), str):
        raise InvalidRequest(f"messages[{position}].tool_calls holds a call without a function name")
    return Call(call["id"], function["name"], function.get("arguments"))


def arguments_of(arguments: object, position: int) -> Mapping[str, Any]:
    """A call's arguments as an object; nothing at all is the empty one."""
    if isinstance(arguments, Mapping):
        return arguments
    if arguments is None or arguments == "":
        return {}
    given = object_in(arguments)
    if given is None:
        raise beyond(f"messages[{position}].tool_calls: the arguments of a call are not a JSON object")
    return given


def parts_of(content: object, position: int) -> list[Mapping[str, Any]]:
    """The parts of a message's content that is no string, each with a type; none if there is no content."""
    if content is None:
        return []
    if not isinstance(content, list | tuple):
        raise InvalidRequest(f"messages[{position}].content must be a string or a list of parts")
    for part in content:
        if not isinstance(part, Mapping) or not isinstance(part.get("type"), str):
            raise InvalidRequest(f"messages[{position}].content holds a part without a type")
    return list(content)


def text_of(part: Mapping[str, Any], position: int) -> str:
    """The text of a part of type `text` or `refusal`."""
    text = part.get("text", part.get("refusal"))
    if not isinstance(text, str):
        raise InvalidRequest(f"messages[{position}].content: a text part must hold a string")
    return text


def image_url(part: Mapping[str, Any], position: int) -> str:
    """The URL of a part of type `image_url`."""
    image = part.get("image_url")
    url = image.get("url") if isinstance(image, Mapping) else image
    if not isinstance(url, str):
        raise InvalidRequest(f"messages[{position}].content: an image_url part must hold a url")
    return url


def data_url(url: str, position: int) -> tuple[str, str]:
    """Media type without parameters, and base64 text, of a data URL; anything else is `beyond`."""
    head, comma, data = url.partition(",")
    scheme, _, described = head.partition(":")
    if scheme.lower() != "data" or not comma or not described.lower().endswith(";base64"):
        raise beyond(f"messages[{position}].content: only base64 data URLs can be sent here")
    return described.partition(";")[0].strip().lower(), data
