"""Changing a chain while it runs: the next call goes by the new file, what is under way by the old one."""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

import anyio
import attrs
import pytest
from prometheus_client import CollectorRegistry

import fallbackio
from fallbackio import Chain, ConfigError, Endpoint
from fallbackio.chain import Route
from fallbackio.config._making import LEARNT
from fallbackio.errors import ChainExhausted, DeadlineExceeded, ServerFault
from fallbackio.events import BreakerMoved, FallbackRateFell, FallbackRateRose
from fallbackio.observe.prometheus import PrometheusSink
from fallbackio.simulator import Behaviour, Cut, InTurn, RateLimit, Simulator, Status
from fallbackio.testing import RecordingSink, ScriptedEndpoint, answers, fails, virtual_time

DOWN = ServerFault(status=503)


def file_of(folder: Path, steps: Iterable[str], settings: str = "", sections: str = "") -> Path:
    """A file in which each name is an endpoint somewhere."""
    names = list(steps)
    given = [f'[endpoint.{one}]\nmodel = "m"\nbase_url = "http://127.0.0.1:9"' for one in names]
    lines = ["[chain.chat]", f"steps = {names!r}", settings, *given, sections]
    path = folder / "chain.toml"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def playing(*scripted: ScriptedEndpoint) -> Callable[[Endpoint], Endpoint]:
    """Puts a scripted endpoint in the place of the one of its name."""
    by_name = {one.endpoint.name: one.endpoint for one in scripted}
    return lambda one: attrs.evolve(by_name[one.name], max_in_flight=one.max_in_flight)


@virtual_time
async def test_the_next_call_goes_by_the_new_file(tmp_path: Path) -> None:
    """Endpoints and settings; what changed is returned."""
    a, b = ScriptedEndpoint(answers("a"), name="a"), ScriptedEndpoint(answers("b"), name="b")
    chain = Chain.from_toml(file_of(tmp_path, "a"), adjust=playing(a, b))
    assert (await chain.complete("hi")).text == "a"

    file_of(tmp_path, "ba", "timeout = 7")
    changed = chain.reload()

    assert (await chain.complete("hi")).text == "b"
    assert chain._setup.limits.timeout == 7
    assert (changed.kept, changed.added, changed.removed, changed.changed) == (("a",), ("b",), (), ())
    assert str(changed) == "kept a, added b"


@virtual_time
async def test_calls_under_way_keep_the_old_file_under_load(tmp_path: Path) -> None:
    """Calls that began before the reload fail over within the old chain; later ones see none of it."""
    old = ScriptedEndpoint(fails(DOWN, after_s=2), name="old")
    old_spare = ScriptedEndpoint(answers("old spare", after_s=1), name="spare")
    new = ScriptedEndpoint(answers("new", after_s=0.1), name="new")
    settings = "breaker = { consecutive = 1000, rates = [] }\nmax_retries = 0"
    chain = Chain.from_toml(
        file_of(tmp_path, ["old", "spare"], settings), adjust=playing(old, old_spare, new)
    )
    said: Counter[tuple[str, str]] = Counter()

    async def call(when: str) -> None:
        said[when, (await chain.complete("hi")).text or ""] += 1

    async with anyio.create_task_group() as group:
        for _ in range(100):
            group.start_soon(call, "before")
            await anyio.sleep(0.01)
        file_of(tmp_path, ["new"], "timeout = 0.5")
        chain.reload()
        for _ in range(100):
            group.start_soon(call, "after")
            await anyio.sleep(0.01)

    assert said == {("before", "old spare"): 100, ("after", "new"): 100}


@virtual_time
async def test_deadlines_of_calls_under_way_stay(tmp_path: Path) -> None:
    """A new time limit is for new calls."""
    slow = ScriptedEndpoint(answers("slow", after_s=5), name="slow")
    chain = Chain.from_toml(file_of(tmp_path, ["slow"], "timeout = 9"), adjust=playing(slow))

    async with anyio.create_task_group() as group:
        texts: list[str | None] = []

        async def call() -> None:
            texts.append((await chain.complete("hi")).text)

        group.start_soon(call)
        await anyio.sleep(1)
        file_of(tmp_path, ["slow"], "timeout = 1")
        chain.reload()
        with pytest.raises(DeadlineExceeded):
            await chain.complete("hi")

    assert texts == ["slow"]


