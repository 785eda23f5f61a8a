"""`check`: exit codes for CI, one screen for people, JSON for programs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest
from cli_kit import invoke, simulator
from rich.console import Console

from fallbackio.cli import _check
from fallbackio.config.checks import RULES

LOCAL = """
[chain.main]
steps = ["a", "b"]
on_break = "restart"
[endpoint.a]
model = "m"
base_url = "{first}"
capabilities = ["tools"]
[endpoint.b]
model = "m"
base_url = "{second}"
capabilities = ["tools"]
headers = {{ x-app = "ours" }}
"""


def local(folder: Path, more: str = "", *, first: str = "http://127.0.0.1:9/v1", second: str = "") -> str:
    path = folder / "chain.toml"
    second = second or "http://localhost:10/v1"
    path.write_text(LOCAL.format(first=first, second=second) + more, encoding="utf-8")
    return str(path)


def test_a_clean_file_is_zero(tmp_path: Path) -> None:
    """Nothing found, one line."""
    done = invoke("check", local(tmp_path))

    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines() == [f"{tmp_path}/chain.toml: nothing found"]


def test_a_finding_is_one(tmp_path: Path) -> None:
    """Each with its code, its place, why it matters and the mend."""
    path = local(tmp_path, '[chain.other]\nsteps = ["a"]\nmax_retries = 6')

    done = invoke("check", path)

    assert done.code == 1
    assert done.out.splitlines() == [
        "warning FB102  no spare",
        "        When this step fails there is nobody else to ask.",
        "        chain.other.steps: a is alone",
        "            -> add a step after it, best of another vendor",
        "",
        "info    FB302  more retries than the chain's budget pays for",
        "        Repeats are bounded for all calls together, so that load falls when everything fails; in an "
        "outage most of these never happen.",
        "        chain.other.max_retries: max_retries is 6; all calls together may repeat 0.2 times per call",
        "            -> add another endpoint instead, and set max_retries to 2",
        "",
        f"{path}: 1 warning, 1 remark",
    ]


def test_findings_may_be_ignored(tmp_path: Path) -> None:
    """On the command line, in any case, and the file's own `[check]`."""
    path = local(tmp_path, '[chain.other]\nsteps = ["a"]\nmax_retries = 6\n[check]\nignore = ["FB302"]')

    done = invoke("check", path, "--ignore", "fb102")

    assert done.code == 0
    assert done.out.strip().endswith("nothing found (2 ignored)")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "cannot be read: No such file or directory"),
        ("[chain", "this is not TOML"),
        ("[chain.c]\nsteps = ['ollama/x']\n[check]\nignore = ['FB999']", "unknown code of a finding 'FB999'"),
    ],
)
def test_what_cannot_be_read_is_two(tmp_path: Path, text: str | None, message: str) -> None:
    """A sentence on stderr, or as JSON on stdout."""
    path = tmp_path / "chain.toml"
    if text is not None:
        path.write_text(text)

    done = invoke("check", str(path))
    as_json = invoke("check", str(path), "--json")

    assert (done.code, done.out) == (2, "")
    assert message in done.err
    assert as_json.code == 2
    assert message in orjson.loads(as_json.out)["error"]


def test_json_has_all(tmp_path: Path) -> None:
    """For programs: findings as data, nothing else on stdout."""
    path = local(tmp_path, '[chain.other]\nsteps = ["a"]')

    done = invoke("check", path, "--json")
    said: dict[str, Any] = orjson.loads(done.out)

    assert done.code == 1
    assert said["chains"] == ["main", "other"]
    assert said["clean"] is False
    assert said["live"] is None
    assert [(one["code"], one["where"]) for one in said["findings"]] == [("FB102", "chain.other.steps")]
    assert orjson.loads(invoke("check", path, "--json", "--name", "main").out)["findings"] == []


def test_live_asks_each_endpoint(tmp_path: Path) -> None:
    """Who answers, how long it took, and what to do about who does not."""
    with simulator("up") as sim:
        path = local(tmp_path, first=f"{sim.url}/up/v1", second="http://127.0.0.1:9/v1")

        done = invoke("check", path, "--live")
        said = orjson.loads(invoke("check", path, "--live", "--json").out)

    assert done.code == 1
    assert "1 of 2 endpoints answer" in done.out
    assert "check base_url" in done.out
    up, down = said["live"]
    assert (up["answers"], down["answers"]) == (True, False)
    assert up["seconds"] >= 0
    assert down["mend"]


def test_a_terminal_is_filled_and_not_overrun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Long sentences are wrapped under their places."""
    path = local(tmp_path, '[chain.other]\nsteps = ["a"]\nmax_retries = 6')
    console = Console(width=60, force_terminal=True, color_system=None, file=None)
    monkeypatch.setattr(_check, "_console", lambda: console)

    with console.capture() as capture:
        invoke("check", path)

    assert all(len(line) <= 60 for line in capture.get().splitlines())


def test_all_codes_are_listed() -> None:
    """`--codes` says what there is, without a file."""
    done = invoke("check", "--codes")

    assert done.code == 0
    assert len(done.out.splitlines()) == len(RULES)
    assert "FB601" in done.out
