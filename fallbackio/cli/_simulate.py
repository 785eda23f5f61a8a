"""`fallbackio simulate`: fake providers on loopback until Ctrl-C, for users of any language."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Annotated

import anyio
import orjson
import typer

from fallbackio.cli._shell import complain
from fallbackio.dialects import DIALECTS
from fallbackio.errors import ConfigError
from fallbackio.simulator import Behaviour, Simulator, behaviour_from_json, serve

__all__ = ["simulate"]

_USUAL_NAMES = ("primary", "secondary")

_FAILING = '{"fault": {"kind": "status", "status": 503}}'
_STALLING = '{"fault": {"kind": "stall", "at": "headers"}}'


def simulate(
    names: Annotated[
        list[str] | None,
        typer.Argument(help="Endpoints; primary and secondary by default."),
    ] = None,
    host: Annotated[str, typer.Option(help="The address to listen at.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port; 0 for any free one.")] = 8080,
    behaviour: Annotated[
        list[str] | None,
        typer.Option(
            "--behaviour",
            "-b",
            metavar="NAME=JSON",
            help="How an endpoint behaves: NAME=FILE.json, or the JSON itself. May be repeated.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="The same seed gives the same latencies and lots.")] = 0,
) -> None:
    """Run fake LLM providers, with outages on demand, until Ctrl-C.

    Any client of the OpenAI or Anthropic APIs can be pointed at them; keys are not looked at.
    """
    try:
        endpoints = _endpoints(names or [], behaviour or [])
        anyio.run(partial(serve, host, port, endpoints, seed=seed, ready=_announce))
    except KeyboardInterrupt:
        typer.echo("stopped", err=True)
    except ConfigError as error:
        complain(error)
        raise typer.Exit(2) from None
    except BrokenPipeError:
        raise  # whoever read our output has left; typer ends quietly
    except OSError as error:
        complain(f"cannot listen at {host}, port {port}: {error.strerror or error}; try another --port")
        raise typer.Exit(1) from None


def _endpoints(names: Iterable[str], given: Iterable[str]) -> Mapping[str, Behaviour]:
    behaviours = dict(map(_behaviour, given))
    return dict.fromkeys(names or (() if behaviours else _USUAL_NAMES), Behaviour()) | behaviours


def _behaviour(given: str) -> tuple[str, Behaviour]:
    """The endpoint's name and its behaviour, from `NAME=FILE.json` or `NAME={…}`."""
    name, sign, source = given.partition("=")
    if not sign or not name.strip():
        raise ConfigError(f"--behaviour takes NAME=FILE.json or NAME=JSON, not {given!r}")
    try:
        return name.strip(), behaviour_from_json(orjson.loads(_document(source)))
    except (ConfigError, OSError, orjson.JSONDecodeError) as error:
        raise ConfigError(f"--behaviour of {name.strip()!r}: {error}") from error


def _document(source: str) -> bytes:
    return source.encode() if source.lstrip().startswith("{") else Path(source).read_bytes()


def _announce(sim: Simulator) -> None:
    """Say where it listens and what can be done with it."""
    first = next(iter(sim.endpoints))
    urls = [
        f"  {name:<12} {dialect:<10} {endpoint.url(dialect)}"
        for name, endpoint in sim.endpoints.items()
        for dialect in DIALECTS
    ]
    addressed = [f"any@{endpoint.url()}" for endpoint in sim.endpoints.values()]
    typer.echo(
        "\n".join(
            [
                f"The simulator listens at {sim.url}; Ctrl-C stops it.",
                "",
                "Base URLs, by the API that your client speaks (any key and any model will do):",
                *urls,
                "",
                f"Make {first} answer 503, make it stall, make it well again:",
                f"  curl -X PUT {sim.url}/_sim/{first} -d '{_FAILING}'",
                f"  curl -X PUT {sim.url}/_sim/{first} -d '{_STALLING}'",
                f"  curl -X DELETE {sim.url}/_sim/{first}",
                "",
                "See what has arrived, and ask through a chain:",
                f"  curl {sim.url}/_sim/stats",
                f"  fallbackio ask Hello -m {addressed[0]}" + "".join(f" -f {one}" for one in addressed[1:]),
            ]
        )
    )
