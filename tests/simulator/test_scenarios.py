"""Outages as timelines: values, files, roles, and how they are played."""

from __future__ import annotations

import math
from pathlib import Path
from statistics import median

import anyio
import attrs
import pytest
from asking import ask

from fallbackio.dialects import DIALECTS
from fallbackio.endpoint import Endpoint
from fallbackio.errors import ConfigError
from fallbackio.model import Request
from fallbackio.simulator import (
    Behaviour,
    Cut,
    InTurn,
    NoPrefill,
    Phase,
    RateLimit,
    Scenario,
    Simulator,
    Sometimes,
    Status,
    Trouble,
    cast,
    outage,
    play,
    scenario,
    scenarios,
)
from fallbackio.testing import virtual_time

DOWN = Behaviour(fault=Status(503))

SHORT = Scenario(
    name="short",
    summary="Down for a minute.",
    phases=[
        Phase(name="healthy", lasts_s=30),
        Phase(name="onset", lasts_s=10, fixed=True, roles={"primary": DOWN}),
        Phase(name="outage", lasts_s=50, roles={"primary": DOWN}),
        Phase(name="recovery", lasts_s=60),
    ],
)


def test_the_issue_s_scenarios_are_there() -> None:
    """Twelve documented outages, sixteen single faults, and one drawn outage for each vendor measured."""
    names = scenarios()

    assert names[:12] == tuple([f"s{number}" for number in range(1, 13)])
    assert len(names) == 12 + 16 + 2


@pytest.mark.parametrize("name", scenarios())
def test_every_scenario_survives_its_own_file(name: str, tmp_path: Path) -> None:
    """What is written as TOML is read as the same scenario."""
    shipped = scenario(name)
    path = tmp_path / "mine.toml"
    path.write_text(shipped.to_toml(), encoding="utf-8")

    assert Scenario.from_toml(path) == shipped


@pytest.mark.parametrize("name", scenarios())
def test_every_scenario_explains_itself_and_has_trouble(name: str) -> None:
    """Each says in a sentence what happens and where it comes from, and makes somebody sick."""
    shipped = scenario(name)

    assert shipped.summary.endswith(".")
    assert shipped.source
    assert [trouble.role for trouble in shipped.troubles()] == ["primary"]


@pytest.mark.parametrize("name", scenarios())
def test_every_scenario_plays_to_its_end(name: str) -> None:
    """A simulator goes through all of its phases, and is well when it is over."""
    played = scenario(name).at(duration_s=300)
    told: list[str] = []

    @virtual_time
    async def run() -> None:
        parts = cast(played, ["a", "b", "c", "d"])
        async with Simulator() as sim:
            await play(played, sim, parts, on_phase=lambda phase: told.append(phase.name))
            assert anyio.current_time() == pytest.approx(300)
            for one, part in parts.items():
                assert sim.endpoints[one].behaviour == played.usual(part.role)

    run()

    assert told == [phase.name for phase in played.phases]


@virtual_time
async def test_phases_switch_the_endpoints_at_their_instants() -> None:
    """A request meets the behaviour of the phase in which it comes."""
    async with Simulator() as sim, anyio.create_task_group() as tasks:
        tasks.start_soon(play, SHORT, sim, cast(SHORT, ["primary"]))
        await anyio.sleep(29.9)
        before = await ask(sim.endpoint("primary"))
        await anyio.sleep_until(50)
        during = await ask(sim.endpoint("primary"))
        await anyio.sleep_until(90.1)
        after = await ask(sim.endpoint("primary"))

    assert [before.status, during.status, after.status] == [200, 503, 200]


@virtual_time
async def test_what_counts_requests_goes_on_over_phases() -> None:
    """A phase that changes nothing about an endpoint does not begin its script anew."""
    once = Behaviour(fault=InTurn([Status(500)]))
    two = [Phase(name=name, lasts_s=10, roles={"primary": once}) for name in ("onset", "outage")]
    repeated = Scenario(name="once", summary="One 500.", phases=two)
    async with Simulator() as sim, anyio.create_task_group() as tasks:
        tasks.start_soon(play, repeated, sim, cast(repeated, ["primary"]))
        await anyio.sleep(1)
        first = await ask(sim.endpoint("primary"))
        await anyio.sleep_until(12)
        second = await ask(sim.endpoint("primary"))

    assert [first.status, second.status] == [500, 200]


def test_roles_follow_the_chain_s_order() -> None:
    """The first endpoint is the primary, and from the fourth on all are others."""
    parts = cast(SHORT, ["a", "b", "c", "d", "e"])

    assert [part.role for part in parts.values()] == ["primary", "secondary", "tertiary", "other", "other"]
    assert [name for name, part in parts.items() if part.troubles] == ["a"]


