"""`init`: a file to begin with, from the keys that are there, and never a key in it."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from cli_kit import invoke

from fallbackio.config.files._starting import STARTERS
from fallbackio.dialects import VENDORS

# As if no vendor's key were set.
NOTHING: dict[str, str | None] = {name: None for vendor in VENDORS.values() for name in vendor.key_env}
SECRET = "sk-very-secret"


def with_keys(*vendors: str) -> dict[str, str | None]:
    return {**NOTHING, **{VENDORS[name].key_env[0]: SECRET for name in vendors}}


@pytest.mark.parametrize(
    "vendors",
    [["openai", "anthropic"], ["groq"], ["openai", "groq"], ["gemini", "mistral", "xai"], [*STARTERS]],
    ids=["usual", "one", "small", "three", "all"],
)
def test_the_file_is_clean(tmp_path: Path, vendors: list[str]) -> None:
    """Whatever keys there are, `check` finds nothing, and the file holds names only."""
    path, env = tmp_path / "chain.toml", with_keys(*vendors)

    done = invoke("init", str(path), env=env)
    text = path.read_text(encoding="utf-8")

    assert done.code == 0
    assert invoke("check", str(path), env=env).code == 0
    assert SECRET not in text + done.out + done.err
    steps = tomllib.loads(text)["chain"]["main"]["steps"]
    assert steps == [f"{name}/{STARTERS[name]}" for name in STARTERS if name in vendors][:4]
    for name in vendors[:4]:
        assert VENDORS[name].key_env[0] in text


def test_its_comments_are_settings(tmp_path: Path) -> None:
    """What the file shows as a comment works when the sign before it is taken away."""
    path, env = tmp_path / "chain.toml", {**with_keys("openai", "anthropic"), "SECOND_KEY": SECRET}
    invoke("init", str(path), env=env)
    before, mark, after = path.read_text(encoding="utf-8").partition("[chain.main]")
    opened = [
        line.removeprefix("# ") if " = " in line or line.startswith("# [") else line
        for line in after.replace('    "anthropic', '    "both",\n    "anthropic').splitlines()
    ]
    path.write_text(
        before + mark + "\n".join(opened).replace('"openai/gpt-6-luna",  #', "#"), encoding="utf-8"
    )

    done = invoke("check", str(path), "--ignore", "FB103", env=env)

    assert done.code == 0, done.out
    assert "FB006" not in done.out  # all that was opened is in use


def test_without_keys_it_says_which_to_set(tmp_path: Path) -> None:
    """The file is written all the same."""
    path = tmp_path / "chain.toml"

    done = invoke("init", str(path), env=NOTHING)

    assert done.code == 0
    assert "set OPENAI_API_KEY and ANTHROPIC_API_KEY" in done.out
    assert path.exists()


def test_what_one_key_cannot_mend_is_left_out_of_the_check(tmp_path: Path) -> None:
    """With its reason, in the file and on the screen, so that it is mended when it can be."""
    path = tmp_path / "chain.toml"

    done = invoke("init", str(path), env=with_keys("groq"))

    reason = "groq/openai/gpt-oss-120b is alone"
    assert f"FB102, {reason}" in done.out
    assert f'"FB102",  # {reason}' in path.read_text(encoding="utf-8")


def test_a_file_that_is_there_is_kept(tmp_path: Path) -> None:
    """Unless `--force` says otherwise."""
    path = tmp_path / "chain.toml"
    path.write_text("mine")

    done = invoke("init", str(path), env=with_keys("openai"))

    assert (done.code, path.read_text()) == (2, "mine")
    assert "--force" in done.err
    assert invoke("init", str(path), "--force", env=with_keys("openai")).code == 0
    assert "[chain.main]" in path.read_text(encoding="utf-8")


def test_it_may_be_written_to_stdout() -> None:
    """For those who pipe it."""
    done = invoke("init", "-", env=with_keys("openai"))

    assert done.code == 0
    assert tomllib.loads(done.out)["chain"]["main"]["steps"] == [f"openai/{STARTERS['openai']}"]


def test_where_nothing_can_be_written_is_said(tmp_path: Path) -> None:
    """One sentence, no traceback."""
    done = invoke("init", str(tmp_path / "nowhere" / "chain.toml"), env=NOTHING)

    assert done.code == 1
    assert "cannot write" in done.err
