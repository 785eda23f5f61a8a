"""The tables of `outage.py` for README.md."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from attrs import frozen
from outage_contenders import CONTENDERS, FLOOR, ORACLE
from outage_figures import (
    PROMPT_TOKENS,
    READ_USD,
    WINDOW_S,
    WRITTEN_USD,
    Sample,
    ends,
    firsts,
    pooled,
    shares,
    success,
    unpacked,
)
from outage_scenarios import NAMES, Lengths, play_of
from outage_singles import Single, singles
from page import quantile, table

SICK_ROW = "of 15 calls, to the sick one"


@frozen
class Findings:
    """The kept results of a run, unpacked.

    Attributes:
        raw: As kept.
        real: Plays by contender and scenario; one for each round.
    """

    raw: Mapping[str, Any]
    real: Mapping[str, Mapping[str, Sequence[Sample]]]

    @property
    def names(self) -> list[str]:
        """Of the contenders that took part."""
        return [contender.name for contender in CONTENDERS if contender.name in self.real]

    @property
    def ours(self) -> list[str]:
        """Our strategies."""
        return [c.name for c in CONTENDERS if c.name in self.real and c.ours]

    @property
    def peers(self) -> list[str]:
        """Those that are neither ours nor bounds."""
        return [c.name for c in CONTENDERS if c.name in self.real and not c.ours and not c.bound]

    @property
    def outages(self) -> list[str]:
        """The scenarios in which somebody is well."""
        return [name for name in self.raw["real"]["plays"] if name != "total"]

    @property
    def recovery_s(self) -> float:
        """How long is played when the trouble is over, in real seconds."""
        lengths = self.raw["real"]["lengths"]
        return float(lengths["recovery_s"] * lengths["scale"])

    def twelve(self, name: str) -> list[Sample]:
        """All plays of a contender in them."""
        return [sample for outage in self.outages for sample in self.real[name][outage]]


def findings(raw: Mapping[str, Any]) -> Findings:
    """Results, as `outage.py` keeps them."""
    return Findings(raw, _unpacked(raw["real"]))


def _unpacked(kept: Mapping[str, Any]) -> dict[str, dict[str, list[Sample]]]:
    lengths = Lengths(**kept["lengths"])
    found: dict[str, dict[str, list[Sample]]] = {}
    for name, rounds in kept["plays"].items():
        play = play_of(name, lengths)
        for one in rounds:
            for who, columns in one["contenders"].items():
                found.setdefault(who, {}).setdefault(name, []).append(unpacked(play, one["at"], columns))
    return found


def ms(seconds: float) -> str:
    """Milliseconds, or a dash for nothing."""
    return f"{seconds * 1e3:,.0f}" if seconds == seconds else "–"


def percent(share: float, digits: int = 1) -> str:
    return f"{share * 100:.{digits}f} %" if share == share else "–"


def seconds(value: float, at_most: float = math.inf) -> str:
    """Seconds, a dash for nothing, or for what did not happen "never" or how long was looked at most."""
    if value == math.inf:
        return "never" if at_most == math.inf else f"> {at_most:g} s"
    return f"{value:.1f} s" if value == value else "–"


# All twelve outages.


def times(found: Findings) -> str:
    """What callers get, a row for each contender."""
    head = [
        "S1 to S12",
        "whole answers",
        "false successes",
        "p50",
        "p90",
        "p99",
        "p99.9",
        "first content p50",
        "p99",
    ]
    rows = []
    for name in found.names:
        calls = pooled(found.twelve(name))
        rows.append(
            [
                name,
                percent(success(calls), 2),
                f"{sum([call.outcome == 'f' for call in calls])}",
                *[ms(ends(calls, share)) for share in (0.5, 0.9, 0.99, 0.999)],
                ms(firsts(calls, 0.5)),
                ms(firsts(calls, 0.99)),
            ]
        )
    return table(head, rows)


def decisions(found: Findings) -> str:
    """Who is asked, how soon the sick one is left and asked again, and what it costs."""
    head = [
        "S1 to S12",
        "answered by " + " / ".join(NAMES),
        "requests per call",
        "of them to the sick",
        "left it after",
        "in",
        "first answer of it after",
        "nine tenths after",
        "a million calls cost",
        "CPU per call",
    ]
    return table(head, [_decisions(found, name) for name in found.names])


def _decisions(found: Findings, name: str) -> list[str]:
    samples = found.twelve(name)
    calls = pooled(samples)
    who = " / ".join([f"{share:.0%}" if share == share else "–" for share in shares(calls)])
    alone = ["–"] * 5  # the floor has no choice
    if name != FLOOR.name:
        known = [one for one in samples if one.left_after_s == one.left_after_s]
        alone = [
            percent(sum([one.to_sick for one in samples]) / sum([one.requests for one in samples])),
            seconds(left_after(found, name)),
            f"{sum([one.left_after_s < math.inf for one in known])} of {len(known)}" if known else "–",
            seconds(first_back(found, name), found.recovery_s),
            seconds(mostly_back(found, name), found.recovery_s),
        ]
    return [
        name,
        who.replace("%", " %"),
        f"{requests_per_call(found, name):.2f}",
        *alone,
        usd(cost_usd(found, name)),
        f"{cpu_in_outages_s(found, name) * 1e3:.1f} ms",
    ]


def usd(value: float) -> str:
    """Dollars, or a dash for nothing."""
    return f"{value * 1e6:.2f} $" if value == value else "–"


def requests_per_call(found: Findings, name: str) -> float:
    """Of all calls of the twelve outages."""
    samples = found.twelve(name)
    return sum([one.requests for one in samples]) / len(pooled(samples))


def to_sick_per_call(found: Findings, name: str) -> float:
    """Requests to endpoints that are not well, likewise."""
    samples = found.twelve(name)
    return sum([one.to_sick for one in samples]) / len(pooled(samples))


def cpu_in_outages_s(found: Findings, name: str) -> float:
    """Seconds of CPU per call, likewise; every call is open while others are."""
    samples = found.twelve(name)
    return sum([one.cpu_s for one in samples]) / len(pooled(samples))


def cost_usd(found: Findings, name: str) -> float:
    """Dollars per call, likewise."""
    samples = found.twelve(name)
    return sum([one.cost_usd for one in samples]) / len(pooled(samples))


def left_after(found: Findings, name: str) -> float:
    """Seconds from the onset until the sick endpoint is left, where it is; infinite if it never is."""
    known = [one.left_after_s for one in found.twelve(name) if one.left_after_s == one.left_after_s]
    left = [one for one in known if one < math.inf]
    return median(left) if left else math.inf if known else math.nan


def first_back(found: Findings, name: str) -> float:
    """Median seconds from the recovery to the first call that the first endpoint answers again."""
    back = [one.back_after_s for one in found.twelve(name)]
    return median([math.inf if after is None else after for after in back])


def mostly_back(found: Findings, name: str) -> float:
    """Likewise until it answers nine tenths of them."""
    return median([one.mostly_back_after_s for one in found.twelve(name)])


def by_outage(found: Findings) -> str:
    """Whole answers and the 99th percentile while somebody is in trouble, per scenario."""
    lines = []
    for name in found.names:
        if name == FLOOR.name:
            continue
        cells = []
        for outage in found.outages:
            calls = pooled(found.real[name][outage], "onset", "steady")
            failed = sum([not call.whole for call in calls])
            cells.append(f"{ends(calls, 0.99):.1f}" + (f" (−{failed})" if failed else ""))
        lines.append([name, *cells])
    return table(["p99 in trouble, s", *[outage.upper() for outage in found.outages]], lines)


def total(found: Findings) -> str:
    """Everything is down: how fast the caller hears of it, and what the providers get."""
    rows = []
    for name in found.names:
        if name in (FLOOR.name, ORACLE.name) or "total" not in found.real[name]:
            continue
        rows.append(
            [
                name,
                f"{total_per_call(found, name):.2f}",
                ms(total_after(found, name, 0.5)),
                ms(total_after(found, name, 0.99)),
                percent(success(pooled(found.real[name]["total"], "recovery")), 0),
            ]
        )
    head = ["all three down", "requests per call", "error after, p50", "p99", "whole answers after it"]
    return table(head, rows)


def total_per_call(found: Findings, name: str) -> float:
    """Upstream requests per call while everything is down."""
    samples = found.real[name]["total"]
    return sum([one.per_call_in_trouble for one in samples]) / len(samples)


def total_after(found: Findings, name: str, share: float) -> float:
    """A quantile of the seconds until the caller hears of it."""
    return quantile([call.end_s for call in pooled(found.real[name]["total"], "onset", "steady")], share)


# Single faults.

GOOD, BAD = ("✓", "✓ error"), ("✗ error", "✗ **false**", "✗ gave up")


def verdict(single: Single, record: Sequence[Any]) -> str:
    """What a call came to: whole, the right error, the wrong one, a false success, or nothing at all."""
    outcome = record[3]
    if outcome == "whole":
        return GOOD[0]
    if outcome == "error":
        return GOOD[1] if single.allows else BAD[0]
    return BAD[1] if outcome == "false" else BAD[2]


def fault_table(found: Findings, scale: float) -> str:
    """Every fault, plain and streamed, for every contender."""
    kept = found.raw["singles"]
    names = [name for name in found.names if name in kept]
    rows = []
    for single in singles(scale):
        cells = []
        for name in names:
            records = [kept[name][f"{single.name}-{kind}"]["record"] for kind in ("plain", "stream")]
            said = [f"{verdict(single, record)} {record[2]:.1f} s" for record in records]
            cells.append(" · ".join(said))
        rows.append([single.name, *cells])
    rows.append(
        ["**right**", *[f"**{right(found, name, scale)} of {2 * len(singles(scale))}**" for name in names]]
    )
    return table(["plain · streamed", *names], rows)


def right(found: Findings, name: str, scale: float) -> int:
    """How many of the single faults ended rightly."""
    kept = found.raw["singles"][name]
    return sum(
        [
            verdict(single, kept[f"{single.name}-{kind}"]["record"]) in GOOD
            for single in singles(scale)
            for kind in ("plain", "stream")
        ]
    )


# Costs.


def cpu_us(found: Findings, name: str, kind: str) -> float:
    """Median microseconds of CPU per healthy call."""
    return float(median([cpu for cpu, _ in found.raw["costs"][name][kind]]))


def ratio(found: Findings, name: str, other: str, kind: str) -> float:
    """Median of the rounds' ratios of CPU."""
    pairs = zip(found.raw["costs"][name][kind], found.raw["costs"][other][kind], strict=True)
    return float(median([mine[0] / base[0] for mine, base in pairs]))


