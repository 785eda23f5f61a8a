"""Conversations on their way to Gemini: OpenAI's message objects become `systemInstruction` and turns.

Gemini knows two roles and one place for instructions, so system and developer messages move to the
front, and neighbours of one role become one turn.  The results of a turn's calls go into one user
turn, in the order of the calls and as many as they are, because without ids that is how Gemini tells
which is which; a call without a result, or a result without a call, is an `InvalidRequest` for all.
What has no counterpart (uploaded files of others, custom tool calls) is one for this endpoint only.

The odd rule: from the third generation on a call must carry the signature of the thought behind it.
One that another model made gets the placeholder which Google documents for that.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from attrs import define

from fallbackio.dialects._outgoing import arguments_of, beyond
from fallbackio.dialects._shared import object_in
from fallbackio.dialects._state import KEY, is_unsigned, own_state
from fallbackio.dialects.gemini._models import bare, since_3
from fallbackio.endpoint import Endpoint, Note
from fallbackio.errors import InvalidRequest

__all__ = ["DIALECT", "Part", "Turn", "conversation"]

DIALECT = "gemini"

Part = dict[str, Any]
Turn = dict[str, Any]

_PLACEHOLDER = base64.b64encode(b"skip_thought_signature_validator").decode()

# A conversation must begin with something that a user said.
_NOTHING_SAID = " "

# What Google wants to be told of a file that it fetches itself.
_TYPES = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "webp": "image/webp",
    "gif": "image/gif",
    "heic": "image/heic",
    "heif": "image/heif",
    "pdf": "application/pdf",
    "txt": "text/plain",
    "mp3": "audio/mp3",
    "wav": "audio/wav",
    "mp4": "video/mp4",
    "mov": "video/mov",
    "webm": "video/webm",
}
_NO_STATE: Mapping[str, Any] = MappingProxyType({})

_FILES_API = "generativelanguage.googleapis.com/"

# Gemini's own parts have no type; they go through untouched.
_OWN_PARTS = frozenset(
    {"text", "inlineData", "inline_data", "fileData", "file_data", "executableCode", "codeExecutionResult"}
)


def conversation(
    messages: Sequence[Mapping[str, Any]], endpoint: Endpoint, note: Note
) -> tuple[list[Part], list[Turn]]:
    """The parts of `systemInstruction`, and the turns, of an OpenAI-format conversation.

    Raises:
        InvalidRequest: For a message of the wrong shape, or one that Gemini cannot express.
    """
    told = _Conversation(endpoint, note)
    for position, message in enumerate(messages):
        tell = _TELL.get(message.get("role"))  # type: ignore[arg-type]  # any other role finds nothing
        if tell is None:
            raise beyond(f"messages[{position}] has a role that Gemini does not know")
        if "name" in message and message["role"] != "tool":
            told.say("names of speakers left out")
        tell(told, message, position)
    return told.system, told.whole()


@define(eq=False)
class _Call:
    """A call of the last model turn, and the part that answers it once there is one."""

    id: str
    name: str
    sent_id: bool
    result: Part | None = None


class _Conversation:
    """What has been told so far."""

    def __init__(self, endpoint: Endpoint, note: Note) -> None:
        self.system: list[Part] = []
        self._turns: list[Turn] = []
        # Calls whose results have not been sent yet, and what of the results is no JSON.
        self._owed: list[_Call] = []
        self._loose: list[Part] = []
        self._endpoint = endpoint
        self._signs = since_3(endpoint.model)
        self._note = note
        self._noted: set[str] = set()

    def whole(self) -> list[Turn]:
        """The turns, the first of them a user's."""
        self._settle()
        if not self._turns or self._turns[0]["role"] != "user":
            self.say("an empty user turn put first")
            self._turns.insert(0, {"role": "user", "parts": [{"text": _NOTHING_SAID}]})
        return self._turns

    def user(self, message: Mapping[str, Any], position: int) -> None:
        self._settle()
        self._append("user", _content(message, position, _USER_PARTS))

    def instruct(self, message: Mapping[str, Any], position: int) -> None:
        parts = _content(message, position, _TEXT_PARTS)
        if parts and self._turns:
            self.say("a later system message moved to the front")
        self.system += parts

    def assistant(self, message: Mapping[str, Any], position: int) -> None:
        self._settle()
        parts = _content(message, position, _MODEL_PARTS)
        if not parts and isinstance(refusal := message.get("refusal"), str) and refusal:
            parts = [{"text": refusal}]
        if message.get("function_call"):
            raise beyond(f"messages[{position}].function_call is not supported; use tool_calls")
        if is_unsigned(message):
            self.say("reasoning of earlier turns left out")
        # Looked for here, because most messages keep nothing and own_state costs a call.
        state = _NO_STATE
        if KEY in message:  # signed for a key or a project: another one's is refused
            state = own_state(message, DIALECT, self._endpoint, self.say, bare=bare, bound=True)
        if parts and isinstance(signature := state.get("signature"), str):
            parts[-1]["thoughtSignature"] = signature
        if calls := message.get("tool_calls"):
            parts += self._calls(calls, state, position)
        self._append("model", parts)

    def result(self, message: Mapping[str, Any], position: int) -> None:
        call_id = message.get("tool_call_id")
        if not isinstance(call_id, str):
            raise InvalidRequest(f"messages[{position}] is a tool message without a tool_call_id")
        for call in self._owed:
            if call.id == call_id and call.result is None:
                break
        else:
            raise InvalidRequest(f"messages[{position}] answers no tool call of the assistant before it")
        said = {"name": call.name, "response": _response(self._text(message, position), message)}
        call.result = {"functionResponse": {"id": call.id, **said} if call.sent_id else said}

    def _text(self, message: Mapping[str, Any], position: int) -> str:
        """A result's text; what else it holds is kept for after the results."""
        content = message.get("content")
        if isinstance(content, str):
            return content
        texts = []
        for part in _content(message, position, _USER_PARTS):
            if part.keys() == {"text"}:
                texts.append(part["text"])
            else:
                self.say("an image or file of a tool's result put beside it")
                self._loose.append(part)
        return "".join(texts)

    def _calls(self, calls: object, state: Mapping[str, Any], position: int) -> list[Part]:
        if not isinstance(calls, list | tuple):
            raise InvalidRequest(f"messages[{position}].tool_calls must be a list")
        parts = []
        for call in calls:
            called, part = _call(call, position)
            if state:
                _restore(called, part, state)
            self._owed.append(called)
            parts.append(part)
        if self._signs and "thoughtSignature" not in parts[0]:
            self.say("a placeholder sent for a thought signature that is missing")
            parts[0]["thoughtSignature"] = _PLACEHOLDER
        return parts

    def _settle(self) -> None:
        """Send the results of the last turn's calls, in the order of the calls."""
        if not self._owed:
            return
        results = [call.result for call in self._owed if call.result is not None]
        if len(results) != len(self._owed):
            missing = len(self._owed) - len(results)
            raise InvalidRequest(f"{missing} of the tool calls of an assistant's turn have no result")
        self._append("user", results + self._loose)
        self._owed, self._loose = [], []

    def _append(self, role: str, parts: list[Part]) -> None:
        if not parts:
            self.say("empty turns left out")
            return
        if self._turns and self._turns[-1]["role"] == role:
            self._turns[-1]["parts"] += parts
        else:
            self._turns.append({"role": role, "parts": parts})

    def say(self, text: str) -> None:
        if text not in self._noted:
            self._noted.add(text)
            self._note(text)


