"""What a simulated provider does with one request, as a sequence of steps.

A plan is made without a socket and played by `_player`; a fault is a plan, often a healthy one with
something done to it.  The odd rule: contents are counted, bytes are not, so that "after three tokens" means
the same in a stream, where each token is sent alone, and in a plain answer or a burst of several, where
it is a share of the bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import anyio
from attrs import frozen

__all__ = ["Drop", "End", "Enter", "Head", "Plan", "Send", "Step", "Wait", "interrupted"]


@frozen
class Wait:
    """Let time pass; `None` is for ever.

    Example:
        >>> Wait(2.5)
    """

    seconds: float | None


@frozen
class Head:
    """Status and headers; they go out with the first bytes, or before the next wait.

    Example:
        >>> Head(200, {"content-type": "text/event-stream"})
    """

    status: int
    headers: Mapping[str, str]
    length: int | None = None  # of the body, or chunked


@frozen
class Send:
    """Bytes of the body.

    Example:
        >>> Send(b": still here\\n\\n")
    """

    data: bytes
    tokens: int = 0  # how many contents are in them
    final: bool = False  # whether the answer is whole after them

    def cut(self, after_tokens: int) -> tuple[Send, Send]:
        """The two parts of a piece in which an interruption falls; never all of it in the first."""
        share = len(self.data) * after_tokens // self.tokens if self.tokens else 0
        place = max(0, min(share, len(self.data) - 1))
        return Send(self.data[:place]), Send(self.data[place:], self.tokens, self.final)


@frozen
class End:
    """The proper end of the body.

    Example:
        >>> [Head(204, {}, 0), End()]
    """


@frozen
class Drop:
    """Close the connection, without the end of the body; `reset` throws away what is unsent.

    Example:
        >>> [*exchange.opening(), Drop(reset=True)]
    """

    reset: bool = False


@frozen
class Enter:
    """Wait for one of an endpoint's slots; it is given back when the request ends."""

    slots: anyio.Semaphore


Step = Wait | Head | Send | End | Drop | Enter
Plan = Iterable[Step]


def interrupted(plan: Plan, after_tokens: int, by: Plan, *, resume: bool = False) -> Iterator[Step]:
    """`plan`, with `by` at the instant at which the content after so many others is due.

    An answer with fewer contents is interrupted before its end.  `resume` says whether the rest
    follows.
    """
    steps = iter(plan)
    left = after_tokens
    for step in steps:
        if not isinstance(step, Send):
            yield step
        elif not step.final and step.tokens <= left:
            left -= step.tokens
            yield step
        else:
            before, after = step.cut(left)
            yield from (before, *by) if before.data else by
            if resume:
                yield after
                yield from steps
            return
