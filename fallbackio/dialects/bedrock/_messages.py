"""Conversations on their way to Converse: OpenAI's message objects become `system` and turns.

Converse knows two roles that must alternate, so neighbours are joined, system messages move to the
front, and tool messages become `toolResult` blocks at the head of a user turn.  Blank text is refused
there and therefore left out.  Images and files go inline: a link is an `InvalidRequest` for this
endpoint, because nobody here fetches it.  Blocks in Converse's own shape (`{"cachePoint": …}`) go through
untouched.  Reasoning is given back only to a Claude, signed as Bedrock gave it.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import count
from typing import Any

from fallbackio.dialects._outgoing import arguments_of, beyond
from fallbackio.dialects._state import is_unsigned, own_state
from fallbackio.dialects.bedrock import _models as models
from fallbackio.endpoint import Endpoint, Note
from fallbackio.errors import InvalidRequest

__all__ = ["BLOCKS", "DOCUMENTS", "IMAGES", "Block", "conversation", "legal_id"]

Block = dict[str, Any]

IMAGES: Mapping[str, str] = {
    "image/png": "png",
    "image/jpeg": "jpeg",
    "image/jpg": "jpeg",
    "image/gif": "gif",
    "image/webp": "webp",
}

DOCUMENTS: Mapping[str, str] = {
    "application/pdf": "pdf",
    "text/csv": "csv",
    "application/msword": "doc",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
    "application/vnd.ms-excel": "xls",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
    "text/html": "html",
    "text/plain": "txt",
    "text/markdown": "md",
}

# Converse's own blocks, each an object with one of these members.
BLOCKS = frozenset(
    {
        "audio",
        "cachePoint",
        "citationsContent",
        "document",
        "guardContent",
        "image",
        "reasoningContent",
        "searchResult",
        "text",
        "toolAddition",
        "toolRemoval",
        "toolResult",
        "toolUse",
        "video",
    }
)

_LEGAL_ID = re.compile(r"[a-zA-Z0-9_.:-]{1,64}")
_ILLEGAL = re.compile(r"[^a-zA-Z0-9_.:-]")
_NOT_IN_A_NAME = re.compile(r"[^a-zA-Z0-9\-()\[\]]+")
_KEPT_OF_AN_ID = 64 - 9  # an underscore and a checksum follow

# What stands for a tool's result that says nothing, which may not be blank.
_NO_OUTPUT = "(no output)"
# Converse wants a document to come with some text.
_ATTACHED = "A document is attached."


def conversation(
    messages: Sequence[Mapping[str, Any]], endpoint: Endpoint, note: Note
) -> tuple[list[Block], list[Block]]:
    """The blocks of `system`, and the turns, of an OpenAI-format conversation.

    Raises:
        InvalidRequest: For a message of the wrong shape, or one that Converse cannot express.
    """
    return _Writer(endpoint, note).write(messages)


class _Writer:
    """One conversation while it is written."""

    def __init__(self, endpoint: Endpoint, note: Note) -> None:
        self._endpoint = endpoint
        self._model = endpoint.model
        self._note = note
        self._system: list[Block] = []
        self._turns: list[Block] = []

    def write(self, messages: Sequence[Mapping[str, Any]]) -> tuple[list[Block], list[Block]]:
        for position, message in enumerate(messages):
            role = message.get("role")
            if "name" in message and role != "tool":
                self._note("names of speakers left out")
            if role == "user":
                self._append("user", _content(message, position, _USER_PARTS))
            elif role == "assistant":
                self._append("assistant", self._assistant(message, position))
            elif role == "tool":
                self._append("user", [self._tool_result(message, position)])
            elif role in ("system", "developer"):
                if self._turns:
                    self._note("system message moved to the front")
                self._system += _content(message, position, _TEXT_PARTS)
            else:
                raise beyond(f"messages[{position}] has a role that Converse does not know")
        if not self._turns:
            raise beyond("no message of a user or assistant has any content")
        if self._turns[0]["role"] != "user":
            raise beyond("Converse wants a conversation to begin with a user's message")
        self._tidy()
        return self._system, self._turns

    def _append(self, role: str, blocks: list[Block]) -> None:
        """Add a turn, or go on with the last one of that role."""
        if not blocks:
            self._note("empty turns left out")
            return
        if self._turns and self._turns[-1]["role"] == role:
            self._turns[-1]["content"] += blocks
        else:
            self._turns.append({"role": role, "content": blocks})

    def _tidy(self) -> None:
        names: set[str] = set()
        for turn in self._turns:
            blocks = turn["content"]
            if len(blocks) > 1 and turn["role"] == "user":
                blocks.sort(key=_rank)  # results first; what is equal keeps its order
            if any("document" in block for block in blocks):
                self._introduce(blocks, names)
        _trim(self._turns[-1])

    def _introduce(self, blocks: list[Block], names: set[str]) -> None:
        """Give documents names of their own, and a word to come with."""
        for block in blocks:
            document = block.get("document")
            if not isinstance(document, Mapping) or not isinstance(name := document.get("name"), str):
                continue
            free = next(free for free in _variants(name) if free not in names)
            if free != name:
                block["document"] = {**document, "name": free}
            names.add(free)
        if not any("text" in block for block in blocks):
            blocks.append({"text": _ATTACHED})
            self._note("words added to a document that came without any")

    def _assistant(self, message: Mapping[str, Any], position: int) -> list[Block]:
        blocks = _content(message, position, _ASSISTANT_PARTS)
        if is_unsigned(message):
            self._note("reasoning of earlier turns left out")
        refusal = message.get("refusal")
        if not blocks and isinstance(refusal, str) and refusal.strip():
            blocks = [{"text": refusal}]
        if message.get("function_call"):
            raise beyond(f"messages[{position}].function_call is not supported; use tool_calls")
        calls = message.get("tool_calls") or ()
        if not isinstance(calls, list | tuple):
            raise InvalidRequest(f"messages[{position}].tool_calls must be a list")
        blocks += [self._tool_use(call, position) for call in calls]
        if "provider_state" in message and blocks:
            return self._thoughts(message) + blocks
        return blocks

    def _thoughts(self, message: Mapping[str, Any]) -> list[Block]:
        state = own_state(message, "bedrock", self._endpoint, self._note, bare=models.bare)
        blocks = state.get("reasoning")
        if not isinstance(blocks, list):
            return []
        # Only a Claude signs what it thought, and what came by another way does not name its model.
        if not models.is_claude(self._model):
            self._note("another model's signed reasoning left out")
            return []
        return [{"reasoningContent": block} for block in blocks if isinstance(block, Mapping)]

    def _tool_use(self, call: object, position: int) -> Block:
        if not isinstance(call, Mapping) or not isinstance(call.get("id"), str):
            raise InvalidRequest(f"messages[{position}].tool_calls holds a call without an id")
        if call.get("type") == "custom":
            raise beyond(f"messages[{position}].tool_calls: Converse has no custom tool calls")
        function = call.get("function")
        if not isinstance(function, Mapping) or not isinstance(function.get("name"), str):
            raise InvalidRequest(f"messages[{position}].tool_calls holds a call without a function name")
        said = {
            "toolUseId": self._id(call["id"]),
            "name": function["name"],
            "input": arguments_of(function.get("arguments"), position),
        }
        return {"toolUse": said}

    def _tool_result(self, message: Mapping[str, Any], position: int) -> Block:
        call_id = message.get("tool_call_id")
        if not isinstance(call_id, str):
            raise InvalidRequest(f"messages[{position}] is a tool message without a tool_call_id")
        content = _content(message, position, _RESULT_PARTS)
        result: Block = {"toolUseId": self._id(call_id), "content": content or [{"text": _NO_OUTPUT}]}
        if message.get("is_error") and models.keeps_status(self._model):
            result["status"] = "error"
        return {"toolResult": result}

    def _id(self, given: str) -> str:
        if _LEGAL_ID.fullmatch(given):
            return given
        self._note("tool call ids rewritten")
        return legal_id(given)


def legal_id(given: str) -> str:
    """A tool call's id as Converse allows it; equal ids stay equal.

    A rewritten id ends in a checksum of the old one, so that two different ids stay different.

    Example:
        >>> legal_id("call/1")
        'call_1_e80fc002'
    """
    if _LEGAL_ID.fullmatch(given):
        return given
    checksum = zlib.crc32(given.encode(errors="surrogatepass"))
    return f"{_ILLEGAL.sub('_', given)[:_KEPT_OF_AN_ID]}_{checksum:08x}"


def _variants(name: str) -> Iterator[str]:
    yield name
    for serial in count(2):
        yield f"{name} {serial}"


def _rank(block: Block) -> bool:
    return "toolResult" not in block


def _trim(turn: Block) -> None:
    """Claude refuses white space at the end of a final assistant turn."""
    last = turn["content"][-1]
    if turn["role"] == "assistant" and isinstance(last.get("text"), str):
        turn["content"][-1] = {"text": last["text"].rstrip()}


def _content(message: Mapping[str, Any], position: int, parts: _Parts) -> list[Block]:
    """A message's text or parts as blocks; none when there is nothing in it."""
    content = message.get("content")
    if isinstance(content, str):
        return [{"text": content}] if content and not content.isspace() else []
    if content is None:
        return []
    if not isinstance(content, list | tuple):
        raise InvalidRequest(f"messages[{position}].content must be a string or a list of parts")
    return [block for part in content for block in _part(part, position, parts)]


