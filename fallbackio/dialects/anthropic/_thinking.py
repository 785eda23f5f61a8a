"""Signed thinking: kept from the answer that brought it, given back to its model, to nobody else.

Messages wants the thinking of a tool loop back unchanged at the head of its turn while it thinks, and
none while it does not.  Blocks without a signature cannot go back and are not kept.

The odd rule: the server's side signs with a checksum, which is all that a simulated model needs; it
knows its own signatures again and takes all others as they are.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from fallbackio.dialects._state import KEY, own_state, state_of
from fallbackio.endpoint import Endpoint, Note, unnoted

__all__ = [
    "BLOCKS",
    "forged",
    "own_blocks",
    "signature",
    "state",
    "stored_blocks",
    "stranger_in_loop",
    "thinks_by",
]

Block = dict[str, Any]

BLOCKS = frozenset({"thinking", "redacted_thinking"})

_NAME = "anthropic"
_OURS = "simulated-"


def state(model: str, blocks: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """What a message's `extra` holds of an answer's thinking blocks; nothing where none is signed."""
    kept = [dict(block) for block in blocks if block.get("signature") or block.get("data")]
    return state_of(_NAME, model, {"blocks": kept}) if kept else {}


def own_blocks(message: Mapping[str, Any], endpoint: Endpoint, thinks: bool, note: Note) -> list[Block]:
    """The blocks that go back to `endpoint` with this message; what stays here is noted.

    Signatures are the model's, whoever runs it, and not the account's.
    """
    if KEY not in message:
        if message.get("reasoning_content"):
            note("reasoning without a signature left out")
        return []
    blocks = own_state(message, _NAME, endpoint, note).get("blocks")
    if not isinstance(blocks, list | tuple) or not blocks:
        return []
    if not thinks:
        note("signed thinking left out, because thinking is off")
        return []
    return list(blocks)


def thinks_by(thinking: object) -> bool:
    """Whether a request's `thinking` switches it on."""
    return isinstance(thinking, Mapping) and thinking.get("type") != "disabled"


def stranger_in_loop(messages: Sequence[Mapping[str, Any]], endpoint: Endpoint) -> bool:
    """Whether the tool loop to go on with was begun by another, or without thinking.

    A model that thinks by a fixed budget refuses it: "Expected thinking, but found tool_use".  Within
    a loop it thinks only once, so that the turn after the last user's message is what counts.
    """
    head: Mapping[str, Any] | None = None
    answered = False
    for message in reversed(messages):
        role = message.get("role")
        if role == "tool":
            answered = True
        elif (role == "assistant" and not answered) or (role == "user" and head is not None):
            break
        elif role == "assistant":
            head, answered = message, False
    return head is not None and not own_blocks(head, endpoint, True, unnoted)


def stored_blocks(extra: Mapping[str, Any]) -> list[Block]:
    """The blocks of a message that goes out on the server's side, if they are this dialect's."""
    kept = extra.get(KEY)
    if not isinstance(kept, Mapping) or kept.get("dialect") != _NAME:
        return []
    return list(kept.get("blocks") or ())


def signature(thinking: str) -> str:
    """What the server's side signs a thought with."""
    return f"{_OURS}{zlib.crc32(thinking.encode(errors='surrogatepass')):08x}"


def forged(block: Mapping[str, Any]) -> bool:
    """Whether a block that the server's side signed was changed since."""
    signed = str(block["signature"])
    return signed.startswith(_OURS) and signed != signature(str(block["thinking"]))
