"""Ollama's own chat, the client's side.

A local server knows no keys; one that is given (for ollama.com, or a proxy) goes as a bearer token.
"""

from __future__ import annotations

from collections.abc import Mapping

from fallbackio.dialects._dialect import CredentialKind
from fallbackio.dialects._outgoing import dumps
from fallbackio.dialects._place import headers_of
from fallbackio.dialects.ollama._answer import OllamaReader, reply_of
from fallbackio.dialects.ollama._errors import failure
from fallbackio.dialects.ollama._request import VOCABULARY, body_of
from fallbackio.dialects.ollama._url import url_of
from fallbackio.endpoint import Endpoint, Note, unnoted
from fallbackio.errors import AttemptError
from fallbackio.model import Reply, Request

__all__ = ["OllamaClient"]


class OllamaClient:
    """The client side; holds no state."""

    def url(self, endpoint: Endpoint, *, stream: bool = False) -> str:
        """`…/api/chat`."""
        return url_of(endpoint, "chat")

    def credentials(self, endpoint: Endpoint) -> CredentialKind:
        """A key in a header, if any."""
        return "static"

    def headers(self, endpoint: Endpoint) -> dict[str, str]:
        """Content type and key; the endpoint's own headers win, whatever their case."""
        return headers_of(endpoint)

    def check(self, request: Request, endpoint: Endpoint) -> None:
        """Raise `InvalidRequest` for parameters that would be lost, unless the endpoint drops them."""
        VOCABULARY.check(request, endpoint)

    def dropped(self, request: Request, endpoint: Endpoint) -> tuple[str, ...]:
        """What `encode` leaves out because the endpoint says `unsupported="drop"`."""
        return VOCABULARY.dropped(request, endpoint)

    def encode(self, request: Request, endpoint: Endpoint, note: Note = unnoted) -> bytes:
        """The body; raises `InvalidRequest` for what cannot be expressed or is no JSON."""
        return dumps(body_of(request, endpoint, note))

    def prefilled(self, request: Request, endpoint: Endpoint, partial: str) -> Request | None:
        """Ollama leaves a last assistant turn open, so the model goes on from it."""
        return request.with_messages((*request.messages, {"role": "assistant", "content": partial}))

    def decode(self, body: bytes) -> Reply:
        """A plain answer; raises the `AttemptError` that garbage or an error inside a 200 stands for."""
        return reply_of(body)

    def reader(self) -> OllamaReader:
        """A reader for one streamed answer."""
        return OllamaReader()

    def failure(self, status: int, headers: Mapping[str, str], body: bytes) -> AttemptError:
        """The error that a failing status stands for; never raises, whatever the body is."""
        return failure(status, headers, body)
