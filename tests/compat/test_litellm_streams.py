"""Streams in LiteLLM's manner: nobody closes them, and they end all the same."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import threading
from collections.abc import Iterator

import anyio
import anyio.lowlevel
import pytest
from compat_kit import MESSAGES, Outside, at, deployment, outside

from fallbackio.compat import litellm
from fallbackio.compat.litellm import Router, acompletion, completion
from fallbackio.compat.litellm._stream import AsyncStreamWrapper
from fallbackio.errors import ContextTooLong
from fallbackio.simulator import Behaviour, Cut, InTurn, Silence, Simulator, Stall, Status
from fallbackio.testing import virtual_time

LONG = Behaviour(tokens=1000, pace_s=0.1)


async def text_of(response: litellm.CustomStreamWrapper) -> str:
    """All that a stream says."""
    assert isinstance(response, AsyncStreamWrapper)
    return "".join([chunk.choices[0].delta.content or "" async for chunk in response])


@virtual_time
async def test_a_stream_that_is_dropped_ends_its_request() -> None:
    """Who leaves the loop early and lets the stream go has ended it; nothing had to be closed."""
    async with Simulator() as sim:
        one = sim.add("one", LONG)
        async for chunk in await acompletion(**at(one), messages=MESSAGES, stream=True):
            assert chunk.choices[0].delta.content == "word0"
            break
        gc.collect()
        await anyio.sleep(0.05)

        assert (one.stats.in_flight, one.stats.cancelled) == (0, 1)


@virtual_time
async def test_a_stream_can_be_ended_at_once() -> None:
    """`aclose`, or `async with`, does not wait for the collector."""
    async with Simulator() as sim:
        one = sim.add("one", LONG)
        response = await acompletion(**at(one), messages=MESSAGES, stream=True)
        await anext(response)
        await response.aclose()
        assert [chunk async for chunk in response] == []

        async with await acompletion(**at(one), messages=MESSAGES, stream=True) as response:
            await anext(response)
        await anyio.sleep(0.05)
        assert one.stats.in_flight == 0


@virtual_time
async def test_a_stream_that_nobody_reads_ends_too() -> None:
    """One that was opened and dropped unread leaves no request behind."""
    async with Simulator() as sim:
        one = sim.add("one", LONG)
        await acompletion(**at(one), messages=MESSAGES, stream=True)
        gc.collect()
        await anyio.sleep(0.05)

        assert one.stats.in_flight == 0


def test_the_end_of_the_loop_ends_what_is_left() -> None:
    """A stream that is still held when `asyncio.run` ends is closed by it, and nothing complains."""
    held = []

    async def main() -> None:
        async with Simulator() as sim:
            one = sim.add("one", LONG)
            response = await acompletion(**at(one), messages=MESSAGES, stream=True)
            await anext(response)
            held.append(response)

    asyncio.run(main())
    assert len(held) == 1


@virtual_time
async def test_a_wait_that_is_cancelled_leaves_the_stream_open() -> None:
    """A consumer may wait in slices; no scope of ours is open between two chunks."""
    async with Simulator() as sim:
        one = sim.add("one", Behaviour(tokens=3, pace_s=1.0))
        response = await acompletion(**at(one), messages=MESSAGES, stream=True)
        said = [(await anext(response)).choices[0].delta.content]
        with anyio.move_on_after(0.3):
            await anext(response)
        said.append(await text_of(response))

    assert said == ["word0", " word1 word2"]


@pytest.fixture
def quick_collections() -> Iterator[None]:
    """What the tests before have left is not looked through sixty times."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.mark.usefixtures("quick_collections")
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@virtual_time
async def test_a_call_can_be_cancelled_at_every_turn(stream: bool) -> None:
    """However far it has come, a call that is cancelled leaves no request behind."""
    async with Simulator() as sim:
        down, up = sim.add("down", Behaviour(fault=Status(503))), sim.add("up", Behaviour(tokens=3))
        router = Router(
            [deployment("a", down), deployment("b", up)],
            fallbacks=[{"a": ["b"]}],
            disable_cooldowns=True,
        )
        for turns in range(60):
            call = asyncio.ensure_future(router.acompletion("a", MESSAGES, stream=stream))
            for _ in range(turns):
                await asyncio.sleep(0)
            call.cancel()
            await asyncio.wait([call])
            del call
            gc.collect()
            await anyio.sleep(0.05)
            assert (down.stats.in_flight, up.stats.in_flight) == (0, 0), turns

        assert up.stats.requests > 0


@virtual_time
async def test_a_stream_may_be_read_in_another_task() -> None:
    """It belongs to no task and to no scope of the one that opened it."""
    async with Simulator() as sim:
        one = sim.add("one", Behaviour(tokens=3))
        said = []

        async def read(response: litellm.CustomStreamWrapper) -> None:
            said.append(await text_of(response))

        async with anyio.create_task_group() as group:
            with anyio.fail_after(5):
                response = await acompletion(**at(one), messages=MESSAGES, stream=True)
            group.start_soon(read, response)

    assert said == ["word0 word1 word2"]


