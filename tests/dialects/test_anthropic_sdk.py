"""Anthropic's own client, talking to our server side."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anthropic
import httpx2
import pytest

from fallbackio.dialects import DIALECTS, deltas_of
from fallbackio.dialects.anthropic._thinking import signature
from fallbackio.errors import (
    AttemptError,
    AuthFailed,
    ContextTooLong,
    InvalidRequest,
    ModelNotFound,
    Overloaded,
    QuotaExhausted,
    RateLimited,
    ServerFault,
)
from fallbackio.model import Choice, FunctionCall, Message, Reply, Request, ToolCall, Usage

SERVER = DIALECTS["anthropic"].server

REPLY = Reply(
    id="msg_1",
    model="claude-sonnet-4-5",
    choices=(
        Choice(
            Message(
                "Let me look.", (ToolCall("a", FunctionCall("weather", '{"city":"Oslo"}')),), reasoning="hm"
            ),
            "tool_calls",
        ),
    ),
    usage=Usage(prompt_tokens=9, cached_tokens=4, completion_tokens=3, reasoning_tokens=1),
)

TOOLS: Any = [{"name": "weather", "input_schema": {"type": "object", "properties": {}}}]
MESSAGES: Any = [{"role": "user", "content": "Weather in Oslo?"}]

Answer = Callable[[Request], tuple[int, dict[str, str], bytes]]


def sdk(answer: Answer) -> anthropic.Anthropic:
    """The official client, its requests read and answered by our server side."""

    def handle(request: httpx2.Request) -> httpx2.Response:
        status, headers, body = answer(SERVER.read(request.content))
        return httpx2.Response(status, headers=headers, content=body)

    transport = httpx2.MockTransport(handle)
    return anthropic.Anthropic(
        api_key="k", base_url="http://test", max_retries=0, http_client=httpx2.Client(transport=transport)
    )


def whole(request: Request) -> tuple[int, dict[str, str], bytes]:
    return 200, {"content-type": "application/json"}, SERVER.write(REPLY, request)


def streamed(request: Request) -> tuple[int, dict[str, str], bytes]:
    writer = SERVER.writer(REPLY, request)
    said = b"".join([writer.ping() + writer.write(delta) for delta in deltas_of(REPLY)])
    return 200, {"content-type": "text/event-stream"}, writer.start() + said + writer.finish(REPLY)


def assert_is_the_reply(message: anthropic.types.Message) -> None:
    blocks = [block.model_dump(exclude_none=True) for block in message.content]
    assert ("msg_1", "claude-sonnet-4-5", "tool_use") == (message.id, message.model, message.stop_reason)
    assert [
        {"type": "thinking", "thinking": "hm", "signature": signature("hm")},
        {"type": "text", "text": "Let me look."},
        {"type": "tool_use", "id": "a", "name": "weather", "input": {"city": "Oslo"}},
    ] == blocks
    usage = message.usage
    assert (5, 4, 3) == (usage.input_tokens, usage.cache_read_input_tokens, usage.output_tokens)


def test_complete() -> None:
    """The official client completes and calls tools."""
    assert_is_the_reply(sdk(whole).messages.create(model="m", max_tokens=5, messages=MESSAGES, tools=TOOLS))


def test_stream() -> None:
    """The official client streams, and assembles the same message."""
    with sdk(streamed).messages.stream(model="m", max_tokens=5, messages=MESSAGES, tools=TOOLS) as stream:
        texts = list(stream.text_stream)

    assert ["Let me look."] == texts
    assert_is_the_reply(stream.get_final_message())


def test_conversation_with_results() -> None:
    """A conversation that the official client sends back is read with its tools' results."""
    heard: list[Request] = []

    def answer(request: Request) -> tuple[int, dict[str, str], bytes]:
        heard.append(request)
        return whole(request)

    client = sdk(answer)
    first = client.messages.create(model="m", max_tokens=5, messages=MESSAGES, tools=TOOLS)
    results: Any = [{"type": "tool_result", "tool_use_id": "a", "content": "5 degrees"}]
    said: Any = [block.model_dump(exclude_none=True) for block in first.content]
    client.messages.create(
        model="m",
        max_tokens=5,
        tools=TOOLS,
        tool_choice={"type": "any", "disable_parallel_tool_use": True},
        messages=[
            *MESSAGES,
            {"role": "assistant", "content": said},
            {"role": "user", "content": results},
        ],
    )

    assert ["user", "assistant", "tool"] == [message["role"] for message in heard[1].messages]
    assert ("required", False) == (
        heard[1].params["tool_choice"],
        heard[1].params["parallel_tool_calls"],
    )


@pytest.mark.parametrize(
    ("error", "theirs"),
    [
        (InvalidRequest("Bad"), anthropic.BadRequestError),
        (ContextTooLong("9 > 8"), anthropic.BadRequestError),
        (AuthFailed("Key"), anthropic.AuthenticationError),
        (AuthFailed("No", status=403), anthropic.PermissionDeniedError),
        (QuotaExhausted("Pay"), anthropic.PaymentRequiredError),
        (ModelNotFound("model: x"), anthropic.NotFoundError),
        (InvalidRequest("Odd", status=422), anthropic.UnprocessableEntityError),
        (RateLimited("Slow"), anthropic.RateLimitError),
        (ServerFault("Oops"), anthropic.InternalServerError),
        (Overloaded("Busy", status=503), anthropic.ServiceUnavailableError),
        (Overloaded("Busy"), anthropic.OverloadedError),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, AttemptError) else value.__name__,
)
def test_errors(error: AttemptError, theirs: type[anthropic.APIStatusError]) -> None:
    """The official client raises its own proper class for each of our error answers."""
    error.request_id = "req_1"
    client = sdk(lambda request: SERVER.failure(error))

    with pytest.raises(theirs) as raised:
        client.messages.create(model="m", max_tokens=5, messages=MESSAGES)

    assert theirs is type(raised.value)
    assert "req_1" == raised.value.request_id


def test_an_error_in_a_stream() -> None:
    """The official client takes our in-band error for one."""

    def broken(request: Request) -> tuple[int, dict[str, str], bytes]:
        writer = SERVER.writer(REPLY, request)
        body = writer.start() + writer.error(Overloaded("Busy"))
        return 200, {"content-type": "text/event-stream"}, body

    stream = sdk(broken).messages.create(model="m", max_tokens=5, messages=MESSAGES, stream=True)

    with pytest.raises(anthropic.APIStatusError, match="overloaded_error"):
        list(stream)
