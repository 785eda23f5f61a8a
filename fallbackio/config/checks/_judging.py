"""Judging a file, or a running chain, by all rules."""

from __future__ import annotations

import os
from collections.abc import Iterable
from datetime import UTC, date, datetime
from pathlib import Path

from attrs import frozen

from fallbackio import clock
from fallbackio._checks import nearest
from fallbackio.breaker import BreakerPolicy
from fallbackio.chain import Setup
from fallbackio.config.checks import _surroundings
from fallbackio.config.checks._finding import Finding, Hit, Rule
from fallbackio.config.checks._lacks import described
from fallbackio.config.checks._reading import UNUSED
from fallbackio.config.checks._registry import RULES
from fallbackio.config.checks._subject import Lack, Subject
from fallbackio.config.files._file import members_of, sections_of
from fallbackio.config.files._problems import SECRET
from fallbackio.config.files._sections import Given, standing_in
from fallbackio.endpoint import Endpoint
from fallbackio.errors import ConfigError

__all__ = ["Report", "check_file", "check_setup"]

_ORDER = ("error", "warning", "info")


def _rank(finding: Finding) -> tuple[int, str]:
    return _ORDER.index(finding.severity), finding.code


@frozen(kw_only=True)
class Report:
    """What is found in a file.

    Attributes:
        chains: Names of the chains that were looked at.
        findings: The worst first; those that are ignored are not among them.
        ignored: How many those were.
    """

    path: Path
    chains: tuple[str, ...]
    findings: tuple[Finding, ...]
    ignored: int

    @property
    def clean(self) -> bool:
        """Whether there is nothing but remarks."""
        return all(finding.severity == "info" for finding in self.findings)


def check_file(
    path: str | os.PathLike[str],
    *,
    name: str | None = None,
    ignore: Iterable[str] = (),
    today: date | None = None,
) -> Report:
    """Judge the chains of a file, or the one called `name`; reads the environment and sends nothing.

    `ignore` are codes to leave out, besides those of the file's own `[check]`.

    Raises:
        ConfigError: For a file that cannot be read, a name that is no chain's, and a code that is no rule's.

    Example:
        >>> from fallbackio.config.checks import check_file
        >>> check_file("chain.toml").clean
        True
    """
    sections, problems = sections_of(path)
    if name is not None and name not in sections.names:
        raise ConfigError(f"{path}: {nearest('chain', name, sections.names)}")
    rules = {rule.code: rule for rule in RULES}
    found = [
        rules[one.code].at(Hit(one.where, one.text, mend=_SPOILT if one.code == SECRET else ""))
        for one in problems
    ]
    found += [
        UNUSED.at(Hit(place, "no chain asks for it", "name it in the steps of a chain, or take it out"))
        for place in sections.unused
    ]
    for chain, given in sections.chains.items():
        if name in (None, chain):
            found += _judged(chain, given, today or _today())
    left = {*_known(ignore), *_known(sections.ignored)}
    kept = [finding for finding in dict.fromkeys(found) if finding.code not in left]
    return Report(
        path=Path(path),
        chains=tuple(sections.names) if name is None else (name,),
        findings=tuple(sorted(kept, key=_rank)),
        ignored=len(dict.fromkeys(found)) - len(kept),
    )


# What mends a slip is said where it is found; only a key needs more than that.
_SPOILT = "take it out and set a variable; and have the key renewed, because it has been in a file"


def check_setup(
    setup: Setup, breaker: BreakerPolicy, *, ignore: Iterable[str] = (), today: date | None = None
) -> list[Finding]:
    """Judge a chain that has been built."""
    steps = tuple([tuple([route.spec for route in step.routes]) for step in setup.steps])
    subject = Subject(setup=setup, breaker=breaker, steps=steps, today=today or _today())
    left = _known(ignore)
    found = [finding for rule in RULES for finding in rule.findings(subject) if finding.code not in left]
    return sorted(found, key=_rank)


def _judged(name: str, given: Given, today: date) -> list[Finding]:
    known: dict[str, tuple[Endpoint, tuple[Lack, ...]]] = {
        spec.name: described(spec) for step in given.steps for spec in members_of(step)
    }
    stand_in = standing_in(given.settings if given.sound else {})
    subject = Subject(
        setup=stand_in._setup,
        breaker=stand_in._making.policy,
        steps=tuple([tuple([known[spec.name][0] for spec in members_of(step)]) for step in given.steps]),
        today=today,
        where=f"chain.{name}",
        places=given.places,
        lacks={one: lacks for one, (_, lacks) in known.items()},
    )
    # Of a chain that has a slip in it only that can be said which does not depend on the rest.
    rules: Iterable[Rule] = RULES if given.sound else _surroundings.RULES
    return [finding for rule in rules for finding in rule.findings(subject)]


def _known(codes: Iterable[str]) -> frozenset[str]:
    known = [rule.code for rule in RULES]
    for code in codes:
        if code not in known:
            raise nearest("code of a finding", code, known)
    return frozenset(codes)


def _today() -> date:
    return datetime.fromtimestamp(clock.wall(), UTC).date()
