"""Vendors' quirks: what they do not take is refused or left out before it is sent, and said."""

from __future__ import annotations

import copy
import re
from typing import Any, Literal

import attrs
import orjson
import pytest

from fallbackio import Endpoint, InvalidRequest, Request
from fallbackio.dialects import DIALECTS, _quirks


def endpoint(
    vendor: str,
    model: str = "m",
    *,
    unsupported: Literal["error", "drop"] = "error",
    params: dict[str, Any] | None = None,
) -> Endpoint:
    return Endpoint(model, vendor=vendor, unsupported=unsupported, params=params or {})


def sent(asked: Endpoint, **body: Any) -> tuple[dict[str, Any], list[str]]:
    """The body as the vendor gets it, and what was noted; the caller's own values are untouched."""
    before, ours, notes = copy.deepcopy(body), dict(body), list[str]()
    _quirks.apply(ours, asked, notes.append)
    assert body == before
    return ours, notes


REFUSED = [
    ("groq", "m", "logprobs", True),
    ("groq", "m", "top_logprobs", 3),
    ("groq", "m", "logit_bias", {"1": 2}),
    ("groq", "m", "n", 2),
    ("cerebras", "m", "frequency_penalty", 0.5),
    ("cerebras", "m", "presence_penalty", -1),
    ("cerebras", "m", "logit_bias", {"1": 2}),
    ("cerebras", "m", "parallel_tool_calls", False),
    ("cerebras", "m", "service_tier", "flex"),
    ("cerebras", "gpt-oss-120b", "disable_reasoning", True),
    ("deepseek", "deepseek-chat", "seed", 0),
    ("deepseek", "deepseek-chat", "top_k", 5),
    ("deepseek", "deepseek-chat", "response_format", {"type": "json_schema", "json_schema": {}}),
    ("deepseek", "deepseek-reasoner", "tool_choice", "required"),
    ("moonshot", "m", "tool_choice", "required"),
    ("moonshot", "m", "parallel_tool_calls", False),
    ("moonshot", "m", "presence_penalty", 1),
    ("moonshot", "m", "reasoning_effort", "none"),
    ("xai", "grok-4", "stop", ["x"]),
    ("xai", "grok-3-mini", "presence_penalty", 1),
    ("openai", "gpt-5", "temperature", 0.2),
    ("openai", "gpt-5-mini-2025-08-07", "top_p", 0.9),
    ("openai", "o1", "presence_penalty", 1),
    ("openai", "ft:o4-mini:acme", "logprobs", True),
    ("openai", "o3", "stop", ["x"]),
    ("azure", "gpt-5", "temperature", 0.2),
    ("mistral", "m", "user", "u1"),
    ("mistral", "m", "logit_bias", {"1": 2}),
    ("mistral", "m", "store", True),
]


@pytest.mark.parametrize(("vendor", "model", "name", "value"), REFUSED, ids=str)
def test_what_a_vendor_refuses_is_said_before_it_is_sent(
    vendor: str, model: str, name: str, value: object
) -> None:
    """`check` and `apply` raise for it, with vendor, parameter and mend; other endpoints may be asked."""
    asked = endpoint(vendor, model)
    request = Request.of("Hi", {name: value, "max_tokens": 5})

    for attempt in (lambda: _quirks.check(request, asked), lambda: sent(asked, **request.params)):
        with pytest.raises(
            InvalidRequest, match=f'{vendor} refuses {name} as given; .*"{name}": None'
        ) as caught:
            attempt()
        assert not caught.value.everywhere


@pytest.mark.parametrize(("vendor", "model", "name", "value"), REFUSED, ids=str)
def test_what_is_dropped_is_named(vendor: str, model: str, name: str, value: object) -> None:
    """With `unsupported="drop"` it is left out and `dropped` says so, whoever warns of it."""
    asked = endpoint(vendor, model, unsupported="drop")
    request = Request.of("Hi", {"max_tokens": 5, name: value})

    _quirks.check(request, asked)

    assert _quirks.dropped(request, asked) == (name,)
    assert sent(asked, **request.params) == ({"max_tokens": 5}, [])


