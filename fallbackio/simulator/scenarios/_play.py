"""Plays a scenario on a running simulator, by the loop's time."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import anyio

from fallbackio import clock
from fallbackio.simulator._server import Simulator
from fallbackio.simulator.scenarios._cast import Part
from fallbackio.simulator.scenarios._scenario import Phase, Scenario

__all__ = ["play"]


async def play(
    scenario: Scenario,
    simulator: Simulator,
    parts: Mapping[str, Part],
    *,
    on_phase: Callable[[Phase], object] | None = None,
) -> None:
    """Have the simulator's endpoints of these names play their parts; returns when it is over.

    Endpoints that are not there yet are made.  An endpoint is switched only where a phase changes how
    it behaves, so that what counts requests or seconds goes on over phases.  `on_phase` is called as
    each begins.

    Example:
        >>> async with Simulator(seed=1) as sim, anyio.create_task_group() as tasks:
        ...     parts = cast(scenario("s1"), ["primary", "backup"])
        ...     tasks.start_soon(play, scenario("s1"), sim, parts)
        ...     ...
    """
    began = clock.now()
    for number, (at, phase) in enumerate(scenario.starts()):
        await anyio.sleep_until(began + at)
        for name, part in parts.items():
            endpoint = simulator.endpoint(name)
            if number == 0 or part.behaviours[number] != part.behaviours[number - 1]:
                endpoint.behave(part.behaviours[number])
        if on_phase is not None:
            on_phase(phase)
    await anyio.sleep_until(began + scenario.duration_s)
