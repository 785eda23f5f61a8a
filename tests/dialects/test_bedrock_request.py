"""Requests in OpenAI's terms, as Bedrock's Converse gets them."""

from __future__ import annotations

import builtins
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fallbackio.dialects import DIALECTS
from fallbackio.endpoint import Endpoint
from fallbackio.errors import ConfigError, InvalidRequest
from fallbackio.model import Request

CLIENT = DIALECTS["bedrock"].client
AWS = "https://bedrock-runtime.us-east-1.amazonaws.com"
PNG = "data:image/png;base64,iVBORw0KGgo="
PDF = "data:application/pdf;base64,JVBERi0x"

OLD = "anthropic.claude-3-7-sonnet-20250219-v1:0"
SONNET_4_5 = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
OPUS_4_6 = "global.anthropic.claude-opus-4-6-v1"
OPUS_4_7 = "anthropic.claude-opus-4-7-v1"
OPUS_5 = "anthropic.claude-opus-5-v1:0"
NOVA = "amazon.nova-pro-v1:0"
NOVA_2 = "us.amazon.nova-2-lite-v1:0"
GPT = "openai.gpt-oss-120b-1:0"
LLAMA = "meta.llama3-1-70b-instruct-v1:0"
PROFILE = "arn:aws:bedrock:eu-west-1:123456789012:application-inference-profile/a1b2c3"

Fields = dict[str, Any]


def endpoint(
    model: str = SONNET_4_5, *, unsupported: Literal["error", "drop"] = "error", **settings: Any
) -> Endpoint:
    return Endpoint(model, base_url=AWS, api_key="k", unsupported=unsupported, **settings)


def sent(messages: Any = "Hi", to: str = SONNET_4_5, notes: list[str] | None = None, **params: Any) -> Fields:
    """The body that goes out."""
    told = [] if notes is None else notes
    body = orjson.loads(CLIENT.encode(Request.of(messages, params), endpoint(to), told.append))
    assert isinstance(body, dict)
    return body


def user(*content: Any) -> Fields:
    plain = len(content) == 1 and not isinstance(content[0], dict)
    return {"role": "user", "content": content[0] if plain else list(content)}


def text(said: str) -> Fields:
    return {"type": "text", "text": said}


def image(url: str = PNG) -> Fields:
    return {"type": "image_url", "image_url": {"url": url}}


def file(name: str | None = "my_report.v2.pdf", data: str = PDF) -> Fields:
    return {"type": "file", "file": {"file_data": data} | ({"filename": name} if name else {})}


def calls(*ids: str, content: Any = None) -> Fields:
    given = [{"id": i, "type": "function", "function": {"name": "f", "arguments": '{"x":1}'}} for i in ids]
    return {"role": "assistant", "content": content, "tool_calls": given}


def result(call_id: str, content: Any = "5 degrees", **more: Any) -> Fields:
    return {"role": "tool", "tool_call_id": call_id, "content": content, **more}


def turn(role: str, *blocks: Fields) -> Fields:
    return {"role": role, "content": list(blocks)}


def said_use(call_id: str) -> Fields:
    return {"toolUse": {"toolUseId": call_id, "name": "f", "input": {"x": 1}}}


def said_result(call_id: str, *content: Fields, **more: Any) -> Fields:
    return {"toolResult": {"toolUseId": call_id, "content": list(content or [{"text": "5 degrees"}]), **more}}


def tool(name: str = "f", **function: Any) -> Fields:
    return {"type": "function", "function": {"name": name, "parameters": {"type": "object"}, **function}}


def said_tool(name: str = "f", **spec: Any) -> Fields:
    return {"toolSpec": {"name": name, "inputSchema": {"json": {"type": "object"}}, **spec}}


def schema(**more: Any) -> Fields:
    return {"type": "json_schema", "json_schema": {"name": "city", "schema": {"type": "object"}, **more}}


