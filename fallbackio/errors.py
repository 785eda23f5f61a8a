"""Everything fallbackio raises on purpose.

    FallbackError
    ├── ConfigError             the chain could not be built or used so; nothing was sent
    │   └── ChainClosed         it is closed, or about to be
    ├── AttemptError            one endpoint failed; the chain may go on
    │   ├── Refused             breaker open or endpoint resting: skipped, or left while it was late
    │   ├── ConnectionFailed    never reached it, or the connection was lost
    │   ├── TimedOut            our own timer fired; .phase says which one
    │   ├── RateLimited         429; .retry_after_s says for how long
    │   ├── QuotaExhausted      out of money or out of plan
    │   ├── Overloaded          503, 529: the model has too many users
    │   ├── ServerFault         another 5xx, 408, 409
    │   ├── BadAnswer           it answered, but not in the dialect we speak
    │   ├── Rejected            it answered, and the caller's `accept` did not take it
    │   ├── AuthFailed          401, 403: this endpoint's key
    │   ├── ModelNotFound       404: this endpoint's model or path
    │   ├── InvalidRequest      400, 422: the request itself
    │   ├── ContextTooLong      the prompt does not fit this model
    │   └── ContentFiltered     refused by the provider's policy
    └── CallError               the call as a whole failed
        ├── ChainExhausted      every endpoint failed; raised from an ExceptionGroup of the causes
        ├── DeadlineExceeded    the call's time ran out
        └── StreamBroken        the answer broke after its first content; .partial holds the text so far

A call raises `CallError`s, and of the attempt errors only those that would come everywhere
(`InvalidRequest`, `ContextTooLong`, `ContentFiltered`); the others are in the ledger, `.attempts`.
They are cut by what the caller does next.  Constructors take facts and `str()` composes the
message from them, so that a fact learnt later (which endpoint it was) appears in it too.
`message` is the provider's own short text; the door it comes in by has removed keys and prompts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Self

if TYPE_CHECKING:
    # The one place where two modules need each other's names: an error carries the ledger, and
    # an entry of the ledger carries an error.
    from fallbackio.model import Attempt

__all__ = [
    "AttemptError",
    "AuthFailed",
    "BadAnswer",
    "CallError",
    "ChainClosed",
    "ChainExhausted",
    "ConfigError",
    "ConnectionFailed",
    "ContentFiltered",
    "ContextTooLong",
    "DeadlineExceeded",
    "FallbackError",
    "InvalidRequest",
    "ModelNotFound",
    "Overloaded",
    "Phase",
    "QuotaExhausted",
    "RateLimited",
    "Rejected",
    "Refused",
    "ServerFault",
    "StreamBroken",
    "TimedOut",
    "by_status",
]

Phase = Literal["connect", "first_content", "idle", "rate", "attempt"]


class FallbackError(Exception):
    """The base of everything fallbackio raises on purpose.

    Attributes:
        attempts: The ledger: what was tried in this call, in the order in which it started.
            Empty when nothing was tried.

    Example:
        >>> try:
        ...     reply = await chain.complete("Hello")
        ... except fallbackio.FallbackError as error:
        ...     for attempt in error.attempts:
        ...         print(attempt.endpoint, attempt.outcome, attempt.error)
    """

    attempts: tuple[Attempt, ...] = ()


class ConfigError(FallbackError, ValueError):
    """Raised when a chain, an endpoint or a policy cannot be built or used as asked.

    Nothing was sent.  The message names the setting and the mend.

    Example:
        >>> fallbackio.Chain([])
        Traceback (most recent call last):
        fallbackio.errors.ConfigError: a chain needs at least one endpoint
    """


class ChainClosed(ConfigError):
    """Raised when a chain is asked that is closed, or that is drained in order to be.

    A web application answers 503 to it.

    Example:
        >>> await chain.drain(30)
        >>> await chain.complete("Hello")
        Traceback (most recent call last):
        fallbackio.errors.ChainClosed: chain takes no more calls: it is being drained
    """


class AttemptError(FallbackError):
    """Raised when one attempt at one endpoint failed.

    Attributes:
        endpoint: Name of the endpoint, empty until the attempt is known.
        vendor: Who runs it.
        model: The model that was asked.
        status: HTTP status, or `None` where there was no answer.
        code: The provider's own code or type, for example `"rate_limit_exceeded"`.
        request_id: The provider's id of the request, for its support.
        retry_after_s: Seconds the provider asked us to stay away, or `None`.
        should_retry: What the provider says about a repeat (`x-should-retry`), or `None`.
        message: The provider's short text, without keys and prompts.
        summary: What kind of failure it is, in a few words; the same for all of a class.
        needs_operator: Whether it lasts until somebody acts (a bad key, no money, no such model).

    Example:
        >>> [(a.error.endpoint, a.error.status, a.error.code) for a in error.attempts if a.error]
        [('openai/gpt-6-luna', 429, 'rate_limit_exceeded')]
    """

    summary = "failed"
    needs_operator = False  # whether it lasts until somebody acts, and is logged as an error

    def __init__(
        self,
        message: str = "",
        *,
        status: int | None = None,
        code: str | None = None,
        request_id: str | None = None,
        retry_after_s: float | None = None,
        should_retry: bool | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.should_retry = should_retry
        self.status = status
        self.code = code
        self.request_id = request_id
        self.retry_after_s = retry_after_s
        self.endpoint = self.vendor = self.model = ""

    def placed(self, endpoint: str, vendor: str, model: str) -> Self:
        """The error itself, now knowing which endpoint it speaks of."""
        self.endpoint, self.vendor, self.model = endpoint, vendor, model
        return self

    def __str__(self) -> str:
        facts = [f"HTTP {self.status}"] if self.status is not None else []
        facts += [self.code] if self.code else []
        facts += [f"retry after {self.retry_after_s:.1f} s"] if self.retry_after_s is not None else []
        where = f"{self.endpoint}: " if self.endpoint else ""
        detail = f" ({', '.join(facts)})" if facts else ""
        return f"{where}{self.summary}{detail}" + (f": {self.message}" if self.message else "")


class Refused(AttemptError):
    """Raised when an endpoint was skipped or left, because others had found that it is not worth asking.

    Skipped: its circuit is open, it is resting after a 429, or it takes longer than what is left of the
    call; nothing was sent, and `retry_after_s` is a lower bound of the time until it is asked again.  Left:
    its circuit opened while this call waited for an answer that was late already, and another endpoint
    could be asked.

    Attributes:
        sent: Whether the request was under way, and was left.

    Example:
        >>> [a.endpoint for a in reply.report.attempts if isinstance(a.error, fallbackio.errors.Refused)]
        ['openai/gpt-6-luna']
    """

    summary = "skipped"

    def __init__(self, message: str = "", *, retry_after_s: float | None = None, sent: bool = False) -> None:
        super().__init__(message, retry_after_s=retry_after_s)
        self.sent = sent
        if sent:
            self.summary = "left"


class ConnectionFailed(AttemptError):
    """Raised when the endpoint could not be reached, or the connection to it was lost.

    Attributes:
        sent: Whether any of the request may have reached the provider.
        local: Whether the cause lies on our side (name look-up, our TLS set-up); such a failure
            is not held against the endpoint.

    Example:
        >>> except fallbackio.ChainExhausted as error:
        ...     unreachable = [a for a in error.attempts if isinstance(a.error, ConnectionFailed)]
    """

    summary = "connection failed"

    def __init__(self, message: str = "", *, sent: bool = True, local: bool = False) -> None:
        super().__init__(message)
        self.sent = sent
        self.local = local


class TimedOut(AttemptError):
    """Raised when one of our own timers ended an attempt.

    Attributes:
        phase: Which timer: `"connect"`, `"first_content"`, `"idle"` (between two contents), `"rate"`
            (too little content in that time) or `"attempt"` (all of it).
        limit_s: The timer's length in seconds.

    Example:
        >>> failed = [a for a in error.attempts if isinstance(a.error, fallbackio.errors.TimedOut)]
        >>> [(a.endpoint, a.error.phase, a.error.limit_s) for a in failed]
        [('openai/gpt-6-luna', 'first_content', 5.0)]
    """

    summary = "timed out"

    def __init__(self, message: str = "", *, phase: Phase = "attempt", limit_s: float = 0.0) -> None:
        super().__init__(message)
        self.phase: Phase = phase
        self.limit_s = limit_s

    def __str__(self) -> str:
        what = {
            "connect": "no connection",
            "first_content": "no content",
            "idle": "silence",
            "rate": "too little content",
            "attempt": "no answer",
        }[self.phase]
        where = f"{self.endpoint}: " if self.endpoint else ""
        return f"{where}{what} within {self.limit_s:.3g} s"


class RateLimited(AttemptError):
    """Raised when the provider answered 429; `retry_after_s` is what it asked for.

    Example:
        >>> failed = [a for a in error.attempts if isinstance(a.error, fallbackio.errors.RateLimited)]
        >>> [(a.endpoint, a.error.retry_after_s) for a in failed]
        [('openai/gpt-6-luna', 20.0)]
    """

    summary = "rate limited"


class QuotaExhausted(AttemptError):
    """Raised when the account is out of money or out of its plan; waiting does not help.

    Example:
        >>> failed = [a for a in error.attempts if isinstance(a.error, fallbackio.errors.QuotaExhausted)]
        >>> [(a.vendor, a.error.code) for a in failed]
        [('openai', 'insufficient_quota')]
    """

    summary = "quota exhausted"
    needs_operator = True


class Overloaded(AttemptError):
    """Raised when the model has too many users (503, 529, or `overloaded_error` after a 200).

    Example:
        >>> failed = [a for a in error.attempts if isinstance(a.error, fallbackio.errors.Overloaded)]
        >>> [(a.endpoint, a.error.status) for a in failed]
        [('anthropic/claude-sonnet-5-5', 529)]
    """

    summary = "overloaded"


class ServerFault(AttemptError):
    """Raised when the provider failed by itself (500, 502, 504, 408, 409, …).

    Example:
        >>> failed = [a for a in error.attempts if isinstance(a.error, fallbackio.errors.ServerFault)]
        >>> [(a.error.status, a.error.request_id) for a in failed]
        [(500, 'req_123')]
    """

    summary = "server fault"


class BadAnswer(AttemptError):
    """Raised when an answer is not what the dialect allows.

    Garbage or HTML with a 200, a malformed event, a stream without its terminator, no choices, an
    answer over the size limit.  The message describes the shape and never quotes the answer.

    Example:
        >>> failed = [a for a in error.attempts if isinstance(a.error, fallbackio.errors.BadAnswer)]
        >>> [str(a.error) for a in failed]
        ['vllm/llama: bad answer (HTTP 200): HTML in place of JSON']
    """

    summary = "bad answer"


class Rejected(AttemptError):
    """Raised when the caller's own `accept` did not take a whole answer; `message` is its reason.

    Example:
        >>> def long_enough(reply):
        ...     return len(reply.text) > 100 or "too short"
        >>> chain = fallbackio.Chain(["openai/gpt-6-luna", "groq/openai/gpt-oss-120b"], accept=long_enough)
    """

    summary = "answer not accepted"


class AuthFailed(AttemptError):
    """Raised when the endpoint did not accept its key (401, 403).

    Example:
        >>> failed = [a for a in error.attempts if isinstance(a.error, fallbackio.errors.AuthFailed)]
        >>> [f'renew the key of {a.endpoint}' for a in failed]
        ['renew the key of openai/gpt-6-luna']
    """

    summary = "key refused"
    needs_operator = True


class ModelNotFound(AttemptError):
    """Raised when the endpoint does not know its model or path (404, or a retired model).

    Example:
        >>> failed = [a for a in error.attempts if isinstance(a.error, fallbackio.errors.ModelNotFound)]
        >>> [a.model for a in failed]
        ['gpt-9']
    """

    summary = "model not found"
    needs_operator = True


class InvalidRequest(AttemptError):
    """Raised when the request itself is at fault (400, 422).

    Attributes:
        everywhere: Whether it would fail at every endpoint, which is then not tried.  False where
            only this model or dialect cannot do what was asked; the next endpoint may.

    Example:
        >>> await chain.complete(42)
        Traceback (most recent call last):
        fallbackio.errors.InvalidRequest: invalid request: messages must be a string or a list …
    """

    summary = "invalid request"

    def __init__(
        self,
        message: str = "",
        *,
        everywhere: bool = True,
        status: int | None = None,
        code: str | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(message, status=status, code=code, request_id=request_id)
        self.everywhere = everywhere


class ContextTooLong(AttemptError):
    """Raised when the prompt does not fit the model's context window.

    Example:
        >>> except fallbackio.ContextTooLong as error:
        ...     print(error.model)
    """

    summary = "context too long"


class ContentFiltered(AttemptError):
    """Raised when the provider's policy refused the prompt or the answer.

    Example:
        >>> except fallbackio.ContentFiltered as error:
        ...     print(error.vendor, error.code)
    """

    summary = "refused by content policy"


class CallError(FallbackError):
    """The base of the errors that speak of a call as a whole.

    Example:
        >>> except fallbackio.CallError as error:
        ...     print(len(error.attempts), "attempts")
    """

    def __init__(self, message: str = "", attempts: tuple[Attempt, ...] = ()) -> None:
        super().__init__(message)
        self.attempts = attempts


class ChainExhausted(CallError):
    """Raised when no endpoint answered, from an `ExceptionGroup` of the causes.

    Attributes:
        retry_after_s: The soonest instant, in seconds from now, at which an endpoint asked to be
            tried again, or `None` if none said so.

    Example:
        >>> except fallbackio.ChainExhausted as error:
        ...     for cause in error.__cause__.exceptions:
        ...         print(cause)
    """

    def __init__(
        self, message: str = "", attempts: tuple[Attempt, ...] = (), retry_after_s: float | None = None
    ) -> None:
        super().__init__(message, attempts)
        self.retry_after_s = retry_after_s


class DeadlineExceeded(CallError, TimeoutError):
    """Raised when the call's `timeout` ran out before any endpoint answered.

    It is a `TimeoutError` as well.

    Attributes:
        timeout_s: The call's limit in seconds.

    Example:
        >>> except TimeoutError as error:
        ...     print(error)
        no answer within 2 s: openai/gpt-6-luna: no answer within 1 s; groq/llama: no answer within 1 s
    """

    def __init__(self, message: str = "", attempts: tuple[Attempt, ...] = (), timeout_s: float = 0.0) -> None:
        super().__init__(message, attempts)
        self.timeout_s = timeout_s


class StreamBroken(CallError):
    """Raised when an answer broke after its first content had been delivered.

    Attributes:
        partial: The text delivered so far.

    Example:
        >>> except fallbackio.StreamBroken as error:
        ...     print(error.partial, error.__cause__)
    """

    def __init__(self, message: str = "", attempts: tuple[Attempt, ...] = (), partial: str = "") -> None:
        super().__init__(message, attempts)
        self.partial = partial


# The class of an answer's status where the provider's own code says nothing finer.
_BY_STATUS: dict[int, type[AttemptError]] = {
    401: AuthFailed,
    402: QuotaExhausted,
    403: AuthFailed,
    404: ModelNotFound,
    410: ModelNotFound,
    413: ContextTooLong,
    429: RateLimited,
    451: ContentFiltered,
    498: ContentFiltered,
    503: Overloaded,
    529: Overloaded,
    # These speak of a moment, not of the request: another try may work (RFC 9110, RFC 8470).
    408: ServerFault,
    409: ServerFault,
    424: ServerFault,
    425: ServerFault,
    499: ServerFault,
}


def by_status(status: int) -> type[AttemptError]:
    """The error class for an HTTP status that is not a success.

    Every other 4xx is an `InvalidRequest`, every other 5xx a `ServerFault`, the rest (redirects,
    odd 2xx) a `BadAnswer`.

    Example:
        >>> by_status(429), by_status(529)
        (<class 'fallbackio.errors.RateLimited'>, <class 'fallbackio.errors.Overloaded'>)
    """
    known = _BY_STATUS.get(status)
    if known is not None:
        return known
    if 400 <= status < 500:
        return InvalidRequest
    return ServerFault if status >= 500 else BadAnswer
