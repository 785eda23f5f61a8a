"""Chains over real sockets, against the simulator, in virtual time."""

from __future__ import annotations

from typing import Any

import aiohttp
import anyio
import pytest

import fallbackio
from fallbackio import Endpoint, StreamBroken, errors
from fallbackio.breaker import Severity
from fallbackio.chain._table import handling
from fallbackio.simulator import (
    Behaviour,
    Capacity,
    Cut,
    EmptyChoices,
    ErrorBody,
    Fault,
    Garbage,
    Html,
    Huge,
    InBandError,
    InTurn,
    Malformed,
    PingOnly,
    Refused,
    Reset,
    RoleOnly,
    Silence,
    Simulator,
    Stall,
    Status,
    Trickle,
)
from fallbackio.simulator import SimulatedEndpoint as Simulated
from fallbackio.testing import virtual_time

KEY = "sk-the-key-of-this-test"
WHOLE = "".join(delta.text for delta in Behaviour(tokens=9).script().spoken)
DIALECTS = ["openai", "anthropic"]


def endpoint(simulated: Simulated, dialect: str = "openai", **settings: Any) -> Endpoint:
    return Endpoint(
        "model",
        name=simulated.name,
        base_url=simulated.url(dialect),
        dialect=dialect,
        api_key=KEY,
        **settings,
    )


def chain_of(*simulated: Simulated, dialect: str = "openai", **settings: Any) -> fallbackio.Chain:
    settings = {"attempt_timeout": 5, "idle_timeout": 5, "seed": 1} | settings
    return fallbackio.Chain([endpoint(one, dialect) for one in simulated], **settings)


async def assert_nothing_is_left(chain: fallbackio.Chain, *simulated: Simulated) -> None:
    """Rule 1 and 5: no request upstream, no permit; within 50 ms."""
    await anyio.sleep(0.05)
    assert [one.stats.in_flight for one in simulated] == [0] * len(simulated)
    for route in chain._routes:
        assert (route.breaker.in_flight, route.room.in_flight, route.load.waiting) == (0, 0, 0)
    assert len(chain._line) == 0


