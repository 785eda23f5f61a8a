"""The parts by themselves: names of models, addresses and keys, answers, errors, policies."""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Mapping
from typing import Any

import pytest

from fallbackio import ConfigError, Reply, Usage, errors
from fallbackio.breaker import BreakerPolicy
from fallbackio.compat import litellm
from fallbackio.compat.litellm import exceptions
from fallbackio.compat.litellm._endpoints import endpoint_of
from fallbackio.compat.litellm._fields import Message, ModelResponse, ModelResponseStream
from fallbackio.compat.litellm._models import BASES, KEYS, placed
from fallbackio.compat.litellm._policies import breaker_of
from fallbackio.compat.litellm.exceptions import translated
from fallbackio.dialects import VENDORS
from fallbackio.model import Choice, Delta, FunctionCall, ToolCall, ToolCallDelta
from fallbackio.model import Message as OurMessage


def no_variables(name: str) -> None:
    """An empty environment."""


@pytest.mark.parametrize(
    ("model", "vendor", "its_name"),
    [
        ("gpt-4o", "openai", "gpt-4o"),
        ("o3-mini", "openai", "o3-mini"),
        ("ft:gpt-3.5-turbo:ours", "openai", "ft:gpt-3.5-turbo:ours"),
        ("text-embedding-3-small", "openai", "text-embedding-3-small"),
        ("claude-sonnet-4-5", "anthropic", "claude-sonnet-4-5"),
        ("command-nightly", "cohere", "command-nightly"),
        ("gemini-2.5-flash", "vertex", "gemini-2.5-flash"),
        ("us.anthropic.claude-sonnet-4-5-v1:0", "bedrock", "us.anthropic.claude-sonnet-4-5-v1:0"),
        ("amazon.nova-pro-v1:0", "bedrock", "amazon.nova-pro-v1:0"),
        ("azure/our-deployment", "azure", "our-deployment"),
        ("gemini/gemini-2.5-flash", "gemini", "gemini-2.5-flash"),
        ("vertex_ai/gemini-2.5-pro", "vertex", "gemini-2.5-pro"),
        ("bedrock/converse/amazon.nova-lite-v1:0", "bedrock", "amazon.nova-lite-v1:0"),
        ("bedrock/us-west-2/amazon.nova-lite-v1:0", "bedrock", "amazon.nova-lite-v1:0"),
        ("ollama/llama3", "ollama", "llama3"),
        ("ollama_chat/llama3", "ollama", "llama3"),
        ("groq/llama-3.3-70b-versatile", "groq", "llama-3.3-70b-versatile"),
        ("together_ai/meta-llama/Llama-3", "together", "meta-llama/Llama-3"),
        ("openrouter/google/gemini-2.5-pro", "openrouter", "google/gemini-2.5-pro"),
        ("fireworks_ai/accounts/fireworks/models/x", "fireworks", "accounts/fireworks/models/x"),
        ("hosted_vllm/m", "vllm", "m"),
        ("lm_studio/m", "lmstudio", "m"),
        ("nvidia_nim/m", "nvidia", "m"),
        ("vercel_ai_gateway/openai/gpt-4o", "vercel", "openai/gpt-4o"),
        ("mistral/mistral-large-latest", "mistral", "mistral-large-latest"),
    ],
)
def test_models_are_placed_as_litellm_places_them(model: str, vendor: str, its_name: str) -> None:
    """LiteLLM's prefixes and plain names mean the vendor that they mean there."""
    where = placed(model)

    assert (where.vendor, where.model, where.why) == (vendor, its_name, "")


@pytest.mark.parametrize(
    ("model", "why"),
    [
        ("bad-model", "write 'vendor/model'"),
        ("sagemaker/ours", "write 'vendor/model'"),
        ("vertex_ai/claude-sonnet-4-5", "only Gemini is spoken"),
        ("bedrock/invoke/ours", "only Converse is spoken"),
        ("openai_like/ours", "needs an api_base"),
    ],
)
def test_what_nobody_runs_has_a_reason(model: str, why: str) -> None:
    """A model that cannot be asked says why, and so does its entry in the ledger."""
    assert why in placed(model).why
    assert endpoint_of({"model": model}, look=no_variables).fn is not None


