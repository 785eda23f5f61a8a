"""Conversations that certainly do not fit are not sent."""

from __future__ import annotations

import pytest

import fallbackio
from fallbackio.chain._size import MOST_CHARS_PER_TOKEN, least_tokens
from fallbackio.errors import ContextTooLong
from fallbackio.testing import ScriptedEndpoint, answers, virtual_time

LONG = "x" * (20_000 * MOST_CHARS_PER_TOKEN)


@virtual_time
async def test_an_endpoint_that_is_certainly_too_small_is_skipped() -> None:
    """A prompt of over 20,000 tokens goes past a window of 8,000, and the ledger says why."""
    small = ScriptedEndpoint(answers(), name="small", context_window=8_000)
    large = ScriptedEndpoint(answers("yes"), name="large", context_window=200_000)
    chain = fallbackio.Chain([small.endpoint, large.endpoint])

    reply = await chain.complete(LONG)

    assert [(x.endpoint, x.outcome) for x in reply.report.attempts] == [
        ("small", "skipped"),
        ("large", "won"),
    ]
    assert "window of 8,000" in str(reply.report.attempts[0].error)
    assert small.requests == 0
    assert (await chain.complete("short")).report.endpoint == "small"


@virtual_time
async def test_what_fits_nowhere_is_said_at_once() -> None:
    """If every window is too small the call fails with ContextTooLong and sends nothing."""
    small = ScriptedEndpoint(answers(), name="small", context_window=8_000)
    chain = fallbackio.Chain([small.endpoint])

    with pytest.raises(ContextTooLong, match="8,000") as caught:
        await chain.complete([{"role": "user", "content": [{"type": "text", "text": LONG}]}])

    assert small.requests == 0
    assert [x.outcome for x in caught.value.attempts] == ["skipped"]


@virtual_time
async def test_an_unknown_window_is_asked() -> None:
    """Nothing is guessed about an endpoint whose window is not known."""
    unknown = ScriptedEndpoint(answers("yes"), name="unknown")

    assert (await fallbackio.Chain([unknown.endpoint]).complete(LONG)).text == "yes"


def test_images_are_not_counted() -> None:
    """Only texts are sure to cost tokens by their length."""
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 10**6}}
    assert least_tokens([{"role": "user", "content": [image]}, {"role": "assistant", "content": None}]) == 0
