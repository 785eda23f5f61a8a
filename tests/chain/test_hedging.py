"""Hedge and race over real sockets, in virtual time: who starts when, who wins, what losing means."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from typing import Any

import anyio
import pytest
from attrs import field, frozen

import fallbackio
from fallbackio import Endpoint, Hedge, Race, clock
from fallbackio.errors import ChainExhausted, DeadlineExceeded, InvalidRequest, ServerFault
from fallbackio.events import FailedOver
from fallbackio.simulator import (
    Behaviour,
    Cut,
    Fault,
    InTurn,
    Silence,
    SimulatedEndpoint,
    Simulator,
    Stall,
    Status,
)
from fallbackio.testing import RecordingSink, ScriptedEndpoint, answers, stalls, virtual_time


@frozen
class Scenario:
    """Endpoints named a, b, c …, and how the chain goes about them."""

    endpoints: Sequence[Behaviour]
    strategy: Any = field(factory=lambda: Hedge(delay=0.25))
    settings: dict[str, Any] = field(factory=dict)


@frozen
class Outcome:
    """What came of one call, and what was left 50 ms later."""

    text: str
    at: float
    ledger: list[tuple[str, str, float]]  # endpoint, outcome, start
    left: int
    permits: int
    sim: list[SimulatedEndpoint]
    chain: fallbackio.Chain


def says(text: str, after_s: float = 0.0, fault: Fault | None = None) -> Behaviour:
    return Behaviour(latency=after_s, text=text, fault=fault)


def build(
    sim: Simulator, scenario: Scenario, **settings: Any
) -> tuple[fallbackio.Chain, list[SimulatedEndpoint]]:
    named = zip("abcdefgh", scenario.endpoints, strict=False)
    simulated = [sim.add(name, behaviour) for name, behaviour in named]
    steps = [Endpoint("m", name=one.name, base_url=one.url("openai"), api_key="k") for one in simulated]
    all_settings = {"attempt_timeout": 10, "seed": 1, **scenario.settings, **settings}
    return fallbackio.Chain(steps, strategy=scenario.strategy, **all_settings), simulated


async def play(scenario: Scenario, *, stream: bool = False) -> Outcome:
    async with Simulator() as sim:
        chain, simulated = build(sim, scenario)
        async with chain:
            if stream:
                async with chain.stream("hi") as answer:
                    text = "".join([delta.text async for delta in answer])
                report = answer.report
            else:
                reply = await chain.complete("hi")
                text, report = reply.text, reply.report
            at = anyio.current_time()
            await anyio.sleep(0.05)
            return Outcome(
                text=text,
                at=at,
                ledger=[(a.endpoint, a.outcome, round(a.started_s, 3)) for a in report.attempts],
                left=sum(one.stats.in_flight for one in simulated),
                permits=sum(route.breaker.in_flight for route in chain._routes),
                sim=simulated,
                chain=chain,
            )


def assert_clean(outcome: Outcome) -> None:
    assert (outcome.left, outcome.permits) == (0, 0)


@pytest.mark.parametrize("stream", [False, True], ids=["complete", "stream"])
@virtual_time
async def test_the_second_starts_after_the_delay_and_wins(stream: bool) -> None:
    """A slow first endpoint costs one delay, not its own time; its request is cut at once."""
    outcome = await play(Scenario([says("a", 60), says("b", 0.1)], Hedge(delay=0.25)), stream=stream)

    assert outcome.text == "b"
    # The delay starts anew at the sign of life, here at once, and a request takes no virtual time.
    assert outcome.at == pytest.approx(0.25 + 0.1, abs=1e-3)
    assert outcome.ledger == [("a", "cut", 0.0), ("b", "won", 0.25)]
    assert outcome.sim[0].stats.cancelled == 1
    assert_clean(outcome)


@virtual_time
async def test_a_healthy_first_is_not_hedged() -> None:
    """An answer within the delay is one request."""
    outcome = await play(Scenario([says("a", 0.2), says("b")], Hedge(delay=0.25)))

    assert outcome.ledger == [("a", "won", 0.0)]
    assert outcome.sim[1].stats.requests == 0


@virtual_time
async def test_a_failure_before_the_delay_starts_the_next_at_once() -> None:
    """An error does not wait for the timer, and does not win."""
    outcome = await play(Scenario([says("a", fault=Status(500)), says("b", 0.1)], Hedge(delay=5)))

    assert outcome.text == "b"
    assert outcome.at == pytest.approx(0.1, abs=1e-3)
    assert outcome.ledger == [("a", "failed", 0.0), ("b", "won", 0.0)]


@virtual_time
async def test_a_fast_error_of_the_hedge_does_not_win() -> None:
    """The first good answer wins: a failing hedge leaves the slow first its chance."""
    outcome = await play(Scenario([says("a", 1), says("b", fault=Status(500))], Hedge(delay=0.25)))

    assert outcome.text == "a"
    assert outcome.at == pytest.approx(1, abs=1e-3)
    assert outcome.ledger == [("a", "won", 0.0), ("b", "failed", 0.25)]
    assert_clean(outcome)


@virtual_time
async def test_the_delay_grows_between_further_candidates() -> None:
    """The third starts twice the delay after the second."""
    slow = says("never", 60)
    outcome = await play(Scenario([slow, slow, says("c", 0.1)], Hedge(delay=0.5, max_parallel=3)))

    assert outcome.text == "c"
    assert outcome.ledger == [("a", "cut", 0.0), ("b", "cut", 0.5), ("c", "won", 1.5)]
    assert outcome.at == pytest.approx(1.6, abs=1e-3)


@virtual_time
async def test_no_more_than_max_parallel_run_at_once() -> None:
    """With two at once, the third waits for a failure."""
    outcome = await play(Scenario([says("a", 3), says("b", 60), says("c")], Hedge(delay=0.5)))

    assert outcome.text == "a"
    assert outcome.sim[2].stats.requests == 0


@virtual_time
async def test_a_race_starts_all_at_once() -> None:
    """Race asks everybody at 0 and cuts the rest at the first content."""
    outcome = await play(Scenario([says("a", 3), says("b", 1), says("c", 0.2)], Race()))

    assert outcome.text == "c"
    assert outcome.at == pytest.approx(0.2, abs=1e-3)
    assert outcome.ledger == [("a", "cut", 0.0), ("b", "cut", 0.0), ("c", "won", 0.0)]
    assert_clean(outcome)


@virtual_time
async def test_a_races_width_is_kept_and_refilled_by_failures() -> None:
    """Race(width=2) asks two, and the next when one of them fails."""
    scenario = Scenario(
        [says("a", 3), says("b", fault=Status(500, after_s=0.5)), says("c", 0.2)], Race(width=2)
    )
    outcome = await play(scenario)

    assert outcome.text == "c"
    assert outcome.ledger == [("a", "cut", 0.0), ("b", "failed", 0.0), ("c", "won", 0.5)]


@pytest.mark.parametrize(
    ("strategy", "second_after"), [(Race(), 1.0), (Hedge(delay=0.5), 0.5)], ids=["race", "hedge"]
)
@virtual_time
async def test_two_in_one_tick_make_one_winner(strategy: Any, second_after: float) -> None:
    """Both have content at the same instant: one wins, the other is closed, both permits are back."""
    outcome = await play(Scenario([says("a", 1.0), says("b", second_after)], strategy))

    assert [how for _, how, _ in outcome.ledger].count("won") == 1
    assert outcome.at == pytest.approx(1.0, abs=1e-3)
    assert_clean(outcome)


@virtual_time
async def test_a_fatal_failure_ends_the_contest() -> None:
    """A 400 fails everywhere: it is raised at once and the others are cut."""
    async with Simulator() as sim:
        scenario = Scenario([says("a", 60), says("b", fault=Status(400))], Hedge(delay=0.25))
        chain, simulated = build(sim, scenario)
        async with chain:
            with pytest.raises(InvalidRequest) as caught:
                await chain.complete("hi")

            assert anyio.current_time() == pytest.approx(0.25, abs=1e-3)
            assert [(a.endpoint, a.outcome) for a in caught.value.attempts] == [("a", "cut"), ("b", "failed")]
            await anyio.sleep(0.05)
            assert [one.stats.in_flight for one in simulated] == [0, 0]
            assert [route.breaker.in_flight for route in chain._routes] == [0, 0]


@virtual_time
async def test_all_failing_is_repeated_and_then_said() -> None:
    """When every contestant has failed the plan goes on as in a sequence: repeats, then the error."""
    async with Simulator() as sim:
        broken = says("", fault=Status(500))
        chain, simulated = build(sim, Scenario([broken, broken], Race()))
        async with chain:
            with pytest.raises(ChainExhausted) as caught:
                await chain.complete("hi")

            assert sum(one.stats.requests for one in simulated) == 4
            assert isinstance(caught.value.__cause__, ExceptionGroup)
            assert {type(cause) for cause in caught.value.__cause__.exceptions} == {ServerFault}


@virtual_time
async def test_the_deadline_in_the_winners_tick() -> None:
    """An answer that arrives when the time runs out is delivered."""
    scenario = Scenario(
        [says("a", 60), says("b", 0.75)], Hedge(delay=0.25), {"timeout": 1.0, "attempt_timeout": 1.0}
    )
    outcome = await play(scenario)

    assert outcome.text == "b"
    assert outcome.at == pytest.approx(1.0, abs=1e-3)


@virtual_time
async def test_the_deadline_ends_all_of_them() -> None:
    """Running out of time under a race leaves nothing running and says deadline."""
    async with Simulator() as sim:
        silent = says("", fault=Silence())
        chain, simulated = build(sim, Scenario([silent, silent, silent], Race(), {"timeout": 2.0}))
        async with chain:
            with pytest.raises(DeadlineExceeded) as caught:
                await chain.complete("hi")

            assert anyio.current_time() == pytest.approx(2.0, abs=1e-3)
            assert len(caught.value.attempts) == 3
            await anyio.sleep(0.05)
            assert sum(one.stats.in_flight for one in simulated) == 0


@pytest.mark.parametrize("strategy", [Hedge(delay=0.25), Race()], ids=["hedge", "race"])
@virtual_time
async def test_a_black_hole_trips_although_others_win(strategy: Any) -> None:
    """Rule 4: losers that were slow by their own measure count, so five hits are enough."""
    async with Simulator() as sim:
        chain, (hole, well) = build(sim, Scenario([says("", fault=Silence()), says("b", 0.2)], strategy))
        async with chain:
            durations = []
            for _ in range(60):
                began = anyio.current_time()
                await chain.complete("hi")
                durations.append(anyio.current_time() - began)
                await anyio.sleep(0.01)

            probes = sum(1 for attempt in durations[5:] if attempt > 0.21)
            first_open = hole.stats.arrivals[4]
            early = [at for at in hole.stats.arrivals if at <= first_open + 4.9]
            assert len(early) == 5, "nothing reaches it while its circuit is open"
            assert durations[6] == pytest.approx(0.2, abs=1e-3)
            assert probes <= 3
            assert well.stats.requests == 60


@virtual_time
async def test_a_black_hole_in_a_race_is_probed_once_in_a_period() -> None:
    """A probe that was beaten taught nothing; the next goes out an open period later, not at once."""
    async with Simulator() as sim:
        chain, (hole, other) = build(sim, Scenario([says("a", 0.5), says("b", 1.0)], Race()))
        async with chain:
            for _ in range(20):  # so that it is known to take half a second
                assert (await chain.complete("hi")).text == "a"
            hole.behave(says("a", fault=Silence()))
            other.behave(says("b", 0.1))
            breaker = chain._routes[0].breaker
            breaker.open()
            begun, before = anyio.current_time(), hole.stats.requests
            while anyio.current_time() < begun + 60:
                assert (await chain.complete("hi")).text == "b"
            assert 10 <= hole.stats.requests - before <= 12
            assert breaker.phase == "half_open"
            assert 0.1 < breaker.retry_in_s <= breaker.policy.open_s

            hole.behave(says("a"))
            await anyio.sleep(breaker.retry_in_s)
            assert (await chain.complete("hi")).text == "a"
            assert breaker.recovered_at == anyio.current_time()


@virtual_time
async def test_callers_who_give_up_cost_a_race_no_probe() -> None:
    """A probe whose caller was cancelled, with no winner, leaves its place to the next at once."""
    async with Simulator() as sim:
        scenario = Scenario([says("a", fault=Silence()), says("b", fault=Silence())], Race())
        chain, simulated = build(sim, scenario)
        async with chain:
            for route in chain._routes:
                route.breaker.open()
            await anyio.sleep(6)
            for _ in range(10):
                with anyio.move_on_after(0.2):
                    await chain.complete("hi")
                assert [route.breaker.retry_in_s for route in chain._routes] == [0, 0]
            assert [one.stats.requests for one in simulated] == [10, 10]


@virtual_time
async def test_a_loser_cut_young_is_not_blamed() -> None:
    """A healthy second choice that loses to a first that came just after the delay stays closed."""
    async with Simulator() as sim:
        chain, _ = build(sim, Scenario([says("a", 0.3), says("b", 0.3)], Hedge(delay=0.25)))
        async with chain:
            for _ in range(30):
                assert (await chain.complete("hi")).text == "a"

            assert [route.breaker.phase for route in chain._routes] == ["closed", "closed"]
            assert chain._routes[1].breaker.fail_counter == 0


@virtual_time
async def test_an_adaptive_hedge_learns_when_to_start() -> None:
    """No hedge below 20 samples; then the delay is the 95th percentile of the endpoint's own times."""
    async with Simulator() as sim:
        chain, (a, b) = build(sim, Scenario([says("a", 0.4), says("b", 0.1)], Hedge()))
        async with chain:
            a.behave(says("a", 3))
            await chain.complete("hi")
            assert b.stats.requests == 0, "nothing is known yet"
            a.behave(says("a", 0.4))
            for _ in range(40):
                await chain.complete("hi")
            before = b.stats.requests
            a.behave(says("a", 60))
            began = anyio.current_time()
            reply = await chain.complete("hi")

            assert reply.text == "b"
            assert b.stats.requests == before + 1
            assert anyio.current_time() - began == pytest.approx(0.4 + 0.1, abs=0.01)


