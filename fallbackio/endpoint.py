"""Endpoints, and the protocol by which the coordinator opens one attempt at one.

An `Endpoint` is a specification: it does nothing and owns nothing.  What can be asked is a
`Provider`; transport makes one for each endpoint, over HTTP or around a function of the user's.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, Protocol
from urllib.parse import urlsplit

from attrs import Attribute, field, frozen

from fallbackio._checks import at_least_one, check, is_number, is_whole, nearest, one_of
from fallbackio.errors import ConfigError
from fallbackio.model import Delta, EmbeddingRequest, Embeddings, Message, Reply, Request

__all__ = [
    "CAPABILITIES",
    "Answerer",
    "Endpoint",
    "Heard",
    "Limited",
    "Note",
    "Pool",
    "Price",
    "Provider",
    "TokenSource",
    "Upstream",
    "server_of",
    "unheard",
    "unnoted",
]

# Is told what a request was changed in to suit an endpoint; the ledger keeps it.
Note = Callable[[str], None]

# Gives an access token; a plain function is called in a thread, because it may ask the network.
TokenSource = Callable[[], "str | Awaitable[str]"]

# What `Endpoint.calling` takes: an async function, or an async generator function.
Answerer = Callable[[Request], Awaitable[Reply | Message | str] | AsyncIterator[Delta | str]]


def unnoted(text: str) -> None:
    """A `Note` for whoever does not want to know."""


class Limited(Protocol):
    """What a provider said of one of its limits."""

    @property
    def limit(self) -> float | None:
        """What the limit is, if it was said."""
        ...

    @property
    def remaining(self) -> float:
        """What is left of it."""
        ...

    @property
    def reset_s(self) -> float | None:
        """Seconds until it is whole again, if that was said."""
        ...

    @property
    def at_once(self) -> bool:
        """Whether nothing comes back before all of it does."""
        ...


# Is told when the provider has taken the request in, and what it then says of its limits on requests
# and on tokens.
Heard = Callable[["Limited | None", "Limited | None"], None]


def unheard(requests: Limited | None, tokens: Limited | None) -> None:
    """A `Heard` for whoever does not want to know."""


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

    def on_end(self, told: Callable[[], None]) -> None:
        """Call `told` once, when the provider has nothing more to send, whether it has been read or not."""
        ...

    async def aclose(self) -> None:
        """End the request at once.

        Over HTTP this never suspends.  The coordinator calls it shielded and with a bound, so a
        function of the user's may take a moment to clean up.
        """
        ...


class Provider(Protocol):
    """What the coordinator asks of an endpoint.

    All raise `AttemptError`s only.  `note` is told what the request was changed in for this
    endpoint, `heard` when the first of the answer has come.  A cancelled `complete` or `stream` has
    ended its request by the time the cancellation leaves it.
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

    async def complete(self, request: Request, note: Note = unnoted, heard: Heard = unheard) -> Reply:
        """Ask for a plain answer."""
        ...

    async def stream(self, request: Request, note: Note = unnoted, heard: Heard = unheard) -> Upstream:
        """Ask for a streamed answer; returns when the provider has accepted the request."""
        ...

    async def embed(self, request: EmbeddingRequest, heard: Heard = unheard) -> Embeddings:
        """Ask for embeddings."""
        ...


# RFC 9110, section 5.6.2: what a header may be called.
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


