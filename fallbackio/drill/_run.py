"""One drill: a simulator that plays the scenario, the chain over it, and calls that come when they come.

The load is open: the next call begins on time, whatever becomes of those before, as it is with the
users of a real service.  Works in virtual and in real time.  Everything is over when `play` returns:
calls that have not ended `_PATIENCE_S` after the last one could have are counted as hung, and ended.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator

import anyio
from anyio.abc import TaskGroup
from attrs import define, field

from fallbackio import clock
from fallbackio.config import Chain
from fallbackio.drill._plan import Plan
from fallbackio.drill._record import Call, Log
from fallbackio.drill._rules import Referee, texts_of
from fallbackio.drill._watch import Watch, reason, requests_of
from fallbackio.endpoint import Endpoint
from fallbackio.errors import AttemptError, ConfigError, FallbackError
from fallbackio.model import Reply, Report
from fallbackio.simulator import Phase, SimulatedEndpoint, Simulator, play

__all__ = ["Run", "Tick"]

_QUESTION = "Are you well?"

# How long after the end of the scenario, and of the last call's time, a call counts as hung.
_PATIENCE_S = 60.0

# Where a chain has no limit for a call, nothing tells when it must have ended.
_UNLIMITED_S = 900.0

# How often what goes on upstream is compared with what the chain knows of; a response whose last
# bytes are awaited may take a second.
_LOOK_S = 5.0

# How often whoever watches is told; in real time somebody looks at the bar.
_TICK_S = 1.0


# Told now and then of the scenario's second, of how many calls have begun, and how many have failed.
Tick = Callable[[float, int, int], object]


@define(eq=False)
class Run:
    """One run.

    Attributes:
        plan: What is drilled.
        on_tick: Who is told how far it is.
        log: What was seen.
        watch: How the chain found out.
        referee: What rules were broken.
    """

    plan: Plan
    on_tick: Tick | None = None
    log: Log = field(init=False, factory=Log)
    watch: Watch = field(init=False)
    referee: Referee = field(init=False)
    _phase: int = field(init=False, default=-1)
    _began: float = field(init=False, default=0.0)
    _failed: int = field(init=False, default=0)
    # Calls by their number, with when they were due and the phase.
    _under_way: dict[int, tuple[float, int]] = field(init=False, factory=dict)

    def __attrs_post_init__(self) -> None:
        plan = self.plan
        self.watch = Watch.over(self.log, plan.parts, self._now, lambda: self._phase)
        texts = texts_of(plan.parts, plan.given.endpoints)
        self.referee = Referee(plan.given.limits, texts, plan.real_time)

    async def play(self) -> None:
        """Play it to the end."""
        async with Simulator(seed=self.plan.scenario.seed) as sim:
            stage = {name: sim.add(f"e{at}") for at, name in enumerate(self.plan.parts)}
            await self._play(sim, stage)
            self.referee.end(self.watch.under_way, self.watch.begun, stage)

    async def _play(self, sim: Simulator, stage: dict[str, SimulatedEndpoint]) -> None:
        self._began = clock.now()
        async with self._chain(stage) as chain, anyio.create_task_group() as around:
            around.start_soon(self._follow, sim, stage)
            around.start_soon(self._look, stage)
            if self.on_tick is not None:
                around.start_soon(self._tell, self.on_tick)
            with anyio.CancelScope() as patience:
                async with anyio.create_task_group() as calls:
                    await self._arrivals(chain, calls)
                    limit = self.plan.given.limits.timeout
                    wait_s = _PATIENCE_S + (_UNLIMITED_S if limit is None else limit)
                    # Whoever is still under way then will be for ever; a virtual day of pings is real time.
                    patience.deadline = clock.now() + wait_s
            self._hung(self._under_way)
            self._count(stage)
            self.watch.ended = True
            around.cancel_scope.cancel()

    def _chain(self, stage: dict[str, SimulatedEndpoint]) -> Chain:
        def url_of(endpoint: Endpoint) -> str:
            return stage[endpoint.name].url(endpoint.dialect or "openai")

        return self.plan.given.build(url_of, sinks=[self.watch], seed=self.plan.scenario.seed)

    async def _follow(self, sim: Simulator, stage: dict[str, SimulatedEndpoint]) -> None:
        """Have the stage play, and count what each phase sent it."""
        named = {one.name: self.plan.parts[name] for name, one in stage.items()}

        def on_phase(phase: Phase) -> None:
            self._count(stage)
            self._phase += 1
            self.log.failovers.append(Counter())
            self.log.requests.append(Counter())

        await play(self.plan.scenario, sim, named, on_phase=on_phase)

    def _count(self, stage: dict[str, SimulatedEndpoint]) -> None:
        """Put the requests since the last count down to the phase that ends."""
        if self._phase >= 0:
            before = sum(self.log.requests[:-1], Counter())
            self.log.requests[-1] = Counter(
                {name: one.stats.requests - before[name] for name, one in stage.items()}
            )

    async def _look(self, stage: dict[str, SimulatedEndpoint]) -> None:
        while True:
            await anyio.sleep(_LOOK_S)
            self.referee.upstream(self.watch.under_way, stage, at_s=self._now())

    async def _tell(self, on_tick: Tick) -> None:
        while True:
            await anyio.sleep(_TICK_S)
            on_tick(self._now(), len(self.log.calls) + len(self._under_way), self._failed)

    async def _arrivals(self, chain: Chain, calls: TaskGroup) -> None:
        for number, due_s in enumerate(self._due()):
            await anyio.sleep_until(self._began + due_s)
            self._under_way[number] = (due_s, self._phase_at(due_s))
            calls.start_soon(self._call, chain, number)
        await anyio.sleep_until(self._began + self.plan.scenario.duration_s)

    def _due(self) -> Iterator[float]:
        """When calls are made; drawn apart from all else, so that two policies get the same."""
        lots = random.Random(f"arrivals/{self.plan.scenario.seed}")
        rate, end_s = self.plan.scenario.rate, self.plan.scenario.duration_s
        number, due_s = 0, 0.0
        while True:
            due_s = number / rate if self.plan.scenario.arrivals == "even" else due_s + lots.expovariate(rate)
            if due_s >= end_s:
                return
            yield due_s
            number += 1

    def _phase_at(self, second: float) -> int:
        """The number of the phase; at the instant of a switch of the one that begins, as requests meet it."""
        return sum(begins_s <= second for begins_s, _ in self.plan.scenario.starts()) - 1

    async def _call(self, chain: Chain, number: int) -> None:
        due_s, _ = self._under_way[number]
        ttft_s: float | None = None
        try:
            if self.plan.embedding:
                report = (await chain.embed(_QUESTION)).report
            elif self.plan.streaming:
                async with chain.stream(_QUESTION) as stream:
                    ttft_s = self._now() - due_s
                    async for _ in stream:
                        pass
                report = self._judged(number, stream.reply)
            else:
                report = self._judged(number, await chain.complete(_QUESTION))
        except FallbackError as error:
            self._ended(number, Report(attempts=error.attempts), ttft_s, error)
            return
        self._ended(number, report, ttft_s, None)

    def _judged(self, number: int, reply: Reply) -> Report:
        self.referee.answer(number, reply)
        return reply.report

    def _ended(self, number: int, report: Report, ttft_s: float | None, error: FallbackError | None) -> None:
        due_s, phase = self._under_way.pop(number)
        latency_s = self._now() - due_s
        self.referee.report(number, report, latency_s)
        allowed = error is not None and type(error).__name__ in self.plan.scenario.phases[phase].allows
        self._failed += error is not None and not allowed
        spent = [one for one in report.attempts if one.cost is not None]
        self.log.calls.append(
            Call(
                due_s=due_s,
                phase=phase,
                outcome="answered" if error is None else "allowed" if allowed else "failed",
                latency_s=latency_s,
                ttft_s=ttft_s,
                served_by=report.endpoint,
                error="" if error is None else _why(error),
                requests=sum(map(requests_of, report.attempts)),
                moved=bool(report.attempts) and report.fell_back,
                cost=report.cost,
                wasted=sum([one.cost or 0.0 for one in spent if one.outcome != "won"], 0.0),
            )
        )

    def _hung(self, calls: dict[int, tuple[float, int]]) -> None:
        self.referee.hung(calls)
        for due_s, phase in calls.values():
            self.log.calls.append(Call(due_s, phase, "hung", self._now() - due_s, error="it never ended"))

    def _now(self) -> float:
        return clock.now() - self._began


def _why(error: FallbackError) -> str:
    """Why a call failed: its error, and what each endpoint failed with."""
    kind = type(error).__name__
    if isinstance(error, ConfigError):
        return f"{kind}: {error}"  # it is the chain's own mistake, and says what to do
    causes = dict.fromkeys(
        f"{one.endpoint} {reason(one.error)}"
        for one in error.attempts
        if one.outcome != "skipped" and isinstance(one.error, AttemptError)
    )
    return f"{kind}: {', '.join(causes)}" if causes else kind
