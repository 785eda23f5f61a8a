"""Building a chain: what is missing or wrong is said before anything is sent."""

from __future__ import annotations

import math
from typing import Any

import pytest

import fallbackio
from fallbackio import Chain, ConfigError, Endpoint, InvalidRequest
from fallbackio.testing import ScriptedEndpoint, answers, fails, virtual_time

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
        {"strategy": []},
        {"strategy": fallbackio.Hedge},
        {"sinks": ["not callable"]},
        {"sinks": print},
        {"sinks": None},
        {"fallback_on": [ValueError]},
        {"fallback_on": [42]},
        {"fallback_on": ["429"]},
        {"fallback_on": "429"},
        {"fallback_on": 42},
        {"fallback_on": True},
        {"fallback_on": ValueError},
        {"fallback_on": None},
        {"breaker": 5},
        {"breaker": 0},
        {"breaker": fallbackio.BreakerPolicy},
        {"retry": 5},
        {"retry": fallbackio.BreakerPolicy()},
        {"seed": []},
        {"seed": "1"},
        {"seed": True},
        {"name": 5},
        {"name": ""},
        {"name": "two\nlines"},
    ],
    ids=str,
)
def test_bad_settings_are_refused(settings: dict[str, Any]) -> None:
    """Every setting out of its range is a ConfigError that names it."""
    with pytest.raises(ConfigError, match=r"|".join([*settings, "sink"])):
        Chain([LOCAL], **settings)


@pytest.mark.parametrize(
    ("settings", "mend"),
    [
        ({"sinks": print}, "put it in a list"),
        ({"breaker": 5}, r"BreakerPolicy\(consecutive=5\)"),
        ({"retry": 5}, "max_retries"),
        ({"fallback_on": "429"}, "error classes, HTTP statuses"),
    ],
    ids=str,
)
def test_the_mend_is_named(settings: dict[str, Any], mend: str) -> None:
    """A likely slip is answered with what was probably meant."""
    with pytest.raises(ConfigError, match=mend):
        Chain([LOCAL], **settings)


@pytest.mark.parametrize(
    "rule",
    [400, InvalidRequest, lambda error: error.status == 400, {400}, iter([400])],
    ids=["status", "class", "function", "set", "iterator"],
)
@virtual_time
async def test_one_rule_is_a_list_of_one(rule: Any) -> None:
    """A single `fallback_on` rule needs no list around it."""
    a = ScriptedEndpoint(fails(InvalidRequest("no", status=400)), name="a")
    b = ScriptedEndpoint(answers("from b"), name="b")

    assert (await Chain([a.endpoint, b.endpoint], fallback_on=rule).complete("hi")).text == "from b"


@pytest.mark.parametrize("settings", [{"base_s": math.nan}, {"same_first": -1}], ids=str)
def test_bad_policies_are_refused(settings: dict[str, Any]) -> None:
    """A value out of its range cannot be made."""
    with pytest.raises(ConfigError, match=next(iter(settings))):
        fallbackio.RetryPolicy(**settings)


def test_the_key_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A vendor's own variable is read when the chain is built, and never shown."""
    monkeypatch.setenv("GROQ_API_KEY", "gsk-very-secret")

    chain = Chain(["groq:llama/3"])

    spec = chain._routes[0].spec
    assert (spec.name, spec.vendor, spec.model) == ("groq/llama/3", "groq", "llama/3")
    assert spec.api_key == "gsk-very-secret"
    assert "gsk-very-secret" not in repr(spec)


@pytest.mark.parametrize(
    ("base_url", "host"),
    [
        ("http://gpu-1:8000/v1", "gpu-1:8000"),
        ("https://GPU-1.example.com/a/b", "gpu-1.example.com"),
        ("http://[::1]:8000", "[::1]:8000"),
        ("https://x.example.com:/d?api-version=1", "x.example.com"),
    ],
)
def test_another_server_is_its_own_vendor(base_url: str, host: str) -> None:
    """An endpoint with only a base URL belongs to its host, and to nothing else of it, and needs no key."""
    spec = Chain([Endpoint("llama", base_url=base_url)])._routes[0].spec

    assert (spec.vendor, spec.name, spec.dialect) == (host, f"{host}/llama", "openai")


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
