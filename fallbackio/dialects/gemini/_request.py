"""Requests on their way to Gemini: OpenAI's parameters become `generationConfig`, tools and `toolConfig`.

`VOCABULARY` names the parameters that Gemini, or this model of it, cannot express; `body_of` builds the
body without them.  Names of `generationConfig` go there, `generationConfig` itself wins over what is
made of OpenAI's names, and what is unknown goes out untouched, so `safetySettings`, `cachedContent`,
`labels` or `topK` work as Google documents them.  Schemas go out as they are, as JSON Schema.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from fallbackio.dialects._outgoing import Params
from fallbackio.dialects._vocabulary import Rule, Vocabulary, lost_parallel
from fallbackio.dialects.gemini._fields import GENERATION
from fallbackio.dialects.gemini._messages import conversation
from fallbackio.dialects.gemini._models import bare, is_pro, since_3, version
from fallbackio.endpoint import Endpoint, Note
from fallbackio.errors import InvalidRequest
from fallbackio.model import Request

__all__ = ["API", "TOOL_NAME", "VOCABULARY", "body_of"]

Fields = dict[str, Any]

API = "this model's Gemini API"

TOOL_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.:-]{0,127}")

_MOST_STOPS = 5
_MOST_CANDIDATES = 8

# OpenAI's name for what generationConfig takes as it is.
_RENAMED: Mapping[str, str] = {
    "max_tokens": "maxOutputTokens",
    "max_completion_tokens": "maxOutputTokens",  # the newer name wins
    "n": "candidateCount",
    "logprobs": "responseLogprobs",
    "top_logprobs": "logprobs",
}
_MODES: Mapping[str, str] = {"none": "NONE", "auto": "AUTO", "required": "ANY"}

# Google's own equivalents of OpenAI's words, for models that count tokens of thought …
_BUDGETS: Mapping[str, int] = {
    "none": 0,
    "minimal": 1024,
    "low": 1024,
    "medium": 8192,
    "high": 24576,
    "xhigh": 24576,
    "max": 24576,
}
_NO_BUDGET_OF_ITS_OWN: Mapping[str, str] = {"minimal": "low", "xhigh": "high", "max": "high"}
_LEAST_PRO_BUDGET = 128  # it cannot be switched off there
_THINKS_FROM = (2, 5)
# … and for those that have levels.
_LEVELS: Mapping[str, str] = {
    "none": "minimal",
    "minimal": "minimal",
    "low": "low",
    "medium": "medium",
    "high": "high",
    "xhigh": "high",
    "max": "high",
}

# A schema that says nothing: a declaration leaves it out.
_SAYS_NOTHING = frozenset({"type", "properties", "required", "additionalProperties", "$schema", "title"})


def body_of(request: Request, endpoint: Endpoint, note: Note) -> Fields:
    """The body of a generateContent request, without what is unsayable.

    Raises:
        InvalidRequest: For messages or tools that cannot be expressed, and for what is unsayable
            unless the endpoint drops it.
    """
    model = bare(endpoint.model)
    params = VOCABULARY.said(request, endpoint)
    system, turns = conversation(request.messages, endpoint, note)
    body: Fields = {"contents": turns}
    if system:
        body["systemInstruction"] = {"parts": system}
    if params:
        _offer_tools(params, body, note)
        _configure(params, model, body, note)
        _choose_tier(params)
        params.pop("stream_options", None)  # usage always comes
    return {**params, **body}


def _configure(params: Fields, model: str, body: Fields, note: Note) -> None:
    own = params.pop("generationConfig", params.pop("generation_config", {}))
    if not isinstance(own, Mapping):
        raise InvalidRequest("generationConfig must be an object", everywhere=False)
    shape = params.pop("response_format", None)  # generationConfig has one too, which is another
    config = {_RENAMED[name]: params.pop(name) for name in _RENAMED if name in params}
    config |= {GENERATION[name]: params.pop(name) for name in [*params] if name in GENERATION}
    stop = params.pop("stop", None)
    if stop := [text for text in ([stop] if isinstance(stop, str) else stop or ()) if text]:
        config["stopSequences"] = stop
    _shape(shape, config)
    effort = params.pop("reasoning_effort", None)
    if effort is not None and not {"thinkingConfig", "thinking_config"} & {*config, *own}:
        config |= _thinking(effort, model, note)
    if config or own:
        body["generationConfig"] = {**config, **own}


def _shape(wanted: Any, config: Fields) -> None:
    if wanted is None or wanted["type"] == "text":
        return
    config["responseMimeType"] = "application/json"
    if wanted["type"] == "json_schema":
        config["responseJsonSchema"] = wanted["json_schema"]["schema"]


def _thinking(effort: str, model: str, note: Note) -> Fields:
    """The effort as this model wants it; `VOCABULARY` has seen to it that the model thinks."""
    known = version(model)
    if known is None or known < _THINKS_FROM:
        return {}  # only "none" comes here
    if known >= (3, 0):
        level = _LEVELS[effort]
        if level == "minimal" and is_pro(model):
            level = "low"
        if level != effort:
            note(f"reasoning_effort sent as {level}, the nearest that the model has")
        return {"thinkingConfig": {"thinkingLevel": level, "includeThoughts": effort != "none"}}
    budget = _BUDGETS[effort]
    if effort in _NO_BUDGET_OF_ITS_OWN:
        note(f"reasoning_effort sent as {_NO_BUDGET_OF_ITS_OWN[effort]}, the nearest that the model has")
    if not budget and is_pro(model):
        note("reasoning cannot be switched off here and was kept at its least")
        budget = _LEAST_PRO_BUDGET
    return {"thinkingConfig": {"thinkingBudget": budget, "includeThoughts": effort != "none"}}


def _choose_tier(params: Fields) -> None:
    tier = params.pop("service_tier", None)
    if tier is not None and tier != "auto":
        params["serviceTier"] = "standard" if tier == "default" else tier


def _offer_tools(params: Fields, body: Fields, note: Note) -> None:
    tools = params.pop("tools", None)
    choice = params.pop("tool_choice", None)
    params.pop("parallel_tool_calls", None)  # true is what it does anyway
    if tools:
        if not isinstance(tools, list | tuple):
            raise InvalidRequest("tools must be a list")
        declared: list[Fields] = []
        own: list[Mapping[str, Any]] = []
        for position, tool in enumerate(tools):
            _declare(tool, position, declared, own, note)
        body["tools"] = ([{"functionDeclarations": declared}] if declared else []) + own
    if choice is not None and not {"toolConfig", "tool_config"} & params.keys():
        body["toolConfig"] = {"functionCallingConfig": _calling(choice)}


def _declare(
    tool: object, position: int, declared: list[Fields], own: list[Mapping[str, Any]], note: Note
) -> None:
    if not isinstance(tool, Mapping):
        raise InvalidRequest(f"tools[{position}] must be an object")
    if "type" not in tool:
        own.append(tool)  # Gemini's own, for example {"googleSearch": {}}
        return
    if tool["type"] != "function":
        raise InvalidRequest(f"tools[{position}]: Gemini has no tools of this type", everywhere=False)
    function = tool.get("function")
    if not isinstance(function, Mapping) or not isinstance(name := function.get("name"), str):
        raise InvalidRequest(f"tools[{position}] must hold a function with a name")
    if not TOOL_NAME.fullmatch(name):
        raise InvalidRequest(
            f"tools[{position}]: Gemini's names of functions begin with a letter or _ and go on with "
            "letters, digits, _ . : or -, 128 in all",
            everywhere=False,
        )
    if function.get("strict"):
        note("strict tool schemas are not promised here")
    said: Fields = {"name": name}
    if function.get("description"):
        said["description"] = function["description"]
    schema = function.get("parameters")
    if schema is not None and not isinstance(schema, Mapping):
        raise InvalidRequest(f"tools[{position}].function.parameters must be a JSON Schema object")
    if schema and (schema.get("properties") or not schema.keys() <= _SAYS_NOTHING):
        said["parametersJsonSchema"] = schema
    declared.append(said)


def _calling(choice: Any) -> Fields:
    """`functionCallingConfig`; `VOCABULARY` has seen to it that there is one."""
    if isinstance(choice, str):
        return {"mode": _MODES[choice]}
    if choice["type"] == "function":
        return {"mode": "ANY", "allowedFunctionNames": [choice["function"]["name"]]}
    names = [tool["function"]["name"] for tool in choice["allowed_tools"]["tools"]]
    return {"mode": "ANY", "allowedFunctionNames": names}


def _lost_choice(value: Any, params: Params, model: str) -> bool:
    if isinstance(value, str):
        return value not in _MODES
    try:
        if value["type"] == "allowed_tools" and value["allowed_tools"]["mode"] != "required":
            return True
        return not _calling(value)["allowedFunctionNames"]
    except (KeyError, TypeError):
        return True


def _lost_effort(value: Any, params: Params, model: str) -> bool:
    known = version(model)
    if value == "none":
        return False
    return not isinstance(value, str) or value not in _LEVELS or known is None or known < _THINKS_FROM


def _lost_shape(value: Any, params: Params, model: str) -> bool:
    kind = value.get("type") if isinstance(value, Mapping) else None
    if kind not in ("text", "json_object", "json_schema"):
        return True
    # Before the third generation JSON and functions exclude each other.
    if kind != "text" and params.get("tools") and version(model) is not None and not since_3(model):
        return True
    schema = value.get("json_schema")
    return kind == "json_schema" and not (isinstance(schema, Mapping) and "schema" in schema)


def _lost_candidates(value: Any, params: Params, model: str) -> bool:
    return type(value) is not int or not 1 <= value <= _MOST_CANDIDATES


def _lost_stop(value: Any, params: Params, model: str) -> bool:
    if isinstance(value, str):
        return False
    return not isinstance(value, list | tuple) or len(value) > _MOST_STOPS


def _lost_tier(value: Any, params: Params, model: str) -> bool:
    return value not in ("auto", "default", "standard", "flex", "priority")


# Parameters that Gemini has no field for, with the values that mean the default and so pass.
_NO_FIELD: Mapping[str, tuple[object, ...]] = {
    "audio": (),
    "function_call": ("none", "auto"),
    "functions": ([],),
    "logit_bias": ({},),
    "metadata": ({},),
    "modalities": (["text"],),
    "moderation": (),
    "prediction": (),
    "prompt_cache_key": (),
    "prompt_cache_options": (),
    "prompt_cache_retention": (),
    "safety_identifier": (),
    "user": (),
    "verbosity": ("medium",),
    "web_search_options": (),
}


def _lost_seed(value: Any, params: Params, model: str) -> bool:
    return isinstance(value, int) and not -(2**31) <= value < 2**31


# Parameters that it has a field for, but not for every value or on every model.
_RULES: Mapping[str, Rule] = {
    "n": _lost_candidates,
    "parallel_tool_calls": lost_parallel,
    "reasoning_effort": _lost_effort,
    "response_format": _lost_shape,
    "seed": _lost_seed,
    "service_tier": _lost_tier,
    "stop": _lost_stop,
    "tool_choice": _lost_choice,
}

VOCABULARY = Vocabulary(API, _NO_FIELD, _RULES)
