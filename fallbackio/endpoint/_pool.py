"""Pools: interchangeable endpoints behind one step of a chain."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

from attrs import field, frozen

from fallbackio._checks import one_of
from fallbackio.endpoint._endpoint import Endpoint
from fallbackio.errors import ConfigError

__all__ = ["Pool"]


def _members(given: object) -> tuple[str | Endpoint, ...]:
    if isinstance(given, str | Endpoint) or not isinstance(given, Iterable):
        raise ConfigError(f"a pool takes a list of endpoints, not {type(given).__name__}; put it in [ ]")
    members = tuple(given)
    if not members:
        raise ConfigError("a pool needs at least one endpoint")
    return members


@frozen
class Pool:
    """Interchangeable endpoints (keys, regions, deployments) behind one step of a chain.

    Its members are tried, the best first, before the chain goes on to its next step.

    Attributes:
        endpoints: `"vendor/model"` strings and `Endpoint`s.
        balance: Who is the best.  `"weighted"`: by lot, as their weights say.  `"least_busy"`: the
            fewest requests under way.  `"latency"`: of two drawn, the one with the lower product of
            its peak-sensitive time to the first content and the requests that wait for theirs.
            `"cost"`: the cheapest.

    Raises:
        ConfigError: For an empty pool or an unknown balance.

    Example:
        >>> east = Endpoint("azure/gpt-6-luna", name="east", base_url="https://east.openai.azure.com")
        >>> west = Endpoint("azure/gpt-6-luna", name="west", base_url="https://west.openai.azure.com")
        >>> fallbackio.Chain([fallbackio.Pool([east, west]), "openai/gpt-6-luna"])
    """

    endpoints: Sequence[str | Endpoint] = field(converter=_members)
    balance: Literal["weighted", "least_busy", "latency", "cost"] = field(
        default="latency", kw_only=True, validator=one_of("weighted", "least_busy", "latency", "cost")
    )
