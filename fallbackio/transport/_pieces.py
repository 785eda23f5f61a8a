"""The answer of a user's async generator, read like a stream.

The generator runs in one task from its first piece to its clean-up, and only while a piece is wanted.  So
a scope or a timeout that it holds across its `yield`s stays in the task that entered it, whoever reads,
and a wait for a piece that is cancelled loses nothing: the next one goes on waiting.  The odd rule: a
deadline around the reader is not one around the generator, which is cancelled when it is closed.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from typing import Final

from fallbackio import clock
from fallbackio._tasks import OwnTask
from fallbackio.errors import AttemptError, BadAnswer, ConnectionFailed
from fallbackio.model import Delta
from fallbackio.transport._checks import as_delta
from fallbackio.transport._guard import being_cancelled, guarded

__all__ = ["Pieces"]

_END: Final = object()


class Pieces:
    """The answer of a user's async generator.

    Its end is the answer's end after a finish reason, or where there were only strings, which
    cannot give one.  `unclean` hears of a clean-up that failed.
    """

    def __init__(
        self, pieces: AsyncGenerator[Delta | str, None], unclean: Callable[[BaseException], None]
    ) -> None:
        self._pieces = pieces
        self._unclean = unclean
        self._started = clock.now()
        self._task: OwnTask | None = None
        self._wanted = asyncio.Event()  # set by who reads
        self._there = asyncio.Event()  # set by the task, with what it has got
        self._got: object = None  # a piece, the end, or why there is none
        self._waiting = False  # for a piece that was asked for and not yet taken
        self._ended = False  # whether a finish reason was given
        self._only_strings: bool | None = None  # `None` before the first piece
        # A generator that has raised or was closed is over for Python, and would look finished.
        self._broken = False
        self._at_end: list[Callable[[], None]] = []
        self.finished: bool = False

    def on_end(self, told: Callable[[], None]) -> None:
        self._at_end.append(told)

    def take(self) -> list[Delta]:
        return []

    async def receive(self) -> list[Delta]:
        if self.finished:
            return []
        if self._broken:
            raise ConnectionFailed("the function's answer was cut off before", local=True)
        self._ask()
        await self._there.wait()
        self._there.clear()
        self._waiting = False
        got, self._got = self._got, None
        self._broken = True  # unless we get past the next lines
        if isinstance(got, AttemptError):
            raise got
        if got is _END:
            return self._end()
        delta = as_delta(got)
        self._broken = False
        self._ended = self._ended or delta.finish_reason is not None
        self._only_strings = isinstance(got, str) and self._only_strings is not False
        return [delta]

    def _ask(self) -> None:
        """Have the generator go on to its next piece, unless it is on its way to one."""
        if not self._waiting:
            self._waiting = True
            self._wanted.set()
            self._task = self._task or OwnTask(self._run)

    async def _run(self) -> None:
        try:
            while not self._broken:
                await self._wanted.wait()
                self._wanted.clear()
                if not self._broken:
                    self._got = await self._next()
                    if self._got is _END or isinstance(self._got, AttemptError):
                        break
                    self._there.set()
        finally:
            # Before who reads hears of the end, so that nothing of the answer outlives it.  No scope of
            # ours may stand around this: the generator's own would have to be left inside it.
            await self._clean_up()
            self._there.set()

    async def _next(self) -> object:
        try:
            return await guarded(anext(self._pieces, _END), self._started)
        except AttemptError as error:
            return error

    def _end(self) -> list[Delta]:
        if not (self._ended or self._only_strings):
            raise BadAnswer("the function's answer ended without a finish reason")
        self.finished = True
        for told in self._at_end:
            told()
        return [] if self._ended else [Delta(finish_reason="stop")]

    async def aclose(self) -> None:
        """End it; a clean-up that fails replaces neither an answer nor another error.

        Who waits no longer for the clean-up cuts it off.
        """
        self._broken = True
        if self._task is None:
            await self._clean_up()
            return
        if self._waiting:
            self._task.cancel()
        self._wanted.set()
        try:
            await self._task.finished()
        finally:
            self._task.cancel()

    async def _clean_up(self) -> None:
        try:
            await self._pieces.aclose()
        except asyncio.CancelledError as error:
            if being_cancelled():
                raise
            self._unclean(error)
        except Exception as error:  # noqa: BLE001 - the user's own code may raise anything
            self._unclean(error)
