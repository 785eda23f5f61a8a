"""The plan by itself, over real breakers: who is next, when, and at what price."""

from __future__ import annotations

import math
import random

import anyio
import pytest

from fallbackio.breaker import Breaker, BreakerPolicy, Severity
from fallbackio.chain._budget import Budget
from fallbackio.chain._demand import Demand
from fallbackio.chain._legs import Leg
from fallbackio.chain._line import Line
from fallbackio.chain._plan import Plan, Send, Wait
from fallbackio.chain._route import Route, Turn
from fallbackio.chain._settings import RetryPolicy
from fallbackio.endpoint import Endpoint
from fallbackio.errors import AttemptError, ConnectionFailed, Overloaded, RateLimited, ServerFault
from fallbackio.model import Request
from fallbackio.selection import Room
from fallbackio.testing import virtual_time
from fallbackio.transport import CallingProvider


class Highest(random.Random):
    """Always draws the most there is."""

    def uniform(self, a: float, b: float) -> float:
        return b


async def says_ok(request: Request) -> str:
    return "ok"


def plan_of(
    names: str,
    *,
    retry: RetryPolicy | None = None,
    max_retries: int = 2,
    chance: random.Random | None = None,
    room: Room | None = None,
) -> Plan:
    """A plan over endpoints named by single letters, whose breakers draw no jitter."""
    policy = BreakerPolicy(jitter_ratio=0)
    routes = [
        Route(spec, CallingProvider(spec), Breaker(spec.name, policy), room or Room())
        for spec in [Endpoint.calling(says_ok, name=name) for name in names]
    ]
    lots = chance or random.Random(1)
    turns = [Turn(route) for route in routes]
    given = retry or RetryPolicy()
    return Plan(
        turns,
        len(turns),
        retry=given,
        max_retries=max_retries,
        chance=lots,
        budget=Budget(0.2),
        demand=Demand(Request.of("hi", {}), Line()),
    )


def asked(step: Send | Wait | None) -> str:
    """The name of the endpoint that is asked, and nothing else will do."""
    assert isinstance(step, Send)
    return step.leg.route.spec.name


def fail(plan: Plan, error: AttemptError, now: float) -> Leg:
    """Send whoever is next, and have it fail."""
    step = plan.next(now, math.inf)
    assert isinstance(step, Send)
    step.permit.left()
    plan.failed(step.leg, error, now)
    return step.leg


@virtual_time
async def test_panic_takes_the_endpoint_nearest_to_its_probe() -> None:
    """With every breaker open, the one whose probe is due first is asked, wherever it stands in the list."""
    plan = plan_of("abc")
    a, b, c = (leg.route.breaker for leg in plan.legs)
    for breaker in (b, c, a):
        breaker.open()
        await anyio.sleep(1)

    step = plan.next(3.0, math.inf)

    assert asked(step) == "b"
    assert isinstance(step, Send)
    assert step.permit.forced


@virtual_time
async def test_a_panic_spares_whom_this_call_was_told_to_leave_alone() -> None:
    """What shares its limits with one that has just said 429 is not forced before that time is over."""
    plan = plan_of("ab", max_retries=0, room=Room())
    a, b = plan.legs
    fail(plan, RateLimited(retry_after_s=100), 0.0)
    b.route.breaker.rest(100)

    assert plan.next(0.0, math.inf) is None, "it is longer than max_wait_s"
    assert plan.retry_in_s(0.0) == 100
    b.route.breaker.open()

    assert plan.next(99.0, math.inf) is None
    assert asked(plan.next(100.0, math.inf)) == "b"
    assert a.tries == 1


@virtual_time
async def test_a_waiting_call_wakes_at_the_next_probe() -> None:
    """While one endpoint's Retry-After runs, the open breaker of another may let its probe through first."""
    plan = plan_of("ab")
    plan.legs[1].route.breaker.open()  # for 5 s
    fail(plan, RateLimited(retry_after_s=20), 0.0)
    plan._forced = True  # the panic of this call has been used up

    assert plan.next(0.0, math.inf) == Wait(5.0)
    await anyio.sleep(5)
    assert asked(plan.next(5.0, math.inf)) == "b"


