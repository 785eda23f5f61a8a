"""Conversations that stay, spares that are kept warm, and rehearsals."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

import fallbackio
from fallbackio import BreakerPolicy, Pool
from fallbackio.chain import _session as sessions_module
from fallbackio.chain._session import MOST_SESSIONS
from fallbackio.errors import AuthFailed, ChainExhausted, ConfigError, ServerFault
from fallbackio.model import FunctionCall, ToolCall
from fallbackio.simulator import Behaviour, Simulator, Status
from fallbackio.testing import ScriptedEndpoint, answers, fails, virtual_time

FAULT = fails(ServerFault(status=500))


def pair(*first: Any) -> tuple[ScriptedEndpoint, ScriptedEndpoint]:
    return ScriptedEndpoint(*first, name="a"), ScriptedEndpoint(answers("b"), name="b")


@virtual_time
async def test_a_session_stays_where_it_was_answered() -> None:
    """After a failover the next turns go to the endpoint that answered, while other calls try the first."""
    a, b = pair(FAULT, answers("a"))
    chain = fallbackio.Chain([a.endpoint, b.endpoint])
    session = chain.session()

    assert [(await session.complete("hi")).text for _ in range(3)] == ["b", "b", "b"]
    assert (await chain.complete("hi")).text == "a"
    assert (session.endpoint, session.moves) == ("b", 0)
    assert (await session.complete("hi")).report.attempts[0].endpoint == "b"


@virtual_time
async def test_a_session_moves_when_its_endpoint_fails() -> None:
    """A move is a failover in the ledger, and the session then keeps to the new endpoint."""
    a, b = pair(answers("a"), FAULT, answers("a"))
    chain = fallbackio.Chain([a.endpoint, b.endpoint])
    session = chain.session()

    assert (await session.complete("hi")).text == "a"
    moved = await session.complete("hi")
    assert [(x.endpoint, x.outcome) for x in moved.report.attempts] == [("a", "failed"), ("b", "won")]
    assert (await session.complete("hi")).text == "b"
    assert session.moves == 1


@virtual_time
async def test_a_session_returns_to_the_first_choice_by_rule() -> None:
    """After return_after_s at a spare the first choice is asked again, and the ledger says so."""
    a, b = pair(FAULT, answers("a"))
    chain = fallbackio.Chain([a.endpoint, b.endpoint])
    session = chain.session(return_after_s=60)
    await session.complete("hi")

    await anyio.sleep(59)
    assert (await session.complete("hi")).text == "b"
    await anyio.sleep(1)
    back = await session.complete("hi")

    assert back.text == "a"
    assert back.report.attempts[0].notes == ("the session returned to the first choice",)
    assert (await session.complete("hi")).report.attempts[0].notes == ()


@virtual_time
async def test_one_call_finds_out_whether_the_first_choice_is_back() -> None:
    """Of steps at the same time one tries to return; if it fails, the session stays away as long again."""
    a = ScriptedEndpoint(FAULT, name="a")
    b = ScriptedEndpoint(answers("b", after_s=1), name="b")
    c = ScriptedEndpoint(answers("c"), name="c")
    policy = BreakerPolicy(consecutive=100, rates=())
    chain = fallbackio.Chain([a.endpoint, c.endpoint, b.endpoint], breaker=policy, max_retries=0)
    session = chain.session(return_after_s=60)
    session.answered(chain._setup, session.stays, chain._routes[2])
    await anyio.sleep(60)

    async with anyio.create_task_group() as group:
        for _ in range(10):
            group.start_soon(session.complete, "hi")

    assert (a.requests, b.requests, c.requests) == (1, 10, 0), "its own endpoint comes before other spares"
    await anyio.sleep(58)
    await session.complete("hi")
    assert a.requests == 1
    await anyio.sleep(1)
    await session.complete("hi")
    assert a.requests == 2


@virtual_time
async def test_a_return_that_fails_leads_back() -> None:
    """Where only the first choice stands before its own endpoint, that one is asked after it."""
    a, b = pair(FAULT)
    chain = fallbackio.Chain([a.endpoint, b.endpoint], breaker=BreakerPolicy(consecutive=100, rates=()))
    session = chain.session(return_after_s=60)
    await session.complete("hi")
    await anyio.sleep(60)

    reply = await session.complete("hi")

    assert [(x.endpoint, x.outcome) for x in reply.report.attempts] == [("a", "failed"), ("b", "won")]
    assert (session.endpoint, session.moves) == ("b", 0)


@virtual_time
async def test_an_open_breaker_puts_the_return_off_only_so_long() -> None:
    """Where the first choice may not be asked when it is time, it is as soon as it may."""
    a, b = pair(FAULT, answers("a"))
    chain = fallbackio.Chain([a.endpoint, b.endpoint], breaker=BreakerPolicy(ramp_s=0, jitter_ratio=0))
    session = chain.session(return_after_s=60)
    await session.complete("hi")
    await anyio.sleep(60)
    chain._routes[0].breaker.open()  # for 5 s

    assert (await session.complete("hi")).text == "b"
    await anyio.sleep(5)
    assert (await session.complete("hi")).text == "a"


@virtual_time
async def test_returns_do_not_stampede_either() -> None:
    """Sessions whose time away is up come back to a first choice that has just recovered over its ramp."""
    a = ScriptedEndpoint(*[FAULT] * 5, answers("a"), name="a")
    b = ScriptedEndpoint(answers("b"), name="b")
    chain = fallbackio.Chain([a.endpoint, b.endpoint], breaker=BreakerPolicy(jitter_ratio=0), seed=1)
    sessions = [chain.session(return_after_s=6) for _ in range(100)]
    for session in sessions:
        session.answered(chain._setup, session.stays, chain._routes[1])
    for _ in range(5):
        await chain.complete("hi")
    await anyio.sleep(6)
    await chain.complete("hi")  # the probe
    before = a.requests

    said = [(await session.complete("hi")).text for session in sessions]

    assert said.count("a") == a.requests - before < 12


@virtual_time
async def test_the_only_endpoint_needs_no_slow_start() -> None:
    """Nobody else could take its calls, so none of them passes it over first."""
    a = ScriptedEndpoint(answers("a"), *[FAULT] * 5, answers("a"), name="a")
    chain = fallbackio.Chain([a.endpoint], breaker=BreakerPolicy(jitter_ratio=0), max_retries=0)
    session = chain.session()
    await session.complete("hi")
    for _ in range(5):
        with pytest.raises(ChainExhausted):
            await session.complete("hi")
    await anyio.sleep(6)

    replies = [await session.complete("hi") for _ in range(10)]

    assert [len(reply.report.attempts) for reply in replies] == [1] * 10


@virtual_time
async def test_the_name_that_was_used_longest_ago_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """A session that goes on outlives newer ones that do not."""
    monkeypatch.setattr(sessions_module, "MOST_SESSIONS", 2)
    a, b = pair(answers("a"))
    chain = fallbackio.Chain([a.endpoint, b.endpoint])
    ada, bob = chain.session("ada"), chain.session("bob")

    assert chain.session("ada") is ada
    chain.session("eve")

    assert chain.session("ada") is ada
    assert chain.session("bob") is not bob


@virtual_time
async def test_time_away_is_counted_from_the_first_move() -> None:
    """A move from one spare to another does not put the return off."""
    chain = fallbackio.Chain([ScriptedEndpoint(answers(name), name=name).endpoint for name in "abc"])
    session = chain.session(return_after_s=60)
    session.answered(chain._setup, session.stays, chain._routes[1])
    await anyio.sleep(40)
    session.answered(chain._setup, session.stays, chain._routes[2])
    await anyio.sleep(20)

    assert (await session.complete("hi")).text == "a"


@virtual_time
async def test_steps_at_the_same_time_do_not_pull_a_session_to_and_fro() -> None:
    """An answer to a step that began before the session moved does not move it back."""
    a = ScriptedEndpoint(answers("a"), answers("a", after_s=9), FAULT, answers("a"), name="a")
    b = ScriptedEndpoint(answers("b"), name="b")
    chain = fallbackio.Chain([a.endpoint, b.endpoint])
    session = chain.session()
    await session.complete("hi")

    async with anyio.create_task_group() as group:
        group.start_soon(session.complete, "slow, and answered by a at last")
        await anyio.sleep(1)
        assert (await session.complete("hi")).text == "b"

    assert (session.endpoint, session.moves) == ("b", 1)
    assert (await session.complete("hi")).text == "b"


@virtual_time
async def test_first_steps_at_the_same_time_settle_once() -> None:
    """Of the first steps, spread over a pool, the first answer decides."""
    members = [ScriptedEndpoint(answers(name, after_s=1 + at), name=name) for at, name in enumerate("abcd")]
    chain = fallbackio.Chain([Pool([one.endpoint for one in members], balance="least_busy")], seed=1)
    session = chain.session()

    async with anyio.create_task_group() as group:
        for _ in range(8):
            group.start_soon(session.complete, "hi")

    assert (session.endpoint, session.moves) == ("a", 0)


@virtual_time
async def test_sessions_do_not_stampede_who_comes_back() -> None:
    """Sessions that had no step in the outage come back over the ramp, as all calls do."""
    a = ScriptedEndpoint(*[answers("a")] * 100, *[FAULT] * 5, answers("a"), name="a")
    b = ScriptedEndpoint(answers("b"), name="b")
    chain = fallbackio.Chain([a.endpoint, b.endpoint], breaker=BreakerPolicy(jitter_ratio=0), seed=1)
    sessions = [chain.session() for _ in range(100)]
    for session in sessions:
        await session.complete("hi")
    for _ in range(5):
        await chain.complete("hi")
    await anyio.sleep(6)
    await chain.complete("hi")  # the probe
    before = a.requests

    replies = [await session.complete("hi") for session in sessions]

    assert a.requests - before < 12
    assert replies[0].text == "b"
    assert "recovered" in str(replies[0].report.attempts[0].error)


@virtual_time
async def test_a_pools_member_is_as_good_as_the_first_choice() -> None:
    """Within a pool a session stays for ever: there is nothing to return to."""
    members = [ScriptedEndpoint(answers(name), name=name) for name in "abcd"]
    chain = fallbackio.Chain([Pool([one.endpoint for one in members])], seed=3)
    session = chain.session(return_after_s=1)

    said = []
    for _ in range(20):
        said.append((await session.complete("hi")).text)
        await anyio.sleep(10)

    assert len(set(said)) == 1


@virtual_time
async def test_names_are_sessions_too() -> None:
    """session="id" of a call is the session of that name; the oldest of too many is forgotten."""
    a, b = pair(FAULT, answers("a"))
    chain = fallbackio.Chain([a.endpoint, b.endpoint])

    assert (await chain.complete("hi", session="ada")).text == "b"
    assert (await chain.complete("hi", session="ada")).text == "b"
    async with chain.stream("hi", session="ada") as stream:
        assert stream.endpoint == "b"
    assert chain.session("ada").endpoint == "b"
    for number in range(MOST_SESSIONS):
        chain.session(str(number))
    assert chain.session("ada").endpoint is None


@pytest.mark.parametrize("session", [5, "", b"ada", object()], ids=repr)
@virtual_time
async def test_what_is_no_session_is_refused(session: Any) -> None:
    """A slip is told apart from a name."""
    a, b = pair(answers("a"))
    with pytest.raises(ConfigError, match="session must be"):
        await fallbackio.Chain([a.endpoint, b.endpoint]).complete("hi", session=session)


@virtual_time
async def test_an_agent_of_twenty_steps_keeps_its_session() -> None:
    """An outage in the middle moves it once; it ends within its one deadline, every move in the ledger."""
    call = ToolCall("c1", FunctionCall("look", '{"at":"sky"}'))
    async with Simulator() as sim:
        behaviour = Behaviour(latency=0.5, tool_calls=[call])
        a, b = sim.add("a", behaviour), sim.add("b", behaviour)
        steps = [
            fallbackio.Endpoint("m", base_url=a.url(), name="a"),
            fallbackio.Endpoint("m", base_url=b.url("anthropic"), name="b", dialect="anthropic"),
        ]
        async with fallbackio.Chain(steps, attempt_timeout=2) as chain:
            session = chain.session()
            history: list[Any] = [{"role": "user", "content": "Look."}]
            served, moves = [], 0
            with anyio.fail_after(30):
                for step in range(20):
                    if step == 8:
                        a.behave(Behaviour(fault=Status(503)))
                    if step == 12:
                        a.behave(behaviour)
                    reply = await session.complete(history)
                    served.append(reply.report.endpoint)
                    moves += reply.report.fell_back
                    history.append(reply.message)
                    history += [
                        {"role": "tool", "tool_call_id": one.id, "content": "blue"}
                        for one in reply.tool_calls
                    ]

            assert served == ["a"] * 8 + ["b"] * 12
            assert (moves, session.moves) == (1, 1)
            assert anyio.current_time() == pytest.approx(10, abs=0.1)
            assert {400} & {*a.stats.by_status, *b.stats.by_status} == set()


@virtual_time
async def test_concurrent_steps_share_a_session() -> None:
    """Steps of one agent at once may use one session; a deadline around all of them bounds them all."""
    a, b = (ScriptedEndpoint(answers(name, after_s=5), name=name) for name in "ab")
    chain = fallbackio.Chain([a.endpoint, b.endpoint])
    session = chain.session()

    with anyio.move_on_after(3) as scope:
        async with anyio.create_task_group() as group:
            for _ in range(10):
                group.start_soon(session.complete, "hi")

    assert scope.cancelled_caught
    assert (a.running, b.running) == (0, 0)
    assert session.endpoint is None


@virtual_time
async def test_a_spare_is_kept_warm() -> None:
    """A share of the calls asks a later step first, and says so; a rotten spare is found by them."""
    a = ScriptedEndpoint(answers("a"), name="a")
    b = ScriptedEndpoint(fails(AuthFailed(status=401)), name="b")
    chain = fallbackio.Chain([a.endpoint, b.endpoint], warm=0.1, seed=1)

    replies = [await chain.complete("hi") for _ in range(200)]

    assert all(reply.text == "a" for reply in replies)
    found = [reply for reply in replies if reply.report.attempts[0].endpoint == "b"]
    assert found[0].report.attempts[0].notes == ("asked first to keep it warm",)
    assert b.requests >= 1, "its circuit is open from then on"


@virtual_time
async def test_a_spare_that_was_asked_first_is_not_asked_again_in_its_turn() -> None:
    """Keeping a spare warm changes its place, not how often a call asks it."""
    a, b = ScriptedEndpoint(FAULT, name="a"), ScriptedEndpoint(FAULT, name="b")
    chain = fallbackio.Chain([a.endpoint, b.endpoint], warm=1.0, max_retries=0)

    with pytest.raises(ChainExhausted) as caught:
        await chain.complete("hi")

    assert [attempt.endpoint for attempt in caught.value.attempts] == ["b", "a"]


@virtual_time
async def test_warm_answers_count() -> None:
    """A warm call's answer is an answer, and no failover."""
    a, b = pair(answers("a"))
    chain = fallbackio.Chain([a.endpoint, b.endpoint], warm=0.1, seed=1)

    replies = [await chain.complete("hi") for _ in range(300)]

    warm = [reply for reply in replies if reply.text == "b"]
    assert 15 < len(warm) < 45
    assert not any(reply.report.fell_back for reply in warm)


