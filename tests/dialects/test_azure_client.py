"""Azure OpenAI, the client's side: addresses, versions, what the filter says, and what errors mean."""

from __future__ import annotations

import random
import sys
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from fallbackio._draft import assemble
from fallbackio.dialects import DIALECTS
from fallbackio.dialects._state import state_of
from fallbackio.endpoint import Endpoint
from fallbackio.errors import (
    AttemptError,
    AuthFailed,
    BadAnswer,
    ContentFiltered,
    ContextTooLong,
    InvalidRequest,
    ModelNotFound,
    Overloaded,
    QuotaExhausted,
    RateLimited,
    ServerFault,
)
from fallbackio.model import Reply, Request, Usage

sys.path.append(str(Path(__file__).parent.parent / "fuzz"))

from fuzz_mutation import mutated

WIRE = Path(__file__).parent.parent / "wire" / "azure"
CLIENT = DIALECTS["azure"].client
HELLO: list[dict[str, Any]] = [{"role": "user", "content": "Hello"}]
RESOURCE = "https://res.openai.azure.com"


def endpoint(base_url: str = f"{RESOURCE}/openai/v1", model: str = "ours", **settings: Any) -> Endpoint:
    return Endpoint(model, vendor="azure", base_url=base_url, **settings)


def dated(version: str, **settings: Any) -> Endpoint:
    return endpoint(f"{RESOURCE}?api-version={version}", **settings)


def encoded(
    to: Endpoint, messages: list[dict[str, Any]] = HELLO, *, stream: bool = False, **params: Any
) -> Any:
    return orjson.loads(CLIENT.encode(Request.of(messages, params, stream=stream), to))


def streamed(name: str, step: int = 4096) -> Reply:
    reader = CLIENT.reader()
    wire = (WIRE / name).read_bytes()
    deltas = [d for at in range(0, len(wire), step) for d in reader.feed(wire[at : at + step])]
    return assemble([*deltas, *reader.end()])


@pytest.mark.parametrize(
    ("base_url", "path"),
    [
        ("", "/openai/v1/chat/completions"),
        ("/", "/openai/v1/chat/completions"),
        ("/openai", "/openai/v1/chat/completions"),
        ("/openai/v1", "/openai/v1/chat/completions"),
        ("/openai/v1/", "/openai/v1/chat/completions"),
        ("/openai/v1?api-version=preview", "/openai/v1/chat/completions?api-version=preview"),
        ("?api-version=preview", "/openai/v1/chat/completions?api-version=preview"),
        (
            "?api-version=2024-10-21",
            "/openai/deployments/a%20b%2Fc/chat/completions?api-version=2024-10-21",
        ),
        (
            "/openai?api-version=2025-04-01-preview",
            "/openai/deployments/a%20b%2Fc/chat/completions?api-version=2025-04-01-preview",
        ),
        (
            "/gateway/openai/?x=1&api-version=2024-10-21",
            "/gateway/openai/deployments/a%20b%2Fc/chat/completions?x=1&api-version=2024-10-21",
        ),
        (
            "/openai/deployments/other?api-version=2024-10-21",
            "/openai/deployments/other/chat/completions?api-version=2024-10-21",
        ),
    ],
)
def test_url(base_url: str, path: str) -> None:
    """A dated api-version asks a deployment by its path; all else goes to v1."""
    assert RESOURCE + path == CLIENT.url(endpoint(RESOURCE + base_url, "a b/c"))


def test_headers() -> None:
    """The key goes as `api-key`, never beside a token, and a header of the endpoint's own replaces it."""
    json = {"content-type": "application/json"}

    assert {**json, "api-key": "k"} == CLIENT.headers(endpoint(api_key="k"))
    assert json == CLIENT.headers(endpoint(api_key="k", token=lambda: "t"))
    assert {**json, "API-Key": "x"} == CLIENT.headers(endpoint(api_key="k", headers={"API-Key": "x"}))
    assert "static" == CLIENT.credentials(endpoint())


