"""What reading a file finds by itself (FB0xx)."""

from __future__ import annotations

from fallbackio.config.checks._finding import Rule
from fallbackio.config.files._problems import BAD_VALUE, NOT_DEFINED, SECRET, UNKNOWN

__all__ = ["RULES", "UNUSED"]

UNUSED = Rule(
    "FB006",
    "info",
    "a section that nobody asks for",
    "An endpoint or a pool that no chain names is a spare in the file only.",
)

RULES = (
    Rule(UNKNOWN, "error", "an unknown name", "The file is refused, so that no slip is taken for a setting."),
    Rule(BAD_VALUE, "error", "a value that is refused", "The chain cannot be built."),
    Rule(NOT_DEFINED, "error", "a name that is not defined", "The chain cannot be built."),
    Rule(SECRET, "error", "a key in the file", "Files are committed, copied and shown; keys must not be."),
    UNUSED,
)
