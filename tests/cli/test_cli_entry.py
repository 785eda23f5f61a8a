"""The command itself: where it is declared, what it says of itself, and without its extra."""

from __future__ import annotations

import importlib
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from cli_kit import COMMAND, invoke

import fallbackio

PROJECT = Path(__file__).parents[2] / "pyproject.toml"


def test_the_declared_command_is_there() -> None:
    """What pyproject.toml installs as `fallbackio` can be called."""
    declared = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]["scripts"]["fallbackio"]
    module, _, name = declared.partition(":")

    assert callable(getattr(importlib.import_module(module), name))


def test_it_runs_as_a_process() -> None:
    """The command line starts, says its version and ends well."""
    done = subprocess.run([*COMMAND, "--version"], capture_output=True, text=True, check=True)  # noqa: S603

    assert done.stdout == f"fallbackio {fallbackio.__version__}\n"


@pytest.mark.parametrize("missing", ["typer", "rich"])
def test_without_its_extra_it_says_how_to_get_it(missing: str) -> None:
    """A missing package is one plain sentence with the mend and exit code 1, no traceback."""
    program = f"import sys; sys.modules[{missing!r}] = None\nfrom fallbackio.cli import main; main()"
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", program, "--version"], capture_output=True, text=True, check=False
    )

    assert done.returncode == 1
    assert "pip install 'fallbackio[cli]'" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_importing_it_needs_no_extra() -> None:
    """`fallbackio.cli` alone imports neither typer nor rich."""
    program = "import sys, fallbackio.cli; sys.exit('typer' in sys.modules or 'rich' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0  # noqa: S603


@pytest.mark.parametrize("command", ["demo", "ask", "simulate"])
def test_every_command_explains_itself(command: str) -> None:
    """`--help` works for each command."""
    done = invoke(command, "--help")

    assert done.code == 0
    assert f"fallbackio {command}" in done.out


@pytest.mark.parametrize(
    "args", [["sing"], ["ask", "hello"], ["demo", "--seconds", "1"], ["simulate", "--port", "x"]]
)
def test_wrong_usage_is_exit_code_2(args: list[str]) -> None:
    """An unknown command, a missing model, and values out of range are told from failures."""
    done = invoke(*args)

    assert done.code == 2
    assert done.err