@virtual_time
async def test_what_fails_before_the_first_content_fails_at_the_call() -> None:
    """The call waits for the first content, so it falls back unseen and raises what it raises there."""
    async with Simulator() as sim:
        stalls = sim.add("stalls", Behaviour(fault=Stall("content")))
        up = sim.add("up", Behaviour(text="Hello!"))
        response = await acompletion(
            **at(stalls), messages=MESSAGES, stream=True, stream_timeout=2, fallbacks=[at(up, "openai/up")]
        )
        assert await text_of(response) == "Hello!"
        assert anyio.current_time() == pytest.approx(2, abs=0.01)
        assert response.report.endpoint == "openai/up"
        assert response._hidden_params["model_id"] == "openai/up"

        with pytest.raises(litellm.Timeout):
            await acompletion(**at(stalls), messages=MESSAGES, stream=True, timeout=3)


@virtual_time
async def test_a_break_is_raised_with_the_text_so_far() -> None:
    """A stream that breaks after its first content never looks whole."""
    async with Simulator() as sim:
        one = sim.add("one", Behaviour(tokens=9, fault=Cut(after_tokens=2), pace_s=0.1))
        response = await acompletion(**at(one), messages=MESSAGES, stream=True)
        with pytest.raises(litellm.MidStreamFallbackError) as caught:
            await text_of(response)

        assert caught.value.generated_content == "word0 word1"
        assert caught.value.llm_provider == one.url("openai").split("/")[2]
        assert one.stats.in_flight == 0


@virtual_time
async def test_a_routers_stream_may_go_on_elsewhere() -> None:
    """With `enable_mid_stream_fallback_continuation` another deployment goes on from the text so far."""
    async with Simulator() as sim:
        one = sim.add("one", Behaviour(tokens=9, fault=Cut(after_tokens=2), pace_s=0.1))
        two = sim.add("two", Behaviour(text=" and the rest"))
        router = Router(
            [deployment("a", one), deployment("b", two)],
            fallbacks=[{"a": ["b"]}],
            enable_mid_stream_fallback_continuation=True,
        )
        response = await router.acompletion("a", MESSAGES, stream=True)

        assert await text_of(response) == "word0 word1 and the rest"


@virtual_time
async def test_a_stream_falls_back_for_its_own_kinds_of_failure() -> None:
    """A prompt that is too long for the first model is streamed by the larger one."""
    async with Simulator() as sim:
        faults = InTurn([Status(400, error=ContextTooLong), None])
        one = sim.add("one", Behaviour(text="larger", fault=faults))
        larger = {"openai/ours": "openai/l"}
        response = await acompletion(
            **at(one),
            messages=MESSAGES,
            stream=True,
            context_window_fallback_dict=larger,
        )

        assert await text_of(response) == "larger"
        assert [a.endpoint for a in response.report.attempts] == ["openai/ours", "openai/l"]


@pytest.fixture(scope="module")
def there() -> Iterator[Outside]:
    """Endpoints in another thread's loop, for the functions that block."""
    with outside() as there:
        yield there


def blocking(there: Outside, name: str) -> dict[str, str]:
    return {"model": "openai/ours", "api_base": f"{there.url(name)}/v1", "api_key": "k"}


def test_a_blocking_stream_that_is_dropped_ends_its_request(there: Outside) -> None:
    """Leaving a `for` early is enough there, too."""
    there.behave({"one": LONG})
    for chunk in completion(**blocking(there, "one"), messages=MESSAGES, stream=True):
        assert chunk.choices[0].delta.content == "word0"
        break
    del chunk
    gc.collect()

    there.until(lambda: there.in_flight("one") == 0)


def test_a_blocking_stream_can_be_closed(there: Outside) -> None:
    """`close`, or `with`, ends it at once."""
    there.behave({"one": LONG})
    with completion(**blocking(there, "one"), messages=MESSAGES, stream=True) as response:
        next(response)
    assert list(response) == []

    there.until(lambda: there.in_flight("one") == 0)


def test_the_blocking_functions_work_where_a_loop_runs(there: Outside) -> None:
    """`completion` holds up the loop that it is called in, and answers; it needs none of it."""
    there.behave({"one": Behaviour(text="Hello!")})

    async def main() -> str:
        response = completion(**blocking(there, "one"), messages=MESSAGES)
        return str(response.choices[0].message.content)

    assert asyncio.run(main()) == "Hello!"


def test_the_blocking_functions_work_in_many_threads(there: Outside) -> None:
    """One loop serves them all, at the same time."""
    there.behave({"one": Behaviour(text="Hello!", latency=0.2)})
    said: list[str] = []

    def ask() -> None:
        response = completion(**blocking(there, "one"), messages=MESSAGES)
        said.append(response.choices[0].message.content)

    threads = [threading.Thread(target=ask) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert said == ["Hello!"] * 5
    assert there.peak("one") == 5


def test_a_blocking_call_that_is_interrupted_is_cancelled(there: Outside) -> None:
    """Ctrl-C in the caller's thread ends the request in the other one."""
    there.behave({"one": Behaviour(fault=Silence())})

    def interrupt() -> None:
        there.until(lambda: there.in_flight("one") == 1)
        os.kill(os.getpid(), signal.SIGINT)

    # What a shell starts in the background ignores the signal, and Python leaves that so.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        threading.Thread(target=interrupt).start()
        with pytest.raises(KeyboardInterrupt):
            completion(**blocking(there, "one"), messages=MESSAGES)
    finally:
        signal.signal(signal.SIGINT, before)

    there.until(lambda: there.in_flight("one") == 0)
