"""The log: one warning per failover, one line per move of a breaker, an error where somebody must act.

An error too is the early warning, that more calls fall back than usual.

Records carry their facts in `extra` under names beginning with `fallbackio_`, for structured logs.
The provider's own words are not logged: they may quote a prompt.

Lines are written where things happen, in the caller's task, so that filters find its context (request
ids, trace ids); what a handler takes is between the application and its `logging`, and a storm cannot
make it more than a few lines: of a kind that keeps coming one line is written every ten seconds, and it
says how many were held back.
"""

from __future__ import annotations

import logging
from collections.abc import Hashable, Mapping
from typing import Any

from attrs import define, frozen

from fallbackio import clock
from fallbackio._log import say
from fallbackio.errors import AttemptError, Refused
from fallbackio.events import (
    AttemptEnded,
    BreakerMoved,
    Event,
    FailedOver,
    FallbackRateFell,
    FallbackRateRose,
)
from fallbackio.observe._throttle import Throttle

__all__ = ["Log", "log_event"]

# Ten of a kind are an incident that somebody reads line by line; the eleventh is a storm.
BURST = 10
EVERY_S = 10.0


@frozen
class Line:
    """What is to be logged; `kind` is the same for those that a storm brings many of."""

    kind: Hashable
    level: int
    text: str
    args: tuple[object, ...]
    extra: Mapping[str, object]

    def write(self, held_back: int = 0) -> None:
        if not held_back:
            say(self.level, self.text, *self.args, extra=self.extra)
            return
        text = f"{self.text}; %d more like this were held back"
        extra = {**self.extra, "fallbackio_held_back": held_back}
        say(self.level, text, *self.args, held_back, extra=extra)


@define
class _Held:
    """Lines of one kind that were held back: the latest, how many, and when it is written."""

    line: Line
    count: int
    timer: clock.Timer


class Log:
    """The sink that writes the log of one chain; `flush` writes what is held back."""

    inline = True

    def __init__(self) -> None:
        self._throttle = Throttle(BURST, EVERY_S)
        self._held: dict[Hashable, _Held] = {}

    def __call__(self, event: Event, /) -> None:
        line = _line(event)
        if line is None:
            return
        held = self._held.get(line.kind)
        if held is not None:
            held.line, held.count = line, held.count + 1
        elif self._admits(line.kind):
            line.write()
        else:
            # When the storm passes the last of them is not lost: it is written with their number.
            timer = clock.call_at(
                clock.now() + self._throttle.wait_s(line.kind), lambda: self._release(line.kind)
            )
            self._held[line.kind] = _Held(line, 1, timer)

    def flush(self) -> None:
        """Write what is held back."""
        for kind in list(self._held):
            self._release(kind)

    def _admits(self, kind: Hashable) -> bool:
        try:
            now = clock.now()
        except RuntimeError:  # outside a loop, where a breaker is moved by hand
            return True
        return self._throttle.admits(kind, now)

    def _release(self, kind: Hashable) -> None:
        held = self._held.pop(kind, None)
        if held is not None:
            held.timer.cancel()
            self._admits(kind)
            held.line.write(held.count - 1)


def log_event(event: Event) -> None:
    """Log what an operator wants to know, at once; other events pass.

    Example:
        >>> log_event(BreakerMoved(endpoint="a", old="closed", new="open", open_s=5.1, reason="by hand"))
    """
    line = _line(event)
    if line is not None:
        line.write()


def _line(event: Event) -> Line | None:
    match event:
        case FailedOver(chain=chain, origin=origin, target=target, error=error):
            return Line(
                (origin, target, type(error)),
                logging.WARNING,
                "%s: failing over from %s to %s (%s)",
                (chain, origin, target, _facts(error)),
                _extra(error, chain=chain, origin=origin, target=target),
            )
        case BreakerMoved(endpoint=endpoint, new="open", reason=reason, open_s=open_s):
            return Line(
                (endpoint, "open"),
                logging.WARNING,
                "%s: circuit open for %.1f s (%s)",
                (endpoint, open_s, reason),
                {"fallbackio_endpoint": endpoint, "fallbackio_open_s": open_s},
            )
        case BreakerMoved(endpoint=endpoint, old=old, new=new, reason=reason):
            return Line(
                (endpoint, new),
                logging.INFO,
                "%s: circuit %s, was %s (%s)",
                (endpoint, new, old, reason),
                {"fallbackio_endpoint": endpoint},
            )
        case AttemptEnded(attempt=attempt) if attempt.error is not None and attempt.error.needs_operator:
            return Line(
                (attempt.endpoint, type(attempt.error)),
                logging.ERROR,
                "%s: %s; this needs somebody to act",
                (attempt.endpoint, _facts(attempt.error)),
                _extra(attempt.error, endpoint=attempt.endpoint),
            )
        case FallbackRateRose():
            return _risen(event)
        case FallbackRateFell(chain=chain, ratio=ratio, lasted_s=lasted_s, withdrawn=False):
            return Line(
                (chain, "fell"),
                logging.INFO,
                "%s: fallback rate back at %s after %.0f s",
                (chain, _percent(ratio), lasted_s),
                {"fallbackio_chain": chain, "fallbackio_ratio": ratio},
            )
    return None


def _risen(event: FallbackRateRose) -> Line:
    usually = _percent(event.usual_ratio) if event.usual_ratio else "none do"
    return Line(
        (event.chain, "rose"),
        logging.ERROR,
        "%s: %s of the calls of the last %.0f s fell back (%d of %d), usually %s: %s; %s",
        (
            event.chain,
            _percent(event.ratio),
            event.over_s,
            event.fallbacks,
            event.calls,
            usually,
            ", ".join(f"{count} {error}" for error, count in event.by_error.items()),
            ", ".join(f"{count} from {origin}" for origin, count in event.by_endpoint.items()),
        ),
        {
            "fallbackio_chain": event.chain,
            "fallbackio_ratio": event.ratio,
            "fallbackio_usual_ratio": event.usual_ratio,
            "fallbackio_by_error": dict(event.by_error),
            "fallbackio_by_endpoint": dict(event.by_endpoint),
        },
    )


def _percent(ratio: float) -> str:
    return f"{ratio:.1%}"


def _facts(error: AttemptError) -> str:
    facts = [error.summary]
    facts += [f"HTTP {error.status}"] if error.status is not None else []
    facts += [error.code] if error.code else []
    if isinstance(error, Refused):
        facts.append(error.message)  # our own words
    elif error.__cause__ is not None and not isinstance(error.__cause__, AttemptError):
        facts.append(type(error.__cause__).__name__)
    return ", ".join(facts)


def _extra(error: AttemptError, **facts: Any) -> dict[str, object]:
    facts |= {
        "error": type(error).__name__,
        "status": error.status,
        "code": error.code,
        "request_id": error.request_id,
    }
    return {f"fallbackio_{name}": fact for name, fact in facts.items()}
