"""A sink that keeps the events it is told of."""

from __future__ import annotations

from typing import TypeVar

from fallbackio.events import Event

__all__ = ["RecordingSink"]

E = TypeVar("E")


class RecordingSink:
    """An `EventSink` that keeps every event, in order, in `events`, the moment it happens.

    Example:
        >>> sink = RecordingSink()
        >>> chain = fallbackio.Chain([primary.endpoint, backup.endpoint], sinks=[sink])
        >>> ...
        >>> assert [e.attempt.outcome for e in sink.of(AttemptEnded)] == ["failed", "won"]
    """

    inline = True

    def __init__(self) -> None:
        self.events: list[Event] = []

    def __call__(self, event: Event, /) -> None:
        self.events.append(event)

    def of(self, kind: type[E]) -> list[E]:
        """The events of one kind, in order.

        Example:
            >>> [event.target for event in sink.of(FailedOver)]
            ['backup']
        """
        return [event for event in self.events if isinstance(event, kind)]

    def clear(self) -> None:
        """Forget what was told so far."""
        self.events.clear()
