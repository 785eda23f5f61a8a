"""Drills: what is measured is what happens, and the same seed gives the same."""

from __future__ import annotations

import logging
import math
import os
import subprocess
import sys
from pathlib import Path
from threading import Event, Thread

import orjson
import pytest
from drill_kit import CHAIN, FIRST, SECOND, THIRD, drilled, outage

import fallbackio
from fallbackio import Chain, Endpoint, Pool
from fallbackio.config.files import read_toml
from fallbackio.dialects import DIALECTS
from fallbackio.drill import Quantiles, drill
from fallbackio.errors import ConfigError
from fallbackio.simulator import Behaviour, Cut, Phase, Scenario, Silence, Status, scenarios

TOML = """
[chain.main]
steps = ["openai/gpt-4o-mini", "anthropic/claude-3-5-haiku-latest"]
attempt_timeout = 5
"""


def test_an_outage_in_figures() -> None:
    """A dead first choice costs nobody an answer, and the figures tell who answered when and why."""
    result = drilled(Status(503))

    healthy, sick, recovered = result.phases
    assert [one.name for one in result.phases] == ["healthy", "outage", "recovery"]
    assert sum(one.calls for one in result.phases) == result.total.calls == len(result.calls)
    assert result.total.success == 1.0
    assert healthy.served == {FIRST: healthy.calls}
    assert sick.served == {SECOND: sick.calls}
    assert FIRST in recovered.served
    assert sick.sick == (FIRST,)
    assert healthy.sick == ()
    assert {(one.origin, one.reason) for one in sick.failovers} == {
        (FIRST, "Overloaded (503)"),
        (FIRST, "Refused"),
    }
    assert healthy.requests_per_call == 1.0
    assert result.breaches == ()


def test_how_the_trouble_was_found_out() -> None:
    """Five failures in a row open the breaker; until then and from then on requests are counted apart."""
    (trouble,) = drilled(Status(503)).troubles

    assert trouble.endpoint == FIRST
    assert (trouble.begins_s, trouble.ends_s) == (20, 40)
    assert trouble.reached_before == 5
    assert 1 <= trouble.reached_after <= 3
    assert trouble.left_alone_s is not None
    assert 1 < trouble.left_alone_s < 6
    assert trouble.returned_s is not None
    assert trouble.returned_s < 20


@pytest.mark.parametrize("streaming", [True, False], ids=["streamed", "plain"])
@pytest.mark.parametrize("strategy", ["sequence", "hedge"])
def test_a_call_now_and_then_is_spared_the_sick_as_well(strategy: str, streaming: bool) -> None:
    """Of the 15 calls of a minute's outage, 4 s apart, at most 4 reach the sick endpoint, and none fails."""
    result = drill(CHAIN, "outage-60s", strategy=strategy, streaming=streaming)

    sick = result.phase("outage")
    assert (sick.calls, result.total.success) == (15, 1.0)
    assert 3 <= sick.to_sick <= 4
    assert FIRST in result.phase("recovery").served


def test_requests_to_the_sick_are_the_simulator_s_own_count() -> None:
    """What reached the endpoint in trouble is what it has seen, and what the ledgers have."""
    result = drilled(Status(503))
    (trouble,) = result.troubles

    assert result.total.to_sick == result.phase("outage").requests[FIRST]
    assert result.total.to_sick == trouble.reached_before + trouble.reached_after


def test_times_are_the_simulated_ones() -> None:
    """A call takes what the simulator takes, to the millisecond, in virtual time."""
    result = drilled(None)

    assert result.total.latency.p50 == pytest.approx(0.2 + 19 * 0.01, abs=1e-3)
    assert result.total.ttft is not None
    assert result.total.ttft.p999 == pytest.approx(0.2, abs=1e-3)


def test_plain_calls_have_no_first_content() -> None:
    """Where nothing is streamed there is no time to the first content, and no figure for it."""
    result = drilled(None, streaming=False)

    assert result.total.ttft is None
    assert result.total.latency.p50 == pytest.approx(0.4, abs=1e-3)


