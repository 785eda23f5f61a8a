"""`ask`: the answer on stdout, everything about it on stderr, an exit code to rely on."""

from __future__ import annotations

import logging
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from cli_kit import COMMAND, Simulated, invoke, running, simulator

from fallbackio.cli._ask import _step
from fallbackio.endpoint import Endpoint
from fallbackio.errors import ConfigError

FAILING = {"kind": "status", "status": 500}


@pytest.fixture(scope="module")
def sim() -> Iterator[Simulated]:
    with simulator() as running_one:
        yield running_one


@pytest.mark.parametrize("how", ["--stream", "--no-stream"])
def test_the_answer_alone_is_on_stdout(sim: Simulated, how: str) -> None:
    """The text can be piped; who gave it, how fast and with how many tokens is on stderr."""
    model = sim.behave(f"well{how}", text="All is well.")
    done = invoke("ask", "How are you?", "-m", model, how)

    assert done.code == 0
    assert done.out == "All is well.\n"
    assert done.err.startswith(f"{model} answered in ")
    assert "3 out" in done.err
    assert ("first content after" in done.err) == (how == "--stream")


def test_a_failover_is_told(sim: Simulated) -> None:
    """The second model answers, and the first one's failure has its line, without a log warning."""
    first = sim.behave("broken", fault=FAILING)
    second = sim.behave("sound", text="Here.")
    done = invoke("ask", "Anybody?", "-m", first, "-f", second)

    assert done.code == 0
    assert done.out == "Here.\n"
    failed, answered = done.err.splitlines()
    assert failed.startswith("failed after ")
    assert f"{first}: server fault (HTTP 500" in failed
    assert answered.startswith(f"{second} answered in ")
    assert logging.getLogger("fallbackio").propagate


def test_a_model_may_speak_the_other_api(sim: Simulated) -> None:
    """`name@anthropic+URL` asks in Anthropic's dialect; the first choice's vendor is the host."""
    sim.behave("claude", text="Bonjour.")
    done = invoke("ask", "Salut", "-m", f"any@anthropic+{sim.url}/claude")

    assert done.out == "Bonjour.\n"
    assert sim.requests("claude") == 1


def test_the_question_may_come_from_stdin(sim: Simulated) -> None:
    """`-` reads it, and options reach the provider: the answer stops at its length limit."""
    model = sim.behave("piped", tokens=50)
    done = invoke("ask", "-", "-m", model, "--max-tokens", "2", "--system", "Be brief.", stdin="Well?\n")

    assert done.out == "word0 word1\n"
    assert "cut at its length limit" in done.err


def test_an_exhausted_chain_is_exit_code_1(sim: Simulated) -> None:
    """Nobody answered: nothing on stdout, a sentence and each model's failure on stderr."""
    models = [sim.behave(f"out{number}", fault={"kind": "reset"}) for number in (1, 2)]
    done = invoke("ask", "Anybody?", "-m", models[0], "-f", models[1])

    assert done.code == 1
    assert done.out == ""
    assert done.err.splitlines()[0] == "fallbackio: no model answered"
    assert all(model in done.err for model in models)


def test_retry_after_is_passed_on(sim: Simulated) -> None:
    """When the only model asks for time, the user learns how much."""
    model = sim.behave("busy", fault={"kind": "status", "status": 429, "retry_after_s": 90})
    done = invoke("ask", "Now?", "-m", model)

    assert done.code == 1
    assert done.err.startswith("fallbackio: no model answered; try again in 90 s\n")


def test_time_runs_out(sim: Simulated) -> None:
    """`--timeout` bounds the whole call."""
    model = sim.behave("silent", fault={"kind": "silence"})
    done = invoke("ask", "Anybody?", "-m", model, "--timeout", "0.2")

    assert done.code == 1
    assert done.err.startswith("fallbackio: no answer within 0.2 s\n")


def test_a_stalled_model_is_left_after_its_own_time(sim: Simulated) -> None:
    """`--attempt-timeout` bounds one model, and the next one answers."""
    first = sim.behave("stalled", fault={"kind": "silence"})
    done = invoke("ask", "?", "-m", first, "-f", sim.behave("next", text="Me."), "--attempt-timeout", "0.2")

    assert done.code == 0
    assert done.out == "Me.\n"


def test_a_broken_answer_keeps_its_beginning(sim: Simulated) -> None:
    """What came before the break stays, on a line of its own, and the break is said; exit code 1."""
    model = sim.behave("breaking", tokens=50, fault={"kind": "cut", "after_tokens": 2})
    done = invoke("ask", "Go on", "-m", model)

    assert done.code == 1
    assert done.out == "word0 word1\n"
    assert done.err.startswith("fallbackio: the answer broke off; what is above is all that came\n")
    assert "the connection was lost" in done.err


