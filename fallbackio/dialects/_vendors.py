"""Who runs which API where, as data: the vendors that `"vendor/model"` may name.

Only what was confirmed stands here; a vendor whose address holds an account or a region is an
`Endpoint(base_url=…)` of the user's.  The odd rule: a key may go by several names, and the first
one set wins.

Verified 2026-11 against the vendors' own documentation, and where that was silent against the
provider tables of models.dev (2026-07), any-llm and pydantic-ai (both 2026-08).  Two hosts are the
newer of a pair in transition (together .xyz to .ai, nebius studio to tokenfactory).  Left out on
purpose: perplexity, whose chat completions are reported to have ended in 2026-09.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

from attrs import frozen

__all__ = ["VENDORS", "Vendor"]


@frozen
class Vendor:
    """A company, or a local server, whose models can be named `"vendor/model"`.

    Attributes:
        name: What stands before the separator.
        base_url: Where its API begins, without a trailing slash.
        key_env: Names of the environment variables that may hold the key; the first one set wins.
        dialect: Its wire format.
        needs_key: Whether it refuses requests without a key; a local server does not.
        max_tokens_field: Its name for the limit of an answer's length.
        takes_developer: Whether it knows the role `developer`; others are sent `system`.
        takes_stream_options: Whether it takes `stream_options`, the way to ask for usage in a stream.

    Example:
        >>> VENDORS["groq"].base_url
        'https://api.groq.com/openai/v1'
    """

    name: str
    base_url: str
    key_env: tuple[str, ...] = ()
    dialect: str = "openai"
    needs_key: bool = True
    max_tokens_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    takes_developer: bool = False
    takes_stream_options: bool = True


# fmt: off
_TABLE = (
    # Their reasoning models refuse max_tokens, all others take both names.
    Vendor("openai", "https://api.openai.com/v1", ("OPENAI_API_KEY",),
           max_tokens_field="max_completion_tokens", takes_developer=True),
    Vendor("anthropic", "https://api.anthropic.com", ("ANTHROPIC_API_KEY",), dialect="anthropic",
           takes_stream_options=False),
    Vendor("gemini", "https://generativelanguage.googleapis.com/v1beta/openai",
           ("GEMINI_API_KEY", "GOOGLE_API_KEY", "GOOGLE_GENERATIVE_AI_API_KEY")),
    # Refuses unknown fields (422) and reports usage on the last chunk unasked.
    Vendor("mistral", "https://api.mistral.ai/v1", ("MISTRAL_API_KEY",), takes_stream_options=False),
    # stream_options is not confirmed on raw HTTP; usage comes as x_groq.usage anyway.
    Vendor("groq", "https://api.groq.com/openai/v1", ("GROQ_API_KEY",), takes_stream_options=False),
    Vendor("together", "https://api.together.ai/v1", ("TOGETHER_API_KEY",)),
    Vendor("fireworks", "https://api.fireworks.ai/inference/v1",
           ("FIREWORKS_API_KEY", "FIREWORKS_AI_API_KEY")),
    Vendor("deepseek", "https://api.deepseek.com", ("DEEPSEEK_API_KEY",)),
    Vendor("xai", "https://api.x.ai/v1", ("XAI_API_KEY",)),
    Vendor("openrouter", "https://openrouter.ai/api/v1", ("OPENROUTER_API_KEY",)),
    Vendor("cerebras", "https://api.cerebras.ai/v1", ("CEREBRAS_API_KEY",)),
    Vendor("sambanova", "https://api.sambanova.ai/v1", ("SAMBANOVA_API_KEY",)),
    Vendor("nebius", "https://api.tokenfactory.nebius.com/v1", ("NEBIUS_API_KEY",)),
    Vendor("deepinfra", "https://api.deepinfra.com/v1/openai", ("DEEPINFRA_API_KEY",)),
    Vendor("novita", "https://api.novita.ai/openai", ("NOVITA_API_KEY",)),
    Vendor("nvidia", "https://integrate.api.nvidia.com/v1", ("NVIDIA_API_KEY", "NVIDIA_NIM_API_KEY")),
    Vendor("github", "https://models.github.ai/inference", ("GITHUB_TOKEN", "GITHUB_API_KEY")),
    Vendor("huggingface", "https://router.huggingface.co/v1", ("HF_TOKEN", "HUGGINGFACE_API_KEY")),
    Vendor("moonshot", "https://api.moonshot.ai/v1", ("MOONSHOT_API_KEY", "MOONSHOTAI_API_KEY")),
    Vendor("zai", "https://api.z.ai/api/paas/v4", ("ZAI_API_KEY", "ZHIPU_API_KEY")),
    Vendor("dashscope", "https://dashscope-intl.aliyuncs.com/compatible-mode/v1",
           ("DASHSCOPE_API_KEY", "ALIBABA_API_KEY")),
    Vendor("minimax", "https://api.minimax.io/v1", ("MINIMAX_API_KEY",)),
    Vendor("cohere", "https://api.cohere.ai/compatibility/v1", ("COHERE_API_KEY",)),
    Vendor("vercel", "https://ai-gateway.vercel.sh/v1",
           ("AI_GATEWAY_API_KEY", "VERCEL_AI_GATEWAY_API_KEY", "VERCEL_OIDC_TOKEN")),
    Vendor("baseten", "https://inference.baseten.co/v1", ("BASETEN_API_KEY",)),
    Vendor("chutes", "https://llm.chutes.ai/v1", ("CHUTES_API_KEY",)),
    Vendor("friendli", "https://api.friendli.ai/serverless/v1", ("FRIENDLI_TOKEN",)),
    Vendor("inception", "https://api.inceptionlabs.ai/v1", ("INCEPTION_API_KEY",)),
    Vendor("requesty", "https://router.requesty.ai/v1", ("REQUESTY_API_KEY",)),
    Vendor("scaleway", "https://api.scaleway.ai/v1", ("SCALEWAY_API_KEY",)),
    Vendor("siliconflow", "https://api.siliconflow.com/v1", ("SILICONFLOW_API_KEY",)),
    Vendor("stepfun", "https://api.stepfun.com/v1", ("STEPFUN_API_KEY",)),
    Vendor("upstage", "https://api.upstage.ai/v1/solar", ("UPSTAGE_API_KEY",)),
    # On one's own machine.  OLLAMA_API_KEY is for ollama's cloud and must not go to localhost.
    Vendor("ollama", "http://localhost:11434/v1", needs_key=False),
    Vendor("lmstudio", "http://127.0.0.1:1234/v1", ("LMSTUDIO_API_KEY", "LM_STUDIO_API_KEY"),
           needs_key=False),
    Vendor("vllm", "http://localhost:8000/v1", ("VLLM_API_KEY", "HOSTED_VLLM_API_KEY"), needs_key=False),
    Vendor("llamacpp", "http://127.0.0.1:8080/v1", needs_key=False),
)
# fmt: on

VENDORS: Mapping[str, Vendor] = MappingProxyType({vendor.name: vendor for vendor in _TABLE})
"""Every vendor by its name."""
