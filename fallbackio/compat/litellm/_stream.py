"""A streamed answer in LiteLLM's manner: an iterator that nobody has to close.

It is read with `async for` (or `for`) alone.  Read to its end, closed, or left to be collected, it ends
the request upstream; a stream that is left in mid-answer while something still holds it goes on until
that is let go, as Python cannot see that nobody reads it any more.  `async with response:` ends it at
once.  The odd rule: usage comes in a last chunk, and only if `stream_options` asked for it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from functools import partial
from types import TracebackType
from typing import Self

import attrs

from fallbackio.chain import Stream
from fallbackio.compat.litellm._fields import ModelResponseStream, hidden_params
from fallbackio.compat.litellm._keep import Keeper
from fallbackio.compat.litellm._portal import Portal
from fallbackio.compat.litellm.exceptions import translated
from fallbackio.errors import FallbackError
from fallbackio.model import Attempt, Delta, Report, Usage

__all__ = ["AsyncStreamWrapper", "CustomStreamWrapper", "SyncStreamWrapper"]


class CustomStreamWrapper:
    """A streamed answer; `acompletion(stream=True)` gives one for `async for`, `completion` for `for`.

    Example:
        >>> isinstance(response, litellm.CustomStreamWrapper)
        True
    """

    def __init__(self, report: Callable[[], Report]) -> None:
        self._told = report

    @property
    def report(self) -> Report:
        """What was tried; who answered, once the answer has been read."""
        return self._told()

    @property
    def _hidden_params(self) -> dict[str, object]:
        return hidden_params(self.report)


class AsyncStreamWrapper(CustomStreamWrapper):
    """A streamed answer, read with `async for`.

    Example:
        >>> async for chunk in await acompletion(model="gpt-6-luna", messages=messages, stream=True):
        ...     print(chunk.choices[0].delta.content or "", end="")
    """

    def __init__(
        self, stream: Stream, before: tuple[Attempt, ...], keeper: Keeper, *, tells_usage: bool
    ) -> None:
        super().__init__(partial(_report, stream, before))
        self._stream = stream
        self._keeper = keeper
        self._tells_usage = tells_usage
        self._model = ""
        self._id = ""
        self._role: str | None = "assistant"  # of the first chunk only
        self._usage: Usage | None = None
        self._ready: deque[ModelResponseStream] = deque()
        self._over = False

    @classmethod
    async def of(cls, stream: Stream, before: tuple[Attempt, ...], *, tells_usage: bool) -> Self:
        """One over a stream that has been entered."""
        # The keeper holds the stream, never the wrapper: whoever drops that, ends the stream.
        keeper = await Keeper.of(partial(stream.__aexit__, None, None, None))
        return cls(stream, before, keeper, tells_usage=tells_usage)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> ModelResponseStream:
        while not self._ready:
            if self._over:
                raise StopAsyncIteration
            await self._read()
        return self._ready.popleft()

    async def _read(self) -> None:
        """One more delta.  A wait that is cancelled leaves the stream open, to be read on."""
        try:
            delta = await anext(self._stream, None)
        except FallbackError as error:
            self._over = True
            await self._keeper.aclose()
            raise translated(error) from error
        if delta is None:
            self._over = True
            if self._tells_usage and self._usage is not None:
                self._ready.append(ModelResponseStream.of_usage(self._usage, self._id, self._model))
            await self._keeper.aclose()
            return
        self._take(delta)

    def _take(self, delta: Delta) -> None:
        self._usage = delta.usage or self._usage
        self._model = delta.model or self._model
        self._id = delta.id or self._id
        if delta.is_content or delta.reasoning or delta.extra or delta.finish_reason is not None:
            self._ready.append(ModelResponseStream.of(delta, self._model, self._role))
            self._role = None

    async def aclose(self) -> None:
        """End the request upstream; a second time does nothing."""
        self._over = True
        self._ready.clear()
        await self._keeper.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()


class SyncStreamWrapper(CustomStreamWrapper):
    """A streamed answer, read with `for`; each chunk blocks until it is there.

    Example:
        >>> for chunk in completion(model="gpt-6-luna", messages=messages, stream=True):
        ...     print(chunk.choices[0].delta.content or "", end="")
    """

    def __init__(self, chunks: AsyncStreamWrapper, portal: Portal) -> None:
        super().__init__(lambda: chunks.report)
        self._chunks = chunks
        self._portal = portal

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> ModelResponseStream:
        chunk = self._portal.call(self._next)
        if chunk is None:
            raise StopIteration
        return chunk

    # An exception of the protocol of iterators would not come through a thread's future as it is.
    def _next(self) -> Awaitable[ModelResponseStream | None]:
        return anext(self._chunks, None)

    def close(self) -> None:
        """End the request upstream; a second time does nothing."""
        self._portal.call(self._chunks.aclose)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _report(stream: Stream, before: tuple[Attempt, ...]) -> Report:
    report = stream.report
    return attrs.evolve(report, attempts=before + report.attempts) if before else report
