"""Chains from files: every setting can be written, and every slip is told with its place."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fallbackio
from fallbackio import (
    BreakerPolicy,
    Chain,
    ConfigError,
    Endpoint,
    Hedge,
    Pool,
    Race,
    RetryPolicy,
    errors,
)
from fallbackio.config.files import read_toml
from fallbackio.config.files._problems import Problems
from fallbackio.config.files._sections import CHAIN_SETTINGS, read_sections, standing_in
from fallbackio.observe import EarlyWarning
from fallbackio.simulator import Behaviour, Simulator, Status
from fallbackio.testing import ScriptedEndpoint, answers, virtual_time

BASIC = """
[chain.chat]
steps = ["a", "b"]
{chain}
[endpoint.a]
model = "m"
base_url = "http://127.0.0.1:9/v1"
{endpoint}
[endpoint.b]
model = "m"
base_url = "http://127.0.0.1:10/v1"
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "chain.toml"
    path.write_text(text, encoding="utf-8")
    return path


def basic(folder: Path, chain: str = "", endpoint: str = "") -> Path:
    return written(folder, BASIC.format(chain=chain, endpoint=endpoint))


def told(path: Path) -> list[str]:
    """What is wrong with a file, a line each, without the file's name."""
    with pytest.raises(ConfigError) as caught:
        read_toml(path)
    first, *rest = str(caught.value).splitlines()
    return [line.strip() for line in rest] or [first.removeprefix(f"{path}: ")]


# How each of a chain's settings is written, and what it is in code.  A new setting needs a line here.
WRITTEN: dict[str, tuple[str, Any]] = {
    "timeout": ('"off"', None),
    "attempt_timeout": ("20", 20),
    "ttft_timeout": ('"adaptive"', "adaptive"),
    "idle_timeout": ("5.5", 5.5),
    "connect_timeout": ("3", 3),
    "max_retries": ("0", 0),
    "max_queue": ("10", 10),
    "min_rate": ("[5, 10.0]", (5, 10.0)),
    "commit": ('"complete"', "complete"),
    "on_break": ('["continue", "restart"]', ("continue", "restart")),
    "strategy": (
        '{ kind = "hedge", delay = "adaptive", extra_load = 0.1 }',
        Hedge(delay="adaptive", extra_load=0.1),
    ),
    "breaker": (
        '{ consecutive = 3, rates = [[0.5, 20]], sparse_after_s = "off", min_open_gaps = 3 }',
        BreakerPolicy(consecutive=3, rates=((0.5, 20),), sparse_after_s=None, min_open_gaps=3),
    ),
    "retry": ("{ same_first = 1, base_s = 0.2 }", RetryPolicy(same_first=1, base_s=0.2)),
    "fallback_on": ('["ContentFiltered", 404]', (errors.ContentFiltered, 404)),
    "order": ('"cheapest"', "cheapest"),
    "require": ('["tools", "context>=1000"]', ("tools", "context>=1000")),
    "warm": ("0.02", 0.02),
    "upstream": ('"stream"', "stream"),
    "early_warning": ("{ ratio = 0.1 }", EarlyWarning(ratio=0.1)),
    "max_answer_bytes": ("1_000", 1000),
    "seed": ("7", 7),
}


@pytest.mark.parametrize("name", [name for name, one in CHAIN_SETTINGS.items() if one.can_be_written])
def test_every_setting_of_a_chain_can_be_written(tmp_path: Path, name: str) -> None:
    """What a chain takes in code, a file gives it, also a setting that was added today."""
    text, value = WRITTEN[name]

    given = read_toml(basic(tmp_path, chain=f"{name} = {text}"))

    assert given.settings == {name: value}
    given.build()


def test_what_only_code_has_is_passed_in_code(tmp_path: Path) -> None:
    """Functions cannot be written; the message says where they go."""
    functions = {name for name, one in CHAIN_SETTINGS.items() if not one.can_be_written}

    assert functions == {"accept", "sinks"}
    assert told(basic(tmp_path, chain='sinks = ["x"]')) == [
        "chain.chat.sinks: this cannot be written; pass it: Chain.from_toml(path, sinks=…)"
    ]
    assert isinstance(Chain.from_toml(basic(tmp_path), accept=lambda reply: True), Chain)


