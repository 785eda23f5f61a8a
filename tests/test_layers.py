"""The house is built in layers, and this guards them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import fallbackio

ROOT = Path(fallbackio.__file__).parent

RANKS = {
    "errors": 0,
    "clock": 0,
    "_log": 0,
    "_checks": 1,
    "_tasks": 1,
    "_window": 1,
    "model": 1,
    "_aws": 2,
    "_draft": 2,
    "events": 2,
    "endpoint": 2,
    "dialects": 3,
    "breaker": 3,
    "selection": 3,
    "observe": 3,
    "chain": 4,
    "transport": 4,
    "config": 5,
    "web": 5,
    "compat": 6,
    "simulator": 6,
    "testing": 6,
    "drill": 7,
    "cli": 8,
}

DOORS = {
    "aiobreaker": {"breaker/_aiobreaker.py"},
    "aiohttp": {"transport", "simulator"},
    "botocore": {"_aws.py"},
    "google": {"transport/_google_account.py"},
    "typer": {"cli"},
    "rich": {"cli", "observe/_render.py"},
    "yaml": {"compat/litellm/_config.py"},
    "genai_prices": {"config/_prices.py"},
    "opentelemetry": {"observe/otel/_metrics.py", "observe/otel/_sink.py", "observe/otel/_spans.py"},
    "prometheus_client": {"observe/prometheus/_sink.py"},
    "jinja2": {"drill/report/_page.py"},
    "matplotlib": {"drill/report/_plots.py"},
}

MODULES = sorted(ROOT.rglob("*.py"))


def unit_of(path: Path) -> str:
    """The top-level module or package that `path` belongs to."""
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imports(path: Path) -> Iterator[tuple[str, ast.AST]]:
    """Every module imported in `path`, also within functions; not what only type checkers see."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    hidden = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in hidden:
            continue
        if isinstance(node, ast.Import):
            yield from ((alias.name, node) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names = [alias.name for alias in node.names]
            if node.module == "fallbackio":
                yield from ((f"fallbackio.{name}", node) for name in names)
            else:
                yield node.module or "", node


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_strictly_down(path: Path) -> None:
    """A module imports only from a lower rank, or from its own package."""
    unit = unit_of(path)
    if unit == "__init__":
        return
    for name, _ in imports(path):
        if name.startswith("fallbackio."):
            target = name.split(".")[1]
            assert target == unit or RANKS[target] < RANKS[unit], f"{path} imports {name}"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_each_dependency_has_one_door(path: Path) -> None:
    """A third-party package is imported only where the design says."""
    inner = str(path.relative_to(ROOT))
    for name, _ in imports(path):
        doors = DOORS.get(name.split(".")[0])
        if doors is not None:
            assert inner in doors or unit_of(path) in doors, f"{path} imports {name}"


def test_only_one_module_reads_the_environment() -> None:
    """Settings come from arguments; the environment is read in one place."""
    readers = {
        str(path.relative_to(ROOT))
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and node.attr in {"environ", "getenv"}
    }

    assert readers == {"config/_environ.py"}


def test_the_log_has_one_door() -> None:
    """A handler that raises fails no call; besides, the command line and drills turn the log off."""
    loggers = {
        str(path.relative_to(ROOT))
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and node.attr == "getLogger"
    }

    assert loggers == {"_log.py", "cli/_shell.py", "drill/_drill.py"}


def test_tasks_are_created_in_one_audited_place() -> None:
    """A task nobody owns outlives its call; an `OwnTask` has somebody who holds it."""
    makers = [
        str(path.relative_to(ROOT))
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and node.attr in {"create_task", "ensure_future"}
    ]

    assert makers == ["_tasks.py"]
