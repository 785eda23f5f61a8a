"""When the next attempt starts: one number, the delay, decides.

Infinite, it is a sequence: the next endpoint is asked when the one before has failed.  Finite, it
is a hedge: the next is asked as well when the delay has passed without a first content.  Zero, it
is a race.  In all three a failure starts the next attempt at once, and a failure never wins.

A strategy also says `one_at_a_time` (a sequence: there is no contest, and no first content to win
it), `most_at_once`, its `extra_load` (none where a second attempt is not extra) and what becomes of
losers (`drain_losers`).
"""

from __future__ import annotations

import math
from typing import ClassVar, Literal

from attrs import field, frozen

from fallbackio._checks import check, is_number, is_whole, limit, ratio
from fallbackio.chain._latency import MOST_MEDIANS, Latencies
from fallbackio.chain._settings import MOST_DOUBLINGS
from fallbackio.errors import ConfigError

__all__ = ["Hedge", "Race", "Sequence", "Strategy", "named"]

# Below this a hedge is a race: RFC 8305 recommends at least 100 ms between two attempts.
FLOOR_S = 0.1

_delay = check(
    '"adaptive" or a number of seconds, 0 or more',
    lambda value: value == "adaptive" or (is_number(value) and value >= 0),
)
_two_or_more = check(
    "a whole number, 2 or more (one at a time is Sequence())", lambda value: is_whole(value) and value >= 2
)


@frozen
class Sequence:
    """The next endpoint is asked when the one before has failed.

    Example:
        >>> steps = ["openai/gpt-6-luna", "anthropic/claude-sonnet-5-5"]
        >>> fallbackio.Chain(steps, strategy=fallbackio.Sequence())
    """

    one_at_a_time: ClassVar[bool] = True
    most_at_once: ClassVar[float] = 1
    extra_load: ClassVar[float | None] = None
    drain_losers: ClassVar[float | None] = None

    def delay_s(self, latencies: Latencies, started: int) -> float:
        """Never."""
        return math.inf

    def parallel(self, latencies: Latencies, endpoints: int) -> int:
        """One at a time."""
        return 1

    def slow_s(self, latencies: Latencies, alive: bool) -> float:
        """Nothing is cut for another's sake."""
        return math.inf


@frozen(kw_only=True)
class Hedge:
    """The next endpoint is asked as well when one is slow; the first content wins, the rest is cut.

    `complete` asks for streams upstream, because what is slow shows in the first content.

    Attributes:
        delay: Seconds without a first content after which the next is asked; `"adaptive"`: the
            (1 - extra_load) quantile of the endpoint's own times to first content, so that about
            that share of calls is hedged, at least 0.1 s, at most four medians (today's or the
            usual one, whichever is less), and no hedge below 20 samples.  Each further candidate
            waits twice as long.  The first sign of life (the provider has accepted the request)
            starts the delay anew, once.
        extra_load: Share of extra requests, over 0 and up to 1; also the chain's budget for all
            extra attempts, see `RetryPolicy.budget_ratio`.
        max_parallel: Attempts under way at once, 2 or more.
        drain_losers: Seconds for which a loser that the provider had accepted may go on in the
            background, so that its connection is kept and its time is learnt; at most 8 at once,
            ended by the chain's `aclose`.  `None` cuts every loser at once.

    Raises:
        ConfigError: For a setting out of its range.

    Example:
        >>> steps = ["openai/gpt-6-luna", "anthropic/claude-sonnet-5-5"]
        >>> fallbackio.Chain(steps, strategy=fallbackio.Hedge(delay=1.5))
    """

    delay: float | Literal["adaptive"] = field(default="adaptive", validator=_delay)
    extra_load: float = field(default=0.05, validator=ratio)
    max_parallel: int = field(default=2, validator=_two_or_more)
    drain_losers: float | None = field(default=None, validator=limit)

    one_at_a_time: ClassVar[bool] = False

    @property
    def most_at_once(self) -> float:
        """How many attempts may be under way at once."""
        return self.max_parallel

    def delay_s(self, latencies: Latencies, started: int) -> float:
        """Seconds from the start of the `started`-th attempt, of an endpoint with these times."""
        growth = 2.0 ** min(started - 1, MOST_DOUBLINGS)
        if self.delay != "adaptive":
            return self.delay * growth
        late, typical = latencies.quantile(1 - self.extra_load), latencies.quantile(0.5)
        if late is None or typical is None:
            return math.inf
        usual = latencies.usual()
        if usual is not None:
            typical = min(typical, usual)
        return max(min(late, MOST_MEDIANS * typical), FLOOR_S) * growth

    def parallel(self, latencies: Latencies, endpoints: int) -> int:
        """How many may be under way at once."""
        return 1 if self.delay_s(latencies, 1) == math.inf else self.max_parallel

    def slow_s(self, latencies: Latencies, alive: bool) -> float:
        """The age from which a loser was slow by its own measure."""
        return self.delay_s(latencies, 1)


@frozen(kw_only=True)
class Race:
    """Several endpoints are asked at once; the first content wins, the rest is cut.

    A loser that is slow by its own measure (the 95th percentile of its times) counts as failed for
    its breaker.  One that has no measure yet counts when it has not even accepted the request by
    the time another has answered, after 0.1 s at the least; otherwise a dead endpoint would never
    be left alone, because every race hides it.

    Attributes:
        width: How many are asked at once, 2 or more; `None` for all.

    Raises:
        ConfigError: For a width below 2.

    Example:
        >>> steps = ["openai/gpt-6-luna", "anthropic/claude-sonnet-5-5"]
        >>> fallbackio.Chain(steps, strategy=fallbackio.Race(width=2))
    """

    width: int | None = field(default=None, validator=_two_or_more)

    one_at_a_time: ClassVar[bool] = False
    extra_load: ClassVar[float | None] = None
    drain_losers: ClassVar[float | None] = None

    @property
    def most_at_once(self) -> float:
        """How many attempts may be under way at once."""
        return math.inf if self.width is None else self.width

    def delay_s(self, latencies: Latencies, started: int) -> float:
        """None, up to the width."""
        return 0.0 if self.width is None or started < self.width else math.inf

    def parallel(self, latencies: Latencies, endpoints: int) -> int:
        """How many are under way at once."""
        return endpoints if self.width is None else self.width

    def slow_s(self, latencies: Latencies, alive: bool) -> float:
        """The age from which a loser was slow by its own measure, or dead by any."""
        typical = latencies.quantile(0.95)
        if typical is not None:
            return max(typical, FLOOR_S)
        return math.inf if alive else FLOOR_S


Strategy = Sequence | Hedge | Race


def named(strategy: Strategy | str) -> Strategy:
    """The strategy itself, or the one that a string stands for with its defaults."""
    if isinstance(strategy, Sequence | Hedge | Race):
        return strategy
    defaults: dict[str, Strategy] = {"sequence": Sequence(), "hedge": Hedge(), "race": Race()}
    if strategy not in defaults:
        known = ", ".join(map(repr, defaults))
        raise ConfigError(f"strategy must be one of {known}, or a Sequence, Hedge or Race; not {strategy!r}")
    return defaults[strategy]
