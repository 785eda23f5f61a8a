"""Scenarios as TOML, and back.

A role's table holds the fields in which it differs from how that role usually is, written as the
control over HTTP takes them.  TOML has no null: the word `"healthy"` stands for "no fault".
"""

from __future__ import annotations

import math
import os
import tomllib
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import attrs
import orjson

from fallbackio._checks import nearest
from fallbackio.errors import ConfigError
from fallbackio.simulator._behaviour import Behaviour
from fallbackio.simulator._json import behaviour_from_json, behaviour_to_json
from fallbackio.simulator.scenarios._scenario import HEALTHY, ROLES, Phase, Scenario

__all__ = ["parse", "read", "write"]

T = TypeVar("T")

_HEALTHY = "healthy"


def read(path: str | os.PathLike[str]) -> Scenario:
    """The scenario of a file."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"cannot read the scenario {path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"cannot read the scenario {path}: it is no UTF-8") from error
    with _within(str(path)):
        return parse(text, name=Path(path).stem)


def parse(text: str, *, name: str = "") -> Scenario:
    """The scenario of a text; `name` is what it is called if it does not say."""
    try:
        given = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"no TOML: {error}") from error
    phases = given.get("phases")
    if not isinstance(phases, list):
        hint = "; this is a file of chains" if "chain" in given else ""
        raise ConfigError(f"a scenario needs [[phases]]{hint}")
    _known(given, _fields(Scenario))
    with _within("healthy"):
        healthy = _roles(_table(given.get("healthy", {})), HEALTHY)
    usual = {**HEALTHY, **healthy}
    given["healthy"] = healthy
    given["phases"] = [_phase(number, phase, usual) for number, phase in enumerate(phases, 1)]
    return _made(Scenario, {"name": name, **given}, "a scenario")


@contextmanager
def _within(where: str) -> Iterator[None]:
    """What is wrong within it says where."""
    try:
        yield
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from error


def _phase(number: int, given: object, usual: Mapping[str, Behaviour]) -> Phase:
    name = given.get("name") if isinstance(given, dict) else None
    with _within(f"phase {name!r}" if name else f"phase {number}"):
        table = _table(given)
        # Whatever is a table speaks of a role, or of what its author takes for one.
        roles = {key: table.pop(key) for key in [*table] if key in ROLES or isinstance(table[key], dict)}
        _known(table, [*(_fields(Phase) - {"roles"}), *ROLES])
        return _made(Phase, {**table, "roles": _roles(roles, usual)}, "it")


def _roles(given: Mapping[str, object], usual: Mapping[str, Behaviour]) -> dict[str, Behaviour]:
    behaviours = {}
    for role, table in given.items():
        if role not in ROLES:
            raise nearest("role", role, ROLES)
        with _within(role):
            behaviours[role] = behaviour_from_json(_nulls(_table(table)), usual[role])
    return behaviours


def _nulls(value: Any) -> Any:
    """The value as JSON would have it, with null for what is healthy."""
    if isinstance(value, dict):
        return {
            name: None if inner == _HEALTHY and name == "fault" else _nulls(inner)
            for name, inner in value.items()
        }
    if isinstance(value, list):
        return [None if inner == _HEALTHY else _nulls(inner) for inner in value]
    return value


def _table(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ConfigError(f"must be a table, not {value!r}")
    return value


def _fields(kind: type[Any]) -> set[str]:
    return {one.alias or one.name for one in attrs.fields(kind)}


def _known(given: Iterable[str], known: Collection[str]) -> None:
    for name in given:
        if name not in known:
            raise nearest("field", name, known)


def _made(kind: type[T], fields: dict[str, Any], what: str) -> T:
    known: type[Any] = kind
    needed = [one.alias for one in attrs.fields(known) if one.default is attrs.NOTHING]
    if missing := [name for name in needed if name not in fields]:
        raise ConfigError(f"{what} needs {', '.join(missing)}")
    return kind(**fields)


def write(scenario: Scenario) -> str:
    """The text of a file for it."""
    lines = [
        f"{one.alias} = {_written(value)}"
        for one in attrs.fields(Scenario)
        if one.name not in ("phases", "healthy") and (value := getattr(scenario, one.name)) != one.default
    ]
    for role, behaviour in scenario.healthy.items():
        lines += ["", f"[healthy.{role}]", *_differences(behaviour, HEALTHY[role])]
    for phase in scenario.phases:
        lines += ["", "[[phases]]", f"name = {_written(phase.name)}", f"lasts_s = {_written(phase.lasts_s)}"]
        lines += ["fixed = true"] if phase.fixed else []
        lines += [f"allows = {_written(list(phase.allows))}"] if phase.allows else []
        for role, behaviour in phase.roles.items():
            lines += [f"[phases.{role}]", *_differences(behaviour, scenario.usual(role))]
    return "\n".join([*lines, ""])


def _differences(behaviour: Behaviour, usual: Behaviour) -> list[str]:
    given, base = behaviour_to_json(behaviour), behaviour_to_json(usual)
    lines = []
    for name, value in given.items():
        if value == base[name]:
            continue
        if value is None and name != "fault":
            raise ConfigError(f"TOML cannot say that {name} is what it is by default where it usually is not")
        lines.append(f"{name} = {_written(value)}")
    return lines


def _written(value: Any) -> str:
    """A TOML value; in tables what is left out is the default, which null is everywhere."""
    match value:
        case None:
            return _written(_HEALTHY)
        case bool():
            return "true" if value else "false"
        case str():
            return _quoted(value)
        case int() | float():
            return repr(value) if math.isfinite(value) else "inf"
        case list() | tuple():
            return f"[{', '.join(map(_written, value))}]"
        case dict():
            pairs = [
                f"{_key(name)} = {_written(inner)}" for name, inner in value.items() if inner is not None
            ]
            return f"{{ {', '.join(pairs)} }}" if pairs else "{}"
    raise ConfigError(f"TOML has no {type(value).__name__}")


def _key(name: str) -> str:
    return name if name.replace("_", "").replace("-", "").isalnum() and name.isascii() else _quoted(name)


def _quoted(text: str) -> str:
    """A basic string: TOML's escapes are JSON's, but for the control character DEL."""
    return orjson.dumps(text).decode().replace("\x7f", "\\u007f")
