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
from fallbackio.chain._attempt import TICK_S, Opened, close, has_ended, has_progress
from fallbackio.chain._call import Call
from fallbackio.endpoint import Upstream
from fallbackio.errors import AttemptError, ConfigError, StreamBroken, TimedOut
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
        self._entered = False
        self._reading: _Reading | None = None
        self._ready: deque[Delta] = deque()  # arrived, not yet handed over
        self._given: list[Delta] = []  # handed over; the reply and the partial text are made of them

    async def __aenter__(self) -> Self:
        if self._entered:
            raise ConfigError("a stream can be entered only once; call chain.stream() again")
        self._entered = True
        call = self._begin()
        opened = await self._open_answer(call)
        self._ready.extend(opened.deltas)
        self._reading = _Reading(call, opened)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        reading = self._reading
        if reading is None or reading.over:
            return
        if not self._ready and has_ended(self._given):
            reading.finish(self._given)  # all of it was read, only not past its end
            await close(reading.upstream)
        else:
            self._ready.clear()
            await reading.leave()

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
        """What was tried; who answered, once the answer has been read.

        Raises:
            ConfigError: Before the block is entered.
        """
        if self._reading is None:
            raise ConfigError("a stream has no report before it is entered")
        return self._reading.report

    @property
    def endpoint(self) -> str:
        """Name of the endpoint that answers.

        Raises:
            ConfigError: Before the block is entered.
        """
        if self._reading is None:
            raise ConfigError("a stream has no endpoint before it is entered")
        return self._reading.endpoint

    @property
    def reply(self) -> Reply:
        """The whole answer, once it has been read to its end.

        Raises:
            ConfigError: Before that; `text` has what was read so far.
        """
        if self._reading is None or self._reading.reply is None:
            raise ConfigError("the answer is not whole: read the stream to its end first")
        return self._reading.reply

    @property
    def text(self) -> str:
        """The text of the first choice read so far."""
        return "".join([delta.text for delta in self._given if delta.index == 0])

    async def _refill(self) -> None:
        """Get more deltas, or find that the answer has ended.

        A wait that is cancelled leaves the stream open, so that a consumer may wait in slices; it is
        leaving the block that ends the request.
        """
        reading = self._reading
        if reading is None:
            raise ConfigError("enter the stream first: async with chain.stream(...) as stream")
        if reading.over:
            if reading.reply is None:
                raise StreamBroken("the stream was ended before its answer was whole", partial=self.text)
            return
        try:
            batch = await reading.next_batch()
        except AttemptError as error:
            if not (isinstance(error, TimedOut) and has_ended(self._given)):
                raise await reading.broken(error, self.text) from error
            await close(reading.upstream)  # only the terminator is missing
            batch = []
        if batch:
            self._ready.extend(batch)
        else:
            reading.finish(self._given)


class _Reading:
    """The open answer, and what its two timers have left.

    Both count only the time spent waiting for the provider.
    """

    def __init__(self, call: Call, opened: Opened) -> None:
        self.upstream: Upstream = opened.upstream
        self.over = False
        self.reply: Reply | None = None
        self._call = call
        self._attempt = opened.attempt
        now = clock.now()
        call.ttft_s = now - call.started
        idle = call.limits.idle_timeout
        self._whole_idle_s = math.inf if idle is None else idle
        self._idle_s = self._whole_idle_s  # full again with each content
        self._left_s = call.deadline - now

    @property
    def endpoint(self) -> str:
        return self._attempt.leg.route.spec.name

    @property
    def report(self) -> Report:
        return self._call.report() if self.reply is None else self.reply.report

    async def next_batch(self) -> list[Delta]:
        """What came next; empty at the answer's end."""
        batch = self.upstream.take()
        while not batch and not self.upstream.finished:
            batch = await self._wait()
        if has_progress(batch):
            self._idle_s = self._whole_idle_s
        return batch

    async def _wait(self) -> list[Delta]:
        patience = min(self._left_s, self._idle_s)
        if patience == math.inf:
            return await self.upstream.receive()
        batch: list[Delta] | None = None
        began = clock.now()
        # Cancelled by this timer or by the caller's scopes.
        with anyio.CancelScope(deadline=began + patience + TICK_S):
            batch = await self.upstream.receive()
        if batch is None:
            raise self._silence()
        waited = clock.now() - began
        self._left_s -= waited
        self._idle_s -= waited
        return batch

    def _silence(self) -> TimedOut:
        if self._idle_s <= self._left_s:
            return TimedOut(phase="idle", limit_s=self._whole_idle_s)
        return TimedOut(phase="attempt", limit_s=self._call.deadline - self._call.started)

    async def broken(self, error: AttemptError, text: str) -> StreamBroken:
        """The answer has broken; what the caller hears."""
        self.over = True
        if isinstance(error, TimedOut) and error.phase == "attempt":
            self._attempt.cut()  # the call's time ran out while content flowed: nobody's fault
        else:
            self._attempt.failed(error)
        await close(self.upstream)
        broken = StreamBroken(f"the answer broke off: {error}", partial=text)
        self._call.closed(broken)
        return broken

    async def leave(self) -> None:
        """The caller wants no more of it."""
        self.over = True
        self._call.left()
        await close(self.upstream)

    def finish(self, deltas: list[Delta]) -> None:
        """The answer has come to its end."""
        self.over = True
        reply = assemble(deltas)
        self._attempt.won(reply.usage)
        self.reply = self._call.answered(reply)
