"""A whole answer, or an async generator of pieces, read like a stream."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from typing import Final

from fallbackio import clock
from fallbackio.errors import BadAnswer, ConnectionFailed
from fallbackio.model import Delta
from fallbackio.transport._checks import as_delta
from fallbackio.transport._guard import being_cancelled, guarded

__all__ = ["Pieces", "Whole"]


class Whole:
    """An answer that came in one piece."""

    def __init__(self, deltas: list[Delta]) -> None:
        self._deltas = deltas
        self.finished: bool = False

    def take(self) -> list[Delta]:
        deltas, self._deltas = self._deltas, []
        self.finished = True
        return deltas

    async def receive(self) -> list[Delta]:
        return self.take()

    def on_end(self, told: Callable[[], None]) -> None:
        told()

    async def aclose(self) -> None:
        self.finished = True


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
        self._ended = False  # whether a finish reason was given
        self._only_strings: bool | None = None  # `None` before the first piece
        # A generator that has raised or was cancelled is over for Python, and would look finished.
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
        self._broken = True  # unless we get past the next lines
        piece = await guarded(anext(self._pieces, _END), self._started)
        if piece is _END:
            return self._end()
        delta = as_delta(piece)
        self._broken = False
        self._ended = self._ended or delta.finish_reason is not None
        self._only_strings = isinstance(piece, str) and self._only_strings is not False
        return [delta]

    def _end(self) -> list[Delta]:
        if not (self._ended or self._only_strings):
            raise BadAnswer("the function's answer ended without a finish reason")
        self.finished = True
        for told in self._at_end:
            told()
        return [] if self._ended else [Delta(finish_reason="stop")]

    async def aclose(self) -> None:
        """End it; a clean-up that fails replaces neither an answer nor another error."""
        self._broken = True
        try:
            await self._pieces.aclose()
        except asyncio.CancelledError as error:
            if being_cancelled():
                raise
            self._unclean(error)
        except Exception as error:  # noqa: BLE001 - the user's own code may raise anything
            self._unclean(error)
