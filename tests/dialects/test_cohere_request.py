"""Requests in OpenAI's terms, as Cohere gets them."""

from __future__ import annotations

from typing import Any, Literal

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fallbackio.dialects import DIALECTS
from fallbackio.dialects.cohere._embedding import CohereEmbedding
from fallbackio.endpoint import Endpoint
from fallbackio.errors import InvalidRequest
from fallbackio.model import EmbeddingRequest, FunctionCall, Message, Request, ToolCall

CLIENT = DIALECTS["cohere"].client
SERVER = DIALECTS["cohere"].server
PNG = "data:image/png;base64,iVBORw0KGgo="

Fields = dict[str, Any]


def endpoint(*, unsupported: Literal["error", "drop"] = "error", **params: Any) -> Endpoint:
    return Endpoint(
        "command-a-03-2025",
        base_url="https://api.cohere.com/v2",
        api_key="k",
        params=params,
        unsupported=unsupported,
    )


def sent(messages: Any = "Hi", to: Endpoint | None = None, *, stream: bool = False, **params: Any) -> Fields:
    """The body that goes out, which our own server side must take as well."""
    wire = CLIENT.encode(Request.of(messages, params, stream=stream), to or endpoint())
    SERVER.read(wire)
    body = orjson.loads(wire)
    assert isinstance(body, dict)
    return body


def noted(messages: Any = "Hi", **params: Any) -> list[str]:
    notes: list[str] = []
    CLIENT.encode(Request.of(messages, params), endpoint(), notes.append)
    return notes


def tool(name: str = "f", **function: Any) -> Fields:
    return {"type": "function", "function": {"name": name, **function}}


def user(content: Any) -> Fields:
    return {"role": "user", "content": content}


def call(call_id: str, name: str = "f", arguments: str | None = "{}") -> Fields:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


def calls(*given: Fields, content: Any = None, **more: Any) -> Fields:
    return {"role": "assistant", "content": content, "tool_calls": list(given), **more}


def result(call_id: str, content: Any = "5 degrees") -> Fields:
    return {"role": "tool", "tool_call_id": call_id, "content": content}


SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


@pytest.mark.parametrize(
    ("base_url", "url"),
    [
        ("https://api.cohere.com/v2", "https://api.cohere.com/v2/chat"),
        ("https://api.cohere.com/v2/", "https://api.cohere.com/v2/chat"),
        ("https://api.cohere.com", "https://api.cohere.com/v2/chat"),
        ("http://localhost:8000/cohere/", "http://localhost:8000/cohere/v2/chat"),
    ],
)
def test_url(base_url: str, url: str) -> None:
    """However the base URL is written, requests go to its /v2/chat."""
    assert url == CLIENT.url(Endpoint("m", base_url=base_url))


def test_headers() -> None:
    """The key goes as a bearer token, and an endpoint's own header replaces ours whatever its case."""
    own = Endpoint("m", base_url="https://api.cohere.com", api_key="k", headers={"Authorization": "x"})

    assert {"content-type": "application/json", "authorization": "Bearer k"} == CLIENT.headers(endpoint())
    assert {"content-type": "application/json", "Authorization": "x"} == CLIENT.headers(own)
    assert "static" == CLIENT.credentials(own)


