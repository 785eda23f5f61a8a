"""Converse's parameters, read on the server's side into OpenAI's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import orjson

from fallbackio.dialects.bedrock._fields import (
    TOOL_NAME,
    Fields,
    like,
    list_,
    object_,
    only,
    refuse,
    string,
    union,
)
from fallbackio.dialects.bedrock._rules import METADATA_TEXT, VOCABULARY

__all__ = ["params_of"]

_TIERS = ("priority", "default", "flex", "reserved")
_MOST_STOPS = 2500


def params_of(said: Fields) -> Fields:
    """What stands beside the conversation, by OpenAI's names where it has them."""
    params: Fields = {}
    for name, read in _READERS.items():
        if said.get(name) is not None:
            params |= read(object_(said[name], name))
    params |= {
        name: said[name]
        for name in ("guardrailConfig", "performanceConfig", "promptVariables")
        if said.get(name) is not None
    }
    return params


def _inference(config: Fields) -> Fields:
    only(config, ("maxTokens", "temperature", "topP", "stopSequences"), "inferenceConfig")
    params: Fields = {}
    limit = config.get("maxTokens")
    if limit is not None:
        if type(limit) is not int or limit < 1:
            refuse("inferenceConfig.maxTokens must have value greater than or equal to 1")
        params["max_tokens"] = limit
    for theirs, ours in (("temperature", "temperature"), ("topP", "top_p")):
        value = config.get(theirs)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
            refuse(f"inferenceConfig.{theirs} must be a number from 0 to 1")
        params[ours] = value
    stops = list_(config.get("stopSequences", []), "inferenceConfig.stopSequences")
    if len(stops) > _MOST_STOPS:
        refuse("inferenceConfig.stopSequences holds too many")
    if stops:
        params["stop"] = [string(stop, "inferenceConfig.stopSequences") for stop in stops]
    return params


def _tools(config: Fields) -> Fields:
    only(config, ("tools", "toolChoice"), "toolConfig")
    tools = list_(config.get("tools"), "toolConfig.tools")
    if not tools:
        refuse("toolConfig.tools must hold at least one tool")
    params: Fields = {"tools": [_tool(tool, f"toolConfig.tools.{at}") for at, tool in enumerate(tools)]}
    if config.get("toolChoice") is not None:
        kind, said = union(config["toolChoice"], "toolConfig.toolChoice")
        if kind not in ("auto", "any", "tool"):
            refuse("toolConfig.toolChoice must be auto, any or tool")
        params["tool_choice"] = _choice(kind, object_(said, "toolConfig.toolChoice").get("name"), tools)
    return params


def _choice(kind: str, name: object, tools: list[Any]) -> Any:
    if kind != "tool":
        return "required" if kind == "any" else "auto"
    if not any(tool.get("toolSpec", {}).get("name") == name for tool in tools):
        refuse("toolConfig.toolChoice.tool.name is not the name of a tool")
    return {"type": "function", "function": {"name": name}}


def _tool(tool: object, where: str) -> Fields:
    kind, said = union(tool, where)
    if kind not in ("toolSpec", "systemTool", "cachePoint"):
        refuse(f"{where} cannot hold {kind[:40]}")
    if kind != "toolSpec":
        return {kind: said}
    spec = object_(said, where)
    only(spec, ("name", "description", "inputSchema", "strict"), where)
    kind, schema = union(spec.get("inputSchema"), f"{where}.inputSchema")
    if kind != "json" or object_(schema, f"{where}.inputSchema.json").get("type") != "object":
        refuse(f"{where}.inputSchema.json.type must be one of the following: object")
    function = {"name": like(TOOL_NAME, spec.get("name"), f"{where}.name"), "parameters": schema}
    if "description" in spec:
        function["description"] = string(spec["description"], f"{where}.description")
    if "strict" in spec:
        if not isinstance(spec["strict"], bool):
            refuse(f"{where}.strict must be a boolean")
        function["strict"] = spec["strict"]
    return {"type": "function", "function": function}


def _output(config: Fields) -> Fields:
    only(config, ("textFormat", "effort"), "outputConfig")
    params: Fields = {"reasoning_effort": config["effort"]} if config.get("effort") is not None else {}
    if config.get("textFormat") is None:
        return params
    shape = object_(config["textFormat"], "outputConfig.textFormat")
    kind, inner = union(shape.get("structure"), "outputConfig.textFormat.structure")
    if shape.get("type") != "json_schema" or kind != "jsonSchema":
        refuse("outputConfig.textFormat.type must be json_schema")
    wanted = object_(inner, "outputConfig.textFormat.structure.jsonSchema")
    text = string(wanted.get("schema"), "outputConfig.textFormat.structure.jsonSchema.schema")
    try:
        schema = orjson.loads(text)
    except orjson.JSONDecodeError:
        refuse("outputConfig.textFormat.structure.jsonSchema.schema must be JSON text")
    named = {"name": wanted.get("name") or "answer", "schema": object_(schema, "the JSON schema")}
    if wanted.get("description"):
        named["description"] = wanted["description"]
    return params | {"response_format": {"type": "json_schema", "json_schema": named}}


def _metadata(said: Fields) -> Fields:
    if not 1 <= len(said) <= 16:
        refuse("requestMetadata must hold 1 to 16 pairs")
    for name, text in said.items():
        like(METADATA_TEXT, name, "requestMetadata")
        if not isinstance(text, str) or not METADATA_TEXT.fullmatch(text):
            refuse("requestMetadata holds a value that is not allowed")
    rest = {name: text for name, text in said.items() if name != "user"}
    return ({"user": said["user"]} if "user" in said else {}) | ({"metadata": rest} if rest else {})


def _tier(said: Fields) -> Fields:
    if said.get("type") not in _TIERS:
        refuse(f"serviceTier.type must be one of {', '.join(_TIERS)}")
    return {"service_tier": said["type"]}


def _own(said: Fields) -> Fields:
    """The model's own fields: choice and effort by OpenAI's names, all others by their own."""
    params = {name: value for name, value in said.items() if name not in VOCABULARY.no_field}
    choice = params.pop("tool_choice", None)
    if isinstance(choice, dict):
        if choice.get("disable_parallel_tool_use"):
            params["parallel_tool_calls"] = False
        kind = choice.get("type")
        named = {"type": "function", "function": {"name": choice.get("name")}}
        params["tool_choice"] = {"any": "required", "tool": named}.get(str(kind), "auto")
    effort = _effort(params)
    if effort is not None:
        params["reasoning_effort"] = effort
    return params


def _effort(params: Fields) -> Any:
    for name, inner in (("output_config", "effort"), ("reasoningConfig", "maxReasoningEffort")):
        said = params.get(name)
        if isinstance(said, dict) and inner in said:
            del params[name]
            params.pop("thinking", None)
            return said[inner]
    return params.get("reasoning_effort")


_READERS: Mapping[str, Callable[[Fields], Fields]] = {
    "inferenceConfig": _inference,
    "toolConfig": _tools,
    "outputConfig": _output,
    "requestMetadata": _metadata,
    "serviceTier": _tier,
    "additionalModelRequestFields": _own,
}
