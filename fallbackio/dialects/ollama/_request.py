"""Requests on their way to Ollama: OpenAI's parameters become fields and `options`.

`VOCABULARY` names the parameters that Ollama cannot express; `body_of` builds the body without them.
Ollama's own options (`num_ctx`, `top_k`, …) may stand among the parameters or in an `options` of the
user's, which wins; its own fields (`keep_alive`, `think`, `truncate`, `shift`) go out untouched.

Two rules bite in practice: `stream` is always said, because Ollama streams unless told not to, and a
conversation that is too long is cut by Ollama itself unless `truncate=False` forbids it.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from fallbackio.dialects._outgoing import (
    Params,
    functions_of,
    limit_of,
    schema_of,
    stops_of,
)
from fallbackio.dialects._vocabulary import NO_FIELD, Vocabulary, lost_parallel, lost_shape
from fallbackio.dialects.ollama._messages import conversation
from fallbackio.endpoint import Endpoint, Note
from fallbackio.errors import InvalidRequest
from fallbackio.model import Request

__all__ = ["LEVELS", "OPTIONS", "VOCABULARY", "body_of"]

# What is an option rather than a field of the request: OpenAI's names, which Ollama shares, then its own.
OPTIONS = frozenset(
    {
        *("temperature", "top_p", "seed", "frequency_penalty", "presence_penalty"),
        *("num_predict", "top_k", "min_p", "typical_p", "repeat_last_n", "repeat_penalty", "num_keep"),
        *("num_ctx", "num_batch", "num_gpu", "main_gpu", "use_mmap", "num_thread", "draft_num_predict"),
    }
)

# How hard to think by OpenAI's efforts; models that only know on and off take any level for on.
LEVELS: Mapping[str, bool | str] = MappingProxyType(
    {
        "none": False,
        "minimal": "low",
        "low": "low",
        "medium": "medium",
        "high": "high",
        "xhigh": "max",
        "max": "max",
    }
)


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
        _offer(params, body, note)
        _shape(params, body)
        _think(params, body, note)
        _set_options(params, body)
        params.pop("stream_options", None)  # usage always comes
    return {**params, **body}


def _offer(params: dict[str, Any], body: dict[str, Any], note: Note) -> None:
    tools = params.pop("tools", None)
    choice = params.pop("tool_choice", None)
    params.pop("parallel_tool_calls", None)
    if not tools:
        return
    if choice == "none":
        note("tools left out, since none may be called")
        return
    body["tools"] = [_tool(function) for function in functions_of(tools)]


def _tool(function: Mapping[str, Any]) -> dict[str, Any]:
    schema = {"type": "object", **(function.get("parameters") or {"properties": {}})}
    said = {"name": function["name"], "description": function.get("description") or "", "parameters": schema}
    return {"type": "function", "function": said}


def _shape(params: dict[str, Any], body: dict[str, Any]) -> None:
    shape = params.pop("response_format", None)
    if shape is not None and shape["type"] != "text":
        body["format"] = schema_of(shape) if shape["type"] == "json_schema" else "json"


def _think(params: dict[str, Any], body: dict[str, Any], note: Note) -> None:
    """Say the effort as a level; a `think` of the user's own says it already."""
    effort = params.pop("reasoning_effort", None)
    if effort is not None and "think" not in params:
        level = body["think"] = LEVELS[effort]
        if isinstance(level, str) and level != effort:
            note(f"reasoning_effort sent as {level}, the nearest there is")


def _set_options(params: dict[str, Any], body: dict[str, Any]) -> None:
    options = {name: params.pop(name) for name in list(params) if name in OPTIONS}
    limit = limit_of(params)
    if limit is not None:
        options["num_predict"] = limit
    if stops := stops_of(params):
        options["stop"] = stops
    own = params.pop("options", {})
    if not isinstance(own, Mapping):
        raise InvalidRequest("options must be an object")
    if options or own:
        body["options"] = {**options, **own}


def _lost_choice(value: Any, params: Params, model: str) -> bool:
    """No tool can be forced."""
    return value not in ("auto", "none")


def _lost_effort(value: Any, params: Params, model: str) -> bool:
    return not isinstance(value, str) or value not in LEVELS


_RULES = MappingProxyType(
    {
        "parallel_tool_calls": lost_parallel,
        "reasoning_effort": _lost_effort,
        "response_format": lost_shape,
        "tool_choice": _lost_choice,
    }
)

VOCABULARY = Vocabulary("Ollama's chat", NO_FIELD, _RULES)
