"""Parameters of a generateContent request, read on the server's side into OpenAI's names."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from fallbackio.dialects.gemini._fields import GENERATION, fields
from fallbackio.dialects.gemini._models import since_3, version
from fallbackio.dialects.gemini._request import TOOL_NAME
from fallbackio.dialects.gemini._schema import json_schema, plain_schema
from fallbackio.dialects.gemini._values import boolean, closed, items, number, one_of, refuse, string

__all__ = ["params_of"]

Fields = dict[str, Any]

_TOOL = fields(
    "codeExecution computerUse enterpriseWebSearch exaAiSearch fileSearch functionDeclarations googleMaps "
    "googleSearch googleSearchRetrieval mcpServers parallelAiSearch retrieval urlContext"
)
_DECLARATION = fields("behavior description name parameters parametersJsonSchema response responseJsonSchema")
_TOOL_CONFIG = fields("functionCallingConfig includeServerSideToolInvocations retrievalConfig")
_CALLING = fields("allowedFunctionNames mode streamFunctionCallArguments")
_THINKING = fields("includeThoughts thinkingBudget thinkingLevel")

_MODES: Mapping[str, str] = {
    "MODE_UNSPECIFIED": "auto",
    "AUTO": "auto",
    "VALIDATED": "auto",
    "ANY": "required",
    "NONE": "none",
}
_LEVELS = frozenset({"MINIMAL", "LOW", "MEDIUM", "HIGH", "XHIGH"})
_TIERS = {"standard": "default"}
_MOST = 2**31 - 1

# OpenAI's name of each number, and its range.
_NUMBERS: Mapping[str, tuple[str, float, float, bool]] = {
    "temperature": ("temperature", 0, 2, False),
    "topP": ("top_p", 0, 1, False),
    "topK": ("top_k", 1, _MOST, False),
    "candidateCount": ("n", 1, 8, True),
    "maxOutputTokens": ("max_tokens", 1, _MOST, True),
    "seed": ("seed", -_MOST - 1, _MOST, True),
    "presencePenalty": ("presence_penalty", -2, 2, False),
    "frequencyPenalty": ("frequency_penalty", -2, 2, False),
    "logprobs": ("top_logprobs", 0, 20, True),
}

# The least budget of thought for each effort, the largest first.
_EFFORTS = ((16384, "high"), (4096, "medium"), (1, "low"), (0, "none"))


def params_of(said: Fields, model: str) -> Fields:
    """OpenAI's parameters for all fields but the conversation; Google's own keep their names."""
    config = closed(said.pop("generationConfig", {}), GENERATION, "generation_config")
    tools = _tools(said.pop("tools", []))
    choice = _choice(said.pop("toolConfig", {}), tools)
    exclusive = version(model) is not None and not since_3(model)
    if exclusive and tools and config.get("responseMimeType") == "application/json":
        refuse("Function calling with a response mime type: 'application/json' is unsupported")
    params = dict(_configured(config))
    if tools:
        params["tools"] = tools
    if choice is not None:
        params["tool_choice"] = choice
    tier = said.pop("serviceTier", None)
    if tier is not None:
        params["service_tier"] = _TIERS.get(tier, tier)
    return {**said, **params}


def _configured(config: Fields) -> Iterator[tuple[str, Any]]:
    for name, (ours, least, most, whole) in _NUMBERS.items():
        if name in config:
            where = f"generation_config.{name}"
            yield ours, number(config.pop(name), where, least, most, whole=whole)
            if ours == "top_logprobs" and not config.get("responseLogprobs"):
                refuse("logprobs: response_logprobs must be true")
    for name, read in _READ.items():
        if name in config:
            yield read(config.pop(name))
    if shape := _shape(config):
        yield "response_format", shape
    yield from config.items()


def _stops(value: object) -> tuple[str, Any]:
    stops = items(value, "generation_config.stop_sequences")
    if len(stops) > 5:
        refuse("generation_config.stop_sequences: at most 5 are allowed")
    return "stop", [string(stop, "generation_config.stop_sequences") for stop in stops]


def _logprobs(value: object) -> tuple[str, Any]:
    return "logprobs", boolean(value, "generation_config.response_logprobs")


def _thinking(value: object) -> tuple[str, Any]:
    where = "generation_config.thinking_config"
    said = closed(value, _THINKING, where)
    boolean(said.get("includeThoughts", False), f"{where}.include_thoughts")
    if "thinkingLevel" in said:
        if "thinkingBudget" in said:
            refuse("You can only set only one of thinking budget and thinking level.")
        level = one_of(said["thinkingLevel"], _LEVELS, f"{where}.thinking_level")
        return "reasoning_effort", level.lower()
    budget = number(said.get("thinkingBudget", -1), f"{where}.thinking_budget", -1, 65536, whole=True)
    effort = next((effort for least, effort in _EFFORTS if budget >= least), None)
    return ("reasoning_effort", effort) if effort else ("thinkingConfig", said)


_READ: Mapping[str, Callable[[object], tuple[str, Any]]] = {
    "stopSequences": _stops,
    "responseLogprobs": _logprobs,
    "thinkingConfig": _thinking,
}


def _shape(config: Fields) -> Fields | None:
    kind = config.pop("responseMimeType", "text/plain")
    where = "generation_config.response_"
    plain, own = config.pop("responseSchema", None), config.pop("responseJsonSchema", None)
    if kind not in ("text/plain", "application/json", "text/x.enum"):
        refuse(f"{where}mime_type: allowed mimetypes are text/plain, application/json and text/x.enum")
    if plain is None and own is None:
        return {"type": "json_object"} if kind == "application/json" else None
    if plain is not None and own is not None:
        refuse(f"{where}schema: only one of response_schema and response_json_schema may be set")
    if kind == "text/plain":
        refuse(f"{where}mime_type: must be application/json where a schema is given")
    schema = plain_schema(plain, f"{where}schema") if own is None else json_schema(own, f"{where}json_schema")
    return {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}


def _tools(value: object) -> list[Fields]:
    tools: list[Fields] = []
    for position, tool in enumerate(items(value, "tools")):
        where = f"tools[{position}]"
        said = closed(tool, _TOOL, where)
        declared = items(said.pop("functionDeclarations", []), f"{where}.function_declarations")
        tools += [
            _declaration(one, f"{where}.function_declarations[{at}]") for at, one in enumerate(declared)
        ]
        if said:
            tools.append(said)  # one that Google runs itself
    names = [tool["function"]["name"] for tool in tools if "function" in tool]
    if len(set(names)) != len(names):
        refuse("Duplicate function declaration found.")
    return tools


def _declaration(value: object, where: str) -> Fields:
    said = closed(value, _DECLARATION, where)
    name = string(said.get("name"), f"{where}.name")
    if not TOOL_NAME.fullmatch(name):
        refuse(
            f"Invalid value at '{where}.name': Must start with a letter or an underscore. Must be a-z, A-Z, "
            "0-9, or contain underscores, dots, colons and dashes, with a maximum length of 128."
        )
    function: Fields = {"name": name}
    if "description" in said:
        function["description"] = string(said["description"], f"{where}.description")
    plain, own = said.get("parameters"), said.get("parametersJsonSchema")
    if plain is not None and own is not None:
        refuse(f"{where}: parameters and parameters_json_schema are mutually exclusive")
    if plain is not None:
        function["parameters"] = plain_schema(plain, f"{where}.parameters")
    elif own is not None:
        function["parameters"] = json_schema(own, f"{where}.parameters_json_schema")
    return {"type": "function", "function": function}


def _choice(value: object, tools: list[Fields]) -> Any:
    said = closed(value, _TOOL_CONFIG, "tool_config")
    if "functionCallingConfig" not in said:
        return None
    where = "tool_config.function_calling_config"
    config = closed(said["functionCallingConfig"], _CALLING, where)
    mode = one_of(config.get("mode", "AUTO"), _MODES, f"{where}.mode")
    names = items(config.get("allowedFunctionNames", []), f"{where}.allowed_function_names")
    if names and mode not in ("ANY", "VALIDATED"):
        refuse(f"{where}.allowed_function_names: should be set only when the mode is ANY or VALIDATED")
    declared = [tool["function"]["name"] for tool in tools if "function" in tool]
    if mode == "ANY" and not declared:
        refuse("Function calling mode is ANY, but no function declarations are provided.")
    for name in names:
        if name not in declared:
            refuse(f"{where}.allowed_function_names: contains a function that is not declared")
    if mode != "ANY" or not names:
        return _MODES[mode]
    chosen = [{"type": "function", "function": {"name": name}} for name in names]
    if len(chosen) == 1:
        return chosen[0]
    return {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": chosen}}
