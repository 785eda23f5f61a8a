"""Ollama's answers, read.

The bodies in `tests/wire/ollama` follow its documentation; its own SDK must read them as we do.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest
from attrs import frozen
from hypothesis import given
from hypothesis import strategies as st
from ollama import ChatResponse, EmbedResponse

from fallbackio._draft import assemble
from fallbackio.dialects import DIALECTS, deltas_of
from fallbackio.dialects._ndjson import LineDecoder
from fallbackio.dialects.ollama._embedding import OllamaEmbedding
from fallbackio.errors import AttemptError, BadAnswer, ServerFault
from fallbackio.model import Delta, Reply, Usage

CLIENT = DIALECTS["ollama"].client
EMBEDDING = OllamaEmbedding()
WIRE = Path(__file__).parent.parent / "wire" / "ollama"
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


COUNTED = Usage(prompt_tokens=26, completion_tokens=282)


@frozen
class Answer:
    """What an answer should add up to."""

    text: str = ""
    finish: str = "stop"
    calls: tuple[tuple[str, str], ...] = ()
    reasoning: str | None = None
    usage: Usage = COUNTED


TOOLS = Answer(finish="tool_calls", calls=(("weather", '{"city":"Oslo"}'),) * 2, reasoning="Hm.")

ANSWERS = {
    "text.ndjson": Answer("Grüße aus Oslo"),
    "old.ndjson": Answer("Grüße aus Oslo"),
    "thinking.ndjson": Answer("Four.", finish="length", reasoning="Let me think."),
    "tools.ndjson": TOOLS,
    "text.json": Answer("Grüße aus Oslo"),
    "tools.json": TOOLS,
}


def answer_of(reply: Reply) -> Answer:
    return Answer(
        text=reply.text,
        finish=reply.finish_reason,
        calls=tuple((call.name, call.arguments) for call in reply.tool_calls),
        reasoning=reply.message.reasoning,
        usage=reply.usage,
    )


@pytest.mark.parametrize("name", [name for name in ANSWERS if name.endswith(".ndjson")])
@pytest.mark.parametrize("step", STEPS)
def test_stream(name: str, step: int) -> None:
    """However the network cuts it, a streamed answer adds up to the same."""
    reply = assemble(read(recorded(name), step))

    assert ANSWERS[name] == answer_of(reply)
    assert ("qwen3:8b", 1787338102) == (reply.model, reply.created)


@pytest.mark.parametrize("name", [name for name in ANSWERS if name.endswith(".json")])
def test_plain(name: str) -> None:
    """A plain answer says the same, and read as deltas it still does."""
    reply = CLIENT.decode(recorded(name))

    assert ANSWERS[name] == answer_of(reply) == answer_of(assemble(deltas_of(reply)))
    assert ("qwen3:8b", 1787338102) == (reply.model, reply.created)
    assert 4883583458 == reply.extra["total_duration"]


@pytest.mark.parametrize("name", ["tools.json", "tools.ndjson"])
def test_call_ids(name: str) -> None:
    """A call without an id gets one that is its own and always the same; one of Ollama's is kept."""
    first, second = (
        (CLIENT.decode(recorded(name)) if name == "tools.json" else assemble(read(recorded(name))))
        for _ in range(2)
    )
    made, given = [call.id for call in first.tool_calls]

    assert first.tool_calls == second.tool_calls
    assert "call_srv1" == given
    assert made.startswith("call_")
    assert made != given


def test_call_ids_differ_within_a_conversation() -> None:
    """The same call twice in an answer, or in a later one, has another id."""
    call = {"function": {"name": "f", "arguments": {}}}

    def ids(instant: str) -> list[str]:
        said = {"message": {"tool_calls": [call, call]}, "done": True, "created_at": instant}
        return [one.id for one in CLIENT.decode(orjson.dumps(said)).tool_calls]

    assert 4 == len({*ids("2026-08-21T18:48:22.1Z"), *ids("2026-08-21T18:48:22.2Z")})


def test_thinking_is_kept_for_the_next_turn() -> None:
    """Reasoning is kept with the model that gave it."""
    kept = {"dialect": "ollama", "model": "qwen3:8b", "thinking": "Let me think."}

    assert kept == assemble(read(recorded("thinking.ndjson"))).message.extra["provider_state"]


@pytest.mark.parametrize("name", [name for name in ANSWERS if name != "old.ndjson"])
def test_the_sdk_reads_alike(name: str) -> None:
    """Ollama's own types find the same text, thinking, calls, finish reason and usage."""
    parts = [ChatResponse(**orjson.loads(line)) for line in recorded(name).splitlines()]
    calls = [call.function for part in parts for call in part.message.tool_calls or []]
    ours = ANSWERS[name]

    assert ours.text == "".join(part.message.content or "" for part in parts)
    assert (ours.reasoning or "") == "".join(part.message.thinking or "" for part in parts)
    assert ours.calls == tuple((call.name, orjson.dumps(call.arguments).decode()) for call in calls)
    assert parts[-1].done_reason == ("length" if ours.finish == "length" else "stop")
    assert ours.usage == Usage(
        prompt_tokens=parts[-1].prompt_eval_count or 0, completion_tokens=parts[-1].eval_count or 0
    )


@pytest.mark.parametrize("name", ["text.ndjson", "thinking.ndjson", "tools.ndjson", "cut.ndjson"])
def test_a_cut_stream_is_a_break(name: str) -> None:
    """Without the line that is done no stream is an answer, wherever it was cut."""
    body = recorded(name)
    end = body.find(b'"done": true')
    for cut in range(0, end if end >= 0 else len(body), 7):
        with pytest.raises(BadAnswer):
            read(body[:cut])


