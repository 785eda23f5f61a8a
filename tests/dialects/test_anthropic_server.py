"""Anthropic's dialect as a server speaks it, alone and against our own client."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fallbackio._draft import assemble
from fallbackio.dialects import DIALECTS, deltas_of
from fallbackio.dialects.anthropic._thinking import signature, state
from fallbackio.endpoint import Endpoint
from fallbackio.errors import AttemptError, BadAnswer, InvalidRequest, Overloaded
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

CLIENT = DIALECTS["anthropic"].client
SERVER = DIALECTS["anthropic"].server
ENDPOINT = Endpoint("claude-sonnet-4-5", base_url="http://localhost")
ASKED = Request(messages=(), model="claude-sonnet-4-5")

Fields = dict[str, Any]


def text(said: str) -> Fields:
    return {"type": "text", "text": said}


def use(call_id: str = "a", **given: Any) -> Fields:
    return {"type": "tool_use", "id": call_id, "name": "f", "input": {}, **given}


def result(call_id: str = "a", **given: Any) -> Fields:
    return {"type": "tool_result", "tool_use_id": call_id, **given}


def user(*content: Any) -> Fields:
    return {"role": "user", "content": content[0] if isinstance(content[0], str) else list(content)}


def assistant(*content: Any) -> Fields:
    return {**user(*content), "role": "assistant"}


def asked(*messages: Fields, **fields: Any) -> Request:
    """What the server makes of a request."""
    said: Fields = {"model": "m", "max_tokens": 5, "messages": list(messages) or [user("Hi")], **fields}
    return SERVER.read(orjson.dumps({name: value for name, value in said.items() if value != "absent"}))


def test_read() -> None:
    """A request is understood in OpenAI's terms."""
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "eA=="}}
    request = asked(
        user("Hi"),
        assistant(
            {"type": "thinking", "thinking": "hm", "signature": "s"}, text("Look."), use(input={"x": 1})
        ),
        user(result(content=[text("one"), image], is_error=True), text("Go on")),
        system=[text("A")],
        stream=True,
        top_k=5,
    )

    assert ("m", True) == (request.model, request.stream)
    assert {"max_tokens": 5, "top_k": 5} == request.params
    assert (
        {"role": "system", "content": "A"},
        {"role": "user", "content": "Hi"},
        {
            "role": "assistant",
            "content": "Look.",
            "tool_calls": [
                {"id": "a", "type": "function", "function": {"name": "f", "arguments": '{"x":1}'}}
            ],
            **state("m", [{"type": "thinking", "thinking": "hm", "signature": "s"}]),
        },
        {
            "role": "tool",
            "tool_call_id": "a",
            "content": [
                text("one"),
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,eA=="}},
            ],
            "is_error": True,
        },
        {"role": "user", "content": "Go on"},
    ) == request.messages


THINKING: Fields = {"thinking": {"type": "enabled", "budget_tokens": 2048}, "max_tokens": 9000}

BAD_FIELDS: dict[str, Fields] = {
    "no model": {"model": "absent"},
    "no limit": {"max_tokens": "absent"},
    "limit of nothing": {"max_tokens": 0},
    "limit is true": {"max_tokens": True},
    "limit is text": {"max_tokens": "5"},
    "no messages": {"messages": []},
    "messages are text": {"messages": "Hi"},
    "OpenAI's field": {"seed": 7},
    "stream is text": {"stream": "yes"},
    "temperature above": {"temperature": 1.5},
    "temperature is text": {"temperature": "hot"},
    "blank stop": {"stop_sequences": ["\n"]},
    "system is a number": {"system": 5},
    "blank system": {"system": [text(" ")]},
    "tools are an object": {"tools": {}},
    "tool without schema": {"tools": [{"name": "f"}]},
    "schema of another type": {"tools": [{"name": "f", "input_schema": {"type": "array"}}]},
    "OpenAI's tool": {"tools": [{"type": "custom", "function": {"name": "f"}}]},
    "tool's name": {"tools": [{"name": "a b", "input_schema": {"type": "object"}}]},
    "choice without tools": {"tool_choice": {"type": "auto"}},
    "OpenAI's choice": {"tool_choice": "auto"},
    "unknown choice": {
        "tools": [{"name": "f", "input_schema": {"type": "object"}}],
        "tool_choice": {"type": "required"},
    },
    "thinking of another kind": {"thinking": {"type": "on"}},
    "thinking on a small budget": {
        "thinking": {"type": "enabled", "budget_tokens": 1023},
        "max_tokens": 9000,
    },
    "thinking beyond the limit": {
        "thinking": {"type": "enabled", "budget_tokens": 2048},
        "max_tokens": 2048,
    },
    "thinking and a prefill": {**THINKING, "messages": [user("Hi"), assistant("It is")]},
    "thinking and a forced tool": {
        **THINKING,
        "tools": [{"name": "f", "input_schema": {"type": "object"}}],
        "tool_choice": {"type": "any"},
    },
    "thinking on in a loop without": {
        **THINKING,
        "messages": [user("Hi"), assistant(use()), user(result())],
    },
    "format without schema": {"output_config": {"format": {"type": "json_schema"}}},
}


