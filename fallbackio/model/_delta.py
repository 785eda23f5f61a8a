"""The pieces of a streamed answer.

Only content commits an answer: a piece with a role alone is not even progress.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from attrs import field, frozen

from fallbackio.model._usage import Usage

__all__ = ["Delta", "Restarted", "ToolCallDelta"]

_NOTHING: Mapping[str, Any] = MappingProxyType({})  # shared by all deltas, of which there are many


@frozen
class ToolCallDelta:
    """A fragment of a tool call: the first of an `index` brings id and name, later ones arguments.

    Example:
        >>> for part in delta.tool_calls:
        ...     calls[part.index] = calls.get(part.index, "") + part.arguments
    """

    index: int
    id: str = ""
    name: str = ""
    arguments: str = field(default="", repr=False)
    type: str = "function"

    def to_dict(self) -> dict[str, Any]:
        """OpenAI's `delta.tool_calls[]` object."""
        kind, said = ("custom", "input") if self.type == "custom" else ("function", "arguments")
        if self.id or self.name:
            called = {"name": self.name, said: self.arguments}
            return {"index": self.index, "id": self.id, "type": self.type, kind: called}
        return {"index": self.index, kind: {said: self.arguments}}


@frozen
class Delta:
    """A piece of a streamed answer.

    Attributes:
        text: A piece of text, often a token.
        tool_calls: Pieces of tool calls.
        finish_reason: Set on the piece that ends a choice.
        usage: Set once, at the end, if the provider reports it; later values replace earlier ones.
        reasoning: A piece of visible reasoning.
        refusal: A piece of the model's own refusal.
        index: Which choice it belongs to.
        seam: It is the first piece that another endpoint gave, going on after a break.
        extra: What else the provider said (citations, signatures); joins the message's `extra`.
        logprobs: OpenAI's `logprobs` object for the tokens of this piece, where they were asked for.
        id, model, created: As in `Reply`; empty where the provider did not repeat them.

    Example:
        >>> async for delta in stream:
        ...     print(delta.text, end="")
    """

    text: str = field(default="", repr=False)
    tool_calls: tuple[ToolCallDelta, ...] = ()
    finish_reason: str | None = None
    usage: Usage | None = None
    reasoning: str = field(default="", repr=False)
    refusal: str = field(default="", repr=False)
    index: int = 0
    id: str = ""
    model: str = ""
    created: int = 0
    seam: bool = False
    extra: Mapping[str, Any] = field(default=_NOTHING, repr=False)
    logprobs: Mapping[str, Any] | None = field(default=None, repr=False)

    @property
    def is_content(self) -> bool:
        """Text, a tool call or a refusal: what commits an answer; reasoning alone is progress only."""
        return bool(self.text or self.tool_calls or self.refusal)

    def to_dict(self) -> dict[str, Any]:
        """OpenAI's `chat.completion.chunk` object.

        Example:
            >>> Delta("Hel").to_dict()["choices"][0]["delta"]
            {'content': 'Hel'}
        """
        delta: dict[str, Any] = {}
        if self.text:
            delta["content"] = self.text
        if self.tool_calls:
            delta["tool_calls"] = [part.to_dict() for part in self.tool_calls]
        if self.refusal:
            delta["refusal"] = self.refusal
        if self.reasoning:
            delta["reasoning_content"] = self.reasoning
        if self.extra:
            delta |= self.extra
        choice = {"index": self.index, "delta": delta, "finish_reason": self.finish_reason}
        if self.logprobs is not None:
            choice["logprobs"] = self.logprobs
        usage_only = self.usage is not None and not (delta or self.finish_reason or self.logprobs)
        return {
            "id": self.id,
            "object": "chat.completion.chunk",
            "created": self.created,
            "model": self.model,
            "choices": [] if usage_only else [choice],
            "usage": self.usage.to_dict() if self.usage is not None else None,
        }


@frozen
class Restarted(Delta):
    """Says that the answer begins anew: drop what came before it.

    It stands in the stream of a chain with `on_break="restart"`, and carries nothing itself.

    Example:
        >>> async for delta in stream:
        ...     text = "" if isinstance(delta, fallbackio.Restarted) else text + delta.text
    """
