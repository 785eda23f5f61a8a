"""The door to the network: one aiohttp session for a chain, one provider for each endpoint.

aiohttp's own timers are off but one: `connect` covers name look-up, TCP and TLS of a new
connection, which our scopes could not tell from a silent provider.  The pool has no limit, because
a stalled endpoint must not starve the others; redirects are refused, because they would carry the
key to another host.
"""

from __future__ import annotations

import asyncio
import io
import logging
import weakref
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import TypeVar

import aiohttp
import anyio
from attrs import field, frozen
from yarl import URL

from fallbackio import clock
from fallbackio.dialects import Dialect, Limit, StreamReader, deltas_of, limits_of, repaired
from fallbackio.endpoint import Endpoint, Note, Upstream, unnoted
from fallbackio.errors import AttemptError, BadAnswer, ConfigError, ConnectionFailed, InvalidRequest
from fallbackio.model import Delta, EmbeddingRequest, Embeddings, Reply, Request
from fallbackio.transport._credentials import Credentials, Vouched
from fallbackio.transport._failures import FOREIGN, from_aiohttp
from fallbackio.transport._redact import redact, secrets_of
from fallbackio.transport._scores import Scores
from fallbackio.transport._whole import Whole

__all__ = ["HttpProvider", "Session"]

T = TypeVar("T")

logger = logging.getLogger("fallbackio")

# More of an error's body tells nothing more.
MAX_ERROR_BYTES = 64 * 1024
# The status says what to do; its body only why, and comes with it or, from a sick server, never.
ERROR_BODY_S = 1.0
# aiohttp warns of longer bodies in one piece, because a single write of them would hold up the loop.
ONE_PIECE_BYTES = 2**20
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


@frozen
class _Said:
    """A request as it goes out, and what of it an error must not quote."""

    url: URL
    body: bytes = field(repr=False)
    asked: Request = field(repr=False)
    scores: Scores


