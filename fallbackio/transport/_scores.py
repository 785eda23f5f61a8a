"""Whether the log probabilities that a request asks for have come.

Compatible servers pass over parameters that they do not know, without a word; so the ledger gets one.
"""

from __future__ import annotations

from collections.abc import Iterable

from fallbackio.endpoint import Endpoint, Note, unnoted
from fallbackio.model import Delta, Request

__all__ = ["Scores"]

MISSING = "logprobs were asked for and not given"


class Scores:
    """Sees an answer's pieces and, at its end, notes what is missing.

    `left_out` are the parameters that the endpoint's dialect drops, which has been noted already.
    """

    def __init__(self, request: Request, endpoint: Endpoint, left_out: Iterable[str], note: Note) -> None:
        given = endpoint.params.get("logprobs", request.params.get("logprobs"))
        self.wanted = bool(given) and "logprobs" not in left_out
        self._note = note if self.wanted else unnoted
        self._owed = False

    def see(self, deltas: Iterable[Delta]) -> None:
        """Some of the answer; a call of a tool has no log probabilities at most vendors."""
        for delta in deltas:
            if delta.logprobs:
                self.wanted = False
                return
            self._owed = self._owed or bool(delta.text)

    def ended(self) -> None:
        """The answer has come to its proper end."""
        if self.wanted and self._owed:
            self._note(MISSING)
