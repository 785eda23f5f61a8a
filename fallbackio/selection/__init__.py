"""Who is asked, in which order, and who has room: pure decisions, without a clock or a socket."""

from fallbackio.selection._load import Load
from fallbackio.selection._ramp import Ramp
from fallbackio.selection._room import Limit, Room, Shared, Taken
from fallbackio.selection._standing import Balance, Members, Standing
from fallbackio.selection._tokens import estimated_tokens
from fallbackio.selection.balances import BALANCES

__all__ = [
    "BALANCES",
    "Balance",
    "Limit",
    "Load",
    "Members",
    "Ramp",
    "Room",
    "Shared",
    "Standing",
    "Taken",
    "estimated_tokens",
]
