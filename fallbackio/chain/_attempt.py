"""One attempt, bounded in time: until the answer is whole, or until its commit point.

A function here that fails or is cancelled has ended the try it was given; one that returns leaves
that to the caller, who alone knows whether the answer is wanted.  An answer that arrives in the
tick of its deadline is delivered, not lost: it is kept outside the scope that bounds it and looked
for there first, and the scope ends a hair later (`TICK_S`), since a timer set before the answer's
own would otherwise fire before it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import anyio
from attrs import define

from fallbackio import clock
from fallbackio.chain._patience import Patience
from fallbackio.chain._try import TICK_S, Try
from fallbackio.endpoint import Upstream
from fallbackio.errors import AttemptError
from fallbackio.model import Delta, Usage

__all__ = [
    "TICK_S",
    "Opened",
    "ask",
    "close",
    "give_up",
    "has_progress",
    "open_stream",
    "tokens_in",
]

T = TypeVar("T")

# How long the clean-up of a cut request may take.  Over HTTP it takes no time at all; this bounds
# a user's own function behind `Endpoint.calling`.
CLOSE_GRACE_S = 1.0


async def ask(attempt: Try, asking: Callable[[], Awaitable[T]]) -> T:
    """A whole answer of any kind; raises the `AttemptError` it failed with."""
    reply: T | None = None
    patience = Patience(attempt, in_scope=attempt.leg.route.provider.runs_callers_code)
    try:
        # Cancelled by our patience's end or by the caller's scopes.  The provider ends its
        # request before the cancellation leaves it.
        with patience:
            reply = await asking()
    except AttemptError as error:
        raise attempt.failed(error)  # noqa: B904 - it is the same error, with its place filled in
    except BaseException:  # cancelled, or a bug of ours: the permit goes back
        attempt.cut()
        raise
    if reply is None:
        raise attempt.given_up(patience.spent())
    attempt.arrived()
    return reply


@define(eq=False)
class Opened:
    """A streamed answer past its commit point, and what of it has been read; all, once it has `ended`."""

    attempt: Try
    upstream: Upstream
    deltas: list[Delta]
    ended: bool = False


async def open_stream(attempt: Try, alive: Callable[[], None] | None = None) -> Opened:
    """A streamed answer at its first content, or at its end if it has none.

    `alive` is called when the provider has accepted the request.
    """
    upstream: Upstream | None = None
    deltas: list[Delta] = []
    reached = False
    patience = Patience(attempt, in_scope=True)
    try:
        # Cancelled by our patience's end, by the caller's scopes, or by an attempt that won.
        with patience:
            upstream = await attempt.call.ask(attempt.leg.route.provider, attempt.note, attempt.heard)
            attempt.alive = True
            upstream.on_end(attempt.arrived)
            if alive is not None:
                alive()
            while not (upstream.finished or reached):
                batch = upstream.take() or await upstream.receive()
                deltas += batch
                reached = has_progress(batch) if attempt.call.shows_reasoning else has_content(batch)
                if not reached and has_progress(batch):
                    patience.thinks()
            reached = True
    except BaseException as error:
        await give_up(attempt, upstream, tokens_in(deltas), error)
        raise
    if upstream is None or not reached:
        spent = patience.spent()
        await give_up(attempt, upstream, tokens_in(deltas), spent)
        raise spent
    attempt.ttft_s = clock.now() - attempt.started
    attempt.leg.route.tempo.firsts.add(attempt.ttft_s)
    attempt.answered(attempt.ttft_s)
    return Opened(attempt, upstream, deltas)


async def give_up(attempt: Try, upstream: Upstream | None, pieces: int, error: BaseException) -> None:
    """End the attempt and its request after `error`, a failure of its or a cancellation.

    `pieces` of content had come.
    """
    given = Usage(completion_tokens=pieces) if pieces else None
    if isinstance(error, AttemptError):
        attempt.given_up(error, given)
    else:  # cancelled, or a bug of ours: the permit goes back
        attempt.cut(pieces)
        if upstream is not None and attempt.call.drains(attempt, upstream):
            return
    await close(upstream)


async def close(upstream: Upstream | None) -> None:
    """End a request that is not wanted any more, also in a cancelled scope."""
    if upstream is None or upstream.finished:
        return
    # We may get here cancelled, so a plain await that suspends would raise at once and leave the
    # provider generating.  HTTP closes without suspending; what takes longer than the grace is
    # dropped, because a stuck clean-up must not hold the caller's answer.
    with anyio.CancelScope(shield=True, deadline=clock.now() + CLOSE_GRACE_S):
        await upstream.aclose()


def has_content(batch: Sequence[Delta]) -> bool:
    """Whether anything in `batch` commits the answer."""
    return any(delta.is_content for delta in batch)


def has_progress(batch: Sequence[Delta]) -> bool:
    """Whether anything in `batch` shows that the answer goes on: content or reasoning."""
    return any(delta.is_content or delta.reasoning for delta in batch)


def tokens_in(deltas: Sequence[Delta]) -> int:
    """Pieces of content: what was certainly charged for, where no usage was said."""
    return sum(delta.is_content for delta in deltas)


def chars_in(deltas: Sequence[Delta]) -> int:
    """Characters of text."""
    return sum([len(delta.text) for delta in deltas])
