"""Reading OpenAI's streams, also as its compatible vendors write them.

The bodies in `tests/wire/openai` follow the vendors' documentation and issue threads; each shows one
of their ways.
"""

from pathlib import Path
from typing import Any

import orjson
import pytest
from attrs import evolve, frozen
from hypothesis import given
from hypothesis import strategies as st
from openai.types.chat import ChatCompletionChunk

from fallbackio._draft import assemble
from fallbackio.dialects.openai._stream import OpenAIReader
from fallbackio.errors import (
    AttemptError,
    BadAnswer,
    ContentFiltered,
    ContextTooLong,
    Overloaded,
    RateLimited,
    ServerFault,
)
from fallbackio.model import NO_USAGE, Delta, FunctionCall, ToolCall, Usage

WIRE = Path(__file__).parent.parent / "wire" / "openai"
STEPS = [1, 2, 3, 7, 4096]


def read(body: bytes, step: int = 4096) -> list[Delta]:
    """All deltas of a body that comes in pieces of `step` bytes."""
    reader = OpenAIReader()
    deltas = [delta for at in range(0, len(body), step) for delta in reader.feed(body[at : at + step])]
    deltas += reader.end()
    assert reader.finished
    return deltas


@frozen
class Answer:
    """What a stream should add up to."""

    text: str | None = None
    finish: str = "stop"
    calls: tuple[tuple[str, str, str], ...] = ()
    reasoning: str | None = None
    refusal: str | None = None
    usage: Usage = NO_USAGE


COUNTED = Usage(prompt_tokens=9, completion_tokens=4)
DETAILED = evolve(COUNTED, cached_tokens=2, reasoning_tokens=1)
TWO_CALLS = (("call_a", "weather", '{"city":"Oslo"}'), ("call_b", "time", "{}"))

ANSWERS = {
    "text": Answer("Grüße \u2028aus\u0085 Oslo", usage=DETAILED),
    "tools": Answer(finish="tool_calls", calls=TWO_CALLS),
    "refusal": Answer("", refusal="I cannot help."),
    "azure": Answer("Hi"),
    "openrouter": Answer("42", reasoning="Let me see.", usage=DETAILED),
    "deepseek": Answer("42", reasoning="Hm", usage=DETAILED),
    "groq": Answer("Hi", usage=COUNTED),
    "mistral": Answer(
        "One moment.",
        "tool_calls",
        (("a1b2c3d4e", "weather", '{"city":"Oslo"}'),),
        reasoning="Hm",
        usage=COUNTED,
    ),
    "together": Answer("Hi there", usage=COUNTED),
    "zero_indexes": Answer(calls=TWO_CALLS),
    "no_indexes": Answer(calls=TWO_CALLS),
    "minimax": Answer("Hi", usage=COUNTED),
    "crlf": Answer("Hi"),
}


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("name", ANSWERS)
def test_answers(name: str, step: int) -> None:
    """Each vendor's stream adds up to the same answer, however the network cuts it."""
    reply = assemble(read((WIRE / f"{name}.sse").read_bytes(), step))
    message = reply.message
    calls = tuple((call.id, call.name, call.arguments) for call in message.tool_calls)

    assert ANSWERS[name] == Answer(
        message.content, reply.finish_reason, calls, message.reasoning, message.refusal, reply.usage
    )
    assert ("chatcmpl-1", "gpt-4o", 1760000000) == (reply.id, reply.model, reply.created)


def test_choices_interleave() -> None:
    """With `n`, each choice gets its own text and its own finish reason."""
    first, second = assemble(read((WIRE / "two_choices.sse").read_bytes())).choices

    assert ("yes", "length") == (first.message.content, first.finish_reason)
    assert ("no", "stop") == (second.message.content, second.finish_reason)


FAILURES: dict[str, tuple[type[AttemptError], str]] = {
    "openrouter_error": (ServerFault, "Provider disconnected"),
    "deepseek_starved": (Overloaded, "insufficient_system_resource"),
    "vllm_error": (ContextTooLong, "maximum context length"),
    "named_error": (Overloaded, "overloaded"),
    "role_only": (BadAnswer, "without its finish reason"),
    "cut": (BadAnswer, "without its finish reason"),
    "one_choice_open": (BadAnswer, "without its finish reason"),
    "broken_json": (BadAnswer, "no JSON"),
    "html_event": (BadAnswer, "no JSON"),
}


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize(("name", "expected"), FAILURES.items(), ids=FAILURES.keys())
def test_failures(name: str, expected: tuple[type[AttemptError], str], step: int) -> None:
    """A failure inside a 200 is an error of its own class, never a short answer."""
    kind, words = expected
    with pytest.raises(AttemptError, match=words) as caught:
        read((WIRE / f"{name}.sse").read_bytes(), step)

    assert kind is type(caught.value)


