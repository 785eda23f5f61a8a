"""The door to botocore: signatures, credentials, and the binary frames of AWS's event streams.

Nobody else imports it, and it is imported only when something of it is asked for: without the extra
`bedrock` that is a `ConfigError`.  Frames are read by botocore and written here, because it has no
writer.  The odd rule: the path in a URL is percent-encoded already and is encoded once more in what
gets signed, as every service of AWS but S3 wants it.  The time in a signature is botocore's own.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from fallbackio.errors import BadAnswer, ConfigError

__all__ = ["FrameReader", "Keys", "Wallet", "frame", "region_of", "require", "signed"]

Headers = Mapping[str, Any]

# bedrock-runtime.us-east-1.amazonaws.com, with its variants for FIPS, dual stack (api.aws), private
# links (vpce) and other partitions (amazonaws.com.cn).
_HOST = re.compile(r"(?:.+\.)?bedrock-runtime(?:-fips)?\.([a-z]{2,}(?:-[a-z]+)+-[0-9]+)\..+")

# Given in the environment or by the program itself; asking again gives the same.
_FIXED = ("env", "explicit")

_STRING = 7
_OVERHEAD = 16  # prelude of 12 bytes, checksum of 4


def require() -> None:
    """Raise `ConfigError` unless botocore is installed."""
    try:
        import botocore  # noqa: F401
    except ImportError:
        raise ConfigError(
            'AWS Bedrock needs botocore, which is not installed: pip install "fallbackio[bedrock]"'
        ) from None


def region_of(url: str) -> str | None:
    """The region that a Bedrock host belongs to; `None` for a host that does not tell.

    Example:
        >>> region_of("https://bedrock-runtime-fips.us-gov-west-1.amazonaws.com/model/m/converse")
        'us-gov-west-1'
    """
    found = _HOST.fullmatch((urlsplit(url).hostname or "").lower())
    return found[1] if found else None


class Keys:
    """AWS credentials as of one instant; opaque to all but `signed`."""

    __slots__ = ("frozen",)

    def __init__(self, frozen: Any) -> None:
        self.frozen = frozen

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Keys) and bool(other.frozen == self.frozen)

    def __hash__(self) -> int:
        return hash(self.frozen)

    @property
    def secrets(self) -> tuple[str, ...]:
        """What no error may quote; AWS quotes the session token when a signature does not match."""
        held = self.frozen
        return tuple([part for part in (held.secret_key, held.token, held.access_key) if part])


class Wallet:
    """Where botocore finds credentials: environment, profiles, SSO, containers, instances.

    `load` asks disk and network and belongs into a thread.
    """

    def __init__(self) -> None:
        require()
        self._credentials: Any = None
        self._latest: Keys | None = None  # what they gave last

    def ready(self) -> Keys | None:
        """Credentials that are at hand and last a while yet; `None` when they must be loaded."""
        held = self._credentials
        if held is None or (hasattr(held, "refresh_needed") and held.refresh_needed()):
            return None
        self._latest = Keys(held.get_frozen_credentials())
        return self._latest

    def load(self) -> Keys | None:
        """Find or refresh them; `None` if there are none.

        Raises:
            Exception: Whatever botocore raises, of its own or from what it asked.
        """
        import botocore.session

        # A local, because the loop's thread may `forget` meanwhile.
        held = self._credentials
        if held is None:
            held = botocore.session.Session().get_credentials()
        if held is None:
            return None
        keys = Keys(held.get_frozen_credentials())
        self._credentials, self._latest = held, keys
        return keys

    def forget(self, refused: object) -> bool:
        """Look for others at the next `load`, unless there are others than the refused ones by now.

        False where looking could only find the same.
        """
        if self._credentials is None or self._latest != refused:
            return True
        if getattr(self._credentials, "method", "") in _FIXED:
            return False
        self._credentials = None
        return True


def signed(url: str, body: bytes, headers: Mapping[str, str], region: str, keys: Keys) -> dict[str, str]:
    """The headers that sign a POST of `body` with `headers` to `url`; only those to be added.

    `url` is percent-encoded as it is sent.

    Example:
        >>> sorted(signed(url, b"{}", {"content-type": "application/json"}, "us-east-1", keys))
        ['Authorization', 'X-Amz-Date']
    """
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest

    request = AWSRequest(method="POST", url=url, data=body, headers=dict(headers))
    SigV4Auth(keys.frozen, "bedrock", region).add_auth(request)
    ours = {name.lower() for name in headers}
    return {name: value for name, value in request.headers.items() if name.lower() not in ours}


class FrameReader:
    """An event stream, bytes in, frames out; its buffer is bounded by AWS's own limit of a frame."""

    def __init__(self) -> None:
        require()
        from botocore.eventstream import EventStreamBuffer

        self._buffer = EventStreamBuffer()

    def feed(self, chunk: bytes) -> Iterator[tuple[Headers, bytes]]:
        """Headers and payload of each frame that `chunk` completes; raises `BadAnswer`.

        One by one, so that a frame that says what is wrong is read before garbage behind it.
        """
        try:
            self._buffer.add_data(chunk)
            for frame in self._buffer:
                yield frame.headers, frame.payload
        except Exception as error:  # noqa: BLE001 - garbage makes it raise ParserError, struct.error, KeyError, …
            raise BadAnswer(f"a malformed frame in the event stream ({type(error).__name__})") from None


def frame(headers: Mapping[str, str], payload: bytes) -> bytes:
    """One frame with these headers, all of them strings.

    Example:
        >>> len(frame({}, b""))
        16
    """
    head = b"".join([_header(name.encode(), value.encode()) for name, value in headers.items()])
    lengths = struct.pack("!II", len(head) + len(payload) + _OVERHEAD, len(head))
    prelude = lengths + struct.pack("!I", zlib.crc32(lengths))
    wire = prelude + head + payload
    return wire + struct.pack("!I", zlib.crc32(wire))


def _header(name: bytes, value: bytes) -> bytes:
    return struct.pack("!B", len(name)) + name + struct.pack("!BH", _STRING, len(value)) + value
