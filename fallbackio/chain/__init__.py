"""The coordinator: sequences attempts, bounds them in time and reports what was tried."""

from fallbackio.chain._accept import Accept
from fallbackio.chain._coordinator import Coordinator
from fallbackio.chain._cost import Listing
from fallbackio.chain._first_good import first_good
from fallbackio.chain._needs import NOTHING, Needs, needs_of
from fallbackio.chain._order import Step
from fallbackio.chain._rehearsal import Rehearsed
from fallbackio.chain._route import Route
from fallbackio.chain._session import Session
from fallbackio.chain._settings import Delivery, Limits, OnBreak, RetryPolicy
from fallbackio.chain._setup import Setup
from fallbackio.chain._strategy import Hedge, Race, Sequence, Strategy, named
from fallbackio.chain._stream import Stream
from fallbackio.chain._table import FallbackRule, parse_rules
from fallbackio.chain._wish import UNSET, Messages, Unset

__all__ = [
    "Accept",
    "NOTHING",
    "UNSET",
    "Coordinator",
    "Delivery",
    "FallbackRule",
    "Hedge",
    "Limits",
    "Listing",
    "Messages",
    "Needs",
    "OnBreak",
    "Race",
    "Rehearsed",
    "RetryPolicy",
    "Route",
    "Sequence",
    "Session",
    "Setup",
    "Step",
    "Strategy",
    "Stream",
    "Unset",
    "first_good",
    "named",
    "needs_of",
    "parse_rules",
]
