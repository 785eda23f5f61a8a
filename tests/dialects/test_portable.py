"""Tool loops, brought to the form that every vendor takes."""

from __future__ import annotations

import copy
import time
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fallbackio.dialects import DIALECTS
from fallbackio.dialects._portable import LOST_CALL, NO_RESULT, repaired
from fallbackio.endpoint import Endpoint, unnoted
from fallbackio.errors import InvalidRequest
from fallbackio.model import Request

Fields = dict[str, Any]

MOVED = "tool results moved behind their calls"
FILLED = "missing tool results filled in"
LOST = "tool results without a call turned into text"
REPEATED = "repeated tool results left out"
UNIQUE = "tool call ids made unique"


def call(call_id: str | None, name: str = "f") -> Fields:
    said = {"type": "function", "function": {"name": name, "arguments": "{}"}}
    return said if call_id is None else {"id": call_id, **said}


def calls(*ids: str | None) -> Fields:
    return {"role": "assistant", "content": None, "tool_calls": [call(one) for one in ids]}


def result(call_id: str | None, content: Any = "x") -> Fields:
    said = {"role": "tool", "content": content}
    return said if call_id is None else {**said, "tool_call_id": call_id}


def user(content: Any = "Hi") -> Fields:
    return {"role": "user", "content": content}


SAID = {"role": "assistant", "content": "Yo"}
CUSTOM = {"id": "c", "type": "custom", "custom": {"name": "f", "input": "x"}}


SOUND: dict[str, list[Any]] = {
    "nothing": [],
    "text": [user(), SAID, user()],
    "a loop": [user(), calls("a"), result("a"), SAID, user()],
    "a loop to go on with": [user(), calls("a", "b"), result("a"), result("b")],
    "two loops": [calls("a"), result("a"), calls("b"), result("b"), user()],
    "parts": [
        calls("a"),
        result("a", [{"type": "text", "text": "x"}]),
        user([{"type": "text", "text": "x"}]),
    ],
    "no calls": [user(), {"role": "assistant", "content": "x", "tool_calls": []}, user()],
    "null calls": [user(), {"role": "assistant", "content": "x", "tool_calls": None}, user()],
    "custom": [user(), {"role": "assistant", "content": None, "tool_calls": [CUSTOM]}, result("c")],
    "old functions": [
        user(),
        {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}},
        {"role": "function", "name": "f", "content": "x"},
    ],
    "read-only": [MappingProxyType(calls("a")), MappingProxyType(result("a"))],
    "no role": [{"content": "Hi"}, calls("a"), result("a")],
}


@pytest.mark.parametrize("messages", SOUND.values(), ids=[name.replace(" ", "-") for name in SOUND])
def test_what_is_sound_stays_itself(messages: list[Any]) -> None:
    """A conversation that needs nothing comes back as the same tuple, without a note."""
    said, notes = tuple(messages), list[str]()

    assert repaired(said, notes.append) is said
    assert [] == notes


MALFORMED: dict[str, list[Any]] = {
    "no messages": [None, 5, "Hi", [], calls("a"), user()],
    "calls are text": [{"role": "assistant", "tool_calls": "f"}, user()],
    "calls are an object": [{"role": "assistant", "tool_calls": {"id": "a"}}, user()],
    "a call is text": [{"role": "assistant", "tool_calls": ["f"]}, user()],
    "an id is a number": [{"role": "assistant", "tool_calls": [{**call("a"), "id": 5}]}, user()],
    "an id is a list": [{"role": "assistant", "tool_calls": [{**call("a"), "id": []}]}, user()],
    "a result's id is a number": [calls("a"), {**result("a"), "tool_call_id": 5}, user()],
}


@pytest.mark.parametrize("messages", MALFORMED.values(), ids=[name.replace(" ", "-") for name in MALFORMED])
def test_what_is_malformed_is_left_to_the_encoders(messages: list[Any]) -> None:
    """Who knows the place and the rule refuses it; half a repair would hide it."""
    said = tuple(messages)

    assert repaired(said, pytest.fail) is said


