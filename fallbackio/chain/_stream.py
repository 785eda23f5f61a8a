"""A streamed answer as the caller reads it.

Up to the commit point the coordinator may take another endpoint unseen; that happens while the
block is entered.  From there on the open answer belongs to the caller's task: no scope is held
across a `yield`, and the timers run only while we wait, so a slow consumer trips none of them.  An
answer that breaks then is mended as `on_break` says, or its break is raised; it never looks whole.
The odd rule: another endpoint is looked for in a task of the stream's own, which goes on while a
consumer who waits in slices is away, and ends with the block.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from types import TracebackType
from typing import Self

import anyio
import attrs

from fallbackio import clock
from fallbackio._draft import Draft
from fallbackio._tasks import OwnTask
from fallbackio.chain._attempt import Opened, close, give_up
from fallbackio.chain._call import Call
from fallbackio.chain._reading import Reading
from fallbackio.chain._resume import Overlap, may_continue
from fallbackio.chain._settings import OnBreak
from fallbackio.chain._try import Try
from fallbackio.errors import AttemptError, ConfigError, FallbackError, StreamBroken, TimedOut
from fallbackio.model import Delta, Reply, Report, Restarted, Usage

__all__ = ["Stream"]


class Stream:
    """An answer that is read piece by piece; `chain.stream` makes one.

    Only `async with`, so that leaving the block always ends the upstream request.  Entering it
    waits for the first content, fails over freely until then, and raises what `complete` would.
    Iterating yields `Delta`s; if the answer breaks later, it is mended as the chain's `on_break`
    says, or `StreamBroken` is raised.

    Example:
        >>> async with chain.stream("Tell a story.") as stream:
        ...     async for delta in stream:
        ...         print(delta.text, end="")
        >>> stream.reply.finish_reason, stream.report.endpoint
        ('stop', 'openai/gpt-6-luna')
    """

    def __init__(
        self,
        begin: Callable[[], Call],
        open_answer: Callable[[Call], Awaitable[Opened]],
    ) -> None:
        self._begin = begin
        self._open_answer = open_answer
        self._call: Call | None = None
        self._reading: Reading | None = None
        self._over = False
        self._reply: Reply | None = None
        self._ready: deque[Delta] = deque()  # arrived, not yet handed over
        self._given = Draft()  # handed over; the reply and the partial text are made of them
        self._overlap: Overlap | None = None  # at a seam, while it may still repeat what came before
        self._rescue: OwnTask | None = None  # looks for another endpoint, or has found none, after a break
        self._is_waited_for = False  # somebody is in `_refill`

    async def __aenter__(self) -> Self:
        if self._call is not None:
            raise ConfigError("a stream can be entered only once; call chain.stream() again")
        call = self._call = self._begin()
        opened = await self._open_answer(call)
        call.ttft_s = clock.now() - call.started
        self._read_from(call, opened)
        return self

    def _read_from(self, call: Call, opened: Opened) -> None:
        self._ready.extend(opened.deltas)
        self._reading = Reading(opened, call.limits, call.deadline - clock.now())

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self._end_rescue()
        finally:
            await self._leave(raises=error is None)

    async def _end_rescue(self) -> None:
        """End what looks for another endpoint, if it still does; what it failed with is in the ledger."""
        if self._rescue is None:
            return
        # Shielded, because we may be cancelled, and nothing may outlive the block.  Its own clean-up is
        # bounded.
        with anyio.CancelScope(shield=True), suppress(Exception):
            await self._rescue.ended()

    async def _leave(self, *, raises: bool) -> None:
        call, reading = self._call, self._reading
        if call is None or reading is None or self._over:
            return
        reading.done()
        broken: StreamBroken | None = None
        read = not self._ready and reading.tally.has_ended and self._rescue is None
        if read:  # all of it, only not past its end
            broken = self._end(call, reading)
        else:
            self._ready.clear()
            self._over = True
            reading.attempt.cut(reading.tally.pieces)
            call.left()
        await close(reading.upstream)
        if broken is not None and raises:
            raise broken

    def _end(self, call: Call, reading: Reading) -> StreamBroken | None:
        """The answer's end; what is to be raised if it only looked whole."""
        try:
            reading.tally.check()
        except AttemptError as error:
            reading.attempt.failed(error, Usage(completion_tokens=reading.tally.pieces))
            broken = self._broken(call, error)
            broken.__cause__ = error
            return broken
        self._finish(call, reading.attempt)
        return None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Delta:
        if not self._ready:
            await self._refill()
        if not self._ready:
            raise StopAsyncIteration
        delta = self._ready.popleft()
        self._given.add(delta)
        return delta

    @property
    def endpoint(self) -> str:
        """Name of the endpoint that answers.

        Raises:
            ConfigError: Before the block is entered.
        """
        if self._reading is None:
            raise ConfigError("a stream has no endpoint before it is entered")
        return self._reading.attempt.leg.route.spec.name

    @property
    def report(self) -> Report:
        """What was tried; who answered, once the answer has been read.

        Raises:
            ConfigError: Before the block is entered.
        """
        if self._call is None:
            raise ConfigError("a stream has no report before it is entered")
        return self._call.report() if self._reply is None else self._reply.report

    @property
    def reply(self) -> Reply:
        """The whole answer, once it has been read to its end.

        Raises:
            ConfigError: Before that; `text` has what was read so far.
        """
        if self._reply is None:
            raise ConfigError("the answer is not whole: read the stream to its end first")
        return self._reply

    @property
    def text(self) -> str:
        """The text of the first choice read so far."""
        return self._given.text

    async def _refill(self) -> None:
        """Get more deltas, mend the answer if it breaks, or find that it has ended.

        A wait that is cancelled leaves the stream open, so that a consumer may wait in slices; it is
        leaving the block that ends the request.
        """
        if self._call is None or self._reading is None:
            raise ConfigError("enter the stream first: async with chain.stream(...) as stream")
        if self._is_waited_for:
            raise ConfigError("another task is waiting for this stream; one at a time can read it")
        self._is_waited_for = True
        try:
            while not self._ready and (self._rescue is not None or not self._over):
                await self._more(self._call, self._reading)
        finally:
            self._is_waited_for = False
        if self._over and self._reply is None:
            raise StreamBroken("the stream was ended before its answer was whole", partial=self.text)

    async def _more(self, call: Call, reading: Reading) -> None:
        if self._rescue is None:
            try:
                batch = await reading.next_batch()
            except AttemptError as error:
                if self._over:  # the block was left while we waited, which is what broke it
                    return
                # A task of its own, because a consumer who waits in slices must find it where it was.
                self._rescue = OwnTask(partial(self._mend, call, reading, error))
            else:
                if not self._over:
                    await self._take_in(call, reading, batch)
                return
        rescue = self._rescue
        await rescue.finished()
        self._rescue = None
        await rescue.ended()

    async def _take_in(self, call: Call, reading: Reading, batch: list[Delta]) -> None:
        if batch:
            self._ready.extend(batch if self._overlap is None else self._trimmed(batch))
            return
        self._finish(call, reading.attempt)
        await close(reading.upstream)  # where only the terminator was missing

    def _finish(self, call: Call, attempt: Try) -> None:
        self._over = True
        reply = attempt.named(self._given.reply())
        attempt.won(reply.usage)
        self._reply = call.answered(reply)

    async def _mend(self, call: Call, reading: Reading, error: AttemptError) -> None:
        """Find another endpoint's answer to read on from; raises `StreamBroken` if there is none."""
        broken = reading.attempt
        reading.done()
        if isinstance(error, TimedOut) and error.phase == "attempt":
            broken.cut(reading.tally.pieces)  # the call's time ran out while content flowed: nobody's fault
            await close(reading.upstream)
            raise self._broken(call, error) from error
        await give_up(broken, reading.upstream, reading.tally.pieces, error)
        how = self._remedy(call, broken)
        if how == "raise" or not call.broke(broken, error, reading.left_s):
            raise self._broken(call, error) from error
        text = self.text
        call.continuing = text if how == "continue" else ""
        try:
            opened = await self._open_answer(call)
        except FallbackError:
            # What failed first is what broke the answer; the rest is in the ledger.
            raise self._broken(call, error) from error
        except BaseException:
            self._over = True
            raise
        call.resumed(broken, opened.attempt, how, len(text))
        self._take_over(opened, how, text)
        self._reading = Reading(opened, call.limits, call.deadline - clock.now())
        self._rescue = None

    def _remedy(self, call: Call, broken: Try) -> OnBreak:
        for how in call.setup.delivery.remedies:
            if how != "continue" or not self._given.is_begun or self._continues(call, broken):
                return how
        return "raise"

    def _continues(self, call: Call, broken: Try) -> bool:
        # Of several choices the others may not have begun, and would be taken to go on from this one.
        return broken.choices == 1 and self._given.is_plain and may_continue(call.request)

    def _take_over(self, opened: Opened, how: OnBreak, text: str) -> None:
        if how == "restart":
            self._given = Draft()
            self._overlap = None
            self._ready.append(Restarted())
            self._ready.extend(opened.deltas)
        else:
            self._overlap = Overlap(text)
            self._ready.extend(self._trimmed(opened.deltas))

    def _trimmed(self, batch: Sequence[Delta]) -> list[Delta]:
        """The deltas of a continuation without what they repeat; the first that is left is the seam."""
        kept = [self._compared(delta) for delta in batch]
        return [delta for delta in kept if delta is not None]

    def _compared(self, delta: Delta) -> Delta | None:
        overlap, ends = self._overlap, delta.finish_reason is not None
        if overlap is None or not (delta.text or ends):
            return delta
        text = overlap.feed(delta.text)
        if ends:  # nothing more comes to compare with
            text += overlap.end()
        if text:
            self._overlap = None
            return attrs.evolve(delta, text=text, seam=True)
        # Held back or dropped; what else it says goes on.
        bare = attrs.evolve(delta, text="", logprobs=None)
        said = ends or bare.usage or bare.reasoning or bare.tool_calls or bare.refusal or bare.extra
        return bare if said else None

    def _broken(self, call: Call, error: AttemptError) -> StreamBroken:
        self._over = True
        broken = StreamBroken(f"the answer broke off: {error}", partial=self.text)
        call.closed(broken)
        return broken
