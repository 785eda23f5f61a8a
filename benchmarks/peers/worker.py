"""One contender in a process of its own: orders come in as JSON lines, what happened goes out as JSON lines.

Runs in every contender's own environment, so it and the contenders' shared parts need Python's standard
library only.  Calls are open loop: each begins at its instant whatever became of those before, and its
time counts from when it was due, not from when the loop got round to it.

    python worker.py MODULE [JSON ARGUMENTS]
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import importlib.metadata
import json
import logging
import os
import resource
import sys
import time
import warnings
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, Protocol

Order = Mapping[str, Any]

# How often the loop is asked whether it is late.
PULSE_S = 0.02

# A call that was given up may be slow to notice; then its process is not waited for.
PATIENCE_S = 5.0


@dataclass
class Answer:
    """What a call came to, as its caller sees it."""

    text: str
    finish_reason: str | None = None
    id: str | None = None


class Contender(Protocol):
    """One way of asking three endpoints; made by the `opened(urls, settings)` of its module.

    Attributes:
        began: When the play began, on the loop's clock; only the oracle wants to know.
    """

    began: float

    async def complete(self) -> Answer:
        """A whole answer."""
        ...

    async def stream(self, first: Callable[[], object]) -> Answer:
        """A streamed answer; `first` is called at its first content."""
        ...

    async def close(self) -> None:
        """Give everything back."""
        ...


@dataclass
class Record:
    """One call: when it was due, its first content and end in seconds from then, and what it came to."""

    due_s: float
    ttft_s: float | None = None
    end_s: float = 0.0
    outcome: str = "error"
    finish_reason: str | None = None
    served: str | None = None
    detail: str = ""

    def row(self) -> list[Any]:
        ttft = None if self.ttft_s is None else round(self.ttft_s, 5)
        return [
            round(self.due_s, 4),
            ttft,
            round(self.end_s, 5),
            self.outcome,
            self.finish_reason,
            self.served,
            self.detail,
        ]


def rss_kib() -> int:
    """Resident memory of this process."""
    with open("/proc/self/statm") as pages:
        return int(pages.read().split()[1]) * resource.getpagesize() // 1024


@dataclass
class Worker:
    """Answers orders; contenders are kept by the key they were opened with."""

    module: ModuleType
    arguments: dict[str, Any]
    import_s: float
    imported_kib: int
    open: dict[str, Contender] = field(default_factory=dict)
    settings: dict[str, dict[str, Any]] = field(default_factory=dict)

    async def obey(self, order: Order) -> dict[str, Any]:
        """Do one order and say how it went."""
        do: Callable[[Order], Awaitable[dict[str, Any]]] = getattr(self, f"do_{order['do']}")
        return await do(order)

    async def do_hello(self, order: Order) -> dict[str, Any]:
        versions = {name: importlib.metadata.version(name) for name in self.module.PACKAGES}
        return {"import_s": self.import_s, "imported_kib": self.imported_kib, "versions": versions}

    async def do_open(self, order: Order) -> dict[str, Any]:
        key = order["key"]
        self.settings[key] = {**order["settings"], **self.arguments}
        self.open[key] = await self.module.opened(order["urls"], self.settings[key])
        return {}

    async def do_close(self, order: Order) -> dict[str, Any]:
        await self.open.pop(order["key"]).close()
        del self.settings[order["key"]]
        return {}

    async def do_play(self, order: Order) -> dict[str, Any]:
        """Calls at the instants `at`, in seconds from the epoch second `begin`, by `keys` in turns."""
        loop = asyncio.get_running_loop()
        begin = loop.time() + order["begin"] - time.time()
        keys, streams = order["keys"], order["streams"]
        for key in keys:
            self.open[key].began = begin
        records: list[Record] = []
        lateness: list[float] = []
        await asyncio.sleep(begin - loop.time() - 0.05)
        gc.collect()
        cpu = time.process_time()
        pulse = asyncio.create_task(_pulse(lateness))
        calls: set[asyncio.Task[None]] = set()
        for number, due in enumerate(order["at"]):
            await asyncio.sleep(begin + due - loop.time())
            record = Record(due)
            records.append(record)
            key = keys[number % len(keys)]
            calls.add(
                asyncio.create_task(self._call(record, key, streams[number % len(streams)], begin + due))
            )
        await asyncio.wait(calls)
        pulse.cancel()
        lateness.sort()
        return {
            "records": [record.row() for record in records],
            "cpu_s": time.process_time() - cpu,
            "rss_kib": rss_kib(),
            "late_p99_s": lateness[int(0.99 * len(lateness))] if lateness else 0.0,
        }

    async def _call(self, record: Record, key: str, stream: bool, due: float) -> None:
        loop = asyncio.get_running_loop()
        settings = self.settings[key]

        def first() -> None:
            if record.ttft_s is None:
                record.ttft_s = loop.time() - due

        contender = self.open[key]
        call = asyncio.ensure_future(contender.stream(first) if stream else contender.complete())
        # Not `wait_for`: it would wait for a call that does not take its cancellation.
        done, _ = await asyncio.wait([call], timeout=settings["give_up_s"])
        record.end_s = loop.time() - due
        if not done:
            record.outcome = "gave up"
            call.cancel()
            await asyncio.wait([call], timeout=PATIENCE_S)
            return
        try:
            answer = call.result()
        except Exception as error:  # noqa: BLE001 - whatever a contender raises is its answer
            record.outcome, record.detail = "error", type(error).__name__
            return
        record.outcome = "whole" if answer.text == settings["text"] else "false"
        record.finish_reason = answer.finish_reason
        record.detail = "" if record.outcome == "whole" else f"{len(answer.text)} characters"
        if answer.id and "_" in answer.id:
            record.served = answer.id.rpartition("_")[0]

    async def do_measure(self, order: Order) -> dict[str, Any]:
        """Seconds of CPU and wall per call, one call after the other."""
        contender, calls = self.open[order["key"]], order["calls"]
        text = self.settings[order["key"]]["text"]
        gc.collect()
        cpu, wall = time.process_time(), time.perf_counter()
        for _ in range(calls):
            answer = await (contender.stream(_nothing) if order["stream"] else contender.complete())
            assert answer.text == text, f"{answer.text!r} is not the answer"
        return {
            "cpu_s": (time.process_time() - cpu) / calls,
            "wall_s": (time.perf_counter() - wall) / calls,
            "rss_kib": rss_kib(),
        }

    async def do_cancel(self, order: Order) -> dict[str, Any]:
        """Begin calls, cancel them all after a while, and say how long they took to end."""
        contender = self.open[order["key"]]
        calls = [
            asyncio.ensure_future(contender.stream(_nothing) if order["stream"] else contender.complete())
            for _ in range(order["calls"])
        ]
        await asyncio.sleep(order["after_s"])
        began = time.perf_counter()
        for call in calls:
            call.cancel()
        _, pending = await asyncio.wait(calls, timeout=PATIENCE_S)
        return {"took_s": time.perf_counter() - began, "pending": len(pending)}


def _nothing() -> None:
    pass


async def _pulse(lateness: list[float]) -> None:
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + PULSE_S
        await asyncio.sleep(PULSE_S)
        lateness.append(loop.time() - due)


async def serve(worker: Worker) -> None:
    """Until standard input closes."""
    loop = asyncio.get_running_loop()
    # Contenders print: to standard error with that, the orders' channel is ours.
    channel = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        try:
            reply = await worker.obey(json.loads(line))
        except Exception as error:  # noqa: BLE001 - the other end decides what a failed order means
            reply = {"failed": f"{type(error).__name__}: {error}"}
        channel.write(json.dumps(reply) + "\n")


def main() -> None:
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    before, began = rss_kib(), time.perf_counter()
    module = importlib.import_module(sys.argv[1])
    imported = time.perf_counter() - began
    arguments = json.loads(sys.argv[2]) if len(sys.argv) > 2 else {}
    asyncio.run(serve(Worker(module, arguments, imported, rss_kib() - before)))


if __name__ == "__main__":
    main()
