"""The only reader of the environment."""

from __future__ import annotations

import os
from collections.abc import Iterable

__all__ = ["first_set"]


def first_set(names: Iterable[str]) -> str | None:
    """The value of the first of these variables that is set and not blank."""
    return next((value for name in names if (value := os.environ.get(name, "").strip())), None)
