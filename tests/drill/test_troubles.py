"""How a chain finds out about a trouble and about its end, also where one of the two does not come."""

from __future__ import annotations

import pytest
from drill_kit import CHAIN, FIRST, THIRD, outage

from fallbackio import BreakerPolicy
from fallbackio.drill import Afterwards, Troubled, drill
from fallbackio.drill.report import trouble
from fallbackio.simulator import Behaviour, Phase, Scenario, Silence, Status


def short(sick: Behaviour) -> Scenario:
    """Six seconds of trouble: over before a call of 15 s has failed of it."""
    return outage(
        None,
        phases=[
            Phase(name="healthy", lasts_s=10),
            Phase(name="outage", lasts_s=6, roles={"primary": sick}),
            Phase(name="recovery", lasts_s=40),
        ],
    )


def test_a_trip_after_the_recovery_is_of_the_trouble_that_caused_it() -> None:
    """Who fails late is left alone late: the return is counted from then, not from an answer in between."""
    result = drill(CHAIN, short(Behaviour(fault=Silence())), attempt_timeout=15)
    (one,) = result.troubles
    between = [call for call in result.calls if call.phase == 2 and call.served_by == FIRST]

    assert between[0].due_s < 10 + 15, "it answered before the chain left it alone"
    assert one.left_alone_s is not None
    assert 15 < one.left_alone_s < 21
    assert one.reached_before == result.phase("outage").calls
    assert one.afterwards == "returned"
    assert one.returned_s is not None
    assert one.returned_s + 6 > one.left_alone_s + 1


def test_an_answer_to_what_was_asked_in_the_trouble_is_no_return() -> None:
    """Who was slow and answers late has not been asked since; the first call after the end counts."""
    result = drill(CHAIN, short(Behaviour(latency=4.0)))
    (one,) = result.troubles
    since = [call for call in result.calls if call.due_s >= 16 and call.served_by == FIRST]

    assert one.afterwards == "returned"
    assert one.returned_s == pytest.approx(min(call.due_s + call.latency_s for call in since) - 16)


def test_who_is_left_alone_to_the_end_has_not_returned() -> None:
    """An endpoint that is well again and whose breaker stays open is missing, and that is a shortcoming."""
    result = drill(CHAIN, outage(Status(503)), breaker=BreakerPolicy(open_s=100))
    (one,) = result.troubles

    assert (one.afterwards, one.returned_s) == ("not returned", None)
    assert result.shortcomings(returned_s=60) == [f"{FIRST} had not returned at the end, so not within 60 s"]


def test_whom_no_call_needed_has_nothing_to_answer_for() -> None:
    """The trouble of an endpoint that no call reaches is not found out, and need not be."""
    result = drill(CHAIN, outage(Status(503)), sick=THIRD)
    (one,) = result.troubles

    assert (one.left_alone_s, one.reached_before, one.reached_after) == (None, 0, 0)
    assert (one.afterwards, one.returned_s) == ("not asked", None)
    assert result.shortcomings(left_alone_s=1, returned_s=1) == []


def test_who_is_sick_to_the_end_cannot_return() -> None:
    """An endpoint whose trouble outlasts the scenario has neither returned nor failed to."""
    whole = outage(Status(503))
    result = drill(CHAIN, outage(Status(503), phases=whole.phases[:2]))
    (one,) = result.troubles

    assert (one.afterwards, one.returned_s) == ("sick to the end", None)
    assert result.shortcomings(returned_s=1) == []
    assert result.shortcomings(left_alone_s=0.001) != []


@pytest.mark.parametrize(
    ("left_alone_s", "reached", "afterwards", "returned_s", "said"),
    [
        (
            2.0,
            (5, 1),
            "returned",
            3.0,
            "it was left alone after 2 s and 5 requests, and got 1 more. "
            "It answered again 3 s after its end.",
        ),
        (
            25.0,
            (9, 0),
            "not returned",
            None,
            "it was left alone after 25 s, when it was well again, and had got "
            "9 requests. It had not answered again when the drill ended.",
        ),
        (
            None,
            (1, 0),
            "not asked",
            None,
            "it was never left alone and got 1 request. No call needed it after that.",
        ),
        (
            None,
            (7, 0),
            "sick to the end",
            None,
            "it was never left alone and got 7 requests. The drill ended with it.",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) and len(value) < 20 else "",
)
def test_what_became_of_it_is_a_sentence(
    left_alone_s: float | None,
    reached: tuple[int, int],
    afterwards: Afterwards,
    returned_s: float | None,
    said: str,
) -> None:
    """Whoever reads it needs no other figure to know how long the chain took to find out, both times."""
    one = Troubled(
        endpoint="a",
        begins_s=10,
        ends_s=30,
        left_alone_s=left_alone_s,
        reached_before=reached[0],
        reached_after=reached[1],
        afterwards=afterwards,
        returned_s=returned_s,
    )

    assert trouble(one) == f"a was in trouble from 10 s to 30 s; {said}"


@pytest.mark.parametrize("afterwards", ["not asked", "sick to the end"])
def test_of_whom_no_call_needed_nothing_else_is_said(afterwards: Afterwards) -> None:
    """An endpoint that got no request is not reproached with never having been left alone."""
    one = Troubled(
        endpoint="a",
        begins_s=10,
        ends_s=30,
        left_alone_s=None,
        reached_before=0,
        reached_after=0,
        afterwards=afterwards,
        returned_s=None,
    )

    assert trouble(one) == "a was in trouble from 10 s to 30 s, and no call needed it."
