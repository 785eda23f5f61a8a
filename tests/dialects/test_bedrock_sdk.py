"""AWS's own client, talking to our server side over loopback; its requests are signed for real.

In real time, because it blocks in a thread; nothing here waits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import closing
from typing import Any

import boto3
import botocore.exceptions
import pytest
from anyio import to_thread
from botocore.config import Config

from fallbackio import _aws
from fallbackio.dialects import DIALECTS
from fallbackio.endpoint import Endpoint
from fallbackio.errors import (
    AttemptError,
    AuthFailed,
    ContextTooLong,
    InvalidRequest,
    Overloaded,
    RateLimited,
    ServerFault,
)
from fallbackio.model import Delta, Request
from fallbackio.simulator import Behaviour, InBandError, Malformed, Simulator, Status
from fallbackio.transport import HttpProvider, Session
from fallbackio.transport._bearer import Vouched

MODEL = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
ARN = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/a1b2c3"
TALK = {"modelId": MODEL, "messages": [{"role": "user", "content": [{"text": "Weather in Oslo?"}]}]}
TOOLS = {
    "tools": [
        {
            "toolSpec": {
                "name": "weather",
                "inputSchema": {
                    "json": {
                        "type": "object",
                        "properties": {"city": {"type": "string"}},
                        "required": ["city"],
                    }
                },
            }
        }
    ]
}
TWO_CALLS = Behaviour(
    tool_calls=[
        {"id": "tooluse_a", "name": "weather", "arguments": {"city": "Oslo"}},
        {"id": "tooluse_b", "name": "weather", "arguments": {"city": "Rome", "days": 3}},
    ]
)

Ask = Callable[[Any], Any]


@pytest.fixture(scope="module")
def session() -> boto3.Session:
    """One session, which loads AWS's description of the service once."""
    return boto3.Session("AKIDEXAMPLE", "secret", "token", region_name="us-east-1")


def asked(session: boto3.Session, behaviour: Behaviour, ask: Ask) -> Any:
    """What `ask` makes of AWS's client at an endpoint that behaves so."""

    def at(url: str) -> Any:
        client = session.client(
            "bedrock-runtime", endpoint_url=url, config=Config(retries={"total_max_attempts": 1})
        )
        try:
            return ask(client)
        finally:
            client.close()

    async def run() -> Any:
        async with Simulator() as sim:
            return await to_thread.run_sync(at, sim.add("aws", behaviour).url("bedrock"))

    return asyncio.run(run())


def streamed(client: Any, **more: Any) -> list[dict[str, Any]]:
    with closing(client.converse_stream(**{**TALK, **more})["stream"]) as stream:
        return list(stream)


def test_converse(session: boto3.Session) -> None:
    """boto3 gets text, stop reason and usage of a plain answer."""
    answer = asked(session, Behaviour(text="Five degrees."), lambda client: client.converse(**TALK))

    assert {"role": "assistant", "content": [{"text": "Five degrees."}]} == answer["output"]["message"]
    assert "end_turn" == answer["stopReason"]
    assert answer["usage"]["totalTokens"] == sum(answer["usage"][n] for n in ("inputTokens", "outputTokens"))


def test_converse_stream(session: boto3.Session) -> None:
    """boto3 gets the same text from a stream, and its end and usage after it."""
    events = asked(session, Behaviour(text="Five degrees."), streamed)

    kinds = [next(iter(event)) for event in events]
    assert ["messageStart", "contentBlockDelta"] == kinds[:2]
    assert ["contentBlockStop", "messageStop", "metadata"] == kinds[-3:]
    texts = [event["contentBlockDelta"]["delta"]["text"] for event in events if "contentBlockDelta" in event]
    assert "Five degrees." == "".join(texts)
    assert "end_turn" == events[-2]["messageStop"]["stopReason"]


def test_an_arn(session: boto3.Session) -> None:
    """A model that is named by an ARN is found, slashes and colons and all."""
    answer = asked(session, Behaviour(text="Hi"), lambda client: client.converse(**{**TALK, "modelId": ARN}))

    assert "Hi" == answer["output"]["message"]["content"][0]["text"]


