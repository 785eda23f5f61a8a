"""fallbackio: the answer from whichever model is up.

The public names; more lives in `fallbackio.errors`, `.events`, `.breaker`, `.simulator` and
`.testing`.  Importing this reads no environment, opens nothing and sets up no logging.
"""

from fallbackio.breaker import BreakerPolicy
from fallbackio.chain import Hedge, Race, RetryPolicy, Sequence, Stream, first_good
from fallbackio.config import Chain
from fallbackio.endpoint import Endpoint, Pool
from fallbackio.errors import (
    AttemptError,
    CallError,
    ChainExhausted,
    ConfigError,
    ContentFiltered,
    ContextTooLong,
    DeadlineExceeded,
    FallbackError,
    InvalidRequest,
    RateLimited,
    StreamBroken,
    TimedOut,
)
from fallbackio.model import Attempt, Delta, Message, Reply, Report, Request, Restarted, Usage

__version__ = "0.1.0"

__all__ = [
    "Attempt",
    "AttemptError",
    "BreakerPolicy",
    "CallError",
    "Chain",
    "ChainExhausted",
    "ConfigError",
    "ContentFiltered",
    "ContextTooLong",
    "DeadlineExceeded",
    "Delta",
    "Endpoint",
    "FallbackError",
    "Hedge",
    "InvalidRequest",
    "Message",
    "Pool",
    "Race",
    "RateLimited",
    "Reply",
    "Report",
    "Request",
    "Restarted",
    "RetryPolicy",
    "Sequence",
    "Stream",
    "StreamBroken",
    "TimedOut",
    "Usage",
    "first_good",
]
