"""Telling sinks what happened, such that observing changes nothing."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from fallbackio.errors import ConfigError
from fallbackio.events import Event, EventSink

__all__ = ["Fanout"]

logger = logging.getLogger("fallbackio")


class Fanout:
    """Tells each sink in turn; one that raises is logged once and told on.

    Attributes:
        listened_to: Whether anybody wants every event.  Where it is false only failovers, moves of
            breakers and loud failures are worth making an event of, for the log.
    """

    __slots__ = ("_always", "_complained", "_sinks", "listened_to")

    def __init__(self, sinks: Iterable[EventSink], always: Iterable[EventSink] = ()) -> None:
        self._sinks = tuple(sinks)
        self._always = tuple(always)
        self._complained: set[int] = set()
        self.listened_to = bool(self._sinks)
        for sink in self._sinks:
            if not callable(sink):
                raise ConfigError(f"a sink must be callable with one event, {type(sink).__name__} is not")

    def __call__(self, event: Event) -> None:
        for sink in (*self._always, *self._sinks):
            try:
                sink(event)
            except Exception:  # noqa: BLE001 - a sink is the user's code, and observing changes nothing
                self._complain(sink)

    def _complain(self, sink: EventSink) -> None:
        if id(sink) not in self._complained:
            self._complained.add(id(sink))
            logger.exception("a sink of type %s raised; this is logged once", type(sink).__name__)
