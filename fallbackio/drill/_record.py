"""What is kept of a drill while it runs: one line for each call, and what the chain's events tell."""

from __future__ import annotations

from collections import Counter
from typing import Literal

from attrs import define, field, frozen

__all__ = ["Call", "Log", "Move", "Outcome"]

Outcome = Literal["answered", "allowed", "failed", "hung"]


@frozen(slots=True)
class Call:
    """One call.

    Attributes:
        due_s: When it was made, in the scenario's seconds.
        phase: The number of the phase in which it was made.
        outcome: `"answered"`; `"allowed"`, the error that the scenario allows; `"failed"`; `"hung"`, it had
            not ended long after its time.
        latency_s: From `due_s` to its end.
        ttft_s: From `due_s` to the first content, for streamed ones.
        served_by: Who answered, or nobody.
        error: Why it failed, in words.
        requests: How many requests it sent upstream.
        moved: Whether somebody else answered than the first one asked.
        cost: US dollars of all its requests, or `None` where no price is known.
        wasted: The part of the cost that did not answer.

    Example:
        >>> max(result.calls, key=lambda call: call.latency_s).served_by
        'groq/openai/gpt-oss-120b'
    """

    due_s: float
    phase: int
    outcome: Outcome
    latency_s: float
    ttft_s: float | None = None
    served_by: str = ""
    error: str = ""
    requests: int = 0
    moved: bool = False
    cost: float | None = None
    wasted: float = 0.0


@frozen(slots=True)
class Move:
    """A breaker changed its state.

    Attributes:
        at_s: When, in the scenario's seconds.
        state: `"closed"`, `"open"` or `"half_open"`.
        reason: Why, in words.

    Example:
        >>> result.moves[0]
        Move(at_s=60.9, endpoint='openai/gpt-6-luna', state='open', reason='5 failures in a row (overloaded)')
    """

    at_s: float
    endpoint: str
    state: str
    reason: str


@define(eq=False)
class Log:
    """Everything that a run leaves.

    Attributes:
        calls: In the order in which they ended.
        moves: Of breakers, in order.
        failovers: By phase, and by where from and why.
        requests: That the simulator has counted, by phase and endpoint.
    """

    calls: list[Call] = field(factory=list)
    moves: list[Move] = field(factory=list)
    failovers: list[Counter[tuple[str, str]]] = field(factory=list)
    requests: list[Counter[str]] = field(factory=list)
