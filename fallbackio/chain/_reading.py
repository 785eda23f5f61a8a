"""Reading an open answer, with three timers that run only while we wait for the provider.

*Idle*: silence between two contents.  *Rate*: content comes, but at a crawl.  *Left*: what remains
of the attempt or the call.  Each wait has a scope of its own, so nothing is held while the consumer
is busy, and a wait that is cancelled leaves the answer open.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence

import anyio
import orjson

from fallbackio import clock
from fallbackio.chain._attempt import TICK_S, Opened, has_ended, has_progress
from fallbackio.chain._settings import Limits
from fallbackio.errors import BadAnswer, Phase, TimedOut
from fallbackio.model import Delta

__all__ = ["Reading"]


class Reading:
    """An open answer from its first content on; `deltas` is what of it has been read."""

    def __init__(self, opened: Opened, limits: Limits, left_s: float) -> None:
        self.attempt = opened.attempt
        self.upstream = opened.upstream
        self.deltas = opened.deltas
        self.left_s = left_s
        self._limit_s = left_s
        self._idle_s = math.inf if limits.idle_timeout is None else limits.idle_timeout
        self._silent_s = 0.0  # waited since the last content
        self._rate = None if limits.min_rate is None else _Rate(*limits.min_rate)
        self._only_the_terminator_is_missing = False  # a timer ran out after every finish reason had come

    async def next_batch(self) -> list[Delta]:
        """What comes next; empty at the answer's end.

        Raises the `AttemptError` that it broke with; after it the request still has to be closed.
        """
        batch = self.upstream.take()
        while not batch and not self.upstream.finished:
            batch = await self._wait()
            if not batch and self._only_the_terminator_is_missing:
                break
        self.deltas += batch
        if not batch:
            check_calls(self.deltas)
        if has_progress(batch):
            self._silent_s = 0.0
            if self._rate is not None:
                self._rate.add(sum(len(d.text) + len(d.reasoning) + len(d.refusal) for d in batch))
        return batch

    async def _wait(self) -> list[Delta]:
        patience, phase, limit_s = self._patience()
        if patience == math.inf:
            return await self.upstream.receive()
        batch: list[Delta] | None = None
        began = clock.now()
        # Cancelled by this timer or by the caller's scopes.
        with anyio.CancelScope(deadline=began + patience + TICK_S):
            batch = await self.upstream.receive()
        self._waited(clock.now() - began)
        if batch is not None:
            return batch
        if not has_ended(self.deltas):
            raise TimedOut(phase=phase, limit_s=limit_s)
        self._only_the_terminator_is_missing = True
        return []

    def _waited(self, seconds: float) -> None:
        self.left_s -= seconds
        self._silent_s += seconds
        if self._rate is not None:
            self._rate.waited_s += seconds

    def _patience(self) -> tuple[float, Phase, float]:
        """The shortest timer: what it has left, its name and its length."""
        shortest: tuple[float, Phase, float] = (self.left_s, "attempt", self._limit_s)
        if (quiet_s := self._idle_s - self._silent_s) < shortest[0]:
            shortest = (quiet_s, "idle", self._idle_s)
        if self._rate is not None and (slow_s := self._rate.left_s) < shortest[0]:
            shortest = (slow_s, "rate", self._rate.over_s)
        return shortest


def check_calls(deltas: Sequence[Delta]) -> None:
    """Raise `BadAnswer` for tool calls whose arguments break off although the answer claims to be whole.

    A length limit may cut them, and says so in its finish reason; a custom tool takes any text.
    """
    pieces: dict[tuple[int, int], list[str]] = {}
    limited = {delta.index for delta in deltas if delta.finish_reason == "length"}
    for delta in deltas:
        for part in delta.tool_calls:
            if part.type == "function" and delta.index not in limited:
                pieces.setdefault((delta.index, part.index), []).append(part.arguments)
    for arguments in pieces.values():
        try:
            orjson.loads("".join(arguments) or "{}")
        except orjson.JSONDecodeError:
            raise BadAnswer("a tool call's arguments break off") from None


class _Rate:
    """How much has come over the last `over_s` seconds of waiting."""

    def __init__(self, chars_per_s: float, over_s: float) -> None:
        self.over_s = over_s
        self.waited_s = 0.0
        self._least = chars_per_s * over_s
        self._came: deque[tuple[float, int]] = deque()  # (seconds waited by then, characters)

    def add(self, chars: int) -> None:
        """So many characters have come now."""
        while self._came and self._came[0][0] <= self.waited_s - self.over_s:
            self._came.popleft()
        self._came.append((self.waited_s, chars))

    @property
    def left_s(self) -> float:
        """Seconds of waiting without content after which the last `over_s` would hold too little."""
        enough = 0
        for at, chars in reversed(self._came):
            enough += chars
            if enough >= self._least:
                return max(at + self.over_s, self.over_s) - self.waited_s
        return self.over_s - self.waited_s if self.waited_s < self.over_s else 0.0
