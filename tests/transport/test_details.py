"""Small promises of the transport, each by itself."""

from __future__ import annotations

import aiohttp
import anyio
import pytest
from aiohttp.client_reqrep import ConnectionKey
from anyio.abc import SocketAttribute, SocketStream
from transport_kit import (
    DONE,
    EVENT,
    HELLO,
    KEY,
    REQUEST,
    STREAMED,
    answer,
    chunk,
    provider,
    serving,
    session,
    stream_head,
)

from fallbackio.dialects import DIALECTS
from fallbackio.endpoint import Endpoint
from fallbackio.errors import BadAnswer, ConnectionFailed, ServerFault
from fallbackio.testing import virtual_time
from fallbackio.transport import HttpProvider
from fallbackio.transport._failures import from_aiohttp
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
        with pytest.raises(ServerFault):
            await provider(server, of).complete(REQUEST)

        assert anyio.current_time() == pytest.approx(0.1, abs=0.01)


@virtual_time
async def test_our_own_tls_failure_is_local() -> None:
    """Where our https finds no TLS at the other end, the set-up is at fault and not the endpoint."""

    async def no_tls(connection: SocketStream) -> None:
        async with connection:
            await connection.receive()
            await connection.send(b"HTTP/1.1 400 plain HTTP only\r\n\r\n")

    listeners = await anyio.create_tcp_listener(local_host="127.0.0.1")
    async with listeners, anyio.create_task_group() as tasks, session() as of:
        tasks.start_soon(listeners.serve, no_tls)
        port = listeners.extra(SocketAttribute.local_port)  # noqa: S610 - not Django's
        spec = Endpoint("model", base_url=f"https://127.0.0.1:{port}/v1", api_key=KEY)
        with pytest.raises(ConnectionFailed) as caught:
            await HttpProvider(spec, DIALECTS["openai"], of).complete(REQUEST)
        tasks.cancel_scope.cancel()

    assert (caught.value.local, caught.value.sent) == (True, False)


def test_a_name_that_cannot_be_resolved_is_local() -> None:
    """A failing name look-up is our network's fault and sent nothing."""
    key = ConnectionKey("api.example", 443, True, True, None, None, None)
    error = from_aiohttp(aiohttp.ClientConnectorDNSError(key, OSError("no such name")), 10)

    assert isinstance(error, ConnectionFailed)
    assert (error.local, error.sent) == (True, False)
    assert "api.example" in error.message
