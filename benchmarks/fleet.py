"""A day of a thousand calls per second in a fleet of processes, as a discrete-event model.

What is real: the order of endpoints, what a call tries next, the breakers, slow start, and the budget for
repeats are fallbackio's own code, taken out of the chain, since a whole one sends bytes.  What is
modelled: providers, which are the scenarios' behaviours read as "fails after so long" or "answers after
so long"; no byte is sent.  What is sampled: of the fleet's processes, which share nothing, `SAMPLED` are
played call by call, and every request of theirs counts for `WEIGHT` at the provider, so that capacities
see the whole fleet.  What is skipped: the hours in which nobody is in trouble, since a closed breaker lets
every call pass once; they are counted, not played.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import math
import random
import selectors
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from attrs import define, field, frozen
from page import quantile

from fallbackio import BreakerPolicy, Endpoint, RetryPolicy, clock, errors
from fallbackio.breaker import Breaker, Rate, Severity
from fallbackio.chain._budget import Budget
from fallbackio.chain._demand import Demand
from fallbackio.chain._line import Line
from fallbackio.chain._order import Step, ordered
from fallbackio.chain._plan import Plan, Send, Wait
from fallbackio.chain._route import Route
from fallbackio.chain._table import handling
from fallbackio.chain._trial import Trial
from fallbackio.errors import AttemptError
from fallbackio.model import Request
from fallbackio.simulator import Behaviour
from fallbackio.simulator.faults import (
    Fault,
    Flapping,
    InBandError,
    RateLimit,
    Silence,
    Sometimes,
    Stall,
    Status,
)
from fallbackio.simulator.scenarios import Part, cast, scenario

NAMES = ("alpha", "beta", "gamma")
OUTAGES = tuple([f"s{number}" for number in range(1, 13)])

DAY_S = 86_400
FLEET_RATE = 1000.0  # calls per second
PROCESSES = 100
SAMPLED = 20
WEIGHT = PROCESSES / SAMPLED

CALL_S = 60.0
ATTEMPT_S = 10.0
IDLE_S = 10.0
ERROR_S = 0.05  # until an error answer is there
SPOKEN_S = 0.6  # from the first word to the last

Answered = tuple[float, AttemptError | None]


class _Never:
    """No breaker at all: every call passes."""

    phase = "closed"
    retry_in_s = 0.0
    recovered_at = -math.inf
    policy = BreakerPolicy(ramp_s=0, slow_medians=None)

    def acquire(self) -> _Never:
        return self

    force = acquire

    def ok(self) -> None: ...

    def failed(self, *args: object) -> None: ...

    def left(self) -> None: ...


class _Consecutive:
    """aiobreaker 1.2.0 with its defaults: five failures in a row, 60 s, and no limit to who is half open.

    Results act as they do there: by the state in which their call began, however late they come.
    """

    recovered_at = -math.inf
    policy = BreakerPolicy(ramp_s=0, slow_medians=None)

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._run = 0
        self._opened_at: float | None = None  # None: closed
        self._half_open = False

    @property
    def phase(self) -> str:
        return "closed" if self._opened_at is None else "half_open" if self._half_open else "open"

    @property
    def retry_in_s(self) -> float:
        if self._opened_at is None or self._half_open:
            return 0.0
        return max(0.0, self._opened_at + 60 - self._now())

    def acquire(self) -> _Late | None:
        if self.retry_in_s > 0:
            return None
        self._half_open = self._opened_at is not None
        return _Late(self, self._half_open)

    def force(self) -> _Late:
        return self.acquire() or _Late(self, False)

    def answered(self, probe: bool) -> None:
        self._run = 0
        if probe:
            self._opened_at, self._half_open = None, False

    def erred(self, probe: bool) -> None:
        self._run += 1
        if probe or self._run >= 5:
            self._opened_at, self._half_open = self._now(), False


@frozen
class _Late:
    breaker: _Consecutive
    probe: bool

    def ok(self) -> None:
        self.breaker.answered(self.probe)

    def failed(self, *args: object) -> None:
        self.breaker.erred(self.probe)

    def left(self) -> None: ...


def _policies() -> Mapping[str, Callable[[str, random.Random], Any]]:
    # Polly's rule, at a volume that its default of 100 calls in 30 s suits.
    rate_only = BreakerPolicy(
        consecutive=10**9,
        rates=[Rate(0.1, 100)],
        open_s=5,
        max_open_s=5,
        jitter_ratio=0,
        ramp_s=0,
        slow_medians=None,
    )
    return {
        "fallbackio": lambda name, chance: Breaker(name, BreakerPolicy(), chance=chance),
        "5 in a row, 60 s": lambda name, chance: _Consecutive(clock.now),
        "10 % of 100, 5 s": lambda name, chance: Breaker(name, rate_only, chance=chance),
        "none": lambda name, chance: _Never(),
    }


POLICIES = tuple(_policies())


class _DayLoop(asyncio.SelectorEventLoop):
    """A loop whose time the model sets, because the parts that are real ask the running loop for it."""

    def __init__(self) -> None:
        self.moment = 0.0
        super().__init__(selectors.DefaultSelector())

    def time(self) -> float:
        return self.moment


@define(eq=False)
class _Provider:
    """One endpoint, as the whole fleet shares it."""

    part: Part
    starts: Sequence[float]
    lots: random.Random
    buckets: dict[int, list[float]] = field(factory=dict)  # of a limit: what is left, and since when
    arrivals: Counter[int] = field(factory=Counter)  # sampled requests by second
    refused: Counter[int] = field(factory=Counter)  # those of them that were turned away

    def meet(self, now: float) -> Answered:
        """What a request gets that arrives now: after how long, and which error."""
        self.arrivals[int(now)] += 1
        number = max([place for place, at in enumerate(self.starts) if at <= now])
        behaviour = self.part.behaviours[number]
        since = now - min([self.starts[place] for place in range(number + 1) if self._same(place, number)])
        lasts_s, error = self._fault(behaviour, behaviour.fault, now, since)
        if error is not None:
            self.refused[int(now)] += 1
        return lasts_s, error

    def _same(self, place: int, number: int) -> bool:
        return all(
            self.part.behaviours[between] == self.part.behaviours[number] for between in range(place, number)
        )

    def _fault(self, behaviour: Behaviour, fault: Fault | None, now: float, since: float) -> Answered:
        match fault:
            case None:
                return self._answer(behaviour.latency.draw(self.lots))
            case Status():
                return ERROR_S, _error(fault)
            case InBandError():
                return behaviour.latency.draw(self.lots), fault.error("an error in the stream")
            case Silence():
                return ATTEMPT_S, errors.TimedOut("nothing came")
            case Stall(at="headers", for_s=for_s):
                return self._answer((for_s or math.inf) + behaviour.latency.draw(self.lots))
            case Stall():
                return behaviour.latency.draw(self.lots) + IDLE_S, errors.TimedOut("it stopped")
            case Sometimes():
                return self._fault(
                    behaviour, fault.fault if self.lots.random() < fault.ratio else None, now, since
                )
            case Flapping():
                up = since % (fault.up_s + fault.down_s) < fault.up_s
                return self._fault(behaviour, None if up else fault.fault, now, since)
            case RateLimit():
                wait_s = self._taken(fault, now)
                if wait_s > 0:
                    error = errors.RateLimited("too many")
                    error.retry_after_s = float(math.ceil(wait_s))
                    return ERROR_S, error
                return self._fault(behaviour, fault.fault, now, since)
        raise NotImplementedError(f"the model knows no {type(fault).__name__}")

    def _answer(self, ttft_s: float) -> Answered:
        whole_s = ttft_s + SPOKEN_S
        return (whole_s, None) if whole_s < ATTEMPT_S else (ATTEMPT_S, errors.TimedOut("too slow"))

    def _taken(self, limit: RateLimit, now: float) -> float:
        """Take one sampled request's worth; 0, or the seconds until there is room for it."""
        per_s = limit.rpm / 60
        bucket = self.buckets.setdefault(id(limit), [per_s * limit.burst_s, now])
        bucket[0], bucket[1] = min(per_s * limit.burst_s, bucket[0] + per_s * (now - bucket[1])), now
        if bucket[0] < WEIGHT:
            return (WEIGHT - bucket[0]) / per_s
        bucket[0] -= WEIGHT
        return 0.0


