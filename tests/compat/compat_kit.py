"""Endpoints for programs in LiteLLM's manner: in the loop of a test, or in a thread of their own."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from time import monotonic, sleep
from typing import Any, ParamSpec, TypeVar

import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal
from attrs import field, frozen

from fallbackio.compat.litellm._process import PROCESS
from fallbackio.compat.litellm._table import Table
from fallbackio.model import Request
from fallbackio.simulator import Behaviour, Exchange, Fault, Plan, SimulatedEndpoint, Simulator

P = ParamSpec("P")
T = TypeVar("T")

NAMES = ("one", "two", "three")


@frozen
class Outside:
    """Three endpoints, `one`, `two` and `three`, in another thread's loop."""

    portal: BlockingPortal
    simulator: Simulator

    def url(self, name: str) -> str:
        """The endpoint's address without a dialect's path."""
        return f"{self.simulator.url}/{name}"

    def behave(self, behaviours: Mapping[str, Behaviour]) -> None:
        """Begin anew: the endpoints behave so, those not named are healthy."""

        def begin() -> None:
            for name in NAMES:
                endpoint = self.simulator.endpoint(name)
                endpoint.reset()
                endpoint.behave(behaviours.get(name, Behaviour()))

        self.portal.call(begin)

    def requests(self, name: str) -> int:
        """How many have come since."""
        return self.portal.call(lambda: self.simulator.endpoint(name).stats.requests)

    def peak(self, name: str) -> int:
        """How many were under way at once, at most."""
        return self.portal.call(lambda: self.simulator.endpoint(name).stats.peak_in_flight)

    def until(self, holds: Callable[[], bool]) -> None:
        """Wait until it is so; what does not come about within five seconds fails."""
        end = monotonic() + 5
        while not holds():
            assert monotonic() < end
            sleep(0.01)

    def in_flight(self, name: str) -> int:
        """How many are under way."""
        return self.portal.call(lambda: self.simulator.endpoint(name).stats.in_flight)


@contextmanager
def outside() -> Iterator[Outside]:
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(Simulator()) as simulator:
        yield Outside(portal, simulator)


def point_vendors(monkeypatch: pytest.MonkeyPatch, there: Outside) -> None:
    """Plain OpenAI names are asked at `two`, plain Anthropic ones at `one`, as LiteLLM's variables say."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-not-a-key")
    monkeypatch.setenv("OPENAI_BASE_URL", f"{there.url('two')}/v1")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-not-a-key")
    monkeypatch.setenv("ANTHROPIC_API_BASE", there.url("one"))
    monkeypatch.setenv("COHERE_API_KEY", "not-a-key")


@frozen
class Recording(Fault):
    """A healthy endpoint that keeps what it was asked, and the instants."""

    requests: list[Request] = field(factory=list, eq=False)

    def plan(self, exchange: Exchange) -> Plan:
        self.requests.append(exchange.request)
        return exchange.healthy()


MESSAGES = [{"role": "user", "content": "Hello"}]


def settings_end_here(test: Callable[P, T]) -> Callable[P, T]:
    """Settings of the module are the program's; the next test has its own."""

    @functools.wraps(test)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return test(*args, **kwargs)
        finally:
            PROCESS.settings.clear()

    return wrapper


def refused(table: Table) -> list[str]:
    """Names that are refused, one of each family."""
    return [name.replace("*", "x") for name, row in table.items() if row.how == "refused"]


def at(endpoint: SimulatedEndpoint, model: str = "openai/ours", **more: Any) -> dict[str, Any]:
    """LiteLLM's words for a model at a simulated endpoint."""
    return {"model": model, "api_base": endpoint.url("openai"), "api_key": "k", **more}


def deployment(group: str, endpoint: SimulatedEndpoint, **more: Any) -> dict[str, Any]:
    """An entry of a `model_list` for one."""
    return {"model_name": group, "litellm_params": at(endpoint, f"openai/{group}", **more)}
