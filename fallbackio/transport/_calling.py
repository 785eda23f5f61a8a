"""A user's own async function as a provider."""

from __future__ import annotations

import inspect
import logging
from typing import Any

import anyio

from fallbackio import clock
from fallbackio._draft import assemble
from fallbackio._log import say
from fallbackio.dialects import deltas_of
from fallbackio.endpoint import Endpoint, Heard, Note, Upstream, unheard, unnoted
from fallbackio.errors import BadAnswer, InvalidRequest
from fallbackio.model import Delta, EmbeddingRequest, Embeddings, Reply, Request
from fallbackio.transport._checks import as_reply
from fallbackio.transport._failures import from_callers_code
from fallbackio.transport._guard import guarded
from fallbackio.transport._pieces import Pieces
from fallbackio.transport._whole import Whole

__all__ = ["CallingProvider"]

# What the clean-up of a generator that was cut off may take; a stuck one must not hold the caller.
CLOSE_GRACE_S = 1.0


class CallingProvider:
    """Calls an async function, or iterates an async generator function."""

    success_status: int | None = None
    runs_callers_code = True

    def __init__(self, endpoint: Endpoint) -> None:
        assert endpoint.fn is not None  # noqa: S101 - `Endpoint.calling` has set it
        self._spec = endpoint
        self._fn = endpoint.fn
        self._told = False  # whether a failed clean-up was warned about

    def check(self, request: Request) -> None:
        """The function says itself what it cannot do."""

    def prefilled(self, request: Request, partial: str) -> Request | None:
        """None: whether the function's model takes a prefill is not known here."""
        return None

    async def complete(self, request: Request, note: Note = unnoted, heard: Heard = unheard) -> Reply:
        answer = self._called(self._spec.adapted(request, note))
        if not inspect.isasyncgen(answer):
            return await self._reply(answer)
        upstream = self._pieces(answer)
        deltas: list[Delta] = []
        try:
            while not upstream.finished:
                deltas += await upstream.receive()
        except BaseException:
            # We may get here cancelled, and an await that suspends would raise at once.
            with anyio.CancelScope(shield=True, deadline=clock.now() + CLOSE_GRACE_S):
                await upstream.aclose()
            raise
        return assemble(deltas)

    async def stream(self, request: Request, note: Note = unnoted, heard: Heard = unheard) -> Upstream:
        answer = self._called(self._spec.adapted(request, note))
        if inspect.isasyncgen(answer):
            return self._pieces(answer)
        return Whole(deltas_of(await self._reply(answer)))

    async def embed(self, request: EmbeddingRequest, heard: Heard = unheard) -> Embeddings:
        """Refused: the function answers questions."""
        raise InvalidRequest("a function of yours cannot embed; use Endpoint(model, …)", everywhere=False)

    def _called(self, request: Request) -> Any:
        try:
            return self._fn(request)
        except Exception as error:
            raise from_callers_code(error) from error

    async def _reply(self, answer: object) -> Reply:
        if not inspect.isawaitable(answer):
            kind = type(answer).__name__
            raise BadAnswer(f"the function returned {kind}; it must be async, or an async generator")
        return as_reply(await guarded(answer, clock.now()))

    def _pieces(self, answer: Any) -> Pieces:
        return Pieces(answer, self._tell_unclean)  # what it yields is looked at piece by piece

    def _tell_unclean(self, error: BaseException) -> None:
        if not self._told:
            self._told = True
            name = getattr(self._fn, "__qualname__", type(self._fn).__name__)
            say(logging.WARNING, "%s: its clean-up raised %s (told once)", name, type(error).__name__)
