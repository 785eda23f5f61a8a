"""What a chain may finish after a call has ended: losers on their way to an answer.

They are few, each is bounded in time, and `aclose` ends them all; nothing waits for them otherwise.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import anyio

from fallbackio import clock
from fallbackio._tasks import OwnTask
from fallbackio.chain._attempt import close, has_content
from fallbackio.chain._route import Route
from fallbackio.endpoint import Upstream
from fallbackio.errors import AttemptError

__all__ = ["Background"]

MOST_DRAINS = 8


class Background:
    """The drains of one chain."""

    def __init__(self) -> None:
        self._tasks: list[OwnTask] = []

    @property
    def under_way(self) -> int:
        """How many losers are still being read."""
        self._tasks = [task for task in self._tasks if not task.done]
        return len(self._tasks)

    def drain(
        self,
        for_s: float | None,
        route: Route,
        upstream: Upstream,
        started: float,
        over: Callable[[], None],
    ) -> bool:
        """Read the rest in the background, if there is room; false if it must be closed instead.

        `for_s` is `None` where losers are cut at once; `over` is told when it has been read or closed.
        """
        if for_s is None or self.under_way >= MOST_DRAINS:
            return False
        self._tasks.append(OwnTask(partial(self._read, route, upstream, started, for_s, over)))
        return True

    async def _read(
        self, route: Route, upstream: Upstream, started: float, for_s: float, over: Callable[[], None]
    ) -> None:
        shown = False
        try:
            with anyio.CancelScope(deadline=clock.now() + for_s):
                while not upstream.finished:
                    batch = upstream.take() or await upstream.receive()
                    if has_content(batch) and not shown:
                        shown = True
                        route.tempo.firsts.add(clock.now() - started)
        except AttemptError:
            pass  # it was cut already; its breaker has heard what there was to hear
        finally:
            try:
                await close(upstream)
            finally:
                over()

    async def aclose(self) -> None:
        """End them all, and wait until they are."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        for task in tasks:
            await task.finished()