@pytest.mark.parametrize("fields", BAD_FIELDS.values(), ids=[name.replace(" ", "-") for name in BAD_FIELDS])
def test_fields_are_checked(fields: Fields) -> None:
    """What Anthropic would refuse with a 400 is refused here."""
    with pytest.raises(InvalidRequest) as raised:
        asked(**fields)

    assert 400 == raised.value.status


BAD_TURNS: dict[str, list[Fields]] = {
    "unknown role": [{"role": "tool", "content": "Hi"}],
    "no role": [{"content": "Hi"}],
    "no content": [{"role": "user"}],
    "empty content": [user("")],
    "no blocks": [{"role": "user", "content": []}],
    "blank text": [user(text(" "))],
    "OpenAI's part": [user({"type": "image_url", "image_url": {"url": "https://a"}})],
    "OpenAI's calls": [user("Hi"), {"role": "assistant", "content": "x", "tool_calls": []}],
    "image without source": [user({"type": "image"})],
    "system turn first": [{"role": "system", "content": "A"}, user("Hi")],
    "system turn before a user's": [user("Hi"), {"role": "system", "content": "A"}, user("Ho")],
    "white space at the end": [user("Hi"), assistant("It is ")],
    "empty turn in the middle": [user("Hi"), assistant(""), user("Ho")],
    "illegal id": [user("Hi"), assistant(use("a:1")), user(result("a:1"))],
    "input is text": [user("Hi"), assistant(use(input="{}")), user(result())],
    "call without name": [user("Hi"), assistant(use(name="")), user(result())],
    "call without result": [user("Hi"), assistant(use()), user("Ho")],
    "call at the end": [user("Hi"), assistant(use())],
    "one of two results": [user("Hi"), assistant(use("a"), use("b")), user(result("a"))],
    "result without call": [user(result())],
    "result too late": [user("Hi"), assistant(use()), user(result()), assistant("x"), user(result())],
    "result after text": [user("Hi"), assistant(use()), user(text("x"), result())],
    "one id for two calls": [user("Hi"), assistant(use(), use()), user(result())],
    "one id in two turns": [
        user("Hi"),
        assistant(use()),
        user(result()),
        assistant(use()),
        user(result()),
    ],
    "two results": [user("Hi"), assistant(use()), user(result(), result())],
    "call by the user": [user(use())],
    "thinking without signature": [
        user("Hi"),
        assistant({"type": "thinking", "thinking": "hm"}, text("x")),
        user("Ho"),
    ],
    "thinking that was changed": [
        user("Hi"),
        assistant({"type": "thinking", "thinking": "ha", "signature": signature("hm")}, text("x")),
        user("Ho"),
    ],
    "redacted thinking without data": [
        user("Hi"),
        assistant({"type": "redacted_thinking"}, text("x")),
        user("Ho"),
    ],
    "thinking by the user": [user({"type": "thinking", "thinking": "hm", "signature": "s"})],
    "image by the assistant": [user("Hi"), assistant({"type": "image", "source": {}})],
}


@pytest.mark.parametrize("turns", BAD_TURNS.values(), ids=[name.replace(" ", "-") for name in BAD_TURNS])
def test_turns_are_checked(turns: list[Fields]) -> None:
    """Roles, blank text and the pairing of calls and results are as strict as documented."""
    with pytest.raises(InvalidRequest):
        asked(*turns)