@virtual_time
async def test_the_budget_bounds_hedges_and_falls_to_the_floor() -> None:
    """When everything is slow, hedges stay near extra_load of the calls, apart from three at once."""
    async with Simulator() as sim:
        chain, (a, b) = build(sim, Scenario([says("a", 2), says("b", 3)], Hedge(delay=0.1, extra_load=0.05)))
        async with chain, anyio.create_task_group() as group:
            for _ in range(200):
                group.start_soon(chain.complete, "hi")
                await anyio.sleep(0.05)

        assert a.stats.requests == 200
        # Beyond its share of the calls only three hedges run at once, of the forty calls under way.
        assert b.stats.peak_in_flight <= 3
        assert b.stats.requests <= 0.2 * 200


@virtual_time
async def test_a_hedge_that_could_not_be_afforded_is_tried_again_a_delay_later() -> None:
    """The budget puts a hedge off and does not call it off."""
    a, b = ScriptedEndpoint(stalls(), name="a"), ScriptedEndpoint(answers("b", after_s=1.5), name="b")
    chain = fallbackio.Chain([a.endpoint, b.endpoint], strategy=Hedge(delay=1), attempt_timeout=60)
    at: list[float] = []

    async def ask() -> None:
        assert (await chain.complete("hi")).text == "b"
        at.append(round(anyio.current_time(), 3))

    async with anyio.create_task_group() as group:
        for _ in range(4):
            group.start_soon(ask)

    # Three extras at once are always allowed, so the fourth waits until theirs have ended.
    assert at == [2.5, 2.5, 2.5, 4.5]


