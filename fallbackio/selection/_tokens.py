"""About how many tokens a request will be counted as, without a tokenizer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["estimated_tokens"]

# English prose has 4 to 4.5 characters to a token, code and other languages fewer; what a call really
# used corrects the bucket afterwards, so this only has to be near.
CHARS_PER_TOKEN = 4.0
# What an image is counted as at usual sizes, by OpenAI and Anthropic alike.
IMAGE_TOKENS = 1000
MESSAGE_TOKENS = 4


def estimated_tokens(messages: Sequence[Mapping[str, Any]], params: Mapping[str, Any]) -> int:
    """Tokens that providers reserve for it: the prompt, and the answer's limit if there is one.

    OpenAI and Azure take `max_tokens` off the limit when the request comes in.
    """
    chars, images = 0, 0
    for message in messages:
        content = message.get("content")
        if type(content) is str:
            chars += len(content)
        elif isinstance(content, list | tuple):
            for part in content:
                text = part.get("text") if isinstance(part, Mapping) else None
                if isinstance(text, str):
                    chars += len(text)
                else:
                    images += 1
        if calls := message.get("tool_calls"):
            chars += len(str(calls))
    for name in ("tools", "response_format"):
        if said := params.get(name):
            chars += len(str(said))
    limit = params.get("max_completion_tokens") or params.get("max_tokens")
    answer = limit if isinstance(limit, int) else 0
    return int(chars / CHARS_PER_TOKEN) + images * IMAGE_TOKENS + len(messages) * MESSAGE_TOKENS + answer
