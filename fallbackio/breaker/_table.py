"""The breaker's states and what moves it between them; nothing else may.

The states are aiobreaker's.  Which signal is sent, and from when on, is `_breaker`'s affair.
"""

from __future__ import annotations

from enum import Enum
from typing import Final, Literal

from fallbackio.breaker._aiobreaker import State

__all__ = ["PHASES", "TRANSITIONS", "BreakerPhase", "Signal"]

BreakerPhase = Literal["closed", "open", "half_open"]


class Signal(Enum):
    """What the breaker has learnt."""

    TRIPPED = "a run, a rate or a fatal failure, or the probe failed"
    COOLED = "the open period is over and somebody asks"
    ANSWERED = "the probe, or a call forced through an open breaker, was answered"


# The whole machine.  A pair that is not here leaves the state alone: a breaker that is open cannot be
# opened again (its period would start anew with every late failure), a closed one has nothing to
# close, and a probe that leaves sends no signal at all, for we learnt nothing.
TRANSITIONS: Final = {
    (State.CLOSED, Signal.TRIPPED): State.OPEN,
    (State.OPEN, Signal.COOLED): State.HALF_OPEN,
    (State.OPEN, Signal.ANSWERED): State.CLOSED,
    (State.HALF_OPEN, Signal.ANSWERED): State.CLOSED,
    (State.HALF_OPEN, Signal.TRIPPED): State.OPEN,
}

PHASES: Final[dict[State, BreakerPhase]] = {
    State.CLOSED: "closed",
    State.OPEN: "open",
    State.HALF_OPEN: "half_open",
}
