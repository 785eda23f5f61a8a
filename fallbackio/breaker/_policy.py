"""What a breaker is told: frozen, in seconds, and refused when it makes no sense.

Odd rule: there is no infinity.  A duration has an upper bound, and a rule is switched off by leaving
it out of `rates`, so that no sum of settings can overflow a clock.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, NamedTuple

from attrs import Attribute, field, frozen

from fallbackio._checks import Validator, are_several, at_least_one, check, is_number, is_whole, ratio
from fallbackio.errors import ConfigError

__all__ = ["BreakerPolicy", "Rate"]

# Three years.  Far over any sensible setting, far under what `timedelta` and the ring can hold.
_LONGEST_S = 1e8
# A millisecond: below it, a window's bucket would be finer than the clocks that fill it.
_SHORTEST_S = 1e-3


class Rate(NamedTuple):
    """One rule on the share of failures; a plain pair will do in its place.

    Attributes:
        failure_ratio: Share of the window's calls, over 0 and up to 1, at which the breaker opens.
        min_calls: Below this many calls in the window the rule is silent, so that one unlucky call
            at four in the morning trips nothing; at least 1.

    Example:
        >>> Rate(failure_ratio=0.5, min_calls=10)
    """

    failure_ratio: float
    min_calls: int


def _between(least: float, most: float, what: str) -> Validator:
    rule = f"{what} from {least:g} to {most:g}"
    return check(rule, lambda value: is_number(value) and least <= value <= most)


def _as_rates(value: Iterable[Iterable[Any]]) -> tuple[Rate, ...]:
    try:
        if not are_several(value):
            raise TypeError
        return tuple([Rate(*rate) for rate in value])
    except TypeError:
        raise ConfigError(f"rates must be pairs of (failure ratio, minimum calls), not {value!r}") from None


def _rates(instance: object, attribute: Attribute[Any], value: tuple[Rate, ...]) -> None:
    for rate in value:
        if not (is_number(rate.failure_ratio) and 0 < rate.failure_ratio <= 1):
            raise ConfigError(f"a failure ratio must be over 0 and up to 1, not {rate.failure_ratio!r}")
        if not (is_whole(rate.min_calls) and rate.min_calls >= 1):
            raise ConfigError(
                f"a rate's minimum calls must be a whole number of at least 1, not {rate.min_calls!r}"
            )


def _or_none(rule: Validator) -> Validator:
    def validate(instance: object, attribute: Attribute[Any], value: object) -> None:
        if value is not None:
            rule(instance, attribute, value)

    return validate


_duration = _between(_SHORTEST_S, _LONGEST_S, "a number of seconds")
_duration_or_none_at_all = _between(0, _LONGEST_S, "a number of seconds")


@frozen(kw_only=True)
class BreakerPolicy:
    """When an endpoint is taken out of the chain, and for how long.

    The breaker opens on the first of three signs: `consecutive` hard failures or slow answers in a
    row, a failure ratio in `rates`, or one fatal failure (a bad key).  No sign alone sees everything:
    a run is blind to an endpoint that fails every second call, a ratio is slow where calls are few.
    Where they are few, a shorter run of hard failures will do if it has lasted (`sparse_after_s`).

    An open period lasts

        min(open_s * 2**n, max_open_s) * (1 + jitter_ratio * u),   u uniform in [0, 1)

    seconds, where n counts the openings since the breaker last proved healthy.  A run whose failures
    came seldom begins higher: an open period is never less than `min_open_gaps` mean gaps of the run
    that opened it.  Jitter only ever lengthens: with the defaults the first period is 5 to 5.5 s in
    dense traffic, and the longest 120 to 132 s.  It has proved healthy once it stayed closed for as long
    as its next open period would be: a single answered probe forgets nothing, or an endpoint that flaps
    would be asked at full rate twice a minute for ever.  A fatal failure takes `max_open_s` at once.

    A `Retry-After` sets the period in place of that formula, without jitter, capped at
    `max_retry_after_s` and never below `open_s` (some providers always say 0 or 1).

    Attributes:
        consecutive: Hard failures and slow answers in a row that open it, at least 1.
        window_s: Length of the sliding window behind `rates`, in ten buckets; an event leaves it
            after 90 to 100 % of this.  Should exceed the longest usual call.
        rates: Rules on the share of failures in the window; any one that holds, when a failure
            comes in, opens the breaker.  Throttled calls (429) count as failures here, slow
            answers as calls that did not fail.
        sparse_after_s: Where calls are few: how long a run, first failure to last, must have lasted for
            a share of `consecutive` to open it (see `sparse_ratio`); `None` never does.  Failures further
            apart than `max_open_s` are not of one such run.
        sparse_ratio: That share, over 0 and up to 1, of hard failures; three at least.
        open_s: The first open period, at least; and how long after a probe that was beaten in a race
            there is no other.
        min_open_gaps: An open period is at least so many times the mean time between the failures of
            the run that opened it, up to `max_open_s`, so that a caller who comes seldom does not
            spend every call on a probe; 0 leaves it at `open_s`.
        max_open_s: The longest period by doubling or by `min_open_gaps`, before jitter; not below `open_s`.
        jitter_ratio: How much longer a period may be by lot, 0 to 1.
        max_retry_after_s: Cap on `Retry-After`; 0 ignores it.
        probe_timeout_s: A probe out longer than this no longer holds the probe's place, and once
            another has taken it, its result counts for nothing.
        ramp_s: How long it takes until an endpoint that has recovered gets all its calls again; a
            failure on the way lowers its share.  0 gives it all of them at once.  Read by the chain.
        slow_after_s: An attempt that was cut (because another won) counts as a failure if it was
            older than this, and an endpoint that has hardly answered yet is late after it.  Read by the
            chain, not by the breaker.
        slow_medians: An answer that takes more than so many times what is usual at its endpoint is
            slow, if another is known to do better; 1 to 1,000, `None` for never.  Read by the chain.

    Raises:
        ConfigError: For a setting of the wrong type or out of its range; NaN and infinity are.

    Example:
        >>> BreakerPolicy(consecutive=3, rates=[(0.5, 20)], open_s=10)
    """

    # Defaults: 5 in a row as aiobreaker; the two rates see a 45 % failure in 28 s at one call in two
    # seconds and a 25 % one in 10 s at five per second, without a false trip a day at 3 % baseline.
    consecutive: int = field(default=5, validator=at_least_one)
    window_s: float = field(default=30.0, validator=_duration)
    rates: tuple[Rate, ...] = field(
        default=(Rate(0.5, 10), Rate(0.2, 50)), converter=_as_rates, validator=_rates
    )
    # One call in 4 s: a dead endpoint is left after 8 s and not 16, and gets 4 of the 15 calls of a minute.
    # Dense traffic sees no difference, for there the fifth failure or an answer comes before 6 s are over.
    # The price, at 3 % baseline failures: three in a row are one call in 38,000, that is 0.57 false trips a
    # day at this pace, 0.75 at the worst (a call in 3 s; 0.32 where calls come at random), and each has about
    # five calls served by the next endpoint.  A hedge's slow losers are failures too, and come on
    # top of those 3 %.  Two in a row would be a trip an hour.
    sparse_after_s: float | None = field(default=6.0, validator=_or_none(_duration_or_none_at_all))
    sparse_ratio: float = field(default=0.6, validator=ratio)
    # Half of all provider outages outlast an hour, that is hundreds of first periods: hence doubling.
    open_s: float = field(default=5.0, validator=_duration)
    # Five calls in a row are served elsewhere for each one risked on a probe.
    min_open_gaps: float = field(default=5.0, validator=_between(0, 1000, "a number"))
    max_open_s: float = field(default=120.0, validator=_duration)
    jitter_ratio: float = field(default=0.1, validator=_between(0, 1, "a ratio"))
    max_retry_after_s: float = field(default=300.0, validator=_duration_or_none_at_all)
    probe_timeout_s: float = field(default=120.0, validator=_duration)
    ramp_s: float = field(default=10.0, validator=_duration_or_none_at_all)
    slow_after_s: float = field(default=10.0, validator=_duration_or_none_at_all)
    # Of ten public models the 95th percentile of the time to the first content lies at 1.3 to 3.1 medians.
    slow_medians: float | None = field(default=4.0, validator=_or_none(_between(1, 1000, "a number")))

    def __attrs_post_init__(self) -> None:
        if self.max_open_s < self.open_s:
            raise ConfigError(f"max_open_s ({self.max_open_s!r}) must not be below open_s ({self.open_s!r})")

    def asked_s(self, retry_after_s: float | None) -> float:
        """Seconds a provider may keep us away; 0 when it asked for nothing we can make sense of."""
        if retry_after_s is None or math.isnan(retry_after_s):
            return 0.0
        return max(0.0, min(retry_after_s, self.max_retry_after_s))
