"""Anthropic's error answers, as the client classes them and as the server writes them."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

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

CLIENT = DIALECTS["anthropic"].client
SERVER = DIALECTS["anthropic"].server

HERE = "here"  # an InvalidRequest that another endpoint may take


def body(kind: str = "", message: str = "", code: str = "") -> bytes:
    error: dict[str, Any] = {"type": kind, "message": message}
    if code:
        error["details"] = {"error_code": code}
    return orjson.dumps({"type": "error", "error": error, "request_id": "req_1"})


BAD = "invalid_request_error"
LIMIT = "rate_limit_error"

CASES: list[tuple[int, str, str, str, object]] = [
    # status, type, message, error_code, what it is
    (400, BAD, "prompt is too long: 210000 tokens > 200000 maximum", "", ContextTooLong),
    (400, BAD, "input length and `max_tokens` exceed context limit: 1 + 2 > 2", "", ContextTooLong),
    (400, BAD, "Your credit balance is too low to access the Anthropic API.", "", QuotaExhausted),
    (400, BAD, "You have reached your specified API usage limits. You will", "", QuotaExhausted),
    (400, BAD, "You have reached your specified workspace API usage limits.", "", QuotaExhausted),
    (400, BAD, "Output blocked by content filtering policy", "", ContentFiltered),
    (400, BAD, "This model does not support assistant message prefill.", "", HERE),
    (400, BAD, '"thinking.type.enabled" is not supported for this model.', "", HERE),
    (400, BAD, "temperature: Extra inputs are not permitted", "", HERE),
    (400, BAD, "`temperature` and `top_p` cannot both be specified for this model.", "", HERE),
    (400, BAD, "max_tokens: 9 > 8, which is the maximum allowed number of output tokens for", "", HERE),
    (400, BAD, "Thinking may not be enabled when tool_choice forces tool use.", "", HERE),
    (400, BAD, "messages.0.content.0.image: image exceeds 10 MB maximum", "", HERE),
    (400, BAD, "Too large", "image_dimensions_too_large", HERE),
    (400, BAD, "x", "some_new_code", HERE),
    (400, BAD, "Tool names must be unique.", "tool_name_conflict", InvalidRequest),
    (400, BAD, "On hold", "organization_on_hold", AuthFailed),
    (400, BAD, "Disabled", "cmek_key_disabled", AuthFailed),
    (400, BAD, "messages: at least one message is required", "", InvalidRequest),
    (400, BAD, "tools.0.rate_limit_error_403_429: Field required", "", InvalidRequest),
    (401, "authentication_error", "invalid x-api-key", "", AuthFailed),
    (401, BAD, "x", "", AuthFailed),
    (402, "billing_error", "Pay", "", QuotaExhausted),
    (402, "billing_error", "Pay", "linked_organization_spend_limit_reached", QuotaExhausted),
    (403, "permission_error", "No", "", AuthFailed),
    (404, "not_found_error", "model: claude-nine", "", ModelNotFound),
    (408, "timeout_error", "", "", ServerFault),
    (409, "conflict_error", "", "", ServerFault),
    (413, "request_too_large", "Request exceeds the maximum size", "", ContextTooLong),
    (413, BAD, "x", "request_body_too_large_after_decoding", ContextTooLong),
    (429, LIMIT, "This request would exceed your rate limit of 400,000 tokens per minute", "", RateLimited),
    (429, LIMIT, "You have reached your API usage limits.", "", QuotaExhausted),
    (429, LIMIT, "x", "enforced_spend_limit_reached", QuotaExhausted),
    (429, LIMIT, "x", "contract_spend_limit_reached", QuotaExhausted),
    (429, LIMIT, "Your credit balance is too low", "ramp_limit_exceeded", RateLimited),
    (500, "api_error", "Internal server error", "", ServerFault),
    (503, "api_error", "Service unavailable", "", Overloaded),
    (504, "timeout_error", "", "", ServerFault),
    (529, "overloaded_error", "Overloaded", "", Overloaded),
    (500, "overloaded_error", "Overloaded", "", Overloaded),
    (418, "teapot_error", "", "", InvalidRequest),
]


@pytest.mark.parametrize(
    ("status", "kind", "message", "code", "expected"),
    CASES,
    ids=[
        f"{status}-{code or message[:24] or kind}".replace(" ", "-")
        for status, kind, message, code, _ in CASES
    ],
)
def test_classes(status: int, kind: str, message: str, code: str, expected: object) -> None:
    """Code before message before type before status decides what an error is."""
    error = CLIENT.failure(status, {}, body(kind, message, code))

    assert (InvalidRequest if expected is HERE else expected) is type(error)
    if isinstance(error, InvalidRequest):
        assert (expected is not HERE) is error.everywhere
    assert (status, code or kind, message, "req_1") == (
        error.status,
        error.code,
        error.message,
        error.request_id,
    )


@pytest.mark.parametrize(
    ("answer", "status", "expected"),
    [
        (b"", 529, Overloaded),
        (b"<html>413 Request Entity Too Large</html>", 413, ContextTooLong),
        (b"upstream connect error 429", 502, ServerFault),
        (b"[]", 401, AuthFailed),
        (b'{"error": null}', 404, ModelNotFound),
        (b'{"error": "busy"}', 503, Overloaded),
        (b'{"error": {"type": 5, "message": [], "details": "x"}}', 429, RateLimited),
        (b'{"detail": "x"}', 422, InvalidRequest),
        (b"", 302, BadAnswer),
    ],
)
def test_any_body_goes_by_its_status(answer: bytes, status: int, expected: type[AttemptError]) -> None:
    """What a proxy answers in Anthropic's place is classed by the status."""
    assert expected is type(CLIENT.failure(status, {}, answer))


