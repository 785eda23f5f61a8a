"""Server-sent events, decoded without I/O.

Bytes go in through `SSEDecoder.feed`, whole events come out; `encode` is the other direction.
Nothing here knows which provider is talking.  Written from the WHATWG specification (HTML standard,
sections 9.2.5 and 9.2.6).  Three rules bite in practice: a comment is a keep-alive and yields
nothing, an event without data is dropped together with its name, and what follows the last blank
line of a body was never an event.
"""

from __future__ import annotations

from fallbackio.errors import BadAnswer

__all__ = ["EVENT_STREAM", "SSEDecoder", "encode"]

EVENT_STREAM = "text/event-stream; charset=utf-8"

# Above any event a provider sends (whole tool calls, images), and far below what would hurt a
# process that reads a hundred answers at once.
_MAX_EVENT_BYTES = 8 * 2**20

_BOM = b"\xef\xbb\xbf"


class SSEDecoder:
    """One body's events: bytes in, `(event name or "", data)` out.

    However the network cuts the bytes, the events are the same.  An event of more than
    `max_event_bytes` (all its lines, comments included) raises `BadAnswer` as soon as that many
    have come; the decoder is then of no further use.

    Example:
        >>> SSEDecoder().feed(b"event: ping\\ndata: {}\\n\\n: keep-alive\\n\\ndata: half an ev")
        [('ping', b'{}')]
    """

    def __init__(self, max_event_bytes: int = _MAX_EVENT_BYTES) -> None:
        self._max_event_bytes = max_event_bytes
        # The event that has begun: lines end in LF, and there is no blank line in it yet.
        self._partial = bytearray()
        # The body's first bytes while they may still be half a byte order mark, then `None`.
        self._head: bytes | None = b""
        # The last byte was a CR and ended its line; an LF right after it is the rest of that end.
        self._after_cr = False

    def feed(self, chunk: bytes) -> list[tuple[str, bytes]]:
        """The events that `chunk` completes, which may be none."""
        if self._head is not None:
            chunk = self._without_mark(self._head + chunk)
        if self._after_cr or b"\r" in chunk:
            chunk = self._with_lf(chunk)
        if self._partial:
            chunk = self._joined(chunk)
        blocks = chunk.split(b"\n\n")
        if len(chunk) > self._max_event_bytes:
            self._bound(blocks)
        if rest := blocks.pop():
            self._partial += rest.lstrip(b"\n")
        events: list[tuple[str, bytes]] = []
        for block in blocks:
            # One line of data is what nearly every event is; reading it as any other costs thrice.
            if block.startswith(b"data: ") and b"\n" not in block:
                events.append(("", block[6:]))
            elif block and (event := _event(block)) is not None:
                events.append(event)
        return events

    def _joined(self, chunk: bytes) -> bytes:
        """The event that has begun with `chunk` after it, or nothing while it has no end.

        Only the new bytes are searched, so that an event in a million chunks is read in linear time.
        """
        partial = self._partial
        ends = b"\n\n" in chunk or (chunk.startswith(b"\n") and partial.endswith(b"\n"))
        partial += chunk
        if not ends:
            if len(partial) > self._max_event_bytes:
                self._bound([bytes(partial)])
            return b""
        joined = bytes(partial)
        partial.clear()
        return joined

    def _bound(self, blocks: list[bytes]) -> None:
        if max(len(block.strip(b"\n")) for block in blocks) > self._max_event_bytes:
            raise BadAnswer(f"an event of the stream is larger than {self._max_event_bytes:,} bytes")

    def _without_mark(self, head: bytes) -> bytes:
        if len(head) < len(_BOM) and _BOM.startswith(head):
            self._head = head
            return b""
        self._head = None
        return head.removeprefix(_BOM)

    def _with_lf(self, chunk: bytes) -> bytes:
        """`chunk` with CRLF and CR turned into LF, also a CRLF that two chunks share."""
        if not chunk:
            return chunk
        if self._after_cr:
            chunk = chunk.removeprefix(b"\n")
        self._after_cr = chunk.endswith(b"\r")
        return chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


def _event(block: bytes) -> tuple[str, bytes] | None:
    """The event of `block`, or `None` if it has no data; `id` and `retry` are for browsers."""
    name = b""
    data = []
    for line in block.split(b"\n"):
        field, _, value = line.partition(b":")
        if field == b"data":
            data.append(value.removeprefix(b" "))
        elif field == b"event":
            name = value.removeprefix(b" ")
    return (name.decode(errors="replace"), b"\n".join(data)) if data else None


def encode(data: bytes, event: str = "") -> bytes:
    """One event that carries `data`, named `event` unless that is empty.

    Line breaks in `data` come out as LF; `event` must not contain any.

    Example:
        >>> encode(b"{}", "ping")
        b'event: ping\\ndata: {}\\n\\n'
    """
    name = b"event: " + event.encode() + b"\n" if event else b""
    if b"\r" in data:
        data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    return name + b"data: " + data.replace(b"\n", b"\ndata: ") + b"\n\n"