# Fault, the error it is in a plain answer, the error it is in a stream (None: it harms nobody there),
# and whether the stream has shown content by then.
E = errors
FAULTS: list[tuple[Fault, type[E.AttemptError] | None, type[E.AttemptError] | None, bool]] = [
    (Status(500), E.ServerFault, E.ServerFault, False),
    (Status(502), E.ServerFault, E.ServerFault, False),
    (Status(408), E.ServerFault, E.ServerFault, False),
    (Status(429, retry_after_s=86_400), E.RateLimited, E.RateLimited, False),
    (Status(503), E.Overloaded, E.Overloaded, False),
    (Status(529), E.Overloaded, E.Overloaded, False),
    (Status(401), E.AuthFailed, E.AuthFailed, False),
    (Status(403), E.AuthFailed, E.AuthFailed, False),
    (Status(402), E.QuotaExhausted, E.QuotaExhausted, False),
    (Status(404), E.ModelNotFound, E.ModelNotFound, False),
    (Status(429, error=E.QuotaExhausted), E.QuotaExhausted, E.QuotaExhausted, False),
    (Reset(), E.ConnectionFailed, E.ConnectionFailed, False),
    (Silence(), E.TimedOut, E.TimedOut, False),
    (Stall("headers"), E.TimedOut, E.TimedOut, False),
    (Stall("content"), E.TimedOut, E.TimedOut, False),
    (Stall(4), E.TimedOut, E.TimedOut, True),
    (Cut(0), E.ConnectionFailed, E.ConnectionFailed, False),
    (Cut(4), E.ConnectionFailed, E.ConnectionFailed, True),
    (Cut(4, how="reset"), E.ConnectionFailed, E.ConnectionFailed, True),
    (Cut(0, how="end"), E.BadAnswer, E.BadAnswer, False),
    (Cut(4, how="end"), E.BadAnswer, E.BadAnswer, True),
    (RoleOnly(interval_s=1), E.TimedOut, E.TimedOut, False),
    (PingOnly(interval_s=1), E.TimedOut, E.TimedOut, False),
    (Malformed(0), E.BadAnswer, E.BadAnswer, False),
    (Malformed(4), E.BadAnswer, E.BadAnswer, True),
    (InBandError(E.Overloaded), E.Overloaded, E.Overloaded, False),
    (InBandError(E.Overloaded, after_tokens=4), E.Overloaded, E.Overloaded, True),
    (ErrorBody(E.Overloaded), E.Overloaded, E.Overloaded, False),
    (Html(200), E.BadAnswer, E.BadAnswer, False),
    (Html(502), E.ServerFault, E.ServerFault, False),
    (Garbage(), E.BadAnswer, E.BadAnswer, False),
    (EmptyChoices(), E.BadAnswer, E.BadAnswer, False),
    (Trickle(interval_s=1), E.TimedOut, E.TimedOut, False),
]


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(("fault", "kind"), [(f, kind) for f, kind, _, _ in FAULTS], ids=repr)
@virtual_time
async def test_complete_survives(fault: Fault, kind: type[errors.AttemptError], dialect: str) -> None:
    """Whatever an endpoint does, the caller gets the next one's whole answer, and the ledger says why."""
    async with Simulator() as sim:
        sick = sim.add("sick", Behaviour(fault=fault))
        well = sim.add("well", Behaviour(text="all is well"))
        async with chain_of(sick, well, dialect=dialect) as chain:
            reply = await chain.complete("hi")

            assert reply.text == "all is well"
            first, last = reply.report.attempts
            assert (first.outcome, last.outcome) == ("failed", "won")
            assert type(first.error) is kind
            assert KEY not in str(first.error)
            assert anyio.current_time() <= 5.1
            await assert_nothing_is_left(chain, sick, well)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("on_break", ["raise", "continue", "restart"])
@pytest.mark.parametrize(
    "strategy", [fallbackio.Sequence(), fallbackio.Hedge(delay=8.0)], ids=["seq", "hedge"]
)
@pytest.mark.parametrize(("fault", "kind", "shown"), [(f, kind, s) for f, _, kind, s in FAULTS], ids=repr)
@virtual_time
async def test_stream_survives(
    fault: Fault, kind: type[errors.AttemptError], shown: bool, strategy: Any, on_break: Any, dialect: str
) -> None:
    """Before the first content a stream fails over unseen; after it the break is mended or said."""
    async with Simulator() as sim:
        sick = sim.add("sick", Behaviour(tokens=9, pace_s=0.1, fault=fault))
        well = sim.add("well", Behaviour(tokens=9))
        async with chain_of(sick, well, dialect=dialect, strategy=strategy, on_break=on_break) as chain:
            text, seams = "", 0
            try:
                async with chain.stream("hi") as stream:
                    async for delta in stream:
                        text = "" if isinstance(delta, fallbackio.Restarted) else text + delta.text
                        seams += delta.seam
                attempts = stream.report.attempts
                assert text == stream.reply.text == WHOLE, "an answer that broke was given out as whole"
                assert stream.report.endpoint == "well"
                assert seams == len(stream.report.seams) == (shown and on_break == "continue")
                assert stream.report.restarts == (shown and on_break == "restart")
                assert not shown or on_break != "raise"
            except StreamBroken as broken:
                attempts = broken.attempts
                assert shown, "it broke before anything was shown, and yet another could have answered"
                assert on_break == "raise"
                assert type(broken.__cause__) is kind
                assert broken.partial == text != ""
                assert WHOLE.startswith(text)
            assert attempts[0].outcome == "failed"
            assert type(attempts[0].error) is kind
            breaker = chain._routes[0].breaker
            severity = handling(attempts[0].error).severity
            assert breaker.fail_counter == (severity is Severity.HARD)
            assert (breaker.phase == "open") == (severity is Severity.FATAL)
            await assert_nothing_is_left(chain, sick, well)


