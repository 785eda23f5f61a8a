"""Messages requests, read on the server's side into OpenAI's terms.

As strict as Anthropic documents its API: roles, a limit, text that is not blank, tool results that
answer the turn before them and stand first, no field that it does not know.  So a request that
passes here is one that a client may send there, and the simulator finds a client's mistakes.
Not checked: what depends on the model or on the account.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, NoReturn

import orjson

from fallbackio.errors import InvalidRequest
from fallbackio.model import Request

__all__ = ["request_of"]

Fields = dict[str, Any]

# Fields of the API as of 2026-10, those of open betas included.
# fmt: off
_FIELDS = frozenset((
    "billing_policy", "cache_control", "compaction", "container", "context_management", "diagnostics",
    "fallback_credit_token", "fallbacks", "inference_geo", "max_tokens", "mcp_servers", "messages",
    "metadata", "model", "output_config", "output_format", "service_tier", "speed", "stop_sequences",
    "stream", "system", "temperature", "thinking", "thread", "tool_choice", "tools", "top_k", "top_p",
    "user_profile_id", "workspace_id",
))
# fmt: on
_RENAMED = frozenset({"model", "messages", "stream", "system"})

_TOOL_NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}")
_CALL_ID = re.compile(r"[a-zA-Z0-9_-]+")

_CHOICES: Mapping[str, str] = {"auto": "auto", "any": "required", "none": "none"}


def request_of(body: bytes) -> Request:
    """The request in OpenAI's terms; raises `InvalidRequest` as Anthropic would with a 400."""
    try:
        said = orjson.loads(body)
    except orjson.JSONDecodeError:
        _refuse("the body is not valid JSON")
    if not isinstance(said, dict):
        _refuse("the body must be an object")
    for name in said:
        if name not in _FIELDS:
            _refuse(f"{name}: Extra inputs are not permitted")
    messages = [*_system(said.get("system")), *_conversation(said.get("messages"))]
    return Request(
        messages=tuple(messages),
        params=_params(said),
        model=_string(said.get("model"), "model"),
        stream=_boolean(said.get("stream", False), "stream"),
    )


def _refuse(what: str) -> NoReturn:
    raise InvalidRequest(what, status=400, code="invalid_request_error")


def _string(value: object, where: str) -> str:
    if not isinstance(value, str) or not value:
        _refuse(f"{where}: a non-empty string is required")
    return value


def _boolean(value: object, where: str) -> bool:
    if not isinstance(value, bool):
        _refuse(f"{where}: Input should be a valid boolean")
    return value


def _object(value: object, where: str) -> Fields:
    if not isinstance(value, dict):
        _refuse(f"{where}: Input should be an object")
    return value


def _list(value: object, where: str) -> list[Any]:
    if not isinstance(value, list):
        _refuse(f"{where}: Input should be a list")
    return value


def _not_blank(text: object, where: str) -> str:
    if not isinstance(text, str):
        _refuse(f"{where}: Input should be a string")
    if not text or text.isspace():
        _refuse(f"{where}: text content blocks must be non-empty and hold more than white space")
    return text


def _system(system: object) -> list[Fields]:
    if system is None:
        return []
    if isinstance(system, str):
        return [{"role": "system", "content": system}] if system else []
    return [{"role": "system", "content": _plain([_text(b, "system") for b in _list(system, "system")])}]


def _plain(parts: list[Fields]) -> str | list[Fields]:
    """One piece of text as a string, anything more as parts."""
    if len(parts) == 1 and parts[0].keys() == {"type", "text"}:
        return str(parts[0]["text"])
    return parts


def _text(block: object, where: str) -> Fields:
    found = _object(block, where)
    if found.get("type") != "text":
        _refuse(f"{where}: only text blocks are allowed here")
    return _with_cache({"type": "text", "text": _not_blank(found.get("text"), where)}, found)


def _with_cache(part: Fields, block: Fields) -> Fields:
    return {**part, "cache_control": block["cache_control"]} if "cache_control" in block else part


def _conversation(messages: object) -> list[Fields]:
    turns = _turns(_list(messages, "messages"))
    if not turns:
        _refuse("messages: at least one message is required")
    said: list[Fields] = []
    owed: list[str] = []
    for position, (role, blocks) in enumerate(turns):
        where = f"messages.{position}"
        _settle(owed, blocks, where)
        if role == "assistant":
            message, owed = _assistant(blocks, where)
            said.append(message)
        elif role == "user":
            owed = []
            said += _user(blocks, where)
        else:
            said.append({"role": "system", "content": _plain([_text(block, where) for block in blocks])})
    if owed:
        _refuse(f"messages: `tool_use` ids were found without `tool_result` blocks: {', '.join(owed)}")
    return said


