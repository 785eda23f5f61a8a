"""Behaviours as JSON, and back, for the control over HTTP and for scenario files.

A value with a `"kind"` is a fault or a latency by its registered name; its other members are the
class's fields.  What is unknown is refused with the nearest known name, so a typing error does not
pass for a healthy endpoint.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import attrs

from fallbackio.errors import ConfigError
from fallbackio.model import ToolCall
from fallbackio.simulator import _checks
from fallbackio.simulator._behaviour import Behaviour
from fallbackio.simulator._latency import Fixed, Latency, Lognormal
from fallbackio.simulator.faults import FAULTS, Fault

__all__ = ["behaviour_from_json", "behaviour_to_json"]

# Fields whose content is the user's own: a "kind" in it says nothing to us.
_OPAQUE = frozenset({"headers", "tool_calls"})

_KINDS: Mapping[str, type[Fault | Latency]] = MappingProxyType(
    {"fixed": Fixed, "lognormal": Lognormal, **FAULTS}
)


def behaviour_from_json(given: Any, base: Behaviour | None = None) -> Behaviour:
    """A behaviour from its JSON object; with `base`, only the named fields are changed.

    Raises:
        ConfigError: For unknown kinds and fields, and values out of their range.

    Example:
        >>> behaviour_from_json({"latency": 0.2, "fault": {"kind": "status", "status": 500}})
    """
    if not isinstance(given, dict):
        raise ConfigError(f"a behaviour must be a JSON object, not {type(given).__name__}")
    fields = _fields(Behaviour, "behaviour", given)
    return Behaviour(**fields) if base is None else attrs.evolve(base, **fields)


def behaviour_to_json(behaviour: Behaviour) -> dict[str, Any]:
    """The behaviour's JSON object, all fields included; `behaviour_from_json` reads it again.

    Example:
        >>> behaviour_to_json(Behaviour(latency=0.2))["latency"]
        {'kind': 'fixed', 'seconds': 0.2}
    """
    return {name: _write(value) for name, value in _values(behaviour)}


def _fields(kind: type[Any], what: str, given: Mapping[str, Any]) -> dict[str, Any]:
    known = {a.alias for a in attrs.fields(kind)}
    for name, value in given.items():
        if name not in known:
            raise _checks.nearest(f"field of {what}", name, known)
        if name == "fault" and not (value is None or (isinstance(value, Mapping) and "kind" in value)):
            raise ConfigError(f"fault must have a kind ({', '.join(sorted(FAULTS))}), unlike {value!r}")
    return {name: value if name in _OPAQUE else _read(value) for name, value in given.items()}


def _read(value: Any) -> Any:
    if isinstance(value, list):
        return [_read(item) for item in value]
    if not isinstance(value, dict) or "kind" not in value:
        return value
    name = value["kind"]
    if not isinstance(name, str) or name not in _KINDS:
        raise _checks.nearest("kind", name, _KINDS)
    kind: type[Any] = _KINDS[name]
    fields = _fields(kind, name, {key: item for key, item in value.items() if key != "kind"})
    needed = [a.alias for a in attrs.fields(kind) if a.default is attrs.NOTHING]
    if missing := [alias for alias in needed if alias not in fields]:
        raise ConfigError(f"{name} needs {', '.join(missing)}")
    return kind(**fields)


def _write(value: Any) -> Any:
    if isinstance(value, ToolCall):
        return {"id": value.id, "name": value.name, "arguments": value.arguments}
    if isinstance(value, Fault | Latency):
        names = [name for name, kind in _KINDS.items() if type(value) is kind]
        fields = {name: _write(item) for name, item in _values(value)} if names else {}
        return {"kind": names[0] if names else type(value).__name__, **fields}
    if isinstance(value, type):
        return value.__name__
    if isinstance(value, list | tuple):
        return [_write(item) for item in value]
    return dict(value) if isinstance(value, Mapping) else value


def _values(instance: Any) -> list[tuple[str, Any]]:
    return [(a.alias, getattr(instance, a.name)) for a in attrs.fields(type(instance))]
