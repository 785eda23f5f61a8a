"""Single faults for `outage.py`: what one call meets, and what a right end of it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from attrs import frozen
from outage_scenarios import NAMES, shrunk

from fallbackio.simulator import Behaviour, behaviour_to_json
from fallbackio.simulator.scenarios import Phase, Scenario, scenario, scenarios

LONG = "outage-60s"


@frozen
class Single:
    """A fault that the first endpoint has.

    Attributes:
        name: The scenario's.
        summary: What goes wrong.
        behaviours: Of the three endpoints, as JSON, by name.
        text: The whole answer.
        allows: Names of errors that are as right an end as the answer.
    """

    name: str
    summary: str
    behaviours: Mapping[str, Any]
    text: str
    allows: Sequence[str]


@frozen
class LongOutage:
    """Calls at even intervals, through an outage and a little beyond."""

    begin: Mapping[str, Any]
    events: Sequence[tuple[float, str, Any]]
    at: Sequence[float]
    ends_s: float
    text: str


def names() -> list[str]:
    """Of those that one call meets."""
    known = [name for name in scenarios() if scenario(name).source == "a single fault"]
    return [name for name in known if name != LONG]


def singles(scale: float) -> list[Single]:
    """All of them, shrunk."""
    return [_single(scenario(name), scale) for name in names()]


def long_outage(scale: float) -> LongOutage:
    """The first endpoint is down for a minute, then well."""
    given = scenario(LONG)
    down, well = given.phases
    step_s = 1 / given.rate
    calls = round(given.duration_s * given.rate)
    return LongOutage(
        begin=_behaviours(given, down, scale),
        events=[(down.lasts_s * scale, NAMES[0], _behaviours(given, well, scale)[NAMES[0]])],
        at=[number * step_s * scale for number in range(calls)],
        ends_s=down.lasts_s * scale,
        text=_text(given.behaviour("secondary", down)),
    )


def _single(given: Scenario, scale: float) -> Single:
    trouble = next(phase for phase in given.phases if phase.roles)
    return Single(
        name=given.name,
        summary=given.summary,
        behaviours=_behaviours(given, trouble, scale),
        text=_text(given.behaviour("secondary", trouble)),
        allows=trouble.allows,
    )


def _behaviours(given: Scenario, phase: Phase, scale: float) -> dict[str, Any]:
    roles = ("primary", "secondary", "tertiary")
    return {
        name: behaviour_to_json(shrunk(given.behaviour(role, phase), scale))
        for name, role in zip(NAMES, roles, strict=True)
    }


def _text(behaviour: Behaviour) -> str:
    return " ".join([f"word{number}" for number in range(behaviour.tokens)])
