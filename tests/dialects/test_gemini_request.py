"""Requests as Gemini's client writes them."""

from __future__ import annotations

import base64
from typing import Any

import orjson
import pytest

from fallbackio.dialects import DIALECTS
from fallbackio.endpoint import Endpoint
from fallbackio.errors import InvalidRequest
from fallbackio.model import Message, Request

CLIENT = DIALECTS["gemini"].client

STUDIO = "https://generativelanguage.googleapis.com/v1beta"
VERTEX = "https://europe-west1-aiplatform.googleapis.com/v1/projects/p/locations/europe-west1"
FLASH = "gemini-2.5-flash"
PRO_25 = "gemini-2.5-pro"
PRO_3 = "gemini-3-pro-preview"
PLACEHOLDER = "a placeholder sent for a thought signature that is missing"
DUMMY = base64.b64encode(b"skip_thought_signature_validator").decode()


def at(model: str = FLASH, base_url: str = STUDIO, **more: Any) -> Endpoint:
    return Endpoint(model, base_url=base_url, **more)


def encoded(
    messages: Any, model: str = FLASH, notes: list[str] | None = None, **params: Any
) -> dict[str, Any]:
    """The body for `messages` with `params`."""
    kept: list[str] = [] if notes is None else notes
    body = CLIENT.encode(Request.of(messages, params), at(model), kept.append)
    decoded: dict[str, Any] = orjson.loads(body)
    return decoded


def call(call_id: str, name: str, arguments: Any = "{}") -> dict[str, Any]:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


