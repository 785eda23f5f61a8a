"""What one call asks of the endpoints' limits: so many tokens, and its turn where others wait for room."""

from __future__ import annotations

from fallbackio.chain._line import Line, Place
from fallbackio.errors import ChainExhausted
from fallbackio.model import Request
from fallbackio.selection import Room, estimated_tokens

__all__ = ["Demand"]


class Demand:
    """One call's demand; the tokens are estimated when they first matter."""

    __slots__ = ("_line", "_place", "_request", "_tokens")

    def __init__(self, request: Request, line: Line) -> None:
        self._request = request
        self._line = line
        self._place: Place | None = None  # in the line, while it waits
        self._tokens: int | None = None

    def tokens(self) -> float:
        """What the request will be counted as, about."""
        if self._tokens is None:
            self._tokens = estimated_tokens(self._request.messages, self._request.params)
        return self._tokens

    def prompt_tokens(self) -> int:
        """What its prompt is counted as, about."""
        return estimated_tokens(self._request.messages, {})

    def may_enter(self, room: Room) -> bool:
        """Whether nobody who came before waits for this room."""
        return self._line.is_free(room, self._place)

    async def wait(self, rooms: frozenset[Room], until: float, max_queue: int) -> None:
        """Wait until there may be room, or this instant; raises `ChainExhausted` if too many do."""
        if self._place is not None:
            self._line.move(self._place, rooms)
        elif len(self._line) < max_queue:
            self._place = self._line.join(rooms)
        else:
            raise ChainExhausted(f"no endpoint has room, and {len(self._line)} calls wait (max_queue)")
        await self._place.turn(until)

    def leave_line(self) -> None:
        """It has what it wanted, or does not want it any more."""
        if self._place is not None:
            self._line.leave(self._place)
            self._place = None

    def something_ended(self) -> None:
        """A request of the call's is over, so whoever waits for room looks again."""
        self._line.call()
