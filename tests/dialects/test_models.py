"""Context windows by name: exact where they were published, and nothing otherwise."""

from __future__ import annotations

import re

import pytest

from fallbackio.dialects import window_of
from fallbackio.dialects._models import VERIFIED, WINDOWS


@pytest.mark.parametrize(
    ("model", "window"),
    [
        ("gpt-4o", 128_000),
        ("gpt-4o-2024-08-06", 128_000),
        ("openai/gpt-4.1-mini", 1_047_576),
        ("ft:gpt-4o-mini-2024-07-18:ours::id", 128_000),
        ("gpt-5.2-chat-latest", 128_000),
        ("claude-sonnet-4-5", 200_000),
        ("claude-opus-4-20250514", 200_000),
        ("claude-sonnet-4-5@20250929", 200_000),
        ("anthropic/claude-sonnet-4.5", 200_000),
        ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", 200_000),
        ("anthropic.claude-3-haiku-20240307-v1:0", 200_000),
        ("claude-opus-4-6", 1_000_000),
        ("models/gemini-2.5-pro", 1_048_576),
        ("mistral-large-2411", 131_072),
        ("mistral-large-latest", 262_144),
    ],
)
def test_a_known_model_has_its_window(model: str, window: int | None) -> None:
    """The names that vendors give one model lead to one window."""
    assert window_of(model) == window


@pytest.mark.parametrize(
    ("model", "beta", "window"),
    [
        ("claude-sonnet-4-5-20250929", "files-api-2025-04-14,context-1m-2025-08-07", 1_000_000),
        ("claude-sonnet-4-5", "files-api-2025-04-14", 200_000),
        ("claude-haiku-4-5", "context-1m-2025-08-07", 200_000),
    ],
)
def test_a_header_may_ask_for_a_longer_one(model: str, beta: str, window: int) -> None:
    """Who asks for Anthropic's longer context gets it counted, at the models that have it."""
    assert window_of(model, {"anthropic-beta": beta}) == window


@pytest.mark.parametrize(
    "model",
    [
        "gpt-4o-audio-preview",
        "gpt-4-0314-ours",
        "claude-opus-4-9",
        "claude-sonnet-4-5-thinking",
        "gpt-40",
        "my-gpt-4o",
        "llama3.2",
        "openai/gpt-oss-120b",
        "org/ft:",
        "ft:",
        "/",
        "",
    ],
)
def test_what_is_not_known_is_not_guessed(model: str) -> None:
    """A name that only resembles a known one has no window, and open weights have that of their server."""
    assert window_of(model) is None


def test_every_entry_can_be_found() -> None:
    """No entry is spelt in a way that the look-up takes apart."""
    assert {name for name, window in WINDOWS.items() if window_of(name) != window} == set()
    assert re.fullmatch(r"202\d-\d\d", VERIFIED)
