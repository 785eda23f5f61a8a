"""Changing a chain while it runs: what is new, what stays, and where it comes from.

A reload builds a second chain from the file, so that everything is judged before anything is touched,
and takes over its setup.  Endpoints that are the same keep their routes' parts.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import evolve, frozen

from fallbackio._log import say
from fallbackio.chain import Setup
from fallbackio.config._making import Making
from fallbackio.endpoint import Endpoint

if TYPE_CHECKING:
    from fallbackio.config._chain import Chain

    C = TypeVar("C", bound=Chain)

__all__ = ["Reloaded", "Source", "reloaded", "retire", "succeeding"]


@frozen
class Source:
    """Where a chain comes from, and what was given besides."""

    path: Path
    name: str | None
    adjust: Callable[[Endpoint], Endpoint] | None
    given: Mapping[str, Any]

    def load(self, kind: type[C]) -> C:
        """A chain by the file as it is now."""
        # What reads a file knows a chain's settings by the chain.
        from fallbackio.config.files import read_toml

        found = read_toml(self.path, self.name)
        found = found if self.adjust is None else found.mapped(self.adjust)
        return kind(found.steps, **found.keywords(self.given))


@frozen(kw_only=True)
class Reloaded:
    """What a reload changed: names of endpoints.

    Attributes:
        kept: Those that are as they were.
        changed: Those with other settings.
        added: Those that are new.
        removed: Those that are asked no more.

    Example:
        >>> chain.reload().added
        ('groq/openai/gpt-oss-120b',)
    """

    kept: tuple[str, ...]
    changed: tuple[str, ...]
    added: tuple[str, ...]
    removed: tuple[str, ...]

    def __str__(self) -> str:
        groups = {"kept": self.kept, "changed": self.changed, "added": self.added, "removed": self.removed}
        return ", ".join([f"{what} {' '.join(names)}" for what, names in groups.items() if names])


def succeeding(old: Setup, fresh: Setup, making: Making) -> Setup:
    """The setup of a chain that goes on by the settings of `fresh`, with endpoints of `making`."""
    steps = making.taken_over(fresh.steps, old.named)
    same_budget = fresh.budget.ratio == old.budget.ratio
    return evolve(fresh, steps=steps, budget=old.budget if same_budget else fresh.budget)


def retire(old: Setup, new: Setup) -> None:
    """Breakers that nobody asks from now on say no more; calls under way go on with them."""
    asked = {id(route.breaker) for route in new.routes}
    for route in old.routes:
        if id(route.breaker) not in asked:
            route.breaker.retire("the chain was reloaded")


def reloaded(old: Setup, new: Setup, path: Path) -> Reloaded:
    """What has changed, which is logged."""
    was, now = old.named, new.named
    kept = [name for name in now if name in was and was[name].spec == now[name].spec]
    said = Reloaded(
        kept=tuple(kept),
        changed=tuple([name for name in now if name in was and name not in kept]),
        added=tuple([name for name in now if name not in was]),
        removed=tuple([name for name in was if name not in now]),
    )
    say(logging.INFO, "%s was reloaded from %s: %s", new.name, path, said)
    return said
