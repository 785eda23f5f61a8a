"""Who vouches for a request where a key in a header does not: tokens that expire, accounts that sign.

What asks the network or the disk runs in a thread.  Their own failures are `AuthFailed`, so that a
breaker opens as it does for a refused key.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from fallbackio.dialects import CredentialKind
from fallbackio.endpoint import Endpoint
from fallbackio.errors import ConfigError
from fallbackio.transport._aws_account import AwsAccount
from fallbackio.transport._bearer import Token, Vouched
from fallbackio.transport._google_account import GoogleAccount

__all__ = ["Credentials", "Token", "Vouched", "credentials_for"]


class Credentials(Protocol):
    """What makes a request one of ours, at the moment it is sent."""

    @property
    def secrets(self) -> tuple[str, ...]:
        """What no error may quote."""
        ...

    async def vouch(self, url: str, body: bytes) -> Vouched:
        """What to add to a request; raises `AuthFailed`."""
        ...

    def renew(self, refused: object) -> bool:
        """What a request stood on (`Vouched.by`) was refused: whether others can be had, for one more try."""
        ...


_ACCOUNTS: Mapping[CredentialKind, Callable[[Endpoint], Credentials]] = {
    "aws": AwsAccount,
    "google": lambda endpoint: GoogleAccount(),
}


def credentials_for(endpoint: Endpoint, kind: CredentialKind) -> Credentials | None:
    """Whoever signs requests of `endpoint`; `None` where its static headers do.

    Raises:
        ConfigError: The extra that it takes is not installed, or its requests cannot be signed.
    """
    if endpoint.token is not None:
        return Token(endpoint.token)
    if endpoint.api_key is not None or kind == "static":
        return None
    try:
        return _ACCOUNTS[kind](endpoint)
    except ConfigError as error:
        raise ConfigError(f"{endpoint.name}: {error}") from None
