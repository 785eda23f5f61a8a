"""What a user writes for a step becomes an endpoint with nothing left open.

`"openai/gpt-6-luna"` gets its base URL and dialect from the vendor data, its key (and account or region)
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

__all__ = ["complete", "placed", "resolve", "unique"]


def resolve(steps: Sequence[str | Endpoint]) -> list[Endpoint]:
    """The endpoints of a chain, complete; raises `ConfigError` for whatever is missing or twice."""
    if isinstance(steps, str | Endpoint) or not isinstance(steps, Iterable):
        raise ConfigError(f"a chain takes a list of steps, not {type(steps).__name__}; put it in [ ]")
    endpoints = [complete(step) for step in steps]
    if not endpoints:
        raise ConfigError("a chain needs at least one endpoint")
    unique(endpoints)
    return endpoints


def unique(endpoints: Sequence[Endpoint]) -> None:
    """Raise `ConfigError` if two have one name."""
    names = [endpoint.name for endpoint in endpoints]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"two endpoints are called {name!r}; give one of them another name=")


def complete(step: object) -> Endpoint:
    """One endpoint with its address and its key; raises `ConfigError` for what is missing."""
    if isinstance(step, str):
        step = Endpoint(step)
    if not isinstance(step, Endpoint):
        raise ConfigError(f"a step is a 'vendor/model' string or an Endpoint, not {type(step).__name__}")
    if step.fn is not None:
        return step
    given = _referred(step)
    return _at_url(given) if _is_addressed(given) else _from_vendor(given)


def placed(endpoint: Endpoint) -> Endpoint:
    """The endpoint with its vendor, model, name and dialect apart; its key and address are not asked for.

    One that says itself where it is gets its vendor with its address.

    Raises:
        ConfigError: For an unknown vendor or dialect.
    """
    if _is_addressed(endpoint):
        return attrs.evolve(endpoint, dialect=_dialect(endpoint.dialect or "openai"))
    return endpoint if endpoint.fn is not None else _at_vendor(endpoint)


def _is_addressed(endpoint: Endpoint) -> bool:
    """Whether it says where it is, and not who runs it."""
    return (endpoint.base_url is not None or bool(endpoint.base_url_env)) and not endpoint.vendor


def _referred(endpoint: Endpoint) -> Endpoint:
    """The endpoint with what its settings `…_env` refer to; what is given besides them wins."""
    found = endpoint
    if endpoint.api_key_env and endpoint.api_key is None:
        found = attrs.evolve(found, api_key=_value(endpoint.api_key_env, "api_key_env", endpoint))
    if endpoint.base_url_env and endpoint.base_url is None:
        found = _addressed(found, _value(endpoint.base_url_env, "base_url_env", endpoint))
    if endpoint.headers_env:
        values = {
            name: _value(variable, "headers_env", endpoint) for name, variable in endpoint.headers_env.items()
        }
        found = attrs.evolve(found, headers={**values, **endpoint.headers})
    return found


def _addressed(endpoint: Endpoint, url: str) -> Endpoint:
    try:
        return attrs.evolve(endpoint, base_url=url)
    except ConfigError:
        raise ConfigError(
            f"{endpoint.base_url_env}, which base_url_env of {endpoint.name or endpoint.model} names, holds "
            "no address such as https://example.com/v1"
        ) from None


def _value(variable: str, setting: str, endpoint: Endpoint) -> str:
    value = first_set((variable,))
    if value is None:
        raise ConfigError(
            f"{setting} of {endpoint.name or endpoint.model}: set {variable} in the environment"
        )
    return value


def _at_url(endpoint: Endpoint) -> Endpoint:
    """An endpoint that says itself where it is; its vendor is the host, with the port if it names one."""
    host = urlsplit(endpoint.base_url or "").netloc.lower().removesuffix(":")
    return attrs.evolve(
        endpoint,
        vendor=host,
        name=endpoint.name or f"{host}/{endpoint.model}",
        dialect=_dialect(endpoint.dialect or "openai"),
        context_window=endpoint.context_window or _window(endpoint),
    )


def _from_vendor(endpoint: Endpoint) -> Endpoint:
    """The endpoint with what its vendor's data and the environment say of it."""
    endpoint = _at_vendor(endpoint)
    vendor = VENDORS.get(endpoint.vendor)
    if vendor is None:
        return attrs.evolve(_at_url(endpoint), vendor=endpoint.vendor)
    window = None if vendor.own_windows else _window(endpoint)
    return attrs.evolve(
        endpoint,
        base_url=endpoint.base_url or address_of(vendor),
        # A token is sent in the key's place; both would be one too many.
        api_key=endpoint.api_key or (_key(vendor) if endpoint.token is None else None),
        context_window=endpoint.context_window or window,
    )


def _at_vendor(endpoint: Endpoint) -> Endpoint:
    """The endpoint with vendor and model apart."""
    name, model = (endpoint.vendor, endpoint.model) if endpoint.vendor else _split(endpoint.model)
    vendor = VENDORS.get(name)
    if vendor is None and (endpoint.base_url is not None or endpoint.base_url_env):
        # A vendor of the user's own, who says where it is.
        dialect = _dialect(endpoint.dialect or "openai")
        return attrs.evolve(
            endpoint, model=model, vendor=name, name=endpoint.name or f"{name}/{model}", dialect=dialect
        )
    if vendor is None:
        raise _unknown_vendor(name)
    return attrs.evolve(
        endpoint,
        model=model,
        vendor=name,
        name=endpoint.name or f"{name}/{model}",
        dialect=_dialect(endpoint.dialect or vendor.dialect),
    )


def _window(endpoint: Endpoint) -> int | None:
    return window_of(endpoint.base_model or endpoint.model, endpoint.headers)


def _split(step: str) -> tuple[str, str]:
    cut = min((at for sign in "/:" if (at := step.find(sign)) >= 0), default=-1)
    vendor, model = (step[:cut].strip().lower(), step[cut + 1 :].strip()) if cut >= 0 else ("", "")
    if not vendor or not model:
        raise ConfigError(
            f"{step!r} does not say who runs the model: write 'vendor/model', for example "
            "'openai/gpt-6-luna', or Endpoint(model, base_url=...)"
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
    hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(sorted(VENDORS))}."
    other = "For any other server use Endpoint(model, base_url=..., dialect=...)"
    return ConfigError(f"unknown vendor {name!r}; {hint} {other}")


def _dialect(name: str) -> str:
    if name not in DIALECTS:
        raise ConfigError(f"unknown dialect {name!r}; known are {', '.join(sorted(DIALECTS))}")
    return name
