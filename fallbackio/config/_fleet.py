"""Endpoints that many chains share: what one chain learns of an endpoint, all of them know.

For doors whose users name other endpoints and limits at every call.  An endpoint's breaker, its limits,
its times and the connections outlive the chains that are made over it; a chain is only a value (`Setup`)
over one coordinator, cheap to make and remembered while it is asked for.  The odd rule: two endpoints are
one where they have the same model at the same place under the same key, whatever else they are sent.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

import attrs

from fallbackio import clock
from fallbackio.breaker import BreakerPolicy
from fallbackio.chain import NOTHING, Coordinator, Delivery, Limits, RetryPolicy, Route, Setup, Step
from fallbackio.chain import Sequence as InSequence
from fallbackio.config._making import Making, provider_of
from fallbackio.config._pools import arranged, price_of, resolve_steps
from fallbackio.config._prices import listed
from fallbackio.config._rooms import Rooms
from fallbackio.endpoint import Endpoint, Pool
from fallbackio.errors import AttemptError
from fallbackio.events import EventSink
from fallbackio.observe import Fanout
from fallbackio.transport import Session

__all__ = ["Fleet"]

K = TypeVar("K")
V = TypeVar("V")

# Endpoints and chains that are remembered; the one asked longest ago is forgotten first.
MOST_ENDPOINTS = 1000
MOST_CHAINS = 250


class Fleet:
    """Makes chains whose endpoints share what is learnt of them; belongs to one event loop.

    `name` is what log and events call its chains; the other settings are a `Chain`'s.

    Example:
        >>> fleet = Fleet(name="gateway")
        >>> await fleet.chain(["openai/gpt-6-luna"], limits=Limits()).complete("Hello")
    """

    def __init__(
        self, *, name: str, breaker: BreakerPolicy | None = None, sinks: Iterable[EventSink] = ()
    ) -> None:
        limits = Limits()
        chance = clock.chance(None)
        tell = Fanout(sinks, chain=name)
        session = Session(connect_timeout=limits.connect_timeout, max_answer_bytes=32 * 2**20)
        self._making = _Sharing(session, breaker or BreakerPolicy(), chance, tell)
        # It asks nobody itself: every chain is this one over a setup of its own.
        self._none = _setup(name, (), limits, RetryPolicy(), Delivery(), None)
        self._root = Coordinator(self._none, tell=tell, chance=chance, end=session.aclose)
        self._chains: OrderedDict[object, Coordinator] = OrderedDict()

    def chain(
        self,
        steps: Sequence[str | Endpoint | Pool],
        *,
        limits: Limits,
        retry: RetryPolicy | None = None,
        delivery: Delivery | None = None,
        overrule: Callable[[AttemptError], bool | None] | None = None,
        remember: bool = True,
    ) -> Coordinator:
        """A chain over these steps; the same one again for the same arguments, if it is remembered.

        `remember` is false where the steps hold what is not to be kept, such as messages.

        Raises:
            ConfigError: As `Chain` does.
        """
        retry, delivery = retry or RetryPolicy(), delivery or Delivery()
        key = (tuple(steps), limits, retry, delivery, overrule)

        def make() -> Coordinator:
            made = self._making.steps(arranged(resolve_steps(steps), "given", NOTHING), compared=True)
            setup = _setup(self._none.name, made, limits, retry, delivery, overrule)
            return self._root.over(attrs.evolve(setup, budget=self._none.budget))

        return _remembered(self._chains, key, make, MOST_CHAINS) if remember else make()

    async def aclose(self) -> None:
        """Close the connections; calls under way fail.  A second time does nothing."""
        await self._root.aclose()


def _setup(
    name: str,
    steps: tuple[Step, ...],
    limits: Limits,
    retry: RetryPolicy,
    delivery: Delivery,
    overrule: Callable[[AttemptError], bool | None] | None,
) -> Setup:
    return Setup(
        name=name,
        steps=steps,
        limits=limits,
        retry=retry,
        max_queue=1000,
        strategy=InSequence(),
        delivery=delivery,
        overrule=overrule,
    )


@attrs.frozen
class _Sharing(Making):
    """Makes routes of which those to one place share their parts."""

    places: OrderedDict[object, Route] = attrs.field(factory=OrderedDict, kw_only=True)

    def _route(self, endpoint: Endpoint, compared: bool, *, priced: bool) -> Route:
        def make() -> Route:
            # Rooms of its own, because a register of them all would grow with every new key.
            return Making._route(attrs.evolve(self, rooms=Rooms()), endpoint, True, priced=priced)

        first = _remembered(self.places, _place(endpoint), make, MOST_ENDPOINTS)
        if first.spec == endpoint and (first.price is not None or not priced):
            return first
        return attrs.evolve(
            first,
            spec=endpoint,
            provider=provider_of(endpoint, self.session),
            listing=listed(endpoint),
            price=price_of(endpoint) if priced else None,
        )


def _place(endpoint: Endpoint) -> object:
    """What makes two endpoints one: who is asked for what, as whom, within which limits."""
    if endpoint.fn is not None:
        return ("fn", endpoint.name, endpoint.fn, endpoint.max_in_flight, endpoint.limit_group)
    who = (endpoint.vendor, endpoint.dialect, endpoint.base_url, endpoint.model)
    as_whom = (endpoint.api_key, endpoint.token)
    return (who, as_whom, endpoint.rpm, endpoint.tpm, endpoint.max_in_flight, endpoint.limit_group)


def _remembered(memory: OrderedDict[K, V], key: K, make: Callable[[], V], most: int) -> V:
    if key in memory:
        memory.move_to_end(key)
        return memory[key]
    made = memory[key] = make()
    if len(memory) > most:
        memory.popitem(last=False)
    return made
