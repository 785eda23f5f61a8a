"""The one door to the log.

Handlers and filters are the application's code: what they raise is shown as `logging` shows its own
handlers' errors, on stderr unless `logging.raiseExceptions` is false, and goes no further.
"""

from __future__ import annotations

import logging
import sys
import traceback
from contextlib import suppress
from typing import Any

__all__ = ["say"]

_logger = logging.getLogger("fallbackio")


def say(level: int, text: str, *args: object, **more: Any) -> None:
    """Log it, as from the caller's line; `more` is what `logging` takes besides (`extra`, `exc_info`)."""
    try:
        _logger.log(level, text, *args, stacklevel=2, **more)
    except Exception:  # noqa: BLE001 - telling changes nothing
        if logging.raiseExceptions and sys.stderr:
            with suppress(Exception):
                traceback.print_exc()
