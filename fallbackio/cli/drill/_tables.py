"""Results as tables for a terminal, which are plain ASCII where the output is none."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from fallbackio.drill import Figures, Quantiles, Result
from fallbackio.drill.report import Row, load, measures, moves, served, success, trouble, verdict
from fallbackio.simulator import Scenario

__all__ = ["show", "show_comparison", "show_scenarios"]

_MOST_ERRORS = 6

# `box.SIMPLE_HEAD` in ASCII.
_PLAIN = box.Box("    \n    \n -- \n    \n    \n    \n    \n    \n", ascii=True)


def show_scenarios(console: Console, known: Iterable[Scenario]) -> None:
    """The scenarios that there are."""
    table = _table(console)
    table.add_column("scenario", no_wrap=True)
    table.add_column("minutes", justify="right", no_wrap=True)
    table.add_column("what happens")
    for one in known:
        table.add_row(one.name, f"{one.duration_s / 60:.1f}", one.summary)
    console.print(table)


def show(console: Console, result: Result, *, took_s: float) -> None:
    """One result."""
    console.print(_heading(result))
    columns = (*result.phases, result.total)
    rows = [*measures(columns), *served(columns, result.endpoints), *moves(columns)]
    _show_rows(console, [(one.name, bool(one.sick) and one is not result.total) for one in columns], rows)
    _say_troubles(console, result)
    console.print(_verdict(result, took_s))


def show_comparison(console: Console, results: Sequence[Result]) -> None:
    """Results of several chains in one scenario: phase by phase in short, and the whole in full."""
    first = results[0]
    console.print(_titled(first.scenario, first.summary))
    console.print(_side_by_side(console, results))
    console.print(_titled("all phases", ""))
    totals = [result.total for result in results]
    endpoints = [one for result in results for one in result.endpoints]
    rows = [*measures(totals), *served(totals, endpoints), *moves(totals)]
    _show_rows(console, [(result.chain, False) for result in results], rows)
    for result in results:
        console.print(Text(f"\n{result.chain}", style="bold"), end="")
        _say_troubles(console, result)
        console.print(_verdict(result))


def _table(console: Console, gap: int = 2) -> Table:
    plain = not console.is_terminal
    return Table(
        box=_PLAIN if plain else box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, gap - 1, 0, 0),  # the box has a space of its own
        header_style="" if plain else "bold",
        border_style="" if plain else "bright_black",
    )


def _titled(title: str, summary: str) -> Text:
    text = Text(f"\n{title}\n", style="bold")
    return text.append(f"{summary}\n", style="not bold") if summary else text


def _heading(result: Result) -> Text:
    sick = ", ".join(result.total.sick) or "nobody"
    heading = _titled(f"{result.chain} in {result.scenario}", result.summary)
    return heading.append(f"{load(result)}.\nIn trouble: {sick}.\n", style="not bold bright_black")


def _show_rows(console: Console, columns: Sequence[tuple[str, bool]], rows: Sequence[Row]) -> None:
    """The rows under their columns, named and sick or not; in several tables if there are too many."""
    label = max([len(row.label) + 2 * row.inner for row in rows])
    widths = [
        max([len(name), *[len(row.cells[at]) for row in rows if row.cells]])
        for at, (name, _) in enumerate(columns)
    ]
    gap = 2 if label + sum(widths) + 2 * len(widths) <= console.width else 1
    for number, shown in enumerate(_fitting(widths, console.width - label, gap)):
        if number:
            console.print()
        table = _table(console, gap)
        table.add_column("", no_wrap=True)
        for at in shown:
            name, sick = columns[at]
            table.add_column(Text(name, style="red" if sick else ""), justify="right", no_wrap=True)
        for row in rows:
            cells = [_plain(console, row.cells[at]) for at in shown if row.cells]
            table.add_row(f"  {row.label}" if row.inner else row.label, *cells, style=_style(row))
        console.print(table)


def _fitting(widths: Sequence[int], room: int, gap: int) -> Iterator[list[int]]:
    """The numbers of the columns that fit beside one another, a table at a time."""
    shown: list[int] = []
    for at in range(len(widths)):
        if shown and sum([gap + widths[one] for one in (*shown, at)]) > room:
            yield shown
            shown = []
        shown.append(at)
    yield shown


def _style(row: Row) -> str:
    return "bold" if row.strong else "bright_black" if not row.cells else ""


def _plain(console: Console, cell: str) -> str:
    return cell if console.is_terminal else cell.replace("–", "-")


def _side_by_side(console: Console, results: Sequence[Result]) -> Table:
    """The figures that matter most, a line for each chain in each phase."""
    streamed = results[0].total.ttft is not None
    table = _table(console)
    for name in ("\nphase", "\nchain"):
        table.add_column(name, no_wrap=True)
    times = ("whole\np50", "in s\np99", *(("first\np50", "content\np99") if streamed else ()))
    for name in ("\nok", *times, "asked\n/call", "to the\nsick", "\nUS$"):
        table.add_column(name, justify="right", no_wrap=True)
    for rows in zip(*[(*result.phases, result.total) for result in results], strict=True):
        for at, (result, figures) in enumerate(zip(results, rows, strict=True)):
            last = at == len(results) - 1
            name = "" if at else figures.name
            table.add_row(name, result.chain, *_cells(figures, streamed), end_section=last)
    return table


def _cells(figures: Figures, streamed: bool) -> list[Text | str]:
    return [
        _success(figures),
        *_ends(figures.latency),
        *(_ends(figures.ttft) if streamed else ()),
        "-" if math.isnan(figures.requests_per_call) else f"{figures.requests_per_call:.2f}",
        f"{figures.to_sick:,}" if figures.sick else "-",
        "-" if figures.cost is None else f"{figures.cost:.4f}",
    ]


def _ends(times: Quantiles | None) -> tuple[str, str]:
    return ("-", "-") if times is None else (_seconds(times.p50), _seconds(times.p99))


def _success(figures: Figures) -> Text:
    if math.isnan(figures.success):
        return Text("-")
    return Text(success(figures), style="bold red" if figures.failed else "green")


def _seconds(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.2f}" if value < 100 else f"{value:.0f}"


def _say_troubles(console: Console, result: Result) -> None:
    for one in result.troubles:
        console.print(Text(f"\n{trouble(one)}"))


def _verdict(result: Result, took_s: float | None = None) -> Text:
    (said, good), text = verdict(result), Text()
    for breach in result.breaches:
        text.append(f"\nBroken {breach.times} times: {breach.rule}, as by {breach.what[0]}", style="bold red")
    text.append(f"\n{said}", style="bold green" if good else "bold red")
    for error, times in [*result.total.errors.items()][:_MOST_ERRORS]:
        text.append(f"\n  {times:>7,} {error}", style="red")
    if took_s is not None:
        text.append(f"\n({took_s:.1f} s of real time)", style="bright_black")
    return text
