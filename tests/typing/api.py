"""A user's program, never run: `mypy --strict` and pyright read it as they would read the user's own.

It says what types the public names have.  A change that turns one of them into `Any`, or takes a
type away that a user may rely on, fails here.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, assert_type

import fallbackio
from fallbackio import Chain, Endpoint, errors, events
from fallbackio.breaker import Breaker, BreakerPhase, CircuitOpen, Permit, Rate, Severity
from fallbackio.config import Reloaded
from fallbackio.config.checks import Finding, check_file
from fallbackio.config.files import ChainFile, read_toml
from fallbackio.simulator import (
    Behaviour,
    Capacity,
    Fault,
    Flapping,
    InTurn,
    Lognormal,
    SimulatedEndpoint,
    Simulator,
    Sometimes,
    Stall,
    Stats,
    Status,
    behaviour_from_json,
    serve,
)
from fallbackio.testing import (
    RecordingSink,
    ScriptedEndpoint,
    VirtualTimeLoop,
    answers,
    breaks,
    fails,
    run,
    stalls,
    virtual_time,
)

TOOLS: list[dict[str, Any]] = [
    {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
]

# Endpoints.


async def returns_text(request: fallbackio.Request) -> str:
    return str(request.messages[0]["content"])


async def returns_message(request: fallbackio.Request) -> fallbackio.Message:
    return fallbackio.Message(f"{len(request.params)} parameters")


async def returns_reply(request: fallbackio.Request) -> fallbackio.Reply:
    return fallbackio.Reply(model=request.model)


async def yields_text(request: fallbackio.Request) -> AsyncIterator[str]:
    yield "Hello"


async def yields_deltas(request: fallbackio.Request) -> AsyncIterator[fallbackio.Delta]:
    yield fallbackio.Delta("Hello")
    yield fallbackio.Delta(finish_reason="stop", usage=fallbackio.Usage(completion_tokens=1))


OURS = [
    Endpoint.calling(returns_text, name="text"),
    Endpoint.calling(returns_message, name="message", model="m", vendor="us", context_window=8_000),
    Endpoint.calling(returns_reply, name="reply"),
    Endpoint.calling(yields_text, name="texts"),
    Endpoint.calling(yields_deltas, name="deltas"),
]
assert_type(OURS, list[Endpoint])

LOCAL = Endpoint(
    "llama-3",
    name="local",
    api_key=None,
    base_url="http://localhost:8000/v1",
    dialect="openai",
    vendor="vllm",
    params={"temperature": 0, "seed": None},
    headers={"x-team": "search"},
    unsupported="drop",
    context_window=128_000,
)
assert_type(LOCAL.model, str)
assert_type(LOCAL.base_url, str | None)
assert_type(LOCAL.params, Mapping[str, Any])

# Chains.

POLICY = fallbackio.BreakerPolicy(
    consecutive=3,
    window_s=30,
    rates=[Rate(0.5, 10), (0.2, 50)],
    open_s=5,
    max_open_s=120,
    jitter_ratio=0.1,
    max_retry_after_s=300,
    probe_timeout_s=120,
    slow_after_s=10,
    slow_medians=None,
)
assert_type(POLICY.rates, tuple[Rate, ...])


def refused(error: fallbackio.AttemptError) -> bool | None:
    return True if error.code == "content_filter" else None


def show(event: events.Event) -> None:
    match event:
        case events.CallStarted():
            assert_type(event.stream, bool)
        case events.AttemptStarted():
            assert_type(event.forced, bool)
        case events.AttemptEnded():
            assert_type(event.attempt, fallbackio.Attempt)
        case events.FailedOver():
            assert_type(event.error, fallbackio.AttemptError)
        case events.BreakerMoved():
            assert_type(event.open_s, float)
        case events.CallEnded():
            assert_type(event.report, fallbackio.Report)
            assert_type(event.error, Exception | None)


class Counter:
    """A sink with a state."""

    def __init__(self) -> None:
        self.failovers = 0

    def __call__(self, event: events.Event, /) -> None:
        self.failovers += isinstance(event, events.FailedOver)


SINKS: list[events.EventSink] = [show, Counter(), RecordingSink(), print]

SHORT = Chain(["openai/gpt-4o"])
MIXED = Chain(["openai/gpt-4o", LOCAL, *OURS], timeout=None, attempt_timeout=None, idle_timeout=None)
FULL = Chain(
    [LOCAL],
    timeout=60,
    attempt_timeout=20.5,
    ttft_timeout=5,
    idle_timeout=5,
    connect_timeout=3,
    max_retries=2,
    strategy="sequence",
    breaker=POLICY,
    retry=fallbackio.RetryPolicy(same_first=1, base_s=0.5, max_s=8, max_wait_s=60, budget_ratio=0.2),
    fallback_on=[fallbackio.ContentFiltered, 404, refused],
    upstream="stream",
    sinks=SINKS,
    max_answer_bytes=2**20,
    name="chat",
    seed=1,
)
STRATEGIES = [
    Chain([LOCAL], strategy=fallbackio.Sequence()),
    Chain([LOCAL], strategy="hedge", ttft_timeout="adaptive"),
    Chain([LOCAL], strategy=fallbackio.Hedge(delay=1.5, extra_load=0.1, max_parallel=3, drain_losers=5)),
    Chain([LOCAL], strategy=fallbackio.Race(width=2)),
]

# Calls.


async def complete() -> None:
    async with Chain(["openai/gpt-4o"]) as chain:
        assert_type(chain, Chain)
        reply = await chain.complete("Say hello.")
        await chain.complete([{"role": "user", "content": "Say hello."}], timeout=5, max_tokens=200)
        await chain.complete("Say hello.", timeout=None)

    assert_type(reply, fallbackio.Reply)
    assert_type(reply.text, str)
    assert_type(reply.message, fallbackio.Message)
    assert_type(reply.message.content, str | None)
    assert_type(reply.choices[0].message.content, str | None)
    assert_type(reply.finish_reason, str)
    assert_type(reply.usage.total_tokens, int)
    assert_type(reply.usage.cached_tokens, int)
    assert_type(reply.to_dict(), dict[str, Any])
    assert_type(await SHORT.aclose(), None)


async def call_tools(chain: Chain) -> str:
    history: list[dict[str, Any] | fallbackio.Message] = [{"role": "user", "content": "Weather in Oslo?"}]
    while True:
        reply = await chain.complete(history, tools=TOOLS, tool_choice="auto")
        assert_type(reply.tool_calls, tuple[fallbackio.model.ToolCall, ...])
        if not reply.tool_calls:
            return reply.text
        history.append(reply.message)
        for call in reply.tool_calls:
            assert_type(call.name, str)
            assert_type(call.arguments, str)
            history.append({"role": "tool", "tool_call_id": call.id, "content": "rain"})


async def stream(chain: Chain) -> None:
    async with chain.stream("Tell a story.", temperature=1, timeout=30) as answer:
        assert_type(answer, fallbackio.Stream)
        async for delta in answer:
            assert_type(delta, fallbackio.Delta)
            assert_type(delta.text, str)
            assert_type(delta.finish_reason, str | None)
            assert_type(delta.usage, fallbackio.Usage | None)
            for part in delta.tool_calls:
                assert_type(part.index, int)
                assert_type(part.arguments, str)
        assert_type(answer.text, str)
    assert_type(answer.reply, fallbackio.Reply)
    assert_type(answer.report, fallbackio.Report)


def read_ledger(report: fallbackio.Report) -> None:
    assert_type(report.attempts, tuple[fallbackio.Attempt, ...])
    assert_type(report.winner, fallbackio.Attempt | None)
    assert_type(report.endpoint, str)
    assert_type(report.model, str)
    assert_type(report.fell_back, bool)
    assert_type(report.panicked, bool)
    assert_type(report.duration_s, float)
    assert_type(report.ttft_s, float | None)
    for attempt in report.attempts:
        assert_type(attempt.vendor, str)
        assert_type(attempt.error, fallbackio.AttemptError | None)
        assert_type(attempt.status, int | None)
        assert_type(attempt.started_s, float)
        assert_type(attempt.ttft_s, float | None)
        assert_type(attempt.usage, fallbackio.Usage | None)
        if attempt.outcome == "won" or attempt.outcome == "failed":
            continue
        if attempt.outcome == "cut":
            continue
        assert attempt.outcome == "skipped"


async def fetch_near() -> bytes:
    return b"near"


async def fetch_far() -> bytes:
    return b"far"


async def race() -> None:
    page = await fallbackio.first_good(
        [fetch_near, fetch_far], strategy=fallbackio.Hedge(delay=0.3), timeout=5
    )
    assert_type(page, bytes)


# Files of chains.


class OurChain(Chain):
    """A subclass keeps its type."""


def adjusted(endpoint: Endpoint) -> Endpoint:
    return endpoint


async def files_of_chains() -> None:
    loaded = OurChain.from_toml("chain.toml", name="chat", adjust=adjusted, sinks=[print])
    assert_type(loaded, OurChain)
    changed = loaded.reload()
    assert_type(changed, Reloaded)
    assert_type(changed.added, tuple[str, ...])
    loaded.reload(Path("other.toml"))
    findings = loaded.check(ignore=["FB102"])
    assert_type(findings, list[Finding])
    assert_type(findings[0].mend, str)
    given = read_toml("chain.toml")
    assert_type(given, ChainFile)
    assert_type(given.mapped(adjusted).build(timeout=3), Chain)
    assert_type(check_file("chain.toml").clean, bool)


# Errors.


async def fail(chain: Chain) -> None:
    try:
        await chain.complete("Say hello.")
    except fallbackio.ConfigError as error:
        value_error: ValueError = error
        print(value_error)
    except fallbackio.InvalidRequest as error:
        assert_type(error.everywhere, bool)
    except fallbackio.TimedOut as error:
        assert_type(error.phase, errors.Phase)
        assert_type(error.limit_s, float)
    except errors.ConnectionFailed as error:
        assert_type(error.sent, bool)
    except fallbackio.AttemptError as error:
        assert_type(error.status, int | None)
        assert_type(error.code, str | None)
        assert_type(error.request_id, str | None)
        assert_type(error.retry_after_s, float | None)
        assert_type(error.attempts, tuple[fallbackio.Attempt, ...])
    except fallbackio.ChainExhausted as error:
        assert_type(error.retry_after_s, float | None)
    except fallbackio.DeadlineExceeded as error:
        timeout_error: TimeoutError = error
        print(timeout_error, error.timeout_s)
    except fallbackio.StreamBroken as error:
        assert_type(error.partial, str)
    except fallbackio.CallError as error:
        assert_type(error.attempts, tuple[fallbackio.Attempt, ...])
    except fallbackio.FallbackError as error:
        assert_type(error.attempts, tuple[fallbackio.Attempt, ...])


assert_type(errors.by_status(503), type[fallbackio.AttemptError])

# Breakers on their own.


async def guard(breaker: Breaker) -> str:
    assert_type(breaker.phase, BreakerPhase)
    assert_type(breaker.retry_in_s, float)
    permit = breaker.acquire()
    assert_type(permit, Permit | None)
    if permit is None:
        permit = breaker.force()
    permit.failed(Severity.THROTTLED, retry_after_s=20, reason="rate limited")
    try:
        return await breaker.call_async(returns_text, fallbackio.Request.of("Hello", {}))
    except CircuitOpen as error:
        return str(error.retry_after_s)


# The simulator and the testing kit.


async def simulate() -> None:
    async with Simulator(seed=1) as sim:
        assert_type(sim.url, str)
        primary = sim.add("primary", Behaviour(latency=0.2, fault=Sometimes(0.1, Status(503))))
        assert_type(primary, SimulatedEndpoint)
        assert_type(primary.url("anthropic"), str)
        assert_type(primary.stats, Stats)
        assert_type(primary.stats.by_status[200], int)
        primary.behave(Behaviour(latency=Lognormal(0.4), fault=Flapping(30, 10, Stall("headers"))))
        primary.behave(Behaviour(fault=InTurn([Status(500), None])))
        primary.behave(behaviour_from_json({"latency": 0.2}))
        fault: Fault = Capacity(4, above=Status(429, retry_after_s=2))
        primary.behave(Behaviour(fault=fault))
        primary.reset()
    await serve("127.0.0.1", 8000, {"primary": Behaviour()})


async def nap(seconds: float) -> float:
    return seconds


@virtual_time
async def test_of_a_user() -> None:
    """As a user writes it."""
    sink = RecordingSink()
    a = ScriptedEndpoint(fails(errors.Overloaded), fails(TimeoutError()), stalls(), breaks(), name="a")
    b = ScriptedEndpoint(answers("Hello!", after_s=0.2, pace_s=0.1), name="b", context_window=8_000)
    chain = Chain([a.endpoint, b.endpoint], sinks=[sink])
    reply = await chain.complete("Hello")
    assert reply.report.fell_back
    assert_type(a.requests, int)
    assert_type(a.received, list[fallbackio.Request])
    assert_type(sink.events, list[events.Event])
    assert_type(sink.of(events.FailedOver), list[events.FailedOver])


assert_type(test_of_a_user(), None)
assert_type(run(nap, 3600.0), float)
assert_type(VirtualTimeLoop().time(), float)
