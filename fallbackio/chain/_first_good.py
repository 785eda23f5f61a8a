"""The race by itself, for any async functions."""

from __future__ import annotations

import inspect
import math
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import Any, Generic, Literal, TypeVar

import anyio
from attrs import define, field

from fallbackio import clock
from fallbackio.chain._contest import Failed, contest
from fallbackio.chain._latency import Latencies
from fallbackio.chain._settings import Limits
from fallbackio.chain._strategy import Hedge, Strategy, named
from fallbackio.errors import ChainExhausted, ConfigError, DeadlineExceeded

__all__ = ["first_good"]

T = TypeVar("T")


async def first_good(
    fns: Iterable[Callable[[], Awaitable[T]]],
    *,
    strategy: Literal["sequence", "race"] | Strategy = "race",
    timeout: float | None = None,
) -> T:
    """What the first of these async functions returns that does not raise; the others are cancelled.

    They are called without arguments, in order, as `strategy` says; a failure starts the next one
    at once.  When this returns, raises or is cancelled, all of them are over; it waits for the
    clean-up of those that are cut.

    Raises:
        ChainExhausted: All raised; from an `ExceptionGroup` of what they raised.
        DeadlineExceeded: `timeout` seconds have passed.
        ConfigError: There are no functions, something else is among them, a setting is out of its range,
            or the hedge is adaptive: functions have no history to learn a delay from, so give
            `Hedge(delay=…)`.

    Example:
        >>> page = await fallbackio.first_good([fetch_near, fetch_far], strategy=fallbackio.Hedge(delay=0.3))
    """
    limit = Limits(timeout=timeout).timeout
    chosen = named(strategy)
    if isinstance(chosen, Hedge) and chosen.delay == "adaptive":
        raise ConfigError("first_good has no history to learn a delay from: give Hedge(delay=seconds)")
    entries = _Functions(iter(_checked(fns)), chosen)
    first = entries.another(0, extra=False)
    if first is None:
        raise ConfigError("first_good needs at least one function")
    results: list[T] = []
    # Cancelled by this timeout or by the caller's scopes.
    with anyio.CancelScope(deadline=math.inf if limit is None else clock.now() + limit):
        winner = await contest(entries, first)
        results += [] if winner is None else [winner[0]]
        if winner is None:
            raise ChainExhausted("all functions failed") from ExceptionGroup(
                "what each raised", entries.failures
            )
    if not results:
        error = DeadlineExceeded(f"no result within {limit:.3g} s", timeout_s=limit or 0.0)
        raise error from (ExceptionGroup("what each raised", entries.failures) if entries.failures else None)
    return results[0]


def _checked(fns: Iterable[Any]) -> list[Callable[[], Awaitable[Any]]]:
    try:
        functions = list(fns)
    except TypeError:
        raise ConfigError(
            f"first_good takes a list of functions, not {type(fns).__name__}; put it in [ ]"
        ) from None
    for fn in functions:
        if not callable(fn):
            hint = "; leave out the ()" if inspect.iscoroutine(fn) else ""
            raise ConfigError(f"first_good calls async functions, not {type(fn).__name__}{hint}")
    return functions


@define(eq=False)
class _Functions(Generic[T]):
    """The `Runner` over plain functions; a result is boxed, because `None` may be one."""

    fns: Iterator[Callable[[], Awaitable[T]]]
    strategy: Strategy
    failures: list[Exception] = field(factory=list)

    def delay_s(self, fn: Callable[[], Awaitable[T]], started: int) -> float:
        return self.strategy.delay_s(Latencies(), started)

    def another(self, running: int, *, extra: bool) -> Callable[[], Awaitable[T]] | None:
        if extra and running >= self.strategy.most_at_once:
            return None
        return next(self.fns, None)

    async def attempt(self, fn: Callable[[], Awaitable[T]], alive: Callable[[], None]) -> tuple[T]:
        try:
            return (await fn(),)
        except Exception as error:
            self.failures.append(error)
            raise Failed from error

    def won(self, fn: Callable[[], Awaitable[T]], result: tuple[T]) -> None:
        """Nothing to keep."""

    async def discard(self, fn: Callable[[], Awaitable[T]], result: tuple[T]) -> None:
        """Nothing to close."""
