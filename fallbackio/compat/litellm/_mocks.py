"""Endpoints that ask nobody: mocked answers, and models that nobody runs.

They stand in a chain as any endpoint does, so that a model which cannot be asked is a failed attempt in
the ledger, and its fallbacks are asked.  Each is a value: two of the same answer are one endpoint.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import anyio
from attrs import field, frozen

from fallbackio import errors
from fallbackio.compat.litellm import exceptions
from fallbackio.endpoint import Endpoint
from fallbackio.errors import AttemptError
from fallbackio.model import Choice, Message, Reply, Request, Usage

__all__ = ["failing", "mocked"]

# What LiteLLM says that a mocked answer used.
_USED = Usage(prompt_tokens=10, completion_tokens=20)

_BY_NAME: Mapping[str, type[AttemptError]] = MappingProxyType(
    {
        "litellm.RateLimitError": errors.RateLimited,
        "litellm.InternalServerError": errors.ServerFault,
        "litellm.ContextWindowExceededError": errors.ContextTooLong,
    }
)

_BY_CLASS: tuple[tuple[type[exceptions.OpenAIError], type[AttemptError]], ...] = (
    (exceptions.ContextWindowExceededError, errors.ContextTooLong),
    (exceptions.ContentPolicyViolationError, errors.ContentFiltered),
    (exceptions.APIConnectionError, errors.ConnectionFailed),
    (exceptions.Timeout, errors.TimedOut),
)

# What LiteLLM's own documentation writes into a mocked exception for these two.
_BY_WORDS: tuple[tuple[re.Pattern[str], type[AttemptError]], ...] = (
    (re.compile(r"prompt is too long|context.?(?:window|length)", re.IGNORECASE), errors.ContextTooLong),
    (re.compile(r"content.?(?:filter|policy)|filtering policy", re.IGNORECASE), errors.ContentFiltered),
)


@frozen
class _Says:
    """Answers with a text, in one piece or in pieces."""

    text: str = field(repr=False)
    model: str
    after_s: float = 0.0

    async def __call__(self, request: Request) -> Reply:
        if self.after_s:
            await anyio.sleep(self.after_s)
        choices = [Choice(Message(self.text), index=at) for at in range(request.params.get("n") or 1)]
        return Reply(id="chatcmpl-mock", model=self.model, choices=tuple(choices), usage=_USED)


@frozen
class _Fails:
    """Raises an error of this kind."""

    kind: type[AttemptError]
    text: str
    status: int | None = None
    after_s: float = 0.0

    async def __call__(self, request: Request) -> Reply:
        if self.after_s:
            await anyio.sleep(self.after_s)
        if issubclass(self.kind, errors.InvalidRequest):
            raise self.kind(self.text, everywhere=False)
        if issubclass(self.kind, errors.ConnectionFailed | errors.TimedOut):
            raise self.kind(self.text)
        raise self.kind(self.text, status=self.status)


@frozen
class _Hangs:
    """Never answers."""

    async def __call__(self, request: Request) -> Reply:
        await anyio.sleep_forever()
        raise AssertionError  # nobody wakes it


def failing(name: str, kind: type[AttemptError], text: str, *, vendor: str = "", model: str = "") -> Endpoint:
    """An endpoint that cannot be asked, for this reason."""
    return Endpoint.calling(_Fails(kind, text), name=name, vendor=vendor, model=model)


def mocked(name: str, answer: object, *, vendor: str, model: str, after_s: float = 0.0) -> Endpoint:
    """An endpoint for LiteLLM's `mock_response`: a text, an exception, or the name of one; `None` hangs."""
    return Endpoint.calling(_mock(answer, model, after_s), name=name, vendor=vendor or name, model=model)


def _mock(answer: object, model: str, after_s: float) -> Any:
    if answer is None:
        return _Hangs()
    if isinstance(answer, BaseException):
        return _raising(answer, after_s)
    if isinstance(answer, Mapping):
        answer = answer["choices"][0]["message"]["content"] or ""
    text = str(answer)
    if text in _BY_NAME:
        return _Fails(_BY_NAME[text], f"this is a mocked {text.partition('.')[2]}", after_s=after_s)
    if text.startswith("Exception: content_filter_policy"):
        return _Fails(errors.ContentFiltered, text, after_s=after_s)
    return _Says(text, model, after_s)


def _raising(error: BaseException, after_s: float) -> _Fails:
    status = getattr(error, "status_code", None)
    kind = next((ours for theirs, ours in _BY_CLASS if isinstance(error, theirs)), None)
    if kind is None and isinstance(error, AttemptError):
        kind, status = type(error), error.status
    if kind is None and isinstance(status, int):
        kind = errors.by_status(status)
    if kind is None:
        kind = next((ours for words, ours in _BY_WORDS if words.search(str(error))), errors.ServerFault)
    return _Fails(kind, str(error), status if isinstance(status, int) else None, after_s)
