"""The server side of OpenAI's dialect, read by our own client side and by the official SDK."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import openai
import orjson
import pytest
from aiohttp import web
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from fallbackio._draft import assemble
from fallbackio.dialects import deltas_of
from fallbackio.dialects._dialect import Client, Server
from fallbackio.dialects.openai._client import OpenAIClient
from fallbackio.dialects.openai._server import OpenAIServer
from fallbackio.errors import (
    AttemptError,
    AuthFailed,
    BadAnswer,
    ConnectionFailed,
    ContentFiltered,
    ContextTooLong,
    InvalidRequest,
    ModelNotFound,
    Overloaded,
    QuotaExhausted,
    RateLimited,
    ServerFault,
    TimedOut,
)
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

# As their contracts, so that the type checker compares them.
SERVER: Server = OpenAIServer()
CLIENT: Client = OpenAIClient()

CALLS = (
    ToolCall("call_a", FunctionCall("weather", '{"city": "Oslo"}')),
    ToolCall("call_b", FunctionCall("time", "{}")),
)
REPLY = Reply(
    id="chatcmpl-1",
    model="gpt-4o",
    created=1760000000,
    choices=(Choice(Message("Grüße", tool_calls=CALLS), "tool_calls"),),
    usage=Usage(prompt_tokens=9, completion_tokens=4, cached_tokens=2, reasoning_tokens=1),
)


def asked(*, stream: bool = False, usage: bool = True) -> Request:
    params = {"stream_options": {"include_usage": True}} if stream and usage else {}
    return Request(
        messages=({"role": "user", "content": "Hi"},), params=params, model="gpt-4o", stream=stream
    )


def streamed(reply: Reply, request: Request) -> list[bytes]:
    """The events of a whole streamed answer, a ping among them."""
    writer = SERVER.writer(reply, request)
    pieces = [writer.write(delta) for delta in deltas_of(reply)]
    return [writer.start(), writer.ping(), *pieces, writer.finish(reply)]


def read(body: bytes, step: int = 4096) -> Reply:
    reader = CLIENT.reader()
    deltas = [delta for at in range(0, len(body), step) for delta in reader.feed(body[at : at + step])]
    return assemble(deltas + reader.end())


@pytest.mark.parametrize("step", [1, 2, 3, 7, 4096])
def test_stream_round_trip(step: int) -> None:
    """A streamed answer is read back as it was, however the network cuts it."""
    assert REPLY == read(b"".join(streamed(REPLY, asked(stream=True))), step)


def test_stream_of_a_custom_call() -> None:
    """A custom tool's call is streamed in OpenAI's own shape for it, and read back as it was."""
    said = [
        Delta(tool_calls=(ToolCallDelta(0, "call_a", "sql", "", "custom"),)),
        Delta(tool_calls=(ToolCallDelta(0, arguments="select 1", type="custom"),)),
    ]
    writer = SERVER.writer(REPLY, asked(stream=True))
    body = b"".join([writer.write(delta) for delta in said])
    calls = read(body + writer.finish(REPLY)).tool_calls

    assert [{"index": 0, "id": "call_a", "type": "custom", "custom": {"name": "sql", "input": ""}}] == [
        part.to_dict() for part in said[0].tool_calls
    ]
    assert [{"index": 0, "custom": {"input": "select 1"}}] == [part.to_dict() for part in said[1].tool_calls]
    assert (ToolCall("call_a", FunctionCall("sql", "select 1"), "custom"),) == calls


def test_round_trip() -> None:
    """A plain answer is read back as it was."""
    again = CLIENT.decode(SERVER.write(REPLY, asked()))

    assert REPLY == evolve(again, choices=(evolve(again.choices[0], extra={}),))


words = st.text(min_size=1, max_size=8)
tool_calls = st.builds(ToolCall, words, st.builds(FunctionCall, words, st.text(max_size=8)))
messages = st.builds(
    Message,
    content=words,
    tool_calls=st.lists(tool_calls, max_size=3, unique_by=lambda call: call.id).map(tuple),
    refusal=st.none() | words,
    reasoning=st.none() | words,
)
replies = st.lists(
    st.tuples(messages, st.sampled_from(["stop", "length", "tool_calls", "content_filter"])),
    min_size=1,
    max_size=3,
).map(lambda said: evolve(REPLY, choices=tuple(Choice(*one, index) for index, one in enumerate(said))))


@given(replies, st.integers(1, 50))
def test_any_round_trip(reply: Reply, step: int) -> None:
    """Any answer is read back as it was, streamed or not."""
    whole = CLIENT.decode(SERVER.write(reply, asked()))

    assert reply == read(b"".join(streamed(reply, asked(stream=True))), step)
    assert reply == evolve(whole, choices=tuple(evolve(choice, extra={}) for choice in whole.choices))


def test_form_of_a_stream() -> None:
    """A stream opens with the role, ends each choice, tells usage last and closes with `[DONE]`."""
    reply = evolve(REPLY, choices=(Choice(Message("Hi")),))
    body = b"".join(streamed(reply, asked(stream=True)))
    events = [block[6:] for block in body.split(b"\n\n") if block.startswith(b"data: ")]
    role, text, finish, usage = (orjson.loads(event) for event in events[:-1])

    assert b"[DONE]" == events[-1]
    assert {"role": "assistant", "content": "", "refusal": None} == role["choices"][0]["delta"]
    assert ({"content": "Hi"}, None) == (text["choices"][0]["delta"], text["choices"][0]["finish_reason"])
    assert ({}, "stop") == (finish["choices"][0]["delta"], finish["choices"][0]["finish_reason"])
    assert [None, None, None] == [event["usage"] for event in (role, text, finish)]
    assert ([], 13) == (usage["choices"], usage["usage"]["total_tokens"])


def test_usage_only_if_asked_for() -> None:
    """Without `include_usage` no event speaks of usage."""
    assert b"usage" not in b"".join(streamed(REPLY, asked(stream=True, usage=False)))


def test_nothing_to_write() -> None:
    """A delta without content writes nothing, and the start shows none."""
    writer = SERVER.writer(REPLY, asked(stream=True))

    assert b"" == writer.write(Delta(finish_reason="stop"))
    assert b"" == writer.write(Delta(usage=Usage(prompt_tokens=1)))
    assert [] == CLIENT.reader().feed(writer.start() + writer.ping())


def test_breaks_of_a_stream() -> None:
    """An error in-band is read as its own class, a malformed event as a bad answer."""
    writer = SERVER.writer(REPLY, asked(stream=True))

    with pytest.raises(Overloaded):
        CLIENT.reader().feed(writer.start() + writer.error(Overloaded("busy")))
    with pytest.raises(BadAnswer):
        CLIENT.reader().feed(writer.start() + writer.malformed())


ERRORS: dict[str, tuple[AttemptError, type[openai.APIStatusError]]] = {
    "rate": (RateLimited("Slow down.", retry_after_s=1.5, request_id="req_1"), openai.RateLimitError),
    "quota": (QuotaExhausted("Pay."), openai.RateLimitError),
    "overloaded": (Overloaded("Busy."), openai.InternalServerError),
    "529": (Overloaded("Busy.", status=529), openai.InternalServerError),
    "fault": (ServerFault("It failed."), openai.InternalServerError),
    "502": (ServerFault("It failed.", status=502), openai.InternalServerError),
    "409": (ServerFault("Again.", status=409), openai.ConflictError),
    "key": (AuthFailed("Who?"), openai.AuthenticationError),
    "permission": (AuthFailed("No.", status=403), openai.PermissionDeniedError),
    "model": (ModelNotFound("What?"), openai.NotFoundError),
    "request": (InvalidRequest("What?"), openai.BadRequestError),
    "422": (InvalidRequest("What?", status=422), openai.UnprocessableEntityError),
    "context": (ContextTooLong("Too long."), openai.BadRequestError),
    "policy": (ContentFiltered("No."), openai.BadRequestError),
}


@pytest.mark.parametrize(("error", "theirs"), ERRORS.values(), ids=ERRORS.keys())
def test_errors(error: AttemptError, theirs: type[openai.APIStatusError]) -> None:
    """Each class is read back as itself, with its facts, and is the SDK's own class there."""
    status, headers, body = SERVER.failure(error)
    ours = CLIENT.failure(status, headers, body)

    assert type(error) is type(ours)
    assert (error.message, error.retry_after_s, error.request_id) == (
        ours.message,
        ours.retry_after_s,
        ours.request_id,
    )

    async def answer(request: web.BaseRequest) -> web.Response:
        return web.Response(status=status, headers=headers, body=body)

    with pytest.raises(theirs) as caught:
        ask_sdk(answer, create)
    assert ours.code in (caught.value.code, caught.value.type)


