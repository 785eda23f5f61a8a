"""An endpoint as a chain holds it: what guards and measures it, and its place in one call's order.

A route outlives calls, and its reload too: what it has learnt is handed on to the next one's.
"""

from __future__ import annotations

import math
import random

from attrs import Factory, define, field, frozen

from fallbackio.breaker import Breaker
from fallbackio.chain._cost import Listing
from fallbackio.chain._needs import Needs
from fallbackio.chain._tempo import Tempo
from fallbackio.endpoint import Endpoint, Provider, server_of
from fallbackio.errors import AttemptError, InvalidRequest
from fallbackio.model import Request
from fallbackio.selection import Load, Ramp, Room

__all__ = ["LastFailure", "Route", "Turn"]


@define(eq=False)
class LastFailure:
    """What an endpoint failed with last; no kind if it never has."""

    kind: str = ""
    status: int | None = None
    at: float = -math.inf

    def note(self, error: AttemptError, now: float) -> None:
        self.kind, self.status, self.at = type(error).__name__, error.status, now


@frozen(eq=False)
class Route:
    """An endpoint as a chain holds it."""

    spec: Endpoint
    provider: Provider
    breaker: Breaker
    room: Room = field(factory=Room)
    load: Load = field(factory=Load)
    ramp: Ramp = field(default=Factory(lambda self: Ramp(self.breaker.policy.ramp_s), takes_self=True))
    tempo: Tempo = field(factory=Tempo)
    last_failure: LastFailure = field(factory=LastFailure)
    compared: bool = True  # whether anybody looks at its load
    listing: Listing | None = None  # where its model is looked up, for what the user has not said
    price: float | None = None  # to compare by: US dollars for a million tokens in and one out
    server: tuple[str, int] = field(default=Factory(lambda self: server_of(self.spec), takes_self=True))

    def check(self, request: Request) -> None:
        """Raise `InvalidRequest`, which names the endpoint, if it cannot express the request."""
        try:
            self.provider.check(request)
        except InvalidRequest as error:
            raise error.placed(self.spec.name, self.spec.vendor, self.spec.model)  # noqa: B904 - the same error

    def lacks(self, needs: Needs) -> str:
        """What of `needs` it is known not to have, in words; empty if there is nothing."""
        return needs.lacking(self.spec, self._window(needs))

    def unknown(self, needs: Needs) -> str:
        """What of `needs` nobody has said of it, in words; empty if all is known."""
        return needs.unknown(self.spec, self._window(needs))

    def _window(self, needs: Needs) -> int | None:
        given = self.spec.context_window
        look_up = given is None and needs.context and self.listing is not None
        return self.listing.window() if look_up and self.listing is not None else given

    @property
    def lets_all_pass(self) -> bool:
        """Whether its breaker does: it is closed, and does not rest."""
        return self.breaker.phase == "closed" and self.breaker.retry_in_s <= 0

    def is_free(self, now: float, tokens: float) -> bool:
        """Whether a request of so many tokens could be sent there now."""
        return self.lets_all_pass and (self.room.is_open or self.room.free_at(now, tokens) <= now)

    def comes_back(self, now: float) -> bool:
        """Whether it has recovered, and does not get all of its calls yet."""
        return self.ramp.seen(now, self.breaker.recovered_at) < 1.0

    @property
    def may_be_tried(self) -> bool:
        """Whether its breaker lets somebody through now, be it as a probe."""
        return self.breaker.phase != "half_open" and self.breaker.retry_in_s <= 0

    def takes(self, now: float, lots: random.Random) -> bool:
        """Whether it is to get this call: not all of them while it comes back."""
        return self.ramp.takes(now, self.breaker.recovered_at, lots)


# Not frozen, because one is made for every call, and a frozen one takes three times as long.
@define(eq=False)
class Turn:
    """An endpoint at its place in the order; a `postponed` one comes after all others, and may say why."""

    route: Route
    postponed: bool = False
    why: str = ""
    note: str = ""  # for the attempt's entry in the ledger
