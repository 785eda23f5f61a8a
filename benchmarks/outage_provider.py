"""The providers of `outage.py`: one process, one simulator per contender, all playing the same outage.

Orders come in as JSON lines, counts go out as JSON lines.  Every contender has endpoints of its own under
the same names and with the same seed, so the k-th request to an endpoint meets the same luck whoever
sends it, and nobody's requests can use up another's capacity.  With another seed a contender gets other
endpoints, and what it still had under way ends with the old ones.

    python benchmarks/outage_provider.py
"""

from __future__ import annotations

import asyncio
import os
import resource
import sys
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import Any

import orjson

from fallbackio.simulator import SimulatedEndpoint, Simulator, behaviour_from_json

Order = Mapping[str, Any]


class Stage:
    """Obeys orders; endpoints are kept by contender and name."""

    def __init__(self, stack: AsyncExitStack) -> None:
        self.stack = stack
        self.simulators: dict[str, Simulator] = {}
        self.seeds: dict[str, int] = {}
        self.closing: dict[str, AsyncExitStack] = {}
        self.endpoints: dict[tuple[str, str], SimulatedEndpoint] = {}
        self.began = 0.0  # of the play under way, on the loop's clock

    async def obey(self, order: Order) -> dict[str, Any]:
        """Do one order and say how it went."""
        answer: dict[str, Any] = await getattr(self, f"do_{order['do']}")(order)
        return answer

    async def begin_anew(self, contender: str, seed: int) -> None:
        """A simulator with this seed for a contender, in place of the one it had."""
        if contender in self.closing:
            await self.closing[contender].aclose()
        else:
            self.closing[contender] = await self.stack.enter_async_context(AsyncExitStack())
        self.endpoints = {key: one for key, one in self.endpoints.items() if key[0] != contender}
        simulator = Simulator(seed=seed)
        self.simulators[contender] = await self.closing[contender].enter_async_context(simulator)
        self.seeds[contender] = seed

    async def do_add(self, order: Order) -> dict[str, Any]:
        """Endpoints for a contender; answers their base URLs.  Known ones are reset."""
        contender = order["contender"]
        if self.seeds.get(contender) != order["seed"]:
            await self.begin_anew(contender, order["seed"])
        urls = []
        for name, behaviour in order["endpoints"].items():
            key = (contender, name)
            if key not in self.endpoints:
                # A port of its own, because one that refuses connections must not take the others with it.
                self.endpoints[key] = self.simulators[contender].add(name, own_port=True)
            self.endpoints[key].reset()
            self.endpoints[key].behave(behaviour_from_json(behaviour))
            urls.append(self.endpoints[key].url("openai"))
        return {"urls": urls}

    async def do_play(self, order: Order) -> dict[str, Any]:
        """Switch endpoints at their instants from the epoch second `begin`, each contender's `later`."""
        loop = asyncio.get_running_loop()
        self.began = loop.time() + order["begin"] - time.time()
        for later, contender in order["contenders"]:
            for at_s, name, behaviour in order["events"]:
                loop.call_at(
                    self.began + later + at_s,
                    self.endpoints[contender, name].behave,
                    behaviour_from_json(behaviour),
                )
        return {}

    async def do_counts(self, order: Order) -> dict[str, Any]:
        """What the endpoints have seen, and the CPU that it took."""
        counts: dict[str, dict[str, Any]] = {}
        for (contender, name), endpoint in self.endpoints.items():
            if name in order["names"]:
                counts.setdefault(contender, {})[name] = {
                    **endpoint.stats.to_json(),
                    "arrivals": [round(at - self.began, 3) for at in endpoint.stats.arrivals],
                }
        return {"counts": counts, "cpu_s": time.process_time()}


async def serve() -> None:
    """Until standard input closes."""
    loop = asyncio.get_running_loop()
    channel = os.fdopen(os.dup(1), "wb", buffering=0)
    async with AsyncExitStack() as stack:
        stage = Stage(stack)
        while line := await loop.run_in_executor(None, sys.stdin.readline):
            try:
                reply = await stage.obey(orjson.loads(line))
            except Exception as error:  # noqa: BLE001 - the other end decides what a failed order means
                reply = {"failed": f"{type(error).__name__}: {error}"}
            channel.write(orjson.dumps(reply) + b"\n")


if __name__ == "__main__":
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    asyncio.run(serve())