@pytest.mark.parametrize(
    ("error", "status"),
    [(TimedOut(), 504), (ConnectionFailed(), 502), (BadAnswer(), 502), (AttemptError(), 500)],
    ids=lambda value: type(value).__name__,
)
def test_errors_of_our_own(error: AttemptError, status: int) -> None:
    """Errors that are no provider's are told as a server's fault, never as the request's."""
    assert status == SERVER.failure(error)[0]


def test_facts_of_an_error_win() -> None:
    """Status, code and the word on a repeat that an error carries are told as they are."""
    status, headers, body = SERVER.failure(
        ServerFault("x", status=520, code="odd", should_retry=False, retry_after_s=0.25)
    )

    assert (520, "odd") == (status, orjson.loads(body)["error"]["code"])
    assert ("false", "1", "250") == (
        headers["x-should-retry"],
        headers["retry-after"],
        headers["retry-after-ms"],
    )


def test_unsupported_here() -> None:
    """A request that is at fault at one endpoint only is told so."""
    ours = CLIENT.failure(*SERVER.failure(InvalidRequest("No stop here.", everywhere=False)))

    assert isinstance(ours, InvalidRequest)
    assert not ours.everywhere


Told = TypeVar("Told")
Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


async def create(client: openai.AsyncOpenAI) -> openai.types.chat.ChatCompletion:
    return await client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "Hi"}])


