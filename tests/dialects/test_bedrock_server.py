"""Converse on the server's side: what it refuses, and that both sides mean the same."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fallbackio._draft import assemble
from fallbackio.dialects import DIALECTS, deltas_of
from fallbackio.endpoint import Endpoint
from fallbackio.errors import BadAnswer, InvalidRequest
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

DIALECT = DIALECTS["bedrock"]
CLIENT, SERVER = DIALECT.client, DIALECT.server
CLAUDE = "us.anthropic.claude-opus-4-6-v1"
PNG = "data:image/png;base64,iVBORw0KGgo="
PDF = "data:application/pdf;base64,JVBERi0x"

Fields = dict[str, Any]


def user(*blocks: Any) -> Fields:
    return {"role": "user", "content": list(blocks or [{"text": "Hi"}])}


def assistant(*blocks: Any) -> Fields:
    return {"role": "assistant", "content": list(blocks or [{"text": "Ho"}])}


def use(call_id: str = "a", **more: Any) -> Fields:
    return {"toolUse": {"toolUseId": call_id, "name": "f", "input": {}, **more}}


def result(call_id: str = "a", **more: Any) -> Fields:
    return {"toolResult": {"toolUseId": call_id, "content": [{"text": "5"}], **more}}


def image(**more: Any) -> Fields:
    return {"image": {"format": "png", "source": {"bytes": "AAAA"}, **more}}


def document(**more: Any) -> Fields:
    return {"document": {"format": "pdf", "name": "a", "source": {"bytes": "AAAA"}, **more}}


def spec(**more: Any) -> Fields:
    return {"toolSpec": {"name": "f", "inputSchema": {"json": {"type": "object"}}, **more}}


def tools(*given: Any, **more: Any) -> Fields:
    return {"toolConfig": {"tools": list(given or [spec()]), **more}}


def read(*messages: Any, model: str = CLAUDE, **body: Any) -> Request:
    return SERVER.read(orjson.dumps({"messages": list(messages or [user()]), **body}), model)


REFUSED: dict[str, tuple[list[Any], Fields]] = {
    "unknown member": ([], {"modelId": "m"}),
    "no messages": ([[]], {}),
    "assistant first": ([assistant()], {}),
    "two of one role": ([user(), user()], {}),
    "system role": ([user(), {"role": "system", "content": [{"text": "x"}]}], {}),
    "member of a message": ([{**user(), "name": "x"}], {}),
    "content as a string": ([{"role": "user", "content": "Hi"}], {}),
    "empty content": ([{"role": "user", "content": []}], {}),
    "blank text": ([user({"text": " \n"})], {}),
    "empty text": ([user({"text": ""})], {}),
    "two members in a block": ([user({"text": "a", "image": {}})], {}),
    "unknown block": ([user({"novelty": {}})], {}),
    "call of a user": ([user(use())], tools()),
    "image of an assistant": ([user(), assistant(image())], {}),
    "image format": ([user(image(format="tiff"))], {}),
    "image bytes": ([user(image(source={"bytes": "=A"}))], {}),
    "image source": ([user(image(source={"url": "https://x"}, extra=1))], {}),
    "document alone": ([user(document())], {}),
    "document name": ([user({"text": "x"}, document(name="a.pdf"))], {}),
    "document names": ([user({"text": "x"}, document(), document())], {}),
    "document format": ([user({"text": "x"}, document(format="exe"))], {}),
    "system as a string": ([], {"system": "Be brief."}),
    "blank system": ([], {"system": [{"text": ""}]}),
    "system image": ([], {"system": [image()]}),
    "call without a result": ([user(), assistant(use()), user()], tools()),
    "call at the end": ([user(), assistant(use())], tools()),
    "result without a call": ([user(result())], tools()),
    "result twice": ([user(), assistant(use()), user(result(), result())], tools()),
    "call twice": ([user(), assistant(use(), use()), user(result())], tools()),
    "no toolConfig": ([user(), assistant(use()), user(result())], {}),
    "call id": ([user(), assistant(use("a/b")), user(result("a/b"))], tools()),
    "long call id": ([user(), assistant(use("a" * 65)), user(result("a" * 65))], tools()),
    "call name": ([user(), assistant(use(name="f g")), user(result())], tools()),
    "call input": ([user(), assistant(use(input="{}")), user(result())], tools()),
    "result status": ([user(), assistant(use()), user(result(status="ok"))], tools()),
    "result content": ([user(), assistant(use()), user(result(content="5"))], tools()),
    "blank result": ([user(), assistant(use()), user(result(content=[{"text": ""}]))], tools()),
    "reasoning": ([user(), assistant({"reasoningContent": {"text": "hm"}}), user()], {}),
    "no tools": ([], {"toolConfig": {"tools": []}}),
    "tool name": ([], tools(spec(name="f g"))),
    "tool description": ([], tools(spec(description=""))),
    "tool schema": ([], tools(spec(inputSchema={"json": {"type": "array"}}))),
    "tool strict": ([], tools(spec(strict="yes"))),
    "OpenAI's tool": ([], tools({"type": "function", "function": {"name": "f"}})),
    "choice none": ([], tools(toolChoice={"none": {}})),
    "choice of no tool": ([], tools(toolChoice={"tool": {"name": "g"}})),
    "maxTokens": ([], {"inferenceConfig": {"maxTokens": 0}}),
    "temperature": ([], {"inferenceConfig": {"temperature": 1.1}}),
    "topP": ([], {"inferenceConfig": {"topP": True}}),
    "topK": ([], {"inferenceConfig": {"topK": 5}}),
    "stop": ([], {"inferenceConfig": {"stopSequences": [""]}}),
    "schema as an object": (
        [],
        {
            "outputConfig": {
                "textFormat": {"type": "json_schema", "structure": {"jsonSchema": {"schema": {}}}}
            }
        },
    ),
    "schema is no JSON": (
        [],
        {
            "outputConfig": {
                "textFormat": {"type": "json_schema", "structure": {"jsonSchema": {"schema": "{"}}}
            }
        },
    ),
    "no metadata": ([], {"requestMetadata": {}}),
    "metadata value": ([], {"requestMetadata": {"a": "ä"}}),
    "tier": ([], {"serviceTier": {"type": "auto"}}),
}


@pytest.mark.parametrize(("messages", "body"), REFUSED.values(), ids=REFUSED)
def test_refused(messages: list[Any], body: Fields) -> None:
    """What Bedrock documents as invalid is refused as it would be, with a 400."""
    said = messages[0] if messages == [[]] else messages or [user()]

    with pytest.raises(InvalidRequest) as raised:
        SERVER.read(orjson.dumps({"messages": said, **body}), CLAUDE)

    assert (400, "ValidationException") == (raised.value.status, raised.value.code)


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"messages": 5}'])
def test_no_request(body: bytes) -> None:
    """What is no request at all is refused."""
    with pytest.raises(InvalidRequest):
        SERVER.read(body, CLAUDE)


def test_what_is_read() -> None:
    """Members without a counterpart at OpenAI are kept, and the path says model and stream."""
    guard = {"guardrailIdentifier": "g", "guardrailVersion": "1"}
    body = {"messages": [user({"text": "Hi"}, {"cachePoint": {"type": "default"}})], "guardrailConfig": guard}

    request = SERVER.read(orjson.dumps(body), CLAUDE, True)

    assert (CLAUDE, True) == (request.model, request.stream)
    assert [{"type": "text", "text": "Hi"}, {"cachePoint": {"type": "default"}}] == (
        request.messages[0]["content"]
    )
    assert {"guardrailConfig": guard} == request.params


CALL = {"id": "a", "type": "function", "function": {"name": "f", "arguments": '{"x":1}'}}
TOOL = {
    "type": "function",
    "function": {
        "name": "f",
        "description": "F.",
        "parameters": {
            "type": "object",
            "properties": {"x": {"$ref": "#/$defs/x"}},
            "$defs": {"x": {"type": "integer"}},
        },
        "strict": True,
    },
}
TALK: list[Fields] = [
    {"role": "system", "content": "Be brief."},
    {
        "role": "user",
        "content": [
            {"type": "text", "text": "Look"},
            {"type": "image_url", "image_url": {"url": PNG}},
            {"type": "file", "file": {"file_data": PDF, "filename": "report.pdf"}},
            {"type": "input_audio", "input_audio": {"format": "wav", "data": "AAAA"}},
        ],
    },
    {"role": "assistant", "content": "Let me see.", "tool_calls": [CALL, {**CALL, "id": "b"}]},
    {"role": "tool", "tool_call_id": "a", "content": "5"},
    {"role": "tool", "tool_call_id": "b", "content": "no such x", "is_error": True},
    {"role": "user", "content": "So?"},
    {"role": "assistant", "content": "Five."},
    {"role": "user", "content": "Thanks"},
]


def through(params: Fields, messages: Any = None, model: str = CLAUDE) -> Request:
    """A request of ours as the other side reads it."""
    endpoint = Endpoint(model, base_url="https://bedrock-runtime.us-east-1.amazonaws.com")
    return SERVER.read(CLIENT.encode(Request.of(messages or TALK, params), endpoint), model)


def test_a_conversation_keeps_its_meaning() -> None:
    """A conversation with images, files, sound, parallel calls and results comes through unchanged."""
    assert TALK == [*through({"tools": [TOOL]}).messages]


@pytest.mark.parametrize(
    "params",
    [
        {"max_tokens": 5, "temperature": 0.5, "stop": ["a", "b"]},
        {"tools": [TOOL]},
        {"tools": [TOOL], "tool_choice": "auto"},
        {"tools": [TOOL], "tool_choice": "required"},
        {"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "f"}}},
        {"tools": [TOOL], "tool_choice": "required", "parallel_tool_calls": False},
        {"user": "u-1", "metadata": {"a": "b"}, "service_tier": "flex"},
        {"reasoning_effort": "high"},
        {"top_k": 5},
        {
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "n", "schema": {"type": "object"}, "description": "N."},
            }
        },
    ],
    ids=lambda params: ", ".join(params),
)
def test_parameters_keep_their_meaning(params: Fields) -> None:
    """What our client writes, our server reads as the same parameters."""
    assert params == through(params, "Hi").params


REPLIES = {
    "text": Reply(
        choices=(Choice(Message("Hello"), "stop"),),
        usage=Usage(prompt_tokens=9, completion_tokens=3, cached_tokens=4, reasoning_tokens=1),
    ),
    "calls": Reply(
        choices=(
            Choice(
                Message(
                    "Look",
                    (
                        ToolCall("a", FunctionCall("f", '{"x":1}')),
                        ToolCall("b", FunctionCall("g", "{}")),
                    ),
                    reasoning="hm",
                ),
                "tool_calls",
            ),
        ),
        usage=Usage(prompt_tokens=9, completion_tokens=3),
    ),
    "only calls": Reply(
        choices=(Choice(Message(None, (ToolCall("a", FunctionCall("f", "{}")),)), "tool_calls"),)
    ),
    "length": Reply(choices=(Choice(Message("Hel"), "length"),)),
    "filtered": Reply(choices=(Choice(Message("Hel"), "content_filter"),)),
}


@pytest.mark.parametrize("reply", REPLIES.values(), ids=REPLIES)
def test_answers_keep_their_meaning(reply: Reply) -> None:
    """What our server writes, our client reads as the same answer, whole or streamed."""
    request = Request.of("Hi", {})
    writer = SERVER.writer(reply, request)
    wire = writer.start() + b"".join([writer.ping() + writer.write(delta) for delta in deltas_of(reply)])
    reader = CLIENT.reader()

    whole = CLIENT.decode(SERVER.write(reply, request))
    streamed = assemble(reader.feed(wire + writer.finish(reply)))

    assert reader.finished
    assert reply == whole.__class__(choices=whole.choices, usage=whole.usage)
    assert (reply.message, reply.finish_reason, reply.usage) == (
        streamed.message,
        streamed.finish_reason,
        streamed.usage,
    )


def test_signed_reasoning_goes_round() -> None:
    """An answer's signed reasoning comes back to a Claude as it was, and its server takes it."""
    kept = [{"reasoningText": {"text": "hm", "signature": "s"}}]
    extra = {"provider_state": {"dialect": "bedrock", "model": "", "reasoning": kept}}
    reply = Reply(choices=(Choice(Message("42", reasoning="hm", extra=extra), "stop"),))

    message = CLIENT.decode(SERVER.write(reply, Request.of("Hi", {}))).message
    endpoint = Endpoint(CLAUDE, base_url="https://bedrock-runtime.us-east-1.amazonaws.com")
    body = CLIENT.encode(Request.of([{"role": "user", "content": "Hi"}, message], {}), endpoint)

    assert reply.message == message
    assert b'{"reasoningContent":{"reasoningText":{"text":"hm","signature":"s"}}}' in body
    assert "42" == SERVER.read(body, CLAUDE).messages[1]["content"]