def test_an_embedding_model_is_asked_for_vectors() -> None:
    """A chain of an embedding model is drilled by what it is for; models that do not mix are said."""
    model = "text-embedding-3-small"
    chain = [f"openai/{model}", Endpoint(model, name="own", vendor="v", base_url="http://v/v1")]
    result = drilled(Status(503), chain, embedding=True)
    mixed = drilled(None, CHAIN[:1] + chain, embedding=True)

    result.require(success=1.0)
    assert result.phase("outage").served == {"own": result.phase("outage").calls}
    assert (result.streaming, result.embedding, result.total.ttft) == (False, True, None)
    assert "ConfigError: " in next(iter(mixed.total.errors))


def test_a_call_counts_where_it_is_made() -> None:
    """A call of the last healthy second that ends in the outage is a healthy call."""
    result = drilled(Silence(), attempt_timeout=5)

    assert all(call.phase == int(call.due_s // 20) for call in result.calls)


def test_what_nobody_can_answer_is_a_failure_with_its_causes() -> None:
    """A failed call is counted with what each endpoint failed with."""
    every = {role: Behaviour(fault=Status(500)) for role in ("primary", "secondary", "tertiary")}
    dead = Scenario(
        name="dead",
        summary="All are dead.",
        phases=[Phase(name="outage", lasts_s=5, roles=every)],
        rate=1,
        arrivals="even",
    )
    result = drill(CHAIN, dead, max_retries=0)

    assert result.total.success == 0.0
    assert result.total.failed == 5
    assert not [move for move in result.moves if move.state == "closed"]  # nor at the chain's end
    assert next(iter(result.total.errors)) == (
        f"ChainExhausted: {FIRST} ServerFault (500), {SECOND} ServerFault (500), {THIRD} ServerFault (500)"
    )


def test_an_error_that_is_allowed_is_a_right_end() -> None:
    """Where an error is what should come, it is no failure."""
    result = drill(CHAIN, "content-filter")

    assert result.total.success == 1.0
    assert result.phase("fault").allowed == 20
    assert result.phase("fault").failed == 0


def test_an_error_that_is_allowed_is_no_quick_answer() -> None:
    """A refusal within a millisecond makes no answer look quicker: times are of answers only."""
    result = drill(CHAIN, "content-filter")
    healthy = [call.latency_s for call in result.calls if call.outcome == "answered"]

    assert math.isnan(result.phase("fault").latency.p50)
    assert result.total.latency == Quantiles.of(healthy)
    assert result.shortcomings(phase="fault", p99_s=10) == ["p99_s is not known, so not at most 10"]


def test_a_broken_stream_is_mended_and_counted() -> None:
    """An answer that is cut in the middle arrives whole, at the cost of another request."""
    result = drilled(Cut(after_tokens=10))

    assert result.total.success == 1.0
    assert result.breaches == ()
    assert result.phase("outage").requests_per_call > 1.0


def test_cost_is_counted_where_prices_are_known() -> None:
    """What drills cost is the sum of the ledgers; without a price nothing is said."""
    price = (1_000_000.0, 1_000_000.0)
    priced = [Endpoint("m", name="a", vendor="v", base_url="http://a/v1", price=price)]
    free = [Endpoint("m", name="a", vendor="v", base_url="http://a/v1")]

    costly = drilled(None, priced).total
    assert costly.cost is not None
    assert costly.cost == pytest.approx(sum(call.cost or 0 for call in drilled(None, priced).calls))
    assert costly.cost > 20 * costly.calls  # a dollar for each of 20 tokens, and the prompts
    assert drilled(None, free).total.cost is None


def test_the_same_seed_gives_the_same_result() -> None:
    """Two runs are the same to the last digit; another seed is another run."""
    first, again, other = (
        drill(CHAIN, "s3", duration_s=60, seed=seed, strategy="hedge").to_dict() for seed in (1, 1, 2)
    )

    assert orjson.dumps(first) == orjson.dumps(again)
    assert orjson.dumps(first) != orjson.dumps(other)


def test_the_same_seed_gives_the_same_in_every_process() -> None:
    """Figures and page depend on no order in which a process hashes names, no time zone and no language."""
    pytest.importorskip("matplotlib")
    code = (
        "import sys, orjson; from fallbackio.drill import drill; from fallbackio.drill.report import html;"
        f"result = drill({CHAIN!r}, 's7', duration_s=40, strategy='race');"
        "sys.stdout.buffer.write(orjson.dumps(result.to_dict()) + html(result).encode())"
    )
    said = {
        subprocess.run(  # noqa: S603 - our own code
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed, "TZ": zone, "LC_ALL": language},
            capture_output=True,
            check=True,
        ).stdout
        for seed, zone, language in (("1", "Asia/Tokyo", "C"), ("2", "America/New_York", "C.UTF-8"))
    }

    assert len(said) == 1


def test_two_policies_get_the_same_calls() -> None:
    """Arrivals are drawn apart from all else, so that what differs is the policy's doing."""
    sequence, hedge = (
        drill(CHAIN, "s6", duration_s=60, strategy=strategy) for strategy in ("sequence", "hedge")
    )

    assert [call.due_s for call in sequence.calls] == [call.due_s for call in hedge.calls]


def test_a_chain_of_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file is drilled without its keys, by its path or as it was read, and settings can be replaced."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    path = tmp_path / "ours.toml"
    path.write_text(TOML, encoding="utf-8")

    by_path = drill(path, outage(Silence()))
    as_read = drill(read_toml(path), outage(Silence()))
    quicker = drill(path, outage(Silence()), ttft_timeout=1)

    assert by_path.chain == "ours"
    assert [one.name for one in by_path.endpoints] == [FIRST, SECOND]
    assert by_path.total == as_read.total
    assert 5 < by_path.phase("outage").latency.longest < 6
    assert quicker.phase("outage").latency.longest < 2


def test_a_scenario_of_a_file(tmp_path: Path) -> None:
    """A scenario's file is given as text or as a path, whatever it is called."""
    path = tmp_path / "ours.toml"
    path.write_text(outage(Status(503)).to_toml(), encoding="utf-8")
    bare = tmp_path / "ours"
    bare.write_text(path.read_text(encoding="utf-8"), encoding="utf-8")

    by_text, by_path, by_bare = (drill(CHAIN, one, seed=7) for one in (str(path), path, bare))

    assert by_text.total == by_path.total == by_bare.total
    assert by_path.seed == 7


def test_an_endpoint_keeps_all_but_its_place() -> None:
    """Name, vendor, dialect and limits are the user's own; address, key and function are the drill's."""

    async def ask(request: fallbackio.Request) -> str:
        raise AssertionError("a drill must not leave the machine")

    chain: list[str | Endpoint | Pool] = [
        Endpoint.calling(ask, name="ours", max_in_flight=1),
        Pool(["anthropic/claude-3-5-haiku-latest", Endpoint("gemini/gemini-2.5-flash", name="flash")]),
        Endpoint("m", base_url="https://models.example/v1", api_key="secret"),
        Endpoint("gpt-4o", vendor="azure", base_url="https://x.openai.azure.com?api-version=2024-10-21"),
    ]
    result = drilled(Status(503), chain)

    assert result.total.success == 1.0
    assert [(one.name, one.vendor, one.dialect, one.role) for one in result.endpoints] == [
        ("ours", "ours", "openai", "primary"),
        ("anthropic/claude-3-5-haiku-latest", "anthropic", "anthropic", "secondary"),
        ("flash", "gemini", "gemini", "tertiary"),
        ("models.example/m", "models.example", "openai", "other"),
        ("azure/gpt-4o", "azure", "azure", "other"),
    ]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_dialect_can_be_drilled(dialect: str) -> None:
    """Whatever a vendor speaks, its stand-in speaks it too, plain and streamed."""
    chain = [Endpoint("some-model", vendor="v", base_url="http://v", dialect=dialect)]
    for streaming in (True, False):
        result = drill(chain, outage(None, seconds=3), streaming=streaming)
        assert result.total.success == 1.0, result.total.errors


def test_somebody_else_can_be_sick() -> None:
    """`sick` makes another endpoint the one in trouble."""
    result = drilled(Status(503), sick=SECOND)

    assert result.phase("outage").sick == (SECOND,)
    assert result.total.served == {FIRST: result.total.calls}


def test_real_time_passes() -> None:
    """In real time the same is measured, over real sockets, for as long as it takes."""
    short = Scenario(
        name="short",
        summary="Half a second.",
        phases=[
            Phase(name="healthy", lasts_s=0.2),
            Phase(name="outage", lasts_s=0.3, roles={"primary": Behaviour(fault=Status(503))}),
        ],
        healthy=dict.fromkeys(("primary", "secondary", "tertiary"), Behaviour(latency=0.01)),
        rate=20,
        arrivals="even",
    )
    result = drill(CHAIN, short, real_time=True)

    assert result.total.success == 1.0
    assert result.breaches == ()
    assert result.phase("outage").calls == 6


def test_progress_is_told() -> None:
    """Whoever watches is told how far it is."""
    told: list[tuple[float, int, int]] = []
    drilled(Status(503), on_tick=lambda *seen: told.append(seen))

    seconds, calls, failed = zip(*told, strict=True)
    assert seconds == tuple(sorted(seconds))
    assert calls[-1] > calls[0]
    assert set(failed) == {0}


def test_drills_in_two_threads_give_the_log_back(caplog: pytest.LogCaptureFixture) -> None:
    """While one of them goes on fallbackio says nothing; when both are over it speaks again."""
    first_runs, second_runs, first_is_over = Event(), Event(), Event()
    log = logging.getLogger("fallbackio")

    def first_tick(*_: float) -> None:
        first_runs.set()
        second_runs.wait(10)

    def second_tick(*_: float) -> None:
        second_runs.set()
        first_is_over.wait(10)

    first, second = [
        Thread(target=drill, args=(CHAIN, "s1"), kwargs={"rate": 0.05, "on_tick": tick})
        for tick in (first_tick, second_tick)
    ]
    first.start()
    first_runs.wait(10)
    second.start()
    first.join()
    log.warning("in the second drill")
    first_is_over.set()
    second.join()
    log.warning("after both")

    assert [record.message for record in caplog.records] == ["after both"]


def test_what_cannot_be_drilled_is_refused() -> None:
    """A chain that is built, a mistake in a name or a setting, and a running loop are refused in words."""
    with pytest.raises(ConfigError, match="give its TOML file or its steps"):
        drill(Chain([Endpoint("m", base_url="http://a/v1")]), "s1")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="did you mean 's1"):
        drill(CHAIN, "s111")
    with pytest.raises(ConfigError, match="unknown endpoint"):
        drill(CHAIN, "s1", sick="nobody")
    with pytest.raises(ConfigError, match="list of steps, not int"):
        drill(3, "s1")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="a name, a TOML file or a Scenario, not int"):
        drill(CHAIN, 3)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="unknown argument of a drill 'sik'; did you mean 'sick'"):
        drill(CHAIN, "s1", sik=SECOND)

    async def within_a_loop() -> None:
        with pytest.raises(ConfigError, match="event loop of its own"):
            drill(CHAIN, "s1")

    fallbackio.testing.run(within_a_loop)


@pytest.mark.parametrize("strategy", ["sequence", "hedge", "race"])
@pytest.mark.parametrize("name", scenarios())
def test_every_scenario_ends_well(name: str, strategy: str) -> None:
    """Where one endpoint is well every call has a right end and every rule holds, in every scenario."""
    result = drill(CHAIN, name, duration_s=60, rate=1, strategy=strategy, attempt_timeout=10)

    result.require(success=1.0)
