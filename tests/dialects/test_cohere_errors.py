"""Cohere's error answers, as the client classes them and as the server writes them."""

from __future__ import annotations

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
from fallbackio.model import Reply, Request

CLIENT = DIALECTS["cohere"].client
SERVER = DIALECTS["cohere"].server

HERE = "here"  # an InvalidRequest that another endpoint may take

CASES: list[tuple[int, str, object]] = [
    (400, "too many tokens: total number of tokens in the prompt cannot exceed 4081", ContextTooLong),
    (400, "size limit exceeded", ContextTooLong),
    (400, "max tokens must be less than or equal to 4096, the maximum output for this model", HERE),
    (400, "tool_choice is not supported by the provided model", HERE),
    (400, "image content is not supported for this model", HERE),
    (400, "invalid json schema: every object must have a required field", HERE),
    (400, "unknown field: parameter 'foo' is not a valid field", HERE),
    (400, "tool call id not found in previous tool calls", InvalidRequest),
    (400, "message must not be empty in a turn", InvalidRequest),
    (422, "unprocessable", InvalidRequest),
    (401, "invalid api token", AuthFailed),
    (401, "no api key supplied", AuthFailed),
    (402, "Maximum billing reached", QuotaExhausted),
    (402, "Please add a payment method", QuotaExhausted),
    (403, "", AuthFailed),
    (404, "model 'command-z' not found", ModelNotFound),
    (413, "", ContextTooLong),
    (429, "You have reached the per minute request limit", RateLimited),
    (429, "Please wait and try again later", RateLimited),
    (429, "You are using a Trial key, which is limited to 20 API calls / minute", RateLimited),
    (429, "You are using a Trial key, which is limited to 1000 API calls / month", QuotaExhausted),
    (498, "invalid token", ContentFiltered),
    (499, "request cancelled", ServerFault),
    (500, "internal server error", ServerFault),
    (501, "not implemented", HERE),
    (503, "", Overloaded),
    (504, "", ServerFault),
    (418, "", InvalidRequest),
]


@pytest.mark.parametrize(("status", "message", "wanted"), CASES, ids=[f"{c[0]} {c[1][:30]}" for c in CASES])
def test_classes(status: int, message: str, wanted: object) -> None:
    """The status decides, and the documented words where a status covers several things."""
    body = orjson.dumps({"id": "e1", "message": message})
    error = CLIENT.failure(status, {"x-debug-trace-id": "t1"}, body)

    if isinstance(error, InvalidRequest):
        assert wanted == (InvalidRequest if error.everywhere else HERE)
    else:
        assert wanted is type(error)
    assert (status, message, "t1") == (error.status, error.message, error.request_id)


def test_id_and_wait() -> None:
    """Without the header the body's id names the request; a wait is believed."""
    error = CLIENT.failure(429, {"retry-after": "7"}, b'{"id":"e1","message":"Please wait"}')

    assert (error.request_id, error.retry_after_s) == ("e1", 7.0)
    assert CLIENT.failure(401, {"retry-after": "7"}, b"{}").retry_after_s is None


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"null", b'{"message":7,"id":[]}', b"\xff"])
def test_odd_bodies(body: bytes) -> None:
    """Whatever the body is, the status says enough."""
    assert isinstance(CLIENT.failure(503, {}, body), Overloaded)


@given(st.integers(300, 999), st.binary(max_size=40), st.text(max_size=40))
def test_never_raises(status: int, noise: bytes, message: str) -> None:
    """Reading a failure never fails."""
    for body in (noise, orjson.dumps({"message": message})):
        assert isinstance(CLIENT.failure(status, {"retry-after": message}, body), AttemptError)


WRITTEN: list[tuple[AttemptError, int, type[AttemptError]]] = [
    (InvalidRequest("Bad"), 400, InvalidRequest),
    (InvalidRequest("Odd", everywhere=False), 400, InvalidRequest),
    (ContextTooLong("9 > 8"), 400, ContextTooLong),
    (AuthFailed("Key"), 401, AuthFailed),
    (QuotaExhausted("Pay"), 402, QuotaExhausted),
    (QuotaExhausted("Pay", status=429), 429, QuotaExhausted),
    (ModelNotFound("x"), 404, ModelNotFound),
    (RateLimited("Slow", retry_after_s=1.5), 429, RateLimited),
    (ContentFiltered("No"), 498, ContentFiltered),
    (Overloaded("Busy"), 503, Overloaded),
    (Refused("Rest"), 503, Overloaded),
    (ServerFault("Oops"), 500, ServerFault),
    (ConnectionFailed("Lost"), 500, ServerFault),
    (BadAnswer("Odd"), 500, ServerFault),
    (TimedOut("Late"), 504, ServerFault),
    (ServerFault("", status=502), 502, ServerFault),
]


@pytest.mark.parametrize(("error", "status", "kind"), WRITTEN, ids=[repr(case[0]) for case in WRITTEN])
def test_round_trip(error: AttemptError, status: int, kind: type[AttemptError]) -> None:
    """What the server side says is what the client side understands."""
    error.request_id = "r1"
    said, headers, body = SERVER.failure(error)
    heard = CLIENT.failure(said, headers, body)

    assert (status, kind, "r1") == (said, type(heard), heard.request_id)
    assert getattr(error, "everywhere", None) == getattr(heard, "everywhere", None)
    assert error.message in heard.message
    if error.retry_after_s is not None:
        assert heard.retry_after_s == 2.0


@pytest.mark.parametrize("error", [ServerFault("Oops"), ContextTooLong("9 > 8"), QuotaExhausted("Pay")])
def test_in_band(error: AttemptError) -> None:
    """An error inside a stream keeps its class where its words can tell it."""
    writer = SERVER.writer(Reply(id="x"), Request(messages=()))

    with pytest.raises(type(error), match=error.message):
        CLIENT.reader().feed(writer.start() + writer.error(error))