def _part(part: object, position: int, parts: _Parts) -> Iterable[Block]:
    if not isinstance(part, Mapping):
        raise InvalidRequest(f"messages[{position}].content holds a part that is no object")
    kind = part.get("type")
    if not isinstance(kind, str):
        if len(part) == 1 and BLOCKS.issuperset(part):
            return (dict(part),)
        raise InvalidRequest(f"messages[{position}].content holds a part without a type")
    say = parts.get(kind)
    if say is None:
        raise beyond(f"messages[{position}].content: Converse takes no part of type {kind[:40]!r} here")
    return say(part, position)


def _text(part: Mapping[str, Any], position: int) -> Iterable[Block]:
    text = part.get("text", part.get("refusal"))
    if not isinstance(text, str):
        raise InvalidRequest(f"messages[{position}].content: a text part must hold a string")
    return ({"text": text},) if text and not text.isspace() else ()


def _image(part: Mapping[str, Any], position: int) -> Iterable[Block]:
    image = part.get("image_url")
    url = image.get("url") if isinstance(image, Mapping) else image
    if not isinstance(url, str):
        raise InvalidRequest(f"messages[{position}].content: an image_url part must hold a url")
    media_type, data = _data_url(url, position)
    if media_type not in IMAGES:
        raise beyond(f"messages[{position}].content: images must be PNG, JPEG, GIF or WebP")
    return ({"image": {"format": IMAGES[media_type], "source": {"bytes": data}}},)


