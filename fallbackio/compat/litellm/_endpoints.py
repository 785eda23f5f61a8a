"""What LiteLLM says of one model becomes an `Endpoint`.

The same words describe a model in a call, in a fallback and in a deployment's `litellm_params`: where it
is, with which key, and what it is sent besides.  Keys are read anew at each call, as there, so that a
changed variable counts.  A model that cannot be asked (unknown, or without a key) becomes an endpoint
that fails: its fallbacks still answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

import attrs
from attrs import field, frozen

from fallbackio import errors
from fallbackio.compat.litellm._mocks import failing, mocked
from fallbackio.compat.litellm._models import BASES, KEYS, Placed, placed
from fallbackio.compat.litellm._table import DEPLOYMENT
from fallbackio.config import first_set
from fallbackio.dialects import PLACEHOLDER, VENDORS, Vendor
from fallbackio.endpoint import Endpoint, Price
from fallbackio.errors import ConfigError
from fallbackio.model import Request

__all__ = ["Look", "endpoint_of", "from_environment", "own_params"]

Look = Callable[[str], str | None]
"""Gives the value of a variable of the environment, or `None`."""

# What is no field of a request under its own name.
_APART = frozenset({"messages", "extra_body"})

_FROM_ENVIRONMENT = "os.environ/"


@frozen
class _Saying:
    """Puts other messages in the place of the call's own."""

    messages: tuple[Mapping[str, Any], ...] = field(repr=False, hash=False)

    def __call__(self, request: Request) -> Request:
        return Request.of(self.messages, request.params, stream=request.stream)


@frozen
class _Token:
    """Gives the same token at all times."""

    value: str = field(repr=False)

    def __call__(self) -> str:
        return self.value


def from_environment(name: str) -> str | None:
    """The value of a variable, or `None`."""
    return first_set((name,))


def own_params(told: Mapping[str, Any]) -> dict[str, Any]:
    """What is the provider's to read: every parameter that is not LiteLLM's own."""
    named = {name: value for name, value in told.items() if name not in DEPLOYMENT and name not in _APART}
    return {**named, **told.get("extra_body", {})}


def endpoint_of(
    told: Mapping[str, Any],
    *,
    name: str = "",
    given: Iterable[str] = (),
    messages: tuple[Mapping[str, Any], ...] | None = None,
    look: Look = from_environment,
    **settings: Any,
) -> Endpoint:
    """The endpoint for a model as LiteLLM describes it.

    `given` are the parameters that the call itself gives, which go before those of `told`; `messages`
    are sent in place of the call's; `settings` are an `Endpoint`'s.

    Raises:
        ConfigError: For a value of the wrong type.

    Example:
        >>> endpoint_of({"model": "groq/openai/gpt-oss-120b", "api_key": "os.environ/MY_KEY"}).vendor
        'groq'
    """
    told = {key: _looked_up(value, look) for key, value in told.items() if value is not None}
    where = placed(_text("model", told.get("model")), told.get("custom_llm_provider", ""), _base(told, ""))
    vendor = VENDORS.get(where.vendor)
    name = name or f"{where.vendor or _host(told)}/{where.model}"
    base, token = _base(told, "") or _usual_base(where.vendor, look), _token(told)
    key = told.get("api_key") or _usual_key(vendor, look)
    stand_in = _stand_in(name, told, where, vendor if key is None and token is None else None)
    if stand_in is not None:
        return attrs.evolve(stand_in, weight=settings.get("weight", stand_in.weight))
    return _built(
        where,
        vendor,
        _address(where, base, told, look),
        name=name,
        api_key=None if token is not None else key,
        token=token,
        headers=_headers(told),
        params={one: value for one, value in own_params(told).items() if one not in given},
        unsupported="drop" if told.get("drop_params") else "error",
        price=_price(told),
        adapt=None if messages is None else _Saying(messages),
        **settings,
    )


def _stand_in(name: str, told: Mapping[str, Any], where: Placed, keyless: Vendor | None) -> Endpoint | None:
    """The endpoint for a model that is mocked, that nobody runs, or that a key is missing for."""
    if "mock_response" in told or told.get("mock_timeout"):
        answer = None if told.get("mock_timeout") else told["mock_response"]
        after_s = float(told.get("mock_delay", 0))
        return mocked(name, answer, vendor=where.vendor, model=where.model, after_s=after_s)
    if where.why:
        return failing(name, errors.InvalidRequest, f"nobody runs {told['model']!r}: {where.why}")
    if keyless is not None and keyless.needs_key:
        text = f"no key for {keyless.name}: set {' or '.join(keyless.key_env)}, or give api_key"
        return failing(name, errors.AuthFailed, text, vendor=keyless.name, model=where.model)
    return None


