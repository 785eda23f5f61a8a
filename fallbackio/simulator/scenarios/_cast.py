"""Who plays which role: the endpoints of a chain meet the roles of a scenario.

In the chain's order the first endpoint is the primary, the next the secondary, then the tertiary,
and whoever comes after is one of the others; roles that nobody is left for are not played.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from attrs import frozen

from fallbackio._checks import nearest
from fallbackio.errors import ConfigError
from fallbackio.simulator._behaviour import Behaviour
from fallbackio.simulator.scenarios._scenario import ROLES, Scenario, Trouble

__all__ = ["Part", "cast"]


@frozen
class Part:
    """What one endpoint does in a scenario.

    Attributes:
        role: Whose part it is.
        behaviours: How it behaves, one for each phase.
        troubles: When it is not well.

    Example:
        >>> cast(scenario("s1"), ["openai/gpt-6-luna", "groq/llama"])["openai/gpt-6-luna"].role
        'primary'
    """

    role: str
    behaviours: tuple[Behaviour, ...]
    troubles: tuple[Trouble, ...]

    def is_sick(self, at_s: float) -> bool:
        """Whether it is not well at that second of the scenario.

        Example:
            >>> part.is_sick(65.0)
            True
        """
        return any(trouble.begins_s <= at_s < trouble.ends_s for trouble in self.troubles)


def cast(
    scenario: Scenario, endpoints: Mapping[str, str] | Iterable[str], *, sick: str | None = None
) -> dict[str, Part]:
    """The part of each endpoint, by its name.

    `endpoints` are names in the chain's order, or a mapping of names to vendors, without which no two
    are of one vendor.  `sick` names the endpoint that is to be the primary in place of the first.

    Raises:
        ConfigError: Without an endpoint, or if `sick` is none of them.

    Example:
        >>> parts = cast(scenario("s10"), {"gpt": "openai", "mini": "openai", "claude": "anthropic"})
        >>> [name for name, part in parts.items() if part.troubles]
        ['gpt', 'mini']
    """
    vendors = dict(endpoints) if isinstance(endpoints, Mapping) else {name: name for name in endpoints}
    if not vendors:
        raise ConfigError("a scenario needs at least one endpoint")
    if sick is not None and sick not in vendors:
        raise nearest("endpoint", sick, vendors)
    first = next(iter(vendors)) if sick is None else sick
    order = [first, *[name for name in vendors if name != first]]
    roles = {name: ROLES[min(at, len(ROLES) - 1)] for at, name in enumerate(order)}
    drawn_in = {
        name
        for name in order[1:]
        if scenario.vendor_wide and vendors[name] == vendors[first] and vendors[name]
    }
    return {name: _part(scenario, roles[name], name in drawn_in) for name in vendors}


def _part(scenario: Scenario, role: str, with_primary: bool) -> Part:
    behaviours = []
    for phase in scenario.phases:
        sick_with = with_primary and scenario.is_sick("primary", phase)
        behaviours.append(scenario.behaviour("primary" if sick_with else role, phase))
    whose: Sequence[str] = (role, "primary") if with_primary else (role,)
    found = [trouble for trouble in scenario.troubles() if trouble.role in whose]
    return Part(role, tuple(behaviours), tuple(found))
