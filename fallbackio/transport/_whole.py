"""A whole answer, read like a stream."""

from __future__ import annotations

from collections.abc import Callable

from fallbackio.model import Delta

__all__ = ["Whole"]


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
