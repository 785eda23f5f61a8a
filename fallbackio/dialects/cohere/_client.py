"""Cohere's chat, version 2, the client's side."""

from __future__ import annotations

from collections.abc import Mapping

from fallbackio.dialects._dialect import CredentialKind
from fallbackio.dialects._outgoing import dumps
from fallbackio.dialects._place import base_of, headers_of
from fallbackio.dialects.cohere._answer import CohereReader, reply_of
from fallbackio.dialects.cohere._errors import failure
from fallbackio.dialects.cohere._request import VOCABULARY, body_of
from fallbackio.endpoint import Endpoint, Note, unnoted
from fallbackio.errors import AttemptError
from fallbackio.model import Reply, Request

__all__ = ["CohereClient"]


class CohereClient:
    """The client side; holds no state."""

    def url(self, endpoint: Endpoint, *, stream: bool = False) -> str:
        """`…/v2/chat`, whether `base_url` ends in `/v2` or not."""
        return base_of(endpoint).within("/v2").url("chat")

    def credentials(self, endpoint: Endpoint) -> CredentialKind:
        """A key in a header."""
        return "static"

    def headers(self, endpoint: Endpoint) -> dict[str, str]:
        """Key and content type; the endpoint's own headers win, whatever their case."""
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
        """Nothing: Cohere documents no prefill, a last assistant turn is history to it."""
        return None

    def decode(self, body: bytes) -> Reply:
        """A plain answer; raises the `AttemptError` that garbage or an error inside a 200 stands for."""
        return reply_of(body)

    def reader(self) -> CohereReader:
        """A reader for one streamed answer."""
        return CohereReader()

    def failure(self, status: int, headers: Mapping[str, str], body: bytes) -> AttemptError:
        """The error that a failing status stands for; never raises, whatever the body is."""
        return failure(status, headers, body)
