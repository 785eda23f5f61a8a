"""OpenTelemetry: spans and metrics by the GenAI semantic conventions (extra `otel`).

Only the API is needed, which the application's SDK provides; it is imported when an `OpenTelemetrySink` is
made, not before.
"""

from fallbackio.observe.otel._sink import OpenTelemetrySink

__all__ = ["OpenTelemetrySink"]
