"""A Pydantic model as `response_format`: its schema, made as strict as OpenAI's format asks for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["response_format_of"]


def response_format_of(given: Any) -> Any:
    """What is sent: a dict as it is, the schema of a model's class.

    Example:
        >>> class Event(pydantic.BaseModel):
        ...     name: str
        >>> response_format_of(Event)["json_schema"]["name"]
        'Event'
    """
    if not isinstance(given, type) or not hasattr(given, "model_json_schema"):
        return given
    schema = _strict(given.model_json_schema())
    return {"type": "json_schema", "json_schema": {"name": given.__name__, "schema": schema, "strict": True}}


def _strict(schema: Any) -> Any:
    """Objects take no other properties than theirs, and need all of them."""
    if isinstance(schema, list):
        return [_strict(one) for one in schema]
    if not isinstance(schema, Mapping):
        return schema
    # A default makes a property optional, which a strict schema has no word for.
    told = {name: _strict(value) for name, value in schema.items() if name != "default"}
    properties = told.get("properties")
    if told.get("type") == "object" and isinstance(properties, dict):
        told = {"additionalProperties": False, **told, "required": list(properties)}
    return told
