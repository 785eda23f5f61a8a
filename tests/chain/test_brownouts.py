"""Slow brown-outs through whole chains, over real sockets and in virtual time: who leaves, who stays."""

from __future__ import annotations

import random
from collections.abc import AsyncGenerator
from typing import Any

import anyio
import attrs
import pytest

import fallbackio
from fallbackio import BreakerPolicy, Endpoint, Hedge, Pool, StreamBroken
from fallbackio.chain._trial import TRIED
from fallbackio.events import BreakerMoved
from fallbackio.model import Request
from fallbackio.simulator import Behaviour, Cut, Lognormal, Silence, SimulatedEndpoint, Simulator, Status
from fallbackio.testing import RecordingSink, ScriptedEndpoint, virtual_time

# Tokens of a usual answer, a tenth of a second after the first.
WELL = Behaviour(latency=Lognormal(0.5, 0.25), tokens=5, pace_s=0.02)
SICK = Behaviour(latency=Lognormal(5.0, 0.25), tokens=5, pace_s=0.02)
# Half a minute is read of each answer.
LONG = Behaviour(latency=Lognormal(0.5, 0.25), tokens=30, pace_s=1.0)

WAYS: dict[str, dict[str, Any]] = {
    "plain": {},
    "sequence": {"upstream": "stream"},
    "adaptive": {"ttft_timeout": "adaptive"},
    "hedge": {"strategy": "hedge"},
    "race": {"strategy": "race"},
}


class Scene:
    """A chain over simulated endpoints, and what has come of its calls."""

    def __init__(self, endpoints: list[SimulatedEndpoint], **settings: Any) -> None:
        self.endpoints = endpoints
        self.sink = RecordingSink()
        steps = [Endpoint("m", name=one.name, base_url=one.url("openai"), api_key="k") for one in endpoints]
        pooled = settings.pop("pooled", False)
        self.chain = fallbackio.Chain(
            [Pool(steps)] if pooled else steps,
            seed=1,
            sinks=[self.sink],
            **{"attempt_timeout": 30, **settings},
        )
        self.took: list[float] = []
        self.by: list[str | None] = []

    async def calls(self, seconds: float, per_s: float = 2.0, prompt: str = "hi") -> None:
        """So many calls per second, for so long; returns when all have ended."""
        self.took, self.by = [], []
        async with anyio.create_task_group() as group:
            for _ in range(round(seconds * per_s)):
                group.start_soon(self._call, prompt)
                await anyio.sleep(1 / per_s)

    async def _call(self, prompt: str) -> None:
        reply = await self.chain.complete(prompt)
        self.took.append(reply.report.duration_s)
        self.by.append(reply.report.endpoint)

    @property
    def opened(self) -> list[str]:
        """Whose breakers have opened, in order; a failed probe is not among them."""
        moves = [event for event in self.sink.events if isinstance(event, BreakerMoved)]
        return [move.endpoint for move in moves if (move.old, move.new) == ("closed", "open")]


@pytest.mark.parametrize("way", WAYS)
@virtual_time
async def test_a_brown_out_is_left_and_its_end_is_found(way: str) -> None:
    """Ten seconds after its beginning nobody waits for it any more; after its end all are back."""
    async with Simulator(seed=2) as sim:
        a, b = sim.add("a", WELL), sim.add("b", WELL)
        scene = Scene([a, b], **WAYS[way])
        async with scene.chain:
            await scene.calls(12)
            a.behave(SICK)
            await scene.calls(10)
            await scene.calls(12)
            assert max(sorted(scene.took)[:-3]) < 2.0, "all but the probes"

            a.behave(WELL)
            await scene.calls(50)
            await scene.calls(4)
            assert way == "race" or set(scene.by) == {"a"}


