"""Converse's answers, as the client reads them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import botocore.eventstream
import botocore.parsers
import botocore.session
import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fallbackio import _aws
from fallbackio._draft import assemble
from fallbackio.dialects import DIALECTS
from fallbackio.errors import AttemptError, BadAnswer, InvalidRequest, Overloaded, RateLimited, ServerFault
from fallbackio.model import Delta, FunctionCall, Reply, ToolCall, ToolCallDelta, Usage

CLIENT = DIALECTS["bedrock"].client
WIRE = Path(__file__).parent.parent / "wire" / "bedrock"
ENDING = ".eventstream"

SIGNED = {"reasoningText": {"text": "Six by seven is 42.", "signature": "EqoBCkgIARAB"}}
CITATION = {"title": "Forecast", "location": {"web": {"url": "https://example.com/oslo"}}}


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
    return (WIRE / (name + ENDING)).read_bytes()


def event(kind: str, **said: Any) -> bytes:
    return _aws.frame({":message-type": "event", ":event-type": kind}, orjson.dumps(said))


def piece(index: int = 0, **delta: Any) -> bytes:
    return event("contentBlockDelta", contentBlockIndex=index, delta=delta)


def exception(kind: str, payload: bytes = b"{}") -> bytes:
    return _aws.frame({":message-type": "exception", ":exception-type": kind}, payload)


STOP = event("messageStop", stopReason="end_turn")
COUNTS = {"inputTokens": 1, "outputTokens": 2, "totalTokens": 3}
METADATA = event("metadata", usage=COUNTS, metrics={"latencyMs": 1})

EXPECTED = {
    "text": [
        Delta("Grüße"),
        Delta(" aus Oslo\u2028"),
        Delta("🙂!"),
        Delta(finish_reason="stop"),
        Delta(usage=Usage(prompt_tokens=25, completion_tokens=15)),
    ],
    "tools": [
        Delta("Let me look."),
        Delta(tool_calls=(ToolCallDelta(0, "tooluse_kZJMlvQmRJ6eAyJE5GIl7Q", "get_weather"),)),
        Delta(tool_calls=(ToolCallDelta(0, arguments='{"city":'),)),
        Delta(tool_calls=(ToolCallDelta(0, arguments=' "Oslo"}'),)),
        Delta(tool_calls=(ToolCallDelta(1, "tooluse_B7", "get_time"),)),
        Delta(tool_calls=(ToolCallDelta(1, arguments="{}"),)),
        Delta(finish_reason="tool_calls"),
        Delta(usage=Usage(prompt_tokens=472, completion_tokens=89)),
    ],
    "thinking": [
        Delta(reasoning="Six by seven"),
        Delta(reasoning=" is 42."),
        Delta("42"),
        Delta(
            finish_reason="stop",
            extra={"provider_state": {"dialect": "bedrock", "model": "", "reasoning": [SIGNED]}},
        ),
        Delta(
            usage=Usage(
                prompt_tokens=2121,
                completion_tokens=33,
                cached_tokens=1500,
                reasoning_tokens=12,
                cache_write_tokens=500,
            )
        ),
    ],
    "cited": [
        Delta("Sunny."),
        Delta(finish_reason="content_filter", extra={"citations": [CITATION]}),
        Delta(usage=Usage(prompt_tokens=9, completion_tokens=2)),
    ],
    "schema": [
        Delta('{"city":'),
        Delta('"Oslo"}'),
        Delta(finish_reason="stop"),
        Delta(usage=Usage(prompt_tokens=5, completion_tokens=4)),
    ],
}


@pytest.mark.parametrize("name", EXPECTED)
def test_every_split(name: str) -> None:
    """However the network cuts the frames, the deltas are the same."""
    recorded = wire_of(name)

    for step in (0, *range(1, 40), len(recorded) - 1):
        assert EXPECTED[name] == read(recorded, step)


class _Raw:
    """What botocore reads an event stream from."""

    def __init__(self, wire: bytes) -> None:
        self._wire = wire

    def stream(self) -> list[bytes]:
        return [self._wire]

    def close(self) -> None:
        """Nothing is open."""


def boto_events(wire: bytes) -> list[dict[str, Any]]:
    """The events that boto3 would hand out for the same bytes."""
    model = botocore.session.Session().get_service_model("bedrock-runtime")
    shape = model.operation_model("ConverseStream").get_event_stream_output()
    parser = botocore.parsers.EventStreamJSONParser()
    return list(botocore.eventstream.EventStream(_Raw(wire), shape, parser, "ConverseStream"))


@pytest.mark.parametrize("name", ["text", "tools", "thinking", "cited"])
def test_botocore_reads_the_same(name: str) -> None:
    """AWS's own parser finds the same text, calls, end and usage in the same bytes."""
    texts = thoughts = stop = ""
    calls: dict[int, dict[str, str]] = {}
    counts: dict[str, int] = {}
    for said in boto_events(wire_of(name)):
        if "contentBlockStart" in said:
            begun = said["contentBlockStart"]
            calls[begun["contentBlockIndex"]] = {**begun["start"]["toolUse"], "input": ""}
        delta = said.get("contentBlockDelta", {}).get("delta", {})
        texts += delta.get("text", "")
        thoughts += delta.get("reasoningContent", {}).get("text", "")
        if "toolUse" in delta:
            calls[said["contentBlockDelta"]["contentBlockIndex"]]["input"] += delta["toolUse"]["input"]
        stop = said.get("messageStop", {}).get("stopReason", stop)
        counts = said.get("metadata", {}).get("usage", counts)

    ours = assemble(read(wire_of(name)))
    theirs = [(call["toolUseId"], call["name"], call["input"] or "{}") for call in calls.values()]
    reasons = {"end_turn": "stop", "tool_use": "tool_calls", "guardrail_intervened": "content_filter"}
    assert texts == ours.text
    assert (thoughts or None) == ours.message.reasoning
    assert theirs == [(call.id, call.name, call.arguments) for call in ours.tool_calls]
    assert reasons[stop] == ours.finish_reason
    assert counts["totalTokens"] == ours.usage.total_tokens


