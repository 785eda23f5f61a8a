"""What a failure means for what comes next: DESIGN's failure table as data.

For each kind of failure: whether the same endpoint is asked again, whether the next one is, and
what its breaker learns.  The order of the rows does not matter; each class has its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import Enum, auto

from attrs import frozen

from fallbackio import errors
from fallbackio._checks import are_several
from fallbackio.breaker import Severity
from fallbackio.errors import AttemptError, ConfigError

__all__ = ["Again", "FallbackRule", "Handling", "Onward", "handling", "parse_rules"]

FallbackRule = type[AttemptError] | int | Callable[[AttemptError], bool | None]


class Again(Enum):
    """Whether a repeat at the same endpoint can help."""

    NEVER = auto()
    BACKOFF = auto()  # after a jittered wait, or Retry-After
    UNSENT = auto()  # as BACKOFF, but the first time at once if nothing was sent


class Onward(Enum):
    """Whether another endpoint can help."""

    NEXT = auto()
    LARGER = auto()  # only one with a larger context window
    RAISE = auto()


@frozen
class Handling:
    """One row of the table; `severity` is `None` where the breaker learns nothing."""

    again: Again
    onward: Onward
    severity: Severity | None


_TABLE: dict[type[AttemptError], Handling] = {
    errors.RateLimited: Handling(Again.BACKOFF, Onward.NEXT, Severity.THROTTLED),
    errors.QuotaExhausted: Handling(Again.NEVER, Onward.NEXT, Severity.FATAL),
    errors.Overloaded: Handling(Again.BACKOFF, Onward.NEXT, Severity.HARD),
    errors.ServerFault: Handling(Again.BACKOFF, Onward.NEXT, Severity.HARD),
    errors.TimedOut: Handling(Again.BACKOFF, Onward.NEXT, Severity.HARD),
    errors.ConnectionFailed: Handling(Again.UNSENT, Onward.NEXT, Severity.HARD),
    errors.BadAnswer: Handling(Again.BACKOFF, Onward.NEXT, Severity.HARD),
    errors.Rejected: Handling(Again.BACKOFF, Onward.NEXT, None),
    errors.AuthFailed: Handling(Again.NEVER, Onward.NEXT, Severity.FATAL),
    errors.ModelNotFound: Handling(Again.NEVER, Onward.NEXT, Severity.FATAL),
    errors.InvalidRequest: Handling(Again.NEVER, Onward.RAISE, None),
    errors.ContextTooLong: Handling(Again.NEVER, Onward.LARGER, None),
    errors.ContentFiltered: Handling(Again.NEVER, Onward.RAISE, None),
    errors.Refused: Handling(Again.NEVER, Onward.NEXT, None),
}

_ELSEWHERE = Handling(Again.NEVER, Onward.NEXT, None)  # InvalidRequest(everywhere=False)
_LOCAL = Handling(Again.UNSENT, Onward.NEXT, None)  # our own DNS or TLS: not the endpoint's fault


def handling(error: AttemptError) -> Handling:
    """The row for `error`, by its class or the nearest one above it."""
    if isinstance(error, errors.InvalidRequest) and not error.everywhere:
        return _ELSEWHERE
    if isinstance(error, errors.ConnectionFailed) and error.local:
        return _LOCAL
    for kind in type(error).__mro__:
        row = _TABLE.get(kind)
        if row is not None:
            return row
    return _TABLE[errors.ServerFault]


def parse_rules(
    rules: Iterable[FallbackRule] | FallbackRule,
) -> Callable[[AttemptError], bool | None] | None:
    """The user's `fallback_on` as one function: true goes on, false raises, `None` asks the table.

    A single rule is a list of one.  A string is neither, and is told so whole.
    """
    # A class may be iterable, and an enumeration of errors is.
    several: Iterable[object] = [rules] if isinstance(rules, type) or not are_several(rules) else rules
    checks = [_rule(rule) for rule in several]
    if not checks:
        return None

    def decide(error: AttemptError) -> bool | None:
        return next((said for check in checks if (said := check(error)) is not None), None)

    return decide


def _rule(rule: object) -> Callable[[AttemptError], bool | None]:
    if isinstance(rule, type):
        if not issubclass(rule, AttemptError):
            raise ConfigError(f"fallback_on takes subclasses of AttemptError, not {rule.__name__}")
        kind = rule
        return lambda error: True if isinstance(error, kind) else None
    if isinstance(rule, int) and not isinstance(rule, bool):
        if not 100 <= rule <= 599:
            raise ConfigError(f"fallback_on: {rule} is no HTTP status")
        status = rule
        return lambda error: True if error.status == status else None
    if callable(rule):
        return rule
    raise ConfigError(f"fallback_on takes error classes, HTTP statuses and functions, not {rule!r}")
