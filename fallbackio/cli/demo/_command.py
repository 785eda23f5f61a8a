"""The command itself: options, exit codes, and the run between the screen's beginning and end."""

from __future__ import annotations

from typing import Annotated, Any

import orjson
import typer
from rich.console import Console

from fallbackio.cli._shell import quiet_log, run
from fallbackio.cli.demo._run import Run
from fallbackio.cli.demo._screen import Screen, screen_for, verdict
from fallbackio.cli.demo._script import Script, outage

__all__ = ["demo", "perform"]


def demo(
    seconds: Annotated[
        float, typer.Option(min=3, max=600, metavar="SECONDS", help="How long the outage takes.")
    ] = 24.0,
    seed: Annotated[int, typer.Option(metavar="N", help="The same seed draws the same latencies.")] = 0,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the figures as JSON, and nothing else.")
    ] = False,
) -> None:
    """Watch a chain live through an outage of three simulated vendors.

    No key and no network needed.  Ends with exit code 1 if a call failed.
    """
    raise typer.Exit(perform(outage(seconds, seed), as_json=as_json))


def perform(script: Script, *, as_json: bool = False) -> int:
    """Play a script and show it on stdout; the exit code, which is 1 if a call failed."""
    screen = Screen() if as_json else screen_for(Console())
    performance = Run(script, screen.tick)
    with quiet_log() as log:
        try:
            screen.begin(performance)
            run(performance.play)
        finally:
            screen.leave()
    screen.end(performance, log.records)
    if as_json:
        typer.echo(orjson.dumps(_figures(performance, log.records), option=orjson.OPT_INDENT_2).decode())
    return 1 if any(tally.failures for tally in performance.tallies) else 0


def _figures(performance: Run, log_lines: int) -> dict[str, Any]:
    script, tallies = performance.script, performance.tallies
    return {
        "seconds": script.phase_s * len(script.phases),
        "seed": script.seed,
        "calls": sum(tally.calls for tally in tallies),
        "failed": sum(len(tally.failures) for tally in tallies),
        "log_lines": log_lines,
        "verdict": verdict(tallies),
        "phases": [tally.to_dict() for tally in tallies],
    }
