"""Prices from genai-prices, where it is installed and knows the model."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

import fallbackio
from fallbackio import Endpoint, Pool, Usage
from fallbackio.config._prices import listed
from fallbackio.config._steps import resolve
from fallbackio.errors import ConfigError

SHORT = Usage(prompt_tokens=1000, completion_tokens=1000)
NOON = 1_790_000_000.0


def vendor_endpoint(model: str, vendor: str, **settings: Any) -> Endpoint:
    return Endpoint(model, vendor=vendor, base_url="http://localhost:1", api_key="sk-test", **settings)


def cost(endpoint: Endpoint, usage: Usage = SHORT) -> float | None:
    found = listed(endpoint)
    return None if found is None else found.cost(usage, NOON)


@pytest.mark.parametrize(
    ("model", "vendor"),
    [
        ("gpt-4o", "openai"),
        ("ft:gpt-4o-2024-08-06:ours::abc", "openai"),
        ("claude-sonnet-4-5", "anthropic"),
        ("gemini-2.5-flash", "gemini"),
        ("gemini-2.5-flash", "vertex"),
        ("claude-sonnet-4-5@20250929", "vertex"),
        ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", "bedrock"),
        ("anthropic/claude-sonnet-4.5", "openrouter"),
        ("accounts/fireworks/models/deepseek-v3p2", "fireworks"),
        ("grok-4", "xai"),
    ],
)
def test_known_models_have_prices(model: str, vendor: str) -> None:
    """What the package knows of a model at its vendor is known, whatever it calls the model itself."""
    found = cost(vendor_endpoint(model, vendor))
    assert found is not None
    assert 0 < found < 0.1


@pytest.mark.parametrize(
    ("model", "vendor"),
    [
        ("our-finetune", "openai"),
        ("gpt-4o", "gpu-1:8000"),
        ("gpt-4o", "openai-proxy.example:8080"),
        ("claude-sonnet-4-5", "not-anthropic"),
        ("gpt-4o", "vllm"),
    ],
)
def test_the_unknown_stays_unknown(model: str, vendor: str) -> None:
    """A host with a vendor's name in it is not that vendor; a model nobody lists has no price."""
    assert cost(vendor_endpoint(model, vendor)) is None


@pytest.mark.parametrize(
    ("url", "known"),
    [
        ("https://api.openai.com/v1", True),
        ("https://api.openai.com.example/v1", False),
        ("http://my-openai:8000/v1", False),
    ],
)
def test_an_address_is_a_vendor_only_if_it_is_his(url: str, known: bool) -> None:
    """An endpoint given by its base_url has its vendor's prices where that is his own host, exactly."""
    (endpoint,) = resolve([Endpoint("gpt-4o", base_url=url)])
    assert (cost(endpoint) is not None) == known


def test_a_deployments_name_says_nothing() -> None:
    """On Azure anything may be called gpt-4o; base_model says what it is."""
    assert cost(vendor_endpoint("gpt-4o", "azure")) is None
    assert cost(vendor_endpoint("ours", "azure", base_model="gpt-4o")) == pytest.approx(0.0125)
    embedder = vendor_endpoint("ours", "azure", embedding_model="text-embedding-3-small")
    assert cost(embedder, Usage(prompt_tokens=1_000_000)) == pytest.approx(0.02)


def test_a_function_has_no_list_price() -> None:
    """What a function of the user's costs is his to say."""

    async def fn(request: fallbackio.Request) -> str:
        return "yes"

    assert listed(Endpoint.calling(fn, name="gpt-4o", vendor="openai")) is None


def test_long_prompts_and_caches_count() -> None:
    """The price is the package's own calculation: tiers, tokens read from a cache and written to it."""
    sonnet = vendor_endpoint("claude-sonnet-4-5", "anthropic")

    assert cost(sonnet, Usage(prompt_tokens=100_000)) == pytest.approx(0.3)
    assert cost(sonnet, Usage(prompt_tokens=300_000)) == pytest.approx(1.8)
    assert cost(sonnet, Usage(prompt_tokens=100_000, cached_tokens=100_000)) == pytest.approx(0.03)
    assert cost(sonnet, Usage(prompt_tokens=100_000, cache_write_tokens=100_000)) == pytest.approx(0.375)
    assert cost(sonnet, Usage(prompt_tokens=10, cached_tokens=50, cache_write_tokens=50)) is not None


def test_the_users_price_wins() -> None:
    """A price that is given needs no list."""
    chain = fallbackio.Chain(
        [vendor_endpoint("gpt-4o-mini", "openai"), vendor_endpoint("gpt-4o", "openai", price=(0.1, 0.2))],
        order="cheapest",
    )
    assert [route.spec.model for route in chain._routes] == ["gpt-4o", "gpt-4o-mini"]


def test_who_is_asked_by_price_is_found_in_the_list() -> None:
    """order="cheapest" and cost pools know the listed prices."""
    dear, cheap = vendor_endpoint("gpt-4o", "openai"), vendor_endpoint("gpt-4o-mini", "openai")
    for chain in (
        fallbackio.Chain([dear, cheap], order="cheapest"),
        fallbackio.Chain([Pool([dear, cheap], balance="cost")]),
    ):
        assert [route.spec.model for route in chain._routes] == ["gpt-4o-mini", "gpt-4o"]


def test_windows_are_in_the_list_too() -> None:
    """A window that is required and not in our own table is looked up."""
    kimi = vendor_endpoint("kimi-k2-0905-preview", "moonshot")

    fallbackio.Chain([kimi], require={"context>=200000"})
    with pytest.raises(ConfigError, match="no window of 300,000"):
        fallbackio.Chain([kimi], require={"context>=300000"})


@pytest.mark.parametrize(
    ("chain", "loads"),
    [
        ("['openai/gpt-4o', 'groq/llama-3.1-8b-instant']", False),
        ("['openai/gpt-4o'], require={'context>=1000'}", False),
        ("['openai/gpt-4o'], order='cheapest'", True),
    ],
)
def test_the_list_is_loaded_when_it_is_needed(chain: str, loads: bool) -> None:
    """Most chains never need the data, which takes a third of a second to load."""
    code = (
        "import os, sys; os.environ.update(OPENAI_API_KEY='sk-test', GROQ_API_KEY='sk-test');"
        f"import fallbackio; fallbackio.Chain({chain}); print('genai_prices' in sys.modules)"
    )
    done = subprocess.run(  # noqa: S603 - our own code
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == str(loads)


def test_without_the_extra_nothing_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where genai-prices is not installed, a chain works as before."""
    monkeypatch.setitem(sys.modules, "genai_prices", None)
    monkeypatch.setitem(sys.modules, "genai_prices.data_snapshot", None)

    assert cost(vendor_endpoint("gpt-4o", "openai")) is None
    fallbackio.Chain([vendor_endpoint("gpt-4o", "openai")], order="cheapest", require={"context>=1000"})