@virtual_time
async def test_a_stream_under_way_is_mended_by_the_old_file(tmp_path: Path) -> None:
    """Its endpoints and its `on_break` are those of its beginning."""
    async with Simulator() as sim:
        broken = sim.add("a", Behaviour(tokens=9, pace_s=0.1, fault=Cut(4)))
        spare = sim.add("b", Behaviour(tokens=9))
        urls = {"a": broken.url(), "b": spare.url()}
        path = file_of(tmp_path, "ab", 'on_break = "restart"')
        adjust = lambda one: attrs.evolve(one, base_url=urls[one.name])  # noqa: E731
        async with Chain.from_toml(path, adjust=adjust) as chain:
            async with chain.stream("hi") as stream:
                file_of(tmp_path, "a", 'on_break = "raise"')
                chain.reload()
                async for _ in stream:
                    pass

    assert stream.report.restarts == 1


@virtual_time
async def test_breakers_and_times_of_unchanged_endpoints_stay(tmp_path: Path) -> None:
    """What is known of an endpoint that is still the same is not learnt anew."""
    a = ScriptedEndpoint(fails(DOWN), name="a")
    b = ScriptedEndpoint(answers("b"), name="b")
    chain = Chain.from_toml(file_of(tmp_path, "ab", "max_retries = 0"), adjust=playing(a, b))
    for _ in range(6):
        await chain.complete("hi")
    before = chain._setup.named
    assert before["a"].breaker.phase == "open"
    asked = a.requests

    file_of(tmp_path, "ab", "max_retries = 0\nbreaker = { consecutive = 2, window_s = 60 }")
    chain.reload()
    await chain.complete("hi")

    after = chain._setup.named
    assert a.requests == asked
    assert after["a"].breaker is before["a"].breaker
    assert after["a"].breaker.phase == "open"
    assert after["b"].tempo is before["b"].tempo
    assert after["b"].room is before["b"].room
    assert after["a"].breaker.policy.consecutive == 2


@virtual_time
async def test_an_endpoints_own_settings_change_without_its_breaker(tmp_path: Path) -> None:
    """A weight or a parameter makes no other endpoint of it; another address does."""
    path = file_of(tmp_path, "a")
    chain = Chain.from_toml(path)
    (before,) = chain._routes

    path.write_text(path.read_text().replace('model = "m"', 'model = "m"\nparams = { seed = 1 }\nrpm = 9'))
    changed = chain.reload()

    assert changed.changed == ("a",)
    assert chain._routes[0].breaker is before.breaker
    assert chain._routes[0].spec.params == {"seed": 1}
    assert chain._routes[0].room.shared.given_requests is not None

    path.write_text(path.read_text().replace(":9", ":10"))
    chain.reload()

    assert chain._routes[0].breaker is not before.breaker


@virtual_time
async def test_learnt_limits_stay_also_for_newcomers_of_their_group(tmp_path: Path) -> None:
    """A key's limits are the key's, whatever the file says besides."""
    async with Simulator() as sim:
        served = sim.add("a", Behaviour(fault=RateLimit(rpm=3)))
        adjust = lambda one: attrs.evolve(one, base_url=served.url())  # noqa: E731
        async with Chain.from_toml(file_of(tmp_path, "a"), adjust=adjust) as chain:
            await chain.complete("hi")
            known = chain._routes[0].room.shared
            assert known.requests is not None

            file_of(tmp_path, "ba")
            chain.reload()

            assert [route.room.shared is known for route in chain._routes] == [True, True]