ENDPOINT: dict[str, tuple[str, Any]] = {
    "api_key_env": ('"KEY"', "KEY"),
    "base_url_env": ('"URL"', "URL"),
    "dialect": ('"anthropic"', "anthropic"),
    "vendor": ('"us"', "us"),
    "params": ("{ temperature = 0, stop = ['x'] }", {"temperature": 0, "stop": ["x"]}),
    "headers": ('{ x-title = "ours" }', {"x-title": "ours"}),
    "headers_env": ('{ x-key = "KEY" }', {"x-key": "KEY"}),
    "unsupported": ('"drop"', "drop"),
    "context_window": ("1000", 1000),
    "system_prefix": ('"Be brief."', "Be brief."),
    "base_model": ('"gpt-4o"', "gpt-4o"),
    "embedding_model": ('"e"', "e"),
    "weight": ("2", 2),
    "rpm": ("60", 60),
    "tpm": ('"off"', None),
    "max_in_flight": ("4", 4),
    "price": ("[1, 2]", fallbackio.endpoint.Price(1, 2)),
    "capabilities": ('["tools"]', frozenset({"tools"})),
    "limit_group": ('"g"', "g"),
}

# Of an endpoint: not written, or in the section's heading, or in BASIC.
ELSEWHERE = {"name", "model", "base_url", "api_key", "token", "adapt", "fn"}


@pytest.mark.parametrize("name", sorted({one.name for one in attrs.fields(Endpoint)} - ELSEWHERE))
def test_every_setting_of_an_endpoint_can_be_written(tmp_path: Path, name: str) -> None:
    """What an endpoint takes in code, a file gives it."""
    text, value = ENDPOINT[name]

    (first, _) = read_toml(basic(tmp_path, endpoint=f"{name} = {text}")).endpoints

    assert getattr(first, name) == value
    assert first.name == "a"


def test_parameters_are_removed_by_name(tmp_path: Path) -> None:
    """TOML has no null; a parameter that an endpoint does not take is listed."""
    extra = 'without_params = ["seed"]\nparams = { top_p = 0.5 }'

    (first, _) = read_toml(basic(tmp_path, endpoint=extra)).endpoints

    assert first.params == {"top_p": 0.5, "seed": None}


def test_pools_are_steps(tmp_path: Path) -> None:
    """A pool's section names endpoints; a chain's names pools and endpoints."""
    text = """
    [chain.chat]
    steps = ["both", "groq/llama-3.3-70b-versatile"]
    strategy = { kind = "race", width = 2 }
    [pool.both]
    endpoints = ["a", "openai/gpt-4o"]
    balance = "weighted"
    [endpoint.a]
    model = "openai/gpt-4o"
    weight = 3
    """

    given = read_toml(written(tmp_path, text))

    pool, last = given.steps
    assert isinstance(pool, Pool)
    assert pool.balance == "weighted"
    assert [one.name for one in given.endpoints] == ["a", "openai/gpt-4o", "groq/llama-3.3-70b-versatile"]
    assert last == given.endpoints[-1]
    assert given.settings["strategy"] == Race(width=2)


def test_a_sections_heading_may_be_the_model(tmp_path: Path) -> None:
    """Settings of a step that is written `vendor/model` stand under that name."""
    text = """
    [chain.chat]
    steps = ["openai/gpt-4o"]
    [endpoint."openai/gpt-4o"]
    max_in_flight = 4
    """

    (only,) = read_toml(written(tmp_path, text)).endpoints

    assert (only.vendor, only.model, only.max_in_flight) == ("openai", "gpt-4o", 4)


