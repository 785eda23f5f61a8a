"""Going on with an answer that broke off after its first content.

Another endpoint is asked to go on from the text so far: by assistant prefill where its dialect and
model allow it, otherwise by an instruction that carries the partial answer.  What it repeats of the
text is trimmed at the seam.  Tool calls and JSON are not continued: half a call cannot be mended by
text, and two models rarely agree on the next brace.
"""

from __future__ import annotations

from fallbackio.endpoint import Heard, Note, Provider, Upstream
from fallbackio.errors import InvalidRequest
from fallbackio.model import Request

__all__ = ["Overlap", "may_continue", "open_continued"]

INSTRUCTION = (
    "Your answer above was cut off in the middle by a technical fault. Continue it from exactly where it "
    "stopped, in the same language, style and format. Do not repeat anything of it, do not comment on the "
    "interruption, and begin with the very next characters."
)

# A model that repeats itself repeats some words at least; less is chance ("the the" aside), unless it is
# all that there was: then the model has begun anew.
LEAST_OVERLAP = 8
# How far back a repetition is looked for.
LONGEST_OVERLAP = 4000


def may_continue(request: Request) -> bool:
    """Whether the answer is free text, which another model can go on with."""
    return request.params.get("response_format", {"type": "text"}) in (None, {"type": "text"})


async def open_continued(
    provider: Provider, request: Request, partial: str, note: Note, heard: Heard
) -> Upstream:
    """Send `provider` to go on after `partial`.

    A prefill that it rejects leads to the instruction form.
    """
    prefilled = provider.prefilled(request, partial)
    if prefilled is not None:
        try:
            return await provider.stream(prefilled, note, heard)
        except InvalidRequest:
            # No fault of the caller's request, which has been answered once.
            note("prefill refused, asked to continue instead")
    return await provider.stream(instructed(request, partial), note, heard)


def instructed(request: Request, partial: str) -> Request:
    """The request, the partial answer, and the instruction to go on."""
    said = {"role": "assistant", "content": partial}
    asked = {"role": "user", "content": INSTRUCTION}
    return request.with_messages((*request.messages, said, asked))


class Overlap:
    """Holds back what a continuation repeats of the text before it.

    Text is held back only for as long as it stands in the text before; then what repeats that text's
    end is dropped, and the rest let through.
    """

    def __init__(self, before: str) -> None:
        self._before = before[-LONGEST_OVERLAP:]
        self._held = ""
        self._open = True

    def feed(self, text: str) -> str:
        """What of `text`, and of what was held back, may go on now."""
        if not self._open:
            return text
        self._held += text
        if self._held in self._before:
            return ""
        return self.end()

    def end(self) -> str:
        """Nothing more comes to compare: what may go on."""
        self._open = False
        held, self._held = self._held, ""
        return held[self._repeated(held) :]

    def _repeated(self, text: str) -> int:
        for length in range(min(len(text), len(self._before)), 0, -1):
            if self._before.endswith(text[:length]):
                meant = length >= LEAST_OVERLAP or length == len(self._before)
                return length if meant or text[:length].isspace() else 0
        return 0
