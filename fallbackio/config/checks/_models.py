"""Whether the models are still there (FB6xx)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from fallbackio.config._prices import listed
from fallbackio.config.checks._finding import Hit, Rule
from fallbackio.config.checks._retired import retirement_of
from fallbackio.config.checks._subject import Subject
from fallbackio.endpoint import Endpoint

__all__ = ["RULES"]

# Long enough for a release, its evaluation and a quiet week.
AHEAD = timedelta(days=90)


def _retired(subject: Subject) -> Iterator[Hit]:
    for spec in subject.endpoints:
        found = retirement_of(spec.vendor, spec.model)
        if found is not None and found.day <= subject.today:
            what = f"{spec.vendor} switched {spec.model} off on {found.day}"
            yield Hit(subject.place(spec), what, f"use {found.instead}")


def _retiring(subject: Subject) -> Iterator[Hit]:
    for spec in subject.endpoints:
        found = retirement_of(spec.vendor, spec.model)
        if found is not None and subject.today < found.day <= subject.today + AHEAD:
            left = (found.day - subject.today).days
            days = "tomorrow" if left == 1 else f"in {left} days"
            what = f"{spec.vendor} switches {spec.model} off on {found.day}, {days}"
            yield Hit(subject.place(spec), what, f"use {found.instead}")


def _deprecated(subject: Subject) -> Iterator[Hit]:
    for spec in subject.endpoints:
        if retirement_of(spec.vendor, spec.model) is None and _is_deprecated(spec):
            what = f"{spec.vendor} has deprecated {spec.model}"
            yield Hit(subject.place(spec), what, "look up its successor at the vendor's")


def _is_deprecated(spec: Endpoint) -> bool:
    listing = listed(spec)
    return listing is not None and listing.is_deprecated()


RULES = (
    Rule(
        "FB601",
        "error",
        "a retired model",
        "Its requests fail with 404, or go to another model; its breaker hides that until it is needed.",
        _retired,
    ),
    Rule(
        "FB602",
        "warning",
        "a model that is about to be retired",
        "From that day on its requests fail, or go to another model.",
        _retiring,
    ),
    Rule(
        "FB603",
        "info",
        "a deprecated model",
        "It works today; a day on which it will not is going to be announced.",
        _deprecated,
    ),
)