BROKEN: dict[str, tuple[list[Fields], list[Fields], list[str]]] = {
    "another order": (
        [user(), calls("a", "b"), result("b", "2"), result("a", "1")],
        [user(), calls("a", "b"), result("a", "1"), result("b", "2")],
        [MOVED],
    ),
    "after a user's message": (
        [calls("a", "b"), result("a"), user(), result("b"), user()],
        [calls("a", "b"), result("a"), result("b"), user(), user()],
        [MOVED],
    ),
    "after the next loop": (
        [calls("a"), calls("b"), result("a", "1"), result("b", "2"), user()],
        [calls("a"), result("a", "1"), calls("b"), result("b", "2"), user()],
        [MOVED],
    ),
    "after the next loop, which has none": (
        [calls("a"), calls("b"), result("a"), user()],
        [calls("a"), result("a"), calls("b"), result("b", NO_RESULT), user()],
        [MOVED, FILLED],
    ),
    "one is missing": (
        [calls("a", "b"), result("b"), user()],
        [calls("a", "b"), result("a", NO_RESULT), result("b"), user()],
        [FILLED],
    ),
    "all are missing": (
        [calls("a", "b"), user()],
        [calls("a", "b"), result("a", NO_RESULT), result("b", NO_RESULT), user()],
        [FILLED],
    ),
    "a call is gone": (
        [result("a", "1"), user(), SAID, user()],
        [user(f"{LOST_CALL}\n1"), user(), SAID, user()],
        [LOST],
    ),
    "a call is gone, with parts": (
        [result("a", [{"type": "text", "text": "1"}]), user()],
        [user([{"type": "text", "text": LOST_CALL}, {"type": "text", "text": "1"}]), user()],
        [LOST],
    ),
    "a stranger among results": (
        [calls("a", "b"), result("a"), result("z", "9"), result("b"), user()],
        [calls("a", "b"), result("a"), result("b"), user(f"{LOST_CALL}\n9"), user()],
        [LOST],
    ),
    "a result before its call": (
        [result("a", "1"), calls("a"), user()],
        [user(f"{LOST_CALL}\n1"), calls("a"), result("a", NO_RESULT), user()],
        [LOST, FILLED],
    ),
    "repeated": (
        [calls("a", "b"), result("a", "1"), result("b"), result("a", "2"), user()],
        [calls("a", "b"), result("a", "2"), result("b"), user()],
        [REPEATED],
    ),
    "one id in two loops": (
        [calls("a"), result("a", "1"), calls("a"), result("a", "2"), user()],
        [calls("a"), result("a", "1"), calls("call_1"), result("call_1", "2"), user()],
        [UNIQUE],
    ),
    "one id in two loops, the second repeated, the first without": (
        [calls("a"), user(), calls("a"), result("a", "2"), result("a", "3"), user()],
        [calls("a"), result("a", NO_RESULT), user(), calls("call_1"), result("call_1", "3"), user()],
        [REPEATED, UNIQUE, FILLED],
    ),
    "one id for two calls": (
        [calls("a", "a"), result("a", "1"), result("a", "2"), result("a", "3"), user()],
        [calls("a", "call_1"), result("a", "1"), result("call_1", "3"), user()],
        [REPEATED, UNIQUE],
    ),
    "an empty id": (
        [calls(""), result("", "1"), user()],
        [calls("call_0"), result("call_0", "1"), user()],
        [UNIQUE],
    ),
    "empty ids": (
        [calls("", ""), result("", "1"), result("", "2"), user()],
        [calls("call_0", "call_1"), result("call_0", "1"), result("call_1", "2"), user()],
        [UNIQUE],
    ),
    "no ids": (
        [calls(None), result(None, "1"), calls(None, "call_1"), result("call_1", "3"), result(None, "2")],
        [
            calls("call_0"),
            result("call_0", "1"),
            calls("call_2", "call_1"),
            result("call_2", "2"),
            result("call_1", "3"),
        ],
        [MOVED, UNIQUE],
    ),
    "a result without an id": (
        [calls("a", "b"), result(None, "1"), result("b", "2"), user()],
        [calls("a", "b"), result("a", "1"), result("b", "2"), user()],
        [UNIQUE],
    ),
}


@pytest.mark.parametrize(
    ("messages", "mended", "notes"), BROKEN.values(), ids=[name.replace(" ", "-") for name in BROKEN]
)
def test_repairs(messages: list[Fields], mended: list[Fields], notes: list[str]) -> None:
    """Every loop comes out whole, each kind of change is noted once, and the caller's values stay."""
    before, noted = copy.deepcopy(messages), list[str]()

    assert tuple(mended) == repaired(tuple(messages), noted.append)
    assert sorted(notes) == sorted(noted)
    assert before == messages


