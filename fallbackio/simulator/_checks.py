"""Validators of behaviours and faults; each raises `ConfigError` with the field, the rule and the value."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from attrs import Attribute

from fallbackio.errors import ConfigError

__all__ = [
    "check",
    "count",
    "flag",
    "headers",
    "nearest",
    "over_zero",
    "ratio",
    "seconds",
    "status",
    "text",
    "whole",
]

Validator = Callable[[Any, "Attribute[Any]", Any], None]


def check(rule: str, holds: Callable[[Any], bool]) -> Validator:
    """A validator from a rule in words and a test; `None` passes where it is the field's default."""

    def validate(instance: object, attribute: Attribute[Any], value: object) -> None:
        if value is None and attribute.default is None:
            return
        if not holds(value):
            raise ConfigError(f"{attribute.name} must be {rule}, not {value!r}")

    return validate


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def whole(value: object) -> bool:
    """Whether it is a whole number; `True` is none."""
    return isinstance(value, int) and not isinstance(value, bool)


def _printable(value: object) -> bool:
    return isinstance(value, str) and value.isascii() and value.isprintable()


def _headers(value: object) -> bool:
    return isinstance(value, Mapping) and all(
        key and _printable(key) and _printable(said) for key, said in value.items()
    )


# More would only fill memory.
_MOST_TOKENS = 1_000_000

seconds = check("a number of seconds, 0 or more", lambda value: _number(value) and value >= 0)
over_zero = check("a number over 0", lambda value: _number(value) and value > 0)
ratio = check("a share from 0 to 1", lambda value: _number(value) and 0 <= value <= 1)
count = check(
    f"a whole number from 0 to {_MOST_TOKENS:,}", lambda value: whole(value) and 0 <= value <= _MOST_TOKENS
)
status = check("an HTTP status from 200 to 599", lambda value: whole(value) and 200 <= value <= 599)
flag = check("true or false", lambda value: isinstance(value, bool))
text = check("a string", lambda value: isinstance(value, str))
headers = check("a mapping of header names to printable ASCII strings", _headers)


def nearest(what: str, given: object, known: Iterable[str]) -> ConfigError:
    """The error for a name that is not one of `known`, with the one that may have been meant."""
    names = sorted(known)
    close = difflib.get_close_matches(str(given), names, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"known are {', '.join(names)}"
    return ConfigError(f"unknown {what} {given!r}; {hint}")
