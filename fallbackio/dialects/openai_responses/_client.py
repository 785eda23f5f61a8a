"""OpenAI's Responses as a client speaks it.

Every call says the whole conversation, and nothing is kept at the provider (`store` is false unless
the user says otherwise); the model's reasoning comes back encrypted and is given to it again in the
next turn.  An answer is whole when its status says so; one that failed raises its own error.
"""

from __future__ import annotations

from collections.abc import Mapping

from fallbackio.dialects._dialect import CredentialKind
from fallbackio.dialects._place import base_of, headers_of
from fallbackio.dialects._shared import json_object
from fallbackio.dialects.openai._client import dumps
from fallbackio.dialects.openai_responses._answer import reply_of
from fallbackio.dialects.openai_responses._errors import failure
from fallbackio.dialects.openai_responses._params import VOCABULARY
from fallbackio.dialects.openai_responses._request import body_of
from fallbackio.dialects.openai_responses._stream import ResponsesReader
from fallbackio.endpoint import Endpoint, Note, unnoted
from fallbackio.errors import AttemptError
from fallbackio.model import Reply, Request

__all__ = ["ResponsesClient"]


class ResponsesClient:
    """The client side of the dialect; has no state."""

    def url(self, endpoint: Endpoint, *, stream: bool = False) -> str:
        """`…/responses`; a query in `base_url` is kept."""
        return base_of(endpoint).url("responses")

    def credentials(self, endpoint: Endpoint) -> CredentialKind:
        """A key in a header."""
        return "static"

    def headers(self, endpoint: Endpoint) -> dict[str, str]:
        """As for chat completions."""
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
        """There is none: a last assistant turn is history."""
        return None

    def decode(self, body: bytes) -> Reply:
        """A plain answer; raises the `AttemptError` that garbage or a failed response stands for."""
        return reply_of(json_object(body))

    def reader(self) -> ResponsesReader:
        """A reader for one streamed answer."""
        return ResponsesReader()

    def failure(self, status: int, headers: Mapping[str, str], body: bytes) -> AttemptError:
        """The error that a failing status stands for; never raises."""
        return failure(status, headers, body)
