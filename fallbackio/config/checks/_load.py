"""What is asked more than once, and what that comes to (FB3xx)."""

from __future__ import annotations

from collections.abc import Iterator

from attrs import fields

from fallbackio.chain import Race, RetryPolicy
from fallbackio.config.checks._finding import Hit, Rule
from fallbackio.config.checks._subject import Subject

__all__ = ["RULES"]

# From so many on, repeats are meant to carry a call through an outage, which they cannot.
MANY_RETRIES = 5
# A race of two is a hedge without a delay; of more it is a bill.
MANY_LANES = 3


def _more_repeats_than_allowed(subject: Subject) -> Iterator[Hit]:
    each, count = subject.setup.retry.same_first, len(subject.endpoints)
    allowed = subject.setup.limits.max_retries
    if each * count > allowed:
        what = f"{each} repeats at each of {count} endpoints are {each * count}, max_retries is {allowed}"
        mend = f"raise max_retries to {each * count}, or lower retry.same_first"
        yield Hit(subject.setting("max_retries"), what, mend)


def _over_the_budget(subject: Subject) -> Iterator[Hit]:
    retries, ratio = subject.setup.limits.max_retries, subject.setup.budget.ratio
    if retries >= MANY_RETRIES:
        what = f"max_retries is {retries}; all calls together may repeat {ratio:g} times per call"
        yield Hit(
            subject.setting("max_retries"), what, "add another endpoint instead, and set max_retries to 2"
        )


def _wide_race(subject: Subject) -> Iterator[Hit]:
    strategy, count = subject.setup.strategy, len(subject.endpoints)
    if isinstance(strategy, Race) and (lanes := min(strategy.width or count, count)) >= MANY_LANES:
        what = f"every call asks {lanes} endpoints at once"
        yield Hit(
            subject.setting("strategy"), what, 'set width = 2, or kind = "hedge", which asks 1.05 on average'
        )


def _nobody_to_race(subject: Subject) -> Iterator[Hit]:
    if not subject.setup.strategy.one_at_a_time and len(subject.endpoints) == 1:
        what = f"there is nobody to {type(subject.setup.strategy).__name__.lower()} with"
        yield Hit(subject.setting("strategy"), what, "add a step, or leave strategy out")


def _budget_unread(subject: Subject) -> Iterator[Hit]:
    usual = fields(RetryPolicy).budget_ratio.default
    given, extra = subject.setup.retry.budget_ratio, subject.setup.strategy.extra_load
    if extra is not None and given != usual:
        what = f"retry.budget_ratio ({given:g}) is not read, because strategy.extra_load ({extra:g}) is"
        yield Hit(subject.setting("retry.budget_ratio"), what, "leave it out, and set extra_load")


def _nothing_to_warm(subject: Subject) -> Iterator[Hit]:
    if subject.setup.warm and len(subject.steps) == 1:
        what = "there is no later step to keep warm"
        yield Hit(subject.setting("warm"), what, "add a step, or leave warm out")


RULES = (
    Rule(
        "FB301",
        "warning",
        "retries × endpoints over the budget",
        "The repeats are used up at the first endpoints, and the later ones get none.",
        _more_repeats_than_allowed,
    ),
    Rule(
        "FB302",
        "info",
        "more retries than the chain's budget pays for",
        "Repeats are bounded for all calls together, so that load falls when everything fails; in an outage "
        "most of these never happen.",
        _over_the_budget,
    ),
    Rule(
        "FB303",
        "info",
        "a race of many",
        "Each endpoint in it is paid for in every call; two of them bring most of what there is to gain.",
        _wide_race,
    ),
    Rule(
        "FB304",
        "info",
        "a contest of one",
        "A hedge or a race needs a second endpoint; streams are asked for upstream all the same.",
        _nobody_to_race,
    ),
    Rule(
        "FB305",
        "warning",
        "a budget that is not read",
        "A hedging chain has one budget for hedges and repeats, its extra_load.",
        _budget_unread,
    ),
    Rule(
        "FB306",
        "info",
        "nothing to keep warm",
        "`warm` asks a later step in a share of the calls.",
        _nothing_to_warm,
    ),
)
