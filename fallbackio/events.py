"""What happened, as frozen values, and who is told.

A call emits `CallStarted`, for each attempt `AttemptStarted` and `AttemptEnded`, a `FailedOver`
whenever it moves past an endpoint, `StreamResumed` when a broken stream goes on, and `CallEnded`.  A
breaker emits `BreakerMoved`.  No event holds a key, a prompt or an answer.
"""

from __future__ import annotations

from typing import Protocol

from attrs import frozen

from fallbackio.errors import AttemptError
from fallbackio.model import Attempt, Report

__all__ = [
    "AttemptEnded",
    "AttemptStarted",
    "BreakerMoved",
    "CallEnded",
    "CallStarted",
    "Event",
    "EventSink",
    "FailedOver",
    "StreamResumed",
]


@frozen(kw_only=True)
class CallStarted:
    """A call began.

    Example:
        >>> CallStarted(chain="chat", call=7, stream=False)
    """

    chain: str
    call: int
    stream: bool


@frozen(kw_only=True)
class AttemptStarted:
    """A request is about to be sent to an endpoint.

    Example:
        >>> AttemptStarted(chain="chat", call=7, endpoint="openai/gpt-4o", forced=False)
    """

    chain: str
    call: int
    endpoint: str
    forced: bool


@frozen(kw_only=True)
class AttemptEnded:
    """An attempt has its outcome; also emitted for one that was skipped.

    Example:
        >>> event.attempt.outcome, event.attempt.duration_s
        ('failed', 0.12)
    """

    chain: str
    call: int
    attempt: Attempt


@frozen(kw_only=True)
class FailedOver:
    """A call moved on to another endpoint.

    Attributes:
        origin: Name of the endpoint it left.
        target: Name of the endpoint it goes to.
        error: Why it left.

    Example:
        >>> FailedOver(chain="chat", call=7, origin="a", target="b", error=error)
    """

    chain: str
    call: int
    origin: str
    target: str
    error: AttemptError


@frozen(kw_only=True)
class StreamResumed:
    """A streamed answer that had broken off goes on.

    Attributes:
        origin: Name of the endpoint it broke at.
        target: Name of the endpoint that goes on.
        how: `"continue"`, from the text so far, or `"restart"`, from the beginning.
        at_chars: How many characters the consumer had been given.
        error: Why it broke.

    Example:
        >>> event.how, event.at_chars
        ('continue', 212)
    """

    chain: str
    call: int
    origin: str
    target: str
    how: str
    at_chars: int
    error: AttemptError


@frozen(kw_only=True)
class BreakerMoved:
    """A breaker changed its state: `"closed"`, `"open"` or `"half_open"`.

    Attributes:
        open_s: Seconds until the next probe, when it opened, else 0.
        reason: Why, in words.

    Example:
        >>> BreakerMoved(endpoint="a", old="closed", new="open", open_s=5.1, reason="5 failures in a row")
    """

    endpoint: str
    old: str
    new: str
    open_s: float
    reason: str


@frozen(kw_only=True)
class CallEnded:
    """A call ended.

    Attributes:
        report: How it went, the ledger included; also for a cancelled call.
        outcome: `"answered"`, `"failed"`, or `"cancelled"` (by the caller, who may also just have
            left a stream early).
        error: What was raised, if it failed.

    Example:
        >>> event.outcome, event.report.duration_s
        ('answered', 0.84)
    """

    chain: str
    call: int
    report: Report
    outcome: str
    error: Exception | None = None


Event = CallStarted | AttemptStarted | AttemptEnded | FailedOver | StreamResumed | BreakerMoved | CallEnded


class EventSink(Protocol):
    """Told of every event, synchronously and in order; must not block.

    What it raises is logged once and changes nothing.

    Example:
        >>> chain = fallbackio.Chain(["openai/gpt-4o"], sinks=[print])
    """

    def __call__(self, event: Event, /) -> None: ...
