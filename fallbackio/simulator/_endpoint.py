"""One simulated endpoint: its behaviour, its counters, and the way of a request through it."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from typing import Any, Literal

import anyio
from aiohttp import web
from attrs import Factory, define

from fallbackio import clock
from fallbackio._checks import nearest
from fallbackio.dialects import DIALECTS, Dialect, Server
from fallbackio.errors import AttemptError, ConfigError, ContextTooLong
from fallbackio.model import Request
from fallbackio.simulator._answers import compose
from fallbackio.simulator._behaviour import Behaviour
from fallbackio.simulator._embedding import Embedder
from fallbackio.simulator._exchange import Exchange, failure, whole
from fallbackio.simulator._player import Player
from fallbackio.simulator._ports import Port
from fallbackio.simulator._routes import Target
from fallbackio.simulator._steps import Plan
from fallbackio.simulator.faults import Refused, follow

__all__ = ["SimulatedEndpoint", "Stats"]

# Arrivals are kept for tests and plots of a run, not for a simulator that runs for weeks.
_MOST_ARRIVALS = 100_000


@define(eq=False)
class Stats:
    """What an endpoint has seen; `requests` is the sum of the four that follow it.

    Attributes:
        requests: How many came.
        in_flight: How many are under way now.
        completed: How many got their answer to its end, whatever its status.
        cancelled: How many were given up by the client before their end.
        dropped: How many the endpoint itself cut off.
        peak_in_flight: How many were under way at once, at most.
        by_status: How many answers began with each status.
        tokens: How many contents it has sent in answers that began with a 200, those that nobody
            waited for to the end included.
        arrivals: The instants, in the running loop's seconds, at which the last 100,000 came.

    Example:
        >>> primary.stats.requests, primary.stats.in_flight, primary.stats.by_status[200]
        (12, 0, 11)
    """

    requests: int = 0
    in_flight: int = 0
    completed: int = 0
    cancelled: int = 0
    dropped: int = 0
    peak_in_flight: int = 0
    by_status: Counter[int] = Factory(Counter)
    tokens: int = 0
    arrivals: deque[float] = Factory(lambda: deque(maxlen=_MOST_ARRIVALS))

    def arrived(self) -> None:
        """Count a request that has just come."""
        self.requests += 1
        self.in_flight += 1
        self.peak_in_flight = max(self.peak_in_flight, self.in_flight)
        self.arrivals.append(clock.now())

    def began(self, status: int) -> None:
        """Count an answer by its status."""
        self.by_status[status] += 1

    def ended(self, how: Literal["completed", "cancelled", "dropped"]) -> None:
        """Count a request's end by its kind."""
        self.in_flight -= 1
        self.completed += how == "completed"
        self.cancelled += how == "cancelled"
        self.dropped += how == "dropped"

    def clear(self) -> None:
        """Count from zero; what is under way now stays counted."""
        self.requests = self.peak_in_flight = self.in_flight
        self.completed = self.cancelled = self.dropped = self.tokens = 0
        self.by_status.clear()
        self.arrivals.clear()

    def to_json(self) -> dict[str, Any]:
        """The counters, without the arrivals."""
        return {
            "requests": self.requests,
            "in_flight": self.in_flight,
            "completed": self.completed,
            "cancelled": self.cancelled,
            "dropped": self.dropped,
            "peak_in_flight": self.peak_in_flight,
            "by_status": {str(status): number for status, number in sorted(self.by_status.items())},
            "tokens": self.tokens,
        }