def test_a_tool_loop(session: boto3.Session) -> None:
    """boto3 gets two calls, and its message with both results is taken."""

    def loop(client: Any) -> Any:
        first = client.converse(**TALK, toolConfig=TOOLS)
        message = first["output"]["message"]
        uses = [block["toolUse"] for block in message["content"] if "toolUse" in block]
        results = [
            {
                "toolResult": {
                    "toolUseId": use["toolUseId"],
                    "content": [{"json": {"t": 5}}],
                    "status": "success",
                }
            }
            for use in uses
        ]
        messages = [*TALK["messages"], message, {"role": "user", "content": results}]
        again = client.converse(modelId=MODEL, messages=messages, toolConfig=TOOLS)
        return first["stopReason"], [use["input"] for use in uses], again["stopReason"]

    assert ("tool_use", [{"city": "Oslo"}, {"city": "Rome", "days": 3}], "tool_use") == (
        asked(session, TWO_CALLS, loop)
    )


def test_streamed_tools(session: boto3.Session) -> None:
    """boto3 gets both calls from a stream, their arguments in pieces."""
    calls: dict[int, list[str]] = {}
    for event in asked(session, TWO_CALLS, lambda client: streamed(client, toolConfig=TOOLS)):
        if "contentBlockStart" in event:
            begun = event["contentBlockStart"]
            calls[begun["contentBlockIndex"]] = [begun["start"]["toolUse"]["toolUseId"], ""]
        if "contentBlockDelta" in event:
            piece = event["contentBlockDelta"]
            calls[piece["contentBlockIndex"]][1] += piece["delta"]["toolUse"]["input"]

    assert [["tooluse_a", '{"city":"Oslo"}'], ["tooluse_b", '{"city":"Rome","days":3}']] == [*calls.values()]


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (InvalidRequest, 400, "ValidationException"),
        (ContextTooLong, 400, "ValidationException"),
        (AuthFailed, 403, "AccessDeniedException"),
        (RateLimited, 429, "ThrottlingException"),
        (ServerFault, 500, "InternalServerException"),
        (Overloaded, 503, "ServiceUnavailableException"),
    ],
)
def test_errors(session: boto3.Session, error: type[AttemptError], status: int, code: str) -> None:
    """boto3 raises its own class, with our status, code and request id."""
    with pytest.raises(botocore.exceptions.ClientError) as raised:
        asked(session, Behaviour(fault=Status(status, error)), lambda client: client.converse(**TALK))

    response: Any = raised.value.response
    assert status == response["ResponseMetadata"]["HTTPStatusCode"]
    assert code == response["Error"]["Code"] == type(raised.value).__name__
    assert response["ResponseMetadata"]["RequestId"].startswith("req_aws")


def test_an_error_in_a_stream(session: boto3.Session) -> None:
    """boto3 takes our in-band error for one, by its name."""
    with pytest.raises(botocore.exceptions.EventStreamError, match="internalServerException"):
        asked(session, Behaviour(fault=InBandError(ServerFault)), streamed)


def test_a_malformed_frame(session: boto3.Session) -> None:
    """boto3 sees that our malformed frame is one."""
    from botocore.eventstream import ChecksumMismatch

    with pytest.raises(ChecksumMismatch):
        asked(session, Behaviour(fault=Malformed()), streamed)


class _Signing:
    """Signs as an AWS account does, for whatever host."""

    secrets = ()

    def __init__(self) -> None:
        from botocore.credentials import ReadOnlyCredentials

        self._keys = _aws.Keys(ReadOnlyCredentials("AKIDEXAMPLE", "secret", "token"))

    async def vouch(self, url: str, body: bytes) -> Vouched:
        ours = {"content-type": "application/json"}
        return Vouched(_aws.signed(url, body, ours, "us-east-1", self._keys), self._keys)

    def renew(self, refused: object) -> bool:
        return False


@pytest.mark.parametrize("model", [MODEL, ARN], ids=["profile", "ARN"])
def test_our_own_client(model: str) -> None:
    """Our client gets the same answers over loopback, plain and streamed, with signed requests."""

    async def run() -> None:
        async with Simulator() as sim:
            spec = Endpoint(model, base_url=sim.add("aws", Behaviour(text="Hello you")).url("bedrock"))
            http = Session(connect_timeout=5, max_answer_bytes=2**20)
            try:
                provider = HttpProvider(spec, DIALECTS["bedrock"], http, _Signing())
                reply = await provider.complete(Request.of("Hi", {}))
                upstream = await provider.stream(Request.of("Hi", {}, stream=True))
                deltas: list[Delta] = []
                while not upstream.finished:
                    deltas += await upstream.receive()
                await upstream.aclose()
            finally:
                await http.aclose()
        assert "Hello you" == reply.text == "".join([delta.text for delta in deltas])
        assert [reply.usage] == [delta.usage for delta in deltas if delta.usage]

    asyncio.run(run())
