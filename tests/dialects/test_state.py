"""What a provider wants back, and who gets it."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

import fallbackio
from fallbackio.dialects import DIALECTS, placed, placed_deltas
from fallbackio.dialects._state import KEY, own_state, state_of
from fallbackio.endpoint import Endpoint, unnoted
from fallbackio.model import Choice, Delta, Message, Reply, Request
from fallbackio.simulator import Behaviour, Simulator
from fallbackio.testing import virtual_time

USER = {"role": "user", "content": "Hi"}
SECRET = "sk-secret-0123456789"

SONNET, OPUS = "anthropic.claude-sonnet-4-5-20250929-v1:0", "anthropic.claude-opus-4-5-20251101-v1:0"

# What each dialect keeps of a signed turn, and the model that made it as its answer names it.
KEPT: dict[str, tuple[str, str, dict[str, Any]]] = {
    "anthropic": (
        "claude-sonnet-4-5",
        "claude-sonnet-4-5-20250929",
        {"blocks": [{"type": "thinking", "thinking": "hm", "signature": "SIGNED"}]},
    ),
    "bedrock": (SONNET, "", {"reasoning": [{"reasoningText": {"text": "hm", "signature": "SIGNED"}}]}),
    "gemini": ("gemini-2.5-pro", "gemini-2.5-pro", {"signature": "SIGNED"}),
    "openai_responses": (
        "gpt-5",
        "gpt-5-2025-08-07",
        {
            "output": [
                {"type": "reasoning", "id": "rs", "summary": [], "encrypted_content": "SIGNED"},
                {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Yo"}]},
            ]
        },
    ),
}
THINKS = {"anthropic": {"thinking": {"type": "enabled", "budget_tokens": 1024}}}
BOUND = {"gemini", "openai_responses"}


def at(dialect: str, model: str = "", **settings: Any) -> Endpoint:
    given = {"base_url": "https://h.example/v1", "api_key": "k", **settings}
    return Endpoint(model or KEPT[dialect][0], dialect=dialect, **given)


def answer(dialect: str, said: str | None = None) -> Reply:
    _, named, kept = KEPT[dialect]
    state = state_of(dialect, named if said is None else said, kept)
    return Reply(choices=(Choice(Message("Yo", extra=state)),))


def returned(reply: Reply, to: Endpoint) -> tuple[bool, list[str]]:
    """Whether what was signed goes out to this endpoint with the next turn, and the notes."""
    dialect = to.dialect or ""
    notes: list[str] = []
    request = Request.of([USER, reply.message, USER], {"max_tokens": 4096, **THINKS.get(dialect, {})})
    body = DIALECTS[dialect].client.encode(request, to, notes.append)
    return b"SIGNED" in body, notes


@pytest.mark.parametrize("dialect", KEPT)
def test_it_goes_back_to_who_was_asked(dialect: str) -> None:
    """The endpoint that gave an answer gets back what it signed, without a note."""
    assert (True, []) == returned(placed(answer(dialect), at(dialect)), at(dialect))


@pytest.mark.parametrize(
    "other", [{"api_key": "k2"}, {"base_url": "https://other.example/v1"}], ids=["key", "host"]
)
@pytest.mark.parametrize("dialect", KEPT)
def test_another_account(dialect: str, other: dict[str, Any]) -> None:
    """What is signed for an account stays with it; a Claude's thinking is the model's, whoever runs it."""
    went, notes = returned(placed(answer(dialect), at(dialect)), at(dialect, **other))

    assert (dialect not in BOUND) == went
    assert (["another account's signed reasoning left out"] if dialect in BOUND else []) == notes


@pytest.mark.parametrize("dialect", KEPT)
def test_what_came_by_another_way(dialect: str) -> None:
    """A turn that does not say whom we asked is its dialect's and its model's, as far as it says."""
    assert returned(answer(dialect), at(dialect))[0]


def test_deployments() -> None:
    """Azure's deployments have names of their own, and their reasoning goes back by them."""
    home = at("openai_responses", "fast", base_url="https://r.openai.azure.com/openai/v1")
    reply = placed(answer("openai_responses"), home)

    assert returned(reply, home)[0]
    assert not returned(reply, attrs.evolve(home, model="slow"))[0]
    assert not returned(reply, attrs.evolve(home, base_url="https://s.openai.azure.com/openai/v1"))[0]


