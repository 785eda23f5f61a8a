"""Requests and answers, neutral to providers and shaped as OpenAI's chat completions.

Everything here is a frozen value without I/O.  `to_dict` gives OpenAI's wire shape.  Two rules
bite in practice: what a user or a provider says that we do not know is kept (`params`, `extra`)
and passed on untouched, and only content commits an answer: a delta with a role alone is not even
progress.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Literal, Protocol

from attrs import Factory, field, frozen

from fallbackio.errors import AttemptError, InvalidRequest

__all__ = [
    "Attempt",
    "NO_USAGE",
    "Choice",
    "Delta",
    "EmbeddingRequest",
    "Embeddings",
    "FunctionCall",
    "Message",
    "Outcome",
    "Reply",
    "Report",
    "Request",
    "Restarted",
    "ToolCall",
    "ToolCallDelta",
    "Usage",
]

Outcome = Literal["won", "failed", "cut", "skipped"]

# A tuple, because a set raises for a role that cannot be hashed.
ROLES = ("user", "assistant", "system", "tool", "developer", "function")

_NOTHING: Mapping[str, Any] = MappingProxyType({})  # shared by all deltas, of which there are many

# Names of OpenAI's clients that are no parameters of a chat completion, with what to use here.
_NOT_PARAMETERS = {
    "model": "the endpoints of the chain name their models",
    "stream": "use chain.stream()",
    "messages": "they are the first argument",
}


@frozen(kw_only=True)
class Usage:
    """Tokens of one answer, in OpenAI's meaning: prompt includes cached, completion includes reasoning.

    The prompt also includes what was written to the provider's cache, which some charge for apart.
    Zeros where the provider reported nothing; `bool(usage)` tells the two apart.

    Example:
        >>> Usage(prompt_tokens=12, completion_tokens=30).total_tokens
        42
    """

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    cache_write_tokens: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            prompt_tokens=self.prompt_tokens + other.prompt_tokens,
            completion_tokens=self.completion_tokens + other.completion_tokens,
            cached_tokens=self.cached_tokens + other.cached_tokens,
            reasoning_tokens=self.reasoning_tokens + other.reasoning_tokens,
            cache_write_tokens=self.cache_write_tokens + other.cache_write_tokens,
        )

    @property
    def total_tokens(self) -> int:
        """Prompt and completion together."""
        return self.prompt_tokens + self.completion_tokens

    def __bool__(self) -> bool:
        return bool(self.prompt_tokens or self.completion_tokens)

    def to_dict(self) -> dict[str, Any]:
        """OpenAI's `usage` object."""
        prompt = {"cached_tokens": self.cached_tokens}
        if self.cache_write_tokens:
            prompt["cache_write_tokens"] = self.cache_write_tokens
        return {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "total_tokens": self.total_tokens,
            "prompt_tokens_details": prompt,
            "completion_tokens_details": {"reasoning_tokens": self.reasoning_tokens},
        }


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


class Bill(Protocol):
    """What is owed for an attempt."""

    @property
    def at_hand(self) -> float | None:
        """US dollars, if that is known without a price list."""
        ...

    def __call__(self) -> float | None:
        """US dollars, if that is known."""
        ...


@frozen(kw_only=True)
class Attempt:
    """One entry of the ledger: a request to one endpoint, or the decision not to send it.

    Attributes:
        endpoint: The endpoint's name.
        vendor: Who runs it.
        model: The model that was asked.
        outcome: `"won"`, `"failed"`, `"cut"` (we stopped it) or `"skipped"` (never sent).
        error: Why it failed or was skipped, else `None`.
        status: HTTP status of the answer, or `None` where there was none.
        started_s: Seconds from the call's start to the attempt's.
        ttft_s: Seconds from the attempt's start to its first content, for streams.
        duration_s: Seconds from the attempt's start to its end.
        usage: Tokens it reported; for one that was cut or broke, the pieces of content it had given.
        forced: It was sent although the endpoint's breaker is open, because nothing else was left.
        cost: US dollars; `None` if the endpoint's price is not known, 0 for one that was never sent, was
            turned away or was a stream that the provider had not accepted.
        cost_estimated: The provider did not say what it counted: the prompt is taken by its length, the
            answer by the pieces that came.
        notes: What the request was changed in to suit the endpoint, for example
            `"tool call ids rewritten"`.

    Example:
        >>> [(a.endpoint, a.outcome) for a in reply.report.attempts]
        [('openai/gpt-6-luna', 'failed'), ('anthropic/claude-sonnet-5-5', 'won')]
    """

    endpoint: str
    vendor: str
    model: str
    outcome: Outcome
    error: AttemptError | None = None
    status: int | None = None
    started_s: float = 0.0
    ttft_s: float | None = None
    duration_s: float = 0.0
    usage: Usage | None = None
    forced: bool = False
    notes: tuple[str, ...] = ()
    _cost: float | Bill | None = field(default=None, repr=False, eq=False)
    cost_estimated: bool = False

    @property
    def cost(self) -> float | None:
        """US dollars; worked out when it is read, because a price list takes a moment to load."""
        return self._cost() if callable(self._cost) else self._cost

    @property
    def cost_at_hand(self) -> float | None:
        """`cost` where no price list has to be looked into, else `None`; for who is told of every attempt."""
        return self._cost.at_hand if callable(self._cost) else self._cost