CONVERSATIONS: dict[str, tuple[list[Any], list[Fields]]] = {
    "text": ([user("Hi")], [user("Hi")]),
    "instructions move to the front": (
        [
            {"role": "developer", "content": "A"},
            user("Hi"),
            {"role": "system", "content": [{"type": "text", "text": "B"}]},
        ],
        [{"role": "system", "content": "A\n\nB"}, user("Hi")],
    ),
    "parts and images": (
        [
            user(
                [
                    {"type": "text", "text": "Look"},
                    {"type": "image_url", "image_url": {"url": PNG, "detail": "low"}},
                    {"type": "image_url", "image_url": {"url": "https://x.test/a.png"}},
                ]
            )
        ],
        [
            user(
                [
                    {"type": "text", "text": "Look"},
                    {"type": "image_url", "image_url": {"url": PNG, "detail": "low"}},
                    {"type": "image_url", "image_url": {"url": "https://x.test/a.png"}},
                ]
            )
        ],
    ),
    "turns that say nothing": (
        [user("Hi"), {"role": "assistant", "content": ""}, user(" "), user("Ho")],
        [user("Hi"), user("Ho")],
    ),
    "tool loop": (
        [user("Hi"), calls(call("a"), call("b", "g", "")), result("b"), result("a", None), user("So?")],
        [
            user("Hi"),
            {"role": "assistant", "tool_calls": [call("a"), call("b", "g")]},
            result("b"),
            result("a", "(no output)"),
            user("So?"),
        ],
    ),
    "a refusal is what was said": (
        [user("Hi"), {"role": "assistant", "content": None, "refusal": "No."}, user("Why?")],
        [user("Hi"), {"role": "assistant", "content": "No."}, user("Why?")],
    ),
    "our own answer": (
        [user("Hi"), Message("Hm", (ToolCall("a", FunctionCall("f", '{"x":1}')),)), result("a")],
        [
            user("Hi"),
            {"role": "assistant", "content": "Hm", "tool_calls": [call("a", "f", '{"x":1}')]},
            result("a"),
        ],
    ),
    "another vendor's reasoning and state": (
        [
            user("Hi"),
            {
                "role": "assistant",
                "content": [{"type": "thinking", "thinking": "t"}, {"type": "text", "text": "Hm"}],
                "reasoning_content": "t",
                "annotations": [],
                "provider_state": {"dialect": "anthropic", "model": "m", "thinking": "signed"},
            },
            user("Go on"),
        ],
        [user("Hi"), {"role": "assistant", "content": [{"type": "text", "text": "Hm"}]}, user("Go on")],
    ),
    "its own plan and thinking": (
        [
            user("Hi"),
            calls(
                call("a"),
                provider_state={"dialect": "cohere", "model": "", "tool_plan": "p", "thinking": "t"},
            ),
            result("a"),
        ],
        [
            user("Hi"),
            {
                "role": "assistant",
                "content": [{"type": "thinking", "thinking": "t"}],
                "tool_plan": "p",
                "tool_calls": [call("a")],
            },
            result("a"),
        ],
    ),
}


@pytest.mark.parametrize("name", CONVERSATIONS)
def test_conversation(name: str) -> None:
    """Every kind of message is said in Cohere's form, and its server side takes it."""
    given, wanted = CONVERSATIONS[name]

    assert wanted == sent(given)["messages"]


@pytest.mark.parametrize(
    ("message", "everywhere"),
    [
        (user([{"type": "input_audio", "input_audio": {}}]), False),
        (user([{"type": "file", "file": {"file_data": "data:application/pdf;base64,JVBERi0x"}}]), False),
        (user([{"type": "image_url", "image_url": {"url": "http://x.test/a.png"}}]), False),
        (user([{"type": "image_url"}]), True),
        (user(7), True),
        (user(["x"]), True),
        (user([{"type": "text"}]), True),
        ({"role": "function", "name": "f", "content": "x"}, False),
        ({"role": "system", "content": "only"}, False),
        (calls({"type": "function"}), True),
        (calls({"id": "a", "type": "custom", "custom": {"name": "f", "input": ""}}), False),
        (calls({"id": "a", "function": {}}), True),
        ({"role": "assistant", "tool_calls": "x"}, True),
        ({"role": "assistant", "function_call": {"name": "f"}}, False),
        ({"role": "tool", "content": "x"}, True),
        ({"role": ["user"], "content": "x"}, False),
    ],
)
def test_messages_that_cannot_be_said(message: Any, everywhere: bool) -> None:
    """What only Cohere cannot be told goes on to the next endpoint, what is broken fails at once."""
    with pytest.raises(InvalidRequest) as raised:
        CLIENT.encode(Request(messages=(message,)), endpoint())

    assert everywhere is raised.value.everywhere


