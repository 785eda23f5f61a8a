"""The command itself: its options, what it prints, and what the exit code says."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import orjson
import typer
from rich.console import Console

from fallbackio.cli._shell import complain
from fallbackio.cli.drill._order import Order, chains_of, check_page, limits_of, played, writing
from fallbackio.cli.drill._progress import Progress
from fallbackio.cli.drill._tables import show, show_comparison, show_scenarios
from fallbackio.drill import Result
from fallbackio.drill import drill as drilled
from fallbackio.drill.report import html as page_of
from fallbackio.errors import ConfigError
from fallbackio.simulator import Scenario, scenario, scenarios

__all__ = ["drill"]


_Chains = Annotated[
    list[str] | None,
    typer.Argument(metavar="CHAIN.toml...", help="Files with a chain; several are compared."),
]
_Names = Annotated[
    list[str] | None,
    typer.Option(
        "--scenario",
        "-s",
        metavar="NAME|FILE.toml",
        help="What happens; may be repeated, 'all' is all of them. See --list.",
    ),
]
_Compare = Annotated[
    bool, typer.Option("--compare", help="Put two or more chains side by side; several files do so too.")
]
_ChainName = Annotated[
    str | None, typer.Option("--chain", metavar="NAME", help="Which chain, where a file has several.")
]
_Rate = Annotated[float | None, typer.Option(min=0.001, help="Calls per second; by default the scenario's.")]
_Duration = Annotated[
    float | None, typer.Option(min=1, metavar="SECONDS", help="Stretch the scenario to this length.")
]
_Seed = Annotated[int | None, typer.Option(metavar="N", help="The same seed gives the same report.")]
_Streaming = Annotated[bool, typer.Option(help="Whether calls are streamed.")]
_Embed = Annotated[
    bool, typer.Option("--embed", help="Calls are for vectors, of a chain of one embedding model.")
]
_Sick = Annotated[
    str | None, typer.Option(metavar="ENDPOINT", help="Who is in trouble; by default the first endpoint.")
]
_RealTime = Annotated[bool, typer.Option("--real-time", help="Let time pass, to watch.")]
_Require = Annotated[
    list[str] | None,
    typer.Option(
        "--require",
        "-r",
        metavar="NAME=VALUE",
        help="End with exit code 1 unless it holds: success=1.0, p99_s=8, ttft_p99_s=3, ...",
    ),
]
_Page = Annotated[
    Path | None, typer.Option("--html", metavar="FILE", help="Write a page with plots (extra 'report').")
]
_AsJson = Annotated[bool, typer.Option("--json", help="Print the figures as JSON, and nothing else.")]
_List = Annotated[bool, typer.Option("--list", help="List the scenarios, and exit.")]
_Toml = Annotated[bool, typer.Option("--toml", help="Print the scenario as TOML, to change it, and exit.")]


def drill(
    chains: _Chains = None,
    names: _Names = None,
    compare: _Compare = False,
    chain_name: _ChainName = None,
    rate: _Rate = None,
    duration: _Duration = None,
    seed: _Seed = None,
    streaming: _Streaming = True,
    embed: _Embed = False,
    sick: _Sick = None,
    real_time: _RealTime = False,
    require: _Require = None,
    html: _Page = None,
    as_json: _AsJson = False,
    list_them: _List = False,
    toml: _Toml = False,
) -> None:
    """Run your own chain through an outage, with a simulator in the place of its vendors.

    No key and no network needed, and an hour takes seconds.  Ends with exit code 1 if a call failed, a rule
    was broken or a requirement was not met.
    """
    if list_them:
        show_scenarios(Console(), [scenario(name) for name in scenarios()])
        return
    try:
        shown = played(names, rate, duration, seed)
        if toml:
            _print_toml(shown)
            return
        order = Order(
            chains=chains_of(chains, chain_name, compare=compare),
            scenarios=shown,
            streaming=streaming,
            embedding=embed,
            sick=sick,
            real_time=real_time,
            limits=limits_of(require),
            page=html,
            as_json=as_json,
        )
        missed = _carry_out(order)
    except ConfigError as error:
        complain(error)
        raise typer.Exit(2) from None
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    raise typer.Exit(1 if missed else 0)


def _print_toml(shown: Sequence[Scenario]) -> None:
    if len(shown) > 1:
        raise ConfigError("--toml prints one scenario, because a file holds one; give one --scenario")
    typer.echo(shown[0].to_toml(), nl=False)


def _carry_out(order: Order) -> list[str]:
    """Drill, tell, and write the page; returns what was not met."""
    if order.page is not None:
        check_page(order.page)
    results = [result for one in order.scenarios for result in _row(order, one)]
    missed = [
        f"{result.chain} in {result.scenario}: {what}"
        for result in results
        for what in result.shortcomings(phase=None, **{"success": 1.0, **order.limits})
    ]
    if order.as_json:
        said = {"results": [result.to_dict() for result in results], "missed": missed}
        typer.echo(orjson.dumps(said, option=orjson.OPT_INDENT_2).decode())
    else:
        console = Console()
        for line in missed:
            console.print(line, style="bold red", highlight=False, markup=False, soft_wrap=True)
    if order.page is not None:
        page = page_of(results)
        with writing(order.page):
            order.page.write_text(page, encoding="utf-8")
    return missed


def _row(order: Order, one: Scenario) -> list[Result]:
    """What comes of all chains in one scenario; shown as soon as it is there."""
    console, results = Console(), []
    began = time.perf_counter()
    for name, chain in order.chains.items():
        with Progress(one, name, quiet=order.as_json) as progress:
            result = drilled(
                chain,
                one,
                name=name,
                streaming=order.streaming,
                embedding=order.embedding,
                sick=order.sick,
                real_time=order.real_time,
                on_tick=progress.tick,
            )
        results.append(result)
    if not order.as_json:
        if len(results) == 1:
            show(console, results[0], took_s=time.perf_counter() - began)
        else:
            show_comparison(console, results)
    return results
