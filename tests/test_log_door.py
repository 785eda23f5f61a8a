"""Nothing that only tells may fail a call: the log's handlers and filters are the application's code."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path
from typing import Any

import pytest

import fallbackio
from fallbackio import Chain, Endpoint
from fallbackio._log import say
from fallbackio.compat.litellm import acompletion
from fallbackio.errors import BadAnswer
from fallbackio.model import Request
from fallbackio.observe import _publish as publish
from fallbackio.simulator import Simulator
from fallbackio.testing import ScriptedEndpoint, answers, virtual_time

HI = [{"role": "user", "content": "hi"}]


class Broken(logging.Handler):
    """Keeps the beginning of each line, and raises."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())
        raise RuntimeError("the log's server is down")

    def heard(self, text: str) -> bool:
        return any(text in line for line in self.lines)


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> Iterator[Broken]:
    handler = Broken()
    logger = logging.getLogger("fallbackio")
    monkeypatch.setattr(logger, "handlers", [handler])
    before = logger.level
    logger.setLevel(logging.INFO)
    yield handler
    logger.setLevel(before)


@virtual_time
async def test_a_parameter_that_is_left_out(broken: Broken) -> None:
    """What a dialect cannot express is told of, and the request goes out."""
    async with Simulator() as sim:
        one = Endpoint(
            "claude",
            dialect="anthropic",
            base_url=sim.add("one").url("anthropic"),
            api_key="k",
            unsupported="drop",
        )
        async with Chain([one], max_retries=0) as chain:
            assert (await chain.complete("hi", seed=1)).text

    assert broken.heard("seed is left out")


@virtual_time
async def test_a_clean_up_that_fails(broken: Broken) -> None:
    """What a generator of the user's raises at its end does not take the place of what ended it."""

    async def fn(request: Request) -> AsyncGenerator[Any, None]:
        try:
            yield "text"
            yield 5  # which is no text
        finally:
            await lost()

    async def lost() -> None:
        raise ConnectionResetError

    async with Chain([Endpoint.calling(fn, name="ours")], max_retries=0) as chain:
        with pytest.raises(fallbackio.ChainExhausted) as caught:
            await chain.complete("hi")

    assert isinstance(caught.value.attempts[0].error, BadAnswer)
    assert broken.heard("clean-up")


@virtual_time
async def test_a_fallback_that_is_left_out(broken: Broken) -> None:
    """A program written for LiteLLM gets its answer from the endpoint that can say what it asks."""
    async with Simulator() as sim:
        one = sim.add("one")
        ours = {"model": "openai/ours", "api_base": f"{one.url('openai')}", "api_key": "k"}
        claude = {"model": "anthropic/claude", "api_base": one.url("anthropic"), "api_key": "k"}
        response = await acompletion(**ours, messages=HI, seed=1, fallbacks=[claude])

    assert response.report.endpoint == "openai/ours"
    assert broken.heard("anthropic/claude is left out")


@virtual_time
async def test_a_reload(tmp_path: Path, broken: Broken) -> None:
    """It is done, and says so to its caller."""
    path = tmp_path / "chain.toml"
    text = '[chain.chat]\nsteps = ["a"]\ntimeout = {}\n[endpoint.a]\nmodel = "m"\nbase_url = "http://127.0.0.1:9"'
    path.write_text(text.format(5), encoding="utf-8")
    async with Chain.from_toml(path) as chain:
        path.write_text(text.format(7), encoding="utf-8")

        assert chain.reload().kept == ("a",)
        assert chain._setup.limits.timeout == 7

    assert broken.heard("was reloaded")


def test_a_file_that_cannot_be_written(
    tmp_path: Path, broken: Broken, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The publisher goes on, and so do the lines when there is room on the disk again."""
    path = tmp_path / "app.jsonl"
    append, written, again = publish._append, [], threading.Event()

    def disk(path: str, line: bytes) -> None:
        written.append(line)
        if len(written) == 2:
            raise OSError("no space left on device")
        append(path, line)
        if len(written) == 3:
            again.set()

    monkeypatch.setattr(publish, "_append", disk)

    async def main() -> None:
        endpoint = ScriptedEndpoint(answers("fine"), name="a")
        async with Chain([endpoint.endpoint]) as chain, chain.publish(path, every_s=0.01):
            assert await asyncio.to_thread(again.wait, 10)

    asyncio.run(main())
    assert broken.heard("cannot be written")


@pytest.mark.parametrize("shown", [True, False])
def test_a_line_that_is_lost(
    shown: bool, broken: Broken, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What a handler raises is shown on stderr, unless `logging` is told not to."""
    monkeypatch.setattr(logging, "raiseExceptions", shown)
    say(logging.WARNING, "%s is left out", "seed")

    assert broken.lines == ["seed is left out"]
    assert ("RuntimeError: the log's server is down" in capsys.readouterr().err) is shown


def test_a_line_is_said_to_be_where_it_was_written(caplog: pytest.LogCaptureFixture) -> None:
    """A record's place in the code is that of who speaks, not of the door."""
    say(logging.WARNING, "hello")

    assert caplog.records[0].funcName == "test_a_line_is_said_to_be_where_it_was_written"
