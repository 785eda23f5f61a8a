"""One HTTP session per chain: its loop, and its end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import anyio
import pytest
from transport_kit import (
    EVENT,
    HELLO,
    REQUEST,
    STREAMED,
    Server,
    Step,
    answer,
    chunk,
    provider,
    serving,
    session,
    stream_head,
)

from fallbackio import Chain, Endpoint
from fallbackio.errors import AttemptError, ConfigError, ConnectionFailed
from fallbackio.testing import VirtualTimeLoop, virtual_time
from fallbackio.transport import Session


def test_a_second_loop_is_refused() -> None:
    """A chain used in another event loop says so, in place of failing at every endpoint."""
    chains: list[Chain] = []

    async def first() -> None:
        async with serving(answer(HELLO)) as server:
            chains.append(Chain([Endpoint("model", base_url=server.url)]))
            await chains[0].complete("hi")

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(first())
        with asyncio.Runner(loop_factory=VirtualTimeLoop) as other, pytest.raises(ConfigError, match="loop"):
            other.run(chains[0].complete("hi"))
        runner.run(chains[0].aclose())


@virtual_time
async def test_a_closed_session_stays_closed() -> None:
    """Nothing is sent after the chain was closed, also where it was never used before."""
    async with serving(answer(HELLO)) as server:
        for used in (True, False):
            async with session() as of:
                asked = provider(server, of)
                if used:
                    await asked.complete(REQUEST)
                await of.aclose()

                with pytest.raises(ConfigError, match="closed"):
                    await asked.complete(REQUEST)
        assert len(server.requests) == 1


async def whole(server: Server, of: Session) -> None:
    await provider(server, of).complete(REQUEST)


async def streamed(server: Server, of: Session) -> None:
    upstream = await provider(server, of).stream(STREAMED)
    while not upstream.finished:
        upstream.take() or await upstream.receive()


async def read_late(server: Server, of: Session) -> None:
    upstream = await provider(server, of).stream(STREAMED)
    await anyio.sleep(5)
    while not upstream.finished:
        upstream.take() or await upstream.receive()


BEGUN = EVENT.replace(b'"stop"', b"null")


@pytest.mark.parametrize(
    ("steps", "use"),
    [
        ([600.0], whole),
        ([answer(HELLO)[:-5], 600.0], whole),
        ([stream_head(), chunk(BEGUN), 600.0], streamed),
        ([stream_head(), chunk(BEGUN), 600.0], read_late),
    ],
    ids=["before the head", "in a plain answer", "in a stream", "between two reads of a stream"],
)
@virtual_time
async def test_calls_under_way_fail_at_once(
    steps: list[Step], use: Callable[[Server, Session], object]
) -> None:
    """Closing the chain ends what runs, and blames no endpoint for it."""
    async with serving(*steps) as server, session() as of:
        failures: list[AttemptError] = []

        async def call() -> None:
            with pytest.raises(ConnectionFailed) as caught:
                await use(server, of)  # type: ignore[misc]
            failures.append(caught.value)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(call)
            await anyio.sleep(1)
            await of.aclose()

        assert anyio.current_time() == pytest.approx(5.0 if use is read_late else 1.0, abs=0.01)
        assert [failure.local for failure in failures if isinstance(failure, ConnectionFailed)] == [True]


@virtual_time
async def test_two_readers_of_one_stream() -> None:
    """A stream that two tasks read at once fails for both with errors of ours."""
    async with serving(stream_head(), 600.0) as server, session() as of:
        upstream = await provider(server, of).stream(STREAMED)

        async def read() -> None:
            with pytest.raises(ConnectionFailed):
                await upstream.receive()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(read)
            tasks.start_soon(read)

        assert anyio.current_time() < 0.1
