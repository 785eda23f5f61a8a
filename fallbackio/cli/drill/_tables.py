"""Results as tables for a terminal, which are plain text where the output is none."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from fallbackio.drill import Figures, Quantiles, Result
from fallbackio.drill.report import trouble, verdict
from fallbackio.simulator import Scenario

__all__ = ["show", "show_comparison", "show_scenarios"]

_REASONS = 6

# From this width on there is room for everything.
_WIDE = 90

# `box.SIMPLE_HEAD` in ASCII.
_PLAIN = box.Box("    \n    \n -- \n    \n    \n    \n    \n    \n", ascii=True)


def show_scenarios(console: Console, known: Iterable[Scenario]) -> None:
    """The scenarios that there are."""
    table = _table(console, "scenario", "minutes", "what happens")
    for one in known:
        table.add_row(one.name, f"{one.duration_s / 60:.1f}", one.summary)
    console.print(table)


def show(console: Console, result: Result, *, took_s: float) -> None:
    """One result."""
    console.print(_heading(result))
    console.print(_phases(console, result))
    console.print(Text("\nAnswered by, in percent of the calls", style="bold"))
    console.print(_served(console, result))
    if lines := [*_failovers(result), *_troubles(result)]:
        console.print(Text("\n" + "\n".join(lines)))
    console.print(_verdict(result, took_s))


def _table(console: Console, *columns: str) -> Table:
    plain = not console.is_terminal
    table = Table(
        box=_PLAIN if plain else box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, 2 if console.width >= _WIDE else 1, 0, 0),
        header_style="" if plain else "bold",
        border_style="" if plain else "bright_black",
    )
    for column in columns:
        words = column.strip() in ("phase", "chain", "endpoint", "scenario", "what happens")
        table.add_column(column, justify="left" if words else "right", no_wrap=column != "what happens")
    return table


def _heading(result: Result) -> Text:
    total = result.total
    heading = Text(f"\n{result.chain} in {result.scenario}", style="bold")
    heading.append(f"\n{result.summary}\n", style="not bold")
    kind = "streamed" if result.streaming else "plain"
    load = f"{total.calls:,} {kind} calls in {_minutes(result.duration_s)}, {result.rate:g} a second"
    sick = ", ".join(total.sick) or "nobody"
    heading.append(f"{load}, seed {result.seed}.\nIn trouble: {sick}.\n", style="not bold bright_black")
    return heading


def _phases(console: Console, result: Result) -> Table:
    streamed = result.total.ttft is not None
    wide = console.width >= _WIDE
    priced = wide and result.total.cost is not None
    table = _table(
        console,
        "\nphase",
        "\ncalls",
        "\nok",
        "whole\np50",
        "answer\np99",
        "in s\np99.9",
        *(("first\np50", "content\np99") if streamed else ()),
        "asked\n/call",
        "to the\nsick",
        *(("\nUS$",) if priced else ()),
    )
    for figures in (*result.phases, result.total):
        table.add_row(*_row(figures, streamed, priced), style="bold" if figures is result.total else "")
    return table


def _row(figures: Figures, streamed: bool, priced: bool) -> list[Text | str]:
    whole = figures.latency
    return [
        figures.name,
        f"{figures.calls:,}",
        _success(figures),
        *[_seconds(value) for value in (whole.p50, whole.p99, whole.p999)],
        *([_seconds(value) for value in _ends(figures.ttft)] if streamed else []),
        "-" if math.isnan(figures.requests_per_call) else f"{figures.requests_per_call:.2f}",
        f"{figures.to_sick:,}" if figures.sick else "-",
        *([_dollars(figures.cost)] if priced else []),
    ]


def _ends(times: Quantiles | None) -> tuple[float, float]:
    return (math.nan, math.nan) if times is None else (times.p50, times.p99)


def _success(figures: Figures) -> Text:
    """Rounded down: one failed call must not pass for 100 %."""
    if math.isnan(figures.success):
        return Text("-")
    text = f"{math.floor(figures.success * 10000) / 100:g} %"
    return Text(text, style="bold red" if figures.failed else "green")


def _seconds(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.2f}" if value < 100 else f"{value:.0f}"


def _dollars(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _minutes(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:g} s"
    return f"{seconds / 60:.4g} min" if seconds < 7200 else f"{seconds / 3600:.3g} h"


def _served(console: Console, result: Result) -> Table:
    table = _table(console, "endpoint", *[figures.name for figures in (*result.phases, result.total)])
    for one in result.endpoints:
        shares = [
            f"{100 * figures.served.get(one.name, 0) / figures.calls:.1f}" if figures.calls else "-"
            for figures in (*result.phases, result.total)
        ]
        table.add_row(one.name, *["-" if share == "0.0" else share for share in shares])
    return table


def _failovers(result: Result) -> list[str]:
    lines = [
        f"  {one.times:>7,} past {one.origin}: {one.reason}" for one in result.total.failovers[:_REASONS]
    ]
    return ["Failovers", *lines, ""] if lines else []


def _troubles(result: Result) -> list[str]:
    return [trouble(one) for one in result.troubles]


def _verdict(result: Result, took_s: float) -> Text:
    (said, good), text = verdict(result), Text()
    for breach in result.breaches:
        text.append(f"\nBroken {breach.times} times: {breach.rule}, as by {breach.what[0]}", style="bold red")
    text.append(f"\n{said}", style="bold green" if good else "bold red")
    for error, times in [*result.total.errors.items()][:_REASONS]:
        text.append(f"\n  {times:>7,} {error}", style="red")
    text.append(f"\n({took_s:.1f} s of real time)", style="bright_black")
    return text


def show_comparison(console: Console, results: Sequence[Result]) -> None:
    """Results of several chains in one scenario, side by side."""
    first = results[0]
    heading = Text(f"\n{first.scenario}", style="bold")
    heading.append(f"\n{first.summary}\n", style="not bold")
    console.print(heading)
    streamed = first.total.ttft is not None
    table = _table(
        console,
        "\nphase",
        "\nchain",
        "\nok",
        "whole\np50",
        "in s\np99",
        *(("first\np50", "content\np99") if streamed else ()),
        "asked\n/call",
        "to the\nsick",
        "\nUS$",
    )
    for rows in zip(*[(*result.phases, result.total) for result in results], strict=True):
        for at, (result, figures) in enumerate(zip(results, rows, strict=True)):
            table.add_row(
                "" if at else figures.name,
                result.chain,
                _success(figures),
                _seconds(figures.latency.p50),
                _seconds(figures.latency.p99),
                *([_seconds(value) for value in _ends(figures.ttft)] if streamed else []),
                "-" if math.isnan(figures.requests_per_call) else f"{figures.requests_per_call:.2f}",
                f"{figures.to_sick:,}" if figures.sick else "-",
                _dollars(figures.cost),
                end_section=at == len(results) - 1,
            )
    console.print(table)
    for result in results:
        console.print(Text(f"\n{result.chain}", style="bold"))
        console.print(Text("\n".join(_troubles(result))))
