"""Who takes part in `outage.py`, and the processes in which they do.

A contender is a module of `peers/`, run by `peers/worker.py` in the environment that its packages were
installed into.  To add one: write the module, give it a line in `CONTENDERS`.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Iterable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Self

from attrs import field, frozen

ROOT = Path(__file__).parent.parent
PEERS = Path(__file__).parent / "peers"

# A line holds all records of a play.
_LONGEST_LINE = 64 * 2**20


@frozen
class Contender:
    """One way to ask three endpoints.

    Attributes:
        name: What tables call it.
        module: Of `peers/`.
        environment: The virtual environment it runs in.
        arguments: What its module is told.
        ours: Whether it is fallbackio.
        bound: Whether it is no contender but a bound for all.
    """

    name: str
    module: str
    environment: str
    arguments: Mapping[str, Any] = field(factory=dict)
    ours: bool = False
    bound: bool = False


CONTENDERS = (
    Contender("fallbackio, sequence", "chains", "fallbackio", {"strategy": "sequence"}, ours=True),
    Contender("fallbackio, hedge", "chains", "fallbackio", {"strategy": "hedge"}, ours=True),
    Contender("fallbackio, race", "chains", "fallbackio", {"strategy": "race"}, ours=True),
    Contender("LiteLLM Router", "litellm_calls", "litellm", {"router": True}),
    Contender("LiteLLM fallbacks", "litellm_calls", "litellm"),
    Contender("pydantic-ai", "pydantic_fallback", "pydantic-ai"),
    Contender("LangChain", "langchain_fallbacks", "langchain"),
    Contender("OpenAI SDK, loop", "openai_loop", "openai"),
    Contender("oracle", "bare", "fallbackio", bound=True),
    Contender("bare aiohttp", "bare", "fallbackio", bound=True),
)
ORACLE, FLOOR = CONTENDERS[-2], CONTENDERS[-1]


class Failed(RuntimeError):
    """The other end could not do what it was told."""


class Process:
    """A process that is given orders as JSON lines and answers each with one."""

    def __init__(self, name: str, process: asyncio.subprocess.Process) -> None:
        self.name = name
        self._process = process

    @classmethod
    async def start(cls, name: str, *command: str, environment: Mapping[str, str]) -> Self:
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=pipe,
            stdout=pipe,
            stderr=asyncio.subprocess.DEVNULL,
            limit=_LONGEST_LINE,
            env={**os.environ, **environment},
        )
        return cls(name, process)

    async def tell(self, do: str, **order: Any) -> dict[str, Any]:
        """Give an order and wait for its answer."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"do": do, **order}).encode() + b"\n")
        line = await self._process.stdout.readline()
        if not line:
            raise Failed(f"{self.name} has ended while it was told to {do}")
        reply: dict[str, Any] = json.loads(line)
        if "failed" in reply:
            raise Failed(f"{self.name} could not {do}: {reply['failed']}")
        return reply

    async def stop(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            await asyncio.wait_for(self._process.wait(), 3)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()


def python_of(environment: str, folder: Path | None) -> str:
    """The interpreter of an environment; without a folder, this very one."""
    return str(folder / environment / "bin" / "python") if folder else sys.executable


async def start_provider(stack: AsyncExitStack) -> Process:
    """The process with the simulated endpoints."""
    provider = await Process.start(
        "the provider", sys.executable, str(ROOT / "benchmarks" / "outage_provider.py"), environment={}
    )
    stack.push_async_callback(provider.stop)
    return provider


async def start(
    contenders: Iterable[Contender], stack: AsyncExitStack, folder: Path | None, scale: float
) -> dict[str, Process]:
    """Their processes, by name."""
    processes = {}
    for contender in contenders:
        process = await Process.start(
            contender.name,
            python_of(contender.environment, folder),
            str(PEERS / "worker.py"),
            contender.module,
            json.dumps(dict(contender.arguments)),
            environment={"BENCHMARK_SCALE": str(scale), "PYTHONWARNINGS": "ignore"},
        )
        stack.push_async_callback(process.stop)
        processes[contender.name] = process
    return processes
