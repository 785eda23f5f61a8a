"""Which dialect, model and kind of answer a path asks for."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from urllib.parse import unquote

from attrs import frozen

from fallbackio.dialects import DIALECTS, Dialect, Route

__all__ = ["PATHS", "Target", "target_of"]


@frozen
class Target:
    """What a path asks for; `model` is empty where the body names it."""

    dialect: Dialect
    route: Route
    model: str = ""


def target_of(path: str) -> Target | None:
    """What is asked for at `path`, still percent-encoded and without the endpoint's name.

    A path without its `/v1` is taken for the same with it, as long as no other is.
    """
    known = _FIXED.get(path)
    if known is not None:
        return known
    for pattern, dialect, route in _PATTERNS:
        if found := pattern.fullmatch(path):
            return Target(dialect, route, unquote(found.groupdict().get("model") or ""))
    return None


def _routes() -> Iterable[tuple[Dialect, Route]]:
    return [(dialect, route) for dialect in DIALECTS.values() for route in dialect.routes]


def _fixed() -> dict[str, Target]:
    """Targets by their path; the ones that were left out come first, so that no shorter form hides one."""
    targets = {
        route.path.lstrip("/"): Target(dialect, route)
        for dialect, route in _routes()
        if "{" not in route.path
    }
    return {**{path.removeprefix("v1/"): target for path, target in targets.items()}, **targets}


def _pattern(path: str) -> re.Pattern[str]:
    parts = re.split(r"\{(\w+)\}", path.lstrip("/"))
    wild = [f"(?P<{part}>[^/]+?)" if at % 2 else re.escape(part) for at, part in enumerate(parts)]
    return re.compile("".join(wild))


_FIXED: Mapping[str, Target] = MappingProxyType(_fixed())
_PATTERNS = tuple(
    [(_pattern(route.path), dialect, route) for dialect, route in _routes() if "{" in route.path]
)

PATHS = tuple([route.path for _, route in _routes()])
"""All of them, for whoever asked for another."""