@frozen(kw_only=True)
class Report:
    """How a call went.

    Attributes:
        attempts: The ledger, in the order in which the attempts started.
        duration_s: Seconds from the call's start to the answer's end.
        ttft_s: Seconds from the call's start to the first content, for streams, else `None`.
        seams: Where in the text another endpoint went on after a break, in characters.
        restarts: How often a streamed answer was begun anew after a break.

    Example:
        >>> reply.report.endpoint, reply.report.fell_back
        ('anthropic/claude-sonnet-5-5', True)
    """

    attempts: tuple[Attempt, ...] = ()
    duration_s: float = 0.0
    ttft_s: float | None = None
    seams: tuple[int, ...] = ()
    restarts: int = 0

    @property
    def winner(self) -> Attempt | None:
        """The attempt that answered."""
        return next((a for a in reversed(self.attempts) if a.outcome == "won"), None)

    @property
    def endpoint(self) -> str:
        """Name of the endpoint that answered, empty if none did."""
        winner = self.winner
        return winner.endpoint if winner is not None else ""

    @property
    def model(self) -> str:
        """The model asked at the endpoint that answered; what it calls itself is `reply.model`."""
        winner = self.winner
        return winner.model if winner is not None else ""

    @property
    def fell_back(self) -> bool:
        """Whether the call moved past its first choice; a hedge that lost did not move it."""
        winner = self.winner
        if winner is not None:
            return winner.endpoint != self.attempts[0].endpoint
        return any(a.endpoint != self.attempts[0].endpoint for a in self.attempts)

    @property
    def cost(self) -> float | None:
        """US dollars of all attempts whose price is known, losers included.

        `None` where that would say nothing: what was charged for is of unknown price.
        """
        costs = [attempt.cost for attempt in self.attempts]
        known = sum([cost for cost in costs if cost is not None])
        return None if not known and None in costs else known

    @property
    def cost_estimated(self) -> bool:
        """Whether `cost` is no exact sum: an attempt was estimated, or is of unknown price."""
        return any(attempt.cost_estimated or attempt.cost is None for attempt in self.attempts)

    @property
    def panicked(self) -> bool:
        """Whether an endpoint was asked although its breaker is open, because none was left."""
        return any(a.forced for a in self.attempts)


NO_REPORT = Report()
NO_USAGE = Usage()


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


@frozen(kw_only=True)
class EmbeddingRequest:
    """Texts to be turned into vectors, before it is known by whom.

    Attributes:
        inputs: The texts.
        params: OpenAI's parameters by their names, for example `dimensions`.
        model: Empty on the client side; what a server side read from the wire.

    Example:
        >>> EmbeddingRequest.of("Hello", {"dimensions": 256}).inputs
        ('Hello',)
    """

    inputs: tuple[str, ...] = field(repr=False)
    params: Mapping[str, Any] = field(factory=dict, repr=False)
    model: str = ""

    @classmethod
    def of(cls, inputs: str | Sequence[str], params: Mapping[str, Any]) -> EmbeddingRequest:
        """A request from what a user passes.

        Raises:
            InvalidRequest: For anything but a text or a list of texts, an empty list or an empty text.
        """
        texts: object = (inputs,) if isinstance(inputs, str) else inputs
        if not isinstance(texts, list | tuple) or not texts:
            raise InvalidRequest("inputs must be a text or a list of at least one text")
        for position, text in enumerate(texts):
            if not isinstance(text, str) or not text:
                raise InvalidRequest(f"inputs[{position}] must be a non-empty text")
        if "model" in params:
            raise InvalidRequest(
                "model= is not a parameter here: the endpoints of the chain name their models"
            )
        return cls(inputs=tuple(texts), params=params)

    def as_messages(self) -> Request:
        """The same texts as messages, for whatever counts or quotes those."""
        return Request(messages=tuple([{"content": text} for text in self.inputs]), params=self.params)


