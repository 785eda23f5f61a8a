"""What is known of models' prices and windows: the door to genai-prices (extra `prices`).

Where the extra is not installed, or does not know a model at its vendor, nothing is said: a price is
never guessed.  Vendors are matched by their exact names, a server of one's own by nothing; what Azure
calls a model is a deployment's name, so that `base_model` has to say which model it is.  The data comes
with the package and takes a third of a second to load, so it is loaded when somebody asks for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

from attrs import frozen

from fallbackio import clock
from fallbackio.dialects import VENDORS
from fallbackio.endpoint import Endpoint, Price
from fallbackio.model import Usage

__all__ = ["Listed", "flat_price", "listed"]

# Vendors that have another name there.
_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "bedrock": "aws",
        "gemini": "google",
        "moonshot": "moonshotai",
        "ovh": "ovhcloud",
        "vertex": "google",
        "xai": "x-ai",
    }
)

# Of a short prompt: prices may rise with its length.
_SAMPLE = 1000

_DAY_S = 86400

# Where `model` is whatever the customer called his deployment.
_DEPLOYED = frozenset({"azure"})


@frozen
class Listed:
    """A model as genai-prices may know it; every look-up is answered from its own cache but the first."""

    provider: str
    model: str

    def cost(self, usage: Usage, at: float) -> float | None:
        """US dollars for so many tokens at this instant, in seconds of the epoch; `None` if not known.

        By its own calculation, which knows of long prompts, caches and hours of the day.
        """
        found = self._found()
        if found is None:
            return None
        from genai_prices import Usage as Counted

        cached = min(usage.cached_tokens, usage.prompt_tokens)
        counted = Counted(
            input_tokens=usage.prompt_tokens,
            cache_read_tokens=cached,
            cache_write_tokens=min(usage.cache_write_tokens, usage.prompt_tokens - cached),
            output_tokens=usage.completion_tokens,
            output_reasoning_tokens=min(usage.reasoning_tokens, usage.completion_tokens),
        )
        provider, model = found
        when = datetime.fromtimestamp(at, UTC)
        price = model.calc_price(counted, provider, genai_request_timestamp=when)
        # One that lists no price for tokens says nothing of what they cost.
        return float(price.total_price) if price.model_price.input_mtok is not None else None

    def window(self) -> int | None:
        """The model's context in tokens, if it is known."""
        found = self._found()
        return None if found is None else found[1].context_window

    def is_deprecated(self) -> bool:
        """Whether its vendor is known to have deprecated it."""
        found = self._found()
        return found is not None and bool(found[1].deprecated)

    def _found(self) -> tuple[Any, Any] | None:
        try:
            from genai_prices.data_snapshot import get_snapshot
        except ModuleNotFoundError:
            return None
        snapshot = get_snapshot()
        # Not by its name for the vendor alone: that would take any name with "openai" in it for OpenAI.
        provider = next((one for one in snapshot.providers if one.id == self.provider), None)
        if provider is None:
            return None
        try:
            return snapshot.find_provider_model(self.model, provider, None, None)
        except LookupError:
            return None


def listed(endpoint: Endpoint) -> Listed | None:
    """Where to look the endpoint's model up; nowhere if nobody can know it.  Loads nothing."""
    vendor = _vendor(endpoint)
    own = endpoint.base_model or endpoint.embedding_model
    model = own or ("" if vendor in _DEPLOYED else endpoint.model)
    return Listed(_NAMES.get(vendor, vendor), model) if vendor and model else None


def flat_price(endpoint: Endpoint) -> Price | None:
    """The endpoint's price at noon for a short prompt: one for all its calls, for simulations.

    Looking into a list takes longer than a simulated call, and what a list says changes with the hour.
    """
    listing = listed(endpoint)
    if endpoint.price is not None or listing is None:
        return endpoint.price
    noon = clock.wall() // _DAY_S * _DAY_S + _DAY_S / 2

    def per_million(usage: Usage) -> float | None:
        cost = listing.cost(usage, noon)
        return None if cost is None else cost * 1_000_000 / _SAMPLE

    fresh, said = per_million(Usage(prompt_tokens=_SAMPLE)), per_million(Usage(completion_tokens=_SAMPLE))
    if fresh is None or said is None:
        return None
    cached = per_million(Usage(prompt_tokens=_SAMPLE, cached_tokens=_SAMPLE))
    return Price(fresh, said, cached, per_million(Usage(prompt_tokens=_SAMPLE, cache_write_tokens=_SAMPLE)))


def _vendor(endpoint: Endpoint) -> str:
    """The vendor that it names, or whose address its `base_url` is; empty for functions."""
    if endpoint.fn is not None:
        return ""
    if endpoint.vendor in VENDORS:
        return endpoint.vendor
    host = urlsplit(endpoint.base_url or "").netloc.lower()
    by_host = (name for name, vendor in VENDORS.items() if host and urlsplit(vendor.base_url).netloc == host)
    return next(by_host, endpoint.vendor)
