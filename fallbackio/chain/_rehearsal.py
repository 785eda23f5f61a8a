"""The same request at every endpoint, to see what each would answer before it has to."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Sequence

import anyio
from attrs import evolve, field, frozen

from fallbackio.chain._route import Route
from fallbackio.errors import ConfigError, FallbackError
from fallbackio.model import Reply, Report

__all__ = ["Rehearsed", "Score", "rehearsed"]

# A number for an answer, the more the better.
Score = Callable[[Reply], float | Awaitable[float]]


@frozen(kw_only=True)
class Rehearsed:
    """What one endpoint made of the request.

    Attributes:
        endpoint: Its name.
        reply: The answer, if it gave one.
        error: What it failed with, else `None`.
        report: How it went: time, usage, cost.
        score: What `score` made of the answer, if it was given.

    Example:
        >>> for row in await chain.rehearse("Say hello."):
        ...     print(row.endpoint, row.report.duration_s, row.error or row.reply.text)
    """

    endpoint: str
    reply: Reply | None = field(default=None, repr=False)
    error: FallbackError | None = None
    report: Report
    score: float | None = None


async def rehearsed(
    routes: Sequence[Route], ask: Callable[[Route], Awaitable[Rehearsed]], score: Score | None
) -> list[Rehearsed]:
    """What `ask` finds out of each route, all at once, in their order, with their scores."""
    rows: dict[Route, Rehearsed] = {}
    faults: list[Exception] = []

    async def one(route: Route) -> None:
        try:
            rows[route] = await ask(route)
        except Exception as fault:  # noqa: BLE001 - of a function of the user's; raised below, in no group
            faults.append(fault)
            group.cancel_scope.cancel()

    async with anyio.create_task_group() as group:
        for route in routes:
            group.start_soon(one, route)
    if faults:
        raise faults[0]
    # Outside the group, for what this function raises.
    return [await _with_score(rows[route], score) for route in routes]


async def _with_score(row: Rehearsed, score: Score | None) -> Rehearsed:
    """The row with what `score` makes of its answer; what it raises goes to the caller."""
    if score is None or row.reply is None:
        return row
    given: object = score(row.reply)
    if inspect.isawaitable(given):
        given = await given
    if not isinstance(given, int | float):
        raise ConfigError(f"score must return a number, not {type(given).__name__}")
    return evolve(row, score=float(given))
