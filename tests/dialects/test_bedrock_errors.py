"""Bedrock's errors, as the client reads and the server writes them."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from fallbackio.dialects import DIALECTS
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
)

CLIENT = DIALECTS["bedrock"].client
SERVER = DIALECTS["bedrock"].server


def failed(status: int, code: str, message: str, **headers: str) -> AttemptError:
    said = {"x-amzn-ErrorType": f"{code}:http://internal.amazon.com/coral/com.amazon.coral/", **headers}
    return CLIENT.failure(status, CIMultiDict(said), orjson.dumps({"message": message}))


TABLE: dict[str, tuple[int, str, str, type[AttemptError]]] = {
    "input too long": (400, "ValidationException", "Input is too long for requested model.", ContextTooLong),
    "prompt too long": (
        400,
        "ValidationException",
        "The model returned the following errors: prompt is too long: 210000 tokens > 200000 maximum",
        ContextTooLong,
    ),
    "token count": (
        400,
        "ValidationException",
        "The number of input tokens (9) exceeds the maximum of 8",
        ContextTooLong,
    ),
    "too much asked for": (
        400,
        "ValidationException",
        "The maximum tokens you requested exceeds the model limit of 4096.",
        InvalidRequest,
    ),
    "model id": (400, "ValidationException", "The provided model identifier is invalid.", ModelNotFound),
    "on demand": (
        400,
        "ValidationException",
        "Invocation of model ID x with on-demand throughput isn\u2019t supported.",
        ModelNotFound,
    ),
    "no tools": (400, "ValidationException", "This model doesn\u2019t support tool use.", InvalidRequest),
    "filtered": (400, "ValidationException", "Output blocked by content filtering policy", ContentFiltered),
    "blank": (
        400,
        "ValidationException",
        "The text field in the ContentBlock object is blank.",
        InvalidRequest,
    ),
    "quota": (400, "ServiceQuotaExceededException", "Your request exceeds the quota.", QuotaExhausted),
    "access": (403, "AccessDeniedException", "You don't have access to the model.", AuthFailed),
    "token": (403, "ExpiredTokenException", "The security token is expired", AuthFailed),
    "client": (403, "UnrecognizedClientException", "The security token is invalid.", AuthFailed),
    "signature": (403, "InvalidSignatureException", "Signature expired: 2026", AuthFailed),
    "resource": (404, "ResourceNotFoundException", "Model not found.", ModelNotFound),
    "timeout": (408, "ModelTimeoutException", "Too slow", ServerFault),
    "model error": (424, "ModelErrorException", "Oops", ServerFault),
    "stream error": (424, "ModelStreamErrorException", "Oops", ServerFault),
    "throttled": (429, "ThrottlingException", "Too many requests, please wait.", RateLimited),
    "per day": (429, "ThrottlingException", "Too many tokens per day, please wait.", QuotaExhausted),
    "not ready": (429, "ModelNotReadyException", "Model is not ready for inference.", Overloaded),
    "internal": (500, "InternalServerException", "Oops", ServerFault),
    "unavailable": (503, "ServiceUnavailableException", "Busy", Overloaded),
    "unknown": (418, "TeapotException", "Short and stout", InvalidRequest),
}


@pytest.mark.parametrize(("status", "code", "message", "expected"), TABLE.values(), ids=TABLE)
def test_classes(status: int, code: str, message: str, expected: type[AttemptError]) -> None:
    """Each documented error has its class, its code and AWS's words."""
    error = failed(status, code, message, **{"x-amzn-RequestId": "r-1"})

    assert expected is type(error)
    assert (status, code, "r-1") == (error.status, error.code, error.request_id)
    assert message.rstrip(".") in error.message


@pytest.mark.parametrize(
    ("name", "everywhere"), [("blank", True), ("no tools", False), ("too much asked for", False)]
)
def test_whose_fault(name: str, everywhere: bool) -> None:
    """A broken request fails everywhere; what only this model cannot do goes to the next endpoint."""
    status, code, message, _ = TABLE[name]
    error = failed(status, code, message)

    assert isinstance(error, InvalidRequest)
    assert everywhere is error.everywhere


