"""What an error of Azure's means, beyond what OpenAI's dialect reads out of it.

Azure puts the status in place of the code and says what is wrong in words only, so the words decide
here.  Mistakes in the set-up get the mend added to their message, because the wording does not tell
the wrong key from the wrong resource.  Reading never fails.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from attrs import frozen

from fallbackio.dialects.openai import _errors as openai_errors
from fallbackio.errors import (
    AttemptError,
    AuthFailed,
    InvalidRequest,
    ModelNotFound,
    Overloaded,
    QuotaExhausted,
    by_status,
)

__all__ = ["failure"]


@frozen
class _Sign:
    """What an error with this status and these words (or this code) is, and what to do about it."""

    statuses: tuple[int, ...]
    words: re.Pattern[str]
    kind: type[AttemptError]
    mend: str


def _sign(status: int | tuple[int, ...], words: str, kind: type[AttemptError], mend: str = "") -> _Sign:
    statuses = status if isinstance(status, tuple) else (status,)
    return _Sign(statuses, re.compile(words, re.IGNORECASE), kind, mend)


# The first that fits counts.
_SIGNS = (
    _sign(
        404,
        r"DeploymentNotFound|deployment .{0,60}does not exist",
        ModelNotFound,
        "the endpoint's model must be the name of a deployment of this resource, not the model's own; a new "
        "one takes up to five minutes to be found",
    ),
    _sign(
        (400, 404),
        r"api.version",
        ModelNotFound,
        "base_url has an api-version that this resource does not know; take the v1 path (…/openai/v1) or "
        "?api-version=2024-10-21",
    ),
    _sign(
        404,
        r"resource not found|^404$",
        ModelNotFound,
        "no such path: base_url must be https://RESOURCE.openai.azure.com/openai/v1, or the resource with "
        "?api-version=2024-10-21",
    ),
    _sign(
        401,
        r"token.{0,40}expired|expired.{0,40}token|lifetime validation",
        AuthFailed,
        "the Entra token has expired; give the endpoint token= a function that gets a new one",
    ),
    _sign(
        401,
        r"audience|invalid.{0,20}token|access token",
        AuthFailed,
        "the Entra token is missing, has expired or is not for this resource; give the endpoint token= a "
        "function that gets a new one, with the scope https://cognitiveservices.azure.com/.default",
    ),
    _sign(
        401,
        r"",
        AuthFailed,
        "the key must belong to the resource in base_url (a key of another resource or region is refused in "
        "the same words); an Entra token goes into token=, not api_key",
    ),
    _sign(
        403,
        r"virtual network|firewall|public access|private endpoint",
        AuthFailed,
        "the resource's network rules do not let this address in",
    ),
    _sign(403, r"call volume quota", QuotaExhausted),
    _sign(429, r"high demand|temporary rate limit", Overloaded),
    # What one deployment's model or version cannot do, the next one may.
    _sign(
        400, r"OperationNotSupported|unrecognized request argument|unsupported|not supported", InvalidRequest
    ),
)


def failure(status: int, headers: Mapping[str, str], body: bytes) -> AttemptError:
    """The error that an answer with a failing status stands for; never raises."""
    error = openai_errors.failure(status, headers, body)
    error.request_id = error.request_id or headers.get("apim-request-id") or None
    if error.retry_after_s == 0 and "retry-after" not in headers and "retry-after-ms" not in headers:
        error.retry_after_s = None  # a reset of 0 is Azure's word for unknown
    said = f"{error.code or ''} {error.message}"
    for sign in _SIGNS:
        if status in sign.statuses and sign.words.search(said):
            return _signed(error, sign)
    return error


def _signed(error: AttemptError, sign: _Sign) -> AttemptError:
    if not isinstance(error, sign.kind):
        if not _is_vague(error):
            return error  # the provider's own code has said something finer
        error = _as(sign.kind, error)
    if isinstance(error, InvalidRequest):
        error.everywhere = False
    if sign.mend:
        error.message = f"{error.message.rstrip('. ')}: {sign.mend}" if error.message else sign.mend
    return error


def _is_vague(error: AttemptError) -> bool:
    """Whether the class follows from the status alone."""
    return error.status is not None and type(error) is by_status(error.status)


def _as(kind: type[AttemptError], error: AttemptError) -> AttemptError:
    other = kind(error.message)
    other.status, other.code, other.request_id = error.status, error.code, error.request_id
    other.retry_after_s, other.should_retry = error.retry_after_s, error.should_retry
    return other
