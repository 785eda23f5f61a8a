"""Validators of settings; each raises `ConfigError` with the field, the rule and the value."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeGuard

from attrs import Attribute

from fallbackio.errors import ConfigError

__all__ = [
    "Validator",
    "are_several",
    "at_least_one",
    "check",
    "count",
    "flag",
    "is_number",
    "is_whole",
    "limit",
    "nearest",
    "one_of",
    "ratio",
    "seconds",
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


def is_number(value: object) -> TypeGuard[float]:
    """Whether it is a finite number; `True` is none, because `open_s=True` is a slip of the pen.

    Neither is a whole number that no float can hold: the first sum with it would raise.
    """
    most = sys.float_info.max
    return isinstance(value, int | float) and not isinstance(value, bool) and -most <= value <= most


def is_whole(value: object) -> TypeGuard[int]:
    """Whether it is a whole number; `True` is none."""
    return isinstance(value, int) and not isinstance(value, bool)


def are_several(value: object) -> TypeGuard[Iterable[Any]]:
    """Whether it is a list or the like; a text would be taken letter by letter, a mapping by its names."""
    return isinstance(value, Iterable) and not isinstance(value, str | bytes | bytearray | Mapping)


seconds = check("a number of seconds, 0 or more", lambda value: is_number(value) and value >= 0)
ratio = check("a number over 0 and up to 1", lambda value: is_number(value) and 0 < value <= 1)
count = check("a whole number, 0 or more", lambda value: is_whole(value) and value >= 0)
at_least_one = check("a whole number of at least 1", lambda value: is_whole(value) and value >= 1)
flag = check("true or false", lambda value: isinstance(value, bool))
_over_zero = check(
    "a number of seconds over 0, or None for no limit", lambda value: is_number(value) and value > 0
)


def limit(instance: object, attribute: Attribute[Any], value: object) -> None:
    """A number of seconds over 0, or `None` for no limit, whatever the default is."""
    if value is not None:
        _over_zero(instance, attribute, value)


def one_of(*options: str) -> Validator:
    """One of these words."""
    return check(f"one of {', '.join(map(repr, options))}", lambda value: value in options)


def nearest(what: str, given: object, known: Iterable[str]) -> ConfigError:
    """The error for a name that is not one of `known`, with the one that may have been meant."""
    names = sorted(known)
    close = difflib.get_close_matches(str(given), names, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"known are {', '.join(names)}"
    return ConfigError(f"unknown {what} {given!r}; {hint}")
