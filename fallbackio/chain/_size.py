"""How large a conversation is at the least, without a tokenizer.

Tokenizers differ, but none in use makes one token of two words, so there are at least as many tokens as
words.  Lengths tell nothing for sure: a token may stand for a row of 128 blanks or dashes, and for a whole
phrase of a language without blanks.  What is estimated too small is merely sent, and refused by the provider.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

__all__ = ["least_tokens"]


def least_tokens(messages: Sequence[Mapping[str, Any]], over: int) -> int:
    """A number of tokens that the texts of `messages` certainly have; images are not counted.

    0 where it is plain from the lengths that there are no more than `over`, because words are slow to count.

    Example:
        >>> least_tokens([{"role": "user", "content": "four words and more"}], over=3)
        4
    """
    texts = [text for message in messages for text in _texts(message.get("content"))]
    if sum([(len(text) + 1) // 2 for text in texts]) <= over:  # a word and what parts it from the next
        return 0
    return sum([len(text.split()) for text in texts])


def _texts(content: object) -> Iterator[str]:
    if isinstance(content, str):
        yield content
    elif isinstance(content, list | tuple):
        for part in content:
            text = part.get("text") if isinstance(part, Mapping) else None
            if isinstance(text, str):
                yield text