def calling(*calls: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": None, "tool_calls": list(calls), **more}


def result(call_id: str, content: Any, **more: Any) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": call_id, "content": content, **more}


USER = {"role": "user", "content": "Weather?"}


@pytest.mark.parametrize(
    ("model", "base", "path"),
    [
        (FLASH, STUDIO, "/v1beta/models/gemini-2.5-flash"),
        ("models/m", STUDIO + "/", "/v1beta/models/m"),
        ("m", "https://generativelanguage.googleapis.com", "/v1beta/models/m"),
        ("m", "https://generativelanguage.googleapis.com/v1", "/v1/models/m"),
        ("m", STUDIO + "/openai", "/v1beta/models/m"),
        ("tunedModels/t-1", STUDIO, "/v1beta/tunedModels/t-1"),
        (
            "m",
            VERTEX,
            "/v1/projects/p/locations/europe-west1/publishers/google/models/m",
        ),
        ("m", "https://aiplatform.googleapis.com", "/v1/publishers/google/models/m"),
        ("endpoints/7", VERTEX, "/v1/projects/p/locations/europe-west1/endpoints/7"),
        (
            "publishers/x/models/m",
            VERTEX,
            "/v1/projects/p/locations/europe-west1/publishers/x/models/m",
        ),
        ("a b/c", "http://localhost:8000/sim", "/sim/v1beta/models/a%20b%2Fc"),
    ],
)
def test_urls(model: str, base: str, path: str) -> None:
    """Requests go to the model's method, whether the address has its version and publisher or not."""
    endpoint = at(model, base)
    whole, streamed = CLIENT.url(endpoint), CLIENT.url(endpoint, stream=True)

    assert whole.endswith(path + ":generateContent")
    assert whole.split("/")[2] == base.split("/")[2]
    assert streamed == whole.replace(":generateContent", ":streamGenerateContent?alt=sse")


def test_a_query_of_the_address_is_kept() -> None:
    """What an address asks for besides stays behind `alt=sse`."""
    url = CLIENT.url(at("m", STUDIO + "?quota=1"), stream=True)
    assert url.endswith("/models/m:streamGenerateContent?alt=sse&quota=1")


def test_credentials() -> None:
    """A key goes in a header, never into the address; Vertex without one asks a Google account."""
    keyed = at(base_url=VERTEX, api_key="AIza-key")

    assert "AIza-key" == CLIENT.headers(keyed)["x-goog-api-key"]
    assert "AIza-key" not in CLIENT.url(keyed)
    assert "x-goog-api-key" not in CLIENT.headers(at())
    assert ["google", "static", "static", "static"] == [
        CLIENT.credentials(endpoint)
        for endpoint in (at(base_url=VERTEX), keyed, at(base_url=VERTEX, token=lambda: "t"), at())
    ]
    assert {"content-type": "application/json", "X-Goog-Api-Key": "mine"} == CLIENT.headers(
        at(api_key="k", headers={"X-Goog-Api-Key": "mine"})
    )


TURNS: list[tuple[str, list[Any], list[Any], list[str]]] = [
    ("text", [USER], [("user", [{"text": "Weather?"}])], []),
    (
        "neighbours are joined",
        [USER, {"role": "user", "content": [{"type": "text", "text": "Now?"}]}],
        [("user", [{"text": "Weather?"}, {"text": "Now?"}])],
        [],
    ),
    (
        "empty texts are left out",
        [USER, {"role": "assistant", "content": ""}, {"role": "user", "content": "x"}],
        [("user", [{"text": "Weather?"}, {"text": "x"}])],
        ["empty turns left out"],
    ),
    (
        "a model turn is never first",
        [{"role": "assistant", "content": "Hello"}],
        [("user", [{"text": " "}]), ("model", [{"text": "Hello"}])],
        ["an empty user turn put first"],
    ),
    (
        "results in any order come in that of the calls",
        [
            USER,
            calling(call("a", "one"), call("b", "two", '{"x": 1}')),
            result("b", "second"),
            result("a", '{"first": 1}'),
            {"role": "user", "content": "Go on"},
        ],
        [
            ("user", [{"text": "Weather?"}]),
            (
                "model",
                [
                    {"functionCall": {"name": "one", "args": {}}},
                    {"functionCall": {"name": "two", "args": {"x": 1}}},
                ],
            ),
            (
                "user",
                [
                    {"functionResponse": {"name": "one", "response": {"first": 1}}},
                    {"functionResponse": {"name": "two", "response": {"output": "second"}}},
                    {"text": "Go on"},
                ],
            ),
        ],
        [],
    ),
    (
        "errors, empty results and objects of just that key",
        [
            USER,
            calling(call("a", "f"), call("b", "f"), call("c", "f")),
            result("a", "bad", is_error=True),
            result("b", None),
            result("c", '{"output": "x"}'),
        ],
        [
            ("user", [{"text": "Weather?"}]),
            ("model", [{"functionCall": {"name": "f", "args": {}}}] * 3),
            (
                "user",
                [
                    {"functionResponse": {"name": "f", "response": {"error": "bad"}}},
                    {"functionResponse": {"name": "f", "response": {"output": ""}}},
                    {"functionResponse": {"name": "f", "response": {"output": '{"output": "x"}'}}},
                ],
            ),
        ],
        [],
    ),
    (
        "calls of one id are answered one after the other",
        [USER, calling(call("a", "f"), call("a", "g")), result("a", "1"), result("a", "2")],
        [
            ("user", [{"text": "Weather?"}]),
            (
                "model",
                [{"functionCall": {"name": "f", "args": {}}}, {"functionCall": {"name": "g", "args": {}}}],
            ),
            (
                "user",
                [
                    {"functionResponse": {"name": "f", "response": {"output": "1"}}},
                    {"functionResponse": {"name": "g", "response": {"output": "2"}}},
                ],
            ),
        ],
        [],
    ),
    (
        "a picture of a result stands beside it",
        [
            USER,
            calling(call("a", "f")),
            result(
                "a",
                [
                    {"type": "text", "text": "see"},
                    {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
                ],
            ),
        ],
        [
            ("user", [{"text": "Weather?"}]),
            ("model", [{"functionCall": {"name": "f", "args": {}}}]),
            (
                "user",
                [
                    {"functionResponse": {"name": "f", "response": {"output": "see"}}},
                    {"inlineData": {"mimeType": "image/png", "data": "AAAA"}},
                ],
            ),
        ],
        ["an image or file of a tool's result put beside it"],
    ),
    (
        "another vendor's reasoning is left out",
        [
            USER,
            {
                "role": "assistant",
                "content": [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "Sunny"}],
                "provider_state": {"dialect": "anthropic", "model": "claude", "thinking": []},
            },
            USER,
        ],
        [
            ("user", [{"text": "Weather?"}]),
            ("model", [{"text": "Sunny"}]),
            ("user", [{"text": "Weather?"}]),
        ],
        ["another model's signed reasoning left out"],
    ),
]


@pytest.mark.parametrize(
    ("messages", "turns", "notes"), [case[1:] for case in TURNS], ids=[case[0] for case in TURNS]
)
def test_turns(messages: Any, turns: Any, notes: list[str]) -> None:
    """Messages become turns of two roles, with every result where Gemini looks for it."""
    noted: list[str] = []
    body = encoded(messages, notes=noted)

    assert turns == [(turn["role"], turn["parts"]) for turn in body["contents"]]
    assert notes == noted


def test_instructions() -> None:
    """System and developer messages go to the front wherever they stood, and that is noted."""
    notes: list[str] = []
    body = encoded(
        [{"role": "system", "content": "A"}, USER, {"role": "developer", "content": "B"}], notes=notes
    )

    assert {"parts": [{"text": "A"}, {"text": "B"}]} == body["systemInstruction"]
    assert 1 == len(body["contents"])
    assert ["a later system message moved to the front"] == notes


@pytest.mark.parametrize(
    ("part", "said"),
    [
        (
            {"type": "image_url", "image_url": {"url": "data:image/jpg;charset=x;base64,AA=="}},
            {"inlineData": {"mimeType": "image/jpeg", "data": "AA=="}},
        ),
        (
            {"type": "image_url", "image_url": "https://x.org/a.PNG?s=1"},
            {"fileData": {"mimeType": "image/png", "fileUri": "https://x.org/a.PNG?s=1"}},
        ),
        (
            {"type": "image_url", "image_url": {"url": "gs://bucket/b"}},
            {"fileData": {"mimeType": "image/jpeg", "fileUri": "gs://bucket/b"}},
        ),
        (
            {"type": "image_url", "image_url": {"url": STUDIO + "/files/f1"}},
            {"fileData": {"fileUri": STUDIO + "/files/f1"}},
        ),
        (
            {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,AA=="}},
            {"inlineData": {"mimeType": "application/pdf", "data": "AA=="}},
        ),
        (
            {"type": "file", "file": {"file_id": "gs://bucket/a.mp4"}},
            {"fileData": {"mimeType": "video/mp4", "fileUri": "gs://bucket/a.mp4"}},
        ),
        (
            {"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}},
            {"inlineData": {"mimeType": "audio/wav", "data": "AA=="}},
        ),
        (
            {"inlineData": {"mimeType": "video/mp4", "data": "AA=="}, "videoMetadata": {"fps": 1}},
            {"inlineData": {"mimeType": "video/mp4", "data": "AA=="}, "videoMetadata": {"fps": 1}},
        ),
    ],
    ids=["data", "https", "gs", "files", "pdf", "file_id", "audio", "own"],
)
def test_parts(part: dict[str, Any], said: dict[str, Any]) -> None:
    """Pictures, files and sound go inline or by their address."""
    assert [said] == encoded([{"role": "user", "content": [part]}])["contents"][0]["parts"]


EVERYWHERE, HERE = True, False


@pytest.mark.parametrize(
    ("messages", "everywhere"),
    [
        ([USER, calling(call("a", "f"))], EVERYWHERE),
        ([USER, calling(call("a", "f"), call("b", "f")), result("a", "x"), USER], EVERYWHERE),
        ([USER, result("a", "x")], EVERYWHERE),
        ([USER, calling(call("a", "f")), result("a", "x"), result("a", "y")], EVERYWHERE),
        ([USER, calling({"type": "function"})], EVERYWHERE),
        ([USER, calling(call("a", "f", "{broken"))], HERE),
        ([USER, calling({"id": "a", "type": "custom", "custom": {}})], HERE),
        ([{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "http://x/a"}}]}], HERE),
        ([{"role": "user", "content": [{"type": "video"}]}], HERE),
        ([{"role": "user", "content": [{}]}], EVERYWHERE),
        ([{"role": "user", "content": 3}], EVERYWHERE),
        ([{"role": "function", "content": "x", "name": "f"}], HERE),
    ],
    ids=[
        "call unanswered", "one of two", "no call", "answered twice", "no id", "broken arguments", "custom",
        "http", "unknown part", "no type", "number", "function role",
    ],
)  # fmt: skip
def test_messages_refused(messages: Any, everywhere: bool) -> None:
    """What is broken is refused for all endpoints, what only Gemini cannot say for this one."""
    with pytest.raises(InvalidRequest) as raised:
        encoded(messages)
    assert everywhere == raised.value.everywhere


