"""`fallbackio drill`: the report in text, as JSON and as a page, and what the exit code says."""

from __future__ import annotations

import sys
from pathlib import Path

import orjson
import pytest
from cli_kit import invoke

from fallbackio.cli.drill._progress import Progress

TOML = """
[chain.main]
steps = ["openai/gpt-4o-mini", "anthropic/claude-3-5-haiku-latest"]
timeout = 30
"""

ALONE = """
[chain.main]
steps = ["openai/gpt-4o-mini"]
max_retries = 0
"""


@pytest.fixture
def ours(tmp_path: Path) -> str:
    """The file of a chain."""
    return _file(tmp_path, "ours", TOML)


def _file(folder: Path, name: str, text: str) -> str:
    path = folder / f"{name}.toml"
    path.write_text(text, encoding="utf-8")
    return str(path)


SHORT = ("--scenario", "503-for-good", "--rate", "2", "--duration", "40")


def test_the_report_tells_phases_servers_and_the_trouble(ours: str) -> None:
    """In a plain terminal: figures by phase, who answered, why calls moved on, and a verdict."""
    done = invoke("drill", ours, *SHORT)

    assert done.code == 0
    lines = done.out.splitlines()
    assert "ours in 503-for-good" in lines
    table = {line[:28].strip(): line[28:].split() for line in lines if line}
    assert table[""] == ["healthy", "fault", "recovery", "all"]
    assert table["right end"] == ["100", "%"] * 4
    assert table["to the sick"][::3] == ["-", table["to the sick"][1]]
    assert table["openai/gpt-4o-mini"][:2] == ["100", "-"]
    assert table["Overloaded (503)"][0] == table["Overloaded (503)"][2] == "-"
    assert [table[name] for name in ("half", "90 %", "99 %", "99.9 %", "in all")]
    assert "moved past openai/gpt-4o-mini" in done.out
    assert "left alone after" in done.out
    assert "All 80 calls had a right end, and all rules held." in lines
    assert all(len(line) <= 80 for line in lines)


@pytest.mark.parametrize(
    ("scenario", "said", "missed"),
    [
        ("s1", "No call was made, so nothing was shown.", "no call was made, so"),
        ("503-for-good", "No call was made in fault and recovery.", "no call was made while an endpoint was"),
    ],
)
def test_where_nobody_called_nothing_is_claimed(ours: str, scenario: str, said: str, missed: str) -> None:
    """A drill without a call, or with none in the trouble, has not shown that anything held."""
    done = invoke("drill", ours, "--scenario", scenario, "--duration", "30", "--rate", "0.01")

    assert done.code == 1
    assert said in " ".join(done.out.split())
    assert f"ours in {scenario}: {missed}" in done.out


def test_many_phases_fit_in_a_narrow_terminal(tmp_path: Path) -> None:
    """Where phases have no room beside one another the table goes on below, and no figure is cut."""
    phases = "".join([f'[[phases]]\nname = "a phase, {at}"\nlasts_s = 2\n' for at in range(9)])
    long = _file(tmp_path, "long", f'summary = "Nine phases."\n{phases}')
    done = invoke("drill", _file(tmp_path, "ours", TOML), "-s", long)

    assert done.code == 0
    assert done.out.count("right end") == 3 + 1
    assert all(f"a phase, {at}" in done.out for at in range(9))
    assert "…" not in done.out
    assert all(len(line) <= 80 for line in done.out.splitlines())


def test_json_is_the_same_for_the_same_seed(ours: str) -> None:
    """`--json` prints nothing else, and the same bytes for the same seed."""
    first, again, other = (
        invoke("drill", ours, *SHORT, "--json", "--seed", seed).out for seed in ("1", "1", "2")
    )

    assert first == again != other
    (result,) = orjson.loads(first)["results"]
    assert result["chain"] == "ours"
    assert result["seed"] == 1
    assert result["total"]["success"] == 1.0
    assert result["streaming"] is True


def test_a_failed_call_is_exit_code_1(tmp_path: Path) -> None:
    """A chain that does not survive says which calls failed and of what."""
    done = invoke("drill", _file(tmp_path, "alone", ALONE), *SHORT, "--no-streaming")

    assert done.code == 1
    assert "40 of 80 calls failed." in done.out
    assert "ChainExhausted: openai/gpt-4o-mini Overloaded (503)" in done.out


def test_requirements_are_exit_code_1_when_missed(ours: str) -> None:
    """`--require` makes a gate of it for continuous integration."""
    good = invoke("drill", ours, *SHORT, "-r", "success=1.0", "-r", "p99_s=20")
    bad = invoke("drill", ours, *SHORT, "-r", "p50_s=0.001")

    assert good.code == 0
    assert bad.code == 1
    assert "ours in 503-for-good: p50_s is" in bad.out
    assert "over 0.001" in bad.out


def test_chains_are_compared(ours: str, tmp_path: Path) -> None:
    """Two files get the same calls and stand side by side, with and without --compare."""
    hedge = _file(tmp_path, "hedge", TOML + 'strategy = "race"\n')
    done = invoke("drill", "--compare", ours, hedge, *SHORT)

    assert done.code == 0
    chains = [line.split()[:2] for line in done.out.splitlines() if " ours " in line or " hedge " in line]
    assert ["healthy", "ours"] in chains
    assert invoke("drill", ours, hedge, *SHORT).out == done.out
    assert invoke("drill", "--compare", ours, *SHORT).code == 2


