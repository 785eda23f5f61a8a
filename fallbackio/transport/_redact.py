"""Keeping keys and prompts out of what providers say.

Providers quote: "Incorrect API key provided: sk-…", "Invalid value: 'the prompt'".  Their short
message goes into our errors, so whatever of the key or of the caller's texts it repeats is taken
out first.  This runs only when an attempt has failed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from fallbackio.errors import AttemptError
from fallbackio.model import Request

__all__ = ["redact"]

MAX_MESSAGE = 300
# A run of so many characters that stands in the prompt too is a quotation; shorter ones are words
# that anybody may use.
QUOTE = 16
# Longer prompts are searched only so far; a message quotes beginnings.
MAX_PROMPT = 200_000


def redact(error: AttemptError, key: str | None, request: Request) -> AttemptError:
    """The same error, its message and code without the key and without quotations of the prompt."""
    message = error.message[:MAX_MESSAGE]
    if key:
        message = message.replace(key, "[key]")
        error.code = error.code.replace(key, "[key]") if error.code else error.code
    error.message = _without_quotes(message, request) if len(message) >= QUOTE else message
    error.args = (error.message,)
    return error


def _without_quotes(message: str, request: Request) -> str:
    prompt = "\n".join(_texts(request))[:MAX_PROMPT]
    if not prompt:
        return message
    for text in _texts(request):  # short prompts are quoted whole
        if 4 <= len(text) < QUOTE:
            message = message.replace(text, "[prompt]")
    kept: list[str] = []
    at = 0
    while at < len(message):
        length = _quoted(message, at, prompt)
        kept.append("[prompt]" if length else message[at])
        at += length or 1
    return "".join(kept)


def _quoted(message: str, at: int, prompt: str) -> int:
    """How many characters from `at` on stand in the prompt too; 0 if too few to be a quotation."""
    length = QUOTE
    if at + length > len(message) or message[at : at + length] not in prompt:
        return 0
    while at + length < len(message) and message[at : at + length + 1] in prompt:
        length += 1
    return length


def _texts(request: Request) -> Iterator[str]:
    for message in request.messages:
        yield from _strings(message.get("content"))
        yield from _strings(message.get("tool_calls"))


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _strings(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _strings(inner)
