"""The quickest first, by two random choices.

Taking the best of all would send every process to it at once; of two drawn, each sees another pair.
Members far slower than the best are not drawn: with few members, a pair of slow ones is common.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence

from fallbackio.selection._standing import Standing, drawn, others
from fallbackio.selection.balances._weighted import by_lot

__all__ = ["latency"]

# Who costs more than so many times the best is asked only when nobody else has room.
WORTH = 3.0


def latency(members: Sequence[Standing], lots: random.Random) -> Iterator[int]:
    """The better of two drawn, then the rest by their cost."""
    compared = by_lot(members, drawn(members, lots), lots)
    costs = {at: _cost(members[at]) for at in compared}
    most = WORTH * min(costs.values())
    pair = [at for at in compared if costs[at] <= most][:2]
    first = min(pair, key=costs.__getitem__)
    yield first
    yield from sorted([at for at in compared if at != first], key=costs.__getitem__)
    yield from others(members, compared, lots)


def _cost(member: Standing) -> float:
    """Peak EWMA's cost: the average time, times the requests that wait, over their usual number.

    Nobody knows how slow an untried member is: the first request finds out, and until it has, a
    second one is as good as lost.
    """
    if not member.is_known:
        return math.inf if member.waiting else 0.0
    return member.seconds * member.crowding / member.weight
