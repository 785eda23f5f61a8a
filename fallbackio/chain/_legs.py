"""The endpoints of one call in their order, each looked at when the ones before it have failed."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from attrs import define

from fallbackio.errors import Refused

if TYPE_CHECKING:
    from fallbackio.chain._plan import Route

__all__ = ["Leg", "Legs"]


@define(eq=False)
class Leg:
    """Where one endpoint stands within one call."""

    route: Route
    tries: int = 0  # requests sent to it in this call
    ready_at: float = math.inf  # once tried: when it may be asked again; infinite for never
    skipped: Refused | None = None  # set when it was passed over before its first try
    throttled: bool = False  # it asked for less, and an open breaker will be waited for once
    note: str = ""  # for the ledger: why it stands where it does
    postponed: bool = False  # it comes after all others, because it has just recovered
    hopeless: bool = False  # it failed in a way that lasts until somebody acts
    barred: bool = False  # a failure elsewhere showed that it cannot help, or the time is too short


class Legs:
    """All legs of a call; iterating makes those that are reached.

    A pool may have hundreds of members of which a call asks one.
    """

    __slots__ = ("_count", "_rest", "made")

    def __init__(self, legs: Iterator[Leg], count: int) -> None:
        self._rest = legs
        self._count = count
        self.made: list[Leg] = []  # those that have been reached

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, at: int) -> Leg:
        return list(self)[at]

    def __iter__(self) -> Iterator[Leg]:
        at = 0
        while at < len(self.made) or self._make():
            yield self.made[at]
            at += 1

    def _make(self) -> bool:
        """One more, if there is one."""
        leg = next(self._rest, None)
        if leg is not None:
            self.made.append(leg)
        return leg is not None