@pytest.mark.parametrize(
    ("wire", "expected", "code"),
    [
        (wire_of("throttled_first"), RateLimited, "throttlingException"),
        (wire_of("broken_later"), ServerFault, "modelStreamErrorException"),
        (wire_of("error_frame"), ServerFault, "InternalServerException"),
        (exception("serviceUnavailableException"), Overloaded, "serviceUnavailableException"),
        (exception("modelTimeoutException"), ServerFault, "modelTimeoutException"),
        (exception("validationException"), InvalidRequest, "validationException"),
        (exception("somethingNew", b"garbage"), ServerFault, "somethingNew"),
        (_aws.frame({":message-type": "novel"}, b"{}"), BadAnswer, None),
        (_aws.frame({}, b"{}"), BadAnswer, None),
    ],
    ids=["first", "later", "error", "unavailable", "timeout", "validation", "unknown", "kind", "no kind"],
)
def test_errors_in_a_stream(wire: bytes, expected: type[AttemptError], code: str | None) -> None:
    """An exception or error frame is raised as what it stands for, first or later."""
    with pytest.raises(expected) as raised:
        read(wire)

    assert expected is type(raised.value)
    assert code == raised.value.code


BROKEN = {
    "nothing": b"",
    "cut after a block": wire_of("cut"),
    "cut inside a frame": wire_of("text")[:-250],
    "payload is no JSON": _aws.frame({":message-type": "event", ":event-type": "x"}, b"{"),
    "payload is a list": _aws.frame({":message-type": "event", ":event-type": "messageStop"}, b"[]"),
    "arguments without a call": piece(toolUse={"input": "{}"}) + STOP,
    "text that is none": piece(text=5) + STOP,
    "an index that is none": piece({}, toolUse={"input": ""}) + STOP,  # type: ignore[arg-type]
    "no stop reason": event("messageStop") + METADATA,
    "malformed output": event("messageStop", stopReason="malformed_model_output") + METADATA,
    "malformed call": event("messageStop", stopReason="malformed_tool_use") + METADATA,
    "ended inside a call": event(
        "contentBlockStart", contentBlockIndex=0, start={"toolUse": {"toolUseId": "a", "name": "f"}}
    )
    + STOP,
    "HTML": b"<html>" * 20,
    "server-sent events": b'data: {"choices": []}\n\n',
}


@pytest.mark.parametrize("wire", BROKEN.values(), ids=BROKEN)
def test_broken_streams(wire: bytes) -> None:
    """A stream that is cut or breaks the format is a bad answer, never a whole one."""
    with pytest.raises(BadAnswer):
        read(wire)


@pytest.mark.parametrize("at", [5, 10, 40, -1], ids=["length", "prelude", "header", "checksum"])
def test_a_flipped_bit(at: int) -> None:
    """A frame whose checksums do not match is a bad answer."""
    whole = bytearray(piece(text="hello"))
    whole[at] ^= 1

    with pytest.raises(BadAnswer):
        CLIENT.reader().feed(bytes(whole) + b"\0" * 2**16)


