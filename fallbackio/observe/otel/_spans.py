"""One span for each call and one below it for each attempt.

An attempt's span is the client span of the conventions: it has the provider, the tokens, the error, and
what of it is ours beside them, under `fallbackio.`.  The call's span is an internal one around them: the
model wished for against the model that answered, and sums under names of our own, because a tool that
adds up `gen_ai.usage.*` over all spans would count each token twice.

A call's parent is whatever span is current where the call is made.  Nothing is made current here, since
attempts run in several tasks.  Whatever the sampler leaves out costs next to nothing.
"""

from __future__ import annotations

from attrs import define, field
from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer, set_span_in_context

from fallbackio import clock
from fallbackio.errors import AttemptError
from fallbackio.events import (
    AttemptEnded,
    AttemptStarted,
    CallEnded,
    CallStarted,
    Event,
    FailedOver,
    StreamResumed,
)
from fallbackio.model import Attempt
from fallbackio.observe._kinds import kind_of
from fallbackio.observe.otel._content import input_messages, output_messages
from fallbackio.observe.otel._names import Attributes, provider_of, settings_of

__all__ = ["Spans"]


@define(eq=False)
class _Attempt:
    """An attempt under way; its span is made when it ends, since all that it says is known then."""

    event: AttemptStarted
    began_ns: int
    moved: FailedOver | None  # why it is made
    ended_ns: int = 0
    outcome: Attempt | None = None


@define(eq=False)
class _Call:
    """A call under way."""

    span: Span
    below: Context  # for the spans of its attempts
    operation: str
    common: Attributes  # of all of them
    attempts: dict[int, _Attempt] = field(factory=dict)  # by their place in the ledger
    moved: FailedOver | None = None  # why the next attempt is made
    won: _Attempt | None = None  # its span waits for what the answer says of itself


class Spans:
    """Makes the spans of one chain."""

    def __init__(self, tracer: Tracer, chain: str) -> None:
        self._tracer = tracer
        self._chain = chain
        self._calls: dict[int, _Call] = {}

    def __call__(self, event: Event) -> None:
        match event:
            case CallStarted():
                self._began(event)
            case AttemptStarted() if call := self._calls.get(event.call):
                self._asked(call, event)
            case AttemptEnded() if call := self._calls.get(event.call):
                self._answered(call, event)
            case CallEnded() if call := self._calls.pop(event.call, None):
                self._ended(call, event)
            case FailedOver() if call := self._calls.get(event.call):
                call.moved = event
                call.span.add_event("fallbackio.failover", _failover(event))
            case StreamResumed() if call := self._calls.get(event.call):
                how: Attributes = {"fallbackio.how": event.how, "fallbackio.at_chars": event.at_chars}
                call.span.add_event("fallbackio.stream_resumed", _failover(event) | how)

    def _began(self, event: CallStarted) -> None:
        common = settings_of(event)
        if event.session:
            common["gen_ai.conversation.id"] = event.session
        wished: Attributes = {
            "gen_ai.operation.name": event.operation,
            "gen_ai.provider.name": provider_of(event.vendor),
            "gen_ai.request.model": event.model,
            "fallbackio.chain": self._chain,
            "fallbackio.first_choice": event.endpoint,
            **common,
        }
        span = self._tracer.start_span(
            f"{event.operation} {event.model}", kind=SpanKind.INTERNAL, attributes=wished
        )
        if not span.is_recording():
            return
        if event.request is not None:
            _set(span, "gen_ai.input.messages", input_messages(event.request.messages))
        self._calls[event.call] = _Call(span, set_span_in_context(span), event.operation, common)

    def _asked(self, call: _Call, event: AttemptStarted) -> None:
        moved, call.moved = call.moved, None
        why = moved if moved is not None and moved.target == event.endpoint else None
        call.attempts[event.number] = _Attempt(event, _wall_ns(), why)

    def _answered(self, call: _Call, event: AttemptEnded) -> None:
        if event.attempt.outcome == "skipped":
            call.span.add_event("fallbackio.skipped", _skipped(event))
            return
        attempt = call.attempts.pop(event.number, None)
        if attempt is None:
            return
        attempt.outcome, attempt.ended_ns = event.attempt, _wall_ns()
        if event.attempt.outcome == "won":
            call.won = attempt
        else:
            self._make(call, attempt, event.attempt)

    def _ended(self, call: _Call, event: CallEnded) -> None:
        said = _said(event)
        if call.won is not None and call.won.outcome is not None:
            self._make(call, call.won, call.won.outcome, said)
        span = call.span
        span.set_attributes(_sums(event) | said)
        if event.reply is not None:
            _set(span, "gen_ai.output.messages", output_messages(event.reply.choices))
        if event.error is not None:
            span.set_status(_error(event.error))
        span.end()

    def _make(self, call: _Call, tried: _Attempt, attempt: Attempt, said: Attributes | None = None) -> None:
        """The span of an attempt."""
        event = tried.event
        facts: Attributes = {
            "gen_ai.operation.name": call.operation,
            "gen_ai.provider.name": provider_of(event.vendor),
            "gen_ai.request.model": event.model,
            "fallbackio.endpoint": event.endpoint,
            "fallbackio.attempt.number": event.number,
            "fallbackio.attempt.outcome": attempt.outcome,
            "fallbackio.breaker.state": event.breaker,
            **call.common,
            **(said or {}),
        }
        if event.host:
            facts["server.address"] = event.host
            facts["server.port"] = event.port
        if event.forced:
            facts["fallbackio.attempt.forced"] = True
        if tried.moved is not None:
            facts |= _failover(tried.moved)
        _add_outcome(facts, attempt)
        span = self._tracer.start_span(
            f"{call.operation} {event.model}",
            call.below,
            SpanKind.CLIENT,
            attributes=facts,
            start_time=tried.began_ns,
        )
        if attempt.outcome == "failed" and attempt.error is not None:
            span.set_status(_error(attempt.error))
        span.end(tried.ended_ns)


