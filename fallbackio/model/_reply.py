"""A whole answer, and what it consists of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import field, frozen

from fallbackio.model._report import NO_REPORT, Report
from fallbackio.model._usage import NO_USAGE, Usage

__all__ = ["Choice", "FunctionCall", "Message", "Reply", "ToolCall"]


@frozen
class FunctionCall:
    """What a tool call calls: a name, and its arguments as the model wrote them.

    `arguments` is JSON text, which the model may have cut short or invented.

    Example:
        >>> FunctionCall("weather", '{"city": "Oslo"}').name
        'weather'
    """

    name: str
    arguments: str = field(repr=False)


@frozen
class ToolCall:
    """One call of a tool that the model asks for.

    Example:
        >>> call = reply.tool_calls[0]
        >>> call.id, call.name, json.loads(call.arguments)
        ('call_1', 'weather', {'city': 'Oslo'})
    """

    id: str
    function: FunctionCall
    type: str = "function"

    @property
    def name(self) -> str:
        """The tool's name."""
        return self.function.name

    @property
    def arguments(self) -> str:
        """JSON text as the model wrote it, to be checked before it is used."""
        return self.function.arguments

    def to_dict(self) -> dict[str, Any]:
        """OpenAI's `tool_calls[]` object."""
        if self.type == "custom":
            return {"id": self.id, "type": "custom", "custom": {"name": self.name, "input": self.arguments}}
        return {
            "id": self.id,
            "type": self.type,
            "function": {"name": self.name, "arguments": self.arguments},
        }


@frozen
class Message:
    """The assistant's turn in an answer; pass it back in `messages` to go on with the conversation.

    Attributes:
        content: The text, or `None` when the turn is only tool calls.
        tool_calls: The tools it asks for.
        refusal: The model's own refusal, where it gives one apart from its content.
        reasoning: Visible reasoning, where the provider shows it.
        extra: What else the provider said, untouched.

    Example:
        >>> history = [{"role": "user", "content": "Hello"}, reply.message]
    """

    content: str | None = field(default=None, repr=False)
    tool_calls: tuple[ToolCall, ...] = ()
    refusal: str | None = field(default=None, repr=False)
    reasoning: str | None = field(default=None, repr=False)
    extra: Mapping[str, Any] = field(factory=dict, repr=False)
    role: str = "assistant"

    def to_dict(self) -> dict[str, Any]:
        """OpenAI's message object."""
        wire: dict[str, Any] = {"role": self.role, "content": self.content, **self.extra}
        if self.tool_calls:
            wire["tool_calls"] = [call.to_dict() for call in self.tool_calls]
        if self.refusal is not None:
            wire["refusal"] = self.refusal
        if self.reasoning is not None:
            wire["reasoning_content"] = self.reasoning
        return wire


@frozen
class Choice:
    """One of the answers, `index` counting from 0.

    Example:
        >>> reply.choices[0].message.content
        'Hello!'
    """

    message: Message
    finish_reason: str = "stop"
    index: int = 0
    extra: Mapping[str, Any] = field(factory=dict, repr=False)

    @property
    def logprobs(self) -> Mapping[str, Any] | None:
        """OpenAI's `logprobs` object, if they were asked for and given.

        Example:
            >>> [token["logprob"] for token in reply.choices[0].logprobs["content"]]
            [-0.01, -0.42]
        """
        found: Mapping[str, Any] | None = self.extra.get("logprobs")
        return found

    def to_dict(self) -> dict[str, Any]:
        """OpenAI's `choices[]` object."""
        return {
            "index": self.index,
            "message": self.message.to_dict(),
            "finish_reason": self.finish_reason,
            **self.extra,
        }


@frozen(kw_only=True)
class Reply:
    """A whole answer, shaped as OpenAI's chat completion.

    Attributes:
        id: The provider's id of the answer.
        model: The model as the provider names it.
        choices: The answers; one unless `n` asked for more.
        usage: Tokens; zeros where the provider reported none.
        created: Seconds since the Unix epoch.
        report: Who answered, and what was tried.
        extra: What else the provider said, untouched.

    Example:
        >>> reply = await chain.complete("Say hello.")
        >>> reply.text, reply.finish_reason, reply.usage.total_tokens, reply.report.endpoint
        ('Hello!', 'stop', 42, 'openai/gpt-6-luna')
    """

    id: str = ""
    model: str = ""
    choices: tuple[Choice, ...] = ()
    usage: Usage = NO_USAGE
    created: int = 0
    report: Report = NO_REPORT
    extra: Mapping[str, Any] = field(factory=dict, repr=False)

    @property
    def message(self) -> Message:
        """The first choice's message."""
        return self.choices[0].message

    @property
    def text(self) -> str:
        """The first choice's text, empty when it is only tool calls."""
        return self.message.content or ""

    @property
    def tool_calls(self) -> tuple[ToolCall, ...]:
        """The first choice's tool calls."""
        return self.message.tool_calls

    @property
    def finish_reason(self) -> str:
        """The first choice's: `stop`, `length`, `tool_calls`, `content_filter`, or the provider's own."""
        return self.choices[0].finish_reason

    def with_report(self, report: Report, also: Usage = NO_USAGE) -> Reply:
        """The same answer with another report, and what else it used."""
        return Reply(
            id=self.id,
            model=self.model,
            choices=self.choices,
            usage=self.usage + also if also else self.usage,
            created=self.created,
            report=report,
            extra=self.extra,
        )

    def to_dict(self) -> dict[str, Any]:
        """OpenAI's `chat.completion` object, without the report.

        Example:
            >>> reply.to_dict()["choices"][0]["message"]["content"]
            'Hello!'
        """
        return {
            "id": self.id,
            "object": "chat.completion",
            "created": self.created,
            "model": self.model,
            "choices": [choice.to_dict() for choice in self.choices],
            "usage": self.usage.to_dict(),
            **self.extra,
        }
