"""JSON lines, decoded without I/O: bytes in, whole lines out.

Nothing here parses the JSON.  Two rules bite in practice: a blank line is a keep-alive and yields
nothing, and a last line without its line break is given by `rest` only, since it may be half of one.
"""

from __future__ import annotations

from fallbackio.errors import BadAnswer

__all__ = ["NDJSON", "LineDecoder"]

NDJSON = "application/x-ndjson"

# As for an event of a stream: above any line a provider sends, far below what would hurt.
_MAX_LINE_BYTES = 8 * 2**20


class LineDecoder:
    """One body's lines, however the network cuts the bytes.

    A line of more than `max_line_bytes` raises `BadAnswer` as soon as that many have come; the
    decoder is then of no further use.

    Example:
        >>> LineDecoder().feed(b'{"a":1}\\n\\n{"a":')
        [b'{"a":1}']
    """

    def __init__(self, max_line_bytes: int = _MAX_LINE_BYTES) -> None:
        self._max_line_bytes = max_line_bytes
        self._partial = bytearray()  # the line that has begun

    def feed(self, chunk: bytes) -> list[bytes]:
        """The lines that `chunk` completes, without their ends."""
        head, broken, tail = chunk.rpartition(b"\n")
        if not broken:
            self._keep(chunk)
            return []
        if self._partial:
            head = bytes(self._partial) + head
            self._partial.clear()
        lines = head.split(b"\n")
        if len(head) > self._max_line_bytes:
            self._bound(max(map(len, lines)))
        self._keep(tail)
        return [stripped for line in lines if (stripped := line.strip())]

    def rest(self) -> bytes:
        """What came after the last line break."""
        return bytes(self._partial).strip()

    def _keep(self, piece: bytes) -> None:
        self._partial += piece
        self._bound(len(self._partial))

    def _bound(self, size: int) -> None:
        if size > self._max_line_bytes:
            raise BadAnswer(f"a line of the stream is larger than {self._max_line_bytes:,} bytes")
