"""OpenAI's Responses, requests: what our client sends, and what our server side makes of it."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from fallbackio.dialects import DIALECTS
from fallbackio.dialects._state import state_of
from fallbackio.endpoint import Endpoint
from fallbackio.errors import AttemptError, InvalidRequest
from fallbackio.model import Request

CLIENT, SERVER = DIALECTS["openai_responses"].client, DIALECTS["openai_responses"].server
HELLO: list[dict[str, Any]] = [{"role": "user", "content": "Hello"}]
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}
TOOL = {
    "type": "function",
    "function": {"name": "weather", "description": "The weather", "parameters": SCHEMA},
}
CUSTOM = {
    "type": "custom",
    "custom": {
        "name": "sql",
        "format": {"type": "grammar", "grammar": {"syntax": "lark", "definition": "start: WORD"}},
    },
}
CALL = {"id": "call_a", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Oslo"}'}}
SQL = {"id": "call_b", "type": "custom", "custom": {"name": "sql", "input": "SELECT 1"}}


def endpoint(model: str = "gpt-4o", **settings: Any) -> Endpoint:
    base = {"vendor": "openai", "base_url": "https://api.openai.com/v1", "dialect": "openai_responses"}
    return Endpoint(model, **{**base, **settings})


def encoded(
    messages: list[dict[str, Any]] = HELLO,
    to: Endpoint | None = None,
    *,
    stream: bool = False,
    notes: list[str] | None = None,
    **params: Any,
) -> Any:
    request = Request.of(messages, params, stream=stream)
    return orjson.loads(CLIENT.encode(request, to or endpoint(), (notes if notes is not None else []).append))


def heard(messages: list[dict[str, Any]] = HELLO, **params: Any) -> Request:
    return SERVER.read(CLIENT.encode(Request.of(messages, params), endpoint()))


def test_url_and_headers() -> None:
    """Requests go beside the chat completions, with the same key; a query stays."""
    to = endpoint(base_url="https://r.openai.azure.com/openai/v1/?api-version=preview", api_key="k")

    assert "https://r.openai.azure.com/openai/v1/responses?api-version=preview" == CLIENT.url(to)
    assert "Bearer k" == CLIENT.headers(to)["authorization"]
    assert "static" == CLIENT.credentials(to)
    assert CLIENT.prefilled(Request.of(HELLO, {}), to, "Hel") is None


def test_the_least() -> None:
    """A question is one item, and nothing is kept at the provider."""
    assert {"model": "gpt-4o", "input": HELLO, "store": False} == encoded()


def test_a_stream() -> None:
    """A stream is asked for without options, since usage always comes; padding can be chosen."""
    options = {"include_usage": True, "include_obfuscation": False}

    assert {"model": "gpt-4o", "input": HELLO, "store": False, "stream": True} == encoded(
        stream=True, stream_options={"include_usage": True}
    )
    assert {"include_obfuscation": False} == encoded(stream=True, stream_options=options)["stream_options"]
    assert "stream_options" not in encoded(stream_options=options)


@pytest.mark.parametrize(
    ("model", "params", "asked"),
    [
        ("gpt-5.1", {}, True),
        ("o3-mini", {}, True),
        ("gpt-4o", {}, False),
        ("gpt-5-chat-latest", {}, False),
        ("ours", {}, False),
        ("ours", {"reasoning_effort": "low"}, True),
        ("ours", {"reasoning": {"summary": "auto"}}, True),
        ("ours", {"reasoning_effort": "none"}, False),
    ],
)
def test_encrypted_reasoning(model: str, params: dict[str, Any], asked: bool) -> None:
    """Reasoning is asked for encrypted where a model reasons, because others refuse to be asked."""
    include = encoded(to=endpoint(model), **params).get("include", [])

    assert asked == ("reasoning.encrypted_content" in include)


def test_parameters() -> None:
    """Chat parameters become those of Responses, and its own pass untouched."""
    said = encoded(
        to=endpoint("gpt-5.1"),
        max_tokens=99,
        reasoning_effort="low",
        reasoning={"summary": "auto"},
        verbosity="low",
        response_format={
            "type": "json_schema",
            "json_schema": {"name": "n", "schema": SCHEMA, "strict": True},
        },
        logprobs=True,
        top_logprobs=2,
        temperature=0.5,
        metadata={"a": "b"},
        user="u",
        store=True,
        truncation="auto",
        n=1,
        stop=None,
        seed=None,
    )

    assert {
        "model": "gpt-5.1",
        "input": HELLO,
        "max_output_tokens": 99,
        "reasoning": {"effort": "low", "summary": "auto"},
        "text": {
            "format": {"type": "json_schema", "name": "n", "schema": SCHEMA, "strict": True},
            "verbosity": "low",
        },
        "include": ["reasoning.encrypted_content", "message.output_text.logprobs"],
        "top_logprobs": 2,
        "temperature": 0.5,
        "metadata": {"a": "b"},
        "user": "u",
        "store": True,
        "truncation": "auto",
    } == said


def test_a_small_limit() -> None:
    """A limit below the least that the API takes is raised to it, with a note."""
    notes: list[str] = []

    assert 16 == encoded(max_completion_tokens=5, notes=notes)["max_output_tokens"]
    assert ["token limit raised to 16, the least here"] == notes


@pytest.mark.parametrize(
    ("name", "value", "idle"),
    [
        ("n", 2, 1),
        ("stop", "END", []),
        ("seed", 7, None),
        ("presence_penalty", 1, 0),
        ("frequency_penalty", 0.5, 0.0),
        ("logit_bias", {"1": 2}, {}),
        ("modalities", ["audio"], ["text"]),
        ("audio", {"voice": "x"}, None),
        ("prediction", {"type": "content"}, None),
        ("functions", [{"name": "f"}], []),
    ],
)
def test_what_cannot_be_said(name: str, value: Any, idle: Any) -> None:
    """What has no field is refused before it is sent, dropped on demand, and passes where it says nothing."""
    request = Request.of(HELLO, {name: value})
    for do in (CLIENT.check, CLIENT.encode):
        with pytest.raises(InvalidRequest, match=f"cannot express {name}") as raised:
            do(request, endpoint())
        assert not raised.value.everywhere

    lax = endpoint(unsupported="drop")
    CLIENT.check(request, lax)
    assert (name,) == CLIENT.dropped(request, lax)
    assert {"model", "input", "store"} == encoded(to=lax, **{name: value}).keys()

    CLIENT.check(Request.of(HELLO, {name: idle}), endpoint())
    assert {"model", "input", "store"} == encoded(**{name: idle}).keys()


def test_tools() -> None:
    """Tools are flat, and not strict unless the user says so, because strict is the default there."""
    search = {"type": "web_search"}
    bare = {"type": "function", "function": {"name": "now", "strict": True}}
    said = encoded(
        tools=[TOOL, CUSTOM, bare, search],
        tool_choice={"type": "function", "function": {"name": "weather"}},
        parallel_tool_calls=False,
    )

    assert [
        {
            "type": "function",
            "name": "weather",
            "description": "The weather",
            "parameters": SCHEMA,
            "strict": False,
        },
        {
            "type": "custom",
            "name": "sql",
            "format": {"type": "grammar", "syntax": "lark", "definition": "start: WORD"},
        },
        {
            "type": "function",
            "name": "now",
            "parameters": {"type": "object", "properties": {}},
            "strict": True,
        },
        search,
    ] == said["tools"]
    assert {"type": "function", "name": "weather"} == said["tool_choice"]
    assert said["parallel_tool_calls"] is False


CHOICES = [
    "none",
    "auto",
    "required",
    {"type": "function", "function": {"name": "weather"}},
    {"type": "custom", "custom": {"name": "sql"}},
    {
        "type": "allowed_tools",
        "allowed_tools": {
            "mode": "required",
            "tools": [{"type": "function", "function": {"name": "weather"}}],
        },
    },
]


@pytest.mark.parametrize("choice", CHOICES, ids=lambda choice: str(choice)[:20])
def test_tool_choice_round_trip(choice: Any) -> None:
    """Every choice of a tool is understood as it was meant."""
    assert choice == heard(tools=[TOOL, CUSTOM], tool_choice=choice).params["tool_choice"]


def test_a_conversation() -> None:
    """Roles, parts, calls of both kinds and their results each have their item."""
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk=", "detail": "low"}}
    file = {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,aGk="}}
    said = encoded(
        [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": [{"type": "text", "text": "What is this?"}, image, file]},
            {"role": "assistant", "content": "Let me look.", "tool_calls": [CALL, SQL]},
            {"role": "tool", "tool_call_id": "call_b", "content": "1"},
            {"role": "tool", "tool_call_id": "call_a", "content": [{"type": "text", "text": "5"}]},
            {"role": "assistant", "content": None, "refusal": "No."},
            {"role": "developer", "content": "Go on."},
            {"role": "user", "content": "And?"},
        ]
    )

    assert "Be brief." == said["instructions"]
    assert [
        {
            "role": "user",
            "content": [
                {"type": "input_text", "text": "What is this?"},
                {"type": "input_image", "image_url": "data:image/png;base64,aGk=", "detail": "low"},
                {
                    "type": "input_file",
                    "filename": "a.pdf",
                    "file_data": "data:application/pdf;base64,aGk=",
                },
            ],
        },
        {"role": "assistant", "content": "Let me look."},
        {
            "type": "function_call",
            "call_id": "call_a",
            "name": "weather",
            "arguments": '{"city":"Oslo"}',
        },
        {"type": "custom_tool_call", "call_id": "call_b", "name": "sql", "input": "SELECT 1"},
        {"type": "custom_tool_call_output", "call_id": "call_b", "output": "1"},
        {
            "type": "function_call_output",
            "call_id": "call_a",
            "output": [{"type": "input_text", "text": "5"}],
        },
        {"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]},
        {"role": "developer", "content": "Go on."},
        {"role": "user", "content": "And?"},
    ] == said["input"]


def test_a_conversation_comes_through() -> None:
    """What our client sends is read on the server's side with the same meaning."""
    messages: list[dict[str, Any]] = [
        {"role": "system", "content": "Be brief."},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "What is this?"},
                {"type": "image_url", "image_url": {"url": "https://x.test/a.png", "detail": "auto"}},
                {"type": "file", "file": {"file_id": "file-1"}},
            ],
        },
        {"role": "assistant", "content": "Let me look.", "tool_calls": [CALL, SQL]},
        {"role": "tool", "tool_call_id": "call_a", "content": "5"},
        {"role": "tool", "tool_call_id": "call_b", "content": "1"},
        {"role": "assistant", "content": None, "tool_calls": [{**CALL, "id": "call_c"}]},
        {"role": "tool", "tool_call_id": "call_c", "content": "6"},
        {"role": "assistant", "content": "Five, then six."},
        {"role": "assistant", "content": None, "refusal": "No."},
        {"role": "user", "content": "And?"},
    ]
    params: dict[str, Any] = {
        "tools": [TOOL, CUSTOM],
        "parallel_tool_calls": False,
        "max_completion_tokens": 99,
        "reasoning_effort": "low",
        "verbosity": "high",
        "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA}},
        "logprobs": True,
        "top_logprobs": 1,
        "temperature": 0,
        "user": "u",
    }
    request = heard(messages, **params)
    read = dict(request.params)
    tools = read.pop("tools")

    assert messages == list(request.messages)
    assert {**TOOL["function"], "strict": False} == tools[0]["function"]  # type: ignore[dict-item]
    assert CUSTOM == tools[1]
    expected = {name: value for name, value in params.items() if name != "tools"}
    assert {
        **expected,
        "store": False,
        "include": ["reasoning.encrypted_content", "message.output_text.logprobs"],
    } == read


