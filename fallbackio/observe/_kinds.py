"""Failures by a name of a few: what metrics and spans may be told apart by."""

from __future__ import annotations

from fallbackio import errors

__all__ = ["kind_of"]


def kind_of(error: BaseException) -> str:
    """The nearest class of `fallbackio.errors` above it, else the class itself.

    A user's own subclass is counted as what it is a kind of, so that names stay few.
    """
    for kind in type(error).__mro__:
        if kind.__module__ == errors.__name__:
            return kind.__name__
    return type(error).__name__
