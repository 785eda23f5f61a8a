"""The tables of docs/observing.md are the code's."""

from __future__ import annotations

import re

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from pages_kit import rows, section
from prometheus_client import CollectorRegistry

from fallbackio.observe.otel._metrics import Instruments
from fallbackio.observe.prometheus import PrometheusSink

PAGE = "docs/observing.md"


def test_every_prometheus_metric_has_its_row() -> None:
    """Names and labels are those that are registered."""
    registry = CollectorRegistry()
    PrometheusSink(registry)
    registered = {}
    for collector in registry._collector_to_names:
        name, labels = collector._name, collector._labelnames  # type: ignore[attr-defined]
        registered[name + "_total" * (collector._type == "counter")] = set(labels)  # type: ignore[attr-defined]

    shown = {
        name.strip("`"): set(re.findall(r"\w+", labels))
        for name, labels, _ in rows(section(PAGE, "Prometheus"))
    }

    assert shown == registered


def test_every_instrument_has_its_row() -> None:
    """The names of OpenTelemetry's metrics are those of the page."""
    meter = MeterProvider([InMemoryMetricReader()], shutdown_on_exit=False).get_meter("test")
    made = {instrument.name for instrument in vars(Instruments(meter)).values()}

    shown = {name.strip("`") for name, *_ in rows(section(PAGE, "OpenTelemetry"))}

    assert shown == made
