"""Anthropic's answers, as the client reads them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anthropic.types
import orjson
import pytest
from anthropic.lib.streaming._messages import accumulate_event
from hypothesis import given
from hypothesis import strategies as st

from fallbackio._draft import assemble
from fallbackio.dialects import DIALECTS
from fallbackio.dialects._state import state_of
from fallbackio.errors import (
    AttemptError,
    BadAnswer,
    ContentFiltered,
    InvalidRequest,
    Overloaded,
    RateLimited,
    ServerFault,
)
from fallbackio.model import Delta, FunctionCall, Reply, ToolCall, ToolCallDelta, Usage

CLIENT = DIALECTS["anthropic"].client
WIRE = Path(__file__).parent.parent / "wire" / "anthropic"
STREAMS = sorted(path.name for path in WIRE.glob("*.sse"))
WHOLE = [name for name in STREAMS if not name.startswith("overloaded")]

ID = "msg_01EX7rWzq4CpFhnTkD2sYbLm"
MODEL = "claude-sonnet-4-5-20250929"


def read(wire: bytes, step: int = 0) -> list[Delta]:
    """The deltas of a stream that comes in pieces of `step` bytes."""
    reader = CLIENT.reader()
    deltas: list[Delta] = []
    for begin in range(0, len(wire), step or len(wire) or 1):
        deltas += reader.feed(wire[begin : begin + (step or len(wire))])
    deltas += reader.end()
    assert reader.finished
    return deltas


def wire_of(name: str) -> bytes:
    return (WIRE / name).read_bytes()


def wire(*events: dict[str, Any]) -> bytes:
    return b"".join(b"event: %s\ndata: %s\n\n" % (e["type"].encode(), orjson.dumps(e)) for e in events)


def piece(**said: Any) -> Delta:
    return Delta(**said, id=ID, model=MODEL)


THOUGHTS = [
    {"type": "thinking", "thinking": "Six by seven is 42.", "signature": "EqQBCgIYAhIM1gbc"},
    {"type": "redacted_thinking", "data": "EmwKAhgBEgy3va3p"},
]

EXPECTED = {
    "text.sse": [
        piece(text="Grüße"),
        piece(text=" aus Oslo\u2028"),
        piece(text="🙂!"),
        piece(finish_reason="stop", usage=Usage(prompt_tokens=25, completion_tokens=15)),
    ],
    "tools.sse": [
        piece(text="Let me look."),
        piece(tool_calls=(ToolCallDelta(0, "toolu_01A9", "get_weather"),)),
        piece(tool_calls=(ToolCallDelta(0, arguments='{"city":'),)),
        piece(tool_calls=(ToolCallDelta(0, arguments=' "Oslo"}'),)),
        piece(tool_calls=(ToolCallDelta(1, "toolu_01B7", "get_time"),)),
        piece(tool_calls=(ToolCallDelta(1, arguments="{}"),)),
        piece(tool_calls=(ToolCallDelta(2, "toolu_01C3", "ping"),)),
        piece(tool_calls=(ToolCallDelta(2, arguments="{}"),)),
        piece(finish_reason="tool_calls", usage=Usage(prompt_tokens=472, completion_tokens=89)),
    ],
    "thinking.sse": [
        piece(reasoning="Six by seven"),
        piece(reasoning=" is 42."),
        piece(text="42"),
        piece(
            finish_reason="stop",
            usage=Usage(
                prompt_tokens=2121,
                completion_tokens=33,
                cached_tokens=2000,
                reasoning_tokens=12,
                cache_write_tokens=100,
            ),
            extra=state_of("anthropic", MODEL, {"blocks": THOUGHTS}),
        ),
    ],
    "unknown.sse": [
        piece(text="Sunny."),
        piece(finish_reason="stop", usage=Usage(prompt_tokens=25, completion_tokens=9)),
    ],
    "refusal.sse": [
        piece(text="To"),
        piece(finish_reason="content_filter", usage=Usage(prompt_tokens=25, completion_tokens=3)),
    ],
}


@pytest.mark.parametrize("name", WHOLE)
def test_every_split(name: str) -> None:
    """However the network cuts the bytes, the deltas are the same."""
    recorded = wire_of(name)

    for step in range(len(recorded) + 1):
        assert EXPECTED[name] == read(recorded, step)


# The SDK's stream reads these and leaves the others to its caller.
_EVENTS = {f"{thing}_{step}" for thing in ("message", "content_block") for step in ("start", "delta", "stop")}


@pytest.mark.parametrize("name", WHOLE)
def test_the_official_sdk_reads_the_same(name: str) -> None:
    """Anthropic's own client, fed with the same events, ends up with the same message."""
    snapshot: Any = None
    buffers: dict[int, bytes] = {}
    for said in wire_of(name).split(b"\n"):
        event: Any = orjson.loads(said[6:]) if said.startswith(b"data: ") else {"type": "ping"}
        if event["type"] in _EVENTS:
            snapshot = accumulate_event(event=event, current_snapshot=snapshot, json_bufs=buffers)

    assert_same(snapshot, assemble(read(wire_of(name))))


