"""One conversation, handed from vendor to vendor after every turn, over real loopback."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
import pytest
from attrs import Factory, frozen

import fallbackio
from fallbackio import Endpoint, Report
from fallbackio.breaker import BreakerPolicy
from fallbackio.dialects import DIALECTS
from fallbackio.dialects._state import KEY
from fallbackio.model import Reply, Request
from fallbackio.simulator import Behaviour, Simulator, Status
from fallbackio.simulator import SimulatedEndpoint as Simulated
from fallbackio.simulator._exchange import Exchange
from fallbackio.simulator._steps import Plan
from fallbackio.simulator.faults import Fault
from fallbackio.testing import virtual_time

Fields = dict[str, Any]

PAIRS = list(itertools.permutations(DIALECTS, 2))

# Inline, because some vendors take no images by address.
IMAGE = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5E"
    "rkJggg=="
)
STRANGER = "another model's signed reasoning left out"

TOOLS: list[Fields] = [
    {
        "type": "function",
        "function": {
            "name": "weather",
            "description": "The weather of a city.",
            "parameters": {
                "type": "object",
                "properties": {
                    "city": {"type": "string"},
                    "on": {"type": "object", "properties": {"day": {"type": "integer"}}, "required": ["day"]},
                },
                "required": ["city"],
            },
        },
    },
    {
        "type": "function",
        "function": {
            "name": "time",
            "description": "The time of a city.",
            "parameters": {
                "type": "object",
                "properties": {"city": {"type": "string"}},
                "required": ["city"],
            },
        },
    },
]


@frozen
class Heard(Fault):
    """No fault: keeps the requests as the server's side understood them."""

    requests: list[Request] = Factory(list)

    def plan(self, exchange: Exchange) -> Plan:
        self.requests.append(exchange.request)
        return exchange.healthy()


@frozen
class Turn:
    """What the application says, and what the model is to answer."""

    asked: Sequence[Fields]
    text: str = ""
    calls: Sequence[tuple[str, Fields]] = ()
    thoughts: int = 0

    def behaviour(self, number: int, heard: Heard) -> Behaviour:
        # Ids as Kimi writes them, which not everybody takes.
        calls = [
            {"id": f"functions.{name}:{number}{n}", "name": name, "arguments": arguments}
            for n, (name, arguments) in enumerate(self.calls)
        ]
        return Behaviour(
            text=self.text or None, tool_calls=calls, reasoning_tokens=self.thoughts, fault=heard
        )


def user(*content: Any) -> Fields:
    return {"role": "user", "content": content[0] if len(content) == 1 else list(content)}


# Eight turns.  Results are written where the turn before them has its calls, with the calls' ids.
TURNS = [
    Turn(
        [
            {"role": "system", "content": "Be brief."},
            user(
                {"type": "text", "text": "Which city is this?"},
                {"type": "image_url", "image_url": {"url": IMAGE}},
            ),
        ],
        "It is Oslo.",
        thoughts=2,
    ),
    Turn(
        [user("How is it there, and in Rome?")],
        calls=[("weather", {"city": "Oslo", "on": {"day": 1}}), ("weather", {"city": "Rome"})],
        thoughts=3,
    ),
    Turn([], "Snow and sun.", thoughts=1),
    Turn([user("And the time?")], calls=[("time", {"city": "Oslo"})], thoughts=1),
    Turn([], calls=[("time", {"city": "Rome"}), ("weather", {"city": "Bern"})], thoughts=2),
    Turn([], "Noon in both."),
    Turn([user("Once more, all of it.")], calls=[("time", {"city": "Oslo"}), ("weather", {"city": "Oslo"})]),
    Turn([], "Noon, and snow."),
]


def endpoint(simulated: Simulated, dialect: str, **params: Any) -> Endpoint:
    return Endpoint(
        "model",
        name=simulated.name,
        base_url=simulated.url(dialect),
        dialect=dialect,
        api_key="sk-the-key-of-this-test",
        params=params,
    )


class Conversation:
    """The application's side: keeps the history as users do, and says who must answer."""

    def __init__(self, first: Endpoint, second: Endpoint) -> None:
        self.chain = fallbackio.Chain([first, second], breaker=NEVER, attempt_timeout=5)
        self.messages: list[Any] = []
        self.asked: list[Sequence[Any]] = []  # the history as it was sent at each turn
        self.reports: list[Report] = []

    async def turn(self, turn: Turn, number: int) -> Reply:
        """One turn; every second pair of them is streamed, so that each side does both."""
        last = self.messages[-1] if self.messages else None
        for call in last.tool_calls if isinstance(last, fallbackio.Message) else ():
            said = f"{call.name} of {orjson.loads(call.arguments)['city']}"
            self.messages.append({"role": "tool", "tool_call_id": call.id, "content": said})
        self.messages += turn.asked
        self.asked.append(list(self.messages))
        if number // 2 % 2:
            async with self.chain.stream(self.messages, tools=TOOLS) as stream:
                async for _ in stream:
                    pass
            reply = stream.reply
        else:
            reply = await self.chain.complete(self.messages, tools=TOOLS)
        self.messages.append(reply.message)
        self.reports.append(reply.report)
        return reply


