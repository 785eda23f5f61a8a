"""Whether an answer is whole, plain or streamed; while one comes, its pieces are counted and not kept.

An answer is whole when as many choices as were asked for have their finish reason, and no tool call
breaks off.
"""

from __future__ import annotations

from collections.abc import Iterable

import orjson

from fallbackio.errors import BadAnswer, InvalidRequest
from fallbackio.model import Delta, Reply

__all__ = ["Tally", "check_whole"]


def check_whole(reply: Reply, wanted: int) -> None:
    """Raise the `AttemptError` of a plain answer that is not whole, as `Tally.check` does for a stream."""
    _check_choices(len(reply.choices), wanted)
    for choice in reply.choices:
        if choice.finish_reason != "length":
            for call in choice.message.tool_calls:
                if call.type == "function":
                    _check_arguments(call.function.arguments)


def _check_arguments(arguments: str) -> None:
    try:
        orjson.loads(arguments or "{}")
    except orjson.JSONDecodeError:
        raise BadAnswer("a tool call's arguments break off") from None


def _check_choices(came: int, wanted: int) -> None:
    """Raise `InvalidRequest` where an endpoint ignores `n`: its answer is not the one asked for."""
    if came < wanted:
        text = f"it gave {came} choice{'' if came == 1 else 's'} in place of n={wanted}"
        raise InvalidRequest(text, everywhere=False)


class Tally:
    """One attempt's answer so far.

    Attributes:
        pieces: Pieces of content: what was certainly charged for, where no usage was said.
    """

    __slots__ = ("_arguments", "_ended", "_limited", "_seen", "_wanted", "pieces")

    def __init__(self, deltas: Iterable[Delta], choices: int) -> None:
        self.pieces = 0
        self._wanted = choices
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
        """Every choice that was asked for has its finish reason."""
        return len(self._ended) >= self._wanted and self._ended == self._seen

    def check(self) -> None:
        """Raise the `AttemptError` of an answer that claims to be whole, and is not.

        A choice is missing (`InvalidRequest`), or a tool call's arguments break off (`BadAnswer`).  A
        length limit may cut these, and says so in its finish reason; a custom tool takes any text.
        """
        _check_choices(len(self._seen), self._wanted)
        for (choice, _), pieces in self._arguments.items():
            if choice not in self._limited:
                _check_arguments("".join(pieces))
