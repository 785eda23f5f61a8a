"""The one place that holds state of the whole program, because LiteLLM's interface is functions of a module.

`acompletion` is handed nothing that could hold a circuit breaker or a connection from one call to the
next, and a breaker that forgets is none.  So there is this one value, and nothing else in the package is
changed after its import.  It is bounded: a fleet for each event loop that is alive, each with a bounded
memory, and one thread.  Whoever wants no state of the program's makes a `Router`, or better a `Chain`.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from attrs import define, field

from fallbackio.compat.litellm._loops import Fleets
from fallbackio.compat.litellm._portal import Portal
from fallbackio.config import Fleet

__all__ = ["PROCESS", "Process"]


@define(eq=False)
class Process:
    """What the module's functions have in common.

    Attributes:
        settings: What the program has set on the module, such as `litellm.drop_params = True`.
        fleets: The endpoints that were asked, by event loop.
        portal: The thread behind the functions that block.
    """

    settings: dict[str, Any] = field(factory=dict)
    fleets: Fleets = field(factory=lambda: Fleets(partial(Fleet, name="litellm")))
    portal: Portal = field(factory=Portal)


PROCESS = Process()
