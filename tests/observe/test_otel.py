"""What OpenTelemetry's own in-memory readers get: spans by the conventions, metrics, and no content."""

from __future__ import annotations

import builtins
import logging
from collections.abc import Callable
from typing import Any

import anyio
import orjson
import pytest
from attrs import define, field
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import HistogramDataPoint, InMemoryMetricReader, NumberDataPoint
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import SpanKind, StatusCode

import fallbackio
from fallbackio.dialects import VENDORS
from fallbackio.errors import AuthFailed, ConfigError, InvalidRequest, Overloaded
from fallbackio.model import Delta, Usage
from fallbackio.observe.otel import OpenTelemetrySink
from fallbackio.observe.otel._names import _PROVIDERS
from fallbackio.simulator import Behaviour, Simulator, Status
from fallbackio.testing import ScriptedEndpoint, answers, breaks, fails, run, stalls, virtual_time

CANARY = "canary-0d17"


@define
class Otel:
    """An SDK that keeps what it is given."""

    spans: InMemorySpanExporter = field(factory=InMemorySpanExporter)
    reader: InMemoryMetricReader = field(factory=InMemoryMetricReader)
    tracers: TracerProvider = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.tracers = TracerProvider(shutdown_on_exit=False)
        self.tracers.add_span_processor(SimpleSpanProcessor(self.spans))

    def sink(self, **settings: Any) -> OpenTelemetrySink:
        meters = MeterProvider([self.reader], shutdown_on_exit=False)
        return OpenTelemetrySink(self.tracers, meters, **settings)

    def call(self) -> ReadableSpan:
        """The one call's span."""
        [call] = [span for span in self.spans.get_finished_spans() if span.kind is SpanKind.INTERNAL]
        return call

    def attempts(self) -> list[ReadableSpan]:
        """The spans of attempts, as they began."""
        spans = [span for span in self.spans.get_finished_spans() if span.kind is SpanKind.CLIENT]
        return sorted(spans, key=lambda span: facts(span)["fallbackio.attempt.number"])

    def points(self, name: str) -> list[tuple[dict[str, Any], float]]:
        """Attributes and count (of histograms) or value of each point of a metric."""
        data = self.reader.get_metrics_data()
        found = []
        for resource in data.resource_metrics if data is not None else ():
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    if metric.name == name:
                        for point in metric.data.data_points:
                            found.append((dict(point.attributes or {}), measured(point)))
        return found


def measured(point: object) -> float:
    if isinstance(point, HistogramDataPoint):
        return point.count
    assert isinstance(point, NumberDataPoint)
    return point.value


