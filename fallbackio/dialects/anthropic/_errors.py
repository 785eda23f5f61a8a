"""Anthropic's errors, read and written.

An error is classed by its `error_code`, then by the documented messages behind which a 400 or a 429
hides money, context or policy, then by its type, then by the status.  Messages decide only where no
code does, by whole phrases, never by digits.  A 400 that speaks of what only this model or account
cannot do is an `InvalidRequest` with `everywhere=False`.

Bodies may be anything: HTML of a proxy, another vendor's JSON, nothing.  Then the status alone decides.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from fallbackio.dialects import _signs
from fallbackio.dialects._limits import retry_after, should_retry
from fallbackio.dialects._shared import shape, short, text_in
from fallbackio.errors import (
    AttemptError,
    AuthFailed,
    BadAnswer,
    ConnectionFailed,
    ContentFiltered,
    ContextTooLong,
    InvalidRequest,
    ModelNotFound,
    Overloaded,
    QuotaExhausted,
    RateLimited,
    Refused,
    ServerFault,
    TimedOut,
    by_status,
)

__all__ = ["body_of", "failure", "in_band", "status_of"]

_BY_CODE: Mapping[str, type[AttemptError]] = {
    "contract_spend_limit_reached": QuotaExhausted,
    "enforced_spend_limit_reached": QuotaExhausted,
    "linked_organization_billing_unavailable": QuotaExhausted,
    "linked_organization_spend_limit_reached": QuotaExhausted,
    "ramp_limit_exceeded": RateLimited,
    "organization_on_hold": AuthFailed,
    "cmek_key_disabled": AuthFailed,
    "cmek_key_network_blocked": AuthFailed,
    "request_body_too_large_after_decoding": ContextTooLong,
}

# The codes of a 400 speak of things that only this vendor has, except this one.
_FAULTS_OF_THE_CALLER = frozenset({"tool_name_conflict"})

_BY_MESSAGE: tuple[tuple[tuple[str, ...], type[AttemptError]], ...] = (
    (
        (
            "credit balance is too low",
            "reached your api usage limits",
            "reached your specified api usage limits",
            "reached your specified workspace api usage limits",
        ),
        QuotaExhausted,
    ),
    (("prompt is too long", "exceed context limit"), ContextTooLong),
    (("output blocked by content filtering policy",), ContentFiltered),
)

# What a model or a version of the API cannot do, while another may.
_ONLY_HERE = (
    "does not support",
    "not supported",
    "for this model",
    "extra inputs are not permitted",
    "maximum allowed number of output tokens",
    "tool_choice forces tool use",
    "when thinking is enabled",
    "image dimensions exceed",
    "image exceeds",
)

# `invalid_request_error` and `api_error` are missing on purpose: they say no more than a status does.
_BY_TYPE: Mapping[str, type[AttemptError]] = {
    "authentication_error": AuthFailed,
    "permission_error": AuthFailed,
    "billing_error": QuotaExhausted,
    "not_found_error": ModelNotFound,
    "conflict_error": ServerFault,
    "request_too_large": ContextTooLong,
    "rate_limit_error": RateLimited,
    "timeout_error": ServerFault,
    "overloaded_error": Overloaded,
}

_TYPE_BY_STATUS: Mapping[int, str] = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    409: "conflict_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}

# Classes that a 400 carries behind a message, with the words that clients know them by.
_PHRASES: Mapping[type[AttemptError], str] = {
    ContextTooLong: "prompt is too long",
    ContentFiltered: "Output blocked by content filtering policy",
}

# The status under which Anthropic reports what an error of ours stands for.
_STATUS: Mapping[type[AttemptError], int] = {
    AuthFailed: 401,
    BadAnswer: 500,
    ConnectionFailed: 500,
    ContentFiltered: 400,
    ContextTooLong: 400,
    InvalidRequest: 400,
    ModelNotFound: 404,
    Overloaded: 529,
    QuotaExhausted: 402,
    RateLimited: 429,
    Refused: 529,
    ServerFault: 500,
    TimedOut: 504,
}


# A wait is believed of those who ask for patience; the others do not get better by waiting.
_PASSING = (RateLimited, Overloaded, ServerFault, QuotaExhausted)


def failure(status: int, headers: Mapping[str, str], body: bytes) -> AttemptError:
    """The error that an answer with a failing status stands for; never raises."""
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError:
        answer = {"error": {"message": shape(body)}}
    error = _classify(answer, status)
    error.request_id = headers.get("request-id") or error.request_id
    error.should_retry = should_retry(headers)
    if isinstance(error, _PASSING):
        error.retry_after_s = retry_after(headers, error.message)
    return error


def in_band(answer: object) -> AttemptError:
    """The error that an error object after a 200 stands for."""
    return _classify(answer, None)


def _classify(answer: object, status: int | None) -> AttemptError:
    outer = answer if isinstance(answer, dict) else {}
    error = outer.get("error")
    if not isinstance(error, dict):
        error = {"message": error}
    code, kind, message = _code(error), text_in(error, "type"), short(text_in(error, "message"))
    made = _cause(code, kind, message.lower(), status)(message)
    made.status, made.code = status, code or kind or None
    made.request_id = text_in(outer, "request_id") or None
    if isinstance(made, InvalidRequest):
        only_here = code not in _FAULTS_OF_THE_CALLER if code else _only_here(message.lower())
        made.everywhere = not only_here
    return made


def _cause(code: str, kind: str, message: str, status: int | None) -> type[AttemptError]:
    if code in _BY_CODE:
        return _BY_CODE[code]
    if not code and (status in (400, 429) or kind in ("invalid_request_error", "rate_limit_error")):
        for marks, cause in _BY_MESSAGE:
            if any(mark in message for mark in marks):
                return cause
    if kind in _BY_TYPE:
        return _BY_TYPE[kind]
    if status is not None:
        return by_status(status)
    return InvalidRequest if kind == "invalid_request_error" else ServerFault


def _only_here(message: str) -> bool:
    return any(mark in message for mark in _ONLY_HERE)


def _code(error: Mapping[str, Any]) -> str:
    details = error.get("details")
    return text_in(details, "error_code") if isinstance(details, dict) else ""


def status_of(error: AttemptError) -> int:
    """The status for an error of ours: its own if it has one that fails, else its class's."""
    return _signs.status_of(error, _STATUS)


def body_of(error: AttemptError) -> dict[str, Any]:
    """The error object that Anthropic would send for an error of ours."""
    kind = _type(error)
    said: dict[str, Any] = {"type": kind, "message": _message(error)}
    code = error.code
    if isinstance(error, QuotaExhausted) and status_of(error) == 429 and code not in _BY_CODE:
        code = "enforced_spend_limit_reached"  # what tells such a 429 from a rate limit
    if code in _BY_CODE or code in _FAULTS_OF_THE_CALLER:
        said["details"] = {"error_code": code}
    body: dict[str, Any] = {"type": "error", "error": said}
    return {**body, "request_id": error.request_id} if error.request_id else body


def _type(error: AttemptError) -> str:
    status = status_of(error)
    if isinstance(error, Overloaded):
        return "overloaded_error"
    return _TYPE_BY_STATUS.get(status, "api_error" if status >= 500 else "invalid_request_error")


def _message(error: AttemptError) -> str:
    phrase = _PHRASES.get(type(error), "") if status_of(error) == 400 else ""
    if phrase.lower() in error.message.lower():
        return error.message or error.summary
    return f"{phrase}: {error.message}" if error.message else phrase
