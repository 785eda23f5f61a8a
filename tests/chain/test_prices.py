"""What a call costs, and who is asked by price, by speed and by what it can do."""

from __future__ import annotations

from typing import Any

import anyio
import attrs
import pytest

import fallbackio
from fallbackio import Endpoint, Hedge, Pool, Usage
from fallbackio.endpoint import Price
from fallbackio.errors import ConfigError, InvalidRequest, ServerFault
from fallbackio.simulator import Behaviour, Cut, Simulator, Status
from fallbackio.testing import ScriptedEndpoint, answers, fails, stalls, virtual_time

USAGE = Usage(prompt_tokens=1_000_000, completion_tokens=100_000, cached_tokens=400_000)


def named(name: str, *steps: Any, **settings: Any) -> tuple[ScriptedEndpoint, Endpoint]:
    scripted = ScriptedEndpoint(*(steps or (answers(name, usage=USAGE),)), name=name)
    return scripted, attrs.evolve(scripted.endpoint, **settings)


@virtual_time
async def test_an_answer_costs_what_its_tokens_do() -> None:
    """Fresh and cached prompt and the answer at their own prices, exactly."""
    _, a = named("a", price=(2.0, 10.0, 0.5))

    report = (await fallbackio.Chain([a]).complete("hi")).report

    assert report.attempts[0].cost == pytest.approx(0.6 * 2 + 0.4 * 0.5 + 0.1 * 10)
    assert report.cost == report.attempts[0].cost
    assert not report.cost_estimated


@virtual_time
async def test_an_unknown_price_is_said() -> None:
    """Without a price there is no cost, and a sum that lacks one is no exact sum."""
    _, a = named("a", fails(ServerFault(status=500)), price=(1, 1))
    _, b = named("b")

    report = (await fallbackio.Chain([a, b]).complete("hi")).report

    assert [attempt.cost for attempt in report.attempts] == [0.0, None]
    assert report.cost_estimated
    assert (await fallbackio.Chain([b]).complete("hi")).report.cost is None


@virtual_time
async def test_losers_are_charged_for() -> None:
    """A hedge's loser has taken the prompt in; its cost is an estimate, and in the sum."""
    _, slow = named("slow", stalls(after_words=0), price=(1000.0, 1000.0))
    _, quick = named("quick", price=(1.0, 1.0))
    chain = fallbackio.Chain([slow, quick], strategy=Hedge(delay=0.2))

    report = (await chain.complete("word " * 4000)).report

    loser, winner = report.attempts
    assert (loser.outcome, winner.outcome) == ("cut", "won")
    assert loser.cost == pytest.approx(5.0, rel=0.02)
    assert loser.cost_estimated
    assert report.cost == (loser.cost or 0) + (winner.cost or 0)


@pytest.mark.parametrize(
    ("fault", "charged"), [(Status(429), False), (Status(500), False), (Cut(2), True)], ids=str
)
@virtual_time
async def test_what_was_turned_away_costs_nothing(fault: Any, charged: bool) -> None:
    """A refused request is free; one that broke off in mid-answer is not."""
    async with Simulator() as sim:
        sick, well = sim.add("sick", Behaviour(fault=fault)), sim.add("well")
        steps = [Endpoint("m", base_url=one.url(), name=one.name, price=(1.0, 1.0)) for one in (sick, well)]
        async with fallbackio.Chain(steps, upstream="stream") as chain:
            first = (await chain.complete("hi")).report.attempts[0]

            assert first.outcome == "failed"
            assert first.cost is not None
            assert ((first.cost > 0), first.cost_estimated) == (charged, charged)


@virtual_time
async def test_the_cheapest_comes_first() -> None:
    """order="cheapest" goes by price, with unknown ones last; a cost pool does so within its step."""
    dear, cheap, unknown = (
        named("dear", price=(5, 5))[1],
        named("cheap", price=Price(1, 2))[1],
        named("unknown")[1],
    )
    for given in ([unknown, dear, cheap], [dear, unknown, cheap]):
        assert (await fallbackio.Chain(given, order="cheapest").complete("hi")).text == "cheap"
        pool = fallbackio.Chain([Pool(given, balance="cost")], seed=1)
        assert [(await pool.complete("hi")).text for _ in range(5)] == ["cheap"] * 5


