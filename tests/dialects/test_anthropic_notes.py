"""What is changed in a request on its way to Anthropic, and that it is said."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from fallbackio._draft import assemble
from fallbackio.dialects import DIALECTS
from fallbackio.endpoint import Endpoint
from fallbackio.errors import InvalidRequest
from fallbackio.model import Request

CLIENT = DIALECTS["anthropic"].client
SERVER = DIALECTS["anthropic"].server

Fields = dict[str, Any]

USER = {"role": "user", "content": "Hi"}
SAID = {"role": "assistant", "content": "It is "}
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
OLD = "claude-3-5-haiku-latest"


def call(call_id: str) -> Fields:
    return {"id": call_id, "type": "function", "function": {"name": "f", "arguments": "{}"}}


def by_schema(schema: Any) -> Fields:
    return {"response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": schema}}}


def sent(messages: Any = "Hi", to: str = "claude-sonnet-4-5", **params: Any) -> tuple[Fields, list[str]]:
    """The body that goes out, and what was noted."""
    notes: list[str] = []
    endpoint = Endpoint(to, base_url="http://localhost")
    body = CLIENT.encode(Request.of(messages, params), endpoint, notes.append)
    return orjson.loads(body), notes


NOTED: dict[str, tuple[str, list[Fields], Fields, list[str]]] = {
    "nothing": ("claude-sonnet-4-5", [{"role": "system", "content": "A"}, USER], {"temperature": 1}, []),
    "system": (
        "claude-sonnet-4-5",
        [USER, {"role": "developer", "content": "A"}],
        {},
        ["system messages moved to the front"],
    ),
    "ids": (
        "claude-sonnet-4-5",
        [
            USER,
            {"role": "assistant", "content": None, "tool_calls": [call("a:1")]},
            {"role": "tool", "tool_call_id": "a:1", "content": "x"},
        ],
        {},
        ["tool call ids rewritten"] * 2,
    ),
    "empty": (
        "claude-sonnet-4-5",
        [USER, {"role": "assistant", "content": " "}, USER],
        {},
        ["empty turns left out"],
    ),
    "temperature": ("claude-sonnet-4-5", [USER], {"temperature": 1.5}, ["temperature lowered to 1"]),
    "stop": ("claude-sonnet-4-5", [USER], {"stop": ["\n"]}, ["blank stop sequences left out"]),
    "JSON": (
        "claude-sonnet-4-5",
        [USER],
        {"response_format": {"type": "json_object"}},
        ["JSON mode asked for in words"],
    ),
    "schema": ("claude-sonnet-4-5", [USER], by_schema(SCHEMA), []),
    "old schema": (OLD, [USER], by_schema(SCHEMA), ["JSON schema asked for by a forced tool"]),
    "effort": (
        "claude-opus-4-7",
        [USER],
        {"reasoning_effort": "minimal"},
        ["reasoning effort raised to low"],
    ),
    "no effort": (
        "claude-opus-5-5",
        [USER],
        {"reasoning_effort": "none"},
        ["reasoning effort raised to low"],
    ),
}


@pytest.mark.parametrize(
    ("model", "messages", "params", "notes"),
    NOTED.values(),
    ids=[name.replace(" ", "-") for name in NOTED],
)
def test_what_is_changed_is_noted(
    model: str, messages: list[Fields], params: Fields, notes: list[str]
) -> None:
    """Every adaptation has its note, and a request that needs none has none."""
    assert notes == sent(messages, model, **params)[1]


def test_a_model_without_prefill_is_asked_to_continue() -> None:
    """A last assistant turn would be a 400; a user's turn after it says the same."""
    body, notes = sent([USER, SAID], "claude-sonnet-4-6")

    assert [USER, SAID] == body["messages"][:-1]
    assert "user" == body["messages"][-1]["role"]
    assert ["asked to continue, because there is no prefill"] == notes


