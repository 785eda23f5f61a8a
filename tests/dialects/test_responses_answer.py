"""OpenAI's Responses, answers: recorded ones, plain and streamed, and what goes wrong with them."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import openai
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.responses import Response

from fallbackio._draft import assemble
from fallbackio.dialects import DIALECTS
from fallbackio.errors import (
    AttemptError,
    AuthFailed,
    BadAnswer,
    ContentFiltered,
    ContextTooLong,
    InvalidRequest,
    ModelNotFound,
    RateLimited,
    ServerFault,
)
from fallbackio.model import Reply, Usage

sys.path.append(str(Path(__file__).parent.parent / "fuzz"))

from fuzz_mutation import mutated

WIRE = Path(__file__).parent.parent / "wire" / "openai_responses"
CLIENT, SERVER = DIALECTS["openai_responses"].client, DIALECTS["openai_responses"].server
USAGE = Usage(prompt_tokens=12, completion_tokens=9, cached_tokens=4, reasoning_tokens=2)


def decoded(name: str) -> Reply:
    return CLIENT.decode((WIRE / name).read_bytes())


def streamed(name: str, step: int = 4096) -> Reply:
    reader = CLIENT.reader()
    wire = (WIRE / name).read_bytes()
    deltas = [d for at in range(0, len(wire), step) for d in reader.feed(wire[at : at + step])]
    return assemble([*deltas, *reader.end()])


@pytest.mark.parametrize("name", ["text", "tools", "refusal", "incomplete"])
def test_the_sdk_reads_the_same(name: str) -> None:
    """The official SDK and we find the same text, calls and usage in a plain answer."""
    wire = (WIRE / f"{name}.json").read_bytes()
    theirs = Response.model_validate_json(wire)
    ours = CLIENT.decode(wire)
    calls = [item for item in theirs.output if item.type == "function_call"]

    assert (theirs.output_text, theirs.model, theirs.id) == (ours.text, ours.model, ours.id)
    assert [(call.call_id, call.name, call.arguments) for call in calls] == [
        (call.id, call.name, call.arguments) for call in ours.tool_calls
    ]
    assert theirs.usage is not None
    assert (theirs.usage.total_tokens, USAGE) == (ours.usage.total_tokens, ours.usage)
    assert 1760000000 == ours.created


@pytest.mark.parametrize(
    ("name", "finish"),
    [("text", "stop"), ("tools", "tool_calls"), ("refusal", "stop"), ("incomplete", "length")],
)
@pytest.mark.parametrize("step", [1, 7, 4096])
def test_a_stream_says_what_the_plain_answer_says(name: str, finish: str, step: int) -> None:
    """Message, finish reason, usage and identity are the same, however the network cuts the bytes."""
    plain, stream = decoded(f"{name}.json"), streamed(f"{name}.sse", step)
    ours, theirs = stream.message, plain.message

    assert finish == plain.finish_reason == stream.finish_reason
    assert (theirs.content or "", theirs.tool_calls, theirs.refusal) == (
        ours.content or "",
        ours.tool_calls,
        ours.refusal,
    )
    assert (theirs.reasoning, theirs.extra) == (ours.reasoning, ours.extra)
    assert (plain.usage, plain.id, plain.model, plain.created) == (
        stream.usage,
        stream.id,
        stream.model,
        stream.created,
    )


@pytest.mark.parametrize("name", ["text", "tools", "refusal", "incomplete"])
def test_the_sdk_streams_the_same(name: str) -> None:
    """The official SDK's accumulator and we come to the same answer from a recorded stream."""
    wire = (WIRE / f"{name}.sse").read_bytes()
    answer = httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=wire)
    http = httpx2.Client(transport=httpx2.MockTransport(lambda request: answer))
    with (
        openai.OpenAI(api_key="k", base_url="http://test", http_client=http) as client,
        client.responses.stream(model="m", input="Hi") as stream,
    ):
        last = list(stream)[-1]
    assert last.type in ("response.completed", "response.incomplete")
    theirs, ours = last.response, streamed(f"{name}.sse")
    calls = [item for item in theirs.output if item.type == "function_call"]

    assert theirs.output_text == ours.text
    assert [(call.call_id, call.arguments) for call in calls] == [
        (call.id, call.arguments) for call in ours.tool_calls
    ]
    assert theirs.usage is not None
    assert theirs.usage.total_tokens == ours.usage.total_tokens


def test_extra() -> None:
    """Citations and searches stay with the message; what repeats the request does not."""
    reply = decoded("text.json")

    assert "url_citation" == reply.message.extra["annotations"][0]["type"]
    assert "web_search_call" == reply.message.extra["output_items"][0]["type"]
    assert {"service_tier": "default"} == reply.extra


