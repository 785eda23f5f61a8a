"""What we rely on in aiobreaker, tested on aiobreaker itself.

Run these first when its pin moves: each names a fact that `fallbackio/breaker` stands on.
"""

from __future__ import annotations

import ast
import inspect
from importlib.metadata import version
from pathlib import Path
from typing import Any

import aiobreaker
import pytest
from aiobreaker.storage.memory import CircuitMemoryStorage

import fallbackio.breaker
from fallbackio.breaker import Breaker

State = aiobreaker.CircuitBreakerState

OURS = list(Path(fallbackio.breaker.__file__).parent.glob("*.py"))


class Deaf(aiobreaker.CircuitBreakerListener):  # type: ignore[misc]  # aiobreaker has no types
    """A listener that must not be told anything."""

    def state_change(self, breaker: Any, old: Any, new: Any) -> None:
        raise AssertionError("told")


def test_the_version_is_the_one_we_read() -> None:
    """The pin is there because we rely on behaviour that is nowhere promised."""
    assert "1.2.0" == version("aiobreaker")


def test_a_breaker_takes_storage_and_name_by_keyword() -> None:
    """It can be built from a storage and a name, and then knows that state and name."""
    store = CircuitMemoryStorage(State.HALF_OPEN)
    breaker = aiobreaker.CircuitBreaker(state_storage=store, name="it")
    assert ("it", State.HALF_OPEN) == (breaker.name, breaker.current_state)


def test_the_state_is_the_storages() -> None:
    """`current_state` is what was written to the storage, without telling anybody."""
    store = CircuitMemoryStorage(State.CLOSED)
    breaker = aiobreaker.CircuitBreaker(state_storage=store, name="it")
    breaker.add_listener(Deaf())
    for state in State:
        store.state = state
        assert state is breaker.current_state


def test_the_vocabulary() -> None:
    """There are three states; the value of each builds its object, which tells nobody unless asked to."""
    assert {"CLOSED", "OPEN", "HALF_OPEN"} == {state.name for state in State}
    breaker = aiobreaker.CircuitBreaker()
    breaker.add_listener(Deaf())
    assert list(State) == [state.value(breaker).state for state in State]


def test_listeners_are_kept_in_order() -> None:
    """Added, listed in order, removed; adding many adds each, so that one override sees them all."""
    added = []

    class Watching(aiobreaker.CircuitBreaker):  # type: ignore[misc]  # aiobreaker has no types
        def add_listener(self, listener: object) -> None:
            added.append(listener)
            super().add_listener(listener)

    breaker, one, two = Watching(), Deaf(), Deaf()
    breaker.add_listeners(one, two)
    assert ((one, two), [one, two]) == (breaker.listeners, added)
    breaker.remove_listener(one)
    assert (two,) == breaker.listeners


@pytest.mark.parametrize(
    ("hook", "arguments"),
    [
        ("before_call", ["breaker", "func", "args", "kwargs"]),
        ("success", ["breaker"]),
        ("failure", ["breaker", "exception"]),
        ("state_change", ["breaker", "old", "new"]),
    ],
)
def test_hooks(hook: str, arguments: list[str]) -> None:
    """A listener has the four hooks that we call, with these arguments."""
    signature = inspect.signature(getattr(aiobreaker.CircuitBreakerListener(), hook))
    assert arguments == list(signature.parameters)


def test_excluded_exceptions_are_kept_as_given() -> None:
    """Classes and predicates are listed as they were added."""
    breaker = aiobreaker.CircuitBreaker()
    breaker.add_excluded_exceptions(ValueError, callable)
    assert (ValueError, callable) == breaker.excluded_exceptions


def test_the_decorator_goes_through_the_public_entry_points() -> None:
    """Async functions go through `call_async`, everything else through `call`."""

    class Recording(aiobreaker.CircuitBreaker):  # type: ignore[misc]  # aiobreaker has no types
        def call(self, func: Any, *args: Any, **kwargs: Any) -> str:
            return f"call {args}"

        async def call_async(self, func: Any, *args: Any, **kwargs: Any) -> str:
            return f"call_async {args}"

    async def asynchronous(argument: int) -> None: ...

    def plain(argument: int) -> None: ...

    breaker = Recording()
    with pytest.raises(StopIteration, match=r"call_async \(1,\)"):
        breaker(asynchronous)(1).send(None)
    assert "call (1,)" == breaker(plain)(1)


def test_a_refusal_can_be_made_without_its_initialiser() -> None:
    """`CircuitBreakerError` is a plain exception whose times we override."""
    assert Exception is aiobreaker.CircuitBreakerError.__base__
    assert {"time_remaining", "sleep_until_open"} == {
        name for name in vars(aiobreaker.CircuitBreakerError) if not name.startswith("_")
    }


def test_everything_that_reads_a_clock_or_the_counter_is_ours() -> None:
    """No public member of aiobreaker's that asks for the time or counts is left uncovered."""
    suspicious = (
        "datetime",
        "opened_at",
        "time_until_open",
        "opens_at",
        "counter",
        "self._state ",
        "timeout",
    )
    for name, member in vars(aiobreaker.CircuitBreaker).items():
        if name.startswith("_"):
            continue
        function: Any = member.fget if isinstance(member, property) else member
        source = inspect.getsource(function)
        if any(word in source for word in suspicious):
            assert getattr(Breaker, name) is not member, name


def private_names(tree: ast.AST) -> set[str]:
    return {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr.startswith("_") and not node.attr.endswith("__")
    }


def test_no_private_name_of_aiobreaker_is_used_or_shadowed() -> None:
    """Our own private attributes and methods are none of aiobreaker's."""
    theirs = {*vars(aiobreaker.CircuitBreaker()), *vars(aiobreaker.CircuitBreaker), "_ignore_on_call"}
    private = {name for name in theirs if name.startswith("_") and not name.endswith("__")}
    assert "_state_storage" in private
    for path in OURS:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        defined = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
        assert set() == private & (private_names(tree) | defined), path.name


def test_one_door() -> None:
    """No other module of the package imports aiobreaker."""
    importers = set()
    for path in OURS:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if any(name.split(".")[0] == "aiobreaker" for name in names):
                importers.add(path.name)
    assert {"_aiobreaker.py"} == importers
