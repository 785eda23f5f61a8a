"""Gemini, the client's side, at AI Studio and at Vertex AI.

A key goes as `x-goog-api-key`, never into the address.  At Vertex without a key or a `token=` the
requests are vouched for by a Google account (the `vertex` extra).
"""

from __future__ import annotations

from collections.abc import Mapping

from fallbackio.dialects._dialect import CredentialKind
from fallbackio.dialects._outgoing import dumps
from fallbackio.dialects._place import headers_of
from fallbackio.dialects.gemini._answer import GeminiReader, reply_of
from fallbackio.dialects.gemini._errors import failure
from fallbackio.dialects.gemini._models import address, is_vertex, version
from fallbackio.dialects.gemini._request import VOCABULARY, body_of
from fallbackio.endpoint import Endpoint, Note, unnoted
from fallbackio.errors import AttemptError
from fallbackio.model import Reply, Request

__all__ = ["GeminiClient"]


class GeminiClient:
    """The client side; holds no state."""

    def url(self, endpoint: Endpoint, *, stream: bool = False) -> str:
        """`…/models/{model}:generateContent`, or the streaming method with `alt=sse`."""
        if stream:
            return address(endpoint, "streamGenerateContent", "alt=sse")
        return address(endpoint, "generateContent")

    def credentials(self, endpoint: Endpoint) -> CredentialKind:
        """A Google account at Vertex without a key or a token of the user's, else a static header."""
        keyless = endpoint.api_key is None and endpoint.token is None
        return "google" if keyless and is_vertex(endpoint) else "static"

    def headers(self, endpoint: Endpoint) -> dict[str, str]:
        """Key and content type; the endpoint's own headers replace them by name."""
        return headers_of(endpoint, "x-goog-api-key")

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
        """A last model turn is gone on from up to the second generation; later ones may begin anew."""
        known = version(endpoint.model)
        if known is None or known >= (3, 0):
            return None
        return request.with_messages((*request.messages, {"role": "assistant", "content": partial}))

    def decode(self, body: bytes) -> Reply:
        """A plain answer; raises the `AttemptError` that garbage or an error inside a 200 stands for."""
        return reply_of(body)

    def reader(self) -> GeminiReader:
        """A reader for one streamed answer."""
        return GeminiReader()

    def failure(self, status: int, headers: Mapping[str, str], body: bytes) -> AttemptError:
        """The error that a failing status stands for; never raises, whatever the body is."""
        return failure(status, headers, body)
