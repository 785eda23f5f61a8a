"""One attempt, bounded in time: until the answer is whole, or until its commit point.

Every function here ends the try it was given, whatever happens: by an outcome, or by `cut` when
the caller was cancelled.  An answer that arrives in the tick of its deadline is delivered, not lost:
it is kept outside the scope that bounds it and looked for there first, and the scope ends a hair
later (`TICK_S`), since a timer set before the answer's own would otherwise fire before it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import anyio
from attrs import define

from fallbackio import clock
from fallbackio.chain._call import Try
from fallbackio.endpoint import Upstream
from fallbackio.errors import AttemptError, Phase
from fallbackio.model import Delta, Reply, Request, assemble

__all__ = ["TICK_S", "Opened", "ask", "ask_streaming", "close", "open_stream"]

# How long the clean-up of a cut request may take.  Over HTTP it takes no time at all; this bounds
# a user's own function behind `Endpoint.calling`.
CLOSE_GRACE_S = 1.0
# Above the resolution within which asyncio takes two instants for one (1e-9 s), below what matters.
TICK_S = 1e-6


async def ask(attempt: Try, request: Request) -> Reply:
    """A whole answer; raises the `AttemptError` it failed with."""
    reply: Reply | None = None
    try:
        # Cancelled by the attempt's own timer, or by a racing attempt that won.  The provider ends
        # its request before the cancellation leaves it.
        with anyio.CancelScope(deadline=attempt.started + attempt.limit_s + TICK_S):
            reply = await attempt.leg.route.provider.complete(request)
    except AttemptError as error:
        raise attempt.failed(error)  # noqa: B904 - it is the same error, with its place filled in
    except BaseException:  # the caller was cancelled, or a bug of ours: the permit goes back
        attempt.cut()
        raise
    if reply is None:
        raise attempt.timed_out(attempt.phase, attempt.limit_s)
    attempt.won(reply.usage)
    return reply


@define(eq=False)
class Opened:
    """A streamed answer past its commit point, and what of it has arrived."""

    attempt: Try
    upstream: Upstream
    deltas: list[Delta]


async def open_stream(attempt: Try, request: Request) -> Opened:
    """A streamed answer at its first content; the try goes on and is the caller's to end."""
    reading = _Reading(attempt, request)
    return Opened(attempt, await reading.until_content(), reading.deltas)


async def ask_streaming(attempt: Try, request: Request, idle_timeout: float | None) -> Reply:
    """A whole answer, asked for as a stream, so that a stall is seen long before its end."""
    reading = _Reading(attempt, request)
    upstream = await reading.until_content()
    await reading.until_end(upstream, idle_timeout)
    reply = assemble(reading.deltas)
    attempt.won(reply.usage)
    return reply


class _Reading:
    """What an attempt has read so far, kept where a timer cannot lose it."""

    def __init__(self, attempt: Try, request: Request) -> None:
        self.attempt = attempt
        self.request = request
        self.deltas: list[Delta] = []
        self.upstream: Upstream | None = None
        self.done = False

    async def until_content(self) -> Upstream:
        """Open the answer and read up to its first content, or to its end if it has none."""
        attempt = self.attempt
        try:
            with anyio.CancelScope(deadline=attempt.started + attempt.limit_s + TICK_S):
                self.upstream = await attempt.leg.route.provider.stream(self.request)
                await self._first_content(self.upstream)
        except BaseException as error:
            await self._broken(error)
            raise
        if self.upstream is None or not self.done:
            raise await self._timed_out(attempt.phase, attempt.limit_s)
        attempt.ttft_s = clock.now() - attempt.started
        return self.upstream

    async def until_end(self, upstream: Upstream, idle_timeout: float | None) -> None:
        """Read the rest; silence between two contents and the attempt's whole time are bounded."""
        attempt = self.attempt
        end = attempt.started + attempt.whole_s
        idle = math.inf if idle_timeout is None else idle_timeout
        self.done = upstream.finished
        try:
            with anyio.CancelScope(deadline=min(end, clock.now() + idle) + TICK_S) as scope:
                while not upstream.finished:
                    batch = upstream.take() or await upstream.receive()
                    self.deltas += batch
                    if has_progress(batch):
                        scope.deadline = min(end, clock.now() + idle) + TICK_S
                self.done = True
        except BaseException as error:
            await self._broken(error)
            raise
        if not self.done:
            silent = scope.deadline < end
            phase: Phase = "idle" if silent else "attempt"
            raise await self._timed_out(phase, idle if silent else attempt.whole_s)

    async def _first_content(self, upstream: Upstream) -> None:
        while not self.done:
            batch = upstream.take() or await upstream.receive()
            self.deltas += batch
            self.done = upstream.finished or has_content(batch)

    async def _broken(self, error: BaseException) -> None:
        if isinstance(error, AttemptError):
            self.attempt.failed(error)
        else:  # the caller was cancelled, or a bug of ours: the permit goes back
            self.attempt.cut()
        await close(self.upstream)

    async def _timed_out(self, phase: Phase, limit_s: float) -> AttemptError:
        error = self.attempt.timed_out(phase, limit_s)
        await close(self.upstream)
        return error


async def close(upstream: Upstream | None) -> None:
    """End a request that is not wanted any more, also in a cancelled scope."""
    if upstream is None or upstream.finished:
        return
    # We may get here cancelled, so a plain await that suspends would raise at once and leave the
    # provider generating.  HTTP closes without suspending; what takes longer than the grace is
    # dropped, because a stuck clean-up must not hold the caller's answer.
    with anyio.CancelScope(shield=True, deadline=clock.now() + CLOSE_GRACE_S):
        await upstream.aclose()


def has_content(batch: Sequence[Delta]) -> bool:
    """Whether anything in `batch` commits the answer."""
    return any(delta.is_content for delta in batch)


def has_progress(batch: Sequence[Delta]) -> bool:
    """Whether anything in `batch` shows that the answer goes on: content or reasoning."""
    return any(delta.is_content or delta.reasoning for delta in batch)
