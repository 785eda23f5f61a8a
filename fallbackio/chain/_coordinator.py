"""The coordinator: one call after another over the endpoints of a chain.

What to do next is the plan's to decide (`_plan`), how one attempt runs is `_attempt`'s; here the
two meet.  A plain sequence needs no task of its own: the caller's task makes one attempt after the
other, so when a call ends or is cancelled nothing is left to stop.
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Awaitable, Callable, Mapping
from collections.abc import Sequence as Sequenced
from functools import partial
from types import TracebackType
from typing import Any, Literal, Self, TypeVar

import anyio
import attrs

from fallbackio import clock
from fallbackio._draft import assemble
from fallbackio.chain._accept import Accept, approved
from fallbackio.chain._attempt import TICK_S, Opened, ask, chars_in, close, give_up, open_stream
from fallbackio.chain._background import Background
from fallbackio.chain._budget import Budget
from fallbackio.chain._call import Call
from fallbackio.chain._contest import contest
from fallbackio.chain._embedding import check_space, check_vectors
from fallbackio.chain._hedging import Hedging
from fallbackio.chain._plan import Plan, Route, Wait
from fallbackio.chain._reading import Reading
from fallbackio.chain._settings import Delivery, Limits, RetryPolicy
from fallbackio.chain._size import least_tokens
from fallbackio.chain._strategy import Strategy
from fallbackio.chain._stream import Stream
from fallbackio.chain._try import Try
from fallbackio.errors import AttemptError, ConfigError, FallbackError
from fallbackio.model import EmbeddingRequest, Embeddings, Message, Reply, Request
from fallbackio.observe import Fanout

__all__ = ["UNSET", "Coordinator", "Messages", "Unset"]

T = TypeVar("T")

# How long closing a chain may take: each drained loser bounds its own clean-up, sockets close at once.
CLOSE_S = 2.0

Messages = str | Sequenced[Mapping[str, Any] | Message]


class Unset:
    """Stands for a timeout that was not given, because `None` means no limit."""

    def __repr__(self) -> str:
        return "the chain's"


UNSET = Unset()


class Coordinator:
    """Runs calls over fixed routes; `fallbackio.Chain` is one with its endpoints built in."""

    def __init__(
        self,
        routes: Sequenced[Route],
        *,
        name: str,
        limits: Limits,
        retry: RetryPolicy,
        strategy: Strategy,
        delivery: Delivery,
        upstream: Literal["plain", "stream"],
        accept: Accept | None,
        overrule: Callable[[AttemptError], bool | None] | None,
        tell: Fanout,
        chance: random.Random,
        end: Callable[[], Awaitable[None]],
    ) -> None:
        self._routes = tuple(routes)
        self._name = name
        self._limits = limits
        self._retry = retry
        self._strategy = strategy
        self._delivery = delivery
        extra = strategy.extra_load
        self._budget = Budget(retry.budget_ratio if extra is None else extra)
        self._background = Background(strategy.drain_losers)
        # What is slow shows in the first content, which a plain answer does not have.
        self._streams_upstream = (
            upstream == "stream"
            or limits.ttft_timeout is not None
            or limits.min_rate is not None
            or not strategy.one_at_a_time
        )
        self._overrule = overrule
        self._tell = tell
        self._chance = chance
        self._end = end
        self._accept = accept
        self._windows = any(route.spec.context_window is not None for route in routes)
        self._dimensions: int | None = None  # of the vectors this chain has given
        self._numbers = itertools.count(1)
        self._closed = False

    async def complete(
        self,
        messages: Messages,
        *,
        timeout: float | Unset | None = UNSET,
        accept: Accept | Unset | None = UNSET,
        **params: Any,
    ) -> Reply:
        """A whole answer from the first endpoint that gives one.

        `messages` is a string or a list of OpenAI-format message objects; `params` are OpenAI's
        (`tools`, `temperature`, `max_tokens`, …) and go to the provider, unknown ones untouched.
        `timeout` in seconds replaces the chain's for this call, `None` means no limit; so does
        `accept`, `None` takes every answer.

        Raises:
            InvalidRequest: The request is at fault and would fail everywhere.
            ChainExhausted: No endpoint answered.
            DeadlineExceeded: The call's time ran out.
            ConfigError: The chain is closed.

        Example:
            >>> reply = await chain.complete("Summarize this ticket.", max_tokens=200)
            >>> print(reply.text)
        """
        call = self._asking(Request.of(messages, params, stream=self._streams_upstream), timeout, accept)
        get = self._whole if self._streams_upstream else self._plain
        return call.answered(await self._run(call, get))

    def stream(
        self,
        messages: Messages,
        *,
        timeout: float | Unset | None = UNSET,
        accept: Accept | Unset | None = UNSET,
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
        request = Request.of(messages, params, stream=True)

        def begin() -> Call:
            call = self._asking(request, timeout, accept)
            call.shows_reasoning = show_reasoning
            return call

        return Stream(begin, self._open, self._delivery.remedies)

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
        request = EmbeddingRequest.of(inputs, params)
        check_space(self._routes)
        call = self._begin(Request(messages=(), params=params), timeout)
        embeddings = await self._run(call, partial(self._vectors, request))
        return attrs.evolve(embeddings, report=call.served())

    async def aclose(self) -> None:
        """Close the connections; calls still under way fail.  A second time does nothing.

        Example:
            >>> chain = fallbackio.Chain(["openai/gpt-4o"])
            >>> ...
            >>> await chain.aclose()
        """
        self._closed = True
        # We may be leaving the chain because we are cancelled, and a plain await would raise before the
        # sockets are closed; both take a moment at most.
        with anyio.CancelScope(shield=True, deadline=clock.now() + CLOSE_S):
            try:
                await self._background.aclose()
            finally:
                await self._end()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def _asking(self, request: Request, timeout: float | Unset | None, accept: Accept | Unset | None) -> Call:
        """A call that asks for an answer, of the endpoints that can express and hold the request."""
        self._check_open()
        for route in self._routes:
            route.provider.check(request)
        call = self._begin(request, timeout)
        call.accept = self._accept if isinstance(accept, Unset) else accept
        if self._windows:
            call.plan.leave_out_smaller(least_tokens(request.messages))
        return call

    def _begin(self, request: Request, timeout: float | Unset | None) -> Call:
        self._check_open()
        limit = self._limits.timeout if isinstance(timeout, Unset) else Limits(timeout=timeout).timeout
        self._budget.deposit()
        plan = Plan.over(
            self._routes, self._retry, self._limits.max_retries, self._chance, self._budget, self._overrule
        )
        return Call(
            chain=self._name,
            number=next(self._numbers),
            request=request,
            plan=plan,
            limits=self._limits,
            strategy=self._strategy,
            timeout=limit,
            ambient=anyio.current_effective_deadline(),
            tell=self._tell,
            drain=self._background.drain,
        )

    def _check_open(self) -> None:
        if self._closed:
            raise ConfigError(f"{self._name} is closed")

    async def _open(self, call: Call) -> Opened:
        return await self._run(call, self._committed)

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
                if isinstance(step, Wait):
                    with self._budget.held():
                        await anyio.sleep_until(step.until)
                    continue
                if self._closed:
                    step.permit.left()
                    raise call.closed(ConfigError(f"{self._name} was closed while it was asked"))
                answer = await get(call.start(step, now))
                if answer is not None:
                    return answer
        except FallbackError as error:
            raise call.closed(error)  # noqa: B904 - it is the same error, with its ledger
        except BaseException:  # cancelled, or a fault in a function of the user's or ours
            call.left()
            raise

    async def _plain(self, attempt: Try) -> Reply | None:
        """A plain answer; there is nothing to race, because nothing shows before its end."""
        provider, request = attempt.leg.route.provider, attempt.call.request
        reply = await self._asked(attempt, partial(provider.complete, request, attempt.note))
        if reply is None:
            return None
        attempt.leg.route.durations.add(clock.now() - attempt.started)
        return await self._taken(attempt, reply)

    async def _vectors(self, request: EmbeddingRequest, attempt: Try) -> Embeddings | None:
        async def asking() -> Embeddings:
            embeddings = await attempt.leg.route.provider.embed(request)
            size = check_vectors(embeddings, request, self._dimensions)
            if "dimensions" not in request.params:
                self._dimensions = size
            return embeddings

        embeddings = await self._asked(attempt, asking)
        if embeddings is not None:
            attempt.won(embeddings.usage)
        return embeddings

    async def _asked(self, attempt: Try, asking: Callable[[], Awaitable[T]]) -> T | None:
        try:
            return await ask(attempt, asking)
        except AttemptError as error:
            attempt.call.failed(attempt, error)
            return None

    async def _taken(self, attempt: Try, reply: Reply) -> Reply | None:
        """A whole reply, if the caller takes it."""
        reply = attempt.named(reply)
        if not await approved(attempt, reply):
            return None
        attempt.won(reply.usage)
        return reply

    async def _whole(self, attempt: Try) -> Reply | None:
        """A whole answer, asked for as a stream, so that a stall is seen long before its end."""
        opened = await self._opened(attempt)
        if opened is None:
            return None
        if not await self._read_on(opened, math.inf):
            return None
        await close(opened.upstream)  # where only the terminator was missing
        attempt.call.ttft_s = opened.attempt.started + (opened.attempt.ttft_s or 0.0) - attempt.call.started
        return await self._taken(opened.attempt, assemble(opened.deltas))

    async def _committed(self, attempt: Try) -> Opened | None:
        """A streamed answer of which as much has come as is to be there before any is delivered."""
        judged = attempt.call.accept is not None
        chars = math.inf if judged else self._delivery.chars
        opened = await self._opened(attempt)
        if opened is None or not chars:
            return opened
        if not await self._read_on(opened, chars):
            return None
        if judged and not await approved(opened.attempt, opened.attempt.named(assemble(opened.deltas))):
            await close(opened.upstream)  # where only the terminator was missing
            return None
        return opened

    async def _read_on(self, opened: Opened, chars: float) -> bool:
        """Read until so many characters have come, or the end; false if it broke before."""
        attempt, call = opened.attempt, opened.attempt.call
        left_s = attempt.started + attempt.whole_s - clock.now()
        reading = Reading(opened, self._limits, left_s)
        seen = chars_in(opened.deltas)
        try:
            while seen < chars and (batch := await reading.next_batch()):
                seen += chars_in(batch)
                opened.deltas += batch
        except AttemptError as error:
            await give_up(attempt, opened.upstream, reading.tally.pieces, error)
            call.winner = None  # nothing was delivered: the question is open again
            call.failed(attempt, error)
            return False
        except BaseException as error:
            await give_up(attempt, opened.upstream, reading.tally.pieces, error)
            raise
        finally:
            reading.done()
        return True

    async def _opened(self, attempt: Try) -> Opened | None:
        """A streamed answer at its commit point, of this attempt or of one that overtook it."""
        call = attempt.call
        if not self._strategy.one_at_a_time:
            try:
                return await contest(Hedging(call, self._strategy), attempt)
            except AttemptError as error:  # it would fail everywhere; the others have been cut
                raise call.closed(error)  # noqa: B904 - it is the same error, with its ledger
        # A contest whose delay is infinite never has a second runner: it needs no task group.
        try:
            return await open_stream(attempt)
        except AttemptError as error:
            call.failed(attempt, error)
            return None
