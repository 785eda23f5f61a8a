"""How large a conversation is at the least, without a tokenizer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["least_tokens"]

# English has about 4.5 characters to a token, code fewer; only rows of blanks or of one repeated
# word come near this.  What is estimated too small is merely sent, and refused by the provider.
MOST_CHARS_PER_TOKEN = 8


def least_tokens(messages: Sequence[Mapping[str, Any]]) -> int:
    """A number of tokens that the texts of `messages` certainly exceed; images are not counted."""
    chars = 0
    for message in messages:
        content = message.get("content")
        if type(content) is str:
            chars += len(content)
        elif isinstance(content, list | tuple):
            chars += sum([_chars(part) for part in content])
    return chars // MOST_CHARS_PER_TOKEN


def _chars(part: object) -> int:
    text = part.get("text") if isinstance(part, Mapping) else None
    return len(text) if isinstance(text, str) else 0