class SimulatedEndpoint:
    """A fake provider at one path of a `Simulator`, or at a port of its own.

    Attributes:
        name: The first part of its path.
        stats: What it has seen.
        behaviour: What it does with requests that come now.

    Example:
        >>> primary = sim.add("primary", Behaviour(latency=0.2))
        >>> endpoint = fallbackio.Endpoint("any", base_url=primary.url("openai"), api_key="none")
        >>> primary.behave(Behaviour(fault=Status(500)))
    """

    def __init__(self, name: str, behaviour: Behaviour, *, root: str, seed: int, port: Port | None) -> None:
        self.name = name
        self.stats = Stats()
        self._root = root
        self._port = port
        self._first = behaviour
        self._seed = seed
        self._serial = 0  # of the latest request; names answers and errors
        self.reset()

    def url(self, dialect: str = "openai") -> str:
        """The base URL for clients of that dialect, ours and the vendors' own.

        Raises:
            ConfigError: For a dialect we do not know.

        Example:
            >>> openai.AsyncOpenAI(base_url=primary.url("openai"), api_key="none")
            >>> anthropic.AsyncAnthropic(base_url=primary.url("anthropic"), api_key="none")
        """
        if dialect not in DIALECTS:
            raise nearest("dialect", dialect, DIALECTS)
        return self._root + DIALECTS[dialect].base

    def behave(self, behaviour: Behaviour) -> None:
        """Behave so from the next request on; requests under way go on as they began.

        Raises:
            ConfigError: For anything but a `Behaviour`.

        Example:
            >>> primary.behave(Behaviour(fault=Stall("headers")))
        """
        given: object = behaviour  # a fault in its place is the likely slip
        if not isinstance(given, Behaviour):
            kind = type(given).__name__
            raise ConfigError(f"an endpoint needs a Behaviour, not {kind}; a fault is Behaviour(fault=…)")
        self.behaviour = behaviour
        self._script = behaviour.script()
        self._since = clock.now()
        self._number = 0
        self._slots: dict[int, anyio.Semaphore] = {}
        self._memory: dict[object, object] = {}
        if self._port is not None:
            self._port.listen(not isinstance(behaviour.fault, Refused))

    def reset(self) -> None:
        """Behave as in the beginning, chance included, and count from zero.

        What is under way stays counted as such.

        Example:
            >>> primary.reset()
        """
        self._lots = clock.chance(self._seed)
        self.behave(self._first)
        self.stats.clear()

    async def answer(self, http: web.BaseRequest, target: Target) -> web.StreamResponse:
        """Do with one request what the behaviour says."""
        self.stats.arrived()
        at_end: list[Callable[[], object]] = []
        player = Player(http, at_end, self.stats.began)
        how: Literal["completed", "cancelled"] = "cancelled"
        try:
            response = await player.play(await self._plan(http, target, at_end))
            how = "completed"
            return response
        except Exception as error:
            # A lost connection is the client's doing.  Anything else is a mistake in a fault of the
            # user's, which aiohttp logs and answers with a 500.
            if not isinstance(error, ConnectionError):
                self.stats.began(500)
                how = "completed"
            raise
        finally:
            self.stats.ended("dropped" if player.dropped else how)
            self.stats.tokens += player.tokens
            for do in at_end:
                do()

    async def _plan(self, http: web.BaseRequest, target: Target, at_end: list[Callable[[], object]]) -> Plan:
        dialect = target.dialect
        self._serial += 1
        serial = f"{self.name}_{self._serial}"
        try:
            body = await http.read()
            request, server = _asked(target, body)
        except web.HTTPRequestEntityTooLarge:
            return _refusal(dialect, ContextTooLong("the body is too large", status=413), serial)
        except AttemptError as error:
            return _refusal(dialect, error, serial)
        # No await from here on: the request meets one behaviour, also if it is switched meanwhile.
        number, self._number = self._number, self._number + 1
        exchange = Exchange(
            request=request,
            server=server,
            answer=compose(self._script, request, answer_id=serial, prompt_tokens=len(body) // 4),
            latency_s=self.behaviour.latency.draw(self._lots),
            pace_s=self.behaviour.pace_s,
            burst=self.behaviour.burst,
            number=number,
            since_s=clock.now() - self._since,
            lots=self._lots,
            request_id=f"req_{serial}",
            slots=self._slots_of,
            at_end=at_end,
            memory=self._memory,
        )
        return follow(self.behaviour.fault, exchange)

    def _slots_of(self, number: int) -> anyio.Semaphore:
        return self._slots.setdefault(number, anyio.Semaphore(number))


def _asked(target: Target, body: bytes) -> tuple[Request, Server]:
    """What is asked and who answers; raises `InvalidRequest`."""
    dialect = target.dialect
    if not target.route.embeds:
        return dialect.server.read(body, target.model, target.route.stream), dialect.server
    assert dialect.embedding is not None  # noqa: S101 - it has a route for them
    wanted = dialect.embedding.read(body, target.model)
    return Request(messages=(), model=wanted.model), Embedder(dialect.server, dialect.embedding, wanted)


def _refusal(dialect: Dialect, error: AttemptError, serial: str) -> Plan:
    status, headers, body = failure(dialect.server, error, f"req_{serial}")
    return whole(body, status=status, headers=headers)
