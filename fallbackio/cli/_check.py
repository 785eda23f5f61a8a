"""`fallbackio check`: what production would find later in a file of chains.

Sends nothing unless `--live` is given.  Exit codes, for CI: 0 clean, 1 found something (remarks alone are
clean), 2 could not read the file.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from fallbackio.cli._shell import complain, printable, quiet_log, run
from fallbackio.config.checks import RULES, Finding, Report, Severity, Tried, check_file, try_file
from fallbackio.errors import ConfigError

__all__ = ["check"]

_STYLES: dict[Severity, str] = {"error": "bold red", "warning": "yellow", "info": "cyan"}

# Where nobody's terminal says how wide it is, a line is for a program and as long as it needs to be.
_PIPE_WIDTH = 1000


def check(
    path: Annotated[Path, typer.Argument(help="The file.", show_default=True)] = Path("chain.toml"),
    name: Annotated[
        str | None, typer.Option("--name", "-n", metavar="CHAIN", help="Only this chain of the file.")
    ] = None,
    live: Annotated[
        bool, typer.Option("--live", help="Also send one tiny request to each endpoint; costs a few tokens.")
    ] = False,
    ignore: Annotated[
        list[str] | None,
        typer.Option("--ignore", metavar="CODE", help="Leave this finding out. May be repeated."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, and nothing else.")] = False,
    codes: Annotated[bool, typer.Option("--codes", help="List all findings there are, and exit.")] = False,
) -> None:
    """Find in a file of chains what production would find later.

    Keys are looked for and never shown.  Exits with 0 if the file is clean, with 1 if anything is found
    that is more than a remark, and with 2 if the file cannot be read.
    """
    if codes:
        _list_codes()
        return
    try:
        report = check_file(path, name=name, ignore=[code.upper() for code in ignore or ()])
        with quiet_log():
            tried = run(partial(try_file, path, name=name)) if live else []
    except ConfigError as error:
        if as_json:
            typer.echo(orjson.dumps({"path": str(path), "error": str(error)}, option=orjson.OPT_INDENT_2))
        else:
            complain(error)
        raise typer.Exit(2) from None
    if as_json:
        typer.echo(orjson.dumps(_to_dict(report, tried, live), option=orjson.OPT_INDENT_2))
    else:
        _show(report, tried)
    if not report.clean or any(one.error for one in tried):
        raise typer.Exit(1)


def _to_dict(report: Report, tried: Sequence[Tried], live: bool) -> dict[str, Any]:
    return {
        "path": str(report.path),
        "chains": report.chains,
        "clean": report.clean,
        "findings": [finding.to_dict() for finding in report.findings],
        "ignored": report.ignored,
        "live": [_tried_to_dict(one) for one in tried] if live else None,
    }


def _tried_to_dict(one: Tried) -> dict[str, Any]:
    return {
        "endpoint": one.endpoint,
        "where": one.where,
        "answers": not one.error,
        "seconds": round(one.seconds, 3),
        "model": one.model or None,
        "error": one.error or None,
        "mend": one.mend or None,
    }


def _console() -> Console:
    console = Console(highlight=False, emoji=False, markup=False)
    if console.is_terminal:
        return console
    return Console(highlight=False, emoji=False, markup=False, width=_PIPE_WIDTH)


def _show(report: Report, tried: Sequence[Tried]) -> None:
    console = _console()
    for _, group in groupby(report.findings, lambda finding: (finding.severity, finding.code)):
        _show_group(console, list(group))
    if tried:
        _show_tried(console, tried)
    console.print(_summary(report, tried))


def _show_group(console: Console, findings: Sequence[Finding]) -> None:
    """All findings of one kind: what it is and why it matters, then each place with its mend."""
    first = findings[0]
    title = next(rule.title for rule in RULES if rule.code == first.code)
    console.print(
        Text.assemble((f"{first.severity:<8}", _STYLES[first.severity]), (first.code, "bold"), f"  {title}")
    )
    _indented(console, Text(first.why, "dim"))
    for finding in findings:
        _indented(console, Text(printable(f"{finding.where}: {finding.what}")))
        if finding.mend:
            _indented(console, Text(printable(f"-> {finding.mend}")), by=4)
    console.print()


def _indented(console: Console, text: Text, by: int = 0) -> None:
    console.print(Padding(text, (0, 0, 0, 8 + by), expand=False))


def _show_tried(console: Console, tried: Sequence[Tried]) -> None:
    table = Table(box=None, pad_edge=False, header_style="")
    for heading in ("", "endpoint", "seconds", "answer"):
        table.add_column(heading, overflow="fold", no_wrap=heading != "answer")
    for one in tried:
        said = f"{one.error}; {one.mend}" if one.error else one.model
        sign = Text("failed", "bold red") if one.error else Text("ok", "green")
        table.add_row(sign, printable(one.endpoint), f"{one.seconds:.2f}", printable(said))
    console.print(table)
    console.print()


def _summary(report: Report, tried: Sequence[Tried]) -> str:
    counts = Counter(finding.severity for finding in report.findings)
    words = [f"{counts[kind]} {kind}{'s' if counts[kind] > 1 else ''}" for kind in _STYLES if counts[kind]]
    found = ", ".join(words).replace("infos", "remarks").replace("info", "remark") or "nothing found"
    failed = sum(bool(one.error) for one in tried)
    answered = f"; {len(tried) - failed} of {len(tried)} endpoints answer" if tried else ""
    ignored = f" ({report.ignored} ignored)" if report.ignored else ""
    return f"{report.path}: {found}{ignored}{answered}"


def _list_codes() -> None:
    table = Table(box=None, pad_edge=False, header_style="", show_header=False)
    for rule in RULES:
        table.add_row(rule.code, rule.severity, rule.title)
    _console().print(table)