GOOD_TURNS: dict[str, list[Fields]] = {
    "results over two user turns": [
        user("Hi"),
        assistant(use("a"), use("b")),
        user(result("b")),
        user(result("a"), text("x")),
    ],
    "thinking": [
        user("Hi"),
        assistant(
            {"type": "thinking", "thinking": "hm", "signature": signature("hm")},
            {"type": "redacted_thinking", "data": "EmwK"},
            use(),
        ),
        user(result()),
    ],
    "an assistant in two turns": [user("Hi"), assistant("Look."), assistant(use()), user(result())],
    "empty prefill": [user("Hi"), assistant("")],
    "system turn": [user("Hi"), {"role": "system", "content": "A"}, assistant("x")],
    "assistant first": [assistant("Hi"), user("Ho")],
}


@pytest.mark.parametrize("turns", GOOD_TURNS.values(), ids=[name.replace(" ", "-") for name in GOOD_TURNS])
def test_turns_that_are_allowed(turns: list[Fields]) -> None:
    """What Anthropic accepts is accepted."""
    assert asked(*turns).messages


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b"\xff"])
def test_bodies_are_checked(body: bytes) -> None:
    """What is no JSON object is no request."""
    with pytest.raises(InvalidRequest):
        SERVER.read(body)


_ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-9, 9)
    | st.sampled_from(["", " ", "user", "a", "text", "tool_use"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["role", "content", "type", "id", "text", "input"]), inner)
    ),
    max_leaves=8,
)
_NAMES = st.sampled_from(["messages", "system", "tools", "tool_choice", "metadata", "output_config", "model"])


@given(st.dictionaries(_NAMES, _ANYTHING))
def test_no_request_breaks_the_server(fields: Fields) -> None:
    """Any JSON in place of a request is read or refused."""
    try:
        asked(**fields)
    except InvalidRequest:
        pass


WORDS = st.text(min_size=1, max_size=8).map(str.strip).filter(bool)
JSON_OBJECTS = st.dictionaries(st.text(max_size=4), st.integers(-5, 5) | WORDS, max_size=2)
PARTS = st.one_of(
    WORDS.map(text),
    st.sampled_from(["https://a/b.png", "data:image/webp;base64,eA=="]).map(
        lambda url: {"type": "image_url", "image_url": {"url": url}}
    ),
    st.just({"type": "file", "file": {"file_data": "data:application/pdf;base64,eA==", "filename": "a.pdf"}}),
)
CONTENTS = WORDS | st.lists(PARTS, min_size=2, max_size=3)


@st.composite
def conversations(draw: st.DrawFn) -> list[Fields]:
    """Whole conversations in the form that the server gives them."""
    said: list[Fields] = [{"role": "system", "content": draw(WORDS)}] if draw(st.booleans()) else []
    for turn in range(draw(st.integers(0, 3))):
        said.append({"role": "user", "content": draw(CONTENTS)})
        content = draw(WORDS)
        ids = [f"call_{turn}_{n}" for n in range(draw(st.integers(0, 3)))]
        if not ids:
            said.append({"role": "assistant", "content": content})
            continue
        functions = [{"name": "f", "arguments": orjson.dumps(draw(JSON_OBJECTS)).decode()} for _ in ids]
        calls = [
            {"id": i, "type": "function", "function": function}
            for i, function in zip(ids, functions, strict=True)
        ]
        said.append({"role": "assistant", "content": draw(st.none() | WORDS), "tool_calls": calls})
        said += [
            {"role": "tool", "tool_call_id": i, "content": draw(CONTENTS | st.just(""))} for i in ids[::-1]
        ]
    said.append({"role": "user", "content": draw(CONTENTS)})
    return said


@given(conversations())
def test_conversations_keep_their_meaning(said: list[Fields]) -> None:
    """What a client says in OpenAI's terms, Anthropic's strict server hears word for word."""
    assert tuple(said) == SERVER.read(CLIENT.encode(Request.of(said, {}), ENDPOINT)).messages


TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}, "description": "d"}}


@pytest.mark.parametrize(
    "params",
    [
        {"max_tokens": 7, "temperature": 0.5, "stop": ["END"], "user": "u", "top_k": 3},
        {"tools": [TOOL], "tool_choice": "auto"},
        {"tools": [TOOL], "tool_choice": "none"},
        {"tools": [TOOL], "tool_choice": "required", "parallel_tool_calls": False},
        {"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "f"}}},
        {
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "answer", "schema": {"type": "object"}},
            }
        },
    ],
    ids=["sampling", "auto", "none", "required", "named", "schema"],
)
@pytest.mark.parametrize("stream", [False, True])
def test_parameters_keep_their_meaning(params: Fields, stream: bool) -> None:
    """Parameters come out of the server as they went into the client."""
    request = Request.of("Hi", params, stream=stream)
    heard = SERVER.read(CLIENT.encode(request, ENDPOINT))

    assert {"max_tokens": 8192, **params} == heard.params
    assert ("claude-sonnet-4-5", stream) == (heard.model, heard.stream)


