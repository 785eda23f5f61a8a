"""What the guide and the README say, run and compared with the code.

The guide's Python blocks run as they stand.  The vendors' addresses are pointed at the simulator, so
`"openai/gpt-4o"` is a real request over a real socket.  Comments at a block's end are what it prints.
"""

from __future__ import annotations

import ast
import asyncio
import importlib
import inspect
import logging
import re
import types
from pathlib import Path
from typing import Any

import attrs
import openai
import pytest

import fallbackio
from fallbackio import errors
from fallbackio.breaker import Severity
from fallbackio.chain._table import Again, Onward, handling
from fallbackio.config import _steps
from fallbackio.dialects import VENDORS
from fallbackio.errors import AttemptError
from fallbackio.events import AttemptEnded, BreakerMoved, Event, FailedOver
from fallbackio.observe import log_event
from fallbackio.simulator import Simulator
from fallbackio.testing import virtual_time

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "guide.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")

_BLOCK = re.compile(
    r"^(?P<note><!-- not run: .*-->\n)?```python\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL
)


@attrs.frozen
class Block:
    """One block of Python in a page."""

    page: str
    line: int
    code: str
    runs: bool

    @property
    def expected(self) -> str:
        """What it prints, by the comments at its end."""
        lines = self.code.rstrip("\n").split("\n")
        first = len(lines)
        while lines[first - 1].startswith("# "):
            first -= 1
        return "".join(f"{line.removeprefix('# ')}\n" for line in lines[first:])

    def compiled(self) -> types.CodeType:
        name = f"{self.page}, line {self.line}"
        code = compile(self.code, name, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        assert isinstance(code, types.CodeType)
        return code


def blocks(page: str, text: str) -> list[Block]:
    return [
        Block(page, text.count("\n", 0, found.start()) + 1, found["code"], found["note"] is None)
        for found in _BLOCK.finditer(text)
    ]


def place(block: Block) -> str:
    return f"{block.page}:{block.line}"


def section(title: str) -> str:
    """The text under a heading of the guide."""
    return GUIDE.split(f"\n## {title}\n")[1].partition("\n## ")[0]


def rows(text: str) -> list[list[str]]:
    """The cells of a table's rows, without its head."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


GUIDE_BLOCKS = blocks("guide", GUIDE)
# README's second block goes on from its first.
BLOCKS = GUIDE_BLOCKS + blocks("README", README)


@pytest.mark.parametrize("block", [block for block in BLOCKS if block.runs], ids=place)
@virtual_time
async def test_a_block_does_what_the_page_says(
    block: Block, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever copies a block gets a program that runs, and prints what stands under it."""
    mains: list[Any] = []
    monkeypatch.setattr(asyncio, "run", mains.append)  # a loop runs already
    async with Simulator() as sim:
        vendors = {
            name: attrs.evolve(vendor, base_url=sim.endpoint(name).url(vendor.dialect))
            for name, vendor in VENDORS.items()
        }
        monkeypatch.setattr(_steps, "VENDORS", vendors)
        for variable in {name for vendor in VENDORS.values() for name in vendor.key_env}:
            monkeypatch.setenv(variable, "sk-not-a-key")
        monkeypatch.setenv("OPENAI_BASE_URL", vendors["openai"].base_url)
        chain = fallbackio.Chain(["openai/gpt-4o", "anthropic/claude-sonnet-4-5"])
        names: dict[str, Any] = {"fallbackio": fallbackio, "chain": chain}

        todo = eval(block.compiled(), names)  # noqa: S307 - our own page
        if todo is not None:
            await todo
        for main in mains:
            await main

        for made in [chain, *names.values()]:
            if isinstance(made, fallbackio.Chain):
                await made.aclose()
            elif isinstance(made, openai.AsyncOpenAI):
                await made.close()

    if block.expected:
        assert capsys.readouterr().out == block.expected


@pytest.mark.parametrize("block", BLOCKS, ids=place)
def test_a_blocks_names_exist(block: Block) -> None:
    """Every block compiles, and each name of ours in it is there, also where it cannot be run."""
    block.compiled()
    for node in ast.walk(ast.parse(block.code)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("fallbackio"):
            module = importlib.import_module(node.module or "")
            assert [alias.name for alias in node.names if not hasattr(module, alias.name)] == []
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "fallbackio":
            assert node.attr in fallbackio.__all__


def test_only_what_needs_a_stranger_is_not_run() -> None:
    """The note that spares a block from running stands at one block."""
    assert [block.code.count("fastapi") > 0 for block in GUIDE_BLOCKS if not block.runs] == [True]
    assert len(GUIDE_BLOCKS) >= 12


def test_the_links_lead_somewhere() -> None:
    """Each anchor of the guide is one of its headings, each file it names exists."""
    headings = {title.lower().replace(" ", "-") for title in re.findall(r"^## (.*)$", GUIDE, re.MULTILINE)}
    targets = re.findall(r"\]\(([^)]+)\)", GUIDE)
    anchors = {target[1:] for target in targets if target.startswith("#")}

    assert anchors - headings == set()
    assert [name for name in targets if name[0] != "#" and not (ROOT / "docs" / name).is_file()] == []


def test_the_defaults_are_the_chains() -> None:
    """The table of timeouts shows the defaults that the chain has."""
    parameters = inspect.signature(fallbackio.Chain).parameters

    shown = {name.strip("`"): default.strip("`") for name, default, _ in rows(section("Timeouts"))}

    timeouts = {name: parameter.default for name, parameter in parameters.items() if "timeout" in name}
    assert shown == {name: "None" if value is None else f"{value:g}" for name, value in timeouts.items()}


AGAIN = {Again.NEVER: "no", Again.BACKOFF: "yes", Again.UNSENT: "yes, at once if nothing was sent"}
ONWARD = {
    Onward.NEXT: "yes",
    Onward.LARGER: "only with a larger `context_window`",
    Onward.RAISE: "no: raised at once",
}
LEARNT = {
    Severity.HARD: "counts",
    Severity.THROTTLED: "rests",
    Severity.FATAL: "opens",
    None: "hears nothing",
}
FAILURES = {cells[0].strip("`"): cells for cells in rows(section("What a failure leads to"))}


@pytest.mark.parametrize("name", FAILURES)
def test_the_failure_table_is_the_codes(name: str) -> None:
    """What the guide says of a failure is what the chain does."""
    kind: type[AttemptError] = getattr(errors, name)
    row = handling(kind())

    _, _, again, onward, learnt = FAILURES[name]

    assert again == AGAIN[row.again]
    assert onward == ONWARD[row.onward]
    assert learnt.startswith(LEARNT[row.severity])
    assert ("logged as an error" in learnt) == kind.needs_operator


def test_the_failure_table_is_complete() -> None:
    """Every kind of failure has its row."""
    kinds = {name for name in errors.__all__ if isinstance(getattr(errors, name), type)}
    failures = {name for name in kinds if issubclass(getattr(errors, name), AttemptError)}

    assert set(FAILURES) == failures - {"AttemptError"}


def test_statuses_are_classed_as_the_table_says() -> None:
    """Each status that a row names leads to that row's class."""
    for name, cells in FAILURES.items():
        if name != "QuotaExhausted":  # its 429 is told by the provider's code
            for status in re.findall(r"\b[45]\d\d\b", cells[1].partition(" said after")[0]):
                assert errors.by_status(int(status)).__name__ == name, status


ENTRY = fallbackio.Attempt(
    endpoint="a", vendor="v", model="m", outcome="failed", error=errors.AuthFailed(status=401)
)
LOGGED: dict[str, Event] = {
    "failing over": FailedOver(chain="c", call=1, origin="a", target="b", error=errors.Overloaded()),
    "circuit open": BreakerMoved(
        endpoint="a", old="closed", new="open", open_s=5, reason="5 failures in a row"
    ),
    "circuit half open, closed": BreakerMoved(endpoint="a", old="open", new="half_open", open_s=0, reason=""),
    "key, quota or model refused": AttemptEnded(chain="c", call=1, attempt=ENTRY),
}


@pytest.mark.parametrize("cells", rows(section("Events and logs")), ids=lambda cells: cells[0])
def test_the_log_is_as_the_table_says(cells: list[str], caplog: pytest.LogCaptureFixture) -> None:
    """Levels and names of `extra` are those that the guide gives to write filters with."""
    what, level, extra = cells
    with caplog.at_level(logging.INFO, logger="fallbackio"):
        log_event(LOGGED[what])

    [record] = caplog.records
    assert record.levelname == level
    assert {name for name in vars(record) if name.startswith("fallbackio_")} == set(
        re.findall(r"fallbackio_\w+", extra)
    )
