"""How the demo looks: a live picture on a terminal, plain lines elsewhere, a table at the end.

A call is a mark in the row of its phase, in the colour and height of the vendor that served it.
Heights, because not every terminal has colours; where the output is no terminal, or cannot show
these signs, nothing but plain ASCII is written.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import typer
from attrs import frozen
from rich import box
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from fallbackio.cli.demo._run import Run
from fallbackio.cli.demo._script import sign
from fallbackio.cli.demo._tally import FAILED, Reached, Tally

__all__ = ["LiveScreen", "PlainScreen", "Screen", "screen_for", "verdict"]


@frozen
class _Mark:
    """A cell of a row of calls."""

    glyph: str
    style: str


_VENDOR_MARKS = (_Mark("▇", "cyan"), _Mark("▅", "magenta"), _Mark("▂", "yellow"))
_FAILED_MARK = _Mark("x", "bold red")
_WAITING_MARK = _Mark("·", "bold")
_DUE_MARK = _Mark("·", "bright_black")

_CIRCUIT_STYLES = {"closed": "green", "open": "red"}


def screen_for(console: Console) -> Screen:
    """A live picture where the console can show one.

    Rich's own `is_terminal` will not do: it believes FORCE_COLOR, which CI services set.
    """
    if console.file.isatty() and not console.is_dumb_terminal and console.encoding.startswith("utf"):
        return LiveScreen(console)
    return PlainScreen()


class Screen:
    """Shows a run; this one shows nothing, for when only the figures are wanted."""

    def begin(self, run: Run) -> None:
        """Before anything has happened."""

    def tick(self, run: Run) -> None:
        """Ten times a second."""

    def end(self, run: Run, warnings: int) -> None:
        """When all is over; `warnings` is how many lines the log would have shown."""

    def leave(self) -> None:
        """In any case, also when interrupted."""


class PlainScreen(Screen):
    """A line per phase, then the table; nothing but ASCII and line breaks."""

    def __init__(self) -> None:
        self._told = 0

    def begin(self, run: Run) -> None:
        typer.echo(_heading(run))

    def tick(self, run: Run) -> None:
        number = run.tallies.index(run.now_playing) + 1
        if number > self._told:
            self._told = number
            typer.echo(f"phase {number} of {len(run.tallies)}: {run.now_playing.phase.story}")

    def end(self, run: Run, warnings: int) -> None:
        # Where there is no terminal there is no width either; rich would cut the table at 80.
        paper = Console(width=120, color_system=None, force_terminal=False, legacy_windows=False)
        with paper.capture() as written:
            paper.print(_table(run, wide=False, plain=True))
        table = "\n".join(line.rstrip() for line in written.get().splitlines())
        typer.echo(f"\n{table}\n\n{verdict(run.tallies)}\n\n{_notes(warnings)}")


class LiveScreen(Screen):
    """The picture of a run, painted anew ten times a second."""

    def __init__(self, console: Console) -> None:
        self._console = console
        # Painted by `tick` only: a thread of its own would compete with the calls it shows.
        self._live = Live(console=console, auto_refresh=False, transient=True)

    def begin(self, run: Run) -> None:
        self._console.print()
        self._console.print(Text(_heading(run), style="bold"))
        self._live.start()

    def tick(self, run: Run) -> None:
        self._live.update(_picture(run, self._console.width), refresh=True)

    def leave(self) -> None:
        self._live.stop()

    def end(self, run: Run, warnings: int) -> None:
        self.leave()
        width = self._console.width
        failed = any(tally.failures for tally in run.tallies)
        self._console.print(Group(Text(), _rows(run, width), _legend(run), Text()))
        self._console.print(_table(run, wide=width >= 100, plain=False))
        self._console.print(Text(f"\n{verdict(run.tallies)}", style="bold red" if failed else "bold green"))
        self._console.print(Text(f"{_notes(warnings)}\n", style="bright_black"))


def _heading(run: Run) -> str:
    script = run.script
    seconds = script.phase_s * len(script.phases)
    return (
        f"{len(script.vendors)} simulated vendors, {script.calls_per_s:g} calls a second "
        f"for {seconds:g} s, and an outage in the middle."
    )


def _notes(warnings: int) -> str:
    return (
        "To sick: requests that reached a vendor in trouble, before and after it was left alone. "
        f"The log, hidden here, has {warnings} lines."
    )


def verdict(tallies: Sequence[Tally]) -> str:
    """One sentence on what the run showed, made of its figures."""
    calls = sum(tally.calls for tally in tallies)
    failures = [why for tally in tallies for why in tally.failures]
    if failures:
        return f"{len(failures)} of {calls} calls failed; the first: {failures[0]}"
    reached = sum((each for tally in tallies for each in tally.reached.values()), Reached())
    return (
        f"All {calls} calls were answered: sick vendors got {reached.before} requests until the chain left "
        f"them alone and {reached.probes} probes after; all else went straight to a healthy one."
    )


# The live picture.


def _picture(run: Run, width: int) -> Group:
    gap = Text()
    story = Text(run.now_playing.phase.story)
    return Group(gap, _rows(run, width), gap, story, gap, _vendors(run), gap, _footer(run))


def _rows(run: Run, width: int) -> Table:
    """A row of marks for each phase."""
    names = max(len(tally.phase.name) for tally in run.tallies)
    cells = max(10, min(width - names - 16, run.script.calls_per_phase))
    grid = Table.grid(padding=(0, 1))
    reached_now = True
    for tally in run.tallies:
        current = tally is run.now_playing
        grid.add_row(
            Text(tally.phase.name, style="bold" if current else "" if reached_now else "bright_black"),
            _row(tally, cells, run),
            Text(f"{tally.calls:>4} calls" if tally.calls else "", style="bright_black"),
        )
        reached_now = reached_now and not current
    return grid


def _row(tally: Tally, cells: int, run: Run) -> Text:
    row = Text()
    for cell in range(cells):
        begin, end = (tally.planned * edge // cells for edge in (cell, cell + 1))
        mark = _mark(tally.served[begin : max(end, begin + 1)], run)
        row.append(mark.glyph, mark.style)
    return row


def _mark(served: Sequence[str | None], run: Run) -> _Mark:
    """The mark for a few calls in a row: a failure shows, else who served most."""
    if FAILED in served:
        return _FAILED_MARK
    known = Counter(name for name in served if name is not None)
    if known:
        return _vendor_mark(run, known.most_common(1)[0][0])
    return _WAITING_MARK if served else _DUE_MARK


def _vendor_mark(run: Run, name: str) -> _Mark:
    names = [vendor.name for vendor in run.script.vendors]
    return _VENDOR_MARKS[names.index(name) % len(_VENDOR_MARKS)]


def _legend(run: Run) -> Text:
    legend = Text("Each mark is a call, served by ", style="bright_black")
    for vendor in run.script.vendors:
        mark = _vendor_mark(run, vendor.name)
        legend.append(f"{mark.glyph * 2} {vendor.name}  ", mark.style)
    return legend


def _vendors(run: Run) -> Table:
    """How each vendor is, how the chain stands to it, and what it got in this phase."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    table.header_style = table.border_style = "bright_black"
    for title in ("vendor", "API", "is", "its circuit is", "asked", "served"):
        table.add_column(title, justify="right" if title in ("asked", "served") else "left", no_wrap=True)
    served = run.now_playing.served_by()
    for vendor in run.script.vendors:
        mark = _vendor_mark(run, vendor.name)
        fault = run.faults.get(vendor.name)
        circuit = run.watch.circuits[vendor.name].word
        table.add_row(
            Text(f"{mark.glyph * 2} {vendor.name}", style=mark.style),
            Text(vendor.dialect, style="bright_black"),
            Text(sign(fault), style="green" if fault is None else "red"),
            Text(circuit, style=_CIRCUIT_STYLES.get(circuit, "yellow")),
            str(_asked(run, vendor.name)),
            str(served[vendor.name]),
        )
    return table


