"""What a dialect is: two pure codecs, one for each end of the wire.

A client side turns a `Request` into bytes and bytes into a `Reply` or `Delta`s; a server side does
the opposite, so that the simulator needs no second implementation and a round trip is a test.
Neither awaits, reads a clock or touches a socket.  Streams are objects that are fed bytes; they
bound their own buffers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, Protocol

from attrs import frozen

from fallbackio.endpoint import Endpoint, Note, unnoted
from fallbackio.errors import AttemptError
from fallbackio.model import Delta, EmbeddingRequest, Embeddings, Reply, Request

__all__ = [
    "Client",
    "CredentialKind",
    "Dialect",
    "EmbeddingCodec",
    "Route",
    "Server",
    "StreamReader",
    "StreamWriter",
]

CredentialKind = Literal["static", "google", "aws"]


class StreamReader(Protocol):
    """One streamed answer on the client side: bytes in, deltas out.

    Attributes:
        finished: The answer came to its proper end (rule 7); what is fed later is ignored.
    """

    finished: bool

    def feed(self, chunk: bytes) -> list[Delta]:
        """The deltas that `chunk` completes; empty for keep-alives and role-only events.

        Raises the `AttemptError` that an in-band error or a malformed event stands for; deltas of
        the same chunk before it have then been kept back and are lost.
        """
        ...

    def end(self) -> list[Delta]:
        """The body has ended: the last deltas, or `BadAnswer` if the answer was not finished."""
        ...


class Client(Protocol):
    """The client side of a dialect."""

    def url(self, endpoint: Endpoint, *, stream: bool = False) -> str:
        """Where requests of `endpoint` go, percent-encoded as it is sent; its `base_url` is set."""
        ...

    def credentials(self, endpoint: Endpoint) -> CredentialKind:
        """Who vouches for its requests: `"static"` headers, or an account that signs each one."""
        ...

    def headers(self, endpoint: Endpoint) -> dict[str, str]:
        """Authentication, version and content type; computed once per endpoint."""
        ...

    def check(self, request: Request, endpoint: Endpoint) -> None:
        """Raise `InvalidRequest` (`everywhere=False`) for a parameter that cannot be expressed.

        Must be cheap: the coordinator calls it for every endpoint of a chain at the start of each
        call, so that a chain that could not fall over says so before the outage.
        """
        ...

    def dropped(self, request: Request, endpoint: Endpoint) -> tuple[str, ...]:
        """Names of the parameters that `encode` will leave out because the dialect cannot say them.

        Empty unless `endpoint.unsupported` is `"drop"`; whoever sends the request warns of them
        once.  As cheap as `check`.
        """
        ...

    def encode(self, request: Request, endpoint: Endpoint, note: Note = unnoted) -> bytes:
        """The body; raises `InvalidRequest` for what cannot be expressed or is no JSON.

        `note` is told, in a few words without any content, what of the conversation was changed.
        """
        ...

    def prefilled(self, request: Request, endpoint: Endpoint, partial: str) -> Request | None:
        """The request that makes the model go on after `partial`; `None` where there is no prefill."""
        ...

    def decode(self, body: bytes) -> Reply:
        """A plain answer; raises the `AttemptError` that garbage or an error inside a 200 stands for."""
        ...

    def reader(self) -> StreamReader:
        """A reader for one streamed answer."""
        ...

    def failure(self, status: int, headers: Mapping[str, str], body: bytes) -> AttemptError:
        """The error that a failing status stands for; never raises, whatever the body is.

        `headers` is looked up without regard to case (a multidict's proxy).
        """
        ...


class StreamWriter(Protocol):
    """One streamed answer on the server side: what to say in, bytes out."""

    def start(self) -> bytes:
        """What opens an answer and shows nothing yet (role, message_start)."""
        ...

    def write(self, delta: Delta) -> bytes:
        """A piece of the answer: text, reasoning, refusal or tool-call fragments; others are empty."""
        ...

    def ping(self) -> bytes:
        """A keep-alive."""
        ...

    def error(self, error: AttemptError) -> bytes:
        """An error in-band."""
        ...

    def malformed(self) -> bytes:
        """An event that breaks the format, for simulated outages."""
        ...

    def finish(self, reply: Reply) -> bytes:
        """The proper end: finish reason, usage, terminator."""
        ...


class Server(Protocol):
    """The server side of a dialect."""

    @property
    def stream_type(self) -> str:
        """The content type of a streamed answer."""
        ...

    def read(self, body: bytes, model: str = "", stream: bool = False) -> Request:
        """The request in OpenAI's terms, with `model` and `stream`; raises `InvalidRequest`.

        `model` and `stream` are what the path said, where it is the path that says them.
        """
        ...

    def write(self, reply: Reply, request: Request) -> bytes:
        """A plain answer."""
        ...

    def writer(self, reply: Reply, request: Request) -> StreamWriter:
        """A writer for one streamed answer; `reply` gives id, model and the prompt's usage."""
        ...

    def failure(self, error: AttemptError) -> tuple[int, dict[str, str], bytes]:
        """Status, headers (Retry-After, request id) and body of an error answer."""
        ...


class EmbeddingCodec(Protocol):
    """Embeddings in a dialect, both ends of the wire; headers and errors are the client's."""

    def url(self, endpoint: Endpoint) -> str:
        """Where requests of `endpoint` go."""
        ...

    def encode(self, request: EmbeddingRequest, endpoint: Endpoint) -> bytes:
        """The body; raises `InvalidRequest` for what cannot be expressed."""
        ...

    def decode(self, body: bytes) -> Embeddings:
        """The vectors in the order of the inputs; raises the `AttemptError` that garbage stands for."""
        ...

    def read(self, body: bytes, model: str = "") -> EmbeddingRequest:
        """The request on the server side; raises `InvalidRequest`."""
        ...

    def write(self, embeddings: Embeddings, request: EmbeddingRequest) -> bytes:
        """The answer on the server side."""
        ...


@frozen
class Route:
    """A path at which a dialect's server side listens.

    Attributes:
        path: Below the server's root; `{model}` stands for one segment, percent-decoded, and any other
            `{name}` for one that is not looked at.
        stream: What is posted there is answered by a stream, where the body does not say so itself.
        embeds: It takes embedding requests.

    Example:
        >>> Route("/v1beta/models/{model}:streamGenerateContent", stream=True)
    """

    path: str
    stream: bool = False
    embeds: bool = False


@frozen
class Dialect:
    """A wire format: a name for its two codecs.

    Attributes:
        name: What `Endpoint(dialect=…)` calls it.
        routes: Where its server side listens.
        base: What a client's `base_url` holds below the server's root, for example `"/v1"`.
        embedding: Its embeddings, if it has them.

    Example:
        >>> DIALECTS["anthropic"].client.url(endpoint)
        'https://api.anthropic.com/v1/messages'
    """

    name: str
    routes: tuple[Route, ...]
    client: Client
    server: Server
    base: str = ""
    embedding: EmbeddingCodec | None = None
