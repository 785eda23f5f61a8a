"""Every fault, in every dialect, plain and streamed, as a client sees it over a real socket."""

from __future__ import annotations

from collections.abc import Mapping

import anyio
import pytest
from asking import PATIENCE_S, Seen, ask, simulated, together
from attrs import evolve, frozen

from fallbackio.dialects import DIALECTS
from fallbackio.errors import (
    AttemptError,
    AuthFailed,
    BadAnswer,
    ContextTooLong,
    InvalidRequest,
    ModelNotFound,
    Overloaded,
    QuotaExhausted,
    RateLimited,
    ServerFault,
)
from fallbackio.simulator import (
    Behaviour,
    Capacity,
    Cut,
    EmptyChoices,
    ErrorBody,
    Exchange,
    Fault,
    Flapping,
    Garbage,
    Html,
    Huge,
    InBandError,
    InTurn,
    Malformed,
    PingOnly,
    Plan,
    Refused,
    Reset,
    RoleOnly,
    Silence,
    SimulatedEndpoint,
    Simulator,
    Sometimes,
    Stall,
    Status,
    Trickle,
)
from fallbackio.testing import virtual_time

HEALTHY = Behaviour(latency=1, tokens=4, pace_s=0.5)


@frozen
class Expected:
    """What a client sees: a status, or none; how it ended, and when; and how many words had come by then.

    `words` of `None`: a share of the body that may hold any of them.
    """

    status: int | None
    ending: str
    at: float
    words: int | None = 0


def nothing(ending: str, at: float) -> Expected:
    return Expected(None, ending, at)


# (fault, what a plain answer looks like, what a stream does)
TABLE: Mapping[str, tuple[Fault | None, Expected, Expected]] = {
    "healthy": (None, Expected(200, "whole", 3.0, 4), Expected(200, "whole", 2.5, 4)),
    "status": (Status(503), Expected(503, "whole", 0), Expected(503, "whole", 0)),
    "status later": (Status(500, after_s=2), Expected(500, "whole", 2), Expected(500, "whole", 2)),
    "reset": (Reset(), nothing("reset", 0), nothing("reset", 0)),
    "reset later": (Reset(after_s=2), nothing("reset", 2), nothing("reset", 2)),
    "refused, port shared": (Refused(), nothing("reset", 0), nothing("reset", 0)),
    "silence": (Silence(), nothing("silence", PATIENCE_S), nothing("silence", PATIENCE_S)),
    "stall before headers": (
        Stall("headers"),
        nothing("silence", PATIENCE_S),
        nothing("silence", PATIENCE_S),
    ),
    "pause before headers": (
        Stall("headers", for_s=5),
        Expected(200, "whole", 8.0, 4),
        Expected(200, "whole", 7.5, 4),
    ),
    "stall before content": (
        Stall("content"),
        Expected(200, "silence", PATIENCE_S, 0),
        Expected(200, "silence", PATIENCE_S, 0),
    ),
    "pause before content": (
        Stall("content", for_s=5),
        Expected(200, "whole", 8.0, 4),
        Expected(200, "whole", 7.5, 4),
    ),
    "stall in the middle": (
        Stall(2),
        Expected(200, "silence", PATIENCE_S, None),
        Expected(200, "silence", PATIENCE_S, 2),
    ),
    "pause in the middle": (
        Stall(2, for_s=5),
        Expected(200, "whole", 8.0, 4),
        Expected(200, "whole", 7.5, 4),
    ),
    "stall before the end": (
        Stall(99),
        Expected(200, "silence", PATIENCE_S, None),
        Expected(200, "silence", PATIENCE_S, 4),
    ),
    "cut at once": (Cut(), Expected(200, "truncated", 3.0), Expected(200, "truncated", 1.0)),
    "cut": (Cut(2), Expected(200, "truncated", 3.0, None), Expected(200, "truncated", 2.0, 2)),
    "cut before the end": (
        Cut(99),
        Expected(200, "truncated", 3.0, None),
        Expected(200, "truncated", 2.5, 4),
    ),
    "cut by reset": (
        Cut(2, how="reset"),
        Expected(200, "truncated", 3.0, None),
        Expected(200, "truncated", 2.0, 2),
    ),
    "no terminator": (
        Cut(2, how="end"),
        Expected(200, "whole", 3.0, None),
        Expected(200, "whole", 2.0, 2),
    ),
    "role only": (
        RoleOnly(interval_s=10),
        Expected(200, "silence", PATIENCE_S),
        Expected(200, "silence", PATIENCE_S),
    ),
    "ping only": (
        PingOnly(interval_s=10),
        Expected(200, "silence", PATIENCE_S),
        Expected(200, "silence", PATIENCE_S),
    ),
    "malformed first": (Malformed(), Expected(200, "whole", 3.0, None), Expected(200, "whole", 1.0)),
    "malformed": (Malformed(2), Expected(200, "whole", 3.0, None), Expected(200, "whole", 2.0, 2)),
    "in-band error first": (InBandError(), Expected(200, "whole", 3.0), Expected(200, "whole", 1.0)),
    "in-band error": (
        InBandError(after_tokens=2),
        Expected(200, "whole", 3.0),
        Expected(200, "whole", 2.0, 2),
    ),
    "error body": (ErrorBody(), Expected(200, "whole", 0), Expected(200, "whole", 0)),
    "html": (Html(), Expected(200, "whole", 0), Expected(200, "whole", 0)),
    "html 502": (Html(502), Expected(502, "whole", 0), Expected(502, "whole", 0)),
    "garbage": (Garbage(4096), Expected(200, "whole", 0), Expected(200, "whole", 0)),
    "empty choices": (EmptyChoices(), Expected(200, "whole", 3.0), Expected(200, "whole", 1.0)),
    "huge": (Huge(2_000_000), Expected(200, "whole", 3.0), Expected(200, "whole", 1.0)),
    "always": (Sometimes(1, Status(503)), Expected(503, "whole", 0), Expected(503, "whole", 0)),
    "never": (
        Sometimes(0, Status(503)),
        Expected(200, "whole", 3.0, 4),
        Expected(200, "whole", 2.5, 4),
    ),
}

