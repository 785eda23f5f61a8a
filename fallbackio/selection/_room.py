"""How much an endpoint may still be asked: requests and tokens per minute, requests at once.

What is given and what the provider tells of its limits are kept apart, and both hold.  A request takes
what it is estimated to need before it is sent and settles for what it used.  The odd rule: what the
provider says of its remaining room does not know of the requests that are on their way to it, so those
are taken off again.  And what it says holds until the reset that it names, a minute at least: what is held to
after that is a guess, which ends with the first answer that says nothing of a limit.
"""

from __future__ import annotations

import math
from typing import Protocol, Self

from attrs import define, field

from fallbackio.endpoint import Limited

__all__ = ["Room", "Shared", "Taken"]

MINUTE_S = 60.0
LEAST_GONE = 3
# What is missing by so little is there: an instant that was computed as the first that suits must suit.
ROUNDING = 1e-9


class Limit(Protocol):
    """What is left of one limit, and when there is more.

    Attributes:
        limit: What the whole of it is.
        until: The instant to which it holds; infinite for one that was given.
    """

    limit: float
    until: float

    def left_at(self, now: float) -> float:
        """What is left now."""
        ...

    def whole_at(self, now: float) -> float:
        """The instant at which all of it will be there; infinite if it does not come by itself."""
        ...

    def free_at(self, now: float, need: float) -> float:
        """The instant from which `need` fits.

        What is larger than the whole limit is let through when all of it is there: the provider has
        the last word on it.
        """
        ...

    def take(self, now: float, need: float) -> None:
        """Take `need` out, also what is not there."""
        ...

    def learn(self, now: float, said: Limited, out: float) -> None:
        """Believe the provider, but for `out`, taken by requests that it may not have seen yet."""
        ...


@define(eq=False)
class Bucket:
    """A limit that refills all the time."""

    limit: float
    rate: float  # per second
    left: float
    at: float
    until: float = math.inf

    @classmethod
    def per_minute(cls, limit: float, now: float = 0.0) -> Self:
        """A full one."""
        return cls(limit, limit / MINUTE_S, limit, now)

    def left_at(self, now: float) -> float:
        return min(self.limit, self.left + self.rate * max(0.0, now - self.at))

    def whole_at(self, now: float) -> float:
        return self.free_at(now, self.limit)

    def free_at(self, now: float, need: float) -> float:
        missing = min(need, self.limit) - self.left_at(now)
        if missing <= ROUNDING * self.limit:
            return now
        return now + missing / self.rate if self.rate > 0 else math.inf

    def take(self, now: float, need: float) -> None:
        self.left, self.at = self.left_at(now) - need, now

    def give_back(self, now: float, amount: float) -> None:
        """So much of what was taken was not needed; less than nothing if it was too little."""
        self.left, self.at = self.left_at(now) + amount, now

    def learn(self, now: float, said: Limited, out: float) -> None:
        if said.limit is not None and said.limit > 0:
            self.limit = said.limit
        self.limit = max(self.limit, said.remaining)
        # Remaining is rounded down, so what is gone is less by up to one; of little that says nothing.
        gone = self.limit - said.remaining - 1
        if said.reset_s is not None and said.reset_s > 0 and gone >= LEAST_GONE:
            self.rate = gone / said.reset_s
        self.left, self.at = said.remaining - out, now


@define(eq=False)
class Guess(Bucket):
    """What a limit may be of which nothing was said for long: as much in a minute as it was in all."""

    @classmethod
    def after(cls, limit: Limit, now: float) -> Guess | None:
        """In the place of `limit`; none if that had no size."""
        return cls.per_minute(limit.limit, now) if limit.limit > 0 else None


@define(eq=False)
class Window:
    """A limit of which nothing comes back before all of it does."""

    limit: float
    left: float
    resets_at: float
    length_s: float  # the longest that was seen to be left of it
    until: float = math.inf

    def left_at(self, now: float) -> float:
        return self.left if now < self.resets_at else self.limit

    def whole_at(self, now: float) -> float:
        return self.free_at(now, self.limit)

    def free_at(self, now: float, need: float) -> float:
        return now if min(need, self.limit) <= self.left_at(now) else self.resets_at

    def take(self, now: float, need: float) -> None:
        if now >= self.resets_at:
            self.left, self.resets_at = self.limit, now + self.length_s
        self.left -= need

    def learn(self, now: float, said: Limited, out: float) -> None:
        self.limit = max(said.limit or self.limit, said.remaining)
        reset_s = said.reset_s or 0.0
        self.length_s = max(self.length_s, reset_s)
        self.left, self.resets_at = said.remaining - out, now + reset_s


