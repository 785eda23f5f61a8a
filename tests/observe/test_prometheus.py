"""What a real scrape over HTTP sees."""

from __future__ import annotations

import builtins
from collections.abc import Iterator
from typing import Any
from urllib.request import urlopen

import anyio
import pytest
from attrs import define
from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.parser import text_string_to_metric_families

import fallbackio
from fallbackio.errors import AuthFailed, ConfigError, Overloaded
from fallbackio.model import Delta, Usage
from fallbackio.observe.prometheus import PrometheusSink
from fallbackio.simulator import Behaviour, Simulator, Status
from fallbackio.testing import ScriptedEndpoint, answers, fails, run, virtual_time

CANARY = "canary-51c0"


@define
class Scrape:
    """What `/metrics` said."""

    text: str

    @classmethod
    def of(cls, registry: CollectorRegistry) -> Scrape:
        """Asked over a socket, as a Prometheus server does; the server has a thread of its own."""
        server, thread = start_http_server(0, "127.0.0.1", registry)
        try:
            with urlopen(f"http://127.0.0.1:{server.server_port}/metrics", timeout=30) as response:
                return cls(response.read().decode())
        finally:
            server.shutdown()
            thread.join(10)
            server.server_close()

    def value(self, name: str, **labels: str) -> float:
        """The one sample of this name with at least these labels."""
        [found] = self.values(name, **labels)
        return found

    def values(self, name: str, **labels: str) -> list[float]:
        return [
            sample.value
            for family in text_string_to_metric_families(self.text)
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        ]

    def labels(self) -> Iterator[dict[str, str]]:
        for family in text_string_to_metric_families(self.text):
            for sample in family.samples:
                yield sample.labels


def test_an_outage_over_http_is_there_to_be_scraped() -> None:
    """Real calls over real sockets, one endpoint down: rates, durations, breakers, tokens."""
    registry = CollectorRegistry()

    async def main() -> None:
        async with Simulator() as simulator:
            simulator.add("down", Behaviour(fault=Status(529)))
            simulator.add("up", Behaviour(tokens=7))
            steps = [
                fallbackio.Endpoint(
                    "m",
                    name=name,
                    vendor=name,
                    base_url=simulator.endpoint(name).url("openai"),
                    api_key=CANARY,
                    price=(1e6, 1e6),
                )
                for name in ("down", "up")
            ]
            sink = PrometheusSink(registry)
            async with fallbackio.Chain(steps, name="chat", sinks=[sink], max_retries=0) as chain:
                for _ in range(6):
                    await chain.complete(CANARY)
                async with chain.stream(CANARY) as stream:
                    async for _ in stream:
                        pass
                scrape = Scrape.of(registry)
            after = Scrape.of(registry)

        assert scrape.value("fallbackio_calls_total", outcome="answered", fell_back="true") == 7
        assert scrape.value("fallbackio_call_duration_seconds_count", chain="chat") == 7
        assert scrape.value("fallbackio_call_first_content_seconds_count", chain="chat") == 1
        assert scrape.value("fallbackio_attempts_total", endpoint="down", kind="Overloaded") == 5
        assert scrape.value("fallbackio_attempts_total", endpoint="down", outcome="skipped") == 2
        assert scrape.value("fallbackio_attempts_total", endpoint="up", vendor="up", outcome="won") == 7
        assert scrape.value("fallbackio_attempt_duration_seconds_count", endpoint="down") == 5
        assert scrape.value("fallbackio_failovers_total", origin="down", kind="Overloaded") == 5
        assert scrape.value("fallbackio_failovers_total", origin="down", kind="Refused") == 2
        assert scrape.value("fallbackio_breaker_state", endpoint="down", state="open") == 1
        assert scrape.value("fallbackio_breaker_state", endpoint="down", state="closed") == 0
        assert scrape.value("fallbackio_breaker_state", endpoint="up", state="closed") == 1
        assert scrape.value("fallbackio_breaker_moves_total", endpoint="down", state="open") == 1
        output = scrape.value("fallbackio_tokens_total", endpoint="up", type="output")
        prompts = scrape.value("fallbackio_tokens_total", endpoint="up", type="input")
        assert output == 49
        assert scrape.value("fallbackio_cost_dollars_total", endpoint="up") == output + prompts
        assert scrape.value("fallbackio_calls_in_progress", chain="chat") == 0
        assert scrape.values("fallbackio_attempts_in_progress") == [0, 0]
        assert CANARY not in scrape.text
        assert after.value("fallbackio_breaker_state", endpoint="down", state="open") == 0

    run(main)