@pytest.mark.parametrize(("vendor", "model", "name", "value"), REFUSED, ids=str)
@pytest.mark.parametrize("own", [None, "ours"])
def test_an_endpoints_own_params_are_taken_at_their_word(
    vendor: str, model: str, name: str, value: object, own: object
) -> None:
    """`params={name: None}` is the mend that the error offers, and a value there is its writer's affair."""
    asked = endpoint(vendor, model, params={name: own})

    _quirks.check(Request.of("Hi", {name: value}), asked)

    assert sent(asked, **{name: value})[0] == {}
    assert _quirks.dropped(Request.of("Hi", {name: value}), asked) == ()


@pytest.mark.parametrize(
    ("vendor", "params"),
    [
        ("groq", {"n": 1, "logprobs": False, "logit_bias": {}, "top_logprobs": 0}),
        ("groq", {"n": None, "logprobs": None}),
        ("cerebras", {"frequency_penalty": 0, "presence_penalty": 0.0, "parallel_tool_calls": True}),
        ("cerebras", {"service_tier": "auto"}),
        ("moonshot", {"frequency_penalty": 0}),
        ("mistral", {"store": False, "modalities": ["text"], "verbosity": "medium"}),
    ],
    ids=str,
)
def test_what_means_the_default_is_left_out_silently(vendor: str, params: dict[str, Any]) -> None:
    """A value that asks for what happens anyway is no reason to refuse, and is not sent either."""
    asked = endpoint(vendor)
    dropping = endpoint(vendor, unsupported="drop")
    request = Request.of("Hi", params)

    _quirks.check(request, asked)

    assert _quirks.dropped(request, dropping) == ()
    assert sent(asked, **params) == ({}, [])


@pytest.mark.parametrize(
    ("vendor", "model", "params"),
    [
        ("openai", "gpt-4o", {"n": 2, "logprobs": True, "seed": 1}),
        ("openai", "o1", {"stop": ["x"]}),
        ("openai", "gpt-5.1", {"temperature": 0.2, "stop": ["x"], "logprobs": True}),
        ("openai", "gpt-5-chat-latest", {"temperature": 0.2}),
        ("openai", "gpt-50", {"temperature": 0.2}),
        ("localhost:8000", "m", {"n": 2, "logit_bias": {"1": 2}}),
        (
            "deepseek",
            "deepseek-chat",
            {"tool_choice": "required", "response_format": {"type": "json_object"}},
        ),
        ("moonshot", "m", {"tool_choice": "auto", "reasoning_effort": "high"}),
        ("moonshot", "m", {"tool_choice": {"type": "function", "function": {"name": "f"}}}),
        ("xai", "grok-4-fast-non-reasoning", {"stop": ["x"], "presence_penalty": 1}),
        ("xai", "grok-3", {"stop": ["x"]}),
        ("cerebras", "llama", {"disable_reasoning": True}),
        ("mistral", "m", {"n": 2, "stop": ["x"], "presence_penalty": 1, "temperature": 1.5}),
        ("together", "m", {"n": 2, "seed": 1}),
    ],
    ids=str,
)
def test_what_a_vendor_takes_passes_untouched(vendor: str, model: str, params: dict[str, Any]) -> None:
    """Only the confirmed quirk is applied, and only to the models that have it."""
    asked = endpoint(vendor, model)

    _quirks.check(Request.of("Hi", params), asked)

    assert sent(asked, **params) == (params, [])


def test_several_are_named_in_the_callers_order() -> None:
    """One error names all of them, so that they are mended at once."""
    request = Request.of("Hi", {"top_logprobs": 2, "temperature": 0, "logprobs": True})

    with pytest.raises(
        InvalidRequest, match=r'refuses top_logprobs, logprobs as given; .*"top_logprobs": None, "logprobs"'
    ):
        _quirks.check(request, endpoint("groq"))


def test_mistral_calls_the_seed_otherwise() -> None:
    """What means the same under another name is renamed without a word, and the vendor's own name wins."""
    assert sent(endpoint("mistral"), seed=7) == ({"random_seed": 7}, [])
    assert sent(endpoint("mistral"), seed=7, random_seed=1) == ({"random_seed": 1}, [])


