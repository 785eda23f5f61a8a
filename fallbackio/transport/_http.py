"""The door to the network: one aiohttp session for a chain, one provider for each endpoint.

aiohttp's own timers are off but one: `connect` covers name look-up, TCP and TLS of a new
connection, which our scopes could not tell from a silent provider.  The pool has no limit, because
a stalled endpoint must not starve the others; redirects are refused, because they would carry the
key to another host.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import TypeVar

import aiohttp

from fallbackio.dialects import Dialect, StreamReader, deltas_of
from fallbackio.endpoint import Endpoint, Upstream
from fallbackio.errors import AttemptError, BadAnswer, ConfigError
from fallbackio.model import Delta, Reply, Request
from fallbackio.transport._failures import from_aiohttp
from fallbackio.transport._redact import redact
from fallbackio.transport._whole import Whole

__all__ = ["HttpProvider", "Session"]

T = TypeVar("T")

logger = logging.getLogger("fallbackio")

# More of an error's body tells nothing more.
MAX_ERROR_BYTES = 64 * 1024
# After the answer's terminator only the end of the HTTP body is missing.  When it comes the
# connection is reused; one that keeps us waiting longer is closed.
TRAILER_S = 1.0


class Session:
    """The HTTP session of one chain, made at its first request and bound to that event loop."""

    def __init__(self, *, connect_timeout: float | None, max_answer_bytes: int) -> None:
        if not isinstance(max_answer_bytes, int) or max_answer_bytes <= 0:
            raise ConfigError(f"max_answer_bytes must be a whole number over 0, not {max_answer_bytes!r}")
        self.connect_timeout = connect_timeout
        self.max_answer_bytes = max_answer_bytes
        self._http: aiohttp.ClientSession | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def http(self) -> aiohttp.ClientSession:
        """The session; raises `ConfigError` in another loop than its first."""
        if self._http is None:
            return self._open()
        if self._loop is not asyncio.get_running_loop():
            raise ConfigError("a chain belongs to the event loop of its first call; make one per loop")
        return self._http

    def _open(self) -> aiohttp.ClientSession:
        self._loop = asyncio.get_running_loop()
        self._http = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),
            timeout=aiohttp.ClientTimeout(total=None, connect=self.connect_timeout),
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        return self._http

    async def aclose(self) -> None:
        """Close all connections."""
        if self._http is not None:
            await self._http.close()


class HttpProvider:
    """One endpoint, asked over HTTP in its dialect."""

    success_status: int | None = 200

    def __init__(self, endpoint: Endpoint, dialect: Dialect, session: Session) -> None:
        self._endpoint = endpoint
        self._client = dialect.client
        self._session = session
        self._url = self._client.url(endpoint)
        self._headers = self._client.headers(endpoint)
        self._told: set[str] = set()  # dropped parameters that were warned about

    def check(self, request: Request) -> None:
        self._client.check(request, self._endpoint)

    def prefilled(self, request: Request, partial: str) -> Request | None:
        return self._client.prefilled(request, self._endpoint, partial)

    async def complete(self, request: Request) -> Reply:
        return await self._accepted(request, self._reply)

    async def stream(self, request: Request) -> Upstream:
        return await self._accepted(request, partial(self._upstream, request))

    async def _reply(self, response: aiohttp.ClientResponse) -> Reply:
        return self._client.decode(await self._body(response))

    async def _upstream(self, request: Request, response: aiohttp.ClientResponse) -> Upstream:
        if response.content_type == "application/json":  # a vendor that ignores `stream`
            return Whole(deltas_of(await self._reply(response)))
        return HttpStream(self, response, self._client.reader(), request)

    async def _accepted(self, request: Request, read: Callable[[aiohttp.ClientResponse], Awaitable[T]]) -> T:
        """What `read` makes of the response; the socket closes if it fails or is cancelled."""
        response = await self._post(request)
        try:
            if response.status != 200:
                raise await self._refusal(response)
            return await read(response)
        except BaseException as error:
            response.close()
            ours = self.ours(error, request)
            if ours is None:
                raise
            ours.status = response.status if ours.status is None else ours.status
            raise ours from (error if error is not ours else error.__cause__)

    async def _post(self, request: Request) -> aiohttp.ClientResponse:
        body = self._client.encode(request, self._endpoint)
        if self._endpoint.unsupported == "drop":
            self._tell_dropped(self._client.dropped(request, self._endpoint))
        try:
            return await self._session.http.post(
                self._url, data=aiohttp.BytesPayload(body), headers=self._headers, allow_redirects=False
            )
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise from_aiohttp(error, self._session.connect_timeout) from error

    def _tell_dropped(self, names: Iterable[str]) -> None:
        for name in names:
            if name not in self._told:
                self._told.add(name)
                logger.warning(
                    "%s: %s is left out, its dialect cannot express it (told once)", self._endpoint.name, name
                )

    async def _refusal(self, response: aiohttp.ClientResponse) -> AttemptError:
        """What a failing status stands for."""
        if 300 <= response.status < 400:
            return BadAnswer("it redirects elsewhere; is base_url right?", status=response.status)
        pieces, size = [], 0
        try:
            while size < MAX_ERROR_BYTES and (piece := await response.content.readany()):
                pieces.append(piece)
                size += len(piece)
        except aiohttp.ClientError:
            pass  # a connection lost within an error's body takes nothing from its status
        return self._client.failure(response.status, response.headers, b"".join(pieces))

    async def _body(self, response: aiohttp.ClientResponse) -> bytes:
        limit = self._session.max_answer_bytes
        if (response.content_length or 0) > limit:
            raise too_long(limit)
        content = response.content
        body = await content.readany()
        if content.at_eof():
            return body
        pieces, size = [body], len(body)
        while piece := await content.readany():
            pieces.append(piece)
            size += len(piece)
            if size > limit:
                raise too_long(limit)
        return b"".join(pieces)

    def ours(self, error: BaseException, request: Request) -> AttemptError | None:
        """The error as one of ours, without key and prompt; `None` for a cancellation or a bug."""
        if isinstance(error, aiohttp.ClientError | OSError):
            return from_aiohttp(error, self._session.connect_timeout)
        if isinstance(error, AttemptError):
            return redact(error, self._endpoint.api_key, request)
        return None

    @property
    def max_answer_bytes(self) -> int:
        return self._session.max_answer_bytes


class HttpStream:
    """A streamed answer while it is read."""

    __slots__ = ("_content", "_provider", "_reader", "_request", "_response", "_size", "finished")

    def __init__(
        self,
        provider: HttpProvider,
        response: aiohttp.ClientResponse,
        reader: StreamReader,
        request: Request,
    ) -> None:
        self._provider = provider
        self._response = response
        self._content = response.content
        self._reader = reader
        self._request = request
        self._size = 0
        self.finished: bool = False

    def take(self) -> list[Delta]:
        if self.finished:
            return []
        try:
            chunk = self._content.read_nowait()
            return self._feed(chunk) if chunk else []
        except (AttemptError, aiohttp.ClientError, OSError) as error:
            return self._lost(error)

    async def receive(self) -> list[Delta]:
        try:
            chunk = await self._content.readany()
            return self._feed(chunk) if chunk else self._end()
        except (AttemptError, aiohttp.ClientError, OSError) as error:
            return self._lost(error)

    async def aclose(self) -> None:
        self._response.close()

    def _feed(self, chunk: bytes) -> list[Delta]:
        self._size += len(chunk)
        if self._size > self._provider.max_answer_bytes:
            raise too_long(self._provider.max_answer_bytes)
        deltas = self._reader.feed(chunk)
        if self._reader.finished:
            self._finish()
        return deltas

    def _end(self) -> list[Delta]:
        deltas = self._reader.end()
        self._finish()
        return deltas

    def _finish(self) -> None:
        self.finished = True
        if not self._content.is_eof():
            asyncio.get_running_loop().call_later(TRAILER_S, self._response.close)

    def _lost(self, error: Exception) -> list[Delta]:
        """The last deltas if all had been said before the connection broke, else the error."""
        self._response.close()
        if not isinstance(error, AttemptError):
            try:
                return self._end()
            except AttemptError:
                pass  # it was not whole: the lost connection is the better explanation
        ours = self._provider.ours(error, self._request)
        assert ours is not None  # noqa: S101 - the callers catch nothing else
        ours.status = self._response.status if ours.status is None else ours.status
        raise ours from (error if error is not ours else error.__cause__)


def too_long(limit: int) -> BadAnswer:
    """The error for an answer over the chain's size limit."""
    return BadAnswer(f"the answer is longer than max_answer_bytes={limit}")
