"""Ollama's error answers, as the client classes them and as the server writes them."""

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

CLIENT = DIALECTS["ollama"].client
SERVER = DIALECTS["ollama"].server

HERE = "here"  # an InvalidRequest that another endpoint may take

CASES: list[tuple[int, str, object]] = [
    (400, "model is required", InvalidRequest),
    (400, "missing request body", InvalidRequest),
    (400, "registry.ollama.ai/library/gemma:2b does not support tools", HERE),
    (400, '"gemma:2b" does not support thinking', HERE),
    (400, "json: cannot unmarshal array into Go struct field ChatRequest.messages.content", HERE),
    (400, 'invalid think value: "max" (must be "high", "medium", "low", true, or false)', HERE),
    (400, 'option "num_ctx" must be of type integer', HERE),
    (400, "this server cannot run this remote model", HERE),
    (500, "this model only supports one image while more than one image requested", HERE),
    (400, "the input length exceeds the context length", ContextTooLong),
    (400, "input exceeds maximum context length and cannot be truncated further", ContextTooLong),
    (500, "the request exceeds the available context size", ContextTooLong),
    (401, "unauthorized", AuthFailed),
    (403, "remote inference is unavailable", AuthFailed),
    (404, "model 'llama9' not found", ModelNotFound),
    (404, 'model "llama9" not found, try pulling it first', ModelNotFound),
    (404, "", ModelNotFound),
    (429, "you have reached your hourly usage limit", RateLimited),
    (499, "request canceled", ServerFault),
    (500, "llama runner process has terminated: signal: killed", ServerFault),
    (500, "model requires more system memory (9.1 GiB) than is available (4.0 GiB)", ServerFault),
    (502, "upstream error", ServerFault),
    (503, "server busy, please try again.  maximum pending requests exceeded", Overloaded),
]


@pytest.mark.parametrize(("status", "message", "wanted"), CASES, ids=[f"{c[0]} {c[1][:30]}" for c in CASES])
def test_classes(status: int, message: str, wanted: object) -> None:
    """The status decides, and the server's own words where it uses one for several things."""
    error = CLIENT.failure(status, {}, orjson.dumps({"error": message}))

    if isinstance(error, InvalidRequest):
        assert wanted == (InvalidRequest if error.everywhere else HERE)
    else:
        assert wanted is type(error)
    assert status == error.status
    assert " ".join(message.split()) in error.message


@pytest.mark.parametrize(
    ("body", "advice"),
    [
        (b'{"error":"model \'llama9:8b\' not found"}', "run `ollama pull llama9:8b` on its host"),
        (b'{"error":"model \\"a/b\\" not found, try pulling it first"}', "run `ollama pull a/b` on its host"),
        (b'{"error":"model not found"}', "run `ollama pull MODEL` on its host"),
        (b"404 page", "does base_url lead to Ollama?"),
        (b"{}", "does base_url lead to Ollama?"),
    ],
)
def test_a_missing_model_says_what_to_do(body: bytes, advice: str) -> None:
    """Whoever has not fetched the model reads the command that does."""
    assert advice in CLIENT.failure(404, {}, body).message


def test_a_proxys_error() -> None:
    """An error in OpenAI's form keeps its text, and a wait is believed."""
    error = CLIENT.failure(429, {"retry-after": "7", "x-request-id": "r"}, b'{"error":{"message":"slow"}}')

    assert ("slow", 7.0, "r") == (error.message, error.retry_after_s, error.request_id)


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"null", b'{"error":7}', b"\xff"])
def test_odd_bodies(body: bytes) -> None:
    """Whatever the body is, the status says enough."""
    assert isinstance(CLIENT.failure(503, {}, body), Overloaded)


@given(st.integers(300, 999), st.binary(max_size=40), st.text(max_size=40))
def test_never_raises(status: int, noise: bytes, message: str) -> None:
    """Reading a failure never fails."""
    for body in (noise, orjson.dumps({"error": message})):
        assert isinstance(CLIENT.failure(status, {"retry-after": message}, body), AttemptError)


WRITTEN: list[tuple[AttemptError, int, type[AttemptError]]] = [
    (InvalidRequest("Bad"), 400, InvalidRequest),
    (InvalidRequest("Odd", everywhere=False), 400, InvalidRequest),
    (ContextTooLong("9 > 8"), 400, ContextTooLong),
    (ContextTooLong("the input length exceeds the context length"), 400, ContextTooLong),
    (AuthFailed("Key"), 401, AuthFailed),
    (QuotaExhausted("Pay"), 402, QuotaExhausted),
    (ModelNotFound("x"), 404, ModelNotFound),
    (ModelNotFound(""), 404, ModelNotFound),
    (RateLimited("Slow", retry_after_s=1.5), 429, RateLimited),
    (ContentFiltered("No"), 451, ContentFiltered),
    (Overloaded("Busy"), 503, Overloaded),
    (Refused("Rest"), 503, Overloaded),
    (ServerFault("Oops"), 500, ServerFault),
    (ConnectionFailed("Lost"), 502, ServerFault),
    (BadAnswer("Odd"), 500, ServerFault),
    (TimedOut("Late"), 504, ServerFault),
    (ServerFault("", status=507), 507, ServerFault),
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


@pytest.mark.parametrize(
    "error", [ServerFault("Oops"), ContextTooLong("9 > 8"), Overloaded("Busy"), ModelNotFound("x")]
)
def test_in_band(error: AttemptError) -> None:
    """An error inside a stream keeps its class where its words can tell it."""
    writer = SERVER.writer(Reply(), Request(messages=()))

    with pytest.raises(type(error), match=error.message):
        CLIENT.reader().feed(writer.start() + writer.error(error))
