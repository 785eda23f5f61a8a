"""Behaviours as values: what is refused, what JSON says, and what a model answers."""

from __future__ import annotations

import random
from typing import Any

import attrs
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fallbackio._draft import assemble
from fallbackio.errors import ConfigError, Overloaded, QuotaExhausted
from fallbackio.model import FunctionCall, Request, ToolCall
from fallbackio.simulator import (
    Behaviour,
    Capacity,
    Cut,
    Fault,
    Fixed,
    Flapping,
    Html,
    Huge,
    InBandError,
    InTurn,
    Lognormal,
    Malformed,
    PingOnly,
    Refused,
    Reset,
    Silence,
    Sometimes,
    Stall,
    Status,
    Trickle,
    behaviour_from_json,
    behaviour_to_json,
)
from fallbackio.simulator._answers import compose, plausible, split
from fallbackio.simulator.faults import FAULTS

NAN = float("nan")
INF = float("inf")


@pytest.mark.parametrize(
    ("kind", "fields", "named"),
    [
        (Behaviour, {"latency": -1}, "seconds"),
        (Behaviour, {"latency": NAN}, "seconds"),
        (Behaviour, {"latency": "fast"}, "latency"),
        (Behaviour, {"latency": True}, "seconds"),
        (Behaviour, {"tokens": -1}, "tokens"),
        (Behaviour, {"tokens": 1.5}, "tokens"),
        (Behaviour, {"tokens": True}, "tokens"),
        (Behaviour, {"tokens": 10**9}, "tokens"),
        (Behaviour, {"pace_s": INF}, "pace_s"),
        (Behaviour, {"pace_s": None}, "pace_s"),
        (Behaviour, {"text": 7}, "text"),
        (Behaviour, {"fault": "status"}, "fault"),
        (Behaviour, {"fault": Status}, "fault"),
        (Behaviour, {"tool_calls": "weather"}, "tool_calls"),
        (Behaviour, {"tool_calls": [{"arguments": {}}]}, "tool_calls"),
        (Behaviour, {"tool_calls": [{"name": "a", "args": {}}]}, "did you mean|known are"),
        (Lognormal, {"median_s": -0.1}, "median_s"),
        (Lognormal, {"median_s": 1, "sigma": NAN}, "sigma"),
        (Lognormal, {"median_s": 1, "straggler_ratio": 1.1}, "straggler_ratio"),
        (Lognormal, {"median_s": 1, "straggler_factor": 0}, "straggler_factor"),
        (Status, {"status": 99}, "status"),
        (Status, {"status": "500"}, "status"),
        (Status, {"retry_after_s": -1}, "retry_after_s"),
        (Status, {"retry_after_ms": NAN}, "retry_after_ms"),
        (Status, {"error": ValueError}, "error"),
        (Status, {"error": "RateLimit"}, "did you mean 'RateLimited'"),
        (Status, {"headers": {"x-split": "a\r\nb: c"}}, "headers"),
        (Status, {"headers": [("a", "b")]}, "headers"),
        (Reset, {"after_s": NAN}, "after_s"),
        (Cut, {"after_tokens": -1}, "after_tokens"),
        (Cut, {"how": "softly"}, "how"),
        (Cut, {"how": ["close"]}, "how"),
        (Stall, {"at": "body"}, "at"),
        (Stall, {"at": -1}, "at"),
        (Stall, {"for_s": NAN}, "for_s"),
        (PingOnly, {"interval_s": 0}, "interval_s"),
        (Trickle, {"size_bytes": 0}, "size_bytes"),
        (Huge, {"size_bytes": -1}, "size_bytes"),
        (InBandError, {"error": 3}, "error"),
        (Sometimes, {"ratio": NAN, "fault": Reset()}, "ratio"),
        (Sometimes, {"ratio": 0.5, "fault": None}, "fault"),
        (InTurn, {"faults": []}, "faults"),
        (InTurn, {"faults": [Reset(), "reset"]}, "faults"),
        (InTurn, {"faults": [Reset()], "repeat": 1}, "repeat"),
        (Flapping, {"up_s": 1, "down_s": 0, "fault": Reset()}, "down_s"),
        (Capacity, {"concurrent": 0}, "concurrent"),
        (Capacity, {"concurrent": 1, "above": None}, "above"),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else str(value),
)
def test_values_out_of_range(kind: Any, fields: dict[str, Any], named: str) -> None:
    """A wrong setting is a `ConfigError` that names it, when it is made and not when it is met."""
    with pytest.raises(ConfigError, match=named):
        kind(**fields)


BEHAVIOURS = [
    Behaviour(),
    Behaviour(latency=0.2, tokens=3, pace_s=0.1, text="a b", reasoning_tokens=2, finish_reason="length"),
    Behaviour(latency=Lognormal(0.4, straggler_ratio=0.05), fault=Status(429, retry_after_s=1.5)),
    Behaviour(tool_calls=[{"name": "weather", "arguments": {"kind": "status", "city": "Oslo"}}]),
    Behaviour(fault=Status(429, error=QuotaExhausted, headers={"x-a": "b"})),
    Behaviour(fault=InTurn([Reset(), None, Sometimes(0.5, Stall(3, for_s=2))], repeat=True)),
    Behaviour(fault=Flapping(3, 1, fault=Capacity(2, above=InBandError(Overloaded), fault=Refused()))),
]


@pytest.mark.parametrize("behaviour", BEHAVIOURS)
def test_json_and_back(behaviour: Behaviour) -> None:
    """A behaviour written as JSON and read again is the same."""
    wire = orjson.dumps(behaviour_to_json(behaviour))

    assert behaviour_from_json(orjson.loads(wire)) == behaviour


@pytest.mark.parametrize("kind", list(FAULTS))
def test_every_fault_has_a_json_form(kind: str) -> None:
    """Each registered fault can be made from JSON with what it needs, and reads back."""
    needs: dict[str, Any] = {"ratio": 0.5, "up_s": 1, "down_s": 1, "concurrent": 1, "rpm": 60}
    needs |= {"fault": {"kind": "silence"}, "faults": [{"kind": "silence"}]}
    fault: Any = FAULTS[kind]
    required = {a.alias for a in attrs.fields(fault) if a.default is attrs.NOTHING}

    given = {"fault": {"kind": kind, **{name: needs[name] for name in required}}}
    behaviour = behaviour_from_json(given)

    assert type(behaviour.fault) is FAULTS[kind]
    assert behaviour_from_json(behaviour_to_json(behaviour)) == behaviour


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([], "must be a JSON object, not list"),
        ({"latancy": 1}, "did you mean 'latency'"),
        ({"fault": {"kind": "statsu"}}, "did you mean 'status'"),
        ({"fault": {"kind": ["status"]}}, "unknown kind"),
        ({"fault": {"status": 500}}, "fault must have a kind .*, unlike"),
        ({"fault": {"kind": "status", "stauts": 500}}, "field of status 'stauts'; did you mean 'status'"),
        ({"fault": {"kind": "status", "status": "500"}}, "status must be an HTTP status"),
        ({"fault": {"kind": "sometimes", "ratio": 0.5}}, "sometimes needs fault"),
        ({"fault": {"kind": "fixed", "seconds": 1}}, "fault must be"),
        ({"latency": {"kind": "reset"}}, "latency must be"),
        ({"fault": {"kind": "in_turn", "faults": [{"kind": "rest"}]}}, "did you mean 'reset'"),
        ({"fault": {"kind": "status", "error": "Overlaoded"}}, "did you mean 'Overloaded'"),
    ],
    ids=str,
)
def test_json_that_is_wrong(given: Any, message: str) -> None:
    """What JSON does not mean is refused with the nearest name that it may have meant."""
    with pytest.raises(ConfigError, match=message):
        behaviour_from_json(given)


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.floats()
        | st.integers()
        | st.text(max_size=8)
        | st.sampled_from([*FAULTS]),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    ["kind", "fault", "latency", "tokens", "tool_calls", "status", "at", "error"]
                ),
                inner,
            )
        ),
        max_leaves=12,
    )
)
def test_any_json_is_a_behaviour_or_a_config_error(given: Any) -> None:
    """No JSON document makes the reader raise anything else."""
    try:
        assert isinstance(behaviour_from_json(given), Behaviour)
    except ConfigError:
        pass


