"""Requests in OpenAI's terms, as Ollama gets them."""

from __future__ import annotations

from typing import Any, Literal

import ollama
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fallbackio.dialects import DIALECTS
from fallbackio.dialects.ollama._embedding import OllamaEmbedding
from fallbackio.endpoint import Endpoint
from fallbackio.errors import InvalidRequest
from fallbackio.model import EmbeddingRequest, FunctionCall, Message, Request, ToolCall

CLIENT = DIALECTS["ollama"].client
SERVER = DIALECTS["ollama"].server
EMBEDDING = OllamaEmbedding()
DATA = "iVBORw0KGgo="
PNG = f"data:image/png;base64,{DATA}"

Fields = dict[str, Any]


def endpoint(*, unsupported: Literal["error", "drop"] = "error", **params: Any) -> Endpoint:
    return Endpoint("qwen3:8b", base_url="http://localhost:11434", params=params, unsupported=unsupported)


def sent(messages: Any = "Hi", to: Endpoint | None = None, *, stream: bool = False, **params: Any) -> Fields:
    """The body that goes out, which our own server side and the SDK's type must take as well."""
    wire = CLIENT.encode(Request.of(messages, params, stream=stream), to or endpoint())
    SERVER.read(wire)
    body = orjson.loads(wire)
    assert isinstance(body, dict)
    ollama._types.ChatRequest(**body)
    return body


def noted(messages: Any = "Hi", **params: Any) -> list[str]:
    notes: list[str] = []
    CLIENT.encode(Request.of(messages, params), endpoint(), notes.append)
    return notes


def tool(name: str = "f", **function: Any) -> Fields:
    return {"type": "function", "function": {"name": name, **function}}


def said_tool(name: str = "f", description: str = "", parameters: Any = None) -> Fields:
    schema = parameters or {"type": "object", "properties": {}}
    return tool(name, description=description, parameters=schema)


def user(content: Any) -> Fields:
    return {"role": "user", "content": content}


def call(call_id: str, name: str = "f", arguments: Any = "{}") -> Fields:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


def said_call(call_id: str, name: str = "f", **arguments: Any) -> Fields:
    return {"id": call_id, "function": {"name": name, "arguments": arguments}}


def calls(*given: Fields, content: Any = None, **more: Any) -> Fields:
    return {"role": "assistant", "content": content, "tool_calls": list(given), **more}


def result(call_id: str, content: Any = "5") -> Fields:
    return {"role": "tool", "tool_call_id": call_id, "content": content}


def said_result(call_id: str, name: str = "f", content: str = "5") -> Fields:
    return {"role": "tool", "content": content, "tool_name": name, "tool_call_id": call_id}


SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


@pytest.mark.parametrize(
    ("base_url", "url"),
    [
        ("http://localhost:11434", "http://localhost:11434/api/chat"),
        ("http://localhost:11434/", "http://localhost:11434/api/chat"),
        ("http://localhost:11434/api", "http://localhost:11434/api/chat"),
        ("http://localhost:11434/v1/", "http://localhost:11434/api/chat"),
        ("https://proxy.test/ollama", "https://proxy.test/ollama/api/chat"),
    ],
)
def test_url(base_url: str, url: str) -> None:
    """However the base URL is written, requests go to its /api/chat."""
    assert url == CLIENT.url(Endpoint("m", base_url=base_url))


def test_headers() -> None:
    """No key, no header; one that is given goes as a bearer token."""
    cloud = Endpoint("m", base_url="https://ollama.com", api_key="k")

    assert {"content-type": "application/json"} == CLIENT.headers(endpoint())
    assert "Bearer k" == CLIENT.headers(cloud)["authorization"]
    assert "static" == CLIENT.credentials(cloud)


CONVERSATIONS: dict[str, tuple[list[Any], list[Fields]]] = {
    "roles": (
        [{"role": "developer", "content": "A"}, user("Hi"), {"role": "system", "content": "B"}],
        [{"role": "system", "content": "A"}, user("Hi"), {"role": "system", "content": "B"}],
    ),
    "parts and images": (
        [
            user(
                [
                    {"type": "text", "text": "Look"},
                    {"type": "image_url", "image_url": {"url": PNG}},
                    {"type": "text", "text": "here"},
                ]
            )
        ],
        [{"role": "user", "content": "Look\nhere", "images": [DATA]}],
    ),
    "tool loop": (
        [
            user("Hi"),
            calls(call("a", "f", '{"x": [1]}'), call("b", "g", "")),
            result("a"),
            result("b", [{"type": "text", "text": "6"}]),
        ],
        [
            user("Hi"),
            {
                "role": "assistant",
                "content": "",
                "tool_calls": [said_call("a", "f", x=[1]), said_call("b", "g")],
            },
            said_result("a"),
            said_result("b", "g", "6"),
        ],
    ),
    "a refusal is what was said": (
        [user("Hi"), {"role": "assistant", "content": None, "refusal": "No."}],
        [user("Hi"), {"role": "assistant", "content": "No."}],
    ),
    "our own answer": (
        [user("Hi"), Message("Hm", (ToolCall("a", FunctionCall("f", '{"x":1}')),)), result("a")],
        [
            user("Hi"),
            {"role": "assistant", "content": "Hm", "tool_calls": [said_call("a", x=1)]},
            said_result("a"),
        ],
    ),
    "another vendor's reasoning": (
        [
            user("Hi"),
            {
                "role": "assistant",
                "content": [{"type": "thinking", "thinking": "t"}, {"type": "text", "text": "Hm"}],
                "reasoning_content": "t",
                "citations": [],
                "provider_state": {"dialect": "anthropic", "model": "m"},
            },
        ],
        [user("Hi"), {"role": "assistant", "content": "Hm"}],
    ),
    "its own reasoning": (
        [
            user("Hi"),
            {
                "role": "assistant",
                "content": "Hm",
                "provider_state": {"dialect": "ollama", "model": "qwen3:8b", "thinking": "t"},
            },
        ],
        [user("Hi"), {"role": "assistant", "content": "Hm", "thinking": "t"}],
    ),
}


