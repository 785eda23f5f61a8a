"""The coordinator: sequences attempts, bounds them in time and reports what was tried."""

from fallbackio.chain._coordinator import UNSET, Coordinator, Messages, Unset
from fallbackio.chain._plan import Route
from fallbackio.chain._settings import Limits, RetryPolicy, Sequence
from fallbackio.chain._stream import Stream
from fallbackio.chain._table import FallbackRule, parse_rules

__all__ = [
    "UNSET",
    "Coordinator",
    "FallbackRule",
    "Limits",
    "Messages",
    "RetryPolicy",
    "Route",
    "Sequence",
    "Stream",
    "Unset",
    "parse_rules",
]
