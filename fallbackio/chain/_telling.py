"""What a call says of itself, as events: made only when somebody listens.

No text of the user's is in them, but for sinks that ask for prompts and answers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from fallbackio.events import AttemptEnded, AttemptStarted, CallEnded, CallStarted
from fallbackio.model import Attempt, Embeddings, Reply, Report

if TYPE_CHECKING:
    # Calls and tries tell of themselves.
    from fallbackio.chain._call import Call
    from fallbackio.chain._route import Route
    from fallbackio.chain._try import Try

__all__ = ["Outcome", "attempt_ended", "attempt_started", "call_ended", "call_started"]

Outcome = Literal["answered", "failed", "cancelled"]

# Parameters that are numbers, and one that is a word of a few.  Others may be texts of the user's.
_NUMBERS = (
    "temperature",
    "top_p",
    "top_k",
    "max_tokens",
    "max_completion_tokens",
    "frequency_penalty",
    "presence_penalty",
    "seed",
    "n",
    "dimensions",
)
_EFFORTS = frozenset({"none", "minimal", "low", "medium", "high", "xhigh", "max"})


def call_started(call: Call, first: Route, session: str, operation: Literal["chat", "embeddings"]) -> None:
    """A call began; `first` is the chain's first choice."""
    spec, request = first.spec, call.request
    call.tell(
        CallStarted(
            chain=call.chain,
            call=call.number,
            stream=request.stream,
            operation=operation,
            endpoint=spec.name,
            vendor=spec.vendor,
            model=spec.model,
            session=session,
            settings=_settings(request.params) if request.params else {},
            request=request if call.tell.wants_content else None,
        )
    )


def attempt_started(call: Call, attempt: Try, number: int) -> None:
    """A request is about to be sent."""
    route = attempt.leg.route
    spec, (host, port) = route.spec, route.server
    call.tell(
        AttemptStarted(
            chain=call.chain,
            call=call.number,
            endpoint=spec.name,
            forced=attempt.forced,
            number=number,
            vendor=spec.vendor,
            model=spec.model,
            host=host,
            port=port,
            breaker=route.breaker.phase,
        )
    )


def attempt_ended(call: Call, attempt: Attempt, number: int) -> None:
    """An entry of the ledger is complete."""
    call.tell(AttemptEnded(chain=call.chain, call=call.number, attempt=attempt, number=number))


def call_ended(
    call: Call,
    outcome: Outcome,
    report: Report,
    error: Exception | None,
    answer: Reply | Embeddings | None,
) -> None:
    """A call is over."""
    reply = answer if isinstance(answer, Reply) else None
    call.tell(
        CallEnded(
            chain=call.chain,
            call=call.number,
            report=report,
            outcome=outcome,
            error=error,
            id="" if reply is None else reply.id,
            model="" if answer is None else answer.model,
            finish_reasons=() if reply is None else tuple([c.finish_reason for c in reply.choices]),
            reply=reply if call.tell.wants_content else None,
        )
    )


def _settings(params: Mapping[str, Any]) -> Mapping[str, int | float | str]:
    settings: dict[str, int | float | str] = {}
    for name in _NUMBERS:
        value = params.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool):
            settings[name] = value
    effort = params.get("reasoning_effort")
    if isinstance(effort, str) and effort in _EFFORTS:
        settings["reasoning_effort"] = effort
    return settings
