"""Parameters of a Messages request, read on the server's side into OpenAI's terms."""

from __future__ import annotations

import re
from collections.abc import Mapping

from fallbackio.dialects.anthropic._rules import Fields, list_of, object_of, refuse, string_of, with_cache

__all__ = ["params_of", "thinking_of"]

_RENAMED = frozenset({"model", "messages", "stream", "system"})

_TOOL_NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}")

_CHOICES: Mapping[str, str] = {"auto": "auto", "any": "required", "none": "none"}

_THINKING = ("enabled", "disabled", "adaptive")
_LEAST_BUDGET = 1024


def params_of(said: Fields) -> Fields:
    """All but the conversation; unknown ones stay as they are."""
    params = {name: value for name, value in said.items() if name not in _RENAMED and value is not None}
    limit = params.get("max_tokens")
    if type(limit) is not int or limit < 1:
        refuse("max_tokens: an integer of at least 1 is required")
    _ratio(params, "temperature")
    _ratio(params, "top_p")
    _stops(params)
    _tools(params)
    _outward(params)
    return params


def _ratio(params: Fields, name: str) -> None:
    value = params.get(name, 1)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        refuse(f"{name}: Input should be a number from 0 to 1")


def _stops(params: Fields) -> None:
    stops = params.pop("stop_sequences", None)
    if stops:
        for stop in list_of(stops, "stop_sequences"):
            if not isinstance(stop, str) or not stop.strip():
                refuse("stop_sequences: each stop sequence must contain non-whitespace")
        params["stop"] = stops


def _tools(params: Fields) -> None:
    tools = list_of(params.pop("tools", []), "tools")
    if tools:
        params["tools"] = [_tool(object_of(tool, f"tools.{n}"), f"tools.{n}") for n, tool in enumerate(tools)]
    choice = object_of(params.pop("tool_choice", {}), "tool_choice")
    if not choice:
        return
    if not tools:
        refuse("tool_choice: may only be specified while providing tools")
    kind = str(choice.get("type"))
    if kind == "tool":
        name = string_of(choice.get("name"), "tool_choice.name")
        params["tool_choice"] = {"type": "function", "function": {"name": name}}
    elif kind in _CHOICES:
        params["tool_choice"] = _CHOICES[kind]
    else:
        refuse("tool_choice.type: Input should be 'auto', 'any', 'tool' or 'none'")
    if choice.get("disable_parallel_tool_use"):
        params["parallel_tool_calls"] = False


def _tool(tool: Fields, where: str) -> Fields:
    if tool.get("type", "custom") != "custom":
        return tool  # one that Anthropic runs itself
    name = string_of(tool.get("name"), f"{where}.name")
    if not _TOOL_NAME.fullmatch(name):
        refuse(f"{where}.name: String should match pattern '^[a-zA-Z0-9_-]{{1,128}}$'")
    schema = object_of(tool.get("input_schema"), f"{where}.input_schema")
    if schema.get("type") != "object":
        refuse(f"{where}.input_schema.type: Input should be 'object'")
    function = {"name": name, "parameters": schema}
    function |= {field: tool[field] for field in ("description", "strict") if field in tool}
    return with_cache({"type": "function", "function": function}, tool)


def _outward(params: Fields) -> None:
    """Fields that OpenAI has by other names."""
    metadata = object_of(params.pop("metadata", {}), "metadata")
    if metadata.get("user_id") is not None:
        params["user"] = metadata["user_id"]
    config = object_of(params.pop("output_config", {}), "output_config")
    shape = config.get("format")
    if shape is not None:
        schema = object_of(
            object_of(shape, "output_config.format").get("schema"), "output_config.format.schema"
        )
        params["response_format"] = {
            "type": "json_schema",
            "json_schema": {"name": "answer", "schema": schema},
        }
    if config.get("effort") is not None:
        params["reasoning_effort"] = config["effort"]


def thinking_of(said: Fields) -> str:
    """How it is to think; empty where nothing is said of it."""
    thinking = said.get("thinking")
    if thinking is None:
        return ""
    kind = object_of(thinking, "thinking").get("type")
    if kind not in _THINKING:
        refuse("thinking.type: Input should be 'enabled', 'disabled' or 'adaptive'")
    budget, limit = thinking.get("budget_tokens"), said.get("max_tokens")
    if kind == "enabled" and (type(budget) is not int or budget < _LEAST_BUDGET):
        refuse(f"thinking.enabled.budget_tokens: Input should be greater than or equal to {_LEAST_BUDGET}")
    if kind == "enabled" and type(limit) is int and budget >= limit:
        refuse("max_tokens must be greater than thinking.budget_tokens")
    choice = said.get("tool_choice")
    if kind == "enabled" and isinstance(choice, dict) and choice.get("type") in ("any", "tool"):
        refuse("Thinking may not be enabled when tool_choice forces tool use.")
    return str(kind)
