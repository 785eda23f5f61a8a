"""What is written agrees with what was measured: pages and kept results are of one run."""

from __future__ import annotations

import pytest
import report
from page import COMPARISON, README, written

KEPT = report.Kept.read()


@pytest.mark.parametrize("section", ["targets", "losses", "outage", "full-size", "scale"])
def test_the_readme_is_its_results(section: str) -> None:
    """`benchmarks/report.py --write` would change nothing."""
    assert written(section, README) == report.readme(KEPT)[section]


def test_the_comparison_is_its_results() -> None:
    """So too for the costs of docs/comparison.md."""
    assert {"costs": written("costs", COMPARISON)} == report.comparison(KEPT)


def test_every_contender_has_its_row() -> None:
    """A table of the outages, of the decisions and of the costs for each, oracle and floor included."""
    assert KEPT.found is not None
    said = report.readme(KEPT)["outage"]

    for name in KEPT.found.names:
        assert said.count(f"\n| {name} |") >= 3, name
