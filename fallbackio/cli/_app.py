"""The commands by their names."""

from __future__ import annotations

import io
import sys
from typing import Annotated

import typer

import fallbackio
from fallbackio.cli._ask import ask
from fallbackio.cli._check import check
from fallbackio.cli._init import init
from fallbackio.cli._simulate import simulate
from fallbackio.cli._vendors import vendors
from fallbackio.cli._watch import watch
from fallbackio.cli.demo import demo
from fallbackio.cli.drill import drill

__all__ = ["app"]

# Without typer's own tracebacks: they can show local variables, and so keys.
app = typer.Typer(
    name="fallbackio",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(demo)
app.command()(ask)
app.command()(init)
app.command()(check)
app.command()(drill)
app.command()(simulate)
app.command()(vendors)
app.command()(watch)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"fallbackio {fallbackio.__version__}")
        raise typer.Exit


@app.callback()
def begin(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """The answer from whichever model is up: LLM fallback chains with circuit breakers."""
    # An answer may hold any sign; a terminal that cannot show one must not end the command.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
