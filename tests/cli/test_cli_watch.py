"""`fallbackio watch`, following applications that run in a thread of their own."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from io import StringIO
from pathlib import Path

import orjson
import pytest
from cli_kit import invoke, running
from rich.console import Console

import fallbackio
from fallbackio import clock
from fallbackio.cli import _watch
from fallbackio.errors import Overloaded
from fallbackio.observe import render
from fallbackio.testing import ScriptedEndpoint, answers, fails


@contextmanager
def application(target: str) -> Iterator[str]:
    """An application with a chain of which one endpoint is down; gives where it publishes."""
    published: queue.Queue[str | BaseException] = queue.Queue()
    over = threading.Event()

    async def main() -> None:
        steps = [
            ScriptedEndpoint(fails(Overloaded(status=529)), name="down").endpoint,
            ScriptedEndpoint(answers("fine"), name="[bold]up").endpoint,
        ]
        async with fallbackio.Chain(steps, name="chat", seed=1) as chain:
            for _ in range(6):
                await chain.complete("hi")
            async with chain.publish(target, every_s=0.05) as publisher:
                published.put(publisher.address)
                await asyncio.to_thread(over.wait, 60)

    def begin() -> None:
        try:
            asyncio.run(main())
        except BaseException as error:
            published.put(error)

    thread = threading.Thread(target=begin)
    thread.start()
    try:
        address = published.get(timeout=30)
        assert isinstance(address, str), address
        yield address
    finally:
        over.set()
        thread.join(30)


@pytest.fixture(params=["file", "unix", "tcp"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Where an application publishes, of each kind."""
    targets = {"file": f"{tmp_path}/app.jsonl", "unix": f"unix:{tmp_path}/app.sock", "tcp": "127.0.0.1:0"}
    with application(targets[request.param]) as found:
        yield found


def test_one_look_shows_the_table(address: str) -> None:
    """Endpoints, breakers, why; what looks like markup in a name is text."""
    done = invoke("watch", address, "--once", env={"COLUMNS": "160"})

    assert (done.code, done.err) == (0, "")
    first, heading, down, up = done.out.splitlines()
    assert first.startswith("chat: 0 under way, 100.0% fall back")
    assert heading.split()[:2] == ["endpoint", "breaker"]
    assert down.startswith("down")
    assert "open, " in down
    assert "Overloaded 529, " in down
    assert up.startswith("[bold]up")
    assert "closed" in up


def test_a_socket_file_can_be_named_by_its_path(tmp_path: Path) -> None:
    """Whoever leaves out `unix:` is understood."""
    with application(f"unix:{tmp_path}/app.sock"):
        assert invoke("watch", f"{tmp_path}/app.sock", "--once").code == 0


def test_it_follows_to_the_end() -> None:
    """Lines go on as long as the application does, and the command ends with it."""
    with ExitStack() as stack:
        app = ExitStack()
        address = app.enter_context(application("127.0.0.1:0"))
        process = stack.enter_context(running("watch", address, "--json"))
        assert process.stdout is not None
        lines = [orjson.loads(process.stdout.readline()) for _ in range(3)]
        app.close()
        assert process.wait(30) == 0

    assert [line["chain"] for line in lines] == ["chat"] * 3
    assert lines[0]["at"] < lines[2]["at"]
    assert lines[0]["endpoints"][0]["breaker"]["state"] == "open"


