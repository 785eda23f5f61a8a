"""By lot, in proportion to the members' weights."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence

from fallbackio.selection._standing import Standing, drawn, others

__all__ = ["by_lot", "weighted"]


def weighted(members: Sequence[Standing], lots: random.Random) -> Iterator[int]:
    """By lot, in proportion to their weights."""
    compared = by_lot(members, drawn(members, lots), lots)
    yield from compared
    yield from others(members, compared, lots)


def by_lot(members: Sequence[Standing], places: Sequence[int], lots: random.Random) -> list[int]:
    """These places in a random order that respects weights (Efraimidis and Spirakis, 2006)."""
    if len(places) == 1:
        return list(places)
    draw = lots.random
    keys = [(math.log(1.0 - draw()) / members[at].weight, at) for at in places]
    keys.sort(reverse=True)
    return [at for _, at in keys]