@pytest.mark.parametrize(
    "strategy", [fallbackio.Sequence(), Hedge(delay=0.25), Race()], ids=["sequence", "hedge", "race"]
)
@virtual_time
async def test_total_outage_lets_the_load_fall(strategy: Any) -> None:
    """Twenty callers, everything down: after five seconds at most 1.2 upstream requests per call."""
    async with Simulator() as sim:
        down = Behaviour(fault=Status(500, after_s=0.05))
        chain, simulated = build(sim, Scenario([down, down, down], strategy))
        calls = 0

        async def caller() -> None:
            nonlocal calls
            while anyio.current_time() < 30:
                calls += 1
                with pytest.raises(ChainExhausted):
                    await chain.complete("hi")
                await anyio.sleep(0.2)

        async with chain, anyio.create_task_group() as group:
            for _ in range(20):
                group.start_soon(caller)
            await anyio.sleep(5)
            calls_before, sent_before = calls, sum(one.stats.requests for one in simulated)
        sent = sum(one.stats.requests for one in simulated) - sent_before
        assert sent / (calls - calls_before) <= 1.2


@virtual_time
async def test_a_winner_that_breaks_is_recovered_by_a_loser() -> None:
    """complete() has delivered nothing yet: an endpoint that lost the race may still save the call."""
    behaviours = [Behaviour(latency=1, text="a is whole"), Behaviour(pace_s=0.1, tokens=9, fault=Cut(4))]
    outcome = await play(Scenario(behaviours, Race()))

    assert outcome.text == "a is whole"
    assert [(name, how) for name, how, _ in outcome.ledger] == [("a", "cut"), ("b", "failed"), ("a", "won")]
    assert_clean(outcome)


