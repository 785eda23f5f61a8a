"""What the dialects share: reading a JSON body, shortening a provider's words, a reply as deltas."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import orjson

from fallbackio.errors import BadAnswer, ContentFiltered, InvalidRequest
from fallbackio.model import Delta, Reply, ToolCallDelta

__all__ = [
    "JSON_ANSWER",
    "count",
    "deltas_of",
    "finite",
    "json_object",
    "logprobs_of",
    "object_in",
    "refuse_swallowed",
    "scored",
    "shape",
    "short",
    "text_in",
]

# The tool that stands for a JSON schema where a model has none; no user's tool may be called so.
JSON_ANSWER = "fallbackio_json_answer"

_MESSAGE_CHARS = 300


def json_object(body: bytes) -> dict[str, Any]:
    """The JSON object that `body` is; raises `BadAnswer` for anything else, without quoting it."""
    try:
        # DeepSeek sends blank lines ahead of an answer for as long as it queues; JSON allows them.
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise BadAnswer(f"{shape(body)} in place of JSON") from None
    if type(value) is not dict:
        raise BadAnswer(f"a JSON {_KINDS.get(type(value), 'value')} in place of an object")
    return value


def finite(written: bytes, body: Mapping[str, Any]) -> bytes:
    """`body` as it was written; raises `InvalidRequest` where a NaN or an infinity has become a null."""
    # Nearly no request has a null in it, and then there is nothing to look for.
    if b"null" in written:
        for name, value in body.items():
            if _has_nan(value):
                raise InvalidRequest(f"{name} holds NaN or an infinity, and JSON has no such number")
    return written


def _has_nan(value: object) -> bool:
    if isinstance(value, float):
        return not math.isfinite(value)
    if isinstance(value, Mapping):
        return any(map(_has_nan, value.values()))
    return isinstance(value, list | tuple) and any(map(_has_nan, value))


def object_in(text: object) -> dict[str, Any] | None:
    """The JSON object that a text holds, `None` for anything else."""
    try:
        given = orjson.loads(text)  # type: ignore[arg-type]  # what is no text raises below
    except (orjson.JSONDecodeError, TypeError):
        return None
    return given if isinstance(given, dict) else None


def text_in(found: Mapping[str, Any], name: str) -> str:
    """What stands there under this name, if it is a text."""
    value = found.get(name)
    return value if isinstance(value, str) else ""


_KINDS: dict[type, str] = {list: "array", str: "string", type(None): "null", bool: "boolean"}


def shape(body: bytes) -> str:
    """What `body`, which is no JSON, looks like; safe to log.

    Example:
        >>> shape(b"<html>busy</html>")
        'HTML'
    """
    start = body[:64].lstrip()
    if not start:
        return "an empty body"
    if start.startswith(b"<"):
        return "HTML"
    if start.startswith((b"data:", b"event:", b":")):
        return "an event stream"
    if start.startswith((b"{", b"[")):
        return "broken JSON"
    return f"{len(body):,} bytes"


def short(text: str) -> str:
    """One line of at most 300 characters."""
    return " ".join(text[: 10 * _MESSAGE_CHARS].split())[:_MESSAGE_CHARS]


def count(value: object) -> int:
    """A number of tokens; 0 for what is none."""
    return value if type(value) is int and value > 0 else 0


def refuse_swallowed(finish_reason: str, said: object, why: object = "", code: object = None) -> None:
    """Raise `ContentFiltered` for an answer of which a filter has left nothing.

    `said` is whether text, a call or a refusal came before the end; `why` and `code` are the provider's.
    """
    if finish_reason == "content_filter" and not said:
        message = short(why) if isinstance(why, str) and why else "nothing of the answer was left"
        raise ContentFiltered(message, code=code if isinstance(code, str) and code else None)


def logprobs_of(tokens: Any) -> dict[str, Any] | None:
    """OpenAI's `logprobs` object about `tokens`, which are in its form; `None` without any."""
    return {"content": list(tokens), "refusal": None} if tokens else None


def scored(logprobs: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """The tokens that OpenAI's `logprobs` object tells of, for a server side to write."""
    return [] if logprobs is None else [*(logprobs.get("content") or ()), *(logprobs.get("refusal") or ())]


def deltas_of(reply: Reply) -> list[Delta]:
    """The deltas that add up to `reply`, for a provider that answered whole where a stream was asked."""
    deltas = [
        Delta(
            text=choice.message.content or "",
            tool_calls=tuple(
                [
                    ToolCallDelta(index, call.id, call.name, call.arguments, call.type)
                    for index, call in enumerate(choice.message.tool_calls)
                ]
            ),
            finish_reason=choice.finish_reason,
            reasoning=choice.message.reasoning or "",
            refusal=choice.message.refusal or "",
            extra=choice.message.extra,
            index=choice.index,
            id=reply.id,
            model=reply.model,
            created=reply.created,
            logprobs=choice.logprobs,
        )
        for choice in reply.choices
    ]
    if reply.usage:
        deltas.append(Delta(usage=reply.usage, id=reply.id, model=reply.model, created=reply.created))
    return deltas
