"""The coordinator: one call after another over the endpoints of a chain.

What to do next is the plan's to decide (`_plan`), how one attempt runs is `_attempt`'s; here the
two meet.  A plain sequence needs no task of its own: the caller's task makes one attempt after the
other, so when a call ends or is cancelled nothing is left to stop.
"""

from __future__ import annotations

import copy
import itertools
import random
from collections.abc import Awaitable, Callable, Iterable, Iterator
from collections.abc import Sequence as Sequenced
from contextlib import nullcontext
from functools import partial
from typing import Any, TypeVar

import anyio
import attrs

from fallbackio import clock
from fallbackio._checks import is_number
from fallbackio.chain._accept import Accept
from fallbackio.chain._attempt import TICK_S, Opened
from fallbackio.chain._call import Call
from fallbackio.chain._demand import Demand
from fallbackio.chain._embedding import check_space
from fallbackio.chain._lifecycle import Lifecycle
from fallbackio.chain._needs import NOTHING, Needs, needs_of
from fallbackio.chain._options import CHOOSING, READING, refuse
from fallbackio.chain._order import ordered, quickest_first, warmed
from fallbackio.chain._plan import Plan, Wait
from fallbackio.chain._rehearsal import Rehearsed, Score, rehearsed
from fallbackio.chain._route import Route, Turn
from fallbackio.chain._session import Session, Sessions
from fallbackio.chain._setup import Setup
from fallbackio.chain._size import least_tokens
from fallbackio.chain._strategy import Sequence
from fallbackio.chain._stream import Stream
from fallbackio.chain._telling import call_started
from fallbackio.chain._try import Try
from fallbackio.chain._wish import UNSET, Messages, Unset, Wish
from fallbackio.errors import ChainClosed, ConfigError, FallbackError, InvalidRequest
from fallbackio.model import EmbeddingRequest, Embeddings, Reply, Request
from fallbackio.observe import Fanout

__all__ = ["Coordinator"]

T = TypeVar("T")

# How long a session stays away from the first choice: a few times as long as prompt caches live.
RETURN_AFTER_S = 900.0


