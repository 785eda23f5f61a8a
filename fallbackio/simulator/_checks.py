"""Validators of behaviours and faults, beside those of all settings."""

from __future__ import annotations

from collections.abc import Mapping

from fallbackio._checks import check, flag, is_number, is_whole, nearest, seconds

__all__ = [
    "check",
    "count",
    "flag",
    "headers",
    "is_whole",
    "nearest",
    "over_zero",
    "share",
    "seconds",
    "status",
    "text",
]


def _printable(value: object) -> bool:
    return isinstance(value, str) and value.isascii() and value.isprintable()


def _headers(value: object) -> bool:
    return isinstance(value, Mapping) and all(
        key and _printable(key) and _printable(said) for key, said in value.items()
    )


# More would only fill memory.
_MOST_TOKENS = 1_000_000

over_zero = check("a number over 0", lambda value: is_number(value) and value > 0)
share = check("a share from 0 to 1", lambda value: is_number(value) and 0 <= value <= 1)
count = check(
    f"a whole number from 0 to {_MOST_TOKENS:,}", lambda value: is_whole(value) and 0 <= value <= _MOST_TOKENS
)
status = check("an HTTP status from 200 to 599", lambda value: is_whole(value) and 200 <= value <= 599)
text = check("a string", lambda value: isinstance(value, str))
headers = check("a mapping of header names to printable ASCII strings", _headers)
