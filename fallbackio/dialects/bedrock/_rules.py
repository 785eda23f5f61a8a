"""Which parameters Converse, or one model behind it, cannot express.

Values that mean the default need no saying and pass.  Models differ, and only their names tell; where a
name does not, Bedrock has the last word.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from fallbackio.dialects import _claude
from fallbackio.dialects._outgoing import Params
from fallbackio.dialects._vocabulary import Rule, Vocabulary
from fallbackio.dialects.bedrock import _models as models

__all__ = [
    "METADATA_TEXT",
    "ONE_SAMPLER_FROM",
    "VOCABULARY",
    "takes_prefill",
]

METADATA_TEXT = re.compile(r"[a-zA-Z0-9\s:_@$#=/+,-.]{0,256}")
_MOST_METADATA = 16

_FIXED_SAMPLING_FROM = (4, 7)
ONE_SAMPLER_FROM = (4, 1)


def takes_prefill(params: Params, model: str) -> bool:
    """Whether `model` goes on from a last assistant turn; never while it thinks or must call a tool."""
    shape = params.get("response_format")
    by_tool = isinstance(shape, Mapping) and shape.get("type") == "json_schema"
    busy = _thinks(params) or (by_tool and models.needs_a_tool_for_schemas(model))
    return models.takes_prefill(model) and not busy


def _lost_temperature(value: Any, params: Params, model: str) -> bool:
    if value == 1:
        return False
    return _claude_thinks(params, model) or _claude.since(model, _FIXED_SAMPLING_FROM)


def _lost_top_p(value: Any, params: Params, model: str) -> bool:
    if value == 1:
        return False
    if _claude_thinks(params, model) and isinstance(value, int | float) and value < _claude.LEAST_TOP_P:
        return True
    beside = params.get("temperature") is not None
    return _claude.since(model, ONE_SAMPLER_FROM if beside else _FIXED_SAMPLING_FROM)


def _lost_effort(value: Any, params: Params, model: str) -> bool:
    if value == "none":
        return models.is_gpt(model)  # it always reasons
    if value not in _claude.EFFORTS:
        return True
    if _claude.thinks_by_budget(model):
        limit = params.get("max_completion_tokens") or params.get("max_tokens")
        return isinstance(limit, int) and limit <= _claude.LEAST_BUDGET
    return not (_claude.since(model, (4, 6)) or models.is_nova_2(model) or models.is_gpt(model))


def _lost_shape(value: Any, params: Params, model: str) -> bool:
    if not isinstance(value, Mapping):
        return True
    if value.get("type") != "json_schema":
        return value.get("type") not in ("text", "json_object")
    schema = value.get("json_schema")
    if not isinstance(schema, Mapping) or not isinstance(wanted := schema.get("schema"), Mapping):
        return True
    # A model that thinks may not be forced to call a tool, and a tool's input is always an object.
    no_tool = _thinks(params) or wanted.get("type", "object") != "object"
    return models.needs_a_tool_for_schemas(model) and no_tool


def _thinks(params: Params) -> bool:
    return params.get("reasoning_effort", "none") != "none" or "thinking" in params


def _claude_thinks(params: Params, model: str) -> bool:
    return models.is_claude(model) and _thinks(params)


def _may_force(params: Params, model: str) -> bool:
    """Whether it may be told that it must call a tool; not while it thinks within so many tokens."""
    return models.forces_tools(model) and not (_claude.thinks_by_budget(model) and _thinks(params))


def _lost_choice(value: Any, params: Params, model: str) -> bool:
    if isinstance(value, str):
        known = value in ("none", "auto") or (value == "required" and _may_force(params, model))
        return not known
    if not isinstance(value, Mapping):
        return True
    if isinstance(value.get("function"), Mapping):
        return not _may_force(params, model)
    own = [value[kind] for kind in ("auto", "any", "tool") if kind in value]  # in Converse's words
    if len(own) != 1 or len(value) != 1 or not isinstance(own[0], Mapping):
        return True
    return "auto" not in value and not _may_force(params, model)


def _lost_parallel(value: Any, params: Params, model: str) -> bool:
    silent = not params.get("tools") or params.get("tool_choice") == "none"
    return value is False and not silent and not models.is_claude(model)


def _lost_metadata(value: Any, params: Params, model: str) -> bool:
    if not isinstance(value, Mapping) or len(value) + ("user" in params) > _MOST_METADATA:
        return True
    return not all(name and _metadata_text(name) and _metadata_text(text) for name, text in value.items())


def _lost_user(value: Any, params: Params, model: str) -> bool:
    return not _metadata_text(value)


def _metadata_text(text: object) -> bool:
    return isinstance(text, str) and METADATA_TEXT.fullmatch(text) is not None


def _lost_tier(value: Any, params: Params, model: str) -> bool:
    return value not in ("auto", "default", "flex", "priority", "reserved")


# Parameters that Converse has no field for, with the values that mean the default and so pass.
_NO_FIELD: Mapping[str, tuple[object, ...]] = {
    "audio": (),
    "frequency_penalty": (0,),
    "function_call": ("none", "auto"),
    "functions": ([],),
    "logit_bias": ({},),
    "logprobs": (False,),
    "modalities": (["text"],),
    "moderation": (),
    "n": (1,),
    "prediction": (),
    "presence_penalty": (0,),
    "prompt_cache_key": (),
    "prompt_cache_options": (),
    "prompt_cache_retention": (),
    "seed": (),
    "store": (False,),
    "top_logprobs": (0,),
    "verbosity": ("medium",),
    "web_search_options": (),
}

# Parameters that it has a field for, but not for every value or on every model.
_RULES: Mapping[str, Rule] = {
    "metadata": _lost_metadata,
    "parallel_tool_calls": _lost_parallel,
    "reasoning_effort": _lost_effort,
    "response_format": _lost_shape,
    "safety_identifier": _lost_user,
    "service_tier": _lost_tier,
    "temperature": _lost_temperature,
    "tool_choice": _lost_choice,
    "top_p": _lost_top_p,
    "user": _lost_user,
}

VOCABULARY = Vocabulary("this model at Bedrock", _NO_FIELD, _RULES)
