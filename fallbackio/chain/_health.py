"""A chain's health, read off what its calls have left behind; looking draws no lot and moves nothing."""

from __future__ import annotations

import math

from fallbackio import clock
from fallbackio.chain._gate import Gate
from fallbackio.chain._latency import Latencies
from fallbackio.chain._line import Line
from fallbackio.chain._route import Route
from fallbackio.chain._setup import Setup
from fallbackio.errors import ConfigError
from fallbackio.observe import BreakerHealth, EndpointHealth, Failure, Fanout, Health, Limit, Times
from fallbackio.selection import Limit as Left

__all__ = ["chain_health"]


def chain_health(setup: Setup, gate: Gate, line: Line, tell: Fanout) -> Health:
    """How a chain stands now; raises `ConfigError` outside an event loop."""
    try:
        now = clock.now()
    except RuntimeError:
        raise ConfigError("health() is asked in the event loop of the chain; none runs here") from None
    ratio, usual = (None, None) if tell.rate is None else tell.rate.ratios(now)
    return Health(
        chain=setup.name,
        at=clock.wall(),
        endpoints=tuple([_endpoint_health(route, now) for route in setup.routes]),
        calls=gate.under_way,
        waiting=len(line),
        extras=setup.budget.under_way,
        extras_allowed=setup.budget.allows(),
        fallback_ratio=ratio,
        usual_fallback_ratio=usual,
        fallback_rate_risen=tell.rate is not None and tell.rate.risen,
        events_waiting=tell.waiting,
        events_dropped=tell.dropped,
    )


def _endpoint_health(route: Route, now: float) -> EndpointHealth:
    spec, breaker, room = route.spec, route.breaker, route.room
    calls, failures = breaker.recent()
    failed = route.last_failure
    requests, tokens = room.shared.tightest(now)
    return EndpointHealth(
        name=spec.name,
        vendor=spec.vendor,
        model=spec.model,
        breaker=BreakerHealth(
            state=breaker.phase,
            retry_in_s=breaker.retry_in_s,
            reason=breaker.reason,
            calls=calls,
            failures=failures,
        ),
        in_flight=room.in_flight,
        max_in_flight=None if room.most == math.inf else int(room.most),
        share=route.ramp.seen(now, breaker.recovered_at),
        requests=_limit(requests, now),
        tokens=_limit(tokens, now),
        first_content=_times(route.tempo.firsts),
        whole=_times(route.tempo.wholes),
        last_failure=Failure(kind=failed.kind, status=failed.status, ago_s=now - failed.at)
        if failed.kind
        else None,
    )


def _limit(limit: Left | None, now: float) -> Limit | None:
    if limit is None:
        return None
    whole_in_s = limit.whole_at(now) - now
    return Limit(
        limit=limit.limit,
        left=limit.left_at(now),
        whole_in_s=None if whole_in_s == math.inf else whole_in_s,
    )


def _times(latencies: Latencies) -> Times:
    p50_s, p95_s, p99_s = [latencies.quantile(q) for q in (0.5, 0.95, 0.99)]
    return Times(samples=latencies.samples, p50_s=p50_s, p95_s=p95_s, p99_s=p99_s, usual_s=latencies.usual())
