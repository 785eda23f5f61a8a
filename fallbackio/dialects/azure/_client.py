"""Azure OpenAI as a client speaks it: OpenAI's dialect, with its own addresses, key and errors.

The model is the name of a deployment.  What an older `api-version` does not know is said in its words
where the meaning stays, and refused before it is sent where not.  What the content filter thought of
prompt and answer is kept in `extra`; an answer that it cut off ends with `content_filter`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from attrs import frozen

from fallbackio.dialects import _quirks
from fallbackio.dialects._dialect import CredentialKind
from fallbackio.dialects._place import headers_of
from fallbackio.dialects._vendors import VENDORS
from fallbackio.dialects.azure._address import NEWEST, url_of, version_of
from fallbackio.dialects.azure._errors import failure
from fallbackio.dialects.openai._client import OpenAIClient, body_of, dumps
from fallbackio.dialects.openai._stream import OpenAIReader
from fallbackio.endpoint import Endpoint, Note, unnoted
from fallbackio.errors import AttemptError, InvalidRequest
from fallbackio.model import Delta, Reply, Request

__all__ = ["AzureClient"]

_AZURE = VENDORS["azure"]

# The api-versions from which on Azure knows a field or a role; v1 knows all of them.
_MAX_COMPLETION_TOKENS = "2024-09-01"
_DEVELOPER = "2024-12-01"


@frozen
class _Field:
    """A field that came late: since when, and which values mean the same as leaving it out."""

    since: str
    idle: Callable[[object], bool] = lambda value: False


_FIELDS: Mapping[str, _Field] = {
    "stream_options": _Field("2024-09-01", lambda value: True),  # only usage, which the answer lacks then
    "parallel_tool_calls": _Field("2024-09-01", lambda value: value is True),
    "reasoning_effort": _Field("2024-12-01", lambda value: value == "none"),
    "store": _Field("2024-12-01", lambda value: value is False),
    "metadata": _Field("2024-12-01", lambda value: value == {}),
}
_JSON_SCHEMA = "2024-08-01"


class AzureClient:
    """The client side of the dialect; has no state."""

    def __init__(self) -> None:
        self._openai = OpenAIClient()

    def url(self, endpoint: Endpoint, *, stream: bool = False) -> str:
        """Where requests of `endpoint` go; `base_url` is the resource, with or without `/openai/v1`."""
        return url_of(endpoint, "chat/completions")

    def credentials(self, endpoint: Endpoint) -> CredentialKind:
        """A key in a header; an Entra token is the endpoint's `token`."""
        return "static"

    def headers(self, endpoint: Endpoint) -> dict[str, str]:
        """`api-key` unless there is a token, and content type; the endpoint's own headers win."""
        return headers_of(endpoint, "api-key")

    def check(self, request: Request, endpoint: Endpoint) -> None:
        """Raise `InvalidRequest` for what the endpoint's api-version, or its model, would refuse."""
        if endpoint.unsupported == "error" and (lost := _lost(request, endpoint)):
            raise _refusal(lost, endpoint)
        _quirks.check(request, endpoint)

    def dropped(self, request: Request, endpoint: Endpoint) -> tuple[str, ...]:
        """What the endpoint's api-version, or its model, would refuse."""
        old = _lost(request, endpoint) if endpoint.unsupported == "drop" else ()
        return old + tuple([name for name in _quirks.dropped(request, endpoint) if name not in old])

    def encode(self, request: Request, endpoint: Endpoint, note: Note = unnoted) -> bytes:
        """The body; raises `InvalidRequest` for what is no JSON or too new for the api-version."""
        body = body_of(request, endpoint, _AZURE, note)
        version = version_of(endpoint)
        if version != NEWEST:
            lost = _lost(request, endpoint)
            if lost and endpoint.unsupported == "error":
                raise _refusal(lost, endpoint)
            _age(body, version, lost)
        return dumps(body)

    def prefilled(self, request: Request, endpoint: Endpoint, partial: str) -> Request | None:
        """There is none: a last assistant turn is history."""
        return None

    def decode(self, body: bytes) -> Reply:
        """A plain answer; raises the `AttemptError` that garbage or an error inside a 200 stands for."""
        return self._openai.decode(body)

    def reader(self) -> AzureReader:
        """A reader for one streamed answer."""
        return AzureReader()

    def failure(self, status: int, headers: Mapping[str, str], body: bytes) -> AttemptError:
        """The error that a failing status stands for, with what to do about it; never raises."""
        return failure(status, headers, body)


class AzureReader(OpenAIReader):
    """One streamed answer; the filter's findings come out with the last delta."""

    def _aside(self, event: dict[str, Any]) -> None:
        if type(found := event.get("prompt_filter_results")) is list and found:
            self._extra["prompt_filter_results"] = found

    def _choice(self, choice: dict[str, Any], deltas: list[Delta]) -> None:
        # Also without a delta, and after the finish reason, where the filter runs behind the answer.
        found = choice.get("content_filter_results")
        if found and type(found) is dict and not choice.get("index"):
            self._extra["content_filter_results"] = {
                **self._extra.get("content_filter_results", {}),
                **found,
            }
        super()._choice(choice, deltas)


def _lost(request: Request, endpoint: Endpoint) -> tuple[str, ...]:
    """What of the call's parameters the api-version does not know and cannot be said otherwise."""
    version = version_of(endpoint)
    if version == NEWEST:
        return ()
    params = request.params
    lost = [
        name
        for name, field in _FIELDS.items()
        if params.get(name) is not None
        and version < field.since
        and name not in endpoint.params
        and not field.idle(params[name])
    ]
    wanted = params.get("response_format") if "response_format" not in endpoint.params else None
    if version < _JSON_SCHEMA and isinstance(wanted, Mapping) and wanted.get("type") == "json_schema":
        lost.append("response_format")
    return tuple(lost)


def _refusal(lost: tuple[str, ...], endpoint: Endpoint) -> InvalidRequest:
    return InvalidRequest(
        f"api-version {version_of(endpoint)} does not know {', '.join(lost)}; use the v1 path "
        '(base_url="https://….openai.azure.com/openai/v1"), or give the endpoint unsupported="drop"',
        everywhere=False,
    )


def _age(body: dict[str, Any], version: str, lost: tuple[str, ...]) -> None:
    """Say `body` in the words of an older version, without what is lost."""
    for name, field in _FIELDS.items():
        if name in body and version < field.since and (name in lost or field.idle(body[name])):
            del body[name]
    if "response_format" in lost:
        body.pop("response_format", None)
    if version < _MAX_COMPLETION_TOKENS and "max_completion_tokens" in body:
        limit = body.pop("max_completion_tokens")
        body.setdefault("max_tokens", limit)
    if version < _DEVELOPER:
        body["messages"] = [
            {**message, "role": "system"} if message.get("role") == "developer" else message
            for message in body["messages"]
        ]
