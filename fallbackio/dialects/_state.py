"""What a provider wants back unchanged in the next turn, and who may have it.

Signed thinking and the like belong to who wrote them: another vendor refuses them or, worse, takes
them for text.  A client side keeps them in an answer's message under one key, whoever sent the request
adds whom it asked (`placed`), and a client side gives them back only to its own kind.  The odd rule: what
does not say whose it is may go to anybody of its dialect, because it came by another way than ours.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import attrs

from fallbackio.endpoint import Endpoint, Note
from fallbackio.model import Delta, Reply

__all__ = ["KEY", "is_unsigned", "own_state", "placed", "placed_deltas", "state_of"]

KEY = "provider_state"

_NONE: Mapping[str, Any] = MappingProxyType({})

# What of a model's name tells only the release: a date, a number of three digits, `latest`.
_RELEASE = re.compile(
    r"[-@](?:latest|\d{3}|\d{8}|\d{4}-\d\d-\d\d|preview(?:-\d\d-(?:\d\d|\d{4}))?)(?:-v\d+(?::\d+)?)?$"
)


def state_of(dialect: str, model: str, kept: Mapping[str, Any]) -> dict[str, Any]:
    """What to put into a message's (or a last delta's) `extra`, so that `own_state` finds it again.

    `model` is as the provider named it in the answer, empty where it does not; `kept` is JSON.
    """
    return {KEY: {"dialect": dialect, "model": model, **kept}}


def placed(reply: Reply, endpoint: Endpoint) -> Reply:
    """The reply with a word in what it keeps of `endpoint`, which gave it."""
    for choice in reply.choices:
        if KEY in choice.message.extra:
            break
    else:
        return reply
    choices = [
        attrs.evolve(
            choice, message=attrs.evolve(choice.message, extra=_placed(choice.message.extra, endpoint))
        )
        for choice in reply.choices
    ]
    return attrs.evolve(reply, choices=tuple(choices))


def placed_deltas(deltas: list[Delta], endpoint: Endpoint) -> list[Delta]:
    """The same for the pieces of a streamed answer."""
    if not any(delta.extra and KEY in delta.extra for delta in deltas):
        return deltas
    return [attrs.evolve(delta, extra=_placed(delta.extra, endpoint)) for delta in deltas]


def _placed(extra: Mapping[str, Any], endpoint: Endpoint) -> Mapping[str, Any]:
    if KEY not in extra:
        return extra
    return {**extra, KEY: {**extra[KEY], "asked": endpoint.model, "account": _account(endpoint)}}


def _account(endpoint: Endpoint) -> str:
    """The same for the same account, and nothing that a key could be told from: 32 bits of a digest."""
    parts = [
        endpoint.base_url or "",
        endpoint.api_key or "",
        *map(":".join, sorted(endpoint.headers.items())),
    ]
    return hashlib.blake2b("\n".join(parts).encode(), digest_size=4).hexdigest()


def is_unsigned(message: Mapping[str, Any]) -> bool:
    """Whether a turn shows reasoning that nobody has signed and that no vendor but its own wants back."""
    return bool(message.get("reasoning_content")) and KEY not in message


def _as_it_is(model: str) -> str:
    return model


def own_state(
    message: Mapping[str, Any],
    dialect: str,
    endpoint: Endpoint,
    note: Note,
    *,
    bare: Callable[[str], str] = _as_it_is,
    bound: bool = False,
) -> Mapping[str, Any]:
    """What `message` keeps for this dialect and model; empty, and noted, if it is another's.

    `bare` takes off a model's name what does not tell models apart; what is `bound` is read by the account
    alone for which it was written.
    """
    state = message.get(KEY)
    if not isinstance(state, Mapping):
        return _NONE
    names = [name for name in (state.get("model"), state.get("asked")) if isinstance(name, str) and name]
    same = not names or any(_same(bare(name), bare(endpoint.model)) for name in names)
    if state.get("dialect") != dialect or not same:
        note("another model's signed reasoning left out")
        return _NONE
    if bound and state.get("account", "") not in ("", _account(endpoint)):
        note("another account's signed reasoning left out")
        return _NONE
    return state


def _same(said: str, asked: str) -> bool:
    """Whether the model that answered is the one that is asked; one of the names may lack the release.

    A longer name alone tells nothing: gpt-4o is no gpt-4, and no -flash a -flash-lite.
    """
    if said == asked:
        return True
    said_base, asked_base = _RELEASE.sub("", said), _RELEASE.sub("", asked)
    if said_base != asked_base:
        return False
    return asked == asked_base or said == said_base or asked.endswith("latest") or said.endswith("latest")
