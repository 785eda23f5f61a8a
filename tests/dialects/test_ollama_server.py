"""Ollama's server side: what it takes, what it refuses, and what its own client side reads of it."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from fallbackio._draft import assemble
from fallbackio.dialects import DIALECTS, deltas_of
from fallbackio.dialects.ollama._embedding import OllamaEmbedding
from fallbackio.errors import BadAnswer, InvalidRequest
from fallbackio.model import (
    Choice,
    Delta,
    EmbeddingRequest,
    Embeddings,
    FunctionCall,
    Message,
    Reply,
    Request,
    ToolCall,
    ToolCallDelta,
    Usage,
)

CLIENT = DIALECTS["ollama"].client
SERVER = DIALECTS["ollama"].server
EMBEDDING = OllamaEmbedding()

Fields = dict[str, Any]

ASKED = Request(messages=({"role": "user", "content": "Hi"},), model="qwen3:8b")
FUNCTION: Fields = {"name": "f", "parameters": {"type": "object"}}


def body(*messages: Any, **fields: Any) -> bytes:
    said = list(messages) or [{"role": "user", "content": "Hi"}]
    return orjson.dumps({"model": "m", "messages": said, **fields})


def user(content: Any, **more: Any) -> Fields:
    return {"role": "user", "content": content, **more}


def calling(*names: str, **more: Any) -> Fields:
    calls = [{"function": {"name": name, "arguments": {}}, **more} for name in names]
    return {"role": "assistant", "content": "", "tool_calls": calls}


def result(**more: Any) -> Fields:
    return {"role": "tool", "content": "5", **more}


REFUSED: dict[str, bytes] = {
    "nothing": b"",
    "no json": b"{",
    "no object": b"[]",
    "no model": orjson.dumps({"messages": [user("Hi")]}),
    "model of another kind": body(model=7),
    "no messages": orjson.dumps({"model": "m"}),
    "empty messages": body(messages=[]),
    "message of another kind": body("Hi"),
    "stream of another kind": body(stream="yes"),
    "role": body({"role": "developer", "content": "x"}),
    "no role": body({"content": "x"}),
    "parts": body(user([{"type": "text", "text": "x"}])),
    "image with a prefix": body(user("x", images=["data:image/png;base64,iVBORw0KGgo="])),
    "image of another kind": body(user("x", images=[7])),
    "images of another kind": body(user("x", images="x")),
    "thinking of another kind": body({"role": "assistant", "thinking": ["x"]}),
    "call without a name": body({"role": "assistant", "tool_calls": [{"function": {"arguments": {}}}]}),
    "arguments as text": body(
        {"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": "{}"}}]}
    ),
    "result without a call": body(user("Hi"), result(tool_name="f")),
    "result of another tool": body(user("Hi"), calling("f"), result(tool_name="g")),
    "two results": body(user("Hi"), calling("f"), result(), result()),
    "tools of another kind": body(tools={}),
    "tool without a name": body(tools=[{"type": "function", "function": {}}]),
    "tool with odd parameters": body(tools=[{"function": {"name": "f", "parameters": []}}]),
    "options of another kind": body(options=[]),
    "temperature as text": body(options={"temperature": "1"}),
    "limit as flag": body(options={"num_predict": True}),
    "stop as text": body(options={"stop": "x"}),
    "format": body(format="xml"),
    "format of another kind": body(format=7),
    "think": body(think="minimal"),
    "think of another kind": body(think=7),
    "top_logprobs": body(top_logprobs=21),
    "logprobs": body(logprobs=1),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str) -> None:
    """What Ollama's server cannot read is refused with a 400."""
    with pytest.raises(InvalidRequest) as raised:
        SERVER.read(REFUSED[name])

    assert raised.value.status == 400


def test_it_streams_unless_told_not_to() -> None:
    """A request that does not say how it wants its answer gets a stream."""
    assert (True, True, False) == tuple(
        SERVER.read(said).stream for said in (body(), body(stream=None), body(stream=False))
    )


@pytest.mark.parametrize(
    ("fields", "params"),
    [
        ({"think": True}, {"reasoning_effort": "medium"}),
        ({"think": False}, {"reasoning_effort": "none"}),
        ({"think": "max"}, {"reasoning_effort": "max"}),
        ({"format": ""}, {}),
        ({"options": {"num_predict": -1, "num_ctx": 5, "seed": None}}, {"options": {"num_ctx": 5}}),
        ({"brand_new": 1}, {"brand_new": 1}),
        (
            {"tools": [{"function": FUNCTION}]},
            {"tools": [{"type": "function", "function": FUNCTION}]},
        ),
    ],
    ids=repr,
)
def test_params(fields: Fields, params: Fields) -> None:
    """Fields and options become OpenAI's; what is unknown passes, as it does at Ollama."""
    assert params == SERVER.read(body(**fields)).params


@pytest.mark.parametrize(
    ("results", "ids"),
    [
        ([result(tool_name="g"), result(tool_name="f")], ["call_1_1", "call_1_0"]),
        ([result(), result()], ["call_1_0", "call_1_1"]),
        ([result(tool_call_id="call_1_1"), result(tool_name="f")], ["call_1_1", "call_1_0"]),
    ],
    ids=["by name", "in order", "by id"],
)
def test_results_find_their_calls(results: list[Fields], ids: list[str]) -> None:
    """Calls without ids get one, and a result the one of its call."""
    heard = SERVER.read(body(user("Hi"), calling("f", "g"), *results)).messages

    assert ["call_1_0", "call_1_1"] == [call["id"] for call in heard[1]["tool_calls"]]
    assert ids == [message["tool_call_id"] for message in heard[2:]]


