"""Conversations on their way to Ollama: OpenAI's message objects become its own.

A message there is one text, with images beside it, so text parts are joined by a line break.  Images
travel as bare base64; one that would have to be fetched is refused for this endpoint.  Models know a
tool's result by the tool's name, which is looked up by the id of the call; ids go along for servers
that read them.  Reasoning goes back only to the model that gave it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from fallbackio.dialects._outgoing import (
    Call,
    arguments_of,
    beyond,
    calls_of,
    data_url,
    image_url,
    parts_of,
    text_of,
)
from fallbackio.dialects._state import is_unsigned, own_state
from fallbackio.endpoint import Endpoint, Note
from fallbackio.errors import InvalidRequest

__all__ = ["conversation"]

Fields = dict[str, Any]

# What Ollama's decoders read.
_IMAGES = frozenset({"image/jpeg", "image/jpg", "image/png", "image/webp"})

_ROLES: Mapping[object, str] = MappingProxyType(
    {"system": "system", "developer": "system", "user": "user", "assistant": "assistant", "tool": "tool"}
)


def conversation(messages: Sequence[Mapping[str, Any]], endpoint: Endpoint, note: Note) -> list[Fields]:
    """The messages of a chat request.

    Raises:
        InvalidRequest: For a message of the wrong shape, or one that Ollama cannot be told.
    """
    names: dict[str, str] = {}  # of the tools called so far, by the calls' ids
    said: list[Fields] = []
    for position, message in enumerate(messages):
        given = message.get("role")
        role = _ROLES.get(given) if isinstance(given, str) else None
        if role is None:
            raise beyond(f"messages[{position}] has a role that Ollama does not know")
        turn = _turn(message, role, position)
        if role == "assistant":
            _add_calls(turn, message, position, names)
            if is_unsigned(message):
                note("reasoning of earlier turns left out")
            if thinking := own_state(message, "ollama", endpoint, note).get("thinking"):
                turn["thinking"] = thinking
        elif role == "tool":
            _name(turn, message, position, names)
        elif "name" in message:
            note("names of speakers left out")
        said.append(turn)
    return said


def _turn(message: Mapping[str, Any], role: str, position: int) -> Fields:
    """Role, text and images."""
    content = message.get("content")
    if not content:
        content = message.get("refusal") or ""
    if isinstance(content, str):
        return {"role": role, "content": content}
    texts: list[str] = []
    images: list[str] = []
    for part in parts_of(content, position):
        kind = part["type"]
        if kind in ("text", "refusal"):
            texts.append(text_of(part, position))
        elif kind == "image_url" and role == "user":
            images.append(_image(part, position))
        elif kind not in ("thinking", "redacted_thinking"):
            raise beyond(f"messages[{position}].content: Ollama takes no part of type {kind!r} here")
    turn: Fields = {"role": role, "content": "\n".join(texts)}
    return {**turn, "images": images} if images else turn


def _image(part: Mapping[str, Any], position: int) -> str:
    url = image_url(part, position)
    if url.startswith(("https://", "http://")):
        raise beyond(
            f"messages[{position}].content: Ollama fetches no images; send this one as a base64 data URL"
        )
    media_type, data = data_url(url, position)
    if media_type not in _IMAGES:
        raise beyond(f"messages[{position}].content: images must be JPEG, PNG or WebP")
    return data


def _add_calls(turn: Fields, message: Mapping[str, Any], position: int, names: dict[str, str]) -> None:
    if calls := calls_of(message, position):
        names.update({call.id: call.name for call in calls})
        turn["tool_calls"] = [_called(call, position) for call in calls]


def _called(call: Call, position: int) -> Fields:
    function = {"name": call.name, "arguments": arguments_of(call.arguments, position)}
    return {"id": call.id, "function": function}


def _name(turn: Fields, message: Mapping[str, Any], position: int, names: Mapping[str, str]) -> None:
    call_id = message.get("tool_call_id")
    if not isinstance(call_id, str):
        raise InvalidRequest(f"messages[{position}] is a tool message without a tool_call_id")
    name = names.get(call_id, message.get("name"))
    if not isinstance(name, str):
        raise InvalidRequest(f"messages[{position}] is a result of a tool call that no message before it has")
    turn["tool_name"] = name
    turn["tool_call_id"] = call_id
