"""generateContent requests, read on the server's side into OpenAI's terms.

As strict as Google documents its API: no field that it does not know, parts that hold one thing
each, calls after a user's turn, as many results as calls and in the very next turn, signatures where
the third generation wants them.  So a request that passes here is one that a client may send there,
and the simulator finds a client's mistakes.  Not checked: what depends on the account.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import orjson
from attrs import define

from fallbackio.dialects._state import state_of
from fallbackio.dialects.gemini._fields import fields
from fallbackio.dialects.gemini._messages import DIALECT
from fallbackio.dialects.gemini._models import bare, since_3
from fallbackio.dialects.gemini._read_params import params_of
from fallbackio.dialects.gemini._values import base64_text, boolean, closed, items, refuse, string
from fallbackio.model import Request

__all__ = ["request_of"]

Fields = dict[str, Any]

_REQUEST = fields(
    "cachedContent contents generationConfig labels model safetySettings serviceTier store "
    "systemInstruction toolConfig tools"
)
_CONTENT = fields("role parts")
_PART = fields(
    "codeExecutionResult executableCode fileData functionCall functionResponse inlineData mediaResolution "
    "partMetadata text thought thoughtSignature toolCall toolResponse videoMetadata"
)
_DATA = frozenset(
    {
        "codeExecutionResult",
        "executableCode",
        "fileData",
        "functionCall",
        "functionResponse",
        "inlineData",
        "text",
        "toolCall",
        "toolResponse",
    }
)
_BLOB = fields("data displayName mimeType")
_FILE = fields("displayName fileUri mimeType")
_CALL = fields("args id name")
_RESPONSE = fields("id name parts response scheduling willContinue")

_ROLES = {"user": "user", "model": "model", "function": "user"}
_AUDIO = {"audio/wav": "wav", "audio/mp3": "mp3", "audio/mpeg": "mp3"}


def request_of(body: bytes, model: str, stream: bool) -> Request:
    """The request in OpenAI's terms; raises `InvalidRequest` as Google would with a 400."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        refuse("Invalid JSON payload received.")
    said = closed(value, _REQUEST)
    model = bare(model)
    system = _system(said.pop("systemInstruction", None))
    messages = _Dialogue(model).read(_turns(said.pop("contents", None)))
    said.pop("model", None)  # the path says it
    return Request(messages=(*system, *messages), params=params_of(said, model), model=model, stream=stream)


def _system(value: object) -> list[Fields]:
    if value is None:
        return []
    if isinstance(value, str):  # Google's own client allows it, its API does not
        refuse("Invalid value at 'system_instruction': an object is required")
    parts = [_Part.of(part, "system_instruction.parts") for part in _parts(value, "system_instruction")]
    if any(part.kind != "text" for part in parts):
        refuse("system_instruction: only text parts are allowed")
    return [{"role": "system", "content": _plain([_said(part) for part in parts])}]


def _parts(value: object, where: str) -> list[Any]:
    parts = items(closed(value, _CONTENT, where).get("parts"), f"{where}.parts")
    if not parts:
        refuse(f"{where}.parts must not be empty.")
    return parts


def _plain(parts: list[Fields]) -> str | list[Fields]:
    """One piece of text as a string, anything more as parts."""
    if len(parts) == 1 and parts[0].keys() == {"type", "text"}:
        return str(parts[0]["text"])
    return parts


@define
class _Part:
    """A part: what kind it is of, what it holds, and the signature of the thought behind it."""

    kind: str
    data: Any
    whole: Fields
    thought: bool
    signature: str

    @classmethod
    def of(cls, value: object, where: str) -> _Part:
        said = closed(value, _PART, where)
        kinds = said.keys() & _DATA
        if len(kinds) != 1:
            refuse(f"{where}: required oneof field 'data' must have one initialized field")
        kind = kinds.pop()
        signature = said.get("thoughtSignature", "")
        if signature:
            base64_text(signature, f"{where}.thought_signature")
        part = cls(kind, said[kind], said, boolean(said.get("thought", False), where), signature)
        check = _CHECKS.get(kind)
        if check is not None:
            part.data = check(part, where)
        return part


