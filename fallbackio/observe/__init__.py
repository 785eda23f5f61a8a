"""What is told and counted: guarded fan-out to sinks, and the log."""

from fallbackio.observe._fanout import Fanout, inline
from fallbackio.observe._logging import log_event

__all__ = ["Fanout", "inline", "log_event"]
