"""docs/faults.md, row by row: each fault is played, and the page tells what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from attrs import frozen
from pages_kit import ROOT

import fallbackio
from fallbackio import errors, simulator
from fallbackio.simulator import Behaviour, Refused, Simulator
from fallbackio.simulator.faults import Fault
from fallbackio.testing import run

PAGE = ROOT / "docs" / "faults.md"
NAMES: Mapping[str, Any] = {
    name: getattr(module, name) for module in (errors, simulator) for name in module.__all__
}
STREAM = "`stream`"
HASTY = {"`complete`, hasty": False, "`stream`, hasty": True}
COLUMNS = {"`complete`": False, STREAM: True, **HASTY}


@frozen
class Row:
    """One fault of the page, and what the page says of it by its table's heads."""

    fault: str
    cells: Mapping[str, str]


def rows_of_the_page() -> list[Row]:
    """The rows of all tables whose first column is a fault."""
    rows: list[Row] = []
    heads: list[str] = []
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        cells = (
            [cell.strip() for cell in line.strip().strip("|").split(" | ")] if line.startswith("|") else []
        )
        if not cells or line.startswith("|--"):
            heads = heads if cells else []
        elif not heads:
            heads = cells
        elif heads[0] == "fault":
            rows.append(Row(cells[0].strip("`"), dict(zip(heads[1:], cells[1:], strict=True))))
    return rows


ROWS = rows_of_the_page()


async def play(fault: Fault, stream: bool, **settings: Any) -> tuple[str, str]:
    """What the caller saw, and how the ledger puts it, in the page's words."""
    async with Simulator() as sim:
        primary = sim.add("primary", Behaviour(pace_s=0.05, fault=fault), own_port=isinstance(fault, Refused))
        backup = sim.add("backup", Behaviour())
        endpoints = [
            fallbackio.Endpoint("any", name=one.name, base_url=one.url("openai"), api_key="none")
            for one in (primary, backup)
        ]
        async with fallbackio.Chain(endpoints, **settings) as chain:
            try:
                report = await (_streamed(chain) if stream else _completed(chain))
                seen = (
                    "itself"
                    if report.endpoint == "primary"
                    else "backup goes on"
                    if report.seams
                    else "backup"
                )
                attempts = report.attempts
            except fallbackio.FallbackError as error:
                seen, attempts = f"`{type(error).__name__}`", error.attempts
    first = attempts[0]
    seen += f", after {first.duration_s:.0f} s" if first.duration_s > 1 else ""
    return seen, _entry(first)


async def _completed(chain: fallbackio.Chain) -> fallbackio.Report:
    return (await chain.complete("Hello")).report


async def _streamed(chain: fallbackio.Chain) -> fallbackio.Report:
    async with chain.stream("Hello") as stream:
        async for _ in stream:
            pass
    return stream.report


def _entry(attempt: fallbackio.Attempt) -> str:
    if attempt.error is None:
        return f"`{attempt.outcome}`"
    status = f" {attempt.error.status}" if attempt.error.status is not None else ""
    phase = f" ({attempt.error.phase})" if isinstance(attempt.error, errors.TimedOut) else ""
    return f"`{type(attempt.error).__name__}`{status}{phase}"


def told(row: Row) -> dict[str, str]:
    """The row as it must be."""
    fault: Fault = eval(row.fault, dict(NAMES))  # noqa: S307 - our own page
    cells: dict[str, str] = {}
    entries: list[str] = []
    for head, stream in COLUMNS.items():
        if head in row.cells:
            settings = {"ttft_timeout": 5, "idle_timeout": 5} if head in HASTY else {}
            cells[head], entry = run(play, fault, stream, **settings)
            if head not in HASTY and entry not in entries:
                entries.append(entry)
    return {**cells, "ledger": "; ".join(entries)}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.fault)
def test_a_fault_is_met_as_the_page_says(row: Row) -> None:
    """What is seen, after how long, and what stands in the ledger."""
    assert {head: cell for head, cell in row.cells.items() if head != "what the provider does"} == told(row)


def test_every_fault_is_on_the_page() -> None:
    """Nothing that the simulator can play is left unexplained."""
    text = PAGE.read_text(encoding="utf-8")
    kinds = {
        name
        for name, thing in NAMES.items()
        if isinstance(thing, type) and issubclass(thing, Fault) and thing is not Fault
    }
    assert {name for name in kinds if f"`{name}" not in text} == set()
    assert len(ROWS) > 25
