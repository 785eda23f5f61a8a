"""The caller's own word on an answer, before any of it is delivered."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

import fallbackio
from fallbackio import Reply
from fallbackio.errors import ChainExhausted, ConfigError, DeadlineExceeded, Rejected
from fallbackio.testing import ScriptedEndpoint, answers, stalls, virtual_time


def long_enough(reply: Reply) -> bool | str:
    return len(reply.text) > 3 or "too short"


async def long_enough_slowly(reply: Reply) -> bool | str:
    await anyio.sleep(0.5)
    return long_enough(reply)


def two(**settings: Any) -> tuple[ScriptedEndpoint, ScriptedEndpoint, fallbackio.Chain]:
    """A first choice that says too little, a second that says enough, and their chain."""
    a, b = ScriptedEndpoint(answers("no"), name="a"), ScriptedEndpoint(answers("certainly"), name="b")
    return a, b, fallbackio.Chain([a.endpoint, b.endpoint], seed=1, **settings)


@pytest.mark.parametrize("accept", [long_enough, long_enough_slowly, lambda reply: len(reply.text) > 3])
@pytest.mark.parametrize("upstream", ["plain", "stream"])
@virtual_time
async def test_a_rejected_answer_moves_on(accept: Any, upstream: Any) -> None:
    """What accept does not take counts as a failure of the attempt and of nothing else."""
    a, _, chain = two(accept=accept, upstream=upstream)

    for _ in range(20):
        reply = await chain.complete("hi")
        assert reply.text == "certainly"

    assert [(x.endpoint, x.outcome) for x in reply.report.attempts] == [("a", "failed"), ("b", "won")]
    rejected = reply.report.attempts[0]
    assert isinstance(rejected.error, Rejected)
    assert rejected.usage is not None, "it was charged for"
    assert a.requests == 20, "its breaker has heard nothing"


@virtual_time
async def test_the_reason_is_told_and_the_answer_is_not() -> None:
    """The error carries accept's reason, and not a word of the answer."""
    _, _, chain = two(accept=lambda reply: "schema invalid", max_retries=0)

    with pytest.raises(ChainExhausted) as caught:
        await chain.complete("hi")

    assert "schema invalid" in str(caught.value)
    assert "certainly" not in str(caught.value)
    assert all(isinstance(attempt.error, Rejected) for attempt in caught.value.attempts)


@pytest.mark.parametrize("strategy", ["sequence", "hedge", "race"])
@virtual_time
async def test_nothing_of_a_rejected_stream_is_delivered(strategy: Any) -> None:
    """A stream begins when its whole answer has been taken."""
    _, _, chain = two(accept=long_enough, strategy=strategy)

    async with chain.stream("hi") as stream:
        text = "".join([delta.text async for delta in stream])

    assert text == stream.reply.text == "certainly"
    assert stream.report.endpoint == "b"


@virtual_time
async def test_a_call_may_have_its_own() -> None:
    """accept= of one call replaces the chain's, and None takes everything."""
    _, _, chain = two(accept=long_enough)

    assert (await chain.complete("hi", accept=None)).text == "no"
    assert (await chain.complete("hi", accept=lambda reply: reply.text == "no")).text == "no"
    async with chain.stream("hi", accept=None) as stream:
        assert [delta.text async for delta in stream if delta.text] == ["no"]


@virtual_time
async def test_a_slow_judge_does_not_outlast_the_call() -> None:
    """The call's deadline bounds accept too."""

    async def for_ever(reply: Reply) -> bool:
        await anyio.sleep_forever()
        return True

    _, _, chain = two(accept=for_ever, timeout=3)

    with pytest.raises(DeadlineExceeded):
        await chain.complete("hi")
    assert anyio.current_time() == pytest.approx(3)


@virtual_time
async def test_what_accept_raises_reaches_the_caller() -> None:
    """A fault in the function is not taken for a fault of the answer."""

    def broken(reply: Reply) -> bool:
        raise ZeroDivisionError

    a, b, chain = two(accept=broken)

    with pytest.raises(ZeroDivisionError):
        await chain.complete("hi")
    assert b.requests == 0
    assert a.running == 0


@virtual_time
async def test_a_broken_answer_is_never_judged() -> None:
    """accept sees whole answers only."""
    seen: list[str] = []
    stalled = ScriptedEndpoint(stalls(after_words=2), name="a")
    well = ScriptedEndpoint(answers("fine"), name="b")

    def accept(reply: Reply) -> bool:
        seen.append(reply.text)
        return True

    chain = fallbackio.Chain([stalled.endpoint, well.endpoint], accept=accept, idle_timeout=1)
    async with chain.stream("hi") as stream:
        async for _ in stream:
            pass

    assert seen == ["fine"]


@pytest.mark.parametrize("answer", [None, 1, {}])
@virtual_time
async def test_an_answer_that_says_neither_is_a_mistake(answer: Any) -> None:
    """accept that forgets to return is told so, rather than rejecting everything."""
    _, _, chain = two(accept=lambda reply: answer)

    with pytest.raises(ConfigError, match="accept must return"):
        await chain.complete("hi")


def test_accept_must_be_a_function() -> None:
    """A value that cannot be called is refused when the chain is built."""
    with pytest.raises(ConfigError, match="accept must be a function"):
        two(accept="yes")


@pytest.mark.parametrize("accept", ["yes", True, 5])
@virtual_time
async def test_accept_of_a_call_must_be_a_function(accept: Any) -> None:
    """A value that cannot be called is refused before anything is sent."""
    a, _, chain = two()

    with pytest.raises(ConfigError, match="accept must be a function"):
        await chain.complete("hi", accept=accept)
    with pytest.raises(ConfigError, match="accept must be a function"):
        async with chain.stream("hi", accept=accept):
            pass

    assert a.requests == 0
    assert chain.health().calls == 0
