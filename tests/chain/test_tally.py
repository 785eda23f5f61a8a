"""What is counted of an answer while it comes: when it has ended, and when it only looks whole."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from fallbackio.chain._tally import Tally
from fallbackio.errors import BadAnswer, InvalidRequest
from fallbackio.model import Delta, ToolCallDelta


def call(arguments: str, *, at: int = 0, choice: int = 0, kind: str = "function") -> Delta:
    return Delta(tool_calls=(ToolCallDelta(at, arguments=arguments, type=kind),), index=choice)


def end(choice: int = 0, reason: str = "stop") -> Delta:
    return Delta(finish_reason=reason, index=choice)


@pytest.mark.parametrize(
    ("deltas", "wanted", "ended"),
    [
        ([Delta("a")], 1, False),
        ([Delta("a"), end()], 1, True),
        ([Delta("a"), end()], 2, False),
        ([Delta("a"), Delta("b", index=1), end()], 1, False),
        ([Delta("a"), Delta("b", index=1), end()], 2, False),
        ([Delta("a"), Delta("b", index=1), end(), end(1)], 2, True),
        ([Delta("a"), Delta("b", index=1), end(), end(1)], 1, True),
    ],
    ids=["none", "one", "one of two", "one of two that were not asked for", "first of two", "both", "more"],
)
def test_an_answer_has_ended_when_every_choice_has(deltas: Sequence[Delta], wanted: int, ended: bool) -> None:
    """As many as were asked for, and none that has begun is left open."""
    assert Tally(deltas, wanted).has_ended is ended


@pytest.mark.parametrize(
    "deltas",
    [
        [call('{"a":'), call(" 1}"), end()],
        [call(""), end()],
        [call('{"a":'), end(reason="length")],
        [call("SELECT * FROM", kind="custom"), end()],
        [call("{}"), call("[]", at=1), end()],
        [call("{}"), call("{}", choice=1), end(), end(1)],
        [call('{"a":', choice=1), call("{}"), end(), end(1, "length")],
    ],
    ids=["in pieces", "none", "cut by a limit", "custom", "two calls", "two choices", "a limit of its own"],
)
def test_calls_that_are_whole_pass(deltas: Sequence[Delta]) -> None:
    """Arguments are JSON, or nothing, or were cut by a limit that says so; a custom tool takes any text."""
    Tally(deltas, 1).check()


@pytest.mark.parametrize(
    "deltas",
    [
        [call('{"a":'), end()],
        [call("{}"), call('{"a":', at=1), end()],
        [call("{}"), call('{"a":', choice=1), end(reason="length"), end(1)],
    ],
    ids=["the only one", "the second", "another choice's limit"],
)
def test_a_call_that_breaks_off_is_no_answer(deltas: Sequence[Delta]) -> None:
    """Half a call under a proper end is a break."""
    with pytest.raises(BadAnswer, match="break off"):
        Tally(deltas, 1).check()


def test_fewer_choices_than_were_asked_for_are_no_answer() -> None:
    """An endpoint that ignores `n` is at fault, and others may do better."""
    with pytest.raises(InvalidRequest) as caught:
        Tally([Delta("a"), end()], 2).check()

    assert not caught.value.everywhere


def test_only_content_is_counted() -> None:
    """What was certainly charged for: text, calls and refusals, not roles, reasoning or the end."""
    said = [Delta(), Delta(reasoning="hm"), Delta("a"), call("{}"), Delta(refusal="no"), end()]

    assert Tally(said, 1).pieces == 3
