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
from fallbackio.model import Attempt, Report
from fallbackio.observe._kinds import kind_of
from fallbackio.observe.otel._content import input_messages, output_messages
from fallbackio.observe.otel._names import Attributes, provider_of, server_of, settings_of

__all__ = ["Spans"]


@define(eq=False)
class _Call:
    """A call under way."""

    span: Span
    below: Context  # for the spans of its attempts
    common: Attributes  # of all of them
    attempts: dict[int, Span] = field(factory=dict)  # by their place in the ledger
    moved: FailedOver | None = None  # why the next attempt is made
    won: Span | None = None  # the attempt that answered; it ends when the answer's facts are known


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
                _ended(call, event)
            case FailedOver() if call := self._calls.get(event.call):
                call.moved = event
                call.span.add_event("fallbackio.failover", _failover(event))
            case StreamResumed() if call := self._calls.get(event.call):
                how: Attributes = {"fallbackio.how": event.how, "fallbackio.at_chars": event.at_chars}
                call.span.add_event("fallbackio.stream_resumed", _failover(event) | how)

    def _began(self, event: CallStarted) -> None:
        common: Attributes = {
            "gen_ai.operation.name": event.operation,
            "fallbackio.chain": self._chain,
            **settings_of(event),
        }
        if event.session:
            common["gen_ai.conversation.id"] = event.session
        wished: Attributes = {
            **common,
            "gen_ai.provider.name": provider_of(event.vendor),
            "gen_ai.request.model": event.model,
            "fallbackio.first_choice": event.endpoint,
        }
        span = self._tracer.start_span(
            f"{event.operation} {event.model}", kind=SpanKind.INTERNAL, attributes=wished
        )
        if not span.is_recording():
            return
        if event.request is not None:
            span.set_attribute("gen_ai.input.messages", input_messages(event.request.messages))
        self._calls[event.call] = _Call(span, set_span_in_context(span), common)

    def _asked(self, call: _Call, event: AttemptStarted) -> None:
        asked: Attributes = {
            **call.common,
            "gen_ai.provider.name": provider_of(event.vendor),
            "gen_ai.request.model": event.model,
            "fallbackio.endpoint": event.endpoint,
            "fallbackio.attempt.number": event.number,
            "fallbackio.attempt.forced": event.forced,
            "fallbackio.breaker.state": event.breaker,
            **server_of(event),
        }
        moved, call.moved = call.moved, None
        if moved is not None and moved.target == event.endpoint:
            asked |= _failover(moved)
        name = f"{asked['gen_ai.operation.name']} {event.model}"
        call.attempts[event.number] = self._tracer.start_span(
            name, call.below, SpanKind.CLIENT, attributes=asked
        )

    def _answered(self, call: _Call, event: AttemptEnded) -> None:
        attempt = event.attempt
        if attempt.outcome == "skipped":
            call.span.add_event("fallbackio.skipped", _skipped(event))
            return
        span = call.attempts.pop(event.number, None)
        if span is None:
            return
        span.set_attributes(_outcome(attempt))
        if attempt.outcome == "won":
            call.won = span
            return
        if attempt.outcome == "failed" and attempt.error is not None:
            span.set_status(_error(attempt.error))
        span.end()


def _ended(call: _Call, event: CallEnded) -> None:
    said = _said(event)
    if call.won is not None:
        call.won.set_attributes(said)
        call.won.end()
    for left in call.attempts.values():
        left.end()
    span = call.span
    span.set_attributes(said | _sums(event))
    if event.reply is not None:
        span.set_attribute("gen_ai.output.messages", output_messages(event.reply.choices))
    if event.error is not None:
        span.set_status(_error(event.error))
    span.end()


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


def _outcome(attempt: Attempt) -> Attributes:
    facts: Attributes = {"fallbackio.attempt.outcome": attempt.outcome}
    if attempt.error is not None:
        facts["error.type"] = kind_of(attempt.error)
        if attempt.error.code:
            facts["fallbackio.error.code"] = attempt.error.code
        if attempt.error.request_id:
            facts["fallbackio.error.request_id"] = attempt.error.request_id
    if attempt.status is not None:
        facts["http.response.status_code"] = attempt.status
    if attempt.ttft_s is not None:
        facts["gen_ai.response.time_to_first_chunk"] = attempt.ttft_s
    if attempt.cost is not None:
        facts["fallbackio.cost_usd"] = attempt.cost
        facts["fallbackio.cost_estimated"] = attempt.cost_estimated
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
    return facts


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
    facts: Attributes = {
        "fallbackio.outcome": event.outcome,
        "fallbackio.endpoint": report.endpoint,
        "fallbackio.fell_back": report.fell_back,
        "fallbackio.attempts": sum([attempt.outcome != "skipped" for attempt in report.attempts]),
        **_spent(report),
    }
    winner = report.winner
    if winner is not None:
        facts["gen_ai.provider.name"] = provider_of(winner.vendor)
    if event.error is not None:
        facts["error.type"] = kind_of(event.error)
    if report.ttft_s is not None:
        facts["gen_ai.response.time_to_first_chunk"] = report.ttft_s
    return facts


def _spent(report: Report) -> Attributes:
    usages = [attempt.usage for attempt in report.attempts if attempt.usage]
    facts: Attributes = {
        "fallbackio.usage.input_tokens": sum([usage.prompt_tokens for usage in usages]),
        "fallbackio.usage.output_tokens": sum([usage.completion_tokens for usage in usages]),
    }
    cost = report.cost
    if cost is not None:
        facts["fallbackio.cost_usd"] = cost
    return facts


def _error(error: Exception) -> Status:
    """What kind of failure it is; not its text, which may be the provider's and quote a prompt."""
    words = error.summary if isinstance(error, AttemptError) else kind_of(error)
    return Status(StatusCode.ERROR, words)
