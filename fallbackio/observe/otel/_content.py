"""Prompts and answers in the conventions' shape, for those who have asked for them.

A message is a role and parts.  Data sent inline (images, audio) is left out: it is named, not quoted.
Nothing here has judged a message before, so whatever form it has, it costs nobody a span.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import orjson

from fallbackio.model import Choice

__all__ = ["input_messages", "output_messages"]


def input_messages(messages: Iterable[Mapping[str, Any]]) -> str | None:
    """`gen_ai.input.messages` as JSON; `None` where they are none (half a surrogate pair)."""
    return _json([{"role": message["role"], "parts": list(_parts(message))} for message in messages])


def output_messages(choices: Iterable[Choice]) -> str | None:
    """`gen_ai.output.messages` as JSON; `None` as above."""
    return _json(
        [
            {
                "role": choice.message.role,
                "parts": list(_parts(choice.message.to_dict())),
                "finish_reason": choice.finish_reason,
            }
            for choice in choices
        ]
    )


def _parts(message: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    content = message.get("content")
    if message.get("role") == "tool":
        said = list(map(_part, content)) if isinstance(content, list | tuple) else content
        yield {"type": "tool_call_response", "id": message.get("tool_call_id"), "response": said}
        return
    if isinstance(message.get("reasoning_content"), str):
        yield {"type": "reasoning", "content": message["reasoning_content"]}
    if isinstance(content, str):
        yield {"type": "text", "content": content}
    elif isinstance(content, list | tuple):
        yield from map(_part, content)
    if isinstance(message.get("refusal"), str):
        yield {"type": "refusal", "content": message["refusal"]}
    for call in message.get("tool_calls") or ():
        called = call.get(call.get("type", "function"))
        called = called if isinstance(called, Mapping) else {}
        said = called.get("arguments", called.get("input"))
        yield {"type": "tool_call", "id": call.get("id"), "name": called.get("name", ""), "arguments": said}


def _part(part: Any) -> dict[str, Any]:
    kind = part.get("type", "unknown") if isinstance(part, Mapping) else "unknown"
    if kind == "text":
        return {"type": "text", "content": part.get("text")}
    image = part.get("image_url") if kind == "image_url" else None
    url = image.get("url") if isinstance(image, Mapping) else image
    if isinstance(url, str) and url.startswith(("http://", "https://")):
        return {"type": "uri", "modality": "image", "uri": url}
    return {"type": str(kind)}


def _json(value: object) -> str | None:
    try:
        return orjson.dumps(value, default=str).decode()
    except orjson.JSONEncodeError:
        return None