@frozen(kw_only=True)
class Embeddings:
    """Vectors, one for each input and in their order.

    Attributes:
        vectors: Lists of as many floats as the model has dimensions.
        model: The model that made them, as the provider names it.
        usage: Tokens of the inputs.
        report: How the call went.

    Example:
        >>> embeddings = await chain.embed(["Hello", "World"])
        >>> len(embeddings.vectors), len(embeddings.vectors[0])
        (2, 1536)
    """

    vectors: tuple[tuple[float, ...], ...] = field(repr=False)
    model: str = ""
    usage: Usage = NO_USAGE
    report: Report = NO_REPORT


@frozen(kw_only=True)
class Request:
    """What is asked, before it is known whom.

    Attributes:
        messages: OpenAI-format message objects.
        params: OpenAI's parameters by their names; unknown ones go to the provider untouched.
        model: Empty on the client side, where each endpoint names its own; what a server side
            read from the wire.
        stream: Whether a streamed answer is asked for.

    Example:
        >>> Request.of("Hello", {"temperature": 0}).messages
        ({'role': 'user', 'content': 'Hello'},)
    """

    messages: tuple[Mapping[str, Any], ...] = field(repr=False)
    params: Mapping[str, Any] = field(default=Factory(dict), repr=False)
    model: str = ""
    stream: bool = False

    def with_messages(self, messages: tuple[Mapping[str, Any], ...]) -> Request:
        """The same request about other messages."""
        return Request(messages=messages, params=self.params, model=self.model, stream=self.stream)

    @classmethod
    def of(
        cls,
        messages: str | Sequence[Mapping[str, Any] | Message],
        params: Mapping[str, Any],
        *,
        stream: bool = False,
    ) -> Request:
        """A request from what a user passes.

        Raises:
            InvalidRequest: For messages of another shape, and for `model=`, `stream=` or
                `messages=` among the parameters.

        Example:
            >>> Request.of([{"role": "user", "content": "Hello"}], {"temperature": 0}).params
            {'temperature': 0}
        """
        for name in _NOT_PARAMETERS.keys() & params.keys() if params else ():
            raise InvalidRequest(f"{name}= is not a parameter here: {_NOT_PARAMETERS[name]}")
        return cls(messages=_messages(messages), params=params, stream=stream)


def _messages(given: object) -> tuple[Mapping[str, Any], ...]:
    if isinstance(given, str):
        return ({"role": "user", "content": given},)
    if not isinstance(given, Sequence) or isinstance(given, bytes | bytearray):
        kind = type(given).__name__
        raise InvalidRequest(f"messages must be a string or a list of message objects, not {kind}")
    if not given:
        raise InvalidRequest("messages is empty: there is nothing to answer")
    return tuple(
        [
            # What nearly every message is; the rest is looked at more closely.
            message
            if type(message) is dict and message.get("role") in ROLES and "tool_calls" not in message
            else _message(at, message)
            for at, message in enumerate(given)
        ]
    )


def _message(position: int, message: object) -> Mapping[str, Any]:
    if isinstance(message, Message):
        return message.to_dict()
    if not isinstance(message, Mapping):
        kind = type(message).__name__
        raise InvalidRequest(f"messages[{position}] must be a message object with a role, not {kind}")
    role = message.get("role")
    if role not in ROLES:
        known = ", ".join(ROLES)
        said = "no role" if role is None else f"an unknown role of type {type(role).__name__}"
        raise InvalidRequest(f"messages[{position}] has {said}; roles are {known}")
    return _plain(message) if message.get("tool_calls") else message


def _plain(message: Mapping[str, Any]) -> Mapping[str, Any]:
    """The message with our own tool calls as wire objects, for `{"tool_calls": reply.tool_calls}`."""
    calls = message["tool_calls"]
    if not isinstance(calls, list | tuple) or not any(isinstance(call, ToolCall) for call in calls):
        return message
    wire = [call.to_dict() if isinstance(call, ToolCall) else call for call in calls]
    return {**message, "tool_calls": wire}
