"""Small promises of the transport, each by itself."""

from __future__ import annotations

from collections.abc import AsyncIterator

import anyio
import pytest
from transport_kit import (
    DONE,
    EVENT,
    HELLO,
    REQUEST,
    STREAMED,
    answer,
    chunk,
    provider,
    serving,
    session,
    stream_head,
)

from fallbackio.endpoint import Endpoint
from fallbackio.errors import BadAnswer, ConnectionFailed
from fallbackio.model import Request
from fallbackio.testing import virtual_time
from fallbackio.transport import CallingProvider
from fallbackio.transport._calling import CLOSE_GRACE_S
from fallbackio.transport._http import MAX_ERROR_BYTES, TRAILER_S


@pytest.mark.parametrize("streamed", [False, True], ids=["plain", "streamed"])
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@virtual_time
async def test_the_key_does_not_follow_a_redirect(status: int, streamed: bool) -> None:
    """The host that a redirect points to sees no request, and so neither key nor prompt."""
    async with serving(answer(HELLO)) as elsewhere:
        wire = answer(b"", f"Location: {elsewhere.url}/chat/completions", status=status)
        async with serving(wire) as server, session() as of:
            asked = provider(server, of)
            with pytest.raises(BadAnswer) as caught:
                await (asked.stream(STREAMED) if streamed else asked.complete(REQUEST))

        assert caught.value.status == status
        assert len(server.requests) == 1
        assert elsewhere.connections == 0


@virtual_time
async def test_a_body_without_an_end_is_closed_after_a_second() -> None:
    """A server that sends [DONE] and no more loses the connection at `TRAILER_S`, not earlier or later."""
    async with serving(stream_head(), chunk(EVENT + DONE)) as server, session() as of:
        upstream = await provider(server, of).stream(STREAMED)
        while not upstream.finished:
            await upstream.receive()
        await anyio.sleep(10)

        assert server.closed_at == [pytest.approx(TRAILER_S, abs=0.01)]


@virtual_time
async def test_a_refusals_endless_body_is_not_read_on() -> None:
    """After `MAX_ERROR_BYTES` nothing more can be learnt: the error is there, and the socket closed."""
    half = chunk(b"x" * (MAX_ERROR_BYTES // 2))
    steps = (stream_head(status=500), half, 0.1, half, 0.1, half, 0.1, half)
    async with serving(*steps) as server, session() as of:
        with pytest.raises(Exception, match="500"):
            await provider(server, of).complete(REQUEST)

        assert anyio.current_time() == pytest.approx(0.1, abs=0.01)


@virtual_time
async def test_our_own_tls_failure_is_local() -> None:
    """What is no TLS at the other end of our https is not held against the endpoint."""
    async with serving(b"HTTP/1.1 400 X\r\n\r\n", None) as server, session() as of:
        server.url = server.url.replace("http:", "https:")
        with pytest.raises(ConnectionFailed) as caught:
            await provider(server, of).complete(REQUEST)

        assert (caught.value.local, caught.value.sent) == (True, False)
