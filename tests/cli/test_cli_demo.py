"""`demo`: what it shows is what happened, and it does not hide a failure."""

from __future__ import annotations

import logging
import os
import re
import subprocess
import sys

import attrs
import orjson
import pytest
from cli_kit import COMMAND, invoke

from fallbackio.cli._shell import quiet_log
from fallbackio.cli.demo import perform
from fallbackio.cli.demo._run import Run
from fallbackio.cli.demo._screen import PlainScreen
from fallbackio.cli.demo._script import Phase, Script, outage
from fallbackio.cli.demo._tally import Reached, Tally
from fallbackio.model import Report
from fallbackio.simulator import Status
from fallbackio.testing import run


@pytest.fixture(scope="module")
def played() -> Run:
    """The usual demo, played once in virtual time; its figures are the same each time."""
    performance = Run(outage(24), lambda _: None)
    with quiet_log():
        run(performance.play)
    return performance


def tally_of(played: Run, name: str) -> Tally:
    return next(tally for tally in played.tallies if tally.phase.name == name)


def doomed(faults: tuple[str, ...] = ("sim-openai", "sim-anthropic", "sim-vllm")) -> Script:
    """A short demo in which all vendors are down for a phase."""
    phase = Phase(name="all down", story="Nobody is up.", faults=dict.fromkeys(faults, Status(401)))
    return attrs.evolve(outage(3), phases=(phase,), phase_s=0.3)


def test_every_call_is_answered(played: Run) -> None:
    """A few hundred calls over five phases, none of which fails."""
    assert [tally.calls for tally in played.tallies] == [96] * 5
    assert [tally.success_ratio for tally in played.tallies] == [1.0] * 5
    assert [tally.under_way for tally in played.tallies] == [0] * 5


def test_an_open_circuit_lets_probes_through_only(played: Run) -> None:
    """Five 500s open the circuit; of the other 91 calls a handful probes and the rest goes elsewhere."""
    tally = tally_of(played, "primary: 500s")
    reached = tally.reached["sim-openai"]

    assert reached.before == 5
    assert 1 <= reached.probes <= 8
    assert tally.served_by() == {"sim-anthropic": 96}
    assert tally.failovers == 96


def test_a_stall_delays_only_who_met_it(played: Run) -> None:
    """Some who reached it waited to the end, until its circuit opened; the median sees nothing."""
    tally = tally_of(played, "primary: stalls")
    reached = tally.reached["sim-openai"]
    waited = [seconds for seconds in tally.answered_s if seconds >= played.script.attempt_timeout_s]

    assert 3 <= len(waited) < reached.before + reached.probes
    assert max(tally.answered_s) < 2 * played.script.attempt_timeout_s
    assert reached.before < 30
    assert tally.quantile_s(0.5) < 0.1


def test_two_vendors_down_leave_the_third(played: Run) -> None:
    """A 429 with Retry-After is respected, and an endpoint that was open stays open."""
    tally = tally_of(played, "secondary: 429s")

    assert tally.served_by().most_common(1)[0][0] == "sim-vllm"
    assert tally.reached["sim-openai"].before == 0
    assert tally.reached["sim-anthropic"] == Reached(before=1, probes=5)


def test_the_primary_comes_back(played: Run) -> None:
    """After the outage the first choice serves again, found well by a probe."""
    assert tally_of(played, "recovery").served[-20:] == ["sim-openai"] * 20
    assert all(circuit.phase == "closed" for circuit in played.watch.circuits.values())


def test_the_counts_are_the_simulators_own(played: Run) -> None:
    """What a phase says reached a sick vendor agrees with the statuses which that vendor sent."""
    sent = sum(tally_of(played, "primary: 500s").reached.values(), Reached())

    assert played.vendors["sim-openai"].stats.by_status[500] == sent.before + sent.probes


def test_it_runs_in_real_time_without_a_terminal() -> None:
    """A short run ends with 0, plain lines, 100 % in each phase, and the log as it was before."""
    before = logging.getLogger("fallbackio").handlers[:]
    done = invoke("demo", "--seconds", "3")

    assert done.code == 0, done.out
    assert done.out.isascii()
    assert "\x1b" not in done.out
    assert done.out.count("100%") == 5
    assert "All 60 calls were answered" in done.out
    assert done.err == ""
    assert logging.getLogger("fallbackio").handlers == before
    assert logging.getLogger("fallbackio").propagate


def test_json_is_all_there_is() -> None:
    """`--json` prints one document, with the sum of the phases."""
    done = invoke("demo", "--seconds", "3", "--seed", "7", "--json")
    figures = orjson.loads(done.out)

    assert done.code == 0
    assert (figures["calls"], figures["failed"], figures["seed"]) == (60, 0, 7)
    assert sum(phase["answered"] for phase in figures["phases"]) == 60
    assert figures["phases"][1]["reached_in_trouble"]["sim-openai"]["until_left_alone"] >= 5


def test_a_failed_call_is_exit_code_1(capsys: pytest.CaptureFixture[str]) -> None:
    """With every vendor down the demo says so, and how the first call failed."""
    assert perform(doomed()) == 1

    shown = capsys.readouterr().out
    assert "6 of 6 calls failed; the first: ChainExhausted" in shown
    assert "were answered" not in shown


def test_an_answer_that_is_not_whole_counts_as_failed() -> None:
    """The demo compares texts, so that a wrong answer does not pass for a success."""
    performance = Run(doomed(faults=()), lambda _: None)
    performance._texts["sim-openai"] = "something else"
    run(performance.play)

    assert performance.tallies[0].failures == ["sim-openai answered something else than it should"] * 6


def test_percentages_are_rounded_down(capsys: pytest.CaptureFixture[str]) -> None:
    """One failed call among thousands is not 100 %."""
    tally = Tally(Phase(name="long", story=""), planned=3000)
    for _ in range(2999):
        tally.answered(tally.begin_call(), 0.1, Report())
    tally.failed(tally.begin_call(), "because")
    performance = Run(outage(3), lambda _: None)
    performance.tallies = [tally]
    PlainScreen().end(performance, 0)

    shown = capsys.readouterr().out
    assert "99.9%" in shown
    assert "1 of 3000 calls failed; the first: because" in shown


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # Linux says so when the other side has gone
        return b""


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
@pytest.mark.parametrize("columns", [80, 120])
def test_a_terminal_gets_the_live_picture(columns: int) -> None:
    """On a terminal it paints in place, fits the width, and leaves the rows and the table behind."""
    import pty

    ours, theirs = pty.openpty()
    environment = {
        **os.environ,
        "TERM": "xterm-256color",
        "COLUMNS": str(columns),
        "PYTHONIOENCODING": "utf-8",
    }
    command = [*COMMAND, "demo", "--seconds", "3"]
    with subprocess.Popen(command, stdout=theirs, stderr=theirs, env=environment) as demo:  # noqa: S603
        os.close(theirs)
        shown = b"".join(iter(lambda: _read(ours), b"")).decode()
    os.close(ours)

    assert demo.returncode == 0
    assert "\x1b[?25l" in shown
    assert "\x1b[?25h" in shown
    after = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown[shown.rindex("\x1b[?25h") :])
    assert "healthy         ▇▇▇▇▇▇▇▇▇▇▇▇   12 calls" in after
    assert "All 60 calls were answered" in after
    assert max(map(len, after.splitlines())) <= columns
    assert "…" not in after