in_each_dialect = pytest.mark.parametrize("dialect", list(DIALECTS))
plain_and_streamed = pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])


# How the endpoint counts a request that ends so for the client.
COUNTED = {"whole": "completed", "truncated": "dropped", "reset": "dropped", "silence": "cancelled"}


def counted(endpoint: SimulatedEndpoint) -> tuple[int, str]:
    """Requests under way, and how the only other one ended."""
    stats = endpoint.stats
    assert stats.requests == 1
    return stats.in_flight, ", ".join(how for how in set(COUNTED.values()) if getattr(stats, how))


@in_each_dialect
@plain_and_streamed
@pytest.mark.parametrize("case", list(TABLE))
@virtual_time
async def test_a_fault_seen_by_a_client(case: str, stream: bool, dialect: str) -> None:
    """Status, ending, instant and words are those of the table, and the endpoint counts the same."""
    fault, plain, streamed = TABLE[case]
    expected = streamed if stream else plain

    async with simulated(evolve(HEALTHY, fault=fault)) as endpoint:
        seen = await ask(endpoint, dialect, stream=stream)
        await anyio.sleep(0.05)

        assert counted(endpoint) == (0, COUNTED[expected.ending])
    assert (seen.status, seen.ending) == (expected.status, expected.ending)
    assert seen.ended_at == pytest.approx(expected.at)
    assert expected.words in (None, seen.words)


def understood(seen: Seen, dialect: str, stream: bool) -> AttemptError | None:
    """What the dialect's client makes of an answer: the error it stands for, or `None` for a good one."""
    client = DIALECTS[dialect].client
    assert seen.status is not None
    if seen.status != 200:
        return client.failure(seen.status, seen.headers, seen.body)
    try:
        if stream and not seen.headers["content-type"].startswith("application/json"):
            reader = client.reader()
            reader.feed(seen.body)
            reader.end()
        else:
            client.decode(seen.body)
    except AttemptError as error:
        return error
    return None


# Where a format has words for an error only, and no code: what its client makes of them.  In-band
# errors have no status either, and Converse has none at all outside its streams.
COARSE: Mapping[tuple[str, type[Fault], type[AttemptError | None]], type[AttemptError]] = {
    ("ollama", Status, QuotaExhausted): RateLimited,
    ("ollama", InBandError, RateLimited): ServerFault,
    ("cohere", InBandError, Overloaded): ServerFault,
    ("cohere", ErrorBody, Overloaded): ServerFault,
    ("bedrock", ErrorBody, Overloaded): BadAnswer,
}
COARSE_PLAIN = {
    ("bedrock", InBandError, Overloaded): BadAnswer,
    ("bedrock", InBandError, RateLimited): BadAnswer,
}


def read_as(fault: Fault | None, kind: type[AttemptError | None], stream: bool, dialect: str) -> type:
    """What a dialect's client can know of a fault that stands for this kind of error."""
    said = (dialect, type(fault), kind)
    return COARSE.get(said) or ({} if stream else COARSE_PLAIN).get(said) or kind  # type: ignore[arg-type]


