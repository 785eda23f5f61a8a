"""Log probabilities and several choices, from the simulated provider to the caller."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

import fallbackio
from fallbackio._draft import assemble
from fallbackio.dialects import DIALECTS, deltas_of
from fallbackio.endpoint import Endpoint
from fallbackio.errors import InvalidRequest
from fallbackio.model import Choice, Delta, Message, Reply
from fallbackio.simulator import Behaviour, Simulator
from fallbackio.testing import virtual_time

# Where they can be asked for, with how many of the likeliest tokens; Cohere gives the chosen alone.
SCORED = {"openai": 2, "azure": 2, "openai_responses": 2, "gemini": 2, "ollama": 2, "cohere": None}
UNSCORED = sorted(DIALECTS.keys() - SCORED.keys())

MODELS = {
    "gemini": "gemini-2.5-flash",
    "anthropic": "claude-sonnet-4-5",
    "bedrock": "us.amazon.nova-lite-v1:0",
}


def endpoint(sim: Simulator, dialect: str, **settings: Any) -> Endpoint:
    url = sim.endpoint(dialect).url(dialect)
    return Endpoint(MODELS.get(dialect, "m"), base_url=url, api_key="k", dialect=dialect, **settings)


def asked(dialect: str) -> dict[str, Any]:
    beside = SCORED[dialect]
    return {"logprobs": True} | ({"top_logprobs": beside} if beside else {})


def tokens(choice: Choice) -> list[tuple[str, float, list[str]]]:
    assert choice.logprobs is not None
    return [
        (token["token"], token["logprob"], [other["token"] for other in token["top_logprobs"]])
        for token in choice.logprobs["content"]
    ]


def expected(dialect: str) -> list[tuple[str, float, list[str]]]:
    said = [("word0", -0.01), (" word1", -0.02), (" word2", -0.03)]
    return [(text, score, [text, "other0"] if SCORED[dialect] else []) for text, score in said]


@pytest.mark.parametrize(
    "how", [{}, {"ttft_timeout": 5}, {"upstream": "stream"}], ids=["plain", "ttft", "stream"]
)
@pytest.mark.parametrize("dialect", SCORED)
@virtual_time
async def test_they_reach_the_caller(dialect: str, how: dict[str, Any]) -> None:
    """`complete` gives the log probabilities whether it asks for a plain answer or streams upstream."""
    async with Simulator() as sim:
        sim.add(dialect, Behaviour(tokens=3))
        async with fallbackio.Chain([endpoint(sim, dialect)], **how) as chain:
            reply = await chain.complete("Hi", **asked(dialect))

    assert "word0 word1 word2" == reply.text
    assert expected(dialect) == tokens(reply.choices[0])
    assert () == reply.report.attempts[0].notes


@pytest.mark.parametrize("dialect", SCORED)
@virtual_time
async def test_they_come_with_their_pieces(dialect: str) -> None:
    """A stream gives each piece's own, and the whole reply all of them."""
    async with Simulator() as sim:
        sim.add(dialect, Behaviour(tokens=3, pace_s=0.1))
        async with (
            fallbackio.Chain([endpoint(sim, dialect)]) as chain,
            chain.stream("Hi", **asked(dialect)) as stream,
        ):
            deltas = [delta async for delta in stream]

    pieces = [(d.text, d.logprobs["content"][0]["token"]) for d in deltas if d.logprobs]
    assert [(text, text) for text in ("word0", " word1", " word2")] == pieces
    assert expected(dialect) == tokens(stream.reply.choices[0])


@pytest.mark.parametrize("dialect", UNSCORED)
@virtual_time
async def test_where_there_are_none(dialect: str) -> None:
    """A vendor without them refuses before anything is sent, or leaves them out with a note."""
    async with Simulator() as sim:
        refusing, dropping = endpoint(sim, dialect), endpoint(sim, dialect, unsupported="drop")
        async with fallbackio.Chain([refusing]) as chain:
            with pytest.raises(InvalidRequest, match="logprobs"):
                await chain.complete("Hi", logprobs=True)
        async with fallbackio.Chain([dropping]) as chain:
            reply = await chain.complete("Hi", logprobs=True)

    assert 1 == sim.endpoint(dialect).stats.requests
    assert reply.choices[0].logprobs is None
    assert ("logprobs left out, its dialect cannot express it",) == reply.report.attempts[0].notes


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize("dialect", ["openai", "azure", "gemini"])
@virtual_time
async def test_several_choices(dialect: str, stream: bool) -> None:
    """`n` answers come apart from each other, with their own reasons and calls, plain and streamed."""
    tool = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
    async with Simulator() as sim:
        sim.add(dialect, Behaviour(tokens=3))
        async with fallbackio.Chain(
            [endpoint(sim, dialect)], upstream="stream" if stream else "plain"
        ) as chain:
            reply = await chain.complete("Hi", n=3, **asked(dialect))
            called = await chain.complete("Hi", n=2, tools=[tool], tool_choice="required")

    assert [(0, "stop"), (1, "stop"), (2, "stop")] == [(c.index, c.finish_reason) for c in reply.choices]
    assert ["word0 word1 word2"] * 3 == [choice.message.content for choice in reply.choices]
    assert [expected(dialect)] * 3 == [tokens(choice) for choice in reply.choices]
    assert 9 == reply.usage.completion_tokens
    assert ["tool_calls"] * 2 == [choice.finish_reason for choice in called.choices]
    ids = [call.id for choice in called.choices for call in choice.message.tool_calls]
    assert 2 == len(set(ids))


@pytest.mark.parametrize("dialect", ["ollama", "bedrock"])
def test_no_server_hears_of_what_it_has_not(dialect: str) -> None:
    """A field that a vendor passes over asks for nothing in the simulator either."""
    said = {
        "ollama": {"model": "m", "messages": [{"role": "user", "content": "Hi"}], "n": 2},
        "bedrock": {
            "messages": [{"role": "user", "content": [{"text": "Hi"}]}],
            "additionalModelRequestFields": {"n": 2, "logprobs": True},
        },
    }
    request = DIALECTS[dialect].server.read(orjson.dumps(said[dialect]), "m")

    assert not {"n", "logprobs"} & request.params.keys()


def test_a_draft_joins_what_it_gets() -> None:
    """Lists of one name are put end to end, each choice's apart, and an answer without any has none."""
    one, two = {"token": "a", "logprob": -1.0}, {"token": "b", "logprob": -2.0}
    deltas = [
        Delta("a", logprobs={"content": [one], "refusal": None}),
        Delta("x", index=1),
        Delta("b", logprobs={"content": [two]}),
        Delta(refusal="c", logprobs={"refusal": [one]}),
    ]

    first, second = assemble(deltas).choices

    assert {"content": [one, two], "refusal": [one]} == first.logprobs
    assert second.logprobs is None
    assert deltas[0].logprobs == deltas[0].to_dict()["choices"][0]["logprobs"]


def test_whole_answers_keep_them_as_pieces() -> None:
    """A provider that answers whole where a stream was asked loses none."""
    scores = {"content": [{"token": "a", "logprob": -1.0}], "refusal": None}
    reply = Reply(choices=(Choice(Message("a"), "stop", 0, {"logprobs": scores}),))

    assert scores == assemble(deltas_of(reply)).choices[0].logprobs
