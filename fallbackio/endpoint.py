"""Endpoints, and the protocol by which the coordinator opens one attempt at one.

An `Endpoint` is a specification: it does nothing and owns nothing.  What can be asked is a
`Provider`; transport makes one for each endpoint, over HTTP or around a function of the user's.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, Literal, Protocol

from attrs import Attribute, field, frozen

from fallbackio.errors import ConfigError
from fallbackio.model import Delta, Message, Reply, Request

__all__ = ["Answerer", "Endpoint", "Provider", "Upstream"]

# What `Endpoint.calling` takes: an async function, or an async generator function.
Answerer = Callable[[Request], Awaitable[Reply | Message | str] | AsyncIterator[Delta | str]]


class Upstream(Protocol):
    """One open streamed answer, on the side that reads it.

    `take` and `receive` raise an `AttemptError` when the answer breaks.  After `finished` is true
    neither yields anything more.
    """

    @property
    def finished(self) -> bool:
        """Whether the answer has come to its proper end."""
        ...

    def take(self) -> list[Delta]:
        """What has arrived, without waiting; may be empty."""
        ...

    async def receive(self) -> list[Delta]:
        """Wait for more; empty when what arrived was only a keep-alive."""
        ...

    async def aclose(self) -> None:
        """End the request at once.

        Over HTTP this never suspends.  The coordinator calls it shielded and with a bound, so a
        function of the user's may take a moment to clean up.
        """
        ...


class Provider(Protocol):
    """What the coordinator asks of an endpoint.

    All three raise `AttemptError`s only.  A cancelled `complete` or `stream` has ended its request
    by the time the cancellation leaves it.
    """

    @property
    def success_status(self) -> int | None:
        """The status an answer has here, 200 for HTTP, `None` where there is no such thing."""
        ...

    def check(self, request: Request) -> None:
        """Raise `InvalidRequest` if this endpoint cannot express the request; sends nothing."""
        ...

    def prefilled(self, request: Request, partial: str) -> Request | None:
        """The request that makes the model go on after `partial`, or `None` if it knows no prefill."""
        ...

    async def complete(self, request: Request) -> Reply:
        """Ask for a plain answer."""
        ...

    async def stream(self, request: Request) -> Upstream:
        """Ask for a streamed answer; returns when the provider has accepted the request."""
        ...


def _text(instance: object, attribute: Attribute[Any], value: object) -> None:
    if not isinstance(value, str) or not value.strip():
        raise ConfigError(f"{attribute.name} must be a non-empty string, not {value!r}")


def _header_value(name: str, value: object, *, secret: bool = False) -> None:
    """HTTP allows no line breaks or other control characters in a header (RFC 9110, section 5.5)."""
    shown = "it" if secret else repr(value)
    if not isinstance(value, str):
        raise ConfigError(f"{name} must be a string, not {type(value).__name__}")
    if any(ord(char) < 32 or ord(char) == 127 for char in value):
        raise ConfigError(f"{name} must not contain line breaks or control characters; {shown} does")
    if not value.isascii():
        raise ConfigError(f"{name} must be ASCII; {shown} is not")


def _key(instance: object, attribute: Attribute[Any], value: object) -> None:
    if value is None:
        return
    _header_value(attribute.name, value, secret=True)
    if not str(value).strip():
        raise ConfigError("api_key is empty; leave it out to read it from the environment")


def _headers(instance: object, attribute: Attribute[Any], value: Mapping[str, str]) -> None:
    for name, content in value.items():
        _header_value("a header's name", name)
        _header_value(f"header {name!r}", content, secret=True)


def _url(instance: object, attribute: Attribute[Any], value: object) -> None:
    if value is None:
        return
    if not isinstance(value, str) or not value.startswith(("http://", "https://")):
        raise ConfigError(f"base_url must start with http:// or https://, not {value!r}")


def _window(instance: object, attribute: Attribute[Any], value: int | None) -> None:
    if value is not None and not (isinstance(value, int) and value > 0):
        raise ConfigError(f"context_window must be a positive number of tokens, not {value!r}")


def _one_of(*options: str) -> Callable[[object, Attribute[Any], object], None]:
    def check(instance: object, attribute: Attribute[Any], value: object) -> None:
        if value not in options:
            raise ConfigError(
                f"{attribute.name} must be one of {', '.join(map(repr, options))}, not {value!r}"
            )

    return check


@frozen
class Endpoint:
    """One model at one provider deployment.

    Attributes:
        model: The model's name at the provider; `"vendor/model"` when neither `vendor` nor
            `base_url` is given.
        name: What ledger, logs and events call it; `"vendor/model"` by default.  Unique in a chain.
        api_key: The key; by default read from the vendor's environment variable when the chain is
            built.  Never shown by `repr`.
        base_url: Where the provider's API begins, for example `"http://localhost:8000/v1"`; by
            default the vendor's.
        dialect: The wire format, `"openai"` or `"anthropic"`; by default the vendor's, else
            `"openai"`.
        vendor: Who runs it; endpoints of one vendor are one failure domain.  By default the host
            of `base_url`.
        params: Parameters that replace the call's own for this endpoint; `None` removes one.
        headers: HTTP headers to add.
        unsupported: What to do with a parameter that the dialect cannot express: `"error"` raises
            `InvalidRequest` before anything is sent, `"drop"` leaves it out with one warning.
        context_window: The model's context in tokens, if known; a prompt that was too long for one
            endpoint goes on only to larger ones.

    Raises:
        ConfigError: For a setting out of its range.

    Example:
        >>> Endpoint("openai/gpt-4o", params={"temperature": 0})
        >>> Endpoint("llama-3", base_url="http://localhost:8000/v1", name="local")
    """

    model: str = field(validator=_text)
    name: str = field(default="", kw_only=True)
    api_key: str | None = field(default=None, kw_only=True, repr=False, validator=_key)
    base_url: str | None = field(default=None, kw_only=True, validator=_url)
    dialect: str | None = field(default=None, kw_only=True)
    vendor: str = field(default="", kw_only=True)
    params: Mapping[str, Any] = field(factory=dict, kw_only=True, repr=False, hash=False)
    headers: Mapping[str, str] = field(factory=dict, kw_only=True, repr=False, hash=False, validator=_headers)
    unsupported: Literal["error", "drop"] = field(
        default="error", kw_only=True, validator=_one_of("error", "drop")
    )
    context_window: int | None = field(default=None, kw_only=True, validator=_window)
    fn: Answerer | None = field(default=None, kw_only=True, repr=False)

    @classmethod
    def calling(
        cls,
        fn: Answerer,
        *,
        name: str,
        model: str = "",
        vendor: str = "",
        context_window: int | None = None,
    ) -> Endpoint:
        """An endpoint that calls a function of yours, for example around an SDK's client.

        `fn` gets the `Request`.  It is either `async def fn(request)` that returns a `Reply`, a
        `Message` or a string, or an async generator that yields `Delta`s or strings; either serves
        `complete` and `stream`.  What it raises counts as the endpoint's failure: an `AttemptError`
        as it is, `TimeoutError` as `TimedOut`, `OSError` as `ConnectionFailed`, an exception with a
        `status_code` by that status, anything else as `ServerFault`.

        Raises:
            ConfigError: If `fn` cannot be called or `name` is empty.

        Example:
            >>> async def ask_ours(request):
            ...     answer = await client.ask(request.messages)
            ...     return answer.text
            >>> chain = fallbackio.Chain(["openai/gpt-4o", Endpoint.calling(ask_ours, name="ours")])
        """
        if not callable(fn):
            raise ConfigError(f"Endpoint.calling needs an async function, not {type(fn).__name__}")
        if not name:
            raise ConfigError("Endpoint.calling needs a name")
        return cls(model or name, name=name, vendor=vendor or name, context_window=context_window, fn=fn)
