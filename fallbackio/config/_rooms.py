"""Who shares whose limits."""

from __future__ import annotations

import math

from fallbackio.endpoint import Endpoint
from fallbackio.errors import ConfigError
from fallbackio.selection import Room, Shared

__all__ = ["Rooms"]


class Rooms:
    """The rooms of one chain's endpoints; those of one group share their limits."""

    def __init__(self, before: Rooms | None = None) -> None:
        self._groups: dict[tuple[str, ...], tuple[Endpoint, Shared]] = {}
        # Of the same chain before it was reloaded: what was learnt of a group's limits stays known.
        self._before = {} if before is None else before._groups

    def of(self, endpoint: Endpoint) -> Room:
        """A room for `endpoint`; raises `ConfigError` if its group has other limits already."""
        most = math.inf if endpoint.max_in_flight is None else endpoint.max_in_flight
        return Room(most, self._shared(endpoint))

    def _shared(self, endpoint: Endpoint) -> Shared:
        group = _group(endpoint)
        if group not in self._groups:
            self._groups[group] = (endpoint, self._kept(group, endpoint))
        first, shared = self._groups[group]
        if (first.rpm, first.tpm) != (endpoint.rpm, endpoint.tpm):
            raise ConfigError(
                f"{first.name} and {endpoint.name} share their limits, so rpm and tpm must be the same for "
                "both; give one of them a limit_group of its own if they do not"
            )
        return shared

    def _kept(self, group: tuple[str, ...], endpoint: Endpoint) -> Shared:
        before = self._before.get(group)
        if before is not None and (before[0].rpm, before[0].tpm) == (endpoint.rpm, endpoint.tpm):
            return before[1]
        return Shared.given(endpoint.rpm, endpoint.tpm)


def _group(endpoint: Endpoint) -> tuple[str, ...]:
    """One key and one model at one address; or what the user calls it."""
    if endpoint.limit_group:
        return ("", endpoint.limit_group)
    if endpoint.fn is not None:
        return ("fn", endpoint.name)
    return (endpoint.api_key or "", endpoint.base_url or "", endpoint.model)
