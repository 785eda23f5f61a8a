"""The line of calls that wait for room, first come, first served.

Whoever is first looks whether anything has become free: when a request ends, or at the instant at
which a limit will have refilled.  Nobody overtakes: while anyone waits, a newcomer waits too.
"""

from __future__ import annotations

from collections import deque

import anyio

__all__ = ["Line", "Place"]


class Place:
    """One call's place in the line."""

    __slots__ = ("_called", "_line")

    def __init__(self, line: Line) -> None:
        self._line = line
        self._called = anyio.Event()

    @property
    def is_first(self) -> bool:
        """Whether it is this call's turn to look."""
        return self._line.first is self

    async def turn(self, until: float) -> None:
        """Wait until something may have become free, or this instant."""
        # Cancelled by the instant or by the caller's scopes.
        with anyio.CancelScope(deadline=until):
            await self._called.wait()
        self._called = anyio.Event()

    def call(self) -> None:
        """Look again."""
        self._called.set()

    def leave(self) -> None:
        """It has what it wanted, or does not want it any more."""
        self._line.leave(self)


class Line:
    """All that wait in one chain."""

    __slots__ = ("_places",)

    def __init__(self) -> None:
        self._places: deque[Place] = deque()

    def __len__(self) -> int:
        return len(self._places)

    @property
    def first(self) -> Place | None:
        """Whose turn it is."""
        return self._places[0] if self._places else None

    def join(self) -> Place:
        """A place at the end."""
        place = Place(self)
        self._places.append(place)
        return place

    def leave(self, place: Place) -> None:
        """Take a place out; the next one is told if it was the first."""
        first = self.first is place
        if place in self._places:
            self._places.remove(place)
        if first:
            self.something_ended()

    def something_ended(self) -> None:
        """A request has ended, so there may be room."""
        if self._places:
            self._places[0].call()
