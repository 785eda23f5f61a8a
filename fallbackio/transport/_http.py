"""An endpoint over HTTP: requests in its dialect go out, answers and errors come in.

Redirects are refused, because they would carry the key to another host.  No error quotes a key or the
prompt, whatever the other side has put into it.
"""

from __future__ import annotations

import io
import logging
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import TypeVar

import aiohttp
import anyio
from attrs import define, field
from yarl import URL

from fallbackio import clock
from fallbackio._log import say
from fallbackio.dialects import (
    Dialect,
    StreamReader,
    deltas_of,
    limits_of,
    placed,
    placed_deltas,
    repaired,
)
from fallbackio.endpoint import Endpoint, Heard, Note, Upstream, unheard, unnoted
from fallbackio.errors import AttemptError, BadAnswer, InvalidRequest
from fallbackio.model import Delta, EmbeddingRequest, Embeddings, Reply, Request
from fallbackio.transport._credentials import Credentials, Vouched
from fallbackio.transport._failures import FOREIGN
from fallbackio.transport._redact import redact, secrets_of
from fallbackio.transport._scores import Scores, asks_for_scores
from fallbackio.transport._session import Session
from fallbackio.transport._whole import Whole

__all__ = ["HttpProvider"]

T = TypeVar("T")

# More of an error's body tells nothing more.
MAX_ERROR_BYTES = 64 * 1024
# The status says what to do; its body only why, and comes with it or, from a sick server, never.
ERROR_BODY_S = 1.0
# aiohttp warns of longer bodies in one piece, because a single write of them would hold up the loop.
ONE_PIECE_BYTES = 2**20
# After the answer's terminator only the end of the HTTP body is missing.  When it comes the
# connection is reused; one that keeps us waiting longer is closed.
TRAILER_S = 1.0


@define(eq=False)
class _Said:
    """A request as it goes out, what of it an error must not quote, and what its answer owes."""

    url: URL
    body: bytes = field(repr=False)
    asked: Request = field(repr=False)
    heard: Heard = field(repr=False)
    scores: Scores | None = None  # where log probabilities were asked for


class HttpProvider:
    """One endpoint, asked over HTTP in its dialect."""

    success_status: int | None = 200

    def __init__(
        self,
        endpoint: Endpoint,
        dialect: Dialect,
        session: Session,
        credentials: Credentials | None = None,
    ) -> None:
        self.endpoint = endpoint
        self._client = dialect.client
        self._embedding = dialect.embedding
        self._session = session
        self._credentials = credentials
        self.runs_callers_code = endpoint.token is not None
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
        self._client.check(self._adapted(request, unnoted), self.endpoint)

    def prefilled(self, request: Request, partial: str) -> Request | None:
        return self._client.prefilled(request, self.endpoint, partial)

    async def complete(self, request: Request, note: Note = unnoted, heard: Heard = unheard) -> Reply:
        said = self._said(request, note, heard)
        reply = await self._accepted(said, self._reply)
        if said.scores is not None:
            said.scores.see(deltas_of(reply))
            said.scores.ended()
        return reply

    async def stream(self, request: Request, note: Note = unnoted, heard: Heard = unheard) -> Upstream:
        said = self._said(request, note, heard)
        return await self._accepted(said, partial(self._upstream, said))

    async def embed(self, request: EmbeddingRequest, heard: Heard = unheard) -> Embeddings:
        codec = self._embedding
        if codec is None:
            raise InvalidRequest(f"the dialect {self.endpoint.dialect!r} has no embeddings", everywhere=False)
        url = URL(codec.url(self.endpoint), encoded=True)
        said = _Said(url, codec.encode(request, self.endpoint), request.as_messages(), heard)

        async def read(response: aiohttp.ClientResponse) -> Embeddings:
            return codec.decode(await self._body(response))

        return await self._accepted(said, read)

    def _said(self, request: Request, note: Note, heard: Heard) -> _Said:
        """The request in this endpoint's words."""
        request = self._adapted(request, note)
        messages = repaired(request.messages, note)
        if messages is not request.messages:
            request = request.with_messages(messages)
        body = self._client.encode(request, self.endpoint, note)
        dropped: tuple[str, ...] = ()
        if self.endpoint.unsupported == "drop":
            dropped = self._client.dropped(request, self.endpoint)
            self._tell_dropped(dropped, note)
        scores = Scores(note) if asks_for_scores(request, self.endpoint, dropped) else None
        return _Said(self._urls[request.stream], body, request, heard, scores)

    def _adapted(self, request: Request, note: Note) -> Request:
        if self.endpoint.system_prefix or self.endpoint.adapt is not None:
            return self.endpoint.adapted(request, note)
        return request

    async def _reply(self, response: aiohttp.ClientResponse) -> Reply:
        return placed(self._client.decode(await self._body(response)), self.endpoint)

    async def _upstream(self, said: _Said, response: aiohttp.ClientResponse) -> Upstream:
        if response.content_type == "application/json":  # a vendor that ignores `stream`
            deltas = deltas_of(await self._reply(response))
            if said.scores is not None:
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
        said.heard(*limits_of(response.headers))
        return response, vouched

    def _tell_dropped(self, names: Iterable[str], note: Note) -> None:
        for name in names:
            note(f"{name} left out, its dialect cannot express it")
            if name not in self._told:
                self._told.add(name)
                say(
                    logging.WARNING,
                    "%s: %s is left out, its dialect cannot express it (told once)",
                    self.endpoint.name,
                    name,
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
        content = response.content
        pieces: list[bytes] = []
        size = 0
        try:
            while piece := await content.readany():
                size += len(piece)
                if size > limit:
                    raise too_long(limit)
                if not pieces and content.at_eof():
                    return piece  # as a rule it comes in one
                pieces.append(piece)
        except FOREIGN as error:
            raise self.failure(error) from error
        return b"".join(pieces)

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
        deltas = placed_deltas(self._reader.feed(chunk), self._provider.endpoint)
        if self._said.scores is not None:
            self._said.scores.see(deltas)
        if self._reader.finished:
            self._finish()
        return deltas

    def _end(self) -> list[Delta]:
        deltas = placed_deltas(self._reader.end(), self._provider.endpoint)
        if self._said.scores is not None:
            self._said.scores.see(deltas)
        self._finish()
        return deltas

    def _finish(self) -> None:
        self.finished = True
        if self._said.scores is not None:
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
