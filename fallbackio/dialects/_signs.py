"""Errors of vendors that give a status and a text but no code: which words mean what.

A status decides by itself unless a sign says more: words of a message, at the statuses that may carry
them.  Both directions read the same table, so that what a server side writes is what a client side
hears.  The odd rule: an `InvalidRequest` by its words is one for this endpoint only, since what a
vendor has special words for is what it, or this model of it, cannot do.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from attrs import frozen

from fallbackio.dialects._limits import retry_after, should_retry
from fallbackio.errors import (
    AttemptError,
    AuthFailed,
    BadAnswer,
    ConnectionFailed,
    ContentFiltered,
    ContextTooLong,
    InvalidRequest,
    ModelNotFound,
    Overloaded,
    QuotaExhausted,
    RateLimited,
    Refused,
    ServerFault,
    TimedOut,
    by_status,
)

__all__ = ["Sign", "failure_of", "in_band_of", "sign", "status_of", "worded"]


@frozen
class Sign:
    """Words of a message that say more than its status.

    Attributes:
        words: What to look for.
        kind: What it means.
        statuses: Where it counts; `None` is in-band, after a 200.
        phrase: What a server side says for such an error.
    """

    words: re.Pattern[str]
    kind: type[AttemptError]
    statuses: frozenset[int | None]
    phrase: str


def sign(words: str, kind: type[AttemptError], phrase: str, *statuses: int | None) -> Sign:
    """A sign from a pattern, whose letters count in either case."""
    return Sign(re.compile(words, re.IGNORECASE), kind, frozenset(statuses), phrase)


# A wait is believed of those who ask for patience; the others do not get better by waiting.
_PASSING = (RateLimited, Overloaded, ServerFault, QuotaExhausted)

# The status for an error of ours that has none of its own.
_STATUS: Mapping[type[AttemptError], int] = MappingProxyType(
    {
        AuthFailed: 401,
        BadAnswer: 500,
        ConnectionFailed: 502,
        ContentFiltered: 451,
        ContextTooLong: 400,
        InvalidRequest: 400,
        ModelNotFound: 404,
        Overloaded: 503,
        QuotaExhausted: 402,
        RateLimited: 429,
        Refused: 503,
        ServerFault: 500,
        TimedOut: 504,
    }
)


def failure_of(message: str, status: int, headers: Mapping[str, str], signs: Sequence[Sign]) -> AttemptError:
    """The error that a failing status with this message stands for; the first sign that fits decides."""
    error = _made(message, status, signs) or by_status(status)(message)
    error.status = status
    error.should_retry = should_retry(headers)
    if isinstance(error, _PASSING):
        error.retry_after_s = retry_after(headers, message)
    return error


def in_band_of(message: str, signs: Sequence[Sign]) -> AttemptError:
    """The error that a message inside a 200 stands for."""
    return _made(message, None, signs) or ServerFault(message)


def _made(message: str, status: int | None, signs: Sequence[Sign]) -> AttemptError | None:
    for known in signs:
        if status in known.statuses and known.words.search(message):
            break
    else:
        return None
    if known.kind is InvalidRequest:
        return InvalidRequest(message, everywhere=False)
    return known.kind(message)


def status_of(error: AttemptError, others: Mapping[type[AttemptError], int]) -> int:
    """The status for an error of ours: its own if it has one that fails, else its class's.

    `others` are those of a vendor's own.
    """
    if error.status is not None and error.status >= 400:
        return error.status
    return others.get(type(error)) or _STATUS.get(type(error), 500)


def worded(error: AttemptError, signs: Sequence[Sign]) -> str:
    """What a server side says for an error of ours, with the words that tell it from others."""
    known = next((known for known in signs if known.kind is type(error)), None)
    if known is None or (isinstance(error, InvalidRequest) and error.everywhere):
        return error.message or error.summary
    if error.message and known.words.search(error.message):
        return error.message
    return f"{known.phrase}: {error.message}" if error.message else known.phrase
