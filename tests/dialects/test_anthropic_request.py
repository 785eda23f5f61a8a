"""Requests in OpenAI's terms, as Anthropic gets them."""

from __future__ import annotations

import types
from typing import Any, Literal

import orjson
import pytest

from fallbackio.dialects import DIALECTS
from fallbackio.endpoint import Endpoint
from fallbackio.errors import InvalidRequest
from fallbackio.model import FunctionCall, Message, Request, ToolCall

CLIENT = DIALECTS["anthropic"].client
PNG = "data:image/png;base64,iVBORw0KGgo="
PDF = "data:application/pdf;base64,JVBERi0x"

Fields = dict[str, Any]


def endpoint(
    model: str = "claude-sonnet-4-5", *, unsupported: Literal["error", "drop"] = "error", **params: Any
) -> Endpoint:
    return Endpoint(
        model, base_url="https://api.anthropic.com", api_key="k", params=params, unsupported=unsupported
    )


def sent(messages: Any = "Hi", to: Endpoint | None = None, *, stream: bool = False, **params: Any) -> Fields:
    """The body that goes out."""
    request = Request.of(messages, params, stream=stream)
    body = orjson.loads(CLIENT.encode(request, to or endpoint()))
    assert isinstance(body, dict)
    return body


def user(*content: Any) -> Fields:
    return {"role": "user", "content": list(content) if len(content) > 1 else content[0]}


def text(said: str) -> Fields:
    return {"type": "text", "text": said}


def call(call_id: str, name: str = "f", arguments: str | None = "{}") -> Fields:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


def calls(*given: Fields, content: Any = None) -> Fields:
    return {"role": "assistant", "content": content, "tool_calls": list(given)}


def use(call_id: str, name: str = "f", **arguments: Any) -> Fields:
    return {"type": "tool_use", "id": call_id, "name": name, "input": arguments}


def result(call_id: str, content: Any) -> Fields:
    return {"role": "tool", "tool_call_id": call_id, "content": content}


def said_result(call_id: str, content: Any) -> Fields:
    return {"type": "tool_result", "tool_use_id": call_id, "content": content}


@pytest.mark.parametrize(
    ("base_url", "url"),
    [
        ("https://api.anthropic.com", "https://api.anthropic.com/v1/messages"),
        ("https://api.anthropic.com/", "https://api.anthropic.com/v1/messages"),
        ("https://api.anthropic.com/v1", "https://api.anthropic.com/v1/messages"),
        ("https://api.anthropic.com/v1/", "https://api.anthropic.com/v1/messages"),
        ("http://localhost:8000/anthropic", "http://localhost:8000/anthropic/v1/messages"),
    ],
)
def test_url(base_url: str, url: str) -> None:
    """However the base URL is written, requests go to its /v1/messages."""
    assert url == CLIENT.url(Endpoint("m", base_url=base_url))


def test_headers() -> None:
    """The key goes as x-api-key, with an API version that still takes sampling parameters."""
    assert {
        "content-type": "application/json",
        "anthropic-version": "2023-06-01",
        "x-api-key": "k",
    } == CLIENT.headers(endpoint())


def test_own_headers_win() -> None:
    """An endpoint's header replaces ours whatever its case, and no key means no key header."""
    local = Endpoint(
        "m", base_url="http://localhost", headers={"Anthropic-Version": "2026-10-21", "X-A": "b"}
    )

    assert {"content-type": "application/json", "Anthropic-Version": "2026-10-21", "X-A": "b"} == (
        CLIENT.headers(local)
    )


