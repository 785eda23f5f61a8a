"""A user's own async function as a provider."""

from __future__ import annotations

import inspect
from typing import Any

from fallbackio.dialects import deltas_of
from fallbackio.endpoint import Answerer, Upstream
from fallbackio.errors import BadAnswer
from fallbackio.model import Choice, Message, Reply, Request, assemble
from fallbackio.transport._failures import from_callers_code
from fallbackio.transport._whole import Pieces, Whole

__all__ = ["CallingProvider"]


class CallingProvider:
    """Calls an async function, or iterates an async generator function."""

    success_status: int | None = None

    def __init__(self, fn: Answerer) -> None:
        self._fn = fn

    def check(self, request: Request) -> None:
        """The function says itself what it cannot do."""

    def prefilled(self, request: Request, partial: str) -> Request | None:
        """None: whether the function's model takes a prefill is not known here."""
        return None

    async def complete(self, request: Request) -> Reply:
        answer = self._called(request)
        if not inspect.isasyncgen(answer):
            return await self._reply(answer)
        upstream = _pieces(answer)
        deltas = []
        try:
            while not upstream.finished:
                deltas += await upstream.receive()
        finally:
            await upstream.aclose()
        return assemble(deltas)

    async def stream(self, request: Request) -> Upstream:
        answer = self._called(request)
        if inspect.isasyncgen(answer):
            return _pieces(answer)
        return Whole(deltas_of(await self._reply(answer)))

    def _called(self, request: Request) -> Any:
        try:
            return self._fn(request)
        except Exception as error:
            raise from_callers_code(error) from error

    async def _reply(self, answer: object) -> Reply:
        if not inspect.isawaitable(answer):
            kind = type(answer).__name__
            raise BadAnswer(f"the function returned {kind}; it must be async, or an async generator")
        try:
            value = await answer
        except Exception as error:
            raise from_callers_code(error) from error
        if isinstance(value, str):
            value = Message(value)
        if isinstance(value, Message):
            value = Reply(choices=(Choice(value, "tool_calls" if value.tool_calls else "stop"),))
        if not isinstance(value, Reply) or not value.choices:
            raise BadAnswer(f"the function returned {type(value).__name__}, not a Reply, Message or string")
        return value


def _pieces(answer: Any) -> Pieces:
    return Pieces(answer)  # what it yields is looked at piece by piece
