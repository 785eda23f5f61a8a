"""LiteLLM's parameters, and what becomes of each: the table that is looked up, checked and documented.

A parameter is taken exactly, approximately (its row says how), accepted without effect because it changes
nothing in the answer, or refused because ignoring it would silently change what a program does.  One that
is not here is the provider's and goes to it untouched.  A name with `*` is a family.

Read from LiteLLM 1.110.2 (2026-11): its functions' parameters, and the names that it keeps from providers.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from fnmatch import translate
from typing import Any, Literal

from attrs import frozen

from fallbackio.errors import ConfigError

__all__ = ["CALL", "DEPLOYMENT", "ROUTER", "PLACES", "How", "Parameter", "Table", "refuse"]

How = Literal["exactly", "approximately", "without effect", "refused"]


@frozen
class Parameter:
    """One of LiteLLM's parameters and what becomes of it; `why` says how, or why not."""

    how: How
    why: str


class Table(Mapping[str, Parameter]):
    """Parameters by name, or by the family that their names belong to.

    Iterating it gives the rows, families as they are written.
    """

    def __init__(self, degrees: Mapping[How, Mapping[str, str]]) -> None:
        # Names separated by spaces share a row.
        self._rows = {
            name: Parameter(how, why)
            for how, rows in degrees.items()
            for names, why in rows.items()
            for name in names.split()
        }
        self._families = [name for name in self._rows if "*" in name]
        self._any_family = re.compile("|".join([translate(name) for name in self._families]) or r"(?!)")

    def __getitem__(self, name: str) -> Parameter:
        if name in self._rows:
            return self._rows[name]
        if self._any_family.match(name):
            return next(self._rows[one] for one in self._families if re.match(translate(one), name))
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)


_WHERE = {
    "model custom_llm_provider": "who runs the model, by LiteLLM's prefixes and plain names",
    "api_key": "the key of this model",
    "api_base base_url": "where this model is",
    "api_version": "Azure's `api-version`; without one Azure's v1 path is asked",
    "extra_headers headers": "HTTP headers to add",
    "organization": "sent as OpenAI's `OpenAI-Organization` header",
    "drop_params": "what an endpoint cannot express is left out, with a warning, and not an error",
    "mock_response": "the answer, or the error, without asking anybody",
    "mock_delay": "seconds before a mocked answer",
    "mock_timeout": "a mocked answer that never comes",
    "input_cost_per_token output_cost_per_token cache_read_input_token_cost": "the price of this model",
    "vertex_project vertex_location": "where Vertex AI is asked",
    "vertex_ai_project vertex_ai_location": "where Vertex AI is asked",
    "aws_region_name aws_bedrock_runtime_endpoint": "where Bedrock is asked",
    "azure_ad_token azure_ad_token_provider": "a bearer token in place of a key",
}

PLACES = frozenset(" ".join(_WHERE).split())
"""What of a call says where its model is, and as whom it is asked."""

_LIMITS = {
    "timeout request_timeout": "the whole call, fallbacks and retries included; LiteLLM: each attempt",
    "stream_timeout": "until the first content of a streamed attempt, and between two contents",
    "num_retries max_retries": "repeats in all; they wait until no other endpoint is left to ask",
}

_REFUSED_PLACES = {
    "aws_access_key_id aws_secret_access_key aws_session_token": "AWS credentials are botocore's to find",
    "aws_profile_name aws_role_name aws_session_name": "AWS credentials are botocore's to find",
    "aws_web_identity_token aws_sts_endpoint aws_external_id": "AWS credentials are botocore's to find",
    "vertex_credentials": "Google's credentials are google-auth's to find",
    "tenant_id client_id client_secret azure_username azure_password azure_scope": (
        "give `azure_ad_token_provider`, for example azure-identity's"
    ),
    "litellm_credential_name": "there is no store of credentials; give `api_key`",
    "anthropic_federation_* anthropic_identity_* anthropic_issuer_* anthropic_keycloak_*": "give `api_key`",
    "anthropic_organization_id anthropic_service_account_id aws_session_tags": "give `api_key`",
    "anthropic_disable_workload_identity_federation chatgpt_auth_file use_xai_oauth": "give `api_key`",
    "openai_identity_* openai_service_account_id token_exchange_* github_copilot_*": "give `api_key`",
    "provider_specific_header": "give the model `extra_headers`",
    "auto_router_* adaptive_router_* complexity_router_* quality_router_* switchyard_router_*": (
        "a Router falls back in a given order"
    ),
    "use_litellm_proxy": "write `model='openai/…'` and the proxy's `api_base`",
    "text_completion": "only chat completions and embeddings",
    "silent_model": "nothing is asked unseen; see `chain.rehearse`",
    "timeout_by_service_tier stream_timeout_by_service_tier": "give `timeout`",
    "client": "requests are sent by fallbackio's own client; see `Endpoint.calling`",
    "ssl_verify": "certificates are always checked",
    "mock_tool_calls": "only texts and errors are mocked",
    "custom_prompt_dict roles initial_prompt_value final_prompt_value bos_token eos_token": (
        "there are no prompt templates"
    ),
}

