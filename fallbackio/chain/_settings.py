"""How a chain waits, repeats and gives up: frozen settings, all durations in seconds."""

from __future__ import annotations

import math
from typing import Any, Literal

from attrs import Attribute, field, frozen

from fallbackio._checks import count, is_number, is_whole, limit, ratio, seconds
from fallbackio.errors import ConfigError

# A wait that doubles does so no more often: no float holds 1,100 of them, and a call may have as many tries.
MOST_DOUBLINGS = 64

OnBreak = Literal["continue", "restart", "raise"]

__all__ = ["MOST_DOUBLINGS", "Delivery", "Limits", "OnBreak", "RetryPolicy"]


def limit_or_adaptive(instance: object, attribute: Attribute[Any], value: object) -> None:
    """As `limit`, or the word "adaptive"."""
    if value != "adaptive":
        limit(instance, attribute, value)


def rate(instance: object, attribute: Attribute[Any], value: object) -> None:
    """Two numbers over 0, characters per second and seconds, or `None`."""
    if value is None:
        return
    pair = value if isinstance(value, tuple) and len(value) == 2 else ()
    if not pair or not all(is_number(number) and number > 0 for number in pair):
        raise ConfigError(
            f"{attribute.name} must be (chars_per_s, over_s), two numbers over 0, or None; not {value!r}"
        )


def on_break(instance: object, attribute: Attribute[Any], value: object) -> None:
    """One of the three words, or "continue" and what to do where that is impossible."""
    words = (value,) if isinstance(value, str) else value
    known = ("continue", "restart", "raise")
    if not isinstance(words, tuple) or not words or any(word not in known for word in words):
        raise ConfigError(
            f"{attribute.name} must be 'continue', 'restart' or 'raise', or a tuple such as "
            f"('continue', 'restart'); not {value!r}"
        )


def commit_point(instance: object, attribute: Attribute[Any], value: object) -> None:
    """A word, or a number of characters over 0."""
    chars = is_whole(value) and value > 0
    if value not in ("first_content", "complete") and not chars:
        raise ConfigError(
            f"{attribute.name} must be 'first_content', 'complete' or a number of characters; not {value!r}"
        )


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
        min_rate: `(chars_per_s, over_s)`: fewer characters of content than that, over so many
            seconds of waiting, count as a stall.
        max_retries: Repeats of endpoints already tried, in all; a number, not seconds.
    """

    timeout: float | None = field(default=300.0, validator=limit)
    attempt_timeout: float | None = field(default=60.0, validator=limit)
    ttft_timeout: float | Literal["adaptive"] | None = field(default=None, validator=limit_or_adaptive)
    idle_timeout: float | None = field(default=30.0, validator=limit)
    connect_timeout: float | None = field(default=10.0, validator=limit)
    min_rate: tuple[float, float] | None = field(default=None, validator=rate)
    max_retries: int = field(default=2, validator=count)


@frozen(kw_only=True)
class Delivery:
    """When a streamed answer is committed, and what happens if it breaks after that.

    Attributes:
        commit: `"first_content"`, a number of characters, or `"complete"`: how much of an answer has
            to be there before any of it is delivered.
        on_break: `"continue"`, `"restart"` or `"raise"`, or a tuple of them in order of preference;
            after the last comes `"raise"`.
    """

    commit: int | Literal["first_content", "complete"] = field(
        default="first_content", validator=commit_point
    )
    on_break: OnBreak | tuple[OnBreak, ...] = field(default="continue", validator=on_break)

    @property
    def chars(self) -> float:
        """How many characters have to be there; infinite for the whole answer."""
        if self.commit == "complete":
            return math.inf
        return 0 if self.commit == "first_content" else self.commit

    @property
    def remedies(self) -> tuple[OnBreak, ...]:
        """What to try when an answer breaks, in order."""
        return (self.on_break,) if isinstance(self.on_break, str) else self.on_break


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
