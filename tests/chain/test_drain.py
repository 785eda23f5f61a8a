"""The end of a chain: calls under way finish, new ones are refused; and one chain is for one loop."""

from __future__ import annotations

import asyncio
import threading

import anyio
import pytest

import fallbackio
from fallbackio.errors import ChainClosed, ConfigError, Overloaded
from fallbackio.events import BreakerMoved, FallbackRateFell
from fallbackio.testing import RecordingSink, ScriptedEndpoint, answers, fails, stalls, virtual_time


def chain_of(*endpoints: ScriptedEndpoint) -> fallbackio.Chain:
    return fallbackio.Chain([one.endpoint for one in endpoints], seed=1)


@virtual_time
async def test_calls_under_way_finish_and_new_ones_are_refused() -> None:
    """Draining waits for the calls that have begun, the streams among them, and lets no other begin."""
    a = ScriptedEndpoint(answers("one two three", after_s=1, pace_s=1), name="a")
    chain = chain_of(a)
    texts = []

    async def read() -> None:
        async with chain.stream("hi") as stream:
            async for _ in stream:
                pass
        texts.append(stream.reply.text)

    async with anyio.create_task_group() as group:
        group.start_soon(read)
        await anyio.sleep(0.5)
        group.start_soon(chain.drain)
        await anyio.sleep(0.5)
        with pytest.raises(ChainClosed, match="being drained"):
            await chain.complete("hi")
        with pytest.raises(ChainClosed):
            async with chain.stream("hi"):
                pass

    assert texts == ["one two three"]
    assert anyio.current_time() == pytest.approx(3.0)
    with pytest.raises(ChainClosed, match="is closed"):
        await chain.complete("hi")


@virtual_time
async def test_telemetry_shows_no_more_of_a_closed_chain() -> None:
    """Its open circuits and its early warning are taken back, once; what still ends then says nothing new."""
    sink = RecordingSink()
    down = ScriptedEndpoint(fails(Overloaded(status=529)), name="down")
    up = ScriptedEndpoint(answers("fine"), name="up")
    slow = ScriptedEndpoint(fails(Overloaded(status=529), after_s=1), name="slow")
    policy = fallbackio.BreakerPolicy(consecutive=2, rates=[])
    chain = fallbackio.Chain(
        [down.endpoint, up.endpoint, slow.endpoint], breaker=policy, max_retries=0, sinks=[sink]
    )
    for _ in range(30):
        await chain.complete("hi")
    assert chain.health().fallback_rate_risen
    assert [move.new for move in sink.of(BreakerMoved)] == ["open"]

    async with anyio.create_task_group() as group:
        for _ in range(3):
            group.start_soon(chain.rehearse, "hi")
        await anyio.sleep(0.5)
        await chain.aclose()
        await chain.aclose()

    assert [(move.endpoint, move.new, move.reason) for move in sink.of(BreakerMoved)][1:] == [
        ("down", "closed", "the chain was closed")
    ]
    assert [fell.withdrawn for fell in sink.of(FallbackRateFell)] == [True]
    assert not chain.health().fallback_rate_risen


@virtual_time
async def test_the_last_call_is_waited_for() -> None:
    """A drain is over when all calls are, not when one is."""
    a = ScriptedEndpoint(answers(after_s=1), answers(after_s=3), name="a")
    chain = chain_of(a)

    async with anyio.create_task_group() as group:
        group.start_soon(chain.complete, "hi")
        group.start_soon(chain.complete, "hi")
        await anyio.sleep(0.5)
        assert await chain.drain() == 0

    assert anyio.current_time() == pytest.approx(3.0)


@virtual_time
async def test_who_takes_too_long_is_cut_off_and_counted() -> None:
    """After its timeout a drain closes the chain all the same and says how many calls were left."""
    chain = chain_of(ScriptedEndpoint(stalls(), name="a"))

    async def ask() -> None:
        with anyio.move_on_after(60):
            await chain.complete("hi")

    async with anyio.create_task_group() as group:
        for _ in range(3):
            group.start_soon(ask)
        await anyio.sleep(1)
        assert await chain.drain(5) == 3
        assert anyio.current_time() == pytest.approx(6.0)
        group.cancel_scope.cancel()


