"""Requests signed with the AWS credentials of the environment.

Credentials are looked for and refreshed in a thread, by one request for all; what lies at hand signs
without one.  Signed are the host, the date and the headers that an endpoint always sends.  The odd rule:
the region is read from the host, so requests to any other host cannot be signed.
"""

from __future__ import annotations

from fallbackio import _aws
from fallbackio.endpoint import Endpoint
from fallbackio.errors import AuthFailed, ConfigError
from fallbackio.transport._apart import Apart
from fallbackio.transport._bearer import Vouched
from fallbackio.transport._flight import Flight

__all__ = ["AwsAccount"]

_NONE = (
    "no AWS credentials were found: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, "
    "or run `aws sso login`, or give the endpoint a Bedrock API key as api_key"
)


class AwsAccount:
    """Signs the requests of one endpoint.

    Raises:
        ConfigError: botocore is not installed, or the endpoint's host does not tell its region.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self._wallet = _aws.Wallet()
        region = _aws.region_of(endpoint.base_url or "")
        if region is None:
            raise ConfigError(
                "only requests to https://bedrock-runtime.REGION.amazonaws.com can be signed: "
                "name that as base_url, or give a Bedrock API key as api_key"
            )
        self._region = region
        own = {name.lower(): value for name, value in endpoint.headers.items()}
        self._headers = {"content-type": "application/json", **own}
        self._keys: _aws.Keys | None = None
        self._loaded = Flight(self._wallet.ready, self._load)
        self._find = Apart(self._wallet.load)

    @property
    def secrets(self) -> tuple[str, ...]:
        """What no error may quote."""
        return self._keys.secrets if self._keys is not None else ()

    async def vouch(self, url: str, body: bytes) -> Vouched:
        """The signature's headers; raises `AuthFailed`."""
        keys = self._keys = self._wallet.ready() or await self._loaded()
        return Vouched(_aws.signed(url, body, self._headers, self._region, keys), keys)

    def renew(self, refused: object) -> bool:
        """Look for other credentials, unless they came from the environment, which stays as it is."""
        return self._wallet.forget(refused)

    async def _load(self) -> _aws.Keys:
        try:
            keys = await self._find()
        except Exception as error:  # botocore lets out what files, processes and STS raise
            raise AuthFailed(
                f"AWS gave no credentials ({type(error).__name__}): run `aws sso login` again, or check "
                "AWS_PROFILE and its role"
            ) from error
        if keys is None:
            raise AuthFailed(_NONE)
        return keys