def test_signed_reasoning_is_kept() -> None:
    """Encrypted reasoning stays with the message, together with the calls that it led to."""
    state = decoded("tools.json").message.extra["provider_state"]

    assert ("openai_responses", "gpt-5.1-2025-11-13") == (state["dialect"], state["model"])
    assert ["reasoning", "function_call", "function_call"] == [item["type"] for item in state["output"]]
    assert "provider_state" not in decoded("text.json").message.extra


@pytest.mark.parametrize(("name", "text", "calls"), [("terse", "", 1), ("unstreamed", "Hello there", 0)])
def test_servers_that_stream_less(name: str, text: str, calls: int) -> None:
    """What was not streamed comes out of the item's or the answer's end."""
    reply = streamed(f"{name}.sse")

    assert (text, calls) == (reply.text, len(reply.tool_calls))
    assert ("tool_calls" if calls else "stop") == reply.finish_reason


def test_deltas_come_as_they_are_said() -> None:
    """Reasoning, ids, names and arguments come out at once, not at the end."""
    reader = CLIENT.reader()
    wire = (WIRE / "tools.sse").read_bytes().partition(b"event: response.completed")[0]
    deltas = reader.feed(wire)

    assert "Two cities.\n\nAsk for both." == "".join([delta.reasoning for delta in deltas])
    assert [
        (0, "call_a", ""),
        (0, "", '{"city":'),
        (0, "", '"Oslo"}'),
        (1, "call_b", ""),
        (1, "", '{"city":"Rome"}'),
    ] == [(part.index, part.id, part.arguments) for delta in deltas for part in delta.tool_calls]
    assert not reader.finished


@pytest.mark.parametrize(
    ("name", "kind"), [("failed.sse", ServerFault), ("error.sse", RateLimited), ("cut.sse", BadAnswer)]
)
def test_streams_that_fail(name: str, kind: type[AttemptError]) -> None:
    """A stream that fails, or lacks its end, is an error of its class."""
    with pytest.raises(kind) as raised:
        streamed(name)

    assert kind is type(raised.value)


def test_a_failed_response() -> None:
    """A failed response is raised as its error, with the wait that its words ask for."""
    with pytest.raises(RateLimited) as raised:
        decoded("failed.json")

    assert 3.0 == raised.value.retry_after_s


def event(kind: str, **said: Any) -> bytes:
    return b"data: " + orjson.dumps({"type": kind, **said}) + b"\n\n"


def response(**said: Any) -> dict[str, Any]:
    part = {"type": "output_text", "text": "Hi"}
    output = [{"type": "message", "content": [part]}]
    return {"id": "resp_1", "status": "completed", "model": "m", "output": output, **said}


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("server_error", ServerFault),
        ("vector_store_timeout", ServerFault),
        ("rate_limit_exceeded", RateLimited),
        ("invalid_prompt", ContentFiltered),
        ("bio_policy", ContentFiltered),
        ("image_content_policy_violation", ContentFiltered),
        ("invalid_image", InvalidRequest),
        ("context_length_exceeded", ContextTooLong),
    ],
)
@pytest.mark.parametrize("form", ["plain", "failed", "error", "wrapped"])
def test_codes(code: str, kind: type[AttemptError], form: str) -> None:
    """A code has its class wherever it stands."""
    said = {"code": code, "message": "Why"}
    failed = response(status="failed", error=said, output=[])
    feed = CLIENT.reader().feed
    forms: dict[str, Callable[[], object]] = {
        "plain": lambda: CLIENT.decode(orjson.dumps(failed)),
        "failed": lambda: feed(event("response.failed", response=failed)),
        "error": lambda: feed(event("error", **said, param=None)),
        "wrapped": lambda: feed(event("error", error={"type": "x", **said})),
    }
    with pytest.raises(kind) as raised:
        forms[form]()

    assert (kind, code, "Why") == (type(raised.value), raised.value.code, raised.value.message)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (response(status="in_progress"), "not finished"),
        (response(status=None), "without a status"),
        (response(output=None), "without output"),
        (response(output=[]), "nothing in it"),
        (response(output=[7]), "no object"),
        (response(output=[{"type": "message", "content": "Hi"}]), "no list"),
        ({"id": "chatcmpl-1", "choices": []}, "without output"),
    ],
)
def test_bad_answers(answer: dict[str, Any], words: str) -> None:
    """What is no finished response is a bad answer."""
    with pytest.raises(BadAnswer, match=words):
        CLIENT.decode(orjson.dumps(answer))


@pytest.mark.parametrize(
    ("wire", "words"),
    [
        (b"data: {\n\n", "no JSON"),
        (b"data: []\n\n", "no object"),
        (event("response.completed"), "without its response"),
        (event("response.completed", response=response(output=[])), "nothing in it"),
        (event("response.function_call_arguments.delta", output_index=0, delta="x"), "not begun"),
        (event("response.output_text.delta", delta="Hi") + b"data: [DONE]\n\n", "without response.completed"),
    ],
)
def test_bad_streams(wire: bytes, words: str) -> None:
    """A malformed event, or an end that is none, is a bad answer."""
    reader = CLIENT.reader()
    with pytest.raises(BadAnswer, match=words):
        reader.feed(wire)
        reader.end()