SLIPS = {
    "setting": ("timout = 60", "chain.chat.timout: unknown setting 'timout'; did you mean 'timeout'?"),
    "steps": ("", "chain.chat.step: unknown setting 'step'; did you mean 'steps'?"),
    "type": (
        'timeout = "60"',
        "chain.chat.timeout: timeout must be a number of seconds over 0, or \"off\" for no limit, not '60'",
    ),
    "range": ("warm = 2", "chain.chat.warm: warm must be a share from 0 to 1, not 2"),
    "inner": (
        "breaker = { windw_s = 3 }",
        "chain.chat.breaker.windw_s: unknown setting 'windw_s'; did you mean 'window_s'?",
    ),
    "inner range": (
        "retry = { base_s = -1 }",
        "chain.chat.retry.base_s: base_s must be a number of seconds, 0 or more, not -1",
    ),
    "together": (
        "breaker = { open_s = 200 }",
        "chain.chat.breaker: max_open_s (120.0) must not be below open_s (200)",
    ),
    "no table": (
        "breaker = 5",
        "chain.chat.breaker: write a table of its settings, { … = … }; it has consecutive, window_s, rates, "
        "sparse_after_s, sparse_ratio, open_s, min_open_gaps, max_open_s, jitter_ratio, max_retry_after_s, "
        "probe_timeout_s, ramp_s, slow_after_s, slow_medians",
    ),
    "no policy": (
        'breaker = "off"',
        "chain.chat.breaker: write a table of its settings, { … = … }; it has consecutive, window_s, rates, "
        "sparse_after_s, sparse_ratio, open_s, min_open_gaps, max_open_s, jitter_ratio, max_retry_after_s, "
        "probe_timeout_s, ramp_s, slow_after_s, slow_medians",
    ),
    "a table": ("timeout = { s = 5 }", "chain.chat.timeout: this is no table of settings; give it a value"),
    "kind": (
        'strategy = { kind = "hegde" }',
        "chain.chat.strategy.kind: unknown kind 'hegde'; did you mean 'hedge'?",
    ),
    "no kind": (
        "strategy = { delay = 2 }",
        'chain.chat.strategy: say which: kind = "sequence", "hedge", "race"',
    ),
    "failure": (
        'fallback_on = "ContentFilterd"',
        "chain.chat.fallback_on: unknown kind of failure 'ContentFilterd'; did you mean 'ContentFiltered'?",
    ),
    "array": (
        'on_break = ["continue", "restrt"]',
        "chain.chat.on_break: on_break must be 'continue', 'restart' or 'raise', or an array such as "
        "['continue', 'restart']; not ['continue', 'restrt']",
    ),
    "name": ('name = "x"', "chain.chat.name: leave it out: what stands in the section's heading is the name"),
}


@pytest.mark.parametrize("slip", [name for name in SLIPS if name != "steps"])
def test_a_slip_in_a_chain_is_told_with_its_place(tmp_path: Path, slip: str) -> None:
    """The place, what is wrong, and the nearest known name or the range."""
    text, message = SLIPS[slip]

    assert told(basic(tmp_path, chain=text)) == [message]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("modl = 1", "endpoint.a.modl: unknown setting 'modl'; did you mean 'model'?"),
        ("weight = 0", "endpoint.a.weight: weight must be a number over 0, not 0"),
        (
            'token = "f"',
            "endpoint.a.token: a function cannot be written in a file; pass adjust= to Chain.from_toml",
        ),
        ('dialect = "morse"', "endpoint.a.model: unknown dialect 'morse'; known are "),
        ("without_params = 3", "endpoint.a.without_params: write an array of parameters' names"),
        ('name = "x"', "endpoint.a.name: leave it out: what stands in the section's heading is the name"),
    ],
)
def test_a_slip_in_an_endpoint_is_told_with_its_place(tmp_path: Path, text: str, message: str) -> None:
    """As for a chain."""
    (line,) = told(basic(tmp_path, endpoint=text))

    assert line.startswith(message)