def facts(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


def below(child: ReadableSpan, parent: ReadableSpan) -> bool:
    assert parent.context is not None
    return child.parent is not None and child.parent.span_id == parent.context.span_id


def chain_of(*scripted: ScriptedEndpoint, otel: Otel, **settings: Any) -> fallbackio.Chain:
    sinks = [otel.sink(capture_content=settings.pop("capture_content", False))]
    settings = {"name": "chat", "seed": 1, "max_retries": 0, **settings}
    return fallbackio.Chain([one.endpoint for one in scripted], sinks=sinks, **settings)


def test_an_outage_over_http_is_a_call_and_two_attempts(caplog: pytest.LogCaptureFixture) -> None:
    """Real sockets: the model wished for, the one that answered, tokens where they were spent."""
    otel = Otel()
    caplog.set_level(logging.DEBUG, logger="fallbackio")

    async def main() -> None:
        async with Simulator() as simulator:
            simulator.add("down", Behaviour(fault=Status(529)))
            simulator.add("up", Behaviour(tokens=7))
            steps = [
                fallbackio.Endpoint(
                    f"model-{name}",
                    name=name,
                    vendor=vendor,
                    base_url=simulator.endpoint(name).url("openai"),
                    dialect="openai",
                    api_key=CANARY,
                    price=(1, 2),
                )
                for name, vendor in [("down", "mistral"), ("up", "openai")]
            ]
            async with fallbackio.Chain(steps, name="chat", sinks=[otel.sink()], max_retries=0) as chain:
                await chain.complete(CANARY, session="ada", temperature=0.5, max_tokens=99, stop=[CANARY])

    run(main)
    call, [failed, won] = otel.call(), otel.attempts()
    assert [span.name for span in (call, failed, won)] == [
        "chat model-down",
        "chat model-down",
        "chat model-up",
    ]
    assert below(failed, call)
    assert below(won, call)
    assert call.parent is None

    wished = facts(call)
    assert wished.pop("gen_ai.response.id")
    assert wished == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "model-down",
        "gen_ai.request.temperature": 0.5,
        "gen_ai.request.max_tokens": 99,
        "gen_ai.conversation.id": "ada",
        "gen_ai.response.model": "model-up",
        "gen_ai.response.finish_reasons": ("stop",),
        "fallbackio.chain": "chat",
        "fallbackio.first_choice": "down",
        "fallbackio.endpoint": "up",
        "fallbackio.outcome": "answered",
        "fallbackio.fell_back": True,
        "fallbackio.attempts": 2,
        "fallbackio.cost_usd": facts(won)["fallbackio.cost_usd"],
        "fallbackio.usage.input_tokens": facts(won)["gen_ai.usage.input_tokens"],
        "fallbackio.usage.output_tokens": 7,
    }
    assert call.status.status_code is StatusCode.UNSET
    assert [event.name for event in call.events] == ["fallbackio.failover"]

    first = facts(failed)
    assert first["gen_ai.provider.name"] == "mistral_ai"
    assert first["gen_ai.request.model"] == "model-down"
    assert first["error.type"] == "Overloaded"
    assert first["http.response.status_code"] == 529
    assert first["server.address"] == "127.0.0.1"
    assert first["server.port"] > 0
    assert first["fallbackio.attempt.outcome"] == "failed"
    assert first["fallbackio.cost_usd"] == 0
    assert "gen_ai.usage.output_tokens" not in first
    assert (failed.status.status_code, failed.status.description) == (StatusCode.ERROR, "overloaded")

    second = facts(won)
    assert second["gen_ai.provider.name"] == "openai"
    assert second["gen_ai.request.model"] == second["gen_ai.response.model"] == "model-up"
    assert second["gen_ai.usage.output_tokens"] == 7
    assert second["fallbackio.attempt.number"] == 2
    assert "fallbackio.attempt.forced" not in second
    assert second["fallbackio.breaker.state"] == "closed"
    assert second["fallbackio.failover.origin"] == "down"
    assert second["fallbackio.failover.reason"] == "Overloaded"

    assert CANARY not in repr([span.to_json() for span in otel.spans.get_finished_spans()])
    assert "failing over from down to up" in caplog.text
    assert CANARY not in repr([vars(record) for record in caplog.records])


@virtual_time
async def test_metrics_stand_with_who_took_the_time_and_the_tokens() -> None:
    """The conventions' histograms for attempts, counters of ours for what went on between them."""
    otel = Otel()
    a = ScriptedEndpoint(fails(Overloaded(status=529)), name="a")
    b = ScriptedEndpoint(answers("fine"), name="b")
    async with chain_of(a, b, otel=otel) as chain:
        for _ in range(6):
            await chain.complete("hi")
        async with chain.stream("hi") as stream:
            async for _ in stream:
                pass

    durations = {
        (at["gen_ai.provider.name"], at.get("error.type")): n
        for at, n in otel.points("gen_ai.client.operation.duration")
    }
    assert durations == {("a", "Overloaded"): 5, ("b", None): 7}
    tokens = {at["gen_ai.token.type"]: n for at, n in otel.points("gen_ai.client.token.usage")}
    assert tokens == {"input": 7, "output": 7}
    [(at, count)] = otel.points("gen_ai.client.operation.time_to_first_chunk")
    assert (at["gen_ai.request.model"], count) == ("b", 1)
    [(at, count)] = otel.points("fallbackio.call.duration")
    assert (at["fallbackio.outcome"], at["fallbackio.fell_back"], count) == ("answered", True, 7)
    failovers = {at["error.type"]: n for at, n in otel.points("fallbackio.failovers")}
    assert failovers == {"Overloaded": 5, "Refused": 2}
    left = {
        (at["fallbackio.endpoint"], at["fallbackio.attempt.outcome"]): n
        for at, n in otel.points("fallbackio.attempts.left")
    }
    assert left == {("a", "skipped"): 2}