class Coordinator(Lifecycle):
    """Runs calls over routes; `fallbackio.Chain` is one with its endpoints built in.

    What a call reads is its `Setup`, taken when it begins.
    """

    def __init__(
        self, setup: Setup, *, tell: Fanout, chance: random.Random, end: Callable[[], Awaitable[None]]
    ) -> None:
        super().__init__(setup, tell, end)
        self._chance = chance
        self._sessions = Sessions(self)
        self._numbers = itertools.count(1)

    @property
    def _routes(self) -> Sequenced[Route]:
        return self._setup.routes

    def over(self, setup: Setup) -> Coordinator:
        """The same chain with another setup: one line of waiting calls, one gate, one log."""
        twin = copy.copy(self)
        twin._setup = setup
        twin._sessions = Sessions(twin)
        return twin

    async def complete(
        self,
        messages: Messages,
        *,
        timeout: float | Unset | None = UNSET,
        accept: Accept | Unset | None = UNSET,
        session: Session | str | None = None,
        require: Iterable[str] = (),
        **params: Any,
    ) -> Reply:
        """A whole answer from the first endpoint that gives one.

        `messages` is a string or a list of OpenAI-format message objects; `params` are OpenAI's
        (`tools`, `temperature`, `max_tokens`, …) and go to the provider, unknown ones untouched.
        `timeout` in seconds replaces the chain's for this call, `None` means no limit; so does
        `accept`, `None` takes every answer.  `session` is what `chain.session()` gives, or a name:
        calls of one session keep to one endpoint while it is well.  `require` leaves out endpoints that
        are known not to have what it names, for this call, besides what the chain requires.

        Raises:
            InvalidRequest: The request is at fault and would fail everywhere, or no endpoint has what
                `require` names.
            ChainExhausted: No endpoint answered.
            DeadlineExceeded: The call's time ran out.
            ConfigError: The chain is closed, or `require` names what cannot be required.

        Example:
            >>> reply = await chain.complete("Summarize this ticket.", max_tokens=200)
            >>> print(reply.text)
        """
        refuse(params, "complete", READING)
        wish = Wish(timeout=timeout, accept=accept, session=session, require=require)
        setup = self._setup
        call = self._asking(setup, Request.of(messages, params, stream=setup.streams_upstream), wish)
        get = setup.answering.whole if setup.streams_upstream else setup.answering.plain
        return call.answered(await self._run(call, get))

    def stream(
        self,
        messages: Messages,
        *,
        timeout: float | Unset | None = UNSET,
        accept: Accept | Unset | None = UNSET,
        session: Session | str | None = None,
        require: Iterable[str] = (),
        show_reasoning: bool = False,
        **params: Any,
    ) -> Stream:
        """The answer piece by piece; takes what `complete` takes.

        An async context manager: entering it waits for the first content and raises what
        `complete` raises; iterating it yields `Delta`s and raises `StreamBroken` if the answer
        breaks off later and cannot be mended.  `timeout` counts the time spent waiting for the provider,
        not the consumer's own.  With `accept` nothing is delivered before the answer is whole and taken.
        `show_reasoning` delivers visible reasoning as it comes, which commits
        the answer to its endpoint; otherwise it is delivered with the first content.

        Example:
            >>> async with chain.stream("Tell a story.") as stream:
            ...     async for delta in stream:
            ...         print(delta.text, end="")
        """
        refuse(params, "stream")
        if not isinstance(show_reasoning, bool):
            raise ConfigError(f"show_reasoning must be true or false, not {show_reasoning!r}")
        request = Request.of(messages, params, stream=True)
        wish = Wish(timeout=timeout, accept=accept, session=session, require=require)

        def begin() -> Call:
            call = self._asking(self._setup, request, wish)
            call.shows_reasoning = show_reasoning
            return call

        return Stream(begin, self._open)

    async def embed(
        self, inputs: str | Sequenced[str], *, timeout: float | Unset | None = UNSET, **params: Any
    ) -> Embeddings:
        """Vectors of texts, from the first endpoint that gives them; endpoints are asked in order.

        All endpoints must be of the same embedding model and dimensions, because vectors of different
        models do not mix.  `params` are OpenAI's (`dimensions`, …).

        Raises:
            ConfigError: The endpoints' models or dimensions differ, or the chain is closed.
            InvalidRequest: The request is at fault and would fail everywhere.
            ChainExhausted: No endpoint answered.
            DeadlineExceeded: The call's time ran out.

        Example:
            >>> chain = fallbackio.Chain(["openai/text-embedding-3-small"])
            >>> embeddings = await chain.embed(["Hello", "World"])
            >>> len(embeddings.vectors)
            2
        """
        self._gate.check(self._setup.name)
        refuse(params, "embed", CHOOSING)
        request = EmbeddingRequest.of(inputs, params)
        setup = self._setup
        check_space(setup.routes)
        call = self._begin(setup, request.as_messages(), Wish(timeout=timeout, operation="embeddings"))
        call.strategy = Sequence()  # there is no first content to race for, so nobody runs beside another
        embeddings = await self._run(call, partial(setup.answering.vectors, request))
        return attrs.evolve(embeddings, report=call.served(embeddings))

    def session(self, id: str | None = None, *, return_after_s: float = RETURN_AFTER_S) -> Session:
        """A conversation that keeps to the endpoint that answered it last, while that is well.

        After `return_after_s` seconds at another than the chain's first step it asks the first choice
        again.  With an `id` it is the one of that name, which `session="id"` of a call means too.

        Example:
            >>> session = chain.session()
            >>> for step in range(20):
            ...     reply = await session.complete(history, tools=tools)
        """
        if not is_number(return_after_s) or return_after_s < 0:
            raise ConfigError(f"return_after_s must be seconds, 0 or more, not {return_after_s!r}")
        if id is None:
            return Session(self, return_after_s)
        return self._sessions.named(id, return_after_s)

    async def rehearse(
        self,
        messages: Messages,
        *,
        score: Score | None = None,
        timeout: float | Unset | None = UNSET,
        **params: Any,
    ) -> list[Rehearsed]:
        """Ask every endpoint the same, at once, and see what each would have answered.

        Each is asked once, also one whose breaker is open; its breaker and statistics learn from it.
        `score` is a function of the reply, plain or async, that gives a number.

        Example:
            >>> for row in await chain.rehearse("What is 2 + 2?", score=lambda reply: "4" in reply.text):
            ...     print(f"{row.endpoint:30} {row.report.duration_s:6.2f} s  {row.score}")
        """
        self._gate.check(self._setup.name)
        refuse(params, "rehearse", CHOOSING)
        if score is not None and not callable(score):
            raise ConfigError(f"score must be a function of the reply, not {score!r}")
        setup = self._setup
        request = Request.of(messages, params, stream=setup.streams_upstream)
        get = setup.answering.whole if request.stream else setup.answering.plain

        async def ask(route: Route) -> Rehearsed:
            self._gate.check(setup.name)
            call = self._begin(setup, request, Wish(timeout=timeout), only=route)
            try:
                route.check(request)
                reply = call.answered(await self._run(call, get))
            except FallbackError as error:
                return Rehearsed(endpoint=route.spec.name, error=call.closed(error), report=call.report())
            except BaseException:  # cancelled, or a fault in a function of the user's
                call.left()
                raise
            return Rehearsed(endpoint=route.spec.name, reply=reply, report=reply.report)

        return await rehearsed(setup.routes, ask, score)

    def _asking(self, setup: Setup, request: Request, wish: Wish) -> Call:
        """A call that asks for an answer, of the endpoints that can express and hold the request."""
        self._gate.check(setup.name)
        accept = wish.accept_or(setup.accept)
        needs = setup.needs if wish.require == () else _needed(setup, wish.require)
        for route in setup.kinds if needs is NOTHING else setup.routes:
            if needs is NOTHING or not route.lacks(needs):  # nobody asks it, so it has no say
                route.check(request)
        call = self._begin(setup, request, wish)
        call.plan.legs.needs = needs
        call.accept = accept
        if setup.smallest_window is not None:
            call.plan.legs.least_window = least_tokens(request.messages, setup.smallest_window)
        return call

    def _begin(self, setup: Setup, request: Request, wish: Wish, only: Route | None = None) -> Call:
        limit = wish.timeout_or(setup.limits.timeout)
        session = None if wish.session is None else self._sessions.of(wish.session, RETURN_AFTER_S)
        now = clock.now()
        demand = Demand(request, self._line)
        turns: Iterable[Turn] = [Turn(only)] if only is not None else self._turns(setup, session, now)
        if setup.trial.wanted and only is None:
            turns = setup.trial.turns(turns, request.stream)
        plan = Plan(
            turns,
            len(setup.routes) if only is None else 1,
            retry=setup.retry,
            max_retries=setup.limits.max_retries if only is None else 0,
            chance=self._chance,
            budget=setup.budget,
            demand=demand,
            overrule=setup.overrule,
        )
        self._gate.enter()
        setup.budget.deposit(now)
        call = Call(
            setup=setup,
            number=next(self._numbers),
            started=now,
            request=request,
            plan=plan,
            timeout=limit,
            ambient=anyio.current_effective_deadline(),
            tell=self._tell,
            background=self._background,
            demand=demand,
            leave=self._gate.leave,
            served_by=None if session is None else partial(session.answered, setup, session.stays),
        )
        if self._tell.listened_to:
            name = "" if session is None else session.name
            call_started(call, only or setup.routes[0], name, wish.operation)
        return call

    def _turns(self, setup: Setup, session: Session | None, now: float) -> Iterator[Turn]:
        """Whom this call asks, in which order."""
        steps = quickest_first(setup.steps, now) if setup.fastest else setup.steps
        if session is not None:
            return session.turns(steps, now, self._chance, setup)
        turns = ordered(steps, now, self._chance)
        if setup.warm and len(steps) > 1 and self._chance.random() < setup.warm:
            return warmed(steps, turns, now, self._chance)
        return turns

    async def _open(self, call: Call) -> Opened:
        return await self._run(call, call.setup.answering.committed)

    async def _run(self, call: Call, get: Callable[[Try], Awaitable[T | None]]) -> T:
        """Attempts until one gives an answer or the plan has nothing more.

        `get` returns `None` for a failure that the plan knows of and that does not end the call.
        """
        try:
            while True:
                now = clock.now()
                step = call.plan.next(now, call.deadline) if now < call.deadline else None
                if step is None:
                    if call.ambient <= now:
                        # The caller's own scope is about to end us, or has been cancelled already:
                        # that is his to hear, and not an error of ours.
                        await anyio.sleep(TICK_S)
                    raise call.given_up(now)
                if self._gate.closed:
                    if not isinstance(step, Wait):
                        step.give_back(now)
                    raise call.closed(ChainClosed(f"{call.chain} was closed while it was asked"))
                if isinstance(step, Wait):
                    await self._wait(call, step)
                    continue
                answer = await get(call.start(step, now))
                if answer is not None:
                    return answer
        except FallbackError as error:
            raise call.closed(error)  # noqa: B904 - it is the same error, with its ledger
        except BaseException:  # cancelled, or a fault in a function of the user's or ours
            call.left()
            raise

    async def _wait(self, call: Call, step: Wait) -> None:
        if step.rooms:
            await call.demand.wait(step.rooms, step.until, call.setup.max_queue)
            return
        call.demand.leave_line()  # room is not what it waits for any more: others need not stand behind it
        with call.plan.budget.held() if step.extra else nullcontext():
            await self._gate.nap(step.until)


def _needed(setup: Setup, require: Iterable[str]) -> Needs:
    """What one call needs besides what its chain does; raises `InvalidRequest` if no endpoint has it."""
    needs = setup.needs | needs_of(require)
    if all(route.lacks(needs) for route in setup.routes):
        lacking = [f"{route.spec.name} has no {route.lacks(needs)}" for route in setup.routes]
        raise InvalidRequest(f"no endpoint has what the call requires: {'; '.join(lacking)}")
    return needs
