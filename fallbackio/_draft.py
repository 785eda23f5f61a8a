"""An answer in the making, from its pieces.

It keeps the strings of the pieces, not the pieces: thousands of small objects that live as long as
their answer are what the garbage collector would walk through again and again.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fallbackio.model import (
    NO_REPORT,
    NO_USAGE,
    Choice,
    Delta,
    FunctionCall,
    Message,
    Reply,
    Report,
    ToolCall,
    ToolCallDelta,
)

__all__ = ["Draft", "assemble"]


def assemble(deltas: Iterable[Delta], report: Report = NO_REPORT) -> Reply:
    """The whole answer that `deltas` add up to."""
    draft = Draft()
    for delta in deltas:
        draft.add(delta)
    return draft.reply(report)


class Draft:
    """What the pieces added so far amount to.

    Choices keep their indexes, tool calls are joined by theirs, lists of log probabilities are put end
    to end, the last usage counts.
    """

    def __init__(self) -> None:
        self._choices: dict[int, _Choice] = {}
        self._id = ""
        self._model = ""
        self._created = 0
        self._usage = NO_USAGE

    def add(self, delta: Delta) -> None:
        """Add a piece."""
        choice = self._choices.get(delta.index)
        if choice is None:
            choice = self._choices[delta.index] = _Choice()
        choice.add(delta)
        if delta.id and not self._id:
            self._id = delta.id
        if delta.model and not self._model:
            self._model = delta.model
        if delta.created and not self._created:
            self._created = delta.created
        if delta.usage:
            self._usage = delta.usage

    @property
    def text(self) -> str:
        """The first choice's text."""
        return "".join(self._choices[0].text) if 0 in self._choices else ""

    @property
    def is_begun(self) -> bool:
        """It has content; reasoning that was shown is none."""
        return any(choice.text or choice.calls or choice.refusal for choice in self._choices.values())

    @property
    def is_plain(self) -> bool:
        """It has text, of a single choice, and nothing else that matters."""
        first = self._choices.get(0)
        return (first is not None and len(self._choices) == 1 and bool(first.text)) and not (
            first.calls or first.refusal
        )

    def reply(self, report: Report = NO_REPORT) -> Reply:
        """The answer as it stands."""
        return Reply(
            id=self._id,
            model=self._model,
            choices=tuple([draft.choice(index) for index, draft in sorted(self._choices.items())]),
            usage=self._usage,
            created=self._created,
            report=report,
        )


class _Choice:
    """One choice while its pieces come in."""

    __slots__ = ("calls", "extra", "finish_reason", "logprobs", "reasoning", "refusal", "text")

    def __init__(self) -> None:
        self.text: list[str] = []
        self.refusal: list[str] = []
        self.reasoning: list[str] = []
        self.calls: dict[int, list[ToolCallDelta]] = {}
        self.extra: dict[str, Any] = {}
        self.logprobs: dict[str, list[Any]] = {}  # by OpenAI's names: content, refusal
        self.finish_reason: str | None = None

    def add(self, delta: Delta) -> None:
        if delta.text:
            self.text.append(delta.text)
        if delta.refusal:
            self.refusal.append(delta.refusal)
        if delta.reasoning:
            self.reasoning.append(delta.reasoning)
        for part in delta.tool_calls:
            self.calls.setdefault(part.index, []).append(part)
        if delta.extra:
            self.extra |= delta.extra
        if delta.logprobs:
            for name, tokens in delta.logprobs.items():
                if tokens:
                    self.logprobs.setdefault(name, []).extend(tokens)
        self.finish_reason = delta.finish_reason or self.finish_reason

    def choice(self, index: int) -> Choice:
        calls = tuple(_join(parts) for _, parts in sorted(self.calls.items()))
        message = Message(
            content="".join(self.text) if self.text or not calls else None,
            tool_calls=calls,
            refusal="".join(self.refusal) or None,
            reasoning="".join(self.reasoning) or None,
            extra=self.extra,
        )
        return Choice(message, self.finish_reason or "stop", index, self._beside())

    def _beside(self) -> dict[str, Any]:
        return {"logprobs": {"content": None, "refusal": None, **self.logprobs}} if self.logprobs else {}


def _join(parts: list[ToolCallDelta]) -> ToolCall:
    call_id = next((part.id for part in parts if part.id), "")
    name = next((part.name for part in parts if part.name), "")
    arguments = "".join([part.arguments for part in parts])
    return ToolCall(call_id, FunctionCall(name, arguments), parts[0].type)
