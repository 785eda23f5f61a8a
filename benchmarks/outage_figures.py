"""From the records of `outage.py` to figures: what is kept of a run, and what is computed from it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from attrs import frozen
from outage_scenarios import NAMES, Play
from page import quantile

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
    """

    play: Play
    calls: Sequence[Call]
    requests: int
    to_sick: int
    in_trouble: int
    cpu_s: float

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


def packed(play: Play, contender: Mapping[str, Any]) -> dict[str, Any]:
    """The records of a play in columns: milliseconds, and a letter each for outcome and endpoint."""
    rows, later = contender["records"], contender.get("later", 0.0)
    arrivals = {
        name: [at - later for at in counts["arrivals"]] for name, counts in contender["counts"].items()
    }
    begins, ends = play.trouble_s
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
    return Sample(play, calls, kept["requests"], kept["to_sick"], kept["in_trouble"], kept["cpu_s"])


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
