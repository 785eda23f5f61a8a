"""Google Cloud's tokens, from wherever google-auth finds an account.  The door to google-auth.

It asks disk and network, in a thread.  A token is kept until a minute before it expires; an account with a
quota project sends that along.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from fallbackio import clock
from fallbackio.errors import AuthFailed, ConfigError
from fallbackio.transport._apart import Apart
from fallbackio.transport._bearer import Bearer, Grant

__all__ = ["GoogleAccount"]

SCOPES = ("https://www.googleapis.com/auth/cloud-platform",)

# How long before its end a token is no longer used, so that it does not expire on its way.
MARGIN_S = 60.0
# For how long a token is kept that does not say when it ends.
UNDATED_S = 300.0

_NONE = (
    "no Google Cloud account was found: run `gcloud auth application-default login`, or set "
    "GOOGLE_APPLICATION_CREDENTIALS to a key file"
)


class GoogleAccount(Bearer):
    """The account of the environment: a key file, gcloud's login, or the machine's own.

    Raises:
        ConfigError: google-auth is not installed.
    """

    def __init__(self) -> None:
        try:
            import google.auth.transport.requests  # noqa: F401
        except ImportError:
            raise ConfigError(
                'Google Cloud needs google-auth, which is not installed: pip install "fallbackio[vertex]"'
            ) from None
        super().__init__(self._issue)
        self._account: Any = None
        self._refresh = Apart(self._refreshed)

    def _forget(self) -> None:
        """Look for the account anew as well: its login may have been renewed on disk."""
        self._account = None
        super()._forget()

    async def _issue(self) -> Grant:
        from google.auth.exceptions import DefaultCredentialsError

        try:
            account = await self._refresh()
        except DefaultCredentialsError as error:
            raise AuthFailed(_NONE) from error
        except Exception as error:  # google-auth lets out what requests, the OS or a subprocess raise
            name = type(error).__name__
            raise AuthFailed(
                f"Google Cloud gave no token ({name}): run `gcloud auth application-default login` again, or "
                "check the service account"
            ) from error
        headers = {"Authorization": f"Bearer {account.token}"}
        if project := getattr(account, "quota_project_id", None):
            headers["x-goog-user-project"] = project
        return Grant(headers, str(account.token), _lifetime_s(account.expiry))

    def _refreshed(self) -> Any:
        import google.auth
        from google.auth.transport.requests import Request

        account = self._account
        if account is None:
            account, _ = google.auth.default(scopes=SCOPES)
        account.refresh(Request())
        self._account = account
        return account


def _lifetime_s(expiry: datetime | None) -> float:
    """Seconds for which to keep a token; google-auth's instants are UTC and do not say so."""
    if expiry is None:
        return UNDATED_S
    ends = expiry if expiry.tzinfo is not None else expiry.replace(tzinfo=UTC)
    return max(0.0, ends.timestamp() - clock.wall() - MARGIN_S)