class HttpProvider:
    """One endpoint, asked over HTTP in its dialect."""

    success_status: int | None = 200

    def __init__(
        self,
        endpoint: Endpoint,
        dialect: Dialect,
        session: Session,
        credentials: Credentials | None = None,
        learn: Callable[[float, Limit | None, Limit | None], None] | None = None,
    ) -> None:
        self._endpoint = endpoint
        self._client = dialect.client
        self._embedding = dialect.embedding
        self._session = session
        self._credentials = credentials
        self._learn = learn
        # As the dialect wrote them: a quoted slash in a model's name must stay quoted.
        self._urls = {
            stream: URL(self._client.url(endpoint, stream=stream), encoded=True) for stream in (False, True)
        }
        static = self._client.headers(endpoint)
        # An account's or a token's header takes the place of a key's, whatever its letters.
        signed = () if credentials is None else ("authorization",)
        self._headers = {name: value for name, value in static.items() if name.lower() not in signed}
        self._secrets = secrets_of(endpoint)
        self._told: set[str] = set()  # dropped parameters that were warned about

    def check(self, request: Request) -> None:
        self._client.check(self._adapted(request, unnoted), self._endpoint)

    def prefilled(self, request: Request, partial: str) -> Request | None:
        return self._client.prefilled(request, self._endpoint, partial)

    async def complete(self, request: Request, note: Note = unnoted) -> Reply:
        said = self._said(request, note)
        reply = await self._accepted(said, self._reply)
        if said.scores.wanted:
            said.scores.see(deltas_of(reply))
            said.scores.ended()
        return reply

    async def stream(self, request: Request, note: Note = unnoted) -> Upstream:
        said = self._said(request, note)
        return await self._accepted(said, partial(self._upstream, said))

    async def embed(self, request: EmbeddingRequest) -> Embeddings:
        codec = self._embedding
        if codec is None:
            raise InvalidRequest(
                f"the dialect {self._endpoint.dialect!r} has no embeddings", everywhere=False
            )
        url = URL(codec.url(self._endpoint), encoded=True)
        quotable = request.as_messages()
        scores = Scores(quotable, self._endpoint, (), unnoted)
        said = _Said(url, codec.encode(request, self._endpoint), quotable, scores)

        async def read(response: aiohttp.ClientResponse) -> Embeddings:
            return codec.decode(await self._body(response))

        return await self._accepted(said, read)

    def _said(self, request: Request, note: Note) -> _Said:
        """The request in this endpoint's words."""
        request = self._adapted(request, note)
        messages = repaired(request.messages, note)
        if messages is not request.messages:
            request = request.with_messages(messages)
        body = self._client.encode(request, self._endpoint, note)
        dropped = (
            self._client.dropped(request, self._endpoint) if self._endpoint.unsupported == "drop" else ()
        )
        self._tell_dropped(dropped, note)
        scores = Scores(request, self._endpoint, dropped, note)
        return _Said(self._urls[request.stream], body, request, scores)

    def _adapted(self, request: Request, note: Note) -> Request:
        if self._endpoint.system_prefix or self._endpoint.adapt is not None:
            return self._endpoint.adapted(request, note)
        return request

    async def _reply(self, response: aiohttp.ClientResponse) -> Reply:
        return self._client.decode(await self._body(response))

    async def _upstream(self, said: _Said, response: aiohttp.ClientResponse) -> Upstream:
        if response.content_type == "application/json":  # a vendor that ignores `stream`
            deltas = deltas_of(await self._reply(response))
            said.scores.see(deltas)
            said.scores.ended()
            return Whole(deltas)
        return HttpStream(self, response, self._client.reader(), said)

    async def _accepted(self, said: _Said, read: Callable[[aiohttp.ClientResponse], Awaitable[T]]) -> T:
        """What `read` makes of the response; the socket closes if it fails or is cancelled."""
        response, vouched = await self._post(said)
        if response.status in (401, 403) and vouched is not None and self._renew(vouched):
            response.close()
            response, _ = await self._post(said)
        try:
            if response.status != 200:
                raise await self._refusal(response)
            return await read(response)
        except BaseException as error:  # a cancellation too: nobody would read on
            response.close()
            if isinstance(error, AttemptError):
                self.told(error, response, said.asked)
            raise

    def _renew(self, refused: Vouched) -> bool:
        return self._credentials is not None and self._credentials.renew(refused.by)

    async def _post(self, said: _Said) -> tuple[aiohttp.ClientResponse, Vouched | None]:
        """The response, and who vouched for the request."""
        http = self._session.http  # its ConfigError is not the endpoint's failure
        headers, vouched = self._headers, None
        if self._credentials is not None:
            vouched = await self._credentials.vouch(str(said.url), said.body)
            headers = {**headers, **vouched.headers}
        try:
            response = await http.post(
                said.url,
                data=_payload(said.body),
                headers=headers,
                allow_redirects=False,
                timeout=self._session.timeout,  # it changes when the chain is reloaded
            )
        except (*FOREIGN, ValueError) as error:
            raise self._session.failure(error) from error
        self._session.answers.add(response)
        if self._learn is not None:
            requests, tokens = limits_of(response.headers)
            if requests is not None or tokens is not None:
                self._learn(clock.now(), requests, tokens)
        return response, vouched

    def _tell_dropped(self, names: Iterable[str], note: Note) -> None:
        for name in names:
            note(f"{name} left out, its dialect cannot express it")
            if name not in self._told:
                self._told.add(name)
                logger.warning(
                    "%s: %s is left out, its dialect cannot express it (told once)", self._endpoint.name, name
                )

    async def _refusal(self, response: aiohttp.ClientResponse) -> AttemptError:
        """What a failing status stands for, whatever becomes of its body."""
        if 300 <= response.status < 400:
            return BadAnswer("it redirects elsewhere; is base_url right?", status=response.status)
        pieces, size = [], 0
        # Cancelled by its own timer or by the caller's scopes; what has come by then will do.
        with anyio.move_on_after(ERROR_BODY_S):
            try:
                while size < MAX_ERROR_BYTES and (piece := await response.content.readany()):
                    pieces.append(piece)
                    size += len(piece)
            except FOREIGN:
                pass  # a body that is broken off takes nothing from its status
        return self._client.failure(response.status, response.headers, b"".join(pieces))

    async def _body(self, response: aiohttp.ClientResponse) -> bytes:
        limit = self._session.max_answer_bytes
        if (response.content_length or 0) > limit:
            raise too_long(limit)
        pieces: list[bytes] = []
        size = 0
        while piece := await self._piece(response.content):
            size += len(piece)
            if size > limit:
                raise too_long(limit)
            if not pieces and response.content.at_eof():
                return piece  # as a rule it comes in one
            pieces.append(piece)
        return b"".join(pieces)

    async def _piece(self, content: aiohttp.StreamReader) -> bytes:
        """Some of an answer; empty at its end."""
        try:
            return await content.readany()
        except FOREIGN as error:
            raise self.failure(error) from error

    def failure(self, error: Exception) -> AttemptError:
        """The error that a failure of the HTTP client stands for."""
        return self._session.failure(error)

    def told(self, error: AttemptError, response: aiohttp.ClientResponse, asked: Request) -> AttemptError:
        """The same error about an answer, with its status, without keys and prompt."""
        held = self._credentials.secrets if self._credentials is not None else ()
        error.status = response.status if error.status is None else error.status
        return redact(error, self._secrets + held, asked)

    @property
    def max_answer_bytes(self) -> int:
        return self._session.max_answer_bytes