def _turns(messages: list[Any]) -> list[tuple[str, list[Any]]]:
    """Role and blocks of each turn, neighbours of one role joined as the API does it."""
    turns: list[tuple[str, list[Any]]] = []
    for position, message in enumerate(messages):
        where = f"messages.{position}"
        found = _object(message, where)
        role = found.get("role")
        last = position == len(messages) - 1
        if role not in ("user", "assistant", "system"):
            _refuse(f'{where}.role: Input should be "user", "assistant" or "system"')
        if extra := found.keys() - {"role", "content"}:
            _refuse(f"{where}.{min(extra)}: Extra inputs are not permitted")
        blocks = _blocks(found.get("content"), where, may_be_empty=last and role == "assistant")
        if last and role == "assistant":
            _no_white_end(blocks)
        if turns and turns[-1][0] == role:
            turns[-1][1].extend(blocks)
        else:
            before = turns[-1][0] if turns else ""
            if (role == "system" and before != "user") or (role == "user" and before == "system"):
                _refuse(f"{where}: a system turn must stand between a user's and an assistant's, or last")
            turns.append((role, blocks))
    return turns


def _blocks(content: object, where: str, *, may_be_empty: bool) -> list[Any]:
    if isinstance(content, str):
        if not content and may_be_empty:
            return []
        return [{"type": "text", "text": _not_blank(content, f"{where}.content")}]
    blocks = _list(content, f"{where}.content")
    if not blocks and not may_be_empty:
        _refuse(f"{where}.content: all messages must have non-empty content")
    return [_object(block, f"{where}.content") for block in blocks]


def _no_white_end(blocks: list[Any]) -> None:
    text = blocks[-1].get("text") if blocks else None
    if isinstance(text, str) and text != text.rstrip():
        _refuse("messages: final assistant content cannot end with trailing whitespace")


def _settle(owed: list[str], blocks: list[Any], where: str) -> None:
    """Every call of the turn before has its result in this one, at the head, and nothing else has."""
    given: list[str] = []
    others = False
    for block in blocks:
        if block.get("type") != "tool_result":
            others = True
            continue
        if others and owed:
            _refuse(f"{where}: `tool_result` blocks must come first")
        given.append(_string(block.get("tool_use_id"), f"{where}.tool_use_id"))
    if missing := [call for call in owed if call not in given]:
        _refuse(f"{where}: `tool_use` ids were found without `tool_result` blocks: {', '.join(missing)}")
    for call in given:
        if call not in owed:
            _refuse(f"{where}: unexpected `tool_use_id` found in `tool_result` blocks: {call}")
    if len(set(given)) != len(given):
        _refuse(f"{where}: each tool_use must have a single result")


def _assistant(blocks: list[Any], where: str) -> tuple[Fields, list[str]]:
    """The message, and the ids of its calls."""
    texts: list[Fields] = []
    calls: list[Fields] = []
    for block in blocks:
        kind = block.get("type")
        if kind == "text":
            texts.append(_text(block, where))
        elif kind == "tool_use":
            calls.append(_call(block, where))
        elif kind not in ("thinking", "redacted_thinking"):
            _refuse(f"{where}.content: an assistant's turn cannot hold this type of block")
    message: Fields = {"role": "assistant", "content": _plain(texts) if texts else None}
    if calls:
        message["tool_calls"] = calls
    elif not texts:
        message["content"] = ""
    return message, [call["id"] for call in calls]


def _call(block: Fields, where: str) -> Fields:
    call_id = _string(block.get("id"), f"{where}.id")
    if not _CALL_ID.fullmatch(call_id):
        _refuse(f"{where}.id: String should match pattern '^[a-zA-Z0-9_-]+$'")
    arguments = orjson.dumps(_object(block.get("input"), f"{where}.input")).decode()
    name = _string(block.get("name"), f"{where}.name")
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


def _user(blocks: list[Any], where: str) -> Iterable[Fields]:
    """Tool messages for the results, then a user message for the rest."""
    rest: list[Fields] = []
    for block in blocks:
        if block.get("type") == "tool_result":
            yield _result(block, where)
        else:
            rest.append(_part(block, where))
    if rest:
        yield {"role": "user", "content": _plain(rest)}


