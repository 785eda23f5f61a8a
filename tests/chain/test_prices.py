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
from fallbackio.simulator import Behaviour, Cut, Silence, Simulator, Status
from fallbackio.testing import ScriptedEndpoint, answers, fails, stalls, virtual_time

USAGE = Usage(prompt_tokens=1_000_000, completion_tokens=100_000, cached_tokens=400_000)


def named(name: str, *steps: Any, **settings: Any) -> tuple[ScriptedEndpoint, Endpoint]:
    scripted = ScriptedEndpoint(*(steps or (answers(name, usage=USAGE),)), name=name)
    return scripted, attrs.evolve(scripted.endpoint, **settings)


@virtual_time
async def test_an_answer_costs_what_its_tokens_do() -> None:
    """Fresh and cached prompt and the answer at their own prices, exactly."""
    _, a = named("a", price=Price(2.0, 10.0, 0.5))

    report = (await fallbackio.Chain([a]).complete("hi")).report

    assert report.attempts[0].cost == pytest.approx(0.6 * 2 + 0.4 * 0.5 + 0.1 * 10)
    assert report.cost == report.attempts[0].cost
    assert not report.cost_estimated


@virtual_time
async def test_writing_to_a_cache_has_its_price() -> None:
    """Anthropic's tokens put into the cache cost what is given for them."""
    usage = Usage(prompt_tokens=1_000_000, cached_tokens=300_000, cache_write_tokens=200_000)
    _, a = named("a", answers("a", usage=usage), price=Price(2.0, 10.0, 0.5, 4.0))

    assert (await fallbackio.Chain([a]).complete("hi")).report.cost == pytest.approx(
        0.5 * 2 + 0.3 * 0.5 + 0.2 * 4
    )


@virtual_time
async def test_an_unknown_price_is_said() -> None:
    """Without a price there is no cost, and a sum that lacks one is no exact sum."""
    _, a = named("a", fails(ServerFault(status=500)), price=(1, 1))
    _, b = named("b")

    report = (await fallbackio.Chain([a, b]).complete("hi")).report

    assert [attempt.cost for attempt in report.attempts] == [0.0, None]
    assert report.cost is None, "that a refusal was free says nothing of the answer"
    assert report.cost_estimated
    assert (await fallbackio.Chain([b]).complete("hi")).report.cost is None


@virtual_time
async def test_what_was_not_sent_costs_nothing() -> None:
    """A skipped endpoint has a cost, and it is 0, also where no price is known."""
    _, full = named("full", answers("full", after_s=5), max_in_flight=1)
    _, b = named("b", price=(1, 1))
    chain = fallbackio.Chain([full, b])

    async with anyio.create_task_group() as group:
        group.start_soon(chain.complete, "hi")
        await anyio.sleep(0.1)
        report = (await chain.complete("hi")).report

    assert (report.attempts[0].outcome, report.attempts[0].cost) == ("skipped", 0.0)
    assert report.cost == report.attempts[1].cost
    assert not report.cost_estimated


@virtual_time
async def test_a_stream_that_was_never_accepted_is_not_charged_for() -> None:
    """What the provider has not even begun to answer costs nothing, though nobody knows it for sure."""
    async with Simulator() as sim:
        silent, well = sim.add("silent", Behaviour(fault=Silence())), sim.add("well")
        steps = [Endpoint("m", base_url=one.url(), name=one.name, price=(1.0, 1.0)) for one in (silent, well)]
        for settings in ({"strategy": Hedge(delay=0.2)}, {"attempt_timeout": 1, "upstream": "stream"}):
            async with fallbackio.Chain(steps, **settings) as chain:
                report = (await chain.complete("hi")).report

            assert [x.outcome for x in report.attempts][1] == "won"
            assert (report.attempts[0].cost, report.attempts[0].cost_estimated) == (0.0, True)
            assert report.cost == report.attempts[1].cost


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
async def test_what_was_slow_is_looked_at_again_by_one_call_at_a_time() -> None:
    """order="fastest": a slow time wears off, and the call that finds out anew is not followed by others."""
    slow, a = named("slow", answers("slow", after_s=3))
    quick, b = named("quick", answers("quick", after_s=0.3))
    chain = fallbackio.Chain([a, b], order="fastest")

    async with anyio.create_task_group() as group:
        for _ in range(1200):
            group.start_soon(chain.complete, "hi")
            await anyio.sleep(0.1)

    assert slow.requests + quick.requests == 1200
    assert slow.requests < 60, "a half-minute's probe each, and those before anything was known"


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
        ({"capabilities": [["tools"]]}, "capabilities must be a set of"),
        ({"price": (1, 2, 3, 4, 5)}, "price must be a Price"),
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


