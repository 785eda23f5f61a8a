"""When to open, and for how long: the judgements, without the machine.

Nothing here reads a clock.  Odd rule: a ratio is judged when a failure comes in and never on a
success, so that an answer in time never opens a breaker.
"""

from __future__ import annotations

import random
from enum import Enum
from typing import Final

from fallbackio._window import Window
from fallbackio.breaker._policy import BreakerPolicy

__all__ = ["IN_RATE", "IN_RUN", "Backoff", "Severity", "verdict"]


class Severity(Enum):
    """How much a failure says about the endpoint.

    Attributes:
        HARD: It broke; counts in the run of failures and in the rate.
        SLOW: It answered, but far later than it usually does; counts in the run of failures only.
        THROTTLED: It asked for less (429); counts in the rate only, for it is alive.
        FATAL: It cannot work as it is set up (bad key, no quota, no such model); opens the breaker
            at once.

    Example:
        >>> permit.failed(Severity.THROTTLED, retry_after_s=20)
    """

    HARD = "hard"
    SLOW = "slow"
    THROTTLED = "throttled"
    FATAL = "fatal"


# A throttled call does not end a run, a slow one is no failed call of the window.
IN_RUN: Final = {Severity.HARD, Severity.SLOW}
IN_RATE: Final = {Severity.HARD, Severity.THROTTLED, Severity.FATAL}


def verdict(policy: BreakerPolicy, severity: Severity, run: int, window: Window) -> str:
    """Why to open after this failure, in words; empty if there is no reason to."""
    if severity is Severity.FATAL:
        return "a fatal failure"
    if run >= policy.consecutive:
        return f"{run} failures in a row"
    if severity not in IN_RATE:
        return ""
    for ratio, least in policy.rates:
        if window.calls >= least and window.failures / window.calls >= ratio:
            return f"{window.failures} of {window.calls} calls failed within {policy.window_s:g} s"
    return ""


class Backoff:
    """How long the next open period will be; `BreakerPolicy` has the formula."""

    def __init__(self, policy: BreakerPolicy, chance: random.Random) -> None:
        self.policy = policy
        self._chance = chance
        self._step_s = policy.open_s  # the next period by doubling, before jitter

    def forget(self, closed_s: float) -> None:
        """Start afresh if the breaker was closed for so long that it proved healthy."""
        if closed_s >= self._step_s:
            self._step_s = self.policy.open_s

    def period_s(self, severity: Severity, asked_s: float) -> float:
        """Seconds to stay open; `asked_s` is the provider's wish, already capped, or 0.

        The step doubles in any case: an endpoint that names its times fails no less for it.
        """
        policy = self.policy
        step_s = policy.max_open_s if severity is Severity.FATAL else self._step_s
        self._step_s = min(2 * step_s, policy.max_open_s)
        if asked_s:
            return max(asked_s, policy.open_s)
        return step_s * (1 + policy.jitter_ratio * self._chance.random())
