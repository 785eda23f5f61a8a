"""What a simulated model says: deterministic words, JSON or tool calls that fit their schema."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import attrs
import orjson
from attrs import field, frozen

from fallbackio import clock
from fallbackio.model import (
    Choice,
    Delta,
    FunctionCall,
    Message,
    Reply,
    Request,
    ToolCall,
    ToolCallDelta,
    Usage,
)

__all__ = ["Answer", "Script", "compose", "is_prefilled", "plausible", "split", "words"]

# Pieces of a tool call's arguments in a stream are about as long as tokens of JSON.
_PIECE = 8

# Enough for any tool's parameters, and an end for schemas that refer to themselves.
_DEEPEST = 8
_MOST_VALUES = 1000


@frozen
class Script:
    """What a behaviour says to any request; made once, because it is the larger part of the work."""

    spoken: Sequence[Delta]
    thoughts: Sequence[Delta] = ()
    tool_calls: Sequence[ToolCall] = ()
    finish_reason: str | None = None
    fixed: bool = False  # whether the text was given, and no format that a request asks for changes it
    text: str = field(init=False)
    reasoning: str = field(init=False)

    @text.default
    def _text(self) -> str:
        return "".join([delta.text for delta in self.spoken])

    @reasoning.default
    def _reasoning(self) -> str:
        return "".join([delta.reasoning for delta in self.thoughts])


@frozen
class Answer:
    """A reply and the pieces in which it is streamed."""

    reply: Reply
    deltas: Sequence[Delta]


def words(tokens: int, stem: str = "word") -> list[str]:
    """A deterministic text of so many tokens: `"word0"`, `" word1"`, …"""
    return [f" {stem}{number}" if number else f"{stem}0" for number in range(tokens)]


def split(text: str) -> list[str]:
    """The words of a text, each with the space before it; together they are the text."""
    return re.findall(r"\s*\S+\s*$|\s*\S+|\s+$", text)


def compose(script: Script, request: Request, *, answer_id: str, prompt_tokens: int) -> Answer:
    """The answer to `request`: words, cut to what the request allows, or tool calls in their place."""
    calls = tuple(script.tool_calls) or _forced_call(request)
    said = () if calls else script.spoken if script.fixed else _formatted(request) or script.spoken
    said = _rest(said, request)
    spoken = _limited(said, request)
    text = script.text if spoken is script.spoken else "".join([delta.text for delta in spoken])
    if request.params.get("logprobs"):
        spoken = _scored(spoken, request.params.get("top_logprobs"))
    deltas = spoken
    if calls or script.thoughts:
        deltas = [*script.thoughts, *spoken, *[Delta(tool_calls=(part,)) for part in _fragments(calls)]]
    message = Message(None if calls else text, calls, reasoning=script.reasoning or None)
    reason = "tool_calls" if calls else "length" if len(spoken) < len(said) else "stop"
    first = Choice(message, script.finish_reason or reason, 0, _scores_of(spoken))
    number = _number(request)
    if number > 1:
        deltas = [_of_choice(delta, index) for delta in deltas for index in range(number)]
    reply = Reply(
        id=answer_id,
        model=request.model,
        choices=(first, *[_other_choice(first, index) for index in range(1, number)]),
        usage=Usage(
            prompt_tokens=prompt_tokens,
            completion_tokens=len(deltas),
            reasoning_tokens=len(script.thoughts) * number,
        ),
        created=int(clock.wall()),
    )
    return Answer(reply, deltas)


def is_prefilled(request: Request) -> bool:
    """Whether the request ends in the beginning of the answer that it wants to be gone on with."""
    return bool(request.messages) and request.messages[-1].get("role") == "assistant"


def _rest(spoken: Sequence[Delta], request: Request) -> Sequence[Delta]:
    """What is still to be said where the request has the beginning of it, as a prefill."""
    if not is_prefilled(request):
        return spoken
    said = request.messages[-1].get("content")
    at, text = 0, ""
    while isinstance(said, str) and at < len(spoken) and len(text) < len(said):
        text, at = text + spoken[at].text, at + 1
    return spoken[at:] if at and text == said else spoken


def _number(request: Request) -> int:
    """How many answers are asked for; dialects without `n` never say it."""
    number = request.params.get("n")
    return number if isinstance(number, int) and number > 1 else 1


def _other_choice(first: Choice, index: int) -> Choice:
    """The same answer once more; calls of different choices are different calls."""
    calls = tuple(
        [ToolCall(_id_of(call.id, index), call.function, call.type) for call in first.message.tool_calls]
    )
    return attrs.evolve(first, index=index, message=attrs.evolve(first.message, tool_calls=calls))


def _of_choice(delta: Delta, index: int) -> Delta:
    if index == 0:
        return delta
    parts = tuple([attrs.evolve(part, id=_id_of(part.id, index)) for part in delta.tool_calls])
    return attrs.evolve(delta, index=index, tool_calls=parts)


def _id_of(call_id: str, index: int) -> str:
    return f"{call_id}_{index}" if call_id else ""


def _scored(spoken: Sequence[Delta], likeliest: object) -> Sequence[Delta]:
    """The pieces with a log probability each, and as many of the likeliest tokens as are asked for."""
    beside = likeliest if isinstance(likeliest, int) else 0
    return [attrs.evolve(delta, logprobs=_score(delta.text, at, beside)) for at, delta in enumerate(spoken)]


def _score(text: str, position: int, beside: int) -> Mapping[str, Any]:
    """OpenAI's `logprobs` object for one token, which is itself the likeliest; deterministic."""
    first = -0.01 * (1 + position % 10)
    tokens = [
        {"token": token, "logprob": first - rank, "bytes": list(token.encode(errors="surrogatepass"))}
        for rank, token in enumerate([text, *words(max(0, beside - 1), "other")])
    ]
    return {"content": [{**tokens[0], "top_logprobs": tokens[:beside]}], "refusal": None}


