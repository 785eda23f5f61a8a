"""The rules that every value of a Messages request keeps; what breaks one is a 400."""

from __future__ import annotations

from typing import Any, NoReturn

from fallbackio.errors import InvalidRequest

__all__ = [
    "Fields",
    "boolean_of",
    "list_of",
    "not_blank",
    "object_of",
    "refuse",
    "string_of",
    "with_cache",
]

Fields = dict[str, Any]


def refuse(what: str) -> NoReturn:
    """Raise the 400 that says `what`."""
    raise InvalidRequest(what, status=400, code="invalid_request_error")


def string_of(value: object, where: str) -> str:
    """A string that is not empty."""
    if not isinstance(value, str) or not value:
        refuse(f"{where}: a non-empty string is required")
    return value


def boolean_of(value: object, where: str) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        refuse(f"{where}: Input should be a valid boolean")
    return value


def object_of(value: object, where: str) -> Fields:
    """An object."""
    if not isinstance(value, dict):
        refuse(f"{where}: Input should be an object")
    return value


def list_of(value: object, where: str) -> list[Any]:
    """A list."""
    if not isinstance(value, list):
        refuse(f"{where}: Input should be a list")
    return value


def not_blank(text: object, where: str) -> str:
    """Text that is not only white space."""
    if not isinstance(text, str):
        refuse(f"{where}: Input should be a string")
    if not text or text.isspace():
        refuse(f"{where}: text content blocks must be non-empty and hold more than white space")
    return text


def with_cache(part: Fields, block: Fields) -> Fields:
    """`part` with the block's mark for the cache, if it has one."""
    return {**part, "cache_control": block["cache_control"]} if "cache_control" in block else part