def test_the_sick_one_can_be_chosen() -> None:
    """Whoever is named takes the primary's part; the others close ranks."""
    parts = cast(SHORT, ["a", "b", "c"], sick="b")

    assert {name: part.role for name, part in parts.items()} == {
        "a": "secondary",
        "b": "primary",
        "c": "tertiary",
    }
    assert parts["b"].is_sick(35)
    assert not parts["b"].is_sick(95)
    with pytest.raises(ConfigError, match="did you mean 'beta'"):
        cast(SHORT, ["alpha", "beta"], sick="betta")


def test_a_vendor_dies_as_a_whole() -> None:
    """What is vendor-wide takes every endpoint of the primary's vendor, wherever it stands in the chain."""
    wide = attrs.evolve(SHORT, vendor_wide=True)
    vendors = {"gpt": "openai", "claude": "anthropic", "mini": "openai"}
    parts = cast(wide, vendors)

    assert [name for name, part in parts.items() if part.troubles] == ["gpt", "mini"]
    assert parts["mini"].behaviours[1] == DOWN
    assert parts["mini"].behaviours[0] == wide.usual("tertiary")
    assert [name for name, part in cast(SHORT, vendors).items() if part.troubles] == ["gpt"]


def test_trouble_in_neighbouring_phases_is_one() -> None:
    """Onset and outage are one trouble: there is one instant to trip after and one to return after."""
    assert SHORT.troubles() == (Trouble("primary", 30, 90),)


def test_stretching_keeps_what_is_fixed() -> None:
    """A longer scenario has a longer outage, not a longer onset."""
    longer = SHORT.at(duration_s=290)

    assert [phase.lasts_s for phase in longer.phases] == pytest.approx([60, 10, 100, 120])
    with pytest.raises(ConfigError, match="must last longer than 10 s, which its fixed phases do, not 5"):
        SHORT.at(duration_s=5)


def test_what_is_fixed_as_a_whole_has_one_length() -> None:
    """Where every phase is fixed there is nothing to stretch, and that is said."""
    phases = [Phase(name="short", lasts_s=10, fixed=True)]
    fixed = Scenario(name="fixed", summary="y", phases=phases)

    assert fixed.at(duration_s=10) == fixed
    with pytest.raises(ConfigError, match="fixed lasts 10 s, its phases are fixed, not 20"):
        fixed.at(duration_s=20)


def test_capacities_follow_the_rate() -> None:
    """A provider with room for a fifth of the load has it at any rate, however deep its limit lies."""
    limited = Behaviour(fault=Sometimes(0.5, RateLimit(rpm=60, tpm=600)))
    phases = [Phase(name="stampede", lasts_s=10, roles={"primary": limited})]
    faster = Scenario(name="x", summary="y", phases=phases, rate=5).at(rate=20)

    scaled = faster.phases[0].roles["primary"].fault
    assert scaled == Sometimes(0.5, RateLimit(rpm=240, tpm=2400))
    assert faster.rate == 20


def test_drawn_outages_are_as_long_as_they_were_measured() -> None:
    """Over many seeds the median is the measured one: 75 minutes at OpenAI, 50 at Anthropic."""
    for vendor, mu in (("openai", 4.32), ("anthropic", 3.92)):
        minutes = [outage(vendor, seed=seed).phases[2].lasts_s / 60 for seed in range(2000)]
        assert median(minutes) == pytest.approx(math.exp(mu), rel=0.1)


def test_four_of_five_drawn_outages_are_partial() -> None:
    """The share of partial outages is the measured share of partial minutes."""
    sick = [outage("openai", seed=seed).phases[1].roles["primary"].fault for seed in range(2000)]

    assert sum(isinstance(fault, Sometimes) for fault in sick) / 2000 == pytest.approx(0.82, abs=0.03)


def test_a_drawn_outage_is_its_seed_s() -> None:
    """The same seed draws the same outage, another one another."""
    assert scenario("openai-outage", seed=3) == outage("openai", seed=3) == outage("openai", seed=3)
    assert outage("openai", seed=3) != outage("openai", seed=4)


MINE = """
summary = "Mine."
[[phases]]
name = "outage"
lasts_s = 10
primary.fault = { kind = "status", status = 500 }
"""


