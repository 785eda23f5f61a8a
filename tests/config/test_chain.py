"""Building a chain: what is missing or wrong is said before anything is sent."""

from __future__ import annotations

import math
from typing import Any

import pytest

import fallbackio
from fallbackio import Chain, ConfigError, Endpoint, InvalidRequest
from fallbackio.testing import ScriptedEndpoint, answers, virtual_time

LOCAL = Endpoint("m", base_url="http://127.0.0.1:9/v1", name="local")


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ([], "at least one endpoint"),
        ("openai/gpt-4o", "put it in"),
        (None, "list of steps"),
        ([42], "not int"),
        (["gpt-4o"], "write 'vendor/model'"),
        (["openai/"], "write 'vendor/model'"),
        (["opneai/gpt-4o"], "did you mean 'openai'"),
        (["openai/gpt-4o"], "OPENAI_API_KEY"),
        ([LOCAL, LOCAL], "two endpoints are called 'local'"),
        ([Endpoint("m", base_url="http://", name="x")], "names no host"),
        ([Endpoint("m", base_url="http://h/v1", dialect="morse")], "unknown dialect 'morse'"),
    ],
)
def test_bad_steps_are_refused(monkeypatch: pytest.MonkeyPatch, steps: Any, message: str) -> None:
    """A chain that could not work is not built, and the message names the mend."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)

    with pytest.raises(ConfigError, match=message):
        Chain(steps)


@pytest.mark.parametrize(
    "settings",
    [
        {"timeout": -1},
        {"timeout": 0},
        {"timeout": math.nan},
        {"timeout": math.inf},
        {"timeout": "60"},
        {"timeout": True},
        {"attempt_timeout": math.nan},
        {"ttft_timeout": -0.1},
        {"idle_timeout": 0},
        {"connect_timeout": math.nan},
        {"max_retries": -1},
        {"max_retries": 1.5},
        {"strategy": "marathon"},
        {"upstream": "river"},
        {"max_answer_bytes": 0},
        {"sinks": ["not callable"]},
        {"fallback_on": [ValueError]},
        {"fallback_on": [42]},
        {"fallback_on": ["429"]},
    ],
    ids=str,
)
def test_bad_settings_are_refused(settings: dict[str, Any]) -> None:
    """Every setting out of its range is a ConfigError that names it."""
    with pytest.raises(ConfigError, match=r"|".join([*settings, "sink"])):
        Chain([LOCAL], **settings)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Endpoint(""),
        lambda: Endpoint("m", base_url="localhost:8000"),
        lambda: Endpoint("m", headers={"x": "a\nb"}),
        lambda: Endpoint("m", headers={"x\r": "a"}),
        lambda: Endpoint("m", api_key="sk-secret\n"),
        lambda: Endpoint("m", api_key=""),
        lambda: Endpoint("m", api_key="schlüssel"),
        lambda: Endpoint("m", unsupported="ignore"),  # type: ignore[arg-type]
        lambda: Endpoint("m", context_window=0),
        lambda: Endpoint.calling(None, name="x"),  # type: ignore[arg-type]
        lambda: fallbackio.RetryPolicy(base_s=math.nan),
        lambda: fallbackio.RetryPolicy(same_first=-1),
    ],
)
def test_bad_values_are_refused(make: Any) -> None:
    """A value out of its range cannot be made."""
    with pytest.raises(ConfigError) as caught:
        make()

    assert "sk-secret" not in str(caught.value)


def test_the_key_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A vendor's own variable is read when the chain is built, and never shown."""
    monkeypatch.setenv("GROQ_API_KEY", "gsk-very-secret")

    chain = Chain(["groq:llama/3"])

    spec = chain._routes[0].spec
    assert (spec.name, spec.vendor, spec.model) == ("groq/llama/3", "groq", "llama/3")
    assert spec.api_key == "gsk-very-secret"
    assert "gsk-very-secret" not in repr(spec)


def test_another_server_is_its_own_vendor() -> None:
    """An endpoint with only a base URL belongs to its host and needs no key."""
    spec = Chain([Endpoint("llama", base_url="http://gpu-1:8000/v1")])._routes[0].spec

    assert (spec.vendor, spec.name, spec.dialect) == ("gpu-1:8000", "gpu-1:8000/llama", "openai")


@pytest.mark.parametrize(
    ("messages", "params", "says"),
    [
        (42, {}, "string or a list"),
        (None, {}, "string or a list"),
        ([], {}, "empty"),
        (["hi"], {}, r"messages\[0\] must be a message object"),
        ([{"content": "x"}], {}, "no role"),
        ([{"role": "usr", "content": "secret text"}], {}, "unknown role"),
        (b"bytes", {}, "string or a list"),
        ("hi", {"stream": True}, r"chain\.stream"),
        ("hi", {"model": "gpt-4o"}, "endpoints of the chain"),
    ],
)
@virtual_time
async def test_messages_of_another_shape_are_refused(
    messages: Any, params: dict[str, Any], says: str
) -> None:
    """A request that is no request reaches nobody, and is not quoted in the error."""
    a = ScriptedEndpoint(answers(), name="a")
    chain = Chain([a.endpoint])

    with pytest.raises(InvalidRequest, match=says) as caught:
        await chain.complete(messages, **params)

    assert a.requests == 0
    assert "secret text" not in str(caught.value)
