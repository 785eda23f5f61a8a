"""The simulator itself: its addresses, its counters, clients that go away, and its end."""

from __future__ import annotations

import asyncio
import socket
import time
from io import BytesIO

import aiohttp
import anyio
import orjson
import pytest
from asking import ask, simulated, together

from fallbackio import clock
from fallbackio.dialects import DIALECTS
from fallbackio.errors import ConfigError
from fallbackio.simulator import (
    Behaviour,
    Capacity,
    Cut,
    Fault,
    Huge,
    Lognormal,
    PingOnly,
    Reset,
    Silence,
    SimulatedEndpoint,
    Simulator,
    Stall,
    Status,
    Trickle,
    serve,
)
from fallbackio.testing import run, virtual_time

in_each_dialect = pytest.mark.parametrize("dialect", list(DIALECTS))


@virtual_time
async def test_addresses() -> None:
    """The base URLs are those that the vendors' own clients take."""
    async with Simulator() as sim:
        shared, own = sim.add("primary"), sim.add("secondary", own_port=True)

        assert shared.url("openai") == f"{sim.url}/primary/v1"
        assert shared.url("anthropic") == f"{sim.url}/primary"
        assert own.url("openai").endswith("/secondary/v1")
        assert not own.url("openai").startswith(sim.url)
        with pytest.raises(ConfigError, match="did you mean 'openai'"):
            shared.url("opnai")


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/primary/v1/chat/completions", 200),
        ("/primary/chat/completions", 200),
        ("/primary/v1/completions", 404),
        ("/v1/chat/completions", 404),
        ("/../v1/chat/completions", 404),
        ("/%20/v1/chat/completions", 404),
        ("/", 404),
    ],
)
@virtual_time
async def test_paths(path: str, status: int) -> None:
    """The dialect is known by the path; any other path is told which there are."""
    body = orjson.dumps({"model": "m", "messages": [{"role": "user", "content": "hi"}]})
    async with simulated(Behaviour()) as endpoint, aiohttp.ClientSession() as session:
        root = endpoint.url("anthropic").removesuffix("/primary")
        async with session.post(root + path, data=body) as response:
            assert response.status == status
            assert status == 200 or b"simulator_error" in await response.read()


@virtual_time
async def test_an_endpoint_is_made_when_it_is_asked() -> None:
    """A path with a new name answers in health, and its endpoint can then be found."""
    async with Simulator() as sim:
        first = sim.add("first")
        async with aiohttp.ClientSession() as session:
            body = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
            url = first.url("openai").replace("first", "new-one")
            async with session.post(f"{url}/chat/completions", json=body) as response:
                assert response.status == 200

        assert sim.endpoint("new-one").stats.requests == 1
        assert list(sim.endpoints) == ["first", "new-one"]


@pytest.mark.parametrize("name", ["", "a/b", "_sim", "v1", "stats", "ü", "a b", "x" * 101])
@virtual_time
async def test_names_that_cannot_be(name: str) -> None:
    """A name that cannot stand in a path is refused."""
    async with Simulator() as sim:
        with pytest.raises(ConfigError, match="name"):
            sim.add(name)


@virtual_time
async def test_a_name_is_given_once() -> None:
    """A second endpoint of the same name is refused, because it would be the first one's."""
    async with Simulator() as sim:
        sim.add("primary")
        with pytest.raises(ConfigError, match="already an endpoint 'primary'"):
            sim.add("primary")


@virtual_time
async def test_a_fault_is_no_behaviour() -> None:
    """A fault in place of a behaviour is refused with the right form, and changes nothing."""
    async with simulated(Behaviour(tokens=3)) as endpoint:
        with pytest.raises(ConfigError, match=r"not Status; a fault is Behaviour\(fault=…\)"):
            endpoint.behave(Status(500))  # type: ignore[arg-type]
        assert (await ask(endpoint)).words == 3


def test_outside_of_its_block() -> None:
    """Before `async with` there is nothing to add to, and the error says so."""
    with pytest.raises(ConfigError, match="async with"):
        Simulator().add("primary")


@in_each_dialect
@virtual_time
async def test_a_request_that_is_wrong(dialect: str) -> None:
    """A request that the dialect does not allow gets the dialect's own 400."""
    client = DIALECTS[dialect].client
    async with simulated(Behaviour()) as endpoint:
        for body in (b"", b"{", b"[]", b'{"model": "m"}', b"\xff" * 100):
            seen = await ask(endpoint, dialect, body=body)
            error = client.failure(seen.status or 0, seen.headers, seen.body)
            assert (seen.status, type(error).__name__) == (400, "InvalidRequest")
        assert endpoint.stats.by_status == {400: 5}


@in_each_dialect
@virtual_time
async def test_a_request_that_is_too_large(dialect: str) -> None:
    """A body over 64 MB gets a 413 in the dialect, and the simulator lives on."""
    async with simulated(Behaviour()) as endpoint:
        seen = await ask(endpoint, dialect, body=BytesIO(bytes(65 * 2**20)))
        assert seen.status == 413
        assert (await ask(endpoint, dialect)).status == 200


