"""Who is asked next: the decisions of one call, without a single await.

A `Plan` is asked `next` and told `failed`.  It answers with an endpoint and its permit, an instant
to wait for, or nothing more to try.  All that other calls could change meanwhile (the breakers) is
looked at and acted upon within one synchronous step.

The order of preference: an endpoint not yet asked, in the order given; a repeat, or the first try
of one that is only resting, at the earliest instant that suits; last, one whose breaker is open
(once per call: all breakers open is not an error yet).
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence

from attrs import define, field, frozen

from fallbackio.breaker import Breaker, Permit
from fallbackio.chain._budget import Budget
from fallbackio.chain._latency import Latencies
from fallbackio.chain._settings import RetryPolicy
from fallbackio.chain._table import Again, Handling, Onward, handling
from fallbackio.endpoint import Endpoint, Provider
from fallbackio.errors import AttemptError, ConnectionFailed, RateLimited, Refused

__all__ = ["Send", "Leg", "Plan", "Route", "Wait"]


@frozen(eq=False)
class Route:
    """An endpoint as a chain holds it."""

    spec: Endpoint
    provider: Provider
    breaker: Breaker
    latencies: Latencies = field(factory=Latencies)  # to the first content, of streams
    durations: Latencies = field(factory=Latencies)  # of whole plain answers


@define(eq=False)
class Leg:
    """Where one endpoint stands within one call."""

    route: Route
    tries: int = 0  # requests sent to it in this call
    ready_at: float = math.inf  # once tried: when it may be asked again; infinite for never
    skipped: Refused | None = None  # set when its breaker refused it before its first try
    throttled: bool = False  # it asked for less, and an open breaker will be waited for once
    hopeless: bool = False  # it failed in a way that lasts until somebody acts
    barred: bool = False  # a failure elsewhere showed that it cannot help, or the time is too short


@frozen
class Send:
    """Send to this endpoint now; whoever gets it must settle the permit."""

    leg: Leg
    permit: Permit
    extra: bool = False  # a repeat: it spends from the chain's budget


@frozen
class Wait:
    """Nothing can be sent before this instant."""

    until: float


@define(eq=False)
class Plan:
    """The standing of all endpoints within one call, and what follows from it."""

    legs: list[Leg]
    retry: RetryPolicy
    retries_left: int
    chance: random.Random
    budget: Budget
    overrule: Callable[[AttemptError], bool | None] | None = None
    causes: list[AttemptError] = field(factory=list)  # one per failure, in order
    newly_skipped: list[Leg] = field(factory=list)  # for the ledger; whoever reads it empties it
    _insisted: Leg | None = None  # RetryPolicy.same_first: repeat here before handing over
    _forced: bool = False  # panic happens once per call
    _asked_back: list[float] = field(factory=list)  # instants at which endpoints asked to be tried again
    short_of_time: bool = False  # an endpoint was left out because it needs longer than is left

    @classmethod
    def over(
        cls,
        routes: Sequence[Route],
        retry: RetryPolicy,
        max_retries: int,
        chance: random.Random,
        budget: Budget,
        overrule: Callable[[AttemptError], bool | None] | None,
    ) -> Plan:
        """A plan over endpoints none of which has been asked."""
        return cls([Leg(route) for route in routes], retry, max_retries, chance, budget, overrule)

    def leave_out_smaller(self, tokens: int) -> None:
        """Do not ask endpoints whose window is known to be smaller than that."""
        for leg in self.legs:
            window = leg.route.spec.context_window
            if window is not None and window < tokens:
                leg.barred = True
                self._skip(leg, Refused(f"over {tokens:,} tokens do not fit into its window of {window:,}"))

    @property
    def untried(self) -> int:
        """How many endpoints could still be asked for the first time."""
        return sum(not leg.tries and not leg.barred and leg.skipped is None for leg in self.legs)

    def next(self, now: float, deadline: float) -> Send | Wait | None:
        """What to do now; `None` when nothing is left that could end before `deadline`."""
        return (
            self._insist(now, deadline)
            or self.fresh(now, deadline)
            or self._later(now, deadline)
            or self._panic()
        )

    def failed(self, leg: Leg, error: AttemptError, now: float) -> bool:
        """Take note of a failed attempt; false if it ends the call, because it fails everywhere."""
        self.causes.append(error)
        if error.retry_after_s is not None:
            self._asked_back.append(now + error.retry_after_s)
        leg.hopeless = error.needs_operator
        leg.throttled = isinstance(error, RateLimited)
        row = handling(error)
        leg.ready_at = self._ready_at(leg, error, row, now)
        self._insisted = leg if leg.tries <= self.retry.same_first and leg.ready_at < math.inf else None
        return self._goes_on(leg, error, row)

    def _goes_on(self, leg: Leg, error: AttemptError, row: Handling) -> bool:
        said = self.overrule(error) if self.overrule is not None else None
        if said is not None:
            return said
        if row.onward is Onward.LARGER:
            self._bar_smaller(leg)
            return any(not other.barred for other in self.legs)
        return row.onward is Onward.NEXT

    def _bar_smaller(self, full: Leg) -> None:
        held = full.route.spec.context_window or 0
        for leg in self.legs:
            leg.barred = leg.barred or (leg.route.spec.context_window or 0) <= held

    def _ready_at(self, leg: Leg, error: AttemptError, row: Handling, now: float) -> float:
        if row.again is Again.NEVER or error.should_retry is False:
            return math.inf
        asked = error.retry_after_s
        if asked is not None and asked > 0:
            # Never earlier than asked; a little later, so that waiting callers do not return as one.
            return now + asked * (1 + 0.1 * self.chance.random())
        unsent = isinstance(error, ConnectionFailed) and not error.sent
        if row.again is Again.UNSENT and unsent and leg.tries == 1:
            return now
        ceiling = min(self.retry.max_s, self.retry.base_s * 2 ** (leg.tries - 1))
        return now + self.chance.uniform(0, ceiling)

    def _insist(self, now: float, deadline: float) -> Send | Wait | None:
        leg = self._insisted
        if leg is None or not self._may_repeat or leg.ready_at - now > self.retry.max_s:
            return None
        if leg.ready_at > now:
            return Wait(leg.ready_at) if leg.ready_at < deadline else None
        self._insisted = None
        return self._repeat(leg)

    def fresh(self, now: float, deadline: float) -> Send | None:
        """The next endpoint that has not been asked and may be."""
        for leg in self.legs:
            if leg.tries or leg.barred or self._too_slow(leg, deadline - now):
                continue
            permit = leg.route.breaker.acquire()
            if permit is not None:
                return self._send(leg, permit)
            if leg.skipped is None:
                said = "it is resting" if leg.route.breaker.phase == "closed" else "its circuit is open"
                self._skip(leg, Refused(said, retry_after_s=leg.route.breaker.retry_in_s))
        return None

    def _too_slow(self, leg: Leg, left_s: float) -> bool:
        """Whether it could not even begin to answer in what is left, by its own median.

        The first attempt of a call is made all the same if every endpoint is too slow, because
        that is how it is found out that one has become quicker.
        """
        if left_s == math.inf or not self._needs_more(leg, left_s):
            return False
        first = not any(other.tries for other in self.legs)
        if first and all(self._needs_more(other, left_s) for other in self.legs if not other.barred):
            return False
        self.short_of_time = leg.barred = True
        typical = leg.route.latencies.median_answer() or 0.0
        self._skip(leg, Refused(f"it takes about {typical:.1f} s to begin, {left_s:.1f} s are left"))
        return True

    def _needs_more(self, leg: Leg, left_s: float) -> bool:
        typical = leg.route.latencies.median_answer()
        return typical is not None and typical > left_s

    def _skip(self, leg: Leg, refused: Refused) -> None:
        leg.skipped = refused
        self.newly_skipped.append(leg)

    def _later(self, now: float, deadline: float) -> Send | Wait | None:
        """A repeat, or the first try of an endpoint that rests; earliest first."""
        while True:
            leg = min(self.legs, key=lambda leg: self._when(leg, now), default=None)
            if leg is None:
                return None
            when = self._when(leg, now)
            if when >= deadline or when - now > self.retry.max_wait_s:
                return None
            if when > now:
                return Wait(min(when, self._next_probe(now)))
            ask = self._repeat(leg)
            if ask is not None:
                return ask
            leg.ready_at = self._after_refusal(leg, now)

    def _after_refusal(self, leg: Leg, now: float) -> float:
        """When an endpoint that was to be asked again, and that its breaker refuses, may be."""
        breaker = leg.route.breaker
        if breaker.phase == "open":
            # Throttled so often that it opened: once, its end is waited for, as a rest would be.
            # After any other failure an open breaker means that it is not worth it.
            if not leg.throttled:
                return math.inf
            leg.throttled = False
        # Else it rests for longer, because another call was sent away, or is being probed by one.
        return now + breaker.retry_in_s if breaker.retry_in_s > 0 else math.inf

    def _when(self, leg: Leg, now: float) -> float:
        """The instant from which `leg` may be asked (again); infinite for never."""
        if leg.barred:
            return math.inf
        if leg.tries:
            return leg.ready_at if self._may_repeat else math.inf
        if leg.route.breaker.phase == "closed":  # skipped, so it is resting
            return now + leg.route.breaker.retry_in_s
        return math.inf

    def _next_probe(self, now: float) -> float:
        """When the first open breaker lets its probe through: worth waking up for."""
        return min(
            (
                now + leg.route.breaker.retry_in_s
                for leg in self.legs
                if not leg.tries and not leg.barred and leg.route.breaker.retry_in_s > 0
            ),
            default=math.inf,
        )

    @property
    def _may_repeat(self) -> bool:
        return self.retries_left > 0 and self.budget.allows()

    def _repeat(self, leg: Leg) -> Send | None:
        permit = leg.route.breaker.acquire()
        if permit is None:
            return None
        again = leg.tries > 0  # not the first try of one that has rested
        self.retries_left -= again
        return self._send(leg, permit, extra=again)

    def _panic(self) -> Send | None:
        closed_to_us = [leg for leg in self.legs if not leg.tries and not leg.barred]
        if self._forced or not closed_to_us:
            return None
        self._forced = True
        leg = min(closed_to_us, key=lambda leg: leg.route.breaker.retry_in_s)
        return self._send(leg, leg.route.breaker.force())

    def _send(self, leg: Leg, permit: Permit, *, extra: bool = False) -> Send:
        leg.tries += 1
        leg.ready_at = math.inf
        return Send(leg, permit, extra)

    def retry_in_s(self, now: float) -> float | None:
        """Seconds until some endpoint may be tried again, for a caller who gives up now."""
        waits = [
            leg.route.breaker.retry_in_s
            for leg in self.legs
            if leg.route.breaker.retry_in_s > 0 and not leg.hopeless
        ]
        waits += [at - now for at in self._asked_back if at > now]
        return min(waits, default=None)
