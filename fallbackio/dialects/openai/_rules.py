"""What OpenAI's servers check a field by, and the words in which they refuse it.

The words name the place and the rule, never what stood there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import orjson
from attrs import frozen

from fallbackio.errors import InvalidRequest

__all__ = [
    "FLAG",
    "JSON_KINDS",
    "OBJECT",
    "TEMPERATURE",
    "TEXT",
    "TOKENS",
    "TOP_P",
    "Rule",
    "check_rules",
    "invalid",
    "is_name",
    "json_body",
    "number",
    "of_types",
    "required",
    "wrong",
    "whole",
]


def json_body(body: bytes) -> dict[str, Any]:
    """The object that `body` is; raises `InvalidRequest` for anything else."""
    try:
        params = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise InvalidRequest("We could not parse the JSON body of your request.") from None
    if type(params) is not dict:
        raise wrong("the body", "an object", params)
    return params


def required(params: dict[str, Any], name: str) -> Any:
    """A field that must be there, taken out of `params`."""
    if name not in params:
        raise InvalidRequest(f"Missing required parameter: '{name}'.", code="missing_required_parameter")
    return params.pop(name)


def check_rules(params: Mapping[str, Any], rules: Mapping[str, Rule]) -> None:
    """Raise `InvalidRequest` for a field that breaks its rule; null is as if it were left out."""
    for name in params.keys() & rules.keys():
        value, rule = params[name], rules[name]
        if value is not None and not rule.holds(value):
            raise wrong(name, rule.words, value)


def is_name(name: object) -> bool:
    """Whether a tool may be called so: 1 to 64 letters, digits, `_` and `-`."""
    return type(name) is str and 0 < len(name) <= 64 and name.isascii() and name.translate(_DASHES).isalnum()


_DASHES = str.maketrans("_-", "aa")


def wrong(place: str, rule: str, value: object) -> InvalidRequest:
    """The error for a value of another type."""
    kind = JSON_KINDS.get(type(value), "something else")
    return InvalidRequest(
        f"Invalid type for '{place}': expected {rule}, but got {kind}.", code="invalid_type"
    )


def invalid(text: str) -> InvalidRequest:
    """The error for a value that is of the right type and still not allowed."""
    return InvalidRequest(text, code="invalid_value")


JSON_KINDS: dict[type, str] = {
    dict: "an object",
    list: "an array",
    str: "a string",
    bool: "a boolean",
    int: "a number",
    float: "a number",
    type(None): "null",
}


def number(least: float, most: float) -> Callable[[object], bool]:
    """Numbers from `least` to `most`."""
    return lambda value: type(value) in (int, float) and least <= value <= most  # type: ignore[operator]


def whole(least: int, most: int) -> Callable[[object], bool]:
    """Whole numbers from `least` to `most`."""
    return lambda value: type(value) is int and least <= value <= most


def of_types(*kinds: type) -> Callable[[object], bool]:
    """Values of exactly these types."""
    return lambda value: type(value) in kinds


@frozen
class Rule:
    """What a field may hold: in words, and as a test."""

    words: str
    holds: Callable[[object], bool]


TEXT = Rule("a string", of_types(str))
FLAG = Rule("a boolean", of_types(bool))
OBJECT = Rule("an object", of_types(dict))
TOKENS = Rule("a whole number of at least 1", whole(1, 2**31 - 1))
TEMPERATURE = Rule("a number from 0 to 2", number(0, 2))
TOP_P = Rule("a number from 0 to 1", number(0, 1))
