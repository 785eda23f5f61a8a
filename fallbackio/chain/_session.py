"""Conversations that stay where they are.

Providers cache the beginning of a prompt, so that the next turn of a conversation is cheaper and
quicker where the last one was answered.  A session asks that endpoint first while it is well, moves
only when another one had to answer, and comes back to the first choice by rule.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from fallbackio import clock
from fallbackio.chain._plan import Route, Turn
from fallbackio.errors import ConfigError
from fallbackio.model import Reply

if TYPE_CHECKING:
    from fallbackio.chain._coordinator import Coordinator, Messages
    from fallbackio.chain._setup import Setup
    from fallbackio.chain._stream import Stream

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
        self._away_since = math.inf  # when it left the first choice

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

    def turns(self, given: Iterable[Turn], now: float, setup: Setup) -> Iterator[Turn]:
        """The order of the chain, with this session's endpoint before all others."""
        kept = setup.named.get(self._endpoint or "")
        if kept is None:  # before its first answer, or after the endpoint has been taken out of the chain
            yield from given
            return
        first_choices = setup.first_choices
        away = kept not in first_choices
        if away and self._away_since == math.inf:
            self._away_since = now  # the chain has got another first choice
        returns = away and now - self._away_since >= self._return_after_s
        if not returns:
            yield Turn(kept)
        for turn in given:
            if returns and turn.route in first_choices and not turn.postponed:
                yield Turn(turn.route, note=RETURNED)
            elif returns or turn.route is not kept:
                yield turn

    def answered(self, setup: Setup, route: Route) -> None:
        """This endpoint has answered."""
        if route.spec.name == self._endpoint:
            return
        self.moves += self._endpoint is not None
        self._endpoint = route.spec.name
        self._away_since = math.inf if route in setup.first_choices else clock.now()


class Sessions:
    """The named sessions of a chain."""

    def __init__(self, chain: Coordinator) -> None:
        self._chain = chain
        self._named: OrderedDict[str, Session] = OrderedDict()

    def of(self, given: Session | str | None, return_after_s: float) -> Session | None:
        """The session itself, the one of that name, or none."""
        if given is None or isinstance(given, Session):
            return given
        if not isinstance(given, str) or not given:
            raise ConfigError(f"session must be a name or what chain.session() gives, not {given!r}")
        known = self._named.get(given)
        if known is None:
            known = self._named[given] = Session(self._chain, return_after_s, given)
            if len(self._named) > MOST_SESSIONS:
                self._named.popitem(last=False)
        else:
            self._named.move_to_end(given)
        return known
