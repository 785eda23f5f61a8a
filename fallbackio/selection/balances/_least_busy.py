"""The fewest requests under way first."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

from fallbackio.selection._standing import Standing, drawn, others

__all__ = ["least_busy"]


def least_busy(members: Sequence[Standing], lots: random.Random) -> Iterator[int]:
    """The fewest requests under way for its weight first; equals by lot."""
    compared = drawn(members, lots)
    keys = {at: (_load(members[at]), lots.random()) for at in compared}
    yield from sorted(compared, key=keys.__getitem__)
    yield from others(members, compared, lots)


def _load(member: Standing) -> float:
    return (member.in_flight + 1) / member.weight
