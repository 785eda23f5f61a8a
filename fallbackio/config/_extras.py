"""Which of our extras are installed; looked up without importing them."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from types import MappingProxyType

__all__ = ["is_installed"]

# What an extra brings.
_BROUGHT: Mapping[str, str] = MappingProxyType({"bedrock": "botocore", "vertex": "google.auth"})


def is_installed(extra: str) -> bool:
    """Whether what a vendor's extra brings is there; an empty name asks for none.

    Example:
        >>> is_installed("")
        True
    """
    if not extra:
        return True
    try:
        return find_spec(_BROUGHT[extra]) is not None
    except ModuleNotFoundError:  # not even the package above it
        return False
