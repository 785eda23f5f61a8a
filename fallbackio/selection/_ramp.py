"""Slow start: which of its calls an endpoint gets back after a recovery.

Its share grows evenly to the whole over `ramp_s`; a failure on the way halves it and lets it grow from
there, half as fast, so that an endpoint that comes back with a part of its capacity is kept near that
part (additive increase, multiplicative decrease).  The share is dealt out evenly and not by lot,
because lots come in runs, and a run is what a weak endpoint cannot bear.
"""

from __future__ import annotations

import math
import random

__all__ = ["Ramp"]

# One probe has shown that it answers one.
FIRST_SHARE = 0.05
# As TCP's: what is taken back must make up for what was offered before the failures were known.
BACK_OFF = 0.5
# Once it has shown where its limit is, it goes up to it again in twice the time, and over it by half.
CAUTION = 0.5
# Failures that come together are one sign: they were sent at the same share.
ONE_SIGN_S = 0.5


class Ramp:
    """One endpoint's share; `since` is the instant of its last recovery, minus infinity for none."""

    __slots__ = ("_at", "_credit", "_held_at", "_pace", "_ramp_s", "_share", "_since")

    def __init__(self, ramp_s: float) -> None:
        self._ramp_s = ramp_s
        self._pace = 1.0  # shares per `ramp_s`
        self._since = -math.inf
        self._share = 1.0
        self._at = -math.inf
        self._held_at = -math.inf
        self._credit = 0.0  # what of a call it is owed; a whole one is due

    def share(self, now: float, since: float) -> float:
        """The share of its calls that it is to get, over 0 and up to 1."""
        if since != self._since:
            self._since, self._share, self._at, self._pace = since, FIRST_SHARE, since, 1.0
        return self.seen(now, since)

    def seen(self, now: float, since: float) -> float:
        """As `share`, for who only looks: a recovery that no call has seen yet stays so."""
        if since != self._since:
            share, at, pace = FIRST_SHARE, since, 1.0
        else:
            share, at, pace = self._share, self._at, self._pace
        if share >= 1.0 or self._ramp_s <= 0:
            return 1.0
        return min(1.0, share + pace * (now - at) / self._ramp_s)

    def takes(self, now: float, since: float, lots: random.Random) -> bool:
        """Whether this call is one of its share."""
        begins = since != self._since
        share = self.share(now, since)
        if share >= 1.0:
            return True
        # By lot at first, so that chains that see one recovery do not deal in step.
        self._credit = (lots.random() if begins else self._credit) + share
        due = self._credit >= 1.0
        self._credit -= due
        return due

    def failed(self, now: float, since: float) -> None:
        """It could not do what it was sent."""
        share = self.share(now, since)
        if share < 1.0 and now - self._held_at >= ONE_SIGN_S:
            self._share, self._at, self._held_at = max(FIRST_SHARE, share * BACK_OFF), now, now
            self._pace = CAUTION
