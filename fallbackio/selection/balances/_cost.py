"""The cheapest first.

The odd rule: members are given in the order of their price, because prices do not change from call
to call.
"""

from __future__ import annotations

import math
import random
from bisect import bisect_right
from collections.abc import Iterator, Sequence

from fallbackio.selection._standing import Members, Standing
from fallbackio.selection.balances._weighted import weighted

__all__ = ["cost", "price_of"]


def cost(members: Sequence[Standing], lots: random.Random) -> Iterator[int]:
    """As they are given, those of one price by their weights."""
    begin = 0
    while begin < len(members):
        price = price_of(members[begin].price)
        end = bisect_right(members, price, lo=begin, key=lambda member: price_of(member.price))
        for at in weighted(Members(begin, end, members.__getitem__), lots):
            yield begin + at
        begin = end


def price_of(price: float | None) -> float:
    """A price to sort by: what is unknown comes last."""
    return math.inf if price is None else price