def assert_same(theirs: Any, ours: Reply) -> None:
    texts = [block.text for block in theirs.content if block.type == "text"]
    thoughts = [block.thinking for block in theirs.content if block.type == "thinking"]
    uses = [block for block in theirs.content if block.type == "tool_use"]
    assert (theirs.id, theirs.model) == (ours.id, ours.model)
    assert "".join(texts) == ours.text
    assert "".join(thoughts) == (ours.message.reasoning or "")
    assert [(use.id, use.name, use.input) for use in uses] == [
        (call.id, call.name, orjson.loads(call.arguments)) for call in ours.tool_calls
    ]
    assert theirs.usage.output_tokens == ours.usage.completion_tokens


def test_plain_answer() -> None:
    """A whole message becomes a reply: texts joined, calls with compact arguments, all tokens counted."""
    body = wire_of("message.json")
    reply = CLIENT.decode(body)

    assert (ID, MODEL, "tool_calls") == (reply.id, reply.model, reply.finish_reason)
    assert "Let me look." == reply.text
    assert "They want two things." == reply.message.reasoning
    assert (
        ToolCall("toolu_01A9", FunctionCall("get_weather", '{"city":"Oslo","days":[1,2]}')),
        ToolCall("toolu_01B7", FunctionCall("get_time", "{}")),
    ) == reply.tool_calls
    assert (
        Usage(
            prompt_tokens=2120,
            completion_tokens=57,
            cached_tokens=2000,
            reasoning_tokens=7,
            cache_write_tokens=100,
        )
        == reply.usage
    )
    assert {"container": {"id": "container_01", "expires_at": "2026-11-22T20:00:00Z"}} == reply.extra
    assert_same(anthropic.types.Message.model_validate_json(body), reply)


def message(**fields: Any) -> bytes:
    given: dict[str, Any] = {"type": "message", "content": [], "stop_reason": "end_turn", **fields}
    return orjson.dumps({name: value for name, value in given.items() if value != "absent"})


