"""What an attempt is asked for: a plain answer, a whole one by a stream, an open stream, or vectors.

Each gives `None` for a failure that the call has been told of and that does not end it.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from typing import TypeVar

from fallbackio import clock
from fallbackio._draft import assemble
from fallbackio.chain._accept import approved
from fallbackio.chain._attempt import Opened, ask, chars_in, close, give_up, open_stream
from fallbackio.chain._contest import contest
from fallbackio.chain._embedding import check_vectors
from fallbackio.chain._hedging import Hedging
from fallbackio.chain._reading import Reading
from fallbackio.chain._settings import Delivery, Limits
from fallbackio.chain._strategy import Strategy
from fallbackio.chain._tally import check_whole
from fallbackio.chain._try import Try
from fallbackio.errors import AttemptError
from fallbackio.model import EmbeddingRequest, Embeddings, Reply

__all__ = ["Answering"]

T = TypeVar("T")


class Answering:
    """The ways of one chain to get an answer."""

    def __init__(self, limits: Limits, delivery: Delivery, strategy: Strategy) -> None:
        self._limits = limits
        self._delivery = delivery
        self._strategy = strategy
        self._dimensions: int | None = None  # of the vectors this chain has given

    async def plain(self, attempt: Try) -> Reply | None:
        """A plain answer; there is nothing to race, because nothing shows before its end."""
        provider, request = attempt.leg.route.provider, attempt.call.request

        async def asking() -> Reply:
            reply = await provider.complete(request, attempt.note, attempt.heard)
            check_whole(reply, attempt.choices)
            return reply

        reply = await self._asked(attempt, asking)
        if reply is None:
            return None
        now = clock.now()
        took_s = now - attempt.started
        tokens = reply.usage.completion_tokens
        attempt.leg.route.tempo.answered(took_s, tokens, at=now)
        attempt.answered(took_s, tokens)
        return await self._taken(attempt, reply)

    async def vectors(self, request: EmbeddingRequest, attempt: Try) -> Embeddings | None:
        async def asking() -> Embeddings:
            embeddings = await attempt.leg.route.provider.embed(request, attempt.heard)
            asked = attempt.leg.route.spec.effective("dimensions", request.params)
            size = check_vectors(embeddings, len(request.inputs), asked or self._dimensions)
            if asked is None:
                self._dimensions = size
            return embeddings

        embeddings = await self._asked(attempt, asking)
        if embeddings is not None:
            attempt.leg.route.tempo.wholes.add(clock.now() - attempt.started)
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
        if attempt.call.accept is not None and not await approved(attempt, reply):
            return None
        attempt.won(reply.usage)
        return reply

    async def whole(self, attempt: Try) -> Reply | None:
        """A whole answer, asked for as a stream, so that a stall is seen long before its end."""
        opened = await self._opened(attempt)
        if opened is None:
            return None
        if not await self._read_on(opened, math.inf):
            return None
        attempt.call.ttft_s = opened.attempt.started + (opened.attempt.ttft_s or 0.0) - attempt.call.started
        return await self._taken(opened.attempt, assemble(opened.deltas))

    async def committed(self, attempt: Try) -> Opened | None:
        """A streamed answer of which as much has come as is to be there before any is delivered."""
        judged = attempt.call.accept is not None
        chars = math.inf if judged else self._delivery.chars
        opened = await self._opened(attempt)
        if opened is None or not chars:
            return opened
        if not await self._read_on(opened, chars):
            return None
        if judged and not await approved(opened.attempt, opened.attempt.named(assemble(opened.deltas))):
            return None
        return opened

    async def _read_on(self, opened: Opened, chars: float) -> bool:
        """Read until so many characters have come, or the end; false if it broke before.

        An answer at its end needs its request no more, also where only the terminator was missing.
        """
        attempt, call = opened.attempt, opened.attempt.call
        left_s = attempt.started + attempt.whole_s - clock.now()
        reading = Reading(opened, self._limits, left_s)
        seen = chars_in(opened.deltas)
        try:
            while seen < chars and not opened.ended:
                batch = await reading.next_batch()
                opened.ended = not batch
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
        if opened.ended:
            await close(opened.upstream)
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