@virtual_time
async def test_newcomers_of_a_group_rest_with_it(tmp_path: Path) -> None:
    """Who shares the key since a reload is left alone with the others after a 429."""
    async with Simulator() as sim:
        served = sim.add("a", Behaviour(fault=InTurn((Status(429, retry_after_s=5),))))
        adjust = lambda one: attrs.evolve(one, base_url=served.url())  # noqa: E731
        async with Chain.from_toml(file_of(tmp_path, "a"), adjust=adjust) as chain:
            file_of(tmp_path, "ba")
            chain.reload()

            report = (await chain.complete("hi")).report

            tried = [(attempt.endpoint, attempt.outcome) for attempt in report.attempts]
            assert tried == [("b", "failed"), ("a", "skipped"), ("a", "won")]
            assert served.stats.by_status == {429: 1, 200: 1}


@virtual_time
async def test_a_bad_file_changes_nothing(tmp_path: Path) -> None:
    """The running chain goes on as it was, whatever is wrong."""
    a = ScriptedEndpoint(answers("a"), name="a")
    path = file_of(tmp_path, "a", "timeout = 9")
    chain = Chain.from_toml(path, adjust=playing(a))
    before = chain._setup
    policy = before.routes[0].breaker.policy

    for text in (
        "[chain.chat]\nsteps = [",
        "[chain.chat]\nsteps = ['a']\ntimout = 3\nbreaker = { consecutive = 2 }",
        "[chain.other]\nsteps = ['openai/gpt-4o']",
        "[chain.chat]\nsteps = ['nowhere']",
        "[chain.chat]\nsteps = ['a']\nwarm = 7",
    ):
        path.write_text(text)
        with pytest.raises(ConfigError):
            chain.reload()
        assert chain._setup is before
    path.unlink()
    with pytest.raises(ConfigError, match="cannot be read"):
        chain.reload()

    assert before.routes[0].breaker.policy == policy
    assert (await chain.complete("hi")).text == "a"


@virtual_time
async def test_a_missing_key_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key is missed at the reload, not in the outage."""
    monkeypatch.delenv("MISSING", raising=False)
    path = file_of(tmp_path, "a")
    chain = Chain.from_toml(path)
    before = chain._setup

    path.write_text(path.read_text() + '\napi_key_env = "MISSING"')
    with pytest.raises(ConfigError, match="set MISSING"):
        chain.reload()

    assert chain._setup is before


@virtual_time
async def test_connections_are_kept(tmp_path: Path) -> None:
    """The session and its open connections serve the new settings; new limits hold for new requests."""
    async with Simulator() as sim:
        served = sim.add("a")
        adjust = lambda one: attrs.evolve(one, base_url=served.url())  # noqa: E731
        async with Chain.from_toml(file_of(tmp_path, "a"), adjust=adjust) as chain:
            await chain.complete("hi")
            session = chain._making.session
            http = session.http

            file_of(tmp_path, "a", "connect_timeout = 3\nmax_answer_bytes = 8")
            chain.reload()

            assert chain._making.session is session
            assert session.http is http
            assert session.timeout.connect == 3
            with pytest.raises(ChainExhausted, match="max_answer_bytes=8"):
                await chain.complete("hi")


@virtual_time
async def test_sessions_stay_where_they_are(tmp_path: Path) -> None:
    """A conversation keeps to its endpoint across a reload, and leaves it when the endpoint is gone."""
    a, b = ScriptedEndpoint(answers("a"), name="a"), ScriptedEndpoint(answers("b"), name="b")
    chain = Chain.from_toml(file_of(tmp_path, "ab"), adjust=playing(a, b))
    session = chain.session()
    await session.complete("hi")

    file_of(tmp_path, "ba")
    chain.reload()
    assert (await session.complete("hi")).text == "a"

    file_of(tmp_path, "b")
    chain.reload()
    assert (await session.complete("hi")).text == "b"
    assert session.endpoint == "b"


@virtual_time
async def test_a_session_comes_back_to_a_new_first_choice(tmp_path: Path) -> None:
    """An endpoint that is no longer the first choice is left after the usual time."""
    a, b = ScriptedEndpoint(answers("a"), name="a"), ScriptedEndpoint(answers("b"), name="b")
    chain = Chain.from_toml(file_of(tmp_path, "ab"), adjust=playing(a, b))
    session = chain.session(return_after_s=60)
    await session.complete("hi")
    file_of(tmp_path, "ba")
    chain.reload()

    await session.complete("hi")
    await anyio.sleep(61)

    assert (await session.complete("hi")).text == "b"


@virtual_time
async def test_what_was_given_in_code_stays(tmp_path: Path) -> None:
    """Sinks hear of new endpoints too, and once; a setting given in code wins over the new file's."""
    a, b = ScriptedEndpoint(answers("a"), name="a"), ScriptedEndpoint(answers("b"), name="b")
    sink = RecordingSink()
    chain = Chain.from_toml(file_of(tmp_path, "a"), adjust=playing(a, b), sinks=[sink], timeout=3)

    file_of(tmp_path, "b", "timeout = 9")
    chain.reload()
    await chain.complete("hi")

    assert chain._setup.limits.timeout == 3
    assert len(sink.of(fallbackio.events.CallEnded)) == 1
    await chain.aclose()