@pytest.mark.parametrize(
    ("messages", "missing"),
    [([user(), calls("a")], "1 call has"), ([calls("a"), result("a"), calls("b", "c")], "2 calls have")],
    ids=["one", "two"],
)
def test_calls_that_nothing_follows_are_refused(messages: list[Fields], missing: str) -> None:
    """Calls that are still to be carried out fail everywhere, and the error counts them."""
    with pytest.raises(InvalidRequest, match=missing) as raised:
        repaired(tuple(messages), unnoted)

    assert raised.value.everywhere is True


def test_ids_stay_as_the_conversation_grows() -> None:
    """What follows does not rename what stood before, so that a provider's cache still fits."""
    shorter = (calls(""), result("", "1"), calls(""), result("", "2"))
    longer = (*shorter, user(), calls(""), result("", "3"))

    assert repaired(shorter, unnoted) == repaired(longer, unnoted)[:4]


IDS = st.sampled_from(["a", "b", "c", "", None])
MESSAGES = st.one_of(
    st.just(user()),
    st.just(SAID),
    st.lists(IDS, max_size=3).map(lambda ids: calls(*ids)),
    IDS.map(result),
)


@given(st.lists(MESSAGES, max_size=8).map(tuple))
def test_every_conversation_comes_out_sound(messages: tuple[Fields, ...]) -> None:
    """Whatever order it came in, the result is whole, needs no second repair, and suits strict servers."""
    try:
        mended = repaired(messages, unnoted)
    except InvalidRequest:
        assert any(message.get("tool_calls") for message in messages)
        return

    assert repaired(mended, pytest.fail) is mended
    answers = [message["tool_call_id"] for message in mended if message["role"] == "tool"]
    asked = [made["id"] for message in mended for made in message.get("tool_calls") or ()]
    assert asked == answers
    assert len(set(asked)) == len(asked)
    if mended and mended[-1] != SAID and all(message.get("tool_calls") != [] for message in mended):
        for name in ("openai", "anthropic"):
            dialect = DIALECTS[name]
            endpoint = Endpoint("m", base_url="http://localhost", dialect=name)
            assert dialect.server.read(dialect.client.encode(Request(messages=mended), endpoint)).messages


@pytest.mark.parametrize("name", DIALECTS)
def test_every_vendor_takes_what_is_repaired(name: str) -> None:
    """Trimmed, reordered, unanswered and without ids: once repaired, every strict server accepts it."""
    messages = (
        result("gone", "0"),
        user(),
        calls("a", "b", ""),
        result("b", "2"),
        user(),
        result("a", "1"),
        calls("a", None),
        result("a", "3"),
        result("a", "4"),
        user(),
    )
    dialect = DIALECTS[name]
    endpoint = Endpoint("m", base_url="http://localhost", dialect=name, api_key="k")
    tools = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]
    request = Request(messages=repaired(messages, unnoted), params={"tools": tools})
    heard = dialect.server.read(dialect.client.encode(request, endpoint), "m", False)

    answers = [message["tool_call_id"] for message in heard.messages if message["role"] == "tool"]
    asked = [made["id"] for message in heard.messages for made in message.get("tool_calls") or ()]
    assert 5 == len(set(asked))
    assert asked == answers


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(["", "a", "tool", "assistant"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["role", "tool_calls", "tool_call_id", "id", "content"]), inner)
    ),
    max_leaves=12,
)


@given(st.lists(ANYTHING, max_size=4).map(tuple))
def test_nothing_breaks_it(messages: tuple[Any, ...]) -> None:
    """Whatever stands in the messages, they are repaired, left alone, or refused as calls at the end."""
    try:
        repaired(messages, unnoted)
    except InvalidRequest:
        assert any(isinstance(message, Mapping) and message.get("tool_calls") for message in messages)


def test_sound_conversations_cost_next_to_nothing() -> None:
    """A hundred messages are looked through in microseconds (4 and 13 when this was written)."""
    plain = (user(), SAID) * 50
    loops = sum(
        [(user(), calls(f"a{n}", f"b{n}"), result(f"a{n}"), result(f"b{n}"), SAID) for n in range(20)], ()
    )

    for messages, bound_s in ((plain, 5e-5), (loops, 2e-4)):  # tenfold, for a busy machine
        assert min(took_s(messages) for _ in range(20)) < bound_s


def took_s(messages: tuple[Fields, ...]) -> float:
    began = time.perf_counter()
    assert repaired(messages, unnoted) is messages
    return time.perf_counter() - began