@virtual_time
async def test_gauges_follow_what_is_under_way() -> None:
    """Calls and requests in progress go up and down, also for those that are cancelled."""
    registry = CollectorRegistry()
    a = ScriptedEndpoint(answers("fine", after_s=10), name="a")
    async with fallbackio.Chain([a.endpoint], sinks=[PrometheusSink(registry)], name="chat") as chain:
        with anyio.move_on_after(20):
            async with anyio.create_task_group() as group:
                group.start_soon(chain.complete, "hi")
                group.start_soon(chain.complete, "hi")
                await anyio.sleep(1)
                assert registry.get_sample_value("fallbackio_calls_in_progress", {"chain": "chat"}) == 2
                group.cancel_scope.cancel()

    assert registry.get_sample_value("fallbackio_calls_in_progress", {"chain": "chat"}) == 0
    labels = {"chain": "chat", "outcome": "cancelled", "fell_back": "false"}
    assert registry.get_sample_value("fallbackio_calls_total", labels) == 2


class TooHot(Overloaded):
    """A user's own kind of failure."""


@virtual_time
async def test_labels_are_few() -> None:
    """Sessions, models' own names, request ids and users' own errors make no series of their own."""

    async def ask(request: fallbackio.Request) -> Any:
        yield Delta("fine", model=f"m-{id(request)}", finish_reason="stop", usage=Usage(prompt_tokens=1))

    a = ScriptedEndpoint(fails(TooHot(CANARY, code=CANARY, request_id=CANARY)), name="a")
    b = fallbackio.Endpoint.calling(ask, name="b")
    registry = CollectorRegistry()
    async with fallbackio.Chain([a.endpoint, b], sinks=[PrometheusSink(registry)], name="chat") as chain:
        for number in range(20):
            await chain.complete("hi", session=f"session-{number}", user=f"user-{number}")
        scrape = Scrape.of(registry)

    found: dict[str, set[str]] = {}
    for labels in scrape.labels():
        for name, value in labels.items():
            found.setdefault(name, set()).add(value)
    found.pop("le")
    assert found == {
        "chain": {"chat"},
        "endpoint": {"a", "b"},
        "fell_back": {"true"},
        "kind": {"", "Overloaded", "Refused"},
        "origin": {"a"},
        "outcome": {"answered", "failed", "skipped", "won"},
        "state": {"closed", "half_open", "open"},
        "target": {"b"},
        "type": {"cache_write_input", "cached_input", "input", "output", "reasoning"},
        "vendor": {"a", "b"},
    }
    assert scrape.value("fallbackio_fallback_rate_risen", chain="chat") == 1
    assert CANARY not in scrape.text
    assert Scrape.of(registry).value("fallbackio_fallback_rate_risen", chain="chat") == 0  # it is closed


@virtual_time
async def test_one_sink_serves_many_chains() -> None:
    """Chains that share a sink are told apart by their names."""
    registry = CollectorRegistry()
    sink = PrometheusSink(registry)
    for name, error in [("chat", None), ("cheap", AuthFailed(status=401))]:
        script = answers("fine") if error is None else fails(error)
        async with fallbackio.Chain(
            [ScriptedEndpoint(script, name="a").endpoint], sinks=[sink], name=name
        ) as chain:
            try:
                await chain.complete("hi")
            except fallbackio.ChainExhausted:
                pass
    scrape = Scrape.of(registry)

    assert scrape.value("fallbackio_calls_total", chain="chat", outcome="answered") == 1
    assert scrape.value("fallbackio_calls_total", chain="cheap", outcome="failed") == 1


def test_a_second_sink_for_a_registry_is_refused() -> None:
    """The slip of making one for each chain is answered with what to do."""
    registry = CollectorRegistry()
    PrometheusSink(registry)

    with pytest.raises(ConfigError, match="make one PrometheusSink"):
        PrometheusSink(registry)


def test_without_the_extra_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the client is not installed the error names the extra."""
    found = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name.startswith("prometheus_client"):
            raise ModuleNotFoundError(name=name)
        return found(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ConfigError, match=r"pip install 'fallbackio\[prometheus\]'"):
        PrometheusSink()
