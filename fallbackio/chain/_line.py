"""The lines of calls that wait for room, first come, first served.

Calls that wait for the same rooms stand in one line.  Whoever is first in his looks whether anything
has become free: when a request ends, or at the instant at which a limit will have refilled.  Nobody
overtakes: while anyone waits for a room, no later call enters it; but who waits for one room keeps
nobody from another.
"""

from __future__ import annotations

import itertools
from bisect import bisect_left, insort
from operator import attrgetter

import anyio

from fallbackio.selection import Room

__all__ = ["Line", "Place"]

_ticket = attrgetter("ticket")


class Place:
    """One call's place; the lower its ticket, the earlier it came."""

    __slots__ = ("_called", "rooms", "ticket")

    def __init__(self, ticket: int, rooms: frozenset[Room]) -> None:
        self.ticket = ticket
        self.rooms = rooms
        self._called = anyio.Event()

    async def turn(self, until: float) -> None:
        """Wait until something may have become free, or this instant."""
        # Cancelled by the instant or by the caller's scopes.
        with anyio.CancelScope(deadline=until):
            await self._called.wait()
        self._called = anyio.Event()

    def call(self) -> None:
        """Look again."""
        self._called.set()


class Line:
    """All that wait in one chain, by the rooms that they wait for."""

    __slots__ = ("_lines", "_tickets")

    def __init__(self) -> None:
        self._lines: dict[frozenset[Room], list[Place]] = {}  # none of them empty
        self._tickets = itertools.count()

    def __len__(self) -> int:
        return sum([len(line) for line in self._lines.values()])

    def is_free(self, room: Room, place: Place | None) -> bool:
        """Whether nobody who came before `place` waits for `room`; `None` comes last."""
        for rooms, line in self._lines.items():
            if room in rooms and (place is None or line[0].ticket < place.ticket):
                return False
        return True

    def join(self, rooms: frozenset[Room]) -> Place:
        """A place at the end."""
        place = Place(next(self._tickets), rooms)
        self._lines.setdefault(rooms, []).append(place)
        return place

    def move(self, place: Place, rooms: frozenset[Room]) -> None:
        """It waits for other rooms now, since when it came."""
        if rooms != place.rooms:
            self.leave(place)
            place.rooms = rooms
            insort(self._lines.setdefault(rooms, []), place, key=_ticket)

    def leave(self, place: Place) -> None:
        """Take a place out; those who come after it look again if it was the first."""
        line = self._lines[place.rooms]
        at = bisect_left(line, place.ticket, key=_ticket)
        del line[at]
        if not line:
            del self._lines[place.rooms]
        if at == 0:
            self.call()

    def call(self) -> None:
        """There may be room: whoever is first looks again."""
        for line in self._lines.values():
            line[0].call()

    def dismiss(self) -> None:
        """There will be no more room: all look again."""
        for line in self._lines.values():
            for place in line:
                place.call()
