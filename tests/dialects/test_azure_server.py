"""Azure OpenAI, the server's side: what it refuses, what it adds, and that our client reads it."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from fallbackio._draft import assemble
from fallbackio.dialects import DIALECTS, deltas_of
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
from fallbackio.model import Choice, FunctionCall, Message, Reply, Request, ToolCall, Usage

CLIENT, SERVER = DIALECTS["azure"].client, DIALECTS["azure"].server
V1 = Endpoint("ours", vendor="azure", base_url="https://res.openai.azure.com/openai/v1")
HELLO: list[dict[str, Any]] = [{"role": "user", "content": "Hello"}]
TOOL = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
REPLY = Reply(
    id="chatcmpl-1",
    model="gpt-4o",
    choices=(
        Choice(
            Message("Let me look.", (ToolCall("a", FunctionCall("weather", '{"city":"Oslo"}')),)),
            "tool_calls",
        ),
    ),
    usage=Usage(prompt_tokens=9, cached_tokens=4, completion_tokens=3, reasoning_tokens=1),
    created=1,
)


def test_a_request_comes_through() -> None:
    """What our client encodes is read with the same meaning."""
    params = {"tools": [TOOL], "tool_choice": "required", "temperature": 0}
    request = Request.of(HELLO, params)
    heard = SERVER.read(CLIENT.encode(request, V1))

    assert (request.messages, params, "ours", False) == (
        heard.messages,
        heard.params,
        heard.model,
        heard.stream,
    )


def test_the_path_names_the_deployment() -> None:
    """A deployment in the path counts, whatever model the body names, or none."""
    body = {"messages": HELLO}

    assert "ours" == SERVER.read(orjson.dumps(body), "ours").model
    assert "ours" == SERVER.read(orjson.dumps({**body, "model": "gpt-4o"}), "ours").model
    with pytest.raises(InvalidRequest, match="model"):
        SERVER.read(orjson.dumps(body))


@pytest.mark.parametrize(
    ("field", "words"),
    [
        ({"top_k": 3}, "Unrecognized request argument supplied: top_k"),
        ({"temperature": 3}, "temperature"),
        ({"messages": []}, "messages"),
    ],
    ids=["unknown", "range", "empty"],
)
def test_refusals(field: dict[str, Any], words: str) -> None:
    """Unknown fields are refused, and what OpenAI refuses is."""
    with pytest.raises(InvalidRequest, match=words):
        SERVER.read(orjson.dumps({"model": "m", "messages": HELLO, **field}))


def test_a_plain_answer() -> None:
    """Our client reads back what was written, filter's findings beside it."""
    wire = SERVER.write(REPLY, Request.of(HELLO, {}))
    reply = CLIENT.decode(wire)

    assert {"safe"} == {
        found["severity"] for found in orjson.loads(wire)["choices"][0]["content_filter_results"].values()
    }
    assert (REPLY.text, REPLY.tool_calls, REPLY.finish_reason, REPLY.usage) == (
        reply.text,
        reply.tool_calls,
        reply.finish_reason,
        reply.usage,
    )
    assert "prompt_filter_results" in reply.extra


def test_a_stream() -> None:
    """A stream begins with the prompt's verdict, without id and choices, and comes back whole."""
    request = Request.of(HELLO, {"stream_options": {"include_usage": True}}, stream=True)
    writer, reader = SERVER.writer(REPLY, request), CLIENT.reader()
    opening = writer.start()
    wire = opening + b"".join([writer.ping() + writer.write(delta) for delta in deltas_of(REPLY)])
    reply = assemble([*reader.feed(wire + writer.finish(REPLY)), *reader.end()])
    first = orjson.loads(opening.split(b"\n\n")[0].removeprefix(b"data: "))

    assert ("", "", [], 0) == (first["id"], first["object"], first["choices"], first["created"])
    assert (REPLY.text, REPLY.tool_calls, REPLY.finish_reason, REPLY.usage) == (
        reply.text,
        reply.tool_calls,
        reply.finish_reason,
        reply.usage,
    )
    assert {"prompt_filter_results", "content_filter_results"} == reply.message.extra.keys()


def test_a_malformed_event() -> None:
    """What is meant to break the format does."""
    with pytest.raises(BadAnswer):
        CLIENT.reader().feed(SERVER.writer(REPLY, Request.of(HELLO, {})).malformed())


def test_an_error_in_a_stream() -> None:
    """An in-band error is raised as what it is."""
    wire = SERVER.writer(REPLY, Request.of(HELLO, {})).error(Overloaded("Busy"))
    with pytest.raises(Overloaded, match="Busy"):
        CLIENT.reader().feed(wire)


@pytest.mark.parametrize(
    "error",
    [
        InvalidRequest("Bad"),
        ContextTooLong("9 > 8"),
        ContentFiltered("No"),
        AuthFailed("Key"),
        AuthFailed("No", status=403),
        ModelNotFound("Gone"),
        QuotaExhausted("Pay"),
        RateLimited("Slow", retry_after_s=0.25),
        Overloaded("Busy"),
        ServerFault("Oops"),
    ],
    ids=lambda error: f"{type(error).__name__}-{error.status}",
)
def test_errors(error: AttemptError) -> None:
    """Our client takes each error for what it was, with its wait and id."""
    error.request_id = "r1"
    status, headers, body = SERVER.failure(error)
    ours = CLIENT.failure(status, headers, body)

    assert type(error) is type(ours)
    assert ours.message.startswith(error.message)
    assert ("r1", error.retry_after_s) == (ours.request_id, ours.retry_after_s)
    assert "r1" == headers["apim-request-id"]
