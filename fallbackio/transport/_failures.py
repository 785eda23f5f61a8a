"""Foreign errors become ours, once, by type and status and never by their text.

The foreign error is the cause of ours, so what it would show of the key or of the answer is taken
out of it here.
"""

from __future__ import annotations

from typing import Any

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError

from fallbackio.errors import (
    AttemptError,
    BadAnswer,
    ConnectionFailed,
    ServerFault,
    TimedOut,
    by_status,
)

__all__ = ["FOREIGN", "from_aiohttp", "from_callers_code"]

# What a read or a request of aiohttp's may raise; the last is what it says of a session or a
# connection that has been closed on our side.
FOREIGN = (aiohttp.ClientError, OSError, RuntimeError)


def from_aiohttp(error: Exception, connect_timeout: float | None) -> AttemptError:
    """The error that a failure of the HTTP client stands for; `error` itself is made safe to show.

    The order matters: aiohttp's classes inherit from one another.
    """
    _hush(error)
    match error:
        case aiohttp.ConnectionTimeoutError():
            return TimedOut(phase="connect", limit_s=connect_timeout or 0.0)
        case aiohttp.ClientConnectorDNSError():
            text = f"the name {error.host!r} cannot be resolved; is its region, or base_url, right?"
            return ConnectionFailed(text, sent=False, local=True)
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
        case RuntimeError():
            return ConnectionFailed("the connection was closed on our side", local=True)
        case _:
            return ConnectionFailed(f"the HTTP client failed with {type(error).__name__}")


def _system(error: OSError) -> str:
    return (error.strerror or type(error).__name__).lower()


def _hush(error: Exception) -> None:
    """Take out what aiohttp notes in an error: the request's headers, and bytes that it could not parse.

    Those follow a colon, or stand in the parser's own error.
    """
    if isinstance(error, aiohttp.ClientResponseError):
        asked = error.request_info
        url = asked.url.with_query(None)
        no_headers: Any = {}
        error.request_info = aiohttp.RequestInfo(url, asked.method, no_headers, url)
        error.history, error.headers, error.args = (), None, ()
        error.message = error.message.partition(":")[0]
    if isinstance(error.__cause__, HttpProcessingError):
        error.args = error.args and (type(error.__cause__).__name__,)
        error.__cause__ = error.__context__ = None


def from_callers_code(error: Exception, waited_s: float = 0.0) -> AttemptError:
    """The error that an exception of a user's own function stands for, after so many seconds.

    SDK clients put the HTTP status into `status_code`; its text is not taken over, because it may
    quote the prompt.  The exception itself is the cause.
    """
    name = type(error).__name__
    status = getattr(error, "status_code", None)
    if isinstance(error, AttemptError):
        return _twin(error)
    if isinstance(status, int) and 100 <= status <= 599:
        return by_status(status)(f"the function raised {name}", status=status)
    if isinstance(error, TimeoutError):
        # The function's own limit is not known, only that it cannot have been longer.
        return TimedOut(phase="attempt", limit_s=max(round(waited_s, 3), 0.001))
    if isinstance(error, OSError):
        return ConnectionFailed(f"the function raised {name}")
    return ServerFault(f"the function raised {name}")


def _twin(error: AttemptError) -> AttemptError:
    """The same error as another object.

    A function may raise one instance again and again, and we write into it which endpoint it was.
    `copy.copy` would call the class, whose arguments a subclass of the user's may have changed.
    """
    twin = type(error).__new__(type(error))
    twin.args = error.args
    twin.__dict__.update(error.__dict__)
    return twin
