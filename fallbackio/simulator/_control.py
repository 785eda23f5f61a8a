"""The control over HTTP, for users of any language.

    GET    /_sim/stats         the counters of all endpoints
    GET    /_sim/{endpoint}    its behaviour, counters and base URLs
    PUT    /_sim/{endpoint}    behave so; fields left out take their defaults
    PATCH  /_sim/{endpoint}    change only these fields of its behaviour
    DELETE /_sim/{endpoint}    behave as in the beginning, count from zero
    DELETE /_sim               the same for all

`PUT` and `PATCH` make an endpoint that is not there yet.  What is wrong gets a 400 that says what was
meant.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import orjson
from aiohttp import web

from fallbackio.dialects import DIALECTS
from fallbackio.errors import ConfigError
from fallbackio.simulator._endpoint import SimulatedEndpoint
from fallbackio.simulator._json import behaviour_from_json, behaviour_to_json

__all__ = ["answer", "failure"]


class Simulated(Protocol):
    """What is controlled."""

    @property
    def endpoints(self) -> Mapping[str, SimulatedEndpoint]: ...

    def endpoint(self, name: str) -> SimulatedEndpoint: ...


async def answer(sim: Simulated, http: web.BaseRequest, name: str) -> web.Response:
    """Do what is asked below `/_sim/`."""
    try:
        return await _answer(sim, http, name)
    except ConfigError as error:
        return failure(400, str(error))


def failure(status: int, message: str) -> web.Response:
    """An error answer that belongs to no dialect."""
    return _json({"error": {"message": message, "type": "simulator_error"}}, status)


async def _answer(sim: Simulated, http: web.BaseRequest, name: str) -> web.Response:
    if http.method in ("PUT", "PATCH") and name:
        return await _switch(sim, http, name)
    if http.method == "GET" and name in ("", "stats"):
        return _json({"endpoints": {one.name: one.stats.to_json() for one in sim.endpoints.values()}})
    chosen = [sim.endpoints[name]] if name in sim.endpoints else [] if name else [*sim.endpoints.values()]
    if name and not chosen:
        return failure(404, f"no endpoint {name!r}; there are {', '.join(sim.endpoints) or 'none'}")
    if http.method == "GET":
        return _json(_shown(chosen[0]))
    if http.method == "DELETE":
        for endpoint in chosen:
            endpoint.reset()
        return _json({})
    return failure(405, f"{http.method} means nothing here; use GET, PUT, PATCH or DELETE")


async def _switch(sim: Simulated, http: web.BaseRequest, name: str) -> web.Response:
    try:
        given = orjson.loads(await http.read())
    except orjson.JSONDecodeError as error:
        raise ConfigError(f"the body is no JSON: {error}") from error
    known = sim.endpoints.get(name)
    base = known.behaviour if known is not None and http.method == "PATCH" else None
    # Read first, so that a behaviour with a mistake makes no endpoint.
    behaviour = behaviour_from_json(given, base)
    endpoint = sim.endpoint(name)
    endpoint.behave(behaviour)
    return _json(_shown(endpoint))


def _shown(endpoint: SimulatedEndpoint) -> dict[str, Any]:
    return {
        "name": endpoint.name,
        "behaviour": behaviour_to_json(endpoint.behaviour),
        "stats": endpoint.stats.to_json(),
        "urls": {dialect: endpoint.url(dialect) for dialect in DIALECTS},
    }


def _json(document: Any, status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(document), status=status, content_type="application/json")