@pytest.mark.parametrize(
    ("model", "base_url", "stream", "url"),
    [
        ("amazon.nova-pro-v1:0", AWS, False, f"{AWS}/model/amazon.nova-pro-v1%3A0/converse"),
        ("amazon.nova-pro-v1:0", f"{AWS}/", True, f"{AWS}/model/amazon.nova-pro-v1%3A0/converse-stream"),
        (
            PROFILE,
            "http://127.0.0.1:8000/sim",
            False,
            "http://127.0.0.1:8000/sim/model/arn%3Aaws%3Abedrock%3Aeu-west-1%3A123456789012%3A"
            "application-inference-profile%2Fa1b2c3/converse",
        ),
    ],
    ids=["plain", "stream", "ARN"],
)
def test_url(model: str, base_url: str, stream: bool, url: str) -> None:
    """The model stands in the path, with everything of it percent-encoded."""
    assert url == CLIENT.url(Endpoint(model, base_url=base_url), stream=stream)


@pytest.mark.parametrize(
    ("settings", "kind", "headers"),
    [
        ({"api_key": "k"}, "static", {"content-type": "application/json", "authorization": "Bearer k"}),
        ({}, "aws", {"content-type": "application/json"}),
        (
            {"headers": {"authorization": "Basic x", "X-A": "b"}},
            "static",
            {"content-type": "application/json", "authorization": "Basic x", "X-A": "b"},
        ),
        (
            {"api_key": "k", "headers": {"content-type": "a/b"}},
            "static",
            {"authorization": "Bearer k", "content-type": "a/b"},
        ),
    ],
    ids=["key", "account", "own authorization", "own content type"],
)
def test_who_vouches(settings: Fields, kind: str, headers: Mapping[str, str]) -> None:
    """A key or a header of one's own vouches for a request; without them the AWS account does."""
    spec = Endpoint("m", base_url=AWS, **settings)

    assert (kind, headers) == (CLIENT.credentials(spec), CLIENT.headers(spec))