def ask_sdk(handler: Handler, ask: Callable[[openai.AsyncOpenAI], Awaitable[Told]]) -> Told:
    """What the official SDK makes of a server on loopback that answers with `handler`."""

    async def run() -> Told:
        server = web.Server(handler)
        runner = web.ServerRunner(server)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        try:
            base_url = f"http://{host}:{port}/v1"
            async with openai.AsyncOpenAI(api_key="k", base_url=base_url, max_retries=0) as client:
                return await ask(client)
        finally:
            await runner.cleanup()

    return asyncio.run(run())


async def answer_in_kind(request: web.BaseRequest) -> web.Response:
    """Our server side's answer to whatever the SDK asks."""
    ours = SERVER.read(await request.read())
    if not ours.stream:
        return web.Response(body=SERVER.write(REPLY, ours), content_type="application/json")
    return web.Response(body=b"".join(streamed(REPLY, ours)), content_type="text/event-stream")


def test_sdk_completes() -> None:
    """The official SDK reads text, tool calls and usage out of our answer."""
    reply = ask_sdk(answer_in_kind, create)
    message = reply.choices[0].message

    assert ("Grüße", "tool_calls") == (message.content, reply.choices[0].finish_reason)
    assert ["call_a", "call_b"] == [call.id for call in message.tool_calls or ()]
    assert reply.usage is not None
    assert 13 == reply.usage.total_tokens


def test_sdk_streams() -> None:
    """The official SDK's own accumulation of our stream gives the whole answer."""

    async def ask(client: openai.AsyncOpenAI) -> openai.types.chat.ChatCompletion:
        async with client.chat.completions.stream(
            model="gpt-4o",
            messages=[{"role": "user", "content": "Hi"}],
            stream_options={"include_usage": True},
        ) as stream:
            return await stream.get_final_completion()

    reply = ask_sdk(answer_in_kind, ask)
    calls = [call.function for call in reply.choices[0].message.tool_calls or () if call.type == "function"]

    assert "Grüße" == reply.choices[0].message.content
    assert [("weather", '{"city": "Oslo"}'), ("time", "{}")] == [
        (call.name, call.arguments) for call in calls
    ]
    assert reply.usage is not None
    assert 13 == reply.usage.total_tokens