PARAMS: dict[str, tuple[Fields, Fields]] = {
    "limit": ({"max_completion_tokens": 5, "max_tokens": 6}, {"max_tokens": 5}),
    "sampling": (
        {"temperature": 0.5, "top_p": 0.5, "seed": 7},
        {"temperature": 0.5, "p": 0.5, "seed": 7},
    ),
    "clamps": (
        {"temperature": 1.5, "top_p": 1, "frequency_penalty": 2, "presence_penalty": 0.5},
        {"temperature": 1, "p": 0.99, "frequency_penalty": 1, "presence_penalty": 0.5},
    ),
    "stop": ({"stop": "x"}, {"stop_sequences": ["x"]}),
    "stops": ({"stop": ["x", "", "y"]}, {"stop_sequences": ["x", "y"]}),
    "defaults say nothing": (
        {"n": 1, "logit_bias": {}, "store": False, "top_logprobs": 0, "parallel_tool_calls": True},
        {},
    ),
    "none is absent": ({"temperature": None, "user": None}, {}),
    "logprobs": ({"logprobs": True}, {"logprobs": True}),
    "no effort": ({"reasoning_effort": "none"}, {"thinking": {"type": "disabled"}}),
    "low effort": ({"reasoning_effort": "low"}, {"thinking": {"type": "enabled", "token_budget": 1024}}),
    "high effort": ({"reasoning_effort": "high"}, {"thinking": {"type": "enabled"}}),
    "own thinking": (
        {"reasoning_effort": "low", "thinking": {"type": "enabled", "token_budget": 9}},
        {"thinking": {"type": "enabled", "token_budget": 9}},
    ),
    "its own words": ({"k": 5, "safety_mode": "STRICT"}, {"k": 5, "safety_mode": "STRICT"}),
    "usage always comes": ({"stream_options": {"include_usage": True}}, {}),
    "text": ({"response_format": {"type": "text"}}, {}),
    "json": ({"response_format": {"type": "json_object"}}, {"response_format": {"type": "json_object"}}),
    "schema": (
        {"response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": SCHEMA}}},
        {"response_format": {"type": "json_object", "json_schema": SCHEMA}},
    ),
    "a tool without parameters": (
        {"tools": [tool(description="d")]},
        {"tools": [tool(description="d", parameters={"type": "object", "properties": {}})]},
    ),
    "choices": (
        {"tools": [tool(parameters=SCHEMA)], "tool_choice": "required"},
        {"tools": [tool(parameters=SCHEMA)], "tool_choice": "REQUIRED"},
    ),
    "no choice": (
        {"tools": [tool(parameters=SCHEMA)], "tool_choice": "none", "parallel_tool_calls": False},
        {"tools": [tool(parameters=SCHEMA)], "tool_choice": "NONE"},
    ),
    "any choice": (
        {"tools": [tool(parameters=SCHEMA)], "tool_choice": "auto"},
        {"tools": [tool(parameters=SCHEMA)]},
    ),
    "one tool": (
        {
            "tools": [tool("f", parameters=SCHEMA), tool("g", parameters=SCHEMA)],
            "tool_choice": {"type": "function", "function": {"name": "g"}},
        },
        {"tools": [tool("g", parameters=SCHEMA)], "tool_choice": "REQUIRED"},
    ),
    "strict": (
        {"tools": [tool(parameters=SCHEMA, strict=True)]},
        {"tools": [tool(parameters=SCHEMA)], "strict_tools": True},
    ),
    "strict with a tool that requires nothing": (
        {"tools": [tool(parameters=SCHEMA, strict=True), tool("g")]},
        {"tools": [tool(parameters=SCHEMA), tool("g", parameters={"type": "object", "properties": {}})]},
    ),
    "no tools": ({"tools": [], "tool_choice": "required"}, {}),
}


@pytest.mark.parametrize("name", PARAMS)
def test_params(name: str) -> None:
    """Every parameter is said in Cohere's words, within its limits."""
    given, wanted = PARAMS[name]
    body = sent(**given)

    assert {"model": "command-a-03-2025", "messages": [user("Hi")], "stream": False, **wanted} == body


def test_stream() -> None:
    """A streamed answer is asked for by the body."""
    assert sent(stream=True)["stream"] is True


def test_the_endpoints_limit_wins() -> None:
    """An endpoint's own limit replaces the call's, whichever name that has."""
    assert 7 == sent(to=endpoint(max_tokens=7), max_completion_tokens=5)["max_tokens"]


LOST: list[Fields] = [
    {"n": 2},
    {"user": "u"},
    {"metadata": {"a": "b"}},
    {"logit_bias": {"5": 1}},
    {"top_logprobs": 2},
    {"frequency_penalty": -0.5},
    {"seed": -1},
    {"service_tier": "flex"},
    {"parallel_tool_calls": False, "tools": [tool()]},
    {"tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": []}}},
    {"response_format": {"type": "grammar"}},
    {"response_format": {"type": "json_schema", "json_schema": {"name": "x"}}},
    {"response_format": "json"},
    {"tool_choice": ["f"], "tools": [tool()]},
    {"reasoning_effort": ["low"]},
]