def test_a_refusal_goes_out_as_text() -> None:
    """Converse has no block for a refusal."""
    reply = Reply(choices=(Choice(Message(None, refusal="No."), "stop"),))

    assert "No." == CLIENT.decode(SERVER.write(reply, Request.of("Hi", {}))).text


def test_no_choices() -> None:
    """A reply without choices is no whole answer."""
    with pytest.raises(BadAnswer):
        CLIENT.decode(SERVER.write(Reply(), Request.of("Hi", {})))


def test_a_late_fragment() -> None:
    """A fragment of a call whose block is closed is a mistake of who writes."""
    writer = SERVER.writer(REPLIES["calls"], Request.of("Hi", {}))
    writer.write(Delta(tool_calls=(ToolCallDelta(0, "a", "f"),)))
    writer.write(Delta("text"))

    with pytest.raises(ValueError, match="tool call 0"):
        writer.write(Delta(tool_calls=(ToolCallDelta(0, arguments="{}"),)))


def test_malformed() -> None:
    """What stands for a broken event has a checksum that does not match."""
    with pytest.raises(BadAnswer, match="ChecksumMismatch"):
        CLIENT.reader().feed(SERVER.writer(REPLIES["text"], Request.of("Hi", {})).malformed())


_NAMES = st.sampled_from(
    [
        "messages", "role", "content", "text", "toolUse", "toolUseId", "toolResult", "input", "image",
        "document", "source", "bytes", "format", "name", "system", "toolConfig", "tools", "toolSpec",
        "inputSchema", "json", "toolChoice", "tool", "auto", "inferenceConfig", "outputConfig",
        "additionalModelRequestFields", "requestMetadata", "tool_choice", "output_config", "type",
    ]
)  # fmt: skip
_LEAVES = (
    st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from(["user", "assistant", "a", "", "png"])
)
_JSON = st.recursive(
    _LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES, inner, max_size=3),
    max_leaves=12,
)


@given(body=_JSON, more=st.dictionaries(_NAMES, _JSON, max_size=3))
def test_arbitrary_requests(body: Any, more: Fields) -> None:
    """Whatever JSON comes, it is read or refused with our own error."""
    for said in (body, {"messages": [user()], **more}, {"messages": [user(body)], **more}):
        try:
            request = SERVER.read(orjson.dumps(said), CLAUDE)
        except InvalidRequest:
            continue
        assert request.messages