_SILENT = {
    "metadata litellm_metadata tags tag_regex": "for LiteLLM's logging and tags",
    "litellm_call_id litellm_trace_id litellm_session_id litellm_logging_obj no-log": "for LiteLLM's logging",
    "verbose set_verbose debug_level": "fallbackio logs to `logging`, as that is set up",
    "shared_session": "connections are shared anyway",
    "model_info": "read where deployments are given",
    "preset_cache_key cache_key id hf_model_name force_timeout": "LiteLLM's own",
    "allowed_openai_params": "unknown parameters are sent anyway",
    "langfuse_* langsmith_* arize_* dd_* newrelic_* posthog_* humanloop_* wandb_* weave_* signoz_*": (
        "for LiteLLM's callbacks"
    ),
    "s3_* gcs_* milvus_* valkey_* bucket_name bedrock_tags aws_batch_role_arn vector_store_id": (
        "for files, batches and stores, which there are not"
    ),
    "*cost_per_* *_uplift_multiplier* tiered_pricing": "prices that are not per token",
    "litellm_* _* acompletion aembedding atext_completion aimg_generation async_call": "LiteLLM's own",
    "complete_response completion_call_id client_side_timeout fallback_depth attempted_targets": (
        "LiteLLM's own"
    ),
    "secret_fields stream_chunk_size turn_off_message_logging log_client_error_tracebacks": "LiteLLM's own",
    "configurable_clientside_auth_params default_api_key_* keepalive_seconds max_file_size_mb": (
        "of LiteLLM's proxy"
    ),
    "allow_client_keepalive_override allow_legacy_cloud_file_ids": "of LiteLLM's proxy",
    "allm_passthrough_route": "of LiteLLM's proxy",
    "proxy_server_request provider_affinity_header daily_reset_time data_residency": "of LiteLLM's proxy",
    "model_file_id_mapping search_tool_name max_agentic_loops kubernetes_pod_discovery": "of LiteLLM's proxy",
    "aws_bedrock_control_plane_endpoint aws_bedrock_project_id watsonx_region_name": "LiteLLM's own",
    "user_continue_message assistant_continue_message ensure_alternating_roles": (
        "histories are brought into each vendor's form"
    ),
    "allowed_model_region disable_add_transform_inline_image_block": "LiteLLM's own",
    "region_name output_vector_size fireworks_forward_user_id supports_system_message": "LiteLLM's own",
    "use_chat_completions_api responses_api_version stream_response": "a vendor has one format",
    "thought_signature_in_tool_call_id": "signatures are kept beside the calls",
    "merge_reasoning_content_in_choices": "reasoning is in `reasoning_content`",
}

CALL = Table(
    {
        "exactly": {
            **_WHERE,
            "messages stream": "as there",
            "extra_body": "its fields are sent as parameters",
            "fallbacks": "models, or dicts that change `model`, `api_key`, `api_base`, `messages`, …",
            "stream_options": "`include_usage` gives a last chunk with the usage",
            "response_format": "a dict, or a Pydantic model, whose schema is sent",
            "mock_testing_fallbacks": "the model is not asked but counts as failed",
            "mock_testing_context_fallbacks mock_testing_content_policy_fallbacks": (
                "the model is not asked but counts as too small, or as having refused"
            ),
            "disable_fallbacks": "only the model's own deployments are asked",
        },
        "approximately": {
            **_LIMITS,
            "context_window_fallback_dict": "the models that follow when a prompt is too long",
            "context_window_fallbacks content_policy_fallbacks": (
                "those of the model that was asked; the ones of its fallbacks are not looked at"
            ),
            "max_fallbacks": "how many fallbacks are looked at; 5 by default for a Router",
            "retry_policy": "the largest of its numbers counts for every kind of failure",
        },
        "without effect": {
            **_SILENT,
            "rpm tpm rpd tpd itpm otpm weight order max_parallel_requests": "of a Router's deployments",
            "max_budget budget_duration cooldown_time base_model": "of a Router's deployments",
            "routing_strategy enable_tag_filtering caching_groups use_in_pass_through": "of a Router",
        },
        "refused": {
            **_REFUSED_PLACES,
            "model_alias_map": "write the model's own name, or give a Router `model_group_alias`",
            "azure": "write `model='azure/<deployment>'`",
            "fastest_response": "make a chain with `strategy='race'`",
            "caching cache ttl enable_prompt_caching": "answers are not cached",
            "model_list": "make a `Router(model_list=…)`",
            "deployment_id": "write `model='azure/<deployment>'`",
            "logger_fn": "give a Router `sinks`",
            "retry_strategy": "repeats wait with full jitter",
            "guardrails prompt_id prompt_variables prompt_environment prompt_label prompt_version": (
                "LiteLLM's proxy has these"
            ),
            "priority": "calls that wait for room are served in their order",
            "specific_deployment": "ask the deployment by its `model_info.id`",
            "enable_json_schema_validation": "give a chain `accept=`",
        },
    }
)
"""Of `completion` and `acompletion`."""

