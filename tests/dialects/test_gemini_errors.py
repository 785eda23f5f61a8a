"""Google's error answers, as the client classes them and as the server writes them."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

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

CLIENT = DIALECTS["gemini"].client
SERVER = DIALECTS["gemini"].server

HERE = "here"  # an InvalidRequest that another endpoint may take


def body(status: int, word: str, message: str, *details: dict[str, Any]) -> bytes:
    return orjson.dumps(
        {"error": {"code": status, "status": word, "message": message, "details": list(details)}}
    )


def info(reason: str) -> dict[str, Any]:
    return {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason, "domain": "googleapis.com"}


def wait(delay: str) -> dict[str, Any]:
    return {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay}


def quota(quota_id: str, value: str = "10") -> dict[str, Any]:
    violation = {"quotaMetric": "m", "quotaId": quota_id, "quotaValue": value}
    return {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [violation]}


BAD, PRE, EXHAUSTED = "INVALID_ARGUMENT", "FAILED_PRECONDITION", "RESOURCE_EXHAUSTED"

CASES: list[tuple[int, str, str, list[dict[str, Any]], object]] = [
    (400, BAD, "API key not valid. Please pass a valid API key.", [info("API_KEY_INVALID")], AuthFailed),
    (400, BAD, "API key expired. Please renew the API key.", [], AuthFailed),
    (400, BAD, "The input token count (9) exceeds the maximum number of tokens allowed.", [], ContextTooLong),
    (400, BAD, "Function call is missing a thought_signature in functionCall parts.", [], HERE),
    (400, BAD, "Corrupted thought signature.", [], HERE),
    (400, BAD, "Multiple candidates is not enabled for this model", [], HERE),
    (400, BAD, 'Invalid JSON payload received. Unknown name "x": Cannot find field.', [], HERE),
    (400, BAD, "contents are required", [], InvalidRequest),
    (400, PRE, "User location is not supported for the API use.", [], AuthFailed),
    (400, PRE, "Free tier is not available in your country. Please enable billing.", [], QuotaExhausted),
    (400, PRE, "The file is not in an ACTIVE state.", [], HERE),
    (401, "UNAUTHENTICATED", "Request had invalid credentials.", [info("ACCESS_TOKEN_EXPIRED")], AuthFailed),
    (402, EXHAUSTED, "Prepaid credits are used up.", [], QuotaExhausted),
    (403, "PERMISSION_DENIED", "API has not been used.", [info("SERVICE_DISABLED")], AuthFailed),
    (403, "PERMISSION_DENIED", "Billing is off.", [info("BILLING_DISABLED")], QuotaExhausted),
    (404, "NOT_FOUND", "Publisher Model `m` was not found.", [], ModelNotFound),
    (429, EXHAUSTED, "Quota.", [quota("GenerateRequestsPerMinutePerProject"), wait("37s")], RateLimited),
    (429, EXHAUSTED, "Quota.", [quota("GenerateRequestsPerDay-FreeTier"), wait("37s")], QuotaExhausted),
    (429, EXHAUSTED, "Quota.", [quota("GenerateRequestsPerMinute-FreeTier", "0")], QuotaExhausted),
    (429, EXHAUSTED, "Project exceeded its monthly spending cap.", [], QuotaExhausted),
    (429, EXHAUSTED, "Resource exhausted. Please try again later.", [], RateLimited),
    (499, "CANCELLED", "Cancelled", [], ServerFault),
    (500, "INTERNAL", "An internal error has occurred.", [], ServerFault),
    (503, "UNAVAILABLE", "The model is overloaded.", [], Overloaded),
    (504, "DEADLINE_EXCEEDED", "Deadline", [], ServerFault),
]  # fmt: skip


@pytest.mark.parametrize(("status", "word", "message", "details", "kind"), CASES, ids=lambda v: str(v)[:40])
@pytest.mark.parametrize("wrapped", [False, True], ids=["plain", "list"])
def test_classes(
    status: int, word: str, message: str, details: list[dict[str, Any]], kind: object, wrapped: bool
) -> None:
    """Each error is the class of what to do next, also in the list of some gateways and in-band."""
    said = body(status, word, message, *details)
    said = b"[" + said + b"]" if wrapped else said
    found = CLIENT.failure(status, {}, said)

    assert (InvalidRequest if kind == HERE else kind) is type(found)
    assert status == found.status
    assert (details[0]["reason"] if details and "reason" in details[0] else word) == found.code
    assert found.message.startswith(message)
    if isinstance(found, InvalidRequest):
        assert (kind != HERE) == found.everywhere
    with pytest.raises(type(found)) as raised:
        CLIENT.reader().feed(b"data: " + said + b"\n\n")
    assert (status, found.code) == (raised.value.status, raised.value.code)


@pytest.mark.parametrize(
    ("details", "message", "headers", "expected"),
    [
        ([wait("37s")], "", {}, 37.0),
        ([wait("37.480115s")], "Please retry in 9s.", {}, 37.480115),
        ([], "Please retry in 37.48s.", {}, 37.48),
        ([], "Slow down", {"retry-after": "5"}, 5.0),
        ([wait("soon")], "Slow down", {}, None),
    ],
    ids=["delay", "fraction", "message", "header", "garbage"],
)
def test_waits(
    details: list[dict[str, Any]], message: str, headers: dict[str, str], expected: float | None
) -> None:
    """The wait is in the body's details, else in a header or the message."""
    found = CLIENT.failure(429, headers, body(429, EXHAUSTED, message, *details))
    assert expected == found.retry_after_s


