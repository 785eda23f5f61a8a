"""Gemini's answers, as the client reads them, and as Google's own client does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest
from google.genai import types
from hypothesis import given
from hypothesis import strategies as st

from fallbackio._draft import assemble
from fallbackio.dialects import DIALECTS
from fallbackio.errors import AttemptError, AuthFailed, BadAnswer, ContentFiltered, Overloaded
from fallbackio.model import Delta, Reply, ToolCallDelta, Usage

CLIENT = DIALECTS["gemini"].client
WIRE = Path(__file__).parent.parent / "wire" / "gemini"

ID = "Jq0kabC9LrqXz7IPwcGNsQc"
FLASH = "gemini-2.5-flash"
PRO = "gemini-3-pro-preview"
STATE = {
    "provider_state": {
        "dialect": "gemini",
        "model": PRO,
        "ids": ["fc_1", "fc_2"],
        "signatures": {"fc_1": "c2lnbmF0dXJlIDE="},
    }
}


def wire_of(name: str) -> bytes:
    return (WIRE / name).read_bytes()


def read(wire: bytes, step: int = 0) -> list[Delta]:
    """The deltas of a stream that comes in pieces of `step` bytes."""
    reader = CLIENT.reader()
    deltas: list[Delta] = []
    for begin in range(0, len(wire), step or len(wire) or 1):
        deltas += reader.feed(wire[begin : begin + (step or len(wire))])
        assert not reader.finished
    deltas += reader.end()
    assert reader.finished
    return deltas


def flash(**said: Any) -> Delta:
    return Delta(**said, id=ID, model=FLASH)


def pro(**said: Any) -> Delta:
    return Delta(**said, id=ID, model=PRO)


def answer(**candidate: Any) -> bytes:
    return orjson.dumps({"candidates": [candidate], "responseId": "r"})


EXPECTED = {
    "text.sse": [
        flash(text="Grüße"),
        flash(text=" aus Oslo\u2028"),
        flash(text="🙂!", finish_reason="stop", usage=Usage(prompt_tokens=25, completion_tokens=15)),
    ],
    "tools.sse": [
        pro(reasoning="Weighing it."),
        pro(text="Let me look."),
        pro(tool_calls=(ToolCallDelta(0, "fc_1", "get_weather", '{"city":"Oslo"}'),)),
        pro(tool_calls=(ToolCallDelta(1, "fc_2", "get_time", "{}"),)),
        pro(
            finish_reason="tool_calls",
            usage=Usage(prompt_tokens=480, completion_tokens=52, cached_tokens=400, reasoning_tokens=12),
            extra=STATE,
        ),
    ],
    "late_usage.sse": [
        flash(
            text="Yes.",
            finish_reason="stop",
            extra={"provider_state": {"dialect": "gemini", "model": FLASH, "signature": "c2lnbmF0dXJlIDI="}},
        ),
        flash(usage=Usage(prompt_tokens=9, completion_tokens=7, reasoning_tokens=3)),
    ],
    "two.sse": [
        flash(text="One"),
        flash(text="Two", index=1),
        flash(text="!", finish_reason="stop", usage=Usage(prompt_tokens=9, completion_tokens=1)),
        flash(index=1, finish_reason="length", usage=Usage(prompt_tokens=9, completion_tokens=3)),
    ],
    "filtered.sse": [
        flash(text="To"),
        flash(finish_reason="content_filter", usage=Usage(prompt_tokens=25, completion_tokens=3)),
    ],
}


@pytest.mark.parametrize("step", [0, 1, 7, 512])
@pytest.mark.parametrize("name", EXPECTED)
def test_streams(name: str, step: int) -> None:
    """Each sample gives its deltas, however the network cuts it, and is finished when the body ends."""
    assert EXPECTED[name] == read(wire_of(name), step)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("cut.sse", BadAnswer),
        ("blocked.sse", ContentFiltered),
        ("error_later.sse", Overloaded),
        ("bare_error.sse", Overloaded),
        ("malformed_call.sse", BadAnswer),
    ],
)
@pytest.mark.parametrize("step", [0, 5])
def test_broken_streams(name: str, kind: type[AttemptError], step: int) -> None:
    """A cut stream, a blocked prompt and an error in whatever form raise their class."""
    with pytest.raises(kind):
        read(wire_of(name), step)


def test_an_error_after_the_answer_begins_keeps_its_status() -> None:
    """An error that comes as bare JSON after the first event is read as one in an event is."""
    for name in ("error_later.sse", "bare_error.sse"):
        with pytest.raises(Overloaded) as raised:
            read(wire_of(name))
        assert (503, "UNAVAILABLE") == (raised.value.status, raised.value.code)


def test_a_plain_answer() -> None:
    """Text, finish reason and usage are the answer's."""
    reply = CLIENT.decode(wire_of("text.json"))

    assert ("Grüße aus Oslo\u2028🙂!", "stop", ID, FLASH) == (
        reply.text,
        reply.finish_reason,
        reply.id,
        reply.model,
    )
    assert Usage(prompt_tokens=25, completion_tokens=15) == reply.usage


