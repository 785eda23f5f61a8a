"""What `outage_virtual.py` has found, and its table: the outages at full size, beside an oracle."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from attrs import frozen
from outage_report import seconds
from page import table

ORACLE = "oracle"
PHASES = ("healthy", "onset", "steady", "recovery")


@frozen
class FullSize:
    """The kept figures.

    Attributes:
        rate: Calls per second.
        recovery_s: How long is played when the trouble is over.
        plays: Figures by scenario and contender.
    """

    rate: float
    recovery_s: float
    plays: Mapping[str, Mapping[str, Any]]

    @classmethod
    def of(cls, kept: Mapping[str, Any]) -> FullSize:
        """From the results, as they are kept."""
        return cls(kept["lengths"]["rate"], kept["lengths"]["recovery_s"], kept["plays"])

    @property
    def outages(self) -> list[str]:
        """The scenarios in which somebody is well."""
        return [name for name in self.plays if name != "total"]

    @property
    def chains(self) -> list[str]:
        """The contenders that have to find out."""
        return [who for who in next(iter(self.plays.values())) if who != ORACLE]

    def steady(self, who: str, outage: str, level: str) -> float:
        """A quantile once the trouble is known, as a ratio to the oracle's."""
        play = self.plays[outage]
        return float(play[who]["steady"][level] / play[ORACLE]["steady"][level])

    def onset_p99(self, who: str, outage: str) -> float:
        """Of the first 10 s, in seconds."""
        return float(self.plays[outage][who]["onset"]["p99"])

    def healthy_p99(self, who: str) -> float:
        """The median of what it is before the outages."""
        return float(median([self.plays[outage][who]["healthy"]["p99"] for outage in self.outages]))

    def unanswered(self, who: str, outage: str) -> float:
        """Share of the calls that got no whole answer."""
        parts = [self.plays[outage][who][phase] for phase in PHASES]
        return float(1 - sum([part["whole"] for part in parts]) / sum([part["calls"] for part in parts]))

    def per_call_in_trouble(self, who: str, outage: str) -> float:
        """Upstream requests per call while somebody is not well."""
        return float(self.plays[outage][who]["per_call_in_trouble"])


def report(found: FullSize) -> str:
    """The table and what it is of."""
    head = ["", *[outage.upper() for outage in found.outages]]
    rows = [row for who in found.chains for row in _rows(found, who)]
    return "\n".join(
        [
            f"{found.rate:g} calls per second, fallbackio's defaults with `attempt_timeout=10` and "
            '`idle_timeout=5`; *adaptive* is `ttft_timeout="adaptive"`. When the sick endpoint is left and '
            "when it is back count as above:",
            "",
            table(head, rows),
        ]
    )


def _rows(found: FullSize, who: str) -> Sequence[Sequence[str]]:
    outages = found.outages
    rows = [
        [f"{who}: steady {level}, × oracle", *[f"{found.steady(who, o, level):.2f}" for o in outages]]
        for level in ("p50", "p99")
    ]
    rows.append([f"{who}: onset p99, s", *[f"{found.onset_p99(who, o):.1f}" for o in outages]])
    rows.append([f"{who}: requests per call", *[f"{found.per_call_in_trouble(who, o):.2f}" for o in outages]])
    for label, key, at_most in (
        ("left after", "left_after_s", math.inf),
        ("first back after", "back_after_s", found.recovery_s),
        ("nine tenths back after", "mostly_back_after_s", found.recovery_s),
    ):
        after = [found.plays[outage][who][key] for outage in outages]  # `None` is what did not happen
        said = [seconds(math.inf if at is None else at, at_most) for at in after]
        rows.append([f"{who}: {label}", *said])
    return rows
