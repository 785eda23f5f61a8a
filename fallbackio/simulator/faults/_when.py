"""Faults that come and go: by lot, by turn, by the clock, by load.

Each holds other faults, `None` being health, and these may again be of this family.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import anyio
from attrs import field, frozen

from fallbackio.simulator import _checks
from fallbackio.simulator._exchange import Exchange
from fallbackio.simulator._steps import Enter, Plan
from fallbackio.simulator.faults._base import Fault, follow, is_fault
from fallbackio.simulator.faults._statuses import Status

__all__ = ["Capacity", "Flapping", "InTurn", "Sometimes"]


@frozen
class Sometimes(Fault):
    """A share of the requests, from 0 to 1, meets `fault`; which ones, the endpoint's seed decides.

    Example:
        >>> Behaviour(fault=Sometimes(0.05, Status(503)))
    """

    ratio: float = field(validator=_checks.share)
    fault: Fault = field(validator=is_fault)

    def plan(self, exchange: Exchange) -> Plan:
        return follow(self.fault if exchange.lots.random() < self.ratio else None, exchange)


def _turns(given: Sequence[Fault | None]) -> Sequence[Fault | None]:
    return tuple(given) if isinstance(given, list) else given


@frozen
class InTurn(Fault):
    """One fault for each request, in their order; `None` is a healthy answer.

    Attributes:
        faults: What meets the first request, the second, and so on, since the behaviour was set.
        repeat: Whether it begins anew after the last; otherwise all is healthy from then on.

    Example:
        >>> Behaviour(fault=InTurn([Status(500), None, Reset()]))
    """

    faults: Sequence[Fault | None] = field(
        converter=_turns,
        validator=_checks.check(
            "a list of faults, not empty",
            lambda value: (
                isinstance(value, tuple)
                and bool(value)
                and all(one is None or isinstance(one, Fault) for one in value)
            ),
        ),
    )
    repeat: bool = field(default=False, validator=_checks.flag)

    def plan(self, exchange: Exchange) -> Plan:
        turn = exchange.number % len(self.faults) if self.repeat else exchange.number
        return follow(self.faults[turn] if turn < len(self.faults) else None, exchange)


@frozen
class Flapping(Fault):
    """Healthy for `up_s` seconds, then `fault` for `down_s`, and so on, from when the behaviour was set.

    Example:
        >>> Behaviour(fault=Flapping(up_s=30, down_s=10, fault=Status(503)))
    """

    up_s: float = field(validator=_checks.seconds)
    down_s: float = field(validator=_checks.over_zero)
    fault: Fault = field(validator=is_fault)

    def plan(self, exchange: Exchange) -> Plan:
        up = exchange.since_s % (self.up_s + self.down_s) < self.up_s
        return follow(None if up else self.fault, exchange)


@frozen
class Capacity(Fault):
    """Only `concurrent` requests at once; those above it wait their turn or are turned away.

    Attributes:
        concurrent: How many, 1 or more.
        queue: Whether the others wait, in their order, until one has ended.
        above: What meets the others if they do not wait; by default a 429.
        fault: What meets those within the capacity.

    Example:
        >>> Behaviour(latency=1.0, fault=Capacity(4, above=Status(429, retry_after_s=2)))
        >>> Behaviour(latency=1.0, fault=Capacity(4, queue=True))
    """

    concurrent: int = field(validator=[_checks.count, _checks.over_zero])
    queue: bool = field(default=False, validator=_checks.flag)
    above: Fault = field(factory=lambda: Status(429), validator=is_fault)
    fault: Fault | None = field(default=None, validator=is_fault)

    def plan(self, exchange: Exchange) -> Plan:
        slots = exchange.slots(self.concurrent)
        if self.queue:
            return itertools.chain([Enter(slots)], follow(self.fault, exchange))
        try:
            slots.acquire_nowait()
        except anyio.WouldBlock:
            return follow(self.above, exchange)
        exchange.at_end.append(slots.release)
        return follow(self.fault, exchange)