@pytest.mark.parametrize(
    ("data", "kind"),
    [("iVBORw0KGgo=", "png"), ("/9j/4AAQ", "jpeg"), ("UklGRg==", "webp"), ("R0lGODlh", "png")],
)
def test_images(data: str, kind: str) -> None:
    """Bare base64 becomes a data URL of the type that its first bytes show."""
    heard = SERVER.read(body(user("", images=[data]))).messages[0]

    assert [{"type": "image_url", "image_url": {"url": f"data:image/{kind};base64,{data}"}}] == (
        heard["content"]
    )


def test_thinking_is_heard() -> None:
    """A turn's thinking is its reasoning."""
    heard = SERVER.read(body(user("Hi"), {"role": "Assistant", "content": "x", "thinking": "t"})).messages[1]

    assert {"role": "assistant", "content": "x", "reasoning_content": "t"} == heard


SAID = Message(
    "Hm.",
    (ToolCall("a", FunctionCall("f", '{"x":1}')), ToolCall("b", FunctionCall("g", "{}"))),
    reasoning="let me",
    extra={"provider_state": {"dialect": "ollama", "model": "qwen3:8b", "thinking": "let me"}},
)
REPLY = Reply(
    model="qwen3:8b",
    choices=(Choice(SAID, "tool_calls"),),
    usage=Usage(prompt_tokens=9, completion_tokens=4),
    created=1787338102,
)


def streamed(reply: Reply) -> bytes:
    writer = SERVER.writer(reply, ASKED)
    pieces = [writer.ping() + writer.write(delta) for delta in deltas_of(reply)]
    return writer.start() + b"".join(pieces) + writer.finish(reply)


def test_plain_round_trip() -> None:
    """A plain answer is read as it was said."""
    heard = CLIENT.decode(SERVER.write(REPLY, ASKED))

    assert (REPLY.choices, REPLY.usage, REPLY.model, REPLY.created) == (
        heard.choices,
        heard.usage,
        heard.model,
        heard.created,
    )


def test_stream_round_trip() -> None:
    """A streamed answer is read as it was said, line by line."""
    wire = streamed(REPLY)

    assert REPLY == assemble(CLIENT.reader().feed(wire))
    assert all(orjson.loads(line)["model"] == "qwen3:8b" for line in wire.splitlines())


def test_calls_go_out_whole() -> None:
    """Fragments of a call are held back until it is whole, and other content waits for it."""
    writer = SERVER.writer(REPLY, ASKED)

    assert b"" == writer.write(Delta(tool_calls=(ToolCallDelta(0, "a", "f"),)))
    assert b"" == writer.write(Delta(tool_calls=(ToolCallDelta(0, arguments='{"x":'),)))
    assert b"" == writer.write(Delta(tool_calls=(ToolCallDelta(0, arguments="1}"),)))
    first, second = [orjson.loads(line)["message"] for line in writer.write(Delta("then")).splitlines()]
    assert [{"id": "a", "function": {"index": 0, "name": "f", "arguments": {"x": 1}}}] == first["tool_calls"]
    assert "then" == second["content"]


@pytest.mark.parametrize(
    ("reason", "word"), [("stop", "stop"), ("length", "length"), ("tool_calls", "stop"), ("odd", "odd")]
)
def test_finish_reasons(reason: str, word: str) -> None:
    """Ollama has no word for an end with calls; the others are OpenAI's."""
    answer = orjson.loads(
        SERVER.write(Reply(choices=(Choice(Message("x", refusal="!"), reason),), model="m"), ASKED)
    )

    assert (word, True, "x!") == (answer["done_reason"], answer["done"], answer["message"]["content"])


def test_garbled_arguments() -> None:
    """Arguments that a model garbled go out as the empty object, since there is no other form."""
    for arguments in ("{", "[]"):
        said = Message(None, (ToolCall("", FunctionCall("f", arguments)),))
        answer = orjson.loads(SERVER.write(Reply(choices=(Choice(said),)), ASKED))
        assert [{"function": {"index": 0, "name": "f", "arguments": {}}}] == answer["message"]["tool_calls"]


def test_no_choices() -> None:
    """A reply without choices is written as an answer that no client takes."""
    with pytest.raises(BadAnswer):
        CLIENT.decode(SERVER.write(Reply(), ASKED))


def test_malformed() -> None:
    """A simulated outage's line is refused by the client."""
    writer = SERVER.writer(REPLY, ASKED)
    with pytest.raises(BadAnswer):
        CLIENT.reader().feed(writer.start() + writer.malformed())


def test_embeddings_round_trip() -> None:
    """Vectors are read as they were written."""
    request = EmbeddingRequest.of(["a", "b"], {})
    given = Embeddings(vectors=((0.5, 1.0), (0.25, -1.0)), model="m", usage=Usage(prompt_tokens=2))

    assert given == EMBEDDING.decode(EMBEDDING.write(given, request))


@pytest.mark.parametrize(
    "fields", [{"input": 7}, {"input": [7]}, {"input": []}, {"model": ""}, {"input": None}], ids=repr
)
def test_refused_embeddings(fields: Fields) -> None:
    """What Ollama's server cannot read is refused with a 400."""
    with pytest.raises(InvalidRequest) as raised:
        EMBEDDING.read(orjson.dumps({"model": "m", "input": "a", **fields}))

    assert raised.value.status == 400


def test_one_text() -> None:
    """A single text needs no list."""
    assert ("a",) == EMBEDDING.read(b'{"model":"m","input":"a"}').inputs
