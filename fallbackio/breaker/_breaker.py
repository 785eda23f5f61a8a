"""The breaker: who may pass, what a result means, and for which moment.

A caller takes a permit and ends it with what came of it.  Everything is synchronous, so no decision
can be seen half made; observers hear of it afterwards.  Three rules bite in practice:

* A result belongs to the *epoch* in which its permit was taken.  Every move begins a new epoch, and
  so does every probe.  LLM calls outlast open periods, so that results from before a trip are the
  ordinary case: they give their permit back and are otherwise ignored.
* A permit that is *left* (cancelled, or the request was at fault) has taught us nothing; nor has one
  that was *beaten* by a quicker one, but then a probe's successor waits.
* Closed does not mean free: after a 429 with `Retry-After`, its own or that of another endpoint that shares
  its limits, a closed breaker *rests*.

One event loop only; not for threads.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Coroutine
from datetime import timedelta
from functools import partial
from inspect import iscoroutinefunction
from math import inf
from typing import Any, ParamSpec, TypeVar

from fallbackio._window import Window
from fallbackio.breaker._aiobreaker import Circuit, CircuitOpen, State
from fallbackio.breaker._outbox import Waiting
from fallbackio.breaker._permit import Permit
from fallbackio.breaker._policy import BreakerPolicy
from fallbackio.breaker._rules import IN_RATE, IN_RUN, NO_RUN, Backoff, Severity, verdict
from fallbackio.breaker._table import PHASES, TRANSITIONS, BreakerPhase, Signal
from fallbackio.clock import Clock, now
from fallbackio.clock import chance as new_chance
from fallbackio.errors import Refused
from fallbackio.events import BreakerMoved

__all__ = ["Breaker"]

P = ParamSpec("P")
T = TypeVar("T")

# What `retry_in_s` says while the probe is out.  Nobody knows when it returns; less would have
# waiting callers spin.
_ASK_AGAIN_S = 0.1

_DEFAULT = BreakerPolicy()


class Breaker(Circuit):
    """Watches one endpoint and says when to leave it alone.

    *Closed*, everybody passes.  It opens on a run of hard failures or slow answers, on a failure ratio,
    or on one fatal failure; see `BreakerPolicy`.  *Open*, nobody passes until the open period is over.  The
    first to ask after that becomes the probe and the breaker is *half open*: others are refused
    until the probe answered (closed, with an empty window), failed (open, for longer), left (the
    next to ask becomes the probe) or was beaten in a race (the same, but only after `open_s`).

    It is an `aiobreaker.CircuitBreaker`: `name`, listeners, excluded exceptions, `call_async` and
    the decorator for async functions work.  Listeners hear `success` and `failure` of every permit,
    then the `state_change` it caused; `before_call` they hear of `call_async` only, since a permit
    knows no function.  What a listener raises is logged once and changes nothing.

    Args:
        name: What logs and events call it.
        policy: When it opens and for how long; nothing is shared between breakers.
        clock: Where it reads the time, in seconds; by default the running loop's.
        chance: Where it draws jitter.
        on_move: Called with every `BreakerMoved`, after the listeners.

    Attributes:
        policy: As given.
        in_flight: Permits that have not ended.
        slow: It opened last because an answer was slow, and has not closed since.
        waiting: Whose `tripped` is called, in this order, after every opening; the values mean nothing.
        reason: Why it moved last, in words; empty if it never has.

    Example:
        >>> breaker = Breaker("openai/gpt-6-luna", BreakerPolicy(consecutive=3))
        >>> permit = breaker.acquire()
        >>> permit is None  # would mean: go elsewhere
        False
    """

    def __init__(
        self,
        name: str,
        policy: BreakerPolicy = _DEFAULT,
        *,
        clock: Clock = now,
        chance: random.Random | None = None,
        on_move: Callable[[BreakerMoved], None] | None = None,
    ) -> None:
        super().__init__(name)
        self.policy = policy
        self.in_flight = 0
        self.slow = False
        self.waiting: dict[Waiting, None] = {}
        self.reason = ""
        self._clock = clock
        self._backoff = Backoff(policy, new_chance() if chance is None else chance)
        self._on_move = on_move
        self._epoch = 0  # which permits count: those of this number
        self._window: Window | None = Window(policy.window_s)  # None unless closed
        self._run = NO_RUN  # since the last close
        self._free = True  # closed and not resting; spares the usual call a look at the clock
        # The instant from which `acquire` looks again: end of the rest, of the open period, or of
        # the probe's patience, as the state is.
        self._due = -inf
        self._probing = False  # half open, and the probe is out
        self._closed_at = -inf

    # Asking.

    def acquire(self) -> Permit | None:
        """A permit, or `None`: it is open, or resting, or the probe is out.

        Example:
            >>> if (permit := breaker.acquire()) is None:
            ...     print("refused, ask again in", breaker.retry_in_s, "s")
        """
        if self._free:
            self.in_flight += 1
            return Permit(self, self._epoch)
        return self._acquire_late()

    def force(self) -> Permit:
        """A permit in any case, for when there is nowhere else to go.

        What `acquire` would give, it gives.  Otherwise `.forced` is true.  Through an open or half
        open breaker its success closes (unless another probe went out meanwhile, which then
        decides) and its failure changes nothing; through a closed one that rests it counts as any
        other, and the rest goes on.

        Example:
            >>> permit = breaker.acquire() or breaker.force()
        """
        permit = self.acquire()
        if permit is None:
            self.in_flight += 1
            permit = Permit(self, self._epoch, forced=True)
        return permit

    @property
    def retry_in_s(self) -> float:
        """Seconds until a call may pass: 0 if it may now, otherwise a lower bound.

        While the probe is out nobody knows: at most 0.1 s.

        Example:
            >>> nearest = min(breakers, key=lambda breaker: breaker.retry_in_s)
        """
        if self._free:
            return 0.0
        wait_s = max(0.0, self._due - self._clock())
        return min(wait_s, _ASK_AGAIN_S) if self._probing else wait_s

    @property
    def recovered_at(self) -> float:
        """The clock's instant at which it last closed; minus infinity if it never was open."""
        return self._closed_at

    @property
    def phase(self) -> BreakerPhase:
        """`"closed"`, `"open"` or `"half_open"`; aiobreaker's `state` is an object.

        Open lasts until somebody asks after the open period.

        Example:
            >>> breaker.phase
            'closed'
        """
        return PHASES[self.current_state]

    def recent(self) -> tuple[int, int]:
        """Calls in its window and how many of them failed; zeros unless it is closed.

        Example:
            >>> calls, failures = breaker.recent()
        """
        if self._window is None:
            return 0, 0
        self._window.forget(self._clock())
        return self._window.calls, self._window.failures

    @property
    def fail_counter(self) -> int:
        """Hard failures and slow answers in a row so far."""
        return self._run.count

    @property
    def fail_max(self) -> int:
        """Hard failures and slow answers in a row that open it; the policy's `consecutive`."""
        return self.policy.consecutive

    @property
    def timeout_duration(self) -> timedelta:
        """The first open period; the policy's `open_s`."""
        return timedelta(seconds=self.policy.open_s)

    def __repr__(self) -> str:
        return f"<Breaker {self.name!r} {self.phase}, {self.in_flight} in flight>"

    def _acquire_late(self) -> Permit | None:
        moment = self._clock()
        if moment < self._due:
            return None
        self.in_flight += 1
        if self._window is not None:  # closed, and the rest is over
            self._free = True
            return Permit(self, self._epoch)
        permit = self._new_probe(moment)
        self._outbox.send()
        return permit

    def _new_probe(self, moment: float) -> Permit:
        self._cool("the open period is over")
        # An epoch of its own, also where the state stays half open: a probe that has outstayed its
        # patience must not speak for its successor.
        self._epoch += 1
        self._due = moment + self.policy.probe_timeout_s
        self._probing = True
        return Permit(self, self._epoch, probe=True)

    def _free_place(self, after_s: float) -> None:
        """The probe has taught us nothing; there may be another after so long."""
        self._probing = False
        self._due = self._clock() + after_s if after_s else -inf

    # Calling, for those who need no permit.

    async def call_async(
        self, func: Callable[P, Coroutine[Any, Any, T]], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """What `await func(*args, **kwargs)` returns, guarded.

        What `func` raises reaches the caller as it is and is a hard failure.  Neutral are
        cancellation, excluded exceptions, and another breaker's refusal inside `func`.

        Raises:
            CircuitOpen: If the breaker refuses; `func` is not called.
            TypeError: If `func` is not an async function.  An async generator has no end that this
                could see; take a permit around it.

        Example:
            >>> rows = await breaker.call_async(fetch, "select 1")
        """
        if not iscoroutinefunction(func):
            self.call(func)
        permit = self.acquire()
        if permit is None:
            raise CircuitOpen(self.name, self.retry_in_s)
        try:
            self._post("before_call", func, *args, **kwargs)
            self._outbox.send()
            result = await func(*args, **kwargs)
        except BaseException as error:  # cancellation included: the permit goes back whatever happens
            self._end_by(permit, error)
            raise
        permit.ok()
        return result

    def _end_by(self, permit: Permit, error: BaseException) -> None:
        if not isinstance(error, Exception) or isinstance(error, Refused) or not self.is_system_error(error):
            permit.left()
        else:
            permit.failed(reason=type(error).__name__, error=error)

    # Learning.  Only permits of the current epoch come here.

    def _answered(self, permit: Permit) -> None:
        if self._window is not None:
            if self._run is not NO_RUN:
                self._run = self._run.after_end() if permit.has_begun else NO_RUN
            self._window.add(self._clock(), 0)
        else:
            self._close("the probe was answered" if permit.probe else "a forced call was answered")

    def _began(self) -> None:
        if self._run.early.count:
            self._run = self._run.after_beginning()

    def _erred(self, permit: Permit, severity: Severity, asked_s: float, reason: str) -> None:
        if self._window is not None:
            self._weigh(self._window, permit, severity, asked_s, reason)
        elif permit.probe:
            self._open(severity, asked_s, _because("the probe failed", reason))
        # else it was forced: that an open breaker is rightly open is no news.

    def _weigh(self, window: Window, permit: Permit, severity: Severity, asked_s: float, reason: str) -> None:
        moment = self._clock()
        window.add(moment, severity in IN_RATE)
        if severity in IN_RUN:
            self._run = self._run.and_then(
                moment, severity, has_begun=permit.has_begun, pause_s=self.policy.max_open_s
            )
        trip = verdict(self.policy, severity, self._run, window)
        if trip is not None:
            self._open(severity, asked_s, _because(trip.why, reason), trip.gap_s)
        elif severity is Severity.THROTTLED:
            self.rest(asked_s)

    def rest(self, retry_after_s: float | None) -> None:
        """Let nobody pass for so long, because it was throttled or another that shares its limits.

        Capped by the policy as any `Retry-After` is, and nonsense is nothing.  It never shortens a rest or an
        open period, counts as no failure, and leaves a probe that is out alone, which will find out itself.

        Example:
            >>> breaker.rest(20)
        """
        asked_s = self.policy.asked_s(retry_after_s)
        if asked_s and not self._probing:
            self._due = max(self._due, self._clock() + asked_s)
            self._free = False

    def retire(self, reason: str) -> None:
        """Tell of no more moves; if it is not closed, `reason` is told as why it is now.

        For one whose place another takes, or none: whoever shows states would show its last one for ever.

        Example:
            >>> breaker.retire("the chain was reloaded")
        """
        tell, self._on_move = self._on_move, None
        if tell is not None and self.phase != "closed":
            moved = BreakerMoved(endpoint=self.name, old=self.phase, new="closed", open_s=0, reason=reason)
            self._outbox.guarded(tell, partial(tell, moved), default=None)

    def follow(self, policy: BreakerPolicy) -> None:
        """Judge by another policy from now on; what it knows and the period it is in are kept.

        A window of another length begins empty.

        Example:
            >>> breaker.follow(BreakerPolicy(consecutive=3))
        """
        if policy == self.policy:
            return
        if self._window is not None and policy.window_s != self.policy.window_s:
            self._window = Window(policy.window_s)
        self.policy = policy
        self._backoff.policy = policy

    # Moving.  Each leaves everything alone if the table has no such move.

    def open(self) -> None:
        """Open it by hand, for the period a failure would have brought; does nothing if it is open.

        Example:
            >>> breaker.open()
        """
        self._open(Severity.HARD, 0.0, "opened by hand")
        self._outbox.send()

    def half_open(self) -> None:
        """End the open period by hand: the next to ask becomes the probe.

        Example:
            >>> breaker.half_open()
        """
        self._cool("half opened by hand")
        self._outbox.send()

    def close(self) -> None:
        """Close it by hand, with an empty window; does nothing if it is closed.

        Example:
            >>> breaker.close()
        """
        self._close("closed by hand")
        self._outbox.send()

    def _open(self, severity: Severity, asked_s: float, reason: str, gap_s: float = 0.0) -> None:
        moment = self._clock()  # before anything moves: it raises outside a loop
        old = self._move(Signal.TRIPPED)
        if old is None:
            return
        rest_until = -inf
        if old is State.CLOSED:
            self._backoff.forget(moment - self._closed_at)
            rest_until = self._due  # a rest in force is a promise to the provider
        self._due = max(rest_until, moment + self._backoff.period_s(severity, asked_s, gap_s))
        self._window = None
        self._free = False
        self.slow = severity is Severity.SLOW
        self._announce(old, reason, self._due - moment)
        for one in self.waiting:
            self._outbox.post(one, one.tripped)

    def _cool(self, reason: str) -> None:
        old = self._move(Signal.COOLED)
        if old is not None:
            self._due = -inf
            self._announce(old, reason)

    def _close(self, reason: str) -> None:
        moment = self._clock()  # before anything moves: it raises outside a loop
        old = self._move(Signal.ANSWERED)
        if old is None:
            return
        self._window = Window(self.policy.window_s)
        self._run = NO_RUN
        self._free = True
        self.slow = False
        self._due = -inf
        self._closed_at = moment
        self._announce(old, reason)

    def _move(self, signal: Signal) -> State | None:
        """Take the table's step; the state it left, or `None` if there is no such step."""
        old = self.current_state
        new = TRANSITIONS.get((old, signal))
        if new is None:
            return None
        self._store.state = new
        self._epoch += 1
        self._probing = False
        return old

    def _announce(self, old: State, reason: str, open_s: float = 0.0) -> None:
        self.reason = reason
        self._post("state_change", self._states[old], self.state)
        if self._on_move is not None:
            moved = BreakerMoved(
                endpoint=self.name, old=PHASES[old], new=self.phase, open_s=open_s, reason=reason
            )
            self._outbox.post(self._on_move, partial(self._on_move, moved))


def _because(why: str, reason: str) -> str:
    return f"{why} ({reason})" if reason else why
