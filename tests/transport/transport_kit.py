"""A server that plays bytes, for the tests of this folder."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
from anyio.abc import SocketAttribute, SocketStream
from anyio.streams.buffered import BufferedByteReceiveStream

from fallbackio.dialects import DIALECTS
from fallbackio.endpoint import Endpoint
from fallbackio.model import Request
from fallbackio.transport import HttpProvider, Session

KEY = "sk-test-0123456789"
HELLO = b'{"choices":[{"message":{"content":"hello"},"finish_reason":"stop"}]}'
EVENT = b'data: {"choices":[{"index":0,"delta":{"content":"hello"},"finish_reason":"stop"}]}\n\n'
DONE = b"data: [DONE]\n\n"
REQUEST = Request.of("What is the answer to everything?", {})
STREAMED = Request.of("What is the answer to everything?", {}, stream=True)

# One step of an answer: bytes to send, or seconds to wait.  After the last step the connection is
# ready for another request; `None` closes it.
Step = bytes | float | None


def answer(body: bytes, *headers: str, status: int = 200, kind: str = "application/json") -> bytes:
    """A whole HTTP answer."""
    lines = [f"HTTP/1.1 {status} X", f"Content-Type: {kind}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


def stream_head(*headers: str, status: int = 200, kind: str = "text/event-stream") -> bytes:
    """The head of an answer in chunks."""
    lines = [f"HTTP/1.1 {status} X", f"Content-Type: {kind}", "Transfer-Encoding: chunked", *headers]
    return "\r\n".join([*lines, "", ""]).encode()


def chunk(body: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(body), body)


END = chunk(b"")


class Server:
    """What came; `closed_at` are the instants at which a client closed its connection."""

    def __init__(self, steps: tuple[Step, ...]) -> None:
        self.steps = steps
        self.url = ""
        self.connections = 0
        self.requests: list[tuple[bytes, bytes]] = []  # head and body
        self.closed_at: list[float] = []

    async def serve(self, connection: SocketStream) -> None:
        self.connections += 1
        buffered = BufferedByteReceiveStream(connection)
        async with connection:
            try:
                while await self._exchange(connection, buffered):
                    pass
            except (anyio.BrokenResourceError, anyio.EndOfStream, anyio.IncompleteRead):
                self.closed_at.append(anyio.current_time())

    async def _exchange(self, connection: SocketStream, buffered: BufferedByteReceiveStream) -> bool:
        head = await buffered.receive_until(b"\r\n\r\n", 65_536)
        length = re.search(rb"(?i)content-length: (\d+)", head)
        self.requests.append((head, await buffered.receive_exactly(int(length[1]) if length else 0)))
        for step in self.steps:
            if step is None:
                return False
            if isinstance(step, bytes):
                await connection.send(step)
            else:
                await anyio.sleep(step)
        return True


@asynccontextmanager
async def serving(*steps: Step) -> AsyncIterator[Server]:
    """A server on loopback that plays the same steps for each request."""
    server = Server(steps)
    listeners = await anyio.create_tcp_listener(local_host="127.0.0.1")
    async with listeners, anyio.create_task_group() as tasks:
        port = listeners.extra(SocketAttribute.local_port)  # noqa: S610 - not Django's
        server.url = f"http://127.0.0.1:{port}/v1"
        tasks.start_soon(listeners.serve, server.serve)
        yield server
        tasks.cancel_scope.cancel()


@asynccontextmanager
async def session(max_answer_bytes: int = 2**20) -> AsyncIterator[Session]:
    """A chain's session by itself."""
    it = Session(connect_timeout=10, max_answer_bytes=max_answer_bytes)
    try:
        yield it
    finally:
        await it.aclose()


def provider(server: Server, of: Session, api_key: str | None = KEY, **settings: object) -> HttpProvider:
    """The provider of one endpoint at `server`."""
    endpoint = Endpoint("model", base_url=server.url, api_key=api_key, **settings)  # type: ignore[arg-type]
    return HttpProvider(endpoint, DIALECTS["openai"], of)
