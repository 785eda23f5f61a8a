"""How many tokens a request is taken for, about."""

from __future__ import annotations

from typing import Any

import pytest

from fallbackio.selection import estimated_tokens

TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}
CALL = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"at": "sky"}' * 100}}


@pytest.mark.parametrize(
    ("messages", "params", "least", "most"),
    [
        ([{"role": "user", "content": "word " * 800}], {}, 900, 1100),
        ([{"role": "user", "content": [{"type": "text", "text": "word " * 800}]}], {}, 900, 1100),
        ([{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}], {}, 1000, 1100),
        ([{"role": "user", "content": "hi"}], {"max_tokens": 500}, 500, 510),
        ([{"role": "user", "content": "hi"}], {"tools": [TOOL] * 20}, 300, 700),
        ([{"role": "assistant", "content": None, "tool_calls": [CALL]}], {}, 300, 500),
        (
            [{"role": "user", "content": "hi"}],
            {"response_format": {"json_schema": {"x": "y" * 800}}},
            200,
            260,
        ),
        ([], {"max_tokens": "many", "tools": None}, 0, 0),
    ],
    ids=["text", "parts", "image", "answer", "tools", "calls", "schema", "nothing"],
)
def test_what_costs_tokens_is_counted(
    messages: list[Any], params: dict[str, Any], least: int, most: int
) -> None:
    """Texts, images, tools, calls and the room for the answer all count, within a few tens of percent."""
    assert least <= estimated_tokens(messages, params) <= most
