"""The wire formats by name; each is loaded when it is first asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import cast

from fallbackio.dialects._dialect import Dialect

__all__ = ["DIALECTS"]

# A format is a package of this name beside us, which holds it as `DIALECT`.
_NAMES = (
    "openai",
    "anthropic",
    "gemini",
    "cohere",
    "ollama",
    "azure",
    "bedrock",
    "openai_responses",
)


class _Registry(Mapping[str, Dialect]):
    """Loads what is looked up: a chain of two vendors pays for two formats."""

    def __getitem__(self, name: str) -> Dialect:
        if name not in _NAMES:
            raise KeyError(name)
        return cast(Dialect, import_module(f"fallbackio.dialects.{name}").DIALECT)

    def __iter__(self) -> Iterator[str]:
        return iter(_NAMES)

    def __len__(self) -> int:
        return len(_NAMES)

    def __contains__(self, name: object) -> bool:
        return name in _NAMES


DIALECTS: Mapping[str, Dialect] = _Registry()
"""Every wire format by its name."""