@pytest.mark.parametrize("name", CONVERSATIONS)
def test_conversation(name: str) -> None:
    """Every kind of message is said in Ollama's form, and its server side takes it."""
    given, wanted = CONVERSATIONS[name]

    assert wanted == sent(given)["messages"]


@pytest.mark.parametrize(
    ("message", "everywhere"),
    [
        (user([{"type": "input_audio", "input_audio": {}}]), False),
        (user([{"type": "file", "file": {}}]), False),
        (user([{"type": "image_url", "image_url": {"url": "https://x.test/a.png"}}]), False),
        (user([{"type": "image_url", "image_url": {"url": "data:image/gif;base64,R0lG"}}]), False),
        (user([{"type": "image_url", "image_url": {"url": "data:image/png,x"}}]), False),
        ({"role": "system", "content": [{"type": "image_url", "image_url": {"url": PNG}}]}, False),
        (user([{"type": "image_url"}]), True),
        (user(7), True),
        (user([{"type": "text"}]), True),
        ({"role": "function", "name": "f", "content": "x"}, False),
        (calls(call("a", "f", "{")), False),
        (calls(call("a", "f", "[]")), False),
        (calls(call("a", "f", 7)), False),
        (calls({"type": "function"}), True),
        (result("lost"), True),
        ({"role": "tool", "content": "x"}, True),
        ({"role": ["user"], "content": "x"}, False),
    ],
)
def test_messages_that_cannot_be_said(message: Any, everywhere: bool) -> None:
    """What only Ollama cannot be told goes on to the next endpoint, what is broken fails at once."""
    with pytest.raises(InvalidRequest) as raised:
        CLIENT.encode(Request(messages=(message,)), endpoint())

    assert everywhere is raised.value.everywhere


PARAMS: dict[str, tuple[Fields, Fields]] = {
    "limit": ({"max_completion_tokens": 5, "max_tokens": 6}, {"options": {"num_predict": 5}}),
    "sampling": (
        {
            "temperature": 1.5,
            "top_p": 0.5,
            "seed": 7,
            "frequency_penalty": -1,
            "presence_penalty": 2,
            "stop": "x",
        },
        {
            "options": {
                "temperature": 1.5,
                "top_p": 0.5,
                "seed": 7,
                "frequency_penalty": -1,
                "presence_penalty": 2,
                "stop": ["x"],
            }
        },
    ),
    "own options win": (
        {"temperature": 1, "num_ctx": 8192, "options": {"temperature": 0, "mirostat": 1}},
        {"options": {"temperature": 0, "num_ctx": 8192, "mirostat": 1}},
    ),
    "own fields": (
        {"keep_alive": "10m", "truncate": False},
        {"keep_alive": "10m", "truncate": False},
    ),
    "logprobs": ({"logprobs": True, "top_logprobs": 3}, {"logprobs": True, "top_logprobs": 3}),
    "no effort": ({"reasoning_effort": "none"}, {"think": False}),
    "minimal effort": ({"reasoning_effort": "minimal"}, {"think": "low"}),
    "high effort": ({"reasoning_effort": "high"}, {"think": "high"}),
    "most effort": ({"reasoning_effort": "xhigh"}, {"think": "max"}),
    "own thinking": ({"reasoning_effort": "low", "think": True}, {"think": True}),
    "text": ({"response_format": {"type": "text"}}, {}),
    "json": ({"response_format": {"type": "json_object"}}, {"format": "json"}),
    "schema": (
        {"response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": SCHEMA}}},
        {"format": SCHEMA},
    ),
    "tools": (
        {
            "tools": [tool(description="d", parameters=SCHEMA, strict=True), tool("g")],
            "tool_choice": "auto",
            "parallel_tool_calls": True,
        },
        {"tools": [said_tool("f", "d", SCHEMA), said_tool("g")]},
    ),
    "no choice": ({"tools": [tool()], "tool_choice": "none"}, {}),
    "defaults say nothing": ({"n": 1, "logit_bias": {}, "store": False, "stream_options": {}}, {}),
    "none is absent": ({"temperature": None, "user": None}, {}),
}


