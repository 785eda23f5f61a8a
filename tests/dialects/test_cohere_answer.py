"""Cohere's answers, read.

The bodies in `tests/wire/cohere` follow its documentation; its own SDK must read them as we do.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest
from attrs import frozen
from cohere import V2ChatResponse, V2ChatStreamResponse
from cohere.core.pydantic_utilities import parse_obj_as
from cohere.core.unchecked_base_model import construct_type
from hypothesis import given
from hypothesis import strategies as st

from fallbackio._draft import assemble
from fallbackio.dialects import DIALECTS, deltas_of
from fallbackio.dialects._sse import SSEDecoder, encode
from fallbackio.dialects.cohere._embedding import CohereEmbedding
from fallbackio.errors import AttemptError, BadAnswer, ContentFiltered, ServerFault
from fallbackio.model import Delta, Reply, Usage

CLIENT = DIALECTS["cohere"].client
EMBEDDING = CohereEmbedding()
WIRE = Path(__file__).parent.parent / "wire" / "cohere"
STEPS = [1, 2, 3, 7, 4096]

Fields = dict[str, Any]


def recorded(name: str) -> bytes:
    return (WIRE / name).read_bytes()


def read(body: bytes, step: int = 4096) -> list[Delta]:
    """All deltas of a body that comes in pieces of `step` bytes."""
    reader = CLIENT.reader()
    deltas = [delta for at in range(0, len(body), step) for delta in reader.feed(body[at : at + step])]
    deltas += reader.end()
    assert reader.finished
    return deltas


COUNTED = Usage(prompt_tokens=72, completion_tokens=6, cached_tokens=64)


@frozen
class Answer:
    """What an answer should add up to."""

    text: str = ""
    finish: str = "stop"
    calls: tuple[tuple[str, str, str], ...] = ()
    reasoning: str | None = None
    usage: Usage = COUNTED
    kept: tuple[tuple[str, str], ...] = ()
    cited: int = 0


PLAN = "I will look it up."
CALLS = (("weather_a", "weather", '{"city": "Oslo"}'), ("time_b", "time", "{}"))
TOOLS = Answer(finish="tool_calls", calls=CALLS, reasoning=PLAN, kept=(("tool_plan", PLAN),))
CITED = Answer("Grüße aus Oslo", finish="length", cited=1)

ANSWERS = {
    "text.sse": Answer("Grüße aus Oslo"),
    "thinking.sse": Answer("Four.", reasoning="Let me think.", kept=(("thinking", "Let me think."),)),
    "tools.sse": TOOLS,
    "citations.sse": CITED,
    "text.json": Answer("Grüße aus Oslo"),
    "tools.json": TOOLS,
    "citations.json": Answer(
        "Grüße aus Oslo", finish="length", cited=1, usage=Usage(prompt_tokens=6, completion_tokens=4)
    ),
}


def answer_of(reply: Reply) -> Answer:
    extra = reply.message.extra
    kept = extra.get("provider_state", {})
    return Answer(
        text=reply.text,
        finish=reply.finish_reason,
        calls=tuple((call.id, call.name, call.arguments) for call in reply.tool_calls),
        reasoning=reply.message.reasoning,
        usage=reply.usage,
        kept=tuple((name, text) for name, text in kept.items() if name not in ("dialect", "model")),
        cited=len(extra.get("citations", ())),
    )


@pytest.mark.parametrize("name", [name for name in ANSWERS if name.endswith(".sse")])
@pytest.mark.parametrize("step", STEPS)
def test_stream(name: str, step: int) -> None:
    """However the network cuts it, a streamed answer adds up to the same."""
    reply = assemble(read(recorded(name), step))

    assert ANSWERS[name] == answer_of(reply)
    assert reply.id == "c14c80c3-18eb-4519-9460-6c92edd8cfb4"


@pytest.mark.parametrize("name", [name for name in ANSWERS if name.endswith(".json")])
def test_plain(name: str) -> None:
    """A plain answer says the same, and read as deltas it still does."""
    reply = CLIENT.decode(recorded(name))

    assert ANSWERS[name] == answer_of(reply) == answer_of(assemble(deltas_of(reply)))


def test_pieces_come_as_they_are_said() -> None:
    """Every piece of text is a delta of its own, and what opens an answer shows nothing."""
    assert ["Grüße", " aus", " Oslo", ""] == [delta.text for delta in read(recorded("text.sse"))]


def test_logprobs() -> None:
    """Log probabilities come in OpenAI's form, one entry for each piece of text."""
    choice = CLIENT.decode(recorded("citations.json")).choices[0]

    assert [{"token": "Grüße", "logprob": -0.75, "bytes": None, "top_logprobs": []}] == (
        choice.extra["logprobs"]["content"]
    )


SDK_FINISHES = {"COMPLETE": "stop", "MAX_TOKENS": "length", "TOOL_CALL": "tool_calls"}


