"""Spoilt bytes through a real chain, over a raw loopback server, in virtual time.

The server writes bytes, not answers: what it sends may be no event stream, no JSON and no HTTP.  The
first endpoint is the spoilt one, the second always answers.  Odd rule: a check reads the chain's
private routes, because a permit that was never given back shows nowhere else.
"""

from __future__ import annotations

import asyncio
import random
from typing import Any

import anyio
from attrs import field, frozen
from fuzz_mutation import mutated, pieces
from fuzz_targets import answers, has_end, read, said, said_by

import fallbackio
from fallbackio import Endpoint, FallbackError, Restarted, StreamBroken
from fallbackio.dialects import DIALECTS
from fallbackio.model import Choice, Delta, Message, Reply, Request, Usage
from fallbackio.testing import run

__all__ = ["check_chain", "check_cut_chain"]

HEALTHY = "The second one always answers, and this is what it says."
# The chain's timeout is 20 s; clean-up comes on top.
LONGEST_S = 25.0


def _answers(dialect: str, text: str) -> tuple[bytes, bytes]:
    """What a healthy provider sends, as a stream and plain."""
    server = DIALECTS[dialect].server
    reply = Reply(id="a", model="m", choices=(Choice(Message(text), "stop"),), usage=Usage(prompt_tokens=3))
    request = Request.of("hi", {}, stream=True)
    writer = server.writer(reply, request)
    words = [Delta(text[at : at + 9]) for at in range(0, len(text), 9)]
    stream = writer.start() + b"".join(map(writer.write, words)) + writer.finish(reply)
    return stream, server.write(reply, request)


ANSWERS = {dialect: _answers(dialect, HEALTHY) for dialect in DIALECTS}
# Recorded answers are short; most breaks of these come after their first content.
LONG = {dialect: _answers(dialect, "".join(f" {n} sheep," for n in range(30)))[0] for dialect in DIALECTS}


@frozen
class Spoilt:
    """What the first endpoint sends: `packets`, each with the seconds before it, then its end."""

    packets: list[tuple[float, bytes]] = field(repr=False)
    end: str
    honest: bool  # whether the framing is what HTTP says
    wire: bytes = field(repr=False)  # the body
    whole: object  # what the whole answer says of which the body is a part, if that is known


def _spoilt(wire: bytes, lots: random.Random, whole: object) -> Spoilt:
    framing = lots.choice(("chunked", "chunked", "length", "close"))
    encoded = lots.random() < 0.05
    body = pieces(wire, lots)
    if framing == "chunked":
        body = [b"%x\r\n%s\r\n" % (len(piece), piece) for piece in body if piece] + [b"0\r\n\r\n"]
    packets = [_head(wire, framing, encoded, lots), *body]
    broken = lots.random() < 0.15
    if broken:
        packets = pieces(mutated(b"".join(packets), lots), lots)
    end = lots.choice(("proper",) * 4 + ("early", "reset", "stall"))
    pace_s = lots.choice((0.0, 0.0, 0.01, 0.7))
    return Spoilt([(pace_s, packet) for packet in packets], end, not (broken or encoded), wire, whole)


def _head(wire: bytes, framing: str, encoded: bool, lots: random.Random) -> bytes:
    status = 200 if lots.random() < 0.85 else lots.choice((429, 500, 503, 400, 404, 204, 302, 599))
    kind = "text/event-stream" if b"data:" in wire else "application/json"
    if lots.random() < 0.1:
        kind = lots.choice(("text/event-stream", "application/json", "text/html; charset=x", ""))
    lines = [f"HTTP/1.1 {status} Whatever", f"content-type: {kind}"]
    if framing != "close":
        lines.append("transfer-encoding: chunked" if framing == "chunked" else f"content-length: {len(wire)}")
    if encoded:
        lines.append(f"content-encoding: {lots.choice(('gzip', 'deflate', 'br', 'zstd', 'x'))}")
    if lots.random() < 0.1:
        lines.append("retry-after: " + lots.choice(("0", "3", "-1", "soon", "999999")))
    return "\r\n".join([*lines, "", ""]).encode()