@pytest.mark.parametrize("step", [0, 7])
def test_an_error_is_read_before_what_is_broken_behind_it(step: int) -> None:
    """However the bytes are cut, what is said first counts: an error's frame, not garbage after it."""
    garbage = exception("internalServerException")[40:]

    with pytest.raises(RateLimited):
        read(event("messageStart", role="assistant") + exception("throttlingException") + garbage, step)


@pytest.mark.parametrize("step", [0, 7])
def test_nothing_behind_the_end_is_looked_at(step: int) -> None:
    """An answer that is whole stays so, whatever comes behind it, in the same piece or in another."""
    garbage = exception("internalServerException")[40:]

    assert "Hi" == assemble(read(piece(text="Hi") + STOP + METADATA + garbage, step)).text


def test_usage_is_waited_for_after_the_end() -> None:
    """The stop frame gives the finish reason, but the stream is done only with its metadata."""
    reader = CLIENT.reader()

    assert [Delta("Hi"), Delta(finish_reason="stop")] == reader.feed(piece(text="Hi") + STOP)
    finished = [reader.finished]
    assert [Delta(usage=Usage(prompt_tokens=1, completion_tokens=2))] == reader.feed(METADATA)
    assert [False, True] == [*finished, reader.finished]
    assert [] == reader.feed(exception("internalServerException")) + reader.end()


@pytest.mark.parametrize("after", [b"", exception("internalServerException")], ids=["end", "exception"])
def test_missing_metadata(after: bytes) -> None:
    """An answer that has stopped is whole, also where its usage never comes."""
    assert [Delta("Hi"), Delta(finish_reason="stop")] == read(piece(text="Hi") + STOP + after)


def test_redacted_thoughts_are_kept() -> None:
    """Encrypted reasoning shows nothing and is kept for the next turn."""
    wire = piece(reasoningContent={"redactedContent": "AAAA"}) + piece(1, text="Hi") + STOP
    extra = read(wire)[-1].extra

    assert [{"redactedContent": "AAAA"}] == extra["provider_state"]["reasoning"]


def test_unsigned_thoughts_are_not_kept() -> None:
    """Reasoning that nobody signed is shown, and not sent back."""
    assert {} == read(piece(reasoningContent={"text": "hm"}) + piece(1, text="Hi") + STOP)[-1].extra


def test_a_schemas_answer_beside_a_real_call() -> None:
    """The reserved tool's call stays text when a real call stands beside it, which decides the end."""

    def start(index: int, name: str) -> bytes:
        use = {"toolUseId": "a", "name": name}
        return event("contentBlockStart", contentBlockIndex=index, start={"toolUse": use})

    wire = (
        start(0, "fallbackio_json_answer")
        + event("contentBlockStop", contentBlockIndex=0)
        + start(1, "f")
        + event("contentBlockStop", contentBlockIndex=1)
        + event("messageStop", stopReason="tool_use")
    )

    reply = assemble(read(wire))

    assert ("{}", "tool_calls") == (reply.text, reply.finish_reason)
    assert [ToolCall("a", FunctionCall("f", "{}"))] == [*reply.tool_calls]


def test_a_whole_answer() -> None:
    """Text, citations, reasoning, calls and usage of a plain answer are read, and the rest is kept."""
    reply = CLIENT.decode((WIRE / "message.json").read_bytes())

    call = ToolCall("tooluse_kZJMlvQmRJ6eAyJE5GIl7Q", FunctionCall("get_weather", '{"city":"Oslo"}'))
    assert ("", "") == (reply.id, reply.model)
    assert "Let me look. It is Oslo." == reply.text
    assert (call,) == reply.tool_calls
    assert "Where is it?" == reply.message.reasoning
    assert "tool_calls" == reply.finish_reason
    assert (
        Usage(prompt_tokens=530, completion_tokens=50, cached_tokens=400, cache_write_tokens=100)
        == reply.usage
    )
    assert ["Atlas"] == [cited["title"] for cited in reply.message.extra["citations"]]
    assert "EqoBCkgIARAB" in str(reply.message.extra["provider_state"]["reasoning"])
    assert {"metrics": {"latencyMs": 1234}} == reply.extra


def plain(*content: Any, stop: Any = "end_turn", **more: Any) -> bytes:
    message = {"role": "assistant", "content": list(content)}
    return orjson.dumps({"output": {"message": message}, "stopReason": stop, "usage": COUNTS, **more})


@pytest.mark.parametrize(
    ("stop", "reason"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("guardrail_intervened", "content_filter"),
        ("content_filtered", "content_filter"),
        ("brand_new", "brand_new"),
    ],
)
def test_stop_reasons(stop: str, reason: str) -> None:
    """Each stop reason has OpenAI's word, and an unknown one is passed on."""
    assert reason == CLIENT.decode(plain({"text": "Hi"}, stop=stop)).finish_reason