@virtual_time
async def test_a_hedge_is_no_failover() -> None:
    """Starting a second attempt beside the first is not reported as a failover."""
    async with Simulator() as sim:
        sink = RecordingSink()
        scenario = Scenario([says("a", 0.4), says("b", 5)], Hedge(delay=0.25), {"sinks": [sink]})
        chain, _ = build(sim, scenario)
        async with chain:
            await chain.complete("hi")

        assert sink.of(FailedOver) == []


@virtual_time
async def test_a_loser_that_ignores_cancellation_delays_but_does_not_spoil() -> None:
    """A function of the user's that swallows cancellation for half a second holds the winner no longer."""

    async def stubborn(request: fallbackio.Request) -> str:
        try:
            await anyio.sleep(60)
        except anyio.get_cancelled_exc_class():
            with anyio.CancelScope(shield=True):
                await anyio.sleep(0.5)
            raise
        return "never"

    b = ScriptedEndpoint(answers("b"), name="b")
    chain = fallbackio.Chain(
        [Endpoint.calling(stubborn, name="a"), b.endpoint], strategy=Hedge(delay=0.25), seed=1
    )
    reply = await chain.complete("hi")

    assert reply.text == "b"
    assert anyio.current_time() <= 0.25 + 0.5 + 1e-3
    assert [route.breaker.in_flight for route in chain._routes] == [0, 0]


