"""What an endpoint changes in a request of its own, and what an answer lacks."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any

import attrs
import pytest

import fallbackio
from fallbackio import Delta, Endpoint, Message, Reply, Request
from fallbackio.errors import ConfigError, InvalidRequest
from fallbackio.model import Choice
from fallbackio.simulator import Behaviour, Simulator, Status
from fallbackio.testing import virtual_time

HISTORY = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hello"}]


def seen_by(**settings: Any) -> tuple[list[Request], Endpoint]:
    """What a function behind an endpoint with these settings is asked."""
    seen: list[Request] = []

    async def fn(request: Request) -> str:
        seen.append(request)
        return "yes"

    return seen, attrs.evolve(Endpoint.calling(fn, name="ours"), **settings)


@virtual_time
async def test_a_prefix_stands_before_the_conversation() -> None:
    """system_prefix is one endpoint's; the caller's messages are untouched."""
    seen, endpoint = seen_by(system_prefix="Be brief.")

    reply = await fallbackio.Chain([endpoint]).complete(HISTORY)

    assert seen[0].messages == ({"role": "system", "content": "Be brief."}, *HISTORY)
    assert reply.report.attempts[0].notes == ("system_prefix added",)
    assert len(HISTORY) == 2


@virtual_time
async def test_adapt_has_the_last_word() -> None:
    """adapt gives the request that is sent, and the ledger says that it changed something."""

    def in_french(request: Request) -> Request:
        return attrs.evolve(request, params={**request.params, "language": "fr"})

    seen, endpoint = seen_by(adapt=in_french)
    same, untouched = seen_by(adapt=lambda request: request)

    reply = await fallbackio.Chain([endpoint]).complete(HISTORY)

    assert seen[0].params == {"language": "fr"}
    assert reply.report.attempts[0].notes == ("changed by adapt",)
    assert (await fallbackio.Chain([untouched]).complete(HISTORY)).report.attempts[0].notes == ()
    assert len(same) == 1


@virtual_time
async def test_adapt_that_forgets_to_return_is_told_so() -> None:
    """A slip in adapt is an error of ours that names the endpoint."""
    _, endpoint = seen_by(adapt=lambda request: None)

    with pytest.raises(ConfigError, match="adapt of ours must return a Request"):
        await fallbackio.Chain([endpoint]).complete(HISTORY)


@virtual_time
async def test_both_reach_a_provider_over_http() -> None:
    """Over HTTP the adapted request is sent, and only by the endpoint that adapts it."""
    async with Simulator() as sim:
        sick, well = sim.add("sick", Behaviour(fault=Status(503))), sim.add("well")
        steps = [
            Endpoint("m", base_url=sick.url(), name="sick", adapt=lambda r: attrs.evolve(r, params={})),
            Endpoint("m", base_url=well.url(), name="well", system_prefix="Be brief."),
        ]
        async with fallbackio.Chain(steps) as chain:
            reply = await chain.complete(HISTORY, temperature=0)

            assert [attempt.notes for attempt in reply.report.attempts] == [
                ("changed by adapt",),
                ("system_prefix added",),
            ]


@pytest.mark.parametrize("streamed", [False, True])
@virtual_time
async def test_an_answer_always_has_id_model_and_time(streamed: bool) -> None:
    """What a provider leaves out is filled in, so that code for OpenAI's shape finds it."""

    async def fn(request: Request) -> AsyncIterator[Delta]:
        yield Delta("yes")
        yield Delta(finish_reason="stop")

    async def whole(request: Request) -> Reply:
        return Reply(id="", model="", choices=(Choice(Message("yes"), "stop"),))

    chain = fallbackio.Chain([Endpoint.calling(fn if streamed else whole, name="ours", model="model-7")])
    if streamed:
        async with chain.stream("hi") as stream:
            async for _ in stream:
                pass
        first = stream.reply
    else:
        first = await chain.complete("hi")
    second = await chain.complete("hi")

    assert first.model == "model-7"
    assert first.id.startswith("chatcmpl-")
    assert first.id != second.id
    assert abs(first.created - time.time()) < 3600


@virtual_time
async def test_what_the_provider_said_is_kept() -> None:
    """An answer that has its own id, model and time keeps them."""

    async def fn(request: Request) -> Reply:
        return Reply(id="theirs", model="m-2024", created=7, choices=(Choice(Message("yes"), "stop"),))

    reply = await fallbackio.Chain([Endpoint.calling(fn, name="ours")]).complete("hi")

    assert (reply.id, reply.model, reply.created) == ("theirs", "m-2024", 7)


@virtual_time
async def test_what_adapt_makes_of_a_request_is_what_is_checked() -> None:
    """What an endpoint takes out is not refused, what it puts in is, before anything is sent."""
    async with Simulator() as sim:
        first, second = sim.add("first"), sim.add("second")

        def claude(name: str, adapt: Any) -> Endpoint:
            url = sim.endpoint(name).url("anthropic")
            return Endpoint("claude-sonnet-4-5", base_url=url, dialect="anthropic", name=name, adapt=adapt)

        takes_out = claude("first", lambda request: attrs.evolve(request, params={}))
        puts_in = claude("second", lambda request: attrs.evolve(request, params={"seed": 7}))
        async with fallbackio.Chain([takes_out]) as chain:
            assert "first" == (await chain.complete("hi", seed=7)).report.endpoint
        async with fallbackio.Chain([takes_out, puts_in]) as chain:
            with pytest.raises(InvalidRequest, match="seed"):
                await chain.complete("hi")

    assert (1, 0) == (first.stats.requests, second.stats.requests)
