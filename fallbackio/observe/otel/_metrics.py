"""Histograms and counters: the conventions' own for attempts, ours for calls and for failing over.

`gen_ai.client.*` counts what was asked of a provider, so that times and tokens stand with the endpoint
that took them.  An attempt that we cut has no duration of its own making and is left out of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from opentelemetry.metrics import Meter

from fallbackio.events import (
    AttemptEnded,
    AttemptStarted,
    BreakerMoved,
    CallEnded,
    CallStarted,
    Event,
    FailedOver,
    FallbackRateFell,
    FallbackRateRose,
)
from fallbackio.model import Attempt
from fallbackio.observe._kinds import kind_of
from fallbackio.observe.otel._names import Attributes, provider_of

__all__ = ["Instruments", "Metrics"]

# The conventions' advice.
DURATIONS_S = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
FIRST_CHUNKS_S = (0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
TOKENS = tuple([4**power for power in range(14)])

STATES: Mapping[str, int] = MappingProxyType({"closed": 0, "half_open": 1, "open": 2})


class Instruments:
    """The instruments of one meter."""

    def __init__(self, meter: Meter) -> None:
        self.operation = meter.create_histogram(
            "gen_ai.client.operation.duration",
            "s",
            "GenAI operation duration.",
            explicit_bucket_boundaries_advisory=DURATIONS_S,
        )
        self.tokens = meter.create_histogram(
            "gen_ai.client.token.usage",
            "{token}",
            "Number of input and output tokens used.",
            explicit_bucket_boundaries_advisory=TOKENS,
        )
        self.first_chunk = meter.create_histogram(
            "gen_ai.client.operation.time_to_first_chunk",
            "s",
            "Time to receive the first chunk, from when the request is issued.",
            explicit_bucket_boundaries_advisory=FIRST_CHUNKS_S,
        )
        self.call = meter.create_histogram(
            "fallbackio.call.duration",
            "s",
            "From a call's start to its end, all attempts included.",
            explicit_bucket_boundaries_advisory=DURATIONS_S,
        )
        # The others have a duration, and so a count.
        self.without_answer = meter.create_counter(
            "fallbackio.attempts.left", "{attempt}", "Attempts that were skipped, or cut by us."
        )
        self.failovers = meter.create_counter(
            "fallbackio.failovers", "{failover}", "Moves of a call to another endpoint."
        )
        self.cost = meter.create_counter(
            "fallbackio.cost", "{USD}", "What attempts cost at endpoints whose price is given, in US dollars."
        )
        self.breaker = meter.create_gauge(
            "fallbackio.breaker.state", "1", "State of an endpoint's breaker: 0 closed, 1 half open, 2 open."
        )
        self.risen = meter.create_gauge(
            "fallbackio.fallback_rate.risen", "1", "1 while more calls fall back than usual."
        )


class Metrics:
    """Counts the events of one chain."""

    def __init__(self, instruments: Instruments, chain: str) -> None:
        self._to = instruments
        self._chain: Attributes = {"fallbackio.chain": chain}
        self._embeds: set[int] = set()  # calls under way that ask for vectors
        self._seen: set[str] = set()  # endpoints whose breaker has been shown
        self._facts: dict[tuple[str, str, str], Attributes] = {}

    def __call__(self, event: Event) -> None:
        match event:
            case AttemptStarted():
                self._asked(event)
            case AttemptEnded(attempt=attempt):
                self._answered(attempt, event.call)
            case CallStarted(operation="embeddings", call=call):
                self._embeds.add(call)
            case CallEnded(report=report):
                self._embeds.discard(event.call)
                facts: Attributes = {
                    **self._chain,
                    "fallbackio.outcome": event.outcome,
                    "fallbackio.fell_back": report.fell_back,
                }
                self._to.call.record(report.duration_s, facts)
            case FailedOver(origin=origin, target=target, error=error):
                names: Attributes = {
                    "fallbackio.failover.origin": origin,
                    "fallbackio.failover.target": target,
                    "error.type": kind_of(error),
                }
                self._to.failovers.add(1, self._chain | names)
            case BreakerMoved(endpoint=endpoint, new=new):
                self._to.breaker.set(STATES[new], self._chain | {"fallbackio.endpoint": endpoint})
            case FallbackRateRose():
                self._to.risen.set(1, self._chain)
            case FallbackRateFell():
                self._to.risen.set(0, self._chain)

    def _asked(self, event: AttemptStarted) -> None:
        if event.endpoint not in self._seen:
            self._seen.add(event.endpoint)
            self._to.breaker.set(STATES[event.breaker], self._chain | {"fallbackio.endpoint": event.endpoint})

    def _answered(self, attempt: Attempt, call: int) -> None:
        facts = self._facts_of(attempt, "embeddings" if call in self._embeds else "chat")
        if attempt.outcome in ("skipped", "cut"):
            self._to.without_answer.add(1, facts | {"fallbackio.attempt.outcome": attempt.outcome})
        elif attempt.error is None:
            self._to.operation.record(attempt.duration_s, facts)
        else:
            self._to.operation.record(attempt.duration_s, facts | {"error.type": kind_of(attempt.error)})
        if attempt.ttft_s is not None:
            self._to.first_chunk.record(attempt.ttft_s, facts)
        cost = attempt.cost_at_hand
        if cost:
            self._to.cost.add(cost, facts)
        usage = attempt.usage
        if usage is not None and usage.prompt_tokens:  # else nobody has said how many they were
            self._to.tokens.record(usage.prompt_tokens, facts | {"gen_ai.token.type": "input"})
            if usage.completion_tokens:
                self._to.tokens.record(usage.completion_tokens, facts | {"gen_ai.token.type": "output"})

    def _facts_of(self, attempt: Attempt, operation: str) -> Attributes:
        known = self._facts.get((attempt.endpoint, attempt.model, operation))
        if known is None:
            known = self._facts[attempt.endpoint, attempt.model, operation] = {
                "gen_ai.operation.name": operation,
                "gen_ai.provider.name": provider_of(attempt.vendor),
                "gen_ai.request.model": attempt.model,
                "fallbackio.endpoint": attempt.endpoint,
            }
        return known