def _file(part: Mapping[str, Any], position: int) -> Iterable[Block]:
    file = part.get("file")
    if not isinstance(file, Mapping):
        raise InvalidRequest(f"messages[{position}].content: a file part must hold a file object")
    url = file.get("file_data")
    if not isinstance(url, str):
        raise beyond(f"messages[{position}].content: a file must come as file_data, not by its id")
    media_type, data = _data_url(url, position)
    if media_type not in DOCUMENTS:
        raise beyond(f"messages[{position}].content: Converse takes no file of this type")
    name = _document_name(file.get("filename"))
    return ({"document": {"format": DOCUMENTS[media_type], "name": name, "source": {"bytes": data}}},)


def _document_name(filename: object) -> str:
    """Letters, digits, hyphens, brackets and single spaces; no dot, so the ending goes."""
    stem = filename.rpartition(".")[0] or filename if isinstance(filename, str) else ""
    return _NOT_IN_A_NAME.sub(" ", stem).strip()[:180].rstrip() or "document"


def _audio(part: Mapping[str, Any], position: int) -> Iterable[Block]:
    audio = part.get("input_audio")
    if not isinstance(audio, Mapping) or not isinstance(audio.get("data"), str):
        raise InvalidRequest(f"messages[{position}].content: an input_audio part must hold data")
    return ({"audio": {"format": audio.get("format"), "source": {"bytes": audio["data"]}}},)


def _data_url(url: str, position: int) -> tuple[str, str]:
    """Media type without parameters, and base64 text."""
    head, comma, data = url.partition(",")
    scheme, _, described = head.partition(":")
    if scheme.lower() != "data" or not comma or not described.lower().endswith(";base64"):
        raise beyond(
            f"messages[{position}].content: Converse fetches no links; send a base64 data URL "
            "(data:image/png;base64,…)"
        )
    return described.partition(";")[0].strip().lower(), data


def _thinking(part: Mapping[str, Any], position: int) -> Iterable[Block]:
    return ()


_Parts = Mapping[str, Callable[[Mapping[str, Any], int], Iterable[Block]]]

_TEXT_PARTS: _Parts = {"text": _text}
_USER_PARTS: _Parts = {"text": _text, "image_url": _image, "file": _file, "input_audio": _audio}
_RESULT_PARTS: _Parts = {"text": _text, "image_url": _image, "file": _file}
_ASSISTANT_PARTS: _Parts = {
    "text": _text,
    "refusal": _text,
    "thinking": _thinking,
    "redacted_thinking": _thinking,
}
