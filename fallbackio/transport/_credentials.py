"""Who vouches for a request where a key in a header does not: tokens that expire, accounts that sign.

What asks the network or the disk runs in a thread.  The odd rule: a refused token is asked for anew
once per request, because a token's own clock may be wrong and its revocation is never announced.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Protocol

import anyio

from fallbackio import clock
from fallbackio.dialects import CredentialKind
from fallbackio.endpoint import Endpoint, TokenSource
from fallbackio.errors import AuthFailed, ConfigError

__all__ = ["Credentials", "Token", "credentials_for"]

# The libraries' own token sources keep what they have got and renew it in time; asking them is
# cheap, but not free.
TOKEN_TTL_S = 60.0


class Credentials(Protocol):
    """What makes a request one of ours, at the moment it is sent."""

    @property
    def secrets(self) -> tuple[str, ...]:
        """What no error may quote."""
        ...

    async def headers(self, url: str, body: bytes) -> Mapping[str, str]:
        """The headers to add; raises `AuthFailed`."""
        ...

    def renew(self) -> bool:
        """They were refused: whether others can be had, for one more try."""
        ...


class Token:
    """A bearer token from a function of the user's, plain or async."""

    def __init__(self, source: TokenSource) -> None:
        self._source = source
        self._token = ""
        self._until = 0.0
        self._lock = anyio.Lock()

    @property
    def secrets(self) -> tuple[str, ...]:
        return (self._token,) if self._token else ()

    async def headers(self, url: str, body: bytes) -> Mapping[str, str]:
        if clock.now() >= self._until or not self._token:
            async with self._lock:  # one asks, the others wait for what it gets
                if clock.now() >= self._until or not self._token:
                    self._token = await self._asked()
                    self._until = clock.now() + TOKEN_TTL_S
        return {"Authorization": f"Bearer {self._token}"}

    def renew(self) -> bool:
        self._token = ""
        return True

    async def _asked(self) -> str:
        from anyio import to_thread

        try:
            if inspect.iscoroutinefunction(self._source):
                token: object = await self._source()
            else:
                token = await to_thread.run_sync(self._source, abandon_on_cancel=True)
                if inspect.isawaitable(token):
                    token = await token
        except Exception as error:
            raise AuthFailed(f"token= raised {type(error).__name__}") from error
        if not isinstance(token, str) or not token:
            raise AuthFailed(f"token= gave {type(token).__name__} and no token")
        return token


def credentials_for(endpoint: Endpoint, kind: CredentialKind) -> Credentials | None:
    """Whoever signs requests of `endpoint`; `None` where its static headers do.

    Raises:
        ConfigError: The extra that it takes is not installed.
    """
    if endpoint.token is not None:
        return Token(endpoint.token)
    if endpoint.api_key is not None or kind == "static":
        return None
    raise ConfigError(f"{endpoint.name}: credentials of kind {kind!r} are not supported yet")
