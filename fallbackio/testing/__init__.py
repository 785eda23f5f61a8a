"""For users' tests and ours: virtual time, endpoints that follow a script, a sink that remembers."""

from __future__ import annotations

from fallbackio.testing._memory import MemoryLoop
from fallbackio.testing._recording import RecordingSink
from fallbackio.testing._scripted import ScriptedEndpoint, Step, answers, breaks, fails, stalls
from fallbackio.testing._virtual import Deadlocked, VirtualTimeLoop, run, virtual_time

__all__ = [
    # time
    "Deadlocked",
    "MemoryLoop",
    "VirtualTimeLoop",
    "run",
    "virtual_time",
    # endpoints
    "ScriptedEndpoint",
    "Step",
    "answers",
    "breaks",
    "fails",
    "stalls",
    # events
    "RecordingSink",
]
