"""Whether the time limits fit together (FB2xx)."""

from __future__ import annotations

import math
from collections.abc import Iterator

from fallbackio.chain import Hedge, Race
from fallbackio.config.checks._finding import Hit, Rule
from fallbackio.config.checks._subject import Subject
from fallbackio.dialects import VENDORS

__all__ = ["RULES", "is_local"]

# As many as a call shares its time among.
MOST_IN_TURN = 8
# The slowest median of ten public models' times to the first content.
USUAL_FIRST_S = 1.6
# What a model of a few gigabytes takes from disk into a graphics card's memory.
LOADING_S = 10.0


def _stalled_s(subject: Subject) -> float | None:
    """How long an endpoint that stalls is waited for; `None` for ever."""
    limits = subject.setup.limits
    ends = [limits.attempt_timeout, limits.ttft_timeout]
    return min([end for end in ends if isinstance(end, int | float)], default=None)


def _turns(subject: Subject) -> int:
    """How many attempts have to follow one another until every endpoint has been asked."""
    strategy, count = subject.setup.strategy, min(len(subject.endpoints), MOST_IN_TURN)
    at_once = 1
    if isinstance(strategy, Race):
        at_once = strategy.width or count
    elif isinstance(strategy, Hedge) and strategy.delay != "adaptive":
        at_once = strategy.max_parallel
    return math.ceil(count / at_once)


def _too_many_attempts(subject: Subject) -> Iterator[Hit]:
    limit, each, turns = subject.setup.limits.timeout, _stalled_s(subject), _turns(subject)
    if limit is None or each is None or turns < 2 or turns * each <= limit * (1 + 1e-9):
        return
    share = limit / turns
    what = f"{turns} attempts of {each:g} s do not fit into {limit:g} s, so each gets about {share:.3g} s"
    mend = (
        f"lower attempt_timeout or set ttft_timeout to {share:.3g} or less, "
        f"or raise timeout to {turns * each:g}"
    )
    yield Hit(subject.setting("timeout"), what, mend)


def _no_attempt_limit(subject: Subject) -> Iterator[Hit]:
    limits = subject.setup.limits
    if _stalled_s(subject) is None:
        adaptive = limits.ttft_timeout == "adaptive"
        what = "an attempt has no limit" + (" before 20 answers have been measured" if adaptive else "")
        yield Hit(subject.setting("attempt_timeout"), what, "set attempt_timeout, or ttft_timeout in seconds")


def _no_deadline(subject: Subject) -> Iterator[Hit]:
    if subject.setup.limits.timeout is None:
        yield Hit(
            subject.setting("timeout"),
            "a call as a whole has no limit",
            "set timeout, unless every caller has a deadline of its own",
        )


def _never_fires(subject: Subject) -> Iterator[Hit]:
    limits = subject.setup.limits
    first, whole = limits.ttft_timeout, limits.attempt_timeout
    if isinstance(first, int | float) and whole is not None and first >= whole:
        what = f"ttft_timeout ({first:g} s) is not below attempt_timeout ({whole:g} s), so it never fires"
        yield Hit(subject.setting("ttft_timeout"), what, "set it lower, or leave it out")


def _patient_in_the_middle(subject: Subject) -> Iterator[Hit]:
    limits = subject.setup.limits
    idle, whole = limits.idle_timeout, limits.attempt_timeout
    if idle is not None and whole is not None and idle > whole:
        what = f"idle_timeout ({idle:g} s) is over attempt_timeout ({whole:g} s)"
        yield Hit(subject.setting("idle_timeout"), what, f"set idle_timeout to {whole:g} or less")


def _hasty(subject: Subject) -> Iterator[Hit]:
    limits = subject.setup.limits
    for name, value in (
        ("timeout", limits.timeout),
        ("attempt_timeout", limits.attempt_timeout),
        ("ttft_timeout", limits.ttft_timeout),
    ):
        if isinstance(value, int | float) and value < USUAL_FIRST_S:
            what = f"{name} is {value:g} s"
            mend = 'set it to 3 or more, or ttft_timeout = "adaptive", which learns what is usual'
            yield Hit(subject.setting(name), what, mend)


def is_local(vendor: str) -> bool:
    """Whether it is a server that people run on their own machines."""
    known = VENDORS.get(vendor)
    return known is not None and known.base_url.startswith("http://")


def _cold(subject: Subject) -> Iterator[Hit]:
    each = _stalled_s(subject)
    if each is None or each >= LOADING_S:
        return
    for spec in subject.endpoints:
        if is_local(spec.vendor):
            what = f"{spec.name} is given {each:g} s to begin"
            mend = f"keep the model loaded (warm=0.01 asks it now and then), or allow {LOADING_S:g} s"
            yield Hit(subject.place(spec), what, mend)


def _probe_too_slow(subject: Subject) -> Iterator[Hit]:
    if subject.setup.streams_upstream:
        return  # then a probe counts from its first content
    longest, patience = subject.setup.limits.attempt_timeout, subject.breaker.probe_timeout_s
    if longest is None or longest > patience:
        allowed = "any time" if longest is None else f"{longest:g} s"
        what = f"an answer may take {allowed}, a breaker's probe {patience:g} s"
        mend = 'raise breaker.probe_timeout_s over attempt_timeout, or set upstream = "stream"'
        yield Hit(subject.setting("breaker.probe_timeout_s"), what, mend)


RULES = (
    Rule(
        "FB201",
        "warning",
        "the attempts' time limits together are over the deadline",
        "The last endpoints get a fraction of the time that is set, or are not reached at all.",
        _too_many_attempts,
    ),
    Rule(
        "FB202",
        "warning",
        "no limit for an attempt",
        "One endpoint that stalls takes the whole call's time, and the others are never asked.",
        _no_attempt_limit,
    ),
    Rule(
        "FB203",
        "info",
        "no deadline",
        "When every endpoint is slow a call takes all their limits one after the other.",
        _no_deadline,
    ),
    Rule(
        "FB204",
        "warning",
        "a limit that never fires",
        "A stall is found out later than the file says.",
        _never_fires,
    ),
    Rule(
        "FB205",
        "info",
        "more patience in the middle of an answer than for all of it",
        "A stream that stops is waited for longer than one that has not begun, and a reader sees it.",
        _patient_in_the_middle,
    ),
    Rule(
        "FB206",
        "warning",
        "a limit below usual times",
        "Public models take 0.3 to 1.6 s to their first content as a rule, and 0.8 to 2.9 s in one call of "
        "twenty; healthy answers are cut, and count against their breakers.",
        _hasty,
    ),
    Rule(
        "FB207",
        "info",
        "a local model may have to be loaded first",
        "A model that nobody has asked for minutes is loaded from disk, which takes longer than its answer.",
        _cold,
    ),
    Rule(
        "FB208",
        "warning",
        "a probe may be given up before its answer",
        "A breaker closes by the answer of its probe; one that takes longer than the breaker's patience "
        "counts for nothing, so an endpoint that is only slow never comes back.",
        _probe_too_slow,
    ),
)
