"""One call under way: its clock, its plan and its ledger, which is what its tries have become."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from fallbackio import clock
from fallbackio.chain._demand import Demand
from fallbackio.chain._latency import Latencies
from fallbackio.chain._plan import Plan, Send
from fallbackio.chain._resume import open_continued
from fallbackio.chain._route import Route
from fallbackio.chain._settings import OnBreak
from fallbackio.chain._telling import Outcome, attempt_ended, attempt_started, call_ended
from fallbackio.chain._try import Try
from fallbackio.endpoint import Heard, Note, Provider, Upstream
from fallbackio.errors import (
    AttemptError,
    ChainExhausted,
    ContentFiltered,
    ContextTooLong,
    DeadlineExceeded,
    FallbackError,
    InvalidRequest,
    StreamBroken,
)
from fallbackio.events import FailedOver, StreamResumed
from fallbackio.model import NO_USAGE, Attempt, Embeddings, Reply, Report, Request, Usage
from fallbackio.observe import Fanout

if TYPE_CHECKING:
    # A setup holds what makes attempts, which belong to calls; so do those that go on in the background.
    from fallbackio.chain._background import Background
    from fallbackio.chain._setup import Setup

__all__ = ["Call"]

_ABOUT_THE_REQUEST = (InvalidRequest, ContextTooLong, ContentFiltered)

# So many endpoints at the most are given a share of a call's time.
MOST_IN_TURN = 8

# The adaptive limit of the first content: of a thousand healthy attempts one would be cut (the
# Builders' Library's false-timeout rate), half as long again because the window holds few such
# tails, and never so short that an ordinary pause would end it.
ADAPTIVE_QUANTILE = 0.999
ADAPTIVE_FACTOR = 1.5
ADAPTIVE_FLOOR_S = 1.0


class Call:
    """One call from its first attempt to its report."""

    __slots__ = (
        "_delivered",
        "_entries",
        "_leave",
        "_moved",
        "_origin",
        "_over",
        "accept",
        "ambient",
        "background",
        "chain",
        "continuing",
        "deadline",
        "demand",
        "limits",
        "number",
        "plan",
        "request",
        "restarts",
        "seams",
        "served_by",
        "setup",
        "shows_reasoning",
        "started",
        "strategy",
        "tell",
        "timeout",
        "ttft_s",
        "winner",
    )

    def __init__(
        self,
        *,
        setup: Setup,
        number: int,
        started: float,
        request: Request,
        plan: Plan,
        timeout: float | None,
        ambient: float,
        tell: Fanout,
        background: Background,
        demand: Demand,
        leave: Callable[[], None],
        served_by: Callable[[Route], None] | None = None,
    ) -> None:
        self.setup = setup  # of the chain as it stood when the call began
        self.chain = setup.name
        self.number = number
        self.request = request
        self.plan = plan
        self.limits = setup.limits
        self.strategy = setup.strategy
        self.tell = tell
        self.background = background  # for losers who may go on
        self.demand = demand
        self._leave = leave  # to be called once, when the call is over
        self.served_by = served_by  # told who gave the answer
        self.winner: Try | None = None  # of a contest; the others that are cut after it are losers
        self.timeout = timeout
        self.started = started
        own = math.inf if timeout is None else self.started + timeout
        # The ambient deadline cancels by itself; it stands here so that the time is shared out by it.
        self.ambient = ambient
        self.deadline = min(own, ambient)
        self.ttft_s: float | None = None
        self.accept: Callable[[Reply], bool | str | Awaitable[bool | str]] | None = None
        self.shows_reasoning = False  # reasoning is delivered as it comes, and so commits
        self.continuing = ""  # the text that the consumer has, while another endpoint is to go on from it
        self.seams: list[int] = []
        self.restarts = 0
        self._over = False  # its end has been told
        self._delivered = False  # the consumer has something: from now on only StreamBroken is raised
        self._entries: list[Try | Attempt] = []
        self._origin: tuple[Route, AttemptError] | None = None  # where the call last failed
        self._moved = False  # it has failed over
        if tell.rate is not None:
            tell.rate.began(started)

    def allowance(self, now: float, latencies: Latencies) -> float:
        """The seconds one attempt may take.

        The least of the attempt's own limit and what is left of the call.  Where the first would
        leave the endpoints after it less than half as much, what is left is shared evenly among all
        that cannot run at the same time, so that the next one is not out of reach.
        """
        remaining = max(self.deadline - now, 0.0)
        own = remaining if self.limits.attempt_timeout is None else self.limits.attempt_timeout
        if remaining - own >= own / 2:
            return own
        turns = self._turns(now, latencies)
        return min(own, remaining / turns if turns > 1 else remaining)

    def _turns(self, now: float, latencies: Latencies) -> int:
        """How many attempts, this one included, have to follow one another to reach every endpoint.

        Of a large pool nobody expects to reach all.  One that comes back slowly runs beside no other.
        """
        parallel, untried = self.strategy.parallel(latencies, len(self.plan.legs)), self.plan.untried
        alone = min(untried, self.plan.legs.come_last(self.setup.routes, now)) if parallel > 1 else 0
        beside = min(untried - alone, MOST_IN_TURN)
        rounds = max(0, math.ceil((beside - (parallel - 1)) / parallel))
        return 1 + rounds + min(alone, MOST_IN_TURN - beside)

    def first_content_s(self, latencies: Latencies) -> float:
        """The seconds until an attempt's first content, at an endpoint with these times."""
        limit = self.limits.ttft_timeout
        if limit == "adaptive":
            # Of answers alone: what was cut at this limit would raise it, time after time.
            worst = latencies.answered_within(ADAPTIVE_QUANTILE)
            return math.inf if worst is None else max(worst * ADAPTIVE_FACTOR, ADAPTIVE_FLOOR_S)
        return math.inf if limit is None else limit

    def slow_s(self, attempt: Try) -> float:
        """The age from which a loser counts as slow."""
        return self.strategy.slow_s(attempt.leg.route.tempo.firsts, attempt.alive)

    def drains(self, attempt: Try, upstream: Upstream) -> bool:
        """Whether a loser goes on in the background; otherwise it has to be closed."""
        if self.winner in (None, attempt):
            return False
        route = attempt.leg.route
        for_s = self.strategy.drain_losers
        goes_on = self.background.drain(for_s, route, upstream, attempt.started, attempt.arrived)
        if goes_on:
            attempt.stays()
        return goes_on

    def is_fair(self, limit_s: float) -> bool:
        """Whether an attempt with this limit got what the chain's own settings give each endpoint.

        A shorter `timeout` of one impatient call is not among them.
        """
        configured = [] if self.limits.attempt_timeout is None else [self.limits.attempt_timeout]
        if self.limits.timeout is not None:
            configured.append(self.limits.timeout / min(len(self.plan.legs), MOST_IN_TURN))
        # A millionth of slack: the share is a quotient, and rounding is no reason to be lenient.
        return limit_s >= min(configured, default=0.0) * (1 - 1e-6)

    async def ask(self, provider: Provider, note: Note, heard: Heard) -> Upstream:
        """A streamed answer to the request, or to what is left of it."""
        if self.continuing:
            return await open_continued(provider, self.request, self.continuing, note, heard)
        return await provider.stream(self.request, note, heard)

    def broke(self, attempt: Try, error: AttemptError, left_s: float) -> bool:
        """Its answer broke after a part was delivered; false if nothing else may be tried.

        The call's time counts from here on what it had left: the consumer's own is not in it.
        """
        self._delivered = True
        self.winner = None
        self.deadline = clock.now() + left_s
        self.noted(attempt, error)
        return left_s > 0

    def resumed(self, origin: Try, target: Try, how: OnBreak, at_chars: int) -> None:
        """Another endpoint goes on."""
        error = origin.attempt.error if origin.attempt is not None else None
        if how == "continue":
            self.seams.append(at_chars)
        else:
            self.restarts += 1
        names = {"origin": origin.leg.route.spec.name, "target": target.leg.route.spec.name}
        if error is not None:
            self.tell(
                StreamResumed(
                    chain=self.chain, call=self.number, how=how, at_chars=at_chars, error=error, **names
                )
            )

    def start(self, ask: Send, now: float, *, extra: bool = False) -> Try:
        """A try of its own, told to the sinks; `extra` for a hedge, which is no failover either."""
        self.demand.leave_line()
        self._note_skipped(now)
        attempt = Try(self, ask, now, extra=extra or ask.extra)
        self._entries.append(attempt)
        if not extra:
            self._note_failover(ask.leg.route)
        if self.tell.listened_to:
            attempt_started(self, attempt, len(self._entries))
        return attempt

    def ended(self, attempt: Attempt) -> None:
        """An entry of the ledger is complete."""
        if self.tell.listened_to or (attempt.error is not None and attempt.error.needs_operator):
            attempt_ended(self, attempt, self._place_of(attempt))

    def _place_of(self, attempt: Attempt) -> int:
        """Its place in the ledger, from 1."""
        entries = enumerate(self._entries, 1)
        return next(n for n, e in entries if (e.attempt if isinstance(e, Try) else e) is attempt)

    def noted(self, attempt: Try, error: AttemptError) -> bool:
        """Let the plan know; false if the call ends with this failure."""
        self._origin = (attempt.leg.route, error)
        goes_on = self.plan.failed(attempt.leg, error, clock.now())
        if not (goes_on or self._delivered):  # a request that was answered once is not at fault
            return False
        # Its frames hold the call, whose ledger holds the error: a circle that would keep the prompt in
        # memory.  Where it was raised says nothing that its words do not; what caused it keeps its own.
        error.__traceback__ = None
        return True

    def can_go_on(self, now: float) -> bool:
        """Whether an endpoint that it has not asked could be asked now."""
        return now < self.deadline and self.plan.has_another(now, self.deadline)

    def failed(self, attempt: Try, error: AttemptError) -> None:
        """Let the plan know, and raise the error if the call ends with it."""
        if not self.noted(attempt, error):
            raise self.closed(error)

    def _note_skipped(self, now: float) -> None:
        if not self.plan.legs.newly_skipped:
            return
        for leg in self.plan.legs.newly_skipped:
            spec, refused = leg.route.spec, leg.skipped
            assert refused is not None  # noqa: S101 - what makes a leg newly skipped
            refused.placed(spec.name, spec.vendor, spec.model)
            entry = Attempt(
                endpoint=spec.name,
                vendor=spec.vendor,
                model=spec.model,
                outcome="skipped",
                error=refused,
                started_s=now - self.started,
                cost=0.0,
            )
            self._entries.append(entry)
            self._origin = self._origin or (leg.route, refused)
            self.ended(entry)
        self.plan.legs.newly_skipped.clear()

    def _note_failover(self, target: Route) -> None:
        if self._origin is None:
            return
        origin, error = self._origin
        self._origin = None
        if origin is not target:
            names = {"origin": origin.spec.name, "target": target.spec.name}
            event = FailedOver(chain=self.chain, call=self.number, error=error, **names)
            self.tell(event)
            if self.tell.rate is not None and not self._moved:
                self.tell.rate.fell_back(event, clock.now())
            self._moved = True

    @property
    def left_behind(self) -> int:
        """How many of its tries wait where others wait no more, since the breaker is not closed."""
        running = [entry for entry in self._entries if isinstance(entry, Try) and entry.attempt is None]
        return sum([one.leg.route.breaker.phase != "closed" for one in running])

    @property
    def attempts(self) -> tuple[Attempt, ...]:
        """The ledger; tries still under way are not in it."""
        entries = [e.attempt if isinstance(e, Try) else e for e in self._entries]
        return tuple([entry for entry in entries if entry is not None])

    def report(self) -> Report:
        """How the call went so far."""
        return Report(
            attempts=self.attempts,
            duration_s=clock.now() - self.started,
            ttft_s=self.ttft_s,
            seams=tuple(self.seams),
            restarts=self.restarts,
        )

    def answered(self, reply: Reply) -> Reply:
        """The reply with its report; the call is over."""
        return reply.with_report(self.served(reply), also=self._broken_usage())

    def served(self, answer: Reply | Embeddings) -> Report:
        """The report of the call, which has its answer and is over."""
        report = self.report()
        self._end("answered", report, answer=answer)
        return report

    def _end(
        self,
        outcome: Outcome,
        report: Report | None = None,
        error: FallbackError | None = None,
        answer: Reply | Embeddings | None = None,
    ) -> None:
        """The call is over, and says so once."""
        self._over = True
        self._leave()
        # Tries and their call know each other.  Without this a prompt would stay in memory until the
        # garbage collector comes round, and it would come round more often.
        self._entries = list(self.attempts if report is None else report.attempts)
        self.winner = None
        if self.tell.listened_to:
            call_ended(self, outcome, report or self.report(), error, answer)

    def _broken_usage(self) -> Usage:
        """What the parts of a mended answer cost, besides its last: their pieces, where nothing was said."""
        if not self._delivered:
            return NO_USAGE
        broken = [e.usage for e in self.attempts if e.outcome == "failed" and e.usage is not None]
        return sum(broken, NO_USAGE)

    def closed(self, error: FallbackError) -> FallbackError:
        """The error with its ledger; the call is over, unless a part was delivered and it may be mended."""
        self.demand.leave_line()
        if self._over:
            return error
        error.attempts = self.attempts
        if self._delivered and not isinstance(error, StreamBroken):
            return error
        self._end("failed", error=error)
        return error

    def left(self) -> None:
        """The caller was cancelled, or left a stream: cut what runs; the call is over."""
        self.demand.leave_line()
        if self._over:
            return
        for entry in self._entries:
            if isinstance(entry, Try):
                entry.cut()
        self._end("cancelled")

    def given_up(self, now: float) -> FallbackError:
        """What to raise when the plan has nothing more."""
        self._note_skipped(now)
        if now >= self.deadline or (self.plan.short_of_time and not self.plan.causes):
            return self.too_late()
        causes = self.plan.causes
        if causes and all(isinstance(cause, _ABOUT_THE_REQUEST) for cause in causes):
            return self.closed(causes[0])  # each found fault with the request, the first choice's counts
        if not causes and all(leg.barred for leg in self.plan.legs):
            return self.closed(ContextTooLong(f"it fits nowhere: {self._summary()}"))
        error = ChainExhausted(
            f"no endpoint answered: {self._summary()}", retry_after_s=self.plan.retry_in_s(now)
        )
        error.__cause__ = ExceptionGroup("what each endpoint failed with", causes) if causes else None
        return self.closed(error)

    def too_late(self) -> DeadlineExceeded:
        """What to raise when the call's time has run out."""
        limit = self.deadline - self.started
        error = DeadlineExceeded(f"no answer within {limit:.3g} s: {self._summary()}", timeout_s=limit)
        causes = self.plan.causes
        error.__cause__ = ExceptionGroup("what each endpoint failed with", causes) if causes else None
        self.closed(error)
        return error

    def _summary(self) -> str:
        return "; ".join(
            str(entry.error) if entry.error is not None else f"{entry.endpoint}: {entry.outcome}"
            for entry in self.attempts
        )
