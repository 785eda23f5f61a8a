"""Cohere's errors, read and written.

There are no codes: the status decides, and where a status covers several things (400, 429) the
documented words of the message.  A 400 that speaks of what only this model cannot do is an
`InvalidRequest` with `everywhere=False`.  Bodies may be anything; then the status alone decides.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import orjson

from fallbackio.dialects import _signs
from fallbackio.dialects._shared import shape, short
from fallbackio.dialects._signs import sign
from fallbackio.errors import (
    AttemptError,
    ConnectionFailed,
    ContentFiltered,
    ContextTooLong,
    InvalidRequest,
    QuotaExhausted,
    RateLimited,
    ServerFault,
)

__all__ = ["FAILED_FINISHES", "failure", "in_band", "message_of", "status_of"]

_SIGNS = (
    sign(r"too many tokens|size limit exceeded", ContextTooLong, "too many tokens", *(400, 422, None)),
    sign(
        r"/ ?month|per month|monthly|maximum billing|payment method",
        QuotaExhausted,
        "maximum billing reached",
        *(400, 402, 403, 429, None),
    ),
    sign(
        r"please wait and try again|per minute|/ ?minute",
        RateLimited,
        "please wait and try again later",
        *(429, None),
    ),
    sign(
        # From "schema" on it may be our own translation's doing.
        r"not supported|does not support|max tokens must be less|unknown field|not a valid field"
        r"|schema|response_format|strict_tools|tool name|system turn",
        InvalidRequest,
        "not supported by the provided model",
        *(400, 422, None),
    ),
    # What this model or deployment has not got.
    sign(r"", InvalidRequest, "not implemented", 501),
)

# How an answer can end in failure although it is a 200; version 1's words still turn up.
FAILED_FINISHES: Mapping[str, type[AttemptError]] = MappingProxyType(
    {
        "ERROR": ServerFault,
        "TIMEOUT": ServerFault,
        "ERROR_TOXIC": ContentFiltered,
        "USER_CANCEL": ServerFault,
    }
)

# 498 is Cohere's own for a text that its policy refused.
_STATUS: Mapping[type[AttemptError], int] = MappingProxyType({ContentFiltered: 498, ConnectionFailed: 500})


def failure(status: int, headers: Mapping[str, str], body: bytes) -> AttemptError:
    """The error that an answer with a failing status stands for; never raises."""
    message, body_id = _complaint(body)
    error = _signs.failure_of(message, status, headers, _SIGNS)
    error.request_id = headers.get("x-debug-trace-id") or body_id or None
    return error


def in_band(message: object, finish_reason: str = "") -> AttemptError:
    """The error that a message inside a 200 stands for, or a finish reason that is a failure."""
    text = short(message) if isinstance(message, str) else ""
    kind = FAILED_FINISHES.get(finish_reason, ServerFault)
    error = _signs.in_band_of(text, _SIGNS) if kind is ServerFault else kind(text)
    error.code = finish_reason or None
    return error


def _complaint(body: bytes) -> tuple[str, str]:
    """Message and id of an error's body."""
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError:
        return shape(body), ""
    if not isinstance(answer, dict):
        return "", ""
    message, body_id = answer.get("message"), answer.get("id")
    return (
        short(message) if isinstance(message, str) else "",
        body_id if isinstance(body_id, str) else "",
    )


def status_of(error: AttemptError) -> int:
    """The status under which Cohere reports what an error of ours stands for."""
    return _signs.status_of(error, _STATUS)


def message_of(error: AttemptError) -> str:
    """What Cohere would say for an error of ours."""
    return _signs.worded(error, _SIGNS)
