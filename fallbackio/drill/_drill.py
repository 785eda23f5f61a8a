"""The drill as a function: for tests, notebooks and scripts."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from inspect import signature
from typing import Any

from fallbackio._checks import nearest
from fallbackio.config import Chain
from fallbackio.drill._figures import result_of
from fallbackio.drill._given import Drillable, given
from fallbackio.drill._plan import Plan
from fallbackio.drill._result import Result
from fallbackio.drill._run import Run, Tick
from fallbackio.errors import ConfigError
from fallbackio.simulator import Scenario
from fallbackio.simulator import scenario as shipped
from fallbackio.testing import MemoryLoop

__all__ = ["Tick", "carried_out", "drill"]

LoopFactory = Callable[[], asyncio.AbstractEventLoop]


def drill(
    chain: Drillable,
    scenario: Scenario | str | os.PathLike[str],
    *,
    rate: float | None = None,
    duration_s: float | None = None,
    seed: int | None = None,
    streaming: bool = True,
    embedding: bool = False,
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
        scenario: One that comes with the package by its name, a TOML file, or a `Scenario`.
        rate: Calls per second, in place of the scenario's.
        duration_s: Length of the scenario, which is stretched.
        seed: In place of the scenario's.
        streaming: Whether calls are streamed.
        embedding: Whether calls are for vectors (`chain.embed`), of a chain of one embedding model.
        sick: The endpoint that is to be in trouble, in place of the first.
        name: Of the chain, where the file has several; what reports call it.
        real_time: Whether time passes.
        on_tick: Told now and then of the scenario's second, the calls begun, and those that failed.
        settings: Keyword arguments of `Chain`, which win over the file's.

    Raises:
        ConfigError: For a chain, a scenario or a setting with mistakes, and within a running event loop.

    Example:
        >>> def test_we_survive_a_dead_vendor():
        ...     drill("chain.toml", "s10", rate=5).require(success=1.0, p99_s=8)
    """
    _check_names(settings)
    plan = Plan(
        given=given(chain, name, **settings),
        scenario=_meant(scenario, seed).at(rate=rate, duration_s=duration_s),
        sick=sick,
        streaming=streaming and not embedding,
        embedding=embedding,
        real_time=real_time,
    )
    return carried_out(plan, on_tick=on_tick)


def carried_out(plan: Plan, *, loop: LoopFactory | None = None, on_tick: Tick | None = None) -> Result:
    """What comes of a plan; `loop` makes another event loop than the one for its kind of time."""
    _check_no_loop()
    run = Run(plan, on_tick)
    factory = loop or (None if plan.real_time else MemoryLoop)
    with _silence(), asyncio.Runner(loop_factory=factory) as runner:
        runner.run(run.play())
    return result_of(run)


def _check_names(settings: Iterable[str]) -> None:
    """Python would name `Chain`, which the caller has not called, and no argument that was meant."""
    known = signature(Chain).parameters
    for one in settings:
        if one not in known:
            raise nearest(
                "argument of a drill", one, {*signature(drill).parameters, *known} - {"settings", "steps"}
            )


def _meant(scenario: Scenario | str | os.PathLike[str], seed: int | None) -> Scenario:
    if isinstance(scenario, Scenario):
        return scenario.at(seed=seed)
    if isinstance(scenario, str):
        return shipped(scenario, seed=seed)
    if isinstance(scenario, os.PathLike):
        return Scenario.from_toml(scenario).at(seed=seed)
    raise ConfigError(f"a scenario is a name, a TOML file or a Scenario, not {type(scenario).__name__}")


def _check_no_loop() -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise ConfigError("a drill has an event loop of its own; call it outside of one, or in a thread")


@contextmanager
def _silence() -> Iterator[None]:
    """An outage of a thousand calls is a thousand warnings; what failed over is in the result."""
    logger = logging.getLogger("fallbackio")

    # A filter of its own for each drill, because others may begin and end meanwhile, in other threads.
    def nothing(_: logging.LogRecord) -> bool:
        return False

    logger.addFilter(nothing)
    try:
        yield
    finally:
        logger.removeFilter(nothing)