@pytest.mark.parametrize("name", [name for name in ANSWERS if name.endswith(".json")])
def test_the_sdk_reads_plain_answers_alike(name: str) -> None:
    """Cohere's own client finds the same text, calls, finish reason and usage."""
    theirs: Any = construct_type(type_=V2ChatResponse, object_=orjson.loads(recorded(name)))
    ours = answer_of(CLIENT.decode(recorded(name)))

    assert ours.text == "".join(block.text for block in theirs.message.content or [])
    assert ours.calls == tuple(
        (call.id, call.function.name, call.function.arguments) for call in theirs.message.tool_calls or []
    )
    assert ours.finish == SDK_FINISHES[theirs.finish_reason]
    counts = theirs.usage.tokens or theirs.usage.billed_units
    assert (counts.input_tokens, counts.output_tokens) == (
        ours.usage.prompt_tokens,
        ours.usage.completion_tokens,
    )


@pytest.mark.parametrize("name", [name for name in ANSWERS if name.endswith(".sse")])
def test_the_sdk_reads_streams_alike(name: str) -> None:
    """Cohere's own event types find the same text, calls, finish reason and usage."""
    text, calls = "", {}
    for _, data in SSEDecoder().feed(recorded(name)):
        if data == b"[DONE]":
            break
        event: Any = parse_obj_as(V2ChatStreamResponse, orjson.loads(data))  # type: ignore[arg-type]
        if event.type == "content-delta":
            text += event.delta.message.content.text or ""
        elif event.type == "tool-call-start":
            call = event.delta.message.tool_calls
            calls[event.index] = [call.id, call.function.name, ""]
        elif event.type == "tool-call-delta":
            calls[event.index][2] += event.delta.message.tool_calls.function.arguments
    ours = ANSWERS[name]

    assert (ours.text, ours.calls) == (text, tuple((a, b, c or "{}") for a, b, c in calls.values()))
    assert ours.finish == SDK_FINISHES[event.delta.finish_reason]
    assert ours.usage.prompt_tokens == event.delta.usage.tokens.input_tokens


@pytest.mark.parametrize(
    ("name", "words"),
    [("error.sse", "an internal error"), ("timeout.sse", "TIMEOUT"), ("error.json", "ERROR")],
)
def test_a_failure_inside_a_200(name: str, words: str) -> None:
    """An answer that ends in ERROR or TIMEOUT is a failure, never an answer."""
    with pytest.raises(ServerFault, match=words):
        read(recorded(name)) if name.endswith(".sse") else CLIENT.decode(recorded(name))


@pytest.mark.parametrize("name", ["text.sse", "thinking.sse", "tools.sse", "citations.sse"])
def test_a_cut_stream_is_a_break(name: str) -> None:
    """Without its message-end no stream is an answer, wherever it was cut."""
    body = recorded(name)
    end = body.index(b"event: message-end")
    for cut in range(0, end, 7):
        with pytest.raises(BadAnswer):
            read(body[:cut])


def event(kind: str, **said: Any) -> bytes:
    return encode(orjson.dumps({"type": kind, **said}), kind)


END = event("message-end", delta={"finish_reason": "COMPLETE"})


@pytest.mark.parametrize(
    "body",
    [
        encode(b"{nope"),
        encode(b"[]"),
        encode(b"null"),
        encode(b'{"type":7}'),
        event("content-delta", delta={}),
        event("content-delta", delta={"message": {"content": {"text": 7}}}),
        event("content-delta", delta={"message": {"content": {"thinking": 7}}}),
        event(
            "tool-call-delta", index=0, delta={"message": {"tool_calls": {"function": {"arguments": "x"}}}}
        ),
        event("tool-call-start", index=0, delta={"message": {"tool_calls": {"id": "a"}}}),
        event(
            "tool-call-start",
            index=0,
            delta={"message": {"tool_calls": {"id": "a", "function": {"name": "f"}}}},
        )
        + END,
        event("message-end", delta={}),
        event("message-end", delta={"finish_reason": None}),
        event("message-end", delta={"finish_reason": "TOOL_CALL"}),
        b"",
        b": ping\n\n",
        b"<html>busy</html>",
        b'{"text":"v1"}\n',
    ],
)
def test_broken_streams(body: bytes) -> None:
    """What contradicts the format is a bad answer."""
    with pytest.raises(BadAnswer):
        read(body)


def test_a_bare_message_in_a_stream_is_an_error() -> None:
    """An error's body in place of an event is raised as what it says."""
    with pytest.raises(ServerFault, match="busy"):
        read(encode(b'{"id":"x","message":"busy"}'))


def test_unknown_events_are_skipped() -> None:
    """New kinds of events break nothing, nor do keep-alives and what follows the end."""
    body = event("debug", prompt="x") + event("brand-new") + b": ping\n\n" + END + encode(b"{nope")

    assert ["stop"] == [delta.finish_reason for delta in read(body)]


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"<html>",
        b"[]",
        b"{}",
        b'{"message":{}}',
        b'{"message":{"content":[]},"finish_reason":null}',
        b'{"message":{"content":[]},"finish_reason":"TOOL_CALL"}',
        b'{"message":{"content":"x"},"finish_reason":"COMPLETE"}',
        b'{"message":{"content":[{"type":"text"}]},"finish_reason":"COMPLETE"}',
        b'{"message":{"tool_calls":[{"id":"a"}]},"finish_reason":"TOOL_CALL"}',
    ],
)
def test_broken_answers(answer: bytes) -> None:
    """A body that is no whole message is a bad answer."""
    with pytest.raises(BadAnswer):
        CLIENT.decode(answer)


