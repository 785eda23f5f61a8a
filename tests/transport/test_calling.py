"""A user's own function as an endpoint: what it gives, what it raises, and how it is cut off."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from typing import Any

import anyio
import pytest

from fallbackio.endpoint import Endpoint, Upstream
from fallbackio.errors import AttemptError, BadAnswer, ConnectionFailed, Overloaded, ServerFault, TimedOut
from fallbackio.model import Choice, Delta, Message, Reply, Request, ToolCallDelta, Usage
from fallbackio.testing import virtual_time
from fallbackio.transport import CallingProvider
from fallbackio.transport._calling import CLOSE_GRACE_S

REQUEST = Request.of("hi", {})
Pieces = AsyncIterator[Any]


def ours(fn: Callable[[Request], Any]) -> CallingProvider:
    """The function as a provider."""
    return CallingProvider(Endpoint.calling(fn, name="ours"))


def yields(*pieces: Any) -> CallingProvider:
    async def fn(request: Request) -> Pieces:
        for piece in pieces:
            yield piece

    return ours(fn)


def returns(value: Any) -> CallingProvider:
    async def fn(request: Request) -> Any:
        return value

    return ours(fn)


async def read(upstream: Upstream) -> list[Delta]:
    deltas = upstream.take()
    while not upstream.finished:
        deltas += await upstream.receive()
    return deltas


async def asked(provider: CallingProvider, streamed: bool) -> str:
    """The answer's text, by either way."""
    if not streamed:
        return (await provider.complete(REQUEST)).text
    return "".join([delta.text for delta in await read(await provider.stream(REQUEST))])


either_way = pytest.mark.parametrize("streamed", [False, True], ids=["complete", "stream"])


@pytest.mark.parametrize(
    ("provider", "text"),
    [
        (returns("fine"), "fine"),
        (returns(Message("fine")), "fine"),
        (returns(Reply(choices=(Choice(Message("fine")),))), "fine"),
        (yields("fi", "ne"), "fine"),
        (yields("fi", Delta("ne", finish_reason="stop")), "fine"),
        (yields(Delta("fine"), Delta(finish_reason="length"), Delta(usage=Usage(prompt_tokens=1))), "fine"),
        (yields(""), ""),
        (yields(Delta(finish_reason="stop")), ""),
    ],
    ids=["string", "message", "reply", "strings", "mixed", "deltas", "empty string", "empty answer"],
)
@either_way
@virtual_time
async def test_what_is_an_answer(provider: CallingProvider, text: str, streamed: bool) -> None:
    """Strings by themselves are whole at their end, deltas by their finish reason."""
    assert await asked(provider, streamed) == text


@pytest.mark.parametrize(
    "pieces",
    [(), (Delta("The answer is"),), ("The ", Delta("answer")), (Delta("The "), "answer")],
    ids=["nothing", "a delta", "a delta at last", "a delta at first"],
)
@either_way
@virtual_time
async def test_an_end_without_a_finish_reason(pieces: tuple[Any, ...], streamed: bool) -> None:
    """Who can give a finish reason and gives none was cut off; nothing at all is no answer."""
    with pytest.raises(BadAnswer, match="ended without a finish reason"):
        await asked(yields(*pieces), streamed)


def choice(**settings: Any) -> Reply:
    return Reply(choices=(Choice(**{"message": Message("fine"), **settings}),))


@pytest.mark.parametrize(
    "provider",
    [
        *[
            yields("text", slip, Delta(finish_reason="stop"))
            for slip in (
                5,
                Delta(text=None),  # type: ignore[arg-type]
                Delta(reasoning=1),  # type: ignore[arg-type]
                Delta(refusal=b""),  # type: ignore[arg-type]
                Delta(tool_calls=None),  # type: ignore[arg-type]
                Delta(tool_calls=({"index": 0},)),  # type: ignore[arg-type]
                Delta(tool_calls=(ToolCallDelta(0, arguments={}),)),  # type: ignore[arg-type]
                Delta(usage={"prompt_tokens": 1}),  # type: ignore[arg-type]
                Delta(finish_reason=1),  # type: ignore[arg-type]
            )
        ],
        *[
            returns(slip)
            for slip in (
                None,
                b"text",
                Message(5),  # type: ignore[arg-type]
                Message("fine", tool_calls=["f"]),  # type: ignore[arg-type]
                Reply(),
                Reply(choices=("fine",)),  # type: ignore[arg-type]
                Reply(choices=None),  # type: ignore[arg-type]
                choice(message="fine"),
                choice(finish_reason=None),
            )
        ],
        ours(lambda request: "not async"),
    ],
    ids=lambda provider: "",
)
@either_way
@virtual_time
async def test_slips_of_type(provider: CallingProvider, streamed: bool) -> None:
    """What is of another type than it should be is a bad answer, not a fault of the chain's."""
    with pytest.raises(BadAnswer, match=r"the function (gave|yielded|returned)"):
        await asked(provider, streamed)


