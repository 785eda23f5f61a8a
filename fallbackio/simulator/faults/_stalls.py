"""Answers that stand still: before the headers, before the first content, or in the middle."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Literal

from attrs import field, frozen

from fallbackio.simulator import _checks
from fallbackio.simulator._exchange import Exchange
from fallbackio.simulator._steps import Head, Plan, Send, Step, Wait, interrupted
from fallbackio.simulator.faults._base import Fault

__all__ = ["PingOnly", "RoleOnly", "Stall", "Trickle"]


@frozen
class Stall(Fault):
    """The answer stands still, for `for_s` seconds or (`None`) for ever, and then goes on.

    Attributes:
        at: `"headers"`: nothing at all comes before; `"content"`: status, headers and what opens a
            stream do; a number: so many contents do, or of a plain answer as large a share of its
            body.
        for_s: How long.

    Example:
        >>> Behaviour(fault=Stall("headers"))
        >>> Behaviour(fault=Stall(at=5, for_s=30))
    """

    at: Literal["headers", "content"] | int = field(
        default="content",
        validator=_checks.check(
            '"headers", "content" or a number of tokens',
            lambda value: value in ("headers", "content") or (_checks.is_whole(value) and value >= 0),
        ),
    )
    for_s: float | None = field(default=None, validator=_checks.seconds)

    def plan(self, exchange: Exchange) -> Plan:
        stop = Wait(self.for_s)
        if self.at == "headers":
            return itertools.chain([stop], exchange.healthy())
        after_tokens = self.at if isinstance(self.at, int) else 0
        return interrupted(exchange.healthy(), after_tokens, [stop], resume=True)


@frozen
class _KeptAlive(Fault):
    """Streams that are kept alive without ever saying anything.

    A plain answer gets line breaks in place of a body, as some providers send while they queue.
    """

    interval_s: float = field(default=1.0, validator=_checks.over_zero)

    def plan(self, exchange: Exchange) -> Iterator[Step]:
        stream = exchange.request.stream
        if stream:
            yield from exchange.opening()
        else:
            yield Head(200, {"content-type": "application/json"})
        while True:
            yield Wait(self.interval_s)
            yield Send(self._keepalive(exchange) if stream else b"\n")

    def _keepalive(self, exchange: Exchange) -> bytes:
        raise NotImplementedError


@frozen
class RoleOnly(_KeptAlive):
    """The stream's opening (OpenAI's role, Anthropic's message_start) is repeated for ever, without content.

    A plain answer gets a line break every `interval_s` seconds and never a body.

    Example:
        >>> Behaviour(fault=RoleOnly(interval_s=2))
    """

    def _keepalive(self, exchange: Exchange) -> bytes:
        return exchange.writer.start()


@frozen
class PingOnly(_KeptAlive):
    """The stream opens and is pinged every `interval_s` seconds for ever, without content.

    A plain answer gets a line break every `interval_s` seconds and never a body.

    Example:
        >>> Behaviour(fault=PingOnly(interval_s=10))
    """

    def _keepalive(self, exchange: Exchange) -> bytes:
        return exchange.writer.ping()


@frozen
class Trickle(Fault):
    """The whole answer comes, but `size_bytes` at a time, with `interval_s` seconds between.

    Example:
        >>> Behaviour(fault=Trickle(interval_s=0.05))
    """

    interval_s: float = field(default=0.01, validator=_checks.seconds)
    size_bytes: int = field(default=1, validator=[_checks.count, _checks.over_zero])

    def plan(self, exchange: Exchange) -> Iterator[Step]:
        for step in exchange.healthy():
            if not isinstance(step, Send):
                yield step
                continue
            for start in range(0, len(step.data), self.size_bytes):
                yield Wait(self.interval_s)
                yield Send(step.data[start : start + self.size_bytes])