@pytest.mark.parametrize(
    "require", ["vision", "", {"sight"}, {"context>=many"}, 5, None, [5], [["tools"]], [{}]], ids=repr
)
@virtual_time
async def test_bad_requirements_are_refused(require: Any) -> None:
    """What cannot be required says what can, of a chain and of a call."""
    endpoint = ScriptedEndpoint(answers("a"), name="a").endpoint
    with pytest.raises(ConfigError, match="require"):
        fallbackio.Chain([endpoint], require=require)
    chain = fallbackio.Chain([endpoint])
    with pytest.raises(ConfigError, match="require"):
        await chain.complete("hi", require=require)
    with pytest.raises(ConfigError, match="require"):
        async with chain.stream("hi", require=require):
            pass


@virtual_time
async def test_a_calls_requirements_add_to_the_chains() -> None:
    """require= of a call does not give up what the chain requires."""
    _, blind = named("blind", capabilities={"tools"}, context_window=200_000)
    _, small = named("small", capabilities={"tools", "vision"}, context_window=8_000)
    _, large = named("large", capabilities={"tools", "vision"}, context_window=200_000)
    _, unknown = named("unknown", context_window=200_000)

    chain = fallbackio.Chain([blind, small, large], require={"vision"})
    assert (await chain.complete("hi", require={"context>=100000"})).text == "large"
    assert (await chain.complete("hi", require=set())).text == "small"
    reply = await fallbackio.Chain([unknown], require={"vision"}).complete("hi", require={"tools"})
    assert reply.report.attempts[0].notes == ("not known: tools and vision",)


@virtual_time
async def test_who_is_not_asked_has_no_veto() -> None:
    """An endpoint that require= leaves out need not be able to express the request."""
    async with Simulator() as sim:
        able, strict = sim.add("able"), sim.add("strict")
        steps = [
            Endpoint(
                "m", base_url=strict.url("anthropic"), dialect="anthropic", name="strict", capabilities=()
            ),
            Endpoint("m", base_url=able.url(), name="able", capabilities={"tools"}),
        ]
        async with fallbackio.Chain(steps) as chain:
            with pytest.raises(InvalidRequest, match="strict"):
                await chain.complete("hi", logit_bias={"1": 1})
            assert (
                await chain.complete("hi", logit_bias={"1": 1}, require={"tools"})
            ).report.endpoint == "able"


@pytest.mark.parametrize("option", ["require", "session", "accept"])
@virtual_time
async def test_what_does_not_choose_takes_no_choice(option: str) -> None:
    """rehearse and embed refuse what they would otherwise send to the provider as a parameter."""
    given: dict[str, Any] = {option: {"tools"}}
    async with Simulator() as sim:
        a = sim.add("a")
        async with fallbackio.Chain([Endpoint("m", base_url=a.url(), name="a")]) as chain:
            with pytest.raises(InvalidRequest, match=f"rehearse takes no {option}="):
                await chain.rehearse("hi", **given)
            with pytest.raises(InvalidRequest, match=f"embed takes no {option}="):
                await chain.embed("hi", **given)
        assert a.stats.requests == 0


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