@virtual_time
async def test_nothing_is_lost_in_reloads_under_load(tmp_path: Path) -> None:
    """While endpoints fail, calls are cancelled and wait for room, every permit and place comes back."""
    lots = random.Random(5)
    sick = ScriptedEndpoint(*[fails(DOWN, after_s=0.2), answers("a", after_s=0.3)] * 500, name="a")
    well = ScriptedEndpoint(answers("b", after_s=0.4), name="b")
    spare = ScriptedEndpoint(answers("c", after_s=0.2), name="c")
    settings = "breaker = { consecutive = 3, open_s = 0.5 }\nretry = { base_s = 0.05 }"
    chain = Chain.from_toml(file_of(tmp_path, "ab", settings), adjust=playing(sick, well, spare), seed=1)
    setups = [chain._setup]
    answered = 0

    async def call(patience: float) -> None:
        nonlocal answered
        with anyio.move_on_after(patience):
            try:
                await chain.complete("hi")
                answered += 1
            except ChainExhausted:
                pass  # the steps at that moment were all sick

    async with anyio.create_task_group() as group:
        for number in range(400):
            group.start_soon(call, lots.choice([0.1, 0.35, 9.0]))
            await anyio.sleep(lots.choice([0.0, 0.01, 0.05]))
            if number % 10 == 9:
                steps = lots.sample("abc", lots.randint(1, 3))
                limit = lots.choice(["", "\nmax_in_flight = 2"])
                path = file_of(tmp_path, steps, settings + f"\nmax_retries = {lots.randint(0, 2)}")
                path.write_text(path.read_text().replace('model = "m"', 'model = "m"' + limit))
                chain.reload()
                setups.append(chain._setup)

    routes = [route for setup in setups for route in setup.routes]
    assert len(setups) == 41
    assert answered > 100
    assert {route.breaker.in_flight for route in routes} == {0}
    assert {route.room.in_flight for route in routes} == {0}
    assert {setup.budget.under_way for setup in setups} == {0}
    assert len(chain._line) == 0


def test_every_part_of_a_route_is_learnt_or_given() -> None:
    """A field that is added to a route is kept in a reload if it holds experience."""
    given = {"spec", "provider", "room", "ramp", "compared", "listing", "price", "server"}

    assert {one.name for one in attrs.fields(Route)} == given | {*LEARNT}


def test_the_early_warning_goes_on_counting_unless_it_changes(tmp_path: Path) -> None:
    """A reload that has nothing to do with it must not make it forget what is usual."""
    chain = Chain.from_toml(file_of(tmp_path, "a"))
    counted = chain._tell.rate

    file_of(tmp_path, "a", "timeout = 7")
    chain.reload()
    assert chain._tell.rate is counted

    file_of(tmp_path, "a", "early_warning = { ratio = 0.2 }")
    chain.reload()
    assert chain._tell.rate is not None
    assert chain._tell.rate.policy.ratio == 0.2

    file_of(tmp_path, "a", 'early_warning = "off"')
    chain.reload()
    assert chain._tell.rate is None