def test_effort_keeps_its_meaning() -> None:
    """Reasoning effort is heard, with the thinking that it switches on."""
    request = Request.of("Hi", {"reasoning_effort": "high"})
    heard = SERVER.read(CLIENT.encode(request, Endpoint("claude-opus-4-6", base_url="http://localhost")))

    assert {"max_tokens": 8192, "reasoning_effort": "high", "thinking": {"type": "adaptive"}} == heard.params


CALLS = st.builds(
    ToolCall,
    st.from_regex(r"[a-zA-Z0-9_-]{1,8}", fullmatch=True),
    st.builds(FunctionCall, WORDS, JSON_OBJECTS.map(lambda said: orjson.dumps(said).decode())),
)
TEXTS = st.none() | st.text(min_size=1)


@st.composite
def replies(draw: st.DrawFn) -> Reply:
    calls = draw(st.lists(CALLS, max_size=3).map(tuple))
    content = draw(TEXTS) or (None if calls else "")
    # Of an answer that says nothing a filter leaves no answer.
    reasons = ["tool_calls"] if calls else ["stop", "length", *(["content_filter"] if content else [])]
    fresh, cached, written, said, reasoned = sorted(
        draw(st.tuples(*[st.integers(1, 10**6)] * 5)), reverse=True
    )
    model, thought = draw(WORDS), draw(TEXTS)
    blocks = [{"type": "thinking", "thinking": thought, "signature": signature(thought)}] if thought else []
    message = Message(content, calls, reasoning=thought, extra=state(model, blocks))
    return Reply(
        id=draw(WORDS),
        model=model,
        choices=(Choice(message, draw(st.sampled_from(reasons))),),
        usage=Usage(
            prompt_tokens=fresh + cached + written,
            cached_tokens=cached,
            cache_write_tokens=written,
            completion_tokens=said,
            reasoning_tokens=reasoned,
        ),
    )


@given(replies())
def test_a_plain_answer_survives_the_wire(reply: Reply) -> None:
    """What the server writes, the client reads."""
    assert reply == CLIENT.decode(SERVER.write(reply, ASKED))


@given(replies(), st.integers(1, 200), st.booleans())
def test_a_streamed_answer_survives_the_wire(reply: Reply, step: int, pings: bool) -> None:
    """What the server streams, the client reads, however the bytes are cut and with pings between."""
    wire = b"".join(streamed(reply, pings=pings))
    reader = CLIENT.reader()
    deltas: list[Delta] = []
    for begin in range(0, len(wire), step):
        deltas += reader.feed(wire[begin : begin + step])

    assert reader.finished
    assert reply == assemble(deltas + reader.end())


def streamed(reply: Reply, *, pings: bool = False) -> list[bytes]:
    writer = SERVER.writer(reply, ASKED)
    wire = [writer.start()]
    for delta in deltas_of(reply):
        wire += [writer.ping()] * pings + [writer.write(delta)]
    return [*wire, writer.finish(reply)]


def events(wire: bytes) -> list[Fields]:
    """The events of a stream; each one's name is its data's type."""
    found: list[Fields] = []
    for block in wire.decode().removesuffix("\n\n").split("\n\n"):
        name, data = block.split("\n")
        found.append(orjson.loads(data.removeprefix("data: ")))
        assert f"event: {found[-1]['type']}" == name
    return found