def event(delta: dict[str, Any], finish: str | None = None, **more: Any) -> bytes:
    chunk = {"id": "c", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}], **more}
    return b"data: " + orjson.dumps(chunk) + b"\n\n"


DONE = b"data: [DONE]\n\n"


@pytest.mark.parametrize(
    "body",
    [
        b": ping\n\n",
        b"data:\n\n",
        event({"role": "assistant", "content": ""}),
        event({"role": "assistant", "content": None, "refusal": None}),
        event({}),
        event({"content": ""}),
        event({"tool_calls": []}),
        event({"tool_calls": [{"index": 0, "function": {"arguments": ""}}]}),
        event({"obfuscation": "x1"}),
        event({"content": ""}, ""),
        b'data: {"choices": []}\n\n',
        b'data: {"choices": null, "error": null}\n\n',
        b'data: {"choices": [null, "x"]}\n\n',
        b'data: {"choices": {"index": 0}}\n\n',
        b'data: {"prompt_filter_results": []}\n\n',
    ],
    ids=lambda body: body[:60].decode().strip(),
)
def test_no_progress(body: bytes) -> None:
    """Keep-alives, roles and empty pieces are no progress (rule 6)."""
    reader = OpenAIReader()

    assert [] == reader.feed(body)
    assert not reader.finished


def test_text_of_the_finishing_event() -> None:
    """Text that comes with the finish reason is kept."""
    assert [Delta("Hi", finish_reason="stop", id="c")] == OpenAIReader().feed(
        event({"content": "Hi"}, "stop")
    )


def test_whole_without_done() -> None:
    """A body that ends after the finish reason is a whole answer; `[DONE]` is not asked for."""
    reader = OpenAIReader()
    reader.feed(event({"content": "Hi"}) + event({}, "stop"))

    assert not reader.finished
    assert [] == reader.end()
    assert reader.finished


def test_nothing_after_done() -> None:
    """What follows `[DONE]` is ignored, garbage included."""
    reader = OpenAIReader()
    reader.feed(event({"content": "Hi"}, "stop") + DONE)

    assert reader.finished
    assert [] == reader.feed(event({"content": "more"}) + b"data: garbage\n\n")
    assert [] == reader.end()


def test_last_usage_counts() -> None:
    """A vendor that counts on every event is asked for the last count only, and once."""
    body = event({"content": "a"}, usage={"prompt_tokens": 3, "completion_tokens": 1})
    body += event({}, "stop", usage={"prompt_tokens": 3, "completion_tokens": 2})
    usages = [delta.usage for delta in read(body + DONE) if delta.usage is not None]

    assert [Usage(prompt_tokens=3, completion_tokens=2)] == usages


def test_usage_survives_a_lost_connection() -> None:
    """A connection lost after finish reason and usage costs nothing."""
    reader = OpenAIReader()
    reader.feed(event({"content": "a"}, "stop") + b'data: {"choices": [], "usage": {"prompt_tokens": 3}}\n\n')

    assert [Delta(usage=Usage(prompt_tokens=3), id="c")] == reader.end()


def test_finish_reason_comes_once() -> None:
    """A vendor that repeats the finish reason ends the choice once, by the first."""
    body = event({"content": "a"}) + event({}, "stop") + event({}, "length") + DONE

    assert [None, "stop"] == [delta.finish_reason for delta in read(body)]


def test_id_and_name_come_once() -> None:
    """A vendor that repeats id and name on each fragment does not make them longer."""
    part = {"index": 0, "id": "call_a", "type": "function", "function": {"name": "time", "arguments": "{"}}
    end = {"index": 0, "id": "call_a", "function": {"name": "time", "arguments": "}"}}
    body = event({"tool_calls": [part]}) + event({"tool_calls": [end]}) + event({}, "tool_calls")
    first, second = (delta.tool_calls[0] for delta in read(body)[:2])

    assert ("call_a", "time", "{") == (first.id, first.name, first.arguments)
    assert ("", "", "}") == (second.id, second.name, second.arguments)


def test_late_id() -> None:
    """A call whose id comes after its first fragment stays one call."""
    body = event({"tool_calls": [{"index": 3, "function": {"name": "time", "arguments": "{"}}]})
    body += event({"tool_calls": [{"index": 3, "id": "call_a", "function": {"arguments": "}"}}]})
    calls = assemble(read(body + event({}, "tool_calls"))).tool_calls

    assert (ToolCall("call_a", FunctionCall("time", "{}")),) == calls


@pytest.mark.parametrize("index", [{"index": 0}, {}], ids=["always 0", "none"])
def test_calls_interleave_by_id(index: dict[str, int]) -> None:
    """Without an index that counts, a fragment goes to the call whose id it bears."""
    body = b"".join(
        event(
            {
                "tool_calls": [
                    {**index, "id": call_id, "function": {"name": f"f_{call_id}", "arguments": text}}
                ]
            }
        )
        for call_id, text in [("a", "1"), ("b", "2"), ("c", "3"), ("b", "4"), ("a", "5"), ("c", "6")]
    )
    calls = assemble(read(body + event({}, "tool_calls"))).tool_calls

    assert [("a", "f_a", "15"), ("b", "f_b", "24"), ("c", "f_c", "36")] == [
        (call.id, call.name, call.arguments) for call in calls
    ]


