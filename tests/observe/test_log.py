"""The log under a storm, in virtual time."""

from __future__ import annotations

import logging

import anyio
import pytest

import fallbackio
from fallbackio.errors import AuthFailed, Overloaded, RateLimited
from fallbackio.events import AttemptEnded, BreakerMoved, CallStarted, FailedOver
from fallbackio.model import Attempt
from fallbackio.observe._logging import BURST, EVERY_S, Log
from fallbackio.testing import ScriptedEndpoint, answers, fails, virtual_time


def failed_over(call: int = 1, target: str = "b") -> FailedOver:
    return FailedOver(chain="chat", call=call, origin="a", target=target, error=Overloaded(status=529))


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records]


LINE = "chat: failing over from a to b (overloaded, HTTP 529)"


@virtual_time
async def test_a_storm_is_a_few_lines(caplog: pytest.LogCaptureFixture) -> None:
    """A hundred failovers a second for a minute: ten lines, then one every ten seconds with a count."""
    log = Log()
    for call in range(6000):
        log(failed_over(call))
        await anyio.sleep(0.01)
    await anyio.sleep(60)

    held = [record.__dict__.get("fallbackio_held_back", 0) for record in caplog.records]
    assert lines(caplog)[:BURST] == [LINE] * BURST
    assert 5 <= len(held) - BURST <= 60 / EVERY_S
    assert len(held) + sum(held) == 6000
    assert f"; {held[-1]} more like this were held back" in lines(caplog)[-1]


@virtual_time
async def test_a_few_are_all_written(caplog: pytest.LogCaptureFixture) -> None:
    """As long as it is no storm each failover has its line, at once."""
    log = Log()
    for _ in range(30):
        log(failed_over())
        assert lines(caplog)[-1] == LINE
        await anyio.sleep(EVERY_S)

    assert lines(caplog) == [LINE] * 30


@virtual_time
async def test_a_storm_of_one_kind_hides_no_other(caplog: pytest.LogCaptureFixture) -> None:
    """Another target, another error, a breaker, a key: each kind has its own measure."""
    log = Log()
    for _ in range(50):
        log(failed_over())
    caplog.clear()

    log(failed_over(target="c"))
    log(FailedOver(chain="chat", call=1, origin="a", target="b", error=RateLimited(status=429)))
    log(BreakerMoved(endpoint="a", old="closed", new="open", open_s=5, reason="5 failures in a row"))
    attempt = Attempt(endpoint="a", vendor="v", model="m", outcome="failed", error=AuthFailed(status=401))
    log(AttemptEnded(chain="chat", call=1, attempt=attempt))

    assert lines(caplog) == [
        "chat: failing over from a to c (overloaded, HTTP 529)",
        "chat: failing over from a to b (rate limited, HTTP 429)",
        "a: circuit open for 5.0 s (5 failures in a row)",
        "a: key refused, HTTP 401; this needs somebody to act",
    ]


@virtual_time
async def test_what_is_held_back_is_said_when_the_chain_is_closed(caplog: pytest.LogCaptureFixture) -> None:
    """Closing in the middle of a storm loses no count."""
    a = ScriptedEndpoint(fails(Overloaded(status=529)), name="a")
    b = ScriptedEndpoint(answers("fine"), name="b")
    policy = fallbackio.BreakerPolicy(consecutive=1000, rates=())
    async with fallbackio.Chain([a.endpoint, b.endpoint], breaker=policy, early_warning=None) as chain:
        for _ in range(40):
            await chain.complete("hi")
        assert len(caplog.records) == BURST

    held = caplog.records[-1].__dict__["fallbackio_held_back"]
    assert (len(caplog.records), held) == (BURST + 1, 29)


def test_outside_a_loop_everything_is_written(caplog: pytest.LogCaptureFixture) -> None:
    """A breaker that is moved by hand, where no loop runs, has its lines."""
    log = Log()
    with caplog.at_level(logging.INFO, logger="fallbackio"):
        for _ in range(20):
            log(BreakerMoved(endpoint="a", old="open", new="half_open", open_s=0, reason="by hand"))

    assert len(caplog.records) == 20


@virtual_time
async def test_other_events_are_no_lines(caplog: pytest.LogCaptureFixture) -> None:
    """A call that begins is nothing to write home about."""
    with caplog.at_level(logging.DEBUG, logger="fallbackio"):
        Log()(CallStarted(chain="chat", call=1, stream=False))

    assert caplog.records == []
