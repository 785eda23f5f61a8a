"""The page itself.  jinja2 is imported only here, and only when a page is made."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from typing import Any

from attrs import frozen

from fallbackio.drill._result import Result
from fallbackio.drill.report._rows import measures, moves, served
from fallbackio.drill.report._words import dollars, load, plain, success, time, trouble, verdict
from fallbackio.errors import ConfigError

__all__ = ["check", "html"]

# Enough to see what went wrong; the rest is in the JSON.
_MOST_ROWS = 8


@frozen
class _Fact:
    """A figure that is shown large."""

    label: str
    value: str
    bad: bool = False


def html(results: Result | Sequence[Result]) -> str:
    """A page that shows results; those of one scenario are put side by side.

    It is one file without scripts and without anything from elsewhere, reads on a phone, and is the same
    for the same results.

    Raises:
        ConfigError: The extra `report` is not installed, or there is nothing to show.

    Example:
        >>> Path("drill.html").write_text(html(drill("chain.toml", "s3")))
    """
    shown = [results] if isinstance(results, Result) else [*results]
    if not shown:
        raise ConfigError("there is no result to show")
    jinja2, plots = _extra()
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    text = resources.files("fallbackio.drill.report").joinpath("page.html.j2").read_text(encoding="utf-8")
    groups = _grouped(shown)
    page: str = environment.from_string(text).render(
        title=_title(shown),
        sections=[_section(number, group, plots) for number, group in enumerate(groups)],
    )
    return page


def check() -> None:
    """Say now what `html` would say after the drill.

    Raises:
        ConfigError: The extra `report` is not installed.

    Example:
        >>> check()
        >>> page = html(drill("chain.toml", "s3", duration_s=3600))
    """
    _extra()


def _extra() -> tuple[Any, Any]:
    try:
        import jinja2

        from fallbackio.drill.report import _plots
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("fallbackio"):
            raise
        raise ConfigError(
            f"a page with plots needs {error.name}, which is not installed: pip install 'fallbackio[report]'"
        ) from None
    return jinja2, _plots


def _grouped(results: Sequence[Result]) -> list[list[Result]]:
    """Results of one scenario, rate and seed together: these can be compared."""
    groups: dict[tuple[object, ...], list[Result]] = {}
    for one in results:
        groups.setdefault((one.scenario, one.duration_s, one.rate, one.seed), []).append(one)
    return [*groups.values()]


def _title(results: Sequence[Result]) -> str:
    chains = " and ".join(dict.fromkeys([one.chain for one in results]))
    scenarios = dict.fromkeys([one.scenario for one in results])
    return (
        f"{chains} in {', '.join(scenarios)}"
        if len(scenarios) <= 3
        else f"{chains} in {len(scenarios)} scenarios"
    )


def _section(number: int, group: Sequence[Result], plots: Any) -> dict[str, Any]:
    first = group[0]
    return {
        "id": f"s{number}",
        "scenario": first.scenario,
        "summary": first.summary,
        "load": load(first),
        "chains": [_chain(one, len(group) > 1) for one in group],
        "plots": plots.plots(group, f"s{number}"),
    }


def _chain(result: Result, compared: bool) -> dict[str, Any]:
    columns = (*result.phases, result.total)
    said, good = verdict(result)
    return {
        "name": result.chain,
        "compared": compared,
        "verdict": said,
        "good": good,
        "facts": _facts(result),
        "phases": [
            {
                "name": "all" if one is result.total else one.name,
                "sick": one is not result.total and one.sick,
            }
            for one in columns
        ],
        "tables": [
            ("Phase by phase", measures(columns)),
            ("Who answered, and why calls moved on", [*served(columns, result.endpoints), *moves(columns)]),
        ],
        "troubles": [trouble(one) for one in result.troubles],
        "errors": [(f"{times:,}", error) for error, times in [*result.total.errors.items()][:_MOST_ROWS]],
        "breaches": result.breaches,
    }


def _facts(result: Result) -> list[_Fact]:
    total = result.total
    facts = [
        _Fact("of the calls had a right end", success(total), bad=bool(total.failed)),
        _Fact("half of the answers were whole within", time(total.latency.p50)),
        _Fact("99 of 100 within", time(total.latency.p99)),
    ]
    if total.ttft is not None:
        facts.append(_Fact("99 of 100 first contents within", time(total.ttft.p99)))
    facts.append(_Fact("requests for each call", plain(total.requests_per_call)))
    facts.append(_Fact("requests to endpoints in trouble", f"{total.to_sick:,}"))
    if total.cost is not None:
        facts.append(_Fact("in all", f"US$ {dollars(total.cost)}"))
    return facts
