"""An event loop whose time jumps instead of passing.

When no task can run and no socket has anything to say, `VirtualTimeLoop` moves its clock to the
next timer at once, so an hour of timeouts, pauses and back-offs takes milliseconds, and a test may
assert exact instants.  Sockets on loopback are real.  Three rules bite in practice: time stands
still while the loop's executor works, what else runs in threads (`anyio.to_thread`) or on another
machine is not waited for, and `clock.wall` goes on as usual.
"""

from __future__ import annotations

import asyncio
import functools
import math
import selectors
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from time import sleep
from typing import Any, ParamSpec, TypeVar, TypeVarTuple, Unpack

from fallbackio.errors import FallbackError

__all__ = ["Deadlocked", "JumpingSelector", "VirtualTimeLoop", "run", "virtual_time"]

P = ParamSpec("P")
T = TypeVar("T")
Ts = TypeVarTuple("Ts")

# How long, in real seconds, we wait for somebody else's move: a thread's, or anybody's when there
# is no timer left to jump to.
_PATIENCE_S = 2.0

# On Linux what is sent over loopback is readable when `send` returns (200,000 of 200,000 times, on a
# busy machine too).  One look after a yield of the processor covers a kernel that was late.
_SETTLE_S = 50e-6

# A socket that waits to write may be held up by a peer in this very loop whose window has just
# opened, or by a connection being made; both take the kernel longer.
_WRITE_SETTLE_S = 0.02


class Deadlocked(FallbackError):
    """Raised when nothing is scheduled and nothing arrives: no task of the loop can ever run again.

    The message names the pending tasks and the line at which each of them waits.

    Example:
        >>> run(asyncio.Event().wait)
        Traceback (most recent call last):
        fallbackio.testing.Deadlocked: nothing can ever happen again; waiting: Task-1 in Event.wait (…)
    """


class JumpingSelector(selectors.DefaultSelector):
    """Looks at the sockets without waiting, and moves `now` where another would wait."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.jobs = 0  # of the loop's executor, under way

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or (timeout is not None and timeout <= 0):
            return ready
        ready = self._settle(timeout)
        if ready or timeout is None:
            return ready
        self.jump(timeout)
        return ready

    def jump(self, seconds: float) -> None:
        """Move the time on."""
        self.now = _instant(self.now + seconds)

    def _settle(self, timeout: float | None) -> list[tuple[selectors.SelectorKey, int]]:
        """What arrives although the loop has nothing to do: from a thread, or still in flight."""
        if self.jobs:
            return super().select(_PATIENCE_S)
        if timeout is None:
            return super().select(_PATIENCE_S) or _deadlocked()
        keys = self.get_map().values()
        if any(key.events & selectors.EVENT_WRITE for key in keys):
            return super().select(_WRITE_SETTLE_S)
        if len(keys) > 1:  # one is the loop's own, for wake-ups by threads
            sleep(_SETTLE_S)
            return super().select(0)
        return []


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """An event loop that starts at the instant 0.0 and jumps from timer to timer.

    Real loopback sockets, aiohttp's client and server included, work in it as long as both ends
    live in the same loop.  Where nothing is scheduled and for two real seconds nothing arrives, the
    run ends with `Deadlocked` instead of hanging.

    Example:
        >>> anyio.run(main, backend_options={"loop_factory": VirtualTimeLoop})
        >>> with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        ...     runner.run(main())
    """

    def __init__(self, selector: JumpingSelector | None = None) -> None:
        self._jumping = selector or JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self._jumping.now

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[Unpack[Ts]], T], *args: *Ts
    ) -> asyncio.Future[T]:
        """As in any loop; time stands still until the thread is done."""
        future = super().run_in_executor(executor, func, *args)
        self._jumping.jobs += 1
        future.add_done_callback(self._job_done)
        return future

    def _job_done(self, _: object) -> None:
        self._jumping.jobs -= 1

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:
        """As in any loop; without limit, because Python's five minutes would pass in an instant."""
        self._jumping.jobs += 1
        try:
            await super().shutdown_default_executor()
        finally:
            self._jumping.jobs -= 1


def run(main: Callable[P, Coroutine[Any, Any, T]], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run an async function in a new `VirtualTimeLoop` and return what it returns.

    Raises:
        Deadlocked: If it waits for something that cannot happen.

    Example:
        >>> async def nap():
        ...     await anyio.sleep(3600)
        ...     return anyio.current_time()
        >>> run(nap)
        3600.0
    """
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(main(*args, **kwargs))


def virtual_time(test: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, T]:
    """Make a plain function, and so a plain test, of an async one: each call is a `run` of its own.

    Works with pytest's fixtures and `parametrize`, without a plug-in.

    Example:
        >>> @virtual_time
        ... async def test_an_hour_passes_at_once():
        ...     await anyio.sleep(3600)
        ...     assert anyio.current_time() == 3600
    """

    @functools.wraps(test)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> T:
        return run(test, *args, **kwargs)

    return wrapper


def _instant(due: float) -> float:
    """The instant at which a timer for `due` counts as due.

    asyncio adds its clock's resolution, a nanosecond, and then asks whether a timer is *before*
    that.  After three months a nanosecond is less than a float's last digit, and no timer would be.
    """
    return math.nextafter(due, math.inf) if due + 1e-9 == due else due


def _deadlocked() -> list[tuple[selectors.SelectorKey, int]]:
    waiting = "; ".join(sorted(map(_describe, asyncio.all_tasks())))
    raise Deadlocked(f"nothing can ever happen again; waiting: {waiting or 'no task'}")


def _describe(task: asyncio.Task[Any]) -> str:
    """A task's name and the innermost place where it waits."""
    awaited: Any = task.get_coro()
    place = ""
    while awaited is not None:
        prefix = next((p for p in ("cr", "gi", "ag") if hasattr(awaited, f"{p}_frame")), None)
        frame = getattr(awaited, f"{prefix}_frame", None)
        if frame is None:
            break
        place = f"{frame.f_code.co_qualname} ({frame.f_code.co_filename}:{frame.f_lineno})"
        awaited = getattr(awaited, "gi_yieldfrom" if prefix == "gi" else f"{prefix}_await", None)
    return f"{task.get_name()} in {place}" if place else task.get_name()
