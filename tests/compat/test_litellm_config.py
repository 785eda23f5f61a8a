"""`from_litellm_config`: a file becomes a Router, and nothing in it is dropped in silence."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest
from compat_kit import MESSAGES

from fallbackio import ConfigError
from fallbackio.compat.litellm import from_litellm_config
from fallbackio.simulator import Behaviour, Simulator, Status
from fallbackio.testing import virtual_time

CONFIG = """
model_list:
  - model_name: gpt-4o
    litellm_params:
      model: azure/our-gpt-4o
      api_base: os.environ/OUR_BASE
      api_key: os.environ/OUR_KEY
      api_version: "2024-10-21"
      rpm: 600
      temperature: 0
      max_retries: 3
      tpd: 100000
    model_info:
      id: azure-eu
      base_model: azure/gpt-4o
      mode: chat
  - model_name: claude
    litellm_params:
      model: openai/claude
      api_base: {spare}
      api_key: sk-not-a-key
litellm_settings:
  drop_params: true
  request_timeout: 30
  set_verbose: false
  success_callback: ["langfuse"]
router_settings:
  fallbacks: [{{"gpt-4o": ["claude"]}}]
  num_retries: 0
  routing_strategy: usage-based-routing-v2
  redis_host: localhost
  allowed_failz: 3
general_settings:
  master_key: sk-1234
environment_variables:
  OUR_KEY: sk-from-the-file
  OUR_BASE: {primary}
teams: []
"""


@virtual_time
async def test_a_file_becomes_a_router() -> None:
    """Its groups answer and fall back, and its own variables are read where it refers to them."""
    async with Simulator() as sim:
        primary, spare = sim.add("primary"), sim.add("spare", Behaviour(text="spare"))
        resource = primary.url("azure").removesuffix("/openai/v1")
        text = CONFIG.format(primary=resource, spare=spare.url("openai"))
        router = from_litellm_config(text).router
        assert router.model_names == ["gpt-4o", "claude"]
        response = await router.acompletion("gpt-4o", MESSAGES, seed=1)
        assert response._hidden_params["model_id"] == "azure-eu"

        primary.behave(Behaviour(fault=Status(503)))
        assert (await router.acompletion("gpt-4o", MESSAGES)).choices[0].message.content == "spare"


def test_every_setting_is_accounted_for() -> None:
    """Each is named with what became of it and why."""
    imported = from_litellm_config(CONFIG.format(primary="https://r.openai.azure.com", spare="http://h/v1"))

    degrees = {one.where: one.degree for one in imported.taken}
    assert degrees == {
        "teams": "not at all",
        "environment_variables.OUR_KEY": "exactly",
        "environment_variables.OUR_BASE": "exactly",
        "model_list[0].litellm_params.model": "exactly",
        "model_list[0].litellm_params.api_base": "exactly",
        "model_list[0].litellm_params.api_key": "exactly",
        "model_list[0].litellm_params.api_version": "exactly",
        "model_list[0].litellm_params.rpm": "approximately",
        "model_list[0].litellm_params.temperature": "exactly",
        "model_list[0].litellm_params.max_retries": "approximately",
        "model_list[0].litellm_params.tpd": "not at all",
        "model_list[0].model_info.id": "exactly",
        "model_list[0].model_info.base_model": "exactly",
        "model_list[0].model_info.mode": "without effect",
        "model_list[1].litellm_params.model": "exactly",
        "model_list[1].litellm_params.api_base": "exactly",
        "model_list[1].litellm_params.api_key": "exactly",
        "litellm_settings.drop_params": "exactly",
        "litellm_settings.request_timeout": "approximately",
        "litellm_settings.set_verbose": "without effect",
        "litellm_settings.success_callback": "not at all",
        "router_settings.fallbacks": "exactly",
        "router_settings.num_retries": "approximately",
        "router_settings.routing_strategy": "approximately",
        "router_settings.redis_host": "not at all",
        "router_settings.allowed_failz": "not at all",
        "general_settings.master_key": "not at all",
    }
    assert all(one.why for one in imported.taken)
    assert "did you mean 'allowed_fails'" in next(
        one.why for one in imported.of("not at all") if one.where.endswith("failz")
    )
    assert "sk-" not in repr(imported)


def test_a_path_will_do(tmp_path: Path) -> None:
    """A file is named by its path, as text or as a `Path`."""
    path = tmp_path / "config.yaml"
    path.write_text("model_list: []\n")

    assert from_litellm_config(path).router.model_names == []
    assert from_litellm_config(str(path)).taken == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- a\n- b\n", "it has no sections"),
        ("a: [\n", "is no YAML at line"),
        ("model_list: 3\n\n", "model_list must be a list"),
        ("model_list:\n  - 3\n", r"model_list\[0\] needs"),
        ("router_settings: 3\n\n", "router_settings must be a mapping"),
        ("router_settings:\n  timeout: -1\n", "timeout must be a number of seconds"),
        ("/no/such/file.yaml", "cannot be read: No such file"),
    ],
)
def test_what_is_no_configuration_says_so(text: str, message: str) -> None:
    """A mistake is named with its place, and what may be a key is not quoted."""
    with pytest.raises(ConfigError, match=message):
        from_litellm_config(text)


def test_a_broken_file_does_not_show_its_keys() -> None:
    """The line at fault may hold a secret."""
    with pytest.raises(ConfigError) as caught:
        from_litellm_config("master_key: sk-secret\n  bad: [\n")

    assert "sk-secret" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_without_pyyaml_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is missing is said with the way to get it."""
    monkeypatch.setitem(sys.modules, "yaml", None)

    with pytest.raises(ConfigError, match=re.escape("pip install 'fallbackio[litellm]'")):
        from_litellm_config("model_list: []\n")


def test_variables_of_the_file_are_set_for_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are read where the file refers to them; the process keeps its own environment."""
    import os

    monkeypatch.delenv("OUR_KEY", raising=False)
    from_litellm_config(CONFIG.format(primary="https://r.openai.azure.com", spare="http://h/v1"))
    environment: Any = os.environ

    assert "OUR_KEY" not in environment
