"""What a server demands of a member of a request; whatever is not as documented is refused."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, NoReturn

from fallbackio.errors import InvalidRequest

__all__ = ["TOOL_NAME", "Fields", "like", "list_", "object_", "only", "refuse", "string", "union"]

Fields = dict[str, Any]

TOOL_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")


def refuse(what: str) -> NoReturn:
    raise InvalidRequest(what, status=400, code="ValidationException")


def object_(value: object, where: str) -> Fields:
    if not isinstance(value, dict):
        refuse(f"{where} must be an object")
    return value


def list_(value: object, where: str) -> list[Any]:
    if not isinstance(value, list):
        refuse(f"{where} must be a list")
    return value


def string(value: object, where: str) -> str:
    if not isinstance(value, str) or not value:
        refuse(f"{where} must be a non-empty string")
    return value


def like(pattern: re.Pattern[str], value: object, where: str) -> str:
    text = string(value, where)
    if not pattern.fullmatch(text):
        refuse(f"{where} must satisfy the pattern {pattern.pattern}")
    return text


def only(found: Fields, names: Iterable[str], where: str) -> None:
    if extra := found.keys() - {*names}:
        refuse(f"{where}: extraneous key [{min(extra)[:40]}] is not permitted")


def union(value: object, where: str) -> tuple[str, Any]:
    """The one member of an object of which exactly one may be set."""
    found = object_(value, where)
    if len(found) != 1:
        refuse(f"{where} must set exactly one member")
    return next(iter(found.items()))
