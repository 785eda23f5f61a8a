"""One attempt while it runs.

A `Try` holds the permit, and whoever started it ends it exactly once with `won`, `failed` or `cut`;
all three are synchronous, so that they work in a cancelled scope.  Odd rule: the permit of an answer that
is slow ends before, at its first content, and what becomes of that answer is told to nobody.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import attrs

from fallbackio import clock
from fallbackio.breaker import Permit, Severity
from fallbackio.chain._cost import Bill
from fallbackio.chain._latency import MOST_MEDIANS, Latencies
from fallbackio.chain._plan import Send
from fallbackio.chain._route import Route
from fallbackio.chain._table import handling
from fallbackio.chain._tempo import Tempo
from fallbackio.endpoint import Limited
from fallbackio.errors import AttemptError, BadAnswer, Phase, Refused, Rejected, TimedOut
from fallbackio.model import NO_USAGE, Attempt, Outcome, Reply, Usage

if TYPE_CHECKING:
    # A try belongs to its call, and a call's ledger consists of its tries.
    from fallbackio.chain._call import Call

__all__ = ["TICK_S", "Try"]

# Two instants nearer than this are one; asyncio's own resolution is 1e-9 s.
TICK_S = 1e-6


class _Ended:
    """In the place of a permit that has ended already."""

    probe = False

    def began(self) -> None: ...

    def ok(self) -> None: ...

    def failed(self, severity: Severity, retry_after_s: float | None = None, reason: str = "") -> None: ...

    def left(self) -> None: ...

    def beaten(self) -> None: ...


_ENDED = _Ended()


class Try:
    """One attempt from its start to its outcome."""

    __slots__ = (
        "_extra",
        "_notes",
        "_permit",
        "_taken",
        "alive",
        "attempt",
        "call",
        "forced",
        "leg",
        "limit_s",
        "phase",
        "started",
        "ttft_s",
        "usage",
        "whole_s",
    )

    def __init__(self, call: Call, ask: Send, now: float, *, extra: bool) -> None:
        self.call = call
        self.leg = ask.leg
        self.forced = ask.permit.forced
        self.started = now
        self._notes: list[str] = [ask.leg.note] if ask.leg.note else []
        firsts = ask.leg.route.tempo.firsts
        self.whole_s = call.allowance(now, firsts)
        # The first timer's length and name.
        self.limit_s: float = self.whole_s
        self.phase: Phase = "attempt"
        first = call.first_content_s(firsts)
        if first < self.whole_s:
            self.limit_s, self.phase = first, "first_content"
        self.alive = False  # the provider has accepted the request; known for streams
        self.ttft_s: float | None = None
        self.usage: Usage | None = None
        self.attempt: Attempt | None = None  # set once, by the outcome
        self._permit: Permit | _Ended = ask.permit
        self._taken = ask.taken
        if ask.leg.route.compared:
            ask.leg.route.load.started(now, self)
        self._extra = extra
        if extra:
            call.plan.budget.withdraw()

    @property
    def choices(self) -> int:
        """How many choices its answer must have; what `adapt` makes of that is the user's affair."""
        spec = self.leg.route.spec
        wanted = spec.effective("n", self.call.request.params)
        return wanted if isinstance(wanted, int) and spec.adapt is None else 1

    def answered(self, seconds: float, tokens: int | None = None) -> None:
        """Its first content has come after so long, or a whole plain answer of so many tokens.

        Its breaker hears now whether that was slow, for the rest of a long answer takes its time; what
        becomes of a slow one then adds nothing.
        """
        route = self.leg.route
        if route.compared:
            route.load.ended(self)
            route.load.answered(self.started + seconds, seconds)
        slow = self._slowness(seconds, tokens)
        if slow:
            self.note(f"slow: {slow}")
            permit, self._permit = self._permit, _ENDED
            permit.failed(Severity.SLOW, reason=slow)
            route.ramp.failed(clock.now(), route.breaker.recovered_at)
        elif tokens is None:
            self._permit.began()

    def _slowness(self, seconds: float, tokens: int | None) -> str:
        """What was slow about its answer; empty if nothing was, or nobody can tell."""
        breaker = self.leg.route.breaker
        medians = breaker.policy.slow_medians
        if medians is None:
            return ""
        return self.leg.route.tempo.slow(
            self.started,
            seconds,
            tokens,
            medians=medians,
            left=breaker.slow,
            prompt=self.call.demand.prompt_tokens,
            others=self._free_others,
            wonder=partial(self._wonder, tokens),
        )

    def _others(self) -> list[Route]:
        """Those of the chain's other endpoints that could serve the call."""
        could_serve = self.call.plan.legs.could_serve
        return [
            route for route in self.call.setup.routes if route is not self.leg.route and could_serve(route)
        ]

    def _free_others(self) -> list[Tempo]:
        now, tokens = clock.now(), self.call.demand.tokens()
        return [route.tempo for route in self._others() if route.is_free(now, tokens)]

    def _wonder(self, tokens: int | None) -> bool:
        """Have somebody tried of whom nothing is known of late; false if there is nobody."""
        unknown = [one for one in self._others() if one.may_be_tried and one.tempo.recent_s(tokens) is None]
        if unknown:
            self.call.setup.trial.propose(unknown[0], self.call.request.stream, clock.now())
        return bool(unknown)

    def won(self, usage: Usage | None) -> None:
        """It gave the answer."""
        self.usage = usage
        self._settle(usage)
        if self.call.served_by is not None:
            self.call.served_by(self.leg.route)
        self._end("won", None, self.leg.route.provider.success_status)

    def _settle(self, usage: Usage | None) -> None:
        """The breaker learns that it answered, unless it has learnt that it did so too late."""
        self._permit.ok()
        if usage is not None and usage.prompt_tokens:
            self.leg.route.tempo.prompts.append(usage.prompt_tokens)

    def named(self, reply: Reply) -> Reply:
        """The reply with what not every provider says: an id, the model, the time."""
        if reply.id and reply.model and reply.created:
            return reply
        return attrs.evolve(
            reply,
            id=reply.id or f"chatcmpl-{self.call.plan.chance.getrandbits(96):024x}",
            model=reply.model or self.leg.route.spec.model,
            created=reply.created or int(clock.wall()),
        )

    def failed(self, error: AttemptError, usage: Usage | None = None) -> AttemptError:
        """It failed; the breaker learns what the table says.  Returns the error, now with its place.

        Of a rate limit those learn as well that share it.
        """
        severity = handling(error).severity
        if severity is None:
            self._permit.left()
        else:
            self._permit.failed(severity, error.retry_after_s, error.summary)
        if severity is Severity.THROTTLED:
            for other in self.call.setup.sharing(self.leg.route):
                other.breaker.rest(error.retry_after_s)
        self.usage = usage
        self._end("failed", self._placed(error), error.status)
        return error

    def given_up(self, error: AttemptError, usage: Usage | None = None) -> AttemptError:
        """It failed, or was waited for no more, after it had given what `usage` says.

        An endpoint that was given less than its fair share of time, because others had used the
        call's up, is not blamed for it, unless it was slow by any measure; nor is one that was left
        because its breaker had opened.
        """
        left = isinstance(error, Refused) and error.sent
        if not (left or isinstance(error, TimedOut)):
            return self.failed(error, usage)
        age = clock.now() - self.started
        if self.ttft_s is None:  # else it is known how long it took to begin
            self.leg.route.tempo.firsts.add(age, answered=False)
        if isinstance(error, TimedOut) and self._is_to_blame(error, age):
            return self.failed(error, usage)
        self._leave(age)
        self.usage = usage
        self._end("cut", self._placed(error), None)
        return error

    def _is_to_blame(self, late: TimedOut, age: float) -> bool:
        if late.phase != "attempt" or self.call.is_fair(late.limit_s):
            return True
        usual = self._answers_within_s
        return age >= self._slow_after_s or (usual is not None and late.limit_s >= usual)

    @property
    def late_s(self) -> float:
        """The seconds within which its endpoint nearly always answers, when it is well.

        Of one that has hardly ever answered nobody knows; then it is what counts as slow anywhere, or
        half of its limit.
        """
        within, usual = self._answers_within_s, self._measure.usual()
        if within is None:
            return min(self._slow_after_s, self.limit_s / 2)
        return within if usual is None else min(within, MOST_MEDIANS * usual)

    @property
    def _answers_within_s(self) -> float | None:
        return self._measure.answered_within(0.95)

    @property
    def _measure(self) -> Latencies:
        """What is known of the times of answers like the one that it asks for."""
        tempo = self.leg.route.tempo
        return tempo.firsts if self.call.request.stream else tempo.wholes

    @property
    def _slow_after_s(self) -> float:
        return self.leg.route.breaker.policy.slow_after_s

    @property
    def may_be_left(self) -> bool:
        """Whether it stands for itself alone: nobody runs beside it, and it was not sent to find out."""
        return self.call.strategy.one_at_a_time and not (self.forced or self._permit.probe)

    def cut(self, tokens: int = 0) -> None:
        """We stopped it.  Does nothing after an outcome.

        The caller was cancelled or left: nothing was learnt.  Or another attempt won: then a loser
        that was slow by its own measure counts as failed, because racing would hide a dead endpoint
        for ever, and may be asked again if the winner breaks.  `tokens` were seen, and are charged for.
        """
        if self.attempt is not None:
            return
        age = clock.now() - self.started
        self.usage = Usage(completion_tokens=tokens) if tokens else None
        lost = self.call.winner not in (None, self)
        if lost:
            self.leg.tries = 0
        if not lost:
            self._leave(age)
        elif age >= self.call.slow_s(self) and self._had_as_long_as_the_winner(age):
            self.leg.route.tempo.firsts.add(age, answered=False)
            self._permit.failed(Severity.HARD, reason=f"no content when another had answered, {age:.2f} s")
        else:
            self._permit.beaten()
        self._end("cut", None, None)

    def _leave(self, age: float) -> None:
        """Nothing was learnt of its endpoint.

        A probe that was given up when others would have been answered is not followed by another at once:
        where every caller is as impatient as this one, each of them would be lost to it.
        """
        usual = self._measure.usual() if self._permit.probe else None
        if usual is not None and age >= usual:
            self._permit.beaten()
        else:
            self._permit.left()

    def _had_as_long_as_the_winner(self, age: float) -> bool:
        """Whether it ran at least as long as the winner needed; one that began later may be as quick."""
        winner = self.call.winner
        return winner is None or winner.ttft_s is None or age >= winner.ttft_s - TICK_S

    def second(self, tokens: int) -> None:
        """It succeeded in the tick in which another had won: a good sign, and not wanted for now."""
        self.leg.tries = 0
        self.usage = Usage(completion_tokens=tokens)
        self._settle(None)
        self._end("cut", None, None)

    def _placed(self, error: AttemptError) -> AttemptError:
        spec = self.leg.route.spec
        return error.placed(spec.name, spec.vendor, spec.model)

    def heard(self, requests: Limited | None, tokens: Limited | None) -> None:
        """The provider has taken it in, and says what is left of its limits."""
        self.leg.route.room.heard(clock.now(), self._taken, requests, tokens)

    def arrived(self) -> None:
        """The provider has given all of it: its place is free, however long it is read or judged."""
        self.leg.route.room.free(self._taken)
        self.call.demand.something_ended()

    def stays(self) -> None:
        """It is over for us, but not for the provider, who still answers it."""
        self.leg.route.room.hold(self._taken)

    def _end(self, outcome: Outcome, error: AttemptError | None, status: int | None) -> None:
        now, route = clock.now(), self.leg.route
        route.room.leave(now, self._taken, _counted(self.usage, outcome))
        if route.compared:
            route.load.ended(self)
        if outcome == "failed" and error is not None:
            route.last_failure.note(error, now)
            if handling(error).severity is not None:
                route.load.failed(now, now - self.started, error.retry_after_s)
                route.ramp.failed(now, route.breaker.recovered_at)
        self.call.demand.something_ended()
        if self._extra:
            self.call.plan.budget.give_back()
        self.attempt = self._entry(now, outcome, error, status)
        self.call.ended(self.attempt)

    def note(self, text: str) -> None:
        """Something was changed in the request to suit the endpoint."""
        if text not in self._notes:
            self._notes.append(text)

    def _entry(self, now: float, outcome: Outcome, error: AttemptError | None, status: int | None) -> Attempt:
        spec = self.leg.route.spec
        cost, estimated = self._cost(outcome, error)
        return Attempt(
            endpoint=spec.name,
            vendor=spec.vendor,
            model=spec.model,
            outcome=outcome,
            error=error,
            status=status,
            started_s=self.started - self.call.started,
            ttft_s=self.ttft_s,
            duration_s=now - self.started,
            usage=self.usage,
            forced=self.forced,
            notes=tuple(self._notes),
            cost=cost,
            cost_estimated=estimated,
        )

    def _cost(self, outcome: Outcome, error: AttemptError | None) -> tuple[float | Bill, bool]:
        """US dollars, or how to find out, and whether they are an estimate.

        What was sent and not turned away is charged for, also if nobody read the answer.  Of a stream that
        was left before the provider had accepted it nobody knows; it counts as not charged for.
        """
        if outcome == "failed" and error is not None and not _is_charged(error, self.usage):
            return 0.0, False
        if outcome != "won" and self.call.request.stream and not self.alive:
            return 0.0, True
        used, estimated = self.usage or NO_USAGE, False
        if not used.prompt_tokens:
            used, estimated = attrs.evolve(used, prompt_tokens=self.call.demand.prompt_tokens()), True
        route = self.leg.route
        return Bill(route.spec.price, route.listing, used, clock.wall()), estimated


def _is_charged(error: AttemptError, usage: Usage | None) -> bool:
    """Whether a failed attempt had been accepted: it answered with a 200, or was silent to the end."""
    if isinstance(error, TimedOut):
        return error.phase != "connect"
    return error.status == 200 or usage is not None or isinstance(error, BadAnswer | Rejected)


def _counted(usage: Usage | None, outcome: Outcome) -> float | None:
    """Tokens that its limits were charged, as far as that is known."""
    return float(usage.total_tokens) if outcome == "won" and usage else None
