"""What a provider wants back unchanged in the next turn, and who may have it.

Signed thinking and the like belong to who wrote them: another vendor refuses them or, worse, takes
them for text.  A client side keeps them in an answer's message under one key, and gives them back
only to its own kind.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from fallbackio.endpoint import Note

__all__ = ["KEY", "own_state", "state_of"]

KEY = "provider_state"

_NONE: Mapping[str, Any] = MappingProxyType({})


def state_of(dialect: str, model: str, kept: Mapping[str, Any]) -> dict[str, Any]:
    """What to put into a message's (or a last delta's) `extra`, so that `own_state` finds it again.

    `model` is as the provider named it in the answer; `kept` is JSON.
    """
    return {KEY: {"dialect": dialect, "model": model, **kept}}


def own_state(message: Mapping[str, Any], dialect: str, model: str, note: Note) -> Mapping[str, Any]:
    """What `message` keeps for this dialect and model; empty, and noted, if it is another's."""
    state = message.get(KEY)
    if not isinstance(state, Mapping):
        return _NONE
    if state.get("dialect") == dialect and _same(str(state.get("model") or ""), model):
        return state
    note("another model's signed reasoning left out")
    return _NONE


def _same(said: str, asked: str) -> bool:
    """Whether the model that answered is the one that is asked, whose name may lack the date."""
    return not said or said.startswith(asked) or asked.startswith(said)
