"""Signed thinking: kept from answers, given back to its own model, refused by the server if changed."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from fallbackio._draft import assemble
from fallbackio.dialects import DIALECTS, deltas_of
from fallbackio.dialects._state import KEY, state_of
from fallbackio.endpoint import Endpoint
from fallbackio.model import Choice, FunctionCall, Message, Reply, Request, ToolCall

CLIENT = DIALECTS["anthropic"].client
SERVER = DIALECTS["anthropic"].server

Fields = dict[str, Any]

MODEL = "claude-sonnet-4-5-20250929"
THOUGHT = {"type": "thinking", "thinking": "hm", "signature": "EqQB"}
HIDDEN = {"type": "redacted_thinking", "data": "EmwK"}
BUDGET: Fields = {"thinking": {"type": "enabled", "budget_tokens": 2048}}
USER = {"role": "user", "content": "Hi"}
CALL = {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}
RESULT = {"role": "tool", "tool_call_id": "a", "content": "1"}
RESULT_B = {**RESULT, "tool_call_id": "b"}
USE = {"type": "tool_use", "id": "a", "name": "f", "input": {}}
SAID_RESULT = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "a", "content": "1"}]}

STRANGER = "another model's signed reasoning left out"
UNSIGNED = "reasoning without a signature left out"
OFF = "signed thinking left out, because thinking is off"
SWITCHED = "thinking switched off, because another model began the tool calls"


def kept(*blocks: Fields, model: str = MODEL, dialect: str = "anthropic") -> Fields:
    return state_of(dialect, model, {"blocks": list(blocks)})


def calling(call_id: str = "a", **extra: Any) -> Fields:
    return {"role": "assistant", "content": None, "tool_calls": [{**CALL, "id": call_id}], **extra}


def sent(*messages: Any, to: str = "claude-sonnet-4-5", **params: Any) -> tuple[Fields, list[str]]:
    """The body that goes out, and what was noted."""
    notes: list[str] = []
    endpoint = Endpoint(to, base_url="http://localhost")
    body = CLIENT.encode(Request.of(list(messages), params), endpoint, notes.append)
    return orjson.loads(body), notes


def answer(*content: Fields, **fields: Any) -> bytes:
    return orjson.dumps(
        {"type": "message", "model": MODEL, "content": list(content), "stop_reason": "tool_use", **fields}
    )


def test_a_plain_answer_keeps_its_thinking() -> None:
    """Blocks with a signature are kept as they came; the text of thinking is shown as well."""
    unsigned = {"type": "thinking", "thinking": " or so", "signature": ""}
    message = CLIENT.decode(answer(THOUGHT, HIDDEN, unsigned, USE)).message

    assert "hm or so" == message.reasoning
    assert kept(THOUGHT, HIDDEN) == message.extra


def test_an_answer_without_thinking_keeps_nothing() -> None:
    """There is no state where there is nothing to give back."""
    assert {} == CLIENT.decode(answer(USE)).message.extra


@pytest.mark.parametrize("on", ["enabled", "adaptive"])
def test_it_goes_back_at_the_head_of_its_turn(on: str) -> None:
    """While the model thinks, its own blocks stand before text and calls, unchanged."""
    message = CLIENT.decode(answer(THOUGHT, HIDDEN, {"type": "text", "text": "Look."}, USE)).message
    thinking = BUDGET["thinking"] if on == "enabled" else {"type": on}
    body, notes = sent(USER, message, RESULT, thinking=thinking)

    text = {"type": "text", "text": "Look."}
    assert [USER, {"role": "assistant", "content": [THOUGHT, HIDDEN, text, USE]}, SAID_RESULT] == body[
        "messages"
    ]
    assert [] == notes


def test_earlier_turns_keep_theirs() -> None:
    """Anthropic picks what it needs, so all of its turns come with their blocks."""
    turn = {"role": "assistant", "content": "Yo", **kept(THOUGHT)}
    body, notes = sent(USER, turn, USER, **BUDGET)

    assert [THOUGHT, {"type": "text", "text": "Yo"}] == body["messages"][1]["content"]
    assert [] == notes


@pytest.mark.parametrize(
    ("message", "note"),
    [
        (kept(THOUGHT, model="claude-opus-4-5"), STRANGER),
        (kept(THOUGHT, dialect="gemini"), STRANGER),
        ({"reasoning_content": "hm"}, UNSIGNED),
    ],
    ids=["another model", "another dialect", "no signature"],
)
def test_others_thinking_stays_here(message: Fields, note: str) -> None:
    """What another signed, or nobody, is left out and noted."""
    body, notes = sent(USER, {"role": "assistant", "content": "Yo", **message}, USER, **BUDGET)

    assert {"role": "assistant", "content": "Yo"} == body["messages"][1]
    assert [note] == notes


@pytest.mark.parametrize(
    ("model", "params", "goes_back"),
    [
        ("claude-sonnet-4-5", {}, False),
        ("claude-sonnet-4-6", {"thinking": {"type": "disabled"}}, False),
        ("claude-sonnet-4-6", {"reasoning_effort": "high"}, True),
        ("claude-sonnet-5", {}, True),
        ("claude-sonnet-5", {"reasoning_effort": "none"}, False),
        ("some-alias", {}, True),
    ],
)
def test_thinking_goes_back_only_while_it_is_on(model: str, params: Fields, goes_back: bool) -> None:
    """A turn must not hold thinking while thinking is off, be it by default or on request."""
    body, notes = sent(USER, calling(**kept(THOUGHT, model=model)), RESULT, to=model, **params)

    assert [THOUGHT] * goes_back + [USE] == body["messages"][1]["content"]
    assert ([] if goes_back else [OFF]) == notes


@pytest.mark.parametrize("model", ["claude-sonnet-4-5", "some-alias"])
@pytest.mark.parametrize(
    ("messages", "note"),
    [
        ([USER, calling(reasoning_content="hm"), RESULT, USER], UNSIGNED),
        ([USER, calling(**kept(THOUGHT, model="claude-opus-4-5")), RESULT, calling("b"), RESULT_B], STRANGER),
        ([USER, calling(), RESULT, calling("b", **kept(THOUGHT, model="")), RESULT_B], OFF),
    ],
    ids=["unsigned", "another's", "joined later"],
)
def test_a_loop_that_another_began_is_ended_without_thinking(
    messages: list[Fields], note: str, model: str
) -> None:
    """A fixed budget insists on thinking at the head of the loop, which another model has not signed."""
    body, notes = sent(*messages, to=model, **BUDGET)

    assert "thinking" not in body
    assert b'"thinking"' not in orjson.dumps(body)
    assert [SWITCHED, note] == notes


def test_thinking_in_the_content_is_left_out() -> None:
    """Blocks that a user put into the content say nothing of their model."""
    body, notes = sent(USER, {"role": "assistant", "content": [THOUGHT, {"type": "text", "text": "A"}]}, USER)

    assert [{"type": "text", "text": "A"}] == body["messages"][1]["content"]
    assert ["thinking in the content left out"] == notes


@pytest.mark.parametrize(
    ("messages", "params"),
    [
        ([USER, calling(**kept(THOUGHT)), RESULT], BUDGET),
        ([USER, calling(), RESULT, {"role": "assistant", "content": "Yo"}, USER], BUDGET),
        ([USER, calling(), RESULT], {"thinking": {"type": "adaptive"}}),
        ([USER, calling(**kept(THOUGHT)), RESULT, calling("b"), RESULT_B], BUDGET),
        ([USER, calling(), RESULT, USER, calling("b", **kept(THOUGHT)), RESULT_B], BUDGET),
    ],
    ids=["own", "over", "adaptive", "own from the start", "own after a user's turn"],
)
def test_thinking_stays_on_where_it_may(messages: list[Fields], params: Fields) -> None:
    """Own loops, loops that are over, and models that decide for themselves need no switching off."""
    body, _ = sent(*messages, **params)

    assert params["thinking"] == body["thinking"]
    assert SERVER.read(orjson.dumps(body)).messages


REPLY = Reply(
    id="msg_1",
    model=MODEL,
    choices=(Choice(Message("Look.", (ToolCall("a", FunctionCall("f", "{}")),), reasoning="hm")),),
)


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
def test_the_server_hears_what_it_signed(stream: bool) -> None:
    """Thinking survives the way to a client and back, and comes once, at a stream's end."""
    if stream:
        writer = SERVER.writer(REPLY, Request(messages=()))
        wire = writer.start() + b"".join([writer.write(delta) for delta in deltas_of(REPLY)])
        deltas = CLIENT.reader().feed(wire + writer.finish(REPLY))
        assert [bool(delta.extra) for delta in deltas] == [False] * (len(deltas) - 1) + [True]
        message = assemble(deltas).message
    else:
        message = CLIENT.decode(SERVER.write(REPLY, Request(messages=()))).message
    endpoint = Endpoint("claude-sonnet-4-5", base_url="http://localhost")
    heard = SERVER.read(CLIENT.encode(Request.of([USER, message, RESULT], BUDGET), endpoint))

    assert "hm" == message.reasoning
    assert message.extra[KEY]["blocks"] == heard.messages[1][KEY]["blocks"]
    assert "Look." == heard.messages[1]["content"]