@pytest.mark.parametrize(
    ("asked", "to", "goes"),
    [
        (f"us.{SONNET}", f"us.{SONNET}", True),
        (f"us.{SONNET}", f"eu.{SONNET}", True),
        (f"global.{SONNET}", SONNET, True),
        (SONNET, OPUS, False),
        (f"us.{OPUS}", f"us.{SONNET}", False),
        ("us.amazon.nova-lite-v1:0", SONNET, False),
    ],
)
def test_bedrocks_models(asked: str, to: str, goes: bool) -> None:
    """Converse does not name the model that answers; the one that was asked gets its reasoning back alone."""
    assert goes == returned(placed(answer("bedrock"), at("bedrock", asked)), at("bedrock", to))[0]


def test_nothing_of_the_key_is_kept() -> None:
    """What tells accounts apart is too short to tell the key, and what keeps nothing stays as it is."""
    endpoint = at("gemini", api_key=SECRET, headers={"x-project": "p"})
    state = placed(answer("gemini"), endpoint).message.extra[KEY]
    plain = Reply(choices=(Choice(Message("Yo", extra={"citations": []})),))

    assert SECRET not in str(state)
    assert 8 == len(state["account"])
    assert placed(plain, endpoint) is plain
    assert [Delta("x")] == placed_deltas([Delta("x")], endpoint)


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize(
    ("dialect", "model"), [("openai_responses", "gpt-5"), ("gemini", "gemini-3-pro-preview")]
)
@virtual_time
async def test_two_keys_of_one_model(dialect: str, model: str, stream: bool) -> None:
    """Over HTTP a chain's next turn carries the signature to the same key, and not to another."""
    tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
    async with Simulator() as sim:
        url = sim.add("one", Behaviour(reasoning_tokens=2, tool_calls=[{"name": "f"}])).url(dialect)
        first = Endpoint(model, base_url=url, dialect=dialect, api_key="k1")
        upstream: Any = "stream" if stream else "plain"
        async with fallbackio.Chain([first], upstream=upstream) as chain:
            reply = await chain.complete("Hi", tools=[tool])
        history: list[Any] = [
            USER,
            reply.message,
            {"role": "tool", "tool_call_id": reply.tool_calls[0].id, "content": "1"},
        ]
        notes = []
        for key in ("k1", "k2"):
            async with fallbackio.Chain([attrs.evolve(first, api_key=key)], upstream=upstream) as chain:
                notes.append((await chain.complete(history, tools=[tool])).report.attempts[0].notes)

    assert KEY in reply.message.extra
    assert () == notes[0]
    assert "another account's signed reasoning left out" in notes[1]


@pytest.mark.parametrize(
    ("said", "asked", "same"),
    [
        ("", "m", True),
        ("claude-sonnet-4-5", "claude-sonnet-4-5", True),
        ("claude-sonnet-4-5-20250929", "claude-sonnet-4-5", True),
        ("claude-sonnet-4-5", "claude-sonnet-4-5-20250929", True),
        ("claude-3-7-sonnet-20250219", "claude-3-7-sonnet-latest", True),
        ("gpt-4o-2024-08-06", "gpt-4o", True),
        ("gemini-2.0-flash-001", "gemini-2.0-flash", True),
        ("gemini-2.5-pro-preview-05-06", "gemini-2.5-pro", True),
        ("gpt-4o", "gpt-4", False),
        ("gemini-2.5-flash", "gemini-2.5-flash-lite", False),
        ("claude-opus-4-5", "claude-opus-4", False),
        ("claude-3-5-sonnet-20240620", "claude-3-5-sonnet-20241022", False),
    ],
)
def test_whose_state_it_is(said: str, asked: str, same: bool) -> None:
    """A model is known again with and without its release, and never by the beginning of its name."""
    state = own_state(state_of("d", said, {"kept": 1}), "d", Endpoint(asked), unnoted)

    assert same == bool(state)
