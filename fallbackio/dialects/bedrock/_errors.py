"""Bedrock's errors, read and written.

An error is classed by its code: the header `x-amzn-errortype`, or the body's `code` or `__type`.  Only a
`ValidationException`, which stands for anything from a blank text to an unknown model, is classed by whole
phrases of its message.  Where AWS names a fault but not its mend, the mend is added.

Bodies may be anything: HTML of a proxy, nothing.  Then the status alone decides.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import orjson

from fallbackio.dialects._limits import retry_after
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

__all__ = ["answer_of", "code_of", "failure", "in_band", "message_of", "status_of"]

_BY_CODE: Mapping[str, type[AttemptError]] = {
    "accessdenied": AuthFailed,
    "expiredtoken": AuthFailed,
    "incompletesignature": AuthFailed,
    "invalidclienttokenid": AuthFailed,
    "invalidsignature": AuthFailed,
    "missingauthenticationtoken": AuthFailed,
    "optinrequired": AuthFailed,
    "requestexpired": AuthFailed,
    "signaturedoesnotmatch": AuthFailed,
    "unauthorized": AuthFailed,
    "unrecognizedclient": AuthFailed,
    "internalfailure": ServerFault,
    "internalserver": ServerFault,
    "internalservererror": ServerFault,
    "modelerror": ServerFault,
    "modelstreamerror": ServerFault,
    "modeltimeout": ServerFault,
    "requesttimeout": ServerFault,
    "modelnotready": Overloaded,
    "serviceunavailable": Overloaded,
    "resourcenotfound": ModelNotFound,
    "unknownoperation": ModelNotFound,
    "servicequotaexceeded": QuotaExhausted,
    "throttling": RateLimited,
    "toomanyrequests": RateLimited,
}

_TOO_LONG = (
    "input is too long",
    "prompt is too long",
    "too many input tokens",
    "exceed context limit",
    "maximum context length",
)
_TOO_MANY_TOKENS = re.compile(r"\b(?:input|prompt)\b.*\btokens?\b.*\bexceeds? the maximum\b")
_FILTERED = ("blocked by content filtering policy",)
_NO_SUCH_MODEL = ("model identifier is invalid", "on-demand throughput")

# What a model or an account cannot do, while another may.
_ONLY_HERE = (
    "doesn't support",
    "does not support",
    "isn't supported",
    "is not supported",
    "not supported",
    "unsupported",
    "for this model",
    "extraneous key",
    "extra inputs are not permitted",
    "maximum tokens you requested exceeds",
    "thinking is enabled",
    "thinking may not be enabled",
    "prefill",
    "image exceeds",
    "image dimensions exceed",
)

# By phrases of code and message: what to do about it.
_MENDS: tuple[tuple[str, str], ...] = (
    (
        "on-demand throughput",
        "name an inference profile instead, for example the same id with us., eu. or global. before it",
    ),
    ("model identifier is invalid", "check the model's id, and that the region of base_url has it"),
    ("resourcenotfound", "check the model's id or ARN, its end of life, and the region of base_url"),
    (
        "expiredtoken",
        "renew the AWS credentials, for example with `aws sso login`, or the Bedrock API key",
    ),
    (
        "token included in the request is expired",
        "renew the AWS credentials, for example with `aws sso login`",
    ),
    ("valid region", "the region of base_url and of the credentials differ"),
    ("unrecognizedclient", "check AWS_ACCESS_KEY_ID, AWS_SESSION_TOKEN or the profile that is in use"),
    ("signature expired", "set this machine's clock, it differs by minutes"),
    ("signature not yet current", "set this machine's clock, it differs by minutes"),
    ("invalidsignature", "check the secret key, and this machine's clock"),
    ("api key is valid", "check the Bedrock API key, its end, and the region of base_url"),
    (
        "accessdenied",
        "grant access to the model in the Bedrock console of that region, or bedrock:InvokeModel in IAM",
    ),
)
_SAID_CHARS = 180  # of AWS's own words where ours follow

# A wait is believed of those who ask for patience; the others do not get better by waiting.
_PASSING = (RateLimited, Overloaded, ServerFault, QuotaExhausted)

# Status and code under which Bedrock reports what an error of ours stands for.
_THEIRS: Mapping[type[AttemptError], tuple[int, str]] = {
    AuthFailed: (403, "AccessDeniedException"),
    BadAnswer: (424, "ModelErrorException"),
    ConnectionFailed: (500, "InternalServerException"),
    ContentFiltered: (400, "ValidationException"),
    ContextTooLong: (400, "ValidationException"),
    InvalidRequest: (400, "ValidationException"),
    ModelNotFound: (404, "ResourceNotFoundException"),
    Overloaded: (503, "ServiceUnavailableException"),
    QuotaExhausted: (400, "ServiceQuotaExceededException"),
    RateLimited: (429, "ThrottlingException"),
    Refused: (503, "ServiceUnavailableException"),
    ServerFault: (500, "InternalServerException"),
    TimedOut: (408, "ModelTimeoutException"),
}

# Codes that say more than the class does, for an error that came with one of them.
_CODES = re.compile(r"[A-Z][A-Za-z]{2,60}(?:Exception|Error)")

# Classes that a `ValidationException` carries behind a message, with the words that they are known by.
_PHRASES: Mapping[type[AttemptError], str] = {
    ContextTooLong: "Input is too long for requested model",
    ContentFiltered: "Output blocked by content filtering policy",
}


def failure(status: int, headers: Mapping[str, str], body: bytes) -> AttemptError:
    """The error that an answer with a failing status stands for; never raises."""
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError:
        answer = {"message": shape(body)}
    error = _classify(_code(headers, answer), _message(answer), status)
    error.request_id = headers.get("x-amzn-requestid")
    if isinstance(error, _PASSING):
        error.retry_after_s = _wait(headers, error.message)
    return error


def in_band(code: str, message: str) -> AttemptError:
    """The error that an exception or error frame of a stream stands for."""
    return _classify(_plain(code), message, None)


def _classify(code: str, message: str, status: int | None) -> AttemptError:
    key = code.lower().removesuffix("exception")
    said = message.lower().replace("\u2019", "'")
    cause = _cause(key, said, status)
    error = cause(_with_mend(message, f"{key} {said}") if cause in _MENDABLE else short(message))
    error.status, error.code = status, code or None
    if isinstance(error, InvalidRequest):
        error.everywhere = not any(mark in said for mark in _ONLY_HERE)
    return error


_MENDABLE = (AuthFailed, ModelNotFound)


def _cause(key: str, said: str, status: int | None) -> type[AttemptError]:
    if key == "throttling" and "per day" in said:
        return QuotaExhausted
    if key in _BY_CODE:
        return _BY_CODE[key]
    if key == "validation" or (not key and status == 400):
        return _invalid(said)
    if status is not None:
        return by_status(status)
    return ServerFault


def _invalid(said: str) -> type[AttemptError]:
    if any(mark in said for mark in _TOO_LONG) or _TOO_MANY_TOKENS.search(said):
        return ContextTooLong
    if any(mark in said for mark in _FILTERED):
        return ContentFiltered
    return ModelNotFound if any(mark in said for mark in _NO_SUCH_MODEL) else InvalidRequest


def _with_mend(message: str, facts: str) -> str:
    mend = next((mend for mark, mend in _MENDS if mark in facts), "")
    said = short(message)
    return f"{said[:_SAID_CHARS].rstrip('. ')}: {mend}" if mend and said else mend or said


def _code(headers: Mapping[str, str], answer: object) -> str:
    said = headers.get("x-amzn-errortype")
    if said is None and isinstance(answer, dict):
        said = text_in(answer, "code") or text_in(answer, "__type")
    return _plain(said or "")


def _plain(code: str) -> str:
    """The code without what surrounds it: `prefix#Code:http://…`."""
    return code.partition(":")[0].rpartition("#")[2].strip()[:100]


def _message(answer: object) -> str:
    if not isinstance(answer, dict):
        return ""
    return text_in(answer, "message") or text_in(answer, "Message")


def _wait(headers: Mapping[str, str], message: str) -> float | None:
    own = headers.get("x-amz-retry-after", "").strip()
    return int(own) / 1000 if own.isascii() and own.isdigit() else retry_after(headers, message)


def status_of(error: AttemptError) -> int:
    """The status for an error of ours: its own if it has one that fails, else its class's."""
    if error.status is not None and error.status >= 400:
        return error.status
    return _THEIRS.get(type(error), (500, ""))[0]


def code_of(error: AttemptError) -> str:
    """The exception's name: the error's own if Bedrock could have given it, else its class's."""
    if error.code and _CODES.fullmatch(error.code):
        return error.code
    return _THEIRS.get(type(error), (500, "InternalServerException"))[1]


def message_of(error: AttemptError) -> str:
    """The message, with the words that tell what a `ValidationException` means."""
    phrase = _PHRASES.get(type(error), "")
    if isinstance(error, InvalidRequest) and not error.everywhere:
        phrase = "This model doesn't support the request"
    if isinstance(error, QuotaExhausted) and status_of(error) == 429:
        phrase = "Too many tokens per day"
    message = error.message or error.summary
    return message if not phrase or phrase.lower() in message.lower() else f"{phrase}: {message}"


def answer_of(error: AttemptError) -> bytes:
    """The body of an error answer, or the payload of an exception frame."""
    return orjson.dumps({"message": message_of(error)})