@virtual_time
async def test_the_state_of_a_breaker_is_shown_while_its_chain_is_open() -> None:
    """Closed, half open or open; a chain that is closed leaves no circuit open behind."""
    otel = Otel()
    a = ScriptedEndpoint(fails(Overloaded(status=529)), name="a")
    b = ScriptedEndpoint(answers("fine"), name="b")
    async with chain_of(a, b, otel=otel) as chain:
        for _ in range(6):
            await chain.complete("hi")
        states = {at["fallbackio.endpoint"]: n for at, n in otel.points("fallbackio.breaker.state")}
        assert states == {"a": 2, "b": 0}

    left = {at["fallbackio.endpoint"]: n for at, n in otel.points("fallbackio.breaker.state")}
    assert left["a"] == 0


@virtual_time
async def test_the_parent_is_the_span_that_is_current_where_the_call_is_made() -> None:
    """Two requests at once in a web application: each call below its own request, streams too."""
    otel = Otel()
    tracer = otel.tracers.get_tracer("app")
    chain = chain_of(ScriptedEndpoint(answers("fine", after_s=1), name="a"), otel=otel)

    async def request(name: str, ask: Callable[[], Any]) -> None:
        with tracer.start_as_current_span(name, kind=SpanKind.SERVER):
            await ask()

    async def told() -> None:
        async with chain.stream("hi") as stream:
            async for _ in stream:
                await anyio.sleep(1)

    async with chain, anyio.create_task_group() as group:
        group.start_soon(request, "/ask", lambda: chain.complete("hi"))
        group.start_soon(request, "/tell", told)

    spans = otel.spans.get_finished_spans()
    servers = {span.name: span for span in spans if span.kind is SpanKind.SERVER}
    calls = [span for span in spans if span.kind is SpanKind.INTERNAL]
    assert {name: sum(below(call, server) for call in calls) for name, server in servers.items()} == {
        "/ask": 1,
        "/tell": 1,
    }
    for attempt in otel.attempts():
        assert [below(attempt, call) for call in calls].count(True) == 1


@virtual_time
async def test_a_streams_span_ends_with_the_stream() -> None:
    """It is open while the answer is read, and knows the time to the first content."""
    otel = Otel()
    async with chain_of(ScriptedEndpoint(answers("one two", after_s=0.5), name="a"), otel=otel) as chain:
        async with chain.stream("hi") as stream:
            assert otel.spans.get_finished_spans() == ()
            async for _ in stream:
                assert otel.spans.get_finished_spans() == ()

    for span in (otel.call(), *otel.attempts()):
        assert facts(span)["gen_ai.response.time_to_first_chunk"] == pytest.approx(0.5)
        assert facts(span)["gen_ai.request.stream"] is True


@virtual_time
async def test_a_stream_that_is_mended_is_one_call() -> None:
    """A break after the first content is a failed attempt, another one, and an event between them."""
    otel = Otel()
    a = ScriptedEndpoint(breaks(after_words=1, text="one two three"), name="a")
    b = ScriptedEndpoint(answers("two three"), name="b")
    async with chain_of(a, b, otel=otel) as chain:
        async with chain.stream("hi") as stream:
            async for _ in stream:
                pass

    outcomes = [facts(span)["fallbackio.attempt.outcome"] for span in otel.attempts()]
    assert outcomes == ["failed", "won"]
    assert [event.name for event in otel.call().events] == [
        "fallbackio.failover",
        "fallbackio.stream_resumed",
    ]


