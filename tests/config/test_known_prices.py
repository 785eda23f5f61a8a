"""Prices from genai-prices, where it is installed and knows the model."""

from __future__ import annotations

import sys

import pytest

from fallbackio import Endpoint
from fallbackio.config._prices import priced
from fallbackio.endpoint import Price


def vendor_endpoint(model: str, vendor: str, **settings: object) -> Endpoint:
    return Endpoint(model, vendor=vendor, base_url="http://localhost:1", **settings)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("model", "vendor"),
    [
        ("gpt-4o", "openai"),
        ("claude-sonnet-4-5", "anthropic"),
        ("gemini-2.5-flash", "gemini"),
        ("gemini-2.5-flash", "vertex"),
    ],
)
def test_known_models_have_prices_and_windows(model: str, vendor: str) -> None:
    """What the package knows of a model at its vendor is filled in."""
    found = priced(vendor_endpoint(model, vendor))

    assert found.price is not None
    assert 0 < found.price.input < found.price.output < 100
    assert found.price.cached_input is not None
    assert found.price.cached_input < found.price.input
    assert (found.context_window or 0) >= 100_000


def test_what_is_given_is_kept() -> None:
    """The user's own price and window win."""
    given = vendor_endpoint("gpt-4o", "openai", price=(1, 2), context_window=5)
    assert priced(given) is given
    assert priced(vendor_endpoint("gpt-4o", "openai", price=(1, 2))).price == Price(1, 2)


@pytest.mark.parametrize(("model", "vendor"), [("our-finetune", "openai"), ("gpt-4o", "gpu-1:8000")])
def test_the_unknown_stays_unknown(model: str, vendor: str) -> None:
    """Another vendor's model of the same name, or a model nobody lists, has no price."""
    assert priced(vendor_endpoint(model, vendor)).price is None


def test_without_the_extra_nothing_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where genai-prices is not installed, a chain works as before."""
    monkeypatch.setitem(sys.modules, "genai_prices", None)
    monkeypatch.setitem(sys.modules, "genai_prices.data_snapshot", None)

    given = vendor_endpoint("gpt-4o", "openai")
    assert priced(given) is given