@pytest.mark.parametrize(
    ("stop_reason", "finish_reason"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("pause_turn", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("tool_use", "tool_calls"),
        ("refusal", "content_filter"),
        ("something_new", "something_new"),
    ],
)
def test_stop_reasons(stop_reason: str, finish_reason: str) -> None:
    """Every stop reason has OpenAI's word, and a new one is passed on, plain and streamed alike."""
    text = {"type": "text", "text": "Yo"}
    said = {"type": "content_block_start", "index": 0, "content_block": text}
    stopped = {"type": "content_block_stop", "index": 0}
    ended = {"type": "message_delta", "delta": {"stop_reason": stop_reason}}

    assert finish_reason == CLIENT.decode(message(content=[text], stop_reason=stop_reason)).finish_reason
    assert finish_reason == read(wire(said, stopped, ended, {"type": "message_stop"}))[-1].finish_reason


@pytest.mark.parametrize(
    ("details", "message_of_it", "code"),
    [
        ({"category": "bio", "explanation": "It is about germs."}, "It is about germs.", "bio"),
        ({"category": None, "explanation": None}, "nothing of the answer was left", "refusal"),
        (None, "nothing of the answer was left", "refusal"),
    ],
)
def test_a_refusal_without_an_answer(details: Any, message_of_it: str, code: str) -> None:
    """A refusal that says nothing is an error with Anthropic's explanation, plain and streamed alike."""
    delta = {"stop_reason": "refusal", "stop_details": details}
    ended = wire({"type": "message_delta", "delta": delta}, {"type": "message_stop"})

    for refused in (lambda: CLIENT.decode(message(**delta)), lambda: read(ended)):
        with pytest.raises(ContentFiltered) as raised:
            refused()
        assert (message_of_it, code) == (raised.value.message, raised.value.code)


def test_an_empty_answer_is_one() -> None:
    """Claude may have nothing to say after tool results; that is no error, and its text is empty."""
    reply = CLIENT.decode(message())

    assert "" == reply.message.content
    assert not reply.usage


def test_an_answer_of_calls_has_no_content() -> None:
    """Content is `None`, not empty, when the turn is only tool calls."""
    use = {"type": "tool_use", "id": "a", "name": "f", "input": {}}

    assert CLIENT.decode(message(content=[use], stop_reason="tool_use")).message.content is None


GARBAGE: dict[str, bytes] = {
    "nothing": b"",
    "HTML": b"<html><body>secret</body></html>",
    "text": b"secret",
    "broken JSON": b'{"content": [{"type": "text", "text": "secret',
    "null": b"null",
    "list": b'["secret"]',
    "empty object": b"{}",
    "OpenAI's": b'{"choices": [{"message": {"content": "secret"}}]}',
    "no content": message(content=None),
    "content is text": message(content="secret"),
    "block is text": message(content=["secret"]),
    "block without type": message(content=[{"text": "secret"}]),
    "text is a number": message(content=[{"type": "text", "text": 5}]),
    "call without id": message(content=[{"type": "tool_use", "name": "secret"}]),
    "call with a number for a name": message(content=[{"type": "tool_use", "id": "a", "name": 5}]),
    "no stop reason": message(stop_reason="absent"),
    "stop reason null": message(stop_reason=None),
    "id is a number": message(id=5),
}


@pytest.mark.parametrize("body", GARBAGE.values(), ids=[name.replace(" ", "-") for name in GARBAGE])
def test_garbage(body: bytes) -> None:
    """What is no whole message is a bad answer, described and never quoted."""
    with pytest.raises(BadAnswer) as raised:
        CLIENT.decode(body)

    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b'{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}', Overloaded),
        (b'{"type":"error","error":{"type":"rate_limit_error","message":"Slow"}}', RateLimited),
        (b'{"error":{"type":"api_error","message":"Internal"}}', ServerFault),
        (b'{"error":"upstream gone"}', ServerFault),
        (b'{"type":"error","error":{"type":"invalid_request_error","message":"Bad"}}', InvalidRequest),
    ],
)
def test_an_error_inside_a_200(body: bytes, kind: type[AttemptError]) -> None:
    """An error keeps its class when it comes with a 200."""
    with pytest.raises(AttemptError) as raised:
        CLIENT.decode(body)

    assert kind is type(raised.value)


