"""What an attempt cost, by the tokens it used.

A provider charges for what it has taken in and given out, whoever has read it.  Where it did not say
how much that was, it is estimated: the prompt by its length, the answer by the pieces that came.
"""

from __future__ import annotations

from typing import Protocol

from attrs import define

from fallbackio.endpoint import Price
from fallbackio.model import Usage

__all__ = ["Bill", "Listing", "cost_of"]

MILLION = 1_000_000


class Listing(Protocol):
    """An entry of a price list, looked up when it is asked."""

    def cost(self, usage: Usage, at: float) -> float | None:
        """US dollars for so many tokens at this instant of the epoch, if it is known."""
        ...

    def window(self) -> int | None:
        """The model's context in tokens, if it is known."""
        ...


@define(eq=False)
class Bill:
    """What is owed for an attempt; called when somebody wants to know, since a list is slow to load."""

    price: Price | None
    listing: Listing | None
    usage: Usage
    at: float  # seconds of the epoch, because there are prices for the night

    def __call__(self) -> float | None:
        """US dollars, if the price is known; one that is given counts before a list."""
        if self.price is not None:
            return self.at_hand
        return None if self.listing is None else self.listing.cost(self.usage, self.at)

    @property
    def at_hand(self) -> float | None:
        """US dollars by the price that is given, if one is."""
        return None if self.price is None else cost_of(self.price, self.usage)


def cost_of(price: Price, usage: Usage) -> float:
    """US dollars."""
    cached = min(usage.cached_tokens, usage.prompt_tokens)
    written = min(usage.cache_write_tokens, usage.prompt_tokens - cached)
    fresh = usage.prompt_tokens - cached - written
    at_cache = price.input if price.cached_input is None else price.cached_input
    to_cache = price.input if price.cache_write is None else price.cache_write
    prompt = fresh * price.input + cached * at_cache + written * to_cache
    return (prompt + usage.completion_tokens * price.output) / MILLION
