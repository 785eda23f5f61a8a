"""`fallbackio vendors`: who can be named, where they are, and what of it this environment has.

Reads which variables are set and shows their names, never a value; sends nothing.  Exit codes: 0, or 2
for an unknown vendor.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from typing import Annotated, Any

import orjson
import typer
from attrs import frozen
from rich.console import Console
from rich.table import Table

from fallbackio.cli._shell import complain
from fallbackio.config import Standing, is_installed, standing_of
from fallbackio.dialects import VENDORS, Vendor, quirks_of

__all__ = ["vendors"]

# Where nobody's terminal says how wide it is, a line is for a program and as long as it needs to be.
_PIPE_WIDTH = 1000

# Notes are sentences; below this width they would be columns of syllables.
_NOTES_FROM = 140


def vendors(
    name: Annotated[str | None, typer.Argument(help="Show this one in full.", show_default=False)] = None,
    only_set: Annotated[bool, typer.Option("--set", help="Only those that can be used now.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, and nothing else.")] = False,
) -> None:
    """List the vendors that a model may be named by, and which of their keys are set.

    A chain takes vendor/model.  Keys are looked for in the environment; no value is ever shown.
    """
    chosen = _all() if name is None else [_one(name)]
    rows = [row for row in map(_row, chosen) if row.usable or not only_set]
    if as_json:
        typer.echo(orjson.dumps([row.to_dict() for row in rows], option=orjson.OPT_INDENT_2))
    elif name is None:
        _show_table(rows)
    else:
        _show_each(rows)


@frozen
class _Row:
    """A vendor, and how it stands with it here."""

    vendor: Vendor
    standing: Standing
    installed: bool

    @property
    def usable(self) -> bool:
        """Whether a chain with it could be built now; an account's credentials are not looked for."""
        return self.installed and not self.standing.missing

    @property
    def key(self) -> str:
        """How it stands with the key, in words."""
        vendor = self.vendor
        if self.standing.key is not None:
            return f"{self.standing.key} (set)"
        if not vendor.key_env:
            return "none needed"
        return f"{' or '.join(vendor.key_env)} ({'unset' if vendor.needs_key else 'optional'})"

    @property
    def address(self) -> str:
        """Its base URL with the placeholders in it, or the variable that replaces it."""
        return f"{{{self.standing.address}}}" if self.standing.address else self.vendor.base_url

    @property
    def lacks(self) -> str:
        """What is yet to be set or installed."""
        extra = () if self.installed else (f"pip install 'fallbackio[{self.vendor.extra}]'",)
        return "; ".join((*self.standing.missing, *extra))

    @property
    def notes(self) -> tuple[str, ...]:
        """What to know of it, its quirks included."""
        vendor = self.vendor
        return (
            *([vendor.note] if vendor.note else []),
            *quirks_of(vendor.name),
            *([] if vendor.takes_stream_options or vendor.dialect != "openai" else ["no stream_options"]),
            *(["contexts of its own: set context_window="] if vendor.own_windows else []),
        )

    def to_dict(self) -> dict[str, Any]:
        """What `--json` gives."""
        vendor, standing = self.vendor, self.standing
        return {
            "name": vendor.name,
            "dialect": vendor.dialect,
            "base_url": vendor.base_url,
            "base_url_variables": vendor.base_env,
            "base_url_set_by": standing.address,
            "other_urls": vendor.others,
            "key_variables": vendor.key_env,
            "key_set_by": standing.key,
            "needs_key": vendor.needs_key,
            "extra": vendor.extra or None,
            "extra_installed": self.installed,
            "missing": standing.missing,
            "usable": self.usable,
            "notes": self.notes,
            "verified": vendor.verified,
        }


def _row(vendor: Vendor) -> _Row:
    return _Row(vendor, standing_of(vendor), is_installed(vendor.extra))


def _all() -> list[Vendor]:
    return sorted(VENDORS.values(), key=lambda vendor: vendor.name)


def _one(name: str) -> Vendor:
    """The vendor of this name; ends the command if there is none."""
    vendor = VENDORS.get(name.strip().lower())
    if vendor is not None:
        return vendor
    near = difflib.get_close_matches(name.lower(), VENDORS, n=1)
    hint = f"did you mean {near[0]!r}?" if near else "'fallbackio vendors' lists all"
    complain(f"unknown vendor {name!r}; {hint}")
    raise typer.Exit(2)


def _show_table(rows: Sequence[_Row]) -> None:
    console = Console(highlight=False, emoji=False, markup=False)
    if not console.is_terminal:
        console = Console(highlight=False, emoji=False, markup=False, width=_PIPE_WIDTH)
    headings = ["", "vendor", "dialect", "extra", "where", "key", "notes"]
    shown = headings if console.width >= _NOTES_FROM else headings[:-1]
    table = Table(box=None, pad_edge=False, header_style="")
    for heading in shown:
        table.add_column(heading, overflow="fold", no_wrap=heading in headings[:4])
    for row in rows:
        table.add_row(*_cells(row)[: len(shown)])
    console.print(table)
    usable = sum(row.usable for row in rows)
    console.print(f"\n* can be used now: {usable}. 'fallbackio vendors NAME' tells all of one.")


def _cells(row: _Row) -> tuple[str, ...]:
    return (
        "*" if row.usable else "",
        row.vendor.name,
        row.vendor.dialect,
        row.vendor.extra,
        _host(row.address),
        row.key,
        "; ".join(row.notes),
    )


def _host(address: str) -> str:
    return address.partition("://")[2].partition("/")[0] or address


def _show_each(rows: Sequence[_Row]) -> None:
    for row in rows:
        for heading, text in _in_full(row):
            typer.echo(f"{heading:<10} {text}")
    if not rows:
        typer.echo("Not to be used now; leave out --set to see why.")


def _in_full(row: _Row) -> Iterator[tuple[str, str]]:
    vendor = row.vendor
    yield "vendor", vendor.name
    yield "dialect", vendor.dialect
    yield "where", row.address
    for variable in vendor.base_env:
        yield "or", f"the address in {variable}"
    for name, variable in vendor.query_env.items():
        yield "with", f"{name} from {variable}, if set"
    for url in vendor.others:
        yield "also at", f"{url} (base_url=)"
    yield "key", row.key
    if vendor.extra:
        yield "extra", f"fallbackio[{vendor.extra}], {'installed' if row.installed else 'not installed'}"
    yield "usable", "yes" if row.usable else f"no: {row.lacks}"
    for note in row.notes:
        yield "note", note
    yield "verified", vendor.verified
