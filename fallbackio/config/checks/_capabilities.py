"""What well-known models can do, by vendor and name; for advice, not for routing.

`Chain(require=…)` goes by what an endpoint says of itself, because a table that is out of date must not
keep calls from anybody.  The odd rule: a model that is not here is not known, and nothing is guessed of it;
`None` for one ability says the same of that.

Read from models.dev f3fc692 (2026-07): `tool_call`, `modalities.input` and `structured_output`, the last of
which many rows leave out.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from attrs import frozen

from fallbackio.dialects import names_of

__all__ = ["VERIFIED", "Abilities", "abilities_of"]

VERIFIED = "2026-07"
"""Year and month in which the table was read."""


@frozen
class Abilities:
    """Whether a model has each; `None` where that is not known."""

    tools: bool | None
    vision: bool | None
    json_schema: bool | None


_ALL = Abilities(True, True, True)
_BUT_SCHEMA = Abilities(True, True, False)
_TEXT = Abilities(True, False, True)
_TEXT_ONLY = Abilities(True, False, False)
_NOTHING = Abilities(False, False, False)
_SEEING = Abilities(True, True, None)
_BLIND = Abilities(True, False, None)


def _rows(*groups: tuple[Abilities, str]) -> Mapping[str, Abilities]:
    return MappingProxyType({name: ability for ability, names in groups for name in names.split()})


_TABLE: Mapping[str, Mapping[str, Abilities]] = MappingProxyType(
    {
        "openai": _rows(
            (
                _ALL,
                "gpt-4.1 gpt-4.1-mini gpt-4.1-nano gpt-4o gpt-4o-mini gpt-5 gpt-5-mini gpt-5-nano gpt-5-pro "
                "gpt-5-codex gpt-5.1 gpt-5.1-chat-latest gpt-5.1-codex gpt-5.1-codex-max gpt-5.1-codex-mini "
                "gpt-5.2 gpt-5.2-chat-latest gpt-5.2-codex gpt-5.3-chat-latest gpt-5.3-codex gpt-5.4 "
                "gpt-5.4-mini gpt-5.4-nano gpt-5.5 gpt-5.5-pro o1 o1-pro o3 o3-pro o4-mini",
            ),
            (_BUT_SCHEMA, "gpt-4-turbo gpt-5.2-pro gpt-5.4-pro"),
            (_TEXT, "o3-mini"),
            (_TEXT_ONLY, "gpt-4"),
            (_NOTHING, "gpt-3.5-turbo"),
            (Abilities(False, True, True), "gpt-5-chat-latest"),
            (_SEEING, "o3-deep-research o4-mini-deep-research"),
        ),
        "anthropic": _rows(
            (
                _SEEING,
                "claude-3-5-sonnet claude-3-7-sonnet claude-3-haiku claude-3-opus claude-3-sonnet "
                "claude-fable-5 claude-haiku-4-5 claude-opus-4-0 claude-opus-4 claude-opus-4-1 claude- "
                "opus-4-5 "
                "claude-opus-4-6 claude-opus-4-7 claude-opus-4-8 claude-sonnet-4-0 claude-sonnet-4 "
                "claude-sonnet-4-5 claude-sonnet-4-6 claude-sonnet-5",
            ),
        ),
        "gemini": _rows(
            (
                _ALL,
                "gemini-2.0-flash gemini-2.0-flash-lite gemini-2.5-flash gemini-2.5-flash-lite "
                "gemini-2.5-pro "
                "gemini-3-flash-preview gemini-3-pro-preview gemini-3.1-flash-lite gemini-3.1-pro-preview "
                "gemini-3.5-flash gemini-flash-latest gemini-flash-lite-latest",
            ),
        ),
        "mistral": _rows(
            (_ALL, "mistral-medium-2604"),
            (
                _SEEING,
                "mistral-large-2512 mistral-large-latest mistral-medium-2505 mistral-medium-2508 "
                "mistral-small-2506 mistral-small-2603 mistral-small-latest pixtral-12b pixtral-large-latest",
            ),
            (
                _BLIND,
                "codestral-latest devstral-2512 devstral-latest devstral-medium-latest magistral-medium- "
                "latest "
                "ministral-3b-latest ministral-8b-latest mistral-large-2411 mistral-nemo open-mistral-7b "
                "open-mistral-nemo open-mixtral-8x22b open-mixtral-8x7b",
            ),
        ),
        "xai": _rows((_ALL, "grok-4.20-0309-non-reasoning grok-4.20-0309-reasoning grok-4.3")),
        "deepseek": _rows(
            (_TEXT, "deepseek-v4-flash deepseek-v4-pro"), (_BLIND, "deepseek-chat deepseek-reasoner")
        ),
        "cohere": _rows(
            (
                _BLIND,
                "command-a-03-2025 command-a-reasoning-08-2025 command-r-08-2024 command-r-plus-08-2024 "
                "command-r7b-12-2024",
            ),
            (Abilities(False, True, None), "command-a-vision-07-2025"),
        ),
        "groq": _rows(
            (_BLIND, "llama-3.1-8b-instant llama-3.3-70b-versatile qwen3-32b"),
            (_ALL, "llama-4-scout-17b-16e-instruct"),
            (_TEXT, "gpt-oss-20b gpt-oss-120b"),
        ),
        "cerebras": _rows((_TEXT, "zai-glm-4.7 gpt-oss-120b")),
    }
)

# Who serves another vendor's models, by the maker's own names.
_AS: Mapping[str, str] = MappingProxyType(
    {"azure": "openai", "openai-responses": "openai", "vertex": "gemini", "bedrock": "anthropic"}
)


def abilities_of(vendor: str, model: str) -> Abilities | None:
    """What `model` can do at `vendor`; `None` if that is not known.

    Example:
        >>> abilities_of("openai", "gpt-4").vision
        False
    """
    known = _TABLE.get(_AS.get(vendor, vendor), {})
    return next((known[name] for name in names_of(model) if name in known), None)
