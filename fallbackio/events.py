"""What happened, as frozen values, and who is told.

A call emits `CallStarted`, for each attempt `AttemptStarted` and `AttemptEnded`, a `FailedOver`
whenever it moves past an endpoint, `StreamResumed` when a broken stream goes on, and `CallEnded`.  A
breaker emits `BreakerMoved`, the early warning `FallbackRateRose` and `FallbackRateFell`.  No event
holds a key, and none holds a prompt or an answer but for sinks that ask for them (`wants_content`).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, Protocol

import attrs
from attrs import field, frozen

from fallbackio.errors import AttemptError
from fallbackio.model import Attempt, Reply, Report, Request

__all__ = [
    "AttemptEnded",
    "AttemptStarted",
    "BreakerMoved",
    "CallEnded",
    "CallStarted",
    "ChainSink",
    "Event",
    "EventSink",
    "FailedOver",
    "FallbackRateFell",
    "FallbackRateRose",
    "StreamResumed",
    "without_content",
]

_NOTHING: Mapping[str, int | float | str] = MappingProxyType({})


@frozen(kw_only=True)
class CallStarted:
    """A call began.

    Attributes:
        call: Its number, counted from 1 in each chain.
        stream: Whether a streamed answer is asked for upstream.
        operation: What it asks for.
        endpoint, vendor, model: The chain's first choice.
        session: The name of its session, if it has one.
        settings: Parameters that are numbers or one of a few words (`temperature`, `max_tokens`,
            `seed`, `reasoning_effort`, …) by OpenAI's names; never texts of the user's.
        request: Prompt and all parameters; only for sinks with `wants_content`, else `None`.

    Example:
        >>> CallStarted(chain="chat", call=7, stream=False, endpoint="openai/gpt-6-luna")
    """

    chain: str
    call: int
    stream: bool
    operation: Literal["chat", "embeddings"] = "chat"
    endpoint: str = ""
    vendor: str = ""
    model: str = ""
    session: str = ""
    settings: Mapping[str, int | float | str] = _NOTHING
    request: Request | None = field(default=None, repr=False)


@frozen(kw_only=True)
class AttemptStarted:
    """A request is about to be sent to an endpoint.

    Attributes:
        forced: It is sent although the endpoint's breaker is open, because nothing else was left.
        number: Its place in the ledger, from 1; what was skipped has a place too.
        vendor, model: Whose, and which model is asked.
        host, port: Where it is sent; empty and 0 for a function of the user's.
        breaker: State of the endpoint's breaker: `"closed"`, `"half_open"` (this is the probe) or
            `"open"`.

    Example:
        >>> AttemptStarted(chain="chat", call=7, endpoint="openai/gpt-6-luna", forced=False)
    """

    chain: str
    call: int
    endpoint: str
    forced: bool
    number: int = 1
    vendor: str = ""
    model: str = ""
    host: str = ""
    port: int = 0
    breaker: str = "closed"


@frozen(kw_only=True)
class AttemptEnded:
    """An attempt has its outcome; also emitted for one that was skipped.

    Attributes:
        attempt: Its entry in the ledger.
        number: Its place there, from 1.

    Example:
        >>> event.attempt.outcome, event.attempt.duration_s
        ('failed', 0.12)
    """

    chain: str
    call: int
    attempt: Attempt
    number: int = 1


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
class FallbackRateRose:
    """More calls fall back than usual: the early warning, given once.

    Attributes:
        ratio: Share of the calls of the last `over_s` seconds that fell back.
        usual_ratio: Share of those before; 0 if there were too few to tell.
        calls, fallbacks: How many that are.
        by_error: How many fell back for which kind of failure, the most frequent first.
        by_endpoint: How many moved on from which endpoint, the most frequent first.

    Example:
        >>> event.ratio, event.usual_ratio, event.by_error
        (0.34, 0.004, {'Overloaded': 30, 'TimedOut': 11})
    """

    chain: str
    ratio: float
    usual_ratio: float
    calls: int
    fallbacks: int
    over_s: float
    by_error: Mapping[str, int]
    by_endpoint: Mapping[str, int]


@frozen(kw_only=True)
class FallbackRateFell:
    """The fallback rate that had risen is low again, or nobody counts any more.

    Attributes:
        ratio: Share of the latest calls that fell back.
        lasted_s: Seconds since it rose.
        withdrawn: Whether the warning is taken back only because the chain was closed, or its early
            warning was given other settings.

    Example:
        >>> event.ratio, event.lasted_s
        (0.01, 312.5)
    """

    chain: str
    ratio: float
    lasted_s: float
    withdrawn: bool = False


@frozen(kw_only=True)
class CallEnded:
    """A call ended.

    Attributes:
        report: How it went, the ledger included; also for a cancelled call.
        outcome: `"answered"`, `"failed"`, or `"cancelled"` (by the caller, who may also just have
            left a stream early).
        error: What was raised, if it failed.
        id, model: What the provider called the answer and the model; empty where there is none.
        finish_reasons: One for each choice of the answer.
        reply: The answer; only for sinks with `wants_content`, else `None`.

    Example:
        >>> event.outcome, event.report.duration_s
        ('answered', 0.84)
    """

    chain: str
    call: int
    report: Report
    outcome: str
    error: Exception | None = None
    id: str = ""
    model: str = ""
    finish_reasons: tuple[str, ...] = ()
    reply: Reply | None = field(default=None, repr=False)


Event = (
    CallStarted
    | AttemptStarted
    | AttemptEnded
    | FailedOver
    | StreamResumed
    | BreakerMoved
    | FallbackRateRose
    | FallbackRateFell
    | CallEnded
)


class EventSink(Protocol):
    """Is told of every event, in order; a plain function of one argument will do.

    It runs in a thread of its own, so that it may block without delaying a call, in the context of the
    call (its context variables).  If it is more than 10,000 events behind, newer ones are dropped and
    counted.  `aclose` of the chain waits for it, a second at most.  What it raises is logged once and
    changes nothing.

    Two attributes change that, where it has them:

    - `inline = True`: it is quick and never waits.  It is called at once, in the caller's task.
    - `wants_content = True`: it is also given prompts and answers.

    Example:
        >>> chain = fallbackio.Chain(["openai/gpt-6-luna"], sinks=[print])
    """

    def __call__(self, event: Event, /) -> None: ...


class ChainSink(Protocol):
    """Makes a sink for each chain it is given to; calls are numbered anew in each.

    Example:
        >>> metrics = PrometheusSink()
        >>> chat = fallbackio.Chain(["openai/gpt-6-sol"], sinks=[metrics], name="chat")
        >>> cheap = fallbackio.Chain(["openai/gpt-6-luna"], sinks=[metrics], name="cheap")
    """

    def for_chain(self, chain: str, /) -> EventSink:
        """The sink for the chain of this name; asked once, when the chain is built."""
        ...


def without_content(event: Event) -> Event:
    """The event without prompt and answer, for whoever has not asked for them.

    Example:
        >>> without_content(started).request is None
        True
    """
    if isinstance(event, CallStarted) and event.request is not None:
        return attrs.evolve(event, request=None)
    if isinstance(event, CallEnded) and event.reply is not None:
        return attrs.evolve(event, reply=None)
    return event