def _result(block: Fields, where: str) -> Fields:
    content = block.get("content", "")
    said = (
        content
        if isinstance(content, str)
        else _plain([_part(part, where) for part in _list(content, where)])
    )
    message = {"role": "tool", "tool_call_id": block["tool_use_id"], "content": said}
    return {**message, "is_error": True} if block.get("is_error") else message


def _part(block: object, where: str) -> Fields:
    found = _object(block, where)
    kind = found.get("type")
    if kind == "text":
        return _text(found, where)
    if kind not in ("image", "document"):
        _refuse(f"{where}.content: a user's turn cannot hold this type of block")
    source = _object(found.get("source"), f"{where}.source")
    url = _source_url(source, where)
    if url is None:
        return found  # no counterpart at OpenAI: a file's id, plain text
    if kind == "image":
        return _with_cache({"type": "image_url", "image_url": {"url": url}}, found)
    file = {"file_data": url} | ({"filename": found["title"]} if found.get("title") else {})
    return _with_cache({"type": "file", "file": file}, found)


def _source_url(source: Fields, where: str) -> str | None:
    if source.get("type") == "base64":
        data = _string(source.get("data"), f"{where}.source.data")
        return f"data:{_string(source.get('media_type'), f'{where}.source.media_type')};base64,{data}"
    return _string(source.get("url"), f"{where}.source.url") if source.get("type") == "url" else None


def _params(said: Fields) -> Fields:
    params = {name: value for name, value in said.items() if name not in _RENAMED and value is not None}
    limit = params.get("max_tokens")
    if type(limit) is not int or limit < 1:
        _refuse("max_tokens: an integer of at least 1 is required")
    _ratio(params, "temperature")
    _ratio(params, "top_p")
    _stops(params)
    _tools(params)
    _outward(params)
    return params


def _ratio(params: Fields, name: str) -> None:
    value = params.get(name, 1)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        _refuse(f"{name}: Input should be a number from 0 to 1")


def _stops(params: Fields) -> None:
    stops = params.pop("stop_sequences", None)
    if stops:
        for stop in _list(stops, "stop_sequences"):
            if not isinstance(stop, str) or not stop.strip():
                _refuse("stop_sequences: each stop sequence must contain non-whitespace")
        params["stop"] = stops


def _tools(params: Fields) -> None:
    tools = _list(params.pop("tools", []), "tools")
    if tools:
        params["tools"] = [_tool(_object(tool, f"tools.{n}"), f"tools.{n}") for n, tool in enumerate(tools)]
    choice = _object(params.pop("tool_choice", {}), "tool_choice")
    if not choice:
        return
    if not tools:
        _refuse("tool_choice: may only be specified while providing tools")
    kind = str(choice.get("type"))
    if kind == "tool":
        name = _string(choice.get("name"), "tool_choice.name")
        params["tool_choice"] = {"type": "function", "function": {"name": name}}
    elif kind in _CHOICES:
        params["tool_choice"] = _CHOICES[kind]
    else:
        _refuse("tool_choice.type: Input should be 'auto', 'any', 'tool' or 'none'")
    if choice.get("disable_parallel_tool_use"):
        params["parallel_tool_calls"] = False


def _tool(tool: Fields, where: str) -> Fields:
    if tool.get("type", "custom") != "custom":
        return tool  # one that Anthropic runs itself
    name = _string(tool.get("name"), f"{where}.name")
    if not _TOOL_NAME.fullmatch(name):
        _refuse(f"{where}.name: String should match pattern '^[a-zA-Z0-9_-]{{1,128}}$'")
    schema = _object(tool.get("input_schema"), f"{where}.input_schema")
    if schema.get("type") != "object":
        _refuse(f"{where}.input_schema.type: Input should be 'object'")
    function = {"name": name, "parameters": schema}
    function |= {field: tool[field] for field in ("description", "strict") if field in tool}
    return _with_cache({"type": "function", "function": function}, tool)


def _outward(params: Fields) -> None:
    """Fields that OpenAI has by other names."""
    metadata = _object(params.pop("metadata", {}), "metadata")
    if metadata.get("user_id") is not None:
        params["user"] = metadata["user_id"]
    config = _object(params.pop("output_config", {}), "output_config")
    shape = config.get("format")
    if shape is not None:
        schema = _object(_object(shape, "output_config.format").get("schema"), "output_config.format.schema")
        params["response_format"] = {
            "type": "json_schema",
            "json_schema": {"name": "answer", "schema": schema},
        }
    if config.get("effort") is not None:
        params["reasoning_effort"] = config["effort"]