def test_long_call_ids() -> None:
    """Ids that are too long become short ones, the same in call and result, with a note."""
    long = "x" * 65
    notes: list[str] = []
    history = [
        *HELLO,
        {"role": "assistant", "content": None, "tool_calls": [{**CALL, "id": long}]},
        {"role": "tool", "tool_call_id": long, "content": "5"},
    ]
    call, result = encoded(history, notes=notes)["input"][1:]

    assert call["call_id"] == result["call_id"] != long
    assert len(call["call_id"]) <= 64
    assert {"tool call ids rewritten"} == set(notes)


@pytest.mark.parametrize(
    "message",
    [
        {"role": "function", "name": "f", "content": "1"},
        {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}},
        {"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}]},
    ],
    ids=["function", "function_call", "audio"],
)
def test_messages_that_cannot_be_said(message: dict[str, Any]) -> None:
    """What Responses has no item for is left to another endpoint."""
    with pytest.raises(InvalidRequest) as raised:
        encoded([*HELLO, message])

    assert not raised.value.everywhere


@pytest.mark.parametrize(
    "message",
    [
        {"role": "assistant", "content": None, "tool_calls": [7]},
        {"role": "assistant", "content": None, "tool_calls": [{"id": 7, "function": {}}]},
        {"role": "assistant", "content": None, "tool_calls": [{"id": "a", "function": "f"}]},
        {"role": "assistant", "content": [7]},
        {"role": "tool", "content": "5"},
        {"role": "user", "content": 7},
        {"role": "user", "content": [7]},
        {"role": "user", "content": [{"type": "image_url", "image_url": 7}]},
        {"role": "user", "content": [{"type": ["text"]}]},
    ],
    ids=repr,
)
def test_broken_messages(message: dict[str, Any]) -> None:
    """Messages of another shape are our own error, never Python's."""
    with pytest.raises(InvalidRequest):
        encoded([*HELLO, message])


