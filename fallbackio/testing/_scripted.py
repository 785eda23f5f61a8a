"""Endpoints that do what a test tells them, without a network.

A script is a list of steps, one for each call, the last one for all further calls; what a step is,
is the type `Step`, so a test may write its own.  All waiting is the running loop's time.  A request
counts as cancelled when it was ended before its step had come to an end.
"""

from __future__ import annotations

import copy
import re
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing

import anyio

from fallbackio.endpoint import Endpoint
from fallbackio.errors import AttemptError, ConfigError, ConnectionFailed
from fallbackio.model import Delta, Request, ToolCall, ToolCallDelta, Usage

__all__ = ["ScriptedEndpoint", "Step", "answers", "breaks", "fails", "stalls"]

# What a step of a script is: an async generator function, as `Endpoint.calling` takes them.
Step = Callable[[Request], AsyncGenerator[Delta | str, None]]

_TEXT = "The quick brown fox jumps over the lazy dog."


class ScriptedEndpoint:
    """An endpoint that plays one step per call, and counts.

    Attributes:
        endpoint: What goes into a chain.
        received: The requests, in the order in which they came.
        running: How many are under way now.
        peak: How many were under way at once, at most.
        cancelled: How many were ended before their step was.

    Raises:
        ConfigError: Without a step.

    Example:
        >>> primary = ScriptedEndpoint(fails(Overloaded()), answers("Hello!", after_s=0.2), name="primary")
        >>> chain = fallbackio.Chain([primary.endpoint, ScriptedEndpoint(answers()).endpoint])
        >>> ...
        >>> assert primary.requests == 2
        >>> assert primary.running == 0
    """

    def __init__(self, *steps: Step, name: str = "scripted", context_window: int | None = None) -> None:
        if not steps:
            raise ConfigError("a scripted endpoint needs a step, for example answers()")
        self._steps = steps
        self.endpoint = Endpoint.calling(self._play, name=name, context_window=context_window)
        self.received: list[Request] = []
        self.running = self.peak = self.cancelled = 0

    @property
    def requests(self) -> int:
        """How many requests came."""
        return len(self.received)

    async def _play(self, request: Request) -> AsyncGenerator[Delta | str, None]:
        step = self._steps[min(self.requests, len(self._steps) - 1)]
        self.received.append(request)
        self.running += 1
        self.peak = max(self.peak, self.running)
        finished = False
        try:
            # Closed by hand: the step must be over when the request is, not when it is collected.
            async with aclosing(step(request)) as deltas:
                async for delta in deltas:
                    finished = isinstance(delta, Delta) and delta.finish_reason is not None
                    yield delta
        except Exception:
            raise
        except BaseException:
            # Cancelled while it waited, or closed between two pieces; neither is an `Exception`.
            # Who has been given the last piece may close it and has cut nothing.
            self.cancelled += not finished
            raise
        finally:
            self.running -= 1


def answers(
    text: str = _TEXT,
    *,
    after_s: float = 0.0,
    pace_s: float = 0.0,
    tool_calls: Sequence[ToolCall] = (),
    usage: Usage | None = None,
) -> Step:
    """Answer with `text`, word by word.

    `after_s` seconds pass before the first word, `pace_s` between two words.  Without `usage` each
    word counts as a token.

    Example:
        >>> answers("Hello there!", after_s=0.5, pace_s=0.1)
    """

    async def step(request: Request) -> AsyncGenerator[Delta | str, None]:
        await anyio.sleep(after_s)
        spoken = _words(text)
        for position, word in enumerate(spoken):
            await _pause(pace_s if position else 0)
            yield word
        for index, call in enumerate(tool_calls):
            yield Delta(tool_calls=(ToolCallDelta(index, call.id, call.name, call.arguments),))
        reason = "tool_calls" if tool_calls else "stop"
        yield Delta(finish_reason=reason, usage=usage or _usage(request, spoken))

    return step


def fails(error: AttemptError | type[AttemptError] | Exception, *, after_s: float = 0.0) -> Step:
    """Fail with `error` (each time a copy of it) after `after_s` seconds, before any content.

    Example:
        >>> fails(RateLimited("slow down", status=429, retry_after_s=20))
    """

    return breaks(error=error, after_words=0, after_s=after_s)


def stalls(
    *, after_words: int = 0, for_s: float | None = None, text: str = _TEXT, pace_s: float = 0.0
) -> Step:
    """Fall silent after so many words of `text`, for `for_s` seconds or, by default, for ever.

    Example:
        >>> stalls(after_words=3)
    """

    async def step(request: Request) -> AsyncGenerator[Delta | str, None]:
        spoken = _words(text)
        for position, word in enumerate(spoken):
            if position == after_words:
                await _silence(for_s)
            await _pause(pace_s if position else 0)
            yield word
        if after_words >= len(spoken):
            await _silence(for_s)
        yield Delta(finish_reason="stop", usage=_usage(request, spoken))

    return step


def breaks(
    *,
    after_words: int = 1,
    error: AttemptError | type[AttemptError] | Exception | None = None,
    after_s: float = 0.0,
    pace_s: float = 0.0,
    text: str = _TEXT,
) -> Step:
    """Break with `error`, by default a lost connection, after so many words of `text`.

    Example:
        >>> breaks(after_words=3, error=Overloaded(code="overloaded_error"))
    """

    async def step(request: Request) -> AsyncGenerator[Delta | str, None]:
        await anyio.sleep(after_s)
        for position, word in enumerate(_words(text)[:after_words]):
            await _pause(pace_s if position else 0)
            yield word
        raise _fresh(error or ConnectionFailed("the connection was lost"))

    return step


def _words(text: str) -> list[str]:
    """The words of a text with the spaces around them; together they are the text."""
    return re.findall(r"\s*\S+\s*", text) or ([text] if text else [])


def _usage(request: Request, spoken: list[str]) -> Usage:
    return Usage(prompt_tokens=len(request.messages), completion_tokens=len(spoken))


def _fresh(error: Exception | type[Exception]) -> Exception:
    # A raised exception keeps its traceback and the endpoint that the chain noted in it.
    return error() if isinstance(error, type) else copy.copy(error)


async def _pause(seconds: float) -> None:
    if seconds:
        await anyio.sleep(seconds)


async def _silence(seconds: float | None) -> None:
    if seconds is None:
        await anyio.sleep_forever()
    else:
        await anyio.sleep(seconds)
