"""The control over HTTP, as a user of another language meets it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import orjson
import pytest
from asking import ask

from fallbackio.simulator import Behaviour, Simulator, Status
from fallbackio.testing import virtual_time


class Control:
    """A client of the control."""

    def __init__(self, sim: Simulator, session: aiohttp.ClientSession) -> None:
        self.sim = sim
        self._session = session

    async def __call__(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        data = body if isinstance(body, bytes) or body is None else orjson.dumps(body)
        async with self._session.request(method, f"{self.sim.url}/_sim{path}", data=data) as response:
            assert response.content_type == "application/json"
            return response.status, orjson.loads(await response.read())


@asynccontextmanager
async def controlled() -> AsyncIterator[Control]:
    async with Simulator() as sim, aiohttp.ClientSession() as session:
        sim.add("primary", Behaviour(latency=0.5))
        yield Control(sim, session)


@virtual_time
async def test_switching() -> None:
    """PUT sets a behaviour, PATCH a part of it, DELETE brings the first one back."""
    async with controlled() as control:
        primary = control.sim.endpoint("primary")
        fault = {"kind": "status", "status": 503}

        status, shown = await control("PATCH", "/primary", {"fault": fault})
        assert status == 200
        assert shown["behaviour"]["fault"]["status"] == 503
        assert primary.behaviour == Behaviour(latency=0.5, fault=Status(503))
        assert (await ask(primary)).status == 503

        await control("PUT", "/primary", {"fault": fault})
        assert primary.behaviour == Behaviour(fault=Status(503))

        await control("DELETE", "/primary")
        assert primary.behaviour == Behaviour(latency=0.5)
        assert primary.stats.requests == 0


@virtual_time
async def test_looking() -> None:
    """GET shows counters, behaviour and addresses."""
    async with controlled() as control:
        primary = control.sim.endpoint("primary")
        await ask(primary)

        _, all_stats = await control("GET", "/stats")
        _, shown = await control("GET", "/primary")

        assert all_stats == {"endpoints": {"primary": primary.stats.to_json()}}
        assert shown["stats"]["by_status"] == {"200": 1}
        assert shown["urls"]["anthropic"] == primary.url("anthropic")
        assert shown["behaviour"]["latency"] == {"kind": "fixed", "seconds": 0.5}


@virtual_time
async def test_an_endpoint_is_made_by_switching_it() -> None:
    """PUT to a new name makes the endpoint, but not with a mistake in its behaviour."""
    async with controlled() as control:
        assert (await control("PUT", "/new", {"tokens": "many"}))[0] == 400
        assert "new" not in control.sim.endpoints

        assert (await control("PUT", "/new", {"tokens": 3}))[0] == 200
        assert (await ask(control.sim.endpoint("new"))).words == 3


@virtual_time
async def test_resetting_all() -> None:
    """DELETE without a name brings back every endpoint."""
    async with controlled() as control:
        for name in ("primary", "second"):
            await control("PUT", f"/{name}", {"fault": {"kind": "html"}})
        assert (await control("DELETE", ""))[0] == 200

        assert [one.behaviour.fault for one in control.sim.endpoints.values()] == [None, None]


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "message"),
    [
        ("PUT", "/primary", b"{", 400, "no JSON"),
        ("PUT", "/primary", [], 400, "must be a JSON object"),
        ("PUT", "/primary", {"fault": {"kind": "stal"}}, 400, "did you mean 'stall'"),
        ("PUT", "/primary", {"tokns": 3}, 400, "did you mean 'tokens'"),
        ("PUT", "/a%20b", {}, 400, "an endpoint's name"),
        ("GET", "/nobody", None, 404, "there are primary"),
        ("DELETE", "/nobody", None, 404, "no endpoint 'nobody'"),
        ("POST", "/primary", {}, 405, "use GET, PUT, PATCH or DELETE"),
        ("PUT", "", {}, 405, "use GET, PUT, PATCH or DELETE"),
    ],
)
@virtual_time
async def test_what_is_wrong(method: str, path: str, body: Any, status: int, message: str) -> None:
    """A mistake is a 4xx that says what was meant, and changes nothing."""
    async with controlled() as control:
        seen, answer = await control(method, path, body)

        assert seen == status
        assert message in answer["error"]["message"]
        assert control.sim.endpoint("primary").behaviour == Behaviour(latency=0.5)