def test_same_id_at_two_indexes() -> None:
    """A vendor whose ids are all alike still has one call per index."""
    parts = [
        {"index": at, "id": "call", "function": {"name": name, "arguments": "{}"}}
        for at, name in enumerate(["time", "weather"])
    ]
    calls = assemble(read(event({"tool_calls": parts}, "tool_calls"))).tool_calls

    assert ["time", "weather"] == [call.name for call in calls]


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ({"error": {"message": "slow", "code": 429}}, RateLimited),
        ({"error": {"message": "x", "code": "429"}}, RateLimited),
        ({"error": {"message": "x", "type": "server_error", "code": None}}, ServerFault),
        ({"error": "went wrong"}, ServerFault),
        ({"error": {"message": "x", "code": "content_filter"}}, ContentFiltered),
        ({"error": True}, ServerFault),
    ],
)
@pytest.mark.parametrize(
    "before", [b"", event({"content": "Hi"}), event({}, "stop")], ids=["first", "mid", "end"]
)
def test_error_at_any_place(said: dict[str, Any], kind: type[AttemptError], before: bytes) -> None:
    """An error in the stream is raised at any place, by its own code."""
    reader = OpenAIReader()
    reader.feed(before)

    with pytest.raises(kind):
        reader.feed(b"data: " + orjson.dumps(said) + b"\n\n")


@pytest.mark.parametrize(
    "delta",
    [{"content": 5}, {"content": {"text": "x"}}, {"tool_calls": {"id": "x"}}, {"tool_calls": ["x"]}],
    ids=str,
)
def test_wrong_types(delta: dict[str, Any]) -> None:
    """Content and calls of a wrong type are a bad answer, whose text does not quote them."""
    with pytest.raises(BadAnswer):
        OpenAIReader().feed(event(delta, model="m"))


@pytest.mark.parametrize("delta", [{}, {"content": ""}, {"tool_calls": []}, {"reasoning": "hm"}], ids=str)
def test_promised_calls_that_are_not_there(delta: dict[str, Any]) -> None:
    """An end for the sake of tool calls, without one and without a text, is no answer; as in a plain one."""
    reader = OpenAIReader()
    reader.feed(event(delta, model="m") + event({}, "tool_calls"))

    with pytest.raises(BadAnswer, match="ends with tool_calls and has none"):
        reader.feed(b"data: [DONE]\n\n")

    spoke = OpenAIReader()
    spoke.feed(event({"content": "text"}, model="m") + event({}, "tool_calls") + b"data: [DONE]\n\n")
    assert spoke.finished


def test_unlimited_event() -> None:
    """An event without end is refused instead of kept."""
    reader = OpenAIReader()
    reader.feed(b"x" * 2**23)

    with pytest.raises(BadAnswer, match="larger than"):
        reader.feed(b"x")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "choices",
                    "delta",
                    "index",
                    "finish_reason",
                    "content",
                    "tool_calls",
                    "usage",
                    "error",
                    "id",
                    "code",
                ]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)


@given(
    json_values
    | st.dictionaries(st.just("choices"), st.lists(st.dictionaries(st.just("delta"), json_values)))
)
def test_any_json(said: Any) -> None:
    """Whatever JSON comes, it is read or it is one of our errors."""
    reader = OpenAIReader()
    try:
        reader.feed(b"data: " + orjson.dumps(said) + b"\n\n")
        reader.end()
    except AttemptError:
        assert not reader.finished


@pytest.mark.parametrize("name", ["text", "tools", "two_choices", "refusal"])
def test_beside_the_sdk(name: str) -> None:
    """What the official SDK's own types read out of a stream is what we read."""
    body = (WIRE / f"{name}.sse").read_bytes()
    chunks = [
        ChatCompletionChunk.model_validate_json(block[6:])
        for block in body.split(b"\n\n")
        if block.startswith(b"data: {")
    ]
    theirs = [choice for chunk in chunks for choice in chunk.choices]
    ours = read(body)

    assert "".join(choice.delta.content or "" for choice in theirs) == "".join(delta.text for delta in ours)
    assert [choice.finish_reason for choice in theirs if choice.finish_reason] == [
        delta.finish_reason for delta in ours if delta.finish_reason
    ]
    assert [
        (part.index, part.function.arguments)
        for choice in theirs
        for part in choice.delta.tool_calls or ()
        if part.function is not None
    ] == [(part.index, part.arguments) for delta in ours for part in delta.tool_calls]