def test_waits_and_ids() -> None:
    """Waits, advice and the request's id come from the headers."""
    headers = {"retry-after": "20", "request-id": "req_2", "x-should-retry": "true"}
    error = CLIENT.failure(429, headers, body(LIMIT))

    assert (20.0, "req_2", True) == (error.retry_after_s, error.request_id, error.should_retry)


def test_a_wait_is_for_what_passes() -> None:
    """A 400 does not get better by waiting, whatever a proxy says."""
    assert CLIENT.failure(400, {"retry-after": "20"}, body(BAD)).retry_after_s is None


@given(st.integers(0, 999), st.text(alphabet="0123456789 .:tokens", max_size=40))
def test_digits_never_decide(status: int, message: str) -> None:
    """Digits in a message never change the class of an error."""
    assert type(CLIENT.failure(status, {}, body(LIMIT, message))) is RateLimited


@given(st.integers(0, 1000), st.binary(max_size=300))
def test_nothing_breaks_it(status: int, answer: bytes) -> None:
    """Reading an error never fails."""
    assert status == CLIENT.failure(status, {}, answer).status


ERRORS: list[tuple[AttemptError, int, str]] = [
    (RateLimited("Slow"), 429, LIMIT),
    (QuotaExhausted("Pay"), 402, "billing_error"),
    (Overloaded("Busy"), 529, "overloaded_error"),
    (Overloaded("Busy", status=503), 503, "overloaded_error"),
    (ServerFault("Oops"), 500, "api_error"),
    (ServerFault("Oops", status=502), 502, "api_error"),
    (ServerFault("Late", status=504), 504, "timeout_error"),
    (AuthFailed("Key"), 401, "authentication_error"),
    (AuthFailed("No", status=403), 403, "permission_error"),
    (ModelNotFound("model: x"), 404, "not_found_error"),
    (InvalidRequest("Bad"), 400, BAD),
    (ContextTooLong("prompt is too long: 9 tokens > 8 maximum"), 400, BAD),
    (ContextTooLong("Big", status=413), 413, "request_too_large"),
    (ContentFiltered("Output blocked by content filtering policy"), 400, BAD),
]


@pytest.mark.parametrize(
    ("error", "status", "kind"), ERRORS, ids=[f"{type(e).__name__}-{status}" for e, status, _ in ERRORS]
)
def test_written_errors_keep_their_class(error: AttemptError, status: int, kind: str) -> None:
    """What the server writes, the client classes as what it was."""
    answered, headers, wire = SERVER.failure(error)
    again = CLIENT.failure(answered, headers, wire)

    assert (status, kind) == (answered, orjson.loads(wire)["error"]["type"])
    assert (type(error), error.message) == (type(again), again.message)


@pytest.mark.parametrize("error", [ContextTooLong(), ContextTooLong("9 of 8"), ContentFiltered("Violence")])
def test_what_only_words_tell_is_written_in_the_known_ones(error: AttemptError) -> None:
    """A class that Anthropic shows by its message alone survives whatever our own message was."""
    again = CLIENT.failure(*SERVER.failure(error))

    assert type(error) is type(again)
    assert error.message in again.message


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (TimedOut(phase="idle"), 504),
        (ConnectionFailed("gone"), 500),
        (BadAnswer("odd", status=200), 500),
        (Refused(), 529),
        (AttemptError(), 500),
    ],
    ids=lambda value: type(value).__name__,
)
def test_our_own_failures_are_the_servers_fault(error: AttemptError, status: int) -> None:
    """What has no counterpart at Anthropic comes out as a failing status that says "try elsewhere"."""
    answered, headers, wire = SERVER.failure(error)

    assert status == answered
    assert isinstance(CLIENT.failure(answered, headers, wire), ServerFault | Overloaded)


@pytest.mark.parametrize(
    ("wait_s", "header"), [(20.0, "20"), (0.0, "0"), (86400.0, "86400"), (0.25, "0.250")]
)
def test_waits_are_written(wait_s: float, header: str) -> None:
    """Whole seconds go out as the RFC wants them, fractions as clients read them."""
    error = RateLimited("Slow", retry_after_s=wait_s, request_id="req_3", should_retry=False)
    status, headers, wire = SERVER.failure(error)
    again = CLIENT.failure(status, headers, wire)

    assert header == headers["retry-after"]
    assert (wait_s, "req_3", False) == (again.retry_after_s, again.request_id, again.should_retry)


@pytest.mark.parametrize(
    ("code", "details"),
    [
        ("ramp_limit_exceeded", {"error_code": "ramp_limit_exceeded"}),
        (LIMIT, None),
        ("rate_limit_exceeded", None),
        (None, None),
    ],
)
def test_codes_are_written_as_details(code: str | None, details: object) -> None:
    """A code of Anthropic's own survives the round trip; a type or another vendor's code is none."""
    wire = SERVER.failure(RateLimited("x", code=code))[2]

    assert details == orjson.loads(wire)["error"].get("details")
