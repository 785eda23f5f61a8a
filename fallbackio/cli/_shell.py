"""What the commands share: running, being interrupted, keeping the log quiet, printing safely."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import TypeVar

import anyio
import typer

from fallbackio.errors import FallbackError

__all__ = ["LogCount", "complain", "printable", "quiet_log", "run"]

T = TypeVar("T")

# Control characters but for line breaks and tabs: what a model or a provider says must not be able
# to move the cursor, retitle the window or reprogram keys.
_CONTROLS: Mapping[int, None] = MappingProxyType(
    {code: None for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) not in "\n\t"}
)


def run(main: Callable[[], Awaitable[T]]) -> T:
    """What `main` returns; Ctrl-C ends the command quietly with exit code 130."""
    try:
        return anyio.run(main)
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    except OSError as error:
        raise _unwritable(error) from None
    except BaseExceptionGroup as group:
        failed = group.subgroup(OSError)
        if failed is None:
            raise
        raise _unwritable(_first(failed)) from None


def _unwritable(error: BaseException) -> BaseException:
    """What becomes of output that cannot be written; the network's errors are never plain ones."""
    if isinstance(error, FallbackError):
        return error  # one of these is a TimeoutError, and so for Python an OSError
    if not isinstance(error, OSError) or isinstance(error, BrokenPipeError):
        return error  # whoever read our output has left: typer ends quietly if it sees the plain error
    complain(f"cannot write the output: {error.strerror or error}")
    # What is left in the buffer would be tried once more, and complained about, at the very end.
    with open(os.devnull, "w", encoding="utf-8") as nowhere:
        os.dup2(nowhere.fileno(), sys.stdout.fileno())
    return typer.Exit(1)


def _first(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def printable(text: str) -> str:
    """The text without control characters; line breaks and tabs stay."""
    return text.translate(_CONTROLS)


def complain(message: object) -> None:
    """One message on stderr, in the command's name."""
    typer.echo(printable(f"fallbackio: {message}"), err=True)


class LogCount(logging.Handler):
    """Counts records in place of showing them."""

    def __init__(self) -> None:
        super().__init__()
        self.records = 0

    def emit(self, record: logging.LogRecord) -> None:
        self.records += 1


@contextmanager
def quiet_log() -> Iterator[LogCount]:
    """Within it the log of fallbackio is counted and not shown.

    The commands say in their own words what failed over; the same as warnings would garble it.
    """
    logger = logging.getLogger("fallbackio")
    count = LogCount()
    before = logger.handlers[:], logger.propagate
    logger.handlers[:], logger.propagate = [count], False
    try:
        yield count
    finally:
        logger.handlers[:], logger.propagate = before
