"""Outages as timelines: what a scenario is, who plays in it, and those that come with the package."""

from __future__ import annotations

from fallbackio.simulator.scenarios._cast import Part, cast
from fallbackio.simulator.scenarios._play import play
from fallbackio.simulator.scenarios._scenario import HEALTHY, ROLES, Phase, Scenario, Trouble
from fallbackio.simulator.scenarios._shipped import outage, scenario, scenarios

__all__ = [
    "HEALTHY",
    "ROLES",
    "Part",
    "Phase",
    "Scenario",
    "Trouble",
    "cast",
    "outage",
    "play",
    "scenario",
    "scenarios",
]
