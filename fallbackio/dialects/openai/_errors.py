"""What an error in OpenAI's dialect means: tables, and the reading of the many shapes it comes in.

The provider's own code decides, then its type where that is specific, then the status.  The words of
a message count only where no code was given: a message may hold anything, a user's prompt included.
Reading never fails, whatever the body is; what cannot be read goes by its status.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import orjson
from attrs import field, frozen

from fallbackio.dialects import _limits
from fallbackio.dialects._shared import shape, short
from fallbackio.errors import (
    AttemptError,
    AuthFailed,
    ContentFiltered,
    ContextTooLong,
    InvalidRequest,
    ModelNotFound,
    Overloaded,
    QuotaExhausted,
    RateLimited,
    ServerFault,
    by_status,
)

__all__ = ["FAILED_FINISHES", "failure", "in_band"]

_Kind = type[AttemptError]

# Codes, and types that say as much as a code.  Vendors' own: numbers are Mistral's, words in upper
# case at the source Google's, data_inspection_failed DashScope's, *_error of one word Moonshot's.
_BY_WORD: dict[str, _Kind] = {
    "context_length_exceeded": ContextTooLong,
    "string_above_max_length": ContextTooLong,
    "exceed_context_size_error": ContextTooLong,  # llama.cpp
    "3051": ContextTooLong,
    "content_policy_violation": ContentFiltered,
    "content_filter": ContentFiltered,
    "invalid_prompt": ContentFiltered,
    "moderation_blocked": ContentFiltered,
    "responsibleaipolicyviolation": ContentFiltered,  # Azure's innererror
    "data_inspection_failed": ContentFiltered,
    "insufficient_quota": QuotaExhausted,
    "credit_balance_exhausted": QuotaExhausted,
    "billing_hard_limit_reached": QuotaExhausted,
    "billing_not_active": QuotaExhausted,
    "payment_required": QuotaExhausted,
    "insufficient_balance": QuotaExhausted,
    "exceeded_current_quota_error": QuotaExhausted,
    "model_not_found": ModelNotFound,
    "model_decommissioned": ModelNotFound,
    "unknown_model": ModelNotFound,
    "invalid_model": ModelNotFound,
    "deploymentnotfound": ModelNotFound,
    "1500": ModelNotFound,
    "invalid_api_key": AuthFailed,
    "api_key_invalid": AuthFailed,
    "account_deactivated": AuthFailed,
    "ip_not_authorized": AuthFailed,
    "unsupported_country_region_territory": AuthFailed,
    "rate_limit_exceeded": RateLimited,
    "rate_limit_reached_error": RateLimited,
    "slow_down": RateLimited,  # our traffic grew too fast
    "server_is_overloaded": Overloaded,
    "service_unavailable_error": Overloaded,
    "overloaded_error": Overloaded,
    "engine_overloaded_error": Overloaded,
    "resource_unavailable": Overloaded,  # no room in the flex tier, whatever our own limits
    "capacity_exceeded": Overloaded,
    "unsupported_parameter": InvalidRequest,
    "unsupported_value": InvalidRequest,
    "unknown_parameter": InvalidRequest,
    "invalid_image_url": InvalidRequest,
    "extra_forbidden": InvalidRequest,
    "3280": InvalidRequest,  # a tool call's id of another vendor's form
}

# What this endpoint cannot do and the next one may.
_ONLY_HERE = frozenset(word for word, kind in _BY_WORD.items() if kind is InvalidRequest)
_PARAMS_ONLY_HERE = frozenset({"reasoning_effort", "service_tier"})

# Types that say no more than a status does, for errors that come without one (in-band, after a 200).
_STATUS_OF_TYPE = {
    "invalid_request_error": 400,
    "badrequesterror": 400,
    "invalid_argument": 400,
    "authentication_error": 401,
    "permission_error": 403,
    "not_found_error": 404,
    "notfounderror": 404,
    "rate_limit_error": 429,
    "tokens": 429,
    "requests": 429,
    "resource_exhausted": 429,
    "server_error": 500,
    "api_error": 500,
    "internalservererror": 500,
    "unavailable": 503,
}

# 498 is Groq's flex tier without capacity; elsewhere (Cohere's own API) it is a content policy.
_BY_STATUS: dict[int, _Kind] = {498: Overloaded}


@frozen
class _Sign:
    """Words of a message that stand for a code where there is none (wire pages of the vendors)."""

    words: re.Pattern[str]
    kind: _Kind
    statuses: frozenset[int | None]
    everywhere: bool = True


def _sign(words: str, kind: _Kind, *statuses: int, everywhere: bool = True) -> _Sign:
    return _Sign(re.compile(words, re.IGNORECASE), kind, frozenset({None, 400, *statuses}), everywhere)


_SIGNS = (
    _sign(
        r"maximum context length|available context size|exceed context limit|prompt is too long"
        r"|input is too long|too many tokens|input token count.{0,80}exceeds the maximum",
        ContextTooLong,
        413,
        422,
    ),
    _sign(r"credit balance is too low|insufficient balance|call volume quota", QuotaExhausted, 403, 429),
    _sign(r"content filtering policy|content management policy", ContentFiltered, 403, 422),
    _sign(r"api key not valid|incorrect api key|invalid api key", AuthFailed, 422),
    _sign(
        r"does not support tools|tools with reasoning_effort are not supported",
        InvalidRequest,
        422,
        everywhere=False,
    ),
)

# How an answer can end in failure although it is a 200: OpenRouter, Mistral; vLLM; DeepSeek.
FAILED_FINISHES: dict[str, _Kind] = {
    "error": ServerFault,
    "abort": ServerFault,
    "insufficient_system_resource": Overloaded,
}

# A wait is believed of those who ask for patience; the others do not get better by waiting.
_PASSING = (RateLimited, Overloaded, ServerFault, QuotaExhausted)


@frozen
class _Complaint:
    """What an error says.

    Attributes:
        codes: The provider's codes, the most specific first.
        types: Words for a family of errors.
        param: The parameter it speaks of.
        status: The HTTP status it names in its body.
        message: Its text.
    """

    codes: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    param: str = ""
    status: int | None = None
    message: str = field(default="", repr=False)


def failure(status: int, headers: Mapping[str, str], body: bytes) -> AttemptError:
    """The error that an answer with a failing status stands for; never raises."""
    complaint = _complaint_of(body)
    error = _error(status, complaint)
    error.status = status
    error.request_id = headers.get("x-request-id") or None
    error.should_retry = _limits.should_retry(headers)
    if isinstance(error, _PASSING):
        error.retry_after_s = _limits.retry_after(headers, complaint.message)
    return error


def in_band(said: object, finish_reason: str = "") -> AttemptError:
    """The error that an `error` inside a 200 stands for, `said` being the object that holds it.

    `finish_reason` decides where it says nothing: some vendors only end with `"error"`.
    """
    complaint = _read(said)
    if complaint == _Complaint() and finish_reason:
        return FAILED_FINISHES[finish_reason]("", code=finish_reason)
    error = _error(None, complaint)
    error.status = complaint.status
    if isinstance(error, _PASSING):
        error.retry_after_s = _limits.retry_after({}, complaint.message)
    return error


def _error(status: int | None, complaint: _Complaint) -> AttemptError:
    kind, everywhere = _classify(status, complaint)
    error = kind(short(complaint.message))
    error.code = next(iter((*complaint.codes[-1:], *complaint.types)), None)
    if isinstance(error, InvalidRequest):
        error.everywhere = everywhere
    return error


def _classify(status: int | None, complaint: _Complaint) -> tuple[_Kind, bool]:
    """The class, and whether an `InvalidRequest` would fail everywhere."""
    for word in (*complaint.codes, *complaint.types):
        if (kind := _BY_WORD.get(word.lower())) is not None:
            return kind, word.lower() not in _ONLY_HERE
    if status is None:
        status = complaint.status or next(
            (_STATUS_OF_TYPE[word.lower()] for word in complaint.types if word.lower() in _STATUS_OF_TYPE),
            None,
        )
    if not complaint.codes:
        for sign in _SIGNS:
            if status in sign.statuses and sign.words.search(complaint.message):
                return sign.kind, sign.everywhere
    if status is None:
        return ServerFault, True
    return _BY_STATUS.get(status) or by_status(status), complaint.param not in _PARAMS_ONLY_HERE


def _complaint_of(body: bytes) -> _Complaint:
    try:
        return _read(orjson.loads(body))
    except orjson.JSONDecodeError:
        return _Complaint(message=_plain(body))


def _plain(body: bytes) -> str:
    """The words of a body that is no JSON if they are meant to be read, else only its shape."""
    try:
        text = short(body[:4096].decode())
    except UnicodeDecodeError:
        return shape(body)
    return text if text.isprintable() and text[:1] not in ("", "<", "{", "[") else shape(body)


# Where one body wraps another, outermost first: OpenAI's `error`, Cloudflare's `errors`, FastAPI's
# `detail`, Mistral's `message` when it is an object.
_WRAPPERS = ("error", "errors", "detail", "message")
_TEXTS = ("message", "msg", "error", "detail", "title")
_DEPTH = 4


def _read(said: Any, depth: int = 0) -> _Complaint:
    if isinstance(said, list):
        said = said[0] if said else None
    if isinstance(said, str):
        return _Complaint(message=said)
    if not isinstance(said, dict) or depth > _DEPTH:
        return _Complaint()
    wrapped = next(
        (said[key] for key in _WRAPPERS if said.get(key) and isinstance(said[key], dict | list)), None
    )
    inner = _read(wrapped, depth + 1)
    return _Complaint(
        codes=inner.codes or _codes(said),
        types=inner.types + _words(_text(said.get("type")), _text(said.get("status"))),
        param=inner.param or _text(said.get("param")),
        status=inner.status or _http_status(said.get("code")) or _http_status(said.get("statusCode")),
        message=inner.message or next((said[key] for key in _TEXTS if _text(said.get(key))), ""),
    )


def _codes(said: dict[str, Any]) -> tuple[str, ...]:
    finer = said.get("innererror")
    details = said.get("details")
    metadata = said.get("metadata")
    reasons = (
        [detail.get("reason") for detail in details if isinstance(detail, dict)]
        if isinstance(details, list)
        else []
    )
    # OpenRouter's 403 is a bad key or a flagged prompt; only the metadata tells which.
    flagged = (
        "content_policy_violation" if isinstance(metadata, dict) and "flagged_input" in metadata else None
    )
    code = said.get("code")
    if _http_status(code) is not None:
        code = None
    return _words(finer.get("code") if isinstance(finer, dict) else None, *reasons, flagged, code)


_WORD = re.compile(r"[A-Za-z0-9_.:-]{1,80}")


def _words(*values: object) -> tuple[str, ...]:
    """Those of `values` that are codes; xAI puts whole sentences in that place, which are none."""
    texts = [str(value) if type(value) is int else value for value in values]
    return tuple([text for text in texts if isinstance(text, str) and _WORD.fullmatch(text)])


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _http_status(value: object) -> int | None:
    """`value` if it is an HTTP status in place of a code, as a number or as its digits."""
    if isinstance(value, str) and len(value) == 3 and value.isascii() and value.isdigit():
        value = int(value)
    return value if type(value) is int and 400 <= value <= 599 else None
