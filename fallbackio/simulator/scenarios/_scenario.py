"""What a scenario is: phases in which endpoints, known by their roles, are well or in trouble.

A scenario knows no endpoint: it speaks of the `primary`, the `secondary`, the `tertiary` and the
`other`s, and whoever plays it says who takes which role (`_cast`).  Nothing here waits or listens.  The
odd rule: a role that a phase does not name is well in it, so a phase names trouble only.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Literal

import attrs
from attrs import Attribute, field, frozen

from fallbackio import errors
from fallbackio._checks import check, flag, is_number, nearest, one_of
from fallbackio.errors import ConfigError, FallbackError
from fallbackio.simulator._behaviour import Behaviour
from fallbackio.simulator._latency import Lognormal
from fallbackio.simulator.faults import Fault, RateLimit

__all__ = ["HEALTHY", "ROLES", "Phase", "Scenario", "Trouble"]

# Who can be spoken of: the first three endpoints of a chain, and all that follow.
ROLES = ("primary", "secondary", "tertiary", "other")


def _model(median_s: float, sigma: float, factor: float) -> Behaviour:
    """A model that says 60 tokens, ten every tenth of a second, and has a straggler among 25 requests."""
    latency = Lognormal(median_s, sigma, straggler_ratio=0.04, straggler_factor=factor)
    return Behaviour(latency=latency, tokens=60, pace_s=0.01, burst=10)


# Times to the first content as they are measured at public models: the median and the width of
# gpt-4o-mini, claude-haiku-4.5 and gemini-2.5-flash, with the kink that all of them have near the 95th
# percentile (modelstats.ai, 24 hours of probes).
HEALTHY: Mapping[str, Behaviour] = MappingProxyType(
    {
        "primary": _model(0.536, 0.25, 7),
        "secondary": _model(0.541, 0.45, 6),
        "tertiary": _model(0.477, 0.30, 5),
        "other": _model(0.661, 0.30, 5),
    }
)

_over_zero = check("a number over 0", lambda value: is_number(value) and value > 0)
_text = check("a non-empty string", lambda value: isinstance(value, str) and bool(value.strip()))


def _frozen_roles(given: Mapping[str, Behaviour]) -> Mapping[str, Behaviour]:
    return MappingProxyType(dict(given))


def _roles(instance: object, attribute: Attribute[Any], value: Mapping[str, object]) -> None:
    for role, behaviour in value.items():
        if role not in ROLES:
            raise nearest("role", role, ROLES)
        if not isinstance(behaviour, Behaviour):
            raise ConfigError(f"{role} needs a Behaviour, not {type(behaviour).__name__}")


def _names(given: object) -> tuple[object, ...]:
    if isinstance(given, list | tuple):
        return tuple(given)
    raise ConfigError(f"allows must be a list of names of errors, not {given!r}")


def _errors(instance: object, attribute: Attribute[Any], value: tuple[object, ...]) -> None:
    every = [getattr(errors, name) for name in errors.__all__]
    known = [one.__name__ for one in every if isinstance(one, type) and issubclass(one, FallbackError)]
    for name in value:
        if name not in known:
            raise nearest("error", name, known)


def _by_role() -> Any:
    return field(factory=dict, converter=_frozen_roles, validator=_roles, hash=False)


@frozen(kw_only=True)
class Phase:
    """A part of a scenario.

    Attributes:
        name: `"healthy"`, `"onset"`, `"outage"`, `"recovery"`, or what fits; for tables.
        lasts_s: How long it lasts.
        roles: Who behaves otherwise than usual in it, and how; all others are well.
        fixed: Whether it keeps its length when the scenario is made longer or shorter.
        allows: Names of errors that are a right end of a call in it, beside an answer.

    Example:
        >>> Phase(name="outage", lasts_s=60, roles={"primary": Behaviour(fault=Status(503))})
    """

    name: str = field(validator=_text)
    lasts_s: float = field(validator=_over_zero)
    roles: Mapping[str, Behaviour] = _by_role()
    fixed: bool = field(default=False, validator=flag)
    allows: tuple[str, ...] = field(default=(), converter=_names, validator=_errors)


@frozen
class Trouble:
    """That a role is not well, from one instant of a scenario to another, in its seconds.

    Example:
        >>> scenario("s1").troubles()
        (Trouble(role='primary', begins_s=60, ends_s=300),)
    """

    role: str
    begins_s: float
    ends_s: float


def _phases_of(given: Iterable[Phase]) -> tuple[Phase, ...]:
    return tuple(given)


def _phases(instance: object, attribute: Attribute[Any], value: tuple[Phase, ...]) -> None:
    if not value:
        raise ConfigError("a scenario needs a phase")
    names = [phase.name for phase in value]
    if twice := [name for name in names if names.count(name) > 1]:
        raise ConfigError(f"two phases are called {twice[0]!r}")


@frozen(kw_only=True)
class Scenario:
    """What happens to the endpoints of a chain, as a timeline; the same seed gives the same lots.

    Attributes:
        name: What commands call it.
        summary: One sentence on what happens.
        source: Where that was seen, if it was.
        phases: Its parts, in order, with different names.
        healthy: How roles behave when they are well, in place of the usual.
        vendor_wide: Whether what happens to the primary happens to every endpoint of its vendor.
        rate: Calls per second that it is meant for; capacities in it are scaled when it is played at
            another (`at`).
        arrivals: `"poisson"`, at random instants, or `"even"`.
        seed: Of arrivals, latencies and lots.

    Raises:
        ConfigError: For a setting out of its range.

    Example:
        >>> Scenario(
        ...     name="short",
        ...     summary="The primary answers 503 for a minute.",
        ...     phases=[
        ...         Phase(name="healthy", lasts_s=30),
        ...         Phase(name="outage", lasts_s=60, roles={"primary": Behaviour(fault=Status(503))}),
        ...         Phase(name="recovery", lasts_s=60),
        ...     ],
        ... )
    """

    name: str = field(validator=_text)
    summary: str = field(validator=_text)
    source: str = ""
    phases: tuple[Phase, ...] = field(converter=_phases_of, validator=_phases)
    healthy: Mapping[str, Behaviour] = _by_role()
    vendor_wide: bool = field(default=False, validator=flag)
    rate: float = field(default=5.0, validator=_over_zero)
    arrivals: Literal["poisson", "even"] = field(default="poisson", validator=one_of("poisson", "even"))
    seed: int = field(default=0, validator=check("a whole number", lambda value: type(value) is int))

    @property
    def duration_s(self) -> float:
        """How long it lasts."""
        return sum([phase.lasts_s for phase in self.phases])

    def starts(self) -> Iterator[tuple[float, Phase]]:
        """Its phases with the second at which each begins.

        Example:
            >>> [(begins_s, phase.name) for begins_s, phase in scenario("s1").starts()]
            [(0.0, 'healthy'), (60.0, 'onset'), (70.0, 'outage'), (300.0, 'recovery')]
        """
        at = 0.0
        for phase in self.phases:
            yield at, phase
            at += phase.lasts_s

    def usual(self, role: str) -> Behaviour:
        """How a role behaves when it is well."""
        return self.healthy.get(role, HEALTHY[role])

    def behaviour(self, role: str, phase: Phase) -> Behaviour:
        """How a role behaves in a phase."""
        return phase.roles.get(role, self.usual(role))

    def is_sick(self, role: str, phase: Phase) -> bool:
        """Whether a role is not well in a phase."""
        return self.behaviour(role, phase) != self.usual(role)

    def troubles(self) -> tuple[Trouble, ...]:
        """Who is in trouble and when; phases of trouble that follow one another are one."""
        found: list[Trouble] = []
        for role in ROLES:
            begins_s = math.nan
            for at, phase in self.starts():
                sick = self.is_sick(role, phase)
                if sick and math.isnan(begins_s):
                    begins_s = at
                elif not sick and not math.isnan(begins_s):
                    found.append(Trouble(role, begins_s, at))
                    begins_s = math.nan
            if not math.isnan(begins_s):
                found.append(Trouble(role, begins_s, self.duration_s))
        return tuple(sorted(found, key=lambda trouble: trouble.begins_s))

    def at(
        self, *, rate: float | None = None, duration_s: float | None = None, seed: int | None = None
    ) -> Scenario:
        """The same at another rate, with another length or another seed.

        Phases that are not `fixed` are stretched evenly, and limits on requests per minute grow with the
        rate, so that a provider with room for a fifth of the load keeps room for a fifth.

        Raises:
            ConfigError: For a length that leaves the phases that can be stretched nothing.

        Example:
            >>> scenario("s1").at(rate=20, duration_s=3600, seed=7)
        """
        changed = self
        if duration_s is not None:
            changed = attrs.evolve(changed, phases=changed._stretched(duration_s))
        if rate is not None and rate != self.rate:
            changed = attrs.evolve(
                changed,
                rate=rate,
                phases=[_scaled_phase(phase, rate / self.rate) for phase in changed.phases],
            )
        return changed if seed is None else attrs.evolve(changed, seed=seed)

    def _stretched(self, duration_s: float) -> list[Phase]:
        fixed_s = sum([phase.lasts_s for phase in self.phases if phase.fixed])
        elastic_s = self.duration_s - fixed_s
        if duration_s == self.duration_s:
            return [*self.phases]
        if elastic_s <= 0:
            raise ConfigError(f"{self.name} lasts {fixed_s:g} s, its phases are fixed, not {duration_s!r}")
        if not is_number(duration_s) or duration_s <= fixed_s:
            told = f"longer than {fixed_s:g} s, which its fixed phases do" if fixed_s else "for a time over 0"
            raise ConfigError(f"{self.name} must last {told}, not {duration_s!r}")
        factor = (duration_s - fixed_s) / elastic_s
        return [
            phase if phase.fixed else attrs.evolve(phase, lasts_s=phase.lasts_s * factor)
            for phase in self.phases
        ]

    @classmethod
    def from_toml(cls, path: str | os.PathLike[str]) -> Scenario:
        """The scenario of a TOML file.

        Raises:
            ConfigError: For a file that cannot be read, unknown names, or settings out of their range.

        Example:
            >>> Scenario.from_toml("my-outage.toml")
        """
        from fallbackio.simulator.scenarios._toml import read  # it needs this class

        return read(path)

    def to_toml(self) -> str:
        """The text of a TOML file that `from_toml` reads.

        Example:
            >>> Path("my-outage.toml").write_text(scenario("s3").to_toml())
        """
        from fallbackio.simulator.scenarios._toml import write  # it needs this class

        return write(self)


def _scaled_phase(phase: Phase, factor: float) -> Phase:
    roles = {role: _scaled(behaviour, factor) for role, behaviour in phase.roles.items()}
    return attrs.evolve(phase, roles=roles)


def _scaled(value: Any, factor: float) -> Any:
    """A behaviour or a fault with the limits in it, however deep, times `factor`."""
    kind: type[Any] = type(value)
    if not attrs.has(kind):
        return value  # a fault of the user's own
    changes = {
        one.alias: _scaled(inner, factor)
        for one in attrs.fields(kind)
        if isinstance(inner := getattr(value, one.name), Fault)
    }
    if isinstance(value, RateLimit):
        changes["rpm"] = value.rpm * factor
        changes["tpm"] = None if value.tpm is None else value.tpm * factor
    return attrs.evolve(value, **changes) if changes else value
