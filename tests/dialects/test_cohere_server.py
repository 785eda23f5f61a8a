"""Cohere's server side: what it takes, what it refuses, and what its own client side reads of it."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from attrs import evolve

from fallbackio._draft import assemble
from fallbackio.dialects import DIALECTS, deltas_of
from fallbackio.dialects.cohere._embedding import CohereEmbedding
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

CLIENT = DIALECTS["cohere"].client
SERVER = DIALECTS["cohere"].server
EMBEDDING = CohereEmbedding()

Fields = dict[str, Any]

ASKED = Request(messages=({"role": "user", "content": "Hi"},), model="command-a-03-2025")
FUNCTION: Fields = {"name": "f", "parameters": {"type": "object"}}
TOOL: Fields = {"type": "function", "function": FUNCTION}
CALL: Fields = {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}


def body(*messages: Any, **fields: Any) -> bytes:
    said = list(messages) or [{"role": "user", "content": "Hi"}]
    return orjson.dumps({"model": "m", "messages": said, **fields})


def user(content: Any, **more: Any) -> Fields:
    return {"role": "user", "content": content, **more}


CALLED: Fields = {"role": "assistant", "tool_calls": [CALL]}
RESULT: Fields = {"role": "tool", "tool_call_id": "a", "content": "5"}

REFUSED: dict[str, bytes] = {
    "no json": b"{",
    "no object": b"[]",
    "unknown field": body(n=1),
    "no model": orjson.dumps({"messages": [user("Hi")]}),
    "empty model": body(model=""),
    "no messages": orjson.dumps({"model": "m"}),
    "empty messages": body(messages=[]),
    "messages of another kind": body(messages="Hi"),
    "message of another kind": body("Hi"),
    "stream of another kind": body(stream="yes"),
    "role": body({"role": "developer", "content": "x"}),
    "role of another kind": body({"role": [], "content": "x"}),
    "later instructions": body(user("Hi"), {"role": "system", "content": "x"}),
    "only instructions": body({"role": "system", "content": "x"}),
    "empty turn": body(user("")),
    "blank turn": body(user(" ")),
    "no parts": body(user([])),
    "null content": body(user(None)),
    "part of another kind": body(user(["x"])),
    "unknown part": body(user([{"type": "file"}])),
    "blank part": body(user([{"type": "text", "text": " "}])),
    "image in instructions": body(
        {"role": "system", "content": [{"type": "image_url", "image_url": {"url": "https://x"}}]}, user("Hi")
    ),
    "image without url": body(user([{"type": "image_url", "image_url": {}}])),
    "image by http": body(user([{"type": "image_url", "image_url": {"url": "http://x"}}])),
    "name": body(user("Hi", name="Ada")),
    "empty assistant": body(user("Hi"), {"role": "assistant", "content": ""}),
    "refusal": body(user("Hi"), {"role": "assistant", "content": "No", "refusal": "No"}),
    "call without id": body(user("Hi"), {"role": "assistant", "tool_calls": [{**CALL, "id": ""}]}),
    "call without type": body(user("Hi"), {"role": "assistant", "tool_calls": [{**CALL, "type": None}]}),
    "call without arguments": body(
        user("Hi"), {"role": "assistant", "tool_calls": [{**CALL, "function": {"name": "f"}}]}
    ),
    "two calls of one id": body(user("Hi"), {"role": "assistant", "tool_calls": [CALL, CALL]}),
    "result without call": body(user("Hi"), RESULT),
    "two results": body(user("Hi"), CALLED, RESULT, RESULT),
    "result without id": body(user("Hi"), CALLED, {"role": "tool", "content": "5"}),
    "document without data": body(
        user("Hi"), CALLED, {**RESULT, "content": [{"type": "document", "document": {}}]}
    ),
    "temperature": body(temperature=1.5),
    "p": body(p=1.0),
    "penalty": body(frequency_penalty=-0.5),
    "penalty of another kind": body(presence_penalty="x"),
    "limit": body(max_tokens=0),
    "half a limit": body(max_tokens=1.5),
    "seed": body(seed=-1),
    "stops of another kind": body(stop_sequences="x"),
    "six stops": body(stop_sequences=list("abcdef")),
    "tools of another kind": body(tools={}),
    "tool of another kind": body(tools=["x"]),
    "tool without type": body(tools=[{"function": FUNCTION}]),
    "tool without parameters": body(tools=[{"type": "function", "function": {"name": "f"}}]),
    "tool name": body(tools=[{"type": "function", "function": {**FUNCTION, "name": "get-x"}}]),
    "strict inside": body(tools=[{"type": "function", "function": {**FUNCTION, "strict": True}}]),
    "strict without required": body(tools=[TOOL], strict_tools=True),
    "choice": body(tools=[TOOL], tool_choice="auto"),
    "choice without tools": body(tool_choice="REQUIRED"),
    "format": body(response_format={"type": "json_schema"}),
    "schema": body(response_format={"type": "json_object", "json_schema": {"type": "array"}}),
    "thinking": body(thinking={"type": "on"}),
    "budget": body(thinking={"type": "enabled", "token_budget": 0}),
    "logprobs": body(logprobs=1),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str) -> None:
    """What Cohere documents as wrong is refused with a 400."""
    with pytest.raises(InvalidRequest) as raised:
        SERVER.read(REFUSED[name])

    assert raised.value.status == 400


def test_what_only_cohere_has() -> None:
    """Plans, thinking, documents and fields of Cohere's own are taken."""
    heard = SERVER.read(
        body(
            user("Hi"),
            {**CALLED, "tool_plan": "p", "content": [{"type": "thinking", "thinking": "t"}]},
            {**RESULT, "content": [{"type": "document", "document": {"data": {"t": 5}}}]},
            k=3,
            documents=["d"],
            thinking={"type": "enabled", "token_budget": 5000},
            tools=[TOOL],
            tool_choice="NONE",
        )
    )

    assert ("tp", [CALL]) == (heard.messages[1]["reasoning_content"], heard.messages[1]["tool_calls"])
    assert {
        "k": 3,
        "documents": ["d"],
        "reasoning_effort": "medium",
        "tools": [TOOL],
        "tool_choice": "none",
    } == heard.params


