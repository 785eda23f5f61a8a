"""Awaiting what a user's own function does: its failures become ours, cancellations are told apart.

Two things bite.  An SDK lets a `CancelledError` out because a task of its own was cancelled: nobody
cancelled us, so this is a failure like another.  And it makes an error of its own out of our
cancellation: then the cancellation wins, or a cancelled call would fail over.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable
from typing import TypeVar

import anyio

from fallbackio import clock
from fallbackio.errors import ServerFault
from fallbackio.transport._failures import from_callers_code

__all__ = ["being_cancelled", "guarded"]

T = TypeVar("T")


async def guarded(answer: Awaitable[T], started: float) -> T:
    """What `answer` gives; raises `AttemptError`s and nothing else, but for our own cancellation.

    `started` is the instant at which the function was called.
    """
    requests = _cancel_requests()
    try:
        return await answer
    except asyncio.CancelledError as error:
        if being_cancelled():
            raise
        raise ServerFault("the function was cancelled from within") from error
    except Exception as error:
        if _in_cancelled_scope():
            await anyio.sleep_forever()  # until the scope's own cancellation comes, again
        # A plain `task.cancel()` comes once, and the function has swallowed it.  Earlier requests
        # do not count: a task may ask us for something after it has caught its cancellation.
        if _cancel_requests() > requests:
            raise asyncio.CancelledError from error
        raise from_callers_code(error, clock.now() - started) from error


def being_cancelled() -> bool:
    """Whether somebody wants this task or a scope around us to end."""
    return _cancel_requests() > 0 or _in_cancelled_scope()


def _in_cancelled_scope() -> bool:
    return anyio.current_effective_deadline() == -math.inf


def _cancel_requests() -> int:
    task = asyncio.current_task()
    return 0 if task is None else task.cancelling()
