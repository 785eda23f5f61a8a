"""Whether what a user's function gave has the types it should; a slip would break the call elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import UnionType

from fallbackio.errors import BadAnswer
from fallbackio.model import Choice, Delta, Message, Reply, ToolCall, ToolCallDelta, Usage

__all__ = ["as_delta", "as_reply"]

_Fields = Mapping[str, type | UnionType | tuple[type, ...]]

_DELTA: _Fields = {
    "text": str,
    "reasoning": str,
    "refusal": str,
    "tool_calls": tuple,
    "finish_reason": str | None,
    "usage": Usage | None,
    "index": int,
}
_CALL_DELTA: _Fields = {"index": int, "id": str, "name": str, "arguments": str}
_REPLY: _Fields = {"choices": (tuple, list), "usage": Usage}
_CHOICE: _Fields = {"message": Message, "finish_reason": str, "index": int}
_MESSAGE: _Fields = {
    "content": str | None,
    "reasoning": str | None,
    "refusal": str | None,
    "tool_calls": (tuple, list),
}


def as_delta(piece: object) -> Delta:
    """What was yielded, as a delta; raises `BadAnswer`."""
    if isinstance(piece, str):
        return Delta(piece)
    if not isinstance(piece, Delta):
        raise BadAnswer(f"the function yielded {type(piece).__name__}, not a Delta or a string")
    _check(piece, _DELTA)
    _check_all(piece.tool_calls, ToolCallDelta, _CALL_DELTA)
    return piece


def as_reply(value: object) -> Reply:
    """What was returned, as a reply; raises `BadAnswer`."""
    if isinstance(value, str):
        value = Message(value)
    if isinstance(value, Message):
        value = Reply(choices=(Choice(value, "tool_calls" if value.tool_calls else "stop"),))
    if not isinstance(value, Reply):
        raise BadAnswer(f"the function returned {type(value).__name__}, not a Reply, Message or string")
    _check(value, _REPLY)
    if not value.choices:
        raise BadAnswer("the function returned a Reply without choices")
    _check_all(value.choices, Choice, _CHOICE)
    for choice in value.choices:
        _check(choice.message, _MESSAGE)
        _check_all(choice.message.tool_calls, ToolCall, {})
    return value


def _check_all(values: Iterable[object], kind: type, fields: _Fields) -> None:
    for value in values:
        if not isinstance(value, kind):
            raise BadAnswer(f"the function gave {type(value).__name__} in place of a {kind.__name__}")
        _check(value, fields)


def _check(value: object, fields: _Fields) -> None:
    for name, kind in fields.items():
        found = getattr(value, name)
        if not isinstance(found, kind):
            raise BadAnswer(
                f"the function gave a {type(value).__name__} whose {name} is of type {type(found).__name__}"
            )
