"""A streamed answer as the caller reads it.

Up to the first content the coordinator may take another endpoint unseen; that happens while the
block is entered.  From there on the open answer belongs to the caller's task.  Each wait for the
provider has a scope of its own, so no scope is held across a `yield`, and the timers run only
while we wait: a slow consumer trips none of them.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self

import anyio

from fallbackio import clock
from fallbackio.chain._attempt import TICK_S, Opened, close, has_progress
from fallbackio.chain._call import Call
from fallbackio.endpoint import Upstream
from fallbackio.errors import AttemptError, ConfigError, FallbackError, StreamBroken, TimedOut
from fallbackio.model import Delta, Reply, Report, assemble

__all__ = ["Stream"]


class Stream:
    """An answer that is read piece by piece; `chain.stream` makes one.

    Only `async with`, so that leaving the block always ends the upstream request.  Entering it
    waits for the first content, fails over freely until then, and raises what `complete` would.
    Iterating yields `Delta`s and raises `StreamBroken` if the answer breaks later.

    Example:
        >>> async with chain.stream("Tell a story.") as stream:
        ...     async for delta in stream:
        ...         print(delta.text, end="")
        >>> stream.reply.finish_reason, stream.report.endpoint
        ('stop', 'openai/gpt-4o')
    """

    def __init__(self, begin: Callable[[], Call], open_answer: Callable[[Call], Awaitable[Opened]]) -> None:
        self._begin = begin
        self._open_answer = open_answer
        self._call: Call | None = None
        self._opened: Opened | None = None
        self._over = False
        self._ready: deque[Delta] = deque()  # arrived, not yet handed over
        self._given: list[Delta] = []  # handed over; the reply and the partial text are made of them
        self._reply: Reply | None = None
        # The timers' state.  Both count only time spent waiting for the provider.
        self._left_s = math.inf  # of the call's timeout
        self._idle_s = math.inf  # of the idle timeout, full again with each content

    async def __aenter__(self) -> Self:
        if self._call is not None:
            raise ConfigError("a stream can be entered only once; call chain.stream() again")
        call = self._call = self._begin()
        opened = self._opened = await self._open_answer(call)
        call.ttft_s = clock.now() - call.started
        self._ready.extend(opened.deltas)
        self._left_s = call.deadline - clock.now()
        self._refill_idle()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._over or self._opened is None or self._call is None:
            return
        self._over = True
        self._call.left()
        await close(self._opened.upstream)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Delta:
        if not self._ready:
            await self._refill()
        if not self._ready:
            raise StopAsyncIteration
        delta = self._ready.popleft()
        self._given.append(delta)
        return delta

    @property
    def report(self) -> Report:
        """Who answers, and what was tried; complete once the answer is."""
        if self._call is None:
            raise ConfigError("a stream has no report before it is entered")
        return self._reply.report if self._reply is not None else self._call.report()

    @property
    def reply(self) -> Reply:
        """The whole answer, once iterating has come to its end.

        Raises:
            ConfigError: Before that; `text` has what was read so far.
        """
        if self._reply is None:
            raise ConfigError("the answer is not whole yet: read the stream to its end first")
        return self._reply

    @property
    def text(self) -> str:
        """The text of the first choice read so far."""
        return "".join([delta.text for delta in self._given if delta.index == 0])

    async def _refill(self) -> None:
        """Get more deltas, or find that the answer has ended."""
        if self._over:
            return
        if self._opened is None or self._call is None:
            raise ConfigError("enter the stream first: async with chain.stream(...) as stream")
        upstream = self._opened.upstream
        assert upstream is not None  # noqa: S101 - it was opened
        try:
            batch = upstream.take()
            while not batch and not upstream.finished:
                batch = await self._wait(upstream)
        except AttemptError as error:
            raise await self._broken(error) from error
        except BaseException:  # the caller was cancelled: the permit goes back, the request ends
            await self.__aexit__(None, None, None)
            raise
        if batch:
            self._ready.extend(batch)
            if has_progress(batch):
                self._refill_idle()
        else:
            self._finish()

    async def _wait(self, upstream: Upstream) -> list[Delta]:
        """Wait for the provider within what the timers have left."""
        batch: list[Delta] | None = None
        began = clock.now()
        patience = min(self._left_s, self._idle_s)
        if patience == math.inf:
            return await upstream.receive()
        # Only this timer or the caller's own scopes cancel it.
        with anyio.CancelScope(deadline=began + patience + TICK_S):
            batch = await upstream.receive()
        waited = clock.now() - began
        if batch is None:
            raise self._silence()
        self._left_s -= waited
        self._idle_s -= waited
        return batch

    def _silence(self) -> TimedOut:
        assert self._call is not None  # noqa: S101 - `_refill` has looked
        if self._idle_s <= self._left_s:
            return TimedOut(phase="idle", limit_s=self._call.limits.idle_timeout or 0.0)
        return TimedOut(phase="attempt", limit_s=self._call.timeout or 0.0)

    def _refill_idle(self) -> None:
        idle = self._call.limits.idle_timeout if self._call is not None else None
        self._idle_s = math.inf if idle is None else idle

    async def _broken(self, error: AttemptError) -> FallbackError:
        assert self._opened is not None and self._call is not None  # noqa: S101, PT018
        self._over = True
        if isinstance(error, TimedOut) and error.phase == "attempt":
            self._opened.attempt.cut()  # the call's time ran out while content flowed: nobody's fault
        else:
            self._opened.attempt.failed(error)
        await close(self._opened.upstream)
        return self._call.closed(StreamBroken(f"the answer broke off: {error}", partial=self.text))

    def _finish(self) -> None:
        assert self._opened is not None and self._call is not None  # noqa: S101, PT018
        self._over = True
        reply = assemble(self._given)
        self._opened.attempt.won(reply.usage)
        self._reply = self._call.answered(reply)