@pytest.mark.parametrize("way", ["plain", "sequence"])
@virtual_time
async def test_a_brown_out_is_left_after_five_answers(way: str) -> None:
    """One call after the other: one waits, the next tries the spare, and five more open the breaker."""
    async with Simulator(seed=2) as sim:
        a, b = sim.add("a", Behaviour(latency=0.5)), sim.add("b", Behaviour(latency=0.5))
        scene = Scene([a, b], **WAYS[way])
        async with scene.chain:
            await scene.calls(10)
            a.behave(Behaviour(latency=5.0))
            replies = [await scene.chain.complete("hi") for _ in range(9)]

            assert [reply.report.endpoint for reply in replies] == [*"ab", *"aaaaa", *"bb"]
            assert replies[0].report.attempts[0].notes == ()
            assert replies[1].report.attempts[0].notes == (TRIED,)
            what = "answer" if way == "plain" else "first content"
            slow = replies[2].report.attempts[0]
            assert (slow.outcome, slow.notes) == ("won", (f"slow: {what} after 5.00 s, usually 0.50 s",))
            assert replies[-1].report.attempts[-1].notes == ()
            told = [event.reason for event in scene.sink.events if isinstance(event, BreakerMoved)]
            assert told[0] == f"5 failures in a row ({what} after 5.00 s, usually 0.50 s)"


@pytest.mark.parametrize("way", ["plain", "sequence"])
@virtual_time
async def test_a_call_a_minute_is_enough_to_see_a_brown_out(way: str) -> None:
    """Half an hour shows what is usual; five late answers, and all but the probes go elsewhere."""
    async with Simulator(seed=2) as sim:
        a, b = sim.add("a", WELL), sim.add("b", WELL)
        scene = Scene([a, b], **WAYS[way])
        async with scene.chain:
            await scene.calls(1800, per_s=1 / 60)
            a.behave(SICK)
            await scene.calls(1200, per_s=1 / 60)
            assert scene.by[:7] == [*"abaaaaa"]
            assert scene.by[7:].count("a") <= 8, "probes"
            a.behave(WELL)
            await scene.calls(600, per_s=1 / 60)
            assert scene.by[-3:] == ["a"] * 3


@virtual_time
async def test_health_shows_what_is_usual_beside_what_is() -> None:
    """In a brown-out nobody else can help with, the two part."""
    async with Simulator(seed=2) as sim:
        a = sim.add("a", Behaviour(latency=0.5))
        scene = Scene([a], upstream="stream")
        async with scene.chain:
            await scene.calls(12)
            a.behave(Behaviour(latency=5.0))
            await scene.calls(30)
            times = scene.chain.health().endpoints[0].first_content
            assert times.p50_s == pytest.approx(5, abs=0.01)
            assert times.usual_s == pytest.approx(0.5, abs=0.01)


@virtual_time
async def test_plain_calls_do_not_hide_a_brown_out_from_streamed_ones() -> None:
    """Calls of both kinds by turns: it is left all the same."""
    async with Simulator(seed=2) as sim:
        a, b = sim.add("a", WELL), sim.add("b", WELL)
        scene = Scene([a, b])

        async def both(times: int) -> None:
            for _ in range(times):
                await scene.chain.complete("hi")
                async with scene.chain.stream("hi") as stream:
                    async for _ in stream:
                        pass

        async with scene.chain:
            await both(25)
            a.behave(SICK)
            await both(5)
            assert scene.opened == ["a"]


@pytest.mark.parametrize("way", ["plain", "sequence", "hedge"])
@virtual_time
async def test_when_all_become_slow_the_first_choice_is_left_once_at_most(way: str) -> None:
    """Prompts have grown, or it is our own network: one call looks at the other, and that is all."""
    async with Simulator(seed=2) as sim:
        a, b = sim.add("a", WELL), sim.add("b", WELL)
        scene = Scene([a, b], **WAYS[way])
        async with scene.chain:
            await scene.calls(12)
            a.behave(SICK)
            b.behave(SICK)
            await scene.calls(60, per_s=1)
            await scene.calls(1500, per_s=0.1)

            assert scene.opened.count("a") <= 1
            assert scene.by.count("a") > 0.95 * len(scene.by)


