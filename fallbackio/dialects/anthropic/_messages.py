"""Conversations on their way to Anthropic: OpenAI's message objects become `system` and turns.

Messages knows two roles, so system and developer messages move to the front wherever they stood,
and tool messages become `tool_result` blocks at the head of the next user turn.  Text that is only
white space is refused there and therefore left out here; a turn that is then empty is left out
too.  What has no counterpart (audio, uploaded files, custom tool calls) is an `InvalidRequest` for
this endpoint only; a message of the wrong shape is one for all.  Thinking goes back only signed, and
to the model that signed it, which in a chain may have been another.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from fallbackio.dialects._outgoing import arguments_of, beyond
from fallbackio.dialects.anthropic._thinking import BLOCKS, own_blocks
from fallbackio.endpoint import Endpoint, Note
from fallbackio.errors import InvalidRequest

__all__ = ["IMAGE_TYPES", "Block", "conversation", "legal_id", "trim"]

Block = dict[str, Any]

IMAGE_TYPES = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})

_LEGAL_ID = re.compile(r"[a-zA-Z0-9_-]+")
_ILLEGAL = re.compile(r"[^a-zA-Z0-9_-]")


def conversation(
    messages: Sequence[Mapping[str, Any]], endpoint: Endpoint, thinks: bool, note: Note
) -> tuple[list[Block], list[Block]]:
    """The text blocks of `system`, and the turns, of an OpenAI-format conversation.

    What its model thought goes along if it `thinks` now as well.

    Raises:
        InvalidRequest: For a message of the wrong shape, or one that Messages cannot express.
    """
    system: list[Block] = []
    turns: list[Block] = []
    for position, message in enumerate(messages):
        role = message.get("role")
        content: str | list[Block]
        if "name" in message and role != "tool":
            note("names of speakers left out")
        if role == "user":
            content = _content(message, position, _USER_PARTS)
        elif role == "assistant":
            content = _assistant(message, position, own_blocks(message, endpoint, thinks, note), note)
        elif role == "tool":
            content = [_tool_result(message, position, note)]
        elif role in ("system", "developer"):
            if turns:
                note("system messages moved to the front")
            system += _blocks(_content(message, position, _TEXT_PARTS))
            continue
        else:
            raise beyond(f"messages[{position}] has a role that Messages does not know")
        if content:
            _append(turns, "assistant" if role == "assistant" else "user", content)
        else:
            note("empty turns left out")
    if not turns:
        raise beyond("no message of a user or assistant has any content")
    return system, turns


def _append(turns: list[Block], role: str, content: str | list[Block]) -> None:
    """Add a turn; neighbouring user turns become one.

    Anthropic would join them itself, but not every server of its dialect does, and a result that is
    not in the very next turn is refused.
    """
    if role == "user" and turns and turns[-1]["role"] == "user":
        turns[-1]["content"] = _blocks(turns[-1]["content"]) + _blocks(content)
    else:
        turns.append({"role": role, "content": content})


def _blocks(content: str | list[Block]) -> list[Block]:
    if isinstance(content, str):
        return [{"type": "text", "text": content}] if content else []
    return content


def trim(turn: Block) -> None:
    """The API refuses white space at the end of a final assistant turn."""
    content = turn["content"]
    if isinstance(content, str):
        turn["content"] = content.rstrip()
    elif content[-1].get("type") == "text":
        content[-1]["text"] = content[-1]["text"].rstrip()


def _content(message: Mapping[str, Any], position: int, parts: _Parts) -> str | list[Block]:
    """A message's text or parts; empty when there is nothing in it."""
    content = message.get("content")
    if isinstance(content, str):
        return "" if not content or content.isspace() else content
    if content is None:
        return ""
    if not isinstance(content, list | tuple):
        raise InvalidRequest(f"messages[{position}].content must be a string or a list of parts")
    return [block for part in content for block in _part(part, position, parts)]


def _part(part: object, position: int, parts: _Parts) -> Iterable[Block]:
    if not isinstance(part, Mapping) or not isinstance(kind := part.get("type"), str):
        raise InvalidRequest(f"messages[{position}].content holds a part without a type")
    say = parts.get(kind)
    if say is not None:
        return say(part, position)
    if kind in _BEYOND:
        raise beyond(f"messages[{position}].content: Messages takes no part of type {kind!r} here")
    return (dict(part),)  # Anthropic's own blocks go through untouched


def _text(part: Mapping[str, Any], position: int) -> Iterable[Block]:
    text = part.get("text", part.get("refusal"))
    if not isinstance(text, str):
        raise InvalidRequest(f"messages[{position}].content: a text part must hold a string")
    if not text or text.isspace():
        return ()
    return ({"type": "text", "text": text, **_kept(part)},)


def _kept(part: Mapping[str, Any]) -> Block:
    """What may stand beside OpenAI's own fields and is meant for Anthropic."""
    return {"cache_control": part["cache_control"]} if "cache_control" in part else {}