def test_only_the_last_line_break_is_missing() -> None:
    """A last line without its break is whole if its JSON is."""
    assert ANSWERS["text.ndjson"] == answer_of(assemble(read(recorded("text.ndjson").rstrip())))


def test_an_error_in_the_stream() -> None:
    """A line with an error is raised as what it says."""
    with pytest.raises(ServerFault, match="llama runner process has terminated"):
        read(recorded("error.ndjson"))


def test_logprobs() -> None:
    """Log probabilities come in OpenAI's form."""
    entry = {"token": "x", "logprob": -0.5, "top_logprobs": []}
    said = {"message": {"content": "x"}, "done": True, "logprobs": [entry]}

    assert [entry] == CLIENT.decode(orjson.dumps(said)).choices[0].extra["logprobs"]["content"]


@pytest.mark.parametrize(
    "body",
    [
        b"{nope\n",
        b"[]\n",
        b"null\n",
        b"{}\n",
        b'{"done":1}\n',
        b'{"done":"true"}\n',
        b'{"done":true,"done_reason":"load"}\n',
        b'{"done":true,"done_reason":7}\n',
        b'{"message":"x","done":false}\n',
        b'{"message":{"content":7},"done":false}\n',
        b'{"message":{"thinking":7},"done":false}\n',
        b'{"message":{"tool_calls":[{}]},"done":false}\n',
        b'{"message":{"tool_calls":7},"done":false}\n',
        b'{"model":7,"done":false}\n',
        b'{"message":{"tool_calls":[{"function":{"name":"f","arguments":' + b"[" * 300 + b"]" * 300 + b"}}]}"
        b',"done":true}\n',
        b"",
        b"\n\n",
        b"<html>busy</html>",
        b'data: {"done":true}\n\n',
    ],
)
def test_broken_streams(body: bytes) -> None:
    """What contradicts the format is a bad answer, and so is a whole one of that shape."""
    with pytest.raises(BadAnswer):
        read(body)
    with pytest.raises(BadAnswer):
        CLIENT.decode(body)


def test_a_model_that_was_only_loaded() -> None:
    """An answer that only says that the model was loaded is none."""
    with pytest.raises(BadAnswer, match="loaded"):
        CLIENT.decode(recorded("load.json"))


def test_an_error_in_a_plain_answer() -> None:
    """An error inside a 200 is raised as what it says."""
    with pytest.raises(ServerFault, match="oops"):
        CLIENT.decode(b'{"error":"oops"}')


def test_odd_instants() -> None:
    """An instant that is none changes nothing."""
    for instant in (7, "soon", "2026-08-21T18:48:22", "0001-01-01T00:00:00+23:59"):
        said = {"created_at": instant, "message": {"content": "x"}, "done": True}
        assert ("x", True) == (CLIENT.decode(orjson.dumps(said)).text, True)


def test_embeddings() -> None:
    """Vectors come in the order of the texts, with what they cost, as the SDK reads them."""
    embeddings = EMBEDDING.decode(recorded("embed.json"))
    theirs = EmbedResponse(**orjson.loads(recorded("embed.json")))

    assert ((0.5, -1.0, 0.25), (0.0, 0.125, 1.0)) == embeddings.vectors
    assert [list(vector) for vector in embeddings.vectors] == theirs.embeddings
    assert ("all-minilm", Usage(prompt_tokens=8)) == (embeddings.model, embeddings.usage)


@pytest.mark.parametrize(
    "body", [b"", b"{}", b'{"embeddings":7}', b'{"embeddings":[7]}', b'{"embeddings":[["x"]]}']
)
def test_broken_embeddings(body: bytes) -> None:
    """What holds no vectors is a bad answer."""
    with pytest.raises(BadAnswer):
        EMBEDDING.decode(body)


def test_lines() -> None:
    """Blank lines yield nothing, and the rest is what came after the last break."""
    decoder = LineDecoder()

    assert [b"a", b"b"] == decoder.feed(b"a\r\n\n \nb\nc")
    assert ([], [b"cd"]) == (decoder.feed(b"d"), decoder.feed(b"\n"))
    assert b"" == decoder.rest()


@pytest.mark.parametrize("chunks", [[b"12345"], [b"12345\n"], [b"123", b"45"], [b"1\n", b"123", b"45\n"]])
def test_lines_that_are_too_long(chunks: list[bytes]) -> None:
    """A line over the limit is refused however it is cut, and one at the limit is not."""
    decoder = LineDecoder(max_line_bytes=4)
    assert [b"1234", b"12"] == decoder.feed(b"1234\n12\n")

    with pytest.raises(BadAnswer, match="larger than 4 bytes"):
        for chunk in chunks:
            decoder.feed(chunk)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
_FIELDS = st.sampled_from(
    ["model", "created_at", "message", "done", "done_reason", "error", "eval_count", "logprobs"]
)
_MESSAGE = st.dictionaries(st.sampled_from(["role", "content", "thinking", "tool_calls"]), _JSON)


@given(st.dictionaries(_FIELDS, _JSON | _MESSAGE, max_size=6), _JSON, st.binary(max_size=20))
def test_nothing_breaks_the_readers(fields: Fields, anything: Any, noise: bytes) -> None:
    """Any bytes in place of an answer are read or refused, and nothing else happens."""
    for wire in (orjson.dumps({"done": True, **fields}), orjson.dumps(anything), noise):
        for step in (read, CLIENT.decode, EMBEDDING.decode):
            try:
                step(wire)
            except AttemptError:
                pass


@given(st.data())
def test_no_bytes_break_the_reader(data: st.DataObject) -> None:
    """Spoilt and cut bytes give an answer or an error of ours, the same however they are cut."""
    body = bytearray(recorded(data.draw(st.sampled_from([name for name in ANSWERS if "nd" in name]))))
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
