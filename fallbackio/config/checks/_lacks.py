"""An endpoint of a file as far as it is known here, and what it lacks to be asked.

A file is checked where its keys are not: in a build, or on the machine of whoever writes it.  What is
missing is said, and the rest is judged all the same.
"""

from __future__ import annotations

from collections.abc import Iterator

import attrs

from fallbackio.config._address import standing_of
from fallbackio.config._environ import which_set
from fallbackio.config._extras import is_installed
from fallbackio.config._steps import complete
from fallbackio.config.checks._subject import Lack
from fallbackio.dialects import VENDORS
from fallbackio.endpoint import Endpoint
from fallbackio.errors import ConfigError

__all__ = ["described"]

# Stand in for what is missing while the rest is looked up.
_KEY = "-"
_URL = "https://missing.invalid"


def described(spec: Endpoint) -> tuple[Endpoint, tuple[Lack, ...]]:
    """The endpoint, complete but for what it lacks."""
    lacks = tuple(_lacks(spec))
    try:
        return (complete(spec), lacks) if not lacks else (_completed(spec), lacks)
    except ConfigError as error:
        return spec, (*lacks, Lack("other", str(error), "mend what it says, or leave the endpoint out"))


def _completed(spec: Endpoint) -> Endpoint:
    """The endpoint with the data of its vendor, and without what is missing."""
    key = spec.api_key is None and spec.token is None
    url = spec.base_url is None and (spec.base_url_env or _placeholders(spec))
    filled = attrs.evolve(
        spec,
        api_key=_KEY if key else spec.api_key,
        base_url=_URL if url else spec.base_url,
        headers_env={},
    )
    found = complete(filled)
    return attrs.evolve(
        found,
        api_key=spec.api_key,
        base_url=None if url else found.base_url,
        headers_env=spec.headers_env,
        vendor=spec.vendor if url else found.vendor,
    )


def _placeholders(spec: Endpoint) -> bool:
    vendor = VENDORS.get(spec.vendor)
    return vendor is not None and bool(standing_of(vendor).missing)


def _lacks(spec: Endpoint) -> Iterator[Lack]:
    if spec.api_key_env and spec.api_key is None and which_set((spec.api_key_env,)) is None:
        text = f"no key for {spec.name}: {spec.api_key_env} is not set"
        yield Lack("key", text, "set it in the environment")
    if spec.base_url_env and spec.base_url is None and which_set((spec.base_url_env,)) is None:
        yield _variable(spec, spec.base_url_env)
    for variable in spec.headers_env.values():
        if which_set((variable,)) is None:
            yield _variable(spec, variable)
    yield from _of_vendor(spec)


def _of_vendor(spec: Endpoint) -> Iterator[Lack]:
    vendor = VENDORS.get(spec.vendor)
    if vendor is None:
        return
    standing = standing_of(vendor)
    missing = list(standing.missing)
    if vendor.needs_key and standing.key is None:
        names = missing.pop(0)
        if spec.api_key is None and not spec.api_key_env and spec.token is None:
            text = f"no key for {spec.name}: {names} is not set"
            yield Lack("key", text, "set it in the environment, or name another variable with api_key_env")
    if spec.base_url is None and not spec.base_url_env:
        for names in missing:
            yield _variable(spec, names)
    if not is_installed(vendor.extra) and spec.token is None:
        text = f"{spec.name} needs the extra {vendor.extra}"
        yield Lack("extra", text, f"pip install 'fallbackio[{vendor.extra}]'")


def _variable(spec: Endpoint, names: str) -> Lack:
    return Lack("variable", f"{spec.name} needs {names}, which is not set", "set it in the environment")
