"""From what was seen to figures."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TypeVar

import attrs

from fallbackio.drill._record import Call
from fallbackio.drill._result import Result
from fallbackio.drill._run import Run
from fallbackio.drill._values import Afterwards, Cast, Failover, Figures, Quantiles, Troubled
from fallbackio.drill._watch import Found

__all__ = ["result_of"]

K = TypeVar("K", str, tuple[str, str])

# Rounded, because a sum's last digits say nothing and would make reports differ for no reason.
_DIGITS = 9


def result_of(run: Run) -> Result:
    """What a run that is over came to."""
    plan, log = run.plan, run.log
    scenario = plan.scenario
    calls = sorted(log.calls, key=lambda call: call.due_s)
    phases = _phases(run, calls)
    total = _figures(
        "all",
        0.0,
        scenario.duration_s,
        [name for name, part in plan.parts.items() if part.troubles],
        calls,
        _added(log.failovers),
        _added(log.requests),
    )
    return Result(
        chain=plan.given.name,
        scenario=scenario.name,
        summary=scenario.summary,
        streaming=plan.streaming,
        embedding=plan.embedding,
        rate=scenario.rate,
        duration_s=scenario.duration_s,
        seed=scenario.seed,
        endpoints=tuple(
            [
                Cast(
                    name=one.name,
                    vendor=one.vendor,
                    model=one.model,
                    dialect=one.dialect or "openai",
                    role=plan.parts[one.name].role,
                )
                for one in plan.given.endpoints
            ]
        ),
        phases=tuple(phases),
        # Whoever was sick for a time was reached by requests when it was well, too.
        total=attrs.evolve(total, to_sick=sum([phase.to_sick for phase in phases])),
        troubles=tuple([_troubled(found, scenario.duration_s) for found in run.watch.found]),
        breaches=run.referee.breaches,
        calls=tuple(calls),
        moves=tuple(log.moves),
    )


def _phases(run: Run, calls: Sequence[Call]) -> list[Figures]:
    by_phase: list[list[Call]] = [[] for _ in run.plan.scenario.phases]
    for call in calls:
        by_phase[call.phase].append(call)
    return [
        _figures(
            phase.name,
            begins_s,
            phase.lasts_s,
            [name for name, part in run.plan.parts.items() if part.is_sick(begins_s)],
            by_phase[number],
            run.log.failovers[number],
            run.log.requests[number],
        )
        for number, (begins_s, phase) in enumerate(run.plan.scenario.starts())
    ]


def _added(counts: Iterable[Counter[K]]) -> Counter[K]:
    """All together; who was never counted stays, with 0."""
    whole: Counter[K] = Counter()
    for one in counts:
        whole.update(one)
    return whole


def _figures(
    name: str,
    begins_s: float,
    lasts_s: float,
    sick: Iterable[str],
    calls: Sequence[Call],
    failovers: Counter[tuple[str, str]],
    requests: Counter[str],
) -> Figures:
    answered = [call for call in calls if call.outcome == "answered"]
    allowed = sum(call.outcome == "allowed" for call in calls)
    ttfts = [call.ttft_s for call in answered if call.ttft_s is not None]
    costs = [call.cost for call in calls if call.cost is not None]
    return Figures(
        name=name,
        begins_s=begins_s,
        lasts_s=float(lasts_s),
        sick=tuple(sick),
        calls=len(calls),
        answered=len(answered),
        allowed=allowed,
        failed=len(calls) - len(answered) - allowed,
        latency=Quantiles.of([call.latency_s for call in answered]),
        ttft=Quantiles.of(ttfts) if ttfts else None,
        served=_ranked(Counter([call.served_by for call in calls if call.served_by])),
        failovers=tuple([Failover(*key, times) for key, times in _ranked(failovers).items()]),
        errors=_ranked(Counter([call.error for call in calls if call.outcome in ("failed", "hung")])),
        requests=dict(requests),
        requests_per_call=sum([call.requests for call in calls]) / len(calls) if calls else math.nan,
        to_sick=sum([requests[one] for one in sick]),
        cost=round(sum(costs), _DIGITS) if costs else None,
        wasted=round(sum([call.wasted for call in calls], 0.0), _DIGITS) if costs else None,
    )


def _ranked(counts: Counter[K]) -> dict[K, int]:
    """The most frequent first; of equals the first by name, so that reports do not differ by chance."""
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _troubled(found: Found, duration_s: float) -> Troubled:
    afterwards = _afterwards(found, duration_s)
    return Troubled(
        endpoint=found.endpoint,
        begins_s=found.trouble.begins_s,
        ends_s=found.trouble.ends_s,
        left_alone_s=_known(found.left_alone_s),
        reached_before=found.reached_before,
        reached_after=found.reached_after,
        afterwards=afterwards,
        returned_s=found.returned_s if afterwards == "returned" else None,
    )


def _afterwards(found: Found, duration_s: float) -> Afterwards:
    if found.trouble.ends_s >= duration_s:
        return "sick to the end"
    if not math.isnan(found.returned_s):
        return "returned"
    return "not returned" if found.wanted else "not asked"


def _known(seconds: float) -> float | None:
    return None if math.isnan(seconds) else seconds
