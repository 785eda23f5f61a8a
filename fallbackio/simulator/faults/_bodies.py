"""Answers with a good status and a body that is not what the dialect allows."""

from __future__ import annotations

from collections.abc import Iterator

from attrs import evolve, field, frozen

from fallbackio.errors import AttemptError, Overloaded
from fallbackio.model import Choice, Delta, Message
from fallbackio.simulator import _checks
from fallbackio.simulator._exchange import Exchange
from fallbackio.simulator._steps import End, Plan, Send, Step, Wait, interrupted
from fallbackio.simulator.faults._base import Fault, error_class, is_error_class, problem

__all__ = ["EmptyChoices", "ErrorBody", "Garbage", "Html", "Huge", "InBandError", "Malformed"]

_PAGE = b"<!DOCTYPE html><html><head><title>Bad gateway</title></head><body>Bad gateway</body></html>"


@frozen
class Malformed(Fault):
    """An event that breaks the dialect's format comes after so many contents, and then the body ends.

    A plain answer is half a JSON document.

    Example:
        >>> Behaviour(fault=Malformed(after_tokens=3))
    """

    after_tokens: int = field(default=0, validator=_checks.count)

    def plan(self, exchange: Exchange) -> Plan:
        if exchange.request.stream:
            bad = Send(exchange.writer.malformed())
            return interrupted(exchange.healthy(), self.after_tokens, [bad, End()])
        body = exchange.server.write(exchange.answer.reply, exchange.request)
        return exchange.plain(body[: len(body) // 2])


@frozen
class InBandError(Fault):
    """The stream says, after a 200 and so many contents, that there was an error, and ends.

    A plain answer is the error's body with status 200.

    Attributes:
        error: What kind of error, a class or its name.
        after_tokens: Contents that come first.
        code: The provider's own code.
        message: The provider's text.

    Example:
        >>> Behaviour(fault=InBandError(Overloaded, after_tokens=3))
    """

    error: type[AttemptError] = field(default=Overloaded, converter=error_class, validator=is_error_class)
    after_tokens: int = field(default=0, validator=_checks.count)
    code: str | None = field(default=None, validator=_checks.text)
    message: str | None = field(default=None, validator=_checks.text)

    def plan(self, exchange: Exchange) -> Plan:
        error = problem(self.error, code=self.code, message=self.message)
        if exchange.request.stream:
            said = Send(exchange.writer.error(error))
            return interrupted(exchange.healthy(), self.after_tokens, [said, End()])
        return exchange.plain(exchange.failure(error)[2])


@frozen
class ErrorBody(Fault):
    """The body is an error in JSON, the status 200, at once; for a stream too, in place of its events.

    Example:
        >>> Behaviour(fault=ErrorBody(RateLimited, code="rate_limit_exceeded"))
    """

    error: type[AttemptError] = field(default=Overloaded, converter=error_class, validator=is_error_class)
    code: str | None = field(default=None, validator=_checks.text)
    message: str | None = field(default=None, validator=_checks.text)

    def plan(self, exchange: Exchange) -> Plan:
        return exchange.whole(exchange.failure(problem(self.error, code=self.code, message=self.message))[2])


@frozen
class Html(Fault):
    """A page in HTML, as proxies send it, for plain answers and streams alike, at once.

    Example:
        >>> Behaviour(fault=Html(status=502))
    """

    status: int = field(default=200, validator=_checks.status)

    def plan(self, exchange: Exchange) -> Plan:
        return exchange.whole(_PAGE, status=self.status, content_type="text/html; charset=utf-8")


@frozen
class Garbage(Fault):
    """Bytes that are neither text nor JSON, declared as what was asked for, at once.

    Attributes:
        size_bytes: How many.

    Example:
        >>> Behaviour(fault=Garbage(size_bytes=4096))
    """

    size_bytes: int = field(default=256, validator=_checks.count)

    def plan(self, exchange: Exchange) -> Plan:
        body = exchange.lots.randbytes(self.size_bytes)
        return exchange.whole(
            body, content_type="text/event-stream" if exchange.request.stream else "application/json"
        )


@frozen
class EmptyChoices(Fault):
    """An answer without a choice; a stream opens and ends without having said anything.

    Example:
        >>> Behaviour(fault=EmptyChoices())
    """

    def plan(self, exchange: Exchange) -> Plan:
        if exchange.request.stream:
            return *exchange.opening(), Wait(exchange.latency_s), End()
        empty = evolve(exchange.answer.reply, choices=())
        return exchange.plain(exchange.server.write(empty, exchange.request))


@frozen
class Huge(Fault):
    """A well-formed answer whose text has `size_bytes` bytes; in a stream it is a single event.

    Example:
        >>> Behaviour(fault=Huge(size_bytes=50_000_000))
    """

    size_bytes: int = field(
        default=50_000_000,
        validator=_checks.check(
            "a whole number of bytes from 0 to 1,000,000,000",
            lambda value: _checks.is_whole(value) and 0 <= value <= 1_000_000_000,
        ),
    )

    def plan(self, exchange: Exchange) -> Iterator[Step]:
        text = "x" * self.size_bytes
        reply = evolve(exchange.answer.reply, choices=(Choice(Message(text)),))
        if not exchange.request.stream:
            yield from exchange.plain(exchange.server.write(reply, exchange.request))
            return
        yield from exchange.opening()
        yield Wait(exchange.latency_s)
        yield Send(exchange.writer.write(Delta(text=text)), tokens=1)
        yield Send(exchange.writer.finish(reply), final=True)
        yield End()
