"""What a dialect leaves out of a conversation, or puts elsewhere, is said in every one of them."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from fallbackio.dialects import DIALECTS
from fallbackio.endpoint import Endpoint
from fallbackio.model import Request

Fields = dict[str, Any]

MODELS = {"anthropic": "claude-sonnet-4-5", "bedrock": "us.anthropic.claude-sonnet-4-5-20250929-v1:0"}

USER: Fields = {"role": "user", "content": "Hi"}
SAID: Fields = {"role": "assistant", "content": "Yo"}
IMAGE: Fields = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
TEXT: Fields = {"type": "text", "text": "a picture"}

BY_OPENAI = {"openai", "azure"}


def sent(dialect: str, *messages: Fields) -> tuple[bytes, list[str]]:
    notes: list[str] = []
    base = "https://r.openai.azure.com" if dialect == "azure" else "http://h/v1"
    vendor = dialect if dialect in BY_OPENAI else ""
    to = Endpoint(MODELS.get(dialect, "m"), base_url=base, vendor=vendor)
    body = DIALECTS[dialect].client.encode(Request.of(messages, {}), to, notes.append)
    DIALECTS[dialect].server.read(body, to.model)  # as strict as the vendor
    return body, notes


@pytest.mark.parametrize("dialect", DIALECTS)
def test_names_of_speakers(dialect: str) -> None:
    """A name goes along where there is a field for it, and is noted where there is none."""
    body, notes = sent(dialect, {**USER, "name": "bob"})

    assert (b"bob" in body) == (dialect in BY_OPENAI)
    assert (dialect in BY_OPENAI) == (not notes)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_empty_turns(dialect: str) -> None:
    """A turn that is left out because it is empty is noted."""
    body, notes = sent(dialect, USER, {"role": "assistant", "content": ""}, USER)

    assert (b'"assistant"' in body) == (not notes)
    assert notes in ([], ["empty turns left out"])


@pytest.mark.parametrize("dialect", DIALECTS)
def test_reasoning_of_others(dialect: str) -> None:
    """Reasoning that another vendor showed goes to nobody, which is noted."""
    body, notes = sent(dialect, USER, {**SAID, "reasoning_content": "SECRET"}, USER)

    assert b"SECRET" not in body
    assert 1 == len(notes)
    assert "reasoning" in notes[0]


def calls(*ids: str) -> Fields:
    function = {"name": "f", "arguments": "{}"}
    return {**SAID, "tool_calls": [{"id": one, "type": "function", "function": function} for one in ids]}


@pytest.mark.parametrize("dialect", ["openai", "azure"])
@pytest.mark.parametrize("after", [[], [USER]], ids=["last", "before a message"])
def test_pictures_in_results(dialect: str, after: list[Fields]) -> None:
    """What chat completions do not take in a tool's result stands behind all results of that turn."""
    results = [
        {"role": "tool", "tool_call_id": "a", "content": [TEXT, IMAGE]},
        {"role": "tool", "tool_call_id": "b", "content": [IMAGE]},
        {"role": "tool", "tool_call_id": "c", "content": [TEXT]},
    ]
    body, notes = sent(dialect, USER, calls("a", "b", "c"), *results, *after)
    said = orjson.loads(body)["messages"]

    assert ["tool", "tool", "tool", "user"] == [message["role"] for message in said[2:6]]
    assert [[TEXT], "The result is in the next message.", [TEXT]] == [
        message["content"] for message in said[2:5]
    ]
    assert [IMAGE, IMAGE] == said[5]["content"]
    assert after == said[6:]
    assert "an image or file of a tool's result put beside it" in notes
    assert [TEXT, IMAGE] == results[0]["content"]
