"""How long a context well-known models have: by name, exactly, and nothing that was not published.

`window_of` takes the names that vendors give one model (`gpt-4o-2024-08-06`, `openai/gpt-4o`,
`us.anthropic.claude-sonnet-4-5-20250929-v1:0`) to one, and looks that up.  The odd rule: models with open
weights are not here, because whoever serves one chooses its window.  Too small a window keeps prompts
away that would fit, so a header that asks for a longer one counts.

Read from models.dev f3fc692 (2026-07), each from the page of the model's own maker.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["VERIFIED", "WINDOWS", "names_of", "window_of"]

VERIFIED = "2026-07"
"""Year and month in which the table was read."""

_128K, _200K, _400K, _1M = 128_000, 200_000, 400_000, 1_000_000

WINDOWS: Mapping[str, int] = MappingProxyType(
    {
        "gpt-3.5-turbo": 16_385,
        "gpt-4": 8_192,
        **dict.fromkeys(("gpt-4-turbo", "gpt-4o", "gpt-4o-mini"), _128K),
        **dict.fromkeys(("gpt-4.1", "gpt-4.1-mini", "gpt-4.1-nano"), 1_047_576),
        **dict.fromkeys(("o1", "o1-pro", "o3", "o3-mini", "o3-pro", "o4-mini"), _200K),
        **dict.fromkeys(("o3-deep-research", "o4-mini-deep-research"), _200K),
        **dict.fromkeys(("gpt-5", "gpt-5-mini", "gpt-5-nano", "gpt-5-pro", "gpt-5-codex"), _400K),
        **dict.fromkeys(("gpt-5.1", "gpt-5.1-codex", "gpt-5.1-codex-max", "gpt-5.1-codex-mini"), _400K),
        **dict.fromkeys(("gpt-5.2", "gpt-5.2-codex", "gpt-5.2-pro", "gpt-5.3-codex"), _400K),
        **dict.fromkeys(("gpt-5.1-chat-latest", "gpt-5.2-chat-latest", "gpt-5.3-chat-latest"), _128K),
        **dict.fromkeys(("gpt-5.4-mini", "gpt-5.4-nano"), _400K),
        **dict.fromkeys(("gpt-5.4", "gpt-5.4-pro", "gpt-5.5", "gpt-5.5-pro"), 1_050_000),
        **dict.fromkeys(("claude-3-haiku", "claude-3-opus", "claude-3-sonnet"), _200K),
        **dict.fromkeys(("claude-3-5-sonnet", "claude-3-7-sonnet", "claude-haiku-4-5"), _200K),
        **dict.fromkeys(("claude-opus-4", "claude-opus-4-0", "claude-opus-4-1", "claude-opus-4-5"), _200K),
        **dict.fromkeys(("claude-sonnet-4", "claude-sonnet-4-0", "claude-sonnet-4-5"), _200K),
        **dict.fromkeys(("claude-opus-4-6", "claude-opus-4-7", "claude-opus-4-8"), _1M),
        **dict.fromkeys(("claude-sonnet-4-6", "claude-sonnet-5", "claude-fable-5"), _1M),
        **dict.fromkeys(("gemini-2.0-flash", "gemini-2.0-flash-lite", "gemini-2.5-flash"), 1_048_576),
        **dict.fromkeys(("gemini-2.5-flash-lite", "gemini-2.5-pro", "gemini-3-flash-preview"), 1_048_576),
        **dict.fromkeys(("gemini-3-pro-preview", "gemini-3.1-pro-preview", "gemini-3.5-flash"), 1_048_576),
        **dict.fromkeys(("gemini-3.1-flash-lite", "gemini-3.1-flash-lite-preview"), 1_048_576),
        **dict.fromkeys(("gemini-flash-latest", "gemini-flash-lite-latest"), 1_048_576),
        **dict.fromkeys(("mistral-large-latest", "mistral-large-2512", "devstral-medium-latest"), 262_144),
        **dict.fromkeys(("mistral-medium-latest", "mistral-medium-2508", "mistral-medium-2604"), 262_144),
        **dict.fromkeys(("mistral-large-2411", "mistral-medium-2505"), 131_072),
        **dict.fromkeys(("mistral-small-latest", "codestral-latest"), 256_000),
        **dict.fromkeys(("magistral-medium-latest", "ministral-3b-latest", "ministral-8b-latest"), _128K),
        **dict.fromkeys(("grok-4.3", "grok-4.20-0309-reasoning", "grok-4.20-0309-non-reasoning"), _1M),
        **dict.fromkeys(("command-a-03-2025", "command-a-reasoning-08-2025"), 256_000),
        **dict.fromkeys(("command-a-plus-05-2026", "command-a-vision-07-2025"), _128K),
        **dict.fromkeys(("command-r-08-2024", "command-r-plus-08-2024", "command-r7b-12-2024"), _128K),
        **dict.fromkeys(("llama-3.1-8b-instant", "llama-3.3-70b-versatile"), 131_072),  # Groq's own names
    }
)
"""Tokens of prompt and answer together, by the model's name without a date."""

# Anthropic's beta of a longer context, which an account has or has not, and for which models.
_LONGER = "context-1m"
_WINDOWS_IF_LONGER: Mapping[str, int] = MappingProxyType(
    dict.fromkeys(("claude-sonnet-4", "claude-sonnet-4-0", "claude-sonnet-4-5"), _1M)
)

# Bedrock puts the region's profile and the maker before a name: us.anthropic.claude-….
_PROFILE = re.compile(r"(?:[a-z]{2,6}(?:-gov)?\.)?[a-z0-9]+\.(?=[a-z])")

# A day of release, and Bedrock's and Vertex's versions; they change no window.
_VERSION = re.compile(r"(?:[-@](?:20\d{6}|20\d\d-\d\d-\d\d)|-v\d+(?::\d+)?)+\Z")


def window_of(model: str, headers: Mapping[str, str] = MappingProxyType({})) -> int | None:
    """The context of `model` in tokens, prompt and answer together; `None` where that is not known.

    `headers` are the endpoint's own, of which one may ask for a longer context.

    Example:
        >>> window_of("claude-haiku-4-5-20251001"), window_of("my-deployment")
        (200000, None)
    """
    name, undated = names_of(model)
    if any(_LONGER in value for value in headers.values()) and undated in _WINDOWS_IF_LONGER:
        return _WINDOWS_IF_LONGER[undated]
    return WINDOWS.get(name) or WINDOWS.get(undated)


def names_of(model: str) -> tuple[str, str]:
    """The names that tables may know `model` by: the maker's own spelling, and the same without a date.

    Example:
        >>> names_of("anthropic/claude-haiku-4-5-20251001")
        ('claude-haiku-4-5-20251001', 'claude-haiku-4-5')
    """
    name = _plain(model)
    return name, _VERSION.sub("", name)


def _plain(model: str) -> str:
    """The maker's own spelling of a name."""
    name = model.strip().lower().rpartition("/")[2]
    if name.startswith("ft:"):
        name = name.split(":")[1]
    name = _PROFILE.sub("", name, count=1) if _PROFILE.match(name) else name
    # OpenRouter writes claude-sonnet-4.5.
    return name.replace(".", "-") if name.startswith("claude-") else name
