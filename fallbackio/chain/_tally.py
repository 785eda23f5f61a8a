"""What is counted of an answer while it comes; the pieces themselves are not kept."""

from __future__ import annotations

from collections.abc import Iterable

import orjson

from fallbackio.errors import BadAnswer
from fallbackio.model import Delta

__all__ = ["Tally"]


class Tally:
    """One attempt's answer so far.

    Attributes:
        pieces: Pieces of content: what was certainly charged for, where no usage was said.
    """

    __slots__ = ("_arguments", "_ended", "_limited", "_seen", "pieces")

    def __init__(self, deltas: Iterable[Delta]) -> None:
        self.pieces = 0
        self._seen: set[int] = set()
        self._ended: set[int] = set()
        self._limited: set[int] = set()  # choices that end at a length limit
        self._arguments: dict[tuple[int, int], list[str]] = {}  # of function calls, by choice and call
        self.add(deltas)

    def add(self, deltas: Iterable[Delta]) -> None:
        """Count these too."""
        for delta in deltas:
            self._seen.add(delta.index)
            if delta.is_content:
                self.pieces += 1
            if delta.finish_reason is not None:
                self._ended.add(delta.index)
                if delta.finish_reason == "length":
                    self._limited.add(delta.index)
            for part in delta.tool_calls:
                if part.type == "function":
                    self._arguments.setdefault((delta.index, part.index), []).append(part.arguments)

    @property
    def has_ended(self) -> bool:
        """Every choice has its finish reason."""
        return bool(self._ended) and self._ended == self._seen

    def check_calls(self) -> None:
        """Raise `BadAnswer` for a tool call whose arguments break off although the answer claims to be whole.

        A length limit may cut them, and says so in its finish reason; a custom tool takes any text.
        """
        for (choice, _), pieces in self._arguments.items():
            if choice not in self._limited:
                try:
                    orjson.loads("".join(pieces) or "{}")
                except orjson.JSONDecodeError:
                    raise BadAnswer("a tool call's arguments break off") from None
