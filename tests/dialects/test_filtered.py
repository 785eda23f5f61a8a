"""Answers that a filter of the vendor's has ended."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from fallbackio._draft import assemble
from fallbackio.dialects import DIALECTS
from fallbackio.errors import ContentFiltered
from fallbackio.model import Choice, Delta, Message, Reply, Request, Usage

ASKED = Request(messages=({"role": "user", "content": "Hi"},), model="m")

# Ollama has no filter, and Cohere takes back what it has said.
Read = Callable[[str, Reply], Reply]

FILTERED = sorted(DIALECTS.keys() - {"ollama", "cohere"})


def filtered(*texts: str, reasons: tuple[str, ...] = ("content_filter",)) -> Reply:
    choices = [
        Choice(Message(text), reason, at)
        for at, (text, reason) in enumerate(zip(texts, reasons, strict=True))
    ]
    return Reply(id="x", model="m", choices=tuple(choices), usage=Usage(prompt_tokens=1, completion_tokens=1))


def plain(dialect: str, reply: Reply) -> Reply:
    sides = DIALECTS[dialect]
    return sides.client.decode(sides.server.write(reply, ASKED))


def streamed(dialect: str, reply: Reply) -> Reply:
    sides = DIALECTS[dialect]
    writer, reader = sides.server.writer(reply, ASKED), sides.client.reader()
    said = [
        writer.write(Delta(c.message.content or "", index=c.index))
        for c in reply.choices
        if c.message.content
    ]
    deltas = reader.feed(b"".join([writer.start(), *said, writer.finish(reply)]))
    return assemble(deltas + reader.end())


@pytest.mark.parametrize("read", [plain, streamed])
@pytest.mark.parametrize("dialect", FILTERED)
def test_nothing_left_is_no_answer(dialect: str, read: Read) -> None:
    """An answer of which the filter has left nothing is `ContentFiltered`, with the provider's word."""
    with pytest.raises(ContentFiltered, match="nothing of the answer was left") as raised:
        read(dialect, filtered(""))

    assert raised.value.code


@pytest.mark.parametrize("read", [plain, streamed])
@pytest.mark.parametrize("dialect", FILTERED)
def test_what_is_left_is_an_answer(dialect: str, read: Read) -> None:
    """One that was cut off keeps what had been said, and says why it ended."""
    reply = read(dialect, filtered("Hel"))

    assert ("Hel", "content_filter") == (reply.text, reply.finish_reason)


@pytest.mark.parametrize("read", [plain, streamed])
@pytest.mark.parametrize("dialect", ["openai", "azure", "gemini"])
def test_one_of_two_choices(dialect: str, read: Read) -> None:
    """As long as another choice says something there is an answer."""
    said = filtered("", "Hello", reasons=("content_filter", "stop"))
    got = read(dialect, said)

    assert ["content_filter", "stop"] == [choice.finish_reason for choice in got.choices]
    with pytest.raises(ContentFiltered):
        read(dialect, filtered("", "", reasons=("content_filter", "length")))
