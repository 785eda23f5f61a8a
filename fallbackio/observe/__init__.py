"""What is told and counted: sinks, the log, the early warning, and a chain's health.

`fallbackio.observe.otel` and `fallbackio.observe.prometheus` are packages of their own, imported by name.
"""

from fallbackio.observe._early_warning import EarlyWarning
from fallbackio.observe._fanout import Fanout, inline
from fallbackio.observe._health import BreakerHealth, EndpointHealth, Failure, Health, Limit, Times
from fallbackio.observe._logging import log_event
from fallbackio.observe._publish import Publisher
from fallbackio.observe._render import render

__all__ = [
    # sinks
    "EarlyWarning",
    "Fanout",
    "inline",
    "log_event",
    # health
    "BreakerHealth",
    "EndpointHealth",
    "Failure",
    "Health",
    "Limit",
    "Publisher",
    "Times",
    "render",
]
