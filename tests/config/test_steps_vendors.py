"""Vendors in an environment: addresses with an account or a region, keys, tokens, context windows.

What has no dialect of its own here is asked through OpenAI's, because only addresses matter.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import attrs
import pytest

from fallbackio import Chain, ConfigError, Endpoint
from fallbackio.config import _steps, standing_of
from fallbackio.config._address import address_of
from fallbackio.dialects import PLACEHOLDER, VENDORS
from fallbackio.simulator import Simulator
from fallbackio.testing import virtual_time

Setenv = Callable[..., None]


@pytest.fixture
def setenv(monkeypatch: pytest.MonkeyPatch) -> Setenv:
    """Sets these variables, and none that any vendor looks at besides."""
    for vendor in VENDORS.values():
        placeholders = [name for names in PLACEHOLDER.findall(vendor.base_url) for name in names.split("|")]
        for name in (*vendor.key_env, *vendor.base_env, *vendor.query_env.values(), *placeholders):
            monkeypatch.delenv(name, raising=False)

    def put(**variables: str) -> None:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return put


def resolved(step: str | Endpoint) -> Endpoint:
    return _steps.resolve([step])[0]


VERTEX = "/v1/projects/ours/locations"

ADDRESSES: list[tuple[str, dict[str, str], str]] = [
    ("groq", {}, "https://api.groq.com/openai/v1"),
    ("bedrock", {"AWS_REGION": "us-east-1"}, "https://bedrock-runtime.us-east-1.amazonaws.com"),
    ("bedrock", {"AWS_DEFAULT_REGION": " eu-west-3 "}, "https://bedrock-runtime.eu-west-3.amazonaws.com"),
    (
        "bedrock",
        {"AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "eu-west-3"},
        "https://bedrock-runtime.us-east-1.amazonaws.com",
    ),
    ("bedrock", {"AWS_REGION": "cn-north-1"}, "https://bedrock-runtime.cn-north-1.amazonaws.com.cn"),
    (
        "vertex",
        {"GOOGLE_CLOUD_PROJECT": "ours", "GOOGLE_CLOUD_LOCATION": "europe-west4"},
        f"https://europe-west4-aiplatform.googleapis.com{VERTEX}/europe-west4",
    ),
    (
        "vertex",
        {"GOOGLE_CLOUD_PROJECT": "ours", "GOOGLE_CLOUD_LOCATION": "global"},
        f"https://aiplatform.googleapis.com{VERTEX}/global",
    ),
    (
        "vertex",
        {"GOOGLE_VERTEX_PROJECT": "ours", "GOOGLE_VERTEX_LOCATION": "eu"},
        f"https://aiplatform.eu.rep.googleapis.com{VERTEX}/eu",
    ),
    (
        "vertex",
        {"GOOGLE_CLOUD_PROJECT": "example.com:ours", "GOOGLE_CLOUD_LOCATION": "global"},
        "https://aiplatform.googleapis.com/v1/projects/example.com:ours/locations/global",
    ),
    (
        "cloudflare",
        {"CLOUDFLARE_ACCOUNT_ID": "0a1b"},
        "https://api.cloudflare.com/client/v4/accounts/0a1b/ai/v1",
    ),
    (
        "databricks",
        {"DATABRICKS_HOST": "dbc-1.cloud.databricks.com"},
        "https://dbc-1.cloud.databricks.com/serving-endpoints",
    ),
    (
        "databricks",
        {"DATABRICKS_HOST": "https://adb-1.azuredatabricks.net/"},
        "https://adb-1.azuredatabricks.net/serving-endpoints",
    ),
    ("databricks", {"DATABRICKS_API_BASE": "https://h/serving-endpoints/"}, "https://h/serving-endpoints"),
    ("azure", {"AZURE_RESOURCE_NAME": "ours"}, "https://ours.openai.azure.com"),
    (
        "azure",
        {"AZURE_OPENAI_ENDPOINT": "https://r.services.ai.azure.com/"},
        "https://r.services.ai.azure.com",
    ),
    (
        "azure",
        {"AZURE_OPENAI_ENDPOINT": "https://r.openai.azure.com", "AZURE_RESOURCE_NAME": "other"},
        "https://r.openai.azure.com",
    ),
    (
        "azure",
        {"AZURE_OPENAI_ENDPOINT": "https://r.openai.azure.com/", "OPENAI_API_VERSION": "2024-10-21"},
        "https://r.openai.azure.com?api-version=2024-10-21",
    ),
    (
        "azure",
        {"AZURE_RESOURCE_NAME": "ours", "OPENAI_API_VERSION": "2024-10-21"},
        "https://ours.openai.azure.com?api-version=2024-10-21",
    ),
    (
        "azure",
        {
            "AZURE_OPENAI_ENDPOINT": "https://r.openai.azure.com/openai/v1/",
            "OPENAI_API_VERSION": "2024-10-21",
        },
        "https://r.openai.azure.com/openai/v1",
    ),
    ("ollama", {}, "http://localhost:11434"),
    ("ollama", {"OLLAMA_HOST": "gpu-1"}, "http://gpu-1:11434"),
    ("ollama", {"OLLAMA_HOST": "gpu-1:8000"}, "http://gpu-1:8000"),
    ("ollama", {"OLLAMA_HOST": ":8000"}, "http://localhost:8000"),
    ("ollama", {"OLLAMA_HOST": "0.0.0.0"}, "http://localhost:11434"),  # noqa: S104 - what servers are told
    ("ollama", {"OLLAMA_HOST": "0.0.0.0:8000"}, "http://localhost:8000"),
    ("ollama", {"OLLAMA_HOST": "[::1]"}, "http://[::1]:11434"),
    ("ollama", {"OLLAMA_HOST": "[::1]:8000"}, "http://[::1]:8000"),
    ("ollama", {"OLLAMA_HOST": "https://ollama.example/"}, "https://ollama.example"),
    ("ollama", {"OLLAMA_HOST": "gpu-1/path/"}, "http://gpu-1:11434/path"),
    ("ollama", {"OLLAMA_BASE_URL": "http://gpu-1:11434/v1", "OLLAMA_HOST": "no"}, "http://gpu-1:11434"),
    ("vllm", {"HOSTED_VLLM_API_BASE": "https://ours.example/v1"}, "https://ours.example/v1"),
]


@pytest.mark.parametrize(("vendor", "variables", "url"), ADDRESSES, ids=str)
def test_the_environment_completes_an_address(
    setenv: Setenv, vendor: str, variables: dict[str, str], url: str
) -> None:
    """Accounts, regions and whole addresses are filled in as each vendor writes them."""
    setenv(**variables)

    assert address_of(VENDORS[vendor]) == url
    assert Endpoint("m", base_url=url).base_url == url


@pytest.mark.parametrize(
    ("vendor", "variables", "message"),
    [
        (
            "bedrock",
            {},
            "no address for bedrock: set AWS_REGION or AWS_DEFAULT_REGION in the environment, or .*base_url=",
        ),
        (
            "vertex",
            {},
            "set GOOGLE_CLOUD_LOCATION or GOOGLE_VERTEX_LOCATION and GOOGLE_CLOUD_PROJECT or",
        ),
        (
            "vertex",
            {"GOOGLE_CLOUD_LOCATION": "global"},
            "vertex: set GOOGLE_CLOUD_PROJECT or GOOGLE_VERTEX_PROJECT in",
        ),
        ("azure", {}, "set AZURE_RESOURCE_NAME or AZURE_OPENAI_ENDPOINT in"),
        ("azure", {"AZURE_RESOURCE_NAME": " "}, "set AZURE_RESOURCE_NAME or AZURE_OPENAI_ENDPOINT in"),
        ("cloudflare", {}, "set CLOUDFLARE_ACCOUNT_ID in"),
        (
            "bedrock",
            {"AWS_REGION": "us-east-1.evil.example/"},
            "AWS_REGION must be a name of letters, digits and hyphens, for",
        ),
        ("bedrock", {"AWS_DEFAULT_REGION": "us east"}, "AWS_DEFAULT_REGION must be"),
        (
            "azure",
            {"AZURE_RESOURCE_NAME": "https://r.openai.azure.com"},
            "AZURE_RESOURCE_NAME must be a name of",
        ),
        (
            "cloudflare",
            {"CLOUDFLARE_ACCOUNT_ID": "a/b"},
            "CLOUDFLARE_ACCOUNT_ID must be a name without slashes",
        ),
        ("cloudflare", {"CLOUDFLARE_ACCOUNT_ID": ".."}, "CLOUDFLARE_ACCOUNT_ID must be"),
        ("databricks", {"DATABRICKS_HOST": "https://h/path"}, "DATABRICKS_HOST must be a host such as"),
        ("databricks", {"DATABRICKS_HOST": "user@h"}, "DATABRICKS_HOST must be a host"),
        ("ollama", {"OLLAMA_HOST": "two words"}, "OLLAMA_HOST is no address of ollama: base_url .* spaces"),
        ("ollama", {"OLLAMA_HOST": "::1"}, "OLLAMA_HOST is no address of ollama"),
        (
            "azure",
            {"AZURE_OPENAI_ENDPOINT": "ftp://h"},
            "AZURE_OPENAI_ENDPOINT is no address of azure: .*http://",
        ),
        (
            "azure",
            {"AZURE_OPENAI_ENDPOINT": "sk-secret"},
            "AZURE_OPENAI_ENDPOINT is no address of azure: .*such as https://",
        ),
        ("azure", {"AZURE_OPENAI_ENDPOINT": "sk-secret key"}, "AZURE_OPENAI_ENDPOINT is no address of azure"),
        ("azure", {"AZURE_OPENAI_ENDPOINT": "h:sk-secret"}, "AZURE_OPENAI_ENDPOINT is no address of azure"),
        (
            "azure",
            {"AZURE_RESOURCE_NAME": "r", "OPENAI_API_VERSION": "a&b"},
            "OPENAI_API_VERSION must be a word such as 2024-10-21",
        ),
    ],
    ids=str,
)
def test_a_bad_address_is_found_when_the_chain_is_built(
    setenv: Setenv, monkeypatch: pytest.MonkeyPatch, vendor: str, variables: dict[str, str], message: str
) -> None:
    """What is missing is named with all its variables; a value is not quoted, nor leads to another host."""
    setenv(**variables)
    plain = {name: attrs.evolve(row, dialect="openai") for name, row in VENDORS.items()}
    monkeypatch.setattr(_steps, "VENDORS", plain)

    with pytest.raises(ConfigError, match=message) as caught:
        resolved(Endpoint(f"{vendor}/model", api_key="k"))

    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("step", "variable", "others"),
    [
        ("azure/gpt", "AZURE_OPENAI_ENDPOINT", {"AZURE_API_KEY": "k", "OPENAI_API_VERSION": "2024-10-21"}),
        ("ollama/llama", "OLLAMA_HOST", {}),
        ("databricks/m", "DATABRICKS_API_BASE", {"DATABRICKS_TOKEN": "k"}),
        ("vllm/m", "HOSTED_VLLM_API_BASE", {}),
    ],
)
@virtual_time
async def test_an_address_from_the_environment_is_asked(
    setenv: Setenv, step: str, variable: str, others: dict[str, str]
) -> None:
    """A chain of the vendor's name alone reaches the server that the environment names."""
    async with Simulator() as sim:
        server = sim.endpoint("ours")
        setenv(**{variable: server.url(VENDORS[step.partition("/")[0]].dialect), **others})
        async with Chain([step]) as chain:
            reply = await chain.complete("Hi")

    assert reply.text
    assert reply.report.endpoint == step
    assert server.stats.requests == 1


