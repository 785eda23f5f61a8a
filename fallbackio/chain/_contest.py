"""Several attempts at one thing, the first good one wins: the race itself.

It knows neither endpoints nor answers; a `Runner` says who is next, when, and how an attempt is
made.  The first attempt runs in the caller's own task, and a task that keeps time is made only when
there is a delay to keep, so that a hedged call that needs no hedge costs little.  What can happen is
three things, each handled in one synchronous step: the delay is over, an attempt fails (both start
the next), an attempt succeeds.

Two attempts that end in one tick cannot both win: there is no await between the look at `_decided`
and its setting.  The second one's result is handed to `discard`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

import anyio
from anyio.abc import TaskGroup

from fallbackio import clock

__all__ = ["Failed", "Runner", "contest"]

E = TypeVar("E")
T = TypeVar("T")


class Failed(Exception):
    """Raised by a runner's `attempt` when it failed; its cause is the failure.

    With `fatal` the contest is over: what it failed with would fail everywhere.
    """

    def __init__(self, fatal: BaseException | None = None) -> None:
        self.fatal = fatal


class Runner(Protocol[E, T]):
    """What a contest is about."""

    def delay_s(self, entry: E, started: int) -> float:
        """Seconds from the start of `entry`, the `started`-th, to the next; infinite for never."""
        ...

    def another(self, running: int, *, extra: bool) -> E | None:
        """What to start beside the `running` ones, if anything; `extra` when none of them has failed."""
        ...

    async def attempt(self, entry: E, alive: Callable[[], None]) -> T:
        """Make the attempt; raises `Failed`.  Cancelled, it has cleaned up when it raises.

        `alive` is to be called at its first sign of life, which starts the delay anew.
        """
        ...

    def won(self, entry: E, result: T) -> None:
        """It is the winner; the others are cut after this."""
        ...

    async def discard(self, entry: E, result: T) -> None:
        """It succeeded, and is not wanted any more."""
        ...


async def contest(runner: Runner[E, T], first: E) -> T | None:
    """The result of the first attempt that succeeds; `None` when all that were started failed.

    When it returns, raises or is cancelled every attempt is over.
    """
    race = _Contest(runner)
    try:
        # Cancelled by the winner, or by whoever cancels the caller.
        async with anyio.create_task_group() as group:
            race.enter(group, first)
            await race.run(first)
    except BaseException as error:
        await race.discard_winner()  # the caller was cancelled after the decision, or a bug of ours
        if isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
            raise error.exceptions[0] from None  # one attempt's bug, as it would come without a group
        raise
    if race.fatal is not None:
        raise race.fatal
    return race.result


class _Contest(Generic[E, T]):
    """The state of one contest."""

    def __init__(self, runner: Runner[E, T]) -> None:
        self._runner = runner
        self._group: TaskGroup | None = None
        self._started = 0
        self._running = 0
        # When the next one starts, and how long after the latest that is.
        self._due = math.inf
        self._delay = math.inf
        self._latest: E | None = None
        self._nap: anyio.CancelScope | None = None  # of the pacer; it wakes when cancelled
        # Set once: there is a winner, or a failure that no other attempt could mend.
        self._decided = False
        self._winner: E | None = None
        self.result: T | None = None
        self.fatal: BaseException | None = None

    def enter(self, group: TaskGroup, first: E) -> None:
        """Take note of the first attempt, and start those that start with it."""
        self._group = group
        self._note(first)
        self._start_beside(first)

    async def run(self, entry: E) -> None:
        """One attempt, and what its end means."""
        try:
            result = await self._runner.attempt(entry, lambda: self._alive(entry))
        except Failed as failure:
            self._running -= 1
            self._lost(failure.fatal)
            return
        self._running -= 1
        if self._decided:
            await self._runner.discard(entry, result)
            return
        self._winner, self.result = entry, result
        self._runner.won(entry, result)
        self._decide()

    async def discard_winner(self) -> None:
        """Nobody will take the result."""
        if self._winner is not None and self.result is not None:
            await self._runner.discard(self._winner, self.result)

    def _lost(self, fatal: BaseException | None) -> None:
        if self._decided:
            return
        self.fatal = fatal
        if fatal is not None:
            self._decide()
            return
        self._start_another(extra=False)
        if not self._running:
            self._wake()  # the pacer, so that it ends too

    def _decide(self) -> None:
        self._decided = True
        # With nothing else running there is nothing to cancel, and cancelling is not free.
        if self._group is not None and (self._running or self._nap is not None):
            self._group.cancel_scope.cancel()

    def _start_another(self, *, extra: bool) -> None:
        entry = self._runner.another(self._running, extra=extra)
        if entry is None:
            self._arm()  # what is not allowed now may be later
            return
        self._note(entry)
        assert self._group is not None  # noqa: S101 - set before anything can start
        # Last, because under an eager task factory the attempt may end before this returns.
        self._group.start_soon(self.run, entry)
        self._start_beside(entry)

    def _note(self, entry: E) -> None:
        self._started += 1
        self._running += 1
        self._latest = entry
        self._delay = self._runner.delay_s(entry, self._started)
        self._arm()

    def _start_beside(self, entry: E) -> None:
        if self._delay == 0 and self._latest is entry and not self._decided:
            self._start_another(extra=True)

    def _alive(self, entry: E) -> None:
        if self._latest is entry and self._due < math.inf:
            self._arm()

    def _arm(self) -> None:
        if not 0 < self._delay < math.inf:
            self._due = math.inf
            return
        self._due = clock.now() + self._delay
        if self._nap is not None:
            self._wake()
        elif self._group is not None:
            self._nap = anyio.CancelScope()
            self._group.start_soon(self._pace)

    def _wake(self) -> None:
        if self._nap is not None:
            self._nap.cancel()

    async def _pace(self) -> None:
        """Start the next one whenever it is due, until nothing runs any more."""
        while self._running and not self._decided:
            if clock.now() >= self._due:
                self._due = math.inf
                self._start_another(extra=True)
                continue
            # Cancelled by `_wake`, when there is another instant to wait for or none.
            with anyio.CancelScope(deadline=self._due) as self._nap:
                await anyio.sleep_forever()
