"""Error answers with a status of their own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from attrs import field, frozen

from fallbackio.errors import AttemptError, InvalidRequest, by_status
from fallbackio.simulator import _checks
from fallbackio.simulator._answers import is_prefilled
from fallbackio.simulator._exchange import Exchange
from fallbackio.simulator._steps import Plan, Step, Wait
from fallbackio.simulator.faults._base import (
    Fault,
    error_class_or_none,
    follow,
    is_error_class,
    is_fault,
    problem,
)

__all__ = ["NoPrefill", "Status"]


@frozen
class Status(Fault):
    """An error answer in the endpoint's own dialect, before anything of the answer was sent.

    Attributes:
        status: The HTTP status.
        error: What kind of error the body speaks of, a class or its name; by default what the status
            stands for.
        code: The provider's own code in the body.
        message: The provider's text in the body.
        retry_after_s: Seconds for the header `retry-after`.
        retry_after_ms: Milliseconds for the header `retry-after-ms`.
        headers: Further headers, by lower-case names; they replace the dialect's own.
        after_s: Seconds until it is sent.

    Example:
        >>> Behaviour(fault=Status(429, retry_after_s=20))
        >>> Behaviour(fault=Status(429, error=QuotaExhausted, code="insufficient_quota"))
    """

    status: int = field(default=500, validator=_checks.status)
    error: type[AttemptError] | None = field(
        default=None, converter=error_class_or_none, validator=is_error_class
    )
    code: str | None = field(default=None, validator=_checks.text)
    message: str | None = field(default=None, validator=_checks.text)
    retry_after_s: float | None = field(default=None, validator=_checks.seconds)
    retry_after_ms: float | None = field(default=None, validator=_checks.seconds)
    headers: Mapping[str, str] = field(factory=dict, validator=_checks.headers, hash=False)
    after_s: float = field(default=0.0, validator=_checks.seconds)

    def plan(self, exchange: Exchange) -> Iterator[Step]:
        if self.after_s:
            yield Wait(self.after_s)
        error = problem(
            self.error or by_status(self.status),
            status=self.status,
            code=self.code,
            message=self.message,
            retry_after_s=self.retry_after_s,
        )
        _, headers, body = exchange.failure(error)
        if self.retry_after_ms is not None:
            headers["retry-after-ms"] = f"{self.retry_after_ms:g}"
        yield from exchange.whole(body, status=self.status, headers={**headers, **self.headers})


@frozen
class NoPrefill(Fault):
    """A 400 for whoever asks it to go on from the beginning of an answer, as newer models send it.

    Attributes:
        fault: What meets the others.

    Example:
        >>> Behaviour(fault=NoPrefill())
    """

    fault: Fault | None = field(default=None, validator=is_fault)

    def plan(self, exchange: Exchange) -> Plan:
        if not is_prefilled(exchange.request):
            return follow(self.fault, exchange)
        said = "This model does not support assistant message prefill."
        return Status(400, error=InvalidRequest, message=said).plan(exchange)