@pytest.mark.parametrize(
    ("text", "messages"),
    [
        ("", ["chain: there is no chain; write [chain.main] and under it steps = "]),
        (
            "[chain]\nsteps = ['a/b']",
            ["chain.steps: a chain has a name: write", "chain: there is"],
        ),
        ("chain = 3", ["chain: this is a section: write [chain.main]", "chain: there is no chain"]),
        ("[chain.c]\n", ["chain.c.steps: write an array of names"]),
        (
            "[chain.c]\nsteps = [{ model = 'm' }]",
            ["chain.c.steps[0]: write 'vendor/model' or a section"],
        ),
        (
            "[chain.c]\nsteps = ['gpt-4o']",
            ["chain.c.steps[0]: no section is called 'gpt-4o'; write"],
        ),
        (
            "[chain.c]\nsteps = ['bakup']\n[endpoint.backup]\nmodel = 'openai/gpt-4o'",
            ["chain.c.steps[0]: no section is called 'bakup'; did you mean 'backup'?"],
        ),
        (
            "[chain.c]\nsteps = ['opnai/x']",
            ["chain.c.steps[0]: unknown vendor 'opnai'; did you mean"],
        ),
        (
            "[chain.c]\nsteps = ['openai/x', 'openai/x']",
            ["chain.c.steps[1]: 'openai/x' is there already"],
        ),
        (
            "[chain.c]\nsteps = ['p']\n[pool.p]\nendpoints = ['q']\n[pool.q]\nendpoints = ['openai/x']",
            ["pool.p.endpoints[0]: 'q' is a pool, and a pool's members are endpoints"],
        ),
        (
            "[chain.c]\nsteps = ['p']\n[pool.p]\nendpoints = ['openai/x']\nbalance = 'latncy'",
            ["pool.p.balance: balance must be one of"],
        ),
        (
            "[chain.c]\nsteps = ['p']\n[pool.p]\nendpoints = ['openai/x']\n[endpoint.p]\nmodel = 'openai/y'",
            ["pool.p: an endpoint is called 'p' as well"],
        ),
        (
            "[chian.c]\n",
            ["chian: unknown section 'chian'; did", "chain: there is no chain"],
        ),
        (
            "[chain.c]\nsteps = ['openai/x']\n[check]\nignor = []",
            ["check.ignor: unknown setting 'ignor'; did you mean 'ignore'?"],
        ),
        ("[chain.c]\nsteps = ['openai/x']\n[check]\nignore = 3", ["check.ignore: write an array of codes"]),
    ],
)
def test_slips_in_the_structure_are_told(tmp_path: Path, text: str, messages: list[str]) -> None:
    """Sections and names that are not there, and what was meant."""
    lines = told(written(tmp_path, text))

    assert len(lines) == len(messages)
    for line, message in zip(lines, messages, strict=True):
        assert line.startswith(message)


def test_all_slips_are_told_at_once(tmp_path: Path) -> None:
    """Who has mended one does not have to find the next by trying again."""
    path = basic(tmp_path, chain="timout = 1\nwarm = 2", endpoint="weight = 0")

    assert len(told(path)) == 3


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('api_key = "sk-very-secret"', "endpoint.a.api_key"),
        ('headers = { Authorization = "Bearer sk-very-secret" }', "endpoint.a.headers.Authorization"),
        ('headers = { X-Api-Key = "sk-very-secret" }', "endpoint.a.headers.X-Api-Key"),
        ('headers = { x-ours = "Bearer sk-very-secret" }', "endpoint.a.headers.x-ours"),
        ('headers = { x-auth-token = "very-secret" }', "endpoint.a.headers.x-auth-token"),
        ('params = { api_key = "very-secret" }', "endpoint.a.params.api_key"),
        ('params = { Authorization = "very-secret" }', "endpoint.a.params.Authorization"),
        ('params = { token = "very-secret" }', "endpoint.a.params.token"),
        ('params = { x-ours = "Bearer very-secret" }', "endpoint.a.params.x-ours"),
        ('params = { x-ours = "sk-proj-very-secret" }', "endpoint.a.params.x-ours"),
        ('params = { x-ours = "Basic dTp2ZXJ5LXNlY3JldA==" }', "endpoint.a.params.x-ours"),
        (
            'params = { a = [{ b = { client_secret = "very-secret" } }] }',
            "endpoint.a.params.a.b.client_secret",
        ),
        ('api_key_env = "sk-very-secret"', "endpoint.a.api_key_env"),
        ('headers_env = { x-key = "sk-very-secret" }', "endpoint.a.headers_env"),
        ("api_key = sk-very-secret", "this is not TOML"),
    ],
)
def test_no_key_stands_in_a_file(tmp_path: Path, text: str, place: str) -> None:
    """A key in the file is refused with the way to write it, and is not shown."""
    (line,) = told(basic(tmp_path, endpoint=text))

    assert line.startswith(place)
    assert "very-secret" not in line