def test_a_file_that_begins_anew_is_read_on(tmp_path: Path) -> None:
    """The file is emptied when it gets large; nothing is lost or read twice."""
    path = tmp_path / "app.jsonl"
    path.write_text('{"chain":"old"}\n{"chain":"a"}\n')
    with running("watch", str(path), "--json") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == '{"chain":"a"}\n'
        with path.open("a") as file:
            file.write('{"chain":"b"}\n{"chain":')
        assert process.stdout.readline() == '{"chain":"b"}\n'
        with path.open("a") as file:
            file.write('"c"}\n')
        assert process.stdout.readline() == '{"chain":"c"}\n'
        path.write_text('{"chain":"d"}\n')
        assert process.stdout.readline() == '{"chain":"d"}\n'


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("nowhere.jsonl", "there is no nowhere.jsonl"),
        ("127.0.0.1:1", "nobody publishes at 127.0.0.1:1"),
        ("unix:nowhere.sock", "nobody publishes at unix:nowhere.sock"),
    ],
)
def test_where_nothing_is_it_says_so(target: str, said: str) -> None:
    """Nothing to follow is one sentence and exit code 1."""
    done = invoke("watch", target)

    assert done.code == 1
    assert done.err.startswith(f"fallbackio: {said}")


@pytest.mark.parametrize("content", ["hello\n", '["chain"]\n', '{"other": 1}\n'])
def test_what_is_no_health_is_refused(content: str, tmp_path: Path) -> None:
    """A file of something else is not shown."""
    path = tmp_path / "app.jsonl"
    path.write_text(content)

    done = invoke("watch", str(path), "--once")

    assert (done.code, done.out) == (1, "")
    assert "no health of a chain" in done.err


def test_a_line_with_little_in_it_is_shown(tmp_path: Path) -> None:
    """Another version may leave things out or say them otherwise; nothing in it reaches the terminal."""
    path = tmp_path / "app.jsonl"
    health = {
        "chain": "chat\x1b[2J",
        "endpoints": [{"name": "a\x1b]0;b\x07", "breaker": 5}],
        "fallback_ratio": "x",
    }
    path.write_bytes(orjson.dumps(health) + b"\n")

    done = invoke("watch", str(path), "--once", env={"COLUMNS": "120"})

    assert done.code == 0
    assert done.out.startswith("chat[2J: ? under way, ? fall back (usually ?)")
    assert not {"\x1b", "\x07"} & set(done.out)


def test_what_cannot_be_read_is_said(tmp_path: Path) -> None:
    """A folder, and what else is no file of lines, is nothing to follow."""
    done = invoke("watch", str(tmp_path))

    assert (done.code, done.out) == (1, "")
    assert done.err == f"fallbackio: {tmp_path} is no file and no socket\n"


def test_one_look_at_what_says_nothing_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty file is waited for a moment, not for ever."""
    monkeypatch.setattr(_watch, "_PATIENCE_S", 0.01)
    path = tmp_path / "app.jsonl"
    path.touch()

    done = invoke("watch", str(path), "--once")

    assert (done.code, done.err) == (1, f"fallbackio: nothing came from {path}\n")


@pytest.mark.parametrize(("at", "said"), [(1_000.0, "as of "), (None, "chat: 3 under way, ?")])
def test_what_an_application_left_behind_is_not_taken_for_news(
    at: float | None, said: str, tmp_path: Path
) -> None:
    """The file outlives its writer, so the table says how old it is."""
    path = tmp_path / "app.jsonl"
    path.write_bytes(orjson.dumps({"chain": "chat", "calls": 3, "at": at}) + b"\n")

    done = invoke("watch", str(path), "--once", env={"COLUMNS": "120"})

    assert said in done.out
    assert ("ago" in done.out) == (at is not None)


@pytest.mark.parametrize(("age_s", "alarms"), [(0.0, 2), (3600.0, 0)])
def test_what_was_left_behind_raises_no_alarm(age_s: float, alarms: int) -> None:
    """A warning and an open circuit of an application that has ended are not shown in red."""
    endpoint = {"name": "a", "breaker": {"state": "open"}}
    at = clock.wall() - age_s
    console = Console(record=True, width=120, file=StringIO(), force_terminal=True, color_system="standard")

    console.print(render({"chain": "chat", "at": at, "fallback_rate_risen": True, "endpoints": [endpoint]}))

    assert console.export_text(styles=True).count("31m") == alarms