NEVER = BreakerPolicy(consecutive=1000, rates=())
BUSY = Behaviour(fault=Status(503))


async def held(pair: tuple[str, str], **params: Fields) -> tuple[Conversation, dict[str, list[Request]]]:
    """The whole conversation, its answerer forced to change after each turn; and what each one heard."""
    async with Simulator() as sim:
        sides = [sim.add(name) for name in NAMES]
        heard = [Heard(), Heard()]
        ends = [endpoint(one, name, **params.get(name, {})) for one, name in zip(sides, pair, strict=True)]
        talk = Conversation(*ends)
        async with talk.chain:
            for number, turn in enumerate(TURNS):
                now = number % 2
                sides[now].behave(turn.behaviour(number, heard[now]))
                sides[1 - now].behave(BUSY)
                reply = await talk.turn(turn, number)

                assert sides[now].name == reply.report.endpoint
                assert turn.text == reply.text
                assert list(turn.calls) == [
                    (call.name, orjson.loads(call.arguments)) for call in reply.tool_calls
                ]
        for one in sides:
            assert set(one.stats.by_status) <= {200, 503}, "a request was refused"
        return talk, {name: one.requests for name, one in zip(pair, heard, strict=True)}


@pytest.mark.parametrize("pair", PAIRS, ids="-".join)
@virtual_time
async def test_a_conversation_survives_every_switch(pair: tuple[str, str]) -> None:
    """Tools, parallel calls and an image pass from vendor to vendor, and nothing of them is lost."""
    talk, heard = await held(pair)

    for place, requests in enumerate(heard.values()):
        for request, asked in zip(requests, talk.asked[place::2], strict=True):
            assert_means_the_same(request, asked)
    for report in talk.reports:
        for note in itertools.chain.from_iterable(attempt.notes for attempt in report.attempts):
            assert not {"Oslo", "Rome", "word0", "thought0"} & set(note.split()), "content in the ledger"


def assert_means_the_same(request: Request, asked: Sequence[Any]) -> None:
    """What the server heard is the conversation so far, its calls and results paired."""
    calls, results = paired(request.messages)
    our_calls, our_results = paired([m.to_dict() if isinstance(m, fallbackio.Message) else m for m in asked])
    assert our_calls == calls
    assert all(ours in heard for ours, heard in zip(our_results, results, strict=True))
    whole = orjson.dumps(request.messages, default=dict).decode()
    assert 1 == whole.count(IMAGE.partition(",")[2]), "the image"
    for message in asked:
        said = message.content if isinstance(message, fallbackio.Message) else message["content"]
        assert not isinstance(said, str) or said in whole


def paired(messages: Sequence[Mapping[str, Any]]) -> tuple[list[tuple[str, Any]], list[str]]:
    """Calls and results of a conversation in which each result directly follows its calls, in order."""
    calls: list[tuple[str, Any]] = []
    results: list[str] = []
    owed: list[str] = []
    for message in messages:
        if message["role"] == "tool":
            assert owed.pop(0) == message["tool_call_id"]
            results.append(orjson.dumps(message["content"]).decode())
            continue
        assert not owed
        for call in message.get("tool_calls") or ():
            owed.append(call["id"])
            calls.append((call["function"]["name"], orjson.loads(call["function"]["arguments"])))
    return calls, [said.strip('"') for said in results]


@pytest.mark.parametrize("pair", [pair for pair in PAIRS if "anthropic" in pair], ids="-".join)
@virtual_time
async def test_signed_thinking_goes_back_to_its_vendor_only(pair: tuple[str, str]) -> None:
    """Claude gets its own thinking back, nobody else ever sees it, and the ledger says so."""
    talk, heard = await held(pair)
    (other,) = [name for name in pair if name != "anthropic"]
    place = pair.index("anthropic")
    signed = [
        m.extra[KEY]["blocks"] for m in talk.messages if isinstance(m, fallbackio.Message) and is_signed(m)
    ]
    returned = [m[KEY]["blocks"] for m in heard["anthropic"][-1].messages if KEY in m]

    assert len(signed) == sum(bool(turn.thoughts) for turn in TURNS[place::2]) > 0
    assert signed == returned
    assert b"simulated-" not in orjson.dumps([r.messages for r in heard[other]], default=dict)
    asked = notes_of(talk, NAMES[1 - place])
    assert [note for note in asked if STRANGER in note] == asked[2 * place :], "nothing to leave out before"


NAMES = ("first", "second")


def notes_of(talk: Conversation, name: str) -> list[tuple[str, ...]]:
    """The notes of each attempt at one side."""
    return [
        attempt.notes for report in talk.reports for attempt in report.attempts if attempt.endpoint == name
    ]


@virtual_time
async def test_the_ledger_says_what_was_changed() -> None:
    """Each attempt, also one that failed, carries what the conversation was changed in for it."""
    talk, _ = await held(("openai", "anthropic"))
    unsigned, ids = "reasoning without a signature left out", "tool call ids rewritten"

    assert [(unsigned,), *[(unsigned, ids)] * 3] == notes_of(talk, "second")


def is_signed(message: fallbackio.Message) -> bool:
    state = message.extra.get(KEY)
    return isinstance(state, Mapping) and state["dialect"] == "anthropic"