CONVERSATIONS: dict[str, tuple[list[Any], Any, list[Fields]]] = {
    "text": ([user("Hi")], None, [user("Hi")]),
    "leading instructions": (
        [{"role": "system", "content": "A"}, {"role": "developer", "content": "B"}, user("Hi")],
        "A\nB",
        [user("Hi")],
    ),
    "later instructions move to the front": (
        [
            {"role": "system", "content": "A"},
            user("Hi"),
            {"role": "system", "content": [text("B")]},
            user("Ho"),
        ],
        "A\nB",
        [user(text("Hi"), text("Ho"))],
    ),
    "cached instructions stay blocks": (
        [{"role": "system", "content": [{**text("A"), "cache_control": {"type": "ephemeral"}}]}, user("Hi")],
        [{"type": "text", "text": "A", "cache_control": {"type": "ephemeral"}}],
        [user("Hi")],
    ),
    "blank text is left out": (
        [
            {"role": "system", "content": " \n"},
            user(" "),
            {"role": "assistant", "content": "\t"},
            user(text(""), text("Hi")),
        ],
        None,
        [{"role": "user", "content": [text("Hi")]}],
    ),
    "image as data": (
        [user(text("What?"), {"type": "image_url", "image_url": {"url": PNG, "detail": "low"}})],
        None,
        [
            user(
                text("What?"),
                {
                    "type": "image",
                    "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="},
                },
            )
        ],
    ),
    "image's media type is made exact": (
        [user([{"type": "image_url", "image_url": {"url": "data:IMAGE/JPG;x=y;base64,/9j/"}}])],
        None,
        [
            user(
                [
                    {
                        "type": "image",
                        "source": {"type": "base64", "media_type": "image/jpeg", "data": "/9j/"},
                    }
                ]
            )
        ],
    ),
    "image by address": (
        [user([{"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}])],
        None,
        [user([{"type": "image", "source": {"type": "url", "url": "https://example.org/a.png"}}])],
    ),
    "PDF": (
        [user([{"type": "file", "file": {"file_data": PDF, "filename": "a.pdf"}}])],
        None,
        [
            user(
                [
                    {
                        "type": "document",
                        "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0x"},
                        "title": "a.pdf",
                    }
                ]
            )
        ],
    ),
    "Anthropic's own blocks": (
        [user([{"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "x"}}])],
        None,
        [user([{"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "x"}}])],
    ),
    "tool calls and results": (
        [
            user("Hi"),
            calls(call("a", "f", '{"x": 1}'), call("b", "g", ""), content="Look."),
            result("a", "one"),
            result("b", [text("two")]),
            user("Go on"),
        ],
        None,
        [
            user("Hi"),
            {"role": "assistant", "content": [text("Look."), use("a", "f", x=1), use("b", "g")]},
            user(said_result("a", "one"), said_result("b", [text("two")]), text("Go on")),
        ],
    ),
    "an empty result": (
        [user("Hi"), calls(call("a", "f", None)), result("a", "")],
        None,
        [
            user("Hi"),
            {"role": "assistant", "content": [use("a")]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "a"}]},
        ],
    ),
    "illegal ids are rewritten alike on both ends": (
        [user("Hi"), calls(call("call:1"), call("call.1")), result("call.1", "x"), result("call:1", "y")],
        None,
        [
            user("Hi"),
            {"role": "assistant", "content": [use("call_1_dfba2616"), use("call_1_f114f143")]},
            user(said_result("call_1_f114f143", "x"), said_result("call_1_dfba2616", "y")),
        ],
    ),
    "empty assistant turns are left out": (
        [
            user("Hi"),
            {"role": "assistant", "content": None},
            {"role": "assistant", "content": ""},
            user("Ho"),
        ],
        None,
        [user(text("Hi"), text("Ho"))],
    ),
    "the last assistant turn ends without white space": (
        [user("Hi"), {"role": "assistant", "content": "It is \n"}],
        None,
        [user("Hi"), {"role": "assistant", "content": "It is"}],
    ),
    "the last assistant turn in parts, too": (
        [user("Hi"), {"role": "assistant", "content": [text("A "), text("B ")]}],
        None,
        [user("Hi"), {"role": "assistant", "content": [text("A "), text("B")]}],
    ),
    "a refusal is text": (
        [user("Hi"), {"role": "assistant", "content": None, "refusal": "No."}, user("Why?")],
        None,
        [user("Hi"), {"role": "assistant", "content": "No."}, user("Why?")],
    ),
    "reasoning of whichever model stays here": (
        [
            user("Hi"),
            Message("Yo", reasoning="hm"),
            {
                "role": "assistant",
                "content": [{"type": "thinking", "thinking": "h", "signature": "s"}, text("A")],
            },
        ],
        None,
        [
            user("Hi"),
            {"role": "assistant", "content": "Yo"},
            {"role": "assistant", "content": [text("A")]},
        ],
    ),
    "a reply's message": (
        [
            user("Hi"),
            Message(None, tool_calls=(ToolCall("a", FunctionCall("f", '{"x":1}')),)),
            result("a", "1"),
        ],
        None,
        [
            user("Hi"),
            {"role": "assistant", "content": [use("a", x=1)]},
            {"role": "user", "content": [said_result("a", "1")]},
        ],
    ),
}


@pytest.mark.parametrize(
    ("messages", "system", "turns"),
    CONVERSATIONS.values(),
    ids=[name.replace(" ", "-") for name in CONVERSATIONS],
)
def test_conversation(messages: list[Any], system: Any, turns: list[Fields]) -> None:
    """An OpenAI-format conversation keeps its meaning as system and turns."""
    body = sent(messages)

    assert turns == body["messages"]
    assert system == body.get("system")


ONLY_HERE: dict[str, list[Any]] = {
    "audio": [user([{"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}])],
    "uploaded file": [user([{"type": "file", "file": {"file_id": "file-1"}}])],
    "file of another kind": [user([{"type": "file", "file": {"file_data": "data:text/csv;base64,eA=="}}])],
    "image of another kind": [
        user([{"type": "image_url", "image_url": {"url": "data:image/tiff;base64,eA=="}}])
    ],
    "image by another scheme": [user([{"type": "image_url", "image_url": {"url": "gs://a/b.png"}}])],
    "data that is not base64": [user([{"type": "image_url", "image_url": {"url": "data:image/png,x"}}])],
    "image in instructions": [
        {"role": "system", "content": [{"type": "image_url", "image_url": {"url": PNG}}]}
    ],
    "arguments cut short": [user("Hi"), calls(call("a", "f", '{"x": '))],
    "arguments that are no object": [user("Hi"), calls(call("a", "f", "[1]"))],
    "custom call": [
        user("Hi"),
        calls({"id": "a", "type": "custom", "custom": {"name": "f", "input": "x"}}),
    ],
    "old function call": [
        user("Hi"),
        {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}},
    ],
    "old function result": [user("Hi"), {"role": "function", "name": "f", "content": "x"}],
    "nothing but instructions": [{"role": "system", "content": "A"}],
}


@pytest.mark.parametrize("messages", ONLY_HERE.values(), ids=[name.replace(" ", "-") for name in ONLY_HERE])
def test_what_messages_cannot_say(messages: list[Any]) -> None:
    """What only this dialect cannot express leaves the other endpoints their chance."""
    with pytest.raises(InvalidRequest) as raised:
        sent(messages)

    assert raised.value.everywhere is False


EVERYWHERE: dict[str, list[Any]] = {
    "content": [{"role": "user", "content": 5}],
    "part": [{"role": "user", "content": ["Hi"]}],
    "part without type": [{"role": "user", "content": [{"text": "Hi"}]}],
    "text": [{"role": "user", "content": [{"type": "text", "text": 5}]}],
    "image": [{"role": "user", "content": [{"type": "image_url"}]}],
    "file": [{"role": "user", "content": [{"type": "file"}]}],
    "calls": [user("Hi"), {"role": "assistant", "tool_calls": "f"}],
    "call without id": [user("Hi"), calls({"type": "function", "function": {"name": "f"}})],
    "call without function": [user("Hi"), calls({"id": "a", "type": "function"})],
    "result without id": [user("Hi"), {"role": "tool", "content": "x"}],
}


@pytest.mark.parametrize("messages", EVERYWHERE.values(), ids=[name.replace(" ", "-") for name in EVERYWHERE])
def test_messages_of_a_wrong_shape(messages: list[Any]) -> None:
    """A message that no provider would take is the request's own fault, and the error says where."""
    with pytest.raises(InvalidRequest, match=r"messages\[\d\]") as raised:
        sent(messages)

    assert raised.value.everywhere is True


WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "of a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
        "strict": True,
    },
}
SAID_WEATHER = {
    "name": "weather",
    "description": "of a city",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}},
    "strict": True,
}
SCHEMA = {"type": "object", "properties": {}, "additionalProperties": False}
BY_SCHEMA = {"type": "json_schema", "json_schema": {"name": "a", "schema": SCHEMA, "strict": True}}


PARAMS: dict[str, tuple[Fields, Fields]] = {
    "nothing": ({}, {"max_tokens": 8192}),
    "max_tokens": ({"max_tokens": 5}, {"max_tokens": 5}),
    "max_completion_tokens": ({"max_completion_tokens": 6, "max_tokens": 5}, {"max_tokens": 6}),
    "null": ({"max_tokens": None, "temperature": None, "seed": None}, {"max_tokens": 8192}),
    "temperature": ({"temperature": 0.3}, {"temperature": 0.3}),
    "temperature above": ({"temperature": 1.7}, {"temperature": 1}),
    "top_p": ({"top_p": 0.5}, {"top_p": 0.5}),
    "stop": ({"stop": "END"}, {"stop_sequences": ["END"]}),
    "stops": ({"stop": ["END", "\n", ""]}, {"stop_sequences": ["END"]}),
    "blank stop": ({"stop": "\n\n"}, {}),
    "user": ({"user": "u1"}, {"metadata": {"user_id": "u1"}}),
    "safety_identifier": ({"safety_identifier": "u2", "user": "u1"}, {"metadata": {"user_id": "u2"}}),
    "metadata": ({"metadata": {"user_id": "u3"}}, {"metadata": {"user_id": "u3"}}),
    "tier": ({"service_tier": "default"}, {"service_tier": "standard_only"}),
    "defaults": (
        {
            "n": 1,
            "logprobs": False,
            "presence_penalty": 0,
            "frequency_penalty": 0.0,
            "logit_bias": {},
            "modalities": ["text"],
            "response_format": {"type": "text"},
            "top_p": 1,
            "store": False,
        },
        {},
    ),
    "unknown": (
        {"top_k": 5, "thinking": {"type": "enabled", "budget_tokens": 2048}},
        {"top_k": 5, "thinking": {"type": "enabled", "budget_tokens": 2048}},
    ),
    "stream_options": ({"stream_options": {"include_usage": True}}, {}),
    "tools": ({"tools": [WEATHER]}, {"tools": [SAID_WEATHER]}),
    "tool without parameters": (
        {"tools": [{"type": "function", "function": {"name": "f"}}]},
        {"tools": [{"name": "f", "input_schema": {"type": "object", "properties": {}}}]},
    ),
    "Anthropic's tool": (
        {"tools": [{"type": "web_search_20250305", "name": "web_search"}]},
        {"tools": [{"type": "web_search_20250305", "name": "web_search"}]},
    ),
    "a choice without tools is the user's mistake": (
        {"tool_choice": "required"},
        {"tool_choice": {"type": "any"}},
    ),
    "no tools": ({"tools": [], "parallel_tool_calls": False}, {}),
    "auto": (
        {"tools": [WEATHER], "tool_choice": "auto"},
        {"tools": [SAID_WEATHER], "tool_choice": {"type": "auto"}},
    ),
    "required": (
        {"tools": [WEATHER], "tool_choice": "required"},
        {"tools": [SAID_WEATHER], "tool_choice": {"type": "any"}},
    ),
    "none": (
        {"tools": [WEATHER], "tool_choice": "none", "parallel_tool_calls": False},
        {"tools": [SAID_WEATHER], "tool_choice": {"type": "none"}},
    ),
    "named, one at a time": (
        {
            "tools": [WEATHER],
            "tool_choice": {"type": "function", "function": {"name": "weather"}},
            "parallel_tool_calls": False,
        },
        {
            "tools": [SAID_WEATHER],
            "tool_choice": {"type": "tool", "name": "weather", "disable_parallel_tool_use": True},
        },
    ),
    "one at a time": (
        {"tools": [WEATHER], "parallel_tool_calls": False},
        {"tools": [SAID_WEATHER], "tool_choice": {"type": "auto", "disable_parallel_tool_use": True}},
    ),
    "parallel": ({"tools": [WEATHER], "parallel_tool_calls": True}, {"tools": [SAID_WEATHER]}),
    "schema": (
        {"response_format": BY_SCHEMA},
        {"output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}},
    ),
}


@pytest.mark.parametrize(
    ("params", "expected"), PARAMS.values(), ids=[name.replace(" ", "-") for name in PARAMS]
)
def test_parameters(params: Fields, expected: Fields) -> None:
    """OpenAI's parameters come out as those of Messages, and nothing else does."""
    body = sent(**params)

    assert {"model": "claude-sonnet-4-5", "messages": [user("Hi")], "max_tokens": 8192, **expected} == body


def test_json_object_becomes_an_instruction() -> None:
    """JSON without a schema has no field, so it is asked for in words, after the user's own."""
    body = sent([{"role": "system", "content": "A"}, user("Hi")], response_format={"type": "json_object"})

    assert body["system"].startswith("A\n")
    assert "JSON" in body["system"]


def test_stream() -> None:
    """A streamed answer is asked for by `stream`, a plain one by its absence."""
    assert sent(stream=True)["stream"] is True
    assert "stream" not in sent()


@pytest.mark.parametrize(
    ("model", "params", "expected"),
    [
        ("claude-3-7-sonnet-latest", {"reasoning_effort": "none"}, {}),
        ("claude-sonnet-4-5-20250929", {"reasoning_effort": "none"}, {}),
        (
            "claude-sonnet-4-5",
            {"reasoning_effort": "medium"},
            {"thinking": {"type": "enabled", "budget_tokens": 8192}, "max_tokens": 16384},
        ),
        (
            "claude-opus-4-1-20250805",
            {"reasoning_effort": "max"},
            {"thinking": {"type": "enabled", "budget_tokens": 24576}, "max_tokens": 32000},
        ),
        (
            "claude-3-7-sonnet-latest",
            {"reasoning_effort": "high", "max_tokens": 4000},
            {"thinking": {"type": "enabled", "budget_tokens": 2000}, "max_tokens": 4000},
        ),
        (
            "claude-sonnet-4-5",
            {"reasoning_effort": "low", "top_p": 0.95},
            {
                "thinking": {"type": "enabled", "budget_tokens": 2048},
                "max_tokens": 10240,
                "top_p": 0.95,
            },
        ),
        (
            "claude-opus-4-6",
            {"reasoning_effort": "high"},
            {"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}},
        ),
        (
            "claude-opus-4-7",
            {"reasoning_effort": "minimal"},
            {"thinking": {"type": "adaptive"}, "output_config": {"effort": "low"}},
        ),
        (
            "claude-sonnet-5",
            {"reasoning_effort": "low", "response_format": BY_SCHEMA},
            {
                "thinking": {"type": "adaptive"},
                "output_config": {"effort": "low", "format": {"type": "json_schema", "schema": SCHEMA}},
            },
        ),
        ("claude-sonnet-5", {"reasoning_effort": "none"}, {"thinking": {"type": "disabled"}}),
        ("claude-opus-5-5", {"reasoning_effort": "none"}, {"output_config": {"effort": "low"}}),
        (
            "claude-opus-4-7",
            {"reasoning_effort": "high", "thinking": {"type": "disabled"}},
            {"thinking": {"type": "disabled"}},
        ),
        ("claude-opus-4-7", {"temperature": 1, "top_p": 1}, {}),
        ("claude-3-opus-20240229", {"temperature": 0.5, "top_p": 0.5}, {"temperature": 0.5, "top_p": 0.5}),
        ("claude-opus-4-20250514", {"temperature": 0.5, "top_p": 0.5}, {"temperature": 0.5, "top_p": 0.5}),
        ("some-alias", {"temperature": 0.5, "top_p": 0.5}, {"temperature": 0.5, "top_p": 0.5}),
    ],
)
def test_models_differ(model: str, params: Fields, expected: Fields) -> None:
    """What a model's name tells about it decides how effort and sampling are said."""
    body = sent(to=endpoint(model), **params)

    assert {"model": model, "messages": [user("Hi")], "max_tokens": 8192, **expected} == body


LOST: dict[str, tuple[str, Fields]] = {
    "seed": ("claude-sonnet-4-5", {"seed": 7}),
    "n": ("claude-sonnet-4-5", {"n": 2}),
    "logprobs": ("claude-sonnet-4-5", {"logprobs": True}),
    "logit_bias": ("claude-sonnet-4-5", {"logit_bias": {"1": 5}}),
    "presence_penalty": ("claude-sonnet-4-5", {"presence_penalty": 0.5}),
    "functions": ("claude-sonnet-4-5", {"functions": [{"name": "f"}]}),
    "modalities": ("claude-sonnet-4-5", {"modalities": ["audio"]}),
    "web_search_options": ("claude-sonnet-4-5", {"web_search_options": {}}),
    "service_tier": ("claude-sonnet-4-5", {"service_tier": "flex"}),
    "metadata": ("claude-sonnet-4-5", {"metadata": {"team": "a"}}),
    "tool_choice": ("claude-sonnet-4-5", {"tool_choice": {"type": "allowed_tools"}}),
    "response_format": (
        "claude-3-5-haiku-latest",
        {"response_format": {"type": "json_schema", "json_schema": {"schema": {"type": "array"}}}},
    ),
    "grammar": ("claude-sonnet-4-5", {"response_format": {"type": "grammar"}}),
    "effort": ("claude-3-5-sonnet-20241022", {"reasoning_effort": "high"}),
    "effort that is none": ("claude-sonnet-4-5", {"reasoning_effort": "utmost"}),
    "forced tool": ("claude-opus-5-5", {"tool_choice": "required"}),
    "forced tool of a preview": ("claude-mythos-preview", {"tool_choice": "required"}),
    "effort of an alias": ("some-alias", {"reasoning_effort": "high"}),
    "temperature": ("claude-opus-4-7", {"temperature": 0.2}),
    "temperature of a dotted name": ("anthropic/claude-opus-4.7", {"temperature": 0.2}),
    "temperature of a dated name": ("us.anthropic.claude-opus-5-20261001-v1:0", {"temperature": 0.2}),
    "temperature of a preview": ("claude-mythos-preview", {"temperature": 0.2}),
    "top_p": ("claude-opus-5", {"top_p": 0.2}),
}


@pytest.mark.parametrize(("model", "params"), LOST.values(), ids=[name.replace(" ", "-") for name in LOST])
def test_lost_parameters_are_refused(model: str, params: Fields) -> None:
    """A parameter that would be lost is an error that names it and the mend, before anything is sent."""
    (name,) = params

    for refuse in (CLIENT.check, CLIENT.encode):
        with pytest.raises(InvalidRequest, match=f'{name}.*unsupported="drop"') as raised:
            refuse(Request.of("Hi", params), endpoint(model))
        assert raised.value.everywhere is False


@pytest.mark.parametrize(("model", "params"), LOST.values(), ids=[name.replace(" ", "-") for name in LOST])
def test_lost_parameters_are_dropped_on_request(model: str, params: Fields) -> None:
    """An endpoint that drops sends the rest, and says what it left out."""
    dropping = endpoint(model, unsupported="drop")
    request = Request.of("Hi", {**params, "top_k": 5})

    CLIENT.check(request, dropping)

    assert tuple(params) == CLIENT.dropped(request, dropping)
    assert {"model": model, "messages": [user("Hi")], "max_tokens": 8192, "top_k": 5} == (
        orjson.loads(CLIENT.encode(request, dropping))
    )


def test_top_p_beside_temperature() -> None:
    """From Claude 4.1 on only one of the two can be sent, and it is top_p that would be lost."""
    request = Request.of("Hi", {"temperature": 0.5, "top_p": 0.5})

    assert ("top_p",) == CLIENT.dropped(request, endpoint(unsupported="drop"))


def test_nothing_is_dropped_unasked() -> None:
    """An endpoint that refuses drops nothing, so nobody warns."""
    assert () == CLIENT.dropped(Request.of("Hi", {"seed": 7}), endpoint())


def test_endpoint_params_replace_the_calls() -> None:
    """An endpoint's own parameters win, its `None` removes one, and both count for what is lost."""
    own = endpoint(temperature=0.1, seed=None, max_tokens=9)
    request = Request.of("Hi", {"temperature": 0.9, "seed": 7, "stop": "x"})

    CLIENT.check(request, own)

    assert {
        "model": "claude-sonnet-4-5",
        "messages": [user("Hi")],
        "max_tokens": 9,
        "temperature": 0.1,
        "stop_sequences": ["x"],
    } == orjson.loads(CLIENT.encode(request, own))


@pytest.mark.parametrize(
    "params",
    [
        {"tools": "f"},
        {"tools": ["f"]},
        {"tools": [{"type": "function"}]},
        {"tools": [{"type": "function", "function": {"name": "f", "parameters": 5}}]},
        {"output_config": 5, "response_format": BY_SCHEMA},
        {"top_k": {1, 2}},
        {"top_k": {1: 2}},
    ],
    ids=["tools", "tool", "no-function", "no-schema", "config", "set", "key"],
)
def test_parameters_of_a_wrong_shape(params: Fields) -> None:
    """What is no JSON, or no tool, is an error of ours and not of some library."""
    with pytest.raises(InvalidRequest) as raised:
        sent(**params)

    assert raised.value.everywhere is True


def test_any_mapping_will_do() -> None:
    """Read-only mappings are as good as dicts, however deep they are."""
    frozen = types.MappingProxyType({"type": "object", "properties": types.MappingProxyType({})})
    tool = types.MappingProxyType({"type": "function", "function": {"name": "f", "parameters": frozen}})

    assert [{"name": "f", "input_schema": {"type": "object", "properties": {}}}] == sent(tools=[tool])[
        "tools"
    ]


def test_the_users_own_values_stay_as_they_are() -> None:
    """Encoding changes nothing in what the user passed."""
    messages = [user("Hi"), {"role": "assistant", "content": [text("A ")]}]
    params: Fields = {
        "response_format": BY_SCHEMA,
        "output_config": {"x": 1},
        "stop": [" ", "a"],
        "user": "u",
    }
    before = orjson.dumps([messages, params])

    sent(messages, **params)

    assert before == orjson.dumps([messages, params])


@pytest.mark.parametrize(
    ("model", "lost", "params"),
    [
        ("claude-sonnet-4-5", "reasoning_effort", {"max_tokens": 1024}),
        ("claude-sonnet-4-5", "temperature", {"temperature": 0.5}),
        ("claude-opus-4-6", "temperature", {"temperature": 0.5}),
        ("claude-sonnet-4-5", "top_p", {"top_p": 0.5}),
        (
            "claude-sonnet-4-5",
            "tool_choice",
            {"tools": [{"type": "function", "function": {"name": "f"}}], "tool_choice": "required"},
        ),
        (
            "claude-sonnet-4-5",
            "tool_choice",
            {
                "tools": [{"type": "function", "function": {"name": "f"}}],
                "tool_choice": {"type": "function", "function": {}},
            },
        ),
        ("claude-sonnet-4", "response_format", {"response_format": BY_SCHEMA}),
    ],
)
def test_what_does_not_go_with_thinking(model: str, lost: str, params: Fields) -> None:
    """A model that thinks may not be told how to sample, nor, with a budget, be forced to call."""
    with pytest.raises(InvalidRequest, match=f"cannot express {lost};"):
        CLIENT.check(Request.of("Hi", {"reasoning_effort": "low", **params}), endpoint(model))
    with pytest.raises(InvalidRequest, match=f"cannot express {lost};"):
        own = {"thinking": {"type": "enabled", "budget_tokens": 1024}} if lost != "reasoning_effort" else {}
        CLIENT.check(
            Request.of("Hi", {**({} if own else {"reasoning_effort": "low"}), **own, **params}),
            endpoint(model),
        )


def test_a_tool_loop_begun_by_another() -> None:
    """A budget is not spent on a loop that another model began, and no prefill is sent with one."""
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    loop = [
        user("Hi"),
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c", "content": "1"},
    ]
    notes: list[str] = []
    request = Request.of(loop, {"reasoning_effort": "low"})
    body = orjson.loads(CLIENT.encode(request, endpoint("claude-sonnet-4-5"), notes.append))

    assert "thinking" not in body
    assert ["thinking switched off, because another model began the tool calls"] == notes
    assert CLIENT.prefilled(request, endpoint("claude-sonnet-4-5"), "Yo") is None
