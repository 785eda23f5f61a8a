"""`fallbackio init`: a file of chains to begin with, from the keys in the environment.

Writes names of variables and never a value.  Exit codes: 0 written, 1 could not be written, 2 there already.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from fallbackio.cli._shell import complain
from fallbackio.config.checks import check_file
from fallbackio.config.files import Start, starting_file

__all__ = ["init"]


def init(
    path: Annotated[Path, typer.Argument(help="The file to write; - writes to stdout.")] = Path("chain.toml"),
    force: Annotated[bool, typer.Option("--force", help="Write over a file that is there.")] = False,
) -> None:
    """Write a file of chains for the keys that the environment has.

    One endpoint for each vendor with a key, and the most useful settings as comments.  No key is written.
    """
    start, ignored = _checked()
    if str(path) == "-":
        typer.echo(start.text, nl=False)
        return
    try:
        # In one step, so that a file that came up meanwhile is not lost.
        with path.open("w" if force else "x", encoding="utf-8") as file:
            file.write(start.text)
    except FileExistsError:
        complain(f"{path} is there already; --force writes over it")
        raise typer.Exit(2) from None
    except OSError as error:
        complain(f"cannot write {path}: {error.strerror or error}")
        raise typer.Exit(1) from None
    _tell(path, start, ignored)


def _checked() -> tuple[Start, Mapping[str, str]]:
    """The file, and what it leaves out of its check because these keys allow no better."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "chain.toml"
        path.write_text(starting_file().text, encoding="utf-8")
        found = check_file(path).findings
    ignored = {one.code: one.what for one in reversed(found) if one.severity == "warning"}
    return starting_file(ignored), ignored


def _tell(path: Path, start: Start, ignored: Mapping[str, str]) -> None:
    typer.echo(f"{path}: {', '.join(start.steps)}")
    if start.others:
        typer.echo(f"also possible, and in it as a comment: {', '.join(start.others)}")
    if start.missing:
        typer.echo(f"no key was found; set {' and '.join(start.missing)}")
    for code, what in ignored.items():
        typer.echo(f"left out of its check until it is mended: {code}, {what}")
    if len(start.steps) == 1:
        typer.echo("'fallbackio vendors' lists who else there is")
