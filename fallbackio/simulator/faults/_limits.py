"""Limits on requests and tokens per minute, told in headers as OpenAI does."""

from __future__ import annotations

from collections.abc import Iterator

from attrs import define, field, frozen

from fallbackio.simulator import _checks
from fallbackio.simulator._exchange import Exchange
from fallbackio.simulator._steps import Head, Plan, Step
from fallbackio.simulator.faults._base import Fault, follow, is_fault
from fallbackio.simulator.faults._statuses import Status

__all__ = ["RateLimit"]

MINUTE_S = 60.0


@define(eq=False)
class _Bucket:
    """What is left of one limit; it refills evenly."""

    limit: float
    left: float
    at_s: float = 0.0

    def refill(self, now_s: float, rate: float) -> None:
        self.left = min(self.limit, self.left + rate * (now_s - self.at_s))
        self.at_s = now_s


@frozen
class RateLimit(Fault):
    """So many requests and tokens per minute; those above get a 429 that says for how long.

    Tokens are those of the prompt and of the answer, taken when the request comes in.  Every answer
    has the headers `x-ratelimit-limit-…`, `-remaining-…` and `-reset-…`, as OpenAI's have.

    Attributes:
        rpm: Requests per minute.
        tpm: Tokens per minute, or no limit.
        burst_s: For how many seconds' worth may come at once.
        headers: Whether the limits are told; a 429 always says `retry-after`.
        fault: What meets those within the limits.

    Example:
        >>> Behaviour(latency=0.5, fault=RateLimit(rpm=600, burst_s=2))
    """

    rpm: float = field(validator=_checks.over_zero)
    tpm: float | None = field(default=None, validator=_checks.over_zero)
    burst_s: float = field(default=60.0, validator=_checks.over_zero)
    headers: bool = field(default=True, validator=_checks.flag)
    fault: Fault | None = field(default=None, validator=is_fault)

    def plan(self, exchange: Exchange) -> Plan:
        needs = {"requests": (self.rpm, 1.0)}
        if self.tpm is not None:
            needs["tokens"] = (self.tpm, float(exchange.answer.reply.usage.total_tokens))
        buckets = {name: self._bucket(exchange, name, per_minute) for name, (per_minute, _) in needs.items()}
        wait_s = max(
            (need - buckets[name].left) * MINUTE_S / per_minute for name, (per_minute, need) in needs.items()
        )
        told: dict[str, str] = {}
        for name, (per_minute, need) in needs.items():
            buckets[name].left -= need if wait_s <= 0 else 0.0
            told |= _said(name, buckets[name], per_minute) if self.headers else {}
        if wait_s <= 0:
            return _with_headers(follow(self.fault, exchange), told)
        refusal = Status(429, retry_after_s=wait_s, retry_after_ms=wait_s * 1000, headers=told)
        return refusal.plan(exchange)

    def _bucket(self, exchange: Exchange, name: str, per_minute: float) -> _Bucket:
        most = max(1.0, per_minute * self.burst_s / MINUTE_S)
        bucket = exchange.memory.setdefault((id(self), name), _Bucket(most, most))
        assert isinstance(bucket, _Bucket)  # noqa: S101 - nobody else has this key
        bucket.refill(exchange.since_s, per_minute / MINUTE_S)
        return bucket


def _said(name: str, bucket: _Bucket, per_minute: float) -> dict[str, str]:
    reset_s = (bucket.limit - bucket.left) / (per_minute / MINUTE_S)
    return {
        f"x-ratelimit-limit-{name}": str(int(bucket.limit)),
        f"x-ratelimit-remaining-{name}": str(max(0, int(bucket.left))),
        f"x-ratelimit-reset-{name}": f"{reset_s * 1000:.0f}ms",
    }


def _with_headers(plan: Plan, told: dict[str, str]) -> Iterator[Step]:
    for step in plan:
        yield Head(step.status, {**step.headers, **told}, step.length) if isinstance(step, Head) else step