@pytest.mark.parametrize(
    ("model", "thinking", "prefilled"),
    [
        ("claude-sonnet-4-5", None, True),
        ("claude-sonnet-4-5", {"type": "disabled"}, True),
        ("claude-sonnet-4-5", {"type": "enabled", "budget_tokens": 1024}, False),
        ("claude-opus-4-6", None, False),
        ("some-alias", None, True),
    ],
)
def test_where_there_is_a_prefill(model: str, thinking: Fields | None, prefilled: bool) -> None:
    """A prefill goes where model and thinking allow it, and is offered only there."""
    endpoint = Endpoint(model, base_url="http://localhost", params={"thinking": thinking})
    body = orjson.loads(CLIENT.encode(Request.of([USER, SAID], {}), endpoint))

    assert prefilled == (body["messages"][-1] == {"role": "assistant", "content": "It is"})
    assert prefilled == (CLIENT.prefilled(Request.of("Hi", {}), endpoint, "It") is not None)


def test_a_schema_is_asked_for_by_a_tool() -> None:
    """A model that knows no schemas has to give its answer as the arguments of one tool."""
    body, _ = sent(to=OLD, **by_schema(SCHEMA))
    (tool,) = body["tools"]

    assert ("fallbackio_json_answer", SCHEMA) == (tool["name"], tool["input_schema"])
    forced = {"type": "tool", "name": "fallbackio_json_answer", "disable_parallel_tool_use": True}
    assert forced == body["tool_choice"]
    assert SERVER.read(orjson.dumps(body)).params["tools"]


ANSWERED = {"type": "tool_use", "id": "a", "name": "fallbackio_json_answer", "input": {"city": "Oslo"}}


def test_a_plain_answer_by_the_tool_is_text() -> None:
    """The reserved name marks it, so that the caller sees JSON text and a proper end."""
    body = {"type": "message", "content": [ANSWERED], "stop_reason": "tool_use"}
    reply = CLIENT.decode(orjson.dumps(body))

    assert ('{"city":"Oslo"}', (), "stop") == (reply.text, reply.tool_calls, reply.finish_reason)


def wire(*events: Fields) -> bytes:
    return b"".join(b"event: %s\ndata: %s\n\n" % (e["type"].encode(), orjson.dumps(e)) for e in events)


@pytest.mark.parametrize(
    ("start", "pieces"),
    [({}, ['{"city":', '"Oslo"}']), ({"city": "Oslo"}, [])],
    ids=["in pieces", "whole"],
)
def test_a_streamed_answer_by_the_tool_is_text(start: Fields, pieces: list[str]) -> None:
    """The pieces of the arguments come as pieces of the text."""
    begun = {**ANSWERED, "input": start}
    stream = wire(
        {"type": "content_block_start", "index": 0, "content_block": begun},
        *[
            {
                "type": "content_block_delta",
                "index": 0,
                "delta": {"type": "input_json_delta", "partial_json": said},
            }
            for said in pieces
        ],
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "tool_use"}},
        {"type": "message_stop"},
    )
    reply = assemble(CLIENT.reader().feed(stream))

    assert ('{"city":"Oslo"}', (), "stop") == (reply.text, reply.tool_calls, reply.finish_reason)


TOOL = {"type": "function", "function": {"name": "f"}}


@pytest.mark.parametrize(
    ("model", "params"),
    [
        (OLD, {**by_schema(SCHEMA), "tools": [TOOL]}),
        (
            "claude-3-7-sonnet-latest",
            {**by_schema(SCHEMA), "thinking": {"type": "enabled", "budget_tokens": 1024}},
        ),
        (OLD, by_schema({"type": "array"})),
        (OLD, by_schema({"anyOf": [SCHEMA]})),
        (OLD, by_schema(None)),
        (
            "claude-sonnet-4-5",
            {"tools": [{"type": "function", "function": {"name": "fallbackio_json_answer"}}]},
        ),
    ],
    ids=["beside tools", "thinking", "array", "choice", "none", "the name"],
)
def test_where_the_tool_cannot_stand_in(model: str, params: Fields) -> None:
    """Where a forced tool would not do, this endpoint refuses and leaves others their chance."""
    with pytest.raises(InvalidRequest) as raised:
        sent(to=model, **params)

    assert raised.value.everywhere is False
