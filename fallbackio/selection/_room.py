"""How much an endpoint may still be asked: requests and tokens per minute, requests at once.

Limits are given, or learnt from the provider's headers; both are buckets that refill evenly, which
is what token buckets do and what is on the safe side of fixed windows.  A request takes what it is
estimated to need before it is sent and settles for what it used.  The odd rule: what the provider
says of its remaining room does not know of the requests that are on their way to it, so those are
taken off again.
"""

from __future__ import annotations

import math
from typing import Protocol

from attrs import define, field

__all__ = ["Limited", "Room", "Shared", "Taken"]

MINUTE_S = 60.0
LEAST_GONE = 3


class Limited(Protocol):
    """What a provider said of one of its limits."""

    @property
    def limit(self) -> float | None:
        """What the limit is, if it was said."""
        ...

    @property
    def remaining(self) -> float:
        """What is left of it."""
        ...

    @property
    def reset_s(self) -> float | None:
        """Seconds until it is whole again, if that was said."""
        ...


@define(eq=False)
class Bucket:
    """One limit: what is left at an instant, and how fast it refills."""

    limit: float
    rate: float  # per second
    left: float
    at: float

    @classmethod
    def per_minute(cls, limit: float) -> Bucket:
        """A full one."""
        return cls(limit, limit / MINUTE_S, limit, 0.0)

    def left_at(self, now: float) -> float:
        """What is left now."""
        return min(self.limit, self.left + self.rate * max(0.0, now - self.at))

    def free_at(self, now: float, need: float) -> float:
        """The instant from which `need` fits; infinite if it never does by itself.

        What is larger than the whole limit is let through when the bucket is full: the provider
        has the last word on it.
        """
        missing = min(need, self.limit) - self.left_at(now)
        if missing <= 0:
            return now
        return now + missing / self.rate if self.rate > 0 else math.inf

    def take(self, now: float, need: float) -> None:
        """Take `need` out, also what is not there."""
        self.left, self.at = self.left_at(now) - need, now

    def settle(self, now: float, taken: float, used: float) -> None:
        """A request that took `taken` has ended and used `used`."""
        self.left, self.at = min(self.limit, self.left_at(now) + taken - used), now

    def learn(self, now: float, said: Limited, out: float) -> None:
        """Believe the provider, but for `out`, taken by requests that it may not have seen yet."""
        if said.limit is not None and said.limit > 0:
            self.limit = said.limit
        self.limit = max(self.limit, said.remaining)
        # Remaining is rounded down, so what is gone is less by up to one; of little that says nothing.
        gone = self.limit - said.remaining - 1
        if said.reset_s is not None and said.reset_s > 0 and gone >= LEAST_GONE:
            self.rate = gone / said.reset_s
        self.left, self.at = said.remaining - out, now


@define(eq=False)
class Taken:
    """What a request took; to be given back exactly once, with `Room.leave`."""

    tokens: float
    is_in_flight: bool = True  # until it has its answer or is over


@define(eq=False)
class Room:
    """The limits of one endpoint; `shared` are those of its key, which others may share.

    Attributes:
        most: Requests at once, infinite for any number.
        in_flight: Requests that the provider is not done with.
    """

    most: float = math.inf
    shared: Shared = field(factory=lambda: Shared())
    in_flight: int = 0

    @property
    def is_open(self) -> bool:
        """Whether there is no limit at all."""
        return self.most == math.inf and self.shared.requests is None and self.shared.tokens is None

    def free_at(self, now: float, tokens: float) -> float:
        """The instant from which a request of so many tokens fits; infinite until another ends."""
        if self.in_flight >= self.most:
            return math.inf
        return self.shared.free_at(now, tokens)

    def enter(self, now: float, tokens: float) -> Taken:
        """A request is sent."""
        self.in_flight += 1
        self.shared.take(now, tokens)
        return Taken(tokens)

    def free(self, taken: Taken) -> None:
        """The provider is done with it, though what it used is not known yet."""
        self.in_flight -= taken.is_in_flight
        taken.is_in_flight = False

    def leave(self, now: float, taken: Taken, used: float | None) -> None:
        """It has ended; `used` tokens, or nobody knows how many."""
        self.free(taken)
        self.shared.settle(now, taken.tokens, taken.tokens if used is None else used)


@define(eq=False)
class Shared:
    """The limits of a key: a bucket for requests and one for tokens, absent while nothing is known."""

    requests: Bucket | None = None
    tokens: Bucket | None = None
    requests_out: float = 0.0  # under way, counted also while no limit is known
    tokens_out: float = 0.0

    @classmethod
    def given(cls, rpm: float | None, tpm: float | None) -> Shared:
        """What the user says of it."""
        return cls(
            None if rpm is None else Bucket.per_minute(rpm), None if tpm is None else Bucket.per_minute(tpm)
        )

    def free_at(self, now: float, tokens: float) -> float:
        """The instant from which a request of so many tokens fits."""
        at = now if self.requests is None else self.requests.free_at(now, 1)
        return at if self.tokens is None else max(at, self.tokens.free_at(now, tokens))

    def take(self, now: float, tokens: float) -> None:
        """A request is sent."""
        self.requests_out += 1
        self.tokens_out += tokens
        if self.requests is not None:
            self.requests.take(now, 1)
        if self.tokens is not None:
            self.tokens.take(now, tokens)

    def settle(self, now: float, taken: float, used: float) -> None:
        """A request has ended."""
        self.requests_out -= 1
        self.tokens_out -= taken
        if self.tokens is not None:
            self.tokens.settle(now, taken, used)

    def learn(self, now: float, requests: Limited | None, tokens: Limited | None) -> None:
        """What the provider's headers say."""
        if requests is not None:
            self.requests = _learnt(self.requests, now, requests, self.requests_out)
        if tokens is not None:
            self.tokens = _learnt(self.tokens, now, tokens, self.tokens_out)


def _learnt(bucket: Bucket | None, now: float, said: Limited, out: float) -> Bucket:
    if bucket is None:
        limit = said.limit or said.remaining
        bucket = Bucket(limit, limit / MINUTE_S, said.remaining, now)
    bucket.learn(now, said, out)
    return bucket