@in_each_dialect
@plain_and_streamed
@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (Status(400), InvalidRequest),
        (Status(401), AuthFailed),
        (Status(403), AuthFailed),
        (Status(404), ModelNotFound),
        (Status(429), RateLimited),
        (Status(500), ServerFault),
        (Status(503), Overloaded),
        (Status(529), Overloaded),
        (Status(429, error=QuotaExhausted), QuotaExhausted),
        (Status(400, error=ContextTooLong), ContextTooLong),
        (Cut(2, how="end"), BadAnswer),
        (Malformed(), BadAnswer),
        (Malformed(2), BadAnswer),
        (InBandError(Overloaded), Overloaded),
        (InBandError(RateLimited, after_tokens=2), RateLimited),
        (ErrorBody(Overloaded), Overloaded),
        (Html(), BadAnswer),
        (Html(502), ServerFault),
        (Garbage(), BadAnswer),
        (EmptyChoices(), BadAnswer),
        (None, type(None)),
        (Trickle(0.001), type(None)),
        (Huge(2_000_000), type(None)),
    ],
    ids=str,
)
@virtual_time
async def test_what_a_fault_means(
    fault: Fault | None, kind: type[AttemptError | None], stream: bool, dialect: str
) -> None:
    """Our own clients read out of an answer the error that a fault stands for, as far as it can be said."""
    async with simulated(evolve(HEALTHY, fault=fault)) as endpoint:
        seen = await ask(endpoint, dialect, stream=stream)

    assert type(understood(seen, dialect, stream)) is read_as(fault, kind, stream, dialect)


@pytest.mark.parametrize("dialect", [name for name in DIALECTS if name != "bedrock"])
@virtual_time
async def test_a_rate_limit_says_for_how_long(dialect: str) -> None:
    """`retry-after`, `retry-after-ms` and further headers reach the client."""
    fault = Status(429, retry_after_s=20, retry_after_ms=1500, headers={"x-region": "eu"})

    async with simulated(Behaviour(fault=fault)) as endpoint:
        seen = await ask(endpoint, dialect)
    error = understood(seen, dialect, stream=False)

    assert (seen.headers["retry-after"], seen.headers["retry-after-ms"]) == ("20", "1500")
    assert seen.headers["x-region"] == "eu"
    assert isinstance(error, RateLimited)
    assert (error.retry_after_s, error.request_id) == (1.5, "req_primary_1")


@pytest.mark.parametrize(
    ("dialect", "code"),
    [("openai", "slow_down"), ("anthropic", "ramp_limit_exceeded")],
    ids=["openai", "anthropic"],
)
@virtual_time
async def test_an_error_has_the_providers_code(dialect: str, code: str) -> None:
    """A code of the dialect's own and the message stand in the body where its clients look for them."""
    async with simulated(Behaviour(fault=Status(429, code=code, message="too fast"))) as endpoint:
        error = understood(await ask(endpoint, dialect), dialect, stream=False)

    assert error is not None
    assert (error.code, error.message) == (code, "too fast")


@pytest.mark.parametrize("dialect", [name for name in DIALECTS if name != "bedrock"])  # its frames have none
@virtual_time
async def test_keep_alives_keep_their_interval(dialect: str) -> None:
    """A stream that only pings brings something every interval, and no content at all."""
    async with simulated(Behaviour(fault=PingOnly(interval_s=3))) as endpoint:
        seen = await ask(endpoint, dialect, stream=True, within_s=10)

    assert [instant for instant, _ in seen.arrivals] == [0, 3, 6, 9]
    assert not any(delta.is_content for delta in DIALECTS[dialect].client.reader().feed(seen.body))


@virtual_time
async def test_a_trickle_comes_byte_by_byte() -> None:
    """The body dribbles at the stated pace, a plain one as well."""
    async with simulated(Behaviour(tokens=2, fault=Trickle(interval_s=0.25, size_bytes=100))) as endpoint:
        seen = await ask(endpoint)

    assert {length for _, length in seen.arrivals[:-1]} == {100}
    assert [instant for instant, _ in seen.arrivals] == [0.25 * (n + 1) for n in range(len(seen.arrivals))]


@virtual_time
async def test_a_refused_connection() -> None:
    """With a port of its own an endpoint refuses connections, and takes them again when it is well."""
    async with simulated(Behaviour(), own_port=True) as endpoint:
        seen = []
        for fault in (None, Refused(), Refused(), None, Refused()):
            endpoint.behave(Behaviour(fault=fault))
            seen.append((await ask(endpoint)).ending)

        assert seen == ["whole", "refused", "refused", "whole", "refused"]
        assert endpoint.stats.requests == 2


