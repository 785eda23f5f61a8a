"""One sink's events on their way to it, in a thread of its own.

What a sink does is the user's affair: it may wait for a network or a lock for ever, and no call may
wait with it.  So the loop's thread only puts events down here.  The thread begins with the first event
and ends by itself when nothing has come for a while; it is a daemon, because a sink that never returns
must not keep a program alive.  Two rules bite in practice: what finds the queue full is dropped and
counted, and a sink runs in the context of the call that it is told of, so that context variables
(request ids, trace ids) are as they were there.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import Context, copy_context
from queue import Empty, SimpleQueue
from threading import Event as Mark
from threading import Lock, Thread

from fallbackio.events import Event, EventSink

__all__ = ["MOST_WAITING", "Courier"]

# Some 2,500 calls; a few megabytes.  A sink that is further behind than this will not catch up.
MOST_WAITING = 10_000

# A thread that has delivered all there was lets so much come together before it looks again: waking it
# for every event would cost the loop's thread more than making the event.
PAUSE_S = 0.01

# A thread that has nothing to do for so long ends; the next event starts another.  Real seconds: the
# loop's clock is not to be asked from another thread.
IDLE_S = 10.0


class Courier:
    """Brings events to one sink, in order.

    Attributes:
        dropped: Events that found no room.
    """

    __slots__ = ("_complain", "_hurry", "_lock", "_running", "_waiting", "dropped", "sink")

    def __init__(self, sink: EventSink, complain: Callable[[EventSink], None]) -> None:
        self.sink = sink
        self.dropped = 0
        self._complain = complain  # called in the except block of what the sink raised
        self._waiting: SimpleQueue[tuple[Context, Event] | Mark] = SimpleQueue()
        self._running = False  # whether a thread will see what is put down now
        self._hurry = Mark()  # somebody waits until all is delivered
        self._lock = Lock()  # around putting down and starting, and around ending

    def post(self, event: Event) -> bool:
        """Put an event down; false if there is no room."""
        if self._waiting.qsize() >= MOST_WAITING:
            self.dropped += 1
            return False
        self._put((copy_context(), event))
        return True

    def mark(self) -> Mark | None:
        """Is set when all that was put down has been delivered; `None` if it has been already.

        The thread ends there, unless more has come.
        """
        with self._lock:
            if not self._running:
                return None
        mark = Mark()
        self._put(mark)
        self._hurry.set()
        return mark

    @property
    def waiting(self) -> int:
        """Events that have not been delivered."""
        return self._waiting.qsize()

    def _put(self, thing: tuple[Context, Event] | Mark) -> None:
        with self._lock:
            self._waiting.put(thing)
            if not self._running:
                Thread(target=self._deliver, name="fallbackio-sink", daemon=True).start()  # may fail
                self._running = True

    def _deliver(self) -> None:
        while True:
            thing: tuple[Context, Event] | Mark | None
            try:
                thing = self._waiting.get(timeout=IDLE_S)
            except Empty:
                thing = None
            if isinstance(thing, tuple):
                self._give(*thing)
                if self._waiting.empty():
                    self._hurry.wait(PAUSE_S)
                continue
            with self._lock:
                self._running = not self._waiting.empty()
                self._hurry.clear()
                ended = not self._running
            if thing is not None:
                thing.set()
            if ended:
                return

    def _give(self, context: Context, event: Event) -> None:
        try:
            context.run(self.sink, event)
        except BaseException:  # noqa: BLE001 - `SystemExit` too: it would end the thread, not the program
            self._complain(self.sink)
