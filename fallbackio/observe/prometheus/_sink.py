"""The sink that counts in Prometheus metrics.

Names begin with `fallbackio_` and end in base units.  Labels are the names of chains, endpoints and
vendors, outcomes, and kinds of failures: as many as are configured, never what a user or a provider
says.  The metrics are ordinary ones, not a collector's own, because only those add up over the worker
processes of a server (`PROMETHEUS_MULTIPROC_DIR`).  A metric's child is looked up once and kept, since
`labels()` costs more than counting does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from fallbackio.errors import ConfigError
from fallbackio.events import (
    AttemptEnded,
    AttemptStarted,
    BreakerMoved,
    CallEnded,
    CallStarted,
    Event,
    EventSink,
    FailedOver,
    FallbackRateFell,
    FallbackRateRose,
    StreamResumed,
)
from fallbackio.model import Attempt
from fallbackio.observe._kinds import kind_of

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

__all__ = ["PrometheusSink"]

T = TypeVar("T")

# Answers of models take from a tenth of a second to minutes; first contents from a twentieth.
DURATIONS_S = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0)
FIRST_CONTENTS_S = (0.05, 0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.5, 5.0, 10.0, 30.0)

PHASES = ("closed", "half_open", "open")


class PrometheusSink:
    """Counts calls, attempts, failovers, tokens, costs and breakers; one serves many chains.

    Args:
        registry: Where the metrics are registered; by default `prometheus_client.REGISTRY`.

    Raises:
        ConfigError: `prometheus_client` is not installed, or the registry has these metrics already.

    Example:
        >>> metrics = PrometheusSink()
        >>> steps = ["openai/gpt-6-luna", "groq/openai/gpt-oss-120b"]
        >>> chain = fallbackio.Chain(steps, sinks=[metrics], name="chat")
        >>> prometheus_client.start_http_server(9100)
    """

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        try:
            self._metrics = _Metrics(registry)
        except ModuleNotFoundError as error:
            raise ConfigError(
                "PrometheusSink needs prometheus_client: pip install 'fallbackio[prometheus]'"
            ) from error

    def for_chain(self, chain: str, /) -> EventSink:
        """The sink of one chain."""
        return _ChainMetrics(self._metrics, chain)


class _Metrics:
    """The metrics, registered."""

    def __init__(self, registry: CollectorRegistry | None) -> None:
        import prometheus_client as prometheus

        where = prometheus.REGISTRY if registry is None else registry

        def made(kind: Callable[..., T], name: str, text: str, labels: str, **more: Any) -> T:
            try:
                return kind(f"fallbackio_{name}", text, labels.split(), registry=where, **more)
            except ValueError as error:
                raise ConfigError(
                    "this registry has fallbackio's metrics already: make one PrometheusSink, and give it "
                    "to all chains"
                ) from error

        counter, gauge, histogram = prometheus.Counter, prometheus.Gauge, prometheus.Histogram
        self.calls: Counter = made(counter, "calls", "Calls that ended", "chain outcome fell_back")
        self.call_s: Histogram = made(
            histogram,
            "call_duration_seconds",
            "From a call's start to its end",
            "chain outcome",
            buckets=DURATIONS_S,
        )
        self.call_first_s: Histogram = made(
            histogram,
            "call_first_content_seconds",
            "From a call's start to the first content of its streamed answer",
            "chain",
            buckets=FIRST_CONTENTS_S,
        )
        self.calls_now: Gauge = made(
            gauge, "calls_in_progress", "Calls under way", "chain", multiprocess_mode="livesum"
        )
        self.attempts: Counter = made(
            counter,
            "attempts",
            "Attempts by outcome; kind is the error's, empty where there is none",
            "chain endpoint vendor outcome kind",
        )
        self.attempt_s: Histogram = made(
            histogram,
            "attempt_duration_seconds",
            "From an attempt's start to its outcome; without those that were never sent",
            "chain endpoint vendor outcome",
            buckets=DURATIONS_S,
        )
        self.attempt_first_s: Histogram = made(
            histogram,
            "attempt_first_content_seconds",
            "From an attempt's start to the first content of its streamed answer",
            "chain endpoint vendor",
            buckets=FIRST_CONTENTS_S,
        )
        self.attempts_now: Gauge = made(
            gauge,
            "attempts_in_progress",
            "Requests under way",
            "chain endpoint vendor",
            multiprocess_mode="livesum",
        )
        self.failovers: Counter = made(
            counter, "failovers", "Moves of a call to another endpoint", "chain origin target kind"
        )
        self.resumed: Counter = made(
            counter, "streams_resumed", "Broken streams that another endpoint went on with", "chain how"
        )
        self.tokens: Counter = made(
            counter,
            "tokens",
            "Tokens as reported; cached_input and cache_write_input are parts of input, reasoning of output",
            "chain endpoint vendor type",
        )
        self.cost: Counter = made(
            counter,
            "cost_dollars",
            "What attempts cost at endpoints whose price is given, US dollars",
            "chain endpoint vendor",
        )
        # One process's breakers are its own, so each process shows its own.
        self.breaker: Gauge = made(
            gauge,
            "breaker_state",
            "1 for the state that an endpoint's breaker is in",
            "chain endpoint state",
            multiprocess_mode="liveall",
        )
        self.breaker_moves: Counter = made(
            counter, "breaker_moves", "Moves of an endpoint's breaker into a state", "chain endpoint state"
        )
        self.risen: Gauge = made(
            gauge,
            "fallback_rate_risen",
            "1 while more calls fall back than usual",
            "chain",
            multiprocess_mode="livemax",
        )


class _ChainMetrics:
    """Counts the events of one chain."""

    inline = True

    def __init__(self, metrics: _Metrics, chain: str) -> None:
        self._metrics = metrics
        self._chain = chain
        self._endpoints: dict[str, _EndpointMetrics] = {}
        self._phases: dict[str, str] = {}  # of breakers
        self._kept: dict[tuple[str, bool], tuple[Counter, Histogram]] = {}
        self._calls_now = metrics.calls_now.labels(chain)
        self._risen = metrics.risen.labels(chain)

    def __call__(self, event: Event, /) -> None:
        # The usual ones first.
        match event:
            case AttemptStarted(endpoint=name, vendor=vendor):
                self._endpoint(name, vendor).now.inc()
            case AttemptEnded(attempt=attempt):
                self._endpoint(attempt.endpoint, attempt.vendor).ended(attempt)
            case CallStarted():
                self._calls_now.inc()
            case CallEnded():
                self._ended(event)
            case FailedOver(origin=origin, target=target, error=error):
                self._metrics.failovers.labels(self._chain, origin, target, kind_of(error)).inc()
            case BreakerMoved(endpoint=name, new=new):
                self._moved(name, new)
            case StreamResumed(how=how):
                self._metrics.resumed.labels(self._chain, how).inc()
            case FallbackRateRose():
                self._risen.set(1)
            case FallbackRateFell():
                self._risen.set(0)

    def _ended(self, event: CallEnded) -> None:
        report, fell_back = event.report, event.report.fell_back
        kept = self._kept.get((event.outcome, fell_back))
        if kept is None:
            yes = "true" if fell_back else "false"
            kept = self._kept[event.outcome, fell_back] = (
                self._metrics.calls.labels(self._chain, event.outcome, yes),
                self._metrics.call_s.labels(self._chain, event.outcome),
            )
        count, seconds = kept
        count.inc()
        seconds.observe(report.duration_s)
        if report.ttft_s is not None:
            self._metrics.call_first_s.labels(self._chain).observe(report.ttft_s)
        self._calls_now.dec()

    def _endpoint(self, name: str, vendor: str) -> _EndpointMetrics:
        known = self._endpoints.get(name)
        if known is None:
            known = self._endpoints[name] = _EndpointMetrics(self._metrics, self._chain, name, vendor)
            if name not in self._phases:  # its breaker has not moved before it was ever asked
                self._show(name, "closed")
        return known

    def _moved(self, name: str, new: str) -> None:
        self._show(name, new)
        self._metrics.breaker_moves.labels(self._chain, name, new).inc()

    def _show(self, name: str, state: str) -> None:
        self._phases[name] = state
        for phase in PHASES:
            self._metrics.breaker.labels(self._chain, name, phase).set(phase == state)


class _EndpointMetrics:
    """One endpoint's metrics, looked up."""

    def __init__(self, metrics: _Metrics, chain: str, name: str, vendor: str) -> None:
        self._metrics = metrics
        self._labels = (chain, name, vendor)
        self._kept: dict[tuple[str, str], tuple[Counter, Histogram | None]] = {}
        self.now = metrics.attempts_now.labels(*self._labels)
        self._first_s = metrics.attempt_first_s.labels(*self._labels)
        self._cost = metrics.cost.labels(*self._labels)
        self._input, self._output, self._cached, self._written, self._reasoning = [
            metrics.tokens.labels(*self._labels, kind)
            for kind in ("input", "output", "cached_input", "cache_write_input", "reasoning")
        ]

    def ended(self, attempt: Attempt) -> None:
        kind = "" if attempt.error is None else kind_of(attempt.error)
        count, seconds = self._kept.get((attempt.outcome, kind)) or self._look_up(attempt.outcome, kind)
        count.inc()
        if seconds is None:  # it was never sent
            return
        self.now.dec()
        seconds.observe(attempt.duration_s)
        if attempt.ttft_s is not None:
            self._first_s.observe(attempt.ttft_s)
        cost = attempt.cost_at_hand
        if cost:
            self._cost.inc(cost)
        usage = attempt.usage
        if usage is not None:
            self._input.inc(usage.prompt_tokens)
            self._output.inc(usage.completion_tokens)
            if usage.cached_tokens:
                self._cached.inc(usage.cached_tokens)
            if usage.cache_write_tokens:
                self._written.inc(usage.cache_write_tokens)
            if usage.reasoning_tokens:
                self._reasoning.inc(usage.reasoning_tokens)

    def _look_up(self, outcome: str, kind: str) -> tuple[Counter, Histogram | None]:
        sent = outcome != "skipped"
        found = self._kept[outcome, kind] = (
            self._metrics.attempts.labels(*self._labels, outcome, kind),
            self._metrics.attempt_s.labels(*self._labels, outcome) if sent else None,
        )
        return found
