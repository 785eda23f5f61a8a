"""Who runs a model of LiteLLM's name, as data.

`"azure/ours"`, `"together_ai/meta-llama/…"` and plain `"gpt-6-luna"` name a vendor and a model; LiteLLM's
prefixes are its own, and where one is also the name of a vendor here, it means the same.  Keys and
addresses are read from LiteLLM's variables besides our own.  The odd rule: plain `gemini-…` is Vertex AI's,
as it is there, and `gemini/…` is Google AI Studio's.

Read from LiteLLM 1.110.2 (2026-11).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from urllib.parse import urlsplit

from attrs import frozen

from fallbackio.dialects import VENDORS

__all__ = ["BASES", "KEYS", "Placed", "placed"]

# LiteLLM's prefix: the vendor's name here.
_PREFIXES: Mapping[str, str] = MappingProxyType(
    {
        "bedrock_converse": "bedrock",
        "cohere_chat": "cohere",
        "fireworks_ai": "fireworks",
        "friendliai": "friendli",
        "hosted_vllm": "vllm",
        "llamafile": "llamacpp",
        "lm_studio": "lmstudio",
        "nvidia_nim": "nvidia",
        "ollama_chat": "ollama",
        "ovhcloud": "ovh",
        "together_ai": "together",
        "vercel_ai_gateway": "vercel",
        "vertex_ai": "vertex",
        "vertex_ai_beta": "vertex",
    }
)

# Prefixes of servers that speak OpenAI's format and have no address of their own.
_ANY_SERVER = frozenset({"custom_openai", "openai_like", "litellm_proxy"})

# What plain names mean.
_PLAIN: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"(?:ft:)?(?:gpt-|chatgpt-|o[134](?:-|$)|text-embedding-|davinci|babbage)"), "openai"),
    (re.compile(r"claude"), "anthropic"),
    (re.compile(r"command|embed-(?:english|multilingual|v4)"), "cohere"),
    (re.compile(r"gemini-"), "vertex"),
    (
        re.compile(
            r"(?:(?:us|us-gov|eu|apac|jp|au|global)\.)?(?:ai21|amazon|anthropic|cohere|deepseek|meta|mistral|openai|qwen)\."
        ),
        "bedrock",
    ),
)

# Bedrock's ways of asking, of which only Converse is spoken here.
_ROUTES = re.compile(r"(?:converse|converse_like)/")
_REGION = re.compile(r"([a-z]{2}(?:-gov)?-[a-z]+-\d)/")

# LiteLLM's variables, where they are not among the vendor's own.
KEYS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "cohere": ("CO_API_KEY",),
        "deepinfra": ("DEEPINFRA_API_TOKEN",),
        "friendli": ("FRIENDLIAI_API_KEY",),
        "openrouter": ("OR_API_KEY",),
        "together": ("TOGETHERAI_API_KEY", "TOGETHER_AI_API_KEY", "TOGETHER_AI_TOKEN"),
    }
)

_BASED = (
    *("cerebras", "cohere", "deepseek", "gemini", "groq", "minimax", "mistral", "moonshot"),
    *("nebius", "novita", "ollama", "openrouter", "sambanova", "wandb", "xai", "zai"),
)

BASES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "openai": ("OPENAI_BASE_URL", "OPENAI_API_BASE"),
        "anthropic": ("ANTHROPIC_API_BASE", "ANTHROPIC_BASE_URL"),
        "azure": ("AZURE_API_BASE",),
        "nvidia": ("NVIDIA_NIM_API_BASE",),
        "together": ("TOGETHER_AI_API_BASE",),
        "vercel": ("VERCEL_AI_GATEWAY_API_BASE",),
        **{name: (f"{name.upper()}_API_BASE",) for name in _BASED},
    }
)


@frozen
class Placed:
    """A model and who runs it.

    Attributes:
        vendor: The vendor's name here; empty for a server that only its address names.
        model: The model's name there.
        region: Bedrock's region, where the name says one.
        why: Why nobody runs it; empty if somebody does.
    """

    vendor: str
    model: str
    region: str = ""
    why: str = ""


def placed(model: str, provider: str = "", api_base: str = "") -> Placed:
    """Who runs a model of LiteLLM's name, with its `custom_llm_provider` and `api_base`.

    Example:
        >>> placed("groq/openai/gpt-oss-120b")
        Placed(vendor='groq', model='openai/gpt-oss-120b', region='', why='')
    """
    prefix, slash, rest = model.partition("/")
    if provider and prefix != provider:
        prefix, slash, rest = provider, "/", model
    if slash and rest:
        vendor = _PREFIXES.get(prefix, prefix)
        if vendor == "bedrock":
            return _on_bedrock(rest)
        if vendor == "vertex" and rest.startswith(("claude", "meta/", "mistral", "openai/")):
            return Placed("", rest, why=f"of Vertex AI only Gemini is spoken here, not {rest!r}")
        if vendor in VENDORS:
            return Placed(vendor, rest)
        if prefix in _ANY_SERVER:
            return Placed("", rest, why="" if api_base else f"{prefix}/… needs an api_base")
    return _plain(model, api_base)


def _plain(model: str, api_base: str) -> Placed:
    if api_base and (vendor := _at(api_base)):
        return Placed(vendor, model)
    vendor = next((whose for name, whose in _PLAIN if name.match(model)), "")
    if vendor == "bedrock":
        return _on_bedrock(model)
    # A name that nobody is known for, at an address: most servers speak OpenAI's format.
    why = "" if vendor or api_base else "write 'vendor/model', such as 'groq/openai/gpt-oss-120b'"
    return Placed(vendor, model, why=why)


def _at(api_base: str) -> str:
    """The vendor whose usual address this is."""
    host = urlsplit(api_base).hostname or ""
    return next(
        (v.name for v in VENDORS.values() if v.needs_key and urlsplit(v.base_url).hostname == host), ""
    )


def _on_bedrock(model: str) -> Placed:
    model = _ROUTES.sub("", model, count=1)
    region = _REGION.match(model)
    model = model[region.end() :] if region else model
    if model.startswith(("invoke/", "agent/", "agentcore/")):
        return Placed("", model, why="of Bedrock only Converse is spoken here")
    return Placed("bedrock", model, region[1] if region else "")
