"""Programs written for LiteLLM run over chains with nothing changed but their import lines."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from compat_kit import Outside, outside, point_vendors
from litellm_programs import PROGRAMS, Program

_WHOLE = re.compile(r"^import litellm$", re.MULTILINE)
_PARTS = re.compile(r"^from litellm(?P<module>[.\w]*) import ", re.MULTILINE)


@pytest.fixture(scope="module")
def there() -> Iterator[Outside]:
    """The endpoints that all programs of this file ask."""
    with outside() as there:
        yield there


def with_our_import(text: str) -> str:
    """The program, asking us."""
    text = _WHOLE.sub("from fallbackio.compat import litellm", text)
    return _PARTS.sub(r"from fallbackio.compat.litellm\g<module> import ", text)


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.name)
def test_a_program_runs_unchanged(
    program: Program, there: Outside, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What LiteLLM's users have written prints what it printed, or what it says that it prints here."""
    point_vendors(monkeypatch, there)
    there.behave(program.behaviours)
    text = with_our_import(program.text)
    for name in ("one", "two", "three"):
        text = text.replace(name.upper(), there.url(name))

    names: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(text, program.name, "exec"), names)  # noqa: S102 - our own text
    # What a program leaves to its end is closed there; this process goes on.
    if "router" in names:
        names["router"].close()

    assert capsys.readouterr().out == program.prints
    assert sum(map(there.in_flight, ("one", "two", "three"))) == 0


def test_only_the_import_lines_are_changed() -> None:
    """The programs differ from LiteLLM's in nothing else."""
    for program in PROGRAMS:
        before, after = program.text.splitlines(), with_our_import(program.text).splitlines()
        changed = {line for line in before if line not in after}
        assert changed, program.name
        assert all(line.startswith(("import ", "from litellm")) for line in changed)
