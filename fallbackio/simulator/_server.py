"""The simulator: one HTTP server, any number of fake providers.

`/{endpoint}/v1/chat/completions`, `/{endpoint}/v1/messages` and the paths of the other dialects are
answered as these do; `/_sim/…` is the control.  Keys are not looked at.  The odd rule: a request for an
endpoint that nobody has added makes a healthy one.
"""

from __future__ import annotations

import asyncio
import re
import zlib
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType, TracebackType
from typing import Any, Self

import anyio
from aiohttp import web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http_parser import RawRequestMessage
from aiohttp.streams import StreamReader
from aiohttp.web_protocol import RequestHandler

from fallbackio.errors import ConfigError
from fallbackio.simulator import _control
from fallbackio.simulator._behaviour import Behaviour
from fallbackio.simulator._endpoint import SimulatedEndpoint
from fallbackio.simulator._ports import Port
from fallbackio.simulator._routes import PATHS, target_of

__all__ = ["Simulator", "serve"]

# Above Anthropic's 32 MB, so that a request with images gets through.
_MAX_BODY_BYTES = 64 * 2**20

# Whoever asks for more names than this is looking for something else.
_MOST_ENDPOINTS = 1000

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")

# Names that would be misread in a path: a forgotten endpoint, and a part of the control.
_RESERVED = frozenset({"v1", "stats"})


class Simulator:
    """Fake LLM providers on loopback, with outages on demand.

    An async context manager: inside it the endpoints can be reached, after it no request and no
    task of it is left.

    Attributes:
        endpoints: The endpoints by their names.

    Args:
        host: The address to listen at.
        port: The port, or 0 for any free one.
        seed: The same seed gives the same latencies and the same lots.

    Raises:
        ConfigError: For a seed that is no whole number.
        OSError: On entry, if the port is taken.

    Example:
        >>> async with Simulator() as sim:
        ...     primary = sim.add("primary", Behaviour(latency=0.2))
        ...     primary.behave(Behaviour(fault=Status(503)))
        ...     ...
        ...     assert primary.stats.requests == 5
    """

    def __init__(self, *, host: str = "127.0.0.1", port: int = 0, seed: int = 0) -> None:
        if not isinstance(seed, int):
            raise ConfigError(f"seed must be a whole number, not {seed!r}")
        self._host = host
        self._number = port
        self._seed = seed
        self._endpoints: dict[str, SimulatedEndpoint] = {}
        self._ports: list[Port] = []
        self._server: web.Server | None = None
        self.endpoints: Mapping[str, SimulatedEndpoint] = MappingProxyType(self._endpoints)

    @property
    def url(self) -> str:
        """Where it listens, for example `"http://127.0.0.1:8000"`.

        Raises:
            ConfigError: Outside `async with`.
        """
        return self._url(self._listening()[1][0])

    def add(
        self, name: str, behaviour: Behaviour | None = None, *, own_port: bool = False
    ) -> SimulatedEndpoint:
        """A new endpoint, by default a healthy one; needs `async with`.

        `own_port` gives it a port of its own, which the fault `Refused` can close.

        Raises:
            ConfigError: For a name that is taken or cannot stand in a path.

        Example:
            >>> sim.add("secondary", Behaviour(tokens=64), own_port=True)
        """
        server, ports = self._listening()
        if not _NAME.fullmatch(name) or name in _RESERVED:
            raise ConfigError(f"an endpoint's name is letters, digits, '.', '_' and '-', not {name!r}")
        if name in self._endpoints:
            raise ConfigError(f"there is already an endpoint {name!r}; switch it with behave()")
        port = Port(server, self._host, 0) if own_port else None
        if port is not None:
            ports.append(port)
        endpoint = SimulatedEndpoint(
            name,
            behaviour or Behaviour(),
            root=f"{self._url(port or ports[0])}/{name}",
            seed=zlib.crc32(f"{self._seed}/{name}".encode()),
            port=port,
        )
        self._endpoints[name] = endpoint
        return endpoint

    def endpoint(self, name: str) -> SimulatedEndpoint:
        """The endpoint of that name, made healthy when it is first asked for.

        Raises:
            ConfigError: For a name that cannot stand in a path.

        Example:
            >>> sim.endpoint("primary").stats.requests
            12
        """
        return self._endpoints.get(name) or self.add(name)

    async def __aenter__(self) -> Self:
        # Cancelling the handler is how aiohttp tells that the client has gone.
        server = web.Server(
            self._handle, request_factory=_request, handler_cancellation=True, access_log=None
        )
        port = Port(server, self._host, self._number)
        port.listen(True)
        self._server, self._ports = server, [port]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        server, ports = self._listening()
        self._server = None
        # Whoever leaves may have been cancelled; closing takes a few turns of the loop, and the bound is
        # there for the day when it does not.
        with anyio.move_on_after(2, shield=True):
            for port in ports:
                await port.aclose()
            # Connections that the kernel had accepted get their turn to become known, and to be cut.
            await asyncio.sleep(0)
            for connection in server.connections:
                if connection.transport is not None:
                    connection.transport.abort()
            await asyncio.sleep(0)
            await server.shutdown(1.0)

    def _listening(self) -> tuple[web.Server, list[Port]]:
        if self._server is None:
            raise ConfigError("the simulator listens only inside `async with Simulator() as sim:`")
        return self._server, self._ports

    def _url(self, port: Port) -> str:
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{port.number}"

    async def _handle(self, http: web.BaseRequest) -> web.StreamResponse:
        name, _, rest = http.path[1:].partition("/")
        if name == "_sim":
            return await _control.answer(self, http, rest)
        target = target_of(http.rel_url.raw_path[1:].partition("/")[2])
        if target is None or http.method != "POST":
            return _control.failure(404, f"POST to /ENDPOINT{' or /ENDPOINT'.join(PATHS)}")
        try:
            endpoint = self._endpoints.get(name) or self._made_for_a_request(name)
        except ConfigError as error:
            return _control.failure(404, str(error))
        return await endpoint.answer(http, target)

    def _made_for_a_request(self, name: str) -> SimulatedEndpoint:
        if len(self._endpoints) >= _MOST_ENDPOINTS:
            raise ConfigError(f"there is no endpoint {name!r}, and there are too many to make one")
        return self.add(name)


def _request(
    message: RawRequestMessage,
    payload: StreamReader,
    protocol: RequestHandler,
    writer: AbstractStreamWriter,
    task: asyncio.Task[None],
) -> web.BaseRequest:
    """aiohttp's request, with our limit of the body's size."""
    loop = asyncio.get_running_loop()
    return web.BaseRequest(message, payload, protocol, writer, task, loop, client_max_size=_MAX_BODY_BYTES)


async def serve(
    host: str = "127.0.0.1",
    port: int = 8000,
    endpoints: Mapping[str, Behaviour] | Iterable[str] = ("primary", "secondary"),
    *,
    seed: int = 0,
    ready: Callable[[Simulator], Any] | None = None,
) -> None:
    """Run a simulator until cancelled; `ready` is called once it listens.

    Raises:
        ConfigError: For endpoint names that cannot stand in a path.
        OSError: If the port is taken.

    Example:
        >>> anyio.run(serve, "127.0.0.1", 8000, {"primary": Behaviour(latency=0.3)})
    """
    async with Simulator(host=host, port=port, seed=seed) as sim:
        behaviours = endpoints if isinstance(endpoints, Mapping) else dict.fromkeys(endpoints)
        for name, behaviour in behaviours.items():
            sim.add(name, behaviour)
        if ready is not None:
            ready(sim)
        await anyio.sleep_forever()
