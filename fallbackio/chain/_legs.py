"""The endpoints of one call in their order, each looked at when the ones before it have failed."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

from attrs import define

from fallbackio.chain._needs import NOTHING
from fallbackio.chain._route import Route, Turn
from fallbackio.errors import Refused

__all__ = ["Leg", "Legs"]


@define(eq=False)
class Leg:
    """Where one endpoint stands within one call."""

    route: Route
    tries: int = 0  # requests sent to it in this call
    ready_at: float = math.inf  # once tried: when it may be asked again; infinite for never
    skipped: Refused | None = None  # set when it was passed over before its first try
    throttled: bool = False  # it asked for less, and an open breaker will be waited for once
    rests_until: float = -math.inf  # as it asked in this call, for all that share its limits
    note: str = ""  # for the ledger: why it stands where it does
    postponed: bool = False  # it comes after all others, because it has just recovered
    hopeless: bool = False  # it failed in a way that lasts until somebody acts
    barred: bool = False  # a failure elsewhere showed that it cannot help, or the time is too short

    @property
    def is_done_with(self) -> bool:
        """Whether it has been asked or passed over; one that is postponed, or only slow, has its turn yet."""
        waits = self.postponed or self.route.breaker.slow
        return bool(self.tries or self.barred or (self.skipped is not None and not waits))

    @property
    def is_refused(self) -> bool:
        """Whether its breaker keeps it from being asked, and not only a lack of room."""
        return not self.route.lets_all_pass


class Legs:
    """All legs of a call; iterating makes those that are reached, and bars those that cannot serve it.

    A pool may have hundreds of members of which a call asks one.

    Attributes:
        least_window: What an endpoint has to hold, in tokens.
        needs: What else it has to have.
        made: Those that have been reached.
        newly_skipped: For the ledger; whoever reads it empties it.
    """

    __slots__ = ("_count", "_turns", "least_window", "made", "needs", "newly_skipped")

    def __init__(self, turns: Iterable[Turn], count: int) -> None:
        self._turns = iter(turns)
        self._count = count
        self.least_window = 0
        self.needs = NOTHING
        self.made: list[Leg] = []
        self.newly_skipped: list[Leg] = []

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, at: int) -> Leg:
        return list(self)[at]

    def __iter__(self) -> Iterator[Leg]:
        at = 0
        while at < len(self.made) or self._make():
            yield self.made[at]
            at += 1

    def skip(self, leg: Leg, refused: Refused) -> None:
        """Pass it over, and have the ledger say why."""
        leg.skipped = refused
        self.newly_skipped.append(leg)

    def come_last(self, routes: Iterable[Route], now: float) -> int:
        """How many of `routes`, all there are, wait for all others to fail, since they come back slowly.

        Whether one does is drawn when it is reached; until then it may.
        """
        reached = {leg.route for leg in self.made}
        waiting = [leg.postponed and not leg.is_done_with for leg in self.made]
        return sum(waiting) + sum([route.comes_back(now) for route in routes if route not in reached])

    def told_off(self, leg: Leg, now: float) -> bool:
        """Whether this call was told to stay away by one that shares its limits: it would be told again."""
        shared = leg.route.room.shared
        return any(other.rests_until > now and other.route.room.shared is shared for other in self.made)

    def could_serve(self, route: Route) -> bool:
        """Whether the call could go to this endpoint, as far as that is known."""
        return not (self._is_too_small(route) or route.lacks(self.needs))

    def _is_too_small(self, route: Route) -> bool:
        window = route.spec.context_window
        # What adapts a conversation may well shorten it.
        return window is not None and window < self.least_window and route.spec.adapt is None

    def _make(self) -> bool:
        """One more, if there is one."""
        turn = next(self._turns, None)
        if turn is not None:
            self.made.append(self._reached(turn))
        return turn is not None

    def _reached(self, turn: Turn) -> Leg:
        leg = Leg(turn.route, postponed=turn.postponed, note=turn.note)
        if self._is_too_small(turn.route):
            leg.barred = True
            window = turn.route.spec.context_window
            text = f"{self.least_window:,} tokens and more do not fit into its window of {window:,}"
            self.skip(leg, Refused(text))
        elif self.needs is not NOTHING and (lacks := turn.route.lacks(self.needs)):
            leg.barred = True
            self.skip(leg, Refused(f"it has no {lacks}"))
        elif turn.why:
            self.skip(leg, Refused(turn.why))
        if self.needs is not NOTHING and not leg.note and (unknown := turn.route.unknown(self.needs)):
            leg.note = f"not known: {unknown}"
        return leg