def test_what_only_sounds_like_a_key_is_none(tmp_path: Path) -> None:
    """Parameters that speak of tokens and keys, or in words that begin as one, and hold neither."""
    params = 'max_tokens = 5, prompt_cache_key = "tickets", eos_token = "<end>", logprobs = true'
    params += ', plan = "Basic Plan", style = "basic formatting", rules = "Bearer bonds: say what they are."'

    read_toml(basic(tmp_path, endpoint=f"params = {{ {params} }}"))


def test_no_key_stands_in_an_address(tmp_path: Path) -> None:
    """Where a query carries it; a version in a query is none."""
    text = '[chain.c]\nsteps = ["a"]\n[endpoint.a]\nmodel = "m"\ndialect = "gemini"\nbase_url = "https://h/v1?{}"'

    (line,) = told(written(tmp_path, text.format("key=very-secret")))
    assert line.startswith("endpoint.a.base_url: keep keys out of the file")
    assert "very-secret" not in line

    read_toml(written(tmp_path, text.format("api-version=1")))


# What TOML can hold, and names that mean something somewhere in a file.
_NAMES = [
    "a",
    "openai/gpt-4o",
    "chain",
    "endpoint",
    "pool",
    "check",
    "steps",
    "kind",
    "model",
    "ignore",
    "headers",
]
_NAMES += ["endpoints", *CHAIN_SETTINGS, *[one.name for one in attrs.fields(Endpoint)], "without_params"]
_SCALARS = (
    st.sampled_from(["off", "hedge", "race", "a", "openai/gpt-4o", "", "\x1b", "ContentFiltered", "adaptive"])
    | st.integers(-2, 500)
    | st.floats()
    | st.booleans()
    | st.dates()
)
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(_NAMES), inner, max_size=4),
    max_leaves=12,
)
_SECTION = st.dictionaries(st.sampled_from(_NAMES), _VALUES, max_size=6)
_DOCUMENTS = st.dictionaries(
    st.sampled_from(["chain", "endpoint", "pool", "check", "a"]),
    st.dictionaries(st.sampled_from(["a", "b", "openai/gpt-4o", "", "x\ny"]), _SECTION | _VALUES, max_size=3)
    | _VALUES,
    max_size=4,
)


@given(document=_DOCUMENTS)
@settings(max_examples=300)
def test_whatever_a_file_holds_is_read_or_told(document: dict[str, Any]) -> None:
    """No slip, however wild, ends in anything but a place and a sentence; what is sound builds."""
    problems = Problems()

    sections = read_sections(document, problems)

    assert all(one.text and "\n" not in one.text for one in problems.found)
    for name, chain in sections.chains.items():
        if chain.sound:
            standing_in(chain.settings, name)


def test_a_file_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    """No traceback of the operating system's."""
    with pytest.raises(ConfigError, match=r"nowhere\.toml: cannot be read: No such file"):
        Chain.from_toml(tmp_path / "nowhere.toml")

    (tmp_path / "latin.toml").write_bytes(b"# \xe9")
    with pytest.raises(ConfigError, match="not UTF-8"):
        Chain.from_toml(tmp_path / "latin.toml")


def test_a_byte_order_mark_is_no_slip(tmp_path: Path) -> None:
    """Some editors write one, and nobody sees it."""
    path = tmp_path / "chain.toml"
    path.write_text('[chain.chat]\nsteps = ["ollama/llama3"]', encoding="utf-8-sig")

    assert read_toml(path).name == "chat"