def test_files_of_one_name_are_told_apart(tmp_path: Path) -> None:
    """`old/chain.toml` and `new/chain.toml` are not both called `chain`."""
    files = []
    for folder in ("old", "new"):
        (tmp_path / folder).mkdir()
        files.append(_file(tmp_path / folder, "chain", TOML))
    done = invoke("drill", *files, *SHORT, "--json")

    assert [one["chain"] for one in orjson.loads(done.out)["results"]] == ["old/chain", "new/chain"]
    named = invoke("drill", files[0], *SHORT, "--chain", "main", "--json")
    assert orjson.loads(named.out)["results"][0]["chain"] == "chain: main"


def test_a_page_is_written(ours: str, tmp_path: Path) -> None:
    """`--html` writes one file; one that cannot be written is said in a sentence."""
    pytest.importorskip("matplotlib")
    page = tmp_path / "drill.html"
    done = invoke("drill", ours, *SHORT, "--html", str(page))

    assert done.code == 0
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")
    missing = invoke("drill", ours, *SHORT, "--html", str(tmp_path / "no" / "drill.html"))
    assert missing.code == 2
    assert "cannot write" in missing.err


def test_scenarios_are_listed_and_printed(tmp_path: Path) -> None:
    """`--list` names all of them; `--toml` prints one as a file that can be changed and drilled."""
    listed = invoke("drill", "--list").out
    printed = invoke("drill", "--scenario", "s8", "--toml").out

    assert "s12" in listed
    assert "openai-outage" in listed
    changed = _file(tmp_path, "mine", printed.replace('name = "s8"', 'name = "mine"'))
    done = invoke("drill", _file(tmp_path, "ours", TOML), "-s", changed, "--duration", "60", "--rate", "1")
    assert done.code == 0
    assert "ours in mine" in done.out


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ((), "which chain?"),
        (("nowhere.toml",), "nowhere.toml: cannot be read"),
        (("{ours}", "-s", "s13"), "unknown scenario 's13'"),
        (("{ours}", "-s", "mine.toml"), "cannot read the scenario mine.toml"),
        (("{ours}", "--sick", "openai/gpt-4o"), "did you mean 'openai/gpt-4o-mini'?"),
        (("{ours}", "--chain", "mine"), "unknown chain 'mine'"),
        (("{ours}", "-r", "p99_s"), "--require takes NAME=VALUE"),
        (("{ours}", "-r", "success=100"), "the limit success must be a share from 0 to 1, not 100.0"),
        (("{ours}", "nowhere.toml"), "nowhere.toml: cannot be read"),
        (("{ours}", "{ours}"), "ours.toml is given twice"),
        (("-s", "s1", "-s", "s2", "--toml"), "--toml prints one scenario"),
        (("{ours}", "-r", "p99=3"), "unknown limit 'p99'; did you mean 'p99_s'?"),
        (("{ours}", "--html", "{ours}/page.html"), "page.html: Not a directory"),
        (("{ours}", "--json", "--html", "."), "cannot write .: Is a directory"),
        (("{ours}", "--duration", "3", "-s", "s1"), "s1 must last longer than 10 s"),
    ],
)
def test_a_mistake_is_exit_code_2_and_one_sentence(args: tuple[str, ...], said: str, ours: str) -> None:
    """What is wrong with the command or a file is said without a traceback, before anything runs."""
    done = invoke("drill", *[arg.format(ours=ours) for arg in args])

    assert done.code == 2
    assert done.err.startswith("fallbackio: ")
    assert said in done.err
    assert done.out == ""


def test_a_page_that_cannot_be_made_is_said_before_the_drill(
    ours: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the extra nobody waits for a drill whose page is lost, and no file is left behind."""
    monkeypatch.setitem(sys.modules, "jinja2", None)
    page = tmp_path / "page.html"
    done = invoke("drill", ours, *SHORT, "--html", str(page))

    assert done.code == 2
    assert "pip install 'fallbackio[report]'" in done.err
    assert done.out == ""
    assert not page.exists()


def test_an_interrupt_ends_it_quietly(ours: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C in the middle is exit code 130, without a traceback, half a report or a page."""

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Progress, "tick", interrupted)
    page = tmp_path / "page.html"
    done = invoke("drill", ours, *SHORT, "--html", str(page))

    assert (done.code, done.out, done.err) == (130, "", "")
    assert not page.exists()


def test_the_page_shows_what_the_command_prints(tmp_path: Path) -> None:
    """The example of docs/drills.md is this command's output for the chain above it."""
    page = (Path(__file__).parents[2] / "docs" / "drills.md").read_text(encoding="utf-8")
    chain = page.partition('```toml title="chain.toml"\n')[2].partition("```")[0]
    shown = page.partition("```text\n")[2].partition("```")[0].splitlines()

    printed = invoke("drill", _file(tmp_path, "chain", chain), "-s", "s6").out

    assert len(shown) > 8
    said = {one.rstrip() for one in printed.splitlines()}
    prices = ("  in all", "  of it for nothing")  # change whenever a vendor's do
    assert [line for line in shown if line not in said and not line.startswith(prices)] == []