@pytest.mark.parametrize("way", ["plain", "sequence", "hedge"])
@virtual_time
async def test_an_only_endpoint_is_never_left_for_slowness(way: str) -> None:
    """There is nobody else to ask."""
    async with Simulator(seed=2) as sim:
        a = sim.add("a", WELL)
        scene = Scene([a], **WAYS[way])
        async with scene.chain:
            await scene.calls(12)
            a.behave(SICK)
            await scene.calls(30)
            assert scene.opened == []


@virtual_time
async def test_a_slow_endpoint_that_is_the_last_one_left_gets_its_calls_back() -> None:
    """Left for its slowness, and then the other goes down: slow answers are better than none."""
    async with Simulator(seed=2) as sim:
        a, b = sim.add("a", WELL), sim.add("b", WELL)
        scene = Scene([a, b], upstream="stream")
        async with scene.chain:
            await scene.calls(12)
            a.behave(SICK)
            await scene.calls(10)
            b.behave(Behaviour(fault=Status(503)))
            await scene.calls(30)

            assert [one.breaker.state for one in scene.chain.health().endpoints] == ["closed", "open"]
            assert set(scene.by) == {"a"}


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
@virtual_time
async def test_huge_prompts_among_small_ones_open_nothing(stream: bool) -> None:
    """A quarter of the prompts takes half a minute to read, in runs of any length."""

    async def reading(request: Request) -> AsyncGenerator[str, None]:
        await anyio.sleep(0.4 + len(str(request.messages[0]["content"])) / 4 / 5000)
        yield "read"

    a, b = ScriptedEndpoint(reading, name="a"), ScriptedEndpoint(reading, name="b")
    sink = RecordingSink()
    settings: dict[str, Any] = {"upstream": "stream"} if stream else {}
    chain = fallbackio.Chain([a.endpoint, b.endpoint], sinks=[sink], seed=1, **settings)
    huge = "word " * 100_000
    lots = random.Random(1)
    async with chain, anyio.create_task_group() as group:
        for _ in range(600):
            group.start_soon(chain.complete, huge if lots.random() < 0.25 else "word")
            await anyio.sleep(0.2)

    assert [event for event in sink.events if isinstance(event, BreakerMoved)] == []
    assert b.requests == 0


@virtual_time
async def test_a_brown_out_shows_where_all_prompts_are_long() -> None:
    """A long prompt explains nothing if it is as long as ever."""
    async with Simulator(seed=2) as sim:
        a, b = sim.add("a", WELL), sim.add("b", WELL)
        scene = Scene([a, b], upstream="stream")
        async with scene.chain:
            await scene.calls(12, prompt="word " * 40_000)
            a.behave(SICK)
            await scene.calls(10, prompt="word " * 40_000)
            assert scene.opened == ["a"]


@virtual_time
async def test_bursts_open_nothing() -> None:
    """Of calls that begin together the stragglers end last, in a row."""
    async with Simulator(seed=2) as sim:
        well = Behaviour(latency=Lognormal(0.5, 0.25, straggler_ratio=0.04, straggler_factor=7))
        scene = Scene([sim.add("a", well), sim.add("b", well)], upstream="stream")
        async with scene.chain:
            for _ in range(4):
                async with anyio.create_task_group() as group:
                    for _ in range(150):
                        group.start_soon(scene.chain.complete, "hi")
                await anyio.sleep(30)
            assert scene.opened == []


@virtual_time
async def test_a_slow_answer_that_breaks_counts_once() -> None:
    """It failed, its breaker had heard before that it was late, and the ledger says both."""
    async with Simulator(seed=2) as sim:
        a, b = sim.add("a", WELL), sim.add("b", WELL)
        scene = Scene([a, b], on_break="raise", upstream="stream")
        async with scene.chain:
            await scene.calls(12)
            await scene.chain.rehearse("hi")
            a.behave(Behaviour(latency=5.0, tokens=5, fault=Cut(2)))
            with pytest.raises(StreamBroken) as caught:
                async with scene.chain.stream("hi") as stream:
                    async for _ in stream:
                        pass
            [attempt] = caught.value.attempts
            assert "failed" == attempt.outcome
            assert attempt.notes[0].startswith("slow: first content after 5.00 s")
            assert 1 == scene.chain._routes[0].breaker.fail_counter


