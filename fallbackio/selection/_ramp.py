"""Slow start: how much of its traffic an endpoint gets back after a recovery.

Its share grows evenly to the whole over `ramp_s`; a failure on the way lowers it and lets it grow from
there, so that an endpoint that comes back with a part of its capacity is kept near that part
(additive increase, multiplicative decrease).
"""

from __future__ import annotations

import math

__all__ = ["Ramp"]

# One probe has shown that it answers one.
FIRST_SHARE = 0.05
# As TCP's: what is taken back must make up for what was offered before the failures were known.
BACK_OFF = 0.5
# Failures that come together are one sign: they were sent at the same share.
ONE_SIGN_S = 0.5


class Ramp:
    """One endpoint's share; `since` is the instant of its last recovery, minus infinity for none."""

    __slots__ = ("_at", "_held_at", "_ramp_s", "_share", "_since")

    def __init__(self, ramp_s: float) -> None:
        self._ramp_s = ramp_s
        self._since = -math.inf
        self._share = 1.0
        self._at = -math.inf
        self._held_at = -math.inf

    def share(self, now: float, since: float) -> float:
        """The share of its calls that it is to get, over 0 and up to 1."""
        if since != self._since:
            self._since, self._share, self._at = since, FIRST_SHARE, since
        if self._share >= 1.0 or self._ramp_s <= 0:
            return 1.0
        share = self._share + (now - self._at) / self._ramp_s
        if share >= 1.0:
            self._share = share = 1.0
        return share

    def failed(self, now: float, since: float) -> None:
        """It could not do what it was sent."""
        share = self.share(now, since)
        if share < 1.0 and now - self._held_at >= ONE_SIGN_S:
            self._share, self._at, self._held_at = max(FIRST_SHARE, share * BACK_OFF), now, now
