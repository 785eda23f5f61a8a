"""How long a provider asks us to stay away.

Headers in the order in which they can be trusted: `retry-after-ms`, `retry-after`, the reset of a
window that has nothing left; the text of the message is the last resort.  What cannot be read,
negative waits and NaN count as not said; a date in the past is 0.  Nothing is capped here: what a
wait of a day means is the coordinator's business.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from attrs import frozen

from fallbackio import clock

__all__ = ["Limit", "duration", "limits_of", "retry_after", "should_retry"]

_UNITS_S = {
    "ns": 1e-9,
    "us": 1e-6,
    "µs": 1e-6,
    "μs": 1e-6,
    "ms": 1e-3,
    "s": 1.0,
    "m": 60.0,
    "h": 3600.0,
    "d": 86400.0,
}
_WORDS = {"millisecond": "ms", "second": "s", "sec": "s", "minute": "m", "min": "m", "hour": "h", "day": "d"}

_NUMBER = r"(?:[0-9]{1,18}(?:\.[0-9]{0,18})?|\.[0-9]{1,18})"
# A unit ends where its letters end: "6ms" is not six minutes, nor "5 shots" five seconds.
_UNIT = r"(?:milliseconds?|seconds?|secs?|minutes?|mins?|hours?|days?|ns|[uµμ]s|ms|s|m|h|d)(?![a-zµμ])"
_PART = re.compile(rf"({_NUMBER})\s?({_UNIT})", re.IGNORECASE)
_BARE = re.compile(_NUMBER)
_DURATION = re.compile(rf"(?:{_NUMBER}\s?{_UNIT}\s?)+", re.IGNORECASE)
_IN_TEXT = re.compile(
    rf"\b(?:try again|retry|wait)(?: again)?(?: in| after| for)? ({_DURATION.pattern})", re.IGNORECASE
)

# A window's headers: what is left of it, and when it is full again.
_WINDOWS = (
    ("x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"),
    ("x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"),
    ("x-ratelimit-remaining", "x-ratelimit-reset"),
    ("anthropic-ratelimit-requests-remaining", "anthropic-ratelimit-requests-reset"),
    ("anthropic-ratelimit-tokens-remaining", "anthropic-ratelimit-tokens-reset"),
    ("anthropic-ratelimit-input-tokens-remaining", "anthropic-ratelimit-input-tokens-reset"),
    ("anthropic-ratelimit-output-tokens-remaining", "anthropic-ratelimit-output-tokens-reset"),
)

# Vendors give a window's reset as seconds to go or as an instant; no wait is thirty years long.
_EPOCH_S = 1e9
_EPOCH_MS = 1e12


def retry_after(headers: Mapping[str, str], body_hint: str = "") -> float | None:
    """Seconds that the provider asks us to wait, `None` if it does not say.

    `headers` is looked up by lower-case names; `body_hint` is the message of the error.

    Example:
        >>> retry_after({"retry-after": "20"})
        20.0
        >>> retry_after({}, "Rate limit reached. Please try again in 6m0s.")
        360.0
    """
    for read in (_after_ms, _after, _reset):
        wait_s = read(headers)
        if wait_s is not None:
            return wait_s
    found = _IN_TEXT.search(body_hint)
    return duration(found[1]) if found else None


@frozen
class Limit:
    """One of a provider's limits: what it is, what is left of it, and when it is whole again.

    `None` where the provider does not say.  One that comes back `at_once` stays as it is until then;
    others refill all the time.
    """

    limit: float | None
    remaining: float
    reset_s: float | None
    at_once: bool = False


@frozen
class _Family:
    """How a family of vendors calls a limit, what remains of it and its reset."""

    limit: str
    remaining: str
    reset: str
    at_once: bool = False


def _openai(kind: str) -> _Family:
    return _Family(f"x-ratelimit-limit-{kind}", f"x-ratelimit-remaining-{kind}", f"x-ratelimit-reset-{kind}")


def _anthropic(kind: str) -> _Family:
    named = f"anthropic-ratelimit-{kind}"
    return _Family(f"{named}-limit", f"{named}-remaining", f"{named}-reset")


# Who counts by OpenAI's names (Azure, Groq and others) or Anthropic's refills all the time; a day, and
# the windows of those who name no kind (Together, Fireworks, xAI, OpenRouter), come back at once.
_REQUESTS = (
    _openai("requests"),
    _anthropic("requests"),
    _Family("x-ratelimit-limit-req-minute", "x-ratelimit-remaining-req-minute", ""),  # Mistral
    _Family(
        "x-ratelimit-limit-requests-day",
        "x-ratelimit-remaining-requests-day",
        "x-ratelimit-reset-requests-day",
        at_once=True,
    ),
    _Family("x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset", at_once=True),
    _Family("ratelimit-limit", "ratelimit-remaining", "ratelimit-reset", at_once=True),  # IETF, older drafts
)
_TOKENS = (
    _openai("tokens"),
    _openai("project-tokens"),
    _anthropic("tokens"),  # of all kinds the tightest
    _anthropic("input-tokens"),
    _openai("tokens-minute"),  # Cerebras; Mistral without a reset
    _Family("ratelimitbysize-limit", "ratelimitbysize-remaining", "ratelimitbysize-reset", at_once=True),
)


def limits_of(headers: Mapping[str, str]) -> tuple[Limit | None, Limit | None]:
    """The limits on requests and on tokens that an answer's headers tell of; Azure's -1 is unknown.

    Of several the one with the least left.  `headers` is looked up by lower-case names.

    Example:
        >>> limits_of({"x-ratelimit-remaining-requests": "59", "x-ratelimit-limit-requests": "60"})
        (Limit(limit=60.0, remaining=59.0, reset_s=None, at_once=False), None)
    """
    # A server that tells of no limits is asked once for all names in place of each.
    if "ratelimit" not in " ".join(headers).lower():
        return None, None
    return _tightest(headers, _REQUESTS) or _drafted(headers), _tightest(headers, _TOKENS)


def _tightest(headers: Mapping[str, str], families: Sequence[_Family]) -> Limit | None:
    found = [limit for family in families if (limit := _limit(headers, family)) is not None]
    return min(found, key=lambda limit: limit.remaining, default=None)


def _limit(headers: Mapping[str, str], family: _Family) -> Limit | None:
    left = _amount(headers.get(family.remaining))
    if left is None:
        return None
    reset_s = _window_reset(headers.get(family.reset, ""), headers)
    return Limit(_amount(headers.get(family.limit)), left, reset_s, family.at_once)


# `"default";r=50;t=30`: what remains, and for how long (IETF's draft of 2024).
_DRAFTED = re.compile(r"r=(\d{1,18})\s*;\s*t=(\d{1,9})(?!\d)")


def _drafted(headers: Mapping[str, str]) -> Limit | None:
    found = _DRAFTED.search(headers.get("ratelimit", ""))
    return None if found is None else Limit(None, float(found[1]), float(found[2]), at_once=True)


def _amount(text: str | None) -> float | None:
    return float(text) if text is not None and _BARE.fullmatch(text.strip()) else None


def should_retry(headers: Mapping[str, str]) -> bool | None:
    """What the provider says about a repeat (`x-should-retry`), `None` if nothing.

    Example:
        >>> should_retry({"x-should-retry": "false"})
        False
    """
    return {"true": True, "false": False}.get(headers.get("x-should-retry", "").strip().lower())


def duration(text: str) -> float | None:
    """Seconds of a duration as Go writes it, `None` for anything else.  A bare number is seconds.

    Example:
        >>> duration("6m0s"), duration("12ms"), duration("1h0m0.5s"), duration("2.5"), duration("soon")
        (360.0, 0.012, 3600.5, 2.5, None)
    """
    text = text.strip()
    if _BARE.fullmatch(text):
        return float(text)
    if not _DURATION.fullmatch(text):
        return None
    return math.fsum(float(number) * _seconds(unit) for number, unit in _PART.findall(text))


def _seconds(unit: str) -> float:
    unit = unit.lower()
    return _UNITS_S[_WORDS.get(unit.removesuffix("s"), unit)]


def _after_ms(headers: Mapping[str, str]) -> float | None:
    value = headers.get("retry-after-ms", "").strip()
    return float(value) / 1000 if _BARE.fullmatch(value) else None


def _after(headers: Mapping[str, str]) -> float | None:
    value = headers.get("retry-after", "")
    wait_s = duration(value)
    return wait_s if wait_s is not None else _until(_date(value), headers)


def _reset(headers: Mapping[str, str]) -> float | None:
    """The longest wait of the windows that have nothing left."""
    waits = [
        _window_reset(headers.get(reset, ""), headers)
        for remaining, reset in _WINDOWS
        if headers.get(remaining, "").strip() == "0"
    ]
    return max((wait_s for wait_s in waits if wait_s is not None), default=None)


def _window_reset(value: str, headers: Mapping[str, str]) -> float | None:
    wait_s = duration(value)
    if wait_s is None:
        return _until(_rfc3339(value), headers)
    if wait_s > _EPOCH_S:
        return _until(wait_s / 1000 if wait_s > _EPOCH_MS else wait_s, headers)
    return wait_s


def _until(instant: float | None, headers: Mapping[str, str]) -> float | None:
    """Seconds to `instant` by the provider's own clock if it tells, since ours may be off."""
    if instant is None:
        return None
    now = _date(headers.get("date", ""))
    return max(0.0, instant - (clock.wall() if now is None else now))


def _date(text: str) -> float | None:
    """Epoch seconds of an HTTP date in any of its three forms (RFC 9110, section 5.6.7)."""
    if text.count(":") != 2:
        return None
    try:
        return _epoch_s(parsedate_to_datetime(text))
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


def _rfc3339(text: str) -> float | None:
    try:
        return _epoch_s(datetime.fromisoformat(text.strip()))
    except (ValueError, OverflowError):
        return None


def _epoch_s(instant: datetime) -> float:
    return (instant if instant.tzinfo is not None else instant.replace(tzinfo=UTC)).timestamp()
