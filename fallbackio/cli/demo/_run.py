"""Plays a script: the simulator, a chain over it, and calls at a steady rate.

The calls are open-loop: the next one begins on time, whatever becomes of those under way, as it is
with the users of a real service.  Everything is over when `play` returns.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import anyio
from anyio.abc import TaskGroup

from fallbackio import clock
from fallbackio.cli.demo._script import Script
from fallbackio.cli.demo._tally import Tally, Watch
from fallbackio.config import Chain
from fallbackio.endpoint import Endpoint
from fallbackio.errors import FallbackError
from fallbackio.model import Reply
from fallbackio.simulator import Fault, SimulatedEndpoint, Simulator

__all__ = ["Run"]

# Every third call is streamed.
_STREAMED = 3

_TICK_S = 0.1


class Run:
    """One run of a script, and what can be seen of it.

    Attributes:
        script: What is played.
        tallies: The figures of each phase, in order.
        watch: How the chain stands to each vendor.
        vendors: The simulated vendors, once it plays.
        now_playing: The current phase's figures.
        faults: What is wrong with whom at the moment.
    """

    def __init__(self, script: Script, on_tick: Callable[[Run], None]) -> None:
        self.script = script
        self.tallies = [Tally(phase, script.calls_per_phase) for phase in script.phases]
        self.watch = Watch(vendor.name for vendor in script.vendors)
        self.vendors: dict[str, SimulatedEndpoint] = {}
        self.now_playing = self.tallies[0]
        self.faults: Mapping[str, Fault] = {}
        self._on_tick = on_tick
        self._texts = {vendor.name: vendor.text for vendor in script.vendors}

    async def play(self) -> None:
        """Play it to the end; `on_tick` is called ten times a second, and a last time."""
        async with Simulator(seed=self.script.seed) as sim:
            for vendor in self.script.vendors:
                self.vendors[vendor.name] = sim.add(vendor.name, vendor.behaviour())
            async with self._chain() as chain, anyio.create_task_group() as ticker:
                ticker.start_soon(self._tick)
                async with anyio.create_task_group() as calls:
                    for tally in self.tallies:
                        await self._phase(tally, chain, calls)
                # Only the ticker is left in it, and it holds nothing.
                ticker.cancel_scope.cancel()
        self._on_tick(self)

    def _chain(self) -> Chain:
        script = self.script
        endpoints = [
            Endpoint(
                "simulated",
                name=vendor.name,
                vendor=vendor.name,
                base_url=self.vendors[vendor.name].url(vendor.dialect),
                dialect=vendor.dialect,
                api_key="none",
            )
            for vendor in script.vendors
        ]
        return Chain(
            endpoints,
            timeout=20,
            attempt_timeout=script.attempt_timeout_s,
            breaker=script.breaker,
            sinks=[self.watch],
            name="demo",
            seed=script.seed,
        )

    async def _tick(self) -> None:
        while True:
            self._on_tick(self)
            await anyio.sleep(_TICK_S)

    async def _phase(self, tally: Tally, chain: Chain, calls: TaskGroup) -> None:
        phase, phase_s = tally.phase, self.script.phase_s
        tally.began_at = clock.now()
        self.now_playing = tally
        if phase.lull_ratio:
            self._behave({})
            await self._send(round(tally.planned * phase.lull_ratio), tally, chain, calls)
            await anyio.sleep_until(tally.began_at + phase_s * phase.lull_ratio)
        struck_at = self._behave(phase.faults)
        await self._send(tally.planned, tally, chain, calls)
        await anyio.sleep_until(tally.began_at + phase_s)
        for name in phase.faults:
            arrivals = self.vendors[name].stats.arrivals
            tally.reached[name] = self.watch.reached(name, arrivals, struck_at)

    def _behave(self, faults: Mapping[str, Fault]) -> float:
        """From this instant on these are in trouble and the others are well; returns the instant."""
        self.faults = faults
        for vendor in self.script.vendors:
            self.vendors[vendor.name].behave(vendor.behaviour(faults.get(vendor.name)))
        for name in faults:
            self.watch.struck(name)
        return clock.now()

    async def _send(self, upto: int, tally: Tally, chain: Chain, calls: TaskGroup) -> None:
        """Begin the phase's calls up to this number, each on time."""
        for number in range(tally.calls, upto):
            due = tally.began_at + number / self.script.calls_per_s
            await anyio.sleep_until(due)
            calls.start_soon(self._call, tally, tally.begin_call(), due, chain)

    async def _call(self, tally: Tally, number: int, due: float, chain: Chain) -> None:
        try:
            reply = await _ask(chain, streamed=number % _STREAMED == 0)
        except FallbackError as error:
            tally.failed(number, f"{type(error).__name__}: {error}")
            return
        if reply.text == self._texts[reply.report.endpoint]:
            # Since it was due: a loop that came late is part of what a user waits for.
            tally.answered(number, clock.now() - due, reply.report)
        else:
            tally.failed(number, f"{reply.report.endpoint} answered something else than it should")


async def _ask(chain: Chain, *, streamed: bool) -> Reply:
    question = "Are you well?"
    if not streamed:
        return await chain.complete(question)
    async with chain.stream(question) as stream:
        async for _ in stream:
            pass
    return stream.reply
