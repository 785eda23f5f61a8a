"""Gemini's server side: what it refuses, and what a client of ours makes of what it writes."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fallbackio._draft import assemble
from fallbackio.dialects import DIALECTS, deltas_of
from fallbackio.endpoint import Endpoint
from fallbackio.errors import BadAnswer, InvalidRequest, Overloaded
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

CLIENT = DIALECTS["gemini"].client
SERVER = DIALECTS["gemini"].server

FLASH = "gemini-2.5-flash"
PRO = "gemini-3-pro-preview"

HI = {"role": "user", "parts": [{"text": "Hi"}]}
CALL = {"functionCall": {"name": "f", "args": {}}}
SIGNED = {**CALL, "thoughtSignature": "c2ln"}
CALLS = {"role": "model", "parts": [CALL]}
ANSWER = {"functionResponse": {"name": "f", "response": {"output": "x"}}}
ANSWERS = {"role": "user", "parts": [ANSWER]}
DECLARED: dict[str, Any] = {"tools": [{"functionDeclarations": [{"name": "f"}]}]}


def at(model: str) -> Endpoint:
    return Endpoint(model, base_url="http://test")


def read(model: str = FLASH, **body: Any) -> Request:
    return SERVER.read(orjson.dumps({"contents": [HI], **body}), model, False)


def config(**said: Any) -> dict[str, Any]:
    return {"generationConfig": said}


def declared(**said: Any) -> dict[str, Any]:
    return {"tools": [{"functionDeclarations": [{"name": "f", **said}]}]}


def calling(**said: Any) -> dict[str, Any]:
    return {"toolConfig": {"functionCallingConfig": said}}


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"contents": []}, "contents are required"),
    ({"contents": [{"role": "assistant", "parts": [{"text": "x"}]}]}, "valid role"),
    ({"contents": [{"role": "user", "parts": []}]}, "parts must not be empty"),
    ({"contents": [{"role": "user", "parts": [{"text": ""}]}]}, "non-empty"),
    ({"contents": [{"role": "user", "parts": [{}]}]}, "oneof"),
    ({"contents": [{"role": "user", "parts": [{"text": "x", **CALL}]}]}, "oneof"),
    ({"contents": [{"role": "user", "parts": [{"type": "text", "text": "x"}]}]}, "Unknown name"),
    (
        {"contents": [{"role": "user", "parts": [{"inlineData": {"mimeType": "image/png", "data": "!"}}]}]},
        "Base64",
    ),
    ({"contents": [CALLS, ANSWERS]}, "immediately after a user turn"),
    ({"contents": [HI, CALLS]}, "function response turn comes"),
    ({"contents": [HI, ANSWERS]}, "immediately after a function call turn"),
    ({"contents": [HI, CALLS, HI]}, "number of function response parts"),
    ({"contents": [HI, CALLS, {"role": "user", "parts": [ANSWER, ANSWER]}]}, "number of function response"),
    ({"contents": [HI, {"role": "user", "parts": [CALL]}]}, "belong into a model turn"),
    (
        {
            "contents": [
                HI,
                CALLS,
                {"role": "user", "parts": [{"functionResponse": {"name": "g", "response": {}}}]},
            ]
        },
        "must be the name",
    ),
    (
        {
            "contents": [
                HI,
                CALLS,
                {"role": "user", "parts": [{"functionResponse": {"name": "f", "response": "x"}}]},
            ]
        },
        "object is required",
    ),
    ({"systemInstruction": "Be brief"}, "object is required"),
    ({"systemInstruction": {"parts": [CALL]}}, "only text"),
    ({"messages": []}, "Unknown name"),
    (config(max_tokens=5), "Unknown name"),
    (config(maxOutputTokens=0), "from 1"),
    (config(temperature=2.5), "from 0 to 2"),
    (config(topP="1"), "number"),
    (config(stopSequences=list("abcdef")), "at most 5"),
    (config(candidateCount=9), "from 1 to 8"),
    (config(logprobs=3), "response_logprobs"),
    (config(responseJsonSchema={}), "application/json"),
    (config(responseMimeType="text/html"), "mimetypes"),
    (
        config(responseMimeType="application/json", responseSchema={}, responseJsonSchema={}),
        "only one of",
    ),
    (config(responseMimeType="application/json", responseSchema={"const": 1}), "Unknown name"),
    (config(thinkingConfig={"thinkingBudget": 1, "thinkingLevel": "LOW"}), "only one"),
    (config(thinkingConfig={"thinkingLevel": "LOTS"}), "enumeration"),
    (declared(name="1st"), "Must start with a letter"),
    (declared(parameters={"type": "dict"}), "enumeration"),
    (declared(parameters={"type": "ARRAY"}), "missing field"),
    (declared(parameters={"type": "OBJECT", "properties": {}}), "non-empty"),
    (declared(parameters={}, parametersJsonSchema={}), "mutually exclusive"),
    ({"tools": [{"functionDeclarations": [{"name": "f"}, {"name": "f"}]}]}, "Duplicate"),
    ({**DECLARED, **calling(mode="MUST")}, "enumeration"),
    ({**DECLARED, **calling(mode="AUTO", allowedFunctionNames=["f"])}, "ANY or VALIDATED"),
    ({**DECLARED, **calling(mode="ANY", allowedFunctionNames=["g"])}, "not declared"),
    (calling(mode="ANY"), "no function declarations"),
    ({**DECLARED, **config(responseMimeType="application/json")}, "unsupported"),
]


@pytest.mark.parametrize(("body", "says"), REFUSED, ids=[f"{n}-{case[1]}" for n, case in enumerate(REFUSED)])
def test_refused(body: dict[str, Any], says: str) -> None:
    """What Google documents as a 400 is one."""
    with pytest.raises(InvalidRequest, match=says) as raised:
        read(**body)
    assert (400, "INVALID_ARGUMENT") == (raised.value.status, raised.value.code)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"3"])
def test_no_requests(body: bytes) -> None:
    """A body that is no JSON object is a 400."""
    with pytest.raises(InvalidRequest):
        SERVER.read(body, FLASH, False)


@pytest.mark.parametrize(
    ("model", "parts", "after", "accepted"),
    [
        (PRO, [SIGNED, CALL], [], True),
        (PRO, [CALL, SIGNED], [], False),
        (PRO, [CALL, CALL], [HI], True),
        (FLASH, [CALL, CALL], [], True),
    ],
    ids=["first signed", "second signed", "an earlier turn's", "second generation"],
)
def test_signatures_are_wanted(model: str, parts: Any, after: Any, accepted: bool) -> None:
    """From the third generation on the first call of each step of the current turn must be signed."""
    contents = [
        HI,
        {"role": "model", "parts": parts},
        {"role": "user", "parts": [ANSWER, ANSWER]},
        *([{"role": "model", "parts": [{"text": "Done"}]}] if after else []),
        *after,
    ]
    if accepted:
        read(model, contents=contents)
        return
    with pytest.raises(InvalidRequest, match="thought_signature"):
        read(model, contents=contents)


def test_both_spellings() -> None:
    """Names with underscores are taken as well, and enumerations in any case."""
    request = read(
        system_instruction={"parts": [{"text": "S"}]},
        generation_config={"max_output_tokens": 5, "response_mime_type": "application/json"},
        safety_settings=[{"category": "c"}],
    )
    assert {
        "max_tokens": 5,
        "response_format": {"type": "json_object"},
        "safetySettings": [{"category": "c"}],
    } == request.params
    assert "any" not in read(**DECLARED, **calling(mode="any")).params
    assert "required" == read(**DECLARED, **calling(mode="any")).params["tool_choice"]


def test_schemas_of_the_subset() -> None:
    """Google's own schemas become JSON Schema."""
    schema = {
        "type": "OBJECT",
        "properties": {
            "city": {"type": "STRING", "nullable": True, "minLength": "2"},
            "days": {"type": "ARRAY", "items": {"anyOf": [{"type": "INTEGER"}, {"type": "NULL"}]}},
        },
        "required": ["city"],
        "propertyOrdering": ["city", "days"],
    }
    (tool,) = read(**declared(parameters=schema)).params["tools"]

    assert {
        "type": "object",
        "properties": {
            "city": {"type": ["string", "null"], "minLength": 2},
            "days": {"type": "array", "items": {"anyOf": [{"type": "integer"}, {"type": "null"}]}},
        },
        "required": ["city"],
    } == tool["function"]["parameters"]


