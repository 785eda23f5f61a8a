"""Schemas on the server's side: the subset of OpenAPI that `parameters` and `responseSchema` take.

It is read into JSON Schema: types in small letters, `nullable` as a second type.  What the subset
does not know is refused, as Google does; JSON Schema of its own kind comes by other fields and is
taken as it is.
"""

from __future__ import annotations

from typing import Any

from fallbackio.dialects.gemini._fields import fields
from fallbackio.dialects.gemini._values import boolean, closed, items, one_of, refuse, string

__all__ = ["json_schema", "plain_schema"]

_FIELDS = fields(
    "additionalProperties anyOf default description enum example format items maxItems maxLength "
    "maxProperties maximum minItems minLength minProperties minimum nullable pattern properties "
    "propertyOrdering required title type"
) | {"$defs": "$defs", "$ref": "$ref", "defs": "$defs", "ref": "$ref"}

_TYPES = frozenset({"STRING", "NUMBER", "INTEGER", "BOOLEAN", "ARRAY", "OBJECT", "NULL"})

# Proto JSON writes 64-bit numbers as text, and Google's own clients do so here.
_LENGTHS = frozenset({"maxItems", "maxLength", "maxProperties", "minItems", "minLength", "minProperties"})

_DEEPEST = 64


def plain_schema(value: object, where: str, depth: int = 0) -> dict[str, Any]:
    """JSON Schema for a schema of the subset."""
    if depth > _DEEPEST:
        refuse(f"{where}: the schema is nested too deeply")
    said = closed(value, _FIELDS, where)
    said.pop("propertyOrdering", None)
    nullable = boolean(said.pop("nullable", False), f"{where}.nullable")
    _typed(said, nullable, where)
    for name in _LENGTHS & said.keys():
        said[name] = _length(said[name], f"{where}.{name}")
    for name in ("properties", "$defs"):
        if name in said:
            said[name] = _each(said[name], f"{where}.{name}", depth)
    if "items" in said:
        said["items"] = plain_schema(said["items"], f"{where}.items", depth + 1)
    if "anyOf" in said:
        options = items(said["anyOf"], f"{where}.any_of")
        said["anyOf"] = [plain_schema(option, f"{where}.any_of", depth + 1) for option in options]
    for name in ("required", "enum"):
        for text in items(said.get(name, []), f"{where}.{name}"):
            string(text, f"{where}.{name}")
    return said


def _typed(said: dict[str, Any], nullable: bool, where: str) -> None:
    if "type" not in said:
        return
    kind = one_of(said["type"], _TYPES, f"{where}.type").lower()
    if kind == "array" and "items" not in said:
        refuse(f"{where}.items: missing field.")
    if "properties" in said and kind != "object":
        refuse(f"{where}.properties: only allowed for OBJECT type")
    said["type"] = [kind, "null"] if nullable else kind


def _length(value: object, where: str) -> int:
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 19:
        return int(value)
    if type(value) is not int or value < 0:
        refuse(f"Invalid value at '{where}' (TYPE_INT64)")
    return value


def _each(value: object, where: str, depth: int) -> dict[str, Any]:
    if not isinstance(value, dict) or not value:
        refuse(f"{where}: should be non-empty for OBJECT type")
    return {name: plain_schema(inner, f"{where}.{name[:64]}", depth + 1) for name, inner in value.items()}


def json_schema(value: object, where: str) -> dict[str, Any]:
    """JSON Schema of its own kind: an object that says something Google can use."""
    if not isinstance(value, dict):
        refuse(f"Invalid value at '{where}': a JSON Schema object is required")
    return value