@pytest.mark.parametrize("params", [{"tools": 7}, {"text": 7, "verbosity": "low"}], ids=repr)
def test_broken_parameters(params: dict[str, Any]) -> None:
    """Parameters of another shape are our own error, too."""
    with pytest.raises(InvalidRequest):
        encoded(**params)


REASONED = [
    {"id": "rs_1", "type": "reasoning", "summary": [], "encrypted_content": "gAAA"},
    {
        "id": "fc_1",
        "type": "function_call",
        "call_id": "call_a",
        "name": "weather",
        "arguments": '{"city":"Oslo"}',
    },
]
TURN = {
    "role": "assistant",
    "content": None,
    "tool_calls": [CALL],
    "reasoning_content": "Hm",
    **state_of("openai_responses", "gpt-5.1-2025-11-13", {"output": REASONED}),
}
RESULT = {"role": "tool", "tool_call_id": "call_a", "content": "5"}


def test_reasoning_goes_back() -> None:
    """A turn of the same model goes back as the items that it came in, and our server side takes them."""
    notes: list[str] = []
    said = encoded([*HELLO, TURN, RESULT], endpoint("gpt-5.1"), notes=notes)

    assert REASONED == said["input"][1:3]
    assert [] == notes
    assert [CALL] == SERVER.read(orjson.dumps(said)).messages[1]["tool_calls"]


