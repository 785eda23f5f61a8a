"""A sequence leaves an endpoint whose breaker opens while a call waits there; and whom it does not leave."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import anyio
import attrs
import pytest
from attrs import define, field

import fallbackio
from fallbackio import BreakerPolicy, Endpoint, clock, errors
from fallbackio.chain._patience import Patience
from fallbackio.errors import ChainExhausted, Refused, TimedOut
from fallbackio.events import CallEnded, FailedOver
from fallbackio.model import Delta
from fallbackio.simulator import Behaviour, Silence, SimulatedEndpoint, Simulator, Stall, Status
from fallbackio.testing import RecordingSink, ScriptedEndpoint, answers, fails, stalls, virtual_time

LIMIT_S = 10.0
USUAL_S = 1.0
SPARE_S = 0.5
GAP_S = 0.05
# When the fifth call is due, and when it times out.
FIFTH_S = 0.2
TRIP_S = FIFTH_S + LIMIT_S

Ask = Callable[[fallbackio.Chain], Coroutine[Any, Any, fallbackio.Report]]


async def complete(chain: fallbackio.Chain) -> fallbackio.Report:
    return (await chain.complete("hi")).report


async def read(chain: fallbackio.Chain) -> fallbackio.Report:
    async with chain.stream("hi") as stream:
        async for _ in stream:
            pass
    return stream.report


@define
class Traffic:
    """Calls, by when they were due: when they were over, and how they went; instants from `begin`."""

    chain: fallbackio.Chain
    ask: Ask
    begin: float = field(factory=anyio.current_time)
    over: dict[float, float] = field(factory=dict)
    reports: dict[float, fallbackio.Report] = field(factory=dict)

    async def call(self, due: float) -> None:
        await anyio.sleep_until(self.begin + due)
        self.reports[due] = await self.ask(self.chain)
        self.over[due] = round(anyio.current_time() - self.begin, 3)

    async def calls(self, first: int, last: int) -> None:
        """One every gap, from the `first`-th to before the `last`-th."""
        async with anyio.create_task_group() as group:
            for number in range(first, last):
                group.start_soon(self.call, round(number * GAP_S, 3))


def build(
    simulated: list[SimulatedEndpoint], *, dialect: str = "openai", **settings: Any
) -> fallbackio.Chain:
    steps = [
        Endpoint("m", name=one.name, base_url=one.url(dialect), dialect=dialect, api_key="k")
        for one in simulated
    ]
    return fallbackio.Chain(steps, **{"attempt_timeout": LIMIT_S, "seed": 1, **settings})


async def get_to_know(chain: fallbackio.Chain, ask: Ask) -> None:
    """So many answers that it is known how long they take."""
    async with anyio.create_task_group() as group:
        for _ in range(30):
            group.start_soon(ask, chain)


def assert_nothing_left(chain: fallbackio.Chain, simulated: list[SimulatedEndpoint]) -> None:
    assert [one.stats.in_flight for one in simulated] == [0] * len(simulated)
    for route in chain._routes:
        assert (route.breaker.in_flight, route.breaker.waiting, route.room.in_flight) == (0, {}, 0)


KINDS: list[Any] = [
    pytest.param(complete, "plain", id="complete"),
    pytest.param(complete, "stream", id="complete over a stream"),
    pytest.param(read, "plain", id="stream"),
]


@pytest.mark.parametrize("fault", [Silence(), Stall("headers", for_s=30), Stall("content")], ids=repr)
@pytest.mark.parametrize(("ask", "upstream"), KINDS)
@virtual_time
async def test_calls_at_a_black_hole_go_on_when_its_breaker_opens(
    ask: Any, upstream: str, fault: Any
) -> None:
    """Five pay with a timeout; the others go on in that instant, or when they are older than usual."""
    async with Simulator() as sim:
        simulated = primary, _ = [
            sim.add("primary", Behaviour(latency=USUAL_S)),
            sim.add("spare", Behaviour(latency=SPARE_S)),
        ]
        sink = RecordingSink()
        async with build(simulated, upstream=upstream, sinks=[sink]) as chain:
            await get_to_know(chain, ask)
            primary.behave(Behaviour(fault=fault))
            traffic = Traffic(chain, ask)
            await traffic.calls(0, 240)

            for due, over in traffic.over.items():
                if due <= FIFTH_S:
                    goes_on, outcomes = due + LIMIT_S, ["failed", "won"]
                elif due <= TRIP_S:
                    goes_on, outcomes = max(TRIP_S, due + USUAL_S), ["cut", "won"]
                else:
                    goes_on, outcomes = due, ["skipped", "won"]
                assert over == pytest.approx(goes_on + SPARE_S, abs=0.01), due
                assert [one.outcome for one in traffic.reports[due].attempts] == outcomes, due
            left = traffic.reports[1.0].attempts[0]
            assert isinstance(left.error, Refused)
            assert left.error.sent
            what = "answer" if ask is complete and upstream == "plain" else "content"
            assert str(left.error) == f"primary: left: no {what} within 9.2 s, and its circuit has opened"
            moved = [event.error for event in sink.events if isinstance(event, FailedOver)]
            assert sum(isinstance(error, Refused) and error.sent for error in moved) >= 200
            assert sum(isinstance(error, TimedOut) for error in moved) == 5
            assert_nothing_left(chain, simulated)


@virtual_time
async def test_who_times_out_in_the_tick_of_the_opening_has_timed_out() -> None:
    """Of calls whose limits end together each says so, also those that did not open the breaker."""
    silent, well = ScriptedEndpoint(stalls(), name="silent"), ScriptedEndpoint(answers(), name="well")
    chain = fallbackio.Chain([silent.endpoint, well.endpoint], attempt_timeout=LIMIT_S)
    first: list[object] = []

    async def ask() -> None:
        first.append((await complete(chain)).attempts[0].error)

    async with anyio.create_task_group() as group:
        for _ in range(8):
            group.start_soon(ask)

    assert [type(error) for error in first] == [TimedOut] * 8


@virtual_time
async def test_a_request_that_is_left_is_ended_at_once() -> None:
    """The provider sees it closed in the instant in which the breaker opens."""
    async with Simulator() as sim:
        simulated = [sim.add("primary", Behaviour(fault=Silence())), sim.add("spare", Behaviour(latency=60))]
        async with build(simulated, attempt_timeout=100) as chain, anyio.create_task_group() as group:
            group.start_soon(complete, chain)
            await anyio.sleep(20)
            assert simulated[0].stats.in_flight == 1
            chain._routes[0].breaker.open()
            await anyio.sleep(0.001)
            assert [one.stats.in_flight for one in simulated] == [0, 1]
            assert [route.breaker.in_flight for route in chain._routes] == [0, 1]


@pytest.mark.parametrize(("limit_s", "late_s"), [(6.0, 3.0), (60.0, 10.0), (None, 10.0)])
@virtual_time
async def test_without_history_half_the_limit_or_what_counts_as_slow_is_late(
    limit_s: float | None, late_s: float
) -> None:
    """An endpoint that has hardly answered yet is left at `slow_after_s`, or at half its limit."""
    silent, well = ScriptedEndpoint(stalls(), name="silent"), ScriptedEndpoint(answers(), name="well")
    chain = fallbackio.Chain([silent.endpoint, well.endpoint], attempt_timeout=limit_s, timeout=None)
    clock.call_at(anyio.current_time() + 1.0, chain._routes[0].breaker.open)

    await chain.complete("hi")

    assert anyio.current_time() == pytest.approx(late_s, abs=0.001)


@virtual_time
async def test_a_call_that_is_about_to_be_answered_is_not_left() -> None:
    """Errors of others open the breaker; who waits no longer than usual gets his answer there."""
    async with Simulator() as sim:
        primary = sim.add("primary", Behaviour(latency=USUAL_S))
        simulated = [primary, sim.add("spare")]
        async with build(simulated) as chain:
            await get_to_know(chain, complete)
            traffic = Traffic(chain, complete)
            async with anyio.create_task_group() as group:
                group.start_soon(traffic.call, 0.0)
                await anyio.sleep(0.9)
                primary.behave(Behaviour(fault=Status(500)))
                await get_to_know(chain, complete)
                assert chain._routes[0].breaker.phase == "open"

            assert traffic.over == {0.0: USUAL_S}
            assert traffic.reports[0.0].endpoint == "primary"


@virtual_time
async def test_nobody_is_left_whose_breaker_has_closed_again() -> None:
    """Who was too young when it opened stays if a probe was answered before he was late."""
    primary = ScriptedEndpoint(answers("late", after_s=8), name="primary")
    spare = ScriptedEndpoint(answers("spare"), name="spare")
    chain = fallbackio.Chain([primary.endpoint, spare.endpoint], attempt_timeout=LIMIT_S)
    breaker = chain._routes[0].breaker
    clock.call_at(1.0, breaker.open)
    clock.call_at(4.0, breaker.close)

    assert (await chain.complete("hi")).text == "late"
    assert spare.requests == 0


@virtual_time
async def test_who_was_answered_before_he_was_late_is_forgotten() -> None:
    """The timer that would have ended the attempt keeps nothing of it in memory."""
    primary = ScriptedEndpoint(answers("yes", after_s=2), name="primary")
    spare = ScriptedEndpoint(answers("spare"), name="spare")
    chain = fallbackio.Chain([primary.endpoint, spare.endpoint], attempt_timeout=LIMIT_S)
    clock.call_at(1.0, chain._routes[0].breaker.open)

    assert (await chain.complete("hi")).text == "yes"
    assert [one for one in gc.get_objects() if isinstance(one, Patience)] == []


@virtual_time
async def test_a_second_opening_counts_as_the_first() -> None:
    """A call that stayed, since the breaker had closed, is left when it opens again."""
    primary, spare = ScriptedEndpoint(stalls(), name="primary"), ScriptedEndpoint(answers(), name="spare")
    chain = fallbackio.Chain([primary.endpoint, spare.endpoint], attempt_timeout=LIMIT_S)
    breaker = chain._routes[0].breaker
    for at, act in ((1.0, breaker.open), (2.0, breaker.close), (3.0, breaker.open), (7.0, breaker.close)):
        clock.call_at(at, act)

    await chain.complete("hi")

    assert anyio.current_time() == pytest.approx(LIMIT_S / 2, abs=0.001)


@virtual_time
async def test_a_single_endpoint_is_never_left() -> None:
    """With nowhere else to go an answer is waited for to the end."""
    only = ScriptedEndpoint(answers("at last", after_s=9.9), name="only")
    chain = fallbackio.Chain([only.endpoint], attempt_timeout=LIMIT_S)
    clock.call_at(9.0, chain._routes[0].breaker.open)

    assert (await chain.complete("hi")).text == "at last"


@pytest.mark.parametrize("why", ["open", "resting", "full", "tried", "coming back", "too slow"])
@virtual_time
async def test_nobody_is_left_while_no_other_can_be_asked_now(why: str) -> None:
    """What is open, resting, full, tried already, just coming back or too slow is nowhere to go."""
    primary = ScriptedEndpoint(answers("at last", after_s=9.9), name="primary")
    refuse = fails(errors.ServerFault()) if why == "tried" else answers("spare", after_s=30)
    spare = ScriptedEndpoint(refuse, name="spare")
    given = attrs.evolve(spare.endpoint, max_in_flight=1 if why == "full" else None)
    steps = [given, primary.endpoint] if why == "tried" else [primary.endpoint, given]
    # What comes back slowly gets no share of the calls for a while.
    policy = BreakerPolicy(ramp_s=1000)
    chain = fallbackio.Chain(steps, attempt_timeout=LIMIT_S, timeout=20, breaker=policy, seed=1)
    route = chain._setup.named["spare"]
    if why == "open":
        route.breaker.open()
    elif why == "resting":
        route.breaker.acquire().failed(fallbackio.breaker.Severity.THROTTLED, 60.0)  # type: ignore[union-attr]
    elif why == "coming back":
        route.breaker.open()
        await anyio.sleep(0.1)
        route.breaker.close()
    elif why == "too slow":
        for _ in range(30):
            route.tempo.firsts.add(15.0)
    clock.call_at(anyio.current_time() + 9.0, chain._setup.named["primary"].breaker.open)

    async with anyio.create_task_group() as group:
        if why == "full":
            route.room.enter(0.0, 0.0)
        reply = await chain.complete("hi")
        group.cancel_scope.cancel()

    assert reply.text == "at last"


@pytest.mark.parametrize("forced", [False, True], ids=["a probe", "a forced call"])
@virtual_time
async def test_who_was_sent_to_find_out_is_not_left(forced: bool) -> None:
    """A call that was let through an open breaker waits to the end, however the breaker moves."""
    primary = ScriptedEndpoint(answers("at last", after_s=9.9), name="primary")
    spare = ScriptedEndpoint(answers("spare"), name="spare")
    chain = fallbackio.Chain([primary.endpoint, spare.endpoint], attempt_timeout=LIMIT_S)
    first, second = [route.breaker for route in chain._routes]
    first.open()
    if forced:
        await anyio.sleep(1)  # so that the first is nearer to its probe
        second.open()
        clock.call_at(9.0, second.close)
        clock.call_at(9.1, first.half_open)
    else:
        first.half_open()
    clock.call_at(9.2, first.open)

    reply = await chain.complete("hi")

    assert (reply.text, reply.report.panicked) == ("at last", forced)
    assert (first.phase, second.phase) == ("open", "closed")


@virtual_time
async def test_an_answer_that_has_begun_is_not_left() -> None:
    """After the first content a stream is read on, whatever becomes of the breaker."""
    primary = ScriptedEndpoint(answers("a b c", pace_s=5), name="primary")
    spare = ScriptedEndpoint(answers("spare"), name="spare")
    chain = fallbackio.Chain([primary.endpoint, spare.endpoint], upstream="stream", attempt_timeout=20)
    clock.call_at(9.0, chain._routes[0].breaker.open)

    assert (await chain.complete("hi")).text == "a b c"
    assert spare.requests == 0


@asynccontextmanager
async def two(step: str, *, over_http: bool, **settings: Any) -> AsyncIterator[fallbackio.Chain]:
    """A first endpoint that answers after 9 s or never, and a well one; functions, or servers."""
    if over_http:
        async with Simulator() as sim:
            fault = Silence() if step == "silent" else None
            simulated = [sim.add("primary", Behaviour(latency=9.0, fault=fault)), sim.add("spare")]
            async with build(simulated, **settings) as chain:
                yield chain
                await anyio.sleep(0.05)
                assert_nothing_left(chain, simulated)
    else:
        primary = ScriptedEndpoint(stalls() if step == "silent" else answers(after_s=9.0), name="primary")
        spare = ScriptedEndpoint(answers(), name="spare")
        steps = [primary.endpoint, spare.endpoint]
        async with fallbackio.Chain(steps, attempt_timeout=LIMIT_S, **settings) as chain:
            yield chain
            assert (primary.running, spare.running) == (0, 0)
            assert_nothing_left(chain, [])


@pytest.mark.parametrize("over_http", [False, True], ids=["a function", "over HTTP"])
@pytest.mark.parametrize("before", [False, True], ids=["answer first", "opening first"])
@pytest.mark.parametrize("ask", [complete, read], ids=["complete", "stream"])
@virtual_time
async def test_an_answer_in_the_tick_of_the_opening_is_delivered(
    ask: Any, before: bool, over_http: bool
) -> None:
    """Whichever of the two comes first in it."""
    async with two("answers", over_http=over_http) as chain, anyio.create_task_group() as group:
        breaker, began = chain._routes[0].breaker, anyio.current_time()
        if before:
            clock.call_at(began + 9.0, breaker.open)
        traffic = Traffic(chain, ask, began)
        group.start_soon(traffic.call, 0.0)
        await anyio.sleep(1.0)
        if not before:
            clock.call_at(began + 9.0, breaker.open)
        await anyio.sleep(9.0)

        assert breaker.phase == "open"
        assert [one.outcome for one in traffic.reports[0.0].attempts] == ["won"]


@pytest.mark.parametrize("over_http", [False, True], ids=["a function", "over HTTP"])
@pytest.mark.parametrize("natively", [False, True], ids=["by a scope", "natively"])
@pytest.mark.parametrize("first", [False, True], ids=["after the opening", "before it"])
@pytest.mark.parametrize("ask", [complete, read], ids=["complete", "stream"])
@virtual_time
async def test_a_cancellation_in_the_tick_of_the_opening_is_the_callers(
    ask: Any, first: bool, natively: bool, over_http: bool
) -> None:
    """He hears of it, the ledger says `cut` and nothing more, and nobody else is asked."""
    sink = RecordingSink()
    async with two("silent", over_http=over_http, sinks=[sink]) as chain:
        scope = anyio.CancelScope()

        async def within_scope() -> None:
            with scope:
                await ask(chain)
                pytest.fail("it was answered")

        task = asyncio.create_task(within_scope())
        await anyio.sleep(9.0)
        acts = [task.cancel if natively else scope.cancel, chain._routes[0].breaker.open]
        for act in acts if first else reversed(acts):
            act()
        await asyncio.wait([task])

        assert task.cancelled() if natively else scope.cancelled_caught
        assert anyio.current_time() == pytest.approx(9.0, abs=0.001)
        (ended,) = [event for event in sink.events if isinstance(event, CallEnded)]
        assert [(one.endpoint, one.outcome, one.error) for one in ended.report.attempts] == [
            ("primary", "cut", None)
        ]


@virtual_time
async def test_who_thinks_aloud_is_not_left_before_he_falls_silent() -> None:
    """Reasoning is no content, and yet no stall: what counts is how long nothing has come at all."""

    async def step(request: fallbackio.Request) -> AsyncGenerator[Delta | str, None]:
        for _ in range(6):
            await anyio.sleep(2)
            yield Delta(reasoning="hm ")
        await anyio.sleep_forever()

    primary, spare = ScriptedEndpoint(step, name="primary"), ScriptedEndpoint(answers(), name="spare")
    chain = fallbackio.Chain([primary.endpoint, spare.endpoint], attempt_timeout=60, idle_timeout=None)
    clock.call_at(5.0, chain._routes[0].breaker.open)
    clock.call_at(5.1, chain._routes[0].breaker.half_open)

    report = await read(chain)

    # Its last thought came at 12; nobody knows yet how long it takes, so 10 s of silence are late.
    assert anyio.current_time() == pytest.approx(22.0, abs=0.001)
    assert [one.outcome for one in report.attempts] == ["cut", "won"]


@virtual_time
async def test_embeddings_are_handed_over_too() -> None:
    """A request for vectors is left as a plain answer is."""
    async with Simulator() as sim:
        simulated = primary, _ = [sim.add("primary", Behaviour(latency=USUAL_S)), sim.add("spare")]
        async with build(simulated) as chain:

            async def embed(chain: fallbackio.Chain) -> fallbackio.Report:
                return (await chain.embed("hi")).report

            await get_to_know(chain, embed)
            primary.behave(Behaviour(fault=Silence()))
            traffic = Traffic(chain, embed)
            await traffic.calls(0, 210)

            assert traffic.over[1.0] == pytest.approx(TRIP_S, abs=0.01)
            assert traffic.over[9.5] == pytest.approx(9.5 + USUAL_S, abs=0.01)
            assert [one.outcome for one in traffic.reports[1.0].attempts] == ["cut", "won"]
            assert_nothing_left(chain, simulated)


@virtual_time
async def test_another_endpoint_for_a_broken_stream_is_left_as_any() -> None:
    """Also while an answer that broke is mended, nobody waits where the breaker has opened."""
    broken = ScriptedEndpoint(breaks_off, name="broken")
    silent, well = ScriptedEndpoint(stalls(), name="silent"), ScriptedEndpoint(answers("c"), name="well")
    chain = fallbackio.Chain([broken.endpoint, silent.endpoint, well.endpoint], attempt_timeout=LIMIT_S)
    clock.call_at(7.0, chain._routes[1].breaker.open)

    report = await read(chain)

    assert anyio.current_time() == pytest.approx(7.0, abs=0.001)
    assert [one.outcome for one in report.attempts] == ["failed", "cut", "won"]


async def breaks_off(request: fallbackio.Request) -> AsyncGenerator[Delta | str, None]:
    yield "a "
    raise errors.ConnectionFailed("reset")


@virtual_time
async def test_fallback_on_is_not_asked_about_our_own_decision() -> None:
    """A function that raises every failure has no say in whether a call goes on by itself."""
    primary, spare = ScriptedEndpoint(stalls(), name="primary"), ScriptedEndpoint(answers(), name="spare")
    chain = fallbackio.Chain(
        [primary.endpoint, spare.endpoint], attempt_timeout=LIMIT_S, fallback_on=lambda error: False
    )
    clock.call_at(9.0, chain._routes[0].breaker.open)

    assert (await complete(chain)).endpoint == "spare"


@virtual_time
async def test_what_was_left_is_charged_for_by_estimate() -> None:
    """As with any attempt that we cut: a plain request that was taken in may be on the bill."""
    primary, spare = ScriptedEndpoint(stalls(), name="primary"), ScriptedEndpoint(answers(), name="spare")
    priced = attrs.evolve(primary.endpoint, price=(1.0, 1.0))
    chain = fallbackio.Chain([priced, spare.endpoint], attempt_timeout=LIMIT_S)
    clock.call_at(9.0, chain._routes[0].breaker.open)

    left = (await complete(chain)).attempts[0]

    assert left.cost is not None
    assert left.cost > 0
    assert left.cost_estimated


@virtual_time
async def test_when_the_others_fail_too_the_error_says_why_it_was_left() -> None:
    """And the endpoint that was left is not asked again: its breaker is open."""
    primary = ScriptedEndpoint(stalls(), name="primary")
    spare = ScriptedEndpoint(fails(errors.ServerFault()), name="spare")
    chain = fallbackio.Chain(
        [primary.endpoint, spare.endpoint],
        attempt_timeout=LIMIT_S,
        retry=fallbackio.RetryPolicy(same_first=1),
    )
    clock.call_at(9.0, chain._routes[0].breaker.open)

    with pytest.raises(ChainExhausted, match="no answer within 9 s, and its circuit has opened") as caught:
        await chain.complete("hi")

    assert primary.requests == 1
    assert isinstance(caught.value.__cause__, ExceptionGroup)


@virtual_time
async def test_a_total_silence_costs_few_requests() -> None:
    """When all are black holes everybody moves on once per endpoint; then each call asks one."""
    holes = [ScriptedEndpoint(stalls(), name=name) for name in "abc"]
    chain = fallbackio.Chain([one.endpoint for one in holes], attempt_timeout=LIMIT_S, timeout=40, seed=1)

    async def ask() -> None:
        with pytest.raises(fallbackio.FallbackError):
            await chain.complete("hi")

    async with anyio.create_task_group() as group:

        async def asked(calls: int) -> int:
            before = sum(one.requests for one in holes)
            for _ in range(calls):
                group.start_soon(ask)
                await anyio.sleep(0.2)
            return sum(one.requests for one in holes) - before

        await asked(250)
        assert all(route.breaker.phase != "closed" for route in chain._routes)
        # What the calls of before still did is in it too.
        assert await asked(250) <= 1.2 * 250