def test_a_provider_may_be_named_beside_the_model() -> None:
    """`custom_llm_provider` is a prefix that stands apart."""
    assert placed("ours", "groq").vendor == "groq"
    assert placed("groq/ours", "groq").model == "ours"
    assert placed("llama3", "", "https://api.groq.com/openai/v1").vendor == "groq"
    assert placed("llama3", "", "http://gpu-1:8000/v1") == placed("openai_like/llama3", "", "http://x")


def test_every_vendor_that_is_named_exists() -> None:
    """The data of this door and of the vendors do not drift apart."""
    assert set(KEYS) | set(BASES) <= set(VENDORS)


@pytest.mark.parametrize(
    ("told", "base_url"),
    [
        (
            {"model": "azure/ours", "api_base": "https://r.openai.azure.com/", "api_version": "2024-10-21"},
            "https://r.openai.azure.com?api-version=2024-10-21",
        ),
        (
            {"model": "azure/ours", "api_base": "https://r.openai.azure.com/openai/v1"},
            "https://r.openai.azure.com/openai/v1",
        ),
        ({"model": "azure/ours"}, "https://env.openai.azure.com?api-version=2023-05-15"),
        ({"model": "openai/m", "api_base": "http://gpu-1:8000/v1/"}, "http://gpu-1:8000/v1"),
        ({"model": "openai/m", "base_url": "http://gpu-1:8000/v1"}, "http://gpu-1:8000/v1"),
        ({"model": "cohere/m", "api_base": "https://api.cohere.com/v2/chat"}, "https://api.cohere.com/v2"),
        (
            {"model": "bedrock/amazon.nova-lite-v1:0", "aws_region_name": "us-west-2"},
            "https://bedrock-runtime.us-west-2.amazonaws.com",
        ),
        (
            {"model": "bedrock/eu-west-1/amazon.nova-lite-v1:0"},
            "https://bedrock-runtime.eu-west-1.amazonaws.com",
        ),
        (
            {"model": "vertex_ai/gemini-2.5-pro", "vertex_project": "p", "vertex_location": "europe-west1"},
            "https://europe-west1-aiplatform.googleapis.com/v1/projects/p/locations/europe-west1",
        ),
        (
            {"model": "vertex_ai/gemini-2.5-pro", "vertex_project": "p", "vertex_location": "global"},
            "https://aiplatform.googleapis.com/v1/projects/p/locations/global",
        ),
        ({"model": "vertex_ai/gemini-2.5-pro"}, None),
    ],
)
def test_addresses(told: dict[str, Any], base_url: str | None) -> None:
    """Where LiteLLM's words say that a model is, there it is asked."""
    variables = {
        "AZURE_API_BASE": "https://env.openai.azure.com",
        "AZURE_API_VERSION": "2023-05-15",
    }

    assert endpoint_of({**told, "api_key": "k"}, look=variables.get).base_url == base_url


def test_an_openai_server_elsewhere_is_not_openai() -> None:
    """`openai/…` at another address is a server of its own: its parameters are sent as they are written."""
    ours = endpoint_of({"model": "openai/m", "api_base": "http://gpu-1:8000/v1", "api_key": "k"})
    theirs = endpoint_of({"model": "openai/m", "api_base": "https://api.openai.com/v1", "api_key": "k"})

    assert (ours.vendor, ours.dialect) == ("", "openai")
    assert theirs.vendor == "openai"


def test_what_else_an_endpoint_is_told() -> None:
    """Headers, price and parameters of one model are that endpoint's."""
    made = endpoint_of(
        {
            "model": "groq/m",
            "api_key": "os.environ/OURS",
            "extra_headers": {"x-title": "ours"},
            "organization": "org-1",
            "input_cost_per_token": 0.0000025,
            "output_cost_per_token": "0.00001",
            "temperature": 0.3,
            "top_p": 0.9,
            "drop_params": True,
        },
        given={"top_p"},
        look={"OURS": "gsk-not-a-key"}.get,
    )

    assert made.api_key == "gsk-not-a-key"
    assert made.headers == {"x-title": "ours", "OpenAI-Organization": "org-1"}
    assert made.price is not None
    assert (made.price.input, made.price.output, made.price.cached_input) == (2.5, 10, None)
    assert made.params == {"temperature": 0.3}
    assert made.unsupported == "drop"