def test_calls_keep_their_ids_and_signatures() -> None:
    """What Google wants back stands in the message, and the streamed answer adds up to the plain one."""
    reply = CLIENT.decode(wire_of("tools.json"))

    assert [("fc_1", "get_weather", '{"city":"Oslo"}'), ("fc_2", "get_time", "{}")] == [
        (call.id, call.name, call.arguments) for call in reply.tool_calls
    ]
    assert ("tool_calls", "Weighing it.") == (reply.finish_reason, reply.message.reasoning)
    assert STATE == reply.message.extra
    assert assemble(read(wire_of("tools.sse"))).choices == reply.choices


def test_calls_without_ids_get_some() -> None:
    """Two equal calls get different ids, the same ones whenever the answer is read."""
    first, second = [CLIENT.decode(wire_of("unnamed_calls.json")).tool_calls for _ in range(2)]

    assert first == second
    assert 2 == len({call.id for call in first})
    assert all(call.id.startswith("call_") and len(call.id) <= 40 for call in first)
    assert ["{}", "{}"] == [call.arguments for call in first]


def test_sources_and_other_parts_are_kept() -> None:
    """Grounding, citations and parts that OpenAI has no word for go to `extra`, logprobs to the choice."""
    reply = CLIENT.decode(wire_of("grounded.json"))

    assert "Sunny. Dry." == reply.text
    assert {"groundingMetadata", "citationMetadata", "parts"} == reply.message.extra.keys()
    (place,) = reply.choices[0].extra["logprobs"]["content"]
    assert ("Sunny", -0.5, 2) == (place["token"], place["logprob"], len(place["top_logprobs"]))


def test_several_candidates() -> None:
    """Each candidate is a choice with its own end."""
    choices = CLIENT.decode(wire_of("two.json")).choices
    assert [(0, "One", "stop"), (1, "Two", "length")] == [
        (choice.index, choice.message.content, choice.finish_reason) for choice in choices
    ]


def test_a_limit_that_left_nothing_is_an_answer() -> None:
    """An answer whose thoughts took all its tokens ends in `length`, not in an error."""
    reply = CLIENT.decode(wire_of("length.json"))
    assert ("", "length", 64) == (reply.text, reply.finish_reason, reply.usage.reasoning_tokens)


TEXT = {"content": {"parts": [{"text": "x"}]}}


@pytest.mark.parametrize("said", [True, False], ids=["said", "silent"])
@pytest.mark.parametrize(
    ("reason", "expected", "silent"),
    [
        ("STOP", "stop", BadAnswer),
        ("MAX_TOKENS", "length", "length"),
        ("CONTINUATION", "length", "length"),
        ("SAFETY", "content_filter", ContentFiltered),
        ("RECITATION", "content_filter", ContentFiltered),
        ("BLOCKLIST", "content_filter", ContentFiltered),
        ("PROHIBITED_CONTENT", "content_filter", ContentFiltered),
        ("SPII", "content_filter", ContentFiltered),
        ("MODEL_ARMOR", "content_filter", ContentFiltered),
        ("MALFORMED_FUNCTION_CALL", BadAnswer, BadAnswer),
        ("OTHER", BadAnswer, BadAnswer),
        ("FINISH_REASON_UNSPECIFIED", BadAnswer, BadAnswer),
        ("PUP_LIMITED_DISABLED", AuthFailed, AuthFailed),
        ("NEW_REASON", "NEW_REASON", "NEW_REASON"),
    ],
)
def test_finish_reasons(reason: str, expected: Any, silent: Any, said: bool) -> None:
    """Each end has OpenAI's word or the error it stands for, plain and streamed alike."""
    body = answer(**(TEXT if said else {}), finishReason=reason)
    wanted = expected if said else silent
    stream = b"data: " + body + b"\n\n"
    if isinstance(wanted, str):
        assert (wanted, wanted) == (CLIENT.decode(body).finish_reason, read(stream)[-1].finish_reason)
        return
    with pytest.raises(wanted):
        CLIENT.decode(body)
    with pytest.raises(wanted):
        read(stream)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"<html>", BadAnswer),
        (b"", BadAnswer),
        (b"{}", BadAnswer),
        (b"[]", BadAnswer),
        (b'{"candidates": 1}', BadAnswer),
        (b'{"candidates": [1]}', BadAnswer),
        (answer(**TEXT), BadAnswer),
        (answer(content={"parts": [{"functionCall": {"args": {}}}]}, finishReason="STOP"), BadAnswer),
        (wire_of("blocked.json"), ContentFiltered),
        (b'[{"error": {"code": 503, "status": "UNAVAILABLE"}}]', Overloaded),
    ],
    ids=["html", "empty", "object", "list", "number", "numbers", "cut", "nameless", "blocked", "error"],
)
def test_no_answers(body: bytes, kind: type[AttemptError]) -> None:
    """What is no whole answer raises its class."""
    with pytest.raises(kind):
        CLIENT.decode(body)