@virtual_time
async def test_a_long_answer_tells_at_its_first_content() -> None:
    """A brown-out is left while the first slow answers are still being read, a minute long each."""
    async with Simulator(seed=2) as sim:
        a, b = sim.add("a", WELL), sim.add("b", WELL)
        scene = Scene([a, b], attempt_timeout=None, upstream="stream")
        async with scene.chain:
            await scene.calls(12)
            await scene.chain.rehearse("hi")
            a.behave(Behaviour(latency=Lognormal(5.0, 0.1), tokens=600, pace_s=0.1))
            await scene.calls(10)
            opened = next(event for event in scene.sink.events if isinstance(event, BreakerMoved))
            assert ("a", "open") == (opened.endpoint, opened.new)
            assert 5 <= scene.by.count("b")


@virtual_time
async def test_answers_that_began_before_a_brown_out_do_not_hide_it() -> None:
    """They end in the midst of it, well, and say nothing of how soon an answer begins by then."""
    async with Simulator(seed=2) as sim:
        a, b = sim.add("a", LONG), sim.add("b", LONG)
        scene = Scene([a, b], attempt_timeout=None, upstream="stream")
        async with scene.chain, anyio.create_task_group() as group:
            group.start_soon(scene.calls, 50)
            await anyio.sleep(40)
            assert scene.opened == []
            a.behave(attrs.evolve(LONG, latency=SICK.latency))
            await anyio.sleep(11)
            assert scene.opened == ["a"]


@virtual_time
async def test_answers_that_began_before_an_outage_do_not_hide_it() -> None:
    """At a call in four seconds, whose answers take half a minute: the third that is refused opens it."""
    async with Simulator(seed=2) as sim:
        a, b = sim.add("a", LONG), sim.add("b", LONG)
        scene = Scene([a, b], attempt_timeout=None, upstream="stream")
        async with scene.chain, anyio.create_task_group() as group:
            group.start_soon(scene.calls, 54, 0.25)
            await anyio.sleep(41)
            a.behave(Behaviour(fault=Status(503)))
            await anyio.sleep(12)
            assert scene.opened == ["a"]
            assert a.stats.by_status[503] == 3


@virtual_time
async def test_stragglers_among_long_answers_open_nothing() -> None:
    """An answer that begins in time says so then, and not half a minute later."""
    async with Simulator(seed=2) as sim:
        tail = Lognormal(0.5, 0.25, straggler_ratio=0.1, straggler_factor=7)
        scene = Scene(
            [sim.add(name, attrs.evolve(LONG, latency=tail)) for name in "ab"],
            attempt_timeout=None,
            upstream="stream",
        )
        async with scene.chain:
            await scene.calls(120)
            assert scene.opened == []


@virtual_time
async def test_a_slow_member_of_a_pool_is_left_to_itself() -> None:
    """A pool's balance has gone elsewhere anyhow, and nobody else is taken for slow."""
    async with Simulator(seed=2) as sim:
        a, b, c = [sim.add(name, WELL) for name in "abc"]
        scene = Scene([a, b, c], pooled=True)
        async with scene.chain:
            await scene.calls(12, per_s=6)
            a.behave(SICK)
            await scene.calls(10)
            await scene.calls(40)
            assert set(scene.opened) <= {"a"}
            assert scene.by.count("a") <= 4


@pytest.mark.parametrize("way", ["plain", "sequence", "hedge"])
@virtual_time
async def test_it_can_be_switched_off(way: str) -> None:
    """With `slow_medians=None` an endpoint that answers is well, however late; a fixed delay hedges on."""
    async with Simulator(seed=2) as sim:
        a, b = sim.add("a", WELL), sim.add("b", WELL)
        settings = {**WAYS[way], "breaker": BreakerPolicy(slow_medians=None, slow_after_s=100)}
        if way == "hedge":
            settings["strategy"] = Hedge(delay=60)
        scene = Scene([a, b], **settings)
        async with scene.chain:
            await scene.calls(12)
            a.behave(SICK)
            await scene.calls(30)
            assert scene.opened == []
            assert set(scene.by) == {"a"}


