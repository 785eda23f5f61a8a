"""Each finding: a file that has it, and one that has it not."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

import pytest

import fallbackio
from fallbackio import Chain, ConfigError, Endpoint, Pool
from fallbackio.config import _extras
from fallbackio.config.checks import RULES, Finding, Report, check_file
from fallbackio.config.checks._retired import RETIRED
from fallbackio.config.files._starting import STARTERS
from fallbackio.dialects import VENDORS

# When the tables of models were read; what a check finds must not depend on when the tests run.
TODAY = date(2026, 11, 29)


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every vendor's key is there, and no address."""
    for vendor in VENDORS.values():
        for name in vendor.key_env:
            monkeypatch.setenv(name, "fake")
        for name in vendor.base_env:
            monkeypatch.delenv(name, raising=False)
    for name in ("AZURE_RESOURCE_NAME", "AWS_REGION", "AWS_DEFAULT_REGION", "NOT_THERE"):
        monkeypatch.delenv(name, raising=False)


def judged(folder: Path, text: str, **options: object) -> Report:
    path = folder / "chain.toml"
    path.write_text(text, encoding="utf-8")
    return check_file(path, today=TODAY, **options)  # type: ignore[arg-type]  # as the callers have them


def found(folder: Path, text: str, code: str) -> list[Finding]:
    return [finding for finding in judged(folder, text).findings if finding.code == code]


def chain(steps: str, settings: str = "", sections: str = "") -> str:
    return f"[chain.c]\nsteps = {steps}\n{settings}\n{sections}"


TWO = '["openai/gpt-6-luna", "anthropic/claude-sonnet-5-5"]'
FOUR = '["openai/gpt-6-luna", "anthropic/claude-sonnet-5-5", "gemini/gemini-3.8-flash", "xai/grok-4.7"]'


def server(url: str, more: str = "") -> str:
    return chain(
        '["mine", "openai/gpt-6-luna"]', "", f'[endpoint.mine]\nmodel = "m"\nbase_url = "{url}"\n{more}'
    )


def able(first: str, second: str) -> str:
    return chain(
        '["a", "b"]',
        "",
        f'[endpoint.a]\nmodel = "openai/x"\ncapabilities = {first}\n'
        f'[endpoint.b]\nmodel = "anthropic/y"\ncapabilities = {second}',
    )


def windows(*tokens: int) -> str:
    names = "abc"[: len(tokens)]
    sections = [
        f'[endpoint.{name}]\nmodel = "m"\nbase_url = "http://127.0.0.1:{at}"\ncontext_window = {window}'
        for at, (name, window) in enumerate(zip(names, tokens, strict=True), 1)
    ]
    return chain(str(list(names)), "", "\n".join(sections))