@pytest.mark.parametrize("name", PARAMS)
def test_params(name: str) -> None:
    """Every parameter is said in Ollama's words, as a field or an option, and `stream` always is."""
    given, wanted = PARAMS[name]
    body = sent(**given)

    assert {"model": "qwen3:8b", "messages": [user("Hi")], "stream": False, **wanted} == body


def test_stream() -> None:
    """A streamed answer is asked for by the body."""
    assert sent(stream=True)["stream"] is True


LOST: list[Fields] = [
    {"n": 2},
    {"user": "u"},
    {"metadata": {"a": "b"}},
    {"logit_bias": {"5": 1}},
    {"service_tier": "flex"},
    {"parallel_tool_calls": False, "tools": [tool()]},
    {"tool_choice": "required", "tools": [tool()]},
    {"tool_choice": {"type": "function", "function": {"name": "f"}}, "tools": [tool()]},
    {"response_format": {"type": "grammar"}},
    {"response_format": {"type": "json_schema", "json_schema": {"name": "x"}}},
    {"response_format": "json"},
    {"reasoning_effort": "boundless"},
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
    assert () == CLIENT.dropped(request, endpoint())


@pytest.mark.parametrize(
    "params",
    [
        {"tools": "x"},
        {"tools": [{"type": "function"}]},
        {"options": [1]},
        {"keep_alive": object()},
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
        ([{**user("Hi"), "name": "Ada"}], {}, "names of speakers left out"),
        ("Hi", {"tools": [tool()], "tool_choice": "none"}, "tools left out, since none may be called"),
        (
            [
                user("Hi"),
                {"role": "assistant", "content": "x", "provider_state": {"dialect": "cohere", "model": ""}},
            ],
            {},
            "another model's signed reasoning left out",
        ),
    ],
)
def test_adaptations_are_noted(messages: Any, params: Fields, note: str) -> None:
    """Whatever is changed in a request ends in the ledger."""
    assert [note] == noted(messages, **params)


def test_prefill() -> None:
    """A partial answer goes out as a last assistant turn, which Ollama goes on from."""
    request = CLIENT.prefilled(Request.of("Hi", {}), endpoint(), "Once")

    assert request is not None
    assert {"role": "assistant", "content": "Once"} == sent(list(request.messages))["messages"][-1]


ROUND_TRIPS: dict[str, tuple[list[Any], Fields]] = {
    "conversation": (
        [
            {"role": "system", "content": "A"},
            user([{"type": "text", "text": "Look"}, {"type": "image_url", "image_url": {"url": PNG}}]),
            calls(call("a", "f", '{"x":{"y":[1]}}'), call("b")),
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
            "tools": [said_tool("f", "d", SCHEMA)],
            "logprobs": True,
            "keep_alive": "5m",
            "options": {"num_ctx": 100},
        },
    ),
    "schema": (
        [user("Hi")],
        {"response_format": {"type": "json_schema", "json_schema": {"name": "answer", "schema": SCHEMA}}},
    ),
    "json": ([user("Hi")], {"response_format": {"type": "json_object"}}),
}


@pytest.mark.parametrize("name", ROUND_TRIPS)
@pytest.mark.parametrize("stream", [False, True])
def test_round_trip(name: str, stream: bool) -> None:
    """What the client says is what the server side hears."""
    messages, params = ROUND_TRIPS[name]
    heard = SERVER.read(CLIENT.encode(Request.of(messages, params, stream=stream), endpoint()))

    assert Request(messages=tuple(messages), params=params, model="qwen3:8b", stream=stream) == heard


def test_embedding_request() -> None:
    """Texts go out with the size asked for and Ollama's own fields, and come in again."""
    request = EmbeddingRequest.of(["a", "b"], {"dimensions": 256, "encoding_format": "float"})
    wire = EMBEDDING.encode(request, endpoint(truncate=False))

    assert "http://localhost:11434/api/embed" == EMBEDDING.url(endpoint())
    assert {"model": "qwen3:8b", "input": ["a", "b"], "dimensions": 256, "truncate": False} == (
        orjson.loads(wire)
    )
    assert (("a", "b"), 256) == (EMBEDDING.read(wire).inputs, EMBEDDING.read(wire).params["dimensions"])


def test_embedding_request_that_cannot_be_said() -> None:
    """A parameter without a field is left to the next endpoint, or dropped where that is asked for."""
    request = EmbeddingRequest.of("a", {"user": "u"})

    with pytest.raises(InvalidRequest) as raised:
        EMBEDDING.encode(request, endpoint())
    assert not raised.value.everywhere
    assert b"user" not in EMBEDDING.encode(request, endpoint(unsupported="drop"))


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
