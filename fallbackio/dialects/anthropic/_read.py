"""Messages requests, read on the server's side into OpenAI's terms.

As strict as Anthropic documents its API: roles, a limit, text that is not blank, tool results that
answer the turn before them and stand first, no field that it does not know.  So a request that
passes here is one that a client may send there, and the simulator finds a client's mistakes.
Not checked: what depends on the model or on the account, and signatures that are not our own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import orjson

from fallbackio.dialects.anthropic._params import params_of, thinking_of
from fallbackio.dialects.anthropic._rules import (
    Fields,
    boolean_of,
    list_of,
    not_blank,
    object_of,
    refuse,
    string_of,
    with_cache,
)
from fallbackio.dialects.anthropic._thinking import BLOCKS, forged, state
from fallbackio.model import Request

__all__ = ["request_of"]

Turns = list[tuple[str, list[Any]]]  # role and blocks

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

_CALL_ID = re.compile(r"[a-zA-Z0-9_-]+")


def request_of(body: bytes) -> Request:
    """The request in OpenAI's terms; raises `InvalidRequest` as Anthropic would with a 400."""
    try:
        said = orjson.loads(body)
    except orjson.JSONDecodeError:
        refuse("the body is not valid JSON")
    if not isinstance(said, dict):
        refuse("the body must be an object")
    for name in said:
        if name not in _FIELDS:
            refuse(f"{name}: Extra inputs are not permitted")
    model = string_of(said.get("model"), "model")
    thinking = thinking_of(said)
    turns = _turns(list_of(said.get("messages"), "messages"))
    if thinking == "enabled":
        _must_begin_with_thinking(turns)
    messages = [*_system(said.get("system")), *_conversation(turns, model)]
    return Request(
        messages=tuple(messages),
        params=params_of(said),
        model=model,
        stream=boolean_of(said.get("stream", False), "stream"),
    )


def _system(system: object) -> list[Fields]:
    if system is None:
        return []
    if isinstance(system, str):
        return [{"role": "system", "content": system}] if system else []
    return [{"role": "system", "content": _plain([_text(b, "system") for b in list_of(system, "system")])}]


def _plain(parts: list[Fields]) -> str | list[Fields]:
    """One piece of text as a string, anything more as parts."""
    if len(parts) == 1 and parts[0].keys() == {"type", "text"}:
        return str(parts[0]["text"])
    return parts


def _text(block: object, where: str) -> Fields:
    found = object_of(block, where)
    if found.get("type") != "text":
        refuse(f"{where}: only text blocks are allowed here")
    return with_cache({"type": "text", "text": not_blank(found.get("text"), where)}, found)


def _conversation(turns: Turns, model: str) -> list[Fields]:
    if not turns:
        refuse("messages: at least one message is required")
    said: list[Fields] = []
    owed: list[str] = []
    seen: set[str] = set()
    for position, (role, blocks) in enumerate(turns):
        where = f"messages.{position}"
        _settle(owed, blocks, where)
        if role == "assistant":
            message, owed = _assistant(blocks, where, model)
            _must_be_new(owed, seen, where)
            said.append(message)
        elif role == "user":
            owed = []
            said += _user(blocks, where)
        else:
            said.append({"role": "system", "content": _plain([_text(block, where) for block in blocks])})
    if owed:
        refuse(f"messages: `tool_use` ids were found without `tool_result` blocks: {', '.join(owed)}")
    return said


def _must_be_new(ids: list[str], seen: set[str], where: str) -> None:
    for call_id in ids:
        if call_id in seen:
            refuse(f"{where}.content: `tool_use` ids must be unique")
        seen.add(call_id)


def _turns(messages: list[Any]) -> Turns:
    """Role and blocks of each turn, neighbours of one role joined as the API does it."""
    turns: Turns = []
    for position, message in enumerate(messages):
        where = f"messages.{position}"
        found = object_of(message, where)
        role = found.get("role")
        last = position == len(messages) - 1
        if role not in ("user", "assistant", "system"):
            refuse(f'{where}.role: Input should be "user", "assistant" or "system"')
        if extra := found.keys() - {"role", "content"}:
            refuse(f"{where}.{min(extra)}: Extra inputs are not permitted")
        blocks = _blocks(found.get("content"), where, may_be_empty=last and role == "assistant")
        if last and role == "assistant":
            _no_white_end(blocks)
        if turns and turns[-1][0] == role:
            turns[-1][1].extend(blocks)
        else:
            before = turns[-1][0] if turns else ""
            if (role == "system" and before != "user") or (role == "user" and before == "system"):
                refuse(f"{where}: a system turn must stand between a user's and an assistant's, or last")
            turns.append((role, blocks))
    return turns


def _blocks(content: object, where: str, *, may_be_empty: bool) -> list[Any]:
    if isinstance(content, str):
        if not content and may_be_empty:
            return []
        return [{"type": "text", "text": not_blank(content, f"{where}.content")}]
    blocks = list_of(content, f"{where}.content")
    if not blocks and not may_be_empty:
        refuse(f"{where}.content: all messages must have non-empty content")
    return [object_of(block, f"{where}.content") for block in blocks]