def test_a_chain_is_picked_by_its_name(tmp_path: Path) -> None:
    """Only where there are several; the chain is called so in logs and events."""
    several = written(
        tmp_path, "[chain.chat]\nsteps = ['ollama/llama3']\n[chain.code]\nsteps = ['ollama/qwen3']"
    )

    assert read_toml(several, "code").endpoints[0].model == "qwen3"
    with pytest.raises(ConfigError, match="say which, name= one of 'chat', 'code'"):
        Chain.from_toml(several)
    with pytest.raises(ConfigError, match="unknown chain 'cod'; did you mean 'code'"):
        Chain.from_toml(several, name="cod")
    with pytest.raises(ConfigError, match="unknown setting of a chain 'timout'; did you mean 'timeout'"):
        Chain.from_toml(several, name="code", timout=3)


def test_keys_are_read_by_the_names_of_their_variables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the chain is built, so that a file can be read where the keys are not."""
    settings = 'api_key_env = "KEY_A"\nheaders_env = { x-team = "TEAM" }\nheaders = { x-app = "ours" }'
    path = basic(tmp_path, endpoint=settings)
    monkeypatch.delenv("KEY_A", raising=False)
    given = read_toml(path)

    with pytest.raises(ConfigError, match="api_key_env of a: set KEY_A in the environment"):
        given.build()

    monkeypatch.setenv("KEY_A", "sk-very-secret")
    monkeypatch.setenv("TEAM", "blue")
    spec = given.build()._routes[0].spec

    assert spec.api_key == "sk-very-secret"
    assert spec.headers == {"x-team": "blue", "x-app": "ours"}
    assert "very-secret" not in repr(spec)


def test_addresses_may_be_read_so_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then the vendor is its host, as for an address that is written."""
    text = '[chain.c]\nsteps = ["here"]\n[endpoint.here]\nmodel = "m"\nbase_url_env = "OUR_URL"'
    monkeypatch.setenv("OUR_URL", "http://gpu-1:8000/v1")

    spec = Chain.from_toml(written(tmp_path, text))._routes[0].spec

    assert (spec.vendor, spec.name, spec.base_url) == ("gpu-1:8000", "here", "http://gpu-1:8000/v1")


@virtual_time
async def test_a_file_is_sent_to_a_simulator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every endpoint can be redirected before the chain is built, and keeps its format."""
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    path = written(tmp_path, "[chain.c]\nsteps = ['openai/gpt-4o', 'anthropic/claude-sonnet-4-5']")

    async with Simulator() as sim:
        served = {one.name: sim.add(f"e{at}") for at, one in enumerate(read_toml(path).endpoints)}
        served["openai/gpt-4o"].behave(Behaviour(fault=Status(503)))

        def redirected(one: Endpoint) -> Endpoint:
            return attrs.evolve(one, base_url=served[one.name].url(one.dialect or "openai"), api_key="any")

        async with read_toml(path).mapped(redirected).build(max_retries=0) as chain:
            reply = await chain.complete("hi")

    assert reply.report.endpoint == "anthropic/claude-sonnet-4-5"
    assert reply.report.attempts[1].vendor == "anthropic"


@virtual_time
async def test_endpoints_may_be_adjusted(tmp_path: Path) -> None:
    """What cannot be written, such as a function that gives tokens, is added to what is."""
    scripted = ScriptedEndpoint(answers("scripted"), name="a")

    def adjusted(one: Endpoint) -> Endpoint:
        return scripted.endpoint if one.name == "a" else one

    async with Chain.from_toml(basic(tmp_path), adjust=adjusted) as chain:
        assert (await chain.complete("hi")).text == "scripted"


def test_the_table_of_settings_is_the_signature() -> None:
    """Nothing that `Chain` takes is missing, and nothing else is known."""
    assert {*CHAIN_SETTINGS, "self", "steps", "name"} == {*inspect.signature(Chain.__init__).parameters}
