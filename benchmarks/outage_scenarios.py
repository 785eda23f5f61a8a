"""What `outage.py` plays: fallbackio's own scenarios, shrunk so that they fit into real minutes.

Everything that takes time is multiplied by one scale: times to the first content, paces, stalls,
Retry-After, and in the contenders their timeouts, cooldowns and back-offs.  A scenario's long phases are
cut as well, since the minutes after the first one look all alike.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import attrs
from attrs import evolve, field, frozen

from fallbackio.simulator import Behaviour, Fault, Latency, Lognormal, Stall, Status, behaviour_to_json
from fallbackio.simulator.scenarios import Phase, Scenario, cast, scenario

# The three endpoints, and the vendors of the two first where a scenario takes a whole vendor down.
NAMES = ("alpha", "beta", "gamma")
OUTAGES = ("s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10", "s11", "s12", "total")

# An answer takes so long from its first word to its last, however many words it has.
SPOKEN_S = 0.6
MEDIANS_S = {"primary": 0.536, "secondary": 0.541, "tertiary": 0.55}


def healthy(tokens: int) -> dict[str, Behaviour]:
    """How the three behave when they are well: times to the first word as gpt-4o-mini's.

    They are alike, so that a ratio to the oracle tells of decisions and not of who is quicker.  The
    99th percentile lies among the stragglers and not at the kink before them, where luck would rule it.
    """
    return {
        role: Behaviour(
            latency=Lognormal(median_s, 0.25, straggler_ratio=0.04, straggler_factor=5),
            tokens=tokens,
            pace_s=SPOKEN_S / tokens,
        )
        for role, median_s in MEDIANS_S.items()
    }


def text(tokens: int) -> str:
    """The whole answer."""
    return " ".join([f"word{number}" for number in range(tokens)])


@frozen
class Play:
    """A scenario for three endpoints at one length and scale, in real seconds.

    Attributes:
        name: The scenario's.
        summary: What happens.
        duration_s: How long calls come.
        trouble_s: From when until when somebody is in trouble.
        onset_s: Until when its beginning lasts.
        scale: How long one second of the scenario is.
        begin: How the endpoints behave at first, as JSON, by name.
        events: When which endpoint begins to behave how.
        sick: When which endpoint is not well.
        healthy: From when which endpoint is the first of those that are well; -1 if none is.
    """

    name: str
    summary: str
    duration_s: float
    trouble_s: tuple[float, float]
    onset_s: float
    scale: float
    begin: Mapping[str, Any]
    events: Sequence[tuple[float, str, Any]]
    sick: Mapping[str, Sequence[tuple[float, float]]]
    healthy: Sequence[tuple[float, int]]

    def phase(self, at_s: float) -> str:
        """Which part of it an instant belongs to."""
        begins, ends = self.trouble_s
        if at_s < begins:
            return "healthy"
        return "onset" if at_s < self.onset_s else "steady" if at_s < ends else "recovery"


def total_outage(well: Mapping[str, Behaviour]) -> Scenario:
    """All three are down."""
    down = {role: evolve(behaviour, fault=Status(503)) for role, behaviour in well.items()}
    return Scenario(
        name="total",
        summary="Every endpoint answers 503, for 2 minutes.",
        phases=[
            Phase(name="healthy", lasts_s=60),
            Phase(name="onset", lasts_s=10, fixed=True, roles=down),
            Phase(name="outage", lasts_s=110, roles=down),
            Phase(name="recovery", lasts_s=60),
        ],
        healthy=well,
    )


@frozen(kw_only=True)
class Lengths:
    """How long the parts of a scenario last, in its own seconds, and how often calls come here.

    Attributes:
        rate: Calls per second, real ones.
        tokens: Words of an answer.
        scale: How long one second of the scenario is here.
    """

    healthy_s: float
    trouble_s: float
    recovery_s: float
    rate: float
    tokens: int
    scale: float = field(default=1.0)


def play_of(name: str, lengths: Lengths) -> Play:
    """A scenario, cut to these lengths and shrunk."""
    well = healthy(lengths.tokens)
    given = total_outage(well) if name == "total" else scenario(name)
    given = given.at(rate=lengths.rate)
    given = evolve(given, phases=[*_cut(given, lengths)], healthy=well)
    vendors = {"alpha": "first", "beta": "first" if name == "s10" else "second", "gamma": "third"}
    parts = cast(given, vendors)
    scale, starts = lengths.scale, [*given.starts()]
    events = [
        (at * scale, name, behaviour_to_json(shrunk(part.behaviours[number], scale)))
        for name, part in parts.items()
        for number, (at, _) in enumerate(starts)
        if number and part.behaviours[number] != part.behaviours[number - 1]
    ]
    sick = {
        name: [(one.begins_s * scale, one.ends_s * scale) for one in part.troubles]
        for name, part in parts.items()
    }
    begins = min([begins for spans in sick.values() for begins, _ in spans])
    ends = max([ends for spans in sick.values() for _, ends in spans])
    return Play(
        name=name,
        summary=given.summary,
        duration_s=given.duration_s * scale,
        trouble_s=(begins, ends),
        onset_s=begins + 10 * scale,
        scale=scale,
        begin={name: behaviour_to_json(shrunk(part.behaviours[0], scale)) for name, part in parts.items()},
        events=sorted(events, key=lambda event: event[0]),
        sick=sick,
        healthy=[*_healthy(sick)],
    )


def _cut(given: Scenario, lengths: Lengths) -> Iterator[Phase]:
    """The phases with their own trouble, none of it longer than it has to be."""
    troubled = [phase for phase in given.phases if phase.roles]
    fixed_s = sum([phase.lasts_s for phase in troubled if phase.fixed])
    elastic_s = sum([phase.lasts_s for phase in troubled if not phase.fixed])
    stretch = min(1.0, max(lengths.trouble_s - fixed_s, 0) / elastic_s) if elastic_s else 1.0
    before = True
    for phase in given.phases:
        roles = {role: _usual_length(behaviour, lengths.tokens) for role, behaviour in phase.roles.items()}
        if phase.roles:
            before = False
            lasts_s = phase.lasts_s if phase.fixed else phase.lasts_s * stretch
        else:
            lasts_s = lengths.healthy_s if before else lengths.recovery_s
        yield evolve(phase, lasts_s=lasts_s, roles=roles)


def _usual_length(behaviour: Behaviour, tokens: int) -> Behaviour:
    """As long an answer as everybody's here; how slow it is and what goes wrong stay."""
    fault = behaviour.fault
    if isinstance(fault, Stall) and isinstance(fault.at, int):
        fault = evolve(fault, at=fault.at * tokens // behaviour.tokens)
    return evolve(behaviour, tokens=tokens, pace_s=SPOKEN_S / tokens, fault=fault)


def _healthy(sick: Mapping[str, Sequence[tuple[float, float]]]) -> Iterator[tuple[float, int]]:
    edges = sorted({0.0, *[edge for spans in sick.values() for span in spans for edge in span]})
    for at in edges:
        well = [
            number
            for number, name in enumerate(NAMES)
            if not any(begins <= at < ends for begins, ends in sick[name])
        ]
        yield at, well[0] if well else -1


def shrunk(value: Any, scale: float) -> Any:
    """A behaviour, a fault or a latency, with everything that is seconds in it multiplied by `scale`."""
    if isinstance(value, tuple):
        return tuple([shrunk(item, scale) for item in value])
    kind: Any = type(value)
    if not isinstance(value, Behaviour | Fault | Latency) or not attrs.has(kind):
        return value
    changes: dict[str, Any] = {}
    for one in attrs.fields(kind):
        inner = getattr(value, one.name)
        if isinstance(inner, int | float) and (one.name.endswith("_s") or one.name == "seconds"):
            changes[one.alias] = inner * scale
        elif isinstance(inner, Behaviour | Fault | Latency | tuple):
            changes[one.alias] = shrunk(inner, scale)
    return kind(**{one.alias: getattr(value, one.name) for one in attrs.fields(kind) if one.init} | changes)