_TELL: Mapping[str, Callable[[_Conversation, Mapping[str, Any], int], None]] = {
    "user": _Conversation.user,
    "assistant": _Conversation.assistant,
    "tool": _Conversation.result,
    "system": _Conversation.instruct,
    "developer": _Conversation.instruct,
}


def _call(call: object, position: int) -> tuple[_Call, Part]:
    if not isinstance(call, Mapping) or not isinstance(call.get("id"), str):
        raise InvalidRequest(f"messages[{position}].tool_calls holds a call without an id")
    if call.get("type") == "custom":
        raise beyond(f"messages[{position}].tool_calls: Gemini has no custom tool calls")
    function = call.get("function")
    if not isinstance(function, Mapping) or not isinstance(function.get("name"), str):
        raise InvalidRequest(f"messages[{position}].tool_calls holds a call without a function name")
    args = arguments_of(function.get("arguments"), position)
    part = {"functionCall": {"name": function["name"], "args": args}}
    return _Call(call["id"], function["name"], sent_id=False), part


def _restore(call: _Call, part: Part, state: Mapping[str, Any]) -> None:
    """Put back what Google gave with a call; a state that somebody has garbled gives nothing."""
    signatures, ids = state.get("signatures"), state.get("ids")
    if isinstance(signatures, Mapping) and call.id in signatures:
        part["thoughtSignature"] = signatures[call.id]
    if isinstance(ids, list | tuple) and call.id in ids:
        call.sent_id = True
        part["functionCall"]["id"] = call.id


