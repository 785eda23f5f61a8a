"""The errors of LiteLLM's names, so that `except litellm.RateLimitError` goes on working.

    OpenAIError
    ├── APIError                        a failure that none of the others names
    ├── APIConnectionError              never reached it, or the connection was lost
    ├── Timeout                         a limit ran out
    ├── AuthenticationError             401
    ├── PermissionDeniedError           403
    ├── NotFoundError                   404: this endpoint's model or path
    ├── UnprocessableEntityError        422
    ├── RateLimitError                  429; money that is used up as well
    ├── BadRequestError                 400: the request itself
    │   ├── ContextWindowExceededError
    │   ├── ContentPolicyViolationError
    │   └── UnsupportedParamsError
    ├── InternalServerError             500 and its like
    ├── BadGatewayError                 502
    └── ServiceUnavailableError         503, 529
        └── MidStreamFallbackError      a stream broke after its first content

The module has no underscore because programs import from LiteLLM's by this name.  Siblings are siblings
as they are there: `except APIError` does not catch a `RateLimitError`.  The odd rule: all of them are
`FallbackError`s too, raised from the error that fallbackio raised, and have its ledger in `.attempts`;
they are not the `openai` package's classes, which LiteLLM's are.
"""

from __future__ import annotations

from typing import Any, ClassVar

from fallbackio import errors
from fallbackio.errors import AttemptError, FallbackError

__all__ = [
    "APIConnectionError",
    "APIError",
    "AuthenticationError",
    "BadGatewayError",
    "BadRequestError",
    "ContentPolicyViolationError",
    "ContextWindowExceededError",
    "InternalServerError",
    "MidStreamFallbackError",
    "NotFoundError",
    "OpenAIError",
    "PermissionDeniedError",
    "RateLimitError",
    "ServiceUnavailableError",
    "Timeout",
    "UnprocessableEntityError",
    "UnsupportedParamsError",
    "translated",
]


class OpenAIError(FallbackError):
    """The base of the errors of LiteLLM's names.

    Attributes:
        message: What happened.
        llm_provider: The vendor that failed first, or empty.
        model: The model that failed first, or empty.
        status_code: The HTTP status, or the one that stands for this kind of failure.
        retry_after_s: Seconds after which an endpoint asked to be tried again, or `None`.

    Example:
        >>> try:
        ...     response = await acompletion(model="gpt-6-luna", messages=messages)
        ... except litellm.exceptions.OpenAIError as error:
        ...     print(error.status_code, [attempt.endpoint for attempt in error.attempts])
    """

    usual_status: ClassVar[int] = 500

    def __init__(
        self,
        message: str = "",
        llm_provider: str | None = None,
        model: str | None = None,
        *,
        status_code: int | None = None,
        **_: Any,  # what LiteLLM's constructors take besides: response, num_retries, …
    ) -> None:
        super().__init__(message)
        self.message = message
        self.llm_provider = llm_provider or ""
        self.model = model or ""
        self.status_code = self.usual_status if status_code is None else status_code
        self.retry_after_s: float | None = None


class APIError(OpenAIError):
    """Raised when an endpoint failed in a way that no other class names.

    Example:
        >>> raise APIError(500, "no JSON", llm_provider="openai", model="gpt-6-luna")
    """

    def __init__(
        self,
        status_code: int = 500,
        message: str = "",
        llm_provider: str | None = None,
        model: str | None = None,
        **more: Any,
    ) -> None:
        super().__init__(message, llm_provider, model, status_code=status_code, **more)


class APIConnectionError(OpenAIError):
    """Raised when an endpoint could not be reached, or the connection to it was lost.

    Example:
        >>> except litellm.APIConnectionError as error:
        ...     print(error.llm_provider)
    """


class Timeout(OpenAIError):
    """Raised when the call's time ran out, or an endpoint's.

    Example:
        >>> except litellm.Timeout:
        ...     print("too slow")
    """

    usual_status = 408


class AuthenticationError(OpenAIError):
    """Raised when a key was refused, or there is none.

    Example:
        >>> except litellm.AuthenticationError as error:
        ...     print(f"renew the key of {error.llm_provider}")
    """

    usual_status = 401


class PermissionDeniedError(OpenAIError):
    """Raised when a key may not do this.

    Example:
        >>> except litellm.PermissionDeniedError as error:
        ...     print(error.message)
    """

    usual_status = 403


class NotFoundError(OpenAIError):
    """Raised when an endpoint does not know its model or path.

    Example:
        >>> except litellm.NotFoundError as error:
        ...     print(error.model)
    """

    usual_status = 404


class RateLimitError(OpenAIError):
    """Raised when an endpoint is asked too often, or its money is used up.

    Example:
        >>> except litellm.RateLimitError as error:
        ...     await anyio.sleep(error.retry_after_s or 1)
    """

    usual_status = 429


class UnprocessableEntityError(OpenAIError):
    """Raised when the request was understood and refused (422).

    Example:
        >>> except litellm.UnprocessableEntityError as error:
        ...     print(error.message)
    """

    usual_status = 422


