"""Everything that can go wrong at a simulated provider, one file per family.

A fault that speaks of streams does the nearest sensible thing to a plain answer; its docstring says
what.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from fallbackio.simulator.faults._base import Fault, follow
from fallbackio.simulator.faults._bodies import (
    EmptyChoices,
    ErrorBody,
    Garbage,
    Html,
    Huge,
    InBandError,
    Malformed,
)
from fallbackio.simulator.faults._connections import Cut, Refused, Reset, Silence
from fallbackio.simulator.faults._limits import RateLimit
from fallbackio.simulator.faults._stalls import PingOnly, RoleOnly, Stall, Trickle
from fallbackio.simulator.faults._statuses import NoPrefill, Status
from fallbackio.simulator.faults._when import Capacity, Flapping, InTurn, Sometimes

__all__ = [
    "FAULTS",
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
    "follow",
]

# The names by which JSON calls them.
FAULTS: Mapping[str, type[Fault]] = MappingProxyType(
    {
        "status": Status,
        "no_prefill": NoPrefill,
        "refused": Refused,
        "reset": Reset,
        "silence": Silence,
        "cut": Cut,
        "stall": Stall,
        "role_only": RoleOnly,
        "ping_only": PingOnly,
        "trickle": Trickle,
        "malformed": Malformed,
        "in_band_error": InBandError,
        "error_body": ErrorBody,
        "html": Html,
        "garbage": Garbage,
        "empty_choices": EmptyChoices,
        "huge": Huge,
        "sometimes": Sometimes,
        "in_turn": InTurn,
        "flapping": Flapping,
        "capacity": Capacity,
        "rate_limit": RateLimit,
    }
)
