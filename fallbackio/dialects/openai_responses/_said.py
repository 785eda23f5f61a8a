"""What the output items of a response say, in the terms of chat completions.

Items of the provider's own tools (searches, interpreters) are left to whoever reads `extra`; a shape
that an item must not have is a `BadAnswer`.
"""

from __future__ import annotations

import hashlib
from typing import Any

from attrs import field, frozen

from fallbackio.dialects.openai._values import string
from fallbackio.errors import BadAnswer
from fallbackio.model import FunctionCall, ToolCall

__all__ = ["CALLS", "Said", "call_id_of", "said_in"]

# Items that are calls of the user's tools: the call's type, and where its arguments stand.
CALLS = {"function_call": ("function", "arguments"), "custom_tool_call": ("custom", "input")}

_PLAIN = frozenset({"message", "reasoning", *CALLS})


@frozen
class Said:
    """What the items say.

    Attributes:
        others: The items of the provider's own tools.
        signed: Whether reasoning came encrypted, so that the items are worth giving back.
    """

    text: str = field(default="", repr=False)
    refusal: str = field(default="", repr=False)
    reasoning: str = field(default="", repr=False)
    calls: tuple[ToolCall, ...] = ()
    annotations: tuple[Any, ...] = field(default=(), repr=False)
    logprobs: tuple[Any, ...] = field(default=(), repr=False)
    others: tuple[dict[str, Any], ...] = field(default=(), repr=False)
    signed: bool = False


def said_in(output: list[Any], response_id: str = "") -> Said:
    """What `output` says; `response_id` makes ids for calls that have none."""
    items = [item for item in output if type(item) is dict]
    if len(items) != len(output):
        raise BadAnswer("an output item that is no object")
    parts = [part for item in items if item.get("type") == "message" for part in _dicts(item.get("content"))]
    thoughts = [item for item in items if item.get("type") == "reasoning"]
    calls = [item for item in items if string(item.get("type")) in CALLS]
    return Said(
        text="".join([string(part.get("text")) for part in parts if part.get("type") == "output_text"]),
        refusal="".join([string(part.get("refusal")) for part in parts if part.get("type") == "refusal"]),
        reasoning="\n\n".join([text for item in thoughts for text in _thoughts(item)]),
        calls=tuple([_call(number, item, response_id) for number, item in enumerate(calls)]),
        annotations=tuple([note for part in parts for note in _dicts(part.get("annotations"))]),
        logprobs=tuple([token for part in parts for token in _dicts(part.get("logprobs"))]),
        others=tuple([item for item in items if string(item.get("type")) not in _PLAIN]),
        signed=bool(thoughts) and all(item.get("encrypted_content") for item in thoughts),
    )


def _dicts(parts: object) -> list[dict[str, Any]]:
    if parts is None:
        return []
    if type(parts) is not list:
        raise BadAnswer("an output item whose parts are no list")
    return [part for part in parts if type(part) is dict]


def _thoughts(item: dict[str, Any]) -> list[str]:
    """Reasoning itself, where a server shows it, then what the provider makes known of it."""
    parts = [*_dicts(item.get("content")), *_dicts(item.get("summary"))]
    return [text for part in parts if (text := string(part.get("text")))]


def _call(number: int, item: dict[str, Any], response_id: str) -> ToolCall:
    kind, payload = CALLS[item["type"]]
    called = FunctionCall(string(item.get("name")), string(item.get(payload)))
    return ToolCall(call_id_of(item, number, response_id), called, kind)


def call_id_of(item: dict[str, Any], number: int, response_id: str) -> str:
    """The id by which the call's result is given, made up where a server gives none."""
    given = string(item.get("call_id"))
    if given:
        return given
    made = hashlib.sha256(f"{response_id}/{number}/{string(item.get('id'))}".encode(errors="replace"))
    return f"call_{made.hexdigest()[:24]}"
