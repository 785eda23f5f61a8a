"""Endpoints: one model at one provider deployment each, with its own key and limits."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, Literal
from urllib.parse import urlsplit

from attrs import field, frozen

from fallbackio._checks import at_least_one, nearest, one_of
from fallbackio.endpoint import _checks as checks
from fallbackio.endpoint._price import Price, as_price
from fallbackio.endpoint._provider import Note, unnoted
from fallbackio.errors import ConfigError
from fallbackio.model import Delta, Message, Reply, Request

__all__ = ["Answerer", "Endpoint", "TokenSource", "server_of"]

# Gives an access token; a plain function is called in a thread, because it may ask the network.
TokenSource = Callable[[], "str | Awaitable[str]"]

# What `Endpoint.calling` takes: an async function, or an async generator function.
Answerer = Callable[[Request], Awaitable[Reply | Message | str] | AsyncIterator[Delta | str]]

# What of an endpoint's settings concerns a function too.
_CALLABLE = frozenset(
    {
        "adapt",
        "capabilities",
        "limit_group",
        "max_in_flight",
        "price",
        "rpm",
        "system_prefix",
        "tpm",
        "weight",
    }
)


@frozen
class Endpoint:
    """One model at one provider deployment.

    Attributes:
        model: The model's name at the provider; `"vendor/model"` when neither `vendor` nor
            `base_url` is given.
        name: What ledger, logs and events call it; `"vendor/model"` by default.  Unique in a chain.
        api_key: The key; by default read from the vendor's environment variable when the chain is
            built.  Never shown by `repr`.
        api_key_env: Name of the variable to read it from, in place of the vendor's.
        base_url: Where the provider's API begins, for example `"http://localhost:8000/v1"`; by
            default the vendor's.  Without user and password, which belong into `headers`; a query
            (Azure's `?api-version=…`) is kept, and never shown by `repr`.
        base_url_env: Name of the variable that holds `base_url`.
        dialect: The wire format: `"openai"`, `"openai_responses"`, `"azure"`, `"anthropic"`,
            `"gemini"`, `"bedrock"`, `"cohere"` or `"ollama"`; by default the vendor's, else `"openai"`.
        vendor: Who runs it; endpoints of one vendor are one failure domain.  By default the host
            of `base_url`.
        params: Parameters that replace the call's own for this endpoint; `None` removes one.
        headers: HTTP headers to add.
        headers_env: More of them, by the names of the variables that hold their values.
        unsupported: What to do with a parameter that the dialect cannot express: `"error"` raises
            `InvalidRequest` before anything is sent, `"drop"` leaves it out with one warning.
        context_window: The model's context in tokens; by default what is known of the model.  A prompt
            that was too long for one endpoint goes on only to larger ones.
        token: A function, plain or async, that gives a bearer token in place of a key, for example
            azure-identity's `get_bearer_token_provider(…)`.  Asked again when a token was refused.
        system_prefix: A system message put before the conversation at this endpoint only.
        adapt: A function of the `Request` that returns the one to send to this endpoint instead.
        weight: Its share among the equal members of a pool.
        rpm, tpm: Requests and tokens per minute that it may be sent; what the provider's headers say
            is learnt besides.  An endpoint without room is skipped, not asked.
        max_in_flight: Requests under way there at once.
        price: US dollars per million tokens, a `Price` or a pair `(input, output)`; by default what the
            extra `prices` knows of the model at its vendor, long prompts and caches included.
        capabilities: What it can do of `"tools"`, `"vision"` and `"json_schema"`, for `require=`;
            `None` if that is not known.
        limit_group: Endpoints of one group share `rpm`, `tpm` and what is learnt, and rest together after a
            429 with `Retry-After`; by default those with one key and one model do.
        base_model: The model's own name where `model` is only what a deployment is called, as on Azure: for
            what is known of its price and window.
        embedding_model: The embedding model's own name where `model` is only a deployment's; endpoints
            of one chain must agree on it for `chain.embed`.

    Raises:
        ConfigError: For a setting out of its range.

    Example:
        >>> Endpoint("groq/openai/gpt-oss-120b", params={"temperature": 0})
        >>> Endpoint("llama-3", base_url="http://localhost:8000/v1", name="local")
    """

    model: str = field(validator=checks.text)
    name: str = field(default="", kw_only=True, validator=checks.label)
    api_key: str | None = field(default=None, kw_only=True, repr=False, validator=checks.key)
    api_key_env: str = field(default="", kw_only=True, validator=checks.env)
    base_url: str | None = field(default=None, kw_only=True, repr=checks.without_query, validator=checks.url)
    base_url_env: str = field(default="", kw_only=True, validator=checks.env)
    dialect: str | None = field(default=None, kw_only=True, validator=checks.dialect)
    vendor: str = field(default="", kw_only=True, validator=checks.label)
    params: Mapping[str, Any] = field(
        factory=dict, kw_only=True, repr=False, hash=False, validator=checks.params
    )
    headers: Mapping[str, str] = field(
        factory=dict, kw_only=True, repr=False, hash=False, validator=checks.headers
    )
    headers_env: Mapping[str, str] = field(
        factory=dict, kw_only=True, hash=False, validator=checks.headers_env
    )
    unsupported: Literal["error", "drop"] = field(
        default="error", kw_only=True, validator=one_of("error", "drop")
    )
    context_window: int | None = field(default=None, kw_only=True, validator=checks.window)
    token: TokenSource | None = field(default=None, kw_only=True, repr=False, validator=checks.function)
    system_prefix: str = field(default="", kw_only=True, repr=False, validator=checks.prose)
    adapt: Callable[[Request], Request] | None = field(
        default=None, kw_only=True, repr=False, validator=checks.function
    )
    base_model: str = field(default="", kw_only=True, validator=checks.label)
    embedding_model: str = field(default="", kw_only=True, validator=checks.label)
    weight: float = field(default=1.0, kw_only=True, validator=checks.over_zero)
    rpm: float | None = field(default=None, kw_only=True, validator=checks.over_zero)
    tpm: float | None = field(default=None, kw_only=True, validator=checks.over_zero)
    max_in_flight: int | None = field(default=None, kw_only=True, validator=at_least_one)
    price: Price | None = field(default=None, kw_only=True, converter=as_price)
    capabilities: frozenset[str] | None = field(
        default=None, kw_only=True, converter=checks.as_capabilities, validator=checks.capabilities
    )
    limit_group: str = field(default="", kw_only=True, validator=checks.label)
    fn: Answerer | None = field(default=None, kw_only=True, repr=False, validator=checks.function)

    def effective(self, name: str, params: Mapping[str, Any]) -> Any:
        """What is sent as the parameter `name` of a call with `params`; `None` for nothing.

        Example:
            >>> Endpoint("m", params={"temperature": 0}).effective("temperature", {"temperature": 1})
            0
        """
        return self.params[name] if name in self.params else params.get(name)

    def adapted(self, request: Request, note: Note = unnoted) -> Request:
        """`request` with this endpoint's `system_prefix` and `adapt` applied.

        Raises:
            ConfigError: `adapt` gave no `Request`.

        Example:
            >>> Endpoint("m", system_prefix="Be brief.").adapted(Request.of("Hi", {})).messages[0]
            {'role': 'system', 'content': 'Be brief.'}
        """
        if self.system_prefix:
            prefix = {"role": "system", "content": self.system_prefix}
            request = request.with_messages((prefix, *request.messages))
            note("system_prefix added")
        if self.adapt is not None:
            given: object = self.adapt(request)
            if not isinstance(given, Request):
                raise ConfigError(f"adapt of {self.name} must return a Request, not {type(given).__name__}")
            if given is not request:
                note("changed by adapt")
            request = given
        return request

    @classmethod
    def calling(
        cls,
        fn: Answerer,
        *,
        name: str,
        model: str = "",
        vendor: str = "",
        context_window: int | None = None,
        **settings: Any,
    ) -> Endpoint:
        """An endpoint that calls a function of yours, for example around an SDK's client.

        `fn` gets the `Request`.  It is either `async def fn(request)` that returns a `Reply`, a
        `Message` or a string, or an async generator that yields `Delta`s or strings; either serves
        `complete` and `stream`.  What it raises counts as the endpoint's failure: an `AttemptError`
        as it is, `TimeoutError` as `TimedOut`, `OSError` as `ConnectionFailed`, an exception with a
        `status_code` by that status, anything else as `ServerFault`.  `settings` are those of any
        endpoint that a function can have: `weight`, `rpm`, `tpm`, `max_in_flight`, `limit_group`, `price`,
        `capabilities`, `system_prefix`, `adapt`.

        Raises:
            ConfigError: If `fn` cannot be called, `name` is empty, or a setting is none of these.

        Example:
            >>> async def ask_ours(request):
            ...     answer = await client.ask(request.messages)
            ...     return answer.text
            >>> chain = fallbackio.Chain(["openai/gpt-6-luna", Endpoint.calling(ask_ours, name="ours")])
        """
        if not callable(fn):
            raise ConfigError(f"Endpoint.calling needs an async function, not {type(fn).__name__}")
        if not checks.string("name", name):
            raise ConfigError("Endpoint.calling needs a name")
        checks.string("model", model)
        checks.string("vendor", vendor)
        for setting in settings:
            if setting not in _CALLABLE:
                raise nearest("setting of Endpoint.calling", setting, _CALLABLE)
        return cls(
            model or name, name=name, vendor=vendor or name, context_window=context_window, fn=fn, **settings
        )


def server_of(endpoint: Endpoint) -> tuple[str, int]:
    """Host and port of the endpoint's server; empty and 0 for a function.

    Example:
        >>> server_of(Endpoint("llama-3", base_url="http://localhost:8000/v1"))
        ('localhost', 8000)
    """
    if endpoint.base_url is None:
        return "", 0
    parts = urlsplit(endpoint.base_url)
    return parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
