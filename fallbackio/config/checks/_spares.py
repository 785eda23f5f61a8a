"""Whether there is somebody else to ask: failure domains and spares (FB1xx)."""

from __future__ import annotations

from collections.abc import Iterator

from fallbackio.config.checks._finding import Hit, Rule
from fallbackio.config.checks._subject import Subject
from fallbackio.endpoint import Endpoint

__all__ = ["RULES"]


def _one_vendor(subject: Subject) -> Iterator[Hit]:
    vendors = subject.vendors
    if len(subject.steps) > 1 and len(vendors) == 1 and "" not in vendors:
        (vendor,) = vendors
        what = f"all {len(subject.endpoints)} endpoints are {vendor}'s"
        yield Hit(subject.setting("steps"), what, "add a step of another vendor as the last")


def _no_spare(subject: Subject) -> Iterator[Hit]:
    if len(subject.steps) > 1:
        return
    members = subject.endpoints
    mend = "add a step after it, best of another vendor"
    if len(members) == 1:
        yield Hit(subject.setting("steps"), f"{members[0].name} is alone", mend)
    else:
        vendors = " and ".join(sorted(subject.vendors))
        what = f"a pool of {len(members)} endpoints of {vendors} is all there is"
        yield Hit(subject.setting("steps"), what, mend)


def _twice(subject: Subject) -> Iterator[Hit]:
    seen: dict[tuple[object, ...], Endpoint] = {}
    for spec in subject.endpoints:
        if spec.fn is not None:
            continue
        # A key's variable stands for the key, which may not be here.
        key = spec.api_key or spec.api_key_env or spec.token
        same = (spec.base_url or spec.base_url_env or spec.vendor, spec.model, key, str(spec.headers))
        first = seen.setdefault(same, spec)
        if first is not spec:
            what = f"{spec.name} and {first.name} are one model at one address with one key"
            mend = "leave one of them out, or give it a key or an address of its own"
            yield Hit(subject.place(spec), what, mend)


def _neighbours(subject: Subject) -> Iterator[Hit]:
    if subject.setup.strategy.one_at_a_time or len(subject.vendors) == 1:
        return
    first, *others = subject.endpoints
    alone = all(len(step) == 1 for step in subject.steps[:2])
    if alone and others and others[0].vendor == first.vendor:
        other = next(spec for spec in others if spec.vendor != first.vendor)
        what = f"{first.name} is hedged by {others[0].name} of the same vendor"
        yield Hit(subject.setting("steps"), what, f"put {other.name} second")


RULES = (
    Rule(
        "FB101",
        "warning",
        "all endpoints are of one vendor",
        "An outage, a spent quota or a revoked key takes all endpoints of a vendor at once.",
        _one_vendor,
    ),
    Rule(
        "FB102",
        "warning",
        "no spare",
        "When this step fails there is nobody else to ask.",
        _no_spare,
    ),
    Rule(
        "FB103",
        "warning",
        "an endpoint twice",
        "The second fails for the reason for which the first has failed, and costs its time.",
        _twice,
    ),
    Rule(
        "FB104",
        "warning",
        "the hedge asks the same vendor",
        "What is slow at a vendor is often all of it; a hedge there is slow as well, and is paid for.",
        _neighbours,
    ),
)