@virtual_time
async def test_the_fastest_comes_first_once_that_is_known() -> None:
    """order="fastest" begins as given, and goes by what it has learnt."""
    _, slow = named("slow", answers("slow", after_s=2))
    _, quick = named("quick", answers("quick", after_s=0.5))
    chain = fallbackio.Chain([slow, quick], order="fastest", attempt_timeout=1.5)

    assert (await chain.complete("hi")).text == "quick"  # the first choice has failed
    assert [(await chain.complete("hi")).report.attempts[0].endpoint for _ in range(3)] == ["quick"] * 3


@virtual_time
async def test_who_cannot_is_left_out() -> None:
    """require= of the chain drops steps for good, of a call it skips them; the ledger says why."""
    _, blind = named("blind", capabilities={"tools"}, context_window=8_000)
    _, sees = named("sees", capabilities={"tools", "vision"}, context_window=200_000)

    assert (await fallbackio.Chain([blind, sees], require={"vision"}).complete("hi")).text == "sees"
    chain = fallbackio.Chain([blind, sees])
    assert (await chain.complete("hi", require={"tools"})).text == "blind"
    reply = await chain.complete("hi", require={"context>=100_000", "tools"})
    assert reply.text == "sees"
    assert "window of 100,000" in str(reply.report.attempts[0].error)
    async with chain.stream("hi", require={"vision"}) as stream:
        assert stream.endpoint == "sees"


@virtual_time
async def test_what_nobody_knows_is_said_and_not_guessed() -> None:
    """An endpoint of unknown capabilities is asked, with a note."""
    _, unknown = named("unknown")

    reply = await fallbackio.Chain([unknown], require={"vision", "context>=1000"}).complete("hi")

    assert reply.report.attempts[0].notes == ("not known: vision and its window",)


@virtual_time
async def test_requirements_that_nobody_meets() -> None:
    """A chain that could never answer is a ConfigError, a call that could not an InvalidRequest."""
    _, blind = named("blind", capabilities={"tools"})

    with pytest.raises(ConfigError, match="blind has no vision"):
        fallbackio.Chain([blind], require={"vision"})
    with pytest.raises(InvalidRequest, match="blind has no vision"):
        await fallbackio.Chain([blind]).complete("hi", require=["vision"])
    assert anyio.current_time() == 0


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"price": 5}, "price must be a Price"),
        ({"price": (1, -1)}, "output must be a number, 0 or more"),
        ({"capabilities": {"telepathy"}}, "capabilities must be a set of"),
        ({"weight": 0}, "weight must be a number over 0"),
        ({"rpm": -1}, "rpm must be a number over 0"),
        ({"max_in_flight": 0}, "max_in_flight must be a whole number of at least 1"),
    ],
    ids=str,
)
def test_bad_settings_are_refused(settings: dict[str, Any], message: str) -> None:
    """A value that cannot be meant is a ConfigError that names the setting."""
    with pytest.raises(ConfigError, match=message):
        Endpoint("m", base_url="http://localhost:1", **settings)


@pytest.mark.parametrize("require", ["vision", {"sight"}, {"context>=many"}, 5, [5]], ids=repr)
def test_bad_requirements_are_refused(require: Any) -> None:
    """What cannot be required says what can."""
    with pytest.raises(ConfigError, match="require"):
        fallbackio.Chain([Endpoint("m", base_url="http://localhost:1")], require=require)


@virtual_time
async def test_a_function_may_have_limits_and_a_price() -> None:
    """Endpoint.calling takes the settings that concern a function, and names the one it does not know."""

    async def fn(request: fallbackio.Request) -> str:
        await anyio.sleep(1)
        return "yes"

    endpoint = Endpoint.calling(fn, name="ours", max_in_flight=1, price=(1, 1), capabilities={"tools"})
    chain = fallbackio.Chain([endpoint])
    async with anyio.create_task_group() as group:
        for _ in range(3):
            group.start_soon(chain.complete, "hi")

    assert anyio.current_time() == pytest.approx(3)
    with pytest.raises(ConfigError, match="did you mean 'weight'"):
        Endpoint.calling(fn, name="ours", weigth=2)
