"""Where others do better than fallbackio: every figure of the results, ours beside theirs.

A loss is a figure in which a peer is better by more than `NOISE` than one of our strategies, each of
which stands for itself: that another one of ours is better still is no excuse.  What a call takes counts
only beside peers that gave as many of the same calls their whole answer.  Costs count whatever came of
the calls.  Two things are left to luck: how long a single fault takes, which is one call, and a
quantile with fewer than `FEWEST` calls beyond it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import outage_report
import scale
from attrs import frozen
from outage_contenders import FLOOR
from outage_figures import Call, ends, firsts, pooled, success
from outage_report import Findings, seconds
from outage_singles import Single, singles

NOISE = 0.05
# The 99th percentile of an outage has two calls beyond it, and its 99.9th none.
FEWEST = 2

Show = Callable[[float], str]
Calls = Mapping[str, Sequence[Call]]
OfCalls = Callable[[Sequence[Call], float], float]


@frozen
class Loss:
    """One of ours, its figure, and those that are better, the best first."""

    ours: str
    mine: float
    better: Sequence[tuple[str, float]]

    @property
    def by(self) -> float:
        """The share by which the best is better."""
        return 1 - self.better[0][1] / self.mine


def beaten(ours: Mapping[str, float], peers: Mapping[str, float], noise: float = NOISE) -> Iterator[Loss]:
    """Ours that a peer is better than; less is better, and what is not known is not compared."""
    for name, mine in ours.items():
        better = sorted(
            [(peer, theirs) for peer, theirs in peers.items() if theirs < mine * (1 - noise)],
            key=lambda one: one[1],
        )
        if better:
            yield Loss(name, mine, better)


def said(label: str, losses: Iterable[Loss], show: Show) -> Iterator[str]:
    """A line for a figure, if there is a loss in it: those of ours that lose, and all that are better."""
    lost = [*losses]
    if lost:
        theirs = sorted({one for loss in lost for one in loss.better}, key=lambda one: (one[1], one[0]))
        mine = ", ".join([f"{short(loss.ours)} {show(loss.mine)}" for loss in lost])
        yield f"{label}: {mine}; better {', '.join([f'{peer} ({show(value)})' for peer, value in theirs])}."


def short(name: str) -> str:
    """A strategy without whose it is."""
    return name.removeprefix("fallbackio, ")


def share(value: float) -> str:
    return f"{value:.0%}".replace("%", " %")


# What callers get.

TIMES: Mapping[str, tuple[float, OfCalls]] = {
    "p50": (0.5, ends),
    "p90": (0.9, ends),
    "p99": (0.99, ends),
    "p99.9": (0.999, ends),
    "first content, p50": (0.5, firsts),
    "first content, p99": (0.99, firsts),
}
PHASES: Mapping[str, Sequence[str]] = {
    "all of S1 to S12": (),
    "before the trouble": ("healthy",),
    "in it": ("onset", "steady"),
    "after it": ("recovery",),
}


def of_calls(ours: Calls, theirs: Calls, level: float, figure: OfCalls) -> Iterator[Loss]:
    """Losses in a figure of calls, to those that answered as many."""
    for name, mine in ours.items():
        if len(mine) * (1 - level) < FEWEST:
            continue
        equals = {peer: figure(one, level) for peer, one in theirs.items() if success(one) >= success(mine)}
        yield from beaten({name: figure(mine, level)}, equals)


def answers(found: Findings) -> Iterator[str]:
    """Fewer whole answers than a peer, or a false success, over all outages and in each."""
    for scope, outages in [("S1 to S12", found.outages), *[(o.upper(), [o]) for o in found.outages]]:
        calls = {name: pooled([s for o in outages for s in found.real[name][o]]) for name in found.real}
        missing = {name: 1 - success(mine) for name, mine in calls.items()}
        lost = beaten(_some(missing, found.ours), _some(missing, found.peers), noise=0)
        yield from said(
            f"calls without a whole answer, {scope}", lost, lambda one: outage_report.percent(one, 2)
        )
        false = {name: sum([call.outcome == "f" for call in mine]) for name, mine in calls.items()}
        lost = beaten(_some(false, found.ours), _some(false, found.peers), noise=0)
        yield from said(f"false successes, {scope}", lost, lambda one: f"{one:.0f}")


def _some(values: Mapping[str, float], names: Iterable[str]) -> dict[str, float]:
    return {name: values[name] for name in names}


def times(found: Findings, others: Sequence[str]) -> Iterator[str]:
    """Of the calls of all outages, in their phases too."""
    for scope, phases in PHASES.items():
        ours, theirs = [
            {name: pooled(found.twelve(name), *phases) for name in names} for names in (found.ours, others)
        ]
        for label, (level, figure) in TIMES.items():
            yield from said(f"{label}, {scope}", of_calls(ours, theirs, level, figure), _ms)


def by_outage(found: Findings) -> Iterator[str]:
    """While somebody is in trouble: which of ours loses where, by how much, and to whom most."""
    for label, (level, figure) in TIMES.items():
        where: dict[str, list[str]] = {}
        for outage in found.outages:
            ours, theirs = [
                {name: pooled(found.real[name][outage], "onset", "steady") for name in names}
                for names in (found.ours, found.peers)
            ]
            for loss in of_calls(ours, theirs, level, figure):
                best = f"{outage.upper()} by {share(loss.by)} ({loss.better[0][0]})"
                where.setdefault(loss.ours, []).append(best)
        if where:
            parts = [f"{short(name)} in {', '.join(places)}" for name, places in where.items()]
            yield f"{label}: {'; '.join(parts)}."


def total(found: Findings) -> Iterator[str]:
    """When everything is down: how soon the caller hears of it, and how many requests that takes."""
    if "total" not in found.raw["real"]["plays"]:
        return
    figures: Mapping[str, tuple[Callable[[str], float], Show]] = {
        "requests per call": (
            lambda name: outage_report.total_per_call(found, name),
            lambda one: f"{one:.2f}",
        ),
        "error after, p50": (lambda name: outage_report.total_after(found, name, 0.5), _ms),
        "error after, p99": (lambda name: outage_report.total_after(found, name, 0.99), _ms),
        "calls after it without a whole answer": (
            lambda name: 1 - success(pooled(found.real[name]["total"], "recovery")),
            outage_report.percent,
        ),
    }
    for label, (of, show) in figures.items():
        yield from said(label, beaten(_each(found.ours, of), _each(found.peers, of)), show)


def _each(names: Iterable[str], of: Callable[[str], float]) -> dict[str, float]:
    return {name: of(name) for name in names}


def _ms(value: float) -> str:
    return f"{outage_report.ms(value)} ms"


def faults(found: Findings, shrunk_to: float) -> Iterator[str]:
    """Single faults that a peer ends better: rightly where we do not, or with an answer where we raise."""
    places: dict[tuple[str, bool, str], list[str]] = {}
    for single in singles(shrunk_to):
        for name in found.ours:
            for kind in ("plain", "stream"):
                ends_in = {who: _end(found, who, single, kind) for who in (name, *found.peers)}
                better = [peer for peer in found.peers if ends_in[peer] < ends_in[name]]
                if better:
                    key = (single.name, ends_in[name] == RAISED, ", ".join(better))
                    places.setdefault(key, []).append(f"{short(name)} ({kind})")
    for (fault, rightly, peers), ours in places.items():
        what = ("the right error", "an answer") if rightly else ("a wrong end", "a right one")
        yield f"`{fault}`: {what[0]} by {', '.join(ours)}; {what[1]} by {peers}."


ANSWERED, RAISED, WRONG = range(3)


def _end(found: Findings, name: str, single: Single, kind: str) -> int:
    verdict = outage_report.verdict(single, found.raw["singles"][name][f"{single.name}-{kind}"]["record"])
    return {outage_report.GOOD[0]: ANSWERED, outage_report.GOOD[1]: RAISED}.get(verdict, WRONG)


# What it costs.


def costs(found: Findings) -> Iterator[str]:
    """Requests, dollars, the sick endpoint's share, the way back, processor, memory, import."""
    raw = found.raw
    figures: Mapping[str, tuple[Callable[[str], float], Show]] = {
        "requests per call, S1 to S12": (
            lambda name: outage_report.requests_per_call(found, name),
            lambda one: f"{one:.2f}",
        ),
        "requests to the sick per call": (
            lambda name: outage_report.to_sick_per_call(found, name),
            lambda one: f"{one:.2f}",
        ),
        "a million calls": (lambda name: outage_report.cost_usd(found, name), outage_report.usd),
        "time from the onset until the sick endpoint is left": (
            lambda name: outage_report.left_after(found, name),
            seconds,
        ),
        "time from the recovery to its first answer": (
            lambda name: outage_report.first_back(found, name),
            lambda one: seconds(one, found.recovery_s),
        ),
        "time from the recovery until it answers nine tenths": (
            lambda name: outage_report.mostly_back(found, name),
            lambda one: seconds(one, found.recovery_s),
        ),
        "requests to the sick endpoint of `outage-60s`": (
            lambda name: raw["sixty"][name]["sick"],
            lambda one: f"{one:.0f}",
        ),
        "CPU of a call of S1 to S12": (
            lambda name: outage_report.cpu_in_outages_s(found, name),
            lambda one: f"{one * 1e3:.1f} ms",
        ),
        "CPU of a healthy call": (lambda name: outage_report.cpu_us(found, name, "plain"), _us),
        "CPU of a healthy streamed call": (lambda name: outage_report.cpu_us(found, name, "stream"), _us),
        "memory": (lambda name: raw["costs"][name]["rss_kib"], _mib),
        "time to import": (lambda name: raw["imports"][name]["s"], lambda one: f"{one:.2f} s"),
        "memory of the import": (lambda name: raw["imports"][name]["kib"], _mib),
        "requests left after cancelling 20 calls": (
            lambda name: sum([raw["cancelled"][name][kind]["left"] for kind in ("plain", "stream")]),
            lambda one: f"{one:.0f}",
        ),
    }
    for label, (of, show) in figures.items():
        yield from said(label, beaten(_each(found.ours, of), _each(found.peers, of)), show)


