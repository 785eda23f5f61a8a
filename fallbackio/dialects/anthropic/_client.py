"""Anthropic Messages, the client's side.

Requests go out under API version 2023-06-01, which every Claude and every server of this dialect
knows, and which still takes sampling parameters; a header of the endpoint's own overrides it.  The
key goes as `x-api-key`.
"""

from __future__ import annotations

from collections.abc import Mapping

from fallbackio.dialects._dialect import CredentialKind
from fallbackio.dialects._outgoing import dumps, effective
from fallbackio.dialects._place import base_of, headers_of
from fallbackio.dialects.anthropic._answer import AnthropicReader, reply_of
from fallbackio.dialects.anthropic._errors import failure
from fallbackio.dialects.anthropic._request import body_of
from fallbackio.dialects.anthropic._sayable import VOCABULARY, may_prefill
from fallbackio.endpoint import Endpoint, Note, unnoted
from fallbackio.errors import AttemptError
from fallbackio.model import Reply, Request

__all__ = ["AnthropicClient"]

API_VERSION = "2023-06-01"


class AnthropicClient:
    """The client side; holds no state."""

    def url(self, endpoint: Endpoint, *, stream: bool = False) -> str:
        """`…/v1/messages`, whether `base_url` ends in `/v1` or not."""
        return base_of(endpoint).within("/v1").url("messages")

    def credentials(self, endpoint: Endpoint) -> CredentialKind:
        """A key in a header."""
        return "static"

    def headers(self, endpoint: Endpoint) -> dict[str, str]:
        """Key, version and content type; the endpoint's own headers replace them by name."""
        return headers_of(endpoint, "x-api-key", anthropic_version=API_VERSION)

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
        """A last assistant turn is one up to Claude 4.5, without thinking; an unknown model may refuse."""
        if not may_prefill(effective(request, endpoint), endpoint.model):
            return None
        return request.with_messages((*request.messages, {"role": "assistant", "content": partial}))

    def decode(self, body: bytes) -> Reply:
        """A plain answer; raises the `AttemptError` that garbage or an error inside a 200 stands for."""
        return reply_of(body)

    def reader(self) -> AnthropicReader:
        """A reader for one streamed answer."""
        return AnthropicReader()

    def failure(self, status: int, headers: Mapping[str, str], body: bytes) -> AttemptError:
        """The error that a failing status stands for; never raises, whatever the body is."""
        return failure(status, headers, body)
