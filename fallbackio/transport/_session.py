"""The door to the network: one aiohttp session for a chain.

aiohttp's own timers are off but one: `connect` covers name look-up, TCP and TLS of a new
connection, which our scopes could not tell from a silent provider.  The pool has no limit, because
a stalled endpoint must not starve the others.
"""

from __future__ import annotations

import asyncio
import weakref

import aiohttp

from fallbackio._checks import is_whole
from fallbackio.errors import AttemptError, ConfigError, ConnectionFailed
from fallbackio.transport._failures import from_aiohttp

__all__ = ["Session"]


class Session:
    """The HTTP session of one chain, made at its first request and bound to that event loop."""

    def __init__(self, *, connect_timeout: float | None, max_answer_bytes: int) -> None:
        if not is_whole(max_answer_bytes) or max_answer_bytes <= 0:
            raise ConfigError(f"max_answer_bytes must be a whole number over 0, not {max_answer_bytes!r}")
        self.connect_timeout = connect_timeout
        self.max_answer_bytes = max_answer_bytes
        self.timeout = _timeout(connect_timeout)
        # aiohttp closes the connections of a session under the readers of its answers, who would wait on.
        self.answers: weakref.WeakSet[aiohttp.ClientResponse] = weakref.WeakSet()
        self._http: aiohttp.ClientSession | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False

    @property
    def http(self) -> aiohttp.ClientSession:
        """The session; raises `ConfigError` in another loop than its first, and once it is closed."""
        if self._http is None:
            return self._open()
        if self._loop is not asyncio.get_running_loop():
            raise ConfigError("a chain belongs to the event loop of its first call; make one per loop")
        return self._http

    def _open(self) -> aiohttp.ClientSession:
        if self._closed:
            raise ConfigError("the chain is closed")
        self._loop = asyncio.get_running_loop()
        self._http = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),
            timeout=self.timeout,
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        return self._http

    def follow(self, other: Session) -> None:
        """Take over the settings of another session, which has not been opened."""
        self.connect_timeout, self.timeout = other.connect_timeout, other.timeout
        self.max_answer_bytes = other.max_answer_bytes

    def failure(self, error: Exception) -> AttemptError:
        """The error that a failure of the HTTP client stands for."""
        ours = from_aiohttp(error, self.connect_timeout)
        return ConnectionFailed("the chain was closed", local=True) if self._closed else ours

    async def aclose(self) -> None:
        """Close all connections; who still reads an answer is told."""
        self._closed = True
        http, self._http = self._http, None
        for answer in list(self.answers):
            answer.close()
        if http is not None:
            await http.close()


def _timeout(connect_timeout: float | None) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(total=None, connect=connect_timeout)