def _us(value: float) -> str:
    return f"{value:,.0f} µs"


def _mib(kib: float) -> str:
    return f"{kib / 1024:.0f} MiB"


# The fleet, and no library at all.

FLEET_TOTALS: Mapping[str, tuple[str, Show]] = {
    "failed": ("failed calls of the day", lambda one: f"{one:,.0f}"),
    "extra": ("extra requests per call in trouble", lambda one: f"{one:.3f}"),
    "to_sick_per_s": ("requests to the sick per second", lambda one: f"{one:,.0f}"),
    "turned_away": ("calls that met a failure", lambda one: outage_report.percent(one, 2)),
    "steepest_per_s": ("steepest return, per second in a second", lambda one: f"{one:,.0f}"),
}
FLEET: Mapping[str, tuple[str, Show]] = {
    "to_sick_per_s": ("requests to the sick per second", lambda one: f"{one:,.0f}"),
    "p50_s": ("p50 in trouble", lambda one: f"{one:.2f} s"),
    "p99_s": ("p99 in trouble", lambda one: f"{one:.1f} s"),
    "back_after_s": (
        "time until nine tenths of the calls are back",
        lambda one: "> 120 s" if one == float("inf") else f"{one:.0f} s",
    ),
}


def fleet(day: Mapping[str, Any]) -> Iterator[str]:
    """Our breaker beside the other policies, over the day and in each outage."""
    ours, *others = scale.POLICIES
    totals = {policy: scale.day_figures(day, policy) for policy in scale.POLICIES}
    for key, (label, show) in FLEET_TOTALS.items():
        theirs = {f"“{policy}”": totals[policy][key] for policy in others}
        yield from said(f"{label}, over the day", beaten({ours: totals[ours][key]}, theirs), show)
    for key, (label, show) in FLEET.items():
        for policy in others:
            places = []
            for outage, one in day.items():
                mine, theirs_s = [_or_never(one[who][key]) for who in (ours, policy)]
                for loss in beaten({ours: mine}, {policy: theirs_s}):
                    places.append(f"{outage.upper()} {show(loss.mine)} to {show(theirs_s)}")
            if places:
                yield f"{label}, beside “{policy}”: {', '.join(places)}."


