"""What a user writes for a step becomes an endpoint with nothing left open.

`"openai/gpt-4o"` gets its base URL and dialect from the vendor data, its key (and account or region)
from the environment and its context window from what is known of the model, here and once, so that an
unknown vendor or a missing key is found when the chain is built and not in the outage.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from urllib.parse import urlsplit

import attrs

from fallbackio.config._address import address_of
from fallbackio.config._environ import first_set
from fallbackio.dialects import DIALECTS, VENDORS, Vendor, window_of
from fallbackio.endpoint import Endpoint
from fallbackio.errors import ConfigError

__all__ = ["resolve"]


def resolve(steps: Sequence[str | Endpoint]) -> list[Endpoint]:
    """The endpoints of a chain, complete; raises `ConfigError` for whatever is missing or twice."""
    if isinstance(steps, str | Endpoint) or not isinstance(steps, Iterable):
        raise ConfigError(f"a chain takes a list of steps, not {type(steps).__name__}; put it in [ ]")
    endpoints = [_complete(step) for step in steps]
    if not endpoints:
        raise ConfigError("a chain needs at least one endpoint")
    _unique(endpoints)
    return endpoints


def _unique(endpoints: list[Endpoint]) -> None:
    names = [endpoint.name for endpoint in endpoints]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"two endpoints are called {name!r}; give one of them another name=")


def _complete(step: object) -> Endpoint:
    if isinstance(step, str):
        return _from_vendor(Endpoint(step))
    if not isinstance(step, Endpoint):
        raise ConfigError(f"a step is a 'vendor/model' string or an Endpoint, not {type(step).__name__}")
    if step.fn is not None:
        return step
    addressed = step.base_url is not None and not step.vendor
    return _at_url(step) if addressed else _from_vendor(step)


def _at_url(endpoint: Endpoint) -> Endpoint:
    """An endpoint that says itself where it is; its vendor is the host, with the port if it names one."""
    host = urlsplit(endpoint.base_url or "").netloc.lower().removesuffix(":")
    return attrs.evolve(
        endpoint,
        vendor=host,
        name=endpoint.name or f"{host}/{endpoint.model}",
        dialect=_dialect(endpoint.dialect or "openai"),
        context_window=endpoint.context_window or _window(endpoint, endpoint.model),
    )


def _from_vendor(endpoint: Endpoint) -> Endpoint:
    name, model = (endpoint.vendor, endpoint.model) if endpoint.vendor else _split(endpoint.model)
    vendor = VENDORS.get(name)
    if vendor is None and endpoint.base_url is not None:
        return attrs.evolve(_at_url(endpoint), vendor=name, name=endpoint.name or f"{name}/{model}")
    if vendor is None:
        raise _unknown_vendor(name)
    return attrs.evolve(
        endpoint,
        model=model,
        vendor=name,
        name=endpoint.name or f"{name}/{model}",
        base_url=endpoint.base_url or address_of(vendor),
        dialect=_dialect(endpoint.dialect or vendor.dialect),
        # A token is sent in the key's place; both would be one too many.
        api_key=endpoint.api_key or (_key(vendor) if endpoint.token is None else None),
        context_window=endpoint.context_window or (None if vendor.own_windows else _window(endpoint, model)),
    )


def _window(endpoint: Endpoint, model: str) -> int | None:
    return window_of(endpoint.base_model or model, endpoint.headers)


def _split(step: str) -> tuple[str, str]:
    cut = min((at for sign in "/:" if (at := step.find(sign)) >= 0), default=-1)
    vendor, model = (step[:cut].strip().lower(), step[cut + 1 :].strip()) if cut >= 0 else ("", "")
    if not vendor or not model:
        raise ConfigError(
            f"{step!r} does not say who runs the model: write 'vendor/model', for example 'openai/gpt-4o', "
            "or Endpoint(model, base_url=...)"
        )
    return vendor, model


def _key(vendor: Vendor) -> str | None:
    key = first_set(vendor.key_env)
    if key is None and vendor.needs_key:
        raise ConfigError(
            f"no key for {vendor.name}: set {' or '.join(vendor.key_env)} in the environment, "
            "or pass Endpoint(..., api_key=...)"
        )
    return key


def _unknown_vendor(name: str) -> ConfigError:
    near = difflib.get_close_matches(name, VENDORS, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else "."
    return ConfigError(
        f"unknown vendor {name!r}{hint} Known are {', '.join(sorted(VENDORS))}. "
        "For any other server use Endpoint(model, base_url=..., dialect=...)"
    )


def _dialect(name: str) -> str:
    if name not in DIALECTS:
        raise ConfigError(f"unknown dialect {name!r}; known are {', '.join(sorted(DIALECTS))}")
    return name