class RawServer:
    """Answers `/sick/…` with what it is given, and everything else as a healthy provider."""

    def __init__(self, dialect: str, spoilt: Spoilt) -> None:
        self._dialect = dialect
        self._spoilt = spoilt

    async def __aenter__(self) -> str:
        self._tasks: set[asyncio.Task[Any]] = set()
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def __aexit__(self, *error: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        with anyio.CancelScope(shield=True):
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
            body = await reader.readexactly(length)
            if head.startswith(b"POST /sick/"):
                await self._write(reader, writer)
            else:
                writer.write(self._healthy(b'"stream":true' in body))
        except (asyncio.CancelledError, asyncio.IncompleteReadError, OSError):
            pass  # the client has gone, or we are
        finally:
            self._tasks.discard(task)
            writer.close()

    def _healthy(self, streamed: bool) -> bytes:
        stream, plain = ANSWERS[self._dialect]
        answer, kind = (stream, b"text/event-stream") if streamed else (plain, b"application/json")
        head = b"HTTP/1.1 200 OK\r\ncontent-type: %s\r\ncontent-length: %d\r\n\r\n" % (kind, len(answer))
        return head + answer

    async def _write(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        packets, end = self._spoilt.packets, self._spoilt.end
        if end in ("early", "reset"):
            packets = packets[: len(packets) // 2 + 1]
        for pause_s, packet in packets:
            if pause_s:
                await anyio.sleep(pause_s)
            writer.write(packet)
            await writer.drain()
        if end == "reset":
            writer.transport.abort()
        elif end == "stall":
            await reader.read()  # until the client hangs up


def check_chain(wire: bytes, lots: random.Random) -> None:
    """Only our own errors come out of a call, in time, and what comes out as an answer is one."""
    dialect = "anthropic" if b"message_start" in wire or b"stop_reason" in wire else "openai"
    if lots.random() < 0.4:
        dialect = lots.choice(list(DIALECTS))
        wire = mutated(LONG[dialect], lots)
    run(_check, dialect, wire, lots)


def check_cut_chain(_: bytes, lots: random.Random) -> None:
    """A recorded answer that is cut off reaches the caller whole, mended, or as an error."""
    dialect = lots.choice(list(DIALECTS))
    wire, whole = LONG[dialect], read(DIALECTS[dialect], [LONG[dialect]])
    if lots.random() < 0.5:
        seed, whole = lots.choice(answers())
        dialect, wire = seed.dialect, seed.wire
    assert isinstance(whole, list)
    run(_check, dialect, wire[: lots.randint(0, len(wire))], lots, said(whole))


async def _check(dialect: str, wire: bytes, lots: random.Random, whole: object = None) -> None:
    spoilt = _spoilt(wire, lots, whole)
    async with RawServer(dialect, spoilt) as url:
        async with _chain(url, dialect, lots) as chain:
            call = _complete if lots.random() < 0.25 else _stream
            await call(chain, dialect, spoilt)
            await anyio.sleep(1.1)  # TRAILER_S: the last sockets close
            assert not any(route.breaker.in_flight for route in chain._routes), "a permit is lost"
    assert anyio.current_time() <= LONGEST_S, "it took longer than its timeout"
    await asyncio.sleep(0)
    left = asyncio.all_tasks() - {asyncio.current_task()}
    assert not left, f"tasks are left: {left}"


def _chain(url: str, dialect: str, lots: random.Random) -> fallbackio.Chain:
    """A chain of the spoilt endpoint, most often with a healthy one after it."""
    settings: dict[str, Any] = {
        "on_break": lots.choice(("continue", "restart", "raise", ("continue", "restart"))),
        "upstream": lots.choice(("plain", "stream")),
        "strategy": lots.choice(("sequence", "sequence", "hedge", "race")),
        "commit": lots.choice(("first_content", "first_content", 20, "complete")),
        "ttft_timeout": lots.choice((None, 1.0)),
        "min_rate": lots.choice((None, None, (5.0, 2.0))),
        "max_retries": lots.choice((0, 1)),
    }
    names = ["sick", "well"][: lots.choice((1, 2, 2))]
    steps = [
        Endpoint("m", name=name, base_url=f"{url}/{name}/v1", api_key="k", dialect=dialect) for name in names
    ]
    return fallbackio.Chain(steps, timeout=20, attempt_timeout=8, idle_timeout=2, seed=1, **settings)


async def _complete(chain: fallbackio.Chain, dialect: str, spoilt: Spoilt) -> None:
    try:
        reply = await chain.complete("hi")
    except FallbackError as error:
        assert str(error)
        return
    _whole_answer(reply, reply.text, dialect, spoilt)


async def _stream(chain: fallbackio.Chain, dialect: str, spoilt: Spoilt) -> None:
    given: list[Delta] = []
    try:
        async with chain.stream("hi") as stream:
            async for delta in stream:
                if isinstance(delta, Restarted):
                    given.clear()
                else:
                    given.append(delta)
    except StreamBroken as error:
        assert error.partial == _text(given), "the partial text is not what was given"
        return
    except FallbackError as error:
        assert not given, "another error after the first content"
        assert str(error)
        return
    assert stream.text == _text(given), "the text is not what was given"
    _whole_answer(stream.reply, stream.text, dialect, spoilt)


def _text(given: list[Delta]) -> str:
    return "".join([delta.text for delta in given if delta.index == 0])


def _whole_answer(reply: Reply, text: str, dialect: str, spoilt: Spoilt) -> None:
    report = reply.report
    if report.endpoint == "well":
        if report.seams:
            assert text.endswith(HEALTHY[-8:]), "a mended answer without its end"
        else:
            assert text == HEALTHY, "not what the second one said"
    elif spoilt.honest:
        # A plain answer is whole when its JSON is.
        assert has_end(dialect, spoilt.wire) or b"data:" not in spoilt.wire, "whole without a finish reason"
        if spoilt.whole is not None and not report.seams:
            assert said_by(reply) == spoilt.whole, "a part of an answer as the whole of it"
