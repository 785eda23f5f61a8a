"""The shipped examples can be built, and `fallbackio check` finds nothing in them."""

from __future__ import annotations

import re
import tomllib
from datetime import date
from pathlib import Path

import pytest
from pages_kit import ROOT
from vendors_kit import set_keys

from fallbackio import Chain
from fallbackio.config.checks import check_file

EXAMPLES = sorted((ROOT / "examples").glob("*.toml"))


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The variables that the examples name are set."""
    set_keys(monkeypatch)
    for name in re.findall(r'_env = "(\w+)"', "".join([path.read_text("utf-8") for path in EXAMPLES])):
        host = name.removesuffix("_URL").lower().replace("_", "-")
        monkeypatch.setenv(name, f"https://{host}.example.com" if name.endswith("URL") else f"sk-not-{name}")


def test_there_are_examples() -> None:
    """One for each way to begin."""
    assert [path.stem for path in EXAMPLES] == ["hedge", "local", "minimal", "pools"]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_is_clean(path: Path) -> None:
    """Nothing but remarks; what it leaves out of its check it says why."""
    report = check_file(path, today=date(2026, 11, 29))

    assert [finding for finding in report.findings if finding.severity != "info"] == []


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_can_be_built(path: Path) -> None:
    """Every chain of it."""
    for name in tomllib.loads(path.read_text("utf-8"))["chain"]:
        assert Chain.from_toml(path, name=name)._setup.name == name
