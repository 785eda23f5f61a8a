"""The door to aiobreaker, and the only module that imports it.

aiobreaker gives a breaker its vocabulary (states), its keeper of the state (memory storage), its
list of listeners, its list of excluded exceptions, its decorator and its name.  Everything in it
that reads the wall clock, counts, or decides who may pass is replaced: it compares naive UTC with
local time, warns on CPython 3.12, lets any number of probes through and believes results from
before a trip.  Only public names are used; `tests/breaker/test_aiobreaker_conformance.py` holds
what we rely on.

aiobreaker has no types.  The signatures below say what we use of it; a base class of type `Any`
would make every attribute of our public class `Any` to a type checker.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from enum import Enum
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn, ParamSpec, TypeVar

import anyio

from fallbackio.breaker._outbox import Outbox
from fallbackio.clock import wall
from fallbackio.errors import Refused

__all__ = ["Circuit", "CircuitBreakerListener", "CircuitOpen", "State"]

P = ParamSpec("P")
T = TypeVar("T")

if TYPE_CHECKING:

    class State(Enum):
        # In truth the values are the classes of aiobreaker's state objects.
        CLOSED = 1
        OPEN = 2
        HALF_OPEN = 3

    class CircuitBreakerListener:
        def before_call(self, breaker: Any, func: Any, *args: Any, **kwargs: Any) -> None: ...
        def success(self, breaker: Any) -> None: ...
        def failure(self, breaker: Any, exception: Exception) -> None: ...
        def state_change(self, breaker: Any, old: Any, new: Any) -> None: ...

    class CircuitBreakerError(Exception):
        def __init__(self, message: str, reopen_time: datetime) -> None: ...

    class CircuitMemoryStorage:
        state: State

        def __init__(self, state: State) -> None: ...

    class CircuitBreaker:
        name: str

        def __init__(self, *, state_storage: CircuitMemoryStorage, name: str) -> None: ...
        def __call__(
            self, func: Callable[P, Coroutine[Any, Any, T]], /
        ) -> Callable[P, Coroutine[Any, Any, T]]: ...
        def add_listener(self, listener: CircuitBreakerListener) -> None: ...
        def add_listeners(self, *listeners: CircuitBreakerListener) -> None: ...
        def remove_listener(self, listener: CircuitBreakerListener) -> None: ...
        def add_excluded_exception(self, exception: Any) -> None: ...
        def add_excluded_exceptions(self, *exceptions: Any) -> None: ...
        def remove_excluded_exception(self, exception: Any) -> None: ...
        @property
        def listeners(self) -> tuple[CircuitBreakerListener, ...]: ...
        @property
        def excluded_exceptions(self) -> tuple[Any, ...]: ...
        @property
        def current_state(self) -> State: ...

else:
    from aiobreaker import CircuitBreaker, CircuitBreakerError, CircuitBreakerListener
    from aiobreaker import CircuitBreakerState as State
    from aiobreaker.storage.memory import CircuitMemoryStorage


class CircuitOpen(CircuitBreakerError, Refused):
    """Raised by `Breaker.call_async` when the breaker refuses; the function was not called.

    It is both aiobreaker's `CircuitBreakerError` and our `Refused`.  Who takes permits gets `None`
    from `acquire` and never meets it.

    Attributes:
        retry_after_s: Lower bound of the seconds until a call may pass.
        reopen_time: The same as an aware UTC time.

    Example:
        >>> try:
        ...     rows = await breaker.call_async(fetch, query)
        ... except CircuitOpen as refusal:
        ...     await anyio.sleep(refusal.retry_after_s)
    """

    def __init__(self, name: str, retry_in_s: float) -> None:
        self.reopen_time = datetime.fromtimestamp(wall() + retry_in_s, UTC)
        # Not aiobreaker's initialiser: it would set the two facts that are set here.
        Refused.__init__(self, retry_after_s=retry_in_s)
        self.endpoint = name

    @property
    def time_remaining(self) -> timedelta:
        """Time until `reopen_time` by the wall clock; never negative."""
        return max(timedelta(0), self.reopen_time - datetime.fromtimestamp(wall(), UTC))


class Circuit(CircuitBreaker):
    """aiobreaker's breaker with its machine taken out; `Breaker` puts ours in."""

    def __init__(self, name: str) -> None:
        self._store = CircuitMemoryStorage(State.CLOSED)  # the state itself; written by the machine only
        self._outbox = Outbox()  # what listeners are still to be told
        self._audience: tuple[CircuitBreakerListener, ...] = ()  # `listeners`, without a copy per call
        super().__init__(state_storage=self._store, name=name)
        # Made without their notice, for a listener that raised in there would leave us half moved.
        self._states = {state: _state_object(state, self) for state in State}

    # What the machine knows.

    @property
    @abstractmethod
    def retry_in_s(self) -> float:
        """Seconds until a call may pass."""

    # Listeners: aiobreaker keeps the list, we do the telling.

    def add_listener(self, listener: CircuitBreakerListener) -> None:
        """Tell `listener` of moves and results from now on."""
        super().add_listener(listener)
        self._audience = self.listeners

    def remove_listener(self, listener: CircuitBreakerListener) -> None:
        """Tell `listener` nothing more."""
        super().remove_listener(listener)
        self._audience = self.listeners

    def _post(self, hook: str, *args: object, **kwargs: object) -> None:
        for listener in self._audience:
            self._outbox.post(listener, partial(_call_hook, listener, hook, self, *args, **kwargs))

    # Exclusion.

    def is_system_error(self, exception: Exception) -> bool:
        """Whether `exception` counts against what the breaker guards; excluded ones do not.

        Differs from aiobreaker's for classes with a metaclass, which it takes for predicates that
        exclude everything.  A predicate that raises excludes nothing.
        """
        return not any(self._excludes(rule, exception) for rule in self.excluded_exceptions)

    def _excludes(self, rule: Any, exception: Exception) -> bool:
        if isinstance(rule, type):
            return isinstance(exception, rule)
        return bool(self._outbox.guarded(rule, partial(rule, exception), default=False))

    # Readings.  The originals are off by the zone's offset, or raise, or take a setting to which
    # nobody listens; and only the storage may be asked for the state, the original would notify.

    @property
    def state(self) -> Any:
        """aiobreaker's object for the current state; `phase` is the plain name."""
        return self._states[self.current_state]

    @property
    def opens_at(self) -> datetime | None:
        """When a call may pass, in UTC; `None` if it may now."""
        wait = self.time_until_open
        return None if wait is None else datetime.fromtimestamp(wall(), UTC) + wait

    @property
    def time_until_open(self) -> timedelta | None:
        """`retry_in_s` as a timedelta; `None` if a call may pass now."""
        return timedelta(seconds=self.retry_in_s) if self.retry_in_s else None

    async def sleep_until_open(self) -> None:
        """Sleep for `retry_in_s`."""
        await anyio.sleep(self.retry_in_s)

    # Entry points.

    def call(self, func: Callable[..., object], *args: object, **kwargs: object) -> NoReturn:
        """Raise `TypeError`: there is no synchronous call."""
        # Not its repr: that of a partial shows what it was given.
        name = getattr(func, "__qualname__", type(func).__qualname__)
        raise TypeError(
            f"a breaker guards async functions only, not {name}: "
            "await breaker.call_async(func), or take a permit with breaker.acquire() around a stream"
        )


def _state_object(state: State, breaker: Circuit) -> Any:
    make: Any = state.value
    return make(breaker)


def _call_hook(listener: object, hook: str, *args: object, **kwargs: object) -> None:
    # Looked up only here, under guard: a listener need not have all hooks of the base class.
    getattr(listener, hook)(*args, **kwargs)