@pytest.mark.parametrize("params", LOST, ids=lambda params: next(iter(params)))
def test_what_would_be_lost(params: Fields) -> None:
    """A parameter that cannot be said is refused for this endpoint, or dropped where that is asked for."""
    name = next(iter(params))
    request = Request.of("Hi", params)

    for refused in (CLIENT.check, CLIENT.encode):
        with pytest.raises(InvalidRequest, match=name) as raised:
            refused(request, endpoint())
        assert not raised.value.everywhere
    dropping = endpoint(unsupported="drop")
    CLIENT.check(request, dropping)
    assert (name,) == CLIENT.dropped(request, dropping)
    assert name not in sent(to=dropping, **params)


def test_nothing_is_dropped_unasked() -> None:
    """Only an endpoint that says so drops anything."""
    assert () == CLIENT.dropped(Request.of("Hi", {"n": 2}), endpoint())


def test_a_schema_in_fewer_words() -> None:
    """Bounds, which Cohere refuses, are left out of a schema; properties of the same names stay."""
    given = {
        "type": "object",
        "properties": {
            "minimum": {"type": "integer", "minimum": 1, "maximum": 3},
            "tags": {
                "type": "array",
                "minItems": 1,
                "items": {"oneOf": [{"type": "string", "maxLength": 3}]},
            },
            "kind": {"enum": ["not", {"minimum": 1}]},
        },
        "required": ["minimum"],
    }
    shape = {"type": "json_schema", "json_schema": {"name": "a", "schema": given}}

    assert sent(response_format=shape)["response_format"]["json_schema"] == {
        "type": "object",
        "properties": {
            "minimum": {"type": "integer"},
            "tags": {"type": "array", "items": {"anyOf": [{"type": "string"}]}},
            "kind": {"enum": ["not", {"minimum": 1}]},
        },
        "required": ["minimum"],
    }
    assert "bounds left out of the schema" in noted(response_format=shape)


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"tools": [tool("get-weather")]}, "names of tools"),
        ({"tools": [{"type": "custom", "custom": {"name": "f"}}]}, "only functions"),
        (
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "a", "schema": {"allOf": [SCHEMA]}},
                }
            },
            "allOf",
        ),
    ],
)
def test_only_here(params: Fields, words: str) -> None:
    """What Cohere's subset cannot hold is left to the next endpoint."""
    with pytest.raises(InvalidRequest, match=words) as raised:
        sent(**params)

    assert not raised.value.everywhere


@pytest.mark.parametrize(
    "params",
    [
        {"tools": "x"},
        {"tools": [7]},
        {"tools": [{"type": "function"}]},
        {"tools": [tool(parameters=[1])]},
        {"tools": [tool()], "tool_choice": {"type": "function", "function": {"name": "other"}}},
        {"k": object()},
    ],
)
def test_broken_params(params: Fields) -> None:
    """What is broken fails at once, because it would everywhere."""
    with pytest.raises(InvalidRequest) as raised:
        sent(**params)

    assert raised.value.everywhere


@pytest.mark.parametrize(
    ("messages", "params", "note"),
    [
        ([user("Hi"), {"role": "system", "content": "A"}], {}, "instructions moved to the front"),
        ([{**user("Hi"), "name": "Ada"}], {}, "names of speakers left out"),
        ([user("Hi"), calls(call("a")), result("a", "")], {}, "empty tool results filled in"),
        ("Hi", {"temperature": 1.5}, "temperature brought into 0 to 1"),
        (
            "Hi",
            {
                "tools": [tool("f"), tool("g")],
                "tool_choice": {"type": "function", "function": {"name": "f"}},
            },
            "only the forced tool is offered",
        ),
        ("Hi", {"tools": [tool(strict=True)]}, "strict left out: a tool requires no parameter"),
    ],
)
def test_adaptations_are_noted(messages: Any, params: Fields, note: str) -> None:
    """Whatever is changed in a request ends in the ledger."""
    assert [note] == noted(messages, **params)


def test_nothing_to_note() -> None:
    """What needs no change is not noted."""
    assert [] == noted([{"role": "system", "content": "A"}, user("Hi")], top_p=1, temperature=0.3)


def test_no_prefill() -> None:
    """Nobody is asked to go on from a partial answer, because Cohere documents no prefill."""
    assert CLIENT.prefilled(Request.of("Hi", {}), endpoint(), "Once") is None


