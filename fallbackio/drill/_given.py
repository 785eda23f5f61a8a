"""The chain that is drilled: the user's own, with a simulator in the place of its vendors.

Every endpoint keeps its name, vendor, model, dialect, limits and whatever else it has; only where it is
and who vouches for its requests are exchanged, so that no key is needed and nothing leaves the machine.
A function behind `Endpoint.calling` is replaced by a simulated endpoint of the OpenAI dialect.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import attrs
from attrs import field, frozen

from fallbackio.chain import Limits
from fallbackio.config import Chain, flat_price, placed
from fallbackio.config.files import ChainFile, read_toml
from fallbackio.dialects import DIALECTS
from fallbackio.endpoint import Endpoint, Pool
from fallbackio.errors import ConfigError

__all__ = ["Drillable", "Given", "given"]

# What is drilled: a file, a chain of a file, or the steps of a chain.
Drillable = str | os.PathLike[str] | ChainFile | Sequence[str | Endpoint | Pool]

# What belongs to the application around a chain, and has no part in a drill.
_LEFT_OUT = ("sinks", "seed", "name")

_LIMITS = tuple([one.name for one in attrs.fields(Limits)])


@frozen(kw_only=True)
class Given:
    """A chain before it is built.

    Attributes:
        name: What reports call it.
        steps: Endpoints and pools, with vendor, model and dialect apart.
        settings: Keyword arguments of `Chain`.
    """

    name: str
    steps: tuple[Endpoint | Pool, ...]
    settings: Mapping[str, Any] = field(factory=dict)

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """All endpoints, in the order of the chain."""
        return tuple([one for step in self.steps for one in _members(step)])

    @property
    def limits(self) -> Limits:
        """The time limits that its calls have."""
        return Limits(**{name: self.settings[name] for name in _LIMITS if name in self.settings})

    def build(self, url_of: Callable[[Endpoint], str], **settings: Any) -> Chain:
        """The chain, whose endpoints are where `url_of` says."""
        keys: dict[tuple[object, ...], str] = {}

        def standing(endpoint: Endpoint) -> Endpoint:
            return _standing_in(endpoint, url_of(endpoint), keys)

        steps = [
            attrs.evolve(step, endpoints=[standing(one) for one in _members(step)])
            if isinstance(step, Pool)
            else standing(step)
            for step in self.steps
        ]
        return Chain(steps, **{**self.settings, **settings})


def given(chain: Drillable, name: str | None = None, **settings: Any) -> Given:
    """The chain that is meant, with `settings` in place of its own.

    Raises:
        ConfigError: For a file with mistakes, or what is no chain's description.
    """
    if isinstance(chain, Chain):
        raise ConfigError("a chain that is built cannot be drilled; give its TOML file or its steps")
    if isinstance(chain, str | os.PathLike):
        label = Path(chain).stem if name is None else f"{Path(chain).stem}: {name}"
        chain = read_toml(chain, name)
    elif isinstance(chain, ChainFile):
        label = name or chain.name
    else:
        return _given(name or "chain", _steps(chain), settings)
    return _given(label, chain.steps, chain.keywords(settings))


def _given(name: str, steps: Iterable[str | Endpoint | Pool], settings: Mapping[str, Any]) -> Given:
    kept = {setting: value for setting, value in settings.items() if setting not in _LEFT_OUT}
    return Given(name=name, steps=tuple(map(_placed, steps)), settings=kept)


def _steps(chain: object) -> Iterable[str | Endpoint | Pool]:
    if not isinstance(chain, Iterable):
        raise ConfigError(f"a drill takes a TOML file or a list of steps, not {type(chain).__name__}")
    return chain


def _placed(step: str | Endpoint | Pool) -> Endpoint | Pool:
    if isinstance(step, Pool):
        return attrs.evolve(step, endpoints=[_placed_one(one) for one in step.endpoints])
    return _placed_one(step)


def _placed_one(step: str | Endpoint) -> Endpoint:
    """The endpoint with vendor and name, of which the chain would take those of its address."""
    endpoint = placed(Endpoint(step) if isinstance(step, str) else step)
    if endpoint.vendor and endpoint.name:
        return endpoint
    vendor = endpoint.vendor or urlsplit(endpoint.base_url or "").netloc.lower() or endpoint.base_url_env
    return attrs.evolve(endpoint, vendor=vendor, name=endpoint.name or f"{vendor}/{endpoint.model}")


def _members(step: Endpoint | Pool) -> tuple[Endpoint, ...]:
    if isinstance(step, Endpoint):
        return (step,)
    return tuple([one for one in step.endpoints if isinstance(one, Endpoint)])


def _standing_in(endpoint: Endpoint, url: str, keys: dict[tuple[object, ...], str]) -> Endpoint:
    dialect = endpoint.dialect or "openai"
    # Endpoints of one key and one model share their limits, so keys stay as many as they were.
    key = keys.setdefault((endpoint.api_key, endpoint.api_key_env, endpoint.vendor), f"drill-{len(keys)}")
    return attrs.evolve(
        endpoint,
        dialect=dialect,
        base_url=_address(url, dialect, endpoint.base_url),
        base_url_env="",
        api_key=key,
        api_key_env="",
        headers_env={},
        token=None,
        fn=None,
        price=flat_price(endpoint),
    )


def _address(url: str, dialect: str, own: str | None) -> str:
    """The stand-in's address, with the query that the endpoint's own has (Azure's `api-version`)."""
    _, mark, query = (own or "").partition("?")
    return f"{url.removesuffix(DIALECTS[dialect].base)}?{query}" if mark else url