SIGNED = {"provider_state": {"dialect": "gemini", "model": PRO_3, "ids": ["a"], "signatures": {"a": "c2ln"}}}


@pytest.mark.parametrize(
    ("model", "state", "signatures", "notes"),
    [
        (PRO_3, SIGNED, ["c2ln", None], []),
        (PRO_3, {}, [DUMMY, None], [PLACEHOLDER]),
        (FLASH, {}, [None, None], []),
        (FLASH, SIGNED, [None, None], ["another model's signed reasoning left out"]),
        ("gemini-flash-latest", {}, [DUMMY, None], [PLACEHOLDER]),
    ],
    ids=["own", "another's", "not needed", "another model", "latest"],
)  # fmt: skip
def test_signatures(model: str, state: Any, signatures: Any, notes: list[str]) -> None:
    """A call goes back with the signature it came with; the third generation gets a placeholder else."""
    noted: list[str] = []
    messages = [USER, calling(call("a", "f"), call("b", "f"), **state), result("b", "2"), result("a", "1")]
    turns = encoded(messages, model, noted)["contents"]

    assert signatures == [part.get("thoughtSignature") for part in turns[1]["parts"]]
    assert notes == noted
    own = state and model == PRO_3
    assert ["a" if own else None, None] == [part["functionCall"].get("id") for part in turns[1]["parts"]]
    assert ["1", "2"] == [part["functionResponse"]["response"]["output"] for part in turns[2]["parts"]]
    assert ["a" if own else None, None] == [part["functionResponse"].get("id") for part in turns[2]["parts"]]