ROUND_TRIPS: dict[str, tuple[list[Any], Fields]] = {
    "conversation": (
        [
            {"role": "system", "content": "A"},
            user([{"type": "text", "text": "Look"}, {"type": "image_url", "image_url": {"url": PNG}}]),
            calls(call("a", "f", '{"x": {"y": [1]}}'), call("b")),
            result("a"),
            result("b"),
            {"role": "assistant", "content": "Done."},
            user("Thanks"),
        ],
        {
            "max_tokens": 5,
            "temperature": 0.5,
            "top_p": 0.5,
            "seed": 3,
            "stop": ["x"],
            "frequency_penalty": 0.5,
            "reasoning_effort": "low",
            "tool_choice": "required",
            "tools": [tool(parameters=SCHEMA, strict=True)],
        },
    ),
    "schema": (
        [user("Hi")],
        {"response_format": {"type": "json_schema", "json_schema": {"name": "answer", "schema": SCHEMA}}},
    ),
    "json": ([user("Hi")], {"response_format": {"type": "json_object"}}),
}


@pytest.mark.parametrize("name", ROUND_TRIPS)
def test_round_trip(name: str) -> None:
    """What the client says is what the server side hears."""
    messages, params = ROUND_TRIPS[name]
    heard = SERVER.read(CLIENT.encode(Request.of(messages, params, stream=True), endpoint()))

    assert Request(messages=tuple(messages), params=params, model="command-a-03-2025", stream=True) == heard


EMBEDDING = CohereEmbedding()


def test_embedding_request() -> None:
    """Texts go out for documents unless the caller says what they are for, with the size asked for."""
    request = EmbeddingRequest.of(["a", "b"], {"dimensions": 256, "encoding_format": "float"})

    assert "https://api.cohere.com/v2/embed" == EMBEDDING.url(endpoint())
    assert {
        "model": "command-a-03-2025",
        "texts": ["a", "b"],
        "input_type": "search_document",
        "embedding_types": ["float"],
        "output_dimension": 256,
    } == orjson.loads(EMBEDDING.encode(request, endpoint()))
    query = endpoint(input_type="search_query")
    assert "search_query" == orjson.loads(EMBEDDING.encode(request, query))["input_type"]


def test_embedding_round_trip() -> None:
    """The server side hears the texts and the size."""
    request = EmbeddingRequest.of(["a"], {"dimensions": 256, "input_type": "search_query"})
    heard = EMBEDDING.read(EMBEDDING.encode(request, endpoint()))

    assert (("a",), 256) == (heard.inputs, heard.params["dimensions"])


@pytest.mark.parametrize(("texts", "params"), [(["a"], {"user": "u"}), (["a"] * 97, {})])
def test_embedding_request_that_cannot_be_said(texts: list[str], params: Fields) -> None:
    """A parameter without a field, or too many texts, is left to the next endpoint."""
    with pytest.raises(InvalidRequest) as raised:
        EMBEDDING.encode(EmbeddingRequest.of(texts, params), endpoint())

    assert not raised.value.everywhere


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
_KEYS = ("content", "tool_calls", "tool_call_id", "name", "refusal", "provider_state", "function_call")
_PART = st.fixed_dictionaries(
    {"type": st.sampled_from(["text", "image_url", "file", "thinking", "odd"]) | _JSON},
    optional={"text": _JSON, "image_url": _JSON | st.fixed_dictionaries({"url": _JSON | st.just(PNG)})},
)
_CALL = st.fixed_dictionaries(
    {},
    optional={
        "id": _JSON,
        "type": _JSON,
        "function": st.dictionaries(st.sampled_from(["name", "arguments"]), _JSON),
    },
)
_MESSAGE = st.fixed_dictionaries(
    {"role": st.sampled_from(["system", "user", "assistant", "tool"]) | _JSON},
    optional={key: _JSON | st.lists(_PART | _CALL, max_size=2) for key in _KEYS},
)
_NAMES = st.sampled_from(
    [
        *sorted({name for given, _ in PARAMS.values() for name in given}),
        "n",
        "user",
        "parallel_tool_calls",
        "odd",
    ]
)


@given(st.lists(_MESSAGE, max_size=3), st.dictionaries(_NAMES, _JSON, max_size=4), st.booleans())
def test_nothing_breaks_the_encoder(messages: list[Fields], params: Fields, drop: bool) -> None:
    """Whatever a user asks becomes a body or an error of ours."""
    to = endpoint(unsupported="drop" if drop else "error")
    try:
        CLIENT.encode(Request(messages=tuple(messages), params=params), to)
    except InvalidRequest:
        pass
