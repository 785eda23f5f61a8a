"""Which names among a call's parameters are options of ours in the wrong place.

Unknown parameters go to the provider untouched, so a setting of the chain that was given to a call would
be refused by one vendor and passed over in silence by the next.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from fallbackio.errors import InvalidRequest

__all__ = ["CHOOSING", "READING", "refuse"]

# Options of other methods, and who takes them.
NOTHING: Mapping[str, str] = MappingProxyType({})
READING = {"show_reasoning": "stream does, and a whole answer has it in reply.message.reasoning"}
CHOOSING = dict.fromkeys(("accept", "require", "session"), "complete and stream do")

# Keywords of `Chain` that no call can change.  `name` and `seed` are not among them: providers may take
# parameters of these names.
_OF_THE_CHAIN = frozenset(
    {
        "attempt_timeout",
        "breaker",
        "commit",
        "connect_timeout",
        "early_warning",
        "fallback_on",
        "idle_timeout",
        "max_answer_bytes",
        "max_queue",
        "max_retries",
        "min_rate",
        "on_break",
        "order",
        "retry",
        "sinks",
        "strategy",
        "ttft_timeout",
        "upstream",
        "warm",
    }
)


def refuse(params: Mapping[str, Any], method: str, others: Mapping[str, str] = NOTHING) -> None:
    """Raise `InvalidRequest` if one of `params` is an option that `method` does not take."""
    if not params:
        return
    for name in params.keys() & others.keys():
        raise InvalidRequest(f"{method} takes no {name}=: {others[name]}")
    for name in params.keys() & _OF_THE_CHAIN:
        raise InvalidRequest(f"{method} takes no {name}=: it is a setting of the chain, Chain(..., {name}=)")
