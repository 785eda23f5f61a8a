"""Pages that list what the code has are complete: faults, and commands with their options."""

from __future__ import annotations

import re
from typing import Any

import attrs
import pytest
import typer.main
from pages_kit import PAGES, ROOT, rows, section, text_of

from fallbackio.cli._app import app
from fallbackio.config.checks._retired import RETIRED
from fallbackio.simulator.faults import FAULTS

COMMANDS: dict[str, Any] = getattr(typer.main.get_command(app), "commands", {})


def test_the_simulators_page_lists_every_fault() -> None:
    """By its name in Python with every field, and its name in JSON."""
    listed = {
        cells[1].strip("`"): cells[0].strip("`") for cells in rows(section("docs/simulator.md", "Faults"))
    }

    calls = {kind: f"{fault.__name__}({', '.join(fields_of(fault))})" for kind, fault in FAULTS.items()}
    assert listed == calls


def fields_of(kind: Any) -> list[str]:
    """What its fields are called when it is made."""
    return [field.alias or field.name for field in attrs.fields(kind)]


@pytest.mark.parametrize("page", PAGES)
def test_a_heading_stands_once(page: str) -> None:
    """Two parts of one name are two answers to one question, and one link."""
    headings = re.findall(r"^##+ .*$", re.sub(r"^```.*?^```$", "", text_of(page), flags=re.M | re.S), re.M)
    assert sorted(set(headings)) == sorted(headings)


@pytest.mark.parametrize("name", COMMANDS)
def test_the_page_of_the_command_line_has_every_option(name: str) -> None:
    """Each command has its part, and each of its options stands in it."""
    text = section("docs/cli.md", f"`fallbackio {name}`")
    options = {option for param in COMMANDS[name].params for option in param.opts if option.startswith("--")}

    assert {option for option in options if option not in text} == set()


def test_no_example_asks_a_model_that_retires() -> None:
    """`fallbackio check` finds none of its own models in the README, the pages and the docstrings."""
    package = (ROOT / "fallbackio").rglob("*.py")
    shown = {
        "".join(re.findall(r"^ *(?:>>>|\.\.\.) .*$", path.read_text("utf-8"), re.M)) for path in package
    } | {text_of(page) for page in PAGES if page != "docs/checks.md"}
    retired = {f"{vendor}/{model}" for vendor, models in RETIRED.items() for model in models}

    assert {
        name for text in shown for name in re.findall(r"[a-z]+/[\w./:-]*\w", text) if name in retired
    } == set()
