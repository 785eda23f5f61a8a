"""Converse requests, read on the server's side into OpenAI's terms.

As strict as AWS documents its API: members it knows, turns that alternate and begin with a user's,
text that is not blank, tool results that answer the turn before them, tools whenever they are spoken
of.  So a request that passes here is one that a client may send there, and the simulator finds a
client's mistakes.  Not checked: what depends on the model or on the account.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import orjson

from fallbackio.dialects.bedrock._fields import (
    TOOL_NAME,
    Fields,
    like,
    list_,
    object_,
    only,
    refuse,
    string,
    union,
)
from fallbackio.dialects.bedrock._messages import BLOCKS, DOCUMENTS, IMAGES
from fallbackio.dialects.bedrock._read_params import params_of
from fallbackio.dialects.bedrock._request import FIELDS
from fallbackio.model import Request

__all__ = ["request_of"]

_MEDIA_TYPES: Mapping[str, str] = {
    short: media_type for media_type, short in (*IMAGES.items(), *DOCUMENTS.items())
} | {"jpeg": "image/jpeg"}
_IMAGE_FORMATS = frozenset(IMAGES.values())
_DOCUMENT_FORMATS = frozenset(DOCUMENTS.values())

_CALL_ID = re.compile(r"[a-zA-Z0-9_.:-]{1,64}")
_DOCUMENT_NAME = re.compile(r"(?!.*\s\s)[a-zA-Z0-9\s\-()\[\]]{1,200}")
_BASE64 = re.compile(r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")


def request_of(body: bytes, model: str, stream: bool) -> Request:
    """The request in OpenAI's terms; raises `InvalidRequest` as Bedrock would with a 400."""
    try:
        said = orjson.loads(body)
    except orjson.JSONDecodeError:
        refuse("the body is not valid JSON")
    said = object_(said, "the body")
    for name in said:
        if name not in FIELDS and name not in ("messages", "system"):
            refuse(f"extraneous key [{name[:40]}] is not permitted")
    string(model, "modelId")
    talk = _Conversation()
    messages = [*_system(said.get("system")), *talk.read(list_(said.get("messages"), "messages"))]
    if talk.has_tools and "toolConfig" not in said:
        refuse("The toolConfig field must be defined when using toolUse and toolResult content blocks")
    return Request(messages=tuple(messages), params=params_of(said), model=model, stream=stream)


def _text(text: object, where: str) -> str:
    said = string(text, where)
    if said.isspace():
        refuse(f"The text field in the ContentBlock object at {where} is blank")
    return said


def _plain(parts: list[Fields]) -> str | list[Fields]:
    """One piece of text as a string, anything more as parts."""
    if len(parts) == 1 and parts[0].get("type") == "text":
        return str(parts[0]["text"])
    return parts


def _system(system: object) -> list[Fields]:
    if system is None:
        return []
    parts = []
    for at, block in enumerate(list_(system, "system")):
        kind, said = union(block, f"system.{at}")
        if kind not in ("text", "guardContent", "cachePoint"):
            refuse(f"system.{at} cannot hold {kind[:40]}")
        parts.append({"type": "text", "text": _text(said, f"system.{at}")} if kind == "text" else block)
    return [{"role": "system", "content": _plain(parts)}] if parts else []


class _Conversation:
    """The turns while they are read."""

    def __init__(self) -> None:
        self.has_tools = False  # whether a call or a result stands anywhere
        self._owed: list[str] = []  # calls of the turn before that want a result
        self._documents: set[str] = set()

    def read(self, messages: list[Any]) -> list[Fields]:
        """Messages in OpenAI's terms."""
        if not messages:
            refuse("messages: at least one message is required")
        said: list[Fields] = []
        before = ""
        for at, message in enumerate(messages):
            where = f"messages.{at}"
            found = object_(message, where)
            only(found, ("role", "content"), where)
            role = found.get("role")
            if role not in ("user", "assistant"):
                refuse(f"{where}.role must be user or assistant")
            if not before and role != "user":
                refuse("A conversation must start with a user message")
            if role == before:
                refuse("A conversation must alternate between user and assistant roles")
            blocks = [union(block, f"{where}.content") for block in list_(found.get("content"), where)]
            if not blocks:
                refuse(f"The content field in the Message object at {where} is empty")
            said += self._user(blocks, where) if role == "user" else [self._assistant(blocks, where)]
            before = role
        if self._owed:
            refuse(f"Expected toolResult blocks for the following Ids: {', '.join(self._owed)}")
        return said

    def _assistant(self, blocks: list[tuple[str, Any]], where: str) -> Fields:
        parts: list[Fields] = []
        calls: list[Fields] = []
        for kind, said in blocks:
            if kind == "text":
                parts.append({"type": "text", "text": _text(said, where)})
            elif kind == "toolUse":
                calls.append(_call(object_(said, where), where))
            elif kind == "reasoningContent":
                _reasoning(said, where)
            elif kind not in ("cachePoint", "citationsContent"):
                refuse(f"{where}.content: an assistant's turn cannot hold {kind[:40]}")
        ids = [call["id"] for call in calls]
        if len({*ids}) != len(ids):
            refuse(f"{where}.content contains duplicate Ids of toolUse blocks")
        self._owed = ids
        self.has_tools |= bool(calls)
        message: Fields = {"role": "assistant", "content": _plain(parts) if parts else None}
        if calls:
            message["tool_calls"] = calls
        elif not parts:
            message["content"] = ""
        return message

    def _user(self, blocks: list[tuple[str, Any]], where: str) -> list[Fields]:
        """Tool messages for the results, then a user message for the rest."""
        results = [_result(object_(said, where), where) for kind, said in blocks if kind == "toolResult"]
        self._settle([result["tool_call_id"] for result in results], where)
        self.has_tools |= bool(results)
        rest = [self._part(kind, said, where) for kind, said in blocks if kind != "toolResult"]
        kinds = {kind for kind, _ in blocks}
        if "document" in kinds and "text" not in kinds:
            refuse(f"{where}: a document must come with a text block")
        return [*results, {"role": "user", "content": _plain(rest)}] if rest else results

    def _settle(self, given: list[str], where: str) -> None:
        """Every call of the turn before has one result in this one, and nothing else has."""
        if missing := [call for call in self._owed if call not in given]:
            refuse(f"Expected toolResult blocks at {where} for the following Ids: {', '.join(missing)}")
        if len(given) > len(self._owed) or {*given} - {*self._owed}:
            refuse(f"The number of toolResult blocks at {where} exceeds the number of toolUse blocks before")
        self._owed = []

    def _part(self, kind: str, said: Any, where: str) -> Fields:
        if kind == "document" and isinstance(said, dict):
            name = said.get("name")
            if name in self._documents:
                refuse(f"{where}: document names must be unique")
            self._documents.add(str(name))
        return _part(kind, said, where)


