"""What a balance may know of a pool's members: numbers, no endpoint and no clock."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

__all__ = ["Balance", "Members", "Standing", "drawn", "others"]

# A pool of up to so many is compared whole; of a larger one so many are drawn by lot, because looking
# at two hundred would cost more than it gains.
WHOLE = 8
SAMPLE = 4


class Standing(Protocol):
    """What a balance may know of one member; each is looked up only when it is asked for.

    Attributes:
        weight: Its share among equals, over 0.
        in_flight: Requests under way there.
        waiting: Those of them without a first content yet.
        crowding: How many times as many wait as usually do; 1 or more.
        seconds: Average of its time to the first content; 0 if unknown.
        is_known: Whether anything was ever measured there.
        price: US dollars per million tokens, in and out together, if known.
    """

    @property
    def weight(self) -> float: ...
    @property
    def in_flight(self) -> int: ...
    @property
    def waiting(self) -> int: ...
    @property
    def crowding(self) -> float: ...
    @property
    def seconds(self) -> float: ...
    @property
    def is_known(self) -> bool: ...
    @property
    def price(self) -> float | None: ...


class Members(Sequence[Standing]):
    """Some of a pool's members, each looked at when it is asked for; they are indexed, never sliced."""

    def __init__(self, begin: int, end: int, standing: Callable[[int], Standing]) -> None:
        self._begin = begin
        self._count = end - begin
        self._standing = standing

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, at: int) -> Standing:  # type: ignore[override]
        if not 0 <= at < self._count:
            raise IndexError(at)
        return self._standing(self._begin + at)


class Balance(Protocol):
    """Orders a pool's members: the first is asked, the others if it fails."""

    def __call__(self, members: Sequence[Standing], lots: random.Random) -> Iterator[int]:
        """Every member's place once, the first choice first; lazily, because the rest is rarely asked."""
        ...


def drawn(members: Sequence[Standing], lots: random.Random) -> list[int]:
    """Those that are compared: all, or as many as are worth it, by lot."""
    count = len(members)
    return list(range(count)) if count <= WHOLE else lots.sample(range(count), SAMPLE)


def others(members: Sequence[Standing], compared: Sequence[int], lots: random.Random) -> list[int]:
    """Those that were not compared, by lot."""
    if len(compared) == len(members):
        return []
    left = list(set(range(len(members))).difference(compared))
    lots.shuffle(left)
    return left
