"""The command line as users have it: in a process of its own, and against a simulator in another."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import orjson
from attrs import frozen
from typer.testing import CliRunner

from fallbackio.cli._app import app


@frozen
class Done:
    """What a command came to."""

    code: int
    out: str
    err: str


def invoke(*args: str, stdin: str = "", env: dict[str, str | None] | None = None) -> Done:
    """A command run to its end in this process; an exception that it lets out is a test's failure."""
    result = CliRunner(env=env).invoke(app, args, input=stdin, catch_exceptions=False)
    return Done(result.exit_code, result.stdout, result.stderr)


COMMAND = [sys.executable, "-m", "fallbackio.cli"]


def _interruptible() -> None:
    # A shell that starts pytest in the background has SIGINT ignored, and children inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@contextmanager
def running(*args: str) -> Iterator[subprocess.Popen[str]]:
    """A command under way; killed at the end if it has not ended by itself."""
    pipe = subprocess.PIPE
    with subprocess.Popen(  # noqa: S603 - our own command
        [*COMMAND, *args], stdout=pipe, stderr=pipe, text=True, encoding="utf-8", preexec_fn=_interruptible
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@contextmanager
def simulator(*args: str) -> Iterator[Simulated]:
    """`fallbackio simulate` at a free port, listening."""
    with running("simulate", "--port", "0", *args) as process:
        assert process.stdout is not None
        greeting: list[str] = []
        while not (greeting and greeting[-1].startswith("  fallbackio ask")):
            greeting.append(process.stdout.readline())
            assert greeting[-1], "it ended before it listened"
        url = re.search(r"http://127\.0\.0\.1:\d+", greeting[0])
        assert url is not None
        yield Simulated(url.group(), greeting, process)


class Simulated:
    """A running `fallbackio simulate`, and the lines it printed when it listened."""

    def __init__(self, url: str, greeting: list[str], process: subprocess.Popen[str]) -> None:
        self.url = url
        self.greeting = greeting
        self.process = process

    def behave(self, name: str, **behaviour: Any) -> str:
        """Have the endpoint behave so; what `ask -m` calls it."""
        self.control("PUT", name, orjson.dumps(behaviour))
        return f"any@{self.url}/{name}/v1"

    def requests(self, name: str) -> int:
        """How many requests it has got since it was last behaved."""
        return int(self.control("GET", name)["stats"]["requests"])

    def control(self, method: str, path: str, body: bytes | None = None) -> Any:
        """Ask the control below `/_sim/`."""
        request = urllib.request.Request(f"{self.url}/_sim/{path}", data=body, method=method)  # noqa: S310
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
            return orjson.loads(answer.read())
