"""What an error answer in OpenAI's dialect stands for."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fallbackio.dialects.openai._client import OpenAIClient
from fallbackio.dialects.openai._errors import _BY_WORD
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


def failure(status: int, body: object = None, **headers: str) -> AttemptError:
    wire = body if isinstance(body, bytes) else orjson.dumps(body)
    return OpenAIClient().failure(
        status, {name.replace("_", "-"): value for name, value in headers.items()}, wire
    )


def openai(message: str = "It failed.", **more: Any) -> dict[str, Any]:
    return {
        "error": {"message": message, "type": "invalid_request_error", "param": None, "code": None, **more}
    }


LONG = "This model's maximum context length is 4096 tokens, however you requested 5000."

CASES: dict[str, tuple[int, object, type[AttemptError]]] = {
    # OpenAI: code, then type, then status
    "context": (400, openai(code="context_length_exceeded"), ContextTooLong),
    "string too long": (400, openai(code="string_above_max_length"), ContextTooLong),
    "policy": (400, openai(code="content_policy_violation"), ContentFiltered),
    "prompt": (400, openai(code="invalid_prompt"), ContentFiltered),
    "plain 400": (400, openai(), InvalidRequest),
    "key": (401, openai(code="invalid_api_key"), AuthFailed),
    "401": (401, openai(), AuthFailed),
    "country": (403, openai(code="unsupported_country_region_territory"), AuthFailed),
    "model": (404, openai(code="model_not_found"), ModelNotFound),
    "model at a 400": (400, openai(code="model_not_found"), ModelNotFound),
    "rate": (429, openai(type="tokens", code="rate_limit_exceeded"), RateLimited),
    "slow down": (429, openai(type="rate_limit_error", code="slow_down"), RateLimited),
    "quota": (429, openai(type="insufficient_quota", code="insufficient_quota"), QuotaExhausted),
    "quota by type": (429, openai(type="insufficient_quota"), QuotaExhausted),
    "code over type": (429, openai(type="insufficient_quota", code="rate_limit_exceeded"), RateLimited),
    "billing": (429, openai(type="insufficient_quota", code="billing_hard_limit_reached"), QuotaExhausted),
    "flex": (429, openai(code="resource_unavailable"), Overloaded),
    "500": (500, openai(type="server_error"), ServerFault),
    "overloaded": (503, openai(type="service_unavailable_error", code="server_is_overloaded"), Overloaded),
    "old overloaded": (503, openai(type="server_error"), Overloaded),
    "408": (408, openai(), ServerFault),
    "409": (409, openai(), ServerFault),
    "413": (413, openai(), ContextTooLong),
    "422": (422, openai(), InvalidRequest),
    # Azure
    "Azure's filter": (
        400,
        openai(code="content_filter", innererror={"code": "ResponsibleAIPolicyViolation"}),
        ContentFiltered,
    ),
    "Azure's inner code": (400, openai(innererror={"code": "ResponsibleAIPolicyViolation"}), ContentFiltered),
    "Azure's deployment": (404, openai(code="DeploymentNotFound"), ModelNotFound),
    "Azure's status in the body": (401, {"statusCode": 401, "message": "Access denied."}, AuthFailed),
    "status as a code": (429, openai(code="429"), RateLimited),
    # the compatible ones
    "Mistral's context": (400, {"object": "error", "message": "Too large", "code": "3051"}, ContextTooLong),
    "Mistral's number": (400, {"object": "error", "message": "Too large", "code": 3051}, ContextTooLong),
    "Mistral's model": (400, {"object": "error", "message": "Invalid model", "code": "1500"}, ModelNotFound),
    "Mistral's limit": (429, {"message": "Requests rate limit exceeded"}, RateLimited),
    "Mistral's nested message": (
        422,
        {"object": "error", "message": {"detail": [{"type": "missing", "msg": "Field required"}]}},
        InvalidRequest,
    ),
    "OpenRouter's money": (402, {"error": {"code": 402, "message": "Insufficient credits"}}, QuotaExhausted),
    "OpenRouter's key": (403, {"error": {"code": 403, "message": "x"}}, AuthFailed),
    "OpenRouter's moderation": (
        403,
        {"error": {"code": 403, "message": "x", "metadata": {"flagged_input": "y"}}},
        ContentFiltered,
    ),
    "DeepSeek's money": (402, openai("Insufficient Balance"), QuotaExhausted),
    "Groq's flex": (498, openai(), Overloaded),
    "Groq's model": (400, openai(code="model_decommissioned"), ModelNotFound),
    "Moonshot's load": (429, openai(type="engine_overloaded_error"), Overloaded),
    "xAI": (404, {"code": "Some entity was not found", "error": "No model"}, ModelNotFound),
    "xAI's key": (
        400,
        {"code": "Client specified an invalid argument", "error": "Incorrect API key provided"},
        AuthFailed,
    ),
    "vLLM": (
        400,
        {"object": "error", "message": LONG, "type": "BadRequestError", "code": 400},
        ContextTooLong,
    ),
    "new vLLM": (400, {"error": {"message": LONG, "type": "BadRequestError", "code": 400}}, ContextTooLong),
    "llama.cpp": (400, {"error": {"code": 400, "type": "exceed_context_size_error"}}, ContextTooLong),
    "Gemini's key": (
        400,
        [{"error": {"code": 400, "status": "INVALID_ARGUMENT", "details": [{"reason": "API_KEY_INVALID"}]}}],
        AuthFailed,
    ),
    "Gemini's limit": (429, [{"error": {"code": 429, "status": "RESOURCE_EXHAUSTED"}}], RateLimited),
    "Ollama's model": (404, {"error": "model 'x' not found"}, ModelNotFound),
    "Ollama's tools": (400, {"error": "x does not support tools"}, InvalidRequest),
    "FastAPI": (404, {"detail": "Not Found"}, ModelNotFound),
    "Cloudflare": (401, {"success": False, "errors": [{"code": 10000, "message": "x"}]}, AuthFailed),
    # no JSON
    "HTML": (502, b"<html><h1>502 Bad Gateway</h1></html>", ServerFault),
    "text": (503, b"upstream connect error", Overloaded),
    "empty": (500, b"", ServerFault),
    "cut": (429, b'{"error": {"message": "Rate lim', RateLimited),
    "gzip": (500, b"\x1f\x8b\x08\x00\xff", ServerFault),
    "number": (400, 42, InvalidRequest),
    "empty list": (429, [], RateLimited),
    "error of null": (500, {"error": None}, ServerFault),
}


@pytest.mark.parametrize(("status", "body", "kind"), CASES.values(), ids=CASES.keys())
def test_classes(status: int, body: object, kind: type[AttemptError]) -> None:
    """Each vendor's error is the class that says what to do next."""
    error = failure(status, body)

    assert kind is type(error)
    assert status == error.status