DEPLOYMENT = Table(
    {
        "exactly": {
            **_WHERE,
            "weight": "its share under `simple-shuffle`",
            "order": "deployments of a lower order are asked first",
        },
        "approximately": {
            "rpm tpm": "limits, kept under every strategy; weights too where no `weight` is given",
            "max_parallel_requests": "others are asked meanwhile; a call waits if none has room",
            "timeout stream_timeout request_timeout": (
                "the longest of the group's is the limit of each attempt"
            ),
            "max_retries num_retries": "the Router's `num_retries` counts for all",
            "cooldown_time": "the Router's counts for all",
            "base_model": "read for embeddings and the context window",
        },
        "without effect": _SILENT,
        "refused": {
            **_REFUSED_PLACES,
            "max_budget budget_duration": "there are no budgets of money",
            "rpd tpd itpm otpm": "limits are per minute, of requests and tokens",
            "use_in_pass_through": "LiteLLM's proxy has this",
        },
    }
)
"""Of a deployment's `litellm_params`."""

ROUTER = Table(
    {
        "exactly": {
            "model_list": "each `model_name` is a pool of its deployments",
            "fallbacks default_fallbacks": "the groups that follow, theirs after them",
            "model_group_alias": "other names of groups",
            "default_litellm_params": "what deployments have that do not say otherwise",
            "max_fallbacks": "how many groups may follow; 5 by default",
            "ignore_invalid_deployments": "a deployment that cannot be built is left out",
            "enable_mid_stream_fallback_continuation": (
                "a stream that breaks goes on at another endpoint; without it the break is raised"
            ),
        },
        "approximately": {
            **_LIMITS,
            "context_window_fallbacks content_policy_fallbacks": (
                "those of the group that was asked; the ones of its fallbacks are not looked at"
            ),
            "default_max_parallel_requests": "as `max_parallel_requests` of a deployment",
            "routing_strategy": (
                "`simple-shuffle`, `least-busy`, `latency-based-routing`, `cost-based-routing`; "
                "`usage-based-routing` and `-v2` become `least-busy`, limits are kept anyway"
            ),
            "retry_after": "the base of the waits between repeats, in seconds",
            "retry_policy model_group_retry_policy": (
                "the largest of its numbers counts for every kind of failure"
            ),
            "allowed_fails": "failures in a row, plus one, that open a deployment's circuit",
            "allowed_fails_policy": "the smallest of its numbers, as `allowed_fails`",
            "cooldown_time": "the first period of an open circuit; it doubles up to two minutes",
            "disable_cooldowns": "only refused keys, unknown models and used-up money open a circuit",
            "enable_pre_call_checks": "always: known windows are looked at before anything is sent",
            "fallback_on_unsupported_params": "always: who cannot express a request is left out",
        },
        "without effect": {
            "set_verbose debug_level": "fallbackio logs to `logging`, as that is set up",
            "client_ttl polling_interval": "LiteLLM's own housekeeping",
            "routing_strategy_args": "latencies are learnt by their own rules",
            "router_general_settings": "LiteLLM's own",
            "deployment_affinity_ttl_seconds": "of sessions; see `chain.session()`",
            "health_check_staleness_threshold": "of health checks, which are refused",
            "tag_filtering_match_any tag_routing_prefix": "of tags, which are refused",
            "enable_weighted_failover": "a pool's other members are tried anyway",
        },
        "refused": {
            "redis_url redis_host redis_port redis_password redis_db": (
                "breakers and limits are kept in this process"
            ),
            "cache_responses cache_kwargs caching_groups": "answers are not cached",
            "default_priority": "calls that wait for room are served in their order",
            "assistants_config search_tools guardrail_list": "only chat completions and embeddings",
            "enable_tag_filtering": "make a Router for each tag",
            "plugins optional_pre_call_checks routing_groups": "LiteLLM's own extensions",
            "provider_budget_config": "there are no budgets of money",
            "alerting_config": "give the Router `sinks`; a failover is a warning in the log",
            "model_group_affinity_config session_affinity_repin_on_failover": "see `chain.session()`",
            "enable_health_check_routing health_check_ignore_transient_errors "
            "background_health_check_model_groups": "breakers learn from the calls themselves",
            "fallback_access_check fallback_budget_check auto_router_capability_limit": (
                "LiteLLM's proxy has these"
            ),
        },
    }
)
"""Of `Router(…)`."""


def refuse(table: Table, given: Mapping[str, Any], of: str) -> None:
    """Raise `ConfigError` for a parameter that would be lost; one that is off or empty says nothing."""
    for name, value in given.items():
        row = table.get(name)
        if row is not None and row.how == "refused" and value:
            raise ConfigError(f"{of}: {name}= of LiteLLM is not taken: {row.why}. Leave it out")