def test_v1_is_the_newest() -> None:
    """On v1 everything goes out as it is, with usage asked for in streams."""
    params = {
        "max_completion_tokens": 9,
        "reasoning_effort": "low",
        "parallel_tool_calls": False,
        "store": True,
        "metadata": {"a": "b"},
        "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {}}},
    }
    messages = [{"role": "developer", "content": "Be brief."}, *HELLO]
    said = encoded(endpoint(), messages, stream=True, **params)

    assert {
        "model": "ours",
        "messages": messages,
        "stream": True,
        "stream_options": {"include_usage": True},
        **params,
    } == said


def test_an_old_version_is_spoken_to_in_its_words() -> None:
    """Names and roles that came later are said the old way, and what means nothing is left out."""
    messages = [{"role": "developer", "content": "Be brief."}, *HELLO]
    said = encoded(
        dated("2024-06-01"),
        messages,
        stream=True,
        max_completion_tokens=9,
        parallel_tool_calls=True,
        store=False,
        reasoning_effort="none",
        temperature=0,
    )

    assert {
        "model": "ours",
        "messages": [{"role": "system", "content": "Be brief."}, *HELLO],
        "stream": True,
        "max_tokens": 9,
        "temperature": 0,
    } == said


@pytest.mark.parametrize(
    ("version", "params"),
    [
        ("2024-10-21", {"reasoning_effort": "low"}),
        ("2024-10-21", {"store": True}),
        ("2024-10-21", {"metadata": {"a": "b"}}),
        ("2024-06-01", {"parallel_tool_calls": False}),
        ("2024-06-01", {"response_format": {"type": "json_schema", "json_schema": {}}}),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else value,
)
def test_what_an_old_version_lacks(version: str, params: dict[str, Any]) -> None:
    """What would be refused is said before it is sent, by name and version, or dropped on demand."""
    name = next(iter(params))
    request = Request.of(HELLO, params)
    for do in (CLIENT.check, CLIENT.encode):
        with pytest.raises(InvalidRequest, match=f"{version} does not know {name}") as raised:
            do(request, dated(version))
        assert not raised.value.everywhere

    lax = dated(version, unsupported="drop")
    CLIENT.check(request, lax)
    assert (name,) == CLIENT.dropped(request, lax)
    assert name not in encoded(lax, **params)
    newer = dated("2025-04-01-preview")
    CLIENT.check(request, newer)
    assert params[name] == encoded(newer, **params)[name]
    assert () == CLIENT.dropped(request, newer)


def test_an_endpoints_own_parameter() -> None:
    """A parameter of the endpoint's own is in its own words and is not second-guessed."""
    to = dated("2024-10-21", params={"reasoning_effort": "low"})

    assert "low" == encoded(to, reasoning_effort="high")["reasoning_effort"]


def test_reasoning_models() -> None:
    """A deployment that is named as its model gets the token limit under the name it takes."""
    assert 9 == encoded(endpoint(model="gpt-5-mini"), max_tokens=9)["max_completion_tokens"]
    assert 9 == encoded(endpoint(model="ours"), max_tokens=9)["max_tokens"]


def test_history_without_what_azure_refuses() -> None:
    """An answer goes back without the filter's findings, reasoning, and another vendor's state, noted."""
    turn = {
        "role": "assistant",
        "content": "Hi",
        "reasoning_content": "Hm",
        "annotations": [],
        "content_filter_results": {},
        **state_of("anthropic", "claude", {"blocks": []}),
    }
    notes: list[str] = []
    request = Request.of([*HELLO, turn, *HELLO], {})
    sent = orjson.loads(CLIENT.encode(request, endpoint(), notes.append))

    assert {"role": "assistant", "content": "Hi"} == sent["messages"][1]
    assert ["another model's signed reasoning left out", "reasoning of earlier turns left out"] == notes


def test_no_prefill() -> None:
    """There is no way to begin an answer for the model."""
    assert CLIENT.prefilled(Request.of(HELLO, {}), endpoint(), "Hel") is None


def test_a_plain_answer() -> None:
    """The official SDK and we read the same; what the filter found is kept."""
    wire = (WIRE / "text.json").read_bytes()
    theirs = ChatCompletion.model_validate_json(wire)
    ours = CLIENT.decode(wire)

    assert theirs.choices[0].message.content == ours.text
    assert theirs.choices[0].finish_reason == ours.finish_reason
    assert "gpt-4o-2024-11-20" == ours.model
    assert Usage(prompt_tokens=12, completion_tokens=5, cached_tokens=4, reasoning_tokens=2) == ours.usage
    assert "prompt_filter_results" in ours.extra
    assert "hate" in ours.choices[0].extra["content_filter_results"]


def test_a_filtered_answer() -> None:
    """An answer that the filter swallowed is none."""
    with pytest.raises(ContentFiltered, match="nothing of the answer was left"):
        CLIENT.decode((WIRE / "filtered.json").read_bytes())


@pytest.mark.parametrize("step", [1, 7, 4096])
@pytest.mark.parametrize(
    ("name", "text", "finish", "tokens"),
    [
        ("text.sse", "Hello there", "stop", 17),
        ("annotations.sse", "Hello there", "stop", 0),
        ("filtered.sse", "Hello", "content_filter", 0),
    ],
)
def test_streams(name: str, text: str, finish: str, tokens: int, step: int) -> None:
    """Events without choices or delta are no content, and their findings come out at the end."""
    reply = streamed(name, step)

    assert (text, finish, tokens) == (reply.text, reply.finish_reason, reply.usage.total_tokens)
    assert ("chatcmpl-1", "gpt-4o-2024-11-20") == (reply.id, reply.model)
    assert 0 == reply.message.extra["prompt_filter_results"][0]["prompt_index"]
    assert reply.message.extra["content_filter_results"]


def test_a_streams_calls() -> None:
    """Tool calls of a stream are what the official SDK reads in its chunks."""
    wire = (WIRE / "tools.sse").read_bytes()
    events = [line[6:] for line in wire.split(b"\n") if line.startswith(b"data: {")]
    chunks = [ChatCompletionChunk.model_validate_json(event) for event in events[1:]]
    arguments = {0: "", 1: ""}
    for chunk in chunks:
        for part in (chunk.choices[0].delta.tool_calls or []) if chunk.choices else []:
            assert part.function is not None
            arguments[part.index] += part.function.arguments or ""
    reply = streamed("tools.sse")

    assert list(arguments.values()) == [call.arguments for call in reply.tool_calls]
    assert ["call_a", "call_b"] == [call.id for call in reply.tool_calls]
    assert "tool_calls" == reply.finish_reason


def test_a_cut_stream() -> None:
    """A stream without its finish reason is a break."""
    with pytest.raises(BadAnswer, match="without its finish reason"):
        streamed("cut.sse")


def said(code: str | None, message: str, **more: Any) -> bytes:
    return orjson.dumps({"error": {"code": code, "message": message, **more}})


@pytest.mark.parametrize(
    ("status", "body", "kind", "words"),
    [
        pytest.param(
            404,
            said("DeploymentNotFound", "The API deployment for this resource does not exist."),
            ModelNotFound,
            "name of a deployment",
            id="deployment",
        ),
        pytest.param(404, said("404", "Resource not found"), ModelNotFound, "base_url must be", id="path"),
        pytest.param(
            404, said("404", "API version not supported"), ModelNotFound, "api-version", id="version-404"
        ),
        pytest.param(
            400, said("BadRequest", "API version not supported"), ModelNotFound, "v1 path", id="version-400"
        ),
        pytest.param(
            401,
            said("401", "Access denied due to invalid subscription key or wrong API endpoint."),
            AuthFailed,
            "key must belong to the resource",
            id="key",
        ),
        pytest.param(
            401, said("401", "The access token has expired."), AuthFailed, "token= a function", id="expired"
        ),
        pytest.param(
            401,
            said("401", "Audience validation failed. The audience is incorrect."),
            AuthFailed,
            "with the scope",
            id="audience",
        ),
        pytest.param(
            401,
            b'{"statusCode": 401, "message": "Unauthorized. Access token is missing or invalid."}',
            AuthFailed,
            "with the scope",
            id="apim",
        ),
        pytest.param(
            403,
            said("403", "Access denied due to Virtual Network/Firewall rules."),
            AuthFailed,
            "network rules",
            id="firewall",
        ),
        pytest.param(
            403,
            b'{"statusCode": 403, "message": "Out of call volume quota. Quota is replenished in 3 days."}',
            QuotaExhausted,
            "call volume",
            id="volume",
        ),
        pytest.param(
            429, said("429", "Requests have exceeded call rate limit"), RateLimited, "rate limit", id="rate"
        ),
        pytest.param(
            429,
            said("429", "The system is experiencing high demand; temporary rate limit adjustment."),
            Overloaded,
            "high demand",
            id="demand",
        ),
        pytest.param(
            400,
            said(
                "content_filter",
                "The response was filtered",
                innererror={"code": "ResponsibleAIPolicyViolation", "content_filter_result": {}},
            ),
            ContentFiltered,
            "filtered",
            id="policy",
        ),
        pytest.param(
            400, said("context_length_exceeded", "Too long"), ContextTooLong, "Too long", id="context"
        ),
        pytest.param(
            408, said("Timeout", "The operation was timeout."), ServerFault, "timeout", id="timeout"
        ),
        pytest.param(424, said("424", "Dependency failed"), ServerFault, "Dependency", id="424"),
        pytest.param(
            500,
            said(None, "The model produced invalid content.", type="model_error"),
            ServerFault,
            "invalid content",
            id="model-error",
        ),
        pytest.param(503, b"", Overloaded, "empty body", id="503"),
        pytest.param(502, b"<html>", ServerFault, "HTML", id="html"),
    ],
)
def test_failures(status: int, body: bytes, kind: type[AttemptError], words: str) -> None:
    """A failure has its class, and a mistake in the set-up says what to do."""
    error = CLIENT.failure(status, CIMultiDict({"apim-request-id": "r1"}), body)

    assert kind is type(error)
    assert words in error.message
    assert (status, "r1") == (error.status, error.request_id)


@pytest.mark.parametrize(
    ("message", "everywhere"),
    [
        ("Unrecognized request argument supplied: reasoning_effort", False),
        ("'messages' must contain the word 'json'", True),
    ],
)
def test_bad_requests(message: str, everywhere: bool) -> None:
    """What only this version or model cannot do is tried elsewhere; what is broken is not."""
    error = CLIENT.failure(400, {}, said(None, message, type="invalid_request_error"))

    assert isinstance(error, InvalidRequest)
    assert everywhere == error.everywhere


def test_an_operation_that_the_model_lacks() -> None:
    """A model behind a deployment that cannot chat says nothing about the next endpoint."""
    body = said("OperationNotSupported", "The chatCompletion operation does not work with this model.")
    error = CLIENT.failure(400, {}, body)

    assert isinstance(error, InvalidRequest)
    assert not error.everywhere


@pytest.mark.parametrize(
    ("headers", "message", "wait_s"),
    [
        ({"retry-after-ms": "250", "retry-after": "1"}, "", 0.25),
        ({"retry-after": "7"}, "", 7.0),
        ({}, "exceeded token rate limit. Please retry after 7 seconds.", 7.0),
        ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "0"}, "", None),
        ({"x-ratelimit-remaining-tokens": "-1", "x-ratelimit-reset-tokens": "0"}, "", None),
    ],
)
def test_waits(headers: dict[str, str], message: str, wait_s: float | None) -> None:
    """The finest wait counts, and Azure's zeros for unknown do not."""
    error = CLIENT.failure(429, CIMultiDict(headers), said("429", message))

    assert wait_s == error.retry_after_s


SEEDS = sorted(path.read_bytes() for path in WIRE.iterdir())


@given(st.sampled_from(SEEDS), st.randoms(use_true_random=False))
def test_only_our_errors(seed: bytes, lots: random.Random) -> None:
    """Whatever is done to the bytes, only our own errors come out, and `failure` returns one."""
    wire = mutated(seed, lots)
    reader = CLIENT.reader()
    for do in (lambda: CLIENT.decode(wire), lambda: [*reader.feed(wire), *reader.end()]):
        try:
            do()
        except AttemptError:
            pass
    assert isinstance(CLIENT.failure(lots.choice((400, 401, 404, 429)), {}, wire), AttemptError)