@pytest.mark.parametrize(
    ("reason", "wanted"),
    [
        ("COMPLETE", "stop"),
        ("STOP_SEQUENCE", "stop"),
        ("MAX_TOKENS", "length"),
        ("ERROR_LIMIT", "length"),
        ("NEW", "NEW"),
    ],
)
def test_finish_reasons(reason: str, wanted: str) -> None:
    """Cohere's words become OpenAI's; one that is new is passed on."""
    body = orjson.dumps({"message": {"content": []}, "finish_reason": reason})

    assert wanted == CLIENT.decode(body).finish_reason


def test_toxic() -> None:
    """The first version's word for a blocked answer still means one."""
    with pytest.raises(ContentFiltered):
        CLIENT.decode(b'{"message":{"content":[]},"finish_reason":"ERROR_TOXIC"}')


@pytest.mark.parametrize(
    ("usage", "wanted"),
    [
        (None, Usage()),
        ({"tokens": "x"}, Usage()),
        ({"tokens": {"input_tokens": 2.0, "output_tokens": True}}, Usage(prompt_tokens=2)),
        ({"tokens": {"input_tokens": -2, "output_tokens": "3"}}, Usage()),
        (
            {"tokens": None, "billed_units": {"input_tokens": 1, "output_tokens": 3}},
            Usage(prompt_tokens=1, completion_tokens=3),
        ),
    ],
)
def test_usage(usage: Any, wanted: Usage) -> None:
    """Counts are whole numbers, whatever is given for them."""
    body = {"message": {"content": []}, "finish_reason": "COMPLETE", "usage": usage}

    assert wanted == CLIENT.decode(orjson.dumps(body)).usage


def test_embeddings() -> None:
    """Vectors come in the order of the texts, with what they cost."""
    embeddings = EMBEDDING.decode(recorded("embed.json"))

    assert ((0.5, -1.0, 0.25), (0.0, 0.125, 1.0)) == embeddings.vectors
    assert Usage(prompt_tokens=2) == embeddings.usage


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b'{"embeddings":{}}',
        b'{"embeddings":[[1]]}',
        b'{"embeddings":{"float":7}}',
        b'{"embeddings":{"float":[["x"]]}}',
        b'{"embeddings":{"float":[7]}}',
    ],
)
def test_broken_embeddings(body: bytes) -> None:
    """What holds no vectors is a bad answer."""
    with pytest.raises(BadAnswer):
        EMBEDDING.decode(body)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
_KINDS = st.sampled_from(
    [
        "message-start",
        "content-start",
        "content-delta",
        "tool-plan-delta",
        "tool-call-start",
        "tool-call-delta",
        "tool-call-end",
        "citation-start",
        "message-end",
    ]
)
_SAID = st.dictionaries(
    st.sampled_from(["content", "tool_calls", "tool_plan", "citations", "finish_reason", "usage", "error"]),
    _JSON | st.dictionaries(st.sampled_from(["text", "thinking", "id", "function"]), _JSON),
)


@given(_KINDS, _SAID, _JSON)
def test_no_event_breaks_the_reader(kind: str, said: Fields, anything: Any) -> None:
    """Any JSON in place of an event is read, skipped or refused, and nothing else happens."""
    for delta in ({"message": said}, said, anything):
        try:
            CLIENT.reader().feed(event(kind, index=0, delta=delta))
        except AttemptError:
            pass


@given(st.data())
def test_no_bytes_break_the_reader(data: st.DataObject) -> None:
    """Spoilt and cut bytes give an answer or an error of ours, the same however they are cut."""
    body = bytearray(recorded(data.draw(st.sampled_from([name for name in ANSWERS if "sse" in name]))))
    for at in data.draw(st.lists(st.integers(0, len(body) - 1), max_size=4)):
        body[at] = data.draw(st.integers(0, 255))
    body = body[: data.draw(st.integers(0, len(body)))] + data.draw(st.binary(max_size=9))

    outcomes = []
    for step in (data.draw(st.integers(1, 99)), 4096):
        try:
            outcomes.append(repr(assemble(read(bytes(body), step)).to_dict()))
        except AttemptError as error:
            outcomes.append(type(error).__name__)
    assert outcomes[0] == outcomes[1]


@given(
    _JSON,
    st.dictionaries(
        st.sampled_from(["id", "message", "finish_reason", "usage", "logprobs"]), _JSON | _SAID, max_size=5
    ),
    st.binary(max_size=20),
)
def test_no_body_breaks_the_decoder(anything: Any, fields: Fields, noise: bytes) -> None:
    """Any bytes in place of a message are a reply or an error of ours."""
    for body in (orjson.dumps(anything), orjson.dumps({"finish_reason": "COMPLETE", **fields}), noise):
        for decode in (CLIENT.decode, EMBEDDING.decode):
            try:
                decode(body)
            except AttemptError:
                pass