def _image(part: Mapping[str, Any], position: int) -> Iterable[Block]:
    image = part.get("image_url")
    url = image.get("url") if isinstance(image, Mapping) else image
    if not isinstance(url, str):
        raise InvalidRequest(f"messages[{position}].content: an image_url part must hold a url")
    if url.startswith(("https://", "http://")):
        return ({"type": "image", "source": {"type": "url", "url": url}, **_kept(part)},)
    media_type, data = _data_url(url, position)
    if media_type not in IMAGE_TYPES:
        raise beyond(f"messages[{position}].content: images must be JPEG, PNG, GIF or WebP")
    source = {"type": "base64", "media_type": media_type, "data": data}
    return ({"type": "image", "source": source, **_kept(part)},)


def _file(part: Mapping[str, Any], position: int) -> Iterable[Block]:
    file = part.get("file")
    if not isinstance(file, Mapping):
        raise InvalidRequest(f"messages[{position}].content: a file part must hold a file object")
    url = file.get("file_data")
    if not isinstance(url, str):
        raise beyond(f"messages[{position}].content: a file must come as file_data, not by its id")
    media_type, data = _data_url(url, position)
    if media_type != "application/pdf":
        raise beyond(f"messages[{position}].content: files must be PDF")
    title = {"title": file["filename"]} if file.get("filename") else {}
    source = {"type": "base64", "media_type": media_type, "data": data}
    return ({"type": "document", "source": source, **title, **_kept(part)},)


def _data_url(url: str, position: int) -> tuple[str, str]:
    """Media type without parameters, and base64 text."""
    head, comma, data = url.partition(",")
    scheme, _, described = head.partition(":")
    if scheme.lower() != "data" or not comma or not described.lower().endswith(";base64"):
        raise beyond(f"messages[{position}].content: only http(s) and base64 data URLs can be sent")
    media_type = described.partition(";")[0].strip().lower()
    return ("image/jpeg" if media_type == "image/jpg" else media_type), data


def _thinking(part: Mapping[str, Any], position: int) -> Iterable[Block]:
    return ()


_Parts = Mapping[str, Callable[[Mapping[str, Any], int], Iterable[Block]]]

_TEXT_PARTS: _Parts = {"text": _text}
_USER_PARTS: _Parts = {"text": _text, "image_url": _image, "file": _file}
_ASSISTANT_PARTS: _Parts = {
    "text": _text,
    "refusal": _text,
    **dict.fromkeys(BLOCKS, _thinking),
}

# OpenAI's parts, where they stand in a message that cannot say them.
_BEYOND = frozenset({"text", "refusal", "image_url", "file", "input_audio"})


def _assistant(
    message: Mapping[str, Any], position: int, thoughts: list[Block], note: Note
) -> str | list[Block]:
    content = _content(message, position, _ASSISTANT_PARTS)
    if _thinks_aloud(message.get("content")):
        note("thinking in the content left out")
    refusal = message.get("refusal")
    if not content and isinstance(refusal, str) and refusal.strip():
        content = refusal
    if message.get("function_call"):
        raise beyond(f"messages[{position}].function_call is not supported; use tool_calls")
    calls = message.get("tool_calls")
    if not calls:
        return thoughts + _blocks(content) if thoughts and content else content
    if not isinstance(calls, list | tuple):
        raise InvalidRequest(f"messages[{position}].tool_calls must be a list")
    return [*thoughts, *_blocks(content), *[_tool_use(call, position, note) for call in calls]]


def _thinks_aloud(content: object) -> bool:
    """Whether blocks of thinking stand in the content, where nothing says whose they are."""
    return isinstance(content, list | tuple) and any(part["type"] in BLOCKS for part in content)


def _tool_use(call: object, position: int, note: Note) -> Block:
    if not isinstance(call, Mapping) or not isinstance(call.get("id"), str):
        raise InvalidRequest(f"messages[{position}].tool_calls holds a call without an id")
    if call.get("type") == "custom":
        raise beyond(f"messages[{position}].tool_calls: Messages has no custom tool calls")
    function = call.get("function")
    if not isinstance(function, Mapping) or not isinstance(function.get("name"), str):
        raise InvalidRequest(f"messages[{position}].tool_calls holds a call without a function name")
    arguments = arguments_of(function.get("arguments"), position)
    call_id = _legal(call["id"], note)
    return {"type": "tool_use", "id": call_id, "name": function["name"], "input": arguments}


def _tool_result(message: Mapping[str, Any], position: int, note: Note) -> Block:
    call_id = message.get("tool_call_id")
    if not isinstance(call_id, str):
        raise InvalidRequest(f"messages[{position}] is a tool message without a tool_call_id")
    block: Block = {"type": "tool_result", "tool_use_id": _legal(call_id, note)}
    content = _content(message, position, _USER_PARTS)
    if content:
        block["content"] = content
    for name in ("is_error", "cache_control"):
        if name in message:
            block[name] = message[name]
    return block


def _legal(given: str, note: Note) -> str:
    legal = legal_id(given)
    if legal is not given:
        note("tool call ids rewritten")
    return legal


def legal_id(given: str) -> str:
    """A tool call's id as Messages allows it (`^[a-zA-Z0-9_-]+$`); equal ids stay equal.

    A rewritten id ends in a checksum of the old one, so that two different ids stay different.
    """
    if _LEGAL_ID.fullmatch(given):
        return given
    checksum = zlib.crc32(given.encode(errors="surrogatepass"))
    return f"{_ILLEGAL.sub('_', given)}_{checksum:08x}"