# A slow endpoint whose spare is no help.

SPARES: dict[str, Behaviour] = {
    "fails": attrs.evolve(WELL, fault=Status(503)),
    "is silent": attrs.evolve(WELL, fault=Silence()),
    "is throttled": attrs.evolve(WELL, fault=Status(429, retry_after_s=20)),
    "is slower": Behaviour(latency=20.0, tokens=5),
}


@pytest.mark.parametrize(
    ("way", "known"),
    [("plain", True), ("sequence", True), ("sequence", False), ("hedge", True), ("race", True)],
    ids=lambda value: {True: "known to be quick", False: "unknown"}.get(value, value),
)
@pytest.mark.parametrize("spare", SPARES)
@virtual_time
async def test_a_slow_endpoint_is_better_than_none(way: str, known: bool, spare: str) -> None:
    """Every call is answered, nearly all by the slow one, and only a few wait for the spare in vain."""
    async with Simulator(seed=2) as sim:
        a, b = sim.add("a", WELL), sim.add("b", WELL)
        scene = Scene([a, b], **{**WAYS[way], "timeout": 60, "attempt_timeout": None})
        async with scene.chain:
            await scene.calls(12)
            if known:
                await scene.chain.rehearse("hi")
            a.behave(SICK)
            b.behave(SPARES[spare])
            await scene.calls(40, per_s=1)
            assert sorted(scene.took)[35] < 40
            await scene.calls(40, per_s=1)
            assert scene.by.count("a") > 30
            assert sorted(scene.took)[32] < 12


@virtual_time
async def test_no_call_leaves_a_slow_endpoint_that_is_about_to_answer() -> None:
    """Nobody knows how many of those that wait there the spare could take at once."""
    async with Simulator(seed=2) as sim:
        a, b = sim.add("a", WELL), sim.add("b", WELL)
        scene = Scene([a, b], upstream="stream")
        async with scene.chain:
            await scene.calls(12)
            await scene.chain.rehearse("hi")
            a.behave(Behaviour(latency=5.0))
            await scene.calls(8)
            assert scene.opened == ["a"]
            assert [route.tempo.firsts.samples for route in scene.chain._routes][1] < 10


@virtual_time
async def test_a_spare_that_was_down_is_tried_when_its_rest_is_over() -> None:
    """Nobody asks it while the first is well, so nobody else finds out that it has recovered."""
    async with Simulator(seed=2) as sim:
        a, b = sim.add("a", WELL), sim.add("b", WELL)
        scene = Scene([a, b])
        async with scene.chain:
            await scene.calls(12)
            scene.chain._routes[1].breaker.open()
            await anyio.sleep(3600)
            await scene.calls(12)
            a.behave(SICK)
            await scene.calls(30)
            await scene.calls(12)
            assert scene.by.count("b") > 20


@pytest.mark.parametrize("limit_s", [1.0, 3.0])
@virtual_time
async def test_impatient_callers_are_not_all_lost_to_probes(limit_s: float) -> None:
    """A probe that was given up when others would have been answered is followed by none for a while."""
    async with Simulator(seed=2) as sim:
        a, b = sim.add("a", Behaviour(latency=0.4)), sim.add("b", Behaviour(latency=0.4))
        scene = Scene([a, b], attempt_timeout=None)
        async with scene.chain:
            await scene.calls(20)
            await scene.chain.rehearse("hi")
            a.behave(Behaviour(latency=5.0))
            await scene.calls(10)
            assert scene.opened == ["a"]
            answered = 0
            for _ in range(60):
                with anyio.move_on_after(limit_s):
                    await scene.chain.complete("hi")
                    answered += 1
                await anyio.sleep(1)
            assert answered >= 45
