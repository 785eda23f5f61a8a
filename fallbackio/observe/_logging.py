"""The log: one warning per failover, one line per move of a breaker, an error where somebody must act.

Records carry their facts in `extra` under names beginning with `fallbackio_`, for structured logs.
The provider's own words are not logged: they may quote a prompt.
"""

from __future__ import annotations

import logging

from fallbackio.errors import AttemptError, Refused
from fallbackio.events import AttemptEnded, BreakerMoved, Event, FailedOver

__all__ = ["log_event"]

logger = logging.getLogger("fallbackio")


def log_event(event: Event) -> None:
    """Log what an operator wants to know; other events pass."""
    match event:
        case FailedOver(chain=chain, origin=origin, target=target, error=error):
            logger.warning(
                "%s: failing over from %s to %s (%s)",
                chain,
                origin,
                target,
                _facts(error),
                extra=_extra(error, chain=chain, origin=origin, target=target),
            )
        case BreakerMoved(endpoint=endpoint, new="open", reason=reason, open_s=open_s):
            logger.warning(
                "%s: circuit open for %.1f s (%s)",
                endpoint,
                open_s,
                reason,
                extra={"fallbackio_endpoint": endpoint, "fallbackio_open_s": open_s},
            )
        case BreakerMoved(endpoint=endpoint, old=old, new=new):
            logger.info("%s: circuit %s, was %s", endpoint, new, old, extra={"fallbackio_endpoint": endpoint})
        case AttemptEnded(attempt=attempt) if attempt.error is not None and attempt.error.needs_operator:
            logger.error(
                "%s: %s; this needs somebody to act",
                attempt.endpoint,
                _facts(attempt.error),
                extra=_extra(attempt.error, endpoint=attempt.endpoint),
            )


def _facts(error: AttemptError) -> str:
    facts = [error.summary]
    facts += [f"HTTP {error.status}"] if error.status is not None else []
    facts += [error.code] if error.code else []
    if isinstance(error, Refused):
        facts.append(error.message)  # our own words
    elif error.__cause__ is not None and not isinstance(error.__cause__, AttemptError):
        facts.append(type(error.__cause__).__name__)
    return ", ".join(facts)


def _extra(error: AttemptError, **facts: object) -> dict[str, object]:
    facts |= {
        "error": type(error).__name__,
        "status": error.status,
        "code": error.code,
        "request_id": error.request_id,
    }
    return {f"fallbackio_{name}": fact for name, fact in facts.items()}
