"""How a call went: its ledger, and what that comes to."""

from __future__ import annotations

from typing import Literal, Protocol

from attrs import field, frozen

from fallbackio.errors import AttemptError
from fallbackio.model._usage import Usage

__all__ = ["NO_REPORT", "Attempt", "Outcome", "Report"]

Outcome = Literal["won", "failed", "cut", "skipped"]


class Bill(Protocol):
    """What is owed for an attempt."""

    @property
    def at_hand(self) -> float | None:
        """US dollars, if that is known without a price list."""
        ...

    def __call__(self) -> float | None:
        """US dollars, if that is known."""
        ...


@frozen(kw_only=True)
class Attempt:
    """One entry of the ledger: a request to one endpoint, or the decision not to send it.

    Attributes:
        endpoint: The endpoint's name.
        vendor: Who runs it.
        model: The model that was asked.
        outcome: `"won"`, `"failed"`, `"cut"` (we stopped it) or `"skipped"` (never sent).
        error: Why it failed or was skipped, else `None`.
        status: HTTP status of the answer, or `None` where there was none.
        started_s: Seconds from the call's start to the attempt's.
        ttft_s: Seconds from the attempt's start to its first content, for streams.
        duration_s: Seconds from the attempt's start to its end.
        usage: Tokens it reported; for one that was cut or broke, the pieces of content it had given.
        forced: It was sent although the endpoint's breaker is open, because nothing else was left.
        cost: US dollars; `None` if the endpoint's price is not known, 0 for one that was never sent, was
            turned away or was a stream that the provider had not accepted.
        cost_estimated: The provider did not say what it counted: the prompt is taken by its length, the
            answer by the pieces that came.
        notes: What the request was changed in to suit the endpoint, for example
            `"tool call ids rewritten"`.

    Example:
        >>> [(a.endpoint, a.outcome) for a in reply.report.attempts]
        [('openai/gpt-6-luna', 'failed'), ('anthropic/claude-sonnet-5-5', 'won')]
    """

    endpoint: str
    vendor: str
    model: str
    outcome: Outcome
    error: AttemptError | None = None
    status: int | None = None
    started_s: float = 0.0
    ttft_s: float | None = None
    duration_s: float = 0.0
    usage: Usage | None = None
    forced: bool = False
    notes: tuple[str, ...] = ()
    _cost: float | Bill | None = field(default=None, repr=False, eq=False)
    cost_estimated: bool = False

    @property
    def cost(self) -> float | None:
        """US dollars; worked out when it is read, because a price list takes a moment to load."""
        return self._cost() if callable(self._cost) else self._cost

    @property
    def cost_at_hand(self) -> float | None:
        """`cost` where no price list has to be looked into, else `None`; for who is told of every attempt."""
        return self._cost.at_hand if callable(self._cost) else self._cost


@frozen(kw_only=True)
class Report:
    """How a call went.

    Attributes:
        attempts: The ledger, in the order in which the attempts started.
        duration_s: Seconds from the call's start to the answer's end.
        ttft_s: Seconds from the call's start to the first content, for streams, else `None`.
        seams: Where in the text another endpoint went on after a break, in characters.
        restarts: How often a streamed answer was begun anew after a break.

    Example:
        >>> reply.report.endpoint, reply.report.fell_back
        ('anthropic/claude-sonnet-5-5', True)
    """

    attempts: tuple[Attempt, ...] = ()
    duration_s: float = 0.0
    ttft_s: float | None = None
    seams: tuple[int, ...] = ()
    restarts: int = 0

    @property
    def winner(self) -> Attempt | None:
        """The attempt that answered."""
        return next((a for a in reversed(self.attempts) if a.outcome == "won"), None)

    @property
    def endpoint(self) -> str:
        """Name of the endpoint that answered, empty if none did."""
        winner = self.winner
        return winner.endpoint if winner is not None else ""

    @property
    def model(self) -> str:
        """The model asked at the endpoint that answered; what it calls itself is `reply.model`."""
        winner = self.winner
        return winner.model if winner is not None else ""

    @property
    def fell_back(self) -> bool:
        """Whether the call moved past its first choice; a hedge that lost did not move it."""
        winner = self.winner
        if winner is not None:
            return winner.endpoint != self.attempts[0].endpoint
        return any(a.endpoint != self.attempts[0].endpoint for a in self.attempts)

    @property
    def cost(self) -> float | None:
        """US dollars of all attempts whose price is known, losers included.

        `None` where that would say nothing: what was charged for is of unknown price.
        """
        costs = [attempt.cost for attempt in self.attempts]
        known = sum([cost for cost in costs if cost is not None])
        return None if not known and None in costs else known

    @property
    def cost_estimated(self) -> bool:
        """Whether `cost` is no exact sum: an attempt was estimated, or is of unknown price."""
        return any(attempt.cost_estimated or attempt.cost is None for attempt in self.attempts)

    @property
    def panicked(self) -> bool:
        """Whether an endpoint was asked although its breaker is open, because none was left."""
        return any(a.forced for a in self.attempts)


NO_REPORT = Report()
