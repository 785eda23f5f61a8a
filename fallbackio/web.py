"""Between a chain and HTTP: what a handler of a web application needs, whatever the framework.

A client that goes away ends the request upstream (`while_connected`, for ASGI), an answer is streamed as
OpenAI's server-sent events (`EventStream`), and each of our errors has its status (`failure`).  No
framework is imported.  The odd rule: once the first event has gone out the status is a 200 for good, so
`EventStream.begin` waits for the first content, where what fails can still fail with a status.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, MutableMapping
from types import MappingProxyType
from typing import Any, Self, TypeVar
from uuid import uuid4

import anyio

from fallbackio import clock
from fallbackio.chain import Stream
from fallbackio.dialects import DIALECTS
from fallbackio.errors import (
    AttemptError,
    ChainClosed,
    ChainExhausted,
    ContentFiltered,
    ContextTooLong,
    DeadlineExceeded,
    FallbackError,
    InvalidRequest,
    Overloaded,
    ServerFault,
    StreamBroken,
    TimedOut,
)
from fallbackio.model import Delta, Reply, Request, Restarted

__all__ = ["ClientGone", "EventStream", "failure", "while_connected"]

_T = TypeVar("_T")
_Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]

_SERVER = DIALECTS["openai"].server
_WITH_USAGE = Request(messages=(), params={"stream_options": {"include_usage": True}})


class ClientGone(FallbackError):
    """Raised by `while_connected` when the client went away; the work has ended.

    Example:
        >>> except fallbackio.web.ClientGone:
        ...     return Response(status_code=499)  # which nobody sees, but the access log says it
    """


async def while_connected(receive: _Receive, work: Awaitable[_T]) -> _T:
    """Await `work`, and cancel it as soon as the client goes away.

    ASGI servers tell of a client's leaving and cancel nothing, so without this a plain handler goes on
    to the end of its call.  Read the request's body before: what is received meanwhile is dropped.

    Args:
        receive: ASGI's, for example Starlette's and FastAPI's `request.receive`.
        work: What to await, for example `chain.complete(...)`.

    Raises:
        ClientGone: When the client went away; `work` has ended, and its request upstream with it.
            What `receive` raises ends it in the same way.

    Example:
        >>> reply = await while_connected(request.receive, chain.complete(messages))
    """
    answers: list[_T] = []
    errors: list[Exception] = []

    async with anyio.create_task_group() as tasks:

        async def watch() -> None:
            try:
                while (await receive())["type"] != "http.disconnect":
                    pass
            except Exception as error:  # noqa: BLE001 - as the work's
                errors.append(error)
            tasks.cancel_scope.cancel()

        tasks.start_soon(watch)
        try:
            answers.append(await work)
        except Exception as error:  # noqa: BLE001 - raised below, not wrapped in the group's
            errors.append(error)
        tasks.cancel_scope.cancel()
    if answers:
        return answers[0]
    raise errors[0] if errors else ClientGone("the client went away before it was answered")


def failure(error: FallbackError) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of the HTTP answer that says why there is no other.

    The body is OpenAI's error object.  It names no endpoint and quotes a provider only where the
    client's own request is at fault.

    | error | status |
    |---|---|
    | `InvalidRequest`, `ContextTooLong`, `ContentFiltered` | the provider's 4xx, or 400 |
    | `ChainExhausted` | 503, with `Retry-After` where an endpoint gave a time |
    | `ChainClosed` | 503, with `Retry-After: 1`: another process may answer |
    | `DeadlineExceeded` | 504 |
    | `StreamBroken`, and a single attempt's own failure | 502 |
    | `ClientGone` | 499 |
    | anything else, such as `ConfigError` | 500 |

    Example:
        >>> status, headers, body = failure(error)
        >>> status, headers["retry-after"]
        (503, '20')
    """
    return _SERVER.failure(_told(error))


def _told(error: FallbackError) -> AttemptError:
    """What a client is told of `error`."""
    match error:
        case InvalidRequest() | ContextTooLong() | ContentFiltered():
            return error
        case ChainExhausted(retry_after_s=wait_s):
            return Overloaded("no model can answer now", status=503, retry_after_s=wait_s)
        case ChainClosed():
            return Overloaded("going down; ask again", status=503, retry_after_s=1)
        case DeadlineExceeded():
            return TimedOut("no model has answered in time")
        case StreamBroken():
            return ServerFault("the answer broke off", status=502, code="stream_broken")
        case AttemptError():
            return ServerFault("no model has answered", status=502)
        case ClientGone():
            return InvalidRequest("the client went away", status=499)
        case _:
            return ServerFault("this cannot be answered here", status=500)


class EventStream:
    """A streamed answer as OpenAI's server-sent events, up to `data: [DONE]`.

    Iterate over it for the bytes.  An answer that breaks off beyond mending, or is begun anew
    (`on_break="restart"`), which the format cannot say, ends with an error event and without `[DONE]`.

    Args:
        stream: What `chain.stream(...)` gave, not yet entered.
        ping_s: Seconds of silence after which a comment is sent, so that nobody between takes the
            connection for dead; `None` for never.

    Attributes:
        headers: For the HTTP answer.

    Example:
        >>> events = EventStream(chain.stream(messages))
        >>> await while_connected(request.receive, events.begin())
        >>> return StreamingResponse(events, headers=events.headers, background=BackgroundTask(events.aclose))
    """

    headers: Mapping[str, str] = MappingProxyType(
        {
            "content-type": _SERVER.stream_type,
            "cache-control": "no-cache",
            "x-accel-buffering": "no",  # nginx holds an answer back otherwise
        }
    )

    def __init__(self, stream: Stream, *, ping_s: float | None = 15.0) -> None:
        self._events = _written(stream, ping_s)
        self._first = b""

    async def begin(self) -> None:
        """Wait for the answer's first content; raises what entering the stream raises.

        Optional: iterating begins by itself, but then it is too late for a status.
        """
        if not self._first:
            self._first = await anext(self._events)

    async def aclose(self) -> None:
        """End the answer, and the request upstream with it; may be called at any time."""
        self._first = b""
        await self._events.aclose()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        if self._first:
            first, self._first = self._first, b""
            return first
        return await anext(self._events)


async def _written(stream: Stream, ping_s: float | None) -> AsyncGenerator[bytes, None]:
    async with stream:
        first = await anext(stream)
        writer = _SERVER.writer(_head(first, stream), _WITH_USAGE)
        yield writer.start() + writer.write(first)
        try:
            while True:
                # The scope is over at each `yield`; a wait that it cuts loses nothing of the stream.
                with anyio.move_on_after(ping_s) as waiting:
                    delta = await anext(stream, None)
                if waiting.cancelled_caught:
                    yield writer.ping()
                    continue
                if delta is None:
                    break
                if isinstance(delta, Restarted):
                    raise StreamBroken("the answer was begun anew", partial=stream.text)
                if data := writer.write(delta):
                    yield data
        except FallbackError as error:
            yield writer.error(_told(error))
            return
        yield writer.finish(stream.reply)


def _head(first: Delta, stream: Stream) -> Reply:
    """What all events of an answer have in common."""
    return Reply(
        id=first.id or f"chatcmpl-{uuid4().hex}",
        model=first.model or stream.endpoint,
        created=first.created or int(clock.wall()),
    )
