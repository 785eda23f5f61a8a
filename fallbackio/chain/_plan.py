"""Who is asked next: the decisions of one call, without a single await.

A `Plan` is asked `next` and told `failed`.  It answers with an endpoint and its permit, an instant
to wait for, or nothing more to try.  All that other calls could change meanwhile (the breakers) is
looked at and acted upon within one synchronous step.

The order of preference: an endpoint not yet asked, in the order given; one that was left because it is
slow; a repeat, or the first try of one that is only resting, at the earliest instant that suits; last, one
whose breaker is open (once per call: all breakers open is not an error yet).
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterable

from attrs import define, frozen

from fallbackio.breaker import Permit
from fallbackio.chain._budget import Budget
from fallbackio.chain._demand import Demand
from fallbackio.chain._legs import Leg, Legs
from fallbackio.chain._route import Turn
from fallbackio.chain._settings import MOST_DOUBLINGS, RetryPolicy
from fallbackio.chain._table import Again, Handling, Onward, handling
from fallbackio.errors import AttemptError, ConnectionFailed, RateLimited, Refused
from fallbackio.selection import Room, Taken

__all__ = ["Plan", "Send", "Wait"]


# Not frozen, because one is made for every call.
@define(eq=False)
class Send:
    """Send to this endpoint now; whoever gets it must settle the permit."""

    leg: Leg
    permit: Permit
    taken: Taken
    extra: bool = False  # a repeat: it spends from the chain's budget

    def give_back(self, now: float) -> None:
        """It is not sent after all."""
        self.permit.left()
        self.leg.route.room.leave(now, self.taken, 0.0)


@frozen
class Wait:
    """Nothing can be sent before this instant."""

    until: float
    rooms: frozenset[Room] = frozenset()  # or until there is room in one of these
    extra: bool = False  # for a repeat: it will spend from the chain's budget


class Plan:
    """The standing of all endpoints within one call, and what follows from it.

    `turns` are the endpoints in their order, `count` is how many they are.
    """

    def __init__(
        self,
        turns: Iterable[Turn],
        count: int,
        *,
        retry: RetryPolicy,
        max_retries: int,
        chance: random.Random,
        budget: Budget,
        demand: Demand,
        overrule: Callable[[AttemptError], bool | None] | None = None,
    ) -> None:
        self.legs = Legs(turns, count)
        self.retry = retry
        self.retries_left = max_retries
        self.chance = chance
        self.budget = budget
        self.demand = demand
        self.overrule = overrule
        self.causes: list[AttemptError] = []  # one per failure, in order
        self.short_of_time = False  # an endpoint was left out because it needs longer than is left
        self._insisted: Leg | None = None  # RetryPolicy.same_first: repeat here before handing over
        self._forced = False  # panic happens once per call
        self._asked_back: list[float] = []  # instants at which endpoints asked to be tried again

    @property
    def untried(self) -> int:
        """How many endpoints could still be asked for the first time."""
        return len(self.legs) - sum([leg.is_done_with for leg in self.legs.made])

    def next(self, now: float, deadline: float) -> Send | Wait | None:
        """What to do now; `None` when nothing is left that could end before `deadline`."""
        return (
            self._insist(now, deadline)
            or self.fresh(now, deadline)
            or self.late(now, deadline)
            or self._later(now, deadline)
            or self._panic(now, deadline)
        )

    def failed(self, leg: Leg, error: AttemptError, now: float) -> bool:
        """Take note of a failed attempt; false if it ends the call, because it fails everywhere."""
        self.causes.append(error)
        if error.retry_after_s is not None:
            self._asked_back.append(now + error.retry_after_s)
        leg.hopeless = error.needs_operator
        leg.throttled = isinstance(error, RateLimited)
        if leg.throttled:
            leg.rests_until = now + leg.route.breaker.policy.asked_s(error.retry_after_s)
        row = handling(error)
        leg.ready_at = self._ready_at(leg, error, row, now)
        self._insisted = leg if leg.tries <= self.retry.same_first and leg.ready_at < math.inf else None
        return self._goes_on(leg, error, row)

    def _goes_on(self, leg: Leg, error: AttemptError, row: Handling) -> bool:
        left = isinstance(error, Refused) and error.sent  # our decision, in order to go on
        said = self.overrule(error) if self.overrule is not None and not left else None
        if said is not None:
            return said
        if row.onward is Onward.LARGER:
            self._bar_smaller(leg)
            return any(not other.barred for other in self.legs)
        return row.onward is Onward.NEXT

    def _bar_smaller(self, full: Leg) -> None:
        held = full.route.spec.context_window or 0
        for leg in self.legs:
            # What adapts a conversation may well have shortened it.
            smaller = leg.route.spec.adapt is None and (leg.route.spec.context_window or 0) <= held
            leg.barred = leg.barred or leg is full or smaller

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
        ceiling = min(self.retry.max_s, self.retry.base_s * 2.0 ** min(leg.tries - 1, MOST_DOUBLINGS))
        return now + self.chance.uniform(0, ceiling)

    def _insist(self, now: float, deadline: float) -> Send | Wait | None:
        leg = self._insisted
        if leg is None or not self._may_repeat or leg.ready_at - now > self.retry.max_s:
            return None
        if leg.ready_at > now:
            return Wait(leg.ready_at, extra=True) if leg.ready_at < deadline else None
        return self._repeat(leg, now) if self._room_at(leg, now) <= now else None

    def fresh(self, now: float, deadline: float, *, beside: bool = False) -> Send | None:
        """The next endpoint that has not been asked and may be.

        One that comes back slowly is asked when all others have failed, not `beside` others.
        """
        postponed = []
        for leg in self.legs:
            if leg.postponed:
                postponed.append(leg)
            elif (send := self._first_try(leg, now, deadline)) is not None:
                return send
        if beside:
            return None
        tries = (self._first_try(leg, now, deadline) for leg in postponed)
        return next((send for send in tries if send is not None), None)

    def late(self, now: float, deadline: float) -> Send | None:
        """One whose breaker is open because it is slow: a late answer is better than a wait, or none."""
        for leg in self.legs:
            open_to_us = leg.route.breaker.slow and not (leg.tries or leg.barred)
            if open_to_us and not self._is_away(leg, now) and not self._needs_more(leg, deadline - now):
                return self._send(leg, leg.route.breaker.force(), now)
        return None

    def _is_away(self, leg: Leg, now: float) -> bool:
        """Whether it asked to be left alone in this call, or has no room."""
        return self.legs.told_off(leg, now) or self._room_at(leg, now) > now

    def has_another(self, now: float, deadline: float) -> bool:
        """Whether `fresh`, beside others, would find one; nothing is taken or noted."""
        return any(
            not (leg.tries or leg.barred or leg.postponed or leg.is_refused)
            and self._room_at(leg, now) <= now
            and not self._needs_more(leg, deadline - now)
            for leg in self.legs
        )

    def _first_try(self, leg: Leg, now: float, deadline: float) -> Send | None:
        if leg.tries or leg.barred or self._too_slow(leg, deadline - now):
            return None
        if (at := self._room_at(leg, now)) > now:
            self._skip_once(leg, "it has no room now", at - now if at < math.inf else None)
            return None
        permit = leg.route.breaker.acquire()
        if permit is not None:
            return self._send(leg, permit, now)
        said = "it is resting" if leg.route.breaker.phase == "closed" else "its circuit is open"
        self._skip_once(leg, said, leg.route.breaker.retry_in_s)
        return None

    def _skip_once(self, leg: Leg, why: str, wait_s: float | None) -> None:
        if leg.skipped is None:
            self.legs.skip(leg, Refused(why, retry_after_s=wait_s))

    def _room_at(self, leg: Leg, now: float) -> float:
        """The instant from which it has room for us; infinite until somebody's request has ended."""
        room = leg.route.room
        if room.is_open:
            return now
        return room.free_at(now, self.demand.tokens()) if self.demand.may_enter(room) else math.inf

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
        typical = leg.route.tempo.firsts.median_answer() or 0.0
        self.legs.skip(leg, Refused(f"it takes about {typical:.1f} s to begin, {left_s:.1f} s are left"))
        return True

    def _needs_more(self, leg: Leg, left_s: float) -> bool:
        typical = leg.route.tempo.firsts.median_answer()
        return typical is not None and typical > left_s

    def _later(self, now: float, deadline: float) -> Send | Wait | None:
        """A repeat, or the wait for one, or for the first try of an endpoint that rests; earliest first."""
        while True:
            leg = min(self.legs, key=lambda leg: self._when(leg, now))
            when = self._when(leg, now)
            if when > now:
                return self._wait(leg, when, now, deadline)
            ask = self._repeat(leg, now)
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

    def _wait(self, leg: Leg, when: float, now: float, deadline: float) -> Wait | None:
        """Wait for `leg`'s `when`, for room or for a probe; `None` where nothing of that is worth it.

        How long others take is not the provider's wait, so `max_wait_s` does not bound it.
        """
        until = min(when, deadline, self._next_probe(now))
        rooms = frozenset([leg.route.room for leg in self.legs if self._is_crowded(leg, now, deadline)])
        if not rooms and (when >= deadline or when - now > self.retry.max_wait_s):
            return None
        # A probe, and an endpoint that has only rested, are first attempts, and those are free.
        return Wait(until, rooms, extra=leg.tries > 0 and until == when)

    def _when(self, leg: Leg, now: float) -> float:
        """The instant from which `leg` may be asked (again); infinite for never."""
        ready_at = self._ready(leg, now)
        return ready_at if ready_at == math.inf else max(ready_at, self._room_at(leg, now))

    def _ready(self, leg: Leg, now: float) -> float:
        """The same, but for its room."""
        if leg.barred:
            return math.inf
        if leg.tries:
            return leg.ready_at if self._may_repeat else math.inf
        # Skipped, so it is resting, or full.
        return now + leg.route.breaker.retry_in_s if leg.route.breaker.phase == "closed" else math.inf

    def _is_crowded(self, leg: Leg, now: float, deadline: float) -> bool:
        """Whether nothing but other calls keeps it from being asked soon."""
        room, ready_at = leg.route.room, self._ready(leg, now)
        if room.is_open or ready_at - now > self.retry.max_wait_s:
            return False
        in_time = max(ready_at, room.opens_at(now)) < deadline
        return in_time and self._room_at(leg, now) > max(now, ready_at)

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

    def _repeat(self, leg: Leg, now: float) -> Send | None:
        permit = leg.route.breaker.acquire()
        if permit is None:
            return None
        self.retries_left -= 1
        return self._send(leg, permit, now, extra=True)

    def _panic(self, now: float, deadline: float) -> Send | Wait | None:
        untried = [leg for leg in self.legs if not leg.tries and not leg.barred]
        refused = [leg for leg in untried if leg.is_refused and not self.legs.told_off(leg, now)]
        if self._forced or not refused:
            return None
        roomy = [leg for leg in refused if self._room_at(leg, now) <= now]
        if not roomy:  # a bulkhead holds in a panic too
            free_at = min([self._room_at(leg, now) for leg in refused])
            until = min(free_at, deadline, self._next_probe(now))
            return Wait(until, frozenset([leg.route.room for leg in refused]))
        self._forced = True
        leg = min(roomy, key=lambda leg: leg.route.breaker.retry_in_s)
        return self._send(leg, leg.route.breaker.force(), now)

    def _send(self, leg: Leg, permit: Permit, now: float, *, extra: bool = False) -> Send:
        leg.tries += 1
        leg.ready_at = math.inf
        room = leg.route.room
        return Send(leg, permit, room.enter(now, 0.0 if room.is_open else self.demand.tokens()), extra)

    def retry_in_s(self, now: float) -> float | None:
        """Seconds until some endpoint may be tried again, for a caller who gives up now."""
        waits = [
            leg.route.breaker.retry_in_s
            for leg in self.legs
            if leg.route.breaker.retry_in_s > 0 and not leg.hopeless
        ]
        waits += [at - now for at in self._asked_back if at > now]
        opens = [leg.route.room.opens_at(now) for leg in self.legs if not leg.barred and not leg.hopeless]
        waits += [at - now for at in opens if now < at < math.inf]
        return min(waits, default=None)