# By code: the place, a file that has it, and the nearest file that has it not.
CASES: dict[str, tuple[str, str, str]] = {
    "FB002": ("chain.c.timout", chain(TWO, "timout = 60"), chain(TWO, "timeout = 60")),
    "FB003": ("chain.c.timeout", chain(TWO, "timeout = -1"), chain(TWO, "timeout = 60")),
    "FB004": ("chain.c.steps[0]", chain('["backup"]'), chain(TWO)),
    "FB005": (
        "endpoint.mine.api_key",
        server("https://h", 'api_key = "sk-secret"'),
        server("https://h", 'api_key_env = "OPENAI_API_KEY"'),
    ),
    "FB006": ("endpoint.x", chain(TWO, "", '[endpoint.x]\nmodel = "openai/y"'), chain(TWO)),
    "FB101": ("chain.c.steps", chain('["openai/gpt-6-luna", "openai/gpt-6-sol"]'), chain(TWO)),
    "FB102": ("chain.c.steps", chain('["openai/gpt-6-luna"]'), chain(TWO)),
    "FB103": (
        "endpoint.twin",
        chain('["openai/gpt-6-luna", "twin"]', "", '[endpoint.twin]\nmodel = "openai/gpt-6-luna"'),
        chain(
            '["openai/gpt-6-luna", "twin"]',
            "",
            '[endpoint.twin]\nmodel = "openai/gpt-6-luna"\napi_key_env = "GROQ_API_KEY"\n'
            'headers = { x-team = "b" }',
        ),
    ),
    "FB104": (
        "chain.c.steps",
        chain(
            '["openai/gpt-6-luna", "openai/gpt-6-sol", "anthropic/claude-sonnet-5-5"]', 'strategy = "hedge"'
        ),
        chain(
            '["openai/gpt-6-luna", "anthropic/claude-sonnet-5-5", "openai/gpt-6-sol"]', 'strategy = "hedge"'
        ),
    ),
    "FB201": (
        "chain.c.timeout",
        chain(FOUR, "timeout = 60\nattempt_timeout = 30"),
        chain(FOUR, "timeout = 60\nattempt_timeout = 30\nttft_timeout = 15"),
    ),
    "FB202": (
        "chain.c.attempt_timeout",
        chain(TWO, 'attempt_timeout = "off"\nttft_timeout = "adaptive"'),
        chain(TWO, 'attempt_timeout = "off"\nttft_timeout = 9'),
    ),
    "FB203": ("chain.c.timeout", chain(TWO, 'timeout = "off"'), chain(TWO)),
    "FB204": (
        "chain.c.ttft_timeout",
        chain(TWO, "ttft_timeout = 20\nattempt_timeout = 20"),
        chain(TWO, "ttft_timeout = 5\nattempt_timeout = 20"),
    ),
    "FB205": (
        "chain.c.idle_timeout",
        chain(TWO, "idle_timeout = 30\nattempt_timeout = 20"),
        chain(TWO, "idle_timeout = 20\nattempt_timeout = 20"),
    ),
    "FB206": ("chain.c.ttft_timeout", chain(TWO, "ttft_timeout = 1"), chain(TWO, "ttft_timeout = 3")),
    "FB207": (
        "chain.c.steps[0]",
        chain('["ollama/llama3", "openai/gpt-6-luna"]', "ttft_timeout = 4"),
        chain('["ollama/llama3", "openai/gpt-6-luna"]', "ttft_timeout = 20"),
    ),
    "FB208": (
        "chain.c.breaker.probe_timeout_s",
        chain(TWO, "attempt_timeout = 130"),
        chain(TWO, "attempt_timeout = 130\nbreaker = { probe_timeout_s = 140 }"),
    ),
    "FB301": (
        "chain.c.max_retries",
        chain(FOUR, "retry = { same_first = 1 }"),
        chain(FOUR, "retry = { same_first = 1 }\nmax_retries = 4"),
    ),
    "FB302": ("chain.c.max_retries", chain(TWO, "max_retries = 6"), chain(TWO, "max_retries = 3")),
    "FB303": (
        "chain.c.strategy",
        chain(FOUR, 'strategy = "race"'),
        chain(FOUR, 'strategy = { kind = "race", width = 2 }'),
    ),
    "FB304": (
        "chain.c.strategy",
        chain('["ollama/llama3"]', 'strategy = "hedge"'),
        chain(TWO, 'strategy = "hedge"'),
    ),
    "FB305": (
        "chain.c.retry.budget_ratio",
        chain(TWO, 'strategy = "hedge"\nretry = { budget_ratio = 0.5 }'),
        chain(TWO, "retry = { budget_ratio = 0.5 }"),
    ),
    "FB306": ("chain.c.warm", chain('["ollama/llama3"]', "warm = 0.01"), chain(TWO, "warm = 0.01")),
    "FB401": ("endpoint.b", windows(200_000, 64_000), windows(200_000, 190_000)),
    "FB402": ("endpoint.b", able('["tools"]', "[]"), able('["tools"]', '["tools"]')),
    "FB403": ("endpoint.b", able('["vision"]', "[]"), able("[]", "[]")),
    "FB404": (
        "chain.c.steps[1]",
        chain('["openai/gpt-5.5", "deepseek/deepseek-v4-flash"]'),
        chain('["openai/gpt-5.5", "gemini/gemini-3.5-flash"]'),
    ),
    "FB405": (
        "endpoint.b",
        able('["vision"]', "[]").replace("[endpoint.a]", 'require = ["vision"]\n[endpoint.a]'),
        able('["vision"]', '["vision"]').replace("[endpoint.a]", 'require = ["vision"]\n[endpoint.a]'),
    ),
    "FB406": ("chain.c.steps", chain(TWO), able('["vision"]', '["vision"]')),
    "FB407": (
        "chain.c.steps[1]",
        chain('["openai/text-embedding-3-small", "openrouter/openai/text-embedding-3-large"]'),
        chain('["openai/text-embedding-3-small", "openrouter/openai/text-embedding-3-small"]'),
    ),
    "FB408": (
        "chain.c.steps[1]",
        chain('["openai/gpt-6-luna", "cohere/embed-v4.0"]'),
        chain('["openai/gpt-6-luna", "cohere/command-a-03-2025"]'),
    ),
    "FB409": ("chain.c.on_break", chain(TWO), chain(TWO, 'on_break = "restart"')),
    "FB410": (
        "endpoint.mine",
        chain(
            '["openai/gpt-6-luna", "mine"]',
            "",
            '[endpoint.mine]\nmodel = "anthropic/claude-sonnet-5-5"\nparams = { temperature = 0 }',
        ),
        chain(
            '["openai/gpt-6-luna", "mine"]',
            "",
            '[endpoint.mine]\nmodel = "anthropic/claude-sonnet-5-5"\nparams = { max_tokens = 9 }',
        ),
    ),
    "FB501": (
        "endpoint.mine",
        server("https://h", 'api_key_env = "NOT_THERE"'),
        server("https://h", 'api_key_env = "OPENAI_API_KEY"'),
    ),
    "FB503": (
        "chain.c.steps[0]",
        chain('["azure/ours", "openai/gpt-6-luna"]'),
        chain('["openai/gpt-6-luna", "groq/openai/gpt-oss-120b"]'),
    ),
    "FB504": (
        "endpoint.bad",
        chain(
            '["bad", "openai/gpt-6-luna"]', "", '[endpoint.bad]\nmodel = "m"\nbase_url_env = "OPENAI_API_KEY"'
        ),
        server("https://h"),
    ),
    "FB505": ("endpoint.mine", server("http://llm.example.com/v1"), server("http://127.0.0.1:8000/v1")),
    "FB601": (
        "chain.c.steps[1]",
        chain('["openai/gpt-6-luna", "groq/llama-3.3-70b-versatile"]'),
        chain('["openai/gpt-6-luna", "groq/openai/gpt-oss-120b"]'),
    ),
    "FB602": (
        "chain.c.steps[0]",
        chain('["openai/gpt-4o", "anthropic/claude-sonnet-5-5"]'),
        chain('["azure/gpt-4o", "anthropic/claude-sonnet-5-5"]'),
    ),
    "FB603": (
        "chain.c.steps[0]",
        chain('["cerebras/zai-glm-4.7", "openai/gpt-6-luna"]'),
        chain('["cerebras/gpt-oss-120b", "openai/gpt-6-luna"]'),
    ),
}