def test_a_signed_text_goes_back_signed() -> None:
    """The signature of a text stands on its last part again."""
    state = {"dialect": "gemini", "model": FLASH, "signature": "c2ln"}
    told = Message("Sunny.", extra={"provider_state": state})
    body = encoded([USER, told, USER])

    assert [{"text": "Sunny.", "thoughtSignature": "c2ln"}] == body["contents"][1]["parts"]


SCHEMA = {
    "type": "object",
    "properties": {"city": {"$ref": "#/$defs/city"}},
    "additionalProperties": False,
    "$defs": {"city": {"anyOf": [{"const": "Oslo"}, {"type": "null"}]}},
}
TOOL = {"type": "function", "function": {"name": "f", "description": "d", "parameters": SCHEMA}}
NAMED = {"type": "function", "function": {"name": "f"}}
SHAPE = {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA}}


@pytest.mark.parametrize(
    ("params", "config"),
    [
        ({"max_tokens": 5}, {"maxOutputTokens": 5}),
        ({"max_tokens": 5, "max_completion_tokens": 6}, {"maxOutputTokens": 6}),
        ({"temperature": 0, "top_p": 0.5, "top_k": 3}, {"temperature": 0, "topP": 0.5, "topK": 3}),
        ({"stop": "x"}, {"stopSequences": ["x"]}),
        ({"stop": ["x", ""]}, {"stopSequences": ["x"]}),
        ({"seed": 7, "n": 2}, {"seed": 7, "candidateCount": 2}),
        (
            {"presence_penalty": 1, "frequency_penalty": -1},
            {"presencePenalty": 1, "frequencyPenalty": -1},
        ),
        ({"logprobs": True, "top_logprobs": 3}, {"responseLogprobs": True, "logprobs": 3}),
        ({"response_format": {"type": "json_object"}}, {"responseMimeType": "application/json"}),
        (
            {"response_format": SHAPE},
            {"responseMimeType": "application/json", "responseJsonSchema": SCHEMA},
        ),
        ({"mediaResolution": "MEDIA_RESOLUTION_LOW"}, {"mediaResolution": "MEDIA_RESOLUTION_LOW"}),
        ({"seed": 7, "generationConfig": {"seed": 8, "topK": 1}}, {"seed": 8, "topK": 1}),
        (
            {"reasoning_effort": "low", "thinking_config": {"thinkingBudget": 5}},
            {"thinkingConfig": {"thinkingBudget": 5}},
        ),
    ],
    ids=str,
)
def test_generation_config(params: dict[str, Any], config: dict[str, Any]) -> None:
    """OpenAI's parameters and Google's own go into `generationConfig`, the latter winning."""
    assert config == encoded("Hi", **params)["generationConfig"]


