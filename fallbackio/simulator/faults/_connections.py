"""Connections that are refused, reset, cut, or accepted and then ignored."""

from __future__ import annotations

from typing import Literal

from attrs import field, frozen

from fallbackio.simulator import _checks
from fallbackio.simulator._exchange import Exchange
from fallbackio.simulator._steps import Drop, End, Plan, Wait, interrupted
from fallbackio.simulator.faults._base import Fault

__all__ = ["Cut", "Refused", "Reset", "Silence"]


@frozen
class Refused(Fault):
    """Connections are refused, because nobody listens.

    Needs an endpoint with a port of its own (`sim.add(name, own_port=True)`) and must be the
    behaviour's own fault, not one inside another.  Otherwise, and on connections that are open
    already, the request is reset.

    Example:
        >>> sim.add("primary", Behaviour(fault=Refused()), own_port=True)
    """

    def plan(self, exchange: Exchange) -> Plan:
        return (Drop(reset=True),)


@frozen
class Reset(Fault):
    """The connection is reset (TCP RST) when the request has been read, after `after_s` seconds.

    Example:
        >>> Behaviour(fault=Reset())
    """

    after_s: float = field(default=0.0, validator=_checks.seconds)

    def plan(self, exchange: Exchange) -> Plan:
        return Wait(self.after_s), Drop(reset=True)


@frozen
class Silence(Fault):
    """The request is accepted, and then nothing comes, for ever.

    Example:
        >>> Behaviour(fault=Silence())
    """

    def plan(self, exchange: Exchange) -> Plan:
        return (Wait(None),)


@frozen
class Cut(Fault):
    """The answer stops in the middle.

    A plain answer loses at least its last byte.

    Attributes:
        after_tokens: Contents that still come; of a plain answer, as large a share of its body.
        how: `"close"` closes the connection in the middle of the body; `"reset"` resets it; `"end"`
            ends the body properly but without the dialect's own end (no finish reason, no
            terminator).

    Example:
        >>> Behaviour(tokens=100, fault=Cut(after_tokens=30))
    """

    after_tokens: int = field(default=0, validator=_checks.count)
    how: Literal["close", "reset", "end"] = field(
        default="close",
        validator=_checks.check(
            '"close", "reset" or "end"',
            lambda value: isinstance(value, str) and value in ("close", "reset", "end"),
        ),
    )

    def plan(self, exchange: Exchange) -> Plan:
        by = End() if self.how == "end" else Drop(reset=self.how == "reset")
        return interrupted(exchange.healthy(), self.after_tokens, [by])