def _response(text: str, message: Mapping[str, Any]) -> Mapping[str, Any]:
    """A result as the object that Gemini wants; one that is no object goes under the key for it."""
    if message.get("is_error"):
        return {"error": text}
    given = object_in(text) if text.lstrip().startswith("{") else None
    # An object of just that key would be read as the text inside it.
    return {"output": text} if given is None or given.keys() in ({"output"}, {"error"}) else given


def _content(message: Mapping[str, Any], position: int, parts: _Parts) -> list[Part]:
    content = message.get("content")
    if isinstance(content, str):
        return [{"text": content}] if content else []
    if content is None:
        return []
    if not isinstance(content, list | tuple):
        raise InvalidRequest(f"messages[{position}].content must be a string or a list of parts")
    return [said for part in content for said in _part(part, position, parts)]


def _part(part: object, position: int, parts: _Parts) -> Iterable[Part]:
    if not isinstance(part, Mapping):
        raise InvalidRequest(f"messages[{position}].content holds a part that is no object")
    kind = part.get("type")
    if kind is None and not _OWN_PARTS.isdisjoint(part):
        return (dict(part),)
    if not isinstance(kind, str):
        raise InvalidRequest(f"messages[{position}].content holds a part without a type")
    say = parts.get(kind)
    if say is None:
        raise beyond(f"messages[{position}].content: Gemini takes no part of type {kind!r} here")
    return say(part, position)


def _text(part: Mapping[str, Any], position: int) -> Iterable[Part]:
    text = part.get("text", part.get("refusal"))
    if not isinstance(text, str):
        raise InvalidRequest(f"messages[{position}].content: a text part must hold a string")
    return ({"text": text},) if text else ()


def _image(part: Mapping[str, Any], position: int) -> Iterable[Part]:
    image = part.get("image_url")
    url = image.get("url") if isinstance(image, Mapping) else image
    if not isinstance(url, str):
        raise InvalidRequest(f"messages[{position}].content: an image_url part must hold a url")
    return (_linked(url, "image/jpeg", position),)


def _file(part: Mapping[str, Any], position: int) -> Iterable[Part]:
    file = part.get("file")
    if not isinstance(file, Mapping):
        raise InvalidRequest(f"messages[{position}].content: a file part must hold a file object")
    url = file.get("file_data") or file.get("file_id")
    if not isinstance(url, str):
        raise InvalidRequest(f"messages[{position}].content: a file part must hold file_data")
    return (_linked(url, "application/pdf", position),)


def _audio(part: Mapping[str, Any], position: int) -> Iterable[Part]:
    audio = part.get("input_audio")
    data, form = (audio.get("data"), audio.get("format")) if isinstance(audio, Mapping) else (None, None)
    if not isinstance(data, str) or not isinstance(form, str):
        raise InvalidRequest(f"messages[{position}].content: input_audio must hold data and format")
    return ({"inlineData": {"mimeType": f"audio/{form}", "data": data}},)


def _linked(url: str, otherwise: str, position: int) -> Part:
    """What `url` holds or points at; `otherwise` is its type where nothing tells."""
    if url.startswith("data:"):
        return {"inlineData": _inline(url, position)}
    if not url.startswith(("https://", "gs://")):
        raise beyond(f"messages[{position}].content: only base64 data URLs, https:// and gs:// can be sent")
    kind = _TYPES.get(url.partition("?")[0].rpartition(".")[2].lower())
    if kind is None and _FILES_API in url:
        return {"fileData": {"fileUri": url}}  # Google knows what was uploaded
    return {"fileData": {"mimeType": kind or otherwise, "fileUri": url}}


def _inline(url: str, position: int) -> Part:
    head, comma, data = url[5:].partition(",")
    kind, _, form = head.partition(";")
    if not comma or not form.lower().endswith("base64"):
        raise beyond(f"messages[{position}].content: a data URL must be in base64")
    kind = kind.strip().lower()
    return {"mimeType": "image/jpeg" if kind == "image/jpg" else kind, "data": data}


def _nothing(part: Mapping[str, Any], position: int) -> Iterable[Part]:
    """Another vendor's reasoning."""
    return ()


_Parts = Mapping[str, Callable[[Mapping[str, Any], int], Iterable[Part]]]

_TEXT_PARTS: _Parts = {"text": _text}
_USER_PARTS: _Parts = {"text": _text, "image_url": _image, "file": _file, "input_audio": _audio}
_MODEL_PARTS: _Parts = {
    **_USER_PARTS,
    "refusal": _text,
    "thinking": _nothing,
    "redacted_thinking": _nothing,
}
