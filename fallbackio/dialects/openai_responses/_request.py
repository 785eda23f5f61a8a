"""A conversation as the input items of Responses.

The first system message becomes `instructions`, the others stay where they stand.  A turn of the model
that this dialect has read itself goes back as the items it came in, reasoning included, as long as
text and calls are still what they were; any other is written anew.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

from fallbackio.dialects._state import KEY, own_state
from fallbackio.dialects.openai._values import string
from fallbackio.dialects.openai_responses._params import VOCABULARY, say
from fallbackio.dialects.openai_responses._said import CALLS
from fallbackio.endpoint import Endpoint, Note
from fallbackio.errors import InvalidRequest
from fallbackio.model import Request

__all__ = ["NAME", "body_of"]

NAME = "openai_responses"

Item = dict[str, Any]
Message = Mapping[str, Any]

# The longest id of a call that the API takes.
_ID_CHARS = 64


def body_of(request: Request, endpoint: Endpoint, note: Note) -> Item:
    """The body of the request.

    Raises:
        InvalidRequest: For messages that cannot be expressed, and for parameters that would be lost
            unless the endpoint drops them.
    """
    params = VOCABULARY.said(request, endpoint)
    messages = request.messages
    body: Item = {"model": endpoint.model}
    if len(messages) > 1 and "instructions" not in params and _is_instruction(messages[0]):
        body["instructions"] = messages[0]["content"]
        messages = messages[1:]
    body["input"] = _Input(endpoint, note).of(messages)
    return {**body, **say(params, endpoint.model, request.stream, note)}


def _is_instruction(message: Message) -> bool:
    return message.get("role") in ("system", "developer") and type(message.get("content")) is str


class _Input:
    """The items of one conversation while they are written."""

    def __init__(self, endpoint: Endpoint, note: Note) -> None:
        self._endpoint = endpoint
        self._note = note
        self._items: list[Item] = []
        # Calls of custom tools, whose results have an item of their own.
        self._custom: set[str] = set()

    def of(self, messages: tuple[Message, ...]) -> list[Item]:
        items = self._items
        for message in messages:
            role = message.get("role")
            if role != "tool" and message.get("name"):
                self._note("names of speakers left out")
            if role == "assistant":
                self._turn(message)
            elif role == "tool":
                items.append(self._result(message))
            elif role == "function" or role is None:
                raise _inexpressible("messages with role 'function'")
            else:
                content = message.get("content")
                items.append({"role": role, "content": content if type(content) is str else _parts(content)})
        return items

    def _turn(self, message: Message) -> None:
        if message.get("function_call"):
            raise _inexpressible("function_call, which tool_calls replaced,")
        if KEY in message and (kept := self._kept(message)):
            self._items += kept
            return
        if message.get("reasoning_content"):
            self._note("reasoning of earlier turns left out")
        calls = message.get("tool_calls") or ()
        content = message.get("content")
        refusal = message.get("refusal")
        if refusal:
            self._items.append({"role": "assistant", "content": [*_said(content), _refusal(refusal)]})
        elif content or not calls:
            said = (content or "") if type(content) is str or not content else _said(content)
            self._items.append({"role": "assistant", "content": said})
        self._items += [self._call(call) for call in calls]

    def _kept(self, message: Message) -> list[Item]:
        """The items that `message` came in, unless it has been changed since."""
        # Encrypted for an organization: another one's is refused.
        kept = own_state(message, NAME, self._endpoint, self._note, bound=True).get("output")
        if type(kept) is not list:
            return []
        if not _says(kept, message):
            self._note("reasoning left out of a turn that was changed")
            return []
        self._custom |= {item["call_id"] for item in kept if item.get("type") == "custom_tool_call"}
        return kept

    def _call(self, call: Any) -> Item:
        call = _object(call, "a tool call")
        call_id = self._id(call.get("id"))
        if call.get("type") == "custom":
            self._custom.add(call_id)
            spec = _object(call.get("custom"), "a custom tool call's custom")
            kind, payload = "custom_tool_call", "input"
        else:
            spec = _object(call.get("function"), "a tool call's function")
            kind, payload = "function_call", "arguments"
        return {"type": kind, "call_id": call_id, "name": spec.get("name"), payload: spec.get(payload)}

    def _result(self, message: Message) -> Item:
        call_id = self._id(message.get("tool_call_id"))
        kind = "custom_tool_call_output" if call_id in self._custom else "function_call_output"
        content = message.get("content")
        output = content if type(content) is str else _parts(content) if content else ""
        return {"type": kind, "call_id": call_id, "output": output}

    def _id(self, call_id: Any) -> str:
        if not isinstance(call_id, str):
            raise InvalidRequest("a tool call's id must be a string")
        if len(call_id) <= _ID_CHARS:
            return call_id
        self._note("tool call ids rewritten")
        return f"call_{hashlib.sha256(call_id.encode()).hexdigest()[:32]}"


def _says(kept: list[Any], message: Message) -> bool:
    """Whether the items say what `message` says now."""
    said, refused = "", ""
    calls = list(message.get("tool_calls") or ())
    calls.reverse()
    for item in kept:
        if not isinstance(item, dict):
            return False
        kind = string(item.get("type"))
        if kind == "message":
            for part in _objects(item.get("content")):
                said += string(part.get("text"))
                refused += string(part.get("refusal"))
        elif kind in CALLS and not (calls and _is_call(item, calls.pop())):
            return False
    same = said == (message.get("content") or "") and refused == (message.get("refusal") or "")
    return same and not calls


def _objects(parts: object) -> list[Item]:
    return [part for part in parts if isinstance(part, dict)] if isinstance(parts, list) else []


def _is_call(item: Item, call: Any) -> bool:
    """Whether the item is `call` as it stands in a message."""
    family, payload = CALLS[item["type"]]
    spec = call.get(family) if isinstance(call, Mapping) else None
    if not isinstance(spec, Mapping) or call.get("id") != item.get("call_id"):
        return False
    return spec.get("name") == item.get("name") and spec.get(payload) == item.get(payload)


def _object(value: Any, what: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise InvalidRequest(f"{what} must be an object")
    return value


def _inexpressible(what: str) -> InvalidRequest:
    return InvalidRequest(f"the Responses API has no {what}", everywhere=False)


def _refusal(text: Any) -> Item:
    return {"type": "refusal", "refusal": text}


def _said(content: Any) -> list[Item]:
    """What the model said, as parts."""
    if not content:
        return []
    if isinstance(content, str):
        return [{"type": "output_text", "text": content}]
    return [_spoken(_object(part, "a part of a message")) for part in content]


def _spoken(part: Mapping[str, Any]) -> Item:
    if part.get("type") == "refusal":
        return _refusal(part.get("refusal"))
    if part.get("type") != "text":
        raise _inexpressible("such part in a turn of the model")
    return {"type": "output_text", "text": part.get("text")}


def _parts(content: Any) -> list[Item]:
    """What somebody else than the model said, as parts."""
    if not isinstance(content, list | tuple):
        raise InvalidRequest("a message's content must be a string or a list of parts")
    return [_part(part) for part in content]


def _part(part: Any) -> Item:
    kind = part.get("type") if isinstance(part, Mapping) else None
    writer = _PARTS.get(kind) if isinstance(kind, str) else None
    if writer is None:
        raise _inexpressible("such part of a message; it takes text, image_url and file")
    item = writer(part)
    if "prompt_cache_breakpoint" in part:
        item["prompt_cache_breakpoint"] = part["prompt_cache_breakpoint"]
    return item


def _text(part: Mapping[str, Any]) -> Item:
    return {"type": "input_text", "text": part.get("text")}


def _image(part: Mapping[str, Any]) -> Item:
    image = part.get("image_url")
    image = {"url": image} if isinstance(image, str) else _object(image, "image_url")
    return {"type": "input_image", "image_url": image.get("url"), "detail": image.get("detail") or "auto"}


def _file(part: Mapping[str, Any]) -> Item:
    return {"type": "input_file", **_object(part.get("file"), "file")}


_PARTS: Mapping[str, Callable[[Mapping[str, Any]], Item]] = {
    "text": _text,
    "image_url": _image,
    "file": _file,
}