@pytest.mark.parametrize(
    ("model", "change", "note"),
    [
        ("gpt-4o", {}, "another model's signed reasoning left out"),
        ("gpt-5.1", {"content": "Changed"}, "reasoning left out of a turn that was changed"),
        ("gpt-5.1", {"tool_calls": [{**CALL, "id": "b"}]}, "reasoning left out of a turn that was changed"),
    ],
    ids=["model", "text", "calls"],
)
def test_reasoning_that_does_not(model: str, change: dict[str, Any], note: str) -> None:
    """Another model's turn, or one that was changed, is written anew without its reasoning, noted."""
    notes: list[str] = []
    said = encoded([*HELLO, {**TURN, **change}], endpoint(model), notes=notes)

    assert note in notes
    assert "reasoning" not in [item.get("type") for item in said["input"]]
    assert "function_call" == said["input"][-1]["type"]


@pytest.mark.parametrize(
    "output",
    ["x", [], [7], [{"type": ["message"]}], [{"type": "message", "content": 7}], [{"type": "message"}]],
    ids=repr,
)
def test_spoilt_state(output: Any) -> None:
    """State that an application has spoilt costs the reasoning and nothing else."""
    turn = {**TURN, **state_of("openai_responses", "gpt-5.1", {"output": output})}
    said = encoded([*HELLO, turn, RESULT], endpoint("gpt-5.1"))

    assert ["function_call", "function_call_output"] == [item.get("type") for item in said["input"][1:]]


def test_names_are_noted() -> None:
    """Who spoke cannot be said, and the ledger says that it was not."""
    notes: list[str] = []

    assert HELLO == encoded([{**HELLO[0], "name": "ann"}], notes=notes)["input"]
    assert ["names of speakers left out"] == notes


def test_own_instructions() -> None:
    """Instructions that the user gives as such leave the system message where it stands."""
    system = {"role": "system", "content": "Be brief."}
    said = encoded([system, *HELLO], instructions="Be kind.")

    assert ("Be kind.", [system, *HELLO]) == (said["instructions"], said["input"])