@pytest.mark.parametrize(
    ("body", "everywhere"),
    [
        (openai(), True),
        (openai(code="unsupported_parameter"), False),
        (openai(code="unsupported_value"), False),
        (openai(code="unknown_parameter"), False),
        (openai(code="invalid_type"), True),
        (openai(param="reasoning_effort"), False),
        (openai(param="service_tier"), False),
        (openai("Function tools with reasoning_effort are not supported"), False),
        ({"detail": [{"type": "extra_forbidden", "loc": ["body", "seed"], "msg": "Extra inputs"}]}, False),
        ({"detail": [{"type": "missing", "loc": ["body", "messages"], "msg": "Field required"}]}, True),
        ({"error": "x does not support tools"}, False),
    ],
    ids=str,
)
def test_everywhere(body: object, everywhere: bool) -> None:
    """A request that only this endpoint cannot answer goes on to the next one."""
    error = failure(400, body)

    assert isinstance(error, InvalidRequest)
    assert everywhere == error.everywhere


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        (openai("It failed.", code="invalid_api_key"), "invalid_api_key", "It failed."),
        (openai("It failed."), "invalid_request_error", "It failed."),
        ({"error": "text"}, None, "text"),
        ({"detail": "text"}, None, "text"),
        (
            {"detail": [{"type": "missing", "loc": ["body"], "msg": "Field required"}]},
            "missing",
            "Field required",
        ),
        ({"message": {"detail": [{"msg": "Field required"}]}}, None, "Field required"),
        ({"code": "A whole sentence.", "error": "text"}, None, "text"),
        ({"code": 3051, "message": "text"}, "3051", "text"),
        ({"error": {"code": 429, "message": "text"}}, None, "text"),
        (
            [{"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "text"}}],
            "RESOURCE_EXHAUSTED",
            "text",
        ),
        (b"upstream\n connect error", None, "upstream connect error"),
        (b"<html>", None, "HTML"),
        (b"", None, "an empty body"),
        (b'{"error":', None, "broken JSON"),
        (b"\x1f\x8b\xff", None, "3 bytes"),
        (openai("x" * 1000), "invalid_request_error", "x" * 300),
        (openai(" a\n\n b "), "invalid_request_error", "a b"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_code_and_message(body: object, code: str | None, message: str) -> None:
    """Code and message are found in every shape; the message is one short line."""
    error = failure(400, body)

    assert (code, message) == (error.code, error.message)


def test_headers() -> None:
    """Request id, wait and the provider's word on a repeat are kept."""
    error = failure(429, openai(), x_request_id="req_1", retry_after="20", x_should_retry="false")

    assert ("req_1", 20.0, False) == (error.request_id, error.retry_after_s, error.should_retry)


def test_wait_in_the_message() -> None:
    """The message is asked for a wait where no header says one."""
    assert 360.0 == failure(429, openai("Please try again in 6m0s.")).retry_after_s


def test_no_wait_for_what_does_not_pass() -> None:
    """A key does not get better by waiting."""
    assert failure(401, openai(), retry_after="20").retry_after_s is None


def bodies(code: str, message: str) -> list[dict[str, Any]]:
    return [openai(message, code=code), {"object": "error", "message": message, "code": code}]


WORDY = [
    LONG,
    "credit balance is too low",
    "content management policy",
    "invalid api key",
    "x does not support tools",
    "status 429: insufficient_quota",
]


@pytest.mark.parametrize("message", WORDY)
@pytest.mark.parametrize("code", [*_BY_WORD, "some_other_code"])
def test_words_change_nothing(code: str, message: str) -> None:
    """Where there is a code, not even the words that would decide without one change the class."""
    for status in (400, 403, 422, 429, 500):
        for plain, wordy in zip(bodies(code, ""), bodies(code, message), strict=True):
            assert type(failure(status, plain)) is type(failure(status, wordy))


@given(st.sampled_from([400, 401, 429, 503]), st.sampled_from([*_BY_WORD, "some_other_code"]), st.text())
def test_no_text_changes_anything(status: int, code: str, message: str) -> None:
    """Where there is a code, no text at all changes the class."""
    for plain, wordy in zip(bodies(code, ""), bodies(code, message), strict=True):
        assert type(failure(status, plain)) is type(failure(status, wordy))


@given(st.integers(400, 599), st.integers())
def test_digits_change_nothing(status: int, number: int) -> None:
    """Without a code the status decides, and no number in the message."""
    expected = Overloaded if status == 498 else by_status(status)

    assert expected is type(failure(status, openai(f"It failed with {number}.")))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["error", "errors", "detail", "details", "message", "code", "type", "innererror", "metadata"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@given(st.integers(100, 999), st.binary() | json_values.map(orjson.dumps), st.text())
def test_never_raises(status: int, body: bytes, header: str) -> None:
    """Whatever the body and headers are, there is an error with the status and a short message."""
    error = failure(status, body, retry_after=header, x_should_retry=header)

    assert status == error.status
    assert len(error.message) <= 300
