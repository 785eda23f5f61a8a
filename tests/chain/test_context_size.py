"""Conversations that certainly do not fit are not sent."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

import fallbackio
from fallbackio.chain._size import least_tokens
from fallbackio.errors import ContextTooLong
from fallbackio.testing import ScriptedEndpoint, answers, fails, virtual_time

LONG = "so " * 20_000


@virtual_time
async def test_an_endpoint_that_is_certainly_too_small_is_skipped() -> None:
    """A prompt of 20,000 words goes past a window of 8,000, and the ledger says why."""
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


@pytest.mark.parametrize(
    "text",
    ["\t" * 2_000_000, "-" * 2_000_000, "x" * 2_000_000, "的" * 2_000_000, "word " * 7_999],
    ids=["blanks", "dashes", "one word", "no blanks in the language", "all but full"],
)
@virtual_time
async def test_what_may_fit_is_sent(text: str) -> None:
    """Only words are sure to be tokens: a tokenizer may make one token of a long row of anything else."""
    small = ScriptedEndpoint(answers("yes"), name="small", context_window=8_000)

    assert (await fallbackio.Chain([small.endpoint]).complete(text)).text == "yes"


@virtual_time
async def test_an_endpoint_that_adapts_is_asked() -> None:
    """What adapt shortens may fit, also where a larger window did not hold the whole."""
    full = ScriptedEndpoint(fails(ContextTooLong("too long")), name="full", context_window=200_000)
    small = ScriptedEndpoint(answers("yes"), name="small", context_window=8_000)
    shortens = attrs.evolve(
        small.endpoint, adapt=lambda request: request.with_messages(request.messages[-1:])
    )
    said = [{"role": "user", "content": LONG}, {"role": "user", "content": "short"}]

    assert (await fallbackio.Chain([shortens]).complete(said)).text == "yes"
    assert (await fallbackio.Chain([full.endpoint, shortens]).complete(said)).text == "yes"


def test_images_are_not_counted() -> None:
    """Only texts are sure to cost tokens by their length."""
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 10**6}}
    messages: list[dict[str, Any]] = [
        {"role": "user", "content": [image]},
        {"role": "assistant", "content": None},
    ]
    assert least_tokens(messages, 0) == 0


def test_words_are_counted_where_it_matters() -> None:
    """As many as there are, in every message and part, and none where the length alone says that all fit."""
    messages: list[dict[str, Any]] = [
        {"role": "user", "content": "one two"},
        {"role": "user", "content": [{"type": "text", "text": " three\n\nfour\u3000five "}]},
    ]
    assert [least_tokens(messages, over) for over in (0, 4, 30)] == [5, 5, 0]