def _text(part: _Part, where: str) -> str:
    if part.data == "" and (part.signature or part.thought):
        return ""
    return string(part.data, f"{where}.text")


def _blob(part: _Part, where: str) -> Fields:
    said = closed(part.data, _BLOB, f"{where}.inline_data")
    string(said.get("mimeType"), f"{where}.inline_data.mime_type")
    return {**said, "data": base64_text(said.get("data"), f"{where}.inline_data.data")}


def _file(part: _Part, where: str) -> Fields:
    said = closed(part.data, _FILE, f"{where}.file_data")
    string(said.get("fileUri"), f"{where}.file_data.file_uri")
    return said


def _call(part: _Part, where: str) -> Fields:
    said = closed(part.data, _CALL, f"{where}.function_call")
    string(said.get("name"), f"{where}.function_call.name")
    if not isinstance(said.setdefault("args", {}), dict):
        refuse(f"Invalid value at '{where}.function_call.args': an object is required")
    return said


def _response(part: _Part, where: str) -> Fields:
    said = closed(part.data, _RESPONSE, f"{where}.function_response")
    string(said.get("name"), f"{where}.function_response.name")
    if not isinstance(said.get("response"), dict):
        refuse(f"Invalid value at '{where}.function_response.response': an object is required")
    return said


_CHECKS: Mapping[str, Callable[[_Part, str], Any]] = {
    "text": _text,
    "inlineData": _blob,
    "fileData": _file,
    "functionCall": _call,
    "functionResponse": _response,
}


def _turns(contents: object) -> list[tuple[str, list[_Part]]]:
    """Role and parts of each turn, neighbours of one role joined as the API does it."""
    given = items(contents, "contents")
    if not given:
        refuse("contents are required: specify at least one content")
    turns: list[tuple[str, list[_Part]]] = []
    for position, content in enumerate(given):
        where = f"contents[{position}]"
        said = closed(content, _CONTENT, where)
        role = _ROLES.get(str(said.get("role", "user")))
        if role is None:
            refuse(f"{where}.role: Please use a valid role: user, model.")
        parts = [_Part.of(part, f"{where}.parts[{at}]") for at, part in enumerate(_parts(content, where))]
        if turns and turns[-1][0] == role:
            turns[-1][1].extend(parts)
        else:
            turns.append((role, parts))
    return turns


