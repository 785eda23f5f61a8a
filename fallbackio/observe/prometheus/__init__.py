"""Prometheus: counters, histograms and gauges over `prometheus_client` (extra `prometheus`).

That is imported when a `PrometheusSink` is made, not before.
"""

from fallbackio.observe.prometheus._sink import PrometheusSink

__all__ = ["PrometheusSink"]
