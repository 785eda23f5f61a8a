"""What is asked; messages of another shape are refused before anything is sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any

from attrs import Factory, field, frozen

from fallbackio.errors import InvalidRequest
from fallbackio.model._reply import Message, ToolCall

__all__ = ["ROLES", "Request", "check_finite"]

# A tuple, because a set raises for a role that cannot be hashed.
ROLES = ("user", "assistant", "system", "tool", "developer", "function")

# Names of OpenAI's clients that are no parameters of a chat completion, with what to use here.
_NOT_PARAMETERS = {
    "model": "the endpoints of the chain name their models",
    "stream": "use chain.stream()",
    "messages": "they are the first argument",
}


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
            InvalidRequest: For messages of another shape, for `model=`, `stream=` or `messages=` among the
                parameters, and for a parameter that is NaN or infinite.

        Example:
            >>> Request.of([{"role": "user", "content": "Hello"}], {"temperature": 0}).params
            {'temperature': 0}
        """
        for name in _NOT_PARAMETERS.keys() & params.keys() if params else ():
            raise InvalidRequest(f"{name}= is not a parameter here: {_NOT_PARAMETERS[name]}")
        check_finite(params)
        return cls(messages=_messages(messages), params=params, stream=stream)


def check_finite(params: Mapping[str, Any]) -> None:
    """Raise `InvalidRequest` for a number that JSON does not have: it would be sent as a null."""
    for name, value in params.items():
        if isinstance(value, float) and not isfinite(value):
            raise InvalidRequest(f"{name} is {value}, and JSON has no NaN and no infinity")


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
