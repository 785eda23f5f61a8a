"""No parameter is lost in silence, in any dialect."""

from __future__ import annotations

from typing import Any

import pytest

from fallbackio.dialects import DIALECTS
from fallbackio.endpoint import Endpoint
from fallbackio.errors import InvalidRequest
from fallbackio.model import Request

Fields = dict[str, Any]

_SCHEMA = {
    "type": "object",
    "properties": {"a": {"type": "string"}},
    "required": ["a"],
    "additionalProperties": False,
}


def _tool(name: str) -> Fields:
    return {"type": "function", "function": {"name": name, "parameters": _SCHEMA}}


_F, _G = _tool("f"), _tool("g")
_BY_SCHEMA = {"type": "json_schema", "json_schema": {"name": "answer", "schema": _SCHEMA}}

CASES: dict[str, Fields] = {
    "n": {"n": 2},
    "seed": {"seed": 7},
    "large seed": {"seed": 2**40},
    "frequency_penalty": {"frequency_penalty": 0.5},
    "presence_penalty": {"presence_penalty": -0.5},
    "stop": {"stop": "END"},
    "stops": {"stop": ["A", "B"]},
    "logprobs": {"logprobs": True},
    "top_logprobs": {"logprobs": True, "top_logprobs": 3},
    "logit_bias": {"logit_bias": {"50": 1}},
    "metadata": {"metadata": {"team": "red"}},
    "user": {"user": "u1"},
    "safety_identifier": {"safety_identifier": "u1"},
    "temperature": {"temperature": 0.3},
    "high temperature": {"temperature": 1.7},
    "top_p": {"top_p": 0.5},
    "max_tokens": {"max_tokens": 4000},
    "max_completion_tokens": {"max_completion_tokens": 4000},
    "JSON": {"response_format": {"type": "json_object"}},
    "schema": {"response_format": _BY_SCHEMA},
    "schema and tools": {"response_format": _BY_SCHEMA, "tools": [_F]},
    "schema and a forced tool": {"response_format": _BY_SCHEMA, "tools": [_F], "tool_choice": "required"},
    "tools": {"tools": [_F, _G]},
    "forced": {"tools": [_F], "tool_choice": "required"},
    "named": {"tools": [_F, _G], "tool_choice": {"type": "function", "function": {"name": "g"}}},
    "none": {"tools": [_F], "tool_choice": "none"},
    "one at a time": {"tools": [_F], "parallel_tool_calls": False},
    "service_tier": {"service_tier": "flex"},
    "store": {"store": True},
    "verbosity": {"verbosity": "low"},
    "prompt_cache_key": {"prompt_cache_key": "k"},
    **{
        f"effort {word}": {"reasoning_effort": word}
        for word in ("minimal", "low", "medium", "high", "xhigh", "max")
    },
}

MODELS = [
    ("openai", "gpt-4o"),
    ("openai", "gpt-5"),
    ("azure", "gpt-4o"),
    ("openai_responses", "gpt-5"),
    ("anthropic", "claude-3-5-sonnet-20241022"),
    ("anthropic", "claude-sonnet-4-5"),
    ("anthropic", "claude-opus-4-8"),
    ("gemini", "gemini-2.0-flash"),
    ("gemini", "gemini-2.5-flash"),
    ("gemini", "gemini-3-pro-preview"),
    ("cohere", "command-a-03-2025"),
    ("ollama", "qwen3"),
    ("bedrock", "us.anthropic.claude-3-5-sonnet-20241022-v2:0"),
    ("bedrock", "us.anthropic.claude-sonnet-4-5-20250929-v1:0"),
    ("bedrock", "us.anthropic.claude-opus-4-8-v1:0"),
    ("bedrock", "us.amazon.nova-lite-v1:0"),
    ("bedrock", "us.amazon.nova-2-lite-v1:0"),
    ("bedrock", "meta.llama3-3-70b-instruct-v1:0"),
    ("bedrock", "openai.gpt-oss-120b-1:0"),
]


def meaning(params: Fields) -> Fields:
    """What parameters ask for, whatever the words; what is the default asks for nothing."""
    said = dict(params)
    if (limit := said.pop("max_completion_tokens", said.pop("max_tokens", None))) is not None:
        said["limit"] = limit
    if isinstance(said.get("stop"), str):
        said["stop"] = [said["stop"]]
    if "safety_identifier" in said:
        said["user"] = said.pop("safety_identifier")
    if isinstance(shape := said.get("response_format"), dict):
        said["response_format"] = (shape["type"], (shape.get("json_schema") or {}).get("schema"))
    tools = [tool["function"]["name"] for tool in said.pop("tools", ())]
    choice = said.pop("tool_choice", "auto")
    if isinstance(choice, dict):
        tools, choice = [choice["function"]["name"]], "required"
    if tools and choice != "none":
        said |= {"tools": tools, "choice": choice}
    return said


def is_budget(asked: Fields, heard: Fields) -> bool:
    """Whether an effort is said as tokens of thinking."""
    return "reasoning_effort" in asked and (heard.get("thinking") or {}).get("type") == "enabled"


@pytest.mark.parametrize("params", CASES.values(), ids=[name.replace(" ", "-") for name in CASES])
@pytest.mark.parametrize(("dialect", "model"), MODELS, ids=[f"{name}-{model}" for name, model in MODELS])
def test_what_is_asked_for_is_heard_or_said_to_be_lost(dialect: str, model: str, params: Fields) -> None:
    """Every parameter is heard as it was meant, is noted, or is refused before it is sent."""
    sides = DIALECTS[dialect]
    vendor = dialect if dialect in ("openai", "azure") else ""
    base = "https://r.openai.azure.com" if dialect == "azure" else "http://h/v1"
    notes: list[str] = []
    strict = Endpoint(model, base_url=base, vendor=vendor)
    lax = Endpoint(model, base_url=base, vendor=vendor, unsupported="drop")
    request = Request.of("Answer in JSON.", params)
    lost = sides.client.dropped(request, lax)
    if lost:
        with pytest.raises(InvalidRequest, match=lost[0]) as refused:
            sides.client.check(request, strict)
        assert not refused.value.everywhere
    else:
        sides.client.check(request, strict)

    heard = dict(sides.server.read(sides.client.encode(request, lax, notes.append), model).params)

    asked = meaning({name: value for name, value in params.items() if name not in lost})
    got = meaning(heard)
    missing = {name: value for name, value in asked.items() if got.get(name) != value}
    assert not missing or notes or is_budget(asked, heard), (missing, heard)


@pytest.mark.parametrize("own", ["max_tokens", "max_completion_tokens"])
@pytest.mark.parametrize("asked", ["max_tokens", "max_completion_tokens"])
@pytest.mark.parametrize("dialect", DIALECTS)
def test_an_endpoints_limit_wins(dialect: str, asked: str, own: str) -> None:
    """An endpoint's limit of the answer replaces the call's, whichever of its two names either has."""
    base = "https://r.openai.azure.com" if dialect == "azure" else "http://h/v1"
    endpoint = Endpoint("m", base_url=base, vendor=dialect, params={own: 500})
    body = DIALECTS[dialect].client.encode(Request.of("Hi", {asked: 4000}), endpoint)

    assert 500 == meaning(dict(DIALECTS[dialect].server.read(body, "m").params))["limit"]
