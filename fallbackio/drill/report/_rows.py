"""What a report says of each phase, as rows: what there is to know, and its value in every column.

A column is a phase, or a chain where several are compared.  The terminal and the page show the same rows, so
that neither leaves out what the other has.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from attrs import frozen

from fallbackio.drill._values import Cast, Figures, Quantiles
from fallbackio.drill.report._words import NONE, dollars, plain, seconds, share, success

__all__ = ["Row", "measures", "moves", "served"]


@frozen
class Row:
    """One line of a table.

    Attributes:
        label: What it is.
        cells: Its value in each column; without any it heads the rows that are `inner`.
        strong: Whether it is one to look at first.
        inner: Whether it belongs to the heading above it.
    """

    label: str
    cells: tuple[str, ...] = ()
    strong: bool = False
    inner: bool = False


def measures(columns: Sequence[Figures]) -> list[Row]:
    """Calls, times, requests and cost."""

    def row(label: str, cell: Callable[[Figures], str], *, strong: bool = False, inner: bool = False) -> Row:
        return Row(label, tuple(map(cell, columns)), strong, inner)

    rows = [
        row("calls", lambda one: f"{one.calls:,}"),
        row("right end", success, strong=True),
        *_times("whole answer", [one.latency for one in columns]),
    ]
    if any(one.ttft is not None for one in columns):
        rows += _times("first content", [one.ttft for one in columns])
    rows += [
        Row("requests"),
        row("for each call", lambda one: plain(one.requests_per_call), inner=True),
        row("to the sick", lambda one: f"{one.to_sick:,}" if one.sick else NONE, inner=True),
    ]
    if any(one.cost is not None for one in columns):
        rows += [
            Row("cost, US$"),
            row("in all", lambda one: dollars(one.cost), inner=True),
            row("of it for nothing", lambda one: dollars(one.wasted), inner=True),
        ]
    return rows


def _times(what: str, columns: Sequence[Quantiles | None]) -> list[Row]:
    def row(label: str, name: str, *, strong: bool = False) -> Row:
        cells = [NONE if one is None else seconds(getattr(one, name)) for one in columns]
        return Row(label, tuple(cells), strong, inner=True)

    return [
        Row(f"{what} within, s"),
        row("half", "p50"),
        row("90 %", "p90"),
        row("99 %", "p99", strong=True),
        row("99.9 %", "p999"),
    ]


def served(columns: Sequence[Figures], endpoints: Iterable[Cast]) -> list[Row]:
    """The share of the calls that each endpoint has answered."""
    return [
        Row("answered by, % of the calls"),
        *[
            Row(name, tuple([share(one.served.get(name, 0), one.calls) for one in columns]), inner=True)
            for name in dict.fromkeys([one.name for one in endpoints])
        ],
    ]


def moves(columns: Sequence[Figures]) -> list[Row]:
    """How often calls moved past each endpoint, and why; the most frequent reasons first."""
    counts = [{(one.origin, one.reason): one.times for one in figures.failovers} for figures in columns]
    keys = dict.fromkeys([key for column in counts for key in column])
    rows = []
    for origin in dict.fromkeys([origin for origin, _ in keys]):
        rows.append(Row(f"moved past {origin}"))
        reasons = [(sum([one.get(key, 0) for one in counts]), key) for key in keys if key[0] == origin]
        for _, key in sorted(reasons, key=lambda item: (-item[0], item[1])):
            cells = [f"{one[key]:,}" if key in one else NONE for one in counts]
            rows.append(Row(key[1], tuple(cells), inner=True))
    return rows