def _string(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise ConfigError(f"{name} must be a string, not {type(value).__name__}")
    return value


def _one_line(name: str, value: object) -> str:
    """HTTP allows no control characters in a header (RFC 9110, section 5.5), and no log wants them."""
    text = _string(name, value)
    if any(ord(char) < 32 or ord(char) == 127 for char in text):
        raise ConfigError(f"{name} must not contain line breaks or other control characters")
    return text


def _header_value(name: str, value: object) -> str:
    text = _one_line(name, value)
    if not text.isascii():
        raise ConfigError(f"{name} must be ASCII")
    return text


def _text(instance: object, attribute: Attribute[Any], value: object) -> None:
    if not isinstance(value, str) or not value.strip():
        raise ConfigError(f"{attribute.name} must be a non-empty string, not {value!r}")
    _one_line(attribute.name, value)


def _label(instance: object, attribute: Attribute[Any], value: object) -> None:
    """A text whose default, the empty one, stands for another."""
    if value != "" and not _one_line(attribute.name, value).strip():
        raise ConfigError(f"{attribute.name} is blank; leave it out to get the default")


def _key(instance: object, attribute: Attribute[Any], value: object) -> None:
    if value is not None and not _header_value(attribute.name, value).strip():
        raise ConfigError("api_key is empty; leave it out to read it from the environment")


# POSIX: what a variable of the environment may be called, lower case included.
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def _variable(what: str, value: object) -> None:
    if not isinstance(value, str) or not _VARIABLE.fullmatch(value):
        # What was given is not shown, because the slip may be the secret itself.
        raise ConfigError(
            f"{what} must be the name of an environment variable, such as OPENAI_API_KEY, and not its value"
        )


def _env(instance: object, attribute: Attribute[Any], value: object) -> None:
    if value != "":
        _variable(attribute.name, value)


def _headers_env(instance: object, attribute: Attribute[Any], value: object) -> None:
    for name, variable in _mapping(attribute.name, value, '{"x-api-key": "PROXY_KEY"}').items():
        _header_name(name)
        _variable(f"{attribute.name}[{name!r}]", variable)


def _params(instance: object, attribute: Attribute[Any], value: object) -> None:
    for name in _mapping(attribute.name, value, '{"temperature": 0}'):
        _string("a name in params", name)


def _headers(instance: object, attribute: Attribute[Any], value: object) -> None:
    for name, content in _mapping(attribute.name, value, '{"x-title": "ours"}').items():
        _header_value(f"header {_header_name(name)!r}", content)


def _header_name(name: object) -> str:
    text = _string("a header's name", name)
    begins = _TOKEN.match(text)
    if begins is None or begins[0] != text:
        # Only its beginning is shown, because the slip may be a whole header, with its key.
        raise ConfigError(
            "a header's name in headers consists of letters, digits and hyphens, without spaces or "
            f"colons; the one that begins {begins[0] if begins else ''!r} does not"
        )
    return text


def _mapping(name: str, value: object, example: str) -> Mapping[object, object]:
    if not isinstance(value, Mapping):
        raise ConfigError(f"{name} must be a mapping such as {example}, not {type(value).__name__}")
    return value


def _url(instance: object, attribute: Attribute[Any], value: object) -> None:
    if value is None:
        return
    url = _string("base_url", value)
    # What follows "@" or "?" may be a secret; then nothing of it is shown.
    shown = f"base_url {url!r}" if not {"@", "?"} & {*url} else "base_url"
    if not url.startswith(("http://", "https://")):
        raise ConfigError(f"{shown} must start with http:// or https://")
    if any(char <= " " or char == "\x7f" for char in url):
        raise ConfigError(f"{shown} must not contain spaces, line breaks or other control characters")
    if "@" in re.split(r"[/?#]", url)[2]:
        raise ConfigError("base_url holds a user or a password; put credentials into headers or api_key")
    if "#" in url:
        raise ConfigError(f"{shown} must have nothing after '#'; it would not be sent")
    _where(url, shown)


def _where(url: str, shown: str) -> None:
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise ConfigError(f"{shown} is no URL; an IPv6 address is written http://[::1]:8000") from error
    if not parts.hostname:
        raise ConfigError(f"{shown} names no host; write for example http://localhost:8000/v1")
    try:
        parts.hostname.encode("idna")
    except UnicodeError as error:
        raise ConfigError(f"{shown} names a host that cannot be one ({error})") from None
    try:
        port = parts.port
    except ValueError:
        port = 0
    if port == 0:
        raise ConfigError(f"{shown} is no URL; its port must be a number from 1 to 65535")


def _without_query(url: str | None) -> str:
    return repr(url and url.partition("?")[0])


def _dialect(instance: object, attribute: Attribute[Any], value: object) -> None:
    if value is not None:
        _string(attribute.name, value)


_over_zero = check("a number over 0", lambda value: is_number(value) and value > 0)
_window = check("a positive number of tokens", lambda value: is_whole(value) and value > 0)


def _prose(instance: object, attribute: Attribute[Any], value: object) -> None:
    _string(attribute.name, value)


def _function(instance: object, attribute: Attribute[Any], value: object) -> None:
    if value is not None and not callable(value):
        raise ConfigError(f"{attribute.name} must be a function, not {type(value).__name__}")


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

# What `Endpoint(capabilities=…)` and `Chain(require=…)` may name.
CAPABILITIES = frozenset({"tools", "vision", "json_schema"})

_not_negative = check("a number, 0 or more", lambda value: is_number(value) and value >= 0)


@frozen
class Price:
    """What a model costs, in US dollars per million tokens.

    Attributes:
        input: Tokens of the prompt.
        output: Tokens of the answer, reasoning included.
        cached_input: Tokens of the prompt that the provider had cached; `None` if they cost the same.
        cache_write: Tokens of the prompt that it puts into its cache; `None` if they cost the same.

    Example:
        >>> Endpoint("openai/gpt-6-sol", price=Price(4, 10, 0.4))
    """

    input: float = field(validator=_not_negative)
    output: float = field(validator=_not_negative)
    cached_input: float | None = field(default=None, validator=_not_negative)
    cache_write: float | None = field(default=None, validator=_not_negative)

    @property
    def blended(self) -> float:
        """Input and output together, to compare by."""
        return self.input + self.output


def _as_price(given: object) -> Price | None:
    if given is None or isinstance(given, Price):
        return given
    if not isinstance(given, tuple | list) or not 2 <= len(given) <= 4:
        raise ConfigError(f"price must be a Price or (input, output) in dollars per million, not {given!r}")
    return Price(*given)


def _as_capabilities(given: object) -> object:
    named = isinstance(given, set | list | tuple) and all(isinstance(one, str) for one in given)
    return frozenset(given) if named else given  # type: ignore[call-overload]


_capabilities = check(
    f"a set of {', '.join(sorted(CAPABILITIES))}",
    lambda value: isinstance(value, frozenset) and value <= CAPABILITIES,
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
        dialect: The wire format, `"openai"` or `"anthropic"`; by default the vendor's, else
            `"openai"`.
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
        limit_group: Endpoints of one group share `rpm`, `tpm` and what is learnt; by default those
            with one key and one model do.
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

    model: str = field(validator=_text)
    name: str = field(default="", kw_only=True, validator=_label)
    api_key: str | None = field(default=None, kw_only=True, repr=False, validator=_key)
    api_key_env: str = field(default="", kw_only=True, validator=_env)
    base_url: str | None = field(default=None, kw_only=True, repr=_without_query, validator=_url)
    base_url_env: str = field(default="", kw_only=True, validator=_env)
    dialect: str | None = field(default=None, kw_only=True, validator=_dialect)
    vendor: str = field(default="", kw_only=True, validator=_label)
    params: Mapping[str, Any] = field(factory=dict, kw_only=True, repr=False, hash=False, validator=_params)
    headers: Mapping[str, str] = field(factory=dict, kw_only=True, repr=False, hash=False, validator=_headers)
    headers_env: Mapping[str, str] = field(factory=dict, kw_only=True, hash=False, validator=_headers_env)
    unsupported: Literal["error", "drop"] = field(
        default="error", kw_only=True, validator=one_of("error", "drop")
    )
    context_window: int | None = field(default=None, kw_only=True, validator=_window)
    token: TokenSource | None = field(default=None, kw_only=True, repr=False, validator=_function)
    system_prefix: str = field(default="", kw_only=True, repr=False, validator=_prose)
    adapt: Callable[[Request], Request] | None = field(
        default=None, kw_only=True, repr=False, validator=_function
    )
    base_model: str = field(default="", kw_only=True, validator=_label)
    embedding_model: str = field(default="", kw_only=True, validator=_label)
    weight: float = field(default=1.0, kw_only=True, validator=_over_zero)
    rpm: float | None = field(default=None, kw_only=True, validator=_over_zero)
    tpm: float | None = field(default=None, kw_only=True, validator=_over_zero)
    max_in_flight: int | None = field(default=None, kw_only=True, validator=at_least_one)
    price: Price | None = field(default=None, kw_only=True, converter=_as_price)
    capabilities: frozenset[str] | None = field(
        default=None, kw_only=True, converter=_as_capabilities, validator=_capabilities
    )
    limit_group: str = field(default="", kw_only=True, validator=_label)
    fn: Answerer | None = field(default=None, kw_only=True, repr=False, validator=_function)

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
        if not _string("name", name):
            raise ConfigError("Endpoint.calling needs a name")
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


def _members(given: object) -> tuple[str | Endpoint, ...]:
    if isinstance(given, str | Endpoint) or not isinstance(given, Iterable):
        raise ConfigError(f"a pool takes a list of endpoints, not {type(given).__name__}; put it in [ ]")
    members = tuple(given)
    if not members:
        raise ConfigError("a pool needs at least one endpoint")
    return members


@frozen
class Pool:
    """Interchangeable endpoints (keys, regions, deployments) behind one step of a chain.

    Its members are tried, the best first, before the chain goes on to its next step.

    Attributes:
        endpoints: `"vendor/model"` strings and `Endpoint`s.
        balance: Who is the best.  `"weighted"`: by lot, as their weights say.  `"least_busy"`: the
            fewest requests under way.  `"latency"`: of two drawn, the one with the lower product of
            its peak-sensitive time to the first content and the requests that wait for theirs.
            `"cost"`: the cheapest.

    Raises:
        ConfigError: For an empty pool or an unknown balance.

    Example:
        >>> east = Endpoint("azure/gpt-6-luna", name="east", base_url="https://east.openai.azure.com")
        >>> west = Endpoint("azure/gpt-6-luna", name="west", base_url="https://west.openai.azure.com")
        >>> fallbackio.Chain([fallbackio.Pool([east, west]), "openai/gpt-6-luna"])
    """

    endpoints: Sequence[str | Endpoint] = field(converter=_members)
    balance: Literal["weighted", "least_busy", "latency", "cost"] = field(
        default="latency", kw_only=True, validator=one_of("weighted", "least_busy", "latency", "cost")
    )
