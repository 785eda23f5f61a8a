"""Tokens, as OpenAI counts them."""

from __future__ import annotations

from typing import Any

from attrs import frozen

__all__ = ["NO_USAGE", "Usage"]


@frozen(kw_only=True)
class Usage:
    """Tokens of one answer, in OpenAI's meaning: prompt includes cached, completion includes reasoning.

    The prompt also includes what was written to the provider's cache, which some charge for apart.
    Zeros where the provider reported nothing; `bool(usage)` tells the two apart.

    Example:
        >>> Usage(prompt_tokens=12, completion_tokens=30).total_tokens
        42
    """

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    cache_write_tokens: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            prompt_tokens=self.prompt_tokens + other.prompt_tokens,
            completion_tokens=self.completion_tokens + other.completion_tokens,
            cached_tokens=self.cached_tokens + other.cached_tokens,
            reasoning_tokens=self.reasoning_tokens + other.reasoning_tokens,
            cache_write_tokens=self.cache_write_tokens + other.cache_write_tokens,
        )

    @property
    def total_tokens(self) -> int:
        """Prompt and completion together."""
        return self.prompt_tokens + self.completion_tokens

    def __bool__(self) -> bool:
        return bool(self.prompt_tokens or self.completion_tokens)

    def to_dict(self) -> dict[str, Any]:
        """OpenAI's `usage` object."""
        prompt = {"cached_tokens": self.cached_tokens}
        if self.cache_write_tokens:
            prompt["cache_write_tokens"] = self.cache_write_tokens
        return {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "total_tokens": self.total_tokens,
            "prompt_tokens_details": prompt,
            "completion_tokens_details": {"reasoning_tokens": self.reasoning_tokens},
        }


NO_USAGE = Usage()