@virtual_time
async def test_a_race_shows_who_was_cut() -> None:
    """Attempts that run at once have spans beside each other; a loser is no error."""
    otel = Otel()
    slow = ScriptedEndpoint(answers("slow", after_s=5), name="slow")
    quick = ScriptedEndpoint(answers("quick", after_s=1), name="quick")
    async with chain_of(slow, quick, otel=otel, strategy="race") as chain:
        await chain.complete("hi")

    loser, winner = otel.attempts()
    assert facts(loser)["fallbackio.attempt.outcome"] == "cut"
    assert loser.status.status_code is StatusCode.UNSET
    assert facts(winner)["fallbackio.attempt.outcome"] == "won"
    assert below(winner, otel.call())
    assert [at["gen_ai.provider.name"] for at, _ in otel.points("gen_ai.client.operation.duration")] == [
        "quick"
    ]


@virtual_time
async def test_a_call_that_fails_says_how_and_not_in_whose_words() -> None:
    """Kinds of failures are there, texts of providers are not: they may quote a prompt."""
    otel = Otel()
    a = ScriptedEndpoint(fails(Overloaded(CANARY, status=529, code="busy", request_id="r-1")), name="a")
    async with chain_of(a, otel=otel) as chain:
        with pytest.raises(fallbackio.ChainExhausted):
            await chain.complete("hi")

    call, [attempt] = otel.call(), otel.attempts()
    assert facts(call)["error.type"] == "ChainExhausted"
    assert facts(call)["fallbackio.outcome"] == "failed"
    assert call.status.status_code is StatusCode.ERROR
    assert facts(attempt)["fallbackio.error.code"] == "busy"
    assert facts(attempt)["fallbackio.error.request_id"] == "r-1"
    assert CANARY not in repr([span.to_json() for span in otel.spans.get_finished_spans()])


@virtual_time
async def test_a_cancelled_call_is_no_error() -> None:
    """The caller left: spans end, nobody is blamed."""
    otel = Otel()
    async with chain_of(ScriptedEndpoint(stalls(), name="a"), otel=otel) as chain:
        with anyio.move_on_after(1):
            await chain.complete("hi")

    assert facts(otel.call())["fallbackio.outcome"] == "cancelled"
    assert otel.call().status.status_code is StatusCode.UNSET
    assert [facts(span)["fallbackio.attempt.outcome"] for span in otel.attempts()] == ["cut"]


@virtual_time
async def test_what_was_skipped_is_an_event_of_the_call() -> None:
    """Nothing was sent, so there is no span; the call says who was passed over and why."""
    otel = Otel()
    a = ScriptedEndpoint(fails(AuthFailed(status=401)), name="a")
    b = ScriptedEndpoint(answers("fine"), name="b")
    async with chain_of(a, b, otel=otel) as chain:
        await chain.complete("hi")
        otel.spans.clear()
        await chain.complete("hi")

    [won] = otel.attempts()
    assert facts(won)["fallbackio.attempt.number"] == 2
    skipped, failover = otel.call().events
    assert dict(skipped.attributes or {}) == {
        "fallbackio.endpoint": "a",
        "fallbackio.attempt.number": 1,
        "fallbackio.reason": "its circuit is open",
    }
    assert (failover.attributes or {})["fallbackio.failover.reason"] == "Refused"