@define(eq=False)
class Taken:
    """What a request took; to be given back exactly once, with `Room.leave`."""

    tokens: float
    is_in_flight: bool = True  # until it has its answer or is over
    is_counted: bool = False  # by the provider, in what it says remains


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
        return self.most == math.inf and self.shared.is_open

    def free_at(self, now: float, tokens: float) -> float:
        """The instant from which a request of so many tokens fits; infinite until another ends."""
        if self.in_flight >= self.most:
            return math.inf
        return self.shared.free_at(now, tokens)

    def opens_at(self, now: float) -> float:
        """The instant before which there is no room, whoever leaves: requests are not given back."""
        at = now
        for limit in (self.shared.given_requests, _holding(self.shared.requests, now)):
            at = at if limit is None else max(at, _free_at(limit, now, 1))
        return at

    def enter(self, now: float, tokens: float) -> Taken:
        """A request is sent."""
        self.in_flight += 1
        self.shared.take(now, tokens)
        return Taken(tokens)

    def heard(self, now: float, taken: Taken, requests: Limited | None, tokens: Limited | None) -> None:
        """The provider has taken a request in, and says what is left with that one counted."""
        self.shared.counted(taken)
        if requests is not None or tokens is not None or not self.shared.is_open:
            self.shared.learn(now, requests, tokens)

    def free(self, taken: Taken) -> None:
        """The provider is done with it, though what it used is not known yet."""
        self.in_flight -= taken.is_in_flight
        taken.is_in_flight = False

    def hold(self, taken: Taken) -> None:
        """The provider goes on with it, though nobody waits for it any more; to be freed once more."""
        self.in_flight += not taken.is_in_flight
        taken.is_in_flight = True

    def leave(self, now: float, taken: Taken, used: float | None) -> None:
        """It has ended; `used` tokens, or nobody knows how many."""
        self.free(taken)
        self.shared.settle(now, taken, used)


@define(eq=False)
class Shared:
    """The limits of a key: what is given, and what was learnt, absent while nothing is known."""

    given_requests: Bucket | None = None
    given_tokens: Bucket | None = None
    requests: Limit | None = None
    tokens: Limit | None = None
    requests_out: float = 0.0  # on their way to be counted, also while no limit is known
    tokens_out: float = 0.0

    @classmethod
    def given(cls, rpm: float | None, tpm: float | None) -> Shared:
        """What the user says of it."""
        return cls(
            None if rpm is None else Bucket.per_minute(rpm), None if tpm is None else Bucket.per_minute(tpm)
        )

    @property
    def is_open(self) -> bool:
        """Whether no limit is known."""
        return (
            self.given_requests is None
            and self.given_tokens is None
            and self.requests is None
            and self.tokens is None
        )

    def free_at(self, now: float, tokens: float) -> float:
        """The instant from which a request of so many tokens fits."""
        at = now
        for limit, need in self._limits(now, tokens):
            at = max(at, _free_at(limit, now, need))
        return at

    def take(self, now: float, tokens: float) -> None:
        """A request is sent."""
        self.requests_out += 1
        self.tokens_out += tokens
        if not self.is_open:
            self.requests, self.tokens = _holding(self.requests, now), _holding(self.tokens, now)
            for limit, need in self._limits(now, tokens):
                limit.take(now, need)

    def counted(self, taken: Taken) -> None:
        """From now on the provider knows of this one."""
        if not taken.is_counted:
            taken.is_counted = True
            self.requests_out -= 1
            self.tokens_out -= taken.tokens

    def settle(self, now: float, taken: Taken, used: float | None) -> None:
        """A request has ended.

        Only what is given is settled: of its own limits the provider says itself what is left, and some
        count what was reserved and not what was used.
        """
        self.counted(taken)
        if self.given_tokens is not None and used is not None:
            self.given_tokens.give_back(now, taken.tokens - used)

    def tightest(self, now: float) -> tuple[Limit | None, Limit | None]:
        """The limits on requests and on tokens of which there is least left, given or learnt."""
        return (
            _tighter(now, self.given_requests, _holding(self.requests, now)),
            _tighter(now, self.given_tokens, _holding(self.tokens, now)),
        )

    def learn(self, now: float, requests: Limited | None, tokens: Limited | None) -> None:
        """What the provider's headers say."""
        self.requests = _learnt(self.requests, now, requests, self.requests_out)
        self.tokens = _learnt(self.tokens, now, tokens, self.tokens_out)

    def _limits(self, now: float, tokens: float) -> list[tuple[Limit, float]]:
        needs = (
            (self.given_requests, 1.0),
            (_holding(self.requests, now), 1.0),
            (self.given_tokens, tokens),
            (_holding(self.tokens, now), tokens),
        )
        return [(limit, need) for limit, need in needs if limit is not None]


def _tighter(now: float, *limits: Limit | None) -> Limit | None:
    return min([one for one in limits if one is not None], key=lambda one: one.left_at(now), default=None)


def _holding(limit: Limit | None, now: float) -> Limit | None:
    """What is to be held to now of what was learnt."""
    return limit if limit is None or now < limit.until else Guess.after(limit, now)


def _free_at(limit: Limit, now: float, need: float) -> float:
    return min(limit.free_at(now, need), limit.until)


def _learnt(limit: Limit | None, now: float, said: Limited | None, out: float) -> Limit | None:
    if said is None:
        # An answer may lack its headers, as a proxy's own do; a limit that was due to be heard of is over.
        held = _holding(limit, now)
        return None if isinstance(held, Guess) else held
    kind = Window if said.at_once and said.reset_s is not None else Bucket
    if type(limit) is not kind:  # none, or a guess, or of the other kind
        whole = said.limit or said.remaining
        if kind is Window:
            limit = Window(whole, said.remaining, now, 0.0)
        else:
            limit = Bucket(whole, whole / MINUTE_S, said.remaining, now)
    limit.learn(now, said, out)
    limit.until = now + max(said.reset_s or 0.0, MINUTE_S)
    return limit