@virtual_time
async def test_an_attempt_that_cannot_begin_in_time_is_not_started() -> None:
    """Rule 3: an endpoint whose median is longer than what is left is passed over."""
    async with Simulator() as sim:
        chain, (a, _) = build(
            sim, Scenario([says("a", 2), says("b", 0.1)], fallbackio.Sequence()), upstream="stream"
        )
        async with chain:
            for _ in range(25):
                await chain.complete("hi")
            asked = a.stats.requests

            reply = await chain.complete("hi", timeout=1)
            assert reply.text == "b"
            assert a.stats.requests == asked
            assert reply.report.attempts[0].outcome == "skipped"


@virtual_time
async def test_the_last_one_is_asked_although_it_is_too_slow() -> None:
    """With nobody else to ask an endpoint is tried all the same: it may have become quicker."""
    async with Simulator() as sim:
        only, _ = build(sim, Scenario([says("a", 2)], fallbackio.Sequence()), upstream="stream")
        async with only:
            for _ in range(25):
                await only.complete("hi")
            with pytest.raises(DeadlineExceeded) as caught:
                await only.complete("hi", timeout=1)
            assert [attempt.outcome for attempt in caught.value.attempts] == ["cut"]
            assert only._routes[0].breaker.fail_counter == 0


@virtual_time
async def test_an_adaptive_first_content_limit_sees_a_stall_in_a_second() -> None:
    """ttft_timeout="adaptive" cuts a stall at 1.5 times the endpoint's own worst, at least 1 s."""
    async with Simulator() as sim:
        scenario = Scenario(
            [says("a", 0.4), says("b", 0.1)], fallbackio.Sequence(), {"ttft_timeout": "adaptive"}
        )
        chain, (a, _) = build(sim, scenario)
        async with chain:
            for _ in range(30):
                await chain.complete("hi")
            a.behave(says("a", fault=Stall("content")))
            began = anyio.current_time()
            reply = await chain.complete("hi")

            assert reply.text == "b"
            assert anyio.current_time() - began == pytest.approx(1.0 + 0.1, abs=0.01)


@virtual_time
async def test_an_adaptive_limit_does_not_feed_on_its_own_cuts() -> None:
    """What was cut at the limit does not raise it: a stall is cut as soon the tenth time."""
    async with Simulator() as sim:
        never_open = fallbackio.BreakerPolicy(consecutive=1000, rates=[])
        settings = {"ttft_timeout": "adaptive", "breaker": never_open}
        scenario = Scenario([says("a", 2), says("b", 0.1)], fallbackio.Sequence(), settings)
        chain, (a, _) = build(sim, scenario)
        async with chain:
            for _ in range(30):
                await chain.complete("hi")
            a.behave(says("a", fault=Stall("content")))
            for _ in range(10):
                began = anyio.current_time()
                await chain.complete("hi")
                assert anyio.current_time() - began == pytest.approx(1.5 * 2 + 0.1, abs=0.01)


