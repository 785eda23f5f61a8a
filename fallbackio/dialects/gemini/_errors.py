"""Google's errors (`google.rpc.Status`), read and written.

An error is classed by the reason and the quota in its details, then by the phrases behind which a
400 hides keys, context or the model, then by its status.  Phrases decide only for a 400 and for a
429 about spending, never digits.  AI Studio's wait stands in the body (`RetryInfo`), Vertex may send
a header.  What an operator can mend (a token, a region, an API that is not enabled) is said with
the mend.

Bodies may be anything: HTML of a wrong host, a one-element list, nothing.  Then the status alone decides.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from fallbackio.dialects import _signs
from fallbackio.dialects._limits import duration, retry_after
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

__all__ = ["body_of", "failure", "in_band", "status_of", "unwrapped"]

# `ErrorInfo.reason`, where it says more than the status.
_BY_REASON: Mapping[str, type[AttemptError]] = {
    "API_KEY_INVALID": AuthFailed,
    "API_KEY_EXPIRED": AuthFailed,
    "API_KEY_SERVICE_BLOCKED": AuthFailed,
    "ACCESS_TOKEN_EXPIRED": AuthFailed,
    "BILLING_DISABLED": QuotaExhausted,
}

# What a 400 says in words only, with whether it is this endpoint's affair alone.
_BY_PHRASE: tuple[tuple[tuple[str, ...], type[AttemptError]], ...] = (
    (("exceeds the maximum number of tokens", "token count exceeds", "prompt is too long"), ContextTooLong),
    (("api key not valid", "api key expired", "location is not supported"), AuthFailed),
    (("enable billing", "billing account", "billing to be enabled"), QuotaExhausted),
)

# What this model, version or region cannot do, while another endpoint may.
_ONLY_HERE = (
    "thought signature",
    "thought_signature",
    "not supported",
    "unsupported",
    "does not support",
    "not enabled",
    "unknown name",
    "fetch",
    "multiple candidates",
)

_WORD_STATUS: Mapping[str, int] = {
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 400,
    "OUT_OF_RANGE": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "ABORTED": 409,
    "RESOURCE_EXHAUSTED": 429,
    "CANCELLED": 499,
    "INTERNAL": 500,
    "UNKNOWN": 500,
    "DATA_LOSS": 500,
    "UNIMPLEMENTED": 501,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}
_WORDS: Mapping[int, str] = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    402: "RESOURCE_EXHAUSTED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ABORTED",
    413: "INVALID_ARGUMENT",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    500: "INTERNAL",
    501: "UNIMPLEMENTED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}

# The mend, for whoever reads the log at night; `failure` does not know where the endpoint is.
_MENDS: Mapping[int, str] = {
    401: "the access token has expired or is none: renew it (gcloud auth application-default login), "
    "or give api_key=",
    403: "check that the account may use this API and that it is enabled in the project",
    404: "check the model's name, and that the version and the location in base_url serve it",
}

# The status under which Google reports what an error of ours stands for.
_STATUS: Mapping[type[AttemptError], int] = {
    AuthFailed: 400,
    BadAnswer: 500,
    ConnectionFailed: 500,
    ContentFiltered: 200,
    ContextTooLong: 400,
    InvalidRequest: 400,
    ModelNotFound: 404,
    Overloaded: 503,
    QuotaExhausted: 429,
    RateLimited: 429,
    Refused: 503,
    ServerFault: 500,
    TimedOut: 504,
}

_TYPE = "type.googleapis.com/google.rpc."
_TOO_LONG = "The input token count exceeds the maximum number of tokens allowed"

# A wait is believed of those who ask for patience; the others do not get better by waiting.
_PASSING = (RateLimited, Overloaded, ServerFault, QuotaExhausted)


def failure(status: int, headers: Mapping[str, str], body: bytes) -> AttemptError:
    """The error that an answer with a failing status stands for; never raises."""
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError:
        answer = {"error": {"message": shape(body)}}
    return _classify(answer, status, headers)


def in_band(answer: object) -> AttemptError:
    """The error that an error object after a 200 stands for."""
    return _classify(answer, None, {})


def unwrapped(answer: object) -> object:
    """`answer` without the one-element list that some of Google's gateways put around an error."""
    return answer[0] if isinstance(answer, list) and len(answer) == 1 else answer


def _classify(answer: object, status: int | None, headers: Mapping[str, str]) -> AttemptError:
    outer = unwrapped(answer)
    error = outer.get("error") if isinstance(outer, dict) else None
    if not isinstance(error, dict):
        error = {"message": error}
    word, message = text_in(error, "status"), short(text_in(error, "message"))
    details = _Details(error.get("details"))
    known = status or _status(error, word)
    cause = _cause(known, word, message.lower(), details)
    made = cause(_with_mend(cause, known, message))
    made.status = status or known
    made.code = details.reason or word or None
    made.request_id = details.request_id or None
    if isinstance(made, _PASSING):
        made.retry_after_s = _wait_s(headers, details, message)
    if isinstance(made, InvalidRequest):
        precondition = word == "FAILED_PRECONDITION"
        made.everywhere = not (precondition or any(mark in message.lower() for mark in _ONLY_HERE))
    return made