def raises(error: Exception, after_s: float = 0.0) -> tuple[CallingProvider, CallingProvider]:
    """A function and a generator that do."""

    async def fn(request: Request) -> str:
        await anyio.sleep(after_s)
        raise error

    async def generator(request: Request) -> Pieces:
        yield "text"
        yield await fn(request)

    return ours(fn), CallingProvider(Endpoint.calling(generator, name="ours"))


class OfTheUsers(Overloaded):
    """An error whose constructor cannot be called again with its `args`."""

    def __init__(self, *, model: int) -> None:
        super().__init__("too many", status=529, retry_after_s=3)
        self.number = model


@pytest.mark.parametrize("error", [Overloaded("too many"), OfTheUsers(model=7)], ids=["ours", "a subclass"])
@either_way
@virtual_time
async def test_a_shared_error_is_not_written_into(error: Overloaded, streamed: bool) -> None:
    """An instance that is raised again and again learns no endpoint's name, and is no cause of itself."""
    for provider in raises(error):
        with pytest.raises(type(error), match="too many") as caught:
            await asked(provider, streamed)
        caught.value.placed("a", "b", "c")

        assert caught.value is not error
        assert caught.value.__dict__ == {**error.__dict__, "endpoint": "a", "vendor": "b", "model": "c"}
        assert caught.value.__cause__ is error
        assert error.endpoint == ""


@either_way
@virtual_time
async def test_a_time_limit_of_the_functions_own(streamed: bool) -> None:
    """A `TimeoutError` says how long it took, since nobody told us the limit."""
    for provider in raises(TimeoutError(), after_s=2.5):
        with pytest.raises(TimedOut) as caught:
            await asked(provider, streamed)

        assert (caught.value.phase, caught.value.limit_s) == ("attempt", 2.5)


async def cancelled_inside() -> None:
    future = asyncio.get_running_loop().create_future()
    future.cancel()
    await future


async def sdk(request: Request) -> str:
    await cancelled_inside()
    return "never"


async def sdk_stream(request: Request) -> Pieces:
    yield "text"
    await cancelled_inside()


@pytest.mark.parametrize("fn", [sdk, sdk_stream])
@either_way
@virtual_time
async def test_a_cancellation_nobody_asked_for(fn: Callable[[Request], Any], streamed: bool) -> None:
    """An SDK whose inner task was cancelled has failed; the call goes on."""
    with pytest.raises(ServerFault, match="cancelled from within"):
        await asked(ours(fn), streamed)


async def swallows(request: Request) -> str:
    try:
        await anyio.sleep_forever()
    except asyncio.CancelledError as error:
        raise ConnectionError from error
    return "never"


async def swallows_in_stream(request: Request) -> Pieces:
    yield "text"
    yield await swallows(request)


async def with_scope(call: Callable[[], Awaitable[object]]) -> None:
    with anyio.move_on_after(1) as scope:
        await call()
    assert scope.cancelled_caught


async def with_timeout(call: Callable[[], Awaitable[object]]) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1):
            await call()


async def with_cancel(call: Callable[[], Awaitable[object]]) -> None:
    async def calling() -> None:
        await call()

    task = asyncio.create_task(calling())
    await anyio.sleep(1)
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()


@pytest.mark.parametrize("fn", [swallows, swallows_in_stream])
@pytest.mark.parametrize("cancelling", [with_scope, with_timeout, with_cancel])
@either_way
@virtual_time
async def test_our_cancellation_wins(
    fn: Callable[[Request], Any], cancelling: Callable[[Any], Awaitable[None]], streamed: bool
) -> None:
    """A function that makes an error of its own out of our cancellation does not keep us from ending."""
    await cancelling(lambda: asked(ours(fn), streamed))

    assert anyio.current_time() == pytest.approx(1)


@either_way
@virtual_time
async def test_a_call_in_a_task_that_was_cancelled_before(streamed: bool) -> None:
    """Who has caught its cancellation may still ask something, and hear of failures."""
    heard: list[AttemptError] = []

    async def last_words() -> None:
        try:
            await anyio.sleep_forever()
        except asyncio.CancelledError:
            for provider in raises(ConnectionError()):
                with pytest.raises(ConnectionFailed) as caught:
                    await asked(provider, streamed)
                heard.append(caught.value)
            raise

    await with_cancel(last_words)

    assert len(heard) == 2


def unclean(*pieces: Any, clean_up: Callable[[], Awaitable[object]]) -> CallingProvider:
    async def fn(request: Request) -> AsyncGenerator[Any, None]:
        try:
            for piece in pieces:
                yield piece
            await anyio.sleep_forever()
        finally:
            await clean_up()

    return ours(fn)