@virtual_time
async def test_counters() -> None:
    """Every request is counted once: under way, then completed, cancelled or dropped."""
    async with simulated(Behaviour(latency=1)) as endpoint:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(together, endpoint, 3)
            await anyio.sleep(0.5)
            assert (endpoint.stats.in_flight, endpoint.stats.completed) == (3, 0)
        await ask(endpoint, within_s=0.25)
        for fault in (Status(429), Reset()):
            endpoint.behave(Behaviour(fault=fault))
            await ask(endpoint)
        await anyio.sleep(0.05)

        assert endpoint.stats.to_json() == {
            "requests": 6,
            "in_flight": 0,
            "completed": 4,
            "cancelled": 1,
            "dropped": 1,
            "peak_in_flight": 3,
            "by_status": {"200": 3, "429": 1},
            "tokens": 3 * Behaviour().tokens,
        }
        assert list(endpoint.stats.arrivals) == [0, 0, 0, 1, 1.25, 1.25]


@virtual_time
async def test_tokens_are_counted_until_the_client_leaves() -> None:
    """What has been sent is counted also if nobody waits for the rest; an error answer counts nothing."""
    async with simulated(Behaviour(tokens=10, pace_s=1)) as endpoint:
        await ask(endpoint, stream=True, within_s=4.5)
        await anyio.sleep(0.05)
        assert endpoint.stats.tokens == 5
        endpoint.behave(Behaviour(fault=Status(500)))
        await ask(endpoint)

        assert endpoint.stats.tokens == 5


@virtual_time
async def test_a_reset_keeps_what_is_under_way() -> None:
    """After a reset the counters still add up, also for requests that were under way."""
    async with simulated(Behaviour(latency=1)) as endpoint, anyio.create_task_group() as tasks:
        tasks.start_soon(together, endpoint, 2)
        await anyio.sleep(0.5)
        endpoint.behave(Behaviour(fault=Status(500)))
        endpoint.reset()
        assert (endpoint.stats.requests, endpoint.stats.in_flight) == (2, 2)
        assert (await ask(endpoint)).status == 200

        stats = endpoint.stats
        assert (stats.requests, stats.completed, stats.in_flight) == (3, 3, 0)


LEFT: dict[str, tuple[Behaviour, bool]] = {
    "before headers": (Behaviour(fault=Stall("headers")), False),
    "in silence": (Behaviour(fault=Silence()), True),
    "while it thinks": (Behaviour(latency=1000), False),
    "before content": (Behaviour(fault=Stall()), True),
    "in mid-stream": (Behaviour(fault=Stall(3)), True),
    "between tokens": (Behaviour(tokens=100, pace_s=7), True),
    "while pinged": (Behaviour(fault=PingOnly(7)), True),
    "in a trickle": (Behaviour(fault=Trickle(7)), False),
    "in the queue": (Behaviour(latency=1000, fault=Capacity(1, queue=True)), False),
}


@in_each_dialect
@pytest.mark.parametrize("case", list(LEFT))
@virtual_time
async def test_a_client_that_goes_away(case: str, dialect: str) -> None:
    """Wherever a client leaves, 50 ms later none of its requests is under way at the endpoint."""
    behaviour, stream = LEFT[case]
    async with simulated(behaviour) as endpoint:
        await together(endpoint, 3, dialect=dialect, stream=stream, within_s=5)
        await anyio.sleep(0.05)

        stats = endpoint.stats
        assert (stats.requests, stats.in_flight, stats.cancelled) == (3, 0, 3)


@pytest.mark.parametrize("fault", [None, Stall(1)], ids=["whole", "stall"])
@virtual_time
async def test_a_client_that_goes_away_while_it_is_answered(
    fault: Fault | None, caplog: pytest.LogCaptureFixture
) -> None:
    """Whichever turn of the loop a client leaves at, it counts as the client's doing and is not logged."""
    for turns in range(12):
        async with simulated(Behaviour(tokens=2, pace_s=1, fault=fault)) as endpoint:
            client = asked_by_hand(endpoint)
            for _ in range(turns):
                await anyio.lowlevel.checkpoint()
            client.close()
            await anyio.sleep(0.05)

            stats = endpoint.stats
            assert (stats.in_flight, stats.completed) == (0, 0)
            # Before it was read as a request it is none.
            assert stats.requests == stats.cancelled <= 1
    assert stats.requests == 1
    assert caplog.records == []


def asked_by_hand(endpoint: SimulatedEndpoint) -> socket.socket:
    """A connection with a request on it, of which nobody reads the answer."""
    host, port = endpoint.url("anthropic").removeprefix("http://").partition("/")[0].split(":")
    client = socket.create_connection((host, int(port)))
    body = b'{"model":"m","stream":true,"messages":[{"role":"user","content":"hi"}]}'
    head = f"POST /primary/v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n\r\n"
    client.sendall(head.encode() + body)
    return client


