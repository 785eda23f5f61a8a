"""Steps of a chain, pools among them: complete endpoints that can do what is needed, in their order."""

from __future__ import annotations

import math
from collections.abc import Sequence, Set

from attrs import frozen

from fallbackio import clock
from fallbackio._checks import are_several
from fallbackio.chain import Needs
from fallbackio.config._prices import listed
from fallbackio.config._steps import resolve
from fallbackio.endpoint import Endpoint, Pool
from fallbackio.errors import ConfigError
from fallbackio.model import Usage

__all__ = ["Resolved", "arranged", "price_of", "resolve_steps"]

# Prices may rise with a prompt's length; what is compared are short ones.
SAMPLE = 1000


@frozen
class Resolved:
    """One step: its endpoints, and how they are balanced where it is a pool."""

    endpoints: tuple[Endpoint, ...]
    balance: str | None = None


def resolve_steps(steps: Sequence[str | Endpoint | Pool]) -> list[Resolved]:
    """The steps with complete endpoints; raises `ConfigError` for whatever is missing or twice."""
    if not are_several(steps):
        raise ConfigError(f"a chain takes a list of steps, not {type(steps).__name__}; put it in [ ]")
    if isinstance(steps, Set):
        raise ConfigError("a chain asks its steps in order, and a set has none; put them in [ ]")
    given = [(step.endpoints, step.balance) if isinstance(step, Pool) else ((step,), None) for step in steps]
    endpoints = iter(resolve([step for members, _ in given for step in members]))
    return [Resolved(tuple([next(endpoints) for _ in members]), balance) for members, balance in given]


def arranged(steps: Sequence[Resolved], order: str, needs: Needs) -> list[Resolved]:
    """The steps without endpoints that lack what is needed, in this order.

    Raises:
        ConfigError: Nothing is left.
    """
    left = [_with(step, needs) for step in steps]
    kept = [step for step in left if step.endpoints]
    if not kept:
        lacking = [f"{spec.name} has no {_lacking(spec, needs)}" for step in steps for spec in step.endpoints]
        raise ConfigError(f"no endpoint has what the chain requires: {'; '.join(lacking)}")
    return sorted(kept, key=_cheapest) if order == "cheapest" else kept


def price_of(spec: Endpoint) -> float | None:
    """US dollars for a million tokens in and a million out, to compare by, if they are known."""
    if spec.price is not None:
        return spec.price.blended
    listing = listed(spec)
    sample = Usage(prompt_tokens=SAMPLE, completion_tokens=SAMPLE)
    cost = None if listing is None else listing.cost(sample, clock.wall())
    return None if cost is None else cost * 1_000_000 / SAMPLE


def _with(step: Resolved, needs: Needs) -> Resolved:
    """The step with the members that have it; by price, where that is its balance."""
    members = [spec for spec in step.endpoints if not _lacking(spec, needs)]
    if step.balance == "cost":
        members.sort(key=_rank)
    return Resolved(tuple(members), step.balance)


def _lacking(spec: Endpoint, needs: Needs) -> str:
    window = spec.context_window
    if needs.context and window is None and (listing := listed(spec)) is not None:
        window = listing.window()
    return needs.lacking(spec, window)


def _cheapest(step: Resolved) -> float:
    return min([_rank(spec) for spec in step.endpoints])


def _rank(spec: Endpoint) -> float:
    """A price to sort by: what is unknown comes last."""
    price = price_of(spec)
    return math.inf if price is None else price
