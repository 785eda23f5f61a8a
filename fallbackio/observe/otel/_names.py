"""The names of the GenAI conventions for what we know by our own.

Of version 1.41 of the semantic conventions, the last one of the main repository; its successor (the
repository `semantic-conventions-genai`) keeps the attributes and renames metrics, and is still moving.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from fallbackio.events import CallStarted

__all__ = ["Attributes", "Value", "provider_of", "settings_of"]

Value = str | bool | int | float | tuple[str, ...]
Attributes = dict[str, Value]

# Vendors that the conventions know by another name than ours; the others keep theirs.
_PROVIDERS: Mapping[str, str] = MappingProxyType(
    {
        "azure": "azure.ai.openai",
        "bedrock": "aws.bedrock",
        "gemini": "gcp.gemini",
        "mistral": "mistral_ai",
        "moonshot": "moonshot_ai",
        "vertex": "gcp.vertex_ai",
        "xai": "x_ai",
    }
)

_SETTINGS: Mapping[str, str] = MappingProxyType(
    {
        "temperature": "gen_ai.request.temperature",
        "top_p": "gen_ai.request.top_p",
        "top_k": "gen_ai.request.top_k",
        "max_tokens": "gen_ai.request.max_tokens",
        "max_completion_tokens": "gen_ai.request.max_tokens",
        "frequency_penalty": "gen_ai.request.frequency_penalty",
        "presence_penalty": "gen_ai.request.presence_penalty",
        "seed": "gen_ai.request.seed",
        "reasoning_effort": "gen_ai.request.reasoning.level",
        "dimensions": "gen_ai.embeddings.dimension.count",
    }
)


def provider_of(vendor: str) -> str:
    """`gen_ai.provider.name` of a vendor."""
    return _PROVIDERS.get(vendor, vendor)


def settings_of(event: CallStarted) -> Attributes:
    """`gen_ai.request.*` of a call, as far as its parameters are numbers or known words."""
    found: Attributes = {_SETTINGS[n]: value for n, value in event.settings.items() if n in _SETTINGS}
    if event.settings.get("n", 1) != 1:
        found["gen_ai.request.choice.count"] = event.settings["n"]
    if event.stream:
        found["gen_ai.request.stream"] = True
    return found
