"""What is told and counted: guarded fan-out to sinks, the log, and the early warning."""

from fallbackio.observe._early_warning import EarlyWarning
from fallbackio.observe._fanout import Fanout, inline
from fallbackio.observe._logging import log_event

__all__ = ["EarlyWarning", "Fanout", "inline", "log_event"]