@pytest.mark.parametrize("dialect", DIALECTS)
@virtual_time
async def test_a_refused_connection(dialect: str) -> None:
    """A host that listens no more is a ConnectionFailed, known at once."""
    async with Simulator() as sim:
        sick = sim.add("sick", Behaviour(fault=Refused()), own_port=True)
        well = sim.add("well", Behaviour(text="all is well"))
        async with chain_of(sick, well, dialect=dialect) as chain:
            reply = await chain.complete("hi")

            error = reply.report.attempts[0].error
            assert isinstance(error, errors.ConnectionFailed)
            assert not error.sent


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("status", [400, 422])
@virtual_time
async def test_a_400_is_raised_at_once(status: int, dialect: str) -> None:
    """What fails everywhere reaches one endpoint and leaves every breaker as it was."""
    async with Simulator() as sim:
        sick, well = sim.add("sick", Behaviour(fault=Status(status))), sim.add("well")
        async with chain_of(sick, well, dialect=dialect) as chain:
            for _ in range(20):
                with pytest.raises(errors.InvalidRequest) as caught:
                    await chain.complete("hi")

            assert caught.value.status == status
            assert (sick.stats.requests, well.stats.requests) == (20, 0)
            assert chain._routes[0].breaker.phase == "closed"


@virtual_time
async def test_retry_after_ms_is_read() -> None:
    """A rest of 1500 ms is kept to."""
    async with Simulator() as sim:
        fault = InTurn((Status(429, retry_after_ms=1500),))
        only = sim.add("only", Behaviour(fault=fault))
        async with chain_of(only) as chain:
            await chain.complete("hi")

            assert 1.5 <= anyio.current_time() <= 1.7


@virtual_time
async def test_digits_in_a_message_do_not_change_its_class() -> None:
    """A 429 whose text speaks of 403 and 400 is a 429."""
    async with Simulator() as sim:
        message = "retry in 403.400 s, error 401, see section 500, context length 404"
        sick = sim.add("sick", Behaviour(fault=Status(429, message=message)))
        async with chain_of(sick, sim.add("well")) as chain:
            reply = await chain.complete("hi")

            assert type(reply.report.attempts[0].error) is errors.RateLimited


@virtual_time
async def test_a_huge_answer_is_refused_and_breaks_nothing_else() -> None:
    """An answer of 50 MB is a BadAnswer; the next endpoint and the next call are well."""
    async with Simulator() as sim:
        sick = sim.add("sick", Behaviour(fault=Huge(size_bytes=50 * 2**20)))
        well = sim.add("well", Behaviour(text="all is well"))
        async with chain_of(sick, well) as chain:
            reply = await chain.complete("hi")

            assert reply.text == "all is well"
            assert isinstance(reply.report.attempts[0].error, errors.BadAnswer)
            assert "max_answer_bytes" in str(reply.report.attempts[0].error)
            await assert_nothing_is_left(chain, sick, well)


@virtual_time
async def test_providers_do_not_quote_prompts_into_our_errors() -> None:
    """A 400 that quotes the prompt and the key shows neither."""
    prompt = "my very private diary entry of last tuesday"
    async with Simulator() as sim:
        fault = Status(400, message=f"cannot parse '{prompt}' with key {KEY}")
        sick = sim.add("sick", Behaviour(fault=fault))
        async with chain_of(sick) as chain:
            with pytest.raises(errors.InvalidRequest) as caught:
                await chain.complete(prompt)

            assert "diary" not in str(caught.value) + repr(caught.value)
            assert KEY not in str(caught.value) + repr(caught.value)
            assert "cannot parse" in str(caught.value)


