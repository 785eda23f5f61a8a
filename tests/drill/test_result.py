"""Thresholds: what is not good enough is said, all of it, in words."""

from __future__ import annotations

import math

import pytest
from drill_kit import CHAIN, FIRST, drilled

from fallbackio.drill import Quantiles, Result
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