@virtual_time
async def test_faults_in_turn() -> None:
    """A sequence meets one request after the other, then all is well, or it begins anew."""
    faults: list[Fault | None] = [Status(500), None, Status(429)]
    async with simulated(Behaviour(fault=InTurn(faults))) as endpoint:
        once = [(await ask(endpoint)).status for _ in range(5)]
        endpoint.behave(Behaviour(fault=InTurn(faults, repeat=True)))
        repeated = [(await ask(endpoint)).status for _ in range(5)]

    assert once == [500, 200, 429, 200, 200]
    assert repeated == [500, 200, 429, 500, 200]


@virtual_time
async def test_flapping_goes_by_the_clock() -> None:
    """Up and down alternate from the instant at which the behaviour was set."""
    async with simulated(Behaviour()) as endpoint:
        await anyio.sleep(7)
        endpoint.behave(Behaviour(fault=Flapping(up_s=3, down_s=2, fault=Status(503))))
        seen = []
        for _ in range(10):
            seen.append((await ask(endpoint)).status)
            await anyio.sleep(1)

    assert seen == [200, 200, 200, 503, 503] * 2


@virtual_time
async def test_lots_are_seeded() -> None:
    """The same seed fails the same requests, about as many as it should; another fails others."""

    async def failed(seed: int) -> list[bool]:
        async with Simulator(seed=seed) as sim:
            endpoint = sim.add("primary", Behaviour(fault=Sometimes(0.3, Status(503))))
            return [(await ask(endpoint)).status == 503 for _ in range(100)]

    first = await failed(1)

    assert first == await failed(1)
    assert first != await failed(2)
    assert 15 < sum(first) < 45


@virtual_time
async def test_capacity_turns_away() -> None:
    """Those above the capacity get the stated answer at once, and a place is free again afterwards."""
    behaviour = Behaviour(latency=1, fault=Capacity(2, above=Status(429, retry_after_s=4)))
    async with simulated(behaviour) as endpoint:
        seen = await together(endpoint, 5)
        assert [one.status for one in seen] == [200, 200, 429, 429, 429]
        assert {one.ended_at for one in seen if one.status == 429} == {0}
        assert seen[-1].headers["retry-after"] == "4"

        assert [one.status for one in await together(endpoint, 3)] == [200, 200, 429]


@virtual_time
async def test_capacity_queues() -> None:
    """Those above the capacity wait for their turn; one that gives up takes no place with it."""
    async with simulated(Behaviour(latency=1, fault=Capacity(2, queue=True))) as endpoint:
        seen = await together(endpoint, 3, within_s=0.5)
        assert [one.ending for one in seen] == ["silence"] * 3

        seen = await together(endpoint, 5)
        assert [one.ended_at - 0.5 for one in seen] == pytest.approx([1, 1, 2, 2, 3], abs=0.01)


@virtual_time
async def test_a_fault_of_ones_own() -> None:
    """A user's class with a plan is a fault like ours."""

    class Teapot(Fault):
        def plan(self, exchange: Exchange) -> Plan:
            return exchange.whole(b"short and stout", status=418, content_type="text/plain")

    async with simulated(Behaviour(fault=Teapot())) as endpoint:
        seen = await ask(endpoint)

    assert (seen.status, seen.body) == (418, b"short and stout")


@virtual_time
async def test_a_mistake_in_a_fault_of_ones_own(caplog: pytest.LogCaptureFixture) -> None:
    """A fault that raises is a 500 and a line in the log; the endpoint goes on counting."""

    class Mistaken(Fault):
        def plan(self, exchange: Exchange) -> Plan:
            raise ZeroDivisionError

    async with simulated(Behaviour(fault=Mistaken())) as endpoint:
        seen = await ask(endpoint)

        assert seen.status == 500
        assert counted(endpoint) == (0, "completed")
    assert "ZeroDivisionError" in caplog.text


@virtual_time
async def test_a_burst_comes_in_one_piece() -> None:
    """Words of a burst share a piece, after the time of as many; all of the text comes all the same."""
    async with simulated(Behaviour(latency=1, tokens=7, pace_s=0.1, burst=3)) as endpoint:
        seen = await ask(endpoint, stream=True)

    assert seen.words == 7
    assert [at for at, _ in seen.arrivals] == pytest.approx([0, 1, 1.3, 1.6], abs=0.01)
    assert seen.body.count(b'"content":" word') == 2  # the first begins without a space
    assert b'"content":"word0 word1 word2"' in seen.body


@pytest.mark.parametrize(("after_tokens", "words"), [(0, 0), (3, 3), (6, 6)])
@virtual_time
async def test_a_cut_between_bursts_is_exact(after_tokens: int, words: int) -> None:
    """What breaks off after so many words does so, wherever a burst ends."""
    behaviour = Behaviour(tokens=9, burst=3, fault=Cut(after_tokens=after_tokens))
    async with simulated(behaviour) as endpoint:
        seen = await ask(endpoint, stream=True)

    assert (seen.words, seen.ending) == (words, "truncated")
