"""The small values of OpenAI's answers, in every shape that vendors give them, whole or streamed."""

from __future__ import annotations

from typing import Any

import orjson

from fallbackio.dialects._shared import count
from fallbackio.dialects.openai._errors import FAILED_FINISHES, in_band
from fallbackio.errors import BadAnswer
from fallbackio.model import NO_USAGE, Usage

__all__ = [
    "are_logprobs",
    "arguments_of",
    "content_of",
    "finish_of",
    "function_of",
    "logprobs_in",
    "string",
    "usage_of",
]

# Words of vendors (Together, Mistral) for reasons that OpenAI has a name for.
_FINISHES = {"eos": "stop", "model_length": "length"}


def string(value: object) -> str:
    """`value` if it is a string; where vendors put `null` or worse, nothing."""
    return value if type(value) is str else ""


def finish_of(choice: dict[str, Any]) -> str | None:
    """Why `choice` ended, `None` while it has not; raises for an end that is a failure."""
    reason = choice.get("finish_reason")
    if type(reason) is not str or not reason:
        return None
    if reason in FAILED_FINISHES:
        raise in_band({"error": choice.get("error")}, reason)
    return _FINISHES.get(reason, reason)


def content_of(content: object) -> tuple[str, str]:
    """Text and reasoning of `content`, which Mistral gives as a list of parts where it thinks."""
    if content is None:
        return "", ""
    if type(content) is str:
        return content, ""
    if type(content) is not list:
        raise BadAnswer("content that is neither text nor parts")
    thought = [_thought(part.get("thinking")) for part in _parts(content, "thinking")]
    return _text(content), "".join(thought)


def _thought(thinking: object) -> str:
    """One level of parts, as the wire has it; to follow more would let an answer exhaust the stack."""
    return _text(thinking) if type(thinking) is list else string(thinking)


def _text(parts: list[Any]) -> str:
    return "".join([string(part.get("text")) for part in _parts(parts, "text")])


def _parts(parts: list[Any], kind: str) -> list[dict[str, Any]]:
    return [part for part in parts if type(part) is dict and part.get("type") == kind]


def function_of(call: object) -> tuple[dict[str, Any], str]:
    """What a tool call (or a piece of one) calls, and the call's type; Mistral leaves out the type."""
    if type(call) is not dict:
        raise BadAnswer("a tool call that is no object")
    if type(custom := call.get("custom")) is dict:
        return custom, "custom"
    function = call.get("function")
    return (function if type(function) is dict else {}), string(call.get("type")) or "function"


def arguments_of(function: dict[str, Any]) -> str:
    """The arguments as JSON text, also from a vendor that gives the object itself."""
    arguments = function.get("arguments", function.get("input"))
    if type(arguments) is str:
        return arguments
    try:
        return "" if arguments is None else orjson.dumps(arguments).decode()
    except orjson.JSONEncodeError:  # it reads 1,024 levels and writes 254
        raise BadAnswer("a tool call with arguments that are nested too deep") from None


def are_logprobs(value: object) -> bool:
    """Whether it is what OpenAI's `logprobs` are: lists by their names, or nothing."""
    return value is None or (
        type(value) is dict and all(tokens is None or type(tokens) is list for tokens in value.values())
    )


def logprobs_in(choice: dict[str, Any]) -> dict[str, Any] | None:
    """The `logprobs` of a choice or of a piece of one; lists are what can be put end to end."""
    given = choice.get("logprobs")
    if type(given) is not dict:
        return None
    return {name: tokens for name, tokens in given.items() if tokens and type(tokens) is list} or None


def usage_of(usage: object) -> Usage:
    """`usage` in OpenAI's meaning; DeepSeek and Moonshot have names of their own for what was cached."""
    if type(usage) is not dict:
        return NO_USAGE
    prompt = usage.get("prompt_tokens_details")
    completion = usage.get("completion_tokens_details")
    cached = prompt.get("cached_tokens") if type(prompt) is dict else None
    return Usage(
        prompt_tokens=count(usage.get("prompt_tokens")),
        completion_tokens=count(usage.get("completion_tokens")),
        cached_tokens=count(cached or usage.get("prompt_cache_hit_tokens") or usage.get("cached_tokens")),
        reasoning_tokens=count(completion.get("reasoning_tokens")) if type(completion) is dict else 0,
        cache_write_tokens=count(prompt.get("cache_write_tokens")) if type(prompt) is dict else 0,
    )