def test_the_order_of_events() -> None:
    """Blocks come one after another, numbered from 0, each begun and stopped, as Anthropic sends them."""
    reply = Reply(
        id="msg_1",
        choices=(Choice(Message("x"), "tool_calls"),),
        usage=Usage(prompt_tokens=9, cached_tokens=4, completion_tokens=3, reasoning_tokens=1),
    )
    writer = SERVER.writer(reply, ASKED)
    said = [
        Delta(reasoning="hm"),
        Delta("Hi"),
        Delta(),
        Delta(" there"),
        Delta(tool_calls=(ToolCallDelta(0, "a", "f"),)),
        Delta(tool_calls=(ToolCallDelta(0, arguments="{}"), ToolCallDelta(1, "b", "g", '{"x":1}'))),
    ]
    wire = writer.start() + b"".join([writer.write(delta) for delta in said]) + writer.finish(reply)

    def begin(index: int, **block: Any) -> Fields:
        return {"type": "content_block_start", "index": index, "content_block": block}

    def piece(index: int, kind: str, **said: str) -> Fields:
        return {"type": "content_block_delta", "index": index, "delta": {"type": kind, **said}}

    def stop(index: int) -> Fields:
        return {"type": "content_block_stop", "index": index}

    counted = {"cache_creation_input_tokens": 0, "cache_read_input_tokens": 4, "input_tokens": 5}
    assert [
        {
            "type": "message_start",
            "message": {
                "id": "msg_1",
                "type": "message",
                "role": "assistant",
                "model": "claude-sonnet-4-5",
                "content": [],
                "stop_reason": None,
                "stop_sequence": None,
                "usage": {**counted, "output_tokens": 0, "output_tokens_details": {"thinking_tokens": 0}},
            },
        },
        begin(0, type="thinking", thinking="", signature=""),
        piece(0, "thinking_delta", thinking="hm"),
        piece(0, "signature_delta", signature=signature("hm")),
        stop(0),
        begin(1, type="text", text=""),
        piece(1, "text_delta", text="Hi"),
        piece(1, "text_delta", text=" there"),
        stop(1),
        begin(2, type="tool_use", id="a", name="f", input={}),
        piece(2, "input_json_delta", partial_json=""),
        piece(2, "input_json_delta", partial_json="{}"),
        stop(2),
        begin(3, type="tool_use", id="b", name="g", input={}),
        piece(3, "input_json_delta", partial_json='{"x":1}'),
        stop(3),
        {
            "type": "message_delta",
            "delta": {"stop_reason": "tool_use", "stop_sequence": None},
            "usage": {**counted, "output_tokens": 3, "output_tokens_details": {"thinking_tokens": 1}},
        },
        {"type": "message_stop"},
    ] == events(wire)


def test_what_shows_nothing_writes_nothing() -> None:
    """A delta without content opens no block, and a start or a ping shows the client nothing."""
    writer = SERVER.writer(Reply(), ASKED)

    assert b"" == writer.write(Delta(finish_reason="stop", usage=Usage(prompt_tokens=1)))
    assert [] == CLIENT.reader().feed(writer.start() + writer.ping())


def test_a_fragment_of_an_earlier_call_is_refused() -> None:
    """Blocks cannot be interleaved, so losing a fragment silently is not an option."""
    writer = SERVER.writer(Reply(), ASKED)
    writer.write(Delta(tool_calls=(ToolCallDelta(0, "a", "f"), ToolCallDelta(1, "b", "g"))))

    with pytest.raises(ValueError, match="tool call 0"):
        writer.write(Delta(tool_calls=(ToolCallDelta(0, arguments="{}"),)))


def test_refusals_are_text() -> None:
    """A model's own refusal has no block of its own and is said in the text."""
    reply = Reply(choices=(Choice(Message(None, refusal="No.")),))

    assert "No." == CLIENT.decode(SERVER.write(reply, ASKED)).text
    assert b'"text":"No."' in SERVER.writer(reply, ASKED).write(Delta(refusal="No."))


@pytest.mark.parametrize("arguments", ['{"x": ', "[1]", ""])
def test_garbled_arguments(arguments: str) -> None:
    """Arguments that are no object cannot be written, and become the empty one."""
    reply = Reply(choices=(Choice(Message(None, (ToolCall("a", FunctionCall("f", arguments)),))),))

    assert "{}" == CLIENT.decode(SERVER.write(reply, ASKED)).tool_calls[0].arguments


def test_simulated_outages() -> None:
    """Errors in-band, malformed events and answers without choices are what our client takes them for."""
    writer = SERVER.writer(Reply(), ASKED)
    faults: list[tuple[bytes, type[AttemptError]]] = [
        (writer.error(Overloaded("Busy")), Overloaded),
        (writer.malformed(), BadAnswer),
    ]
    for wire, kind in faults:
        with pytest.raises(kind):
            CLIENT.reader().feed(writer.start() + wire)
    with pytest.raises(BadAnswer):
        CLIENT.decode(SERVER.write(Reply(), ASKED))