@pytest.mark.parametrize(
    ("model", "effort", "thinking"),
    [
        (FLASH, "none", {"thinkingBudget": 0, "includeThoughts": False}),
        (PRO_25, "none", {"thinkingBudget": 128, "includeThoughts": False}),
        (FLASH, "minimal", {"thinkingBudget": 1024, "includeThoughts": True}),
        (FLASH, "medium", {"thinkingBudget": 8192, "includeThoughts": True}),
        (PRO_25, "high", {"thinkingBudget": 24576, "includeThoughts": True}),
        (PRO_3, "none", {"thinkingLevel": "low", "includeThoughts": False}),
        (PRO_3, "high", {"thinkingLevel": "high", "includeThoughts": True}),
        ("gemini-3.1-flash", "none", {"thinkingLevel": "minimal", "includeThoughts": False}),
        ("gemini-3.1-flash", "xhigh", {"thinkingLevel": "high", "includeThoughts": True}),
    ],
)
def test_reasoning_effort(model: str, effort: str, thinking: dict[str, Any]) -> None:
    """An effort becomes a budget or a level, as the model has it, and is noted where it is not the same."""
    notes: list[str] = []
    body = encoded("Hi", model, notes, reasoning_effort=effort)

    assert thinking == body["generationConfig"]["thinkingConfig"]
    changed = thinking.get("thinkingLevel", effort) != effort or thinking.get("thinkingBudget") in (128, 1024)
    assert changed == bool(notes)


def test_tools() -> None:
    """Schemas go out as they are, empty ones not at all; Google's own tools stand beside."""
    notes: list[str] = []
    bare = {"type": "function", "function": {"name": "g", "strict": True, "parameters": {"type": "object"}}}
    body = encoded("Hi", notes=notes, tools=[TOOL, bare, {"googleSearch": {}}], parallel_tool_calls=True)

    declared = [{"name": "f", "description": "d", "parametersJsonSchema": SCHEMA}, {"name": "g"}]
    assert [{"functionDeclarations": declared}, {"googleSearch": {}}] == body["tools"]
    assert "toolConfig" not in body
    assert ["strict tool schemas are not promised here"] == notes


@pytest.mark.parametrize(
    ("choice", "config"),
    [
        ("auto", {"mode": "AUTO"}),
        ("none", {"mode": "NONE"}),
        ("required", {"mode": "ANY"}),
        (NAMED, {"mode": "ANY", "allowedFunctionNames": ["f"]}),
        (
            {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [NAMED]}},
            {"mode": "ANY", "allowedFunctionNames": ["f"]},
        ),
    ],
    ids=["auto", "none", "required", "named", "allowed"],
)
def test_tool_choice(choice: Any, config: dict[str, Any]) -> None:
    """A choice of tools becomes a mode, with names where it has some."""
    body = encoded("Hi", tools=[TOOL], tool_choice=choice)
    assert {"functionCallingConfig": config} == body["toolConfig"]


def test_google_s_own_fields_pass() -> None:
    """Fields of Gemini's own go out untouched, and usage needs no asking."""
    own: dict[str, Any] = {
        "safetySettings": [{"category": "c"}],
        "cachedContent": "cachedContents/1",
        "labels": {"a": "b"},
    }
    body = encoded("Hi", **own, stream_options={"include_usage": True}, service_tier="default")

    assert {**own, "serviceTier": "standard"} == {k: v for k, v in body.items() if k != "contents"}