@pytest.mark.parametrize(
    ("counts", "usage"),
    [
        (
            {"inputTokens": 10, "cacheReadInputTokens": 5, "cacheWriteInputTokens": 2, "outputTokens": 3},
            Usage(prompt_tokens=17, completion_tokens=3, cached_tokens=5, cache_write_tokens=2),
        ),
        (
            {"inputTokens": 10, "cacheReadInputTokens": 5, "outputTokens": 3, "totalTokens": 13},
            Usage(prompt_tokens=10, completion_tokens=3, cached_tokens=5),
        ),
        (
            {"inputTokens": 4, "cacheReadInputTokens": 5, "outputTokens": 3, "totalTokens": 7},
            Usage(prompt_tokens=9, completion_tokens=3, cached_tokens=5),
        ),
        (None, Usage()),
        ({"inputTokens": "many"}, Usage()),
    ],
    ids=["beside", "included", "cannot be included", "none", "garbage"],
)
def test_usage(counts: Any, usage: Usage) -> None:
    """The prompt includes what was cached, once."""
    assert usage == CLIENT.decode(plain({"text": "Hi"}, usage=counts)).usage


def test_a_schemas_answer() -> None:
    """A call of the reserved tool is the answer's text, and what stands beside it is left out."""
    use = {"toolUseId": "a", "name": "fallbackio_json_answer", "input": {"x": 1}}

    reply = CLIENT.decode(plain({"text": "Here:"}, {"toolUse": use}, stop="tool_use"))

    assert ('{"x":1}', (), "stop") == (reply.text, reply.tool_calls, reply.finish_reason)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>busy</html>",
        b"[]",
        b"{}",
        b'{"output": null}',
        plain({"text": 5}),
        plain({"toolUse": {"name": "f"}}),
        plain({"text": "Hi"}, stop=None),
        plain({"text": "Hi"}, stop="malformed_tool_use"),
        plain({"reasoningContent": 5}),
        plain(5),
    ],
    ids=str,
)
def test_broken_answers(body: bytes) -> None:
    """Whatever is no whole answer is a bad one."""
    with pytest.raises(BadAnswer):
        CLIENT.decode(body)


_SAMPLES = [path.read_bytes() for path in sorted(WIRE.glob("*" + ENDING))]


@given(
    wire=st.binary(max_size=300) | st.sampled_from(_SAMPLES), cuts=st.lists(st.integers(1, 300), max_size=9)
)
@example(wire=b"\0" * 64, cuts=[])
@example(wire=_aws.frame({}, b"")[:8] + b"\0" * 60, cuts=[])
def test_arbitrary_bytes(wire: bytes, cuts: list[int]) -> None:
    """Whatever comes and however it is cut, the reader gives deltas or one of our own errors."""
    reader = CLIENT.reader()
    try:
        for cut in cuts:
            reader.feed(wire[:cut])
            wire = wire[cut:]
        reader.feed(wire)
        reader.end()
    except AttemptError:
        return
    assert reader.finished


_NAMES = st.sampled_from(
    [
        "contentBlockIndex",
        "delta",
        "start",
        "text",
        "toolUse",
        "input",
        "name",
        "toolUseId",
        "reasoningContent",
        "signature",
        "reasoningText",
        "redactedContent",
        "citation",
        "citationsContent",
        "content",
        "citations",
        "stopReason",
        "usage",
        "inputTokens",
        "output",
        "message",
        "additionalModelResponseFields",
        "output_tokens_details",
    ]
)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES, inner, max_size=3),
    max_leaves=8,
)
_KINDS = st.sampled_from(
    ["contentBlockStart", "contentBlockDelta", "contentBlockStop", "messageStop", "metadata", "messageStart"]
)


@given(events=st.lists(st.tuples(_KINDS, _JSON), max_size=6))
def test_arbitrary_events(events: list[tuple[str, Any]]) -> None:
    """Sound frames that say nonsense give deltas or one of our own errors."""
    reader = CLIENT.reader()
    try:
        for kind, said in events:
            reader.feed(_aws.frame({":message-type": "event", ":event-type": kind}, orjson.dumps(said)))
        reader.end()
    except AttemptError:
        return
    assert reader.finished


@given(content=_JSON, usage=_JSON, own=_JSON)
def test_arbitrary_answers(content: Any, usage: Any, own: Any) -> None:
    """A plain answer that says nonsense is a reply or a bad answer."""
    answer = {"output": {"message": {"content": content}}, "stopReason": "end_turn", "usage": usage}
    try:
        reply = CLIENT.decode(orjson.dumps(answer | {"additionalModelResponseFields": own}))
    except BadAnswer:
        return
    assert isinstance(reply, Reply)