def test_a_value_over_the_vendors_range_is_lowered_and_noted() -> None:
    """A temperature that OpenAI takes and Mistral does not becomes the highest it takes."""
    assert sent(endpoint("mistral"), temperature=2) == ({"temperature": 1.5}, ["temperature lowered to 1.5"])
    assert sent(endpoint("mistral"), temperature=None) == ({"temperature": None}, [])


def test_names_of_speakers_are_left_out_for_groq() -> None:
    """A message keeps all but its name; that it had one is noted once."""
    messages = [{"role": "user", "content": "Hi", "name": "ann"}, {"role": "assistant", "content": "Yes"}]

    body, notes = sent(endpoint("groq"), messages=messages)

    assert body["messages"] == [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yes"}]
    assert notes == ["name of messages left out"]
    assert sent(endpoint("groq"), messages=messages[1:])[1] == []


def test_empty_calls_are_left_out_for_together() -> None:
    """An empty list of calls says nothing; one with calls stays."""
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    messages = [
        {"role": "assistant", "content": "Hi", "tool_calls": []},
        {"role": "assistant", "tool_calls": [call]},
    ]

    body, notes = sent(endpoint("together"), messages=messages)

    assert body["messages"] == [{"role": "assistant", "content": "Hi"}, messages[1]]
    assert notes == []


@pytest.mark.parametrize("unsupported", ["error", "drop"])
def test_a_file_is_never_dropped(unsupported: Literal["error", "drop"]) -> None:
    """A question about a file that the vendor does not get would be another question."""
    file = {"type": "file", "file": {"file_data": "data:application/pdf;base64,QQ=="}}
    messages = [{"role": "user", "content": [{"type": "text", "text": "What is this?"}, file]}]

    with pytest.raises(InvalidRequest, match="dashscope takes no content of type 'file'") as caught:
        sent(endpoint("dashscope", unsupported=unsupported), messages=messages)

    assert not caught.value.everywhere
    assert "QQ==" not in str(caught.value)
    assert sent(endpoint("dashscope"), messages=[{"role": "user", "content": [messages[0]["content"][0]]}])


OPEN = {
    "type": "object",
    "properties": {
        "type": {"type": "object", "properties": {}},
        "list": {"type": "array", "items": {"$ref": "#"}},
    },
    "anyOf": [{"type": "object", "additionalProperties": True}],
    "enum": [{"type": "object"}],
    "$defs": {"one": {"type": ["object", "null"]}},
}
CLOSED = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "type": {"type": "object", "properties": {}, "additionalProperties": False},
        "list": {"type": "array", "items": {"$ref": "#"}},
    },
    "anyOf": [{"type": "object", "additionalProperties": True}],
    "enum": [{"type": "object"}],
    "$defs": {"one": {"type": ["object", "null"], "additionalProperties": False}},
}


def test_strict_schemas_are_closed_for_cerebras() -> None:
    """Each object schema says that it is closed, properties called `type` and examples notwithstanding."""
    tool = {"type": "function", "function": {"name": "f", "strict": True, "parameters": OPEN}}
    shape = {"type": "json_schema", "json_schema": {"name": "s", "strict": True, "schema": OPEN}}

    body, notes = sent(endpoint("cerebras"), tools=[tool], response_format=shape)

    assert body["tools"][0]["function"]["parameters"] == CLOSED
    assert body["response_format"]["json_schema"] == {"name": "s", "strict": True, "schema": CLOSED}
    assert notes == ["additionalProperties: false added to strict schemas"]


def test_other_schemas_stay_for_cerebras() -> None:
    """A schema that is not strict, or closed already, is not touched."""
    loose = {"type": "function", "function": {"name": "f", "parameters": OPEN}}
    closed = {"type": "function", "function": {"name": "g", "strict": True, "parameters": CLOSED}}

    assert sent(endpoint("cerebras"), tools=[loose, closed]) == ({"tools": [loose, closed]}, [])


def test_strictness_is_left_out_for_moonshot() -> None:
    """A vendor without strict schemas gets the schema all the same, and the loss is noted once."""
    tools = [{"type": "function", "function": {"name": name, "strict": True}} for name in "ab"]
    shape = {"type": "json_schema", "json_schema": {"name": "s", "strict": True, "schema": OPEN}}

    body, notes = sent(endpoint("moonshot"), tools=tools, response_format=shape)

    assert body["tools"] == [{"type": "function", "function": {"name": name}} for name in "ab"]
    assert body["response_format"]["json_schema"] == {"name": "s", "schema": OPEN}
    assert notes == ["strict left out of schemas"]


