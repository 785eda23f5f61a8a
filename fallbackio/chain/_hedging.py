"""A contest between the endpoints of one call: who may start beside whom, and what losing means."""

from __future__ import annotations

from collections.abc import Callable

from attrs import frozen

from fallbackio import clock
from fallbackio.chain._attempt import Opened, close, open_stream, tokens_in
from fallbackio.chain._call import Call
from fallbackio.chain._contest import Failed
from fallbackio.chain._strategy import Strategy
from fallbackio.chain._try import Try
from fallbackio.errors import AttemptError

__all__ = ["Hedging"]


@frozen
class Hedging:
    """The `Runner` of a hedging or racing chain's call."""

    call: Call
    strategy: Strategy

    def delay_s(self, attempt: Try, started: int) -> float:
        """Seconds from the start of `attempt` to the next."""
        return self.strategy.delay_s(attempt.leg.route.tempo.firsts, started)

    def another(self, running: int, *, extra: bool) -> Try | None:
        """The next endpoint that may be asked; an extra one only as strategy and budget allow."""
        hedges = hedge = extra and self.strategy.extra_load is not None
        if hedge:
            # A breaker trips within seconds of an endpoint's falling silent.  Calls that still wait there
            # would use up their places, and sit there until their time is up where the budget had not
            # hedged them by then: what waits where others wait no more is not counted, and to move on
            # from there is no extra load.
            waiting = running - self.call.left_behind
            if waiting >= self.strategy.most_at_once:
                return None
            hedge = waiting > 0
        if hedge and not self.call.plan.budget.allows():
            return None
        now = clock.now()
        ask = self.call.plan.fresh(now, self.call.deadline, beside=extra)
        if ask is None and hedges:
            ask = self.call.plan.late(now, self.call.deadline)
        return None if ask is None else self.call.start(ask, now, extra=hedge)

    async def attempt(self, attempt: Try, alive: Callable[[], None]) -> Opened:
        """Read up to the first content; a failure that would come everywhere is fatal."""
        try:
            return await open_stream(attempt, alive)
        except AttemptError as error:
            raise Failed(fatal=None if self.call.noted(attempt, error) else error) from error

    def won(self, attempt: Try, opened: Opened) -> None:
        """From now on the others are losers."""
        self.call.winner = attempt

    async def discard(self, attempt: Try, opened: Opened) -> None:
        """It came in the tick of another's win, of a fatal failure, or of the caller's cancellation."""
        if self.call.winner is None:
            attempt.cut(tokens_in(opened.deltas))
        else:
            attempt.second(tokens_in(opened.deltas))
        await close(opened.upstream)