@virtual_time
async def test_a_stalled_primary_delays_only_until_the_trip() -> None:
    """After five calls of a second each the others go straight to the secondary."""
    async with Simulator() as sim:
        sick, well = sim.add("sick", Behaviour(fault=Silence())), sim.add("well")
        async with chain_of(sick, well, attempt_timeout=1) as chain:
            durations = []
            for _ in range(20):
                began = anyio.current_time()
                await chain.complete("hi")
                durations.append(anyio.current_time() - began)

            assert durations[:5] == pytest.approx([1] * 5, abs=0.001)
            assert max(durations[6:8]) < 0.001
            assert sum(duration > 0.5 for duration in durations) <= 6
            await assert_nothing_is_left(chain, sick, well)


@virtual_time
async def test_concurrent_callers_find_a_recovery_by_one_probe() -> None:
    """Of sixty concurrent calls at the end of the open period one reaches the sick endpoint."""
    async with Simulator() as sim:
        sick, well = sim.add("sick", Behaviour(fault=Status(500))), sim.add("well", Behaviour(latency=0.2))
        async with chain_of(sick, well) as chain:
            for _ in range(6):
                await chain.complete("hi")
            await anyio.sleep(10)
            before = sick.stats.requests

            async with anyio.create_task_group() as group:
                for _ in range(60):
                    group.start_soon(chain.complete, "hi")

            assert sick.stats.requests - before == 1


@virtual_time
async def test_capacity_is_respected_by_resting() -> None:
    """429 with Retry-After sends the callers elsewhere instead of into the wall."""
    async with Simulator() as sim:
        small = sim.add("small", Behaviour(latency=1, fault=Capacity(2, above=Status(429, retry_after_s=3))))
        large = sim.add("large", Behaviour(latency=0.1))
        async with chain_of(small, large) as chain:
            async with anyio.create_task_group() as group:
                for _ in range(10):
                    group.start_soon(chain.complete, "hi")
            refused = small.stats.by_status[429]
            for _ in range(10):
                await chain.complete("hi")

            assert small.stats.by_status[429] == refused


@pytest.mark.parametrize("dialect", DIALECTS)
@virtual_time
async def test_connections_are_reused(dialect: str) -> None:
    """Whole answers, streamed ones included, leave their connection for the next call."""
    async with Simulator() as sim:
        well = sim.add("well")
        async with chain_of(well, dialect=dialect) as chain:
            for _ in range(10):
                await chain.complete("hi")
                async with chain.stream("hi") as stream:
                    async for _ in stream:
                        pass
                await anyio.sleep(0.01)

            session = chain._routes[0].provider._session.http  # type: ignore[attr-defined]
            assert isinstance(session, aiohttp.ClientSession)
            assert session.connector is not None
            assert len([conn for pool in session.connector._conns.values() for conn in pool]) == 1


@virtual_time
async def test_tools_and_history_cross_dialects() -> None:
    """A tool loop begun at one dialect goes on at the other with the same messages."""
    tools = [
        {
            "type": "function",
            "function": {
                "name": "weather",
                "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
            },
        }
    ]
    async with Simulator() as sim:
        a = sim.add("a", Behaviour(fault=InTurn((None, Status(500), Status(500)), repeat=False)))
        b = sim.add("b")
        steps = [endpoint(a, "openai"), endpoint(b, "anthropic")]
        async with fallbackio.Chain(steps) as chain:
            history: list[Any] = [{"role": "user", "content": "Weather in Oslo?"}]
            asked = await chain.complete(history, tools=tools, tool_choice="required")
            assert [call.name for call in asked.tool_calls] == ["weather"]
            history.append(asked.message)
            history += [
                {"role": "tool", "tool_call_id": call.id, "content": "rain"} for call in asked.tool_calls
            ]
            answer = await chain.complete(history, tools=tools)

            assert asked.report.endpoint == "a"
            assert answer.report.endpoint == "b"
            assert answer.text