LOST: list[tuple[str, Any, str]] = [
    ("user", "u", FLASH),
    ("metadata", {"a": "b"}, FLASH),
    ("logit_bias", {"1": 2}, FLASH),
    ("seed", 2**31, FLASH),
    ("n", 9, FLASH),
    ("n", "2", FLASH),
    ("stop", list("abcdef"), FLASH),
    ("reasoning_effort", "high", "gemini-2.0-flash"),
    ("reasoning_effort", "high", "gemma-3"),
    ("reasoning_effort", "ultra", PRO_3),
    ("response_format", {"type": "grammar"}, FLASH),
    ("response_format", {"type": "json_schema"}, FLASH),
    ("tool_choice", {"type": "custom"}, FLASH),
    ("tool_choice", {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [NAMED]}}, FLASH),
    ("service_tier", "scale", FLASH),
    ("verbosity", "low", FLASH),
]


@pytest.mark.parametrize(("name", "value", "model"), LOST, ids=lambda v: str(v)[:30])
def test_unsayable(name: str, value: Any, model: str) -> None:
    """A parameter that would be lost is refused for this endpoint, or left out and named."""
    request = Request.of("Hi", {name: value, "temperature": 1})
    dropping = at(model, unsupported="drop")

    with pytest.raises(InvalidRequest, match=name) as raised:
        CLIENT.check(request, at(model))
    assert not raised.value.everywhere
    with pytest.raises(InvalidRequest, match=name):
        CLIENT.encode(request, at(model))
    CLIENT.check(request, dropping)
    assert (name,) == CLIENT.dropped(request, dropping)
    assert {"temperature": 1} == orjson.loads(CLIENT.encode(request, dropping))["generationConfig"]


@pytest.mark.parametrize(
    ("name", "value"),
    [("logit_bias", {}), ("modalities", ["text"]), ("verbosity", "medium"), ("user", None), ("n", 1)],
)
def test_defaults_pass(name: str, value: Any) -> None:
    """A value that means the default needs no saying."""
    CLIENT.check(Request.of("Hi", {name: value}), at())
    assert name not in encoded("Hi", **{name: value})


def test_json_beside_tools() -> None:
    """JSON and functions exclude each other before the third generation only."""
    request = Request.of("Hi", {"tools": [TOOL], "response_format": SHAPE})
    with pytest.raises(InvalidRequest, match="response_format"):
        CLIENT.check(request, at(FLASH))
    CLIENT.check(request, at(PRO_3))
    CLIENT.check(request, at("our-alias"))


@pytest.mark.parametrize(
    ("tools", "everywhere"),
    [
        ([{"type": "custom", "custom": {"name": "c"}}], HERE),
        ([{"type": "function", "function": {"name": "1st"}}], HERE),
        ([{"type": "function"}], EVERYWHERE),
        ([{"type": "function", "function": {"name": "f", "parameters": []}}], EVERYWHERE),
        (["f"], EVERYWHERE),
        ({"f": 1}, EVERYWHERE),
    ],
    ids=["custom", "name", "nameless", "schema", "string", "object"],
)
def test_tools_refused(tools: Any, everywhere: bool) -> None:
    """Tools that are none are refused for all, and those that Gemini has not for this endpoint."""
    with pytest.raises(InvalidRequest) as raised:
        encoded("Hi", tools=tools)
    assert everywhere == raised.value.everywhere


def test_what_is_no_json_is_refused() -> None:
    """A value that JSON does not have is an `InvalidRequest` without the value."""
    with pytest.raises(InvalidRequest, match="JSON"):
        encoded("Hi", seed=object())


def test_prefill() -> None:
    """The second generation goes on from a partial answer; of others that is not known."""
    request = Request.of("Hi", {})
    going_on = CLIENT.prefilled(request, at(FLASH), "Once")

    assert going_on is not None
    assert {"role": "assistant", "content": "Once"} == going_on.messages[-1]
    assert CLIENT.prefilled(request, at(PRO_3), "Once") is None
    assert CLIENT.prefilled(request, at("alias"), "Once") is None


def test_an_endpoint_s_own_params_win() -> None:
    """An endpoint's parameters replace the call's, and `None` removes one."""
    endpoint = at(params={"seed": 2, "user": None})
    body = orjson.loads(CLIENT.encode(Request.of("Hi", {"seed": 1, "user": "u"}), endpoint))
    assert {"seed": 2} == body["generationConfig"]