def test_a_kind_in_the_users_own_content() -> None:
    """The arguments of a tool call may have a "kind" without being taken for a fault."""
    call = {"name": "report", "arguments": {"kind": "status"}}

    behaviour = behaviour_from_json({"tool_calls": [call]})

    assert behaviour.tool_calls[0].arguments == '{"kind":"status"}'


def test_a_part_of_a_behaviour() -> None:
    """With a base only the named fields change."""
    base = Behaviour(latency=0.5, tokens=3)

    changed = behaviour_from_json({"fault": {"kind": "silence"}}, base)

    assert changed == Behaviour(latency=0.5, tokens=3, fault=Silence())


def test_values_are_values() -> None:
    """Behaviours and faults compare by content and cannot be changed."""
    assert Malformed(3) == Malformed(after_tokens=3)
    assert Behaviour(latency=1.0).latency == Fixed(1.0)
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        Html().status = 500  # type: ignore[misc]


def test_a_straggler_moves_no_other_request() -> None:
    """Switching stragglers on leaves the other requests' times as they were."""

    def times(ratio: float) -> list[float]:
        lots = random.Random(1)
        latency = Lognormal(1.0, straggler_ratio=ratio)
        return [latency.draw(lots) for _ in range(200)]

    pairs = list(zip(times(0), times(0.1), strict=True))

    assert 5 < sum(pytest.approx(10 * usual) == now for usual, now in pairs) < 50
    assert all(now in (usual, pytest.approx(10 * usual)) for usual, now in pairs)


