"""Steps of a chain, pools among them, as complete endpoints."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from attrs import frozen

from fallbackio.chain import Needs
from fallbackio.config._prices import priced
from fallbackio.config._steps import resolve
from fallbackio.endpoint import Endpoint, Pool
from fallbackio.errors import ConfigError

__all__ = ["Resolved", "arranged", "resolve_steps"]


@frozen
class Resolved:
    """One step: its endpoints, and how they are balanced where it is a pool."""

    endpoints: tuple[Endpoint, ...]
    balance: str | None = None


def resolve_steps(steps: Sequence[str | Endpoint | Pool]) -> list[Resolved]:
    """The steps with complete endpoints; raises `ConfigError` for whatever is missing or twice."""
    if isinstance(steps, str | Endpoint | Pool) or not isinstance(steps, Iterable):
        raise ConfigError(f"a chain takes a list of steps, not {type(steps).__name__}; put it in [ ]")
    given = [(step.endpoints, step.balance) if isinstance(step, Pool) else ((step,), None) for step in steps]
    endpoints = map(priced, resolve([step for members, _ in given for step in members]))
    return [Resolved(tuple([next(endpoints) for _ in members]), balance) for members, balance in given]


def arranged(steps: Sequence[Resolved], order: str, needs: Needs) -> list[Resolved]:
    """The steps without endpoints that lack what is needed, in this order.

    Raises:
        ConfigError: Nothing is left.
    """
    left = [_with(step, needs) for step in steps]
    kept = [step for step in left if step.endpoints]
    if not kept:
        lacking = [f"{spec.name} has no {needs.lacking(spec)}" for step in steps for spec in step.endpoints]
        raise ConfigError(f"no endpoint has what the chain requires: {'; '.join(lacking)}")
    return sorted(kept, key=_price) if order == "cheapest" else kept


def _with(step: Resolved, needs: Needs) -> Resolved:
    """The step with the members that have it; by price, where that is its balance."""
    members = [spec for spec in step.endpoints if not needs.lacking(spec)]
    if step.balance == "cost":
        members.sort(key=price_of)
    return Resolved(tuple(members), step.balance)


def _price(step: Resolved) -> float:
    return min(price_of(spec) for spec in step.endpoints)


def price_of(spec: Endpoint) -> float:
    """A price to sort by: what is unknown comes last."""
    return math.inf if spec.price is None else spec.price.blended