@virtual_time
async def test_a_stall_in_the_middle_does_not_make_beginnings_look_slow() -> None:
    """Streams that begin quickly and then stand still leave the times to the first content as they are."""
    async with Simulator() as sim:
        scenario = Scenario([says("a", 0.4), says("b", 0.1)], Hedge(), {"idle_timeout": 5})
        chain, (a, _) = build(sim, scenario)
        async with chain:
            for _ in range(30):
                await chain.complete("hi")
            a.behave(Behaviour(latency=0.4, tokens=9, fault=Stall(at=3)))
            for _ in range(3):
                await chain.complete("hi")

            first_content = chain.health().endpoints[0].first_content
            assert first_content.samples == 33
            assert first_content.p99_s == pytest.approx(0.4, abs=0.01)


@virtual_time
async def test_drained_losers_keep_their_connection_and_end_with_the_chain() -> None:
    """drain_losers lets an accepted loser finish in the background, bounded, and aclose ends it."""
    async with Simulator() as sim:
        scenario = Scenario([says("a", 1), says("b", 0.1)], Hedge(delay=0.25, drain_losers=2))
        chain, (a, _) = build(sim, scenario)
        async with chain:
            assert (await chain.complete("hi")).text == "b"
            assert a.stats.in_flight == 1
            await anyio.sleep(1)
            assert (a.stats.completed, a.stats.cancelled) == (1, 0)

            a.behave(says("a", fault=Stall("content")))
            await chain.complete("hi")
            await anyio.sleep(2.1)
            assert (a.stats.in_flight, a.stats.cancelled) == (0, 1), "after its time it is cut"
            await chain.complete("hi")
            assert a.stats.in_flight == 1
        await anyio.sleep(0.05)
        assert a.stats.in_flight == 0, "aclose ends what is left"


@pytest.mark.parametrize(
    "eager",
    [
        False,
        pytest.param(
            True,
            marks=pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks came with Python 3.12"),
        ),
    ],
    ids=["lazy", "eager"],
)
def test_under_an_eager_task_factory(eager: bool) -> None:
    """The race holds when tasks run before they are awaited (Python 3.12 and later)."""
    from fallbackio.testing import VirtualTimeLoop

    async def main() -> None:
        if eager:
            asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)  # type: ignore[attr-defined,unused-ignore]
        for strategy in (Race(), Hedge(delay=0.25)):
            a = ScriptedEndpoint(stalls(), name="a")
            b, c = ScriptedEndpoint(answers("b"), name="b"), ScriptedEndpoint(answers("c"), name="c")
            chain = fallbackio.Chain([a.endpoint, b.endpoint, c.endpoint], strategy=strategy)
            reply = await chain.complete("hi")
            assert reply.text in {"b", "c"}
            assert [a.running, b.running, c.running] == [0, 0, 0]
            assert [route.breaker.in_flight for route in chain._routes] == [0, 0, 0]

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(main())


@virtual_time
async def test_hedging_streams_deliver_the_winner_only() -> None:
    """The consumer of a hedged stream sees one answer, with the winner's timing."""
    async with Simulator() as sim:
        quick = Behaviour(latency=0.1, text="one two three", pace_s=0.5)
        chain, simulated = build(sim, Scenario([says("a", 60), quick], Hedge(delay=0.25)))
        async with chain:
            arrivals = []
            async with chain.stream("hi") as stream:
                async for delta in stream:
                    if delta.text:
                        arrivals.append(anyio.current_time())
            assert arrivals == pytest.approx([0.35, 0.85, 1.35], abs=1e-3)
            assert stream.reply.text == "one two three"
            assert simulated[0].stats.cancelled == 1


@virtual_time
async def test_repeats_spend_from_one_budget() -> None:
    """T27: twenty concurrent callers in an outage do not get max_retries each."""
    async with Simulator() as sim:
        flaky = Behaviour(fault=InTurn(tuple([Status(500)] * 400), repeat=True))
        scenario = Scenario([flaky], fallbackio.Sequence())
        lenient = fallbackio.BreakerPolicy(consecutive=10_000, rates=())
        chain, (a,) = build(sim, scenario, breaker=lenient)
        async with chain, anyio.create_task_group() as group:

            async def caller() -> None:
                with pytest.raises(ChainExhausted):
                    await chain.complete("hi")

            for _ in range(50):
                group.start_soon(caller)

        assert a.stats.requests <= 50 * 1.2 + 2 * 3


