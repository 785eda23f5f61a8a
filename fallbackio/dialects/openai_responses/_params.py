"""OpenAI's chat parameters in the words of Responses.

`VOCABULARY` knows what Responses has no field for.
Fields of Responses itself (`reasoning`, `truncation`, `include`, …) go out as the user gave them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from fallbackio.dialects._vocabulary import Vocabulary
from fallbackio.endpoint import Note
from fallbackio.errors import InvalidRequest

__all__ = ["ENCRYPTED", "LOGPROBS", "VOCABULARY", "say", "tool_choice_of", "tool_of"]

Fields = dict[str, Any]
Params = Mapping[str, Any]

ENCRYPTED = "reasoning.encrypted_content"
LOGPROBS = "message.output_text.logprobs"

# Below it the API refuses the limit.
_LEAST_TOKENS = 16

# Fields of chat completions that Responses lacks, with the values that say nothing.
_NO_FIELD: Mapping[str, tuple[object, ...]] = {
    "n": (1,),
    "stop": ([], ()),
    "seed": (),
    "presence_penalty": (0,),
    "frequency_penalty": (0,),
    "logit_bias": ({},),
    "audio": (),
    "modalities": (["text"], ("text",)),
    "prediction": (),
    "web_search_options": (),
    "functions": ([], ()),
    "function_call": (),
}

VOCABULARY = Vocabulary("the Responses API", _NO_FIELD)

# Models that reason, and give their reasoning encrypted; others refuse to be asked for it.
_REASONING = re.compile(r"(?:ft:)?(?:o\d|gpt-(?:[5-9]|[12]\d)|codex)(?![0-9a-z])(?!.*-chat)")


def say(params: Params, model: str, stream: bool, note: Note) -> Fields:
    """The fields for `params`, which can all be said."""
    said = dict(params)
    if _may_reason(said, model):
        said.setdefault("include", [ENCRYPTED])
    for name, sayer in _SAYERS.items():
        if name in said:
            sayer(said, said.pop(name))
    if "max_output_tokens" in said:
        _raise_limit(said, note)
    if said.pop("logprobs", False):
        _include(said, LOGPROBS)
    said.setdefault("store", False)
    if stream:
        said["stream"] = True
        _stream_options(said)
    else:
        said.pop("stream_options", None)
    return said


def _may_reason(params: Params, model: str) -> bool:
    if params.get("reasoning_effort") not in (None, "none") or "reasoning" in params:
        return True
    return _REASONING.match(model) is not None


def _include(said: Fields, name: str) -> None:
    given = said.get("include", ())
    if not isinstance(given, list | tuple):
        raise InvalidRequest("include must be a list")
    if name not in given:
        said["include"] = [*given, name]


def _raise_limit(said: Fields, note: Note) -> None:
    limit = said["max_output_tokens"]
    if type(limit) is int and 0 < limit < _LEAST_TOKENS:
        said["max_output_tokens"] = _LEAST_TOKENS
        note(f"token limit raised to {_LEAST_TOKENS}, the least here")


def _stream_options(said: Fields) -> None:
    """Usage always comes; only the padding can be chosen."""
    options = said.pop("stream_options", None)
    if isinstance(options, Mapping) and "include_obfuscation" in options:
        said["stream_options"] = {"include_obfuscation": options["include_obfuscation"]}


def _limit(said: Fields, value: Any) -> None:
    said.setdefault("max_output_tokens", value)


def _into(said: Fields, group: str, name: str, value: Any) -> None:
    """Say `name` inside the object `group`, where the user may have said something already."""
    given = said.get(group, {})
    if not isinstance(given, Mapping):
        raise InvalidRequest(f"{group} must be an object")
    said[group] = {name: value, **given}


def _format(said: Fields, wanted: Any) -> None:
    shape = wanted.get("json_schema") if isinstance(wanted, Mapping) else None
    _into(said, "text", "format", {**shape, "type": "json_schema"} if isinstance(shape, Mapping) else wanted)


def _verbosity(said: Fields, value: Any) -> None:
    _into(said, "text", "verbosity", value)


def _effort(said: Fields, value: Any) -> None:
    _into(said, "reasoning", "effort", value)


def _tools(said: Fields, tools: Any) -> None:
    if not isinstance(tools, list | tuple):
        raise InvalidRequest("tools must be a list")
    if tools:
        said["tools"] = [tool_of(tool) for tool in tools]


def _choice(said: Fields, choice: Any) -> None:
    said["tool_choice"] = tool_choice_of(choice)


_SAYERS: Mapping[str, Callable[[Fields, Any], None]] = {
    "max_completion_tokens": _limit,
    "max_tokens": _limit,
    "response_format": _format,
    "verbosity": _verbosity,
    "reasoning_effort": _effort,
    "tools": _tools,
    "tool_choice": _choice,
}

_NOTHING = {"type": "object", "properties": {}}


def tool_of(tool: Any) -> Any:
    """A tool in the flat form; the provider's own tools, which have no other, as they are."""
    kind = tool.get("type") if isinstance(tool, Mapping) else None
    spec = tool.get(kind) if kind in ("function", "custom") else None
    if not isinstance(spec, Mapping):
        return tool
    if kind == "custom":
        return {"type": "custom", **spec, **_grammar(spec.get("format"))}
    # Strict is the default here and is not in chat completions.
    return {"type": "function", "parameters": _NOTHING, "strict": False, **spec}


def _grammar(form: Any) -> Fields:
    grammar = form.get("grammar") if isinstance(form, Mapping) else None
    return {"format": {"type": "grammar", **grammar}} if isinstance(grammar, Mapping) else {}


def tool_choice_of(choice: Any) -> Any:
    """What may be called, in the flat form."""
    kind = choice.get("type") if isinstance(choice, Mapping) else None
    spec = choice.get(kind) if isinstance(kind, str) else None
    if not isinstance(spec, Mapping):
        return choice
    flat = {"type": kind, **spec}
    if kind == "allowed_tools" and isinstance(spec.get("tools"), list | tuple):
        flat["tools"] = [tool_choice_of(tool) for tool in spec["tools"]]
    return flat
