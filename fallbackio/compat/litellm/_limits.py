"""LiteLLM's timeouts and retries as a chain's limits.

`timeout` there bounds each attempt, in practice each wait for a byte; here it bounds the whole call, and
an attempt gets its fair share of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from fallbackio.chain import Limits, RetryPolicy
from fallbackio.compat.litellm._policies import numbers_of
from fallbackio.errors import ConfigError

__all__ = ["NUM_RETRIES", "TIMEOUT_S", "limits_of", "most_retries", "retry_of", "seconds"]

TIMEOUT_S = 600.0  # LiteLLM's own, of a call that names none
NUM_RETRIES = 2  # OpenAI's client's, which LiteLLM passes on, and its Router's


def seconds(what: str, given: object) -> float | None:
    """A limit as LiteLLM takes it: a number, a number as text, or an object such as `httpx.Timeout`.

    Raises:
        ConfigError: For anything else, or a number that is not over 0.
    """
    if given is None:
        return None
    read: Any = getattr(given, "read", given)
    try:
        limit = None if read is None else float(read)
    except (TypeError, ValueError):
        raise ConfigError(f"{what} must be a number of seconds, not {type(given).__name__}") from None
    if limit is not None and not 0 < limit < float("inf"):
        raise ConfigError(f"{what} must be a number of seconds over 0, not {given!r}")
    return limit


def limits_of(
    told: Mapping[str, Any], of_endpoints: Iterable[Mapping[str, Any]] = (), *, stream: bool
) -> Limits:
    """The limits of one call; of several endpoints' own limits the longest is every attempt's.

    Example:
        >>> limits_of({"timeout": 30, "num_retries": 3}, stream=False).max_retries
        3
    """
    whole = seconds("timeout", told.get("timeout", told.get("request_timeout")))
    quiet = seconds("stream_timeout", told.get("stream_timeout")) if stream else None
    own = [_own_limit(one, stream) for one in of_endpoints]
    # One without a limit has all the time that is left.
    longest = max((limit for limit in own if limit), default=None) if own and all(own) else None
    usual = Limits()
    return Limits(
        timeout=TIMEOUT_S if whole is None else whole,
        attempt_timeout=quiet or longest,
        idle_timeout=quiet or usual.idle_timeout,
        max_retries=_retries(told),
    )


def _own_limit(told: Mapping[str, Any], stream: bool) -> float | None:
    quiet = seconds("stream_timeout", told.get("stream_timeout")) if stream else None
    return quiet or seconds("timeout", told.get("timeout", told.get("request_timeout")))


def _retries(told: Mapping[str, Any]) -> int:
    for name in ("num_retries", "max_retries"):
        given = told.get(name)
        if given is not None:
            return _whole(name, given)
    policy = most_retries(told.get("retry_policy"))
    return NUM_RETRIES if policy is None else policy


def most_retries(policy: object) -> int | None:
    """The largest number in LiteLLM's `RetryPolicy`; `None` where it has none."""
    return max(numbers_of(policy), default=None)


def _whole(name: str, given: object) -> int:
    if isinstance(given, bool) or not isinstance(given, int | str) or not str(given).isdecimal():
        raise ConfigError(f"{name} must be a whole number, 0 or more, not {given!r}")
    return int(given)


def retry_of(retry_after: object) -> RetryPolicy:
    """How repeats wait, for LiteLLM's `retry_after`."""
    usual = RetryPolicy()
    base = 0.0 if retry_after is None else float(str(retry_after))
    return RetryPolicy(base_s=base or usual.base_s, max_s=max(usual.max_s, base))