@virtual_time
async def test_leaving_a_winners_stream_early_blames_nobody() -> None:
    """The winner of a race that the consumer leaves late is no slow loser."""
    async with Simulator() as sim:
        slow = Behaviour(latency=0.1, tokens=9, pace_s=1)
        chain, _ = build(sim, Scenario([slow, says("b", 5)], Race()))
        async with chain:
            for _ in range(6):
                async with chain.stream("hi") as stream:
                    async for _ in stream:
                        if anyio.current_time() > 2:
                            break

            assert chain._routes[0].breaker.fail_counter == 0


@pytest.mark.parametrize("strategy", [Race(), Hedge(delay=0.2, max_parallel=3)], ids=["race", "hedge"])
@virtual_time
async def test_those_that_run_at_once_share_no_time(strategy: Any) -> None:
    """Three at once have the whole call each: the healthy one may answer late in it."""
    silent = says("", fault=Silence())
    outcome = await play(Scenario([says("a", 6), silent, silent], strategy, {"timeout": 10.0}))

    assert outcome.text == "a"


@pytest.mark.parametrize("strategy", [Hedge(delay=1), Race()], ids=["hedge", "race"])
@pytest.mark.parametrize("order", ["back silent", "silent back", "silent back silent"])
@virtual_time
async def test_one_that_comes_back_slowly_has_its_share_of_the_time(order: str, strategy: Any) -> None:
    """Nobody runs beside others who has just recovered: who is silent leaves him time to answer."""
    names = [f"{what}-{place}" for place, what in enumerate(order.split())]
    scripts = [answers("back") if name.startswith("back") else stalls() for name in names]
    steps = [ScriptedEndpoint(script, name=name) for script, name in zip(scripts, names, strict=True)]
    chain = fallbackio.Chain(
        [one.endpoint for one in steps],
        strategy=strategy,
        timeout=20,
        attempt_timeout=None,
        breaker=fallbackio.BreakerPolicy(ramp_s=1000),
        seed=1,
    )
    breaker = chain._routes[order.split().index("back")].breaker
    breaker.open()
    await anyio.sleep(1)
    breaker.close()

    reply = await chain.complete("hi")

    assert reply.text == "back"
    assert anyio.current_time() == pytest.approx(1 + 20 / 2)


@virtual_time
async def test_a_race_in_waves_leaves_the_last_its_turn() -> None:
    """With two of three at once and no limit of their own, the third still gets half the time."""
    silent = says("", fault=Silence())
    settings = {"timeout": 10.0, "attempt_timeout": None}
    outcome = await play(Scenario([silent, silent, says("c", 1)], Race(width=2), settings))

    assert outcome.text == "c"
    assert outcome.at == pytest.approx(6, abs=1e-3)


@virtual_time
async def test_a_callers_own_cancellation_is_never_swallowed() -> None:
    """Task.cancel() at any turn of the loop ends the task, also in the winner's tick."""
    for turn in range(40):
        endpoints = [ScriptedEndpoint(answers("x y z"), name=name).endpoint for name in "ab"]
        chain = fallbackio.Chain(endpoints, strategy=Hedge(delay=0.0 if turn % 2 else 0.2))

        async def worker(chain: fallbackio.Chain = chain) -> None:
            await chain.complete("hi")
            await anyio.sleep(10)
            pytest.fail("the cancellation was lost")

        task = asyncio.ensure_future(worker())
        for _ in range(turn):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled(), f"turn {turn}"


@pytest.mark.parametrize("strategy", [Race(), Hedge(delay=0.1)], ids=["race", "hedge"])
@virtual_time
async def test_a_first_choice_that_wins_its_race_has_not_fallen_back(strategy: Any) -> None:
    """`fell_back` speaks of who answered, not of who was asked beside it."""
    async with Simulator() as sim:
        chain, _ = build(sim, Scenario([says("a", 0.2), says("b", 5)], strategy))
        async with chain:
            reply = await chain.complete("hi")

    assert reply.report.endpoint == "a"
    assert not reply.report.fell_back