def _scores_of(spoken: Sequence[Delta]) -> dict[str, Any]:
    """What a choice holds of the log probabilities of its pieces."""
    content = [token for delta in spoken if delta.logprobs for token in delta.logprobs["content"]]
    return {"logprobs": {"content": content, "refusal": None}} if content else {}


def _limited(spoken: Sequence[Delta], request: Request) -> Sequence[Delta]:
    limit = request.params.get("max_completion_tokens") or request.params.get("max_tokens")
    return spoken[:limit] if isinstance(limit, int) and 0 < limit < len(spoken) else spoken


def _formatted(request: Request) -> Sequence[Delta]:
    """A JSON document, if the request asks for one."""
    wanted = request.params.get("response_format")
    if not isinstance(wanted, Mapping):
        return ()
    kind = wanted.get("type")
    if kind == "json_object":
        document: Any = {"answer": "word0"}
    elif kind == "json_schema":
        schema = _named(wanted).get("schema")
        document = plausible(schema) if isinstance(schema, Mapping) else {}
    else:
        return ()
    written = orjson.dumps(document).decode()
    return [Delta(text=written[start : start + _PIECE]) for start in range(0, len(written), _PIECE)]


def _forced_call(request: Request) -> tuple[ToolCall, ...]:
    """A call of the tool that the request insists on, if it does."""
    choice = request.params.get("tool_choice")
    if choice == "required":
        wanted = None
    elif isinstance(choice, Mapping):
        wanted = _named(choice).get("name")
    else:
        return ()
    tools = request.params.get("tools")
    for tool in tools if isinstance(tools, list | tuple) else ():
        spec = _named(tool)
        if wanted is None or spec.get("name") == wanted:
            return (_call("custom" if "custom" in tool else "function", spec),)
    return ()


def _named(tool: Any) -> Mapping[str, Any]:
    """What a tool, a choice of one, or a format says under the name of its type."""
    said = tool.get(tool.get("type", "function")) if isinstance(tool, Mapping) else None
    return said if isinstance(said, Mapping) else {}


def _call(kind: str, spec: Mapping[str, Any]) -> ToolCall:
    schema = spec.get("parameters")
    invented = plausible(schema) if isinstance(schema, Mapping) else {}
    arguments = "word0" if kind == "custom" else orjson.dumps(invented).decode()
    return ToolCall("call_0", FunctionCall(str(spec.get("name", "")), arguments), kind)


def _fragments(calls: Sequence[ToolCall]) -> Iterator[ToolCallDelta]:
    for index, call in enumerate(calls):
        yield ToolCallDelta(index, call.id, call.name, "", call.type)
        for start in range(0, len(call.arguments), _PIECE):
            yield ToolCallDelta(index, arguments=call.arguments[start : start + _PIECE], type=call.type)


def plausible(schema: Mapping[str, Any]) -> Any:
    """A value that a JSON schema of the usual kind allows; deterministic.

    Knows types, properties, items, enum, const, anyOf, oneOf, allOf's first, and local references;
    formats and patterns are beyond it, and what nests deeply is cut short.
    """
    return _Inventor(schema).value(schema, _DEEPEST)


class _Inventor:
    """Makes up one value; a bound on its parts keeps schemas that refer to themselves small."""

    def __init__(self, root: Mapping[str, Any]) -> None:
        self._root = root
        self._left = _MOST_VALUES

    def value(self, schema: Any, depth: int) -> Any:
        self._left -= 1
        schema = self._resolved(schema)
        if "const" in schema:
            return schema["const"]
        if isinstance(options := schema.get("enum"), list) and options:
            return options[0]
        going_on = depth > 0 and self._left > 0
        for one in ("anyOf", "oneOf", "allOf"):
            if isinstance(options := schema.get(one), list) and options and going_on:
                return self.value(options[0], depth - 1)
        kind = schema.get("type", "object" if "properties" in schema else "string")
        kind = kind[0] if isinstance(kind, list) and kind else kind
        if kind == "object":
            return self._object(schema, depth) if going_on else {}
        if kind == "array":
            return self._array(schema, depth) if going_on else []
        return _scalar(kind, schema)

    def _object(self, schema: Mapping[str, Any], depth: int) -> dict[str, Any]:
        properties = schema.get("properties")
        parts = properties.items() if isinstance(properties, Mapping) else ()
        return {name: self.value(part, depth - 1) for name, part in parts}

    def _array(self, schema: Mapping[str, Any], depth: int) -> list[Any]:
        fewest = schema.get("minItems")
        length = min(max(1, fewest), _MOST_VALUES) if isinstance(fewest, int) else 1
        return [self.value(schema.get("items"), depth - 1)] * length

    def _resolved(self, schema: Any) -> Mapping[str, Any]:
        """The schema itself or, for `{"$ref": "#/$defs/City"}`, what that refers to."""
        for _ in range(_DEEPEST):
            reference = schema.get("$ref") if isinstance(schema, Mapping) else None
            if not isinstance(reference, str) or not reference.startswith("#/"):
                break
            schema = self._root
            for key in reference[2:].split("/"):
                schema = schema.get(key) if isinstance(schema, Mapping) else None
        return schema if isinstance(schema, Mapping) else {}


def _scalar(kind: object, schema: Mapping[str, Any]) -> Any:
    if kind in ("integer", "number"):
        bounds = [schema.get("minimum"), schema.get("maximum"), 1]
        return next(bound for bound in bounds if isinstance(bound, int | float))
    if kind == "boolean":
        return True
    return None if kind == "null" else "word0"
