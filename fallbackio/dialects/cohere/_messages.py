"""Conversations on their way to Cohere: OpenAI's message objects become those of chat v2.

Instructions must come first there, so system and developer messages are joined at the front wherever
they stood.  Turns without any text are refused there and therefore left out here.  What has no
counterpart (audio, files) is an `InvalidRequest` for this endpoint only.  Thinking and the plan ahead
of tool calls go back only to Cohere, from whom they came.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import orjson

from fallbackio.dialects._outgoing import Call, beyond, calls_of, image_url, parts_of, text_of
from fallbackio.dialects._state import is_unsigned, own_state
from fallbackio.endpoint import Endpoint, Note
from fallbackio.errors import InvalidRequest

__all__ = ["conversation"]

Fields = dict[str, Any]

# What stands for a tool's result without any text, which Cohere does not take.
_NO_OUTPUT = "(no output)"


def conversation(messages: Sequence[Mapping[str, Any]], endpoint: Endpoint, note: Note) -> list[Fields]:
    """The messages of a chat request.

    Raises:
        InvalidRequest: For a message of the wrong shape, or one that Cohere cannot be told.
    """
    system: list[str] = []
    turns: list[Fields] = []
    for position, message in enumerate(messages):
        role = message.get("role")
        if role in ("system", "developer"):
            if turns:
                note("instructions moved to the front")
            system.append(_plain(message, position))
            continue
        write = _ROLES.get(role) if isinstance(role, str) else None
        if write is None:
            raise beyond(f"messages[{position}] has a role that Cohere does not know")
        if (turn := write(message, position, endpoint, note)) is not None:
            turns.append(turn)
        else:
            note("empty turns left out")
    if not turns:
        raise beyond("no message of a user or assistant has any content")
    text = "\n\n".join([said for said in system if said])
    return [{"role": "system", "content": text}, *turns] if text else turns


def _user(message: Mapping[str, Any], position: int, endpoint: Endpoint, note: Note) -> Fields | None:
    if "name" in message:
        note("names of speakers left out")
    content = _content(message, position, _USER_PARTS)
    return {"role": "user", "content": content} if content else None


def _assistant(message: Mapping[str, Any], position: int, endpoint: Endpoint, note: Note) -> Fields | None:
    content = _content(message, position, _ASSISTANT_PARTS)
    refusal = message.get("refusal")
    if not content and isinstance(refusal, str):
        content = refusal
    calls = calls_of(message, position)
    if not content and not calls:
        return None
    turn: Fields = {"role": "assistant"}
    if is_unsigned(message):
        note("reasoning of earlier turns left out")
    kept = own_state(message, "cohere", endpoint, note)
    if thinking := kept.get("thinking"):
        content = [{"type": "thinking", "thinking": thinking}, *_blocks(content)]
    if content:
        turn["content"] = content
    if calls:
        turn["tool_calls"] = [_called(call) for call in calls]
        if plan := kept.get("tool_plan"):
            turn["tool_plan"] = plan
    return turn


def _tool(message: Mapping[str, Any], position: int, endpoint: Endpoint, note: Note) -> Fields:
    call_id = message.get("tool_call_id")
    if not isinstance(call_id, str):
        raise InvalidRequest(f"messages[{position}] is a tool message without a tool_call_id")
    content = _content(message, position, _TEXT_PARTS)
    if not content:
        note("empty tool results filled in")
    return {"role": "tool", "tool_call_id": call_id, "content": content or _NO_OUTPUT}


def _called(call: Call) -> Fields:
    arguments = call.arguments
    if not isinstance(arguments, str):
        arguments = orjson.dumps(arguments).decode() if isinstance(arguments, Mapping) else ""
    return {
        "id": call.id,
        "type": "function",
        "function": {"name": call.name, "arguments": arguments or "{}"},
    }


def _plain(message: Mapping[str, Any], position: int) -> str:
    content = _content(message, position, _TEXT_PARTS)
    return content if isinstance(content, str) else "\n".join([block.get("text", "") for block in content])


def _blocks(content: str | list[Fields]) -> list[Fields]:
    if isinstance(content, str):
        return [{"type": "text", "text": content}] if content else []
    return content


def _content(message: Mapping[str, Any], position: int, parts: _Parts) -> str | list[Fields]:
    """A message's text or blocks; empty when there is nothing in it."""
    content = message.get("content")
    if isinstance(content, str):
        return "" if content.isspace() else content
    blocks = [_block(part, position, parts) for part in parts_of(content, position)]
    return [block for block in blocks if block is not None]


def _block(part: Mapping[str, Any], position: int, parts: _Parts) -> Fields | None:
    kind = part["type"]
    if kind in parts:
        return parts[kind](part, position)
    if kind in _BEYOND:
        raise beyond(f"messages[{position}].content: Cohere takes no part of type {kind!r} here")
    return dict(part)  # Cohere's own go through untouched


def _text(part: Mapping[str, Any], position: int) -> Fields | None:
    text = text_of(part, position)
    return None if not text or text.isspace() else {"type": "text", "text": text}


def _image(part: Mapping[str, Any], position: int) -> Fields:
    url = image_url(part, position)
    if not url.startswith(("data:", "https://")):
        raise beyond(f"messages[{position}].content: only https and data URLs of images can be sent")
    image = part["image_url"]
    detail = image.get("detail") if isinstance(image, Mapping) else None
    return {"type": "image_url", "image_url": {"url": url} | ({"detail": detail} if detail else {})}


def _nothing(part: Mapping[str, Any], position: int) -> None:
    """Another vendor's reasoning."""


_Parts = Mapping[str, Callable[[Mapping[str, Any], int], Fields | None]]

_TEXT_PARTS: _Parts = MappingProxyType({"text": _text})
_USER_PARTS: _Parts = MappingProxyType({"text": _text, "image_url": _image})
_ASSISTANT_PARTS: _Parts = MappingProxyType(
    {"text": _text, "refusal": _text, "thinking": _nothing, "redacted_thinking": _nothing}
)

# OpenAI's parts, where they stand in a message that cannot say them.
_BEYOND = frozenset({"text", "refusal", "image_url", "file", "input_audio"})

_Write = Callable[[Mapping[str, Any], int, Endpoint, Note], Fields | None]

_ROLES: Mapping[str, _Write] = MappingProxyType({"user": _user, "assistant": _assistant, "tool": _tool})