@virtual_time
async def test_a_parameter_nobody_can_express_is_refused_before_anything_is_sent() -> None:
    """A chain whose spare could not take over says so at the first call, not in the outage."""
    async with Simulator() as sim:
        a, b = sim.add("a"), sim.add("b")
        strict = fallbackio.Chain([endpoint(a, "openai"), endpoint(b, "anthropic")])
        lenient = fallbackio.Chain([endpoint(a, "openai"), endpoint(b, "anthropic", unsupported="drop")])
        async with strict, lenient:
            with pytest.raises(fallbackio.InvalidRequest, match=r"^b: .*seed"):
                await strict.complete("hi", seed=1)
            assert (a.stats.requests, b.stats.requests) == (0, 0)

            assert (await lenient.complete("hi", seed=1)).report.endpoint == "a"


CUTS = [Cut(40), Stall(20), Malformed(30), InBandError(E.Overloaded, after_tokens=25), Cut(40, how="end")]


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("on_break", ["continue", "restart", "raise"])
@pytest.mark.parametrize("fault", CUTS, ids=repr)
@virtual_time
async def test_sixty_tokens_reach_the_consumer_whole(fault: Fault, on_break: Any, dialect: str) -> None:
    """Cut after 40 of 60 tokens, silent after 20, broken in the middle, ended early: whole all the same."""
    async with Simulator() as sim:
        sick, well = sim.add("sick", Behaviour(tokens=60, fault=fault)), sim.add("well", Behaviour(tokens=60))
        whole = "".join(delta.text for delta in Behaviour(tokens=60).script().spoken)
        async with chain_of(sick, well, dialect=dialect, on_break=on_break) as chain:
            text = ""
            async with chain.stream("hi") as stream:
                try:
                    async for delta in stream:
                        text = "" if isinstance(delta, fallbackio.Restarted) else text + delta.text
                except StreamBroken as broken:
                    assert on_break == "raise"
                    assert broken.partial == text
                    assert whole.startswith(text)
                else:
                    assert text == whole


@virtual_time
async def test_a_rejected_prefill_leads_to_the_instruction() -> None:
    """A next endpoint that answers the prefill with a 400 is asked by instruction, unseen."""
    async with Simulator() as sim:
        sick = sim.add("sick", Behaviour(tokens=60, fault=Cut(40)))
        well = sim.add("well", Behaviour(tokens=60, fault=InTurn((Status(400), None))))
        whole = "".join(delta.text for delta in Behaviour(tokens=60).script().spoken)
        async with chain_of(sick, well, dialect="anthropic") as chain, chain.stream("hi") as stream:
            text = "".join([delta.text async for delta in stream])

            assert text == whole
            assert [a.outcome for a in stream.report.attempts] == ["failed", "won"]
            assert well.stats.requests == 2


@virtual_time
async def test_pings_for_ever_are_left_at_the_first_content_limit() -> None:
    """Role-only deltas and pings reset no timer: ttft_timeout holds to 50 ms."""
    for fault in (RoleOnly(interval_s=0.2), PingOnly(interval_s=0.2)):
        async with Simulator() as sim:
            sick, well = sim.add("sick", Behaviour(fault=fault)), sim.add("well")
            async with chain_of(sick, well, ttft_timeout=2) as chain:
                began = anyio.current_time()
                async with chain.stream("hi") as stream:
                    assert anyio.current_time() - began == pytest.approx(2, abs=0.05)
                    assert stream.endpoint == "well"


@virtual_time
async def test_a_slow_consumer_does_not_make_us_read_ahead() -> None:
    """While the consumer sleeps the provider is held back by the socket: what we buffer is bounded."""
    async with Simulator() as sim:
        big = sim.add("big", Behaviour(tokens=400_000))
        async with chain_of(big) as chain, chain.stream("hi") as stream:
            pieces = aiter(stream)
            await anext(pieces)
            await anyio.sleep(60)
            reading = stream._reading
            assert reading is not None
            buffered = reading.upstream._content.total_bytes - reading.upstream._size  # type: ignore[attr-defined]
            assert buffered < 2**21
            assert big.stats.in_flight == 1, "it has not finished: it is being held back"
            assert (await anext(pieces)).text
