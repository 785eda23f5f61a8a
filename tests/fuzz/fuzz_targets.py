"""What must hold whatever a provider sends.

Each check takes bytes and a source of chance, and raises for what must never happen: an exception
that is not one of ours, a different answer when the network cuts the bytes differently, a part of an
answer given out as the whole of it.  `fuzz_chains` has the checks of a whole call.
"""

from __future__ import annotations

import functools
import random
import re
from collections.abc import Callable, Sequence
from typing import Any

import attrs
from fuzz_mutation import SEEDS, Seed, pieces
from multidict import CIMultiDict

from fallbackio._draft import assemble
from fallbackio.dialects import DIALECTS, Dialect
from fallbackio.dialects._sse import SSEDecoder
from fallbackio.errors import AttemptError, BadAnswer
from fallbackio.model import Delta, Reply

__all__ = [
    "Check",
    "answers",
    "check_body",
    "check_cut",
    "check_events",
    "check_failure",
    "check_stream",
    "has_end",
    "read",
    "said",
    "said_by",
]

Check = Callable[[bytes, random.Random], None]

# Why an answer ended, as JSON names it; the oracle for "whole", which no reader has a part in.
_END = {
    "bedrock": re.compile(rb'stop(R|\\u0052)eason"\s*:\s*"', re.IGNORECASE),
    "azure": re.compile(rb'finish(_|\\u005f)reason"\s*:\s*"', re.IGNORECASE),
    "openai_responses": re.compile(rb"response\.(completed|incomplete)"),
    "openai": re.compile(rb'finish(_|\\u005f)reason"\s*:\s*"', re.IGNORECASE),
    "anthropic": re.compile(rb'stop(_|\\u005f)reason"\s*:\s*"', re.IGNORECASE),
    "gemini": re.compile(rb'finish(R|\\u0052)eason"\s*:\s*"', re.IGNORECASE),
    "cohere": re.compile(rb'finish(_|\\u005f)reason"\s*:\s*"', re.IGNORECASE),
    "ollama": re.compile(rb'"(d|\\u0064)one"\s*:\s*true'),
}
_HEADERS = (
    "retry-after",
    "retry-after-ms",
    "x-ratelimit-remaining",
    "x-ratelimit-reset",
    "date",
    "request-id",
)


def has_end(dialect: str, wire: bytes) -> bool:
    """Whether any event in `wire` says why the answer ended."""
    return bool(_END[dialect].search(wire))


def read(dialect: Dialect, chunks: Sequence[bytes]) -> list[Delta] | type[AttemptError]:
    """The deltas of a whole answer, or the class of the error it ends in."""
    reader = dialect.client.reader()
    deltas: list[Delta] = []
    try:
        for chunk in chunks:
            deltas += reader.feed(chunk)
        deltas += reader.end()
    except AttemptError as error:
        assert not reader.finished, "finished, and an error"
        told(error)
        return type(error)
    assert reader.finished, "neither finished nor an error"
    assert reader.feed(b"data: more\n\n") == [] == reader.end(), "an answer after its end"
    return deltas


def told(error: AttemptError) -> None:
    """An error must be able to say what it is, in short."""
    assert len(error.message) <= 1000, "a message as long as a body"
    assert str(error)
    assert repr(error)


def usable(reply: Reply) -> None:
    """A reply must be of the types that it promises."""
    message = reply.message
    texts: list[Any] = [reply.text, reply.id, reply.model, reply.finish_reason, message.reasoning or ""]
    for call in message.tool_calls:
        texts += [call.id, call.name, call.arguments]
    assert all(type(text) is str for text in texts), "text that is none"
    assert reply.usage.total_tokens >= 0
    reply.to_dict()


def check_stream(wire: bytes, lots: random.Random) -> None:
    """A stream is read as the same answer however it is cut, and is whole only if it says so."""
    for name, dialect in DIALECTS.items():
        at_once = read(dialect, [wire])
        assert read(dialect, pieces(wire, lots)) == at_once, "another answer when the bytes are cut"
        if isinstance(at_once, list):
            assert has_end(name, wire), "whole without a finish reason"
            usable(assemble(at_once))
            for delta in at_once:
                delta.to_dict()


def check_body(wire: bytes, lots: random.Random) -> None:
    """A plain answer is a reply or one of our errors."""
    for dialect in DIALECTS.values():
        try:
            usable(dialect.client.decode(wire))
        except AttemptError as error:
            told(error)


def check_failure(wire: bytes, lots: random.Random) -> None:
    """A failing status always stands for an error, whatever its headers and body are."""
    status = lots.choice((400, 401, 403, 404, 413, 429, 498, 500, 503, 529, lots.randint(300, 999)))
    at = lots.randint(0, len(wire))
    value = wire[at : at + lots.choice((1, 4, 30))].decode("latin-1")
    headers = CIMultiDict({lots.choice(_HEADERS): value, lots.choice(_HEADERS): lots.choice(("0", value))})
    for dialect in DIALECTS.values():
        error = dialect.client.failure(status, headers, wire)
        assert isinstance(error, AttemptError)
        assert error.retry_after_s is None or error.retry_after_s >= 0, "a wait that is none"
        told(error)


def check_events(wire: bytes, lots: random.Random) -> None:
    """Events are the same however the bytes are cut, also where some are over the limit."""
    for limit in (64, 2**20):
        in_pieces = events(limit, pieces(wire, lots))
        assert in_pieces == events(limit, [wire]), "other events when the bytes are cut"


def events(limit: int, chunks: Sequence[bytes]) -> list[tuple[str, bytes]] | type[BadAnswer]:
    decoder = SSEDecoder(limit)
    try:
        return [event for chunk in chunks for event in decoder.feed(chunk)]
    except BadAnswer:
        return BadAnswer


@functools.cache
def answers() -> Sequence[tuple[Seed, list[Delta]]]:
    """The recorded streams that hold a whole answer, and its deltas."""
    streams = [(seed, read(DIALECTS[seed.dialect], [seed.wire])) for seed in SEEDS if seed.is_stream]
    return [(seed, deltas) for seed, deltas in streams if isinstance(deltas, list)]


def check_cut(_: bytes, lots: random.Random) -> None:
    """A recorded answer that is cut off anywhere is an error, or says all that the whole one says."""
    seed, whole = lots.choice(answers())
    cut = seed.wire[: lots.randint(0, len(seed.wire))]
    deltas = read(DIALECTS[seed.dialect], pieces(cut, lots))
    if isinstance(deltas, list):
        assert said(deltas) == said(whole), f"a part of {seed.name} as the whole of it"
    else:
        assert issubclass(deltas, AttemptError)


def said(deltas: Sequence[Delta]) -> object:
    """All that an answer says, besides its usage and asides, which may follow its end."""
    return said_by(assemble(deltas))


def said_by(reply: Reply) -> object:
    """The same of a reply."""
    return [(attrs.evolve(choice.message, extra={}), choice.finish_reason) for choice in reply.choices]
