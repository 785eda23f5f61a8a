"""What a request needs of an endpoint, and what it lacks."""

from __future__ import annotations

import re
from collections.abc import Iterable

from attrs import frozen

from fallbackio._checks import are_several
from fallbackio.endpoint import CAPABILITIES, Endpoint
from fallbackio.errors import ConfigError

__all__ = ["NOTHING", "Needs", "needs_of"]

_CONTEXT = re.compile(r"context\s*>=\s*(\d[\d_]*)")


@frozen
class Needs:
    """Capabilities, and a window of so many tokens."""

    capabilities: frozenset[str] = frozenset()
    context: int = 0

    def __or__(self, other: Needs) -> Needs:
        return Needs(self.capabilities | other.capabilities, max(self.context, other.context))

    def __bool__(self) -> bool:
        return bool(self.capabilities) or self.context > 0

    def lacking(self, spec: Endpoint, window: int | None) -> str:
        """What `spec`, with this window, is known not to have, in words; empty if there is nothing."""
        has = spec.capabilities
        missing = sorted(self.capabilities - has) if has is not None else []
        if window is not None and window < self.context:
            missing.append(f"window of {self.context:,} tokens")
        return " and ".join(missing)

    def unknown(self, spec: Endpoint, window: int | None) -> str:
        """What nobody has said of `spec`, with this window, in words; empty if all is known."""
        names = sorted(self.capabilities) if spec.capabilities is None else []
        if self.context and window is None:
            names.append("its window")
        return " and ".join(names)


NOTHING = Needs()


def needs_of(given: Iterable[str]) -> Needs:
    """The needs that `require=` names; raises `ConfigError` for what is none.

    Example:
        >>> needs_of({"tools", "context>=100000"})
        Needs(capabilities=frozenset({'tools'}), context=100000)
    """
    if not are_several(given):
        raise ConfigError(f"require must be a set such as {{'tools', 'vision'}}, not {given!r}")
    capabilities, context = set(), 0
    for one in given:
        found = _CONTEXT.fullmatch(one.strip()) if isinstance(one, str) else None
        if found is not None:
            context = max(context, int(found[1].replace("_", "")))
        elif isinstance(one, str) and one in CAPABILITIES:
            capabilities.add(one)
        else:
            known = ", ".join(sorted(CAPABILITIES))
            raise ConfigError(f"require knows {known} and 'context>=100000', not {one!r}")
    return Needs(frozenset(capabilities), context) if capabilities or context else NOTHING
