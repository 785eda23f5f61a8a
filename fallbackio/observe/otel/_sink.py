"""The door to OpenTelemetry's API: what is behind it is imported when a sink is made."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from fallbackio.errors import ConfigError
from fallbackio.events import Event, EventSink

if TYPE_CHECKING:
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import TracerProvider

__all__ = ["OpenTelemetrySink"]

_SCHEMA = "https://opentelemetry.io/schemas/1.41.0"


class OpenTelemetrySink:
    """Makes spans and metrics by the GenAI semantic conventions; one serves many chains.

    A span for each call, below the span that is current where it is made, and one for each attempt below
    that.

    Args:
        tracer_provider, meter_provider: By default the global ones, which do nothing before the
            application has set up the SDK.
        capture_content: Whether prompts and answers are put into the spans of calls.  They hold whatever
            users write; keep it off unless those who read traces may read that.

    Raises:
        ConfigError: `opentelemetry-api` is not installed.

    Example:
        >>> telemetry = OpenTelemetrySink()
        >>> chain = fallbackio.Chain(["openai/gpt-6-luna", "groq/openai/gpt-oss-120b"], sinks=[telemetry])
    """

    def __init__(
        self,
        tracer_provider: TracerProvider | None = None,
        meter_provider: MeterProvider | None = None,
        *,
        capture_content: bool = False,
    ) -> None:
        if not isinstance(capture_content, bool):
            raise ConfigError(f"capture_content must be true or false, not {capture_content!r}")
        try:
            from opentelemetry.metrics import get_meter
            from opentelemetry.trace import get_tracer

            from fallbackio.observe.otel._metrics import Instruments, Metrics
            from fallbackio.observe.otel._spans import Spans
        except ModuleNotFoundError as error:
            raise ConfigError(
                "OpenTelemetrySink needs opentelemetry-api: pip install 'fallbackio[otel]'"
            ) from error
        tracer = get_tracer("fallbackio", tracer_provider=tracer_provider, schema_url=_SCHEMA)
        instruments = Instruments(get_meter("fallbackio", meter_provider=meter_provider, schema_url=_SCHEMA))
        self._content = capture_content

        def listeners(chain: str) -> tuple[Callable[[Event], None], ...]:
            return Metrics(instruments, chain), Spans(tracer, chain)

        self._listeners = listeners

    def for_chain(self, chain: str, /) -> EventSink:
        """The sink of one chain."""
        return _ChainTelemetry(self._listeners(chain), self._content)


class _ChainTelemetry:
    """Tells one chain's spans and metrics of its events; in the caller's task, whose span is the parent."""

    inline = True

    def __init__(self, listeners: tuple[Callable[[Event], None], ...], wants_content: bool) -> None:
        self._listeners = listeners
        self.wants_content = wants_content

    def __call__(self, event: Event, /) -> None:
        for listener in self._listeners:
            listener(event)
