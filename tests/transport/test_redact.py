"""Keys and prompts do not come back in what providers say."""

from __future__ import annotations

import pytest

from fallbackio.errors import InvalidRequest, RateLimited
from fallbackio.model import Request
from fallbackio.transport._redact import redact

KEY = "sk-test-0123456789"
PROMPT = "My patient Jane Roe was diagnosed with a rare disease last May."


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (f"Incorrect API key provided: {KEY}.", "Incorrect API key provided: [key]."),
        (f"Invalid value: '{PROMPT}'", "Invalid value: '[prompt]'"),
        (f"Invalid value: '{PROMPT[:30]}…'", "Invalid value: '[prompt]…'"),
        ("prompt is too long: 210000 tokens > 200000 maximum", None),
        ("", None),
    ],
    ids=["key", "whole prompt", "beginning of the prompt", "no quotation", "nothing said"],
)
def test_what_is_quoted_is_taken_out(said: str, expected: str | None) -> None:
    """A key or a run of the prompt's characters in a provider's message is replaced."""
    request = Request.of([{"role": "user", "content": [{"type": "text", "text": PROMPT}]}], {})

    error = redact(InvalidRequest(said), KEY, request)

    assert (said if expected is None else expected) == error.message
    assert KEY not in str(error)
    assert KEY not in repr(error)


def test_short_prompts_are_taken_out_too() -> None:
    """A prompt shorter than a quotation's least length is still not repeated."""
    error = redact(InvalidRequest("cannot parse 'swordfish' here"), None, Request.of("swordfish", {}))

    assert error.message == "cannot parse '[prompt]' here"


def test_a_key_in_the_code_is_taken_out() -> None:
    """Providers' codes are shown as well, so they are cleaned as well."""
    error = redact(RateLimited("slow down", code=f"limit:{KEY}"), KEY, Request.of("hi", {}))

    assert error.code == "limit:[key]"


def test_long_messages_are_cut() -> None:
    """An error is a sentence, not a page."""
    error = redact(InvalidRequest("x" * 10_000), None, Request.of("hello", {}))

    assert len(error.message) <= 300