@pytest.mark.parametrize("how", ["asked no more", "asked otherwise"])
@virtual_time
async def test_a_circuit_does_not_stay_open_in_telemetry(how: str, tmp_path: Path) -> None:
    """Whoever takes a broken endpoint out, or mends its key, ends its alert; last calls do not renew it."""
    old = ScriptedEndpoint(fails(DOWN), fails(DOWN), fails(DOWN, after_s=5), name="a")
    mended = ScriptedEndpoint(answers("mended"), name="a")
    spare = ScriptedEndpoint(answers("spare"), name="b")
    playing_now = {"a": old, "b": spare}
    registry, sink = CollectorRegistry(), RecordingSink()
    settings = "breaker = { consecutive = 2, rates = [] }\nmax_retries = 0"
    chain = Chain.from_toml(
        file_of(tmp_path, "ab", settings),
        adjust=lambda one: playing_now[one.name].endpoint,
        sinks=[sink, PrometheusSink(registry)],
    )

    def shown(state: str) -> float | None:
        labels = {"chain": "chat", "endpoint": "a", "state": state}
        return registry.get_sample_value("fallbackio_breaker_state", labels)

    await chain.complete("hi")
    await chain.complete("hi")
    assert shown("open") == 1
    async with anyio.create_task_group() as group:
        await anyio.sleep(60)
        group.start_soon(chain.complete, "hi")  # the probe
        await anyio.sleep(1)
        playing_now["a"] = mended
        if how == "asked no more":
            file_of(tmp_path, "b", settings)
        chain.reload()
        assert (shown("open"), shown("half_open"), shown("closed")) == (0, 0, 1)

    assert shown("open") == 0
    assert [move.reason for move in sink.of(BreakerMoved)][-1] == "the chain was reloaded"


@virtual_time
async def test_an_early_warning_is_taken_back_with_its_settings(tmp_path: Path) -> None:
    """What nobody counts any more does not stand for ever."""
    a, b = ScriptedEndpoint(fails(DOWN), name="a"), ScriptedEndpoint(answers("b"), name="b")
    sink = RecordingSink()
    settings = "breaker = { consecutive = 1000, rates = [] }\nmax_retries = 0"
    chain = Chain.from_toml(file_of(tmp_path, "ab", settings), adjust=playing(a, b), sinks=[sink])
    for _ in range(30):
        await chain.complete("hi")
    assert chain.health().fallback_rate_risen

    file_of(tmp_path, "ab", f'{settings}\nearly_warning = "off"')
    chain.reload()

    assert (len(sink.of(FallbackRateRose)), len(sink.of(FallbackRateFell))) == (1, 1)


@virtual_time
async def test_another_file_may_take_its_place(tmp_path: Path) -> None:
    """From then on it is the one that is read again; a relative path stays where it was."""
    (tmp_path / "other").mkdir()
    here = Path.cwd()
    os.chdir(tmp_path)
    try:
        chain = Chain.from_toml(file_of(Path(), "a").name)
    finally:
        os.chdir(here)
    chain.reload()

    chain.reload(file_of(tmp_path / "other", "bc"))
    assert list(chain._setup.named) == ["b", "c"]

    file_of(tmp_path / "other", "c")
    chain.reload()
    assert list(chain._setup.named) == ["c"]


@virtual_time
async def test_only_a_chain_of_a_file_is_reloaded(tmp_path: Path) -> None:
    """Others have nothing to read; a closed one has no use for it."""
    with pytest.raises(ConfigError, match=r"use Chain\.from_toml"):
        Chain(["ollama/llama3"]).reload()

    chain = Chain.from_toml(file_of(tmp_path, "a"))
    await chain.aclose()
    with pytest.raises(ConfigError, match="chat is closed"):
        chain.reload()
