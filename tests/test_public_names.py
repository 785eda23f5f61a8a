"""The public face is a list, and this keeps it honest: every name is there, in order and explained."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterator
from types import FunctionType, ModuleType
from typing import Any

import pytest

import fallbackio

MODULES: list[ModuleType] = [
    fallbackio,
    *(
        importlib.import_module(f"fallbackio.{name}")
        for name in [
            "compat.litellm",
            "errors",
            "events",
            "breaker",
            "drill",
            "observe",
            "simulator",
            "testing",
            "web",
        ]
    ),
]

# Methods that are the way in; for the others the example of their class will do.
WAYS_IN = [
    fallbackio.Chain.aclose,
    fallbackio.Chain.complete,
    fallbackio.Chain.stream,
    fallbackio.Delta.to_dict,
    fallbackio.Endpoint.calling,
    fallbackio.Reply.to_dict,
    fallbackio.Request.of,
]


def ours(module: ModuleType) -> Iterator[Any]:
    """The classes and functions of a public list; aliases, and what a dependency wrote, pass."""
    for name in module.__all__:
        thing = getattr(module, name)
        if isinstance(thing, type | FunctionType) and thing.__module__.startswith("fallbackio"):
            yield thing


def members(kind: type) -> Iterator[str]:
    """Names of the public methods and properties that we wrote for a class or for one above it."""
    for base in kind.__mro__:
        if base.__module__.startswith("fallbackio"):
            for name, member in vars(base).items():
                plain = getattr(member, "__func__", member)  # a class method holds its function
                if not name.startswith("_") and isinstance(plain, FunctionType | property):
                    yield name


def name_of(thing: Any) -> str:
    return f"{thing.__module__}.{thing.__qualname__}"


THINGS = sorted({thing for module in MODULES for thing in ours(module)}, key=name_of)
CLASSES = [thing for thing in THINGS if isinstance(thing, type)]


def test_the_root_is_a_short_list_in_order() -> None:
    """What a user finds by `fallbackio.` fits on one screen and is sorted."""
    assert 12 <= len(fallbackio.__all__) <= 30
    assert fallbackio.__all__ == sorted(fallbackio.__all__)


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_the_list_is_complete_and_true(module: ModuleType) -> None:
    """Every name listed exists, none stands there twice, and nothing public is left out."""
    made_here = {
        name
        for name, thing in vars(module).items()
        if not name.startswith("_") and getattr(thing, "__module__", "").startswith(module.__name__)
    }

    assert len(module.__all__) == len(set(module.__all__))
    assert [name for name in module.__all__ if not hasattr(module, name)] == []
    assert made_here - set(module.__all__) == set()


def test_the_root_has_no_names_of_its_own() -> None:
    """The root only hands on: each of its names is made in a module that is there for it."""
    assert {thing.__module__ for thing in ours(fallbackio)} & {"fallbackio"} == set()
    assert fallbackio.__version__.count(".") == 2


@pytest.mark.parametrize("thing", THINGS, ids=name_of)
def test_every_public_thing_is_explained_by_an_example(thing: Any) -> None:
    """Who types help() on a public name reads what it is and sees it used."""
    text = thing.__doc__ or ""

    assert text.strip()[:1].isupper(), "its docstring is missing"
    assert "Example:" in text
    assert ">>> " in text.partition("Example:")[2]


@pytest.mark.parametrize("kind", CLASSES, ids=name_of)
def test_every_public_member_has_a_docstring(kind: type) -> None:
    """No method and no property of a public class has to be guessed at."""
    assert [name for name in members(kind) if not inspect.getdoc(getattr(kind, name))] == []


@pytest.mark.parametrize("method", WAYS_IN, ids=name_of)
def test_the_ways_in_are_explained_by_an_example(method: Any) -> None:
    """What every user calls is shown being called."""
    assert ">>> " in (method.__doc__ or "").partition("Example:")[2]