CITATION = {"start": 0, "end": 2, "text": "Hm", "sources": []}
SAID = Message(
    "Hm.",
    (ToolCall("a", FunctionCall("f", '{"x":1}')), ToolCall("b", FunctionCall("g", "{}"))),
    reasoning="let me",
    extra={
        "citations": [CITATION],
        "provider_state": {"dialect": "cohere", "model": "", "thinking": "let me"},
    },
)
REPLY = Reply(
    id="r1",
    choices=(Choice(SAID, "tool_calls"),),
    usage=Usage(prompt_tokens=9, completion_tokens=4, cached_tokens=2),
)


def streamed(reply: Reply) -> bytes:
    writer = SERVER.writer(reply, ASKED)
    pieces = [writer.ping() + writer.write(delta) for delta in deltas_of(reply)]
    return writer.start() + b"".join(pieces) + writer.finish(reply)


def test_plain_round_trip() -> None:
    """A plain answer is read as it was said."""
    assert REPLY == CLIENT.decode(SERVER.write(REPLY, ASKED))


def test_stream_round_trip() -> None:
    """A streamed answer is read as it was said, without its citations being lost."""
    assert REPLY == assemble(CLIENT.reader().feed(streamed(REPLY)))


def test_a_plan() -> None:
    """A plan that Cohere had given goes out as one."""
    kept = {"dialect": "cohere", "model": "", "tool_plan": "first"}
    said = evolve(SAID, reasoning="first", extra={"provider_state": kept})
    wire = SERVER.write(evolve(REPLY, choices=(Choice(said, "tool_calls"),)), ASKED)

    assert "first" == orjson.loads(wire)["message"]["tool_plan"]
    assert said == CLIENT.decode(wire).message


@pytest.mark.parametrize(("reason", "word"), [("stop", "COMPLETE"), ("length", "MAX_TOKENS"), ("odd", "odd")])
def test_finish_reasons(reason: str, word: str) -> None:
    """OpenAI's reasons become Cohere's words."""
    reply = Reply(id="r", choices=(Choice(Message("x", refusal="!"), reason),))
    answer = orjson.loads(SERVER.write(reply, ASKED))

    assert (word, "x!") == (answer["finish_reason"], answer["message"]["content"][0]["text"])
    assert reason == assemble(CLIENT.reader().feed(streamed(reply))).finish_reason


def test_no_choices() -> None:
    """A reply without choices is written as an answer that no client takes."""
    with pytest.raises(BadAnswer):
        CLIENT.decode(SERVER.write(Reply(), ASKED))


def test_malformed() -> None:
    """A simulated outage's event is refused by the client."""
    writer = SERVER.writer(REPLY, ASKED)
    with pytest.raises(BadAnswer):
        CLIENT.reader().feed(writer.start() + writer.malformed())


def test_a_late_fragment() -> None:
    """A call that has been closed takes no more arguments."""
    writer = SERVER.writer(REPLY, ASKED)
    writer.write(Delta(tool_calls=(ToolCallDelta(0, "a", "f"),)))
    writer.write(Delta("text"))

    with pytest.raises(ValueError, match="tool call 0"):
        writer.write(Delta(tool_calls=(ToolCallDelta(0, arguments="x"),)))


def test_embeddings_round_trip() -> None:
    """Vectors are read as they were written."""
    request = EmbeddingRequest.of(["a", "b"], {})
    given = Embeddings(vectors=((0.5, 1.0), (0.25, -1.0)), usage=Usage(prompt_tokens=2))

    assert given == EMBEDDING.decode(EMBEDDING.write(given, request))


@pytest.mark.parametrize(
    "fields",
    [
        {"texts": []},
        {"texts": ["a"] * 97},
        {"texts": [""]},
        {"texts": "a"},
        {"input_type": None},
        {"input_type": "search"},
        {"embedding_types": ["int8"]},
        {"model": None},
        {"dimensions": 3},
    ],
    ids=repr,
)
def test_refused_embeddings(fields: Fields) -> None:
    """What Cohere documents as wrong is refused with a 400."""
    asked = {"model": "m", "texts": ["a"], "input_type": "search_query", **fields}
    with pytest.raises(InvalidRequest) as raised:
        EMBEDDING.read(orjson.dumps(asked))

    assert raised.value.status == 400