def _built(where: Placed, vendor: Vendor | None, base: str | None, **rest: Any) -> Endpoint:
    # LiteLLM's users write openai/… for any server that speaks the format: it is not OpenAI's own.
    elsewhere = where.vendor == "openai" and base is not None and _host_of(base) != "api.openai.com"
    if vendor is None or elsewhere:
        return Endpoint(where.model, base_url=base, dialect="openai", **rest)
    return Endpoint(where.model, vendor=vendor.name, base_url=base, **rest)


def _looked_up(value: Any, look: Look) -> Any:
    if isinstance(value, str) and value.startswith(_FROM_ENVIRONMENT):
        variable = value.removeprefix(_FROM_ENVIRONMENT)
        found = look(variable)
        if found is None:
            raise ConfigError(f"{value}: the variable {variable} is not set")
        return found
    return value


def _text(what: str, value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ConfigError(f"{what} must be a non-empty string, not {type(value).__name__}")
    return value


def _base(told: Mapping[str, Any], default: str) -> str:
    given = told.get("api_base") or told.get("base_url") or told.get("aws_bedrock_runtime_endpoint")
    return _text("api_base", given).rstrip("/") if given else default


def _usual_base(vendor: str, look: Look) -> str:
    found = next((value for name in BASES.get(vendor, ()) if (value := look(name))), "")
    return found.rstrip("/")


def _usual_key(vendor: Vendor | None, look: Look) -> str | None:
    if vendor is None:
        return None
    names = (*vendor.key_env, *KEYS.get(vendor.name, ()))
    return next((value for name in names if (value := look(name))), None)


def _host(told: Mapping[str, Any]) -> str:
    return _host_of(_base(told, "")) or "unknown"


def _host_of(url: str) -> str:
    return (urlsplit(url).hostname or "").lower()


def _token(told: Mapping[str, Any]) -> Any:
    if provider := told.get("azure_ad_token_provider"):
        return provider
    return _Token(told["azure_ad_token"]) if told.get("azure_ad_token") else None


def _headers(told: Mapping[str, Any]) -> dict[str, str]:
    headers = {**told.get("headers", {}), **told.get("extra_headers", {})}
    if organization := told.get("organization"):
        headers["OpenAI-Organization"] = organization
    return headers


def _price(told: Mapping[str, Any]) -> Price | None:
    into, out = told.get("input_cost_per_token"), told.get("output_cost_per_token")
    if into is None or out is None:
        return None
    cached = told.get("cache_read_input_token_cost")
    return Price(_per_million(into), _per_million(out), None if cached is None else _per_million(cached))


def _per_million(per_token: Any) -> float:
    return round(float(per_token) * 1e6, 9)  # a float's last digit is rounded away


def _address(where: Placed, base: str, told: Mapping[str, Any], look: Look) -> str | None:
    """The base URL, or `None` for the vendor's own."""
    if where.vendor == "azure":
        version = told.get("api_version") or look("AZURE_API_VERSION")
        dated = base and version and "?" not in base and not base.endswith("/v1")
        return (f"{base}?api-version={version}" if dated else base) or None
    if base:
        # LiteLLM takes the whole address of Cohere's chat here.
        return base.removesuffix("/chat") if where.vendor == "cohere" else base
    if where.vendor == "bedrock":
        region = where.region or told.get("aws_region_name") or look("AWS_REGION_NAME")
        return _filled(VENDORS["bedrock"], {"AWS_REGION": region}) if region else None
    if where.vendor == "vertex":
        return _vertex(told, look)
    return None


def _vertex(told: Mapping[str, Any], look: Look) -> str | None:
    project = told.get("vertex_project") or told.get("vertex_ai_project") or look("VERTEXAI_PROJECT")
    location = told.get("vertex_location") or told.get("vertex_ai_location") or look("VERTEXAI_LOCATION")
    if not project and not location:
        return None
    known = {
        "GOOGLE_CLOUD_PROJECT": project or look("GOOGLE_CLOUD_PROJECT"),
        # What LiteLLM asks where nobody says.
        "GOOGLE_CLOUD_LOCATION": location or look("GOOGLE_CLOUD_LOCATION") or "us-central1",
    }
    return _filled(VENDORS["vertex"], known)


def _filled(vendor: Vendor, known: Mapping[str, str | None]) -> str | None:
    """The vendor's address with these variables in it; `None` if one is missing."""
    template = next(
        (url for value, url in vendor.base_url_for.items() if value in known.values()),
        vendor.base_url,
    )
    asked = [names.split("|")[0] for names in PLACEHOLDER.findall(template)]
    if any(not known.get(name) for name in asked):
        return None
    return PLACEHOLDER.sub(lambda place: known[place[1].split("|")[0]] or "", template)