@pytest.mark.parametrize("code", CASES)
def test_a_file_that_has_it(tmp_path: Path, code: str) -> None:
    """The finding is there, at its place, and says what mends it."""
    where, with_it, _ = CASES[code]

    findings = found(tmp_path, with_it, code)

    assert where in [finding.where for finding in findings]
    rule = next(rule for rule in RULES if rule.code == code)
    for finding in findings:
        assert finding.what
        assert finding.why == rule.why
        assert finding.mend or code in ("FB002", "FB003", "FB004")


@pytest.mark.parametrize("code", CASES)
def test_a_file_that_has_it_not(tmp_path: Path, code: str) -> None:
    """The mended file is free of it."""
    assert found(tmp_path, CASES[code][2], code) == []


def test_an_extra_that_is_not_there_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """FB502, with the command that installs it."""
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    text = chain('["bedrock/anthropic.claude-x", "openai/gpt-6-luna"]')
    assert found(tmp_path, text, "FB502") == []

    monkeypatch.setattr(_extras, "_BROUGHT", {"bedrock": "no_such_package", "vertex": "no.such.package"})

    (finding,) = found(tmp_path, text, "FB502")
    assert finding.mend == "pip install 'fallbackio[bedrock]'"


def test_every_rule_has_a_case() -> None:
    """A rule that is added is tested, both ways; codes are unique and stable in form."""
    codes = [rule.code for rule in RULES]

    assert {*codes} == {*CASES, "FB502"}
    assert len({*codes}) == len(codes)
    assert all(re.fullmatch(r"FB\d{3}", code) for code in codes)


def test_all_of_a_file_is_told_at_once(tmp_path: Path) -> None:
    """Slips, a missing key and a section that nobody asks for, in one go, the worst first."""
    text = chain(
        '["openai/gpt-6-luna", "mine"]',
        "timout = 3\nwarm = 7",
        '[endpoint.mine]\nmodel = "m"\nbase_url = "https://h"\napi_key_env = "NOT_THERE"\n'
        '[endpoint.other]\nmodel = "openai/y"',
    )

    report = judged(tmp_path, text)

    assert [finding.code for finding in report.findings] == ["FB002", "FB003", "FB501", "FB006"]
    assert not report.clean


def test_slips_leave_no_false_alarms(tmp_path: Path) -> None:
    """Of a chain with a slip nothing is said that may be no longer true once it is mended."""
    codes = [finding.code for finding in judged(tmp_path, chain('["openai/gpt-6-luna", "bakup"]')).findings]

    assert codes == ["FB004"]


