"""Which parameters Messages, or one Claude behind it, cannot express.

Values that mean the default need no saying and pass.  Models differ, and only their names tell; where a
name does not, Anthropic has the last word.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fallbackio.dialects import _claude
from fallbackio.dialects._outgoing import Params
from fallbackio.dialects._vocabulary import Rule, Vocabulary
from fallbackio.dialects.anthropic._thinking import thinks_by

__all__ = [
    "FIXED_SAMPLING_FROM",
    "VOCABULARY",
    "has_budget",
    "knows_schemas",
    "may_prefill",
    "takes_prefill",
]

FIXED_SAMPLING_FROM = (4, 7)
_EFFORTS_FROM = (4, 6)
_ONE_SAMPLER_FROM = (4, 1)
_SCHEMAS_FROM = (4, 5)
_NO_PREFILL_FROM = (4, 6)


def may_prefill(params: Params, model: str) -> bool:
    """Whether a last assistant turn makes the model go on from it; true where that is not known."""
    return takes_prefill(model) and not _thinks(params)


def takes_prefill(model: str) -> bool:
    """Whether a last assistant turn is gone on with by `model`, as long as it does not think."""
    return not _claude.since(model, _NO_PREFILL_FROM)


def _thinks(params: Params) -> bool:
    """Whether it is asked to think, by OpenAI's word or by Anthropic's."""
    return params.get("reasoning_effort") not in (None, "none") or thinks_by(params.get("thinking"))


def _is_given_budget(params: Params, model: str) -> bool:
    """Whether it is asked to think within so many tokens."""
    if "thinking" in params:
        return has_budget(params["thinking"])
    return _thinks(params) and _claude.thinks_by_budget(model)


def has_budget(thinking: object) -> bool:
    """Whether it thinks in the older way, by a fixed budget."""
    return isinstance(thinking, Mapping) and thinking.get("type") == "enabled"


def knows_schemas(model: str) -> bool:
    """Whether it takes a schema for its answer; true where that is not known."""
    version = _claude.version(model)
    return version is None or version >= _SCHEMAS_FROM


def _lost_temperature(value: Any, params: Params, model: str) -> bool:
    return value != 1 and (_thinks(params) or _claude.since(model, FIXED_SAMPLING_FROM))


def _lost_top_p(value: Any, params: Params, model: str) -> bool:
    if value == 1:
        return False
    if _thinks(params) and isinstance(value, int | float) and value < _claude.LEAST_TOP_P:
        return True
    beside = params.get("temperature") is not None
    return _claude.since(model, _ONE_SAMPLER_FROM if beside else FIXED_SAMPLING_FROM)


def _lost_effort(value: Any, params: Params, model: str) -> bool:
    version = _claude.version(model)
    if version is None or value == "none":
        return version is None
    if _claude.thinks_by_budget(model):
        limit = params.get("max_completion_tokens") or params.get("max_tokens")
        return value not in _claude.EFFORTS or (isinstance(limit, int) and limit <= _claude.LEAST_BUDGET)
    return version < _EFFORTS_FROM


def _lost_shape(value: Any, params: Params, model: str) -> bool:
    if not isinstance(value, Mapping):
        return True
    if value.get("type") != "json_schema":
        return value.get("type") not in ("text", "json_object")
    named = value.get("json_schema")
    schema = named.get("schema") if isinstance(named, Mapping) else None
    if not isinstance(schema, Mapping):
        return True
    return not (knows_schemas(model) or _may_force_answer(schema, params, model))


def _may_force_answer(schema: Params, params: Params, model: str) -> bool:
    """A tool takes objects only; beside other tools it would forbid their use, and thinking forbids it."""
    is_object = schema.get("type", "object") == "object" and not _CHOICES_OF_SCHEMAS & schema.keys()
    return is_object and not params.get("tools") and not _is_given_budget(params, model)


_CHOICES_OF_SCHEMAS = frozenset({"anyOf", "oneOf", "allOf"})


def _lost_choice(value: Any, params: Params, model: str) -> bool:
    if isinstance(value, Mapping) and value.get("type") in ("allowed_tools", "custom"):
        return True
    forced = value == "required" or (isinstance(value, Mapping) and value.get("type") not in ("auto", "none"))
    return forced and (_is_given_budget(params, model) or _claude.refuses_force(model))


def _lost_metadata(value: Any, params: Params, model: str) -> bool:
    return not isinstance(value, Mapping) or any(name != "user_id" for name in value)


def _lost_tier(value: Any, params: Params, model: str) -> bool:
    return value not in ("auto", "default", "standard_only")


# Parameters that Messages has no field for, with the values that mean the default and so pass.
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
    "reasoning_effort": _lost_effort,
    "response_format": _lost_shape,
    "service_tier": _lost_tier,
    "temperature": _lost_temperature,
    "tool_choice": _lost_choice,
    "top_p": _lost_top_p,
}

VOCABULARY = Vocabulary("this model's Messages API", _NO_FIELD, _RULES)