def _error(fault: Status) -> AttemptError:
    kind = fault.error or errors.by_status(fault.status)
    error = kind("simulated")
    error.retry_after_s = fault.retry_after_s
    return error


class _Process:
    """One client process: endpoints, breakers and budget of its own."""

    def __init__(self, policy: Callable[[str, random.Random], Any], seed: int) -> None:
        self.chance = random.Random(seed)
        specs = [Endpoint("m", name=name, base_url="http://localhost/v1", api_key="key") for name in NAMES]
        nobody: Any = None  # nothing is sent
        self.routes = [Route(spec, nobody, policy(spec.name, self.chance)) for spec in specs]
        self.steps = [Step((route,)) for route in self.routes]
        self.budget = Budget(RetryPolicy().budget_ratio)
        self.trial = Trial()
        self.demand = Demand(Request(messages=({"role": "user", "content": "hi"},)), Line())

    def answered(self, send: Send, began: float, now: float) -> None:
        """The breaker learns of a streamed answer, and whether its first content came in time."""
        route = send.leg.route
        medians = route.breaker.policy.slow_medians
        if medians is None:
            send.permit.ok()
            return
        first_s = now - began - SPOKEN_S
        route.tempo.firsts.add(first_s)
        slow = route.tempo.slow(
            began,
            first_s,
            None,
            medians=medians,
            left=route.breaker.slow,
            prompt=self.demand.prompt_tokens,
            others=lambda: [one.tempo for one in self.routes if one is not route and one.is_free(now, 0)],
            wonder=partial(self._wonder, route, now),
        )
        if not slow:
            send.permit.ok()
        else:
            send.permit.failed(Severity.SLOW, reason=slow)
            route.ramp.failed(now, route.breaker.recovered_at)

    def _wonder(self, slow: Route, now: float) -> bool:
        """Have somebody tried of whom nothing is known, as a chain does."""
        others = [one for one in self.routes if one is not slow and one.may_be_tried]
        unknown = [one for one in others if one.tempo.recent_s(None) is None]
        if unknown:
            self.trial.propose(unknown[0], True, now)
        return bool(unknown)