async def lost() -> None:
    raise ConnectionResetError("close() failed with: the prompt")


@pytest.mark.parametrize("clean_up", [lost, cancelled_inside])
@virtual_time
async def test_a_clean_up_that_fails(
    clean_up: Callable[[], Awaitable[None]], caplog: pytest.LogCaptureFixture
) -> None:
    """It replaces neither the failure that led to it nor what the caller raises, and is told once."""
    provider = unclean("text", 5, clean_up=clean_up)

    for _ in range(2):
        with pytest.raises(BadAnswer):
            await provider.complete(REQUEST)
        upstream = await provider.stream(REQUEST)
        await upstream.receive()
        await upstream.aclose()

    (told,) = caplog.records
    assert told.levelno == logging.WARNING
    assert "clean-up" in told.getMessage()
    assert "the prompt" not in caplog.text


@virtual_time
async def test_a_clean_up_that_hangs() -> None:
    """It is given a second, in which a cancelled call may still be cleaned up, and then dropped."""
    cleaned: list[float] = []

    async def slow() -> None:
        await anyio.sleep(0.5)
        cleaned.append(anyio.current_time())
        await anyio.sleep_forever()

    with pytest.raises(BadAnswer):
        await unclean("text", 5, clean_up=slow).complete(REQUEST)

    assert cleaned == [0.5]
    assert anyio.current_time() == CLOSE_GRACE_S


async def slowly(request: Request) -> Pieces:
    yield "text"
    await anyio.sleep(10)
    yield 5


async def closed_while_waiting(upstream: Upstream) -> None:
    with anyio.move_on_after(1):
        await upstream.receive()
    await upstream.aclose()


async def closed(upstream: Upstream) -> None:
    await upstream.aclose()


async def broken(upstream: Upstream) -> None:
    with pytest.raises(BadAnswer):
        await upstream.receive()


@virtual_time
async def test_a_wait_that_is_cancelled_loses_no_piece() -> None:
    """Who waits in slices gets every piece, when it is there."""
    pieces: list[str] = []
    slices = 0

    async def fn(request: Request) -> Pieces:
        for word in ("one ", "two ", "three"):
            await anyio.sleep(10)
            yield word

    upstream = await ours(fn).stream(REQUEST)
    while not upstream.finished:
        slices += 1
        with anyio.move_on_after(3):
            pieces += [delta.text for delta in await upstream.receive()]

    assert "".join(pieces) == "one two three"
    assert (slices, anyio.current_time()) == (13, 30)


@virtual_time
async def test_it_runs_only_while_a_piece_is_wanted() -> None:
    """A reader that is slow keeps the generator from running ahead and from holding what nobody read."""
    made: list[int] = []

    async def fn(request: Request) -> Pieces:
        for number in range(10):
            made.append(number)
            yield f"{number} "

    upstream = await ours(fn).stream(REQUEST)
    await upstream.receive()
    await anyio.sleep(60)
    assert made == [0]

    await upstream.aclose()


async def scoped(request: Request) -> Pieces:
    with anyio.fail_after(30):
        for word in ("one ", "two ", "three"):
            await anyio.sleep(1)
            yield word


async def timed(request: Request) -> Pieces:
    async with asyncio.timeout(30):
        for word in ("one ", "two ", "three"):
            await anyio.sleep(1)
            yield word


@pytest.mark.parametrize("fn", [scoped, timed])
@virtual_time
async def test_a_generator_may_hold_a_scope_across_its_yields(fn: Callable[[Request], Any]) -> None:
    """Its pieces may be read in several tasks, and it may be closed in another; it stays in its own."""
    upstream = await ours(fn).stream(REQUEST)
    texts = [delta.text for delta in await upstream.receive()]

    async def read_on() -> None:
        texts.extend(delta.text for delta in await upstream.receive())

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(read_on)
    await upstream.aclose()

    assert texts == ["one ", "two "]
    assert await asked(ours(fn), streamed=False) == "one two three"
    assert [task for task in asyncio.all_tasks() if task is not asyncio.current_task()] == []


@pytest.mark.parametrize("end", [closed_while_waiting, broken, closed])
@virtual_time
async def test_a_generator_that_was_cut_off_is_not_whole(end: Callable[[Upstream], Awaitable[None]]) -> None:
    """Reading on after its end raises in place of ending quietly, and blames no endpoint."""
    upstream = await ours(slowly).stream(REQUEST)
    await upstream.receive()
    await end(upstream)

    with pytest.raises(ConnectionFailed) as caught:
        await upstream.receive()

    assert caught.value.local
    assert not upstream.finished