@pytest.mark.parametrize(("name", "seen"), [("overloaded_first.sse", 0), ("overloaded_later.sse", 1)])
def test_an_error_in_a_stream(name: str, seen: int) -> None:
    """An error event is classed by its type, with its request id, wherever it comes."""
    reader = CLIENT.reader()
    before, _, error = wire_of(name).partition(b"event: error")

    assert seen == len(reader.feed(before))
    with pytest.raises(Overloaded) as raised:
        reader.feed(b"event: error" + error)
    assert "req_011CSHoEeqs5C35K2UUqR7Fy" == raised.value.request_id
    assert not reader.finished


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        (b"event: error\ndata: upstream gone\n\n", ServerFault),
        (b'event: error\ndata: {"error": {"type": "rate_limit_error"}}\n\n', RateLimited),
        (b'data: {"error": {"type": "rate_limit_error"}}\n\n', RateLimited),
        (b'data: {"type": "error", "error": {"type": "something_new"}}\n\n', ServerFault),
        (b'data: {"type": "error"}\n\n', ServerFault),
    ],
    ids=["no-json", "no-type", "no-name", "unknown", "empty"],
)
def test_errors_of_proxies(event: bytes, kind: type[AttemptError]) -> None:
    """An error event that is not written as Anthropic writes it is an error nevertheless."""
    with pytest.raises(AttemptError) as raised:
        CLIENT.reader().feed(event)

    assert kind is type(raised.value)


def test_events_without_names() -> None:
    """Servers that send no event names are understood by the data's own type."""
    unnamed = b"".join(line + b"\n\n" for line in wire_of("tools.sse").split(b"\n") if line[:5] == b"data:")

    assert EXPECTED["tools.sse"] == read(unnamed)


def test_keep_alives_show_nothing() -> None:
    """Pings, comments and events without data show nothing, wherever they come."""
    reader = CLIENT.reader()

    for alive in (b": PROCESSING\n\n", b"data:\n\n", b'event: ping\ndata: {"type": "ping"}\n\n', b"\n\n"):
        assert [] == reader.feed(alive)


BEGIN = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
CALL = {
    "type": "content_block_start",
    "index": 0,
    "content_block": {"type": "tool_use", "id": "a", "name": "f", "input": {}},
}
SAY = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "secret"}}
CLOSE = {"type": "content_block_stop", "index": 0}
ENDING = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 1}}
STOP = {"type": "message_stop"}


MALFORMED: dict[str, bytes] = {
    "no JSON": b"event: content_block_delta\ndata: secret\n\n",
    "no object": b'data: ["secret"]\n\n',
    "no type": b'data: {"text": "secret"}\n\n',
    "delta before its block": wire(SAY),
    "delta after its block": wire(BEGIN, CLOSE, SAY),
    "stop of no block": wire(CLOSE),
    "delta without index": wire(BEGIN, {"type": "content_block_delta", "delta": SAY["delta"]}),
    "delta without delta": wire(BEGIN, {"type": "content_block_delta", "index": 0}),
    "text is a number": wire(BEGIN, {**SAY, "delta": {"type": "text_delta", "text": 5}}),
    "text is missing": wire(BEGIN, {**SAY, "delta": {"type": "text_delta"}}),
    "arguments are an object": wire(CALL, {**SAY, "delta": {"type": "input_json_delta", "partial_json": {}}}),
    "call without name": wire({**CALL, "content_block": {"type": "tool_use", "id": "a"}}),
    "block is text": wire({**CALL, "content_block": "secret"}),
    "index is a list": wire({**BEGIN, "index": []}),
    "message is null": wire({"type": "message_start", "message": None}),
    "ending is null": wire({"type": "message_delta", "delta": None}),
    "stop without a reason": wire(BEGIN, SAY, CLOSE, STOP),
    "stop inside a block": wire(BEGIN, SAY, ENDING, STOP),
}


@pytest.mark.parametrize("stream", MALFORMED.values(), ids=[name.replace(" ", "-") for name in MALFORMED])
def test_a_malformed_stream(stream: bytes) -> None:
    """An event that contradicts the format is a bad answer, described and never quoted."""
    with pytest.raises(BadAnswer) as raised:
        CLIENT.reader().feed(stream)

    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    "events",
    [(), (BEGIN,), (BEGIN, SAY), (BEGIN, SAY, CLOSE), (BEGIN, SAY, ENDING)],
    ids=["empty", "begun", "saying", "said", "inside-a-block"],
)
def test_a_stream_that_ends_too_early(events: tuple[dict[str, Any], ...]) -> None:
    """A body that ends before the answer did is a break, never a success."""
    reader = CLIENT.reader()
    reader.feed(wire(*events))

    with pytest.raises(BadAnswer):
        reader.end()
    assert not reader.finished


