"""Whether the caller takes an answer, asked before any of it is delivered."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable

import anyio

from fallbackio.chain._try import Try
from fallbackio.errors import ConfigError, Rejected
from fallbackio.model import Reply

__all__ = ["Accept", "approved", "checked"]

# True takes the answer; false, or a text that says why, does not.
Accept = Callable[[Reply], bool | str | Awaitable[bool | str]]


def checked(accept: Accept | None) -> Accept | None:
    """The function, or `None` for none; raises `ConfigError` for anything else."""
    if accept is not None and not callable(accept):
        raise ConfigError(f"accept must be a function of the reply, not {accept!r}")
    return accept


async def approved(attempt: Try, reply: Reply) -> bool:
    """Whether `reply` may be delivered; if not, the attempt has failed and the call knows.

    What the function raises goes to the caller: it is a fault of the function's, not of the answer.
    """
    call = attempt.call
    if call.accept is None:
        return True
    said: bool | str | None = None
    try:
        # Cancelled by the call's deadline or by the caller's scopes.
        with anyio.CancelScope(deadline=call.deadline):
            said = await _said(call.accept, reply)
    except BaseException:
        attempt.cut()
        raise
    if said is True:
        return True
    if said is None:
        attempt.cut()  # the call's time ran out over it
        return False
    call.winner = None  # nothing was delivered: the question is open again
    error = Rejected(said or "accept returned false")
    call.failed(attempt, attempt.failed(error, reply.usage))
    return False


async def _said(accept: Accept, reply: Reply) -> bool | str:
    said: object = accept(reply)
    if inspect.isawaitable(said):
        said = await said
    if not isinstance(said, bool | str):
        raise ConfigError(f"accept must return true, false or a reason, not {type(said).__name__}")
    return said