def theirs(name: str) -> list[types.GenerateContentResponse]:
    """The sample as Google's own client parses it."""
    wire = wire_of(name)
    chunks = [wire] if name.endswith(".json") else [c[6:] for c in wire.split(b"\r\n\r\n") if c]
    return [types.GenerateContentResponse.model_validate_json(chunk) for chunk in chunks]


def ours(name: str) -> Reply:
    wire = wire_of(name)
    return CLIENT.decode(wire) if name.endswith(".json") else assemble(read(wire))


@pytest.mark.parametrize("name", ["text.json", "tools.json", "length.json", "text.sse", "tools.sse"])
def test_read_as_google_reads_it(name: str) -> None:
    """Text, thoughts, calls, finish reason and usage are those that Google's own client finds."""
    chunks, reply = theirs(name), ours(name)
    candidates = [candidate for chunk in chunks for candidate in chunk.candidates or ()]
    parts = [part for one in candidates if one.content for part in one.content.parts or ()]
    calls = [part.function_call for part in parts if part.function_call]
    usage = chunks[-1].usage_metadata
    assert usage is not None

    assert "".join([part.text or "" for part in parts if not part.thought]) == reply.text
    assert "".join([part.text or "" for part in parts if part.thought]) == (reply.message.reasoning or "")
    assert [(call.id, call.name, call.args) for call in calls] == [
        (call.id, call.name, orjson.loads(call.arguments)) for call in reply.tool_calls
    ]
    reason = {"STOP": "tool_calls" if calls else "stop", "MAX_TOKENS": "length"}
    assert candidates[-1].finish_reason is not None
    assert reason[candidates[-1].finish_reason.value] == reply.finish_reason
    assert (usage.prompt_token_count or 0) + (usage.tool_use_prompt_token_count or 0) == (
        reply.usage.prompt_tokens
    )
    assert (usage.candidates_token_count or 0) + (usage.thoughts_token_count or 0) == (
        reply.usage.completion_tokens
    )
    assert (usage.cached_content_token_count or 0) == reply.usage.cached_tokens


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 600) | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "candidates", "content", "parts", "text", "thought", "functionCall", "name", "args", "id",
                    "finishReason", "index", "usageMetadata", "promptTokenCount", "promptFeedback",
                    "blockReason", "error", "code", "status", "message", "details", "violations", "quotaId",
                    "retryDelay", "reason", "logprobsResult", "chosenCandidates", "topCandidates", "token",
                    "thoughtSignature", "responseId", "modelVersion", "groundingMetadata",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)  # fmt: skip
BODIES = (
    JSON.map(orjson.dumps)
    | st.binary(max_size=40)
    | st.builds(
        lambda part, more: orjson.dumps({"candidates": [{"content": {"parts": [part]}, **more}]}),
        JSON,
        st.dictionaries(st.sampled_from(["finishReason", "index", "logprobsResult"]), JSON, max_size=2),
    )
)


@given(BODIES, st.integers(100, 599))
def test_only_our_own_errors(body: bytes, status: int) -> None:
    """Whatever a provider sends, reading it gives an answer or an error of ours."""
    assert isinstance(CLIENT.failure(status, {}, body), AttemptError)
    try:
        CLIENT.decode(body)
    except AttemptError:
        pass
    reader = CLIENT.reader()
    try:
        reader.feed(b"data: " + body + b"\n\n" + body)
        reader.end()
    except AttemptError:
        pass


@given(st.sampled_from([*EXPECTED, "cut.sse", "bare_error.sse"]), st.data())
def test_damaged_streams(name: str, data: st.DataObject) -> None:
    """A sample with a few bytes changed or lost gives deltas or an error of ours."""
    wire = bytearray(wire_of(name))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(wire) - 1))
        wire[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    try:
        read(bytes(wire), 64)
    except AttemptError:
        pass


@pytest.mark.parametrize("cut", range(0, len(wire_of("text.sse")), 23))
def test_a_cut_stream_is_never_whole(cut: int) -> None:
    """A stream that is cut anywhere before its last event is a `BadAnswer`."""
    with pytest.raises(BadAnswer):
        read(wire_of("text.sse")[:cut])