def test_findings_may_be_ignored(tmp_path: Path) -> None:
    """By the file's own section, and by whoever asks; a code that is none is refused."""
    text = chain('["openai/gpt-6-luna"]', "max_retries = 6")
    assert {finding.code for finding in judged(tmp_path, text).findings} >= {"FB102", "FB302"}

    report = judged(tmp_path, text + '\n[check]\nignore = ["FB302"]', ignore=["FB102"])

    assert report.clean
    assert report.ignored == 2
    with pytest.raises(ConfigError, match="unknown code of a finding 'FB1O2'; did you mean 'FB102'"):
        judged(tmp_path, text, ignore=["FB1O2"])


def test_remarks_alone_are_clean(tmp_path: Path) -> None:
    """What is only worth knowing fails no build."""
    report = judged(tmp_path, chain(TWO))

    assert report.findings
    assert report.clean


def test_one_chain_may_be_looked_at(tmp_path: Path) -> None:
    """Of a file with several."""
    text = '[chain.a]\nsteps = ["openai/gpt-6-luna"]\n[chain.b]\nsteps = ["ollama/llama3"]'

    assert {one.where for one in judged(tmp_path, text, name="b").findings} == {"chain.b.steps"}
    with pytest.raises(ConfigError, match="unknown chain 'c'"):
        judged(tmp_path, text, name="c")


def test_a_smaller_window_is_a_remark_where_another_spare_is_large(tmp_path: Path) -> None:
    """Then long conversations have a spare all the same."""
    assert found(tmp_path, windows(200_000, 64_000), "FB401")[0].severity == "warning"
    assert found(tmp_path, windows(200_000, 64_000, 200_000), "FB401")[0].severity == "info"


@pytest.mark.parametrize(
    ("url", "more", "severity"),
    [
        ("http://llm.example.com/v1", "", "warning"),
        ("http://vllm:8000/v1", "", "info"),
        ("http://10.0.0.7/v1", "", "info"),
        ("http://vllm:8000/v1", 'api_key_env = "OPENAI_API_KEY"', "warning"),
        ("http://localhost:8000/v1", 'api_key_env = "OPENAI_API_KEY"', None),
        ("http://[::1]:8000/v1", "", None),
    ],
)
def test_plain_http_is_weighed(tmp_path: Path, url: str, more: str, severity: str | None) -> None:
    """Within a cluster it is a remark, unless a key goes with it; on one machine it is nothing."""
    findings = found(tmp_path, server(url, more), "FB505")

    assert [finding.severity for finding in findings] == ([] if severity is None else [severity])


def test_a_running_chain_checks_itself() -> None:
    """By the same rules, with the names of its settings and endpoints as places."""
    members = [Endpoint("m", name=name, base_url="http://127.0.0.1:9", api_key="k") for name in "ab"]

    findings = Chain([Pool(members)], attempt_timeout=None).check()

    assert [(one.code, one.where) for one in findings if one.severity != "info"] == [
        ("FB102", "steps"),
        ("FB103", "b"),
        ("FB202", "attempt_timeout"),
        ("FB208", "breaker.probe_timeout_s"),
    ]
    assert findings[0].to_dict()["code"] == "FB102"
    ignoring = Chain([Pool(members)]).check(ignore=["FB102", "FB103"])
    assert [one.code for one in ignoring if one.severity != "info"] == []


def test_a_chain_around_functions_is_checked() -> None:
    """What a function can do is not known, and no rule stumbles over it."""

    async def answer(request: object) -> str:
        return ""

    findings = Chain([Endpoint.calling(answer, name="ours")], strategy="race", warm=0.1).check()

    assert {one.code for one in findings} == {"FB102", "FB304", "FB306"}


def test_no_key_is_in_a_finding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is found, values of variables stay where they are."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret")
    monkeypatch.setenv("NOT_A_URL", "sk-very-secret")
    text = chain(
        '["openai/gpt-4", "bad"]', "timeout = 1", '[endpoint.bad]\nmodel = "m"\nbase_url_env = "NOT_A_URL"'
    )

    assert "very-secret" not in repr(judged(tmp_path, text))


def test_what_is_recommended_is_there() -> None:
    """No retired model stands where something else is advised to be used, nor in a file to begin with."""
    for rows in RETIRED.values():
        for model, row in rows.items():
            assert row.instead not in rows or rows[row.instead].day > TODAY, (model, row.instead)
    for vendor, model in STARTERS.items():
        assert model not in RETIRED.get(vendor, {}), model


def test_the_package_says_what_it_finds() -> None:
    """`Finding` is what `chain.check()` gives."""
    assert isinstance(fallbackio.Chain(["ollama/llama3"]).check()[0], Finding)
