"""`--live`: one tiny request to each endpoint, and what to do about those that fail."""

from __future__ import annotations

from pathlib import Path

import anyio
import attrs
import pytest

from fallbackio import Endpoint
from fallbackio.config.checks import try_file
from fallbackio.config.checks._live import AT_ONCE, MAX_TOKENS
from fallbackio.model import Request
from fallbackio.simulator import Behaviour, Silence, Simulator, Status
from fallbackio.testing import virtual_time


def file_of(folder: Path, *names: str, more: str = "") -> Path:
    sections = [f'[endpoint.{one}]\nmodel = "m"\nbase_url = "http://127.0.0.1:9"' for one in names]
    path = folder / "chain.toml"
    path.write_text("\n".join([f"[chain.c]\nsteps = {list(names)}", *sections, more]), encoding="utf-8")
    return path


@virtual_time
async def test_each_endpoint_is_asked_once(tmp_path: Path) -> None:
    """Also those that a chain would not come to; failures say what to do, and stop nobody."""
    behaviours = {
        "well": Behaviour(latency=0.5),
        "unknown": Behaviour(fault=Status(404)),
        "barred": Behaviour(fault=Status(401)),
        "silent": Behaviour(fault=Silence()),
    }
    async with Simulator() as sim:
        served = {name: sim.add(name, behaviour) for name, behaviour in behaviours.items()}

        def redirected(one: Endpoint) -> Endpoint:
            return attrs.evolve(one, base_url=served[one.name].url(), api_key="k")

        began = anyio.current_time()
        tried = await try_file(file_of(tmp_path, *behaviours), adjust=redirected)

        assert anyio.current_time() - began == pytest.approx(30, abs=0.1)
        assert [one.stats.requests for one in served.values()] == [1, 1, 1, 1]

    assert [one.endpoint for one in tried] == list(behaviours)
    well, unknown, barred, silent = tried
    assert (well.error, well.mend, well.where) == ("", "", "endpoint.well")
    assert well.seconds == pytest.approx(0.5, abs=0.05)
    assert "check the model's name" in unknown.mend
    assert "check the key" in barred.mend
    assert "status page" in silent.mend


@virtual_time
async def test_the_request_is_tiny(tmp_path: Path) -> None:
    """A check that is run on every commit must not cost."""
    asked: list[Request] = []

    async def answer(request: Request) -> str:
        asked.append(request)
        return "OK"

    await try_file(file_of(tmp_path, "a"), adjust=lambda one: Endpoint.calling(answer, name=one.name))

    assert [request.params for request in asked] == [{"max_tokens": MAX_TOKENS}]
    assert len(str(asked[0].messages)) < 100


@virtual_time
async def test_not_all_are_asked_at_once(tmp_path: Path) -> None:
    """A file may list a hundred keys of one account."""
    names = [f"e{at}" for at in range(AT_ONCE * 2)]
    async with Simulator() as sim:
        served = sim.add("a", Behaviour(latency=1.0))
        path = file_of(tmp_path, *names)
        began = anyio.current_time()

        tried = await try_file(path, adjust=lambda one: attrs.evolve(one, base_url=served.url()))

        assert anyio.current_time() - began == pytest.approx(2, abs=0.2)
        assert len(tried) == len(names)


@virtual_time
async def test_what_cannot_be_asked_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing key is that endpoint's failure; an embedding model is asked for vectors."""
    monkeypatch.delenv("NOT_THERE", raising=False)
    path = file_of(tmp_path, "keyless", "embed")
    text = path.read_text().replace("[endpoint.keyless]", '[endpoint.keyless]\napi_key_env = "NOT_THERE"')
    path.write_text(text.replace('[endpoint.embed]\nmodel = "m"', '[endpoint.embed]\nmodel = "m-embed"'))
    async with Simulator() as sim:
        served = sim.add("a")
        keyless, embed = await try_file(path, adjust=lambda one: attrs.evolve(one, base_url=served.url()))

    assert "NOT_THERE" in keyless.error
    assert embed.error == ""
