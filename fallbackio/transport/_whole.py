"""A whole answer, or an async generator of pieces, read like a stream."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from fallbackio.errors import BadAnswer
from fallbackio.model import Delta
from fallbackio.transport._failures import from_callers_code

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

    async def aclose(self) -> None:
        self.finished = True


class Pieces:
    """The answer of a user's async generator; its end is the answer's end."""

    def __init__(self, pieces: AsyncGenerator[Delta | str, None]) -> None:
        self._pieces = pieces
        self._ended = False  # whether a finish reason was given
        self.finished: bool = False

    def take(self) -> list[Delta]:
        return []

    async def receive(self) -> list[Delta]:
        try:
            piece = await anext(self._pieces)
        except StopAsyncIteration:
            self.finished = True
            return [] if self._ended else [Delta(finish_reason="stop")]
        except Exception as error:
            raise from_callers_code(error) from error
        delta = Delta(piece) if isinstance(piece, str) else piece
        if not isinstance(delta, Delta):
            raise BadAnswer(f"the function yielded {type(piece).__name__}, not a Delta or a string")
        self._ended = self._ended or delta.finish_reason is not None
        return [delta]

    async def aclose(self) -> None:
        await self._pieces.aclose()