@define(eq=False)
class _Call:
    process: _Process
    plan: Plan
    due: float


class Model:
    """One outage and one policy; `play` runs it and gives its figures."""

    def __init__(self, name: str, policy: str, loop: _DayLoop, seed: int) -> None:
        self.loop = loop
        given = scenario(name).at(rate=FLEET_RATE)
        vendors = {"alpha": "first", "beta": "first" if name == "s10" else "second", "gamma": "third"}
        parts = cast(given, vendors)
        starts = [at for at, _ in given.starts()]
        self.duration_s = given.duration_s
        troubles = [trouble for part in parts.values() for trouble in part.troubles]
        self.trouble_s = (min([one.begins_s for one in troubles]), max([one.ends_s for one in troubles]))
        self.providers = {
            name: _Provider(part, starts, random.Random(f"{seed}/{name}")) for name, part in parts.items()
        }
        make = _policies()[policy]
        self.processes = [_Process(make, seed + number) for number in range(SAMPLED)]
        self.lots = random.Random(seed)
        self.heap: list[tuple[float, int, Callable[[], None]]] = []
        self.serial = itertools.count()
        self.times: list[tuple[float, float]] = []  # due, and how long
        self.failed: list[float] = []  # due
        self.tried = 0

    def play(self) -> dict[str, Any]:
        """Until the last call has ended."""
        for process in self.processes:
            self._arrive_later(process, 0.0)
        while self.heap:
            self.loop.moment, _, do = heapq.heappop(self.heap)
            do()
        return self._figures()

    def _later(self, when: float, do: Callable[[], None]) -> None:
        heapq.heappush(self.heap, (when, next(self.serial), do))

    def _arrive_later(self, process: _Process, after: float) -> None:
        at = after + self.lots.expovariate(FLEET_RATE / PROCESSES)
        if at < self.duration_s:
            self._later(at, lambda: self._arrive(process, at))

    def _arrive(self, process: _Process, now: float) -> None:
        self._arrive_later(process, now)
        process.budget.deposit(now)
        turns = process.trial.turns(ordered(process.steps, now, process.chance), True)
        plan = Plan(
            turns,
            len(NAMES),
            retry=RetryPolicy(),
            max_retries=2,
            chance=process.chance,
            budget=process.budget,
            demand=process.demand,
        )
        self._go_on(_Call(process, plan, now))

    def _go_on(self, call: _Call) -> None:
        now = self.loop.moment
        todo = call.plan.next(now, call.due + CALL_S)
        if isinstance(todo, Send):
            self._send(call, todo, now)
        elif isinstance(todo, Wait) and todo.until < call.due + CALL_S:
            self._later(max(todo.until, now + 0.001), lambda: self._go_on(call))
        else:
            self.failed.append(call.due)

    def _send(self, call: _Call, send: Send, now: float) -> None:
        self.tried += 1
        if send.extra:
            call.process.budget.withdraw()
        lasts_s, error = self.providers[send.leg.route.spec.name].meet(now)
        self._later(now + lasts_s, lambda: self._ended(call, send, now, error))

    def _ended(self, call: _Call, send: Send, began: float, error: AttemptError | None) -> None:
        now, route = self.loop.moment, send.leg.route
        route.room.leave(now, send.taken, 0.0)
        if send.extra:
            call.process.budget.give_back()
        if error is None:
            call.process.answered(send, began, now)
            self.times.append((call.due, now - call.due))
            return
        severity = handling(error).severity
        if severity is None:
            send.permit.left()
        else:
            send.permit.failed(severity, error.retry_after_s, "")
        route.ramp.failed(now, route.breaker.recovered_at)
        if call.plan.failed(send.leg, error, now):
            self._go_on(call)
        else:
            self.failed.append(call.due)

    def _figures(self) -> dict[str, Any]:
        begins, ends = self.trouble_s
        inside = [lasts for due, lasts in self.times if begins <= due < ends]
        sick = self.providers["alpha"]
        usual = FLEET_RATE
        offered = [sick.arrivals[second] * WEIGHT for second in range(int(self.duration_s))]
        after = offered[int(ends) : int(ends) + 120]
        calls = len(self.times) + len(self.failed)
        return {
            "trouble_s": [begins, ends],
            "calls": round(calls * WEIGHT),
            "failed": round(len(self.failed) * WEIGHT),
            "p50_s": round(quantile(inside, 0.5), 3),
            "p99_s": round(quantile(inside, 0.99), 3),
            "per_call": round(self.tried / calls, 4),
            # What the sick endpoint is asked after its first 10 s, when a breaker should have seen it.
            "to_sick_per_s": round(
                sum(offered[int(begins) + 10 : int(ends)]) / max(ends - begins - 10, 1), 1
            ),
            "turned_away": round(sum(sick.refused.values()) * WEIGHT),
            # The steepest second of the return, and when nine tenths of the calls are back.
            "steepest_per_s": round(
                max([b - a for a, b in itertools.pairwise(_smooth(after, 3))], default=0.0), 1
            ),
            "back_after_s": next(
                (place for place, load in enumerate(_smooth(after, 5)) if load >= 0.9 * usual), None
            ),
            "offered": [round(load) for load in _smooth(offered, 5)[::5]],
        }


def _smooth(values: Sequence[float], width: int) -> list[float]:
    """Means over `width` seconds, one for each second."""
    return [sum(values[at : at + width]) / len(values[at : at + width]) for at in range(len(values))]


def one(name: str, policy: str, seed: int) -> dict[str, Any]:
    """One outage with one policy."""
    loop = _DayLoop()

    async def main() -> dict[str, Any]:
        return Model(name, policy, loop, seed).play()

    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        return runner.run(main())