def _wall_ns() -> int:
    return int(clock.wall() * 1e9)


def _set(span: Span, name: str, text: str | None) -> None:
    if text is not None:
        span.set_attribute(name, text)


def _failover(event: FailedOver | StreamResumed) -> Attributes:
    return {
        "fallbackio.failover.origin": event.origin,
        "fallbackio.failover.target": event.target,
        "fallbackio.failover.reason": kind_of(event.error),
    }


def _skipped(event: AttemptEnded) -> Attributes:
    error = event.attempt.error
    why = "" if error is None else error.message  # our own words
    return {
        "fallbackio.endpoint": event.attempt.endpoint,
        "fallbackio.attempt.number": event.number,
        "fallbackio.reason": why,
    }


def _add_outcome(facts: Attributes, attempt: Attempt) -> None:
    if attempt.error is not None:
        facts["error.type"] = kind_of(attempt.error)
        if attempt.status is not None:
            facts["http.response.status_code"] = attempt.status
        if attempt.error.code:
            facts["fallbackio.error.code"] = attempt.error.code
        if attempt.error.request_id:
            facts["fallbackio.error.request_id"] = attempt.error.request_id
    if attempt.ttft_s is not None:
        facts["gen_ai.response.time_to_first_chunk"] = attempt.ttft_s
    cost = attempt.cost_at_hand
    if cost is not None:
        facts["fallbackio.cost_usd"] = cost
        if attempt.cost_estimated:
            facts["fallbackio.cost_estimated"] = True
    usage = attempt.usage
    if usage:
        if usage.prompt_tokens:  # else they are the pieces of an answer that broke or was cut
            facts["gen_ai.usage.input_tokens"] = usage.prompt_tokens
        facts["gen_ai.usage.output_tokens"] = usage.completion_tokens
        if usage.cached_tokens:
            facts["gen_ai.usage.cache_read.input_tokens"] = usage.cached_tokens
        if usage.cache_write_tokens:
            facts["gen_ai.usage.cache_creation.input_tokens"] = usage.cache_write_tokens
        if usage.reasoning_tokens:
            facts["gen_ai.usage.reasoning.output_tokens"] = usage.reasoning_tokens


def _said(event: CallEnded) -> Attributes:
    """What the answer says of itself."""
    facts: Attributes = {}
    if event.model:
        facts["gen_ai.response.model"] = event.model
    if event.id:
        facts["gen_ai.response.id"] = event.id
    if event.finish_reasons:
        facts["gen_ai.response.finish_reasons"] = event.finish_reasons
    return facts


def _sums(event: CallEnded) -> Attributes:
    report = event.report
    attempts = report.attempts
    usages = [attempt.usage for attempt in attempts if attempt.usage]
    costs = [cost for attempt in attempts if (cost := attempt.cost_at_hand) is not None]
    facts: Attributes = {
        "fallbackio.outcome": event.outcome,
        "fallbackio.fell_back": report.fell_back,
        "fallbackio.attempts": len([attempt for attempt in attempts if attempt.outcome != "skipped"]),
        "fallbackio.usage.input_tokens": sum([usage.prompt_tokens for usage in usages]),
        "fallbackio.usage.output_tokens": sum([usage.completion_tokens for usage in usages]),
    }
    if costs:
        facts["fallbackio.cost_usd"] = sum(costs)
    winner = report.winner
    if winner is not None:
        facts["fallbackio.endpoint"] = winner.endpoint
        facts["gen_ai.provider.name"] = provider_of(winner.vendor)
    if event.error is not None:
        facts["error.type"] = kind_of(event.error)
    if report.ttft_s is not None:
        facts["gen_ai.response.time_to_first_chunk"] = report.ttft_s
    return facts


def _error(error: Exception) -> Status:
    """What kind of failure it is; not its text, which may be the provider's and quote a prompt."""
    words = error.summary if isinstance(error, AttemptError) else kind_of(error)
    return Status(StatusCode.ERROR, words)
