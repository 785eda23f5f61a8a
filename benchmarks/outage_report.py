"""The tables of `outage.py` for README.md: the peers in real time, the decisions in virtual time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from attrs import frozen
from outage_contenders import CONTENDERS, FLOOR, ORACLE
from outage_figures import Sample, ends, firsts, pooled, shares, success, unpacked
from outage_scenarios import NAMES, Lengths, play_of
from outage_singles import Single, singles
from page import table

SICK_ROW = "of 15 calls, to the sick one"


@frozen
class Findings:
    """The kept results of a run, unpacked.

    Attributes:
        raw: As kept.
        real: Plays in real time, by contender and scenario; one for each round.
        virtual: Figures of plays in virtual time, by scenario and contender.
    """

    raw: Mapping[str, Any]
    real: Mapping[str, Mapping[str, Sequence[Sample]]]
    virtual: Mapping[str, Mapping[str, Any]]

    @property
    def names(self) -> list[str]:
        """Of the contenders that took part."""
        return [contender.name for contender in CONTENDERS if contender.name in self.real]

    @property
    def peers(self) -> list[str]:
        """Those that are neither ours nor bounds."""
        return [c.name for c in CONTENDERS if c.name in self.real and not c.ours and not c.bound]

    @property
    def outages(self) -> list[str]:
        """The scenarios in which somebody is well."""
        return [name for name in self.raw["real"]["plays"] if name != "total"]


def findings(raw: Mapping[str, Any]) -> Findings:
    """Results, as `outage.py` keeps them."""
    return Findings(raw, _unpacked(raw["real"]), raw["virtual"]["plays"])


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


# The peers, in real time.


def everybody(found: Findings) -> str:
    """All outages together, a row for each contender."""
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
        "answered by " + " / ".join(NAMES),
        "requests per call",
        "of them to the sick",
        "back at the first after",
        "CPU per call",
    ]
    return table(head, [_row(found, name) for name in found.names])


def _row(found: Findings, name: str) -> list[str]:
    samples = [sample for outage in found.outages for sample in found.real[name][outage]]
    calls = pooled(samples)
    requests, to_sick = sum([one.requests for one in samples]), sum([one.to_sick for one in samples])
    back = [one.back_after_s for one in samples if one.back_after_s is not None]
    return [
        name,
        percent(success(calls), 2),
        f"{sum([call.outcome == 'f' for call in calls])}",
        *[ms(ends(calls, share)) for share in (0.5, 0.9, 0.99, 0.999)],
        ms(firsts(calls, 0.5)),
        ms(firsts(calls, 0.99)),
        " / ".join([f"{share:.0%}" if share == share else "–" for share in shares(calls)]).replace("%", " %"),
        f"{requests / len(calls):.2f}",
        "–" if name == FLOOR.name else percent(to_sick / requests),
        f"{median(back):.1f} s" if back and name != FLOOR.name else "–",
        f"{sum([one.cpu_s for one in samples]) / len(calls) * 1e3:.1f} ms",
    ]


def requests_per_call(found: Findings, name: str) -> float:
    """Of all calls of the twelve outages."""
    samples = [sample for outage in found.outages for sample in found.real[name][outage]]
    return sum([one.requests for one in samples]) / len(pooled(samples))


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
        samples = found.real[name]["total"]
        calls = pooled(samples, "onset", "steady")
        times = sorted([call.end_s for call in calls])
        rows.append(
            [
                name,
                f"{sum([one.per_call_in_trouble for one in samples]) / len(samples):.2f}",
                ms(times[len(times) // 2]),
                ms(times[int(0.99 * len(times))]),
                percent(success(pooled(samples, "recovery")), 0),
            ]
        )
    head = ["all three down", "requests per call", "error after, p50", "p99", "whole answers after it"]
    return table(head, rows)


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


# Beside the oracle, in virtual time.


def beside_oracle(found: Findings) -> str:
    """Steady state and onset of every outage, as ratios to the oracle's."""
    head = ["", *[outage.upper() for outage in found.outages]]
    rows = []
    chains = [who for who in next(iter(found.virtual.values())) if who != "oracle"]
    for who in chains:
        for label, figure in (("steady p50", steady_p50), ("steady p99", steady_p99)):
            rows.append(
                [f"{who}: {label}, × oracle", *[f"{figure(found, who, o):.2f}" for o in found.outages]]
            )
        rows.append([f"{who}: onset p99, s", *[f"{onset_p99(found, who, o):.1f}" for o in found.outages]])
        rows.append(
            [
                f"{who}: requests per call",
                *[f"{found.virtual[o][who]['per_call_in_trouble']:.2f}" for o in found.outages],
            ]
        )
    return table(head, rows)


def steady_p50(found: Findings, who: str, outage: str) -> float:
    return float(
        found.virtual[outage][who]["steady"]["p50"] / found.virtual[outage]["oracle"]["steady"]["p50"]
    )


def steady_p99(found: Findings, who: str, outage: str) -> float:
    return float(
        found.virtual[outage][who]["steady"]["p99"] / found.virtual[outage]["oracle"]["steady"]["p99"]
    )


def onset_p99(found: Findings, who: str, outage: str) -> float:
    return float(found.virtual[outage][who]["onset"]["p99"])


def healthy_p99(found: Findings, who: str) -> float:
    """The median of what it is before the outages."""
    return float(median([found.virtual[outage][who]["healthy"]["p99"] for outage in found.outages]))


def unanswered(found: Findings, who: str, outage: str) -> float:
    """Share of the calls that got no whole answer."""
    parts = [found.virtual[outage][who][phase] for phase in ("healthy", "onset", "steady", "recovery")]
    return float(1 - sum([part["whole"] for part in parts]) / sum([part["calls"] for part in parts]))


def report(found: Findings, scale: float) -> str:
    """Everything that is said of a run."""
    real = found.raw["real"]
    lengths, rounds = Lengths(**real["lengths"]), max([len(one) for one in real["plays"].values()])
    plays = [one for every in real["plays"].values() for one in every]
    versions = sorted(
        {f"{n} {v}" for one in found.raw["imports"].values() for n, v in one["versions"].items()}
    )
    busy, late = [one["busy"] for one in plays], [one["late_p99_ms"] for one in plays]
    return "\n".join(
        [
            f"Measured {found.raw['machine']}. {', '.join(versions)}.",
            "",
            f"One second of a scenario takes {scale:g} s here; so do all timeouts, cooldowns, back-offs and "
            f"breakers. {lengths.rate:g} calls per second and contender, every other one streamed, "
            f"{lengths.tokens} words an answer, {rounds} rounds. The processors were busy for "
            f"{percent(min(busy), 0)} to {percent(max(busy), 0)} of the time; the slowest contender's loop "
            f"was {median(late):.0f} ms late in the median play and {max(late):.0f} ms in the worst (p99).",
            "",
            "All calls of the twelve outages, times in real milliseconds:",
            "",
            everybody(found),
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
            "",
            f"Full size, in virtual time: {found.raw['virtual']['lengths']['rate']:g} calls per second, "
            "nothing shrunk, fallbackio's defaults with `attempt_timeout=10` and `idle_timeout=5`; "
            '*adaptive* is `ttft_timeout="adaptive"`:',
            "",
            beside_oracle(found),
        ]
    )
