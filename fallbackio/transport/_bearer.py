"""Bearer tokens that expire: kept for a while, asked for by one, renewed when refused.

What a source gives is kept as the headers it makes.  Two rules bite in practice: a refused token is asked
for anew once per request, because its own clock may be wrong and its revocation is never announced; and
a refusal that comes late, of a token that has been replaced, costs the new one nothing.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Protocol

from attrs import field, frozen

from fallbackio import clock
from fallbackio.endpoint import TokenSource
from fallbackio.errors import AttemptError, AuthFailed
from fallbackio.transport._apart import Apart
from fallbackio.transport._flight import Flight
from fallbackio.transport._guard import guarded

__all__ = ["Bearer", "Grant", "Issuer", "Token", "Vouched"]

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


@frozen
class Vouched:
    """What makes one request ours.

    Attributes:
        headers: The headers to add.
        by: What they stand on, for `renew` if they are refused.
    """

    headers: Mapping[str, str] = field(repr=False)
    by: object = field(repr=False)


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

    async def vouch(self, url: str, body: bytes) -> Vouched:
        """What to add to a request; raises `AuthFailed`."""
        grant = self._fresh() or await self._asked()
        return Vouched(grant.headers, grant)

    def renew(self, refused: object) -> bool:
        """Forget the grant that was refused, unless it has been replaced already; always true."""
        if refused is self._grant:
            self._forget()
        return True

    def _forget(self) -> None:
        """The next request asks for another."""
        self._grant = None

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
        self._apart = Apart(source)

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
        if inspect.iscoroutinefunction(self._source):
            return await self._source()
        token: object = await self._apart()
        return await token if inspect.isawaitable(token) else token
