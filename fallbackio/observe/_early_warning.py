"""The early warning: how many calls have to fall back now, and how many usually do.

A chain that falls back answers, so nobody complains while the first choice rots, its bill goes to
another vendor or only one endpoint is left.  Two windows are counted, a short and a long one; the
warning is given once when the short one crosses the threshold and taken back once when it is well below
it again.  A call counts as fallen back if it moved on after a failure or past an endpoint that was left
alone; a hedge that won is no sign of trouble.  Nothing here has a timer: what no call asks, nobody hears.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable

from attrs import field, frozen

from fallbackio._checks import at_least_one, check, is_number
from fallbackio._checks import ratio as a_ratio
from fallbackio._window import BUCKETS, Window
from fallbackio.errors import ConfigError
from fallbackio.events import Event, FailedOver, FallbackRateFell, FallbackRateRose

__all__ = ["EarlyWarning", "FallbackRate"]

_length = check("a number of seconds from 1 to 1e8", lambda value: is_number(value) and 1 <= value <= 1e8)
_factor = check("a number, 1 or more", lambda value: is_number(value) and value >= 1)


@frozen(kw_only=True)
class EarlyWarning:
    """When a chain says that more calls than usual fall back.

    It warns when the share of fallen-back calls over the last `short_s` seconds reaches both `ratio` and
    `factor` times the share over the `long_s` seconds before; it says that this is over when the share
    has fallen to `clear_ratio` of that threshold.

    Attributes:
        ratio: Share of calls, over 0 and up to 1.
        factor: How many times the usual share, 1 or more.
        short_s: The window that is watched, in seconds.
        long_s: The window that tells what is usual; longer than `short_s`.
        min_calls: Below this many calls in the short window it says nothing, and with fewer in the long
            one nothing is usual.
        min_fallbacks: Below this many fallen-back calls it says nothing either.
        clear_ratio: Share of the threshold, over 0 and up to 1.

    Raises:
        ConfigError: For a setting out of its range.

    Example:
        >>> policy = EarlyWarning(ratio=0.1)
        >>> chain = fallbackio.Chain(["openai/gpt-6-luna", "groq/openai/gpt-oss-120b"], early_warning=policy)
    """

    ratio: float = field(default=0.05, validator=a_ratio)
    factor: float = field(default=3.0, validator=_factor)
    short_s: float = field(default=60.0, validator=_length)
    long_s: float = field(default=3600.0, validator=_length)
    # One fallback among twenty calls is five per cent and an accident; three are not.
    min_calls: int = field(default=20, validator=at_least_one)
    min_fallbacks: int = field(default=3, validator=at_least_one)
    # Half of the threshold: a rate that hovers at it is told of once, not once a minute.
    clear_ratio: float = field(default=0.5, validator=a_ratio)

    def __attrs_post_init__(self) -> None:
        if self.long_s <= self.short_s:
            raise ConfigError(f"long_s ({self.long_s!r}) must be more than short_s ({self.short_s!r})")


class FallbackRate:
    """Counts the calls of one chain and tells when the rate rises and falls.

    Attributes:
        policy: As given.
        risen: Whether it has warned and not taken that back.
    """

    __slots__ = (
        "_chain",
        "_long",
        "_looked_at",
        "_reasons",
        "_rose_at",
        "_short",
        "_tell",
        "_threshold",
        "policy",
    )

    def __init__(self, policy: EarlyWarning, chain: str, tell: Callable[[Event], None]) -> None:
        self.policy = policy
        self._chain = chain
        self._tell = tell
        self._short = Window(policy.short_s)
        self._long = Window(policy.long_s)
        # Why and where calls fell back: (slot of the short window, counts), the oldest first.
        self._reasons: deque[tuple[float, Counter[tuple[str, str]]]] = deque(maxlen=BUCKETS)
        self._rose_at: float | None = None
        self._looked_at = 0.0  # when a call last asked whether that is over
        self._threshold = 0.0  # that was crossed

    def began(self, now: float) -> None:
        """A call began."""
        self._short.add(now, 0)
        self._long.add(now, 0)
        if self._rose_at is not None:
            self._clear(now, self._rose_at)

    def fell_back(self, event: FailedOver, now: float) -> None:
        """A call that began before has failed over for the first time."""
        self._short.fail(now)
        self._long.fail(now)
        slot = self._slot(now)
        if not self._reasons or self._reasons[-1][0] < slot:
            self._reasons.append((slot, Counter()))
        self._reasons[-1][1][type(event.error).__name__, event.origin] += 1
        if self._rose_at is None:
            self._warn(now)

    @property
    def risen(self) -> bool:
        return self._rose_at is not None

    def ratios(self, now: float) -> tuple[float | None, float | None]:
        """The share over the short window and the usual one; `None` where there were no calls."""
        self._short.forget(now)
        self._long.forget(now)
        usual = self._usual() if self._long.calls > self._short.calls else None
        return (_share(self._short.failures, self._short.calls) if self._short.calls else None), usual

    def _warn(self, now: float) -> None:
        policy, short = self.policy, self._short
        if short.calls < policy.min_calls or short.failures < policy.min_fallbacks:
            return
        known = self._long.calls - short.calls >= policy.min_calls
        usual = self._usual() if known else 0.0
        threshold = max(policy.ratio, policy.factor * usual)
        rate = _share(short.failures, short.calls)
        if rate < threshold:
            return
        self._rose_at, self._threshold = now, threshold
        self._looked_at = now
        reasons = self._recent(now)
        self._tell(
            FallbackRateRose(
                chain=self._chain,
                ratio=rate,
                usual_ratio=usual,
                calls=short.calls,
                fallbacks=short.failures,
                over_s=policy.short_s,
                by_error=_summed((error, count) for (error, _), count in reasons),
                by_endpoint=_summed((origin, count) for (_, origin), count in reasons),
            )
        )

    def withdraw(self) -> None:
        """Take a warning back that stands: nobody counts here any more."""
        if self._rose_at is not None:
            rate = _share(self._short.failures, self._short.calls)
            self._fell(rate, self._looked_at - self._rose_at, withdrawn=True)

    def _clear(self, now: float, rose_at: float) -> None:
        short, self._looked_at = self._short, now
        rate = _share(short.failures, short.calls)
        # Fewer calls than a rate can be made of end it only by a whole window without a fallback.
        told = short.calls >= self.policy.min_calls or not short.failures
        if told and rate <= self.policy.clear_ratio * self._threshold:
            self._fell(rate, now - rose_at)

    def _fell(self, ratio: float, lasted_s: float, *, withdrawn: bool = False) -> None:
        self._rose_at = None
        fell = FallbackRateFell(chain=self._chain, ratio=ratio, lasted_s=lasted_s, withdrawn=withdrawn)
        self._tell(fell)

    def _usual(self) -> float:
        """The share before the short window."""
        return _share(self._long.failures - self._short.failures, self._long.calls - self._short.calls)

    def _recent(self, now: float) -> list[tuple[tuple[str, str], int]]:
        oldest = self._slot(now) - BUCKETS
        return [item for slot, counts in self._reasons if slot > oldest for item in counts.items()]

    def _slot(self, now: float) -> float:
        return now // (self.policy.short_s / BUCKETS)


def _share(part: int, whole: int) -> float:
    # A call may begin in one window and fall back in the next.
    return min(1.0, max(0, part) / max(1, whole))


def _summed(items: Iterable[tuple[str, int]]) -> dict[str, int]:
    """The counts by name, the largest first."""
    counts: Counter[str] = Counter()
    for name, count in items:
        counts[name] += count
    return dict(counts.most_common())