def _reasoning(said: object, where: str) -> None:
    kind, inner = union(said, f"{where}.reasoningContent")
    if kind == "reasoningText":
        found = object_(inner, where)
        only(found, ("text", "signature"), where)
        if not isinstance(found.get("text"), str):
            refuse(f"{where}.reasoningContent.reasoningText.text is required")
    elif kind != "redactedContent":
        refuse(f"{where}.reasoningContent cannot hold {kind[:40]}")


def _call(use: Fields, where: str) -> Fields:
    only(use, ("toolUseId", "name", "input", "type"), where)
    call_id = like(_CALL_ID, use.get("toolUseId"), f"{where}.toolUse.toolUseId")
    name = like(TOOL_NAME, use.get("name"), f"{where}.toolUse.name")
    arguments = orjson.dumps(object_(use.get("input"), f"{where}.toolUse.input")).decode()
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


def _result(result: Fields, where: str) -> Fields:
    only(result, ("toolUseId", "content", "status", "type"), where)
    call_id = like(_CALL_ID, result.get("toolUseId"), f"{where}.toolResult.toolUseId")
    parts = []
    for block in list_(result.get("content"), f"{where}.toolResult.content"):
        kind, said = union(block, f"{where}.toolResult.content")
        if kind == "json":
            parts.append({"type": "text", "text": orjson.dumps(said).decode()})
        elif kind in ("text", "image", "document", "video", "searchResult"):
            parts.append(_part(kind, said, where))
        else:
            refuse(f"{where}.toolResult.content cannot hold {kind[:40]}")
    status = result.get("status", "success")
    if status not in ("success", "error"):
        refuse(f"{where}.toolResult.status must be success or error")
    message = {"role": "tool", "tool_call_id": call_id, "content": _plain(parts) if parts else ""}
    return {**message, "is_error": True} if status == "error" else message


def _part(kind: str, said: Any, where: str) -> Fields:
    say = _PARTS.get(kind)
    if say is not None:
        return say(said, where)
    if kind not in BLOCKS or kind in ("toolUse", "reasoningContent", "citationsContent"):
        refuse(f"{where}.content: a user's turn cannot hold {kind[:40]}")
    return {kind: said}  # no counterpart at OpenAI


def _text_part(said: Any, where: str) -> Fields:
    return {"type": "text", "text": _text(said, where)}


def _image(said: Any, where: str) -> Fields:
    image = object_(said, f"{where}.image")
    only(image, ("format", "source"), f"{where}.image")
    if image.get("format") not in _IMAGE_FORMATS:
        refuse(f"{where}.image.format must be one of {', '.join(sorted(_IMAGE_FORMATS))}")
    kind, source = union(image.get("source"), f"{where}.image.source")
    if kind != "bytes":
        return {"image": image}
    data = like(_BASE64, source, f"{where}.image.source.bytes")
    return {"type": "image_url", "image_url": {"url": _data_url(image["format"], data)}}


def _document(said: Any, where: str) -> Fields:
    document = object_(said, f"{where}.document")
    only(document, ("format", "name", "source", "context", "citations"), f"{where}.document")
    name = like(_DOCUMENT_NAME, document.get("name"), f"{where}.document.name")
    kind, source = union(document.get("source"), f"{where}.document.source")
    if kind != "bytes":
        return {"document": document}
    if document.get("format") not in _DOCUMENT_FORMATS:
        refuse(f"{where}.document.format must be one of {', '.join(sorted(_DOCUMENT_FORMATS))}")
    data = like(_BASE64, source, f"{where}.document.source.bytes")
    file = {"file_data": _data_url(document["format"], data), "filename": f"{name}.{document['format']}"}
    return {"type": "file", "file": file}


def _audio(said: Any, where: str) -> Fields:
    audio = object_(said, f"{where}.audio")
    kind, source = union(audio.get("source"), f"{where}.audio.source")
    if kind != "bytes":
        return {"audio": audio}
    data = like(_BASE64, source, f"{where}.audio.source.bytes")
    return {"type": "input_audio", "input_audio": {"format": audio.get("format"), "data": data}}


def _data_url(short: str, data: str) -> str:
    return f"data:{_MEDIA_TYPES[short]};base64,{data}"


_PARTS: Mapping[str, Callable[[Any, str], Fields]] = {
    "audio": _audio,
    "document": _document,
    "image": _image,
    "text": _text_part,
}
