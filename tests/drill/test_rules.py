"""The referee sees what it is there for; a drill of a chain that is sound shows none of it."""

from __future__ import annotations

from collections import Counter

import pytest
from drill_kit import CHAIN, SECOND, outage

from fallbackio.chain import Limits
from fallbackio.drill import drill
from fallbackio.drill._rules import Referee
from fallbackio.model import NO_REPORT, Attempt, Choice, Message, Outcome, Reply, Report, Usage
from fallbackio.simulator import Behaviour, Cut, Phase, Scenario, Silence, Simulator, Status
from fallbackio.testing import virtual_time


def attempt(
    endpoint: str, outcome: Outcome, usage: Usage | None = None, *, ttft_s: float | None = None
) -> Attempt:
    return Attempt(endpoint=endpoint, vendor="v", model="m", outcome=outcome, usage=usage, ttft_s=ttft_s)


def reply(text: str, finish_reason: str = "stop", *, tokens: int = 3, report: Report = NO_REPORT) -> Reply:
    said = Choice(Message(text), finish_reason)
    usage = Usage(prompt_tokens=5, completion_tokens=tokens)
    return Reply(id="1", model="m", choices=(said,), usage=usage, created=0, report=report)


def referee() -> Referee:
    return Referee(Limits(timeout=10), {"one two three": 3})


def rules(judge: Referee) -> list[str]:
    return [breach.rule for breach in judge.breaches]


def test_two_winners_are_one_too_many() -> None:
    """A ledger with two winners breaks a rule; one with a winner and a loser does not."""
    judge = referee()
    judge.report(1, Report(attempts=(attempt("a", "cut"), attempt("b", "won"))), 1.0)
    assert rules(judge) == []

    judge.report(2, Report(attempts=(attempt("a", "won"), attempt("b", "won"))), 1.0)
    assert rules(judge) == ["one winner"]
    assert judge.breaches[0].what == ("call 2: a and b",)


def test_a_late_call_is_seen() -> None:
    """Later than its timeout by more than rounding is a breach."""
    judge = referee()
    judge.report(1, Report(), 10.0)
    assert rules(judge) == []

    judge.report(2, Report(), 10.1)
    assert rules(judge) == ["the deadline holds"]


def test_half_an_answer_is_seen() -> None:
    """Half a text is a breach, unless the request allowed no more."""
    judge = referee()
    judge.answer(1, reply("one two three"))
    judge.answer(2, reply("one two", "length", tokens=2))
    assert rules(judge) == []

    judge.answer(3, reply("one two"))
    judge.answer(4, reply("one two three three", "length"))
    assert rules(judge) == ["answers are whole"]
    assert judge.breaches[0].times == 2


def test_what_is_charged_is_what_was_said() -> None:
    """An answer's tokens are those of its text; of a mended one each part is charged for."""
    usage = Usage(completion_tokens=2)
    parts = [attempt("a", "failed", usage, ttft_s=0.1), attempt("b", "won", usage, ttft_s=0.1)]
    lost = [attempt("a", "failed", ttft_s=0.1), attempt("b", "won", usage, ttft_s=0.1)]
    judge = referee()
    judge.answer(1, reply("one two three"))
    judge.answer(2, reply("one two three", tokens=4, report=Report(attempts=tuple(parts), seams=(7,))))
    assert rules(judge) == []

    judge.answer(3, reply("one two three", tokens=5))
    judge.answer(4, reply("one two three", tokens=2, report=Report(attempts=tuple(lost), seams=(7,))))
    assert judge.breaches[0].times == 2
    assert rules(judge) == ["usage adds up"]


@virtual_time
async def test_leftovers_are_seen_when_they_stay() -> None:
    """A request that no attempt waits for is a breach at the second look, and at the end."""
    async with Simulator() as sim:
        stage = {"a": sim.add("a")}
        stage["a"].stats.arrived()
        judge = referee()
        judge.upstream({"a": 1}, stage, at_s=5)
        judge.upstream({"a": 0}, stage, at_s=10)
        assert rules(judge) == []

        judge.upstream({"a": 0}, stage, at_s=15)
        assert judge.breaches[0].what == ("15 s: 1 at a that no call waits for",)

        judge.end({"a": 0}, {"a": 1}, stage)
        assert judge.breaches[0].times == 2


@virtual_time
async def test_the_ledger_and_the_permits_are_counted() -> None:
    """A request that no ledger has, and an attempt that never ended, are breaches."""
    async with Simulator() as sim:
        stage = {"a": sim.add("a")}
        stage["a"].stats.arrived()
        stage["a"].stats.ended("completed")
        judge = referee()
        judge.end(Counter(a=1), Counter(), stage)

    assert rules(judge) == ["permits come back", "the ledger is complete"]


def test_many_breaches_are_counted_and_a_few_are_kept() -> None:
    """A thousand calls that break a rule fill no memory."""
    judge = referee()
    judge.hung(range(1000))

    assert judge.breaches[0].times == 1000
    assert len(judge.breaches[0].what) == 5


def test_a_call_that_never_ends_is_ended_and_told() -> None:
    """Without any limit a silent vendor hangs its calls: the drill ends all the same and says so."""
    dead = Scenario(
        name="dead",
        summary="Silent.",
        phases=[Phase(name="outage", lasts_s=3, roles={"primary": Behaviour(fault=Silence())})],
        rate=1,
        arrivals="even",
    )
    result = drill(CHAIN[:1], dead, timeout=None, attempt_timeout=None, idle_timeout=None)

    assert result.total.failed == 3
    assert [breach.rule for breach in result.breaches] == ["every call ends"]


@pytest.mark.parametrize("fault", [Status(503), Silence(), Cut(after_tokens=3)])
@pytest.mark.parametrize("strategy", ["sequence", "hedge", "race"])
def test_a_sound_chain_breaks_none(fault: Status | Silence | Cut, strategy: str) -> None:
    """Whatever is wrong upstream, the chain keeps all rules."""
    result = drill(CHAIN, outage(fault), strategy=strategy, attempt_timeout=3)

    assert result.breaches == ()
    assert result.total.served.keys() >= {SECOND}
