"""Whether the endpoints can be asked from here: keys, extras, addresses (FB5xx)."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

from fallbackio.config.checks._finding import Hit, Rule
from fallbackio.config.checks._subject import Subject

__all__ = ["RULES"]


def _lacking(kind: str) -> Callable[[Subject], Iterator[Hit]]:
    def find(subject: Subject) -> Iterator[Hit]:
        for spec in subject.endpoints:
            for lack in subject.lacks.get(spec.name, ()):
                if lack.kind == kind:
                    yield Hit(subject.place(spec), lack.text, lack.mend)

    return find


def _in_the_clear(subject: Subject) -> Iterator[Hit]:
    for spec in subject.endpoints:
        url = urlsplit(spec.base_url or "")
        if url.scheme != "http" or _is_loopback(url.hostname or ""):
            continue
        secret = spec.api_key is not None or spec.api_key_env or spec.token is not None or spec.headers_env
        near = _is_near(url.hostname or "")
        what = f"{spec.name} is asked at http://{url.hostname}" + (", with its key" if secret else "")
        yield Hit(subject.place(spec), what, "use https", "info" if near and not secret else None)


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _is_near(host: str) -> bool:
    """Whether it is a private address, or a name without a dot as clusters have them."""
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        return "." not in host or host.endswith((".local", ".internal", ".lan"))


RULES = (
    Rule(
        "FB501",
        "error",
        "a missing key",
        "The chain cannot be built, and nobody is asked, not even the endpoints whose keys are there.",
        _lacking("key"),
    ),
    Rule(
        "FB502",
        "error",
        "a missing extra",
        "The chain cannot be built without the package that speaks to this vendor.",
        _lacking("extra"),
    ),
    Rule(
        "FB503",
        "error",
        "a missing variable",
        "The chain cannot be built without the address, the region or the header that it holds.",
        _lacking("variable"),
    ),
    Rule(
        "FB504",
        "error",
        "an endpoint that cannot be asked so",
        "The chain cannot be built.",
        _lacking("other"),
    ),
    Rule(
        "FB505",
        "warning",
        "plain http",
        "Prompts, answers and keys can be read and changed by whoever is on the way.",
        _in_the_clear,
    ),
)
