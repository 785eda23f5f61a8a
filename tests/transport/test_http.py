"""One endpoint over real sockets, in virtual time."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from itertools import repeat

import anyio
import pytest
from transport_kit import (
    DONE,
    END,
    EVENT,
    HELLO,
    KEY,
    REQUEST,
    STREAMED,
    Step,
    answer,
    chunk,
    provider,
    serving,
    session,
    stream_head,
)

from fallbackio.endpoint import Upstream
from fallbackio.errors import (
    AttemptError,
    BadAnswer,
    ConnectionFailed,
    InvalidRequest,
    Overloaded,
    RateLimited,
    ServerFault,
)
from fallbackio.model import Request
from fallbackio.testing import virtual_time
from fallbackio.transport._http import ERROR_BODY_S, MAX_ERROR_BYTES, ONE_PIECE_BYTES, TRAILER_S


async def text_of(upstream: Upstream) -> str:
    deltas = upstream.take()
    while not upstream.finished:
        deltas += await upstream.receive()
    return "".join([delta.text for delta in deltas])


@virtual_time
async def test_a_connection_is_used_again_after_a_whole_answer() -> None:
    """Two calls need one connection."""
    async with serving(answer(HELLO)) as server, session() as of:
        replies = [await provider(server, of).complete(REQUEST) for _ in range(2)]

        assert [reply.text for reply in replies] == ["hello", "hello"]
        assert server.connections == 1


@pytest.mark.parametrize("apart_s", [0.0, 0.5], ids=["together", "end of body later"])
@virtual_time
async def test_a_connection_is_used_again_after_done(apart_s: float) -> None:
    """A streamed answer ends at [DONE]; the end of its HTTP body frees the connection for the next."""
    async with serving(stream_head(), chunk(EVENT + DONE), apart_s, END) as server, session() as of:
        for _ in range(2):
            assert await text_of(await provider(server, of).stream(STREAMED)) == "hello"
            await anyio.sleep(0.6)

        assert anyio.current_time() == pytest.approx(1.2, abs=0.01)
        assert server.connections == 1


@virtual_time
async def test_a_body_that_does_not_end_is_closed() -> None:
    """Who keeps the connection busy after [DONE] loses it after a second, and delays nobody."""
    async with serving(stream_head(), chunk(EVENT + DONE), 60.0) as server, session() as of:
        assert await text_of(await provider(server, of).stream(STREAMED)) == "hello"
        assert anyio.current_time() < 0.01

        await anyio.sleep(TRAILER_S + 0.01)

        assert of.http.connector is not None
        assert await text_of(await provider(server, of).stream(STREAMED)) == "hello"
        assert server.connections == 2


@virtual_time
async def test_a_finished_stream_has_nothing_more() -> None:
    """Reading on after the end gives nothing and asks the network for nothing."""
    async with serving(stream_head(), chunk(EVENT + DONE), 60.0) as server, session() as of:
        upstream = await provider(server, of).stream(STREAMED)
        await text_of(upstream)
        await upstream.aclose()

        assert upstream.take() == []
        assert await upstream.receive() == []


@virtual_time
async def test_a_closed_stream_is_closed_at_the_server() -> None:
    """Ending a stream early closes its socket at once, so that the provider stops generating."""
    async with serving(stream_head(), chunk(b": ping\n\n")) as server, session() as of:
        upstream = await provider(server, of).stream(STREAMED)
        await anyio.sleep(1)

        await upstream.aclose()
        await anyio.sleep(1)

        assert server.closed_at == [pytest.approx(1.0, abs=0.01)]


@virtual_time
async def test_a_plain_answer_to_a_streamed_question() -> None:
    """A vendor that ignores `stream` is understood."""
    async with serving(answer(HELLO)) as server, session() as of:
        assert await text_of(await provider(server, of).stream(STREAMED)) == "hello"


@pytest.mark.parametrize("streamed", [False, True], ids=["plain", "streamed"])
@virtual_time
async def test_a_compressed_answer(streamed: bool) -> None:
    """gzip is undone."""
    body, kind = (EVENT + DONE, "text/event-stream") if streamed else (HELLO, "application/json")
    wire = answer(gzip.compress(body), "Content-Encoding: gzip", kind=kind)
    async with serving(wire) as server, session() as of:
        asked = provider(server, of)

        text = (
            await text_of(await asked.stream(STREAMED)) if streamed else (await asked.complete(REQUEST)).text
        )

        assert text == "hello"


@virtual_time
async def test_a_redirect_is_refused() -> None:
    """The key is not carried to another host; the status says why."""
    wire = answer(b"", "Location: http://127.0.0.1:1/", status=307)
    async with serving(wire) as server, session() as of:
        with pytest.raises(BadAnswer, match="redirects") as caught:
            await provider(server, of).complete(REQUEST)

        assert caught.value.status == 307
        assert len(server.requests) == 1


SAYS = b'{"error":{"message":"so it is"}}'
CASES: dict[str, tuple[tuple[Step, ...], type[AttemptError], int | None]] = {
    "failing status": ((answer(SAYS, status=500),), ServerFault, 500),
    "garbage": ((answer(b"<html>"),), BadAnswer, 200),
    "error inside a 200": ((answer(b'{"error":{"type":"overloaded_error"}}'),), Overloaded, 200),
    "no HTTP": ((b"HTTP/1.1 abc\r\n\r\n", None), BadAnswer, None),
    "closed without an answer": ((None,), ConnectionFailed, None),
    "lost in mid-answer": ((answer(HELLO)[:-9], None), ConnectionFailed, 200),
    "broken framing": ((stream_head() + b"zz\r\n", None), BadAnswer, None),
    "broken compression": ((answer(b"n" * 20, "Content-Encoding: gzip"),), ConnectionFailed, 200),
}


@pytest.mark.parametrize("streamed", [False, True], ids=["plain", "streamed"])
@pytest.mark.parametrize(("steps", "kind", "status"), CASES.values(), ids=CASES)
@virtual_time
async def test_failures_are_classified_once(
    steps: tuple[Step, ...], kind: type[AttemptError], status: int | None, streamed: bool
) -> None:
    """One error of ours, with its status, whose cause is the foreign one; and no key anywhere in it."""
    async with serving(*steps) as server, session() as of:
        asked = provider(server, of)

        with pytest.raises(AttemptError) as caught:
            await (asked.stream(STREAMED) if streamed else asked.complete(REQUEST))

        error = caught.value
        assert (type(error), error.status) == (kind, status)
        assert not isinstance(error.__cause__, AttemptError)
        assert KEY not in "".join(map(repr, linked(error)))


@virtual_time
async def test_unparsed_bytes_are_not_shown() -> None:
    """aiohttp quotes the bytes that it cannot parse; they may be the answer's."""
    async with serving(stream_head() + b"the patient's name\r\n", None) as server, session() as of:
        with pytest.raises(BadAnswer) as caught:
            await provider(server, of).stream(STREAMED)

        assert "patient" not in "".join(map(repr, linked(caught.value)))