def _no_white_end(blocks: list[Any]) -> None:
    text = blocks[-1].get("text") if blocks else None
    if isinstance(text, str) and text != text.rstrip():
        refuse("messages: final assistant content cannot end with trailing whitespace")


def _settle(owed: list[str], blocks: list[Any], where: str) -> None:
    """Every call of the turn before has its result in this one, at the head, and nothing else has."""
    given: list[str] = []
    others = False
    for block in blocks:
        if block.get("type") != "tool_result":
            others = True
            continue
        if others and owed:
            refuse(f"{where}: `tool_result` blocks must come first")
        given.append(string_of(block.get("tool_use_id"), f"{where}.tool_use_id"))
    if missing := [call for call in owed if call not in given]:
        refuse(f"{where}: `tool_use` ids were found without `tool_result` blocks: {', '.join(missing)}")
    for call in given:
        if call not in owed:
            refuse(f"{where}: unexpected `tool_use_id` found in `tool_result` blocks: {call}")
    if len(set(given)) != len(given):
        refuse(f"{where}: each tool_use must have a single result")


def _assistant(blocks: list[Any], where: str, model: str) -> tuple[Fields, list[str]]:
    """The message, and the ids of its calls."""
    texts: list[Fields] = []
    calls: list[Fields] = []
    thoughts: list[Fields] = []
    for block in blocks:
        kind = block.get("type")
        if kind == "text":
            texts.append(_text(block, where))
        elif kind == "tool_use":
            calls.append(_call(block, where))
        elif kind in BLOCKS:
            thoughts.append(_thought(block, where))
        else:
            refuse(f"{where}.content: an assistant's turn cannot hold this type of block")
    message: Fields = {"role": "assistant", "content": _plain(texts) if texts else None}
    message |= state(model, thoughts)
    if calls:
        message["tool_calls"] = calls
    elif not texts:
        message["content"] = ""
    return message, [call["id"] for call in calls]


def _thought(block: Fields, where: str) -> Fields:
    if block["type"] == "redacted_thinking":
        string_of(block.get("data"), f"{where}.data")
        return block
    if not isinstance(block.get("thinking"), str):
        refuse(f"{where}.thinking: Input should be a valid string")
    string_of(block.get("signature"), f"{where}.signature")
    if forged(block):
        refuse(f"{where}: Invalid `signature` in `thinking` block")
    return block


def _must_begin_with_thinking(turns: Turns) -> None:
    """What a fixed budget asks of a prefill, and of the tool loop that is to go on."""
    if turns and turns[-1][0] == "assistant":
        refuse("messages: prefilling assistant responses is not supported when thinking is enabled")
    if not turns or not any(block.get("type") == "tool_result" for block in turns[-1][1]):
        return
    head = len(turns) - 2
    while head >= 2 and all(block.get("type") == "tool_result" for block in turns[head - 1][1]):
        head -= 2
    if head >= 0 and turns[head][1][0].get("type") not in BLOCKS:
        refuse(
            f"messages.{head}.content.0.type: Expected `thinking` or `redacted_thinking`; when "
            "`thinking` is enabled, a final `assistant` message must start with a thinking block"
        )


def _call(block: Fields, where: str) -> Fields:
    call_id = string_of(block.get("id"), f"{where}.id")
    if not _CALL_ID.fullmatch(call_id):
        refuse(f"{where}.id: String should match pattern '^[a-zA-Z0-9_-]+$'")
    arguments = orjson.dumps(object_of(block.get("input"), f"{where}.input")).decode()
    name = string_of(block.get("name"), f"{where}.name")
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
        else _plain([_part(part, where) for part in list_of(content, where)])
    )
    message = {"role": "tool", "tool_call_id": block["tool_use_id"], "content": said}
    return {**message, "is_error": True} if block.get("is_error") else message


def _part(block: object, where: str) -> Fields:
    found = object_of(block, where)
    kind = found.get("type")
    if kind == "text":
        return _text(found, where)
    if kind not in ("image", "document"):
        refuse(f"{where}.content: a user's turn cannot hold this type of block")
    source = object_of(found.get("source"), f"{where}.source")
    url = _source_url(source, where)
    if url is None:
        return found  # no counterpart at OpenAI: a file's id, plain text
    if kind == "image":
        return with_cache({"type": "image_url", "image_url": {"url": url}}, found)
    file = {"file_data": url} | ({"filename": found["title"]} if found.get("title") else {})
    return with_cache({"type": "file", "file": file}, found)


def _source_url(source: Fields, where: str) -> str | None:
    if source.get("type") == "base64":
        data = string_of(source.get("data"), f"{where}.source.data")
        return f"data:{string_of(source.get('media_type'), f'{where}.source.media_type')};base64,{data}"
    return string_of(source.get("url"), f"{where}.source.url") if source.get("type") == "url" else None
