"""Tool loops in the one form that every vendor takes.

Each assistant turn with tool calls is followed directly by one result for each call, in the calls'
order, and no id stands for two calls.  What an application, a trimmed history or a vendor without
ids made of a conversation is brought to that form; what was changed is noted.  A call that nothing
follows is refused, because there is nothing to go on from.

The odd rule: messages of a wrong shape are left for the encoders to refuse, who know where and why.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fallbackio.endpoint import Note
from fallbackio.errors import InvalidRequest

__all__ = ["repaired"]

Fields = Mapping[str, Any]

NO_RESULT = "No result: the call was not carried out."
LOST_CALL = "The result of an earlier tool call:"


def repaired(messages: tuple[Fields, ...], note: Note) -> tuple[Fields, ...]:
    """`messages` with every tool loop whole; the same tuple where they are already.

    Results move behind their calls, or become a user's text where the call is gone; of repeated ones
    the last counts; a call without one gets a stand-in; ids that are empty or stand twice are
    replaced.  `note` is told each kind of change.

    Raises:
        InvalidRequest: Nothing follows the last tool calls.

    Example:
        >>> repaired(({"role": "user", "content": "Hi"},), print)
        ({'role': 'user', 'content': 'Hi'},)
    """
    if _needs_nothing(messages) or not all(map(_well_formed, messages)):
        return messages
    repair = _Repair()
    result = repair.of(messages)
    for text in repair.notes:
        note(text)
    return result if repair.notes else messages


def _needs_nothing(messages: tuple[Fields, ...]) -> bool:
    """What nearly every conversation is, seen fast; a false `False` costs time only."""
    try:
        for message in messages:
            if message["role"] == "tool" or "tool_calls" in message:
                return _is_sound(messages)
    except (KeyError, TypeError):  # what is no message, or lacks a role
        return False
    return True


def _is_sound(messages: tuple[Fields, ...]) -> bool:
    ids: list[Any] = []
    owed: list[Any] = []  # the last one is due next
    for message in messages:
        role = message["role"]
        if role == "tool":
            if not owed or owed.pop() != message["tool_call_id"]:
                return False
        elif owed:
            return False
        elif "tool_calls" in message and role == "assistant":
            owed = [call["id"] for call in message["tool_calls"] or ()]
            ids += owed
            owed.reverse()
    return not owed and all(ids) and len(set(ids)) == len(ids)


def _well_formed(message: object) -> bool:
    """Whether calls and ids are where they belong; nothing else is looked at."""
    if not isinstance(message, Mapping):
        return False
    if message.get("role") == "tool":
        return _is_id(message.get("tool_call_id"))
    calls = message.get("tool_calls")
    return calls is None or (
        isinstance(calls, list | tuple)
        and all(isinstance(call, Mapping) and _is_id(call.get("id")) for call in calls)
    )


def _is_id(value: object) -> bool:
    return value is None or isinstance(value, str)


class _Call:
    """A call and its result, as far as it has been found."""

    __slots__ = ("id", "result", "wire")

    def __init__(self, wire: Fields) -> None:
        self.wire = wire
        self.id = wire.get("id") or ""
        self.result: Fields | None = None


class _Round:
    """An assistant turn with its calls."""

    __slots__ = ("calls", "turn")

    def __init__(self, turn: Fields) -> None:
        self.turn = turn
        self.calls = [_Call(wire) for wire in turn["tool_calls"]]

    def open(self, call_id: str) -> int | None:
        """Which of its calls waits for the result of `call_id`; one without an id answers in order."""
        waiting = [n for n, call in enumerate(self.calls) if call.result is None]
        named = [n for n in waiting if self.calls[n].id == call_id]
        return next(iter(named or (() if call_id else waiting)), None)

    def answered(self, call_id: str) -> int | None:
        """The last of its calls that has a result of `call_id`."""
        found = [n for n, call in enumerate(self.calls) if call_id and call.id == call_id and call.result]
        return found[-1] if found else None


class _Repair:
    """One conversation on its way to the common form, and what had to be done to it."""

    def __init__(self) -> None:
        self.notes: dict[str, None] = {}  # an ordered set
        self._rounds: list[_Round] = []
        # Where a result would stand right: the next call of the last round, if nothing came between.
        self._due: int | None = None

    def of(self, messages: Sequence[Fields]) -> tuple[Fields, ...]:
        entries = [entry for message in messages if (entry := self._entry(message)) is not None]
        if entries and isinstance(last := entries[-1], _Round):
            self._check_end(last)
        self._make_unique()
        said: list[Fields] = []
        for entry in entries:
            if isinstance(entry, _Round):
                said += self._written(entry)
            else:
                said.append(entry)
        return tuple(said)

    def _entry(self, message: Fields) -> _Round | Fields | None:
        """What stands in the conversation for `message`; a result that found its call stands there."""
        role = message.get("role")
        if role == "tool":
            return None if self._settle(message) else self._orphan(message)
        self._due = None
        if role != "assistant" or not message.get("tool_calls"):
            return message
        self._due = 0
        self._rounds.append(_Round(message))
        return self._rounds[-1]

    def _settle(self, result: Fields) -> bool:
        """Give `result` to a call in the nearest round before it that it can belong to.

        A round that has the call, answered already, is nearer than an earlier one that still waits: ids are
        repeated by vendors that count their calls anew in each answer.
        """
        call_id = result.get("tool_call_id") or ""
        for turn in reversed(self._rounds):
            place = turn.open(call_id)
            place = turn.answered(call_id) if place is None else place
            if place is not None:
                self._give(result, turn, place)
                return True
        return False

    def _give(self, result: Fields, turn: _Round, place: int) -> None:
        call = turn.calls[place]
        if call.result is not None:
            self._note("repeated tool results left out")
        elif turn is not self._rounds[-1] or self._due is None or place < self._due:
            self._note("tool results moved behind their calls")
        else:
            self._due = place + 1
        call.result = result

    def _orphan(self, result: Fields) -> Fields:
        self._note("tool results without a call turned into text")
        content = result.get("content")
        if isinstance(content, list | tuple):
            content = [{"type": "text", "text": LOST_CALL}, *content]
        elif content is None or isinstance(content, str):
            content = f"{LOST_CALL}\n{content or '(nothing)'}"
        return {"role": "user", "content": content}

    def _check_end(self, last: _Round) -> None:
        """Refuse to go on from calls that are still to be carried out."""
        missing = len(last.calls)
        if all(call.result is None for call in last.calls):
            calls = "call has no result" if missing == 1 else "calls have no results"
            raise InvalidRequest(
                f"the conversation ends with tool calls: {missing} {calls}; append a message "
                'with role "tool" for each before asking again'
            )

    def _make_unique(self) -> None:
        calls = [call for turn in self._rounds for call in turn.calls]
        taken = {call.id for call in calls}
        seen: set[str] = set()
        for position, call in enumerate(calls):
            if not call.id or call.id in seen:
                self._note("tool call ids made unique")
                call.id = _free(taken, position)
                taken.add(call.id)
            seen.add(call.id)

    def _written(self, turn: _Round) -> Iterator[Fields]:
        """The turn and its results, with the ids that they have now."""
        changed = any(call.wire.get("id") != call.id for call in turn.calls)
        wires = [{**call.wire, "id": call.id} for call in turn.calls]
        yield {**turn.turn, "tool_calls": wires} if changed else turn.turn
        for call in turn.calls:
            result = call.result
            if result is None:
                self._note("missing tool results filled in")
                yield {"role": "tool", "tool_call_id": call.id, "content": NO_RESULT}
            elif result.get("tool_call_id") == call.id:
                yield result
            else:
                self._note("tool call ids made unique")
                yield {**result, "tool_call_id": call.id}

    def _note(self, text: str) -> None:
        self.notes[text] = None


def _free(taken: set[str], number: int) -> str:
    """An id that no call has, the same whenever the conversation is sent again."""
    while (call_id := f"call_{number}") in taken:
        number += 1
    return call_id
