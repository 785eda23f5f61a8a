"""How often something may be said: a few times at once, then once in a while.

Each kind has a bucket of its own.  Nothing here reads a clock.
"""

from __future__ import annotations

from collections.abc import Hashable

from attrs import define

__all__ = ["Throttle"]


@define
class _Kind:
    left: float
    at: float


class Throttle:
    """Lets `burst` of a kind through, and then one every `every_s` seconds.

    Kinds must be few, such as pairs of endpoints; they are never forgotten.
    """

    __slots__ = ("_burst", "_every_s", "_kinds")

    def __init__(self, burst: int, every_s: float) -> None:
        self._burst = burst
        self._every_s = every_s
        self._kinds: dict[Hashable, _Kind] = {}

    def admits(self, kind: Hashable, now: float) -> bool:
        """Whether one more may be said now; it has been, then."""
        known = self._kinds.get(kind)
        if known is None:
            known = self._kinds[kind] = _Kind(self._burst, now)
        known.left = min(self._burst, known.left + (now - known.at) / self._every_s)
        known.at = now
        # A hair of slack: a timer set for the instant at which the bucket holds one again may be early.
        if known.left < 1 - 1e-6:
            return False
        known.left -= 1
        return True

    def wait_s(self, kind: Hashable) -> float:
        """Seconds from the last `admits` until one more may be said."""
        return max(0.0, 1 - self._kinds[kind].left) * self._every_s