def test_an_entra_token_stands_in_for_a_key() -> None:
    """`azure_ad_token` and its provider are asked instead."""
    base = {"model": "azure/ours", "api_base": "https://r.openai.azure.com", "api_key": "k"}
    fixed = endpoint_of({**base, "azure_ad_token": "secret"})
    asked = endpoint_of({**base, "azure_ad_token_provider": lambda: "fresh"})

    assert fixed.token is not None
    assert fixed.token() == "secret"
    assert fixed.api_key is None
    assert asked.token is not None
    assert asked.token() == "fresh"
    assert "secret" not in repr(fixed)


REPLY = Reply(
    id="1",
    model="m",
    choices=(Choice(OurMessage("Hello!", (ToolCall("c1", FunctionCall("f", "{}")),)), "stop"),),
    usage=Usage(prompt_tokens=2, completion_tokens=3),
)


def test_an_answer_is_read_by_attribute_and_by_key() -> None:
    """Both ways of LiteLLM's, and every one of its ways to get plain data."""
    response = ModelResponse.of(REPLY)

    assert response.choices[0].message.content == response["choices"][0]["message"]["content"] == "Hello!"
    assert response.choices[0].message.tool_calls[0].function.name == "f"
    assert response.choices[0].message.function_call is None
    assert response.usage.total_tokens == response["usage"]["total_tokens"] == 5
    assert response.usage.prompt_tokens_details.cached_tokens == 0
    assert response.get("nothing", "else") == "else"
    plain = response.model_dump()
    assert plain == response.json() == response.dict() == response.to_dict() == dict(response)
    assert type(plain["choices"][0]["message"]) is dict
    assert json.loads(response.model_dump_json()) == json.loads(json.dumps(response)) == plain
    assert "function_call" not in response.model_dump(exclude_none=True)["choices"][0]["message"]
    with pytest.raises(AttributeError, match="has no 'choice'; it has"):
        _ = response.choice
    assert not hasattr(response, "choice")


def test_an_answer_can_be_copied_and_changed() -> None:
    """It is the caller's own."""
    response = ModelResponse.of(REPLY)
    again = copy.deepcopy(response)
    again.choices[0].message.content = "Goodbye!"
    again.ours = 1

    assert (response.choices[0].message.content, again["ours"]) == ("Hello!", 1)
    assert isinstance(pickle.loads(pickle.dumps(again)), ModelResponse)  # noqa: S301 - our own


def test_an_answer_is_shown_only_to_whom_prints_it() -> None:
    """`repr`, which ends up in logs and tracebacks, does not quote it."""
    response = ModelResponse.of(REPLY)

    assert "Hello!" not in repr(response) + repr(response.choices) + f"{response.choices[0].message!r}"
    assert "Hello!" in str(response)


def test_chunks_have_the_fields_that_programs_read() -> None:
    """A piece of a tool call has a name and an id even where they are not said again."""
    call = Delta(tool_calls=(ToolCallDelta(0, arguments='{"a"'),), id="1", model="m")
    chunk = ModelResponseStream.of(call, "m", None)

    [piece] = chunk.choices[0].delta.tool_calls
    assert (piece.id, piece.function.name, piece.function.arguments, piece.index) == (None, None, '{"a"', 0)
    assert chunk.choices[0].delta.content is None
    assert not hasattr(chunk, "usage")


def test_a_message_goes_back_without_its_empty_fields() -> None:
    """What is `None` in an answer is not sent to the next provider."""
    from fallbackio.compat.litellm._calls import plain_message

    message = ModelResponse.of(REPLY).choices[0].message

    assert isinstance(message, Message)
    assert set(plain_message(message)) == {"role", "content", "tool_calls"}


def attempt(error: errors.AttemptError) -> Any:
    """A call that failed with this at its only endpoint."""
    from fallbackio import Attempt

    error.placed("openai/m", "openai", "m")
    entry = Attempt(endpoint="openai/m", vendor="openai", model="m", outcome="failed", error=error)
    return errors.ChainExhausted("no endpoint answered", (entry,), retry_after_s=7)