def test_results_find_their_calls_by_id() -> None:
    """Where calls have ids the results may come in any order."""
    calls = [{"functionCall": {"name": name, "args": {}, "id": name * 2}} for name in "fg"]
    results = [
        {"functionResponse": {"name": name, "id": name * 2, "response": {"output": name}}} for name in "gf"
    ]
    messages = read(
        contents=[HI, {"role": "model", "parts": calls}, {"role": "user", "parts": results}]
    ).messages

    assert [("ff", "f"), ("gg", "g")] == [(m["tool_call_id"], m["content"]) for m in messages[2:]]


TEXTS = st.text(min_size=1, max_size=12)
ARGUMENTS = st.dictionaries(st.text(max_size=4), st.integers(-9, 9) | st.text(max_size=4), max_size=2)


@st.composite
def conversations(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Turns of a user, answers, calls with their results in any order."""
    messages: list[dict[str, Any]] = []
    for turn in range(draw(st.integers(1, 4))):
        messages.append({"role": "user", "content": draw(TEXTS)})
        count = draw(st.integers(0, 3))
        if count:
            ids = [f"id {turn}/{n}" for n in range(count)]
            calls = [
                {
                    "id": call_id,
                    "type": "function",
                    "function": {
                        "name": draw(st.sampled_from("fgh")),
                        "arguments": orjson.dumps(draw(ARGUMENTS)).decode(),
                    },
                }
                for call_id in ids
            ]
            messages.append({"role": "assistant", "content": draw(st.none() | TEXTS), "tool_calls": calls})
            for call_id in draw(st.permutations(ids)):
                messages.append({"role": "tool", "tool_call_id": call_id, "content": draw(TEXTS)})
        messages.append({"role": "assistant", "content": draw(TEXTS)})
    return messages


def told(messages: Any) -> list[Any]:
    """What a conversation says, whatever its calls are called and in whatever order they are answered."""
    said: list[Any] = []
    order: list[str] = []
    results: dict[str, str] = {}
    for message in messages:
        if message["role"] == "tool":
            results[message["tool_call_id"]] = message["content"]
            if len(results) == len(order):
                said.append([results[call_id] for call_id in order])
            continue
        calls = message.get("tool_calls") or ()
        order, results = [call["id"] for call in calls], {}
        functions = [
            (call["function"]["name"], orjson.loads(call["function"]["arguments"])) for call in calls
        ]
        said.append((message["role"], message["content"] or "", functions))
    return said


@given(conversations(), st.sampled_from([FLASH, PRO]))
def test_conversations_arrive(messages: list[dict[str, Any]], model: str) -> None:
    """Every legal conversation that the client writes is accepted, and says the same."""
    body = CLIENT.encode(Request.of(messages, {}), at(model))
    assert told(messages) == told(SERVER.read(body, model, False).messages)


SCHEMA = {"type": "object", "properties": {"c": {"type": "string"}}, "additionalProperties": False}
TOOL = {"type": "function", "function": {"name": "f", "description": "d", "parameters": SCHEMA}}
NAMED = {"type": "function", "function": {"name": "f"}}
PARAMS: list[dict[str, Any]] = [
    {"max_tokens": 5, "temperature": 0.5, "top_p": 0.5, "top_k": 3, "seed": 7},
    {"stop": ["a", "b"], "n": 2, "presence_penalty": 1, "frequency_penalty": 1},
    {"logprobs": True, "top_logprobs": 3, "service_tier": "default"},
    {"tools": [TOOL], "tool_choice": "required"},
    {"tools": [TOOL], "tool_choice": NAMED},
    {"tools": [TOOL, {"googleSearch": {}}], "tool_choice": "none"},
    {"response_format": {"type": "json_object"}},
    {"response_format": {"type": "json_schema", "json_schema": {"name": "answer", "schema": SCHEMA}}},
    {"reasoning_effort": "high"},
    {"reasoning_effort": "low", "safetySettings": [{"category": "c"}], "speechConfig": {}},
]


@pytest.mark.parametrize("model", [FLASH, PRO])
@pytest.mark.parametrize("params", PARAMS, ids=lambda params: ",".join(params))
def test_params_arrive(params: dict[str, Any], model: str) -> None:
    """What the client says of a request is what the server reads."""
    body = CLIENT.encode(Request.of("Hi", params), at(model))
    request = SERVER.read(body, model, True)

    assert params == request.params
    assert (model, True) == (request.model, request.stream)


def test_parts_arrive() -> None:
    """Pictures, files and sound are the same at the other end."""
    parts = [
        {"type": "text", "text": "See"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
        {"type": "image_url", "image_url": {"url": "https://x.org/a.png"}},
        {"type": "file", "file": {"file_data": "data:application/pdf;base64,AAAA"}},
        {"type": "file", "file": {"file_id": "gs://b/a.pdf"}},
        {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
    ]
    body = CLIENT.encode(Request.of([{"role": "user", "content": parts}], {}), at(FLASH))
    assert parts == SERVER.read(body, FLASH, False).messages[0]["content"]


REPLY = Reply(
    id="r1",
    model=PRO,
    choices=(
        Choice(
            Message(
                "Let me look.",
                (
                    ToolCall("a", FunctionCall("f", '{"x":"{"}')),
                    ToolCall("b", FunctionCall("g", "{}")),
                ),
                reasoning="hm",
            ),
            "tool_calls",
        ),
    ),
    usage=Usage(prompt_tokens=9, cached_tokens=4, completion_tokens=3, reasoning_tokens=1),
)


def streamed(reply: Reply, deltas: list[Delta] | None = None) -> bytes:
    writer = SERVER.writer(reply, Request(messages=(), model=reply.model))
    said = [writer.ping() + writer.write(delta) for delta in deltas or deltas_of(reply)]
    return writer.start() + b"".join(said) + writer.finish(reply)


def heard(wire: bytes) -> Reply:
    reader = CLIENT.reader()
    return assemble([*reader.feed(wire), *reader.end()])


def test_an_answer_comes_back_whole_and_streamed() -> None:
    """All that an answer says survives, and calls of the third generation are signed."""
    request = Request(messages=(), model=PRO)
    for reply in (CLIENT.decode(SERVER.write(REPLY, request)), heard(streamed(REPLY))):
        said, meant = reply.message, REPLY.message
        assert (meant.content, meant.tool_calls, meant.reasoning) == (
            said.content,
            said.tool_calls,
            said.reasoning,
        )
        assert ("tool_calls", REPLY.usage, "r1", PRO) == (
            reply.finish_reason,
            reply.usage,
            reply.id,
            reply.model,
        )
        assert {"a"} == said.extra["provider_state"]["signatures"].keys()


@pytest.mark.parametrize("reason", ["stop", "length", "content_filter"])
def test_finish_reasons_come_back(reason: str) -> None:
    """Each end of an answer is the same at the other end."""
    reply = Reply(id="r", model=FLASH, choices=(Choice(Message("x"), reason),))
    assert reason == CLIENT.decode(SERVER.write(reply, Request(messages=(), model=FLASH))).finish_reason
    assert reason == heard(streamed(reply)).finish_reason


def test_fragments_of_calls_go_out_whole() -> None:
    """However a call comes in pieces, it leaves in one."""
    deltas = [
        Delta(tool_calls=(ToolCallDelta(0, "a", "f"),)),
        Delta(tool_calls=(ToolCallDelta(0, arguments='{"x":'),)),
        Delta(tool_calls=(ToolCallDelta(0, arguments='"{"}'),)),
        Delta(tool_calls=(ToolCallDelta(1, "b", "g", "{}"),)),
    ]
    wire = streamed(REPLY, deltas)

    assert REPLY.tool_calls == heard(wire).tool_calls
    assert 2 == wire.count(b"functionCall")


def test_a_late_fragment_is_a_mistake() -> None:
    """A fragment of a call that has gone out cannot be sent."""
    writer = SERVER.writer(REPLY, Request(messages=()))
    writer.write(Delta(tool_calls=(ToolCallDelta(0, "a", "f", "{}"),)))
    writer.write(Delta("text"))
    with pytest.raises(ValueError, match="tool call 0"):
        writer.write(Delta(tool_calls=(ToolCallDelta(0, arguments="x"),)))


def test_an_outage_in_a_stream() -> None:
    """The simulated error and the malformed event are what the client takes them for."""
    writer = SERVER.writer(REPLY, Request(messages=()))
    with pytest.raises(Overloaded):
        CLIENT.reader().feed(writer.start() + writer.error(Overloaded("Busy")))
    with pytest.raises(BadAnswer):
        CLIENT.reader().feed(writer.start() + writer.malformed())


def test_a_stream_without_its_finish_is_broken() -> None:
    """What the writer has written before `finish` is no whole answer."""
    writer = SERVER.writer(REPLY, Request(messages=()))
    reader = CLIENT.reader()
    reader.feed(writer.start() + writer.write(Delta("text")))
    with pytest.raises(BadAnswer):
        reader.end()
