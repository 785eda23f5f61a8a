"""The drill as a function: for tests, notebooks and scripts."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from fallbackio.drill._figures import result_of
from fallbackio.drill._given import Drillable, given
from fallbackio.drill._result import Result
from fallbackio.drill._run import Run
from fallbackio.errors import ConfigError
from fallbackio.simulator import Scenario, cast
from fallbackio.simulator import scenario as shipped
from fallbackio.testing import MemoryLoop

__all__ = ["Tick", "drill", "prepared", "silence"]

# Told of the scenario's second, of how many calls have begun, and how many have failed.
Tick = Callable[[float, int, int], object]


def drill(
    chain: Drillable,
    scenario: Scenario | str,
    *,
    rate: float | None = None,
    duration_s: float | None = None,
    seed: int | None = None,
    streaming: bool = True,
    sick: str | None = None,
    name: str | None = None,
    real_time: bool = False,
    on_tick: Tick | None = None,
    **settings: Any,
) -> Result:
    """Run a chain through an outage, with a simulator in the place of its vendors.

    No key is needed, nothing leaves the machine, and an hour takes seconds.  The same seed gives the
    same result.  The log of fallbackio is silent meanwhile.

    Args:
        chain: A TOML file, what `read_toml` gives, or the steps of a chain.
        scenario: One that comes with the package by its name, a `.toml` file, or a `Scenario`.
        rate: Calls per second, in place of the scenario's.
        duration_s: Length of the scenario, which is stretched.
        seed: In place of the scenario's.
        streaming: Whether calls are streamed.
        sick: The endpoint that is to be in trouble, in place of the first.
        name: Of the chain, where the file has several; what reports call it.
        real_time: Whether time passes.
        on_tick: Told now and then of the scenario's second, the calls begun, and those that failed.
        settings: Keyword arguments of `Chain`, which win over the file's.

    Raises:
        ConfigError: For a chain or a scenario with mistakes, and within a running event loop.

    Example:
        >>> def test_we_survive_a_dead_vendor():
        ...     drill("chain.toml", "s10", rate=5).require(success=1.0, p99_s=8)
    """
    run = prepared(
        chain,
        scenario,
        rate=rate,
        duration_s=duration_s,
        seed=seed,
        streaming=streaming,
        sick=sick,
        name=name,
        real_time=real_time,
        on_tick=on_tick,
        **settings,
    )
    _check_no_loop()
    with silence(), asyncio.Runner(loop_factory=None if real_time else MemoryLoop) as runner:
        runner.run(run.play())
    return result_of(run)


def prepared(
    chain: Drillable,
    scenario: Scenario | str,
    *,
    rate: float | None = None,
    duration_s: float | None = None,
    seed: int | None = None,
    streaming: bool = True,
    sick: str | None = None,
    name: str | None = None,
    real_time: bool = False,
    on_tick: Tick | None = None,
    **settings: Any,
) -> Run:
    """A run that is ready; the errors of `drill` come here."""
    given_chain = given(chain, name, **settings)
    played = shipped(scenario, seed=seed) if isinstance(scenario, str) else scenario.at(seed=seed)
    played = played.at(rate=rate, duration_s=duration_s)
    vendors = {one.name: one.vendor for one in given_chain.endpoints}
    return Run(
        given=given_chain,
        scenario=played,
        parts=cast(played, vendors, sick=sick),
        streaming=streaming,
        real_time=real_time,
        on_tick=on_tick,
    )


def _check_no_loop() -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise ConfigError("a drill has an event loop of its own; call it outside of one, or in a thread")


@contextmanager
def silence() -> Iterator[None]:
    """An outage of a thousand calls is a thousand warnings; what failed over is in the result."""
    logger = logging.getLogger("fallbackio")
    before, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = before
