"""An event loop in a thread of its own, for the functions that block.

`completion` works where an event loop is running as well, as LiteLLM's does: it blocks that loop, but
not this one.  The thread begins with the first blocking call and ends with the program; a forked child
begins one of its own.  Whoever waits owns what it waits for: when the wait ends by an exception
(Ctrl-C), the call in the other thread is cancelled.
"""

from __future__ import annotations

import atexit
import os
import threading
from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio
from anyio.from_thread import BlockingPortal

__all__ = ["Portal"]

T = TypeVar("T")

# What the end of the program waits for connections to be closed.
END_S = 3.0


class Portal:
    """Runs async functions from any thread, in one loop that lives as long as the program.

    Example:
        >>> Portal().call(partial(acompletion, model="gpt-6-luna", messages=messages))
    """

    def __init__(self) -> None:
        self._starting = threading.Lock()
        self._pid = 0  # of the process in which the thread lives
        self._portal: BlockingPortal | None = None
        self._thread: threading.Thread | None = None

    def call(self, function: Callable[[], Awaitable[T]]) -> T:
        """What the function gives or raises, after blocking until it is over."""
        waiting = self._running().start_task_soon(function)
        try:
            return waiting.result()
        except BaseException:
            waiting.cancel()  # does nothing where it is the function that raised
            raise

    def _running(self) -> BlockingPortal:
        with self._starting:
            if self._portal is None or self._pid != os.getpid():
                self._pid = os.getpid()
                self._portal = self._start()
            return self._portal

    def _start(self) -> BlockingPortal:
        ready: list[BlockingPortal] = []
        begun = threading.Event()

        async def serve() -> None:
            async with BlockingPortal() as portal:
                ready.append(portal)
                begun.set()
                await portal.sleep_until_stopped()

        # A daemon, because a program that never closes anything must still be able to end.
        self._thread = threading.Thread(
            target=anyio.run, args=(serve,), name="fallbackio.compat.litellm", daemon=True
        )
        self._thread.start()
        begun.wait()
        atexit.register(self._end, os.getpid())
        return ready[0]

    def _end(self, pid: int) -> None:
        """The loop ends as `asyncio.run` ends one, and with it its connections."""
        if pid != os.getpid() or self._portal is None or self._thread is None:
            return
        self._portal.start_task_soon(self._portal.stop, True)
        self._thread.join(END_S)
