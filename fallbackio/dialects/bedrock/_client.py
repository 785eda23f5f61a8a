"""AWS Bedrock's Converse, the client's side.

Requests go to `…/model/{id}/converse` or `/converse-stream` of the host that `base_url` names.  A Bedrock
API key goes as a bearer token; without one, transport signs with the AWS credentials it finds.  botocore
is looked for when an endpoint's headers are made, which is when its chain is built, because streams are
read by it whoever vouches for the request.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote

from fallbackio import _aws
from fallbackio.dialects._dialect import CredentialKind
from fallbackio.dialects._outgoing import dumps, effective
from fallbackio.dialects._place import base_of, headers_of
from fallbackio.dialects.bedrock._answer import BedrockReader, reply_of
from fallbackio.dialects.bedrock._errors import failure
from fallbackio.dialects.bedrock._request import body_of
from fallbackio.dialects.bedrock._rules import VOCABULARY, takes_prefill
from fallbackio.endpoint import Endpoint, Note, unnoted
from fallbackio.errors import AttemptError
from fallbackio.model import Reply, Request

__all__ = ["BedrockClient"]


class BedrockClient:
    """The client side; holds no state."""

    def url(self, endpoint: Endpoint, *, stream: bool = False) -> str:
        """The model's own path; colons and slashes of its id or ARN are percent-encoded."""
        path = f"model/{quote(endpoint.model, safe='')}/converse{'-stream' if stream else ''}"
        return base_of(endpoint).url(path)

    def credentials(self, endpoint: Endpoint) -> CredentialKind:
        """A key, or a header of the endpoint's own, goes before AWS credentials."""
        own = any(name.lower() == "authorization" for name in endpoint.headers)
        return "static" if own or endpoint.api_key is not None else "aws"

    def headers(self, endpoint: Endpoint) -> dict[str, str]:
        """Key and content type; the endpoint's own headers replace them by name.

        Raises:
            ConfigError: botocore is not installed.
        """
        _aws.require()
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
        """A last assistant turn is a prefill for Claude up to 4.5 and for Nova; not where that is unknown."""
        if not takes_prefill(effective(request, endpoint), endpoint.model):
            return None
        return request.with_messages((*request.messages, {"role": "assistant", "content": partial}))

    def decode(self, body: bytes) -> Reply:
        """A plain answer, without id and model, which Converse does not tell."""
        return reply_of(body)

    def reader(self) -> BedrockReader:
        """A reader for one streamed answer."""
        return BedrockReader()

    def failure(self, status: int, headers: Mapping[str, str], body: bytes) -> AttemptError:
        """The error that a failing status stands for; never raises, whatever the body is."""
        return failure(status, headers, body)