def test_sdk_in_band() -> None:
    """The official SDK raises for an error in our stream."""
    writer = SERVER.writer(REPLY, asked(stream=True))
    body = writer.start() + writer.error(Overloaded("busy"))

    async def answer(request: web.BaseRequest) -> web.Response:
        return web.Response(body=body, content_type="text/event-stream")

    async def ask(client: openai.AsyncOpenAI) -> list[object]:
        chunks = await client.chat.completions.create(
            model="gpt-4o", messages=[{"role": "user", "content": "Hi"}], stream=True
        )
        return [chunk async for chunk in chunks]

    with pytest.raises(openai.APIError, match="busy"):
        ask_sdk(answer, ask)


HI: dict[str, Any] = {"role": "user", "content": "Hi"}
ASKS = {
    "role": "assistant",
    "content": None,
    "tool_calls": [
        {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}},
        {"id": "b", "type": "custom", "custom": {"name": "g", "input": "x"}},
    ],
}
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}


def result(call_id: str) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": call_id, "content": "42"}


def body(*messages: Any, **params: Any) -> dict[str, Any]:
    return {"model": "gpt-4o", "messages": list(messages) or [HI], **params}


VALID = {
    "plain": body(),
    "all roles": body({"role": "system", "content": "x"}, {"role": "developer", "content": "x"}, HI),
    "parts": body(
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "Hi"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}},
                {"type": "file", "file": {"file_id": "x"}},
            ],
        }
    ),
    "tool history": body(HI, ASKS, result("b"), result("a"), HI),
    "refusal in the history": body(HI, {"role": "assistant", "refusal": "No."}, HI),
    "tools": body(
        tools=[TOOL], tool_choice={"type": "function", "function": {"name": "f"}}, parallel_tool_calls=False
    ),
    "schema": body(response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": {}}}),
    "numbers": body(temperature=0, top_p=1.0, n=2, seed=-7, max_completion_tokens=1, stop=["a", "b"]),
    "nulls": body(temperature=None, tools=None, stop=None, stream=None, stream_options=None),
    "unknown": body(top_k=3, novelty={"a": 1}),
    "stream": body(stream=True, stream_options={"include_usage": True}),
}


@pytest.mark.parametrize("said", VALID.values(), ids=VALID.keys())
def test_reads(said: dict[str, Any]) -> None:
    """What OpenAI documents is read, and what it does not know goes along."""
    request = SERVER.read(orjson.dumps(said))
    known = ("model", "messages", "stream")

    assert ("gpt-4o", tuple(said["messages"])) == (request.model, request.messages)
    assert (said.get("stream") is True) == request.stream
    assert {name: value for name, value in said.items() if name not in known} == request.params


