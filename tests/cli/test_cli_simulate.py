"""`simulate`: a server that users of any language can start, switch and stop."""

from __future__ import annotations

import signal
import socket
from pathlib import Path

import pytest
from cli_kit import invoke, simulator


def test_it_says_where_and_how_and_stops_cleanly(tmp_path: Path) -> None:
    """Base URLs and curl lines are printed, behaviours hold, and Ctrl-C ends it with exit code 0."""
    slow = tmp_path / "slow.json"
    slow.write_text('{"latency": 0.5}', encoding="utf-8")
    with simulator("a", "b", "-b", 'b={"tokens": 3}', "-b", f"c={slow}") as sim:
        assert sim.control("GET", "b")["behaviour"]["tokens"] == 3
        assert sim.control("GET", "c")["behaviour"]["latency"] == {"kind": "fixed", "seconds": 0.5}
        assert set(sim.control("GET", "stats")["endpoints"]) == {"a", "b", "c"}
        sim.process.send_signal(signal.SIGINT)
        _, err = sim.process.communicate(timeout=20)

    assert f"  a            openai     {sim.url}/a/v1\n" in sim.greeting
    assert f"  a            anthropic  {sim.url}/a\n" in sim.greeting
    assert (sim.process.returncode, err) == (0, "stopped\n")


def test_its_own_advice_works() -> None:
    """The printed control lines are understood by the server that printed them."""
    with simulator() as sim:
        bodies = [line.split("-d '")[1].rstrip("'\n") for line in sim.greeting if "-X PUT" in line]
        kinds = [
            sim.control("PUT", "primary", body.encode())["behaviour"]["fault"]["kind"] for body in bodies
        ]

    assert kinds == ["status", "stall"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("primary", "NAME=FILE.json"),
        ("primary={", "'primary'"),
        ("primary=no-such.json", "no-such.json"),
        ('primary={"latnecy": 1}', "did you mean 'latency'"),
        ("two words={}", "an endpoint's name"),
    ],
    ids=["no name", "no JSON", "no file", "typing error", "bad name"],
)
def test_a_wrong_behaviour_is_exit_code_2(given: str, message: str) -> None:
    """It does not start with half of what was asked for."""
    done = invoke("simulate", "--port", "0", "-b", given)

    assert done.code == 2
    assert message in done.err
    assert len(done.err.splitlines()) == 1


def test_a_taken_port_is_said() -> None:
    """Another server at the port is exit code 1 and a sentence."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = invoke("simulate", "--port", str(taken.getsockname()[1]))

    assert done.code == 1
    assert "another --port" in done.err
