"""The command itself: what is drilled, how it is shown, and what the exit code says."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import attrs
import orjson
import typer
from rich.console import Console

from fallbackio._checks import nearest
from fallbackio.cli._shell import complain
from fallbackio.cli.drill._progress import Progress
from fallbackio.cli.drill._tables import show, show_comparison, show_scenarios
from fallbackio.drill import LIMITS, Result
from fallbackio.drill import drill as drilled
from fallbackio.drill.report import check
from fallbackio.drill.report import html as page_of
from fallbackio.errors import ConfigError
from fallbackio.simulator import Scenario, scenario, scenarios

__all__ = ["drill"]


def drill(
    chains: Annotated[
        list[str] | None,
        typer.Argument(metavar="CHAIN.toml...", help="Files with a chain; several are compared."),
    ] = None,
    names: Annotated[
        list[str] | None,
        typer.Option(
            "--scenario",
            "-s",
            metavar="NAME|FILE.toml",
            help="What happens; may be repeated, 'all' is all of them. See --list.",
        ),
    ] = None,
    compare: Annotated[
        bool, typer.Option("--compare", help="Put two or more chains side by side; several files do so too.")
    ] = False,
    chain_name: Annotated[
        str | None, typer.Option("--chain", metavar="NAME", help="Which chain, where a file has several.")
    ] = None,
    rate: Annotated[
        float | None, typer.Option(min=0.001, help="Calls per second; by default the scenario's.")
    ] = None,
    duration: Annotated[
        float | None, typer.Option(min=1, metavar="SECONDS", help="Stretch the scenario to this length.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(metavar="N", help="The same seed gives the same report.")
    ] = None,
    streaming: Annotated[bool, typer.Option(help="Whether calls are streamed.")] = True,
    sick: Annotated[
        str | None, typer.Option(metavar="ENDPOINT", help="Who is in trouble; by default the first endpoint.")
    ] = None,
    real_time: Annotated[bool, typer.Option("--real-time", help="Let time pass, to watch.")] = False,
    require: Annotated[
        list[str] | None,
        typer.Option(
            "--require",
            "-r",
            metavar="NAME=VALUE",
            help="End with exit code 1 unless it holds: success=1.0, p99_s=8, ttft_p99_s=3, ...",
        ),
    ] = None,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Write a page with plots (extra 'report').")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the figures as JSON, and nothing else.")
    ] = False,
    list_them: Annotated[bool, typer.Option("--list", help="List the scenarios, and exit.")] = False,
    toml: Annotated[
        bool, typer.Option("--toml", help="Print the scenario as TOML, to change it, and exit.")
    ] = False,
) -> None:
    """Run your own chain through an outage, with a simulator in the place of its vendors.

    No key and no network needed, and an hour takes seconds.  Ends with exit code 1 if a call failed, a rule
    was broken or a requirement was not met.
    """
    console = Console()
    if list_them:
        show_scenarios(console, [scenario(name) for name in scenarios()])
        return
    try:
        played = [_played(name, rate, duration, seed) for name in _names(names)]
        if toml:
            typer.echo("\n".join([one.to_toml() for one in played]), nl=False)
            return
        files = _files(chains, compare)
        wanted = _requirements(require or [])
        if html is not None:
            _check_page(html)
        results = _drilled(
            files,
            played,
            lambda file, one, tick: drilled(
                file, one, streaming=streaming, sick=sick, name=chain_name, real_time=real_time, on_tick=tick
            ),
            quiet=as_json,
        )
        missed = _missed(results, wanted)
        _tell(console, results, missed, as_json)
        if html is not None:
            _write(html, [result for row in results for result in row])
    except ConfigError as error:
        complain(error)
        raise typer.Exit(2) from None
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    raise typer.Exit(1 if missed else 0)


def _names(given: Sequence[str] | None) -> list[str]:
    names = given or ["s1"]
    return [*scenarios()] if "all" in names else [*names]


def _played(name: str, rate: float | None, duration: float | None, seed: int | None) -> Scenario:
    return scenario(name, seed=seed).at(rate=rate, duration_s=duration)


def _files(given: Sequence[str] | None, compare: bool) -> list[str]:
    files = [*(given or [])]
    if not files:
        raise ConfigError("which chain? give a TOML file, such as: fallbackio drill chain.toml --scenario s1")
    if compare and len(files) < 2:
        raise ConfigError("--compare needs two files")
    return files


def _requirements(given: Sequence[str]) -> dict[str, float]:
    wanted = {}
    for one in given:
        name, sign, value = one.partition("=")
        try:
            wanted[name.strip()] = float(value)
        except ValueError:
            sign = ""
        if not sign:
            raise ConfigError(f"--require takes NAME=VALUE, such as p99_s=8, not {one!r}")
        if name.strip() not in LIMITS:
            raise nearest("limit", name.strip(), LIMITS)
    return wanted


def _drilled(
    files: Sequence[str],
    played: Sequence[Scenario],
    run: Callable[[str, Scenario, Callable[[float, int, int], None]], Result],
    *,
    quiet: bool,
) -> list[list[Result]]:
    """The results, a row for each scenario; each is shown when its row is complete."""
    console = Console()
    alike = len({Path(file).stem for file in files}) < len(files)
    rows = []
    for one in played:
        row = []
        for file in files:
            began = time.perf_counter()
            with Progress(one, Path(file).stem, quiet=quiet) as progress:
                row.append(run(file, one, progress.tick))
            if alike:
                row[-1] = attrs.evolve(row[-1], chain=f"{Path(file).resolve().parent.name}/{row[-1].chain}")
            if not quiet and len(files) == 1:
                show(console, row[-1], took_s=time.perf_counter() - began)
        if not quiet and len(files) > 1:
            show_comparison(console, row)
        rows.append(row)
    return rows


def _missed(results: Sequence[Sequence[Result]], wanted: dict[str, float]) -> list[str]:
    return [
        f"{result.chain} in {result.scenario}: {what}"
        for row in results
        for result in row
        for what in result.shortcomings(phase=None, **{"success": 1.0, **wanted})
    ]


def _tell(
    console: Console, results: Sequence[Sequence[Result]], missed: Sequence[str], as_json: bool
) -> None:
    if as_json:
        said = {"results": [result.to_dict() for row in results for result in row], "missed": missed}
        typer.echo(orjson.dumps(said, option=orjson.OPT_INDENT_2).decode())
        return
    for line in missed:
        console.print(line, style="bold red", highlight=False, markup=False, soft_wrap=True)


def _check_page(path: Path) -> None:
    """What stands in the way of the page is said before the drill, not after an hour of it."""
    check()
    there = path.exists()
    with _writing(path):
        path.open("ab").close()
        if not there:
            path.unlink()


def _write(path: Path, results: Sequence[Result]) -> None:
    page = page_of(results)
    with _writing(path):
        path.write_text(page, encoding="utf-8")


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ConfigError(f"cannot write {path}: {error.strerror or error}") from error
