"""What is known of models' prices and windows: the door to genai-prices (extra `prices`).

Where the extra is not installed, or does not know a model at its vendor, nothing is said: a price is
never guessed.  Only the data that comes with the package is used; it is not updated over the network.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from attrs import evolve

from fallbackio.endpoint import Endpoint, Price

__all__ = ["priced"]

# Vendors that have another name there.
_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "bedrock": "aws",
        "gemini": "google",
        "moonshot": "moonshotai",
        "openai-responses": "openai",
        "ovh": "ovhcloud",
        "vertex": "google",
        "xai": "x-ai",
    }
)

# Prices may rise with a prompt's length; this is a short one.
_SAMPLE = 1000


def priced(endpoint: Endpoint) -> Endpoint:
    """The endpoint with its price and window, where they are not given and known."""
    if endpoint.fn is not None or (endpoint.price is not None and endpoint.context_window is not None):
        return endpoint
    found = _find(endpoint)
    if found is None:
        return endpoint
    provider, model = found
    price = endpoint.price if endpoint.price is not None else _price(provider, model)
    return evolve(endpoint, price=price, context_window=endpoint.context_window or model.context_window)


def _find(endpoint: Endpoint) -> tuple[Any, Any] | None:
    try:
        from genai_prices.data_snapshot import get_snapshot
    except ModuleNotFoundError:
        return None
    vendor = _NAMES.get(endpoint.vendor, endpoint.vendor)
    try:
        return get_snapshot().find_provider_model(endpoint.model, None, vendor, None)
    except LookupError:
        return None


def _price(provider: Any, model: Any) -> Price | None:
    from genai_prices import Usage, calc_price

    def per_million(**tokens: int) -> float:
        total = calc_price(Usage(**tokens), model.id, provider_id=provider.id).total_price
        return float(total) * 1_000_000 / _SAMPLE

    try:
        return Price(
            per_million(input_tokens=_SAMPLE),
            per_million(output_tokens=_SAMPLE),
            per_million(input_tokens=_SAMPLE, cache_read_tokens=_SAMPLE),
        )
    except LookupError:
        return None