def _status(error: Mapping[str, Any], word: str) -> int | None:
    """What an error in-band says; its code is the HTTP status."""
    code = error.get("code")
    return code if type(code) is int and 400 <= code <= 599 else _WORD_STATUS.get(word)


def _cause(status: int | None, word: str, message: str, details: _Details) -> type[AttemptError]:
    if details.reason in _BY_REASON:
        return _BY_REASON[details.reason]
    if status is None:
        return ServerFault
    if status == 400:
        for phrases, cause in _BY_PHRASE:
            if any(phrase in message for phrase in phrases):
                return cause
    if status == 429 and (details.lasts or "spending cap" in message or "spend cap" in message):
        return QuotaExhausted
    return by_status(status)


def _wait_s(headers: Mapping[str, str], details: _Details, message: str) -> float | None:
    """Seconds to stay away: a header of whoever stands in between, `RetryInfo`, the words."""
    asked = retry_after(headers)
    if asked is None:
        asked = details.wait_s
    return retry_after({}, message) if asked is None else asked


def _with_mend(cause: type[AttemptError], status: int | None, message: str) -> str:
    mend = _MENDS.get(status or 0, "") if cause in (AuthFailed, ModelNotFound) else ""
    return f"{message} ({mend})" if mend and message else mend or message


class _Details:
    """What the `details` of an error say; whatever is not as documented says nothing.

    Attributes:
        reason: Google's own code.
        request_id: What its support asks for.
        wait_s: Seconds to stay away, or `None`.
        lasts: A quota is used up for the day, or there is none: waiting does not help.
    """

    def __init__(self, details: object) -> None:
        self.reason = self.request_id = ""
        self.wait_s: float | None = None
        self.lasts = False
        for detail in details if isinstance(details, list) else ():
            if not isinstance(detail, dict):
                continue
            self.reason = self.reason or text_in(detail, "reason")
            self.request_id = self.request_id or text_in(detail, "requestId")
            if self.wait_s is None:
                self.wait_s = duration(text_in(detail, "retryDelay"))
            self.lasts = self.lasts or any(_lasts(violation) for violation in _violations(detail))


def _violations(detail: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    violations = detail.get("violations")
    for violation in violations if isinstance(violations, list) else ():
        if isinstance(violation, dict):
            yield violation


def _lasts(violation: Mapping[str, Any]) -> bool:
    return "PerDay" in text_in(violation, "quotaId") or violation.get("quotaValue") in ("0", 0)


def status_of(error: AttemptError) -> int:
    """The status for an error of ours: its own if it has one that fails, else its class's."""
    return _signs.status_of(error, _STATUS)


def body_of(error: AttemptError) -> dict[str, Any]:
    """The object that Google would send for an error of ours; a refused prompt is an answer there."""
    status = status_of(error)
    if status == 200:
        reason = error.code if error.code and error.code.isupper() else "PROHIBITED_CONTENT"
        return {"promptFeedback": {"blockReason": reason}}
    message = error.message or error.summary
    if isinstance(error, ContextTooLong) and _TOO_LONG not in message:
        message = f"{_TOO_LONG}: {message}"
    word = error.code if error.code in _WORD_STATUS else _WORDS.get(status)
    word = word or ("INTERNAL" if status >= 500 else "INVALID_ARGUMENT")
    said: dict[str, Any] = {"code": status, "message": message, "status": word}
    if details := list(_details_of(error)):
        said["details"] = details
    return {"error": said}


def _details_of(error: AttemptError) -> Iterator[dict[str, Any]]:
    if isinstance(error, AuthFailed) and status_of(error) == 400:
        yield {"@type": f"{_TYPE}ErrorInfo", "reason": "API_KEY_INVALID", "domain": "googleapis.com"}
    elif error.code and error.code.isupper() and error.code not in _WORD_STATUS:
        yield {"@type": f"{_TYPE}ErrorInfo", "reason": error.code, "domain": "googleapis.com"}
    if isinstance(error, QuotaExhausted | RateLimited):
        span = "Day" if isinstance(error, QuotaExhausted) else "Minute"
        quota = f"GenerateRequestsPer{span}PerProjectPerModel"
        yield {"@type": f"{_TYPE}QuotaFailure", "violations": [{"quotaId": quota}]}
    if error.retry_after_s is not None:
        yield {"@type": f"{_TYPE}RetryInfo", "retryDelay": f"{error.retry_after_s:.9g}s"}
    if error.request_id:
        yield {"@type": f"{_TYPE}RequestInfo", "requestId": error.request_id}
