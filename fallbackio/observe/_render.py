"""A chain's health as a table for the terminal (extra `cli`)."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from fallbackio import clock
from fallbackio.errors import ConfigError
from fallbackio.observe._health import Health

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table
    from rich.text import Text

__all__ = ["render"]

_COLOURS: Mapping[str, str] = MappingProxyType({"closed": "green", "half_open": "yellow", "open": "red"})

# Health that is older than this is said to be, and raises no alarm: a file keeps what an application wrote
# before it ended.
_STALE_S = 10.0


def render(health: Health | Mapping[str, Any]) -> RenderableType:
    """What rich prints: a line for the chain, a table of its endpoints.

    Takes a `Health` or what its `to_dict` gave; values that are missing or strange are shown as `?`.

    Raises:
        ConfigError: `rich` is not installed.

    Example:
        >>> rich.print(fallbackio.observe.render(chain.health()))
    """
    try:
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text
    except ModuleNotFoundError as error:
        raise ConfigError("render needs rich: pip install 'fallbackio[cli]'") from error
    facts = health.to_dict() if isinstance(health, Health) else health
    table = Table(box=None, pad_edge=False, header_style="dim")
    for heading in ("endpoint", "breaker", "failures", "now", "first p50", "p95", "whole p50", "p95"):
        table.add_column(heading, justify="left" if heading in ("endpoint", "breaker") else "right")
    table.add_column("room")
    table.add_column("last failure")
    age = _age(facts.get("at"))
    for endpoint in facts.get("endpoints") or ():
        _add(table, endpoint, Text, {} if age else _COLOURS)
    style = "bold red" if facts.get("fallback_rate_risen") else "bold"
    style = "dim" if age else style
    return Group(Text(_plain(_summary(facts)), style=style), table)


def _summary(facts: Mapping[str, Any]) -> str:
    ratio, usual = _percent(facts.get("fallback_ratio")), _percent(facts.get("usual_fallback_ratio"))
    said = [
        f"{facts.get('chain', '?')}: {facts.get('calls', '?')} under way",
        _age(facts.get("at")),
        f"{facts.get('waiting')} waiting for room" if facts.get("waiting") else "",
        f"{ratio} fall back (usually {usual})",
        "MORE THAN USUAL" if facts.get("fallback_rate_risen") else "",
        "" if facts.get("extras_allowed", True) else "no budget for hedges and repeats",
        f"{facts.get('events_dropped')} events dropped" if facts.get("events_dropped") else "",
    ]
    return ", ".join(filter(None, said))


def _age(at: Any) -> str:
    age_s = clock.wall() - at if isinstance(at, int | float) else 0.0
    return f"as of {age_s:,.0f} s ago" if age_s >= _STALE_S else ""


def _add(table: Table, endpoint: Mapping[str, Any], text: type[Text], colours: Mapping[str, str]) -> None:
    breaker = _inner(endpoint, "breaker")
    first, whole, failure = [_inner(endpoint, name) for name in ("first_content", "whole", "last_failure")]
    most = endpoint.get("max_in_flight")
    cells = [
        str(endpoint.get("name", "?")),
        _breaker(breaker, endpoint.get("share", 1.0)),
        f"{breaker.get('failures', '?')}/{breaker.get('calls', '?')}",
        str(endpoint.get("in_flight", "?")) + (f"/{most}" if most is not None else ""),
        *[_seconds(times.get(quantile)) for times in (first, whole) for quantile in ("p50_s", "p95_s")],
        _room(endpoint),
        _failure(failure),
    ]
    colour = colours.get(str(breaker.get("state")), "")
    table.add_row(*[text(_plain(cell), style=colour if at == 1 else "") for at, cell in enumerate(cells)])


def _plain(words: str) -> str:
    """Without what could move a terminal's cursor: who knows who wrote it."""
    return "".join([sign for sign in words if sign.isprintable()])


def _breaker(breaker: Mapping[str, Any], share: Any) -> str:
    state = str(breaker.get("state", "?")).replace("_", " ")
    wait_s = breaker.get("retry_in_s")
    if isinstance(wait_s, int | float) and wait_s > 0:
        return f"{'resting' if state == 'closed' else state}, {wait_s:.0f} s"
    if isinstance(share, int | float) and share < 1:
        return f"{state}, {share:.0%} of its calls"
    return state


def _room(endpoint: Mapping[str, Any]) -> str:
    """What is left of its limits."""
    said = []
    for name, unit in (("requests", "req"), ("tokens", "tok")):
        limit = _inner(endpoint, name)
        left, most = limit.get("left"), limit.get("limit")
        if isinstance(left, int | float) and isinstance(most, int | float):
            said.append(f"{left:,.0f}/{most:,.0f} {unit}")
    return ", ".join(said)


def _failure(failure: Mapping[str, Any]) -> str:
    if not failure:
        return ""
    status = f" {failure['status']}" if failure.get("status") is not None else ""
    ago_s = failure.get("ago_s")
    return f"{failure.get('kind', '?')}{status}" + (
        f", {ago_s:.0f} s ago" if isinstance(ago_s, int | float) else ""
    )


def _inner(facts: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = facts.get(name)
    return found if isinstance(found, Mapping) else {}


def _percent(ratio: Any) -> str:
    return f"{ratio:.1%}" if isinstance(ratio, int | float) else "?"


def _seconds(value: Any) -> str:
    return f"{value:.2f} s" if isinstance(value, int | float) else ""