CONVERSATION: list[dict[str, Any]] = [
    {"role": "system", "content": CANARY},
    {
        "role": "user",
        "content": [
            {"type": "text", "text": "what is it"},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
            {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
        ],
    },
    {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {"id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"at": 1}'}}
        ],
    },
    {"role": "tool", "tool_call_id": "c1", "content": "a cat"},
]


@virtual_time
async def test_content_is_captured_on_request_only() -> None:
    """Prompts and answers in the conventions' shape, in the call's span, for who asks; inline data never."""
    otel = Otel()
    endpoint = ScriptedEndpoint(answers(f"{CANARY} it is"), name="a")
    async with chain_of(endpoint, otel=otel, capture_content=True) as chain:
        await chain.complete(CONVERSATION)

    said = facts(otel.call())
    assert orjson.loads(said["gen_ai.input.messages"]) == [
        {"role": "system", "parts": [{"type": "text", "content": CANARY}]},
        {
            "role": "user",
            "parts": [
                {"type": "text", "content": "what is it"},
                {"type": "image_url"},
                {"type": "uri", "modality": "image", "uri": "https://example.com/a.png"},
            ],
        },
        {
            "role": "assistant",
            "parts": [{"type": "tool_call", "id": "c1", "name": "look", "arguments": '{"at": 1}'}],
        },
        {"role": "tool", "parts": [{"type": "tool_call_response", "id": "c1", "response": "a cat"}]},
    ]
    assert orjson.loads(said["gen_ai.output.messages"]) == [
        {
            "role": "assistant",
            "parts": [{"type": "text", "content": f"{CANARY} it is"}],
            "finish_reason": "stop",
        }
    ]
    for attempt in otel.attempts():
        assert CANARY not in attempt.to_json()


INLINE = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{CANARY}"}}


@pytest.mark.parametrize(
    ("message", "parts"),
    [
        (
            {"role": "user", "content": [{"type": "image_url", "image_url": "https://example.com/a.png"}]},
            [{"type": "uri", "modality": "image", "uri": "https://example.com/a.png"}],
        ),
        ({"role": "user", "content": [{"type": "image_url", "image_url": None}]}, [{"type": "image_url"}]),
        (
            {"role": "tool", "tool_call_id": "c1", "content": [{"type": "text", "text": "seen"}, INLINE]},
            [
                {
                    "type": "tool_call_response",
                    "id": "c1",
                    "response": [{"type": "text", "content": "seen"}, {"type": "image_url"}],
                }
            ],
        ),
        (
            {"role": "assistant", "content": None, "tool_calls": [{"id": "c1", "function": "look"}]},
            [{"type": "tool_call", "id": "c1", "name": "", "arguments": None}],
        ),
        ({"role": "user", "content": "half a \ud83d sign"}, None),
        ({"role": "tool", "tool_call_id": "c1", "content": {"much": 2**70}}, None),
    ],
    ids=["bare address", "no address", "inline in a tool's answer", "bare function", "surrogate", "number"],
)
@virtual_time
async def test_what_is_odd_in_a_prompt_costs_no_span(message: dict[str, Any], parts: Any) -> None:
    """Its form is the provider's to judge; inline data stays out, and what is no JSON is left out."""
    otel, endpoint = Otel(), ScriptedEndpoint(answers("fine"), name="a")
    async with chain_of(endpoint, otel=otel, capture_content=True) as chain:
        await chain.complete([message])

    said = facts(otel.call()).get("gen_ai.input.messages")
    assert (parts and [{"role": message["role"], "parts": parts}]) == (said and orjson.loads(said))
    assert len(otel.attempts()) == 1


@virtual_time
async def test_what_is_not_sampled_is_not_made() -> None:
    """Where the sampler says no there are no spans of attempts, and nothing is kept."""
    otel = Otel()
    otel.tracers = TracerProvider(sampler=ALWAYS_OFF, shutdown_on_exit=False)
    otel.tracers.add_span_processor(SimpleSpanProcessor(otel.spans))
    async with chain_of(ScriptedEndpoint(answers("fine"), name="a"), otel=otel) as chain:
        await chain.complete("hi")

    assert otel.spans.get_finished_spans() == ()
    assert [count for _, count in otel.points("fallbackio.call.duration")] == [1]


@virtual_time
async def test_calls_leave_nothing_behind() -> None:
    """However calls end, what was kept of them is let go."""
    otel = Otel()
    scripts = [answers("fine"), fails(InvalidRequest("no")), stalls()]
    a = ScriptedEndpoint(*scripts, name="a")
    async with chain_of(a, otel=otel) as chain:
        [(sink, _)] = chain._tell._now[1:]
        for _ in scripts:
            with anyio.move_on_after(1):
                try:
                    await chain.complete("hi")
                except InvalidRequest:
                    pass
        metrics, spans = sink._listeners  # type: ignore[attr-defined]

    assert (spans._calls, metrics._embeds) == ({}, set())
    assert len(otel.spans.get_finished_spans()) == 6


@virtual_time
async def test_one_sink_serves_many_chains_whose_calls_have_the_same_numbers() -> None:
    """Calls of two chains at the same time are not taken for each other."""
    otel = Otel()
    sink = otel.sink()

    async def ask(name: str) -> None:
        endpoint = ScriptedEndpoint(answers("fine", after_s=1), name=name).endpoint
        async with fallbackio.Chain([endpoint], sinks=[sink]) as chain:
            await chain.complete("hi")

    async with anyio.create_task_group() as group:
        group.start_soon(ask, "a")
        group.start_soon(ask, "b")

    for attempt in otel.attempts():
        [call] = [
            span
            for span in otel.spans.get_finished_spans()
            if span.name == attempt.name and span.kind is SpanKind.INTERNAL
        ]
        assert below(attempt, call)


@virtual_time
async def test_embeddings_are_called_so() -> None:
    """A call for vectors has the conventions' name for it."""
    otel = Otel()
    async with Simulator() as simulator:
        spec = fallbackio.Endpoint(
            "text-embedding-3-small", base_url=simulator.endpoint("a").url("openai"), api_key="k"
        )
        async with fallbackio.Chain([spec], sinks=[otel.sink()]) as chain:
            await chain.embed([CANARY], dimensions=8)

    assert otel.call().name == "embeddings text-embedding-3-small"
    assert facts(otel.call())["gen_ai.embeddings.dimension.count"] == 8
    [(at, _)] = otel.points("gen_ai.client.operation.duration")
    assert at["gen_ai.operation.name"] == "embeddings"
    assert CANARY not in repr([span.to_json() for span in otel.spans.get_finished_spans()])


@virtual_time
async def test_usage_that_nobody_said_is_not_made_up() -> None:
    """Without the provider's count there are no tokens in the metric."""

    async def ask(request: fallbackio.Request) -> Any:
        yield Delta("fine", finish_reason="stop", usage=Usage())

    otel = Otel()
    spec = fallbackio.Endpoint.calling(ask, name="a")
    async with fallbackio.Chain([spec], sinks=[otel.sink()]) as chain:
        await chain.complete("hi")

    assert otel.points("gen_ai.client.token.usage") == []
    assert "gen_ai.usage.output_tokens" not in facts(otel.attempts()[0])


def test_providers_are_vendors_of_ours() -> None:
    """Each name that is translated for the conventions is one that a chain can have."""
    assert set(_PROVIDERS) <= set(VENDORS)


def test_without_the_extra_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the API is not installed the error names the extra."""
    found = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name.startswith("opentelemetry"):
            raise ModuleNotFoundError(name=name)
        return found(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ConfigError, match=r"pip install 'fallbackio\[otel\]'"):
        OpenTelemetrySink()


def test_without_an_sdk_it_does_nothing() -> None:
    """The global providers of an application that has set up nothing take everything and keep nothing."""

    async def main() -> None:
        endpoint = ScriptedEndpoint(answers("fine"), name="a").endpoint
        async with fallbackio.Chain([endpoint], sinks=[OpenTelemetrySink()]) as chain:
            assert (await chain.complete("hi")).text == "fine"

    run(main)
