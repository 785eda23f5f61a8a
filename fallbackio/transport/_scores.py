"""Whether the log probabilities that a request asks for have come.

Compatible servers pass over parameters that they do not know, without a word; so the ledger gets one.
"""

from __future__ import annotations

from collections.abc import Iterable

from fallbackio.endpoint import Endpoint, Note
from fallbackio.model import Delta, Request

__all__ = ["Scores", "asks_for_scores"]

MISSING = "logprobs were asked for and not given"


def asks_for_scores(request: Request, endpoint: Endpoint, left_out: Iterable[str]) -> bool:
    """Whether an answer owes log probabilities.

    `left_out` are the parameters that the endpoint's dialect drops, which has been noted already.
    """
    given = endpoint.params.get("logprobs", request.params.get("logprobs"))
    return bool(given) and "logprobs" not in left_out


class Scores:
    """Sees an answer's pieces and, at its end, notes what is missing."""

    def __init__(self, note: Note) -> None:
        self._note = note
        self._wanted = True
        self._owed = False

    def see(self, deltas: Iterable[Delta]) -> None:
        """Some of the answer; a call of a tool has no log probabilities at most vendors."""
        for delta in deltas:
            if delta.logprobs:
                self._wanted = False
                return
            self._owed = self._owed or bool(delta.text)

    def ended(self) -> None:
        """The answer has come to its proper end."""
        if self._wanted and self._owed:
            self._note(MISSING)