@pytest.mark.parametrize("how", ["answered", "failed", "cancelled", "left", "refused", "rehearsed"])
@virtual_time
async def test_every_call_leaves(how: str) -> None:
    """However a call ends, nothing is left of it for a drain to wait for."""
    step = {"failed": fails(fallbackio.errors.ServerFault()), "cancelled": stalls()}.get(how, answers("a b"))
    chain = chain_of(ScriptedEndpoint(step, name="a"))

    if how == "left":
        async with chain.stream("hi") as stream:
            async for _ in stream:
                break
    elif how == "rehearsed":
        await chain.rehearse("hi")
    else:
        require = ["tools", "nonsense"] if how == "refused" else []
        with anyio.move_on_after(1):
            try:
                await chain.complete("hi", require=require)
            except fallbackio.FallbackError:
                assert how in ("failed", "refused")

    assert await chain.drain(0) == 0


@virtual_time
async def test_a_rehearsal_that_raises_leaves() -> None:
    """What a function of the user's raises comes as it is, and leaves no call for a drain to wait for."""

    def adapt(request: fallbackio.Request) -> fallbackio.Request:
        raise KeyError("a slip")

    endpoint = fallbackio.Endpoint("m", base_url="http://localhost:1/v1", api_key="k", adapt=adapt)
    slow = ScriptedEndpoint(answers("fine", after_s=9), name="slow")
    chain = fallbackio.Chain([slow.endpoint, endpoint])

    with pytest.raises(KeyError, match="a slip"):
        await chain.rehearse("hi")

    assert (anyio.current_time(), slow.running) == (0, 0)
    assert await chain.drain(0) == 0


@virtual_time
async def test_draining_an_idle_chain_takes_no_time() -> None:
    """Nobody is waited for where nobody is, and a second time does nothing."""
    chain = chain_of(ScriptedEndpoint(answers(), name="a"))

    assert await chain.drain() == 0
    assert await chain.drain(10) == 0
    assert anyio.current_time() == 0


@pytest.mark.parametrize("elsewhere", ["a second asyncio.run", "a thread"])
def test_a_chain_is_for_one_event_loop(elsewhere: str) -> None:
    """Used from a second loop a chain says so, and what to do, also where its endpoints are functions."""
    chain = chain_of(ScriptedEndpoint(answers("hello"), name="a"))
    assert asyncio.run(chain.complete("hi")).text == "hello"
    caught: list[BaseException] = []

    def again() -> None:
        try:
            asyncio.run(chain.complete("hi"))
        except ConfigError as error:
            caught.append(error)

    if elsewhere == "a thread":
        thread = threading.Thread(target=again)
        thread.start()
        thread.join()
    else:
        again()

    assert "one chain per loop" in str(caught[0])


@pytest.mark.parametrize("how", ["drain", "aclose"])
def test_a_chain_is_not_ended_from_another_loop(how: str) -> None:
    """Its sockets and its waiting calls belong to a loop that runs, and go on as if nothing had been."""

    async def main() -> str:
        async with chain_of(ScriptedEndpoint(answers("hello"), name="a")) as chain:
            await chain.complete("hi")
            with pytest.raises(ConfigError, match="one chain per loop"):
                await asyncio.to_thread(asyncio.run, getattr(chain, how)())
            return (await chain.complete("hi")).text

    assert asyncio.run(main()) == "hello"


def test_a_chain_outlives_its_loop_and_can_be_closed() -> None:
    """What a loop that is over has left behind may be cleared away in the next."""
    chain = chain_of(ScriptedEndpoint(answers("hello"), name="a"))
    asyncio.run(chain.complete("hi"))

    assert asyncio.run(chain.drain()) == 0
