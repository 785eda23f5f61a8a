"""The early warning, in virtual time: when it is given, what it says, when it is taken back."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import anyio
import pytest
from attrs import define, field

import fallbackio
from fallbackio import clock
from fallbackio.errors import AttemptError, ConfigError, Overloaded, TimedOut
from fallbackio.events import Event, FailedOver, FallbackRateFell, FallbackRateRose
from fallbackio.observe import EarlyWarning
from fallbackio.observe._early_warning import FallbackRate
from fallbackio.testing import RecordingSink, ScriptedEndpoint, answers, fails, virtual_time


@define
class Traffic:
    """Calls at an even pace, some of which fall back."""

    policy: EarlyWarning = field(factory=EarlyWarning)
    told: list[tuple[float, Event]] = field(factory=list)
    rate: FallbackRate = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.rate = FallbackRate(self.policy, "chat", lambda event: self.told.append((clock.now(), event)))

    async def flow(self, seconds: float, every_s: float = 0.5, *, fallback_every: int = 0) -> None:
        """Calls for so long; every n-th falls back."""
        for number in range(round(seconds / every_s)):
            self.rate.began(clock.now())
            if fallback_every and number % fallback_every == fallback_every - 1:
                self.fall_back(Overloaded(status=529))
            await anyio.sleep(every_s)

    def fall_back(self, error: AttemptError, origin: str = "a") -> None:
        event = FailedOver(chain="chat", call=1, origin=origin, target="z", error=error)
        self.rate.fell_back(event, clock.now())

    @property
    def kinds(self) -> list[type]:
        return [type(event) for _, event in self.told]


@virtual_time
async def test_it_warns_once_and_takes_it_back_once() -> None:
    """An outage of ten minutes in a day: one event when it begins, one when it is over."""
    traffic = Traffic()
    await traffic.flow(4 * 3600, fallback_every=200)  # 0.5 % is usual
    began = clock.now()
    await traffic.flow(600, fallback_every=1)
    ended = clock.now()
    await traffic.flow(4 * 3600, fallback_every=200)

    [(rose_at, rose), (fell_at, fell)] = traffic.told
    assert isinstance(rose, FallbackRateRose)
    assert isinstance(fell, FallbackRateFell)
    assert rose_at - began <= 5  # of 120 calls in a minute six are five per cent
    assert 0.05 <= rose.ratio < 0.1
    assert rose.usual_ratio == pytest.approx(0.005, rel=0.3)
    assert 50 <= fell_at - ended <= 60
    assert fell.lasted_s == pytest.approx(fell_at - rose_at)


@virtual_time
async def test_what_is_usual_is_no_news() -> None:
    """Where a tenth always falls back, a quarter is not three times that; a half is."""
    traffic = Traffic(policy=EarlyWarning(ratio=0.2))
    await traffic.flow(3600, fallback_every=10)
    await traffic.flow(600, fallback_every=4)
    assert traffic.told == []

    await traffic.flow(600, fallback_every=2)
    assert traffic.kinds == [FallbackRateRose]


@virtual_time
async def test_an_outage_at_the_start_is_warned_of() -> None:
    """A process that starts in the middle of an outage does not take it for usual."""
    traffic = Traffic()
    await traffic.flow(60, fallback_every=1)

    [(at, rose)] = traffic.told
    assert isinstance(rose, FallbackRateRose)
    assert at == pytest.approx(19 * 0.5)  # the twentieth call
    assert (rose.usual_ratio, rose.ratio, rose.calls, rose.fallbacks) == (0.0, 1.0, 20, 20)


@virtual_time
async def test_a_rate_that_hovers_at_the_threshold_is_told_of_once() -> None:
    """Between a half of the threshold and the whole of it nothing changes."""
    traffic = Traffic(policy=EarlyWarning(factor=1, long_s=1e6))
    await traffic.flow(3600)
    await traffic.flow(120, fallback_every=18)  # 5.6 %
    for _ in range(30):
        await traffic.flow(60, fallback_every=24)  # 4.2 %
        await traffic.flow(60, fallback_every=18)
    assert traffic.kinds == [FallbackRateRose]

    await traffic.flow(120, fallback_every=60)  # 1.7 %
    assert traffic.kinds == [FallbackRateRose, FallbackRateFell]


@pytest.mark.parametrize(
    ("calls", "fallbacks"), [(19, 19), (20, 2), (1000, 2)], ids=["few calls", "two", "two of many"]
)
@virtual_time
async def test_a_few_are_an_accident(calls: int, fallbacks: int) -> None:
    """Below twenty calls, or three fallbacks, nothing is said."""
    traffic = Traffic(policy=EarlyWarning(ratio=0.001))
    for number in range(calls):
        traffic.rate.began(clock.now())
        if number >= calls - fallbacks:
            traffic.fall_back(Overloaded())

    assert traffic.told == []


@virtual_time
async def test_when_calls_become_few_it_ends_after_a_window_without_a_fallback() -> None:
    """At night there are too few calls to make a rate of; silence of a whole window will do."""
    traffic = Traffic()
    await traffic.flow(30, fallback_every=1)
    await traffic.flow(600, every_s=20)

    (rose_at, _), (fell_at, fell) = traffic.told
    assert isinstance(fell, FallbackRateFell)
    assert 60 <= fell_at - rose_at <= 110


@virtual_time
async def test_the_reasons_are_broken_down() -> None:
    """It says which failures it were and which endpoints were left, of the short window only."""
    traffic = Traffic()
    for _ in range(19):
        traffic.rate.began(clock.now())
    traffic.fall_back(TimedOut(), "old")
    await anyio.sleep(120)
    for number in range(20):
        traffic.rate.began(clock.now())
        traffic.fall_back(Overloaded() if number % 4 else TimedOut(), "a" if number % 5 else "b")

    [(_, rose)] = traffic.told
    assert isinstance(rose, FallbackRateRose)
    assert rose.by_error == {"Overloaded": 15, "TimedOut": 5}
    assert rose.by_endpoint == {"a": 16, "b": 4}
    assert list(rose.by_error) == ["Overloaded", "TimedOut"]


def outage() -> Iterator[ScriptedEndpoint]:
    yield ScriptedEndpoint(fails(Overloaded("a secret", status=529)), name="a")
    yield ScriptedEndpoint(answers("fine"), name="b")


def chain_of(endpoints: Iterator[ScriptedEndpoint], **settings: Any) -> fallbackio.Chain:
    never = fallbackio.BreakerPolicy(consecutive=10_000, rates=())
    return fallbackio.Chain(
        [endpoint.endpoint for endpoint in endpoints], breaker=never, name="chat", seed=1, **settings
    )


@virtual_time
async def test_a_chain_warns_by_an_event_and_an_error_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """Twenty calls of which all fall back: one event after its failover, one line with the reasons."""
    sink = RecordingSink()
    async with chain_of(outage(), sinks=[sink]) as chain:
        for _ in range(40):
            await chain.complete("hi")

    [rose] = sink.of(FallbackRateRose)
    assert (rose.chain, rose.ratio, rose.by_error, rose.by_endpoint) == (
        "chat",
        1.0,
        {"Overloaded": 20},
        {"a": 20},
    )
    assert type(sink.events[sink.events.index(rose) - 1]) is FailedOver
    [record] = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert record.getMessage() == (
        "chat: 100.0% of the calls of the last 60 s fell back (20 of 20), usually none do: "
        "20 Overloaded; 20 from a"
    )
    assert record.__dict__["fallbackio_by_endpoint"] == {"a": 20}


@virtual_time
async def test_a_call_counts_once() -> None:
    """However often one call moves on, it is one that fell back."""
    a, b = outage()
    broken = ScriptedEndpoint(fails(TimedOut()), name="c")
    sink = RecordingSink()
    async with chain_of(iter([a, broken, b]), sinks=[sink]) as chain:
        for _ in range(25):
            await chain.complete("hi")

    [rose] = sink.of(FallbackRateRose)
    assert (rose.calls, rose.fallbacks, rose.by_endpoint) == (20, 20, {"a": 20})


@virtual_time
async def test_a_hedge_that_wins_is_no_sign() -> None:
    """Races and hedges are answered by others than the first all day."""
    slow, quick = (
        ScriptedEndpoint(answers("slow", after_s=1), name="a"),
        ScriptedEndpoint(answers("quick", after_s=0.1), name="b"),
    )
    sink = RecordingSink()
    async with chain_of(iter([slow, quick]), sinks=[sink], strategy="race") as chain:
        for _ in range(50):
            assert (await chain.complete("hi")).report.endpoint == "b"

    assert sink.of(FallbackRateRose) == []


@virtual_time
async def test_it_can_be_switched_off(caplog: pytest.LogCaptureFixture) -> None:
    """`early_warning=None` counts nothing."""
    async with chain_of(outage(), early_warning=None) as chain:
        for _ in range(40):
            await chain.complete("hi")

    assert [record for record in caplog.records if record.levelno == logging.ERROR] == []


@pytest.mark.parametrize(
    "settings",
    [
        {"ratio": 0},
        {"ratio": 1.5},
        {"factor": 0.5},
        {"short_s": 0},
        {"short_s": float("nan")},
        {"long_s": float("inf")},
        {"long_s": 60},
        {"min_calls": 0},
        {"min_fallbacks": True},
        {"clear_ratio": -1},
    ],
    ids=str,
)
def test_bad_settings_are_refused(settings: dict[str, Any]) -> None:
    """Every setting out of its range is a ConfigError that names it."""
    with pytest.raises(ConfigError, match=next(iter(settings))):
        EarlyWarning(**settings)