@pytest.mark.parametrize(
    ("status", "said", "mend"),
    [
        (401, body(401, "UNAUTHENTICATED", "Expired", info("ACCESS_TOKEN_EXPIRED")), "gcloud auth"),
        (403, body(403, "PERMISSION_DENIED", "No", info("SERVICE_DISABLED")), "enabled in the project"),
        (404, body(404, "NOT_FOUND", "No"), "location in base_url"),
        (404, b"<!DOCTYPE html><title>Error 404</title>", "location in base_url"),
    ],
    ids=["token", "service", "region", "wrong host"],
)
def test_what_to_do(status: int, said: bytes, mend: str) -> None:
    """What an operator can mend is said with the mend."""
    assert mend in str(CLIENT.failure(status, {}, said))


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"<html>",
        b"null",
        b"[]",
        b"[1, 2]",
        b'{"error": 3}',
        b'{"error": {"details": [{"violations": 1}]}}',
    ],
)
@pytest.mark.parametrize(
    ("status", "kind"), [(400, InvalidRequest), (403, AuthFailed), (429, RateLimited), (502, ServerFault)]
)
def test_bodies_of_others(said: bytes, status: int, kind: type[AttemptError]) -> None:
    """A body that is not Google's leaves the class to the status."""
    assert kind is type(CLIENT.failure(status, {}, said))


ERRORS: list[AttemptError] = [
    InvalidRequest("Bad"),
    ContextTooLong("9 > 8"),
    AuthFailed("Key"),
    AuthFailed("No", status=403),
    AuthFailed("No", status=401),
    QuotaExhausted("Pay"),
    QuotaExhausted("Pay", status=402),
    ModelNotFound("No such model"),
    RateLimited("Slow", retry_after_s=1.5),
    ServerFault("Oops"),
    ServerFault("Late", status=504),
    Overloaded("Busy"),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: f"{type(error).__name__}-{error.status}")
def test_errors_come_back(error: AttemptError) -> None:
    """An error of ours that the server writes is the same for the client, in an answer and in a stream."""
    error.request_id = "req_1"
    status, headers, said = SERVER.failure(error)
    found = CLIENT.failure(status, headers, said)

    assert type(error) is type(found)
    assert error.retry_after_s == found.retry_after_s
    assert "req_1" == found.request_id
    assert error.status in (None, found.status)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (BadAnswer(), 500),
        (ConnectionFailed(), 500),
        (Refused(), 503),
        (TimedOut(), 504),
        (RateLimited(), 429),
    ],
    ids=lambda value: type(value).__name__,
)
def test_every_class_has_a_status(error: AttemptError, status: int) -> None:
    """Classes that Google does not know go out under the status nearest to them."""
    assert status == SERVER.failure(error)[0]


def test_a_refused_prompt_is_an_answer() -> None:
    """A prompt that policy refuses is a 200 at Google, and `ContentFiltered` for the client."""
    status, _, said = SERVER.failure(ContentFiltered("no"))

    assert 200 == status
    with pytest.raises(ContentFiltered) as raised:
        CLIENT.decode(said)
    assert "PROHIBITED_CONTENT" == raised.value.code