def linked(error: BaseException | None) -> Iterator[BaseException]:
    """The error and everything that its causes and contexts lead to."""
    if error is not None:
        yield error
        yield from linked(error.__cause__)
        yield from linked(error.__context__)


@virtual_time
async def test_all_was_said_when_the_connection_broke() -> None:
    """A finish reason makes the answer whole, though [DONE] was lost with the connection."""
    async with serving(stream_head(), chunk(EVENT), None) as server, session() as of:
        assert await text_of(await provider(server, of).stream(STREAMED)) == "hello"


LENGTH = "Content-Length: 99999"


def refusal(status: int, *headers: str) -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status} X", *headers, "", ""]).encode()


@pytest.mark.parametrize(
    ("steps", "kind", "after_s"),
    [
        ([refusal(429, "Retry-After: 7", LENGTH), 600.0], RateLimited, ERROR_BODY_S),
        ([refusal(400, LENGTH) + b'{"er', 600.0], InvalidRequest, ERROR_BODY_S),
        ([stream_head(status=500), *([chunk(b"x"), 0.3] * 99)], ServerFault, ERROR_BODY_S),
        ([stream_head(status=500), *repeat(chunk(b"x" * MAX_ERROR_BYTES), 99)], ServerFault, 0.0),
        ([stream_head(status=500), 0.1, chunk(b"oops"), 0.1, b"zz\r\n", 600.0], ServerFault, ERROR_BODY_S),
        ([refusal(503, LENGTH), 0.1, b"busy", None], Overloaded, 0.1),
    ],
    ids=["nothing comes", "half of it comes", "it drips", "it is endless", "its framing breaks", "lost"],
)
@virtual_time
async def test_a_status_counts_whatever_becomes_of_its_body(
    steps: list[Step], kind: type[AttemptError], after_s: float
) -> None:
    """A sick server's error body delays the next endpoint by a second at most, and hides no status."""
    async with serving(*steps) as server, session() as of:
        with pytest.raises(kind) as caught:
            await provider(server, of).complete(REQUEST)

        assert anyio.current_time() == pytest.approx(after_s, abs=0.02)
        assert caught.value.retry_after_s == (7.0 if kind is RateLimited else None)


LONG = HELLO.replace(b"hello", b"hello" * 1000)


@pytest.mark.parametrize(
    "steps",
    [
        [answer(gzip.compress(LONG), "Content-Encoding: gzip")],
        [answer(LONG)],
        [stream_head(kind="application/json"), chunk(LONG), END],
        [
            stream_head(kind="application/json"),
            *[chunk(LONG[at : at + 99]) for at in range(0, 5000, 99)],
            END,
        ],
    ],
    ids=["unpacked", "announced", "in one chunk", "in many chunks"],
)
@virtual_time
async def test_answers_over_the_limit(steps: list[Step]) -> None:
    """However an answer comes, its size is bounded as it is when unpacked."""
    async with serving(*steps) as server, session(max_answer_bytes=1000) as of:
        with pytest.raises(BadAnswer, match="max_answer_bytes=1000"):
            await provider(server, of).complete(REQUEST)


@pytest.mark.parametrize("size", [ONE_PIECE_BYTES // 2, 5 * ONE_PIECE_BYTES], ids=["short", "long"])
@virtual_time
async def test_large_requests_go_through(size: int) -> None:
    """An image of 5 MB arrives whole, without a warning from the HTTP client."""
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * size}}
    async with serving(answer(HELLO)) as server, session() as of:
        reply = await provider(server, of).complete(Request.of([{"role": "user", "content": [image]}], {}))

        assert reply.text == "hello"
        (_, body), *_ = server.requests
        assert body.count(b"A") >= size


@virtual_time
async def test_keys_in_headers_are_secrets_too() -> None:
    """What an endpoint's own header carries is not repeated, in whatever part of it is quoted."""
    said = b'{"error":{"message":"bad key sk-own-0123456789, sent as Token sk-own-0123456789"}}'
    headers = {"X-Auth": "Token sk-own-0123456789", "X-Beta": "v2"}
    async with serving(answer(said, status=401)) as server, session() as of:
        with pytest.raises(AttemptError) as caught:
            await provider(server, of, api_key=None, headers=headers).complete(REQUEST)

        assert caught.value.message == "bad key [key], sent as [key]"
