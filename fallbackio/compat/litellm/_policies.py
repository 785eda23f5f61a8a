"""LiteLLM's policies of retries and cooldowns, as values and as a breaker's settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import frozen

from fallbackio.breaker import BreakerPolicy

__all__ = ["AllowedFailsPolicy", "RetryPolicy", "breaker_of", "numbers_of"]

# So many failures in a row that no breaker opens by them.
_NEVER = 10**9


@frozen(kw_only=True)
class RetryPolicy:
    """How often calls are repeated, by the kind of failure; the largest number counts for all of them.

    Example:
        >>> Router(model_list=deployments, retry_policy=RetryPolicy(TimeoutErrorRetries=2))
    """

    BadRequestErrorRetries: int | None = None
    AuthenticationErrorRetries: int | None = None
    TimeoutErrorRetries: int | None = None
    RateLimitErrorRetries: int | None = None
    ContentPolicyViolationErrorRetries: int | None = None
    InternalServerErrorRetries: int | None = None


@frozen(kw_only=True)
class AllowedFailsPolicy:
    """How many failures a deployment may have, by their kind; the smallest number counts for all of them.

    Example:
        >>> policy = AllowedFailsPolicy(TimeoutErrorAllowedFails=3)
        >>> Router(model_list=deployments, allowed_fails_policy=policy)
    """

    BadRequestErrorAllowedFails: int | None = None
    AuthenticationErrorAllowedFails: int | None = None
    TimeoutErrorAllowedFails: int | None = None
    RateLimitErrorAllowedFails: int | None = None
    ContentPolicyViolationErrorAllowedFails: int | None = None
    InternalServerErrorAllowedFails: int | None = None


def numbers_of(policy: object) -> list[int]:
    """The numbers in a policy of LiteLLM's: ours, theirs, or a dict."""
    if policy is None:
        return []
    if isinstance(policy, Mapping):
        values = list(policy.values())
    else:
        names = [name for name in dir(policy) if name.endswith(("Retries", "AllowedFails"))]
        values = [getattr(policy, name) for name in names]
    return [int(value) for value in values if value is not None]


def breaker_of(settings: Mapping[str, Any]) -> BreakerPolicy:
    """The breaker for `allowed_fails`, `allowed_fails_policy`, `cooldown_time` and `disable_cooldowns`.

    Example:
        >>> breaker_of({"allowed_fails": 2, "cooldown_time": 30}).consecutive
        3
    """
    usual = BreakerPolicy()
    cooldown_s = float(settings.get("cooldown_time", usual.open_s))
    open_s, max_open_s = max(cooldown_s, 0.001), max(cooldown_s, usual.max_open_s)
    # Without a time to cool down there is nothing that an open circuit could wait for.
    if settings.get("disable_cooldowns") or cooldown_s <= 0:
        return BreakerPolicy(consecutive=_NEVER, rates=(), open_s=open_s, max_open_s=max_open_s)
    allowed = numbers_of(settings.get("allowed_fails_policy")) or numbers_of(
        {"allowed_fails": settings.get("allowed_fails")}
    )
    if not allowed:
        return BreakerPolicy(open_s=open_s, max_open_s=max_open_s)
    # So many are allowed, however seldom they come.
    return BreakerPolicy(
        consecutive=min(allowed) + 1, sparse_after_s=None, open_s=open_s, max_open_s=max_open_s
    )