ERRORS: Mapping[str, tuple[errors.AttemptError, type[exceptions.OpenAIError], int]] = {
    "429": (errors.RateLimited(status=429), exceptions.RateLimitError, 429),
    "money": (errors.QuotaExhausted(status=402), exceptions.RateLimitError, 402),
    "401": (errors.AuthFailed(status=401), exceptions.AuthenticationError, 401),
    "403": (errors.AuthFailed(status=403), exceptions.PermissionDeniedError, 403),
    "404": (errors.ModelNotFound(status=404), exceptions.NotFoundError, 404),
    "500": (errors.ServerFault(status=500), exceptions.InternalServerError, 500),
    "502": (errors.ServerFault(status=502), exceptions.BadGatewayError, 502),
    "408": (errors.ServerFault(status=408), exceptions.Timeout, 408),
    "503": (errors.Overloaded(status=503), exceptions.ServiceUnavailableError, 503),
    "in band": (errors.Overloaded(status=200), exceptions.ServiceUnavailableError, 503),
    "timer": (errors.TimedOut(phase="idle", limit_s=5), exceptions.Timeout, 408),
    "connection": (errors.ConnectionFailed("reset"), exceptions.APIConnectionError, 500),
    "garbage": (errors.BadAnswer(status=200), exceptions.APIError, 500),
    "too long": (errors.ContextTooLong(status=400), exceptions.ContextWindowExceededError, 400),
    "policy": (errors.ContentFiltered(status=400), exceptions.ContentPolicyViolationError, 400),
    "400": (errors.InvalidRequest(status=400), exceptions.BadRequestError, 400),
    "422": (errors.InvalidRequest(status=422), exceptions.UnprocessableEntityError, 422),
    "skipped": (errors.Refused(), exceptions.ServiceUnavailableError, 503),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors_have_litellms_names(name: str) -> None:
    """A failure is raised under the name that LiteLLM has for it, by itself or as the end of a call."""
    error, kind, status = ERRORS[name]

    for given in (error, attempt(error)):
        told = translated(given)
        assert isinstance(told, exceptions.OpenAIError)
        assert type(told) is kind
        assert told.status_code == status
        assert told.__cause__ is given
        assert (told.llm_provider, told.model) == ("openai", "m")
    assert translated(attempt(error)).attempts[0].error is error


def test_every_kind_of_failure_has_a_name() -> None:
    """A kind that is added to the tree gets a name here as well."""
    kinds = {type(error) for error, _, _ in ERRORS.values()}
    ours = {getattr(errors, name) for name in errors.__all__ if isinstance(getattr(errors, name), type)}

    assert {k for k in ours if issubclass(k, errors.AttemptError)} - kinds == {
        errors.AttemptError,
        errors.Rejected,  # of `accept`, which LiteLLM has not
    }


def test_calls_as_a_whole_have_names_too() -> None:
    """The deadline is a timeout, a broken stream has its text, what is misused stays ours."""
    assert type(translated(errors.DeadlineExceeded("late"))) is exceptions.Timeout
    broken = translated(errors.StreamBroken("broken", partial="Hel"))
    assert isinstance(broken, exceptions.MidStreamFallbackError)
    assert broken.generated_content == "Hel"
    misused = ConfigError("no")
    assert translated(misused) is misused
    assert translated(broken) is broken


def test_errors_can_be_made_as_litellms_are() -> None:
    """Programs make them in their tests, with LiteLLM's arguments."""
    whose: dict[str, Any] = {"llm_provider": "openai", "model": "m"}
    one = litellm.RateLimitError(message="slow", response=None, num_retries=1, **whose)
    two = litellm.APIError(status_code=500, message="m", **whose)

    assert (str(one), one.status_code, one.llm_provider) == ("slow", 429, "openai")
    assert (two.status_code, two.message) == (500, "m")
    assert not isinstance(one, litellm.APIError)


@pytest.mark.parametrize(
    ("settings", "consecutive", "open_s"),
    [
        ({}, BreakerPolicy().consecutive, BreakerPolicy().open_s),
        ({"allowed_fails": 0}, 1, 5),
        ({"allowed_fails": 3, "cooldown_time": 60}, 4, 60),
        ({"allowed_fails_policy": {"TimeoutErrorAllowedFails": 9, "RateLimitErrorAllowedFails": 2}}, 3, 5),
        ({"allowed_fails_policy": litellm.AllowedFailsPolicy(TimeoutErrorAllowedFails=1)}, 2, 5),
        ({"cooldown_time": 600}, BreakerPolicy().consecutive, 600),
    ],
    ids=str,
)
def test_cooldowns_are_breakers(settings: dict[str, Any], consecutive: int, open_s: float) -> None:
    """`allowed_fails` failures are allowed in a row, and the next one opens the circuit."""
    policy = breaker_of(settings)

    assert (policy.consecutive, policy.open_s) == (consecutive, open_s)
    assert (policy.sparse_after_s is None) == any(name.startswith("allowed_fails") for name in settings)
