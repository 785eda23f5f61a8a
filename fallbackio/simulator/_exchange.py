"""One request at a simulated endpoint: what a fault may look at, and the plans it may begin with.

Nothing here touches a socket.  A plan is made when the request has been read and is played
afterwards; an answer's bytes are written only as the plan is played.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import anyio
from attrs import define, field

from fallbackio.dialects import Server, StreamWriter
from fallbackio.errors import AttemptError
from fallbackio.model import Delta, Request
from fallbackio.simulator._answers import Answer
from fallbackio.simulator._steps import End, Head, Plan, Send, Step, Wait

__all__ = ["Exchange", "failure", "whole"]

_JSON = "application/json"


@define(eq=False)
class Exchange:
    """One request and its circumstances.

    Attributes:
        request: What is asked.
        server: The dialect in which it is answered.
        answer: What a healthy provider says.
        latency_s: Seconds until the first content.
        pace_s: Seconds between two contents.
        burst: How many contents come at once.
        number: How many requests came before it since the behaviour was set.
        since_s: Seconds since the behaviour was set.
        lots: The endpoint's source of chance.
        request_id: What an error answer calls the request.
        slots: So many slots of the endpoint, the same ones for all requests of one behaviour.
        memory: What faults keep from one request to the next, since the behaviour was set.
        at_end: What to call when the request is over, however it ended.

    Example:
        >>> class SlowStart(Fault):
        ...     def plan(self, exchange):
        ...         return [Wait(5.0 if exchange.number < 3 else 0.0), *exchange.healthy()]
    """

    request: Request
    server: Server
    answer: Answer
    latency_s: float
    pace_s: float
    burst: int
    number: int
    since_s: float
    lots: random.Random
    request_id: str
    slots: Callable[[int], anyio.Semaphore]
    at_end: list[Callable[[], object]]
    memory: dict[object, object]
    _writer: StreamWriter | None = field(default=None, init=False)

    @property
    def writer(self) -> StreamWriter:
        """The writer of this streamed answer."""
        if self._writer is None:
            self._writer = self.server.writer(self.answer.reply, self.request)
        return self._writer

    def healthy(self) -> Plan:
        """The answer as it should be."""
        if self.request.stream:
            return self._streamed()
        return self.plain(self.server.write(self.answer.reply, self.request))

    def _streamed(self) -> Iterator[Step]:
        writer = self.writer
        yield from self.opening()
        wait_s, deltas = self.latency_s, self.answer.deltas
        for start in range(0, len(deltas), self.burst):
            if wait_s:
                yield Wait(wait_s)
            for delta, tokens in _together(deltas[start : start + self.burst]):
                yield Send(writer.write(delta), tokens)
            wait_s = self.pace_s * self.burst
        yield Send(writer.finish(self.answer.reply), final=True)
        yield End()

    def plain(self, body: bytes) -> Iterator[Step]:
        """A plain answer, after the time that all its contents take."""
        wait_s = self.latency_s + self.pace_s * len(self.answer.deltas)
        if wait_s:
            yield Wait(wait_s)
        yield from self.whole(body)

    def opening(self) -> Plan:
        """Status, headers and what opens a stream; shows nothing yet."""
        headers = {"content-type": self.server.stream_type, "cache-control": "no-cache"}
        return Head(200, headers), Send(self.writer.start())

    def whole(
        self,
        body: bytes,
        *,
        status: int = 200,
        content_type: str = _JSON,
        headers: Mapping[str, str] | None = None,
    ) -> Plan:
        """An answer in one piece, at once; header names are lower-case."""
        said = {"content-type": content_type, **(headers or {})}
        return whole(body, status=status, headers=said, tokens=max(1, len(self.answer.deltas)))

    def failure(self, error: AttemptError) -> tuple[int, dict[str, str], bytes]:
        """Status, headers (lower-case names) and body of an error answer."""
        return failure(self.server, error, self.request_id)


def _together(deltas: Sequence[Delta]) -> Iterable[tuple[Delta, int]]:
    """What comes at once, and how many contents it is: words as one piece, all else one by one."""
    if len(deltas) > 1 and all(one.text and not one.tool_calls and not one.reasoning for one in deltas):
        return [(Delta(text="".join([delta.text for delta in deltas])), len(deltas))]
    return [(delta, 1) for delta in deltas]


def whole(body: bytes, *, status: int, headers: Mapping[str, str], tokens: int = 1) -> Plan:
    """An answer in one piece."""
    return Head(status, headers, len(body)), Send(body, tokens, final=True), End()


def failure(server: Server, error: AttemptError, request_id: str) -> tuple[int, dict[str, str], bytes]:
    """Status, headers (lower-case names) and body of an error answer."""
    error.request_id = error.request_id or request_id
    status, headers, body = server.failure(error)
    return status, {name.lower(): value for name, value in headers.items()}, body
