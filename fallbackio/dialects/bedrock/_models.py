"""What Bedrock's models can do, as far as their names tell.

A name may be a base id, an inference profile's (`us.anthropic.…`) or an ARN that ends in one of these.
Where it does not tell (an application's own profile, an imported model) nothing is assumed, and
Bedrock has the last word.
"""

from __future__ import annotations

import re

from fallbackio.dialects import _claude

__all__ = [
    "bare",
    "forces_tools",
    "is_claude",
    "is_gpt",
    "is_nova_2",
    "keeps_status",
    "needs_a_tool_for_schemas",
    "takes_prefill",
]

# What an inference profile puts before the model's name: where its requests may go.
_PROFILE = re.compile(r"^(?:us|us-gov|eu|apac|jp|au|ca|global)\.")
_SCHEMAS_FROM = (4, 5)
_NO_PREFILL_FROM = (4, 6)

# Families that refuse `any` and `tool` as a choice of tools.
_NEVER_FORCED = ("meta.", "cohere.", "ai21.", "amazon.titan")


def bare(model: str) -> str:
    """The model itself, wherever it is asked.

    Example:
        >>> bare("us.anthropic.claude-sonnet-4-5-20250929-v1:0")
        'anthropic.claude-sonnet-4-5-20250929-v1:0'
    """
    return _PROFILE.sub("", model.rpartition("/")[2])


def is_claude(model: str) -> bool:
    """Whether it is one of Anthropic's."""
    return "anthropic." in model or "claude" in model


def is_nova_2(model: str) -> bool:
    """Whether it is of the second generation of Amazon's Nova, which reasons."""
    return "nova-2" in model


def is_gpt(model: str) -> bool:
    """Whether it is one of OpenAI's open models, which take `reasoning_effort` by that name."""
    return "gpt-oss" in model


def needs_a_tool_for_schemas(model: str) -> bool:
    """Whether a JSON schema must be asked for by a forced tool."""
    if is_claude(model):
        known = _claude.version(model)
        return known is not None and known < _SCHEMAS_FROM
    return "amazon.nova" in model


def forces_tools(model: str) -> bool:
    """Whether it may be told that it must call a tool."""
    return not (any(family in model for family in _NEVER_FORCED) or _claude.refuses_force(model))


def keeps_status(model: str) -> bool:
    """Whether a tool's result may say that the tool failed."""
    return is_claude(model) or "nova" in model


def takes_prefill(model: str) -> bool:
    """Whether a last assistant turn makes it go on from there."""
    return (is_claude(model) and not _claude.since(model, _NO_PREFILL_FROM)) or "amazon.nova" in model
