"""Values of a request on the server's side, refused as Google refuses them (400 INVALID_ARGUMENT)."""

from __future__ import annotations

import binascii
from collections.abc import Mapping
from typing import Any, NoReturn

from fallbackio.errors import InvalidRequest

__all__ = ["base64_text", "boolean", "closed", "items", "number", "one_of", "refuse", "string"]

_TO_STANDARD = str.maketrans("-_", "+/")


def refuse(what: str) -> NoReturn:
    """Raise what Google answers with a 400."""
    raise InvalidRequest(what, status=400, code="INVALID_ARGUMENT")


def closed(value: object, names: Mapping[str, str], where: str = "") -> dict[str, Any]:
    """The object by its fields' documented names; nulls count as absent, a name not in `names` is refused."""
    if not isinstance(value, dict):
        refuse(f"Invalid value at '{where or 'body'}': an object is required")
    said: dict[str, Any] = {}
    for name, inner in value.items():
        known = names.get(name)
        if known is None:
            at = f" at '{where}'" if where else ""
            refuse(f'Invalid JSON payload received. Unknown name "{name[:64]}"{at}: Cannot find field.')
        if inner is not None:
            if known in said:
                refuse(f"Invalid value at '{where}': {known} is given twice")
            said[known] = inner
    return said


def items(value: object, where: str) -> list[Any]:
    """A list."""
    if not isinstance(value, list):
        refuse(f"Invalid value at '{where}': a list is required")
    return value


def string(value: object, where: str) -> str:
    """A string that is not empty."""
    if not isinstance(value, str) or not value:
        refuse(f"Invalid value at '{where}': a non-empty string is required")
    return value


def boolean(value: object, where: str) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        refuse(f"Invalid value at '{where}' (TYPE_BOOL)")
    return value


def number(value: object, where: str, least: float, most: float, *, whole: bool = False) -> float:
    """A number from `least` to `most`, both included."""
    if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
        refuse(f"Invalid value at '{where}': {'an integer' if whole else 'a number'} is required")
    if not least <= value <= most:
        refuse(f"{where} must be from {least:g} to {most:g}")
    return value


def one_of(value: object, words: Mapping[str, Any] | frozenset[str], where: str) -> str:
    """One of the words of an enumeration, which may be given in any case."""
    word = value.upper() if isinstance(value, str) else ""
    if word not in words:
        refuse(f"Invalid value at '{where}': not one of its enumeration")
    return word


def base64_text(value: object, where: str) -> str:
    """Base64 in its standard alphabet; the one for URLs is taken too, as all of Google's APIs do."""
    text = string(value, where).translate(_TO_STANDARD)
    try:
        binascii.a2b_base64(text, strict_mode=True)
    except (binascii.Error, ValueError):
        refuse(f"Invalid value at '{where}' (TYPE_BYTES): Base64 decoding failed")
    return text