def test_an_address_of_the_users_own_needs_no_variables(setenv: Setenv) -> None:
    """`base_url=` is the other mend that the errors offer."""
    setenv()
    url = "https://r.openai.azure.com/openai/v1"

    made = resolved(Endpoint("gpt", vendor="azure", base_url=url, api_key="k", dialect="openai"))

    assert (made.base_url, made.name) == (url, "azure/gpt")


def test_a_token_stands_in_for_a_key(setenv: Setenv) -> None:
    """With `token=` no key is asked for, and none is sent beside it although one is set."""
    setenv()
    assert resolved(Endpoint("groq/m", token=lambda: "t")).api_key is None

    setenv(GROQ_API_KEY="sk-1")
    assert resolved(Endpoint("groq/m", token=lambda: "t")).api_key is None
    assert resolved("groq/m").api_key == "sk-1"


@pytest.mark.parametrize(
    ("step", "window"),
    [
        ("openai/gpt-4o-2024-08-06", 128_000),
        ("anthropic/claude-sonnet-4-5", 200_000),
        (
            Endpoint("anthropic/claude-sonnet-4-5", headers={"anthropic-beta": "context-1m-2025-08-07"}),
            1_000_000,
        ),
        ("openrouter/anthropic/claude-sonnet-4.5", None),
        (Endpoint("openai/gpt-4o", context_window=50_000), 50_000),
        (Endpoint("gpt-4o", base_url="http://gateway:4000/v1"), 128_000),
        (Endpoint("gpt-4o", base_url="http://gateway:4000/v1", vendor="ours"), 128_000),
        ("openai/gpt-unheard-of", None),
        ("vllm/llama-3.3-70b", None),
        ("github/openai/gpt-4o", None),
    ],
    ids=str,
)
def test_a_known_model_brings_its_window(setenv: Setenv, step: str | Endpoint, window: int | None) -> None:
    """What the user says wins; what is not known stays open, as where a vendor cuts contexts short."""
    setenv(OPENAI_API_KEY="k", ANTHROPIC_API_KEY="k", OPENROUTER_API_KEY="k", GITHUB_TOKEN="k")

    assert resolved(step).context_window == window