def _or_never(value: float | None) -> float:
    return float("inf") if value is None else value


def beside_bare(found: Findings, overhead: Any, kept: Any) -> Iterator[str]:
    """What bare aiohttp, which copes with nothing, costs less."""
    if FLOOR.name in found.real:
        yield from [line for line in times(found, [FLOOR.name]) if "before the trouble" in line]
    for kind, label in (("plain", "a call"), ("stream", "a streamed call"), ("packet", "one in one packet")):
        if overhead is not None and overhead[kind]["cpu_ratio"] > 1 + NOISE:
            yield (
                f"CPU of {label} in one process with it: {overhead[kind]['cpu_ratio']:.2f} times as much, "
                f"{overhead[kind]['wall_ratio']:.2f} by the wall."
            )
    for number, both in (kept["concurrency"] if kept is not None else {}).items():
        ratio = both["ours"]["cpu_us"] / both["bare"]["cpu_us"]
        if ratio > 1 + NOISE:
            yield f"CPU of a call, {int(number):,} at once: {ratio:.2f} times as much."
        if int(number) >= scale.MANY and both["ours"]["kib"] > both["bare"]["kib"] * (1 + NOISE):
            more = both["ours"]["kib"] - both["bare"]["kib"]
            yield f"memory of a call, {int(number):,} at once: {more:.1f} KiB more."


def sections(found: Findings, overhead: Any, kept: Any, shrunk_to: float) -> Mapping[str, list[str]]:
    """All losses by what they are of; a section without one is not there."""
    given = {
        "What callers get": [*answers(found), *times(found, found.peers)],
        "In each outage, while somebody is in trouble": [*by_outage(found)],
        "When everything is down": [*total(found)],
        "Single faults": [*faults(found, shrunk_to)],
        "What it costs": [*costs(found)],
        "The breaker in a fleet": [*fleet(kept["day"])] if kept is not None else [],
        "Beside bare aiohttp": [*beside_bare(found, overhead, kept)],
    }
    return {title: lines for title, lines in given.items() if lines}


def text(found: Findings, overhead: Any, kept: Any, shrunk_to: float) -> str:
    """All losses for README.md, and what counts as one."""
    parts = [
        "Every figure of this page that a peer has as well is compared. A loss is one in which a peer is "
        f"better by more than {share(NOISE)} than one of our strategies, each of which stands for itself. "
        "Times count beside peers that gave as many of the same calls their whole answer, costs whatever "
        "came of the calls. Single faults are one call each, so that how they end counts, and how long they "
        f"take does not; a quantile counts with at least {FEWEST} calls beyond it."
    ]
    for title, lines in sections(found, overhead, kept, shrunk_to).items():
        parts += [f"### {title}", "\n".join([f"- {line[0].upper()}{line[1:]}" for line in lines])]
    return "\n\n".join(parts)