def cost_table(found: Findings) -> str:
    rows = []
    for name in found.names:
        imported, cancelled = found.raw["imports"][name], found.raw["cancelled"][name]
        rows.append(
            [
                name,
                f"{cpu_us(found, name, 'plain'):,.0f} µs",
                f"{cpu_us(found, name, 'stream'):,.0f} µs",
                f"{found.raw['costs'][name]['rss_kib'] / 1024:.0f} MiB",
                f"{imported['s']:.2f} s",
                f"{imported['kib'] / 1024:.0f} MiB",
                " · ".join([str(cancelled[kind]["left"]) for kind in ("plain", "stream")]),
                str(found.raw["sixty"][name]["sick"]) if name in found.raw["sixty"] else "–",
            ]
        )
    head = [
        "a healthy call",
        "CPU, plain",
        "CPU, 32 chunks",
        "memory after it",
        "import",
        "import",
        "left after cancelling 20",
        SICK_ROW,
    ]
    return table(head, rows)


def measured(found: Findings) -> str:
    """When, with what and with which versions."""
    versions = sorted(
        {f"{n} {v}" for one in found.raw["imports"].values() for n, v in one["versions"].items()}
    )
    return f"Measured {found.raw['machine']}. {', '.join(versions)}."


def report(found: Findings, scale: float) -> str:
    """Everything that is said of a run."""
    real = found.raw["real"]
    lengths, rounds = Lengths(**real["lengths"]), max([len(one) for one in real["plays"].values()])
    plays = [one for every in real["plays"].values() for one in every]
    busy, late = [one["busy"] for one in plays], [one["late_p99_ms"] for one in plays]
    return "\n".join(
        [
            measured(found),
            "",
            f"One second of a scenario takes {scale:g} s here; so do all timeouts, cooldowns, back-offs and "
            f"breakers. {lengths.rate:g} calls per second and contender, every other one streamed, "
            f"{lengths.tokens} words an answer, {rounds} rounds. The processors were busy for "
            f"{percent(min(busy), 0)} to {percent(max(busy), 0)} of the time; the slowest contender's loop "
            f"was {median(late):.0f} ms late in the median play and {max(late):.0f} ms in the worst (p99).",
            "",
            "All calls of the twelve outages, times in real milliseconds:",
            "",
            times(found),
            "",
            f"Whom they asked. *Left* is the first endpoint when it gets fewer requests than a tenth of the "
            f"calls, over the {WINDOW_S:g} s of the scenario that follow; it is the median of the outages "
            f"in which that happens, and in how many it does. After the recovery it is the median of all, "
            f"also of those in which it does not happen within the {found.recovery_s:g} s that "
            f"are played. The cost is gpt-4o-mini's price list ({READ_USD * 1e6:g} and {WRITTEN_USD * 1e6:g} "
            f"$ per million tokens) on the endpoints' own counts: {PROMPT_TOKENS} tokens for every answer "
            f"that begins, and all that were sent, to those that no longer listen as well:",
            "",
            decisions(found),
            "",
            "The 99th percentile while somebody is in trouble, in real seconds, and in brackets how many "
            "calls got no whole answer:",
            "",
            by_outage(found),
            "",
            total(found),
            "",
            "Single faults of the first endpoint, each met by one plain call and one streamed call; ✓ is the "
            "whole answer or the right error, and after how many real seconds:",
            "",
            fault_table(found, scale),
            "",
            "Costs, one call at a time at a healthy endpoint:",
            "",
            cost_table(found),
        ]
    )
