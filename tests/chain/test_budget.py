"""The account of extra attempts by itself."""

from __future__ import annotations

import anyio

import fallbackio
from fallbackio import clock
from fallbackio.chain._budget import CONCURRENT_FLOOR, Budget
from fallbackio.errors import RateLimited
from fallbackio.testing import ScriptedEndpoint, answers, fails, virtual_time


@virtual_time
async def test_a_wait_that_is_over_is_not_spent() -> None:
    """A repeat that waited and was not made after all has cost nothing."""
    budget = Budget(0.5)
    for _ in range(8):
        budget.deposit(clock.now())
    for _ in range(10):
        with budget.held():
            assert budget.under_way == 1
    for _ in range(CONCURRENT_FLOOR):
        budget.withdraw()

    assert budget.allows(), "three of four are spent"
    budget.withdraw()
    assert not budget.allows()


@virtual_time
async def test_a_first_attempt_that_is_waited_for_is_free() -> None:
    """Calls that wait until an endpoint has rested take no extra attempts from others; its repeat does."""
    throttled = fails(RateLimited(status=429, retry_after_s=20))
    a = ScriptedEndpoint(throttled, answers("fine"), name="a")
    async with fallbackio.Chain([a.endpoint], seed=1) as chain, anyio.create_task_group() as group:
        group.start_soon(chain.complete, "hi")
        await anyio.sleep(1)
        for _ in range(10):
            group.start_soon(chain.complete, "hi")
        await anyio.sleep(1)

        health = chain.health()
        assert (health.calls, health.extras, health.extras_allowed) == (11, 1, True)

    assert a.requests == 12


@virtual_time
async def test_whoever_waits_counts_as_if_it_were_made() -> None:
    """Repeats that wait for their turn hold their places, or all would go at once."""
    budget = Budget(0.5)
    for _ in range(8):
        budget.deposit(clock.now())

    with budget.held(), budget.held(), budget.held():
        assert budget.allows()
        with budget.held():
            assert not budget.allows()
