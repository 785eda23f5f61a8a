"""Who runs which API where, as data: the vendors that `"vendor/model"` may name.

Only what was confirmed stands here, each row with the month in which it last was.  An address that
holds an account or a region has placeholders, `{NAME}` or `{NAME|OTHER}`, which are filled from the
environment when a chain is built; nothing is read here.  What a vendor does not take of OpenAI's
format is in `_quirks`, by its name.  The odd rule: a key may go by several names, and the first one
set wins.

Read from the vendors' own documentation (2026-11), and where that was silent from the provider tables
of models.dev (2026-07), any-llm, pydantic-ai and the AI SDK (all 2026-08).  Two hosts are the newer
of a pair in transition (together .xyz to .ai, nebius studio to tokenfactory).  Left out on purpose:
perplexity, whose chat completions are reported to have ended in 2026-09; hyperbolic, of which nothing
newer than its former address was found; sglang and localai, whose ports were not confirmed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

from attrs import field, frozen

__all__ = ["PLACEHOLDER", "VENDORS", "Vendor"]

PLACEHOLDER = re.compile(r"\{([A-Z][A-Z0-9_]*(?:\|[A-Z][A-Z0-9_]*)*)\}")
"""A part of an address that the environment knows: a variable, or several of which the first set wins."""

_NONE: Mapping[str, str] = MappingProxyType({})


@frozen
class Vendor:
    """A company, or a local server, whose models can be named `"vendor/model"`.

    Attributes:
        name: What stands before the separator.
        base_url: Where its API begins, without a trailing slash; may hold placeholders.
        key_env: Names of the environment variables that may hold the key; the first one set wins.
        dialect: Its wire format.
        verified: Year and month in which the row was last confirmed.
        needs_key: Whether it refuses requests without a key; a local server does not, and a cloud
            account has credentials of its own.
        max_tokens_field: Its name for the limit of an answer's length.
        takes_developer: Whether it knows the role `developer`; others are sent `system`.
        takes_stream_options: Whether it takes `stream_options`, the way to ask for usage in a stream.
        base_env: Variables that may hold the whole address; the first one set replaces `base_url`.
        base_tail: What such an address may end with for other clients and is no part of it here.
        base_url_for: `base_url` where the first placeholder has this value.
        query_env: Variables for the query of the address by the query's names, added where set.
        extra: The extra that it needs installed, `fallbackio[…]`.
        others: Addresses that it has besides, to be given as an endpoint's `base_url`.
        own_windows: Whether it serves models with other contexts than their makers publish.
        note: What else to know.

    Example:
        >>> VENDORS["groq"].base_url
        'https://api.groq.com/openai/v1'
    """

    name: str
    base_url: str
    key_env: tuple[str, ...] = ()
    dialect: str = "openai"
    verified: str = field(default="2026-11", kw_only=True)
    needs_key: bool = True
    max_tokens_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    takes_developer: bool = False
    takes_stream_options: bool = True
    base_env: tuple[str, ...] = field(default=(), kw_only=True)
    base_tail: str = field(default="", kw_only=True)
    base_url_for: Mapping[str, str] = field(default=_NONE, kw_only=True, hash=False)
    query_env: Mapping[str, str] = field(default=_NONE, kw_only=True, hash=False)
    extra: str = field(default="", kw_only=True)
    others: tuple[str, ...] = field(default=(), kw_only=True)
    own_windows: bool = field(default=False, kw_only=True)
    note: str = field(default="", kw_only=True)


# Where a row was last confirmed: MD models.dev, LD litellm's documentation, others as above.
_MD = "2026-07"
_AUGUST = "2026-08"  # any-llm, pydantic-ai, AI SDK

_VERTEX_PATH = (
    "/v1/projects/{GOOGLE_CLOUD_PROJECT|GOOGLE_VERTEX_PROJECT}"
    "/locations/{GOOGLE_CLOUD_LOCATION|GOOGLE_VERTEX_LOCATION}"
)

# fmt: off
_TABLE = (
    # Their reasoning models refuse max_tokens, all others take both names.
    Vendor("openai", "https://api.openai.com/v1", ("OPENAI_API_KEY",),
           max_tokens_field="max_completion_tokens", takes_developer=True),
    Vendor("anthropic", "https://api.anthropic.com", ("ANTHROPIC_API_KEY",), dialect="anthropic",
           takes_stream_options=False),
    Vendor("gemini", "https://generativelanguage.googleapis.com/v1beta",
           ("GEMINI_API_KEY", "GOOGLE_API_KEY", "GOOGLE_GENERATIVE_AI_API_KEY"), dialect="gemini"),
    # Regions as hosts, but for the global endpoint and the two multi-regions.
    Vendor("vertex",
           "https://{GOOGLE_CLOUD_LOCATION|GOOGLE_VERTEX_LOCATION}-aiplatform.googleapis.com" + _VERTEX_PATH,
           dialect="gemini", needs_key=False, extra="vertex",
           base_url_for=MappingProxyType({
               "global": "https://aiplatform.googleapis.com" + _VERTEX_PATH,
               "us": "https://aiplatform.us.rep.googleapis.com" + _VERTEX_PATH,
               "eu": "https://aiplatform.eu.rep.googleapis.com" + _VERTEX_PATH,
           }),
           note="signs in as the Google Cloud account of this machine"),
    Vendor("azure", "https://{AZURE_RESOURCE_NAME}.openai.azure.com",
           ("AZURE_OPENAI_API_KEY", "AZURE_API_KEY"), dialect="azure",
           base_env=("AZURE_OPENAI_ENDPOINT",),
           query_env=MappingProxyType({"api-version": "OPENAI_API_VERSION"}),
           max_tokens_field="max_completion_tokens", takes_developer=True,
           note="the model is the deployment's name; token= takes Entra ID in place of a key"),
    Vendor("bedrock", "https://bedrock-runtime.{AWS_REGION|AWS_DEFAULT_REGION}.amazonaws.com",
           ("AWS_BEARER_TOKEN_BEDROCK",), dialect="bedrock", needs_key=False, extra="bedrock",
           base_url_for=MappingProxyType({
               "cn-north-1": "https://bedrock-runtime.cn-north-1.amazonaws.com.cn",
               "cn-northwest-1": "https://bedrock-runtime.cn-northwest-1.amazonaws.com.cn",
           }),
           note="without a key it signs with the AWS account's credentials"),
    Vendor("cohere", "https://api.cohere.com/v2", ("COHERE_API_KEY",), dialect="cohere",
           others=("https://api.cohere.ai/compatibility/v1",)),
    # Refuses unknown fields (422) and reports usage on the last chunk unasked.
    Vendor("mistral", "https://api.mistral.ai/v1", ("MISTRAL_API_KEY",), takes_stream_options=False),
    # stream_options is not confirmed on raw HTTP; usage comes as x_groq.usage anyway.
    Vendor("groq", "https://api.groq.com/openai/v1", ("GROQ_API_KEY",), takes_stream_options=False),
    Vendor("together", "https://api.together.ai/v1", ("TOGETHER_API_KEY",),
           others=("https://api.together.xyz/v1",)),
    Vendor("fireworks", "https://api.fireworks.ai/inference/v1",
           ("FIREWORKS_API_KEY", "FIREWORKS_AI_API_KEY"), note="models are accounts/fireworks/models/…"),
    Vendor("deepseek", "https://api.deepseek.com", ("DEEPSEEK_API_KEY",),
           others=("https://api.deepseek.com/anthropic",)),
    Vendor("xai", "https://api.x.ai/v1", ("XAI_API_KEY",), others=("https://us.api.x.ai/v1",)),
    # Serves some with more than is published (claude-sonnet-4.5 with a million); requesty as well.
    Vendor("openrouter", "https://openrouter.ai/api/v1", ("OPENROUTER_API_KEY",), own_windows=True),
    Vendor("cerebras", "https://api.cerebras.ai/v1", ("CEREBRAS_API_KEY",)),
    Vendor("sambanova", "https://api.sambanova.ai/v1", ("SAMBANOVA_API_KEY",), verified=_AUGUST),
    Vendor("nebius", "https://api.tokenfactory.nebius.com/v1", ("NEBIUS_API_KEY",), verified=_MD,
           others=("https://api.studio.nebius.com/v1",)),
    Vendor("deepinfra", "https://api.deepinfra.com/v1/openai", ("DEEPINFRA_API_KEY",)),
    Vendor("novita", "https://api.novita.ai/openai", ("NOVITA_API_KEY",), verified=_MD,
           others=("https://api.novita.ai/v3/openai",)),
    Vendor("nvidia", "https://integrate.api.nvidia.com/v1", ("NVIDIA_API_KEY", "NVIDIA_NIM_API_KEY"),
           verified=_MD),
    # Its tiers bound a request below what the models take.
    Vendor("github", "https://models.github.ai/inference", ("GITHUB_TOKEN", "GITHUB_API_KEY"),
           verified=_AUGUST, own_windows=True, note="models are publisher/model"),
    Vendor("huggingface", "https://router.huggingface.co/v1", ("HF_TOKEN", "HUGGINGFACE_API_KEY"),
           verified=_AUGUST),
    Vendor("moonshot", "https://api.moonshot.ai/v1", ("MOONSHOT_API_KEY", "MOONSHOTAI_API_KEY"),
           others=("https://api.moonshot.cn/v1", "https://api.moonshot.ai/anthropic")),
    Vendor("zai", "https://api.z.ai/api/paas/v4", ("ZAI_API_KEY", "ZHIPU_API_KEY"),
           others=("https://api.z.ai/api/coding/paas/v4", "https://open.bigmodel.cn/api/paas/v4")),
    Vendor("dashscope", "https://dashscope-intl.aliyuncs.com/compatible-mode/v1",
           ("DASHSCOPE_API_KEY", "ALIBABA_API_KEY"), verified=_AUGUST,
           others=("https://dashscope.aliyuncs.com/compatible-mode/v1",)),
    Vendor("minimax", "https://api.minimax.io/v1", ("MINIMAX_API_KEY",),
           others=("https://api.minimax.io/anthropic",)),
    # Both paths are documented; which one is preferred was not found.
    Vendor("databricks", "https://{DATABRICKS_HOST}/serving-endpoints",
           ("DATABRICKS_TOKEN", "DATABRICKS_API_KEY"), verified=_MD, base_env=("DATABRICKS_API_BASE",),
           others=("https://{DATABRICKS_HOST}/ai-gateway/mlflow/v1",)),
    Vendor("cloudflare", "https://api.cloudflare.com/client/v4/accounts/{CLOUDFLARE_ACCOUNT_ID}/ai/v1",
           ("CLOUDFLARE_API_KEY",), verified=_MD, note="models are @cf/…"),
    Vendor("vercel", "https://ai-gateway.vercel.sh/v1",
           ("AI_GATEWAY_API_KEY", "VERCEL_AI_GATEWAY_API_KEY", "VERCEL_OIDC_TOKEN"), verified=_AUGUST),
    Vendor("baseten", "https://inference.baseten.co/v1", ("BASETEN_API_KEY",), verified=_MD),
    Vendor("chutes", "https://llm.chutes.ai/v1", ("CHUTES_API_KEY",), verified=_MD),
    Vendor("friendli", "https://api.friendli.ai/serverless/v1", ("FRIENDLI_TOKEN",), verified=_MD),
    Vendor("gmi", "https://api.gmi-serving.com/v1", ("GMICLOUD_API_KEY",), verified=_MD),
    Vendor("inception", "https://api.inceptionlabs.ai/v1", ("INCEPTION_API_KEY",), verified=_MD),
    Vendor("ovh", "https://oai.endpoints.kepler.ai.cloud.ovh.net/v1", ("OVHCLOUD_API_KEY",), verified=_MD),
    Vendor("requesty", "https://router.requesty.ai/v1", ("REQUESTY_API_KEY",), verified=_MD,
           own_windows=True),
    Vendor("scaleway", "https://api.scaleway.ai/v1", ("SCALEWAY_API_KEY",), verified=_MD),
    Vendor("siliconflow", "https://api.siliconflow.com/v1", ("SILICONFLOW_API_KEY",), verified=_MD),
    Vendor("stepfun", "https://api.stepfun.com/v1", ("STEPFUN_API_KEY",), verified=_MD),
    Vendor("upstage", "https://api.upstage.ai/v1/solar", ("UPSTAGE_API_KEY",), verified=_MD),
    Vendor("wandb", "https://api.inference.wandb.ai/v1", ("WANDB_API_KEY",), verified=_MD),
    # On one's own machine.  OLLAMA_API_KEY is for ollama's cloud and must not go to localhost.
    # Other clients want /v1 in OLLAMA_BASE_URL, which is the compatible API's.
    Vendor("ollama", "http://localhost:11434", dialect="ollama", needs_key=False,
           base_env=("OLLAMA_BASE_URL", "OLLAMA_HOST"), base_tail="/v1", others=("https://ollama.com",),
           note="its cloud needs base_url= and api_key="),
    Vendor("lmstudio", "http://127.0.0.1:1234/v1", ("LMSTUDIO_API_KEY", "LM_STUDIO_API_KEY"),
           needs_key=False, base_env=("LM_STUDIO_API_BASE",), verified=_AUGUST),
    Vendor("vllm", "http://localhost:8000/v1", ("VLLM_API_KEY", "HOSTED_VLLM_API_KEY"), needs_key=False,
           base_env=("HOSTED_VLLM_API_BASE",), verified=_AUGUST),
    Vendor("llamacpp", "http://127.0.0.1:8080/v1", needs_key=False, base_env=("LLAMACPP_API_BASE",),
           verified=_AUGUST),
)
# fmt: on

VENDORS: Mapping[str, Vendor] = MappingProxyType({vendor.name: vendor for vendor in _TABLE})
"""Every vendor by its name."""
