"""What of an answer goes back in the history, to OpenAI and to the vendors of its format."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from fallbackio.dialects import DIALECTS
from fallbackio.dialects._state import state_of
from fallbackio.endpoint import Endpoint
from fallbackio.model import Request

CLIENT = DIALECTS["openai"].client
PLAIN = {"role": "assistant", "content": "Hi"}
STATE = state_of("anthropic", "claude", {"blocks": [1]})


def sent(vendor: str, turn: dict[str, Any]) -> tuple[Any, list[str]]:
    notes: list[str] = []
    to = Endpoint("m", vendor=vendor, base_url="https://api.example.com/v1")
    said = {"role": "user", "content": "Hello"}
    request = Request.of([said, turn, said], {})
    return orjson.loads(CLIENT.encode(request, to, notes.append))["messages"][1], notes


@pytest.mark.parametrize("vendor", ["openai", "mistral", "deepseek", "api.example.com"])
def test_another_dialects_state(vendor: str) -> None:
    """Nobody is sent what another dialect keeps for itself, and the ledger says so."""
    assert (PLAIN, ["another model's signed reasoning left out"]) == sent(vendor, {**PLAIN, **STATE})


@pytest.mark.parametrize(
    ("vendor", "kept"),
    [
        ("openai", {"refusal", "audio"}),
        ("mistral", {"prefix"}),
        ("deepseek", {"refusal", "audio", "prefix", "reasoning_content", "reasoning_details"}),
    ],
)
def test_fields_of_an_answer(vendor: str, kept: set[str]) -> None:
    """Vendors that refuse unknown fields get those that they document, the others what may be theirs."""
    extra: dict[str, Any] = {
        "refusal": None,
        "audio": {"id": "a"},
        "prefix": True,
        "reasoning_content": "Hm",
        "reasoning_details": [],
        "annotations": [],
        "content_filter_results": {},
        "output_items": [],
    }
    message, _ = sent(vendor, {**PLAIN, **extra})

    assert kept == message.keys() - PLAIN.keys()


def test_spoken_answers() -> None:
    """An answer in sound goes back by its id alone, which is the documented form."""
    audio = {"id": "a", "data": "aGk=", "expires_at": 1, "transcript": "Hi"}
    message, _ = sent("openai", {"role": "assistant", "content": None, "audio": audio})

    assert {"role": "assistant", "content": None, "audio": {"id": "a"}} == message


def test_lost_reasoning_is_noted() -> None:
    """Reasoning that a vendor would refuse is left out with a note."""
    turn = {**PLAIN, "reasoning_content": "Hm"}

    assert (PLAIN, ["reasoning of earlier turns left out"]) == sent("openai", turn)


def test_a_refusal_where_there_is_no_field_for_it() -> None:
    """A refusal stays in the conversation as the turn's text."""
    message, _ = sent("mistral", {"role": "assistant", "content": None, "refusal": "No."})

    assert {"role": "assistant", "content": "No."} == message