class BadRequestError(OpenAIError):
    """Raised when the request itself is at fault, or names a model that nobody runs.

    Example:
        >>> except litellm.BadRequestError as error:
        ...     print(error.message)
    """

    usual_status = 400


class ContextWindowExceededError(BadRequestError):
    """Raised when the prompt does not fit the model's context window.

    Example:
        >>> except litellm.ContextWindowExceededError:
        ...     messages = messages[-4:]
    """


class ContentPolicyViolationError(BadRequestError):
    """Raised when a provider's policy refused the prompt or the answer.

    Example:
        >>> except litellm.ContentPolicyViolationError as error:
        ...     print(error.llm_provider)
    """


class UnsupportedParamsError(BadRequestError):
    """Raised when an endpoint cannot express a parameter and `drop_params` does not allow to leave it out.

    Example:
        >>> except litellm.UnsupportedParamsError as error:
        ...     print(error.message)
    """


class InternalServerError(OpenAIError):
    """Raised when a provider failed by itself.

    Example:
        >>> except litellm.InternalServerError as error:
        ...     print(error.status_code)
    """


class BadGatewayError(OpenAIError):
    """Raised when a provider's gateway failed (502).

    Example:
        >>> except litellm.BadGatewayError as error:
        ...     print(error.status_code)
    """

    usual_status = 502


class ServiceUnavailableError(OpenAIError):
    """Raised when a model has too many users (503, 529), or is left alone because it is broken.

    Example:
        >>> except litellm.ServiceUnavailableError as error:
        ...     print(error.retry_after_s)
    """

    usual_status = 503


class MidStreamFallbackError(ServiceUnavailableError):
    """Raised when a streamed answer broke after its first content.

    Attributes:
        generated_content: The text that had been delivered.

    Example:
        >>> except litellm.exceptions.MidStreamFallbackError as error:
        ...     print(error.generated_content)
    """

    def __init__(self, message: str = "", *, generated_content: str = "", **more: Any) -> None:
        super().__init__(message, **more)
        self.generated_content = generated_content


# By the kind of failure; a status in `_BY_STATUS` goes before.
_BY_KIND: tuple[tuple[type[AttemptError], type[OpenAIError]], ...] = (
    (errors.RateLimited, RateLimitError),
    (errors.QuotaExhausted, RateLimitError),
    (errors.Overloaded, ServiceUnavailableError),
    (errors.Refused, ServiceUnavailableError),
    (errors.TimedOut, Timeout),
    (errors.ConnectionFailed, APIConnectionError),
    (errors.AuthFailed, AuthenticationError),
    (errors.ModelNotFound, NotFoundError),
    (errors.ContextTooLong, ContextWindowExceededError),
    (errors.ContentFiltered, ContentPolicyViolationError),
    (errors.InvalidRequest, BadRequestError),
    (errors.ServerFault, InternalServerError),
)

_BY_STATUS: dict[tuple[type[AttemptError], int], type[OpenAIError]] = {
    (errors.AuthFailed, 403): PermissionDeniedError,
    (errors.InvalidRequest, 422): UnprocessableEntityError,
    (errors.ServerFault, 408): Timeout,
    (errors.ServerFault, 502): BadGatewayError,
}


def translated(error: FallbackError) -> FallbackError:
    """The error of LiteLLM's name for one of ours; a `ConfigError`, which LiteLLM has no name for, as it is.

    A call that failed everywhere is named for what its first choice failed with, as a `Router` does.

    Example:
        >>> translated(fallbackio.RateLimited("slow down")).status_code
        429
    """
    if isinstance(error, OpenAIError | errors.ConfigError):
        return error
    told = _told(error)
    told.attempts = error.attempts
    told.retry_after_s = getattr(error, "retry_after_s", None)
    told.__cause__ = error
    return told


def _told(error: FallbackError) -> OpenAIError:
    if isinstance(error, AttemptError):
        return _named(error, str(error))
    first = _first_failure(error)
    vendor, model = (first.vendor, first.model) if first is not None else ("", "")
    if isinstance(error, errors.StreamBroken):
        return MidStreamFallbackError(
            str(error), generated_content=error.partial, llm_provider=vendor, model=model
        )
    if isinstance(error, errors.DeadlineExceeded):
        return Timeout(str(error), vendor, model)
    return APIConnectionError(str(error)) if first is None else _named(first, str(error))


def _named(error: AttemptError, message: str) -> OpenAIError:
    kind = _BY_STATUS.get((type(error), error.status or 0))
    kind = kind or next((theirs for ours, theirs in _BY_KIND if isinstance(error, ours)), None)
    # What failed in spite of a 200 has no status of its own.
    failing = error.status if error.status is not None and error.status >= 400 else None
    if kind is None:
        return APIError(failing or 500, message, error.vendor, error.model)
    return kind(message, error.vendor, error.model, status_code=failing)


def _first_failure(error: FallbackError) -> AttemptError | None:
    """What the first endpoint that was asked failed with, or why the first was not."""
    failed = [attempt.error for attempt in error.attempts if attempt.error is not None]
    asked = [cause for cause in failed if not isinstance(cause, errors.Refused)]
    return next(iter(asked or failed), None)
