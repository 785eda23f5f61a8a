"""Who is asked first for once, because nobody knows whether he would do better than an endpoint that is slow.

The first choice answers late, and of the spare nothing is known of late, since nobody asks it.  To leave
the one for the other would be a leap in the dark, with all calls at once.  So one call asks the spare
first, with the others behind it as ever: what comes of that is known from then on.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from fallbackio.chain._order import led_by
from fallbackio.chain._route import Route, Turn

__all__ = ["TRIED", "Trial"]

# A spare that stalls costs the call that tries it its time; so not more often than this.
EVERY_S = 30.0

# What the ledger says of the call that tries it.
TRIED = "asked first to see whether it is quicker"


class Trial:
    """What one chain wants to find out, of streamed answers and of plain ones, which are not compared.

    Attributes:
        wanted: Whom the next call of a kind, streamed or not, asks first.
    """

    __slots__ = ("_from", "wanted")

    def __init__(self) -> None:
        self.wanted: dict[bool, Route] = {}
        self._from = {False: -math.inf, True: -math.inf}

    def propose(self, route: Route, streamed: bool, now: float) -> None:
        """Have a call ask `route` first, unless one has done so just now."""
        if now >= self._from[streamed]:
            self.wanted[streamed], self._from[streamed] = route, now + EVERY_S

    def turns(self, turns: Iterable[Turn], streamed: bool) -> Iterable[Turn]:
        """The order of a call that begins now."""
        route = self.wanted.pop(streamed, None)
        return turns if route is None else led_by(route, turns, TRIED)
