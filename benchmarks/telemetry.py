"""What telemetry adds to a call: the process's CPU with a sink, less that without one.

Chains that differ in their sinks alone make the same calls in turns within one run, against a simulator
in a process of its own.  CPU is all of the process's, threads that export included; spans are exported
in batches by OpenTelemetry's SDK to an exporter that throws them away, because what sending them costs
is the exporter's.  A figure is the lower quartile of a chain's rounds less that of the chain without a sink:
whatever else runs on the machine can only add to a round, by emptying its caches.  Beside them stands
what the events of one `complete()` cost a sink by itself, told to it again and again with warm caches.

    python benchmarks/telemetry.py                  # prints
    python benchmarks/telemetry.py --write          # and puts the table into benchmarks/README.md
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import os
import platform
import statistics
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

from attrs import frozen
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from overhead import Call, Server, ours
from page import write
from prometheus_client import CollectorRegistry

import fallbackio
from fallbackio.events import ChainSink, Event, EventSink
from fallbackio.observe.otel import OpenTelemetrySink
from fallbackio.observe.prometheus import PrometheusSink
from fallbackio.testing import RecordingSink


class Nowhere(SpanExporter):
    """Throws spans away."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        return SpanExportResult.SUCCESS


def ignore(event: Event) -> None:
    """A sink of the user's that does nothing; it has a thread of its own."""


def spans_only() -> OpenTelemetrySink:
    tracers = TracerProvider(shutdown_on_exit=False)
    tracers.add_span_processor(BatchSpanProcessor(Nowhere()))
    return OpenTelemetrySink(tracers, NoOpMeterProvider())


def spans_and_metrics() -> OpenTelemetrySink:
    tracers = TracerProvider(shutdown_on_exit=False)
    tracers.add_span_processor(BatchSpanProcessor(Nowhere()))
    return OpenTelemetrySink(tracers, MeterProvider([InMemoryMetricReader()], shutdown_on_exit=False))


def settings() -> dict[str, dict[str, Any]]:
    """The chains' settings by what they are called; all are compared with the first."""
    sinks: dict[str, EventSink | ChainSink] = {
        "Prometheus": PrometheusSink(CollectorRegistry()),
        "OpenTelemetry, spans": spans_only(),
        "OpenTelemetry, spans and metrics": spans_and_metrics(),
        "a function of the user's": ignore,
    }
    return {
        "off": {},
        "off, and no early warning either": {"early_warning": None},
        **{name: {"sinks": [sink]} for name, sink in sinks.items()},
    }


@frozen
class Row:
    """What one chain costs more than the first, seconds of CPU per call."""

    name: str
    complete_s: float
    stream_s: float
    failover_s: float

    def line(self) -> str:
        figures = [
            f"{seconds * 1e6:+.0f} µs" for seconds in (self.complete_s, self.stream_s, self.failover_s)
        ]
        return f"| {self.name} | {' | '.join(figures)} |"


async def measure(call: Call, calls: int) -> tuple[float, float]:
    """Seconds of CPU and of wall per call."""
    gc.collect()
    cpu, wall = time.process_time(), time.perf_counter()
    for _ in range(calls):
        await call()
    return (time.process_time() - cpu) / calls, (time.perf_counter() - wall) / calls


async def differences(calls_of: dict[str, Call], rounds: int, calls: int) -> tuple[float, dict[str, float]]:
    """CPU per call of the first, and by how much each of the others is over it."""
    texts = {await call() for call in calls_of.values()}
    assert len(texts) == 1, "the chains do not do the same"
    for call in calls_of.values():
        await measure(call, calls)
    seconds: dict[str, list[float]] = {name: [] for name in calls_of}
    for at in range(rounds):
        # In another order each round, so that none always follows the same one.
        names = list(calls_of)
        turned = at % len(names)
        for name in names[turned:] + names[:turned]:
            seconds[name].append((await measure(calls_of[name], calls))[0])
    lower = {name: statistics.quantiles(found, n=4)[0] for name, found in seconds.items()}
    first, *others = calls_of
    return lower[first], {name: lower[name] - lower[first] for name in others}


async def alone(base_url: str, told: int = 1000) -> dict[str, float]:
    """Seconds of CPU that a sink takes for the events of one call, the least of a few runs."""
    recorded = RecordingSink()
    spec = fallbackio.Endpoint("m", base_url=base_url, api_key="key")
    async with fallbackio.Chain([spec], sinks=[recorded]) as chain:
        await chain.complete("Say hello.")
    seconds = {}
    for name, given in settings().items():
        for sink in given.get("sinks", []):
            if hasattr(sink, "for_chain"):
                tell, runs = sink.for_chain("chain"), []
                for _ in range(7):
                    began = time.process_time()
                    for _ in range(told):
                        for event in recorded.events:
                            tell(event)
                    runs.append((time.process_time() - began) / told)
                seconds[name] = min(runs)
    return seconds


async def telemetry(rounds: int, calls: int) -> tuple[Row, list[Row], dict[str, float]]:
    """What a call costs without telemetry, and what each kind of it adds."""
    async with Server() as base_url, AsyncExitStack() as stack:
        up = fallbackio.Endpoint("m", name="up", base_url=base_url, api_key="key")
        # Nobody listens there: refused at once, so that the cost of a failover is not a wait.
        down = fallbackio.Endpoint("m", name="down", base_url="http://127.0.0.1:9/v1", api_key="key")
        never = fallbackio.BreakerPolicy(consecutive=10**9, rates=())
        figures = []
        for steps, stream in [([up], False), ([up], True), ([down, up], False)]:
            chains = {
                name: await stack.enter_async_context(fallbackio.Chain(steps, breaker=never, **given))
                for name, given in settings().items()
            }
            calls_of = {name: ours(chain, stream=stream) for name, chain in chains.items()}
            figures.append(await differences(calls_of, rounds, calls))
        seconds = await alone(base_url)
    (complete, more), (stream_s, more_stream), (failover, more_failover) = figures
    rows = [Row(name, more[name], more_stream[name], more_failover[name]) for name in more]
    return Row("off", complete, stream_s, failover), rows, seconds


def report(off: Row, rows: list[Row], seconds: dict[str, float], rounds: int, calls: int) -> str:
    by_itself = "; ".join([f"{name} {each_s * 1e6:.0f} µs" for name, each_s in seconds.items()])
    return "\n".join(
        [
            f"Measured {datetime.now(UTC):%Y-%m-%d} with {platform.python_implementation()} "
            f"{platform.python_version()}, prometheus-client {version('prometheus-client')}, "
            f"opentelemetry-sdk {version('opentelemetry-sdk')}, {os.cpu_count()} cores; lower quartiles "
            f"of {rounds} interleaved rounds of {calls} calls, at a load of {os.getloadavg()[0]:.0f}.",
            "",
            "| | `complete()` | `stream()` | `complete()` that fails over |",
            "|---|---|---|---|",
            off.line().replace("+", ""),
            *[row.line() for row in rows],
            "",
            f"The events of one `complete()` told to a sink by itself, warm: {by_itself}.",
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--calls", type=int, default=50)
    parser.add_argument("--write", action="store_true", help="put the result into benchmarks/README.md")
    options: Any = parser.parse_args()
    logging.disable(logging.ERROR)
    text = report(
        *asyncio.run(telemetry(options.rounds, options.calls)), rounds=options.rounds, calls=options.calls
    )
    print(text)
    if options.write:
        write("telemetry", text)


if __name__ == "__main__":
    main()
