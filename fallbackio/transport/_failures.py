"""Foreign errors become ours, once, by type and status and never by their text."""

from __future__ import annotations

import aiohttp

from fallbackio.errors import (
    AttemptError,
    BadAnswer,
    ConnectionFailed,
    ServerFault,
    TimedOut,
    by_status,
)

__all__ = ["from_aiohttp", "from_callers_code"]


def from_aiohttp(error: Exception, connect_timeout: float | None) -> AttemptError:
    """The error that a failure of the HTTP client stands for.

    The order matters: aiohttp's classes inherit from one another.
    """
    match error:
        case aiohttp.ConnectionTimeoutError():
            return TimedOut(phase="connect", limit_s=connect_timeout or 0.0)
        case aiohttp.ClientConnectorDNSError():
            return ConnectionFailed("the host's name cannot be resolved", sent=False, local=True)
        case aiohttp.ClientSSLError():
            return ConnectionFailed("no TLS connection to the host", sent=False, local=True)
        case aiohttp.ClientConnectorError():
            return ConnectionFailed(_system(error.os_error), sent=False)
        case aiohttp.ClientPayloadError():
            return ConnectionFailed("the connection was lost in mid-answer")
        case aiohttp.ContentTypeError() | aiohttp.ClientResponseError() | aiohttp.InvalidURL():
            return BadAnswer("what came back is no valid HTTP")
        case aiohttp.ServerDisconnectedError():
            return ConnectionFailed("the server closed the connection before it answered")
        case aiohttp.ClientOSError() | OSError():
            return ConnectionFailed(_system(error))
        case _:
            return ConnectionFailed(f"the HTTP client failed with {type(error).__name__}")


def _system(error: OSError) -> str:
    return (error.strerror or type(error).__name__).lower()


def from_callers_code(error: Exception) -> AttemptError:
    """The error that an exception of a user's own function stands for.

    SDK clients put the HTTP status into `status_code`; its text is not taken over, because it may
    quote the prompt.  The exception itself is the cause.
    """
    name = type(error).__name__
    status = getattr(error, "status_code", None)
    if isinstance(error, AttemptError):
        return error
    if isinstance(status, int) and 100 <= status <= 599:
        return by_status(status)(f"the function raised {name}", status=status)
    if isinstance(error, TimeoutError):
        return TimedOut(phase="attempt")
    if isinstance(error, OSError):
        return ConnectionFailed(f"the function raised {name}")
    return ServerFault(f"the function raised {name}")
