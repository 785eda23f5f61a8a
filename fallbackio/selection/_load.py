"""How an endpoint has been doing: an average of its time to the first content that knows a peak.

After Finagle's and linkerd's peak EWMA: a peak takes effect at once, quicker answers wear it down
with a time constant.  A failure counts as a time that is computed, not measured, because a quick
refusal must not make an endpoint look fast; and a request that has waited far longer than the
average counts as what it has waited so far, because a stalled endpoint never answers.
"""

from __future__ import annotations

import math

from attrs import define, field

__all__ = ["Load"]

# A time so many times the average is a peak; less is the ordinary scatter of models' times, which
# would make whoever is asked most often look slowest.
PEAK = 3.0
# linkerd's default decay of its balancer.
DECAY_S = 10.0
# The usual number of waiting requests is learnt more slowly, so that a stall does not become usual.
USUAL_S = 30.0
# What a failure counts as where the provider asks for nothing longer (linkerd's load biaser).
FAILURE_S = 5.0
LONGEST_FAILURE_S = 300.0


@define(eq=False)
class Load:
    """One endpoint's load as its balancer sees it."""

    _waiting: dict[object, float] = field(factory=dict)  # since when, the oldest first
    _usual: float = 0.0  # average number of waiting requests, as each new one found it
    _counted_at: float = -math.inf
    _mean_s: float = 0.0
    _at: float = -math.inf  # when the average was last moved; never, until then

    @property
    def waiting(self) -> int:
        """Requests without a first content yet."""
        return len(self._waiting)

    @property
    def is_known(self) -> bool:
        """Whether anything was ever measured."""
        return self._at > -math.inf

    @property
    def crowding(self) -> float:
        """How many times as many wait as usually do, one more included; 1 or more.

        A provider serves many at once without being slower for it, so that the number itself says
        nothing.  Calls that come by chance scatter by the root of their number; twice that is usual.
        """
        return max(1.0, (self.waiting + 1) / (self._usual + 2 * math.sqrt(self._usual) + 1))

    def started(self, now: float, request: object) -> None:
        """A request is sent."""
        weight = math.exp(-(now - self._counted_at) / USUAL_S)
        self._usual = self._usual * weight + self.waiting * (1 - weight)
        self._counted_at = now
        self._waiting[request] = now

    def ended(self, request: object) -> None:
        """It does not wait any more, for whatever reason."""
        self._waiting.pop(request, None)

    def answered(self, now: float, seconds: float) -> None:
        """A first content came after so many seconds."""
        if not self.is_known or seconds > PEAK * self._mean_s:
            self._mean_s = seconds
        else:
            weight = math.exp(-(now - self._at) / DECAY_S)
            self._mean_s = self._mean_s * weight + seconds * (1 - weight)
        self._at = now

    def failed(self, now: float, seconds: float, retry_after_s: float | None) -> None:
        """An attempt failed after so many seconds."""
        asked = FAILURE_S if retry_after_s is None else min(retry_after_s, LONGEST_FAILURE_S)
        self.answered(now, max(seconds, asked, self._mean_s))

    def seconds(self, now: float) -> float:
        """The average, or how long the oldest request has waited, if that is a peak already.

        The average wears off while nothing is measured, so that one peak does not last for ever.
        """
        mean_s = self._mean_s * math.exp(-(now - self._at) / DECAY_S) if self.is_known else 0.0
        waited_s = now - next(iter(self._waiting.values()), now)
        return waited_s if waited_s > PEAK * self._mean_s else mean_s