CALL = {"type": "function", "function": {"name": "f", "arguments": "{}"}}


def test_ids_of_another_form() -> None:
    """Ids that Mistral would refuse are rewritten in call and result alike, the same every time."""
    messages = [
        {"role": "user", "content": "Hi"},
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [{"id": "call_1", **CALL}, {"id": "a1B2c3D4e", **CALL}],
        },
        {"role": "tool", "tool_call_id": "call_1", "content": "1"},
        {"role": "tool", "tool_call_id": "a1B2c3D4e", "content": "2"},
    ]
    (body, notes), (again, _) = (sent(endpoint("mistral"), messages=messages) for _ in range(2))
    first, second = [call["id"] for call in body["messages"][1]["tool_calls"]]

    assert re.fullmatch("[a-zA-Z0-9]{9}", first)
    assert "a1B2c3D4e" == second
    assert [first, second] == [message["tool_call_id"] for message in body["messages"][2:]]
    assert ["tool call ids rewritten"] == notes
    assert body == again


@pytest.mark.parametrize(
    "messages",
    [
        [{"role": "assistant", "tool_calls": [{"id": "a1B2c3D4e", **CALL}]}],
        [{"role": "assistant", "tool_calls": [CALL]}],
        [{"role": "assistant", "tool_calls": "f"}],
        [{"role": "tool", "tool_call_id": "a b", "content": "1"}],
    ],
    ids=["legal", "no id", "no calls", "no call"],
)
def test_ids_that_stay(messages: list[dict[str, Any]]) -> None:
    """What is legal, and what is no id of a call, is left as it is."""
    body, notes = sent(endpoint("mistral"), messages=[*messages, {"role": "user", "content": "Hi"}])

    assert messages == body["messages"][:-1]
    assert [] == notes


@pytest.mark.parametrize(
    ("last", "marked", "notes"),
    [
        ({"role": "assistant", "content": "Yo"}, True, ["the last turn marked as one to go on with"]),
        ({"role": "assistant", "content": "Yo", "prefix": True}, True, []),
        ({"role": "user", "content": "Yo"}, None, []),
    ],
)
def test_a_last_turn_of_the_model(last: dict[str, Any], marked: bool | None, notes: list[str]) -> None:
    """Mistral refuses a last turn of the model's that is not marked as one to go on with."""
    body, said = sent(endpoint("mistral"), messages=[{"role": "user", "content": "Hi"}, last])

    assert marked == body["messages"][-1].get("prefix")
    assert notes == said


def test_azure_looks_at_both() -> None:
    """An Azure deployment refuses, or drops, what its api-version and what its model do not take."""
    client = DIALECTS["azure"].client
    old = Endpoint("gpt-5", vendor="azure", base_url="https://r.openai.azure.com?api-version=2024-10-21")
    request = Request.of("Hi", {"store": True, "temperature": 0.2})

    with pytest.raises(InvalidRequest, match="store"):
        client.check(request, old)
    with pytest.raises(InvalidRequest, match="temperature"):
        client.check(Request.of("Hi", {"temperature": 0.2}), old)
    assert ("store", "temperature") == client.dropped(request, attrs.evolve(old, unsupported="drop"))


@pytest.mark.parametrize(
    ("params", "own", "effort", "notes"),
    [
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, {}, "none", 1),
        (
            {"tools": [{"type": "function", "function": {"name": "f"}}], "reasoning_effort": "low"},
            {},
            "low",
            0,
        ),
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, {"reasoning_effort": "low"}, "low", 0),
        ({}, {}, None, 0),
    ],
)
def test_tools_of_models_that_reason(
    params: dict[str, Any], own: dict[str, Any], effort: str | None, notes: int
) -> None:
    """A model that takes tools only without reasoning is told so, and the ledger too."""
    said: list[str] = []
    body = DIALECTS["openai"].client.encode(
        Request.of("Hi", params), endpoint("openai", "gpt-5.6", params=own), said.append
    )

    assert effort == orjson.loads(body).get("reasoning_effort")
    assert ["reasoning switched off, because the model takes tools only without it here"] * notes == said