class HttpStream:
    """A streamed answer while it is read."""

    __slots__ = ("_content", "_provider", "_reader", "_response", "_said", "_size", "finished")

    def __init__(
        self,
        provider: HttpProvider,
        response: aiohttp.ClientResponse,
        reader: StreamReader,
        said: _Said,
    ) -> None:
        self._provider = provider
        self._response = response
        self._content = response.content
        self._reader = reader
        self._said = said
        self._size = 0
        self.finished: bool = False

    def take(self) -> list[Delta]:
        if self.finished:
            return []
        try:
            chunk = self._content.read_nowait()
        except FOREIGN as error:
            return self._lost(error)
        return self._read(chunk) if chunk else []

    async def receive(self) -> list[Delta]:
        if self.finished:
            return []
        try:
            chunk = await self._content.readany()
        except FOREIGN as error:
            return self._lost(error)
        return self._read(chunk)

    def on_end(self, told: Callable[[], None]) -> None:
        self._content.on_eof(told)

    async def aclose(self) -> None:
        self._response.close()

    def _read(self, chunk: bytes) -> list[Delta]:
        """What `chunk` says; an empty one is the body's end."""
        try:
            return self._feed(chunk) if chunk else self._end()
        except AttemptError as error:
            self._response.close()
            self._provider.told(error, self._response, self._said.asked)
            raise

    def _feed(self, chunk: bytes) -> list[Delta]:
        self._size += len(chunk)
        if self._size > self._provider.max_answer_bytes:
            raise too_long(self._provider.max_answer_bytes)
        deltas = self._reader.feed(chunk)
        if self._said.scores.wanted:
            self._said.scores.see(deltas)
        if self._reader.finished:
            self._finish()
        return deltas

    def _end(self) -> list[Delta]:
        deltas = self._reader.end()
        self._said.scores.see(deltas)
        self._finish()
        return deltas

    def _finish(self) -> None:
        self.finished = True
        self._said.scores.ended()
        if not self._content.is_eof():
            trailer = clock.call_at(clock.now() + TRAILER_S, self._response.close)
            self._content.on_eof(trailer.cancel)

    def _lost(self, error: Exception) -> list[Delta]:
        """The last deltas if all had been said before the connection broke, else the error."""
        self._response.close()
        try:
            return self._end()
        except AttemptError:
            pass  # it was not whole: the lost connection is the better explanation
        ours = self._provider.failure(error)
        raise self._provider.told(ours, self._response, self._said.asked) from error


def _payload(body: bytes) -> aiohttp.Payload:
    return (
        aiohttp.BytesPayload(body)
        if len(body) <= ONE_PIECE_BYTES
        else aiohttp.BytesIOPayload(io.BytesIO(body))
    )


def too_long(limit: int) -> BadAnswer:
    """The error for an answer over the chain's size limit."""
    return BadAnswer(f"the answer is longer than max_answer_bytes={limit}")