@pytest.mark.parametrize(
    ("tries", "backoff_s"),
    [(1, 0.5), (2, 1.0), (4, 4.0), (5, 8.0), (6, 8.0), (12, 8.0), (1100, 8.0)],
    ids=repr,
)
@virtual_time
async def test_the_backoff_doubles_up_to_max_s(tries: int, backoff_s: float) -> None:
    """However often an endpoint has failed, its next repeat is never more than `max_s` away."""
    plan = plan_of("a", chance=Highest())
    leg = fail(plan, ServerFault(), 0.0)
    leg.tries = tries

    plan.failed(leg, ServerFault(), 100.0)

    assert leg.ready_at == 100.0 + backoff_s


@pytest.mark.parametrize(("asked_s", "follows"), [(7.0, "a"), (9.0, "b")], ids=["in time", "too long"])
@virtual_time
async def test_a_quick_repeat_is_not_worth_more_than_max_s(asked_s: float, follows: str) -> None:
    """`same_first` waits for the same endpoint up to `max_s`; asked for more, it hands over at once."""
    plan = plan_of("ab", retry=RetryPolicy(same_first=1, max_s=8.0))
    leg = fail(plan, RateLimited(retry_after_s=asked_s), 0.0)

    step = plan.next(0.0, math.inf)

    if follows == "a":
        assert step == Wait(leg.ready_at, extra=True)
        step = plan.next(leg.ready_at, math.inf)
    assert asked(step) == follows


@virtual_time
async def test_retry_after_is_never_undercut_and_its_callers_spread() -> None:
    """A hundred callers sent away for 20 s come back between 20 and 22 s, not as one."""
    ready = []
    for seed in range(100):
        plan = plan_of("a", chance=random.Random(seed))
        ready.append(fail(plan, RateLimited(retry_after_s=20), 0.0).ready_at)

    assert min(ready) >= 20
    assert max(ready) <= 22
    assert max(ready) - min(ready) > 1.8
    assert len(set(ready)) == 100


@virtual_time
async def test_a_first_try_after_a_rest_is_no_repeat() -> None:
    """Waiting for an endpoint that rests and then asking it costs none of the call's `max_retries`."""
    plan = plan_of("a", max_retries=1)
    permit = plan.legs[0].route.breaker.acquire()
    assert permit is not None
    permit.failed(Severity.THROTTLED, 5.0)

    assert plan.next(0.0, math.inf) == Wait(5.0)
    await anyio.sleep(5)
    first = plan.next(5.0, math.inf)
    assert isinstance(first, Send)
    assert (first.leg.tries, first.extra, plan.retries_left) == (1, False, 1)

    first.permit.left()
    plan.failed(first.leg, ServerFault(), 5.0)
    again = plan.next(first.leg.ready_at, math.inf)
    assert isinstance(again, Send)
    assert (again.leg.tries, again.extra, plan.retries_left) == (2, True, 0)


@virtual_time
async def test_what_was_never_sent_is_repeated_at_once_only_once() -> None:
    """A second failure to connect is no accident: then the backoff holds."""
    plan = plan_of("a", chance=Highest())

    assert fail(plan, ConnectionFailed(sent=False), 0.0).ready_at == 0.0
    assert fail(plan, ConnectionFailed(sent=False), 0.0).ready_at == 1.0


@virtual_time
async def test_what_a_throttled_endpoint_asked_for_is_waited_for_once() -> None:
    """An open breaker of one that was only throttled is waited for, and not again when it opens anew."""
    plan = plan_of("a")
    leg = fail(plan, RateLimited(retry_after_s=1), 0.0)
    leg.route.breaker.open()  # for 5 s
    await anyio.sleep(2)

    assert plan.next(2.0, math.inf) == Wait(5.0, extra=True)
    await anyio.sleep(3)
    probe = leg.route.breaker.acquire()  # another call's
    assert probe is not None
    probe.failed()
    assert plan.next(5.0, math.inf) is None


@virtual_time
async def test_nobody_waits_longer_than_max_wait_s() -> None:
    """An endpoint that asks for more is given up, also where it is full besides."""
    plan = plan_of("a", retry=RetryPolicy(max_wait_s=30))
    leg = fail(plan, RateLimited(retry_after_s=60), 0.0)
    assert plan.next(0.0, math.inf) is None

    leg.route.room.most = 0
    assert plan.next(0.0, math.inf) is None


@virtual_time
async def test_who_gives_up_hears_what_an_endpoint_asked_for() -> None:
    """A wait that no breaker keeps is told all the same, and runs down."""
    plan = plan_of("a")
    fail(plan, Overloaded(retry_after_s=7), 0.0)

    assert plan.retry_in_s(0.0) == 7
    assert plan.retry_in_s(3.0) == 4
    assert plan.retry_in_s(8.0) is None
