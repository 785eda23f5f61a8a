"""Chains from a TOML file.

A file is read whole, and all that is wrong with it is told at once.  Keys are in the environment and
never in the file, which holds the names of their variables.  `read_toml` gives a chain's part of it as
a value, which can be changed before it is built: other endpoints, other addresses, other settings.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import attrs
from attrs import frozen

from fallbackio._checks import nearest
from fallbackio.config._chain import Chain
from fallbackio.config.files._problems import Problem, Problems, refusal
from fallbackio.config.files._sections import CHAIN_SETTINGS, Sections, read_sections
from fallbackio.endpoint import Endpoint, Pool
from fallbackio.errors import ConfigError

__all__ = ["ChainFile", "members_of", "read_toml", "sections_of"]


@frozen(kw_only=True)
class ChainFile:
    """One chain of a file, before it is built.

    Attributes:
        path: The file.
        name: Of the chain.
        steps: Endpoints and pools; their keys and addresses are read from the environment when the
            chain is built.
        settings: Keyword arguments of `Chain`, as far as the file gives them.

    Example:
        >>> given = fallbackio.config.files.read_toml("chain.toml")
        >>> chain = given.mapped(lambda one: attrs.evolve(one, max_in_flight=4)).build()
    """

    path: Path
    name: str
    steps: tuple[Endpoint | Pool, ...]
    settings: Mapping[str, Any]

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """All endpoints, those of pools among them."""
        return tuple([one for step in self.steps for one in members_of(step)])

    def mapped(self, change: Callable[[Endpoint], Endpoint]) -> ChainFile:
        """The same with what `change` makes of each endpoint.

        Example:
            >>> given.mapped(lambda one: attrs.evolve(one, base_url=sim.url(one.name), api_key="-"))
        """
        steps = [
            attrs.evolve(step, endpoints=tuple([change(one) for one in members_of(step)]))
            if isinstance(step, Pool)
            else change(step)
            for step in self.steps
        ]
        return attrs.evolve(self, steps=tuple(steps))

    def build(self, **more: Any) -> Chain:
        """The chain; `more` are keyword arguments of `Chain`, which win over the file's.

        Raises:
            ConfigError: For a missing key or address, or a setting out of its range.

        Example:
            >>> chain = fallbackio.config.files.read_toml("chain.toml").build(sinks=[print])
        """
        return Chain(self.steps, **self.keywords(more))

    def keywords(self, more: Mapping[str, Any]) -> Mapping[str, Any]:
        """Keyword arguments of `Chain`, `more` winning over the file's.

        Raises:
            ConfigError: For one that it does not have.
        """
        for name in more:
            if name not in CHAIN_SETTINGS:
                raise nearest("setting of a chain", name, CHAIN_SETTINGS)
        return {**self.settings, **more, "name": self.name}


def read_toml(path: str | os.PathLike[str], name: str | None = None) -> ChainFile:
    """The chain called `name` of a file, or its only one.

    Raises:
        ConfigError: For a file that cannot be read, and for anything in it that is wrong or unknown;
            all of it, each with its place and the nearest known name.

    Example:
        >>> read_toml("chain.toml").endpoints
    """
    sections, problems = sections_of(path)
    path = _shown(path)
    if problems:
        raise refusal(path, problems)
    chains = sections.chains
    if name is None and len(chains) > 1:
        known = ", ".join(map(repr, chains))
        raise ConfigError(f"{path} has several chains; say which, name= one of {known}")
    if name is not None and name not in chains:
        raise ConfigError(f"{path}: {nearest('chain', name, chains)}")
    chosen = next(iter(chains)) if name is None else name
    return ChainFile(path=path, name=chosen, steps=chains[chosen].steps, settings=chains[chosen].settings)


def sections_of(path: str | os.PathLike[str]) -> tuple[Sections, list[Problem]]:
    """All of a file, and what is wrong with it; raises `ConfigError` if it cannot be read at all."""
    path = _shown(path)
    try:
        text = path.read_text(encoding="utf-8-sig")  # some editors put a byte order mark before it
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: cannot be read: it is not UTF-8") from None
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: this is not TOML: {error}") from None
    problems = Problems()
    return read_sections(document, problems), problems.found


def _shown(path: str | os.PathLike[str]) -> Path:
    """The path as people would write it, from where they are."""
    given = Path(path)
    return given.relative_to(Path.cwd()) if given.is_relative_to(Path.cwd()) else given


def members_of(step: Endpoint | Pool) -> tuple[Endpoint, ...]:
    """The endpoints behind one step."""
    if isinstance(step, Endpoint):
        return (step,)
    return tuple([one for one in step.endpoints if isinstance(one, Endpoint)])
