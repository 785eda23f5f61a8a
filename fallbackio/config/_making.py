"""Endpoints become routes: each with its breaker, its limits and what asks it."""

from __future__ import annotations

import random
from collections.abc import Iterable

from attrs import field, frozen

from fallbackio.breaker import Breaker, BreakerPolicy
from fallbackio.chain import Route, Step
from fallbackio.config._pools import Resolved, price_of
from fallbackio.config._prices import listed
from fallbackio.config._rooms import Rooms
from fallbackio.dialects import DIALECTS
from fallbackio.endpoint import Endpoint, Provider
from fallbackio.observe import Fanout
from fallbackio.selection import BALANCES, Room
from fallbackio.transport import CallingProvider, HttpProvider, Session, credentials_for

__all__ = ["Making"]


@frozen
class Making:
    """What the endpoints of one chain have in common."""

    session: Session
    policy: BreakerPolicy
    chance: random.Random
    tell: Fanout
    rooms: Rooms = field(factory=Rooms)

    def steps(self, resolved: Iterable[Resolved], *, compared: bool) -> tuple[Step, ...]:
        """The steps, ready to be asked; `compared` where single endpoints are, as a pool's members are."""
        return tuple([self._step(step, compared) for step in resolved])

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
            _provider(endpoint, self.session, room),
            breaker,
            room,
            compared=compared,
            listing=listed(endpoint),
            price=price_of(endpoint) if priced else None,
        )


def _provider(endpoint: Endpoint, session: Session, room: Room) -> Provider:
    if endpoint.fn is not None:
        return CallingProvider(endpoint)
    dialect = DIALECTS[endpoint.dialect or "openai"]
    credentials = credentials_for(endpoint, dialect.client.credentials(endpoint))
    return HttpProvider(endpoint, dialect, session, credentials, room.shared.learn)