def test_a_json_body_in_place_of_a_stream() -> None:
    """A server that ignores `stream` has not sent a stream."""
    reader = CLIENT.reader()
    reader.feed(wire_of("message.json"))

    with pytest.raises(BadAnswer):
        reader.end()


def test_only_the_terminator_is_missing() -> None:
    """With a stop reason and all blocks closed the answer is whole, and says so at the end."""
    reader = CLIENT.reader()

    assert [Delta("secret")] == reader.feed(wire(BEGIN, SAY, CLOSE, ENDING))
    assert not reader.finished
    assert [Delta(finish_reason="stop", usage=Usage(completion_tokens=1))] == reader.end()
    assert reader.finished


def test_nothing_follows_the_end() -> None:
    """What comes after `message_stop` is ignored, an error included."""
    reader = CLIENT.reader()
    reader.feed(wire_of("text.sse") + wire(SAY))

    assert reader.finished
    assert [] == reader.feed(b"data: rubbish\n\n")
    assert [] == reader.end()


def test_a_call_that_comes_whole() -> None:
    """Arguments that stand in the block's start, and nowhere else, are not lost."""
    whole = {**CALL, "content_block": {"type": "tool_use", "id": "a", "name": "f", "input": {"x": 1}}}
    reply = assemble(read(wire(whole, CLOSE, ENDING, STOP)))

    assert (ToolCall("a", FunctionCall("f", '{"x":1}')),) == reply.tool_calls


def test_text_that_stands_in_the_start() -> None:
    """Text and thinking in a block's start are shown like any other."""
    thinking = {**BEGIN, "content_block": {"type": "thinking", "thinking": "hm"}}
    text = {**BEGIN, "index": 1, "content_block": {"type": "text", "text": "Hi"}}
    reply = assemble(read(wire(thinking, CLOSE, text, {**CLOSE, "index": 1}, ENDING, STOP)))

    assert ("Hi", "hm") == (reply.text, reply.message.reasoning)


@given(st.binary(max_size=200), st.integers(1, 50))
def test_no_bytes_break_the_reader(noise: bytes, step: int) -> None:
    """Whatever comes over the network, the reader answers with deltas or an error of ours."""
    for stream in (noise, b"data: " + noise + b"\n\n", wire(BEGIN, SAY)[:-1] + noise):
        reader = CLIENT.reader()
        try:
            for begin in range(0, len(stream), step):
                reader.feed(stream[begin : begin + step])
            reader.end()
        except AttemptError:
            pass


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
_FIELDS = st.sampled_from(["type", "index", "delta", "content_block", "message", "usage", "error"])
_KINDS = st.sampled_from(
    [event["type"] for event in (BEGIN, SAY, CLOSE, ENDING, STOP)] + ["message_start", "error"]
)


@given(_KINDS, st.dictionaries(_FIELDS, _JSON, max_size=5))
def test_no_event_breaks_the_reader(kind: str, fields: dict[str, Any]) -> None:
    """Any JSON in place of an event is read, skipped or refused, and nothing else happens."""
    for event in ({**fields, "type": kind}, fields):
        try:
            CLIENT.reader().feed(wire(BEGIN) + b"data: " + orjson.dumps(event) + b"\n\n")
        except AttemptError:
            pass


@given(_JSON, st.dictionaries(st.sampled_from(["id", "content", "stop_reason", "usage", "error"]), _JSON))
def test_no_body_breaks_the_decoder(anything: Any, fields: dict[str, Any]) -> None:
    """Any JSON in place of a message is a reply or an error of ours."""
    for body in (orjson.dumps(anything), message(**fields)):
        try:
            CLIENT.decode(body)
        except AttemptError:
            pass