INVALID: dict[str, tuple[Any, str]] = {
    "no object": ([], "the body"),
    "no model": ({"messages": [HI]}, "'model'"),
    "no messages": ({"model": "m"}, "'messages'"),
    "model of a wrong type": ({**body(), "model": 5}, "'model'"),
    "empty model": ({**body(), "model": ""}, "'model'"),
    "stream of a wrong type": (body(stream="yes"), "'stream'"),
    "stream_options alone": (body(stream_options={"include_usage": True}), "'stream_options'"),
    "messages of a wrong type": ({"model": "m", "messages": "secret"}, "'messages'"),
    "no message": ({"model": "m", "messages": []}, "'messages'"),
    "message of a wrong type": (body("secret"), r"'messages\[0\]'"),
    "no role": (body({"content": "secret"}), r"messages\[0\].role"),
    "unknown role": (body(HI, {"role": "secret", "content": "x"}), r"messages\[1\].role"),
    "role of a wrong type": (body({"role": ["user"], "content": "x"}), r"messages\[0\].role"),
    "no content": (body({"role": "user"}), r"messages\[0\].content"),
    "content of a wrong type": (body({"role": "user", "content": 5}), r"messages\[0\].content"),
    "silent assistant": (body({"role": "assistant", "content": None}), r"messages\[0\].content"),
    "no parts": (body({"role": "user", "content": []}), r"messages\[0\].content"),
    "part of a wrong type": (body({"role": "user", "content": ["secret"]}), r"content\[0\].type"),
    "unknown part": (body({"role": "user", "content": [{"type": "secret"}]}), r"content\[0\].type"),
    "image for the system": (
        body({"role": "system", "content": [{"type": "image_url", "image_url": {}}]}),
        r"content\[0\].type",
    ),
    "empty part": (body({"role": "user", "content": [{"type": "text"}]}), r"content\[0\].text"),
    "calls of a user": (
        body({**HI, "tool_calls": ASKS["tool_calls"]}),
        "only messages with role 'assistant'",
    ),
    "no calls": (body({"role": "assistant", "content": "x", "tool_calls": []}), "tool_calls"),
    "call of a wrong type": (body({"role": "assistant", "tool_calls": ["secret"]}), r"tool_calls\[0\]"),
    "call without id": (
        body({"role": "assistant", "tool_calls": [{"type": "function"}]}),
        r"tool_calls\[0\].id",
    ),
    "arguments as an object": (
        body({"role": "assistant", "tool_calls": [{"id": "a", "function": {"name": "f", "arguments": {}}}]}),
        r"tool_calls\[0\].function",
    ),
    "result without id": (body(HI, ASKS, {"role": "tool", "content": "x"}), "tool_call_id"),
    "result of no call": (body(HI, result("secret")), "preceding message"),
    "result twice": (body(HI, ASKS, result("a"), result("a")), "preceding message"),
    "result missing": (body(HI, ASKS, result("a"), HI), r"1 of them.*before messages\[3\]"),
    "results missing at the end": (body(HI, ASKS), "2 of them.*before the end"),
    "too hot": (body(temperature=2.5), "'temperature'"),
    "boolean temperature": (body(temperature=True), "'temperature'"),
    "no tokens": (body(max_tokens=0), "'max_tokens'"),
    "fractional tokens": (body(max_tokens=1.5), "'max_tokens'"),
    "no answers": (body(n=0), "'n'"),
    "five stops": (body(stop=list("abcde")), "'stop'"),
    "stops of a wrong type": (body(stop=[1]), "'stop'"),
    "top_logprobs alone": (body(top_logprobs=2), "'top_logprobs'"),
    "empty tools": (body(tools=[]), "'tools'"),
    "tool of a wrong type": (body(tools=["secret"]), r"tools\[0\]"),
    "unknown tool": (body(tools=[{"type": "secret"}]), r"tools\[0\].type"),
    "tool without function": (body(tools=[{"type": "function"}]), r"tools\[0\].function"),
    "tool with a bad name": (
        body(tools=[{"type": "function", "function": {"name": "a b"}}]),
        r"function.name",
    ),
    "choice alone": (body(tool_choice="required"), "'tool_choice'"),
    "unknown choice": (body(tools=[TOOL], tool_choice="secret"), "'tool_choice'"),
    "choice of no tool": (
        body(tools=[TOOL], tool_choice={"type": "function", "function": {"name": "secret"}}),
        "'tool_choice'",
    ),
    "parallel alone": (body(parallel_tool_calls=True), "'parallel_tool_calls'"),
    "unknown format": (body(response_format={"type": "secret"}), "'response_format.type'"),
    "schema missing": (body(response_format={"type": "json_schema"}), "json_schema"),
}


@pytest.mark.parametrize(("said", "words"), INVALID.values(), ids=INVALID.keys())
def test_refuses(said: Any, words: str) -> None:
    """What OpenAI refuses is refused, with the place named and nothing quoted, as its 400."""
    with pytest.raises(InvalidRequest, match=words) as caught:
        SERVER.read(orjson.dumps(said))

    assert "secret" not in str(caught.value)
    assert 400 == SERVER.failure(caught.value)[0]


def test_refuses_what_is_no_json() -> None:
    """A body that is no JSON is refused."""
    with pytest.raises(InvalidRequest, match="JSON"):
        SERVER.read(b'{"model": ')


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["role", "content", "type", "text", "tool_calls", "id", "function", "name", "tool_call_id"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=15,
)


@given(
    st.dictionaries(
        st.sampled_from(
            ["messages", "tools", "tool_choice", "response_format", "stop", "n", "stream_options"]
        ),
        json_values,
    )
)
def test_any_json(said: dict[str, Any]) -> None:
    """Whatever JSON is asked, it is read or refused."""
    try:
        request = SERVER.read(orjson.dumps({**body(), **said}))
    except InvalidRequest:
        return
    assert request.model == "gpt-4o"