def test_an_endpoints_limit() -> None:
    """An endpoint's own limit wins, by whichever of its two names."""
    to = endpoint(params={"max_tokens": 50})

    assert 50 == encoded(to=to, max_completion_tokens=100)["max_output_tokens"]


def body(**changes: Any) -> bytes:
    said = {"model": "m", "input": "Hello", **changes}
    return orjson.dumps({name: value for name, value in said.items() if value is not ...})


MESSAGE = {"type": "message", "role": "user", "content": "Hello"}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"model": ...}, "model"),
        ({"input": ...}, "input"),
        ({"input": []}, "input"),
        ({"input": [7]}, "an object"),
        ({"messages": []}, "Unknown parameter: 'messages'"),
        ({"n": 1}, "Unknown parameter: 'n'"),
        ({"max_output_tokens": 15}, "max_output_tokens"),
        ({"temperature": 3}, "temperature"),
        ({"stream": "yes"}, "stream"),
        ({"stream_options": {"include_obfuscation": False}}, "stream_options"),
        ({"include": ["everything"]}, "include"),
        ({"text": {"format": {"type": "xml"}}}, "text.format"),
        ({"text": {"format": {"type": "json_schema", "schema": {}}}}, "json_schema"),
        ({"reasoning": {"effort": 3}}, "effort"),
        ({"tools": [TOOL]}, "tools\\[0\\].name"),
        ({"tools": [{"type": "function", "name": "a b"}]}, "tools\\[0\\].name"),
        ({"tools": [{"type": "function", "name": "a", "parameters": []}]}, "parameters"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tool_choice": {"type": "function", "name": "x"}}, "not found in 'tools'"),
        ({"input": [{"role": "tool", "content": "x"}]}, "role"),
        ({"input": [{"role": "user", "content": []}]}, "content"),
        ({"input": [{"role": "user", "content": [{"type": "text", "text": "x"}]}]}, "input_text"),
        ({"input": [{"role": "assistant", "content": [{"type": "input_text", "text": "x"}]}]}, "output_text"),
        ({"input": [{"role": "user", "content": [{"type": "input_text"}]}]}, "lacks"),
        ({"input": [{"role": "user", "content": [{"type": "input_file", "filename": "a"}]}]}, "lacks"),
        ({"input": [{"type": "nonsense"}]}, "type"),
        ({"input": [{"type": "function_call", "call_id": "a", "name": "f"}]}, "arguments"),
        (
            {"input": [{"type": "function_call", "call_id": "a", "name": "f", "arguments": "{}"}, MESSAGE]},
            "No tool output found for function call a",
        ),
        (
            {"input": [MESSAGE, {"type": "function_call_output", "call_id": "a", "output": "5"}]},
            "No tool call found",
        ),
        ({"input": [REASONED[0], MESSAGE]}, "required following item"),
        ({"input": [MESSAGE, REASONED[0]]}, "required following item"),
        ({"input": [{"type": "reasoning", "id": "rs_1", "summary": []}, MESSAGE]}, "not found"),
        ({"input": [{"type": "item_reference", "id": "x"}]}, "nothing in it"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_refusals(changes: dict[str, Any], words: str) -> None:
    """The server side refuses what OpenAI refuses, by name and rule."""
    with pytest.raises(InvalidRequest, match=words):
        SERVER.read(body(**changes))


def test_what_only_responses_has() -> None:
    """Fields and items that chat completions lack are taken, and kept where they are parameters."""
    search = {"type": "web_search_call", "id": "ws_1", "status": "completed"}
    request = SERVER.read(body(input=[search, MESSAGE], truncation="auto", tools=[{"type": "web_search"}]))

    assert ({"role": "user", "content": "Hello"},) == request.messages
    assert {"truncation": "auto", "tools": [{"type": "web_search"}]} == request.params


def test_our_refusal_of_lost_reasoning_is_for_here_only() -> None:
    """An item that the provider no longer has says nothing about the next endpoint."""
    error = AttemptError()
    try:
        SERVER.read(body(input=[{"type": "reasoning", "id": "rs_1", "summary": []}]))
    except InvalidRequest as refused:
        error = refused
    ours = CLIENT.failure(*SERVER.failure(error))

    assert isinstance(ours, InvalidRequest)
    assert (404, False) == (ours.status, ours.everywhere)