@pytest.mark.parametrize(
    "behaviour",
    [Behaviour(fault=Huge(30_000_000)), Behaviour(text="x" * 100_000 + " y" * 100_000)],
    ids=["one word", "many"],
)
@virtual_time
async def test_a_client_that_does_not_read(behaviour: Behaviour) -> None:
    """An answer that nobody reads stays under way until the client leaves."""
    async with simulated(behaviour) as endpoint:
        client = asked_by_hand(endpoint)  # because aiohttp's own would read on into its buffers
        await anyio.sleep(60)
        assert endpoint.stats.in_flight == 1
        client.close()
        await anyio.sleep(0.05)

        assert (endpoint.stats.in_flight, endpoint.stats.cancelled) == (0, 1)


@pytest.mark.parametrize(
    "fault", [None, Silence(), Stall(1), PingOnly(), Cut(1), Huge(20_000_000)], ids=lambda f: type(f).__name__
)
def test_its_end_is_prompt(fault: Fault | None) -> None:
    """Leaving the block takes no time and leaves neither task nor connection, whatever is under way."""

    async def main() -> float:
        behaviour = Behaviour(latency=1, pace_s=1, fault=fault)
        async with aiohttp.ClientSession() as session, simulated(behaviour) as endpoint:
            before = asyncio.all_tasks()
            body = {"model": "m", "stream": True, "messages": [{"role": "user", "content": "hi"}]}
            asked = [
                asyncio.create_task(session.post(f"{endpoint.url('openai')}/chat/completions", json=body))
                for _ in range(5)
            ]
            await anyio.sleep(2.5)
            left_at = clock.now()
        for answer in await asyncio.gather(*asked, return_exceptions=True):
            if isinstance(answer, aiohttp.ClientResponse):
                answer.close()
        assert asyncio.all_tasks() <= before
        assert endpoint.stats.in_flight == 0
        return clock.now() - left_at

    assert run(main) == 0


@virtual_time
async def test_its_end_when_cancelled() -> None:
    """A block that is cancelled closes the simulator as well."""
    with anyio.move_on_after(1):
        async with Simulator() as sim:
            endpoint = sim.add("primary", Behaviour(fault=Silence()), own_port=True)
            await ask(endpoint)

    assert endpoint.stats.in_flight == 0
    assert (await ask_raw(endpoint.url("openai"))) == "refused"


async def ask_raw(url: str) -> str:
    async with aiohttp.ClientSession() as session:
        try:
            async with session.post(f"{url}/chat/completions", json={}) as response:
                return str(response.status)
        except aiohttp.ClientConnectorError:
            return "refused"


@virtual_time
async def test_serve_runs_until_cancelled() -> None:
    """`serve` has the stated endpoints and says when it listens."""
    listening: list[Simulator] = []

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(
            lambda: serve(
                port=0, endpoints={"a": Behaviour(tokens=2), "b": Behaviour()}, ready=listening.append
            )
        )
        await anyio.lowlevel.checkpoint()
        (sim,) = listening
        seen = await ask(sim.endpoint("a"))
        tasks.cancel_scope.cancel()

    assert seen.words == 2
    assert sorted(sim.endpoints) == ["a", "b"]


def test_a_port_that_is_taken() -> None:
    """A port that somebody else listens at is an `OSError` on entry, and nothing stays open."""

    async def main() -> None:
        async with Simulator() as sim:
            port = int(sim.url.rpartition(":")[2])
            with pytest.raises(OSError, match="in use"):
                async with Simulator(port=port) as second:
                    second.add("never")

    run(main)


@virtual_time
async def test_latencies_are_seeded_and_as_stated() -> None:
    """The median is the stated one, stragglers are as many as stated, and the seed decides."""
    behaviour = Behaviour(latency=Lognormal(0.4, sigma=0.3, straggler_ratio=0.1, straggler_factor=20))

    async def times(seed: int) -> list[float]:
        async with Simulator(seed=seed) as sim:
            started = clock.now()
            seen = await together(sim.add("primary", behaviour), 200)
            return sorted(one.ended_at - started for one in seen)

    first = await times(1)

    assert first == pytest.approx(await times(1))
    assert first != pytest.approx(await times(2))
    assert 0.35 < first[len(first) // 2] < 0.47
    assert 8 <= sum(seconds > 2.5 for seconds in first) <= 35


def test_many_streams_in_no_time() -> None:
    """300 streams of five events over 100 virtual seconds need a few real seconds, and all are whole."""

    async def main() -> tuple[int, float]:
        behaviour = Behaviour(latency=20, tokens=5, pace_s=20)
        async with simulated(behaviour) as endpoint:
            seen = await together(endpoint, 300, stream=True, within_s=101)
            assert {(one.ending, one.words) for one in seen} == {("whole", 5)}
            return endpoint.stats.completed, clock.now()

    started = time.perf_counter()
    assert run(main) == (300, 100)
    assert time.perf_counter() - started < 15