@virtual_time
async def test_first_good_returns_the_first_that_does_not_raise() -> None:
    """The race by itself: the slow are cancelled, failures do not win, None is a result too."""
    cancelled = []

    async def slow() -> str:
        try:
            await anyio.sleep(60)
        except anyio.get_cancelled_exc_class():
            cancelled.append("slow")
            raise
        return "slow"

    async def broken() -> str:
        raise ValueError("no")

    async def quick() -> None:
        await anyio.sleep(0.5)

    assert await fallbackio.first_good([slow, broken, quick]) is None
    assert anyio.current_time() == pytest.approx(0.5)
    assert cancelled == ["slow"]
    with pytest.raises(ChainExhausted) as caught:
        await fallbackio.first_good([broken, broken])
    assert isinstance(caught.value.__cause__, ExceptionGroup)
    with pytest.raises(DeadlineExceeded):
        await fallbackio.first_good([slow], timeout=1)
    with pytest.raises(fallbackio.ConfigError):
        await fallbackio.first_good([])
    with pytest.raises(fallbackio.ConfigError, match="delay"):
        await fallbackio.first_good([slow], strategy=Hedge())
    called = quick()
    with pytest.raises(fallbackio.ConfigError, match=r"leave out the \(\)"):
        await fallbackio.first_good([slow, called])  # type: ignore[arg-type]
    called.close()
    with pytest.raises(fallbackio.ConfigError, match="takes a list of functions"):
        await fallbackio.first_good(slow)  # type: ignore[arg-type]


@virtual_time
async def test_a_spare_that_began_later_is_not_blamed_for_losing() -> None:
    """A second choice as quick as the first loses by its later start, and keeps its circuit closed."""
    async with Simulator() as sim:
        chain, (_, b) = build(
            sim, Scenario([says("a", 1.0), says("b", 1.0)], Hedge(delay=0.5, extra_load=1.0))
        )
        async with chain:
            for _ in range(30):
                assert (await chain.complete("hi")).report.endpoint == "a"

            assert b.stats.requests == 30
            assert chain._routes[1].breaker.phase == "closed"


@virtual_time
async def test_calls_leave_an_endpoint_with_its_breaker_whatever_the_budget() -> None:
    """Who waits where the breaker has tripped moves on at the next delay, and spends no budget on it."""
    silent, well = ScriptedEndpoint(stalls(), name="silent"), ScriptedEndpoint(answers("hello"), name="well")
    policy = fallbackio.BreakerPolicy(consecutive=3)
    took: list[float] = []

    async def ask(chain: fallbackio.Chain) -> None:
        began = anyio.current_time()
        await chain.complete("hi")
        took.append(anyio.current_time() - began)

    async with fallbackio.Chain(
        [silent.endpoint, well.endpoint],
        strategy=Hedge(delay=1.0, extra_load=0.01),
        breaker=policy,
        attempt_timeout=60,
    ) as chain:
        async with anyio.create_task_group() as group:
            for _ in range(20):
                group.start_soon(ask, chain)

    # Three hedges are allowed at once; they trip the breaker, and the rest follow a delay later.
    assert sorted(took) == pytest.approx([1.0] * 3 + [2.0] * 17, abs=0.01)
    assert silent.requests == 20
    assert well.requests == 20


@pytest.mark.parametrize("opens", [True, False], ids=["open", "closed"])
@virtual_time
async def test_who_waits_where_the_breaker_is_open_takes_no_place(opens: bool) -> None:
    """A silent first whose breaker has opened and a straggling second leave room for a third."""
    silent, third = (
        ScriptedEndpoint(stalls(), name="silent"),
        ScriptedEndpoint(answers("third"), name="third"),
    )
    straggler = ScriptedEndpoint(answers("second", after_s=8), name="straggler")
    chain = fallbackio.Chain(
        [silent.endpoint, straggler.endpoint, third.endpoint], strategy=Hedge(delay=1.0), attempt_timeout=60
    )
    if opens:
        clock.call_at(0.5, chain._routes[0].breaker.open)

    reply = await chain.complete("hi")

    # The third is due two delays after the second.
    assert (reply.text, round(anyio.current_time(), 3)) == (("third", 3.0) if opens else ("second", 9.0))
    assert (silent.running, straggler.running, third.running) == (0, 0, 0)


@virtual_time
async def test_attempts_left_behind_are_as_many_as_the_endpoints_at_most() -> None:
    """With every breaker open nobody is asked beside the others but once."""
    silent = [ScriptedEndpoint(stalls(), name=name) for name in "abcd"]
    chain = fallbackio.Chain([one.endpoint for one in silent], strategy=Hedge(delay=1.0), timeout=30, seed=1)
    for number, route in enumerate(chain._routes):
        clock.call_at(0.5 + 2**number, route.breaker.open)

    with pytest.raises(DeadlineExceeded):
        await chain.complete("hi")

    assert all(one.requests <= 1 for one in silent)
