"""When to open, and for how long: the judgements, without the machine.

Nothing here reads a clock.  Odd rule: a ratio is judged when a failure comes in and never on a
success, so that an answer in time never opens a breaker.
"""

from __future__ import annotations

import random
from enum import Enum
from math import inf
from typing import Final, NamedTuple

from attrs import frozen

from fallbackio._window import Window
from fallbackio.breaker._policy import BreakerPolicy

__all__ = ["IN_RATE", "IN_RUN", "NO_RUN", "Backoff", "Run", "Severity", "Trip", "verdict"]

# A run that is shorter than `consecutive` must have so many hard failures at least, whatever the share:
# two in a row are chance, at 3 % baseline failures about once in a thousand calls.
_FEWEST = 3


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


@frozen
class Row:
    """Failures of one kind in a row.

    Attributes:
        count: Hard ones and slow answers.
        near: Those since the last pause, if there was one.
        hard: Those of `near` that were hard.
        first_at: The clock's instant of the first of `near`.
    """

    count: int = 0
    near: int = 0
    hard: int = 0
    first_at: float = inf

    def and_then(self, moment: float, severity: Severity) -> Row:
        """The row with one more."""
        hard = self.hard + (severity is Severity.HARD)
        return Row(self.count + 1, self.near + 1, hard, min(self.first_at, moment))

    def after_pause(self) -> Row:
        """The row with none of them near."""
        return Row(self.count)


NONE: Final = Row()


@frozen
class Run:
    """Failures in a row, and how the latest of them lie in time.

    What ends it is an answer that came further: answers may take a minute to be read, and one that began
    before an endpoint fell silent ends well all the same.  A pause ends nothing but the measure of time:
    yesterday's failure says nothing about today's pace.

    Attributes:
        early: Failures before an answer had begun, and slow ones; since the last answer that began in time.
        late: Those of answers that had begun; since the last one that came whole.
        last_at: The clock's instant of the last of either kind.
    """

    early: Row = NONE
    late: Row = NONE
    last_at: float = 0.0

    def and_then(self, moment: float, severity: Severity, *, has_begun: bool, pause_s: float) -> Run:
        """The run with one more; over `pause_s` seconds without any are a pause."""
        early, late = self.early, self.late
        if moment - self.last_at > pause_s:
            early, late = early.after_pause(), late.after_pause()
        if has_begun:
            return Run(early, late.and_then(moment, severity), moment)
        return Run(early.and_then(moment, severity), late, moment)

    def after_beginning(self) -> Run:
        """What is left of it when an answer has begun in time."""
        return Run(late=self.late, last_at=self.last_at) if self.late.count else NO_RUN

    def after_end(self) -> Run:
        """What is left of it when an answer has come whole that was known to have begun."""
        return Run(early=self.early, last_at=self.last_at) if self.early.count else NO_RUN

    @property
    def count(self) -> int:
        """How many of both kinds."""
        return self.early.count + self.late.count

    @property
    def near(self) -> int:
        """Those since the last pause."""
        return self.early.near + self.late.near

    @property
    def hard(self) -> int:
        """Those of `near` that were hard."""
        return self.early.hard + self.late.hard

    @property
    def lasted_s(self) -> float:
        """Seconds from the first to the last since the pause."""
        return self.last_at - min(self.early.first_at, self.late.first_at) if self.near else 0.0

    @property
    def gap_s(self) -> float:
        """Mean seconds between two of them; 0 where there are no two."""
        return self.lasted_s / (self.near - 1) if self.near > 1 else 0.0


NO_RUN: Final = Run()


class Trip(NamedTuple):
    """A reason to open, in words; and the gap of the run if it was one that gave it."""

    why: str
    gap_s: float = 0.0


def verdict(policy: BreakerPolicy, severity: Severity, run: Run, window: Window) -> Trip | None:
    """Why to open after this failure; `None` if there is no reason to."""
    if severity is Severity.FATAL:
        return Trip("a fatal failure")
    if run.count >= policy.consecutive:
        return Trip(f"{run.count} failures in a row", run.gap_s)
    if _lasts(policy, run):
        return Trip(f"{run.near} failures in a row over {run.lasted_s:.0f} s", run.gap_s)
    if severity not in IN_RATE:
        return None
    for ratio, least in policy.rates:
        if window.calls >= least and window.failures / window.calls >= ratio:
            return Trip(f"{window.failures} of {window.calls} calls failed within {policy.window_s:g} s")
    return None


def _lasts(policy: BreakerPolicy, run: Run) -> bool:
    """Whether a shorter run will do, because it has lasted: where calls are few, the fifth is far away."""
    return (
        policy.sparse_after_s is not None
        and run.lasted_s >= policy.sparse_after_s
        and run.hard >= _FEWEST
        and run.hard / policy.consecutive >= policy.sparse_ratio
    )


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

    def period_s(self, severity: Severity, asked_s: float, gap_s: float = 0.0) -> float:
        """Seconds to stay open; `asked_s` is the provider's wish, already capped, or 0.

        `gap_s` is the pace of the run that opened it, if one did: the fewer the calls, the longer the
        step, or every call would be a probe.  The step doubles in any case: an endpoint that names
        its times fails no less for it.
        """
        policy = self.policy
        paced_s = min(policy.min_open_gaps * gap_s, policy.max_open_s)
        step_s = policy.max_open_s if severity is Severity.FATAL else max(self._step_s, paced_s)
        self._step_s = min(2 * step_s, policy.max_open_s)
        if asked_s:
            return max(asked_s, policy.open_s)
        return step_s * (1 + policy.jitter_ratio * self._chance.random())
