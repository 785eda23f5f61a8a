"""Several attempts at one thing, the first good one wins: the race itself.

It knows neither endpoints nor answers; a `Runner` says who is next, when, and how an attempt is
made.  Attempts run in *lanes*: one after the other, each because the one before has failed.  The
first lane is the caller's own task; the others, and the task that holds them, are made only when the
delay is over, so that a hedged call that needs no hedge costs a scope and a timer.

Two attempts that end in one tick cannot both win: there is no await between the look at `_decided`
and its setting.  The second one's result is handed to `discard`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Generic, Protocol, TypeVar

import anyio
from anyio.abc import TaskGroup

from fallbackio import clock
from fallbackio._tasks import OwnTask

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
        # Cancelled by an attempt of another lane that won or was fatal, or by the caller's scopes.
        with race.host:
            race.begin(first)
            await race.lane(first, callers=True)
            await race.others_end()
        await race.stop()
    except BaseException:
        try:
            await race.stop()
        finally:
            await race.discard_winner()  # the caller was cancelled after the decision, or a bug of ours
        raise
    if race.fatal is not None:
        raise race.fatal
    return race.result


class _Contest(Generic[E, T]):
    """The state of one contest."""

    def __init__(self, runner: Runner[E, T]) -> None:
        self.host = anyio.CancelScope()  # around the caller's own lane
        self._runner = runner
        self._started = 0
        self._running = 0
        # When the next one starts, and how long after the latest that is.
        self._due = math.inf
        self._delay = math.inf
        self._latest: E | None = None
        # What keeps that time: a timer of the loop, and once it has fired the task of the other lanes.
        self._timer: clock.Timer | None = None
        self._others: OwnTask | None = None
        self._lanes: TaskGroup | None = None
        self._nap = anyio.CancelScope()
        # Set once: there is a winner, or a failure that no other attempt could mend.
        self._decided = False
        self._winner: E | None = None
        self.result: T | None = None
        self.fatal: BaseException | None = None

    def begin(self, first: E) -> None:
        """Take note of the first attempt, and have those started that start with it."""
        self._note(first)
        if self._delay == 0:
            self._due = clock.now()
            self._open_lanes()

    async def lane(self, entry: E, callers: bool = False) -> None:
        """One attempt after the other, for as long as they fail and there is another."""
        following: E | None = entry
        while following is not None:
            attempted, following = following, None
            try:
                result = await self._runner.attempt(attempted, partial(self._alive, attempted))
            except Failed as failure:
                self._running -= 1
                if self._decided:
                    return
                self.fatal = failure.fatal
                if self.fatal is not None:
                    self._decide(callers)
                    return
                following = self._runner.another(self._running, extra=False)
                if following is not None:
                    self._note(following)
            else:
                self._running -= 1
                await self._succeeded(attempted, result, callers)
        self._nap.cancel()  # whoever keeps the time looks whether anything still runs

    async def others_end(self) -> None:
        """Wait for the other lanes, which may still win."""
        if self._others is not None and not self._decided:
            await self._others.finished()

    async def stop(self) -> None:
        """Start nothing more, and end what runs beside the caller's own lane."""
        self._decided = True
        if self._timer is not None:
            self._timer.cancel()
        if self._others is not None:
            # Shielded, because we may be cancelled, and what we wait for is.  Over HTTP an attempt that
            # is cut is over at once; a function of the user's that takes its time is waited for, since
            # nothing may outlive the call.
            with anyio.CancelScope(shield=True):
                await self._others.ended()

    async def discard_winner(self) -> None:
        """Nobody will take the result."""
        if self._winner is not None and self.result is not None:
            await self._runner.discard(self._winner, self.result)

    async def _succeeded(self, entry: E, result: T, callers: bool) -> None:
        if self._decided:
            await self._runner.discard(entry, result)
            return
        self._winner, self.result = entry, result
        self._runner.won(entry, result)
        self._decide(callers)

    def _decide(self, callers: bool) -> None:
        self._decided = True
        if self._timer is not None:
            self._timer.cancel()
        if self._others is not None:
            self._others.cancel()
        if not callers:
            # Not for the caller's own lane: it has nothing to be cut, and in a cancelled scope a
            # cancellation of the caller's, coming at the same moment, would be taken for ours.
            self.host.cancel()

    def _note(self, entry: E) -> None:
        self._started += 1
        self._running += 1
        self._latest = entry
        self._delay = self._runner.delay_s(entry, self._started)
        self._arm()

    def _alive(self, entry: E) -> None:
        if self._latest is entry and self._due < math.inf:
            self._arm()

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._due = clock.now() + self._delay if self._delay < math.inf else math.inf
        if self._others is not None:
            self._nap.cancel()
        elif self._due < math.inf:
            self._timer = clock.call_at(self._due, self._open_lanes)

    def _open_lanes(self) -> None:
        """The first time something is due beside the caller's lane."""
        if self._others is None and not self._decided:
            self._others = OwnTask(self._keep_time)

    async def _keep_time(self) -> None:
        """Start the next one whenever it is due, until nothing runs any more."""
        async with anyio.create_task_group() as lanes:
            while self._running and not self._decided:
                if clock.now() >= self._due:
                    self._start_beside(lanes)
                    continue
                # Cancelled when there is another instant to wait for, or nothing runs any more.
                with anyio.CancelScope(deadline=self._due) as self._nap:
                    await anyio.sleep_forever()

    def _start_beside(self, lanes: TaskGroup) -> None:
        entry = self._runner.another(self._running, extra=True)
        if entry is not None:
            self._note(entry)
            lanes.start_soon(self.lane, entry)
        elif self._delay > 0:
            self._due = clock.now() + self._delay  # what is not allowed now may be later
        else:
            self._due = math.inf
