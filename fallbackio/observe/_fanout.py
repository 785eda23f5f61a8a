"""Telling sinks what happened, such that observing changes nothing.

A sink that says it is quick (`inline = True`) is called at once, in the caller's task; any other has a
thread of its own (`_courier`), so that one that blocks delays no call and no other sink.  What a sink
raises is logged once and goes no further.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from functools import partial
from inspect import iscoroutinefunction
from threading import Event as Mark
from time import monotonic
from typing import Any, TypeVar

from attrs import frozen

from fallbackio import clock
from fallbackio._log import say
from fallbackio.errors import ConfigError
from fallbackio.events import ChainSink, Event, EventSink, without_content
from fallbackio.observe._courier import Courier
from fallbackio.observe._early_warning import EarlyWarning, FallbackRate
from fallbackio.observe._logging import Log
from fallbackio.observe._throttle import Throttle

__all__ = ["Fanout", "inline"]

# How long closing a chain waits for sinks that are behind.
DRAIN_S = 1.0

# How often a sink that is too far behind is complained about.
COMPLAINT_S = 60.0

S = TypeVar("S", bound=Callable[[Event], None])


@frozen
class _Inline:
    """A function that is called at once."""

    fn: Callable[[Event], None]
    inline = True

    def __call__(self, event: Event, /) -> None:
        self.fn(event)


def inline(fn: Callable[[Event], None]) -> EventSink:
    """The function as a sink that is called at once, in the task of the call it is told of.

    For functions that are quick and never wait: a counter, a metric, a `put_nowait`.  They see events
    the moment they happen; whatever they take, the call takes longer.

    Example:
        >>> @fallbackio.observe.inline
        ... def count(event):
        ...     seen[type(event).__name__] += 1
        >>> chain = fallbackio.Chain(["openai/gpt-6-luna"], sinks=[count])
    """
    return _Inline(fn)


class Fanout:
    """Tells the log and each sink of one chain.

    Attributes:
        listened_to: Whether anybody wants every event.  Where it is false only failovers, moves of
            breakers and loud failures are worth making an event of, for the log.
        wants_content: Whether anybody has asked for prompts and answers.
        rate: How many calls fall back, where that is watched.

    Example:
        >>> tell = Fanout([print])
        >>> tell(BreakerMoved(endpoint="a", old="closed", new="open", open_s=5.1, reason="by hand"))
    """

    __slots__ = (
        "_complained",
        "_couriers",
        "_log",
        "_now",
        "_throttle",
        "listened_to",
        "rate",
        "wants_content",
    )

    def __init__(
        self,
        sinks: Iterable[EventSink | ChainSink] = (),
        *,
        chain: str = "chain",
        early_warning: EarlyWarning | None = None,
    ) -> None:
        self.rate: FallbackRate | None = None
        self.warn(early_warning, chain)
        self._log = Log()
        self._now: list[tuple[EventSink, bool]] = [(self._log, False)]  # and whether it wants content
        self._couriers: list[tuple[Courier, bool]] = []
        self._complained: set[int] = set()
        self._throttle = Throttle(burst=1, every_s=COMPLAINT_S)
        for given in sinks:
            sink = _bound(given, chain)
            content = bool(getattr(sink, "wants_content", False))
            if getattr(sink, "inline", False):
                self._now.append((sink, content))
            else:
                self._couriers.append((Courier(sink, self._complain), content))
        self.listened_to = len(self._now) > 1 or bool(self._couriers)
        self.wants_content = any(content for _, content in [*self._now, *self._couriers])

    def warn(self, policy: EarlyWarning | None, chain: str) -> None:
        """Warn of the chain's fallback rate by this policy from now on; the same one goes on counting."""
        if self.rate is None or policy != self.rate.policy:
            if self.rate is not None:
                self.rate.withdraw()
            self.rate = None if policy is None else FallbackRate(policy, chain, self)

    def __call__(self, event: Event) -> None:
        bare = without_content(event) if self.wants_content else event
        for sink, content in self._now:
            try:
                sink(event if content else bare)
            except Exception:  # noqa: BLE001 - a sink is the user's code, and observing changes nothing
                self._complain(sink)
        for courier, content in self._couriers:
            try:
                kept = courier.post(event if content else bare)
            except RuntimeError:  # no thread can be started
                self._complain(courier.sink)
            else:
                if not kept:
                    self._complain_of_drops(courier)

    @property
    def dropped(self) -> int:
        """Events that sinks were not told of, because they were too far behind."""
        return sum(courier.dropped for courier, _ in self._couriers)

    @property
    def waiting(self) -> int:
        """Events on their way to sinks."""
        return sum(courier.waiting for courier, _ in self._couriers)

    async def aclose(self) -> None:
        """Say what is left to be said; waits for sinks that are behind, a second at most."""
        self._log.flush()
        marks = [(courier, mark) for courier, _ in self._couriers if (mark := courier.mark()) is not None]
        if marks:
            # In a thread, because it waits for threads.  Whoever is stuck there stays stuck.
            waiting = partial(_await_marks, [mark for _, mark in marks])
            await asyncio.get_running_loop().run_in_executor(None, waiting)
        for courier, mark in marks:
            if not mark.is_set():
                say(
                    logging.WARNING,
                    "the sink %s is stuck: about %d events were not delivered within %g s of closing",
                    _called(courier.sink),
                    courier.waiting,
                    DRAIN_S,
                )

    def _complain(self, sink: EventSink) -> None:
        if id(sink) not in self._complained:
            self._complained.add(id(sink))
            say(logging.ERROR, "the sink %s raised; this is logged once", _called(sink), exc_info=True)

    def _complain_of_drops(self, courier: Courier) -> None:
        if self._throttle.admits(id(courier), clock.now()):
            say(
                logging.WARNING,
                "the sink %s is too far behind: %d events were dropped so far; this is logged once a minute",
                _called(courier.sink),
                courier.dropped,
                extra={"fallbackio_dropped": courier.dropped},
            )


def _await_marks(marks: Iterable[Mark]) -> None:
    until = monotonic() + DRAIN_S
    for mark in marks:
        mark.wait(max(0.0, until - monotonic()))


def _bound(given: Any, chain: str) -> EventSink:
    """What is told of this chain's events."""
    sink: Any = given.for_chain(chain) if callable(getattr(given, "for_chain", None)) else given
    if not callable(sink):
        raise ConfigError(f"a sink must be callable with one event, {type(sink).__name__} is not")
    if iscoroutinefunction(sink) or iscoroutinefunction(type(sink).__call__):
        raise ConfigError(
            f"a sink must be a plain function, {_called(sink)} is async; it runs in a thread of its own "
            "and may simply block"
        )
    bound: EventSink = sink
    return bound


def _called(sink: Any) -> str:
    """The function's name, or the class's."""
    given = sink.fn if isinstance(sink, _Inline) else sink
    name: str = getattr(given, "__qualname__", type(given).__qualname__)
    return name
