"""The protocol by which the coordinator opens one attempt at an endpoint."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from fallbackio.model import Delta, EmbeddingRequest, Embeddings, Reply, Request

__all__ = ["Heard", "Limited", "Note", "Provider", "Upstream", "unheard", "unnoted"]

# Is told what a request was changed in to suit an endpoint; the ledger keeps it.
Note = Callable[[str], None]


def unnoted(text: str) -> None:
    """A `Note` for whoever does not want to know."""


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

    @property
    def at_once(self) -> bool:
        """Whether nothing comes back before all of it does."""
        ...


# Is told when the provider has taken the request in, and what it then says of its limits on requests
# and on tokens.
Heard = Callable[["Limited | None", "Limited | None"], None]


def unheard(requests: Limited | None, tokens: Limited | None) -> None:
    """A `Heard` for whoever does not want to know."""


class Upstream(Protocol):
    """One open streamed answer, on the side that reads it.

    `take` and `receive` raise an `AttemptError` when the answer breaks.  After `finished` is true
    neither yields anything more.
    """

    @property
    def finished(self) -> bool:
        """Whether the answer has come to its proper end."""
        ...

    def take(self) -> list[Delta]:
        """What has arrived, without waiting; may be empty."""
        ...

    async def receive(self) -> list[Delta]:
        """Wait for more; empty when what arrived was only a keep-alive."""
        ...

    def on_end(self, told: Callable[[], None]) -> None:
        """Call `told` once, when the provider has nothing more to send, whether it has been read or not."""
        ...

    async def aclose(self) -> None:
        """End the request at once.

        Over HTTP this never suspends.  The coordinator calls it shielded and with a bound, so a
        function of the user's may take a moment to clean up.
        """
        ...


class Provider(Protocol):
    """What the coordinator asks of an endpoint.

    All raise `AttemptError`s only.  `note` is told what the request was changed in for this
    endpoint, `heard` when the first of the answer has come.  A cancelled `complete` or `stream` has
    ended its request by the time the cancellation leaves it.
    """

    @property
    def success_status(self) -> int | None:
        """The status an answer has here, 200 for HTTP, `None` where there is no such thing."""
        ...

    @property
    def runs_callers_code(self) -> bool:
        """Whether a function of the caller's runs in an attempt, which may ask anyio how long it has."""
        ...

    def check(self, request: Request) -> None:
        """Raise `InvalidRequest` if this endpoint cannot express the request; sends nothing."""
        ...

    def prefilled(self, request: Request, partial: str) -> Request | None:
        """The request that makes the model go on after `partial`, or `None` if it knows no prefill."""
        ...

    async def complete(self, request: Request, note: Note = unnoted, heard: Heard = unheard) -> Reply:
        """Ask for a plain answer."""
        ...

    async def stream(self, request: Request, note: Note = unnoted, heard: Heard = unheard) -> Upstream:
        """Ask for a streamed answer; returns when the provider has accepted the request."""
        ...

    async def embed(self, request: EmbeddingRequest, heard: Heard = unheard) -> Embeddings:
        """Ask for embeddings."""
        ...
