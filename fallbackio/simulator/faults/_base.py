"""What a fault is: a plan in place of a healthy answer.

To add one: write a frozen class with a `plan`, in the file of its family, and give it a line in the
registry of `faults/__init__.py`.  Faults hold no state; what happened before is in the `Exchange`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable

from fallbackio.errors import AttemptError
from fallbackio.simulator import _checks
from fallbackio.simulator._exchange import Exchange
from fallbackio.simulator._steps import Plan

__all__ = ["Fault", "error_class", "error_class_or_none", "follow", "is_error_class", "is_fault", "problem"]


class Fault(ABC):
    """Something that goes wrong with a request.

    Example:
        >>> @attrs.frozen
        ... class Teapot(Fault):
        ...     def plan(self, exchange):
        ...         return exchange.whole(b"short and stout", status=418, content_type="text/plain")
    """

    @abstractmethod
    def plan(self, exchange: Exchange) -> Plan:
        """What the provider does with this request."""


is_fault = _checks.check("a fault", lambda value: isinstance(value, Fault))


def follow(fault: Fault | None, exchange: Exchange) -> Plan:
    """What another fault does, or health."""
    return exchange.healthy() if fault is None else fault.plan(exchange)


is_error_class = _checks.check(
    "a class of AttemptError or its name",
    lambda value: isinstance(value, type) and issubclass(value, AttemptError),
)


def error_class(given: type[AttemptError] | str) -> type[AttemptError]:
    """The class itself, or the one of that name, because JSON has only the name."""
    if not isinstance(given, str):
        return given
    known = {kind.__name__: kind for kind in _descendants(AttemptError)}
    if given not in known:
        raise _checks.nearest("error class", given, known)
    return known[given]


def error_class_or_none(given: type[AttemptError] | str | None) -> type[AttemptError] | None:
    """The same for a field that may be empty."""
    return None if given is None else error_class(given)


def _descendants(kind: type[AttemptError]) -> Iterable[type[AttemptError]]:
    for child in kind.__subclasses__():
        yield child
        yield from _descendants(child)


def problem(
    kind: type[AttemptError],
    *,
    status: int | None = None,
    code: str | None = None,
    message: str | None = None,
    retry_after_s: float | None = None,
) -> AttemptError:
    """An error with its facts; they are set afterwards because not every class takes all of them."""
    error = kind(message or "simulated: " + kind.summary)
    error.status, error.code, error.retry_after_s = status, code, retry_after_s
    return error