def _asked(run: Run, name: str) -> int:
    """Requests that arrived there in this phase; the youngest come last."""
    count = 0
    for at in reversed(run.vendors[name].stats.arrivals):
        if at < run.now_playing.began_at:
            break
        count += 1
    return count


def _footer(run: Run) -> Text:
    begun = sum(tally.calls for tally in run.tallies)
    answered = sum(len(tally.answered_s) for tally in run.tallies)
    failed = sum(len(tally.failures) for tally in run.tallies)
    footer = Text(f"{begun} calls: {answered} answered, ")
    footer.append(f"{failed} failed", "bold red" if failed else "green")
    return footer.append(f", {begun - answered - failed} under way")


# The table at the end.

# `box.SIMPLE_HEAD` in ASCII.
_PLAIN_BOX = box.Box("    \n    \n -- \n    \n    \n    \n    \n    \n", ascii=True)


def _table(run: Run, *, wide: bool, plain: bool) -> Table:
    table = Table(
        box=_PLAIN_BOX if plain else box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, 2 if wide else 0, 0, 0),
        header_style="" if plain else "bold",
        border_style="" if plain else "bright_black",
    )
    table.add_column("phase", no_wrap=True)
    for title in (
        "calls",
        "ok",
        "p50\nms",
        "p99\nms",
        "fail-\novers",
        "to sick,\nat first",
        "to sick,\nprobes",
    ):
        table.add_column(title, justify="right", no_wrap=True)
    for vendor in run.script.vendors:
        table.add_column(vendor.name.replace("-", "-\n", 1), justify="right", no_wrap=True)
    for tally in run.tallies:
        table.add_row(*_cells(tally), *(str(tally.served_by()[v.name] or "-") for v in run.script.vendors))
    return table


def _cells(tally: Tally) -> list[str]:
    reached = sum(tally.reached.values(), Reached())
    return [
        tally.phase.name,
        str(tally.calls),
        _percent(tally.success_ratio),
        _milliseconds(tally.quantile_s(0.5)),
        _milliseconds(tally.quantile_s(0.99)),
        str(tally.failovers or "-"),
        str(reached.before) if tally.reached else "-",
        str(reached.probes) if tally.reached else "-",
    ]


def _percent(ratio: float) -> str:
    """Rounded down: one failed call must not pass for 100 %."""
    return "-" if math.isnan(ratio) else f"{math.floor(ratio * 1000) / 10:g}%"


def _milliseconds(seconds: float) -> str:
    return "-" if math.isnan(seconds) else f"{seconds * 1000:.0f}"
