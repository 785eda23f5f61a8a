"""Endpoints become routes: each with its breaker, its limits and what asks it."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping

from attrs import evolve, field, frozen

from fallbackio.breaker import Breaker, BreakerPolicy
from fallbackio.chain import Route, Step
from fallbackio.config._pools import Resolved, price_of
from fallbackio.config._prices import listed
from fallbackio.config._rooms import Rooms
from fallbackio.dialects import DIALECTS
from fallbackio.endpoint import Endpoint, Provider
from fallbackio.observe import Fanout
from fallbackio.selection import BALANCES
from fallbackio.transport import CallingProvider, HttpProvider, Session, credentials_for

__all__ = ["Making", "provider_of"]


@frozen
class Making:
    """What the endpoints of one chain have in common."""

    session: Session
    policy: BreakerPolicy
    chance: random.Random
    tell: Fanout
    rooms: Rooms = field(factory=Rooms)

    def again(self, policy: BreakerPolicy) -> Making:
        """For the same chain with other settings."""
        return evolve(self, policy=policy, rooms=Rooms(self.rooms))

    def steps(self, resolved: Iterable[Resolved], *, compared: bool) -> tuple[Step, ...]:
        """The steps, ready to be asked; `compared` where single endpoints are, as a pool's members are."""
        return tuple([self._step(step, compared) for step in resolved])

    def taken_over(self, steps: Iterable[Step], known: Mapping[str, Route]) -> tuple[Step, ...]:
        """Steps of another chain, which has not been used, as steps of this one.

        Endpoints that are the same as the `known` ones of their names keep what those have learnt.
        """
        return tuple(
            [
                Step(
                    tuple([self._taken_over(one, known.get(one.spec.name)) for one in step.routes]),
                    step.balance,
                )
                for step in steps
            ]
        )

    def _step(self, step: Resolved, compared: bool) -> Step:
        balance = None if step.balance is None else BALANCES[step.balance]
        compared = compared or balance is not None
        routes = [self._route(spec, compared, priced=step.balance == "cost") for spec in step.endpoints]
        return Step(tuple(routes), balance)

    def _route(self, endpoint: Endpoint, compared: bool, *, priced: bool) -> Route:
        breaker = Breaker(endpoint.name, self.policy, chance=self.chance, on_move=self.tell)
        room = self.rooms.of(endpoint)
        return Route(
            endpoint,
            provider_of(endpoint, self.session),
            breaker,
            room,
            compared=compared,
            listing=listed(endpoint),
            price=price_of(endpoint) if priced else None,
        )

    def _taken_over(self, route: Route, old: Route | None) -> Route:
        spec, room = route.spec, self.rooms.of(route.spec)
        if old is None or _place(old.spec) != _place(spec):
            breaker = Breaker(spec.name, self.policy, chance=self.chance, on_move=self.tell)
            return evolve(route, provider=provider_of(spec, self.session), breaker=breaker, room=room)
        learnt = {name: getattr(old, name) for name in LEARNT}
        if old.breaker.policy.ramp_s == self.policy.ramp_s:
            learnt["ramp"] = old.ramp
        if old.spec == spec:
            return evolve(route, provider=old.provider, room=old.room, **learnt)
        return evolve(route, provider=provider_of(spec, self.session), room=room, **learnt)


# What a route knows of its endpoint by experience.
LEARNT = ("breaker", "load", "tempo", "last_failure")


def _place(spec: Endpoint) -> tuple[object, ...]:
    """What is asked there, where, and as whom: another of these is another endpoint to a breaker."""
    where = (spec.base_url, spec.dialect, spec.vendor, spec.model, spec.fn)
    return (*where, spec.api_key, spec.token, spec.headers)


def provider_of(endpoint: Endpoint, session: Session) -> Provider:
    """What asks this endpoint."""
    if endpoint.fn is not None:
        return CallingProvider(endpoint)
    dialect = DIALECTS[endpoint.dialect or "openai"]
    credentials = credentials_for(endpoint, dialect.client.credentials(endpoint))
    return HttpProvider(endpoint, dialect, session, credentials)