def said(behaviour: Behaviour, **params: Any) -> tuple[Any, Any]:
    """The reply, and what its pieces assemble to."""
    request = attrs.evolve(Request.of("hi", params), model="model-1")
    answer = compose(behaviour.script(), request, answer_id="a-1", prompt_tokens=7)
    return answer.reply, assemble(answer.deltas)


TOOLS = [
    {"type": "function", "function": {"name": "clock"}},
    {
        "type": "function",
        "function": {
            "name": "weather",
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
        },
    },
]
WEATHER = {"type": "function", "function": {"name": "weather"}}
SCHEMA = {"type": "object", "properties": {"age": {"type": "integer", "minimum": 18}}}
FORMAT = {"type": "json_schema", "json_schema": {"name": "person", "schema": SCHEMA}}


@pytest.mark.parametrize(
    ("behaviour", "params", "text", "reason"),
    [
        (Behaviour(tokens=3), {}, "word0 word1 word2", "stop"),
        (Behaviour(tokens=3), {"max_tokens": 2}, "word0 word1", "length"),
        (Behaviour(tokens=3), {"max_completion_tokens": 1}, "word0", "length"),
        (Behaviour(tokens=3), {"max_tokens": 3}, "word0 word1 word2", "stop"),
        (Behaviour(text=" Hi,\nthere \n"), {}, " Hi,\nthere \n", "stop"),
        (Behaviour(finish_reason="content_filter"), {"max_tokens": 1}, "word0", "content_filter"),
        (Behaviour(), {"response_format": FORMAT}, '{"age":18}', "stop"),
        (Behaviour(), {"response_format": {"type": "json_object"}}, '{"answer":"word0"}', "stop"),
        (Behaviour(text="no"), {"response_format": FORMAT}, "no", "stop"),
        (Behaviour(tokens=1), {"tools": TOOLS, "tool_choice": "auto"}, "word0", "stop"),
        (Behaviour(tokens=1), {"tools": [], "tool_choice": "required"}, "word0", "stop"),
    ],
)
def test_what_is_said(behaviour: Behaviour, params: dict[str, Any], text: str, reason: str) -> None:
    """The text and its pieces are the same, as long as the request allows, and counted."""
    reply, assembled = said(behaviour, **params)

    assert reply.text == assembled.text == text
    assert reply.finish_reason == reason
    assert (reply.model, reply.usage.prompt_tokens) == ("model-1", 7)