def test_nothing_after_the_end() -> None:
    """What follows the end of an answer is not read, and unknown events are passed over."""
    reader = CLIENT.reader()
    wire = event("response.news", delta="x") + event("response.completed", response=response())
    deltas = reader.feed(wire + event("error", code="server_error"))

    assert "Hi" == assemble(deltas).text
    assert [] == reader.feed(b"data: {\n\n") == reader.end()


def test_event_names_stand_in_for_types() -> None:
    """A server that says the type only in the event's name is understood."""
    wire = b"event: response.completed\ndata: " + orjson.dumps({"response": response()}) + b"\n\n"

    assert "Hi" == assemble(CLIENT.reader().feed(wire)).text


def test_ids_for_calls_without() -> None:
    """Calls without ids get their own, the same each time and no two alike, plain or streamed."""
    calls = [{"type": "function_call", "name": "f", "arguments": "{}"}] * 2
    body = orjson.dumps(response(output=calls))
    wire = event("response.created", response=response()) + b"".join(
        [event("response.output_item.done", output_index=at, item=call) for at, call in enumerate(calls)]
    )
    wire += event("response.completed", response=response(output=calls))
    plain = [call.id for call in CLIENT.decode(body).tool_calls]

    assert plain == [call.id for call in assemble(CLIENT.reader().feed(wire)).tool_calls]
    assert 2 == len(set(plain))
    assert all(call_id.startswith("call_") and len(call_id) <= 40 for call_id in plain)


@pytest.mark.parametrize(
    ("status", "said", "kind", "everywhere"),
    [
        (400, {"code": "invalid_encrypted_content", "message": "x"}, InvalidRequest, False),
        (400, {"code": "previous_response_not_found", "message": "x"}, InvalidRequest, False),
        (400, {"message": "Encrypted content is not supported with this model."}, InvalidRequest, False),
        (404, {"message": "Item with id 'rs_1' not found. Items are not kept."}, InvalidRequest, False),
        (
            400,
            {"message": "Item 'rs_1' of type 'reasoning' was provided without its required following item."},
            InvalidRequest,
            False,
        ),
        (400, {"code": "invalid_image_url", "message": "x"}, InvalidRequest, False),
        (400, {"message": "No tool output found for function call call_a."}, InvalidRequest, True),
        (404, {"code": "model_not_found", "message": "x"}, ModelNotFound, None),
        (401, {"code": "invalid_api_key", "message": "x"}, AuthFailed, None),
        (429, {"code": "rate_limit_exceeded", "message": "x"}, RateLimited, None),
    ],
)
def test_failures(
    status: int, said: dict[str, Any], kind: type[AttemptError], everywhere: bool | None
) -> None:
    """What was kept, or cannot be, at this provider only says nothing about the next endpoint."""
    error = CLIENT.failure(status, {"x-request-id": "r1"}, orjson.dumps({"error": said}))

    assert kind is type(error)
    assert (status, "r1") == (error.status, error.request_id)
    assert everywhere == getattr(error, "everywhere", None)


SEEDS = [path.read_bytes() for path in sorted(WIRE.iterdir())]
QUESTION = b'{"model":"m","input":[{"role":"user","content":[{"type":"input_text","text":"Hi"}]},' + (
    b'{"type":"function_call","call_id":"a","name":"f","arguments":"{}"},'
    b'{"type":"function_call_output","call_id":"a","output":"5"}],"tools":[{"type":"function","name":"f",'
    b'"parameters":{}}],"tool_choice":{"type":"function","name":"f"},"text":{"format":{"type":"text"}},'
    b'"reasoning":{"effort":"low"},"include":["reasoning.encrypted_content"]}'
)


@given(st.sampled_from(SEEDS), st.randoms(use_true_random=False))
def test_only_our_errors(seed: bytes, lots: random.Random) -> None:
    """Whatever is done to an answer, only our own errors come out, and `failure` returns one."""
    wire = mutated(seed, lots)
    reader = CLIENT.reader()
    for do in (lambda: CLIENT.decode(wire), lambda: [*reader.feed(wire), *reader.end()]):
        try:
            do()
        except AttemptError:
            pass
    assert isinstance(CLIENT.failure(lots.choice((400, 404, 500)), {}, wire), AttemptError)


@given(st.randoms(use_true_random=False))
def test_only_refusals(lots: random.Random) -> None:
    """Whatever is done to a request, the server side reads it or refuses it."""
    try:
        SERVER.read(mutated(QUESTION, lots))
    except InvalidRequest:
        pass
