"""OpenAI's Responses, the server's side: that our client reads back what it writes."""

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
from fallbackio.model import (
    Choice,
    Delta,
    FunctionCall,
    Message,
    Reply,
    Request,
    ToolCall,
    ToolCallDelta,
    Usage,
)

CLIENT, SERVER = DIALECTS["openai_responses"].client, DIALECTS["openai_responses"].server
ASKED = Request.of("Hello", {"include": ["reasoning.encrypted_content"]})
USAGE = Usage(prompt_tokens=9, cached_tokens=4, completion_tokens=3, reasoning_tokens=1)


def reply(message: Message, finish: str = "stop") -> Reply:
    choice = Choice(message, finish)
    return Reply(id="resp_1", model="gpt-5.1", choices=(choice,), usage=USAGE, created=7)


CALLS = (
    ToolCall("a", FunctionCall("weather", '{"city":"Oslo"}')),
    ToolCall("b", FunctionCall("sql", "SELECT 1"), "custom"),
)
REPLIES = {
    "text": reply(Message("Hello there")),
    "calls": reply(Message(None, CALLS), "tool_calls"),
    "all": reply(Message("Let me look.", CALLS, reasoning="Hm"), "tool_calls"),
    "refusal": reply(Message(None, refusal="No.")),
    "both": reply(Message("Well,", refusal="No.")),
    "length": reply(Message("Hel"), "length"),
    "filter": reply(Message("Hel"), "content_filter"),
}


def streamed(said: Reply, asked: Request = ASKED) -> Reply:
    writer, reader = SERVER.writer(said, asked), CLIENT.reader()
    wire = writer.start() + b"".join([writer.ping() + writer.write(delta) for delta in deltas_of(said)])
    return assemble([*reader.feed(wire + writer.finish(said)), *reader.end()])


@pytest.mark.parametrize("form", ["plain", "stream"])
@pytest.mark.parametrize("name", REPLIES)
def test_round_trip(name: str, form: str) -> None:
    """Our client reads back message, finish reason, usage and identity."""
    said = REPLIES[name]
    heard = CLIENT.decode(SERVER.write(said, ASKED)) if form == "plain" else streamed(said)
    message = heard.message

    assert (said.text, said.tool_calls, said.finish_reason) == (
        heard.text,
        heard.tool_calls,
        heard.finish_reason,
    )
    assert (said.message.refusal, said.message.reasoning) == (message.refusal, message.reasoning)
    assert (said.usage, said.id, said.model, said.created) == (
        heard.usage,
        heard.id,
        heard.model,
        heard.created,
    )
    assert ("provider_state" in message.extra) == (said.message.reasoning is not None)


def test_the_next_turn() -> None:
    """A turn with its reasoning goes back and is accepted, call by call."""
    turn = streamed(REPLIES["all"]).message
    results = [{"role": "tool", "tool_call_id": call.id, "content": "5"} for call in CALLS]
    to = Endpoint("gpt-5.1", vendor="openai", base_url="https://api.openai.com/v1")
    body = CLIENT.encode(Request.of([{"role": "user", "content": "Hello"}, turn, *results], {}), to)
    heard = SERVER.read(body)

    assert "reasoning" == orjson.loads(body)["input"][1]["type"]
    assert ["user", "assistant", "tool", "tool"] == [message["role"] for message in heard.messages]
    assert [call.to_dict() for call in CALLS] == heard.messages[1]["tool_calls"]


def test_reasoning_is_sealed_on_demand_only() -> None:
    """Without being asked the server keeps its reasoning, and there is nothing to give back."""
    asked = Request.of("Hello", {})

    assert "provider_state" not in streamed(REPLIES["all"], asked).message.extra
    assert b"encrypted_content" not in SERVER.write(REPLIES["all"], asked)


def test_interleaved_calls() -> None:
    """Fragments of a call may come after another has begun."""
    said = REPLIES["calls"]
    writer, reader = SERVER.writer(said, ASKED), CLIENT.reader()
    parts = [
        ToolCallDelta(0, "a", "weather", '{"city":'),
        ToolCallDelta(1, "b", "sql", "SELECT", "custom"),
        ToolCallDelta(0, arguments='"Oslo"}'),
        ToolCallDelta(1, arguments=" 1", type="custom"),
    ]
    wire = writer.start() + b"".join([writer.write(Delta(tool_calls=(part,))) for part in parts])

    assert CALLS == assemble(reader.feed(wire + writer.finish(said))).tool_calls


def test_events_are_numbered() -> None:
    """Every event has the next number, as the official SDK's resumption wants it."""
    said = REPLIES["all"]
    writer = SERVER.writer(said, ASKED)
    wire = writer.start() + b"".join([writer.write(d) for d in deltas_of(said)]) + writer.finish(said)
    events = [line[6:] for line in wire.split(b"\n") if line.startswith(b"data: ")]
    numbers = [orjson.loads(event)["sequence_number"] for event in events]

    assert list(range(len(events))) == numbers


def test_no_choices() -> None:
    """A reply without choices comes out as a response without output, which is a bad answer."""
    empty = Reply(id="resp_1", model="m")
    with pytest.raises(BadAnswer, match="nothing in it"):
        CLIENT.decode(SERVER.write(empty, ASKED))


def test_the_request_is_repeated() -> None:
    """A response repeats tools and choice in its own form."""
    tool: dict[str, Any] = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
    choice = {"type": "function", "function": {"name": "f"}}
    said = orjson.loads(
        SERVER.write(REPLIES["text"], Request.of("Hello", {"tools": [tool], "tool_choice": choice}))
    )

    assert {"type": "function", "name": "f"} == said["tool_choice"]
    assert "f" == said["tools"][0]["name"]


def test_a_malformed_event() -> None:
    """What is meant to break the format does."""
    with pytest.raises(BadAnswer):
        CLIENT.reader().feed(SERVER.writer(REPLIES["text"], ASKED).malformed())


@pytest.mark.parametrize(
    "error",
    [
        InvalidRequest("Bad"),
        ContextTooLong("9 > 8"),
        ContentFiltered("No"),
        AuthFailed("Key"),
        ModelNotFound("Gone"),
        QuotaExhausted("Pay"),
        RateLimited("Slow", retry_after_s=2.0),
        Overloaded("Busy"),
        ServerFault("Oops"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_errors(error: AttemptError) -> None:
    """Our client takes each error for what it was, as an answer and inside a stream."""
    error.request_id = "r1"
    ours = CLIENT.failure(*SERVER.failure(error))
    with pytest.raises(AttemptError) as raised:
        CLIENT.reader().feed(SERVER.writer(REPLIES["text"], ASKED).error(error))

    assert type(error) is type(ours) is type(raised.value)
    assert ("r1", error.retry_after_s, error.message) == (ours.request_id, ours.retry_after_s, ours.message)