@pytest.mark.parametrize("warm", [-0.1, 1.1, True, "often"])
def test_warm_is_a_share(warm: Any) -> None:
    """What is no share is refused when the chain is built."""
    with pytest.raises(ConfigError, match="warm must be a share"):
        fallbackio.Chain([ScriptedEndpoint(answers(), name="a").endpoint], warm=warm)


@virtual_time
async def test_a_rehearsal_asks_everybody() -> None:
    """Each endpoint answers once, at the same time; failures have their row."""
    a = ScriptedEndpoint(answers("four", after_s=1), name="a")
    b = ScriptedEndpoint(answers("4", after_s=2), name="b")
    c = ScriptedEndpoint(FAULT, name="c")
    steps: list[fallbackio.Endpoint | Pool] = [a.endpoint, Pool([b.endpoint, c.endpoint])]
    chain = fallbackio.Chain(steps, breaker=BreakerPolicy(consecutive=1))

    async def exact(reply: fallbackio.Reply) -> float:
        return float(reply.text == "4")

    rows = await chain.rehearse("2 + 2?", score=exact)

    assert [(row.endpoint, row.score) for row in rows] == [("a", 0.0), ("b", 1.0), ("c", None)]
    assert isinstance(rows[2].error, fallbackio.ChainExhausted)
    assert [row.report.duration_s for row in rows] == pytest.approx([1, 2, 0])
    assert anyio.current_time() == pytest.approx(2)
    again = await chain.rehearse("2 + 2?")
    assert again[2].report.attempts[-1].forced, "an open breaker is no reason to leave one out"
    assert (a.requests, b.requests, c.requests) == (2, 2, 2)


@virtual_time
async def test_a_rehearsal_raises_plainly() -> None:
    """What score raises, or a closed chain, comes as it is and in no group; a bad score is told."""
    chain = fallbackio.Chain([ScriptedEndpoint(answers("a"), name="a").endpoint])

    def broken(reply: fallbackio.Reply) -> float:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await chain.rehearse("hi", score=broken)
    with pytest.raises(ConfigError, match="score must return a number"):
        await chain.rehearse("hi", score=lambda reply: "good")  # type: ignore[arg-type, return-value]
    with pytest.raises(ConfigError, match="score must be a function"):
        await chain.rehearse("hi", score=5)  # type: ignore[arg-type]
    await chain.aclose()
    with pytest.raises(ConfigError, match="closed"):
        await chain.rehearse("hi")
