"""Thresholds: what is not good enough is said, all of it, in words."""

from __future__ import annotations

import math
import re
from pathlib import Path

import attrs
import pytest
from drill_kit import CHAIN, FIRST, drilled

from fallbackio import Endpoint
from fallbackio.drill import Breach, Quantiles, Result, drill
from fallbackio.errors import ConfigError
from fallbackio.simulator import Status


@pytest.fixture(scope="module")
def result() -> Result:
    """An outage that everybody survives."""
    return drilled(Status(503))


def test_what_is_good_enough_passes(result: Result) -> None:
    """Limits that hold raise nothing."""
    result.require()
    result.require(success=1.0, p50_s=1, p99_s=2, longest_s=3, ttft_p99_s=1, requests_per_call=1.2, to_sick=8)
    result.require(phase="outage", requests_per_call=1.5, left_alone_s=10, returned_s=20)


def test_everything_that_is_wrong_is_said(result: Result) -> None:
    """The error names the chain, the scenario and the phase, and every limit that does not hold."""
    with pytest.raises(AssertionError) as caught:
        result.require(phase="outage", p50_s=0.1, to_sick=2, left_alone_s=0.001, requests_per_call=3)

    head, *lines = str(caught.value).splitlines()
    assert head == "chain in short, outage:"
    assert len(lines) == 3
    assert lines[0] == "p50_s is 0.39, over 0.1"
    assert lines[2].startswith(f"left_alone_s of {FIRST} is ")


def test_without_a_call_nothing_is_good() -> None:
    """A drill in which nobody called has not shown that anything works."""
    nobody = drilled(Status(503), rate=0.001)

    assert nobody.total.calls == 0
    assert nobody.shortcomings(success=1.0) == ["no call was made, so success is not known"]


def test_failed_calls_are_named(result: Result) -> None:
    """A missed share says what the calls failed with."""
    lonely = drilled(Status(503), CHAIN[:1], max_retries=0)

    (line,) = lonely.shortcomings(success=1.0)
    assert line.startswith("success is ")
    assert "ChainExhausted: openai/gpt-4o-mini Overloaded (503)" in line


def test_what_is_not_known_is_no_pass(result: Result) -> None:
    """A limit on a figure that there is not is not met: plain calls have no first content."""
    plain = drilled(None, streaming=False)

    assert plain.shortcomings(ttft_p99_s=10) == ["ttft_p99_s is not known, so not at most 10"]
    assert plain.shortcomings(success=1.0) == []


def test_a_mistyped_limit_or_phase_is_refused(result: Result) -> None:
    """A limit that there is not does not pass for one that holds."""
    with pytest.raises(ConfigError, match="unknown limit 'p99'; did you mean 'p99_s'"):
        result.shortcomings(p99=3)
    with pytest.raises(ConfigError, match="success must be a share from 0 to 1, not 100"):
        result.require(success=100)
    with pytest.raises(ConfigError, match="p99_s must be a number, 0 or more, not nan"):
        result.require(p99_s=math.nan)
    with pytest.raises(ConfigError, match="did you mean 'outage'"):
        result.shortcomings(phase="outtage")


def test_quantiles_are_times_that_were_taken() -> None:
    """The nearest rank: of a thousand calls, 999 are within the p99.9."""
    times = Quantiles.of([float(number) for number in range(1, 1001)])

    assert (times.p50, times.p90, times.p99, times.p999, times.longest) == (500, 900, 990, 999, 1000)
    assert math.isnan(Quantiles.of([]).p50)
    assert Quantiles.of([]).to_dict()["p99"] is None


def _keys(value: object) -> set[str]:
    """The names in a JSON value; those that are somebody's (endpoints, errors) begin no table."""
    if isinstance(value, list):
        return {key for one in value for key in _keys(one)}
    if not isinstance(value, dict):
        return set()
    named = {"served", "errors", "requests"}
    return {*value} | {key for name, one in value.items() if name not in named for key in _keys(one)}


def test_every_figure_of_the_json_is_explained() -> None:
    """docs/drills.md names what `to_dict` gives, all of it, and nothing that it does not give."""
    said = (Path(__file__).parents[2] / "docs" / "drills.md").read_text(encoding="utf-8")
    rows = [line for line in said.partition("## As JSON")[2].partition("## ")[0].splitlines() if "|" in line]
    explained = set(re.findall(r"`([a-z_0-9]+)`", " ".join(rows))) - {"null"}

    broken = attrs.evolve(drilled(Status(503)), breaches=(Breach("one winner", ("call 1",), 1),))

    assert _keys(broken.to_dict()) == explained


def test_numbers_of_a_kind_are_of_one_kind() -> None:
    """Times and money are fractions, and every endpoint is counted, also where it is nought."""
    priced = [
        Endpoint("m", name=name, vendor=name, base_url="http://a/v1", price=(1.0, 1.0)) for name in "ab"
    ]
    result = drill(priced, "reset")

    for one in (*result.phases, result.total):
        assert {type(value) for value in (one.begins_s, one.lasts_s, one.cost, one.wasted)} == {float}
        assert {*one.requests} == {"a", "b"}