def test_a_missing_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without botocore an endpoint cannot be built, and the error says what to install."""
    real = builtins.__import__

    def without(name: str, *args: Any) -> Any:
        if name.partition(".")[0] == "botocore":
            raise ImportError(name)
        return real(name, *args)

    monkeypatch.setattr(builtins, "__import__", without)

    with pytest.raises(ConfigError, match=r'pip install "fallbackio\[bedrock\]"'):
        CLIENT.headers(endpoint())


CONVERSATIONS: dict[str, tuple[Sequence[Fields], list[str], list[Fields], list[str]]] = {
    "text": ([user("Hi")], [], [turn("user", {"text": "Hi"})], []),
    "leading instructions": (
        [{"role": "system", "content": "A"}, {"role": "developer", "content": [text("B")]}, user("Hi")],
        ["A", "B"],
        [turn("user", {"text": "Hi"})],
        [],
    ),
    "later instructions": (
        [user("Hi"), {"role": "system", "content": "A"}],
        ["A"],
        [turn("user", {"text": "Hi"})],
        ["system message moved to the front"],
    ),
    "neighbours are joined": (
        [user("A"), user("B"), {"role": "assistant", "content": "C"}, {"role": "assistant", "content": "D"}],
        [],
        [turn("user", {"text": "A"}, {"text": "B"}), turn("assistant", {"text": "C"}, {"text": "D"})],
        [],
    ),
    "blank text is left out": (
        [
            {"role": "system", "content": " "},
            user(text("Hi"), text("\n")),
            {"role": "assistant", "content": ""},
        ],
        [],
        [turn("user", {"text": "Hi"})],
        ["empty turns left out"],
    ),
    "image": (
        [user(text("Look"), image(), image("data:image/JPG;base64,AAAA"))],
        [],
        [
            turn(
                "user",
                {"text": "Look"},
                {"image": {"format": "png", "source": {"bytes": "iVBORw0KGgo="}}},
                {"image": {"format": "jpeg", "source": {"bytes": "AAAA"}}},
            )
        ],
        [],
    ),
    "documents": (
        [user(file(), file(), file(None)), {"role": "assistant", "content": "OK"}],
        [],
        [
            turn(
                "user",
                {"document": {"format": "pdf", "name": "my report v2", "source": {"bytes": "JVBERi0x"}}},
                {"document": {"format": "pdf", "name": "my report v2 2", "source": {"bytes": "JVBERi0x"}}},
                {"document": {"format": "pdf", "name": "document", "source": {"bytes": "JVBERi0x"}}},
                {"text": "A document is attached."},
            ),
            turn("assistant", {"text": "OK"}),
        ],
        ["words added to a document that came without any"],
    ),
    "sound": (
        [user(text("Hear"), {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}})],
        [],
        [turn("user", {"text": "Hear"}, {"audio": {"format": "wav", "source": {"bytes": "AAAA"}}})],
        [],
    ),
    "Converse's own blocks": (
        [user(text("Hi"), {"cachePoint": {"type": "default"}})],
        [],
        [turn("user", {"text": "Hi"}, {"cachePoint": {"type": "default"}})],
        [],
    ),
    "tools": (
        [user("Hi"), calls("a", "b", content="Wait"), result("a"), result("b", ""), user("So?")],
        [],
        [
            turn("user", {"text": "Hi"}),
            turn("assistant", {"text": "Wait"}, said_use("a"), said_use("b")),
            turn("user", said_result("a"), said_result("b", {"text": "(no output)"}), {"text": "So?"}),
        ],
        ["tools declared that the conversation has called before"],
    ),
    "results go first": (
        [user("Hi"), calls("a"), user("Quick!"), result("a", [text("x"), image()], is_error=True)],
        [],
        [
            turn("user", {"text": "Hi"}),
            turn("assistant", said_use("a")),
            turn(
                "user",
                said_result(
                    "a",
                    {"text": "x"},
                    {"image": {"format": "png", "source": {"bytes": "iVBORw0KGgo="}}},
                    status="error",
                ),
                {"text": "Quick!"},
            ),
        ],
        ["tools declared that the conversation has called before"],
    ),
    "prefill": (
        [user("Hi"), {"role": "assistant", "content": "The answer: "}],
        [],
        [turn("user", {"text": "Hi"}), turn("assistant", {"text": "The answer:"})],
        [],
    ),
    "refusal": (
        [user("Hi"), {"role": "assistant", "content": None, "refusal": "No."}, user("Why?")],
        [],
        [turn("user", {"text": "Hi"}), turn("assistant", {"text": "No."}), turn("user", {"text": "Why?"})],
        [],
    ),
}


@pytest.mark.parametrize(("messages", "system", "turns", "told"), CONVERSATIONS.values(), ids=CONVERSATIONS)
def test_conversations(
    messages: Sequence[Fields], system: list[str], turns: list[Fields], told: list[str]
) -> None:
    """Each message becomes what Converse has for it, and what was changed is told."""
    notes: list[str] = []
    body = sent(messages, notes=notes)

    assert [{"text": said} for said in system] == body.get("system", [])
    assert turns == body["messages"]
    assert told == notes


def test_illegal_ids() -> None:
    """Ids that Converse refuses are rewritten alike at calls and results, and stay different."""
    ids = ["call/1", "call|1", "x" * 80, "x" * 81, "ok.1:2-3_4"]
    notes: list[str] = []
    turns = sent([user("Hi"), calls(*ids), *[result(i) for i in ids]], notes=notes)["messages"]

    used = [block["toolUse"]["toolUseId"] for block in turns[1]["content"]]
    assert used == [block["toolResult"]["toolUseId"] for block in turns[2]["content"]]
    assert len(ids) == len({*used})
    assert all(len(call_id) <= 64 and "/" not in call_id and "|" not in call_id for call_id in used)
    assert ids[-1] == used[-1]
    assert "tool call ids rewritten" in notes


REASONING = {"reasoningText": {"text": "hm", "signature": "s"}}


def thought(dialect: str = "bedrock", **state: Any) -> Fields:
    kept = {"dialect": dialect, "model": "", "reasoning": [REASONING], **state}
    return {"role": "assistant", "content": "42", "reasoning_content": "hm", "provider_state": kept}


@pytest.mark.parametrize(
    ("message", "model", "kept"),
    [
        (thought(), OPUS_4_6, True),
        (thought(), PROFILE, False),
        (thought(), NOVA, False),
        (thought("anthropic"), OPUS_4_6, False),
        (thought(model=OPUS_5), OPUS_4_6, False),
    ],
    ids=["Claude", "unknown", "Nova", "another dialect", "another model"],
)
def test_signed_reasoning(message: Fields, model: str, kept: bool) -> None:
    """Reasoning goes back to who can have signed it; to all others it is left out, and that is told."""
    notes: list[str] = []
    turns = sent([user("Hi"), message, user("Sure?")], to=model, notes=notes)["messages"]

    expected = [{"reasoningContent": REASONING}] if kept else []
    assert [*expected, {"text": "42"}] == turns[1]["content"]
    assert ([] if kept else ["another model's signed reasoning left out"]) == notes


@pytest.mark.parametrize(
    ("messages", "everywhere"),
    [
        ([user(image("https://example.com/a.png"))], False),
        ([user(image("data:image/tiff;base64,AAAA"))], False),
        ([user({"type": "file", "file": {"file_id": "file-1"}})], False),
        ([user({"type": "novelty", "x": 1})], False),
        ([{"role": "function", "name": "f", "content": "x"}], False),
        ([{"role": "assistant", "content": "Hi"}], False),
        ([{"role": "system", "content": "Hi"}], False),
        ([user("Hi"), {"role": "assistant", "content": None, "function_call": {"name": "f"}}], False),
        ([user({"text": "a", "other": 1})], True),
        ([user(5)], True),
        ([user("Hi"), {"role": "tool", "content": "x"}], True),
        ([user("Hi"), {"role": "assistant", "content": None, "tool_calls": [{"id": "a"}]}], True),
    ],
    ids=[
        "link",
        "image type",
        "file id",
        "part",
        "role",
        "no user first",
        "only system",
        "function_call",
        "part without a type",
        "content",
        "result without an id",
        "call without a function",
    ],
)
def test_beyond(messages: list[Any], everywhere: bool) -> None:
    """What Converse cannot say is refused for this endpoint; what is no message, for all."""
    with pytest.raises(InvalidRequest) as raised:
        sent(messages)

    assert everywhere == raised.value.everywhere


HISTORY = [user("Hi"), calls("a"), result("a")]
TEXT_FORMAT = {
    "type": "json_schema",
    "structure": {"jsonSchema": {"schema": '{"type":"object"}', "name": "city", "description": "A city."}},
}
DETAILS = ["/usage/output_tokens_details"]
JSON_ANSWER = {
    "toolSpec": {
        "name": "fallbackio_json_answer",
        "description": "Give the answer by calling this tool, once, with the whole answer as its input.",
        "inputSchema": {"json": {"type": "object"}},
    }
}

PARAMS: dict[str, tuple[str, Fields, Fields]] = {
    "sampling": (
        NOVA,
        {"max_tokens": 5, "temperature": 0.5, "top_p": 0.9, "stop": ["a", ""], "n": 1, "stream_options": {}},
        {"inferenceConfig": {"maxTokens": 5, "temperature": 0.5, "topP": 0.9, "stopSequences": ["a"]}},
    ),
    "newer limit, one stop": (
        NOVA,
        {"max_completion_tokens": 7, "stop": "END"},
        {"inferenceConfig": {"maxTokens": 7, "stopSequences": ["END"]}},
    ),
    "clamped": (NOVA, {"temperature": 1.7}, {"inferenceConfig": {"temperature": 1}}),
    "defaults of a Claude of one sampler": (OPUS_4_7, {"temperature": 1, "top_p": 1}, {}),
    "tools": (
        SONNET_4_5,
        {"tools": [tool(description="F.", strict=True)], "tool_choice": "auto"},
        {"toolConfig": {"tools": [said_tool(description="F.", strict=True)], "toolChoice": {"auto": {}}}},
    ),
    "required": (
        NOVA,
        {"tools": [tool(description="")], "tool_choice": "required", "parallel_tool_calls": True},
        {"toolConfig": {"tools": [said_tool()], "toolChoice": {"any": {}}}},
    ),
    "named": (
        NOVA,
        {"tools": [tool()], "tool_choice": {"type": "function", "function": {"name": "f"}}},
        {"toolConfig": {"tools": [said_tool()], "toolChoice": {"tool": {"name": "f"}}}},
    ),
    "none": (NOVA, {"tools": [tool()], "tool_choice": "none", "parallel_tool_calls": False}, {}),
    "one at a time": (
        SONNET_4_5,
        {"tools": [tool()], "tool_choice": "required", "parallel_tool_calls": False},
        {
            "toolConfig": {"tools": [said_tool()]},
            "additionalModelRequestFields": {
                "tool_choice": {"type": "any", "disable_parallel_tool_use": True}
            },
        },
    ),
    "Converse's own tools": (
        NOVA,
        {"tools": [{"cachePoint": {"type": "default"}}], "tool_choice": {"auto": {}}},
        {"toolConfig": {"tools": [{"cachePoint": {"type": "default"}}], "toolChoice": {"auto": {}}}},
    ),
    "schema": (
        SONNET_4_5,
        {"response_format": schema(description="A city.", strict=True)},
        {"outputConfig": {"textFormat": TEXT_FORMAT}},
    ),
    "schema by a tool": (
        OLD,
        {"response_format": schema()},
        {
            "toolConfig": {
                "tools": [JSON_ANSWER],
                "toolChoice": {"tool": {"name": "fallbackio_json_answer"}},
            }
        },
    ),
    "schema beside tools": (
        NOVA,
        {"response_format": schema(), "tools": [tool()]},
        {"toolConfig": {"tools": [said_tool(), JSON_ANSWER], "toolChoice": {"any": {}}}},
    ),
    "schema when a tool must be called": (
        NOVA,
        {"response_format": schema(), "tools": [tool()], "tool_choice": "required"},
        {"toolConfig": {"tools": [said_tool()], "toolChoice": {"any": {}}}},
    ),
    "schema, one at a time": (
        OLD,
        {"response_format": schema(), "tools": [tool()], "parallel_tool_calls": False},
        {
            "toolConfig": {"tools": [said_tool(), JSON_ANSWER]},
            "additionalModelRequestFields": {
                "tool_choice": {"type": "any", "disable_parallel_tool_use": True}
            },
        },
    ),
    "schema, one tool that must be called": (
        OLD,
        {
            "response_format": schema(),
            "tools": [tool()],
            "tool_choice": "required",
            "parallel_tool_calls": False,
        },
        {
            "toolConfig": {"tools": [said_tool()]},
            "additionalModelRequestFields": {
                "tool_choice": {"type": "any", "disable_parallel_tool_use": True}
            },
        },
    ),
    "text format": (NOVA, {"response_format": {"type": "text"}}, {}),
    "who": (
        NOVA,
        {"user": "u-1", "metadata": {"team": "red"}, "service_tier": "flex"},
        {"requestMetadata": {"team": "red", "user": "u-1"}, "serviceTier": {"type": "flex"}},
    ),
    "effort in tokens": (
        OLD,
        {"reasoning_effort": "low"},
        {
            "inferenceConfig": {"maxTokens": 10240},
            "additionalModelRequestFields": {"thinking": {"type": "enabled", "budget_tokens": 2048}},
            "additionalModelResponseFieldPaths": DETAILS,
        },
    ),
    "effort within a limit": (
        OLD,
        {"reasoning_effort": "high", "max_tokens": 4000},
        {
            "inferenceConfig": {"maxTokens": 4000},
            "additionalModelRequestFields": {"thinking": {"type": "enabled", "budget_tokens": 2000}},
            "additionalModelResponseFieldPaths": DETAILS,
        },
    ),
    "effort": (
        OPUS_4_6,
        {"reasoning_effort": "minimal"},
        {
            "additionalModelRequestFields": {
                "thinking": {"type": "adaptive"},
                "output_config": {"effort": "low"},
            },
            "additionalModelResponseFieldPaths": DETAILS,
        },
    ),
    "no effort": (OPUS_4_6, {"reasoning_effort": "none"}, {}),
    "no effort of one that thinks unasked": (
        OPUS_5,
        {"reasoning_effort": "none"},
        {"additionalModelRequestFields": {"thinking": {"type": "disabled"}}},
    ),
    "Nova's effort": (
        NOVA_2,
        {"reasoning_effort": "xhigh"},
        {
            "additionalModelRequestFields": {
                "reasoningConfig": {"type": "enabled", "maxReasoningEffort": "high"}
            }
        },
    ),
    "gpt-oss's effort": (
        GPT,
        {"reasoning_effort": "medium"},
        {"additionalModelRequestFields": {"reasoning_effort": "medium"}},
    ),
    "own fields": (
        SONNET_4_5,
        {
            "top_k": 5,
            "max_tokens": 9,
            "guardrailConfig": {"guardrailIdentifier": "g"},
            "inferenceConfig": {"topP": 0.5},
            "additionalModelRequestFields": {"top_k": 6, "x": 1},
        },
        {
            "inferenceConfig": {"maxTokens": 9, "topP": 0.5},
            "guardrailConfig": {"guardrailIdentifier": "g"},
            "additionalModelRequestFields": {"top_k": 6, "x": 1},
        },
    ),
}


@pytest.mark.parametrize(("model", "params", "expected"), PARAMS.values(), ids=PARAMS)
def test_params(model: str, params: Fields, expected: Fields) -> None:
    """Each parameter goes where Converse, or the model behind it, wants it."""
    body = sent(to=model, **params)

    assert [turn("user", {"text": "Hi"})] == body.pop("messages")
    assert expected == body


def test_json_mode_in_words() -> None:
    """Converse has no JSON mode: the model is asked in words, and that is told."""
    notes: list[str] = []
    body = sent(notes=notes, response_format={"type": "json_object"})

    assert "JSON" in body["system"][0]["text"]
    assert ["JSON mode asked for in words"] == notes


@pytest.mark.parametrize(
    ("params", "config", "told"),
    [
        (
            {},
            {"tools": [said_tool()]},
            "tools declared that the conversation has called before",
        ),
        (
            {"tools": [tool("f"), tool("g")], "tool_choice": "none"},
            {"tools": [said_tool("f"), said_tool("g")]},
            "tool_choice none cannot be said after tool calls; the tools stay on offer",
        ),
    ],
    ids=["no tools", "none"],
)
def test_tools_of_the_past(params: Fields, config: Fields, told: str) -> None:
    """A history with tool calls goes out with tools, which Converse demands, and that is told."""
    notes: list[str] = []

    assert config == sent(HISTORY, notes=notes, **params)["toolConfig"]
    assert [told] == notes


def test_a_schema_after_tools_that_may_not_be_called() -> None:
    """Tools that only the history needs are not called in place of the answer."""
    config = sent(HISTORY, to=NOVA, response_format=schema(), parallel_tool_calls=False)["toolConfig"]

    assert {
        "tools": [said_tool(), JSON_ANSWER],
        "toolChoice": {"tool": {"name": "fallbackio_json_answer"}},
    } == config


def test_a_schema_by_a_tool_is_told() -> None:
    """That a schema was asked for by a forced tool stands in the ledger."""
    notes: list[str] = []
    sent(to=NOVA, notes=notes, response_format=schema())

    assert ["JSON schema asked for by a forced tool"] == notes


@pytest.mark.parametrize(
    ("model", "params", "lost"),
    [
        (NOVA, {"n": 2, "seed": 1, "logprobs": True, "temperature": 0}, ["n", "seed", "logprobs"]),
        (NOVA, {"frequency_penalty": 0.1, "presence_penalty": 1}, ["frequency_penalty", "presence_penalty"]),
        (NOVA, {"logit_bias": {"1": 2}}, ["logit_bias"]),
        (NOVA, {"n": 1, "seed": None, "logprobs": False, "frequency_penalty": 0.0}, []),
        (OPUS_4_7, {"temperature": 0.5}, ["temperature"]),
        (SONNET_4_5, {"temperature": 0.5, "top_p": 0.5}, ["top_p"]),
        (SONNET_4_5, {"top_p": 0.5}, []),
        (NOVA, {"reasoning_effort": "low"}, ["reasoning_effort"]),
        (PROFILE, {"reasoning_effort": "low"}, ["reasoning_effort"]),
        (NOVA, {"reasoning_effort": "none"}, []),
        (GPT, {"reasoning_effort": "none"}, ["reasoning_effort"]),
        (OLD, {"reasoning_effort": "low", "max_tokens": 1024}, ["reasoning_effort"]),
        (OPUS_4_6, {"reasoning_effort": "enormous"}, ["reasoning_effort"]),
        (OLD, {"reasoning_effort": "low", "response_format": schema()}, ["response_format"]),
        (NOVA, {"response_format": {"type": "grammar"}}, ["response_format"]),
        (NOVA, {"response_format": {"type": "json_schema"}}, ["response_format"]),
        (NOVA, {"response_format": "json"}, ["response_format"]),
        (NOVA, {"response_format": schema(schema={"type": "array"})}, ["response_format"]),
        (SONNET_4_5, {"response_format": schema(schema={"type": "array"})}, []),
        (NOVA, {"tools": [tool()], "tool_choice": {"any": None}}, ["tool_choice"]),
        (LLAMA, {"tools": [tool()], "tool_choice": "required"}, ["tool_choice"]),
        (LLAMA, {"tools": [tool()], "tool_choice": "auto"}, []),
        (NOVA, {"tools": [tool()], "tool_choice": {"type": "allowed_tools"}}, ["tool_choice"]),
        (NOVA, {"tools": [tool()], "parallel_tool_calls": False}, ["parallel_tool_calls"]),
        (NOVA, {"parallel_tool_calls": False}, []),
        (NOVA, {"user": "Zoë"}, ["user"]),
        (NOVA, {"metadata": {str(n): "x" for n in range(17)}}, ["metadata"]),
        (NOVA, {"metadata": {"a": 1}}, ["metadata"]),
        (NOVA, {"service_tier": "scale"}, ["service_tier"]),
    ],
)
def test_what_would_be_lost(model: str, params: Fields, lost: list[str]) -> None:
    """Parameters that Converse or the model cannot express are refused by name, or dropped on demand."""
    request = Request.of("Hi", params)
    strict, lax = endpoint(model), endpoint(model, unsupported="drop")

    assert tuple(lost) == CLIENT.dropped(request, lax)
    assert () == CLIENT.dropped(request, strict)
    CLIENT.check(request, lax)
    assert CLIENT.encode(request, lax)
    if not lost:
        CLIENT.check(request, strict)
        return
    for ask in (CLIENT.check, CLIENT.encode):
        with pytest.raises(InvalidRequest, match=", ".join(lost)) as raised:
            ask(request, strict)
        assert not raised.value.everywhere


@pytest.mark.parametrize(
    ("model", "params", "taken"),
    [
        (OLD, {}, True),
        (SONNET_4_5, {"response_format": schema()}, True),
        (OLD, {"response_format": schema()}, False),
        (OLD, {"reasoning_effort": "low"}, False),
        (OPUS_4_6, {}, False),
        (NOVA, {}, True),
        (LLAMA, {}, False),
        (PROFILE, {}, False),
    ],
    ids=["Claude", "schema", "schema by a tool", "thinking", "newer Claude", "Nova", "Llama", "unknown"],
)
def test_prefill(model: str, params: Fields, taken: bool) -> None:
    """A model that goes on from a last assistant turn is given one, and no other."""
    again = CLIENT.prefilled(Request.of("Hi", params), endpoint(model), "The ans")

    assert taken is (again is not None)
    if again is not None:
        assert {"role": "assistant", "content": "The ans"} == again.messages[-1]


@pytest.mark.parametrize(
    "params",
    [
        {"tools": "all"},
        {"tools": [5]},
        {"tools": [{"type": "custom", "custom": {}}]},
        {"tools": [{"type": "function"}]},
        {"tools": [tool("fallbackio_json_answer")]},
        {"tools": [tool(parameters="x")]},
        {"top_k": object()},
    ],
    ids=["no list", "no object", "custom", "no function", "reserved", "no schema", "no JSON"],
)
def test_wrong_tools(params: Fields) -> None:
    """Tools of a wrong shape, and what is no JSON, are refused before anything is sent."""
    with pytest.raises(InvalidRequest):
        sent(**params)


def test_endpoints_parameters_win() -> None:
    """An endpoint's own parameters replace the call's, and None removes one."""
    spec = endpoint(NOVA, params={"max_tokens": 9, "temperature": None})
    body = orjson.loads(CLIENT.encode(Request.of("Hi", {"max_completion_tokens": 5, "temperature": 1}), spec))

    assert {"maxTokens": 9} == body["inferenceConfig"]


def test_the_callers_messages_stay_as_they_were() -> None:
    """Encoding changes nothing of what the caller holds."""
    own = {"document": {"format": "pdf", "name": "a", "source": {"bytes": "AAAA"}}}
    messages = [user(text("A"), own, own), user("B"), calls("x"), result("x")]
    before = orjson.dumps(messages)

    names = [block["document"]["name"] for block in sent(messages)["messages"][0]["content"][1:3]]

    assert ["a", "a 2"] == names
    assert before == orjson.dumps(messages)


_NAMES = st.sampled_from(
    [
        "role", "content", "type", "text", "tool_calls", "tool_call_id", "id", "function", "name",
        "arguments", "image_url", "url", "file", "file_data", "filename", "input_audio", "data",
        "provider_state", "reasoning", "dialect", "tools", "tool_choice", "parameters", "json_schema",
        "response_format", "schema", "metadata", "user", "stop", "max_tokens", "temperature", "any", "auto",
        "reasoning_effort",
        "parallel_tool_calls", "output_config", "toolConfig", "inferenceConfig", "document", "toolUse",
    ]
)  # fmt: skip
_WORDS = st.sampled_from(
    [
        "user", "assistant", "tool", "text", "function", "image_url", "file", "low", "none", "required",
        "", "a/b", "json_schema", "json_object", "bedrock", PNG, PDF, "{}",
    ]
)  # fmt: skip
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2000) | _WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES, inner, max_size=4),
    max_leaves=10,
)


@given(
    messages=st.lists(st.dictionaries(_NAMES, _JSON, max_size=4), min_size=1, max_size=3),
    params=st.dictionaries(_NAMES, _JSON, max_size=4),
    model=st.sampled_from([OLD, OPUS_4_6, NOVA, NOVA_2, GPT, LLAMA, PROFILE]),
    unsupported=st.sampled_from(["error", "drop"]),
)
def test_arbitrary_requests(
    messages: list[Fields], params: Fields, model: str, unsupported: Literal["error", "drop"]
) -> None:
    """Whatever a user writes is encoded, or refused with our own error."""
    for said in (
        (*messages,),
        ({"role": "user", "content": "Hi"}, *messages),
        ({"role": "user", "content": "Hi"},),
    ):
        try:
            body = CLIENT.encode(
                Request(messages=said, params=params), endpoint(model, unsupported=unsupported)
            )
        except InvalidRequest:
            continue
        assert orjson.loads(body)["messages"]
