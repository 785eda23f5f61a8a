"""What an attempt cost, by the tokens it used.

A provider charges for what it has taken in and given out, whoever has read it.  Where it did not say
how much that was, it is estimated: the prompt by its length, the answer by the pieces that came.
"""

from __future__ import annotations

from fallbackio.endpoint import Price
from fallbackio.model import Usage

__all__ = ["cost_of"]

MILLION = 1_000_000


def cost_of(price: Price, usage: Usage) -> float:
    """US dollars."""
    cached = min(usage.cached_tokens, usage.prompt_tokens)
    fresh = usage.prompt_tokens - cached
    at_cache = price.input if price.cached_input is None else price.cached_input
    return (fresh * price.input + cached * at_cache + usage.completion_tokens * price.output) / MILLION
