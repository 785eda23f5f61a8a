"""When an endpoint is left alone: circuit breakers that survive racing, streaming and cancellation.

A `Breaker` gives out permits; every permit ends in exactly one of ok, failed, left and beaten.
Nothing here awaits (but for `Breaker.call_async`), and nothing here knows what it guards.
"""

from fallbackio.breaker._aiobreaker import CircuitBreakerListener, CircuitOpen
from fallbackio.breaker._breaker import Breaker
from fallbackio.breaker._permit import Permit
from fallbackio.breaker._policy import BreakerPolicy, Rate
from fallbackio.breaker._rules import Severity
from fallbackio.breaker._table import BreakerPhase

__all__ = [
    "Breaker",
    "BreakerPhase",
    "BreakerPolicy",
    "CircuitBreakerListener",
    "CircuitOpen",
    "Permit",
    "Rate",
    "Severity",
]
