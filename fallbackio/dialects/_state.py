"""What a provider wants back unchanged in the next turn, and who may have it.

Signed thinking and the like belong to who wrote them: another vendor refuses them or, worse, takes
them for text.  A client side keeps them in an answer's message under one key, and gives them back
only to its own kind.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from fallbackio.endpoint import Note

__all__ = ["KEY", "own_state", "state_of"]

KEY = "provider_state"

_NONE: Mapping[str, Any] = MappingProxyType({})

# What of a model's name tells only the release: a date, a number of three digits, `latest`.
_RELEASE = re.compile(
    r"[-@](?:latest|\d{3}|\d{8}|\d{4}-\d\d-\d\d|preview(?:-\d\d-(?:\d\d|\d{4}))?)(?:-v\d+(?::\d+)?)?$"
)


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
    """Whether the model that answered is the one that is asked; one of the names may lack the release.

    A longer name alone tells nothing: gpt-4o is no gpt-4, and no -flash a -flash-lite.
    """
    if not said or said == asked:
        return True
    said_base, asked_base = _RELEASE.sub("", said), _RELEASE.sub("", asked)
    if said_base != asked_base:
        return False
    return asked == asked_base or said == said_base or asked.endswith("latest") or said.endswith("latest")
