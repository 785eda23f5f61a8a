"""The order in which a pool's members are asked."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from attrs import frozen

from fallbackio.selection import BALANCES

LOTS = 4000


@frozen
class Standing:
    """One member."""

    weight: float = 1.0
    in_flight: int = 0
    waiting: int = 0
    crowding: float = 1.0
    seconds: float = 0.0
    is_known: bool = False
    price: float | None = None


def firsts(balance: str, *members: Standing) -> list[float]:
    """How often each member comes first."""
    lots = random.Random(7)
    counted = Counter(next(BALANCES[balance](members, lots)) for _ in range(LOTS))
    return [counted[at] / LOTS for at in range(len(members))]


@pytest.mark.parametrize("balance", BALANCES)
def test_everybody_is_in_the_order_once(balance: str) -> None:
    """An order names every member, so that none is lost when the first ones fail."""
    members = [Standing(seconds=at, is_known=at > 2, price=at or None) for at in range(6)]
    assert sorted(BALANCES[balance](members, random.Random(1))) == list(range(6))


def test_weights_are_shares() -> None:
    """Three to one means three quarters."""
    assert firsts("weighted", Standing(weight=3), Standing(weight=1)) == pytest.approx([0.75, 0.25], abs=0.03)


def test_the_fewest_under_way_come_first() -> None:
    """least_busy counts requests for their weight."""
    assert firsts("least_busy", Standing(in_flight=3), Standing(in_flight=1)) == [0, 1]
    assert firsts("least_busy", Standing(in_flight=3, weight=4), Standing(in_flight=1)) == [1, 0]
    assert firsts("least_busy", Standing(), Standing()) == pytest.approx([0.5, 0.5], abs=0.03)


def test_the_quicker_of_two_comes_first() -> None:
    """latency takes the lower time; waiting requests make it longer."""
    quick, slow = Standing(seconds=0.2, is_known=True), Standing(seconds=1.0, is_known=True)
    crowded = Standing(seconds=0.2, is_known=True, crowding=9)

    assert firsts("latency", quick, slow) == [1, 0]
    assert firsts("latency", crowded, slow) == [0, 1]
    assert firsts("latency", quick, slow, crowded)[2] == 0


def test_two_choices_do_not_send_everybody_to_one() -> None:
    """Of four, the best is the first choice only when it is drawn: in half of the pairs."""
    members = [Standing(seconds=1 + at / 10, is_known=True) for at in range(4)]
    assert firsts("latency", *members) == pytest.approx([1 / 2, 1 / 3, 1 / 6, 0], abs=0.03)


def test_who_is_far_slower_is_not_drawn() -> None:
    """A pair of slow members is no choice while a quick one has room."""
    members = [Standing(seconds=seconds, is_known=True) for seconds in (0.2, 1.0, 1.0, 1.0)]
    assert firsts("latency", *members) == [1, 0, 0, 0]


def test_an_untried_member_is_probed_and_not_flooded() -> None:
    """One request finds out how slow it is; until then others go elsewhere."""
    known = Standing(seconds=0.2, is_known=True)
    assert firsts("latency", Standing(), known) == [1, 0]
    assert firsts("latency", Standing(waiting=1), known) == [0, 1]


def test_the_cheapest_comes_first_and_the_unknown_last() -> None:
    """cost goes by price, in whose order it is given the members; equals go by weight."""
    assert firsts("cost", Standing(price=1), Standing(price=3), Standing()) == [1, 0, 0]
    assert firsts("cost", Standing(price=1), Standing(price=1, weight=3)) == pytest.approx(
        [0.25, 0.75], abs=0.03
    )


@pytest.mark.parametrize("balance", BALANCES)
def test_of_two_hundred_every_one_is_in_the_order(balance: str) -> None:
    """A large pool is sampled for its first choice, and still no member is lost."""
    members = [Standing(seconds=1, is_known=True) for _ in range(200)]
    assert sorted(BALANCES[balance](members, random.Random(1))) == list(range(200))
