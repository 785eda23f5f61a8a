"""From the records of `outage.py` to figures: what is kept of a run, and what is computed from it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from attrs import frozen
from outage_scenarios import NAMES, Play
from page import quantile

# US dollars of a token read and of one written, for every endpoint alike: gpt-4o-mini's.
READ_USD, WRITTEN_USD = 0.15e-6, 0.60e-6
# The question's length, whoever asks it and whatever its client puts around it.
PROMPT_TOKENS = 25

# Over so many seconds of a scenario a share of the calls is counted.
WINDOW_S = 5.0

# Outcomes in one letter, for the results that are kept.
LETTERS = {"whole": "w", "false": "f", "error": "e", "gave up": "g"}


@frozen
class Call:
    """One call: times in seconds from when it was due."""

    due_s: float
    ttft_s: float | None
    end_s: float
    outcome: str
    served: str | None
    stream: bool

    @property
    def whole(self) -> bool:
        return self.outcome == "w"


@frozen
class Sample:
    """All calls of a contender in one play, and what reached the endpoints.

    Attributes:
        play: What was played.
        calls: What they came to.
        requests: How many reached the endpoints.
        to_sick: How many of them reached one that was not well.
        in_trouble: How many of them came while somebody was not well.
        cpu_s: The contender's.
        cost_usd: What all requests cost, those whose answer nobody took included; NaN if unknown.
        left_after_s: Seconds from the onset until the first endpoint gets less than a tenth of the calls;
            infinite if it never does, NaN if unknown.
    """

    play: Play
    calls: Sequence[Call]
    requests: int
    to_sick: int
    in_trouble: int
    cpu_s: float
    cost_usd: float = math.nan
    left_after_s: float = math.nan

    def part(self, *phases: str) -> list[Call]:
        """The calls that were due in these phases."""
        return [call for call in self.calls if self.play.phase(call.due_s) in phases]

    @property
    def per_call_in_trouble(self) -> float:
        """Upstream requests per call while somebody is not well."""
        calls = self.part("onset", "steady")
        return self.in_trouble / len(calls) if calls else float("nan")

    @property
    def back_after_s(self) -> float | None:
        """Seconds from the end of the trouble to the first call that the first endpoint answers again."""
        _, ends = self.play.trouble_s
        found = [call.due_s - ends for call in self.calls if call.due_s >= ends and call.served == NAMES[0]]
        return min(found, default=None)

    @property
    def mostly_back_after_s(self) -> float:
        """Seconds from then until the first endpoint answers nine tenths of the calls; infinite if never."""
        _, ends = self.play.trouble_s
        window_s = WINDOW_S * self.play.scale
        late = [call for call in self.calls if call.due_s >= ends]
        for call in late:
            begins = call.due_s
            if begins + window_s > self.play.duration_s:
                break
            served = [one.served for one in late if one.served and begins <= one.due_s < begins + window_s]
            if served and served.count(NAMES[0]) >= 0.9 * len(served):
                return begins - ends
        return math.inf


def left_after(play: Play, due: Sequence[float], arrivals: Sequence[float]) -> float:
    """Seconds from the onset until the requests that arrive are fewer than a tenth of the calls due.

    Counted over the `WINDOW_S` that follow: what comes later, as a probe, is no return.  It is infinite
    if that does not happen in the trouble.
    """
    begins, ends = play.trouble_s
    window_s = WINDOW_S * play.scale
    for at in sorted([begins, *[one for one in arrivals if begins <= one]]):
        if at + window_s > ends:
            break
        calls = sum([at < one <= at + window_s for one in due])
        if sum([at < one <= at + window_s for one in arrivals]) < 0.1 * calls:
            return at - begins
    return math.inf


def cost_usd(counts: Iterable[Mapping[str, Any]]) -> float:
    """What the requests that endpoints have counted cost.

    A prompt is paid for as soon as its answer has begun with a 200, and every token that was sent, whether
    somebody took it or not.
    """
    return sum(
        [
            float(one["by_status"].get("200", 0) * PROMPT_TOKENS * READ_USD + one["tokens"] * WRITTEN_USD)
            for one in counts
        ]
    )


def packed(play: Play, contender: Mapping[str, Any]) -> dict[str, Any]:
    """The records of a play in columns: milliseconds, and a letter each for outcome and endpoint.

    What never happened is infinite and kept as `None`.
    """
    rows, later = contender["records"], contender.get("later", 0.0)
    arrivals = {
        name: [at - later for at in counts["arrivals"]] for name, counts in contender["counts"].items()
    }
    begins, ends = play.trouble_s
    left_s = left_after(play, [row[0] for row in rows], arrivals[NAMES[0]])
    return {
        "end_ms": [round(row[2] * 1e3) for row in rows],
        "ttft_ms": [None if row[1] is None else round(row[1] * 1e3) for row in rows[1::2]],
        "outcome": "".join([LETTERS[row[3]] for row in rows]),
        "served": "".join([row[5][0] if row[5] in NAMES else "-" for row in rows]),
        "errors": dict(Counter([row[6] for row in rows if row[3] == "error"])),
        "requests": sum(map(len, arrivals.values())),
        "to_sick": sum(
            [
                begin <= at < end
                for name, spans in play.sick.items()
                for begin, end in spans
                for at in arrivals[name]
            ]
        ),
        "in_trouble": sum([begins <= at < ends for found in arrivals.values() for at in found]),
        "cpu_s": round(contender["cpu_s"], 3),
        "cost_usd": round(cost_usd(contender["counts"].values()), 7),
        "left_after_s": _finite(left_s),
        "late_p99_ms": round(contender["late_p99_s"] * 1e3, 1),
    }


def unpacked(play: Play, at: Sequence[float], kept: Mapping[str, Any]) -> Sample:
    """The other way."""
    ttfts = iter(kept["ttft_ms"])
    calls = []
    columns = zip(at, kept["end_ms"], kept["outcome"], kept["served"], strict=True)
    for number, (due, end, outcome, served) in enumerate(columns):
        stream = number % 2 == 1
        ttft = next(ttfts) if stream else None
        name = next((name for name in NAMES if name[0] == served), None)
        calls.append(Call(due, None if ttft is None else ttft / 1e3, end / 1e3, outcome, name, stream))
    # A run of before these were measured does not have them.
    left_s = kept.get("left_after_s", math.nan)
    return Sample(
        play,
        calls,
        kept["requests"],
        kept["to_sick"],
        kept["in_trouble"],
        kept["cpu_s"],
        kept.get("cost_usd", math.nan),
        math.inf if left_s is None else left_s,
    )


def _finite(seconds: float | None) -> float | None:
    """For JSON, which knows no infinity."""
    return round(seconds, 2) if seconds is not None and math.isfinite(seconds) else None


def summary(sample: Sample) -> dict[str, Any]:
    """What is kept of a play with thousands of calls: figures for each of its phases."""
    phases = {}
    for phase in ("healthy", "onset", "steady", "recovery"):
        calls = sample.part(phase)
        quantiles = {f"p{share * 100:g}": round(ends(calls, share), 4) for share in (0.5, 0.9, 0.99, 0.999)}
        phases[phase] = {"calls": len(calls), "whole": sum([call.whole for call in calls]), **quantiles}
    return {
        **phases,
        "requests": sample.requests,
        "to_sick": sample.to_sick,
        "per_call_in_trouble": round(sample.per_call_in_trouble, 3),
        "cost_usd": sample.cost_usd,
        "left_after_s": _finite(sample.left_after_s),
        "back_after_s": _finite(sample.back_after_s),
        "mostly_back_after_s": _finite(sample.mostly_back_after_s),
    }


def ends(calls: Iterable[Call], share: float) -> float:
    """A quantile of the times of calls that were answered."""
    return quantile([call.end_s for call in calls if call.whole], share)


def firsts(calls: Iterable[Call], share: float) -> float:
    """A quantile of the times to first content of streamed calls that were answered."""
    return quantile([call.ttft_s for call in calls if call.whole and call.ttft_s is not None], share)


def pooled(samples: Iterable[Sample], *phases: str) -> list[Call]:
    """The calls of several plays, of all phases or of these."""
    return [call for sample in samples for call in (sample.part(*phases) if phases else sample.calls)]


def success(calls: Sequence[Call]) -> float:
    """Share that got the whole answer."""
    return sum([call.whole for call in calls]) / len(calls) if calls else float("nan")


def shares(calls: Sequence[Call]) -> Iterator[float]:
    """Of the answers whose endpoint is known, the share of each."""
    served = Counter([call.served for call in calls if call.served])
    known = sum(served.values())
    for name in NAMES:
        yield served[name] / known if known else float("nan")


def worst(plays: Mapping[str, float]) -> tuple[str, float]:
    """The scenario with the highest figure, or one without."""
    name = max(plays, key=lambda name: float("inf") if plays[name] != plays[name] else plays[name])
    return name, plays[name]
