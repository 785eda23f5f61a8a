"""Outages on demand: fake LLM providers on loopback, in the dialects of the real ones."""

from __future__ import annotations

from fallbackio.simulator._behaviour import Behaviour
from fallbackio.simulator._endpoint import SimulatedEndpoint, Stats
from fallbackio.simulator._exchange import Exchange
from fallbackio.simulator._json import behaviour_from_json, behaviour_to_json
from fallbackio.simulator._latency import Fixed, Latency, Lognormal
from fallbackio.simulator._server import Simulator, serve
from fallbackio.simulator._steps import Drop, End, Head, Plan, Send, Wait
from fallbackio.simulator.faults import (
    Capacity,
    Cut,
    EmptyChoices,
    ErrorBody,
    Fault,
    Flapping,
    Garbage,
    Html,
    Huge,
    InBandError,
    InTurn,
    Malformed,
    NoPrefill,
    PingOnly,
    RateLimit,
    Refused,
    Reset,
    RoleOnly,
    Silence,
    Sometimes,
    Stall,
    Status,
    Trickle,
)
from fallbackio.simulator.scenarios import (
    Part,
    Phase,
    Scenario,
    Trouble,
    cast,
    outage,
    play,
    scenario,
    scenarios,
)

__all__ = [
    # the server
    "SimulatedEndpoint",
    "Simulator",
    "Stats",
    "serve",
    # how an endpoint behaves
    "Behaviour",
    "Fixed",
    "Latency",
    "Lognormal",
    "behaviour_from_json",
    "behaviour_to_json",
    # what goes wrong
    "Capacity",
    "Cut",
    "EmptyChoices",
    "ErrorBody",
    "Fault",
    "Flapping",
    "Garbage",
    "Html",
    "Huge",
    "InBandError",
    "InTurn",
    "Malformed",
    "NoPrefill",
    "PingOnly",
    "RateLimit",
    "Refused",
    "Reset",
    "RoleOnly",
    "Silence",
    "Sometimes",
    "Stall",
    "Status",
    "Trickle",
    # what happens, in which order
    "Part",
    "Phase",
    "Scenario",
    "Trouble",
    "cast",
    "outage",
    "play",
    "scenario",
    "scenarios",
    # what a fault of one's own is made of
    "Drop",
    "End",
    "Exchange",
    "Head",
    "Plan",
    "Send",
    "Wait",
]
