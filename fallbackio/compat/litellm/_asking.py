"""One call in LiteLLM's manner over chains: the general fallbacks, and those for two kinds of failure.

A chain has one order of endpoints, LiteLLM three: for a prompt that is too long, for one that a policy
refused, and for all else.  So a call is a chain of the general order and, if that ends with one of the
two failures and there are models for it, a second chain in what is left of the time.  The ledger of both
is one.  An endpoint that cannot express the request is left out where it is a fallback, with a warning:
LiteLLM would find it out in the outage, and a chain would refuse the call.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar

import attrs
from attrs import field, frozen

from fallbackio import clock
from fallbackio._log import say
from fallbackio.chain import Coordinator, Delivery, Limits, RetryPolicy, Stream
from fallbackio.compat.litellm._fields import EmbeddingResponse, ModelResponse
from fallbackio.compat.litellm._mocks import failing
from fallbackio.compat.litellm._stream import AsyncStreamWrapper
from fallbackio.compat.litellm.exceptions import translated
from fallbackio.config import Fleet
from fallbackio.endpoint import Endpoint, Pool
from fallbackio.errors import (
    AttemptError,
    ConfigError,
    ContentFiltered,
    ContextTooLong,
    FallbackError,
    InvalidRequest,
)
from fallbackio.model import Attempt

__all__ = ["Ask", "Steps", "answer", "embeddings", "opened"]

T = TypeVar("T")

Steps = tuple[Endpoint | Pool, ...]


@frozen
class _Overrule:
    """Which failures go on to the general fallbacks: those that have no fallbacks of their own, as there.

    A request that is at fault everywhere goes on to nobody.
    """

    has_larger: bool
    has_other_policy: bool

    def __call__(self, error: AttemptError) -> bool | None:
        if isinstance(error, ContextTooLong):
            return not self.has_larger
        if isinstance(error, ContentFiltered):
            return not self.has_other_policy
        return None


@frozen(kw_only=True)
class Ask:
    """One call, ready to be made.

    Attributes:
        steps: The model and its general fallbacks.
        larger: Who is asked where the prompt was too long.
        other_policy: Who is asked where a policy refused it.
        remember: Whether the chain may be kept for the next call: not where steps hold messages.
        tells_usage: Whether a stream ends with a chunk of its usage.
    """

    messages: Sequence[Any] = field(repr=False)
    params: Mapping[str, Any] = field(repr=False)
    steps: Steps
    limits: Limits
    larger: Steps = ()
    other_policy: Steps = ()
    retry: RetryPolicy = field(factory=RetryPolicy)
    delivery: Delivery = field(factory=lambda: Delivery(on_break="raise"))
    remember: bool = True
    tells_usage: bool = False

    def chain(self, fleet: Fleet) -> Coordinator:
        """The chain of the general fallbacks."""
        try:
            return self._over(fleet, self.steps)
        except ConfigError:
            # One that cannot be built (no region, a bad address) must not keep the others from answering.
            return self._over(fleet, [_buildable(step, fleet, self.limits) for step in self.steps])

    def _over(self, fleet: Fleet, steps: Sequence[Endpoint | Pool]) -> Coordinator:
        return fleet.chain(
            steps,
            limits=self.limits,
            retry=self.retry,
            delivery=self.delivery,
            overrule=_Overrule(bool(self.larger), bool(self.other_policy)),
            remember=self.remember,
        )

    def after(self, error: FallbackError) -> Ask | None:
        """The call that follows this failure, if there are models for it."""
        if isinstance(error, ContextTooLong) and self.larger:
            return attrs.evolve(self, steps=self.larger, larger=(), other_policy=())
        if isinstance(error, ContentFiltered) and self.other_policy:
            return attrs.evolve(self, steps=self.other_policy, larger=(), other_policy=())
        return None

    def without(self, endpoint: str) -> Ask:
        """The same call without this endpoint."""
        return attrs.evolve(self, steps=_without(self.steps, endpoint))

    @property
    def first_choices(self) -> set[str]:
        """Names of the endpoints of the first step."""
        first = self.steps[0]
        return {one.name for one in _members(first)}


def _members(step: Endpoint | Pool) -> list[Endpoint]:
    members = (step,) if isinstance(step, Endpoint) else step.endpoints
    return [one for one in members if isinstance(one, Endpoint)]


def _without(steps: Steps, name: str) -> Steps:
    kept: list[Endpoint | Pool] = []
    for step in steps:
        left = [one for one in _members(step) if one.name != name]
        if isinstance(step, Pool) and left:
            kept.append(attrs.evolve(step, endpoints=left))
        elif left:
            kept.append(step)
    return tuple(kept)


def _buildable(step: Endpoint | Pool, fleet: Fleet, limits: Limits) -> Endpoint | Pool:
    if isinstance(step, Pool):
        return attrs.evolve(step, endpoints=[_buildable(one, fleet, limits) for one in _members(step)])
    try:
        fleet.chain([step], limits=limits, remember=False)
    except ConfigError as error:
        return failing(step.name, InvalidRequest, str(error), vendor=step.vendor, model=step.model)
    return step


async def _made(
    fleet: Fleet, ask: Ask, make: Callable[[Coordinator, Ask, float | None], Awaitable[T]]
) -> tuple[T, tuple[Attempt, ...]]:
    """What `make` gives, and the ledger of the chains that were asked before the one that gave it."""
    begun = clock.now()
    before: tuple[Attempt, ...] = ()
    while True:
        left = ask.limits.timeout
        if left is not None and before:
            left = max(left - (clock.now() - begun), 0.001)
        try:
            return await make(ask.chain(fleet), ask, left), before
        except FallbackError as error:
            if (mute := _who_cannot_say(error, ask)) is not None:
                say(logging.WARNING, "%s is left out, it cannot express the request", mute)
                ask = ask.without(mute)
                continue
            before += error.attempts
            error.attempts = before
            following = ask.after(error)
            if following is None:
                raise translated(error) from error
            ask = following


def _who_cannot_say(error: FallbackError, ask: Ask) -> str | None:
    """The fallback for whose sake a chain refused the call, before anything was sent."""
    if not isinstance(error, InvalidRequest) or error.status is not None or error.attempts:
        return None
    return error.endpoint if error.endpoint and error.endpoint not in ask.first_choices else None


async def answer(fleet: Fleet, ask: Ask) -> ModelResponse:
    """The whole answer; raises errors of LiteLLM's names."""

    async def make(chain: Coordinator, ask: Ask, left: float | None) -> ModelResponse:
        reply = await chain.complete(ask.messages, timeout=left, **ask.params)
        return ModelResponse.of(reply)

    response, before = await _made(fleet, ask, make)
    report = response.report
    return response.told(attrs.evolve(report, attempts=before + report.attempts)) if before else response


async def opened(fleet: Fleet, ask: Ask) -> AsyncStreamWrapper:
    """The answer as a stream whose first content is there; raises errors of LiteLLM's names."""

    async def make(chain: Coordinator, ask: Ask, left: float | None) -> Stream:
        stream = chain.stream(ask.messages, timeout=left, show_reasoning=True, **ask.params)
        return await stream.__aenter__()

    stream, before = await _made(fleet, ask, make)
    return await AsyncStreamWrapper.of(stream, before, tells_usage=ask.tells_usage)


async def embeddings(fleet: Fleet, ask: Ask, inputs: Any) -> EmbeddingResponse:
    """Vectors; raises errors of LiteLLM's names."""

    async def make(chain: Coordinator, ask: Ask, left: float | None) -> EmbeddingResponse:
        return EmbeddingResponse.of(await chain.embed(inputs, timeout=left, **ask.params))

    response, _ = await _made(fleet, ask, make)
    return response