@pytest.mark.parametrize(
    ("status", "code", "message", "mend"),
    [
        (400, "ValidationException", "The provided model identifier is invalid.", "the region of base_url"),
        (400, "ValidationException", "on-demand throughput isn't supported", "inference profile"),
        (404, "ResourceNotFoundException", "No such model.", "model's id or ARN"),
        (
            403,
            "ExpiredTokenException",
            "The security token included in the request is expired",
            "aws sso login",
        ),
        (403, "ExpiredTokenException", "", "aws sso login"),
        (403, "InvalidSignatureException", "Credential should be scoped to a valid region.", "region"),
        (403, "InvalidSignatureException", "Signature expired: now", "clock"),
        (403, "UnrecognizedClientException", "The security token is invalid.", "AWS_ACCESS_KEY_ID"),
        (403, "AccessDeniedException", "You don't have access to the model.", "bedrock:InvokeModel"),
    ],
    ids=["model", "on demand", "resource", "expired", "silent", "region", "clock", "key", "access"],
)
def test_what_to_do(status: int, code: str, message: str, mend: str) -> None:
    """A wrong region, an unknown model and an expired token each say what to do, within the limit."""
    for said in (message, message + " x" * 300):
        assert mend in failed(status, code, said).message[:300]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"__type": "com.amazon.coral.service#ThrottlingException", "message": "m"}, "ThrottlingException"),
        ({"code": "ThrottlingException", "Message": "m"}, "ThrottlingException"),
    ],
    ids=["type", "code"],
)
def test_codes_in_the_body(body: dict[str, str], code: str) -> None:
    """Without the header the body's code counts."""
    error = CLIENT.failure(400, {}, orjson.dumps(body))

    assert (RateLimited, code, "m") == (type(error), error.code, error.message)


@pytest.mark.parametrize(
    ("headers", "wait_s"),
    [({"x-amz-retry-after": "1500"}, 1.5), ({"retry-after": "7"}, 7.0), ({"x-amz-retry-after": "x"}, None)],
    ids=["milliseconds", "seconds", "garbage"],
)
def test_waits(headers: dict[str, str], wait_s: float | None) -> None:
    """A wait is believed of who asks for patience, and of nobody else."""
    assert wait_s == failed(429, "ThrottlingException", "Slow", **headers).retry_after_s
    assert failed(403, "AccessDeniedException", "No", **headers).retry_after_s is None


@given(status=st.integers(300, 599), code=st.none() | st.text(max_size=20), body=st.binary(max_size=50))
def test_any_failure(status: int, code: str | None, body: bytes) -> None:
    """Whatever comes with a failing status, it is one of our errors with that status."""
    error = CLIENT.failure(status, {} if code is None else {"x-amzn-errortype": code}, body)

    assert isinstance(error, AttemptError)
    assert status == error.status


OURS = [
    AuthFailed("Key"),
    BadAnswer("Odd"),
    ConnectionFailed("Gone"),
    ContentFiltered("No"),
    ContextTooLong("9 > 8"),
    InvalidRequest("Bad"),
    InvalidRequest("Bad", everywhere=False),
    ModelNotFound("x"),
    Overloaded("Busy"),
    QuotaExhausted("Pay"),
    QuotaExhausted("Pay", status=429, code="ThrottlingException"),
    RateLimited("Slow", retry_after_s=1.5),
    Refused("Open"),
    ServerFault("Oops"),
    TimedOut("Late"),
    RateLimited("Slow", code="rate_limit_exceeded"),
]
_BACK: dict[type[AttemptError], type[AttemptError]] = {
    BadAnswer: ServerFault,
    ConnectionFailed: ServerFault,
    Refused: Overloaded,
    TimedOut: ServerFault,
}


@pytest.mark.parametrize("error", OURS, ids=lambda error: type(error).__name__)
def test_round_trip(error: AttemptError) -> None:
    """What the server side writes for an error, the client side reads as what it means, in band too."""
    error.request_id = "r-1"
    status, headers, body = SERVER.failure(error)
    read = CLIENT.failure(status, CIMultiDict(headers), body)

    assert _BACK.get(type(error), type(error)) is type(read)
    assert ("r-1", error.retry_after_s) == (read.request_id, read.retry_after_s)
    assert getattr(error, "everywhere", None) == getattr(read, "everywhere", None)
    with pytest.raises(type(read)):
        CLIENT.reader().feed(SERVER.writer(None, None).error(error))  # type: ignore[arg-type]  # not looked at