def test_a_file_is_called_what_it_is_called(tmp_path: Path) -> None:
    """A scenario without a name has its file's, and `scenario` takes files too."""
    path = tmp_path / "mine.toml"
    path.write_text(MINE, encoding="utf-8")

    read = scenario(str(path), seed=9)

    assert (read.name, read.seed) == ("mine", 9)
    assert read.phases[0].roles["primary"].tokens == 60  # as the primary is when it is well


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (
            MINE.replace("summary", "sumary"),
            "unknown field 'sumary'; did you mean 'summary'?",
        ),
        (
            MINE.replace("lasts_s", "last_s"),
            "phase 'outage': unknown field 'last_s'; did you mean 'lasts_s'?",
        ),
        (MINE.replace("primary", "primry"), "phase 'outage': unknown role 'primry'; did you mean 'primary'?"),
        (MINE.replace("primary", '"openai/gpt"'), "unknown role 'openai/gpt'; known are other, primary"),
        (MINE.replace("primary", "roles.primary"), "phase 'outage': unknown role 'roles'"),
        (
            MINE.replace("primary.fault", "primary"),
            "phase 'outage': primary: unknown field of behaviour 'kind'",
        ),
        (
            MINE.replace("primary.fault = {", "primary = 5 #"),
            "mine.toml: phase 'outage': primary: must be a table",
        ),
        (
            MINE.replace('kind = "status",', ""),
            r"primary: fault must have a kind \(.*, unlike {'status': 500}",
        ),
        (MINE.replace("{ kind", "'sick' # "), "primary: fault must have a kind .*, unlike 'sick'"),
        (MINE.replace("fault = ", "latency = -1 # "), "primary: latency: seconds must be"),
        (MINE.replace('name = "outage"', ""), "phase 1: it needs name"),
        (MINE + "[healthy.primry]", "healthy: unknown role 'primry'"),
        ("[chain.main]\nsteps = []", r"needs \[\[phases\]\]; this is a file of chains"),
        (MINE.replace("status =", "staus ="), "phase 'outage': primary: unknown field of status 'staus'"),
        (MINE.replace("10", "-1"), "phase 'outage': lasts_s must be a number over 0"),
        (MINE.replace("[[phases]]", "[phases]"), r"needs \[\[phases\]\]"),
        ("[[phases]]\nname = 'x'", "phase 'x': it needs lasts_s"),
        ("[[phases]]\nname = 'x'\nlasts_s = 1", "scenario needs summary"),
        (
            MINE + '\nallows = ["ContextTooLng"]',
            "unknown error 'ContextTooLng'; did you mean 'ContextTooLong'?",
        ),
        (
            MINE + '\nallows = "ContentFiltered"',
            "allows must be a list of names of errors, not 'ContentFiltered'",
        ),
        (MINE + "\nallows = 5", "allows must be a list of names of errors, not 5"),
        (MINE + "\nallows = [5]", "unknown error 5; known are "),
        (MINE + MINE.partition("\n")[2].partition("\n")[2], "two phases are called 'outage'"),
        ("= 3", "no TOML"),
    ],
)
def test_a_mistake_in_a_file_is_named(wrong: str, said: str, tmp_path: Path) -> None:
    """Who mistypes a word in a scenario is told which, and what may have been meant."""
    path = tmp_path / "mine.toml"
    path.write_text(wrong, encoding="utf-8")

    with pytest.raises(ConfigError, match=said) as caught:
        Scenario.from_toml(path)

    assert str(path) in str(caught.value)


def test_an_unknown_scenario_is_refused_with_the_nearest() -> None:
    """A mistyped name is no scenario, and the one meant is said."""
    with pytest.raises(ConfigError, match="did you mean '503-for-good'"):
        scenario("503-forgood")
    with pytest.raises(ConfigError, match=r"cannot read the scenario nowhere\.toml: No such file"):
        scenario("nowhere.toml")


def test_a_file_that_is_called_otherwise_is_told_how(tmp_path: Path) -> None:
    """A file is known by its ending, in capitals too; one without is not taken for a mistyped name."""
    for name in ("mine", "mine.TOML"):
        (tmp_path / name).write_text(MINE, encoding="utf-8")

    assert scenario(str(tmp_path / "mine.TOML")).name == "mine"
    with pytest.raises(ConfigError, match=r"a file's name ends in \.toml"):
        scenario(str(tmp_path / "mine"))


@virtual_time
async def test_a_prefill_is_gone_on_with_or_refused() -> None:
    """A simulated model goes on from the beginning of its answer, unless it takes no prefill."""
    said = [{"role": "user", "content": "Count."}, {"role": "assistant", "content": "word0 word1"}]
    async with Simulator() as sim:
        primary = sim.add("primary", Behaviour(tokens=4))
        body = _body(primary.url("anthropic"), said)
        goes_on = await ask(primary, "anthropic", body=body)
        primary.behave(Behaviour(tokens=4, fault=NoPrefill(Cut(after_tokens=1))))
        refused = await ask(primary, "anthropic", body=body)
        otherwise = await ask(primary, "anthropic")

    assert b'" word2 word3"' in goes_on.body
    assert refused.status == 400
    assert b"prefill" in refused.body
    assert otherwise.ending == "truncated"


def _body(url: str, messages: list[dict[str, str]]) -> bytes:
    target = Endpoint("claude-3-5-haiku-latest", base_url=url, api_key="k", dialect="anthropic")
    return DIALECTS["anthropic"].client.encode(
        Request.of(messages, {"max_tokens": 100}, stream=False), target
    )
