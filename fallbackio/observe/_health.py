"""How a chain stands at an instant, as plain data: `to_dict` gives what JSON can hold.

No key, no address, no text of a provider or a user: endpoints by their names, failures by their kinds.
"""

from __future__ import annotations

from typing import Any

import attrs
from attrs import frozen

__all__ = ["BreakerHealth", "EndpointHealth", "Failure", "Health", "Limit", "Times"]


@frozen(kw_only=True)
class BreakerHealth:
    """An endpoint's breaker.

    Attributes:
        state: `"closed"`, `"open"` or `"half_open"`.
        retry_in_s: Seconds until a call may pass; 0 if it may now.
        reason: Why it moved last, in words; empty if it never has.
        calls, failures: In its window; zeros unless it is closed.

    Example:
        >>> chain.health().endpoints[0].breaker.state
        'closed'
    """

    state: str
    retry_in_s: float
    reason: str
    calls: int
    failures: int


@frozen(kw_only=True)
class Times:
    """How long an endpoint takes, over its last 512 attempts of the last ten minutes.

    Attributes:
        samples: How many there are.
        p50_s, p95_s, p99_s: Seconds that half, 95 % and 99 % of them stayed within; `None` below 20.
        usual_s: The lowest median of the last hour, which answers are held against; `None` without one.

    Example:
        >>> chain.health().endpoints[0].first_content.p95_s
        0.84
    """

    samples: int
    p50_s: float | None
    p95_s: float | None
    p99_s: float | None
    usual_s: float | None = None


@frozen(kw_only=True)
class Limit:
    """A limit of the provider's, per minute.

    Attributes:
        limit: Of requests or of tokens.
        left: What is left of it; below 0 if more was sent than there was room for.
        whole_in_s: Seconds until it is whole again, if nothing more is sent; `None` if that is not known.

    Example:
        >>> chain.health().endpoints[0].tokens.left
        148200.0
    """

    limit: float
    left: float
    whole_in_s: float | None


@frozen(kw_only=True)
class Failure:
    """The latest failure of an endpoint.

    Attributes:
        kind: The error's class.
        status: HTTP status, if there was one.
        ago_s: Seconds since.

    Example:
        >>> chain.health().endpoints[0].last_failure.kind
        'Overloaded'
    """

    kind: str
    status: int | None
    ago_s: float


@frozen(kw_only=True)
class EndpointHealth:
    """One endpoint.

    Attributes:
        in_flight: Requests under way.
        max_in_flight: Requests at once at the most, if there is such a limit.
        share: The share of its calls that it gets, less than 1 while it comes back after a recovery.
        requests, tokens: Its limits, given or learnt from the provider's headers, if any are known.
        first_content: Times to the first content of streamed answers.
        whole: Times to whole plain answers.
        last_failure: What went wrong last, if anything has.

    Example:
        >>> [(e.name, e.breaker.state, e.in_flight) for e in chain.health().endpoints]
        [('openai/gpt-6-luna', 'open', 0), ('anthropic/claude-sonnet-5-5', 'closed', 3)]
    """

    name: str
    vendor: str
    model: str
    breaker: BreakerHealth
    in_flight: int
    max_in_flight: int | None
    share: float
    requests: Limit | None
    tokens: Limit | None
    first_content: Times
    whole: Times
    last_failure: Failure | None


@frozen(kw_only=True)
class Health:
    """How a chain stands; `chain.health()` gives one.

    Attributes:
        chain: Its name.
        at: Seconds since the Unix epoch.
        endpoints: In the order of the steps.
        calls: Calls under way.
        waiting: Of them, those that wait for room.
        extras: Hedges and repeats under way.
        extras_allowed: Whether the budget has room for one more.
        fallback_ratio: Share of the calls of the last minute that fell back; `None` without calls, or
            without an early warning that counts them.  The window is the early warning's `short_s`.
        usual_fallback_ratio: The same of the hour before.
        fallback_rate_risen: Whether the early warning stands.
        events_waiting: Events on their way to sinks.
        events_dropped: Events that sinks were too slow for.

    Example:
        >>> health = chain.health()
        >>> health.calls, health.fallback_ratio
        (3, 0.02)
    """

    chain: str
    at: float
    endpoints: tuple[EndpointHealth, ...]
    calls: int
    waiting: int
    extras: int
    extras_allowed: bool
    fallback_ratio: float | None
    usual_fallback_ratio: float | None
    fallback_rate_risen: bool
    events_waiting: int
    events_dropped: int

    def to_dict(self) -> dict[str, Any]:
        """Dictionaries, lists, numbers, words and `None`.

        Example:
            >>> orjson.dumps(chain.health().to_dict())
        """
        return attrs.asdict(self) | {"endpoints": [attrs.asdict(endpoint) for endpoint in self.endpoints]}