class _Dialogue:
    """Turns to messages, with the rules about calls, results and signatures."""

    def __init__(self, model: str) -> None:
        self._model = model
        self._owed: list[Fields] = []  # the last model turn's calls, as OpenAI's objects
        self._given = False  # whether those calls came with ids of their own
        self._unsigned = False  # a call of the current turn came without its signature
        self._made = 0

    def read(self, turns: list[tuple[str, list[_Part]]]) -> list[Fields]:
        messages: list[Fields] = []
        for position, (role, parts) in enumerate(turns):
            if role == "model":
                messages.append(self._assistant(parts, first=position == 0))
            else:
                messages += self._user(parts)
        if self._owed:
            refuse("Please ensure that function response turn comes immediately after a function call turn.")
        if self._unsigned and since_3(self._model):
            refuse("Function call is missing a thought_signature in functionCall parts.")
        return messages

    def _assistant(self, parts: list[_Part], *, first: bool) -> Fields:
        texts = [_said(part) for part in parts if not part.thought and part.kind not in _CALLING]
        calls = [part for part in parts if part.kind == "functionCall"]
        if any(part.kind == "functionResponse" for part in parts):
            refuse("function responses belong into a user turn")
        if first and calls:
            refuse(
                "Please ensure that function call turn comes immediately after a user turn or after a "
                "function response turn."
            )
        texts = [part for part in texts if part != _EMPTY]
        message: Fields = {"role": "assistant", "content": _plain(texts) if texts else None if calls else ""}
        if calls:
            self._owed = [self._called(part.data) for part in calls]
            self._given = all("id" in part.data for part in calls)
            message["tool_calls"] = self._owed
            self._unsigned = self._unsigned or not calls[0].signature
        return message | self._state(parts, calls)

    def _called(self, data: Fields) -> Fields:
        self._made += 1
        function = {"name": data["name"], "arguments": _json(data["args"])}
        return {"id": data.get("id") or f"call_{self._made}", "type": "function", "function": function}

    def _state(self, parts: list[_Part], calls: list[_Part]) -> Fields:
        """What a client of ours kept for us, so that a conversation read is the one that was sent."""
        kept: Fields = {}
        signed = [part.signature for part in parts if part.kind == "text" and part.signature]
        if signed:
            kept["signature"] = signed[-1]
        if self._given and calls:
            kept["ids"] = [call["id"] for call in self._owed]
        by_id = {
            call["id"]: part.signature
            for call, part in zip(self._owed, calls, strict=False)
            if part.signature
        }
        if by_id:
            kept["signatures"] = by_id
        return state_of(DIALECT, self._model, kept) if kept else {}

    def _user(self, parts: list[_Part]) -> Iterator[Fields]:
        """Tool messages for the results, then a user message for the rest."""
        answers = [part.data for part in parts if part.kind == "functionResponse"]
        if any(part.kind == "functionCall" for part in parts):
            refuse("function calls belong into a model turn")
        if answers and not self._owed:
            refuse("Please ensure that function response turn comes immediately after a function call turn.")
        if len(answers) != len(self._owed):
            refuse(
                "Please ensure that the number of function response parts is equal to the number of "
                "function call parts of the function call turn."
            )
        yield from self._results(answers)
        self._owed = []
        rest = [_said(part) for part in parts if part.kind != "functionResponse"]
        if rest:
            self._unsigned = False  # signatures are wanted since the user spoke last
            yield {"role": "user", "content": _plain(rest)}

    def _results(self, answers: list[Fields]) -> Iterator[Fields]:
        by_id = {answer.get("id"): answer for answer in answers} if self._given else {}
        if self._given and by_id.keys() != {call["id"] for call in self._owed} and any(by_id):
            refuse("function_response.id: is of no function call of the turn before")
        for position, call in enumerate(self._owed):
            answer = by_id.get(call["id"]) or answers[position]
            if answer["name"] != call["function"]["name"]:
                refuse("function_response.name: must be the name of the function call it answers")
            yield {"role": "tool", "tool_call_id": call["id"], **_result(answer["response"])}


_CALLING = frozenset({"functionCall", "functionResponse"})
_EMPTY = {"type": "text", "text": ""}


def _result(response: Fields) -> Fields:
    """The text that a client put under the key for it, else the object as JSON."""
    if response.keys() == {"output"} and isinstance(response["output"], str):
        return {"content": response["output"]}
    if response.keys() == {"error"} and isinstance(response["error"], str):
        return {"content": response["error"], "is_error": True}
    return {"content": _json(response)}


def _json(value: Fields) -> str:
    try:
        return orjson.dumps(value).decode()
    except orjson.JSONEncodeError:  # it was JSON, but orjson writes less deeply than it reads
        refuse("Invalid JSON payload received: nested too deeply")


def _said(part: _Part) -> Fields:
    """OpenAI's part; what has no counterpart there stays as it is."""
    say = _SAY.get(part.kind)
    return part.whole if say is None else say(part.data)


def _said_text(text: str) -> Fields:
    return {"type": "text", "text": text}


def _said_blob(blob: Fields) -> Fields:
    kind = blob["mimeType"]
    if kind in _AUDIO:
        return {"type": "input_audio", "input_audio": {"data": blob["data"], "format": _AUDIO[kind]}}
    url = f"data:{kind};base64,{blob['data']}"
    if kind.startswith("image/"):
        return {"type": "image_url", "image_url": {"url": url}}
    return {"type": "file", "file": {"file_data": url}}


def _said_file(file: Fields) -> Fields:
    if str(file.get("mimeType", "image/")).startswith("image/"):
        return {"type": "image_url", "image_url": {"url": file["fileUri"]}}
    return {"type": "file", "file": {"file_id": file["fileUri"]}}


_SAY: Mapping[str, Callable[[Any], Fields]] = {
    "text": _said_text,
    "inlineData": _said_blob,
    "fileData": _said_file,
}
