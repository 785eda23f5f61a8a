"""`vendors`: who can be named, what is set, and never a key's value."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from cli_kit import invoke
from rich.console import Console

from fallbackio.config import _extras
from fallbackio.dialects import PLACEHOLDER, VENDORS

SECRET = "sk-secret"

# As if no variable that any vendor looks at were set.
NOTHING: dict[str, str | None] = dict.fromkeys(
    [
        name
        for vendor in VENDORS.values()
        for name in (
            *vendor.key_env,
            *vendor.base_env,
            *[one for names in PLACEHOLDER.findall(vendor.base_url) for one in names.split("|")],
        )
    ]
)


def listed(*args: str, **variables: str) -> list[dict[str, Any]]:
    """The rows of `--json` with only these variables set."""
    done = invoke("vendors", "--json", *args, env={**NOTHING, **variables})
    assert (done.code, done.err) == (0, "")
    rows: list[dict[str, Any]] = orjson.loads(done.out)
    return rows


def test_all_are_listed_by_name() -> None:
    """Each vendor has a line in the table, with its dialect, host and key variables."""
    done = invoke("vendors", env=NOTHING)
    lines = {line[3:].split()[0]: line for line in done.out.splitlines()[1:-2]}

    assert done.code == 0
    assert list(lines) == sorted(VENDORS)
    for name, vendor in VENDORS.items():
        assert f" {vendor.dialect} " in lines[name]
        assert all(variable in lines[name] for variable in vendor.key_env)
    assert "api.groq.com" in lines["groq"]
    assert "logprobs" in lines["groq"]


def test_it_explains_itself() -> None:
    """`--help` names the options and says that no value is shown."""
    done = invoke("vendors", "--help")

    assert done.code == 0
    assert "no value is ever shown" in " ".join(done.out.split())
    assert "--set" in done.out


def test_what_is_set_is_marked_and_its_value_is_not_shown() -> None:
    """A star tells what can be used now; a key is shown by the name of its variable."""
    for args in ([], ["groq"], ["--json"], ["--set"]):
        done = invoke("vendors", *args, env={**NOTHING, "GROQ_API_KEY": SECRET})

        assert done.code == 0
        assert SECRET not in done.out + done.err

    done = invoke("vendors", env={**NOTHING, "GROQ_API_KEY": SECRET})
    starred = [line.split()[1] for line in done.out.splitlines() if line.startswith("*  ")]

    assert starred == ["groq", "llamacpp", "lmstudio", "ollama", "vllm"]
    assert "GROQ_API_KEY (set)" in done.out
    assert "* can be used now: 5." in done.out


@pytest.mark.parametrize(("columns", "noted"), [(80, False), (160, True)])
def test_a_narrow_terminal_gets_no_syllables(
    monkeypatch: pytest.MonkeyPatch, columns: int, noted: bool
) -> None:
    """The table fits its terminal; where notes would be squeezed they are left to `vendors NAME`."""
    monkeypatch.setattr(Console, "is_terminal", True)
    done = invoke("vendors", env={**NOTHING, "COLUMNS": str(columns)})

    assert max(map(len, done.out.splitlines())) <= columns
    assert ("logprobs" in done.out) is noted


def test_json_says_all_of_it() -> None:
    """The rows are complete and tell what is missing."""
    rows = {row["name"]: row for row in listed(GROQ_API_KEY=SECRET)}

    assert list(rows) == sorted(VENDORS)
    assert rows["groq"]["key_set_by"] == "GROQ_API_KEY"
    assert rows["groq"]["usable"]
    assert rows["openai"]["missing"] == ["OPENAI_API_KEY"]
    assert not rows["openai"]["usable"]
    assert rows["bedrock"]["missing"] == ["AWS_REGION or AWS_DEFAULT_REGION"]
    assert rows["bedrock"]["extra"] == "bedrock"
    assert rows["together"]["notes"] == ["empty tool_calls are left out"]


def test_set_leaves_out_what_cannot_be_used() -> None:
    """`--set` lists those for which a chain could be built now."""
    local = ["llamacpp", "lmstudio", "ollama", "vllm"]

    assert [row["name"] for row in listed("--set")] == local
    assert [row["name"] for row in listed("--set", MISTRAL_API_KEY="k")] == sorted([*local, "mistral"])
    assert listed("--set", "groq") == []
    assert "Not to be used now" in invoke("vendors", "--set", "groq", env=NOTHING).out


def test_a_missing_extra_is_no_use(monkeypatch: pytest.MonkeyPatch) -> None:
    """What an endpoint needs installed counts, and the command says how to get it."""
    monkeypatch.setattr(_extras, "_BROUGHT", {"bedrock": "no_such_package", "vertex": "no.such.package"})
    env = {**NOTHING, "AWS_REGION": "us-east-1"}

    for name in ("bedrock", "vertex"):
        done = invoke("vendors", name, env=env)
        assert f"fallbackio[{name}], not installed" in done.out
        assert f"pip install 'fallbackio[{name}]'" in done.out
    assert "bedrock" not in invoke("vendors", "--set", env=env).out


def test_one_is_shown_in_full() -> None:
    """Where it is, what it is missing, its other addresses, its quirks and how old all that is."""
    done = invoke("vendors", "AZURE", env=NOTHING)

    assert done.code == 0
    assert "where      https://{AZURE_RESOURCE_NAME}.openai.azure.com\n" in done.out
    assert "or         the address in AZURE_OPENAI_ENDPOINT\n" in done.out
    assert "with       api-version from OPENAI_API_VERSION, if set\n" in done.out
    assert "usable     no: AZURE_OPENAI_API_KEY or AZURE_API_KEY; AZURE_RESOURCE_NAME" in done.out
    assert "verified   2026-11\n" in done.out
    assert "also at    https://api.moonshot.cn/v1 (base_url=)\n" in invoke("vendors", "moonshot").out


def test_an_address_from_the_environment_is_named() -> None:
    """Who wonders where requests go learns which variable says so, and not what it holds."""
    done = invoke("vendors", "ollama", env={**NOTHING, "OLLAMA_HOST": f"http://{SECRET}:1"})

    assert "where      {OLLAMA_HOST}\n" in done.out
    assert SECRET not in done.out


@pytest.mark.parametrize(
    ("name", "hint"), [("grok", "did you mean 'groq'?"), ("qqqqq", "'fallbackio vendors' lists all")]
)
def test_an_unknown_vendor_is_exit_code_2(name: str, hint: str) -> None:
    """A typing error is answered by the nearest name."""
    done = invoke("vendors", name)

    assert (done.code, done.out) == (2, "")
    assert done.err == f"fallbackio: unknown vendor {name!r}; {hint}\n"
