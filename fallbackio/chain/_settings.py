"""How a chain waits, repeats and gives up: frozen settings, all durations in seconds."""

from __future__ import annotations

import math
from typing import Any, Literal, TypeGuard

from attrs import Attribute, field, frozen

from fallbackio.errors import ConfigError

__all__ = ["Limits", "RetryPolicy", "count", "limit", "ratio", "seconds"]


def seconds(instance: object, attribute: Attribute[Any], value: object) -> None:
    """A finite number of seconds, 0 or more."""
    if not (is_number(value) and 0 <= value < math.inf):
        raise ConfigError(f"{attribute.name} must be a number of seconds, 0 or more, not {value!r}")


def limit(instance: object, attribute: Attribute[Any], value: object) -> None:
    """A number of seconds over 0, or `None` for no limit."""
    if value is None:
        return
    if not (is_number(value) and 0 < value < math.inf):
        raise ConfigError(
            f"{attribute.name} must be a number of seconds over 0, or None for no limit, not {value!r}"
        )


def limit_or_adaptive(instance: object, attribute: Attribute[Any], value: object) -> None:
    """As `limit`, or the word "adaptive"."""
    if value != "adaptive":
        limit(instance, attribute, value)


def count(instance: object, attribute: Attribute[Any], value: object) -> None:
    """A whole number, 0 or more."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ConfigError(f"{attribute.name} must be a whole number, 0 or more, not {value!r}")


def ratio(instance: object, attribute: Attribute[Any], value: object) -> None:
    """A share, over 0 and up to 1."""
    if not (is_number(value) and 0 < value <= 1):
        raise ConfigError(f"{attribute.name} must be a number over 0 and up to 1, not {value!r}")


def is_number(value: object) -> TypeGuard[float]:
    """Whether it is an int or a float; a bool is neither here."""
    return isinstance(value, int | float) and not isinstance(value, bool)


@frozen(kw_only=True)
class Limits:
    """The time limits of a call; `None` switches one off.

    Attributes:
        timeout: The whole call.
        attempt_timeout: One attempt: `complete` until the answer is whole, `stream` until its first
            content.
        ttft_timeout: Until the first content of an attempt; `"adaptive"` takes it from the
            endpoint's own times.
        idle_timeout: Between two contents of a streamed answer.
        connect_timeout: Until a new connection stands.
        max_retries: Repeats of endpoints already tried, in all; a number, not seconds.
    """

    timeout: float | None = field(default=300.0, validator=limit)
    attempt_timeout: float | None = field(default=60.0, validator=limit)
    ttft_timeout: float | Literal["adaptive"] | None = field(default=None, validator=limit_or_adaptive)
    idle_timeout: float | None = field(default=30.0, validator=limit)
    connect_timeout: float | None = field(default=10.0, validator=limit)
    max_retries: int = field(default=2, validator=count)


@frozen(kw_only=True)
class RetryPolicy:
    """When an endpoint that failed is asked again within one call.

    How often in all is the chain's `max_retries`.  The wait before the k-th repeat of an endpoint,
    k from 0, is drawn evenly from 0 to `min(max_s, base_s * 2**k)` ("full jitter"); what the
    provider asks for in Retry-After takes its place.

    Attributes:
        same_first: So many quick repeats on the same endpoint come before the next endpoint is
            asked; 0 hands over at once.
        base_s: See the formula.  0.5 and 8 are what the official OpenAI and Anthropic clients use.
        max_s: See the formula.
        max_wait_s: A call never sleeps longer than this at once; if all that is left is a longer
            wait, it fails and says when to come back.
        budget_ratio: Repeats of all calls of a chain together are at most this share of its calls
            over the last 10 s, or 3 at once, whichever is more; what is over it is not repeated.
            0.2 is Envoy's and Finagle's.  A hedging chain's `extra_load` takes its place.

    Raises:
        ConfigError: For a negative, infinite or NaN value.

    Example:
        >>> RetryPolicy(same_first=1, base_s=0.2)
    """

    same_first: int = field(default=0, validator=count)
    base_s: float = field(default=0.5, validator=seconds)
    max_s: float = field(default=8.0, validator=seconds)
    max_wait_s: float = field(default=60.0, validator=seconds)
    budget_ratio: float = field(default=0.2, validator=ratio)
