"""Bearer tokens that expire: kept for a while, asked for by one, renewed when refused.

What a source gives is kept as the headers it makes.  The odd rule: a refused token is asked for anew
once per request, because its own clock may be wrong and its revocation is never announced.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Protocol

from attrs import field, frozen

from fallbackio import clock
from fallbackio.endpoint import TokenSource
from fallbackio.errors import AttemptError, AuthFailed
from fallbackio.transport._flight import Flight
from fallbackio.transport._guard import guarded

__all__ = ["Bearer", "Grant", "Issuer", "Token"]

# The libraries' own token sources keep what they have got and renew it in time; asking them is
# cheap, but not free.
TOKEN_TTL_S = 60.0

# Shorter ones are stand-ins, and hiding them would garble every message.
_LEAST_SECRET = 4


@frozen
class Grant:
    """What a source gave: the headers, what of them is secret, and how long they hold."""

    headers: Mapping[str, str] = field(repr=False)
    secret: str = field(repr=False)
    ttl_s: float


class Issuer(Protocol):
    """Where grants come from."""

    async def __call__(self) -> Grant:
        """A grant; raises `AuthFailed`."""
        ...


class Bearer:
    """Keeps an issuer's latest grant."""

    def __init__(self, issuer: Issuer) -> None:
        self._issuer = issuer
        self._grant: Grant | None = None
        self._until = 0.0
        self._secrets: tuple[str, ...] = ()  # of the latest two: an answer may quote the one before
        self._asked = Flight(self._fresh, self._ask)

    @property
    def secrets(self) -> tuple[str, ...]:
        """The tokens that no error may quote."""
        return self._secrets

    async def headers(self, url: str, body: bytes) -> Mapping[str, str]:
        """The headers to add; raises `AuthFailed`."""
        return (self._fresh() or await self._asked()).headers

    def renew(self) -> bool:
        """The grant was refused: the next request asks for another."""
        self._grant = None
        return True

    def _fresh(self) -> Grant | None:
        return self._grant if clock.now() < self._until else None

    async def _ask(self) -> Grant:
        grant = await self._issuer()
        self._grant, self._until = grant, clock.now() + grant.ttl_s
        if len(grant.secret) >= _LEAST_SECRET and grant.secret not in self._secrets:
            self._secrets = (grant.secret, *self._secrets[:1])
        return grant


class Token(Bearer):
    """A bearer token from a function of the user's, plain or async."""

    def __init__(self, source: TokenSource) -> None:
        super().__init__(self._issue)
        self._source = source

    async def _issue(self) -> Grant:
        try:
            token = await guarded(self._called(), clock.now())
        except AttemptError as error:
            cause = error.__cause__ or error
            raise AuthFailed(f"token= raised {type(cause).__name__}") from cause
        text = token.strip() if isinstance(token, str) else ""
        if not text:
            raise AuthFailed(f"token= gave {type(token).__name__} and no token")
        if not (text.isascii() and text.isprintable()):
            raise AuthFailed("token= gave a text that cannot stand in a header")
        return Grant({"Authorization": f"Bearer {text}"}, text, TOKEN_TTL_S)

    async def _called(self) -> object:
        from anyio import to_thread  # half a dozen modules that few chains need

        if inspect.iscoroutinefunction(self._source):
            return await self._source()
        token: object = await to_thread.run_sync(self._source, abandon_on_cancel=True)
        return await token if inspect.isawaitable(token) else token
