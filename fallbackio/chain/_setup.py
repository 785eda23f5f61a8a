"""What calls read of their chain, in one value: a chain is changed by putting another in its place.

A call takes the value that stands when it begins and keeps it to its end, so that no call ever sees
half of a change.  What endpoints have learnt (breakers, rooms, times) lives in the routes, and outlives
the value where the next one holds the same routes or their parts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Literal

import attrs
from attrs import Factory, field, frozen

from fallbackio._checks import count
from fallbackio.chain._accept import Accept
from fallbackio.chain._answering import Answering
from fallbackio.chain._budget import Budget
from fallbackio.chain._needs import NOTHING, Needs
from fallbackio.chain._order import Step
from fallbackio.chain._route import Route
from fallbackio.chain._settings import Delivery, Limits, RetryPolicy
from fallbackio.chain._strategy import Strategy
from fallbackio.chain._trial import Trial
from fallbackio.endpoint import Endpoint
from fallbackio.errors import AttemptError

__all__ = ["Setup"]


# From so many endpoints on, a pool's as a rule, it is worth finding out who is like whom.
MANY = 8
# What makes an endpoint this one and no other, and nothing of what it can express.
_OF_ONE: Mapping[str, Any] = MappingProxyType(
    {
        "name": "",
        "api_key": None,
        "api_key_env": "",
        "weight": 1.0,
        "rpm": None,
        "tpm": None,
        "max_in_flight": None,
        "limit_group": "",
        "price": None,
    }
)


def _routes(setup: Setup) -> tuple[Route, ...]:
    return tuple([route for step in setup.steps for route in step.routes])


def _streams(setup: Setup) -> bool:
    # What is slow shows in the first content, which a plain answer does not have.
    return (
        setup.upstream == "stream"
        or setup.limits.ttft_timeout is not None
        or setup.limits.min_rate is not None
        or not setup.strategy.one_at_a_time
    )


def _budget(setup: Setup) -> Budget:
    extra = setup.strategy.extra_load
    return Budget(setup.retry.budget_ratio if extra is None else extra)


@frozen(kw_only=True, eq=False)
class Setup:
    """The endpoints of a chain and how they are asked.

    Attributes:
        overrule: What the user says of a failure: whether it goes on, or `None` for no opinion.
        budget: What all calls together may spend on extra attempts.
        routes: All endpoints, in the order of the steps.
        named: The same by their names.
        windows: Whether the context of any of them is known.
        streams_upstream: Whether whole answers are asked for as streams.
        kinds: One route of each kind: what one can express, all of its kind can.
    """

    name: str
    steps: tuple[Step, ...]
    limits: Limits
    retry: RetryPolicy
    max_queue: int = field(validator=count)
    strategy: Strategy
    delivery: Delivery
    upstream: Literal["plain", "stream"] = "plain"
    accept: Accept | None = None
    warm: float = 0.0
    fastest: bool = False
    needs: Needs = NOTHING
    overrule: Callable[[AttemptError], bool | None] | None = None

    budget: Budget = field(default=Factory(_budget, takes_self=True))
    routes: tuple[Route, ...] = field(default=Factory(_routes, takes_self=True), init=False)
    named: Mapping[str, Route] = field(init=False)
    kinds: tuple[Route, ...] = field(init=False)
    smallest_window: int | None = field(init=False)  # of those that are known
    streams_upstream: bool = field(default=Factory(_streams, takes_self=True), init=False)
    trial: Trial = field(factory=Trial, init=False)
    answering: Answering = field(init=False)

    @named.default
    def _named(self) -> Mapping[str, Route]:
        return {route.spec.name: route for route in self.routes}

    @kinds.default
    def _kinds(self) -> tuple[Route, ...]:
        if len(self.routes) < MANY:
            return self.routes
        kinds: dict[Endpoint, Route] = {}
        for route in self.routes:
            kinds.setdefault(attrs.evolve(route.spec, **_OF_ONE), route)
        return tuple(kinds.values())

    @smallest_window.default
    def _smallest_window(self) -> int | None:
        windows = [route.spec.context_window for route in self.routes]
        return min([window for window in windows if window is not None], default=None)

    @answering.default
    def _answering(self) -> Answering:
        return Answering(self.limits, self.delivery, self.strategy)

    def sharing(self, route: Route) -> list[Route]:
        """The other endpoints that share the limits of this one."""
        others = [other for other in self.routes if other.room.shared is route.room.shared]
        return [other for other in others if other.breaker is not route.breaker]

    @property
    def first_choices(self) -> tuple[Route, ...]:
        """The endpoints of the first step."""
        return self.steps[0].routes
