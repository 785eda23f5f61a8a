"""The account of extra attempts by itself."""

from __future__ import annotations

from fallbackio.chain._budget import CONCURRENT_FLOOR, Budget
from fallbackio.testing import virtual_time


@virtual_time
async def test_a_wait_that_is_over_is_not_spent() -> None:
    """A repeat that waited and was not made after all has cost nothing."""
    budget = Budget(0.5)
    for _ in range(8):
        budget.deposit()
    for _ in range(10):
        with budget.held():
            assert budget.under_way == 1
    for _ in range(CONCURRENT_FLOOR):
        budget.withdraw()

    assert budget.allows(), "three of four are spent"
    budget.withdraw()
    assert not budget.allows()


@virtual_time
async def test_whoever_waits_counts_as_if_it_were_made() -> None:
    """Repeats that wait for their turn hold their places, or all would go at once."""
    budget = Budget(0.5)
    for _ in range(8):
        budget.deposit()

    with budget.held(), budget.held(), budget.held():
        assert budget.allows()
        with budget.held():
            assert not budget.allows()
