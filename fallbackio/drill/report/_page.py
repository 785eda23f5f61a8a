"""The page itself.  jinja2 is imported only here, and only when a page is made."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from typing import Any

from attrs import frozen

from fallbackio.drill._result import Figures, Quantiles, Result
from fallbackio.drill.report._words import (
    dollars,
    load,
    plain,
    seconds,
    share,
    success,
    time,
    trouble,
    verdict,
)
from fallbackio.errors import ConfigError

__all__ = ["check", "html"]

# Enough to see what went wrong; the rest is in the JSON.
_MOST_ROWS = 8


@frozen
class _Row:
    """One line of the table of phases: what it is, and its value in each; without any it heads a group."""

    label: str
    cells: tuple[str, ...]
    strong: bool = False


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
        "rows": _rows(columns),
        "served": [
            _Row(
                one.name,
                tuple([share(figures.served.get(one.name, 0), figures.calls) for figures in columns]),
            )
            for one in result.endpoints
        ],
        "troubles": [trouble(one) for one in result.troubles],
        "failovers": [
            (f"{one.times:,}", one.origin, one.reason) for one in result.total.failovers[:_MOST_ROWS]
        ],
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
        facts.append(_Fact("US$ in all", dollars(total.cost)))
    return facts


def _rows(columns: Sequence[Figures]) -> list[_Row]:
    def row(label: str, cells: Sequence[str], *, strong: bool = False) -> _Row:
        return _Row(label, tuple(cells), strong)

    rows = [
        row("calls", [f"{one.calls:,}" for one in columns]),
        row("right end", [success(one) for one in columns], strong=True),
        *_times("whole answer", [one.latency for one in columns]),
    ]
    if any(one.ttft is not None for one in columns):
        rows += _times("first content", [one.ttft for one in columns])
    rows += [
        row("requests per call", [plain(one.requests_per_call) for one in columns]),
        row("to the sick", [f"{one.to_sick:,}" if one.sick else "–" for one in columns]),
    ]
    if any(one.cost is not None for one in columns):
        rows.append(row("cost, US$", [dollars(one.cost) for one in columns]))
        rows.append(row("of it for nothing", [dollars(one.wasted) for one in columns]))
    return rows


def _times(what: str, columns: Sequence[Quantiles | None]) -> list[_Row]:
    def cells(name: str) -> tuple[str, ...]:
        return tuple(["–" if one is None else seconds(getattr(one, name)) for one in columns])

    return [
        _Row(f"{what} within, s", ()),
        _Row("half", cells("p50")),
        _Row("90 %", cells("p90")),
        _Row("99 %", cells("p99"), strong=True),
        _Row("99.9 %", cells("p999")),
    ]