def test_a_wrong_request_is_said_once(sim: Simulated) -> None:
    """A 400 is one line, and the second model is not asked."""
    first = sim.behave("strict", fault={"kind": "status", "status": 400, "message": "no such thing"})
    done = invoke("ask", "?", "-m", first, "-f", sim.behave("unasked"))

    assert done.code == 1
    assert len(done.err.splitlines()) == 1
    assert "no such thing" in done.err
    assert sim.requests("unasked") == 0


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["-m", "openai/gpt-4o"], "OPENAI_API_KEY"),
        (["-m", "gpt-4o"], "write 'vendor/model'"),
        (["-m", "m@http://h/v1", "-f", "m@http://h/v1"], "given twice"),
        (["-m", "m@morse+http://h/v1"], "unknown dialect 'morse'"),
        (["-m", "m@http://user:secret@h/v1"], "out of its URL"),
        (["-m", "m@http://[h/v1"], "is no URL"),
        (["-m", "m@http://h/v1", "--timeout", "nan"], "timeout must be"),
    ],
    ids=["no key", "no vendor", "twice", "dialect", "key in URL", "no URL", "NaN"],
)
def test_what_cannot_be_asked_is_exit_code_2(args: list[str], message: str) -> None:
    """Nothing is sent; one line says what to mend and shows no key."""
    done = invoke("ask", "Hello", *args, env={"OPENAI_API_KEY": None})

    assert done.code == 2
    assert message in done.err
    assert len(done.err.splitlines()) == 1
    assert "secret" not in done.err


def test_an_empty_question_is_not_sent() -> None:
    """A pipe that brought nothing is a mistake, not a question."""
    done = invoke("ask", "-", "-m", "m@http://127.0.0.1:9/v1", stdin="\n")

    assert done.code == 2
    assert "empty" in done.err


def test_control_characters_do_not_reach_the_terminal(sim: Simulated) -> None:
    """An answer cannot move the cursor or retitle the window."""
    model = sim.behave("rogue", text="\x1b]0;owned\x07red\tand\nblack\x9b2J")
    done = invoke("ask", "?", "-m", model)

    assert done.out == "]0;ownedred\tand\nblack2J\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
@pytest.mark.parametrize("how", ["--stream", "--no-stream"])
def test_a_full_disk_is_said_in_a_sentence(sim: Simulated, how: str) -> None:
    """Output that cannot be written ends the command with a message and no traceback."""
    model = sim.behave(f"well{how}", text="All is well.")
    command = [*COMMAND, "ask", "hi", "-m", model, how]
    with open("/dev/full", "w", encoding="utf-8") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)  # noqa: S603

    assert done.returncode == 1
    assert "cannot write the output: No space left" in done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


def test_ctrl_c_is_quiet(sim: Simulated) -> None:
    """Interrupted in mid-answer it ends with 130, the line ended, no traceback, the request given up."""
    model = sim.behave("endless", text="one two three", pace_s=60)
    with running("ask", "Count", "-m", model) as process:
        assert process.stdout is not None
        assert process.stdout.read(3) == "one"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)

    assert (process.returncode, out, err) == (130, "\n", "")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("openai/gpt-4o", "openai/gpt-4o"),
        ("cf/@cf/meta/llama", "cf/@cf/meta/llama"),
        (
            "org/llama@https://h/v1",
            Endpoint("org/llama", name="org/llama@https://h/v1", base_url="https://h/v1", dialect="openai"),
        ),
        (
            "@cf/m@anthropic+http://h",
            Endpoint("@cf/m", name="@cf/m@anthropic+http://h", base_url="http://h", dialect="anthropic"),
        ),
    ],
    ids=["vendor", "at in a model", "URL", "dialect"],
)
def test_models_are_read(given: str, expected: str | Endpoint) -> None:
    """Only what has a URL after an @ is an address."""
    assert _step(given, None) == expected


def test_the_key_goes_to_addressed_models_only() -> None:
    """A vendor's model takes its key from the vendor's own variable."""
    addressed = _step("m@https://h/v1", "k-1")

    assert isinstance(addressed, Endpoint)
    assert addressed.api_key == "k-1"
    assert _step("openai/gpt-4o", "k-1") == "openai/gpt-4o"


def test_a_bad_key_is_refused_before_sending() -> None:
    """A line break in the key would end the header."""
    with pytest.raises(ConfigError, match="api_key"):
        _step("m@https://h/v1", "k\n1")
