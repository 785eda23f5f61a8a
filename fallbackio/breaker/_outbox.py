"""Tells observers what happened, afterwards, in order, and whatever they do.

News is posted while the breaker is in the middle of something and sent when it is done.  Two rules
bite in practice: what an observer raises is logged once per observer and goes no further, and news
that an observer causes waits until everybody has heard the news before it.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from fallbackio._log import say

__all__ = ["Outbox", "Waiting"]


class Waiting(Protocol):
    """Somebody who waits for what a breaker guards, and may go elsewhere when it opens."""

    def tripped(self) -> None:
        """The breaker has opened."""
        ...


class Outbox:
    """Calls due to observers."""

    def __init__(self) -> None:
        # (observer, what to call), oldest first; public because looking is cheaper than calling `send`.
        self.waiting: deque[tuple[object, Callable[[], object]]] = deque()
        self._failed: list[object] = []  # observers complained about; by identity, they may not hash

    def post(self, observer: object, call: Callable[[], object]) -> None:
        """Keep `call` for the next `send`."""
        self.waiting.append((observer, call))

    def send(self) -> None:
        """Make all calls that are due, also those posted meanwhile."""
        # Oldest first, also when an observer brings us here again from within.
        while self.waiting:
            self.guarded(*self.waiting.popleft(), default=None)

    def guarded(self, observer: object, call: Callable[[], Any], default: Any) -> Any:
        """What `call` returns, or `default` if it raises."""
        try:
            return call()
        except Exception:  # noqa: BLE001 -- code of the user's; it only watches and must change nothing
            self._complain(observer)
            return default

    def _complain(self, observer: object) -> None:
        if any(observer is known for known in self._failed):
            return
        self._failed.append(observer)
        say(
            logging.ERROR,
            "%s failed while observing a breaker; logged once",
            type(observer).__qualname__,
            exc_info=True,
        )
