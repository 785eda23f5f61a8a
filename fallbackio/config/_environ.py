"""The only reader of the environment."""

from __future__ import annotations

import os
from collections.abc import Iterable

__all__ = ["first_set", "which_set"]


def which_set(names: Iterable[str]) -> str | None:
    """The first of these variables that is set and not blank."""
    return next((name for name in names if os.environ.get(name, "").strip()), None)


def first_set(names: Iterable[str]) -> str | None:
    """The value of the first of these variables that is set and not blank."""
    name = which_set(names)
    return os.environ[name].strip() if name is not None else None
