"""The sink that remembers."""

from __future__ import annotations

from fallbackio.events import BreakerMoved, CallStarted, EventSink
from fallbackio.testing import RecordingSink

STARTED = CallStarted(chain="chat", call=1, stream=False)
MOVED = BreakerMoved(endpoint="a", old="closed", new="open", open_s=5, reason="5 failures in a row")


def test_events_are_kept_in_order_and_by_kind() -> None:
    """Every event is there, `of` picks one kind, `clear` forgets."""
    sink = RecordingSink()
    told: EventSink = sink
    for event in (STARTED, MOVED, STARTED):
        told(event)

    assert sink.events == [STARTED, MOVED, STARTED]
    assert sink.of(BreakerMoved) == [MOVED]

    sink.clear()
    assert sink.events == []
