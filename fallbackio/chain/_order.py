"""Whom a call asks, in which order: the steps, and within a pool what its balance says."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Iterator, Sequence

from attrs import frozen

from fallbackio.chain._route import Route, Turn
from fallbackio.selection import Balance, Load, Members

__all__ = ["Step", "led_by", "ordered"]


@frozen(eq=False)
class Step:
    """Endpoints behind one step of a chain; more than one have a balance."""

    routes: tuple[Route, ...]
    balance: Balance | None = None


# What the ledger says of an endpoint that is passed over because it comes back slowly.
WARM = "asked first to keep it warm"
BACK = "it has just recovered and gets a share of the calls"


def quickest_first(steps: Sequence[Step], now: float) -> Sequence[Step]:
    """The steps by the time that their quickest member is expected to take, equals as they are given."""
    return sorted(steps, key=lambda step: min([_expected_s(route.load, now) for route in step.routes]))


def _expected_s(load: Load, now: float) -> float:
    """Seconds to the first content; none where nobody has asked yet, because somebody must.

    A time wears off while nobody asks, so that one call finds out anew; it is not to be followed by all
    others before it has been answered.
    """
    if not load.is_known:
        return math.inf if load.waiting else 0.0
    return load.seconds(now) * load.crowding


def ordered(
    steps: Sequence[Step], now: float, lots: random.Random, without: Route | None = None
) -> Iterator[Turn]:
    """All endpoints, the first choice first; lazily, because a call rarely asks more than one.

    One that comes back after a recovery keeps its place in a share of the calls only (slow start);
    in the others it is postponed.  A pool's members are equals, so that is nothing to speak of there.
    """
    alone = len(steps) == 1 and len(steps[0].routes) == 1
    for step in steps:
        for route in _members(step, now, lots):
            if route is not without:
                yield turn_of(route, now, lots, alone=alone, why="" if step.balance else BACK)


def turn_of(route: Route, now: float, lots: random.Random, *, alone: bool = False, why: str = BACK) -> Turn:
    """The endpoint's turn, at its place or postponed; never where it is `alone`."""
    if alone or route.takes(now, lots):
        return Turn(route)
    return Turn(route, postponed=True, why=why)


def warmed(steps: Sequence[Step], turns: Iterable[Turn], now: float, lots: random.Random) -> Iterator[Turn]:
    """The same order behind a later step, drawn by lot, so that a spare that has rotted is found in time."""
    spare = steps[lots.randrange(1, len(steps))]
    first = next(iter(_members(spare, now, lots)))
    return led_by(first, turns, WARM)


def led_by(first: Route, turns: Iterable[Turn], note: str) -> Iterator[Turn]:
    """The same order behind this endpoint; `note` is for the ledger."""
    yield Turn(first, note=note)
    for turn in turns:
        if turn.route is not first:
            yield turn


def _members(step: Step, now: float, lots: random.Random) -> Iterable[Route]:
    routes = step.routes
    if step.balance is None or len(routes) == 1:
        return routes
    members = Members(0, len(routes), lambda at: View(routes[at], now))
    return (routes[at] for at in step.balance(members, lots))


class View:
    """What a balance may know of an endpoint at an instant."""

    __slots__ = ("_now", "_route")

    def __init__(self, route: Route, now: float) -> None:
        self._route = route
        self._now = now

    @property
    def weight(self) -> float:
        return self._route.spec.weight

    @property
    def in_flight(self) -> int:
        return self._route.room.in_flight

    @property
    def waiting(self) -> int:
        return self._route.load.waiting

    @property
    def crowding(self) -> float:
        return self._route.load.crowding

    @property
    def seconds(self) -> float:
        return self._route.load.seconds(self._now)

    @property
    def is_known(self) -> bool:
        return self._route.load.is_known

    @property
    def price(self) -> float | None:
        return self._route.price