@pytest.mark.parametrize(
    ("vendor", "variables", "expected"),
    [
        ("groq", {}, (None, None, ("GROQ_API_KEY",))),
        ("groq", {"GROQ_API_KEY": "k"}, ("GROQ_API_KEY", None, ())),
        ("github", {"GITHUB_API_KEY": "k"}, ("GITHUB_API_KEY", None, ())),
        ("vllm", {}, (None, None, ())),
        ("bedrock", {}, (None, None, ("AWS_REGION or AWS_DEFAULT_REGION",))),
        ("bedrock", {"AWS_REGION": "us-east-1"}, (None, None, ())),
        (
            "azure",
            {},
            (
                None,
                None,
                ("AZURE_OPENAI_API_KEY or AZURE_API_KEY", "AZURE_RESOURCE_NAME or AZURE_OPENAI_ENDPOINT"),
            ),
        ),
        (
            "azure",
            {"AZURE_API_KEY": "k", "AZURE_OPENAI_ENDPOINT": "https://h"},
            ("AZURE_API_KEY", "AZURE_OPENAI_ENDPOINT", ()),
        ),
    ],
    ids=str,
)
def test_a_standing_names_variables_only(
    setenv: Setenv, vendor: str, variables: dict[str, str], expected: tuple[Any, ...]
) -> None:
    """What is set and what is missing, by the variables' names."""
    setenv(**variables)
    standing = standing_of(VENDORS[vendor])

    assert (standing.key, standing.address, standing.missing) == expected
    assert re.search("'k'|https", repr(standing)) is None