@pytest.mark.parametrize(
    ("choice", "expected"),
    [("required", ("clock", "{}")), (WEATHER, ("weather", '{"city":"word0"}'))],
    ids=["any", "named"],
)
def test_a_tool_that_is_insisted_on(choice: Any, expected: tuple[str, str]) -> None:
    """A forced tool is called, with arguments that its schema allows."""
    reply, assembled = said(Behaviour(), tools=TOOLS, tool_choice=choice)

    assert reply.tool_calls == assembled.tool_calls
    assert [(call.name, call.arguments) for call in reply.tool_calls] == [expected]
    assert (reply.finish_reason, reply.message.content) == ("tool_calls", None)


def test_nothing_is_said() -> None:
    """An answer of no tokens is an empty text, not an absent one."""
    reply, assembled = said(Behaviour(tokens=0))

    assert reply.message.content == ""
    assert assembled.choices == ()


def test_scripted_tool_calls() -> None:
    """Stated calls are made in place of a text, whatever the request says, several at once as well."""
    calls = (
        ToolCall("c1", FunctionCall("a", '{"x":1}')),
        ToolCall("c2", FunctionCall("b", '{"long":"' + "y" * 50 + '"}')),
    )

    reply, assembled = said(Behaviour(tool_calls=calls))

    assert reply.tool_calls == assembled.tool_calls == calls


def test_reasoning_comes_first() -> None:
    """Visible reasoning precedes the text and is counted on its own."""
    reply, assembled = said(Behaviour(tokens=2, reasoning_tokens=3))

    assert reply.message.reasoning == assembled.message.reasoning == "thought0 thought1 thought2"
    assert (reply.usage.completion_tokens, reply.usage.reasoning_tokens) == (5, 3)


@given(st.text(max_size=60))
def test_words_add_up(text: str) -> None:
    """Whatever a text is, its words together are the text."""
    assert "".join(split(text)) == text


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({}, "word0"),
        ({"type": "string", "enum": ["b", "a"]}, "b"),
        ({"const": 3}, 3),
        ({"type": "boolean"}, True),
        ({"type": "null"}, None),
        ({"type": "number", "maximum": 0.5}, 0.5),
        ({"type": "integer", "minimum": 18, "maximum": 99}, 18),
        ({"type": ["integer", "null"]}, 1),
        ({"type": "array", "items": {"type": "integer"}, "minItems": 2}, [1, 1]),
        ({"anyOf": [{"type": "integer"}, {"type": "string"}]}, 1),
        ({"properties": {"a": {"properties": {"b": {"type": "boolean"}}}}}, {"a": {"b": True}}),
        ({"$ref": "#/$defs/City", "$defs": {"City": {"type": "integer"}}}, 1),
        ({"$ref": "#/nowhere"}, "word0"),
        ({"$ref": "#"}, "word0"),
    ],
    ids=str,
)
def test_plausible_values(schema: dict[str, Any], value: Any) -> None:
    """A value fits the usual kinds of schema."""
    assert plausible(schema) == value


@pytest.mark.parametrize(
    "schema",
    [
        {
            "properties": {f"p{n}": {"$ref": "#/$defs/P"} for n in range(9)},
            "$defs": {"P": {"$ref": "#/$defs/P"}},
        },
        {"properties": {"all": {"type": "array", "items": {"$ref": "#/properties/all"}}}},
        {
            "$ref": "#/$defs/T",
            "$defs": {"T": {"properties": {c: {"$ref": "#/$defs/T"} for c in "abcdefghij"}}},
        },
        {"type": "array", "minItems": 10**12},
        {"anyOf": [{"$ref": "#/anyOf/0"}]},
        {"anyOf": [{"anyOf": [{"$ref": "#"}]}], "type": 7, "properties": 3, "enum": 4},
    ],
    ids=["refers to itself", "list of lists", "wide and deep", "long", "in circles", "nonsense"],
)
def test_a_schema_has_an_end(schema: dict[str, Any]) -> None:
    """A schema that holds itself, or none at all, gives a small value."""
    assert len(orjson.dumps(plausible(schema))) < 100_000


def test_faults_are_abstract() -> None:
    """`Fault` itself does nothing and cannot be made."""
    with pytest.raises(TypeError):
        Fault()  # type: ignore[abstract]
