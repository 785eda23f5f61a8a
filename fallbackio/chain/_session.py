"""Conversations that stay where they are.

Providers cache the beginning of a prompt, so that the next turn of a conversation is cheaper and
quicker where the last one was answered.  A session asks that endpoint first while it is well, moves
only when another one had to answer, and comes back to the first choice by rule.  The odd rule: a step
that had begun before the session moved does not move it again, because steps that run at the same
time would pull it to and fro.
"""

from __future__ import annotations

import math
import random
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from fallbackio import clock
from fallbackio.chain._order import Step, ordered, turn_of
from fallbackio.chain._route import Route, Turn
from fallbackio.errors import ConfigError
from fallbackio.model import Reply

if TYPE_CHECKING:
    from fallbackio.chain._coordinator import Coordinator
    from fallbackio.chain._setup import Setup
    from fallbackio.chain._stream import Stream
    from fallbackio.chain._wish import Messages

__all__ = ["Session", "Sessions"]

# Named sessions that are remembered; the one that was used longest ago is forgotten first.
MOST_SESSIONS = 10_000

# What the ledger says of the first attempt after the time away.
RETURNED = "the session returned to the first choice"


class Session:
    """A conversation, or an agent's run, that keeps to its endpoint; `chain.session()` makes one.

    Steps of one agent that run at the same time may share it.

    Attributes:
        name: Its name, if it has one.
        endpoint: Name of the endpoint that answered last; `None` before the first answer.
        moves: How often the endpoint has changed.

    Example:
        >>> session = chain.session()
        >>> first = await session.complete(history)
        >>> second = await session.complete(history)  # the same endpoint, while it is well
    """

    def __init__(self, chain: Coordinator, return_after_s: float, name: str = "") -> None:
        self.name = name
        self.moves = 0
        self._chain = chain
        self._return_after_s = return_after_s
        # By its name, because a chain that is reloaded holds another route of the same name.
        self._endpoint: str | None = None
        self._away_since = math.inf  # when it left the first choice, or last tried to return
        self.stays = 0  # how often it has settled; whoever begins a step remembers it

    @property
    def endpoint(self) -> str | None:
        """Name of the endpoint that answered last."""
        return self._endpoint

    async def complete(self, messages: Messages, **options: Any) -> Reply:
        """As the chain's `complete`, asking this session's endpoint first."""
        return await self._chain.complete(messages, session=self, **options)

    def stream(self, messages: Messages, **options: Any) -> Stream:
        """As the chain's `stream`, asking this session's endpoint first."""
        return self._chain.stream(messages, session=self, **options)

    def turns(self, steps: Sequence[Step], now: float, lots: random.Random, setup: Setup) -> Iterator[Turn]:
        """The order of the chain, with this session's endpoint before all others."""
        kept = setup.named.get(self._endpoint or "")
        others = ordered(steps, now, lots, without=kept)
        if kept is None:  # before its first answer, or after the endpoint has been taken out of the chain
            yield from others
            return
        asked = not self._returns(kept, now, setup)
        if asked:
            yield turn_of(kept, now, lots, alone=len(setup.routes) == 1)
        for turn in others:
            returning = not asked and turn.route in setup.first_choices and not turn.postponed
            if returning:
                if turn.route.breaker.phase != "open":
                    self._away_since = now  # one call finds out for all
                yield Turn(turn.route, note=RETURNED)
                continue
            if not asked:
                asked = True
                yield turn_of(kept, now, lots)
            yield turn
        if not asked:
            yield turn_of(kept, now, lots)

    def _returns(self, kept: Route, now: float, setup: Setup) -> bool:
        """Whether it has been away from the first choice for long enough."""
        if kept in setup.first_choices:
            return False
        if self._away_since == math.inf:
            self._away_since = now  # the chain has got another first choice
        return now - self._away_since >= self._return_after_s

    def answered(self, setup: Setup, stays: int, route: Route) -> None:
        """This endpoint has answered a step that began when the session had settled `stays` times."""
        if route.spec.name == self._endpoint or stays != self.stays:
            return
        self.stays += 1
        self.moves += self._endpoint is not None
        self._endpoint = route.spec.name
        if route in setup.first_choices:
            self._away_since = math.inf
        else:
            self._away_since = min(self._away_since, clock.now())


class Sessions:
    """The named sessions of a chain."""

    def __init__(self, chain: Coordinator) -> None:
        self._chain = chain
        self._named: OrderedDict[str, Session] = OrderedDict()

    def of(self, given: Session | str | None, return_after_s: float) -> Session | None:
        """The session itself, the one of that name, or none."""
        if given is None or isinstance(given, Session):
            return given
        return self.named(given, return_after_s)

    def named(self, name: str, return_after_s: float) -> Session:
        """The one of that name, made if there is none."""
        if not isinstance(name, str) or not name:
            raise ConfigError(f"session must be a non-empty name or what chain.session() gives, not {name!r}")
        known = self._named.get(name)
        if known is None:
            known = self._named[name] = Session(self._chain, return_after_s, name)
            if len(self._named) > MOST_SESSIONS:
                self._named.popitem(last=False)
        else:
            self._named.move_to_end(name)
        return known
